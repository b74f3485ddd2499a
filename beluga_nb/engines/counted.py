"""An engine that counts what it is asked for, and what arrives."""

from __future__ import annotations

from beluga_nb.budget import Caps, billed
from beluga_nb.engines.call import Tally
from beluga_nb.errors import BelugaError
from beluga_nb.request import Request
from beluga_nb.result import Engine, IncompleteError, Result


class Counted:
    """Ask the engine, and count in `tally` what it is asked for and what arrives.

    With the prices of `caps`, what that costs is counted too.
    """

    def __init__(self, engine: Engine, tally: Tally, caps: Caps | None = None) -> None:
        self.engine = engine
        self.tally = tally
        self.caps = caps

    async def __call__(self, request: Request) -> Result:
        self.tally.asked += request.n
        try:
            result = await self.engine(request)
        except BelugaError as error:
            self.tally.failed += request.n
            if isinstance(error, IncompleteError):
                self.tally.failed -= len(error.result)
                self._count(error.result)
            self._spend(request, billed(error, request.n))
            raise
        self._count(result)
        self._spend(request, request.n)
        return result

    def _count(self, result: Result) -> None:
        self.tally.arrived += len(result)
        if self.tally.request:
            self.tally.results.append(result)

    def _spend(self, request: Request, n: int) -> None:
        if self.caps and n:
            self.tally.spent += self.caps.amount(request.slice(request.sample, n))
