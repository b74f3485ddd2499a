"""The polled engine against a small upstream on a real port."""

import asyncio
import itertools
import time

import pytest
from conftest import KEY, ask, drawing, on_a_port
from upstream import SUBMISSIONS, Upstream

from beluga_nb.api.endpoint import Endpoint
from beluga_nb.api.polled import Pace, Polled
from beluga_nb.config.keys import Secret
from beluga_nb.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BelugaError,
    InvalidResponseError,
    OutcomeUnknownError,
    RateLimitError,
)
from beluga_nb.request import Request
from beluga_nb.result import IncompleteError

FOX = Request(prompt="a fox", model="flux-2.0")
FOXES = Request(prompt="foxes", model="flux-2.0", n=3)
AT_ONCE = Pace(first=0.0, longest=0.0)


class Sleeps:
    """A sleep that takes no time and remembers for how long it was asked."""

    def __init__(self):
        self.seconds = []

    async def __call__(self, seconds):
        self.seconds.append(seconds)
        await asyncio.sleep(0)


def polled(base_url, *, key=KEY, timeout=20.0, **options):
    endpoint = Endpoint(
        base_url=base_url,
        provider="upstream",
        key=Secret(key, "a test"),
        response_format="url",
        extensions=True,
        timeout=timeout,
    )
    return Polled(endpoint, **{"pace": AT_ONCE} | options)


async def outcome_of(engine, request):
    try:
        return await asyncio.wait_for(engine(request), 30)
    except BelugaError as error:
        return error


def exchange(upstream, request=FOX, **options):
    """Ask the upstream; return the result or the error."""
    with on_a_port(upstream.app, log_level="critical") as base_url:
        return asyncio.run(outcome_of(polled(base_url, **options), request))


@pytest.mark.parametrize("shape", SUBMISSIONS)
@pytest.mark.parametrize("alone", [False, True], ids=["links in lists", "links alone"])
def test_every_shape_gives_what_the_service_made(shape, alone):
    upstream = Upstream(shape=shape, alone=alone)
    assert exchange(upstream, FOXES) == ask(drawing, FOXES)
    assert (len(upstream.posts), upstream.polled) == (1, 3)


def test_links_in_one_list_are_as_many_pictures():
    upstream = Upstream()
    with on_a_port(upstream.app) as base_url:
        result = ask(drawing, FOXES)
        upstream.files = {str(number): each for number, each in enumerate(result.pictures)}
        root = base_url.removesuffix("/v1")
        urls = [f"{root}/cdn/{number}" for number in range(3)]
        upstream.end = {"result": {"images": [{"url": urls, "expires_at": 1}]}}
        pictures = asyncio.run(outcome_of(polled(base_url), FOXES)).pictures
    assert [each.data for each in pictures] == [each.data for each in result.pictures]


PICTURES = {
    "links in a list": lambda urls: {"images": urls},
    "a link": lambda urls: {"url": urls[0]},
    "links": lambda urls: {"urls": urls},
    "items": lambda urls: {"data": [{"image_url": each} for each in urls]},
    "output": lambda urls: {"output": urls},
    "paths": lambda urls: {"images": ["/cdn/0.png" for _ in urls]},
}


@pytest.mark.parametrize("status", ["completed", "SUCCEEDED", "Success", "done", "COMPLETE"])
@pytest.mark.parametrize("shape", PICTURES)
def test_the_pictures_of_a_task_are_read_in_whatever_shape(shape, status):
    upstream = Upstream()
    with on_a_port(upstream.app) as base_url:
        result = ask(drawing, FOX)
        upstream.files = {"0": result.pictures[0], "0.png": result.pictures[0]}
        urls = [f"{base_url.removesuffix('/v1')}/cdn/0"]
        upstream.end = {"status": status, "result": PICTURES[shape](urls)}
        pictures = asyncio.run(outcome_of(polled(base_url), FOX)).pictures
    assert [each.data for each in pictures] == [each.data for each in result.pictures]


def test_the_key_goes_with_the_submission_and_the_polls_and_the_pictures_of_its_own_origin_need_none():
    upstream = Upstream()
    exchange(upstream)
    assert upstream.keys == {f"Bearer {KEY}", None}


def test_the_first_wait_and_the_pace_are_as_configured():
    sleeps = Sleeps()
    exchange(Upstream(polls=(0, 1, 2, 3)), pace=Pace(first=10, growth=2, longest=30), sleep=sleeps)
    assert sleeps.seconds[:5] == [10, 20, 30, 30, 30]


def test_by_itself_it_polls_soon_and_then_ever_more_slowly():
    assert list(itertools.islice(Pace().waits(), 7)) == [1, 1.5, 2.25, 3.375, 5, 5, 5]


@pytest.mark.parametrize("lost", ["lost", 500, 502, 503, 504, 408, 429])
def test_a_poll_that_is_lost_is_repeated_and_the_submission_is_not(lost):
    upstream = Upstream(polls=(lost, 30, lost, lost))
    assert exchange(upstream) == ask(drawing, FOX)
    assert (len(upstream.posts), upstream.polled) == (1, 5)


def test_a_poll_without_an_answer_is_given_up_and_repeated():
    upstream = Upstream(polls=("silent",))
    assert exchange(upstream, pace=Pace(first=0, longest=0, patience=0.2)) == ask(drawing, FOX)
    assert upstream.polled == 2


UNREADABLE = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"<html>maintenance</html>",
    b'{"data": []}',
    b'{"data": null}',
    b'{"data": {"id": "x"}}',
    b'{"data": {"status": "completed", "result": {"images": [{"url"',
    b'{"status": "error", "message": "The gateway is busy."}',
    b'{"status": "success", "message": "The gateway is well."}',
    b"\xff\xfe",
    b"[" * 9999,
]


@pytest.mark.parametrize("poll", [*UNREADABLE, 400, 401, 403, 404, 409, 410, 422, 301])
@pytest.mark.parametrize("times", [1, 3])
def test_a_poll_that_cannot_be_read_is_repeated(poll, times):
    upstream = Upstream(polls=(poll,) * times + (30,) + (poll,) * times)
    assert exchange(upstream) == ask(drawing, FOX)
    assert (len(upstream.posts), upstream.polled) == (1, 2 + 2 * times)


@pytest.mark.parametrize("poll", UNREADABLE)
def test_a_task_of_which_nothing_can_be_read_is_named_when_its_time_is_over(poll):
    error = exchange(Upstream(polls=(poll,) * 10_000), timeout=0.4, pace=Pace(first=0.05, longest=0.05))
    assert type(error) is APITimeoutError
    assert error.job.startswith("task_")


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_task_that_is_refused_until_its_time_is_over_leaves_the_outcome_unknown(status):
    polls = (10, *(status,) * 10_000)
    error = exchange(Upstream(polls=polls), timeout=0.4, pace=Pace(first=0.05, longest=0.05))
    assert error.job.startswith("task_")
    assert (type(error), error.status) == (OutcomeUnknownError, 502)
    assert error.message.startswith("Task task_")
    assert "may have been billed" in error.hint


def test_a_task_that_fails_says_why_and_is_not_billed():
    async def declined(request):
        raise APIStatusError("Declined.", status=400, code="moderation_blocked", param="prompt")

    error = exchange(Upstream(engine=declined))
    assert (type(error), error.status, error.code, error.param) == (
        APIStatusError,
        400,
        "moderation_blocked",
        "prompt",
    )
    assert (error.message, error.hint) == (
        "Declined.",
        "Nothing is billed. Put the prompt in other words, or run it again.",
    )


def test_a_task_that_fails_without_a_reason_is_the_providers_failure():
    error = exchange(Upstream(end={"status": "failed"}))
    assert (type(error), error.status, error.message) == (OutcomeUnknownError, 502, "The task failed.")


def test_a_task_that_the_service_cancels_is_refused():
    error = exchange(Upstream(end={"status": "cancelled"}))
    assert (type(error), error.status, error.code) == (APIStatusError, 409, "cancelled")


def test_a_completed_task_without_pictures_is_a_bad_reply():
    assert isinstance(exchange(Upstream(end={"result": {"images": []}})), InvalidResponseError)


def test_pictures_whose_links_have_expired_may_have_been_billed():
    error = exchange(Upstream(expired=True))
    assert type(error) is InvalidResponseError
    assert error.message.startswith("The picture was made but cannot be fetched from http://127.0.0.1:")


def test_fewer_pictures_than_asked_are_kept():
    async def two(request):
        return await drawing(request.slice(0, 2))

    error = exchange(Upstream(engine=two), FOXES)
    assert type(error) is IncompleteError
    assert error.result.pictures == ask(drawing, FOXES).pictures[:2]


def test_a_submission_that_is_refused_is_what_it_is():
    upstream = Upstream()
    error = exchange(upstream, key="bapi_another-key")
    assert (type(error), error.status, upstream.polled) == (AuthenticationError, 401, 0)


def test_a_submission_to_a_busy_service_says_when_to_come_back():
    async def busy(request):
        raise RateLimitError("Later.", retry_after=7)

    error = exchange(Upstream(engine=busy))
    assert (type(error), error.retry_after) == (RateLimitError, 7)


def test_a_submission_that_is_lost_is_not_sent_again():
    upstream = Upstream(lost=True)
    error = exchange(upstream)
    assert type(error) is OutcomeUnknownError
    assert error.message.startswith("The connection broke before the answer was complete")
    assert (len(upstream.posts), upstream.polled) == (1, 0)


def test_nobody_there_is_unreachable():
    with on_a_port(Upstream().app) as base_url:
        pass
    assert type(asyncio.run(outcome_of(polled(base_url), FOX))) is APIConnectionError


def test_a_task_that_never_ends_is_given_up_in_time_and_named():
    began = time.monotonic()
    upstream = Upstream(polls=(10,) * 10_000)
    error = exchange(upstream, timeout=0.5, pace=Pace(first=0.1, longest=0.1))
    assert (type(error), error.status) == (APITimeoutError, 504)
    assert error.message.startswith("Task task_")
    assert "may have been billed" in error.hint
    assert time.monotonic() - began < 5
    assert len(upstream.posts) == 1


def test_a_service_that_goes_silent_is_given_up_in_time():
    error = exchange(Upstream(polls=("silent",)), timeout=0.3)
    assert type(error) is APITimeoutError


def test_cancelling_the_call_ends_the_polling():
    upstream = Upstream(polls=(10,) * 10_000)

    async def cancelled(base_url):
        engine = polled(base_url)
        asking = asyncio.create_task(engine(FOX))
        while upstream.polled < 3:
            await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        seen = upstream.polled
        await asyncio.sleep(0.2)
        return upstream.polled - seen

    with on_a_port(upstream.app, log_level="critical") as base_url:
        # One poll may have been on its way.
        assert asyncio.run(cancelled(base_url)) <= 1
