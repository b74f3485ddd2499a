"""An engine that asks no more once an error says that all others would end alike."""

from __future__ import annotations

from collections.abc import Callable

from beluga_nb.core import Engine, Request, Result
from beluga_nb.errors import BelugaError, NotSent


class StopOnFatal:
    """Ask the engine until an error says that all others would end alike; then nobody is asked any more.

    What is on its way then comes to its own end. `cause` is that error, once there is one.
    """

    def __init__(self, engine: Engine, stops: Callable[[BelugaError], bool]) -> None:
        self.engine = engine
        self.stops = stops
        self.cause: BelugaError | None = None

    async def __call__(self, request: Request) -> Result:
        if self.cause:
            raise NotSent(self.cause)
        try:
            return await self.engine(request)
        except BelugaError as error:
            if self.cause is None and self.stops(error):
                self.cause = error
            raise
