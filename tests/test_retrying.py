"""What is sent again, when, and how often."""

import asyncio
import dataclasses
import random

import pytest
from conftest import Counting, drawing

from beluga_nb.engines.retrying import Policy, Retrying, may_send_again, pause
from beluga_nb.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    CertificateError,
    EngineError,
    InvalidImageError,
    InvalidResponseError,
    OutcomeUnknownError,
    RateLimitError,
    RequestError,
)
from beluga_nb.request import Request
from beluga_nb.result import CallCancelled, IncompleteError, Result

FOX = Request(prompt="a fox", model="flux-2.0")


class Failing:
    """An engine that raises these errors, one for each time, and then draws."""

    def __init__(self, *errors):
        self.errors = list(errors)

    async def __call__(self, request):
        if self.errors:
            raise self.errors.pop(0)
        return await drawing(request)


def retried(engine, policy=None, seed=1):
    """Ask and return what came, how often it was asked, and the pauses."""
    pauses, counting = [], Counting(engine)

    async def sleep(seconds):
        pauses.append(seconds)

    async def run():
        try:
            return await Retrying(counting, policy, sleep=sleep, rng=random.Random(seed))(FOX)
        except EngineError as error:
            return error

    return asyncio.run(run()), len(counting.requests), pauses


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (APIConnectionError("x"), True),
        (CertificateError("x"), False),
        (RateLimitError("x", status=429), True),
        (RateLimitError("x", status=429, retry_after=5), True),
        (RateLimitError("x", status=503, retry_after=5), True),
        (RateLimitError("x", status=503), False),
        (APIStatusError("x", status=400), False),
        (APIStatusError("x", status=401), False),
        (APIStatusError("x", status=402), False),
        (APIStatusError("x", status=403), False),
        (APIStatusError("x", status=404), False),
        (OutcomeUnknownError("x", status=408), False),
        (OutcomeUnknownError("x", status=500), False),
        (OutcomeUnknownError("x", status=502), False),
        (APITimeoutError("x", status=504), False),
        (OutcomeUnknownError("x"), False),
        (APITimeoutError("x"), False),
        (InvalidResponseError("x"), False),
        (InvalidImageError("x"), False),
        (IncompleteError(Result(FOX, ()), [APIConnectionError("x")]), False),
        (EngineError("x"), False),
    ],
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'status', '')}",
)
def test_r02_only_what_provably_was_not_executed_is_sent_again(error, again):
    assert may_send_again(error) is again
    answer, attempts, _ = retried(Failing(error))
    assert attempts == (2 if again else 1)
    assert isinstance(answer, Result) is again


def test_an_answer_is_passed_on_at_once():
    answer, attempts, pauses = retried(drawing)
    assert (len(answer), attempts, pauses) == (1, 1, [])


def test_r05_there_are_three_attempts_at_most_and_the_last_error_is_raised():
    errors = [APIConnectionError(str(number)) for number in range(5)]
    answer, attempts, pauses = retried(Failing(*errors))
    assert (answer, attempts, len(pauses)) == (errors[2], 3, 2)


def test_one_attempt_means_none_is_sent_again():
    answer, attempts, _ = retried(Failing(APIConnectionError("x")), Policy(attempts=1))
    assert (type(answer), attempts) == (APIConnectionError, 1)


def test_a_busy_service_is_given_the_time_it_asks_for():
    _, _, pauses = retried(Failing(RateLimitError("x", retry_after=7), RateLimitError("x", retry_after=9)))
    assert pauses == pytest.approx([7, 9], abs=0.5)


def test_nobody_sleeps_longer_than_the_budget():
    answer, attempts, pauses = retried(Failing(*[RateLimitError("x", retry_after=40)] * 3))
    assert (type(answer), attempts, pauses) == (RateLimitError, 2, pytest.approx([40], abs=0.5))


def test_a_wait_above_the_budget_is_not_begun():
    answer, attempts, pauses = retried(Failing(RateLimitError("x", retry_after=61)))
    assert (type(answer), attempts, pauses) == (RateLimitError, 1, [])


def test_a_refused_request_is_not_retried():
    counting = Counting(Failing(RequestError("n is 0.")))
    with pytest.raises(RequestError):
        asyncio.run(Retrying(counting)(FOX))
    assert len(counting.requests) == 1


@pytest.mark.parametrize(("attempt", "highest"), [(0, 0.5), (1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (9, 8.0)])
def test_r08_pauses_are_spread_over_the_whole_interval(attempt, highest):
    rng = random.Random(7)
    draws = [pause(APIConnectionError("x"), attempt, Policy(), rng) for _ in range(10_000)]
    assert min(draws) >= 0
    assert max(draws) <= highest
    assert min(draws) < highest * 0.01
    assert max(draws) > highest * 0.99


def test_a_pause_is_never_shorter_than_the_service_asks():
    rng = random.Random(7)
    draws = [pause(RateLimitError("x", retry_after=0.3), 4, Policy(), rng) for _ in range(1000)]
    assert min(draws) == 0.3
    assert max(draws) > 4


def test_two_clients_do_not_pause_alike():
    errors = [APIConnectionError("x"), APIConnectionError("x")]
    assert retried(Failing(*errors), seed=1)[2] != retried(Failing(*errors), seed=2)[2]


def test_the_same_request_is_sent_each_time():
    counting = Counting(Failing(APIConnectionError("x"), APIConnectionError("x")))

    async def no_time(_):
        pass

    asyncio.run(Retrying(counting, sleep=no_time)(FOX))
    assert counting.requests == [FOX, FOX, FOX]


def test_a_policy_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Policy().attempts = 9  # type: ignore[misc]


def test_r06_a_sweep_against_a_busy_service_sends_few_again():
    counting = Counting(Failing(*[RateLimitError("x")] * 999))

    async def sweep():
        engine = Retrying(counting, sleep=no_time)
        return await asyncio.gather(*(engine(FOX) for _ in range(50)), return_exceptions=True)

    assert all(isinstance(each, RateLimitError) for each in asyncio.run(sweep()))
    assert len(counting.requests) == 60


def test_r06_what_succeeds_gives_a_spare_attempt_back():
    async def ups_and_downs():
        engine = Retrying(Failing(), Policy(spare=1), sleep=no_time)
        for _ in range(5):
            engine.engine = Failing(RateLimitError("x"))
            await engine(FOX)

    asyncio.run(ups_and_downs())


async def no_time(_):
    pass


def test_r13_a_wait_for_one_call_holds_back_the_others():
    pauses, counting = [], Counting(Failing(RateLimitError("x", retry_after=7)))

    async def sleep(seconds):
        pauses.append(round(seconds))

    async def one_after_the_other():
        engine = Retrying(counting, sleep=sleep)
        await engine(FOX)
        await engine(FOX)

    asyncio.run(one_after_the_other())
    assert pauses == [7, 7], "the first waits before it asks again, and the second before it asks at all"


def test_r03_what_fails_carries_the_id_of_its_call():
    error, _, _ = retried(Failing(OutcomeUnknownError("Lost.", "It may have been billed.", status=502)))
    assert len(error.idempotency_key) == 36
    assert (
        error._render_traceback_()[0]
        == f"OutcomeUnknownError: Lost. (status 502, call {error.idempotency_key[:8]})"
    )
    refused, _, _ = retried(Failing(APIStatusError("No.", status=402)))
    assert refused._render_traceback_() == ["APIStatusError: No. (status 402)"]


def test_who_stops_between_two_attempts_was_not_billed():
    async def stopping(seconds):
        raise asyncio.CancelledError

    engine = Retrying(Failing(RateLimitError("Later.", retry_after=9)), sleep=stopping)
    with pytest.raises(CallCancelled) as caught:
        asyncio.run(engine(FOX))
    assert not caught.value.may_be_billed
