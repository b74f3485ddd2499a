"""What may be sent again, and when: pure decisions, and the engine that acts on them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from beluga_nb.core import Engine, Request, Result
from beluga_nb.errors import EngineError, Overloaded, Unreachable

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How often and how long; times in seconds (research/reliability.md, R05 and R08)."""

    attempts: int = 3
    first: float = 0.5
    longest: float = 8.0
    budget: float = 60.0


def may_send_again(error: EngineError) -> bool:
    """Whether the request provably was not executed: never connected, 429, or 503 with Retry-After.

    Anything else may have been billed, and is never sent again by itself.
    """
    return isinstance(error, Overloaded | Unreachable) and not error.may_be_billed


def pause(error: EngineError, attempt: int, policy: Policy, rng: random.Random) -> float:
    """Return the seconds to wait after attempt number 0, 1 …: full jitter, at least `Retry-After`."""
    jitter = rng.uniform(0, min(policy.longest, policy.first * 2**attempt))
    return max(jitter, getattr(error, "retry_after", None) or 0.0)


class Retrying:
    """Ask again where that is safe, and only there."""

    def __init__(
        self,
        engine: Engine,
        policy: Policy | None = None,
        *,
        sleep: Sleep = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.engine = engine
        self.policy = policy or Policy()
        self.sleep = sleep
        self.rng = rng or random.Random()

    async def __call__(self, request: Request) -> Result:
        request, slept = request.as_call(), 0.0
        for attempt in range(self.policy.attempts - 1):
            try:
                return await self.engine(request)
            except EngineError as error:
                wait = pause(error, attempt, self.policy, self.rng)
                if not may_send_again(error) or slept + wait > self.policy.budget:
                    raise
            slept += wait
            await self.sleep(wait)
        return await self.engine(request)
