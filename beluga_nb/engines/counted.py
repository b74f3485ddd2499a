"""An engine that counts what it is asked for, and what arrives."""

from __future__ import annotations

from beluga_nb.engines.call import Tally
from beluga_nb.request import Request
from beluga_nb.result import Engine, IncompleteError, Result


class Counted:
    """Ask the engine, and count in `tally` what it is asked for and what arrives."""

    def __init__(self, engine: Engine, tally: Tally) -> None:
        self.engine = engine
        self.tally = tally

    async def __call__(self, request: Request) -> Result:
        self.tally.asked += request.n
        try:
            result = await self.engine(request)
        except IncompleteError as error:
            self.tally.arrived += len(error.result)
            raise
        self.tally.arrived += len(result)
        return result
