"""The job queue: bounds, patience, cancellation; and no trace of what has ended."""

import asyncio
import logging

import pytest

from beluga_nb.errors import APIConnectionError, APIStatusError, APITimeoutError, EngineError, RateLimitError
from beluga_nb.request import Request
from beluga_nb.result import ImagePayload, Result
from beluga_nb.server.jobs import JobQueue

WHALE = Request(prompt="a whale", model="flux-2.0")
FOX = Request(prompt="a fox", model="flux-2.0")


async def instant(request):
    return Result.of(request, [ImagePayload(b"picture")], engine="instant")


async def endless(_):
    await asyncio.Event().wait()


class Gate:
    """An engine that answers when it is opened, and counts who is inside."""

    def __init__(self):
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()
        self.left = asyncio.Event()
        self.inside = self.most = 0

    async def __call__(self, request):
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.entered.set()
        try:
            await self.opened.wait()
            return await instant(request)
        finally:
            self.inside -= 1
            self.left.set()


def test_a_job_gives_what_the_engine_gives():
    async def result():
        return await JobQueue(instant).submit(WHALE).result()

    assert asyncio.run(result()) == asyncio.run(instant(WHALE))


def test_a_job_knows_its_request_and_has_an_id_of_its_own():
    async def jobs():
        queue = JobQueue(instant)
        return queue.submit(WHALE), queue.submit(WHALE)

    one, other = asyncio.run(jobs())
    assert one.request == WHALE
    assert one.id != other.id


def test_no_more_than_workers_are_with_the_engine():
    async def most():
        gate = Gate()
        queue = JobQueue(gate, workers=2)
        jobs = [queue.submit(WHALE) for _ in range(6)]
        await gate.entered.wait()
        gate.opened.set()
        await asyncio.gather(*(job.result() for job in jobs))
        return gate.most

    assert asyncio.run(most()) == 2


def test_jobs_are_begun_in_the_order_they_came():
    async def order():
        seen = []

        async def noting(request):
            seen.append(request.sample)
            return await instant(request)

        queue = JobQueue(noting, workers=1)
        jobs = [queue.submit(WHALE.slice(sample)) for sample in range(5)]
        await asyncio.gather(*(job.result() for job in jobs))
        return seen

    assert asyncio.run(order()) == [0, 1, 2, 3, 4]


def test_a_full_queue_says_when_to_come_back_and_takes_jobs_again_later():
    async def full():
        gate = Gate()
        queue = JobQueue(gate, workers=1, limit=1)
        first, second = queue.submit(WHALE), queue.submit(WHALE)
        with pytest.raises(RateLimitError) as caught:
            queue.submit(WHALE)
        gate.opened.set()
        await first.result()
        await second.result()
        return caught.value, await queue.submit(WHALE).result()

    error, result = asyncio.run(full())
    assert (error.status, error.message) == (429, "2 requests are waiting already.")
    assert 1 <= error.retry_after <= 60
    assert len(result) == 1


def test_the_wait_that_is_named_grows_with_what_waits_and_with_how_long_jobs_take():
    async def wait():
        now = iter([0.0, 5.0])
        queue = JobQueue(instant, workers=1, limit=2, clock=lambda: next(now, 0.0))
        await queue.submit(WHALE).result()
        for _ in range(3):
            queue.submit(WHALE)
        with pytest.raises(RateLimitError) as caught:
            queue.submit(WHALE)
        return caught.value.retry_after

    assert asyncio.run(wait()) == 15


def test_what_fails_or_is_cancelled_at_once_promises_nobody_a_short_wait():
    async def wait():
        times = iter([0.0, 20.0])
        queue = JobQueue(refusing_foxes, workers=1, limit=2, clock=lambda: next(times, 20.0))
        await queue.submit(WHALE).result()
        with pytest.raises(APIStatusError):
            await queue.submit(FOX).result()
        cancelled = queue.submit(WHALE)
        cancelled.cancel()
        with pytest.raises(APIStatusError):
            await cancelled.result()
        for _ in range(3):
            queue.submit(WHALE)
        with pytest.raises(RateLimitError) as caught:
            queue.submit(WHALE)
        return caught.value.retry_after

    assert asyncio.run(wait()) == 60


async def refusing_foxes(request):
    if request is FOX:
        raise APIStatusError("no foxes", status=400)
    return await instant(request)


def test_a_job_beyond_patience_fails_as_timed_out_and_stops_the_engine():
    async def late():
        gate = Gate()
        job = JobQueue(gate, patience=0.01).submit(WHALE)
        with pytest.raises(APITimeoutError) as caught:
            await job.result()
        return caught.value, gate.left.is_set()

    error, left = asyncio.run(late())
    assert (error.status, left) == (504, True)
    assert error.message == "The picture was not ready within 0.01 seconds."


def test_the_wait_in_the_queue_counts_as_patience():
    async def late():
        queue = JobQueue(endless, workers=1, patience=0.01)
        queue.submit(WHALE)
        with pytest.raises(APITimeoutError):
            await queue.submit(WHALE).result()

    asyncio.run(late())


def test_a_strangers_timeout_is_not_taken_for_ours():
    async def stranger(_):
        raise TimeoutError("their own")

    async def outcome():
        with pytest.raises(EngineError) as caught:
            await JobQueue(stranger).submit(WHALE).result()
        return caught.value

    error = asyncio.run(outcome())
    assert (type(error), error.status) == (EngineError, 500)


def test_a_strangers_error_is_logged_and_its_text_kept_from_the_answer(caplog):
    async def stranger(_):
        raise KeyError("bapi_secret in /home/me")

    async def outcome():
        job = JobQueue(stranger).submit(WHALE)
        with pytest.raises(EngineError) as caught:
            await job.result()
        return caught.value

    with caplog.at_level(logging.ERROR):
        error = asyncio.run(outcome())
    assert error.status == 500
    assert "bapi_secret" not in str(error)
    assert "bapi_secret" in caplog.text


def test_an_engines_own_error_arrives_as_it_is():
    gone = APIConnectionError("gone", "come back")

    async def engine(_):
        raise gone

    async def outcome():
        with pytest.raises(APIConnectionError) as caught:
            await JobQueue(engine).submit(WHALE).result()
        return caught.value

    assert asyncio.run(outcome()) is gone


def test_cancelling_a_running_job_stops_the_engine():
    async def cancelled():
        gate = Gate()
        job = JobQueue(gate).submit(WHALE)
        await gate.entered.wait()
        job.cancel()
        with pytest.raises(APIStatusError) as caught:
            await job.result()
        return caught.value.code, gate.left.is_set()

    assert asyncio.run(cancelled()) == ("cancelled", True)


def test_cancelling_a_waiting_job_never_asks_the_engine_and_frees_its_place():
    async def cancelled():
        gate = Gate()
        queue = JobQueue(gate, workers=1, limit=1)
        first, second = queue.submit(WHALE), queue.submit(WHALE)
        await gate.entered.wait()
        second.cancel()
        with pytest.raises(APIStatusError):
            await second.result()
        third = queue.submit(WHALE)
        gate.opened.set()
        await asyncio.gather(first.result(), third.result())
        return gate.most

    assert asyncio.run(cancelled()) == 1


def test_a_job_that_is_cancelled_before_it_could_begin_is_cancelled_too():
    async def cancelled():
        queue = JobQueue(instant)
        job = queue.submit(WHALE)
        job.cancel()
        with pytest.raises(APIStatusError):
            await job.result()
        return queue.jobs

    assert asyncio.run(cancelled()) == set()


def test_cancelling_what_has_ended_changes_nothing():
    async def ended():
        job = JobQueue(instant).submit(WHALE)
        await job.result()
        job.cancel()
        return await job.result()

    assert len(asyncio.run(ended())) == 1


def test_whoever_is_cancelled_while_waiting_has_waited_for_the_engines_clean_up():
    async def cancelled():
        gate = Gate()
        job = JobQueue(gate).submit(WHALE)
        waiter = asyncio.create_task(job.result())
        await gate.entered.wait()
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        return gate.left.is_set()

    assert asyncio.run(cancelled())


def test_a_loop_that_ends_with_jobs_under_way_ends_without_a_word(caplog):
    async def abandon():
        queue = JobQueue(endless, workers=1)
        for _ in range(3):
            queue.submit(WHALE)
        await asyncio.sleep(0)

    asyncio.run(abandon())
    assert caplog.text == ""


def test_a_failed_job_that_nobody_waits_for_leaves_no_complaint(caplog):
    async def engine(_):
        raise APIConnectionError("gone")

    async def abandon():
        queue = JobQueue(engine)
        queue.submit(WHALE)
        while queue.jobs:
            await asyncio.sleep(0)

    asyncio.run(abandon())
    assert caplog.text == ""


def test_a_queue_serves_one_loop_after_another():
    queue = JobQueue(instant)
    assert len(asyncio.run(one_of(queue))) == 1
    assert len(asyncio.run(one_of(queue))) == 1


async def one_of(queue):
    return await queue.submit(WHALE).result()
