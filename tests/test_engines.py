"""Engines made of engines."""

import asyncio
import gc
import threading
import time

import pytest
from conftest import Counting, ask, drawing, drawn

from beluga_nb.catalog import split
from beluga_nb.engines.batched import Batched
from beluga_nb.engines.limited import ConcurrencyLimit, Limited, answered
from beluga_nb.engines.per_loop import PerLoop
from beluga_nb.errors import APIConnectionError, APIStatusError
from beluga_nb.merge import merge_results, result_or_error, side_by_side
from beluga_nb.request import Request
from beluga_nb.result import IncompleteError

ONE = Request(prompt="a fox", model="gpt-image-2")
FIVE = Request(prompt="a fox", model="gpt-image-2", n=5)


def singly(request):
    return [request.slice(sample) for sample in request.samples]


def failing(*samples):
    """An engine that has no picture of some samples."""

    async def engine(request):
        if request.sample in samples:
            raise APIConnectionError(f"No sample {request.sample}.", "Look for it.")
        return await drawing(request)

    return engine


def samples(result):
    return [picture.recipe.request.sample for picture in result.pictures]


def test_spread_joins_in_order_whichever_answers_first():
    turn = []

    async def last_first(request):
        turn.append(request.sample)
        while len(turn) < 5 or turn[-1] != request.sample:
            await asyncio.sleep(0)
        turn.pop()
        turn.insert(0, -1)
        return await drawing(request)

    result = ask(Batched(last_first, singly), FIVE)
    assert samples(result) == [0, 1, 2, 3, 4]
    assert [picture.data for picture in result.pictures] == [drawn(ONE, sample) for sample in range(5)]
    assert result.request == FIVE


def test_spread_asks_for_no_more_at_once_than_the_model_allows():
    counting = Counting()
    ask(Batched(counting, split), Request(prompt="a fox", model="flux-2.0", n=6))
    assert [(request.sample, request.n) for request in counting.requests] == [(0, 4), (4, 2)]


def test_spread_passes_a_single_part_on_as_it_is():
    counting = Counting()
    assert ask(Batched(counting, split), ONE) == ask(drawing, ONE)
    assert counting.requests == [ONE]


def test_what_arrived_survives_a_part_that_fails():
    with pytest.raises(IncompleteError) as caught:
        ask(Batched(failing(1, 3), singly), FIVE)
    assert samples(caught.value.result) == [0, 2, 4]
    assert [cause.message for cause in caught.value.causes] == ["No sample 1.", "No sample 3."]
    assert str(caught.value) == (
        "3 of 5 pictures arrived; the rest failed: No sample 1.\n"
        "Look for it. Running it again asks only for what is missing."
    )


def test_the_first_error_is_raised_as_it_is_where_nothing_arrived():
    with pytest.raises(APIConnectionError) as caught:
        ask(Batched(failing(0, 1, 2, 3, 4), singly), FIVE)
    assert caught.value.message == "No sample 0."


def test_a_part_that_is_itself_incomplete_is_counted_once():
    def halves(request):
        return [request.slice(0, 2), request.slice(2, 3)]

    with pytest.raises(IncompleteError) as caught:
        ask(Batched(Batched(failing(1, 3), singly), halves), FIVE)
    assert samples(caught.value.result) == [0, 2, 4]
    assert [cause.message for cause in caught.value.causes] == ["No sample 1.", "No sample 3."]
    assert caught.value.message == "3 of 5 pictures arrived; the rest failed: No sample 1."


def test_a_strangers_exception_is_not_swallowed():
    async def broken(request):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask(Batched(broken, singly), FIVE)


def test_joining_one_whole_answer_gives_it_back():
    whole = ask(drawing, FIVE)
    assert merge_results(FIVE, [whole]) == whole


def test_an_outcome_is_the_answer_or_the_error():
    refused = APIStatusError("No.")

    async def refusing(request):
        raise refused

    assert asyncio.run(result_or_error(refusing, ONE)) is refused
    assert asyncio.run(result_or_error(drawing, ONE)) == ask(drawing, ONE)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_limited_lets_no_more_go_than_it_may(most):
    on_their_way, highest = 0, 0

    async def slow(request):
        nonlocal on_their_way, highest
        on_their_way += 1
        highest = max(highest, on_their_way)
        for _ in range(5):
            await asyncio.sleep(0)
        on_their_way -= 1
        return await drawing(request)

    async def many():
        limited = Limited(slow, ConcurrencyLimit(), lambda: most)
        await asyncio.gather(*(limited(part) for part in singly(FIVE)))

    asyncio.run(many())
    assert highest == most


@pytest.mark.parametrize("most", [1, 2])
def test_a_call_that_has_its_answer_lets_another_go_and_as_many_may_work_on_theirs(most):
    asked, ending = [], []

    async def slow(request):
        asked.append(request.sample)
        await asyncio.sleep(0)
        answered()
        answered()  # says no more than the first
        while request.sample not in ending:
            await asyncio.sleep(0)
        return await drawing(request)

    async def settled():
        for _ in range(20):
            await asyncio.sleep(0)
        return len(asked)

    async def many():
        limited = Limited(slow, ConcurrencyLimit(), lambda: most)
        calls = [asyncio.create_task(limited(part)) for part in singly(FIVE)]
        before = await settled()
        ending.append(0)
        after_one = await settled()
        ending.extend(range(1, 5))
        await asyncio.gather(*calls)
        return before, after_one, limited.limit._queues.get()

    before, after_one, queue = asyncio.run(many())
    assert (before, after_one) == (2 * most, 2 * most + 1)
    assert (queue.on_their_way, queue.answered) == (0, 0)


def test_limited_gives_the_place_back_where_the_loop_of_a_call_is_gone():
    async def endless(request):
        await asyncio.Event().wait()

    # No asyncio.run: it would cancel the call.
    loop, limit = asyncio.new_event_loop(), ConcurrencyLimit()
    call = loop.create_task(Limited(endless, limit, lambda: 1)(ONE))
    loop.run_until_complete(asyncio.wait({call}, timeout=0))
    queue = limit._queues.values[loop]
    assert queue.on_their_way == 1
    loop.close()
    call._log_destroy_pending = False
    call.get_coro().close()
    assert queue.on_their_way == 0


def test_limited_gives_the_place_back_after_an_error():
    async def many():
        limited = Limited(failing(0), ConcurrencyLimit(), lambda: 1)
        return [await result_or_error(limited, part) for part in singly(FIVE)]

    assert [type(each).__name__ for each in asyncio.run(many())] == ["APIConnectionError", *["Result"] * 4]


def test_per_loop_makes_nothing_before_it_is_asked():
    made = []
    PerLoop(lambda: made.append(1) or drawing)
    assert made == []


def test_per_loop_makes_one_engine_for_each_loop():
    made = []

    def make():
        made.append(Counting())
        return made[-1]

    per_loop = PerLoop(make)

    async def twice():
        await per_loop.get()(ONE)
        await per_loop.get()(FIVE)

    threads = [threading.Thread(target=lambda: asyncio.run(twice())) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join()
    assert [engine.requests for engine in made] == [[ONE, FIVE], [ONE, FIVE]]


def test_per_loop_lets_go_of_the_engine_of_a_loop_that_is_gone():
    per_loop = PerLoop(Counting)

    async def once():
        await per_loop.get()(ONE)

    # No asyncio.run: where nest_asyncio is applied, it keeps its loop.
    loop = asyncio.new_event_loop()
    loop.run_until_complete(once())
    assert len(per_loop.values) == 1
    loop.close()
    del loop
    until = time.monotonic() + 10
    while per_loop.values and time.monotonic() < until:
        gc.collect()  # a loop may be part of a cycle; it does nothing while another thread collects
        time.sleep(0.01)
    assert len(per_loop.values) == 0


# --- what runs side by side ends together


class Holding:
    """A coroutine that holds until it is stopped, and takes its time to clean up."""

    def __init__(self):
        self.clean = False

    async def __call__(self):
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            self.clean = True


def test_what_is_stopped_side_by_side_has_cleaned_up_when_that_shows():
    holding = [Holding(), Holding()]

    async def stopped():
        task = asyncio.ensure_future(side_by_side(each() for each in holding))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return [each.clean for each in holding]

    assert asyncio.run(stopped()) == [True, True]


def test_one_that_fails_stops_the_others_and_waits_for_their_clean_up():
    holding = Holding()

    async def failing():
        await asyncio.sleep(0)
        raise ZeroDivisionError

    async def failed():
        with pytest.raises(ZeroDivisionError):
            await side_by_side([holding(), failing()])
        return holding.clean

    assert asyncio.run(failed())
