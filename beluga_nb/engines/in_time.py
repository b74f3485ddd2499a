"""An engine that is asked within time limits."""

from __future__ import annotations

from beluga_nb.api.endpoint import TIME_LIMITS, TimeLimits
from beluga_nb.request import Request
from beluga_nb.result import Engine, Result


class InTime:
    """Ask the engine within time limits."""

    def __init__(self, engine: Engine, limits: TimeLimits) -> None:
        self.engine = engine
        self.limits = limits

    async def __call__(self, request: Request) -> Result:
        token = TIME_LIMITS.set(self.limits)
        try:
            return await self.engine(request)
        finally:
            TIME_LIMITS.reset(token)
