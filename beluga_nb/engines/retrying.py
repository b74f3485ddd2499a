"""What may be sent again, and when: pure decisions, and the engine that acts on them."""

from __future__ import annotations

import asyncio
import math
import random
from dataclasses import dataclass, replace

from beluga_nb.api.endpoint import Sleep
from beluga_nb.errors import EngineError
from beluga_nb.request import Request
from beluga_nb.result import CallCancelled, Engine, Result
from beluga_nb.wire import LONGEST_WAIT


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How often and how long; times in seconds (R05, R06 and R08).

    `spare` is how many requests all calls together may send again; each that succeeds gives one back.
    """

    attempts: int = 3
    first: float = 0.5
    longest: float = 8.0
    budget: float = LONGEST_WAIT
    spare: int = 10


_RANDOM = random.SystemRandom()


def may_send_again(error: EngineError) -> bool:
    """Whether the request provably was not executed, and the same may succeed a little later.

    That is never connected, 429, or 503 with Retry-After. Anything else may have been billed, or would
    end alike.
    """
    return error.outcome != "unknown" and error.temporary


def pause(error: EngineError, attempt: int, policy: Policy, rng: random.Random) -> float:
    """Return the seconds to wait after attempt number 0, 1 …: full jitter, at least `Retry-After`."""
    jitter = rng.uniform(0, min(policy.longest, policy.first * 2**attempt))
    return max(jitter, getattr(error, "retry_after", None) or 0.0)


@dataclass
class Backoff:
    """What all calls to a service share: how many requests may be sent again, and until when none is sent.

    `closed_until` is on the monotonic clock, which is that of every event loop.
    """

    spare: int = Policy.spare
    closed_until: float = 0.0


class Retrying:
    """Ask again where that is safe, and only there, and until `timeout` seconds after it was first asked.

    Calls that share a `backoff` wait together: a Retry-After for one holds back the others too.
    """

    def __init__(
        self,
        engine: Engine,
        policy: Policy | None = None,
        *,
        sleep: Sleep = asyncio.sleep,
        rng: random.Random | None = None,
        timeout: float = math.inf,
        backoff: Backoff | None = None,
    ) -> None:
        self.engine = engine
        self.timeout = timeout
        self.policy = policy or Policy()
        self.sleep = sleep
        self.rng = rng or _RANDOM
        self.backoff = backoff or Backoff(spare=self.policy.spare)

    async def __call__(self, request: Request) -> Result:
        request, slept, resume = request.as_call(), 0.0, 0.0
        for attempt in range(self.policy.attempts):
            await self._until(max(resume, self.backoff.closed_until))
            # The first attempt sets the deadline of all; waiting for others before it does not count.
            request = replace(request, deadline=min(request.deadline, _now() + self.timeout))
            try:
                result = await self.engine(request)
            except EngineError as error:
                error.idempotency_key = request.idempotency_key
                wait = pause(error, attempt, self.policy, self.rng)
                slept += wait
                resume = _now() + wait
                late = max(resume, self.backoff.closed_until) >= request.deadline
                if late or not self._go_on(error, attempt, slept):
                    raise
            else:
                self.backoff.spare = min(self.policy.spare, self.backoff.spare + 1)
                return result
        raise AssertionError("the last attempt returns or raises")

    def _go_on(self, error: EngineError, attempt: int, slept: float) -> bool:
        last = attempt + 1 == self.policy.attempts
        if last or not may_send_again(error) or slept > self.policy.budget or not self.backoff.spare:
            return False
        # Shared by all calls: when a service is down, they must not all send again.
        self.backoff.spare -= 1
        wait = getattr(error, "retry_after", None) or 0.0
        self.backoff.closed_until = max(self.backoff.closed_until, _now() + wait)
        return True

    async def _until(self, moment: float) -> None:
        wait = moment - _now()
        if wait > 0:
            try:
                await self.sleep(wait)
            except asyncio.CancelledError:  # every attempt so far was provably not executed
                raise CallCancelled(may_be_billed=False) from None


def _now() -> float:
    return asyncio.get_running_loop().time()
