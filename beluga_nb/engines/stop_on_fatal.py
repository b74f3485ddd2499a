"""A circuit breaker: after an error that would repeat for every call, nothing more is asked."""

from __future__ import annotations

from collections.abc import Callable

from beluga_nb.errors import BelugaError, NotSentError
from beluga_nb.request import Request
from beluga_nb.result import Engine, Result


class CircuitBreaker:
    """What the calls of a run share: `cause` is the first error that is fatal to all of them, or None."""

    def __init__(self, is_fatal: Callable[[BelugaError], bool]) -> None:
        self.is_fatal = is_fatal
        self.cause: BelugaError | None = None

    def note(self, error: BelugaError) -> None:
        """Stop the run if an error is fatal to all of it."""
        if self.cause is None and self.is_fatal(error):
            self.cause = error


class StopOnFatal:
    """Ask the engine until an error is fatal to the whole run; then raise `NotSentError`.

    Calls that are on their way are not stopped.
    """

    def __init__(self, engine: Engine, breaker: CircuitBreaker) -> None:
        self.engine = engine
        self.breaker = breaker

    async def __call__(self, request: Request) -> Result:
        if self.breaker.cause:
            raise NotSentError(self.breaker.cause)
        try:
            return await self.engine(request)
        except BelugaError as error:
            self.breaker.note(error)
            raise
