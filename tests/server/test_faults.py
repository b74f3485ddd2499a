"""Failures on demand, as the client and the openai package meet them, in process and over a port."""

import asyncio
from functools import partial
from pathlib import Path

import httpx
import openai
import pytest
from conftest import KEY, ask, drawing, on_a_port

from beluga_nb.api.endpoint import Endpoint
from beluga_nb.api.http import Http
from beluga_nb.config.keys import Secret
from beluga_nb.errors import (
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BelugaError,
    InvalidResponseError,
    OutcomeUnknownError,
    RateLimitError,
    RequestError,
)
from beluga_nb.request import Request
from beluga_nb.result import IncompleteError
from beluga_nb.server.app import create_app
from beluga_nb.server.faults import FAULTS, Faulty, faulty, ordered, table
from beluga_nb.session.session import Session

PAGE = (Path(__file__).parents[2] / "docs" / "servers.md").read_text("utf-8")

ERRORS = {
    "401": (AuthenticationError, 401, "authentication_error", "invalid_api_key", None),
    "402": (APIStatusError, 402, "insufficient_quota", "insufficient_quota", None),
    "403": (APIStatusError, 403, "permission_error", "permission_denied", None),
    "429": (RateLimitError, 429, "rate_limit_error", None, 1),
    "429 retry-after=2": (RateLimitError, 429, "rate_limit_error", None, 2),
    "500": (OutcomeUnknownError, 500, "server_error", None, None),
    "502": (OutcomeUnknownError, 502, "upstream_error", None, None),
    "503": (RateLimitError, 503, "service_unavailable", None, None),
    "503 retry-after=2": (RateLimitError, 503, "service_unavailable", None, 2),
    "504": (APITimeoutError, 504, "timeout", None, None),
    "moderation": (APIStatusError, 400, "invalid_request_error", "moderation_blocked", None),
}


def prompted(prompt, n=1):
    return Request(prompt=prompt, model="flux-2.0", n=n)


BICYCLE = prompted("a red bicycle")


@pytest.fixture(scope="module")
def port():
    with on_a_port(faulty(drawing, partial(create_app, key=KEY)), log_level="critical") as base_url:
        yield base_url


@pytest.fixture(params=["in process", "over a port"])
def meet(request, port):
    """Ask the client for a request; it returns the result or the error."""

    async def outcome(asked, response_format):
        app = faulty(drawing, partial(create_app, key=KEY)) if request.param == "in process" else None
        endpoint = Endpoint(
            base_url="http://127.0.0.1/v1" if app else port,
            provider="faults",
            key=Secret(KEY, "a test"),
            response_format=response_format,
        )
        client = Http(endpoint, app=app)
        try:
            return await asyncio.wait_for(client(asked), 20)
        except BelugaError as error:
            return error

    return lambda asked, response_format="b64_json": asyncio.run(outcome(asked, response_format))


@pytest.mark.parametrize("order", ERRORS)
def test_an_error_that_is_ordered_arrives_as_its_class(meet, order):
    error = meet(prompted(f"fault: {order} | a red bicycle"))
    actual = (type(error), error.status, error.type, error.code, getattr(error, "retry_after", None))
    assert actual == ERRORS[order]
    assert error.message == "This failure was asked for."


def test_every_error_is_tried():
    assert {order.split()[0] for order in ERRORS} == {name for name, each in FAULTS.items() if each.fail}


def test_a_slow_answer_is_the_answer(meet):
    result = meet(prompted("fault: slow seconds=0.05 | a red bicycle"))
    assert [each.data for each in result.pictures] == [each.data for each in ask(drawing, BICYCLE).pictures]


def test_a_slow_answer_takes_the_seconds_that_were_ordered():
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    request = prompted("fault: slow seconds=7.5 | a red bicycle")
    result = ask(Faulty(drawing, sleep=sleep), request)
    assert slept == [7.5]
    assert result.pictures[0].data == ask(drawing, BICYCLE).pictures[0].data
    assert result.request == result.pictures[0].recipe.request == request


def test_only_some_of_the_pictures_come(meet):
    error = meet(prompted("fault: some pictures=2 | a red bicycle", n=4))
    assert type(error) is IncompleteError
    whole = ask(drawing, prompted("a red bicycle", n=4))
    assert [each.data for each in error.result.pictures] == [each.data for each in whole.pictures[:2]]


def test_all_are_some_where_fewer_were_asked(meet):
    assert len(meet(prompted("fault: some pictures=2 | a red bicycle"))) == 1


def test_a_cut_answer_leaves_the_outcome_unknown(meet):
    error = meet(prompted("fault: cut | a red bicycle"))
    assert type(error) is OutcomeUnknownError
    assert error.message.startswith("The connection broke before the answer was complete")


def test_expired_links_lead_nowhere(meet):
    error = meet(prompted("fault: expired | a red bicycle"), "url")
    assert type(error) is InvalidResponseError
    assert error.message.startswith("The picture was made but cannot be fetched from http://127.0.0.1")


def test_what_has_no_links_does_not_expire(meet):
    assert len(meet(prompted("fault: expired | a red bicycle"))) == 1


def test_the_next_answer_is_whole_again(meet):
    for order in ("cut", "expired"):
        meet(prompted(f"fault: {order} | a red bicycle"), "url")
        assert len(meet(BICYCLE, "url")) == 1


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (
            "fault: moderated | a fox",
            "No fault 'moderated'. Did you mean 'moderation'? Available: 401, 402, ",
        ),
        ("fault: | a fox", "No fault ''. Available: 401, "),
        (
            "fault: 429 after=2 | a fox",
            "The fault 429 does not take 'after=2'. Write it as 'fault: 429 retry-after=2 | …'",
        ),
        ("fault: slow | a fox", "The fault slow does not take ''. Write it as 'fault: slow seconds=5 | …'"),
        ("fault: 500 now | a fox", "The fault 500 does not take 'now'. Write it as 'fault: 500 | …'"),
    ],
)
def test_an_order_that_cannot_be_read_is_a_400_that_says_how(meet, prompt, message):
    error = meet(prompted(prompt))
    assert (type(error), error.status, error.param) == (APIStatusError, 400, "prompt")
    assert error.message.startswith(message)


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1e3", "601", "", "٣", "2=2", "2 seconds=3"])
def test_a_value_is_a_number_of_at_most_600(value):
    with pytest.raises(RequestError):
        ordered(f"fault: slow seconds={value} | a fox")


@pytest.mark.parametrize("prompt", ["a fox", "a fault: 429 | a fox", "default: 429", "fault 429 | a fox"])
def test_an_order_stands_at_the_start(prompt):
    assert ordered(prompt) is None


def test_an_order_needs_no_prompt_and_no_care_for_case_and_blanks():
    assert ordered("  Fault:429").name == "429"
    assert ordered("fault: cut |\n a fox | a dog\n").prompt == "a fox | a dog"


def test_where_faults_are_off_an_order_is_a_prompt():
    request = prompted("fault: 429 | a red bicycle")
    endpoint = Endpoint(base_url="http://127.0.0.1/v1", provider="x", key=Secret(KEY, "a test"))
    result = ask(Http(endpoint, app=create_app(drawing, key=KEY)), request)
    assert result.pictures[0].data == ask(drawing, request).pictures[0].data


def test_the_openai_package_sees_a_refusal_and_a_rate_limit(port):
    with openai.OpenAI(api_key=KEY, base_url=port, max_retries=0) as client:
        with pytest.raises(openai.BadRequestError) as declined:
            client.images.generate(model="flux-2.0", prompt="fault: moderation | a red bicycle")
        with pytest.raises(openai.RateLimitError) as busy:
            client.images.generate(model="flux-2.0", prompt="fault: 429 retry-after=2 | a red bicycle")
    assert declined.value.code == "moderation_blocked"
    assert busy.value.response.headers["retry-after"] == "2"


def test_the_openai_package_does_not_submit_a_failure_again(port):
    with (
        openai.OpenAI(api_key=KEY, base_url=port) as client,
        pytest.raises(openai.InternalServerError) as caught,
    ):
        client.images.generate(model="flux-2.0", prompt="fault: 502 | a red bicycle")
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_links_that_expire_are_not_found_by_anyone(port):
    with openai.OpenAI(api_key=KEY, base_url=port) as client:
        answer = client.images.generate(model="flux-2.0", prompt="fault: expired | a red bicycle")
    assert httpx.get(answer.data[0].url).status_code == 404


@pytest.mark.parametrize("how", [{"faults": True}, {"environ": {"BELUGA_FAULTS": "1"}}])
def test_a_session_without_a_key_fails_on_demand_where_faults_are_on(tmp_path, how, messages):
    session = Session(**{"environ": {}, "folder": tmp_path, "notify": messages.append, "mode": "off"} | how)
    with pytest.raises(APIStatusError, match="asked for"):
        session.generate("fault: moderation | a red bicycle")


def test_a_session_by_itself_takes_an_order_for_a_prompt(tmp_path, messages):
    session = Session(environ={}, folder=tmp_path, notify=messages.append, mode="off")
    assert len(session.generate("fault: moderation | a red bicycle")) == 1


def test_the_readmes_table_is_the_one_that_is_read():
    assert f"\n\n{table()}\n" in PAGE
