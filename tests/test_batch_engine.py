"""Requests that come together share one call of a function, and each has its own outcome."""

import asyncio
from dataclasses import replace

import pytest
from drawings import drawing

from beluga_nb.engines.batch_engine import BatchEngine
from beluga_nb.errors import (
    APIStatusError,
    InvalidResponseError,
    OutcomeUnknownError,
    RequestError,
    SettingsError,
)
from beluga_nb.request import Request
from beluga_nb.session.session import Session

FOX = Request(prompt="a fox", model="flux-2.0")


class Drawing:
    """Draws batches, and notes their prompts; "refused" is refused, and "broken" breaks its whole batch."""

    def __init__(self):
        self.batches, self.under_way, self.go = [], 0, asyncio.Event()
        self.go.set()

    async def __call__(self, requests):
        prompts = [each.prompt for each in requests]
        self.batches.append(prompts)
        self.under_way += 1
        assert self.under_way == 1
        try:
            await self.go.wait()
        finally:
            self.under_way -= 1
        if "broken" in prompts:
            raise OutcomeUnknownError("It broke.")
        refusal = APIStatusError("Refused.", status=422)
        return [refusal if prompt == "refused" else await drawing(FOX) for prompt in prompts]


def asked(*requests, size=3, wait=0.05):
    """Ask for all at once; return the function, and the outcomes."""

    async def ask():
        draw = Drawing()
        engine = BatchEngine(draw, size=size, wait=wait)
        return draw, await asyncio.gather(*map(engine, requests), return_exceptions=True)

    return asyncio.run(ask())


def prompts(*words):
    return [replace(FOX, prompt=word) for word in words]


def test_requests_share_batches_in_their_order_and_the_last_one_is_not_waited_for_long():
    draw, outcomes = asked(*prompts("a", "b", "c", "d"))
    assert draw.batches == [["a", "b", "c"], ["d"]]
    assert len(outcomes) == 4


def test_a_batch_is_of_one_model_size_and_count():
    other = replace(FOX, model="gpt-image-2"), replace(FOX, size="16:9"), replace(FOX, n=2)
    draw, _ = asked(FOX, *other, replace(FOX, prompt="an owl"), replace(FOX, sample=1))
    assert draw.batches == [["a fox", "an owl", "a fox"], ["a fox"], ["a fox"], ["a fox"]]


def test_a_refusal_is_one_requests_and_what_breaks_a_batch_is_each_ones_own():
    _, outcomes = asked(*prompts("a", "refused", "b", "c", "broken", "d"))
    kinds = [type(each).__name__ for each in outcomes]
    assert kinds == ["Result", "APIStatusError", "Result", *["OutcomeUnknownError"] * 3]
    assert len({*map(id, outcomes[3:])}) == 3, "the id of a call is added to its error"


def test_a_request_that_is_stopped_leaves_a_batch_that_waits_and_others_go_on():
    async def ask():
        draw = Drawing()
        draw.go.clear()
        engine = BatchEngine(draw, size=2, wait=0.05)
        first = [asyncio.create_task(engine(each)) for each in prompts("a", "b", "c", "d")]
        while not draw.under_way:
            await asyncio.sleep(0)
        first[1].cancel()  # its batch is under way, and "a" still waits for it
        first[2].cancel()  # its batch is not
        await asyncio.sleep(0)
        assert draw.under_way
        draw.go.set()
        outcomes = await asyncio.gather(*first, return_exceptions=True)
        return draw.batches, [type(each).__name__ for each in outcomes]

    batches, kinds = asyncio.run(ask())
    assert batches == [["a", "b"], ["d"]]
    assert kinds == ["Result", "CancelledError", "CancelledError", "Result"]


def test_a_batch_that_nobody_waits_for_is_cancelled():
    async def ask():
        draw = Drawing()
        draw.go.clear()
        engine = BatchEngine(draw, size=2)
        tasks = [asyncio.create_task(engine(each)) for each in prompts("a", "b")]
        while not draw.under_way:
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        while draw.under_way:
            await asyncio.sleep(0)
        draw.go.set()
        return await engine(FOX)

    assert asyncio.run(ask())


@pytest.mark.parametrize("answers", [[], [1, 2, 3]])
def test_too_few_or_too_many_answers_are_an_error_of_each(answers):
    async def wrong(requests):
        return answers

    async def ask():
        engine = BatchEngine(wrong, size=2)
        return await asyncio.gather(*map(engine, prompts("a", "b")), return_exceptions=True)

    outcomes = asyncio.run(ask())
    assert [type(each) for each in outcomes] == [InvalidResponseError] * 2
    assert outcomes[0].message == f"The function wrong returned {len(answers)} answers to 2 requests."


class Fatal(BaseException):
    """What an async library may raise to end a task."""


@pytest.mark.parametrize("kind", [Fatal, KeyboardInterrupt, SystemExit])
def test_whatever_ends_the_function_each_cell_has_an_error_at_once(kind, tmp_path):
    async def fatal(requests):
        if "fox" in requests[0].prompt:
            raise kind
        return [await drawing(each) for each in requests]

    session = Session(folder=tmp_path, environ={}, engine=BatchEngine(fatal, size=2), progress=False)
    with pytest.raises(OutcomeUnknownError, match=f"The engine fatal failed: {kind.__name__}"):
        session.grid("a {{animal}}", animal=["fox", "fox cub"]).run()
    assert session.generate("an owl")


def test_an_error_that_is_returned_for_several_requests_is_each_ones_own():
    async def refusing(requests):
        return [APIStatusError("Refused.", status=422)] * len(requests)

    async def ask():
        engine = BatchEngine(refusing, size=2)
        return await asyncio.gather(*map(engine, prompts("a", "b")), return_exceptions=True)

    first, second = asyncio.run(ask())
    assert first is not second
    assert str(first) == str(second)


def test_a_function_that_is_not_async_is_refused_before_anything_is_drawn():
    def draw(requests):
        raise AssertionError

    async def draw_one_by_one(requests):
        yield

    for function in (draw, draw_one_by_one, None):
        with pytest.raises(SettingsError, match="is not an async function"):
            BatchEngine(function, size=2)


@pytest.mark.parametrize("wait", [-1, None, "1", float("nan"), float("inf"), True])
def test_a_wait_that_is_no_time_is_refused(wait):
    with pytest.raises(RequestError, match="The wait for a batch is"):
        BatchEngine(Drawing(), size=2, wait=wait)


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "8"])
def test_a_size_that_is_no_count_is_refused(size):
    with pytest.raises(RequestError, match="The size of a batch is"):
        BatchEngine(Drawing(), size=size)
