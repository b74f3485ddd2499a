"""An engine that counts what it is asked for, and what arrives."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from beluga_nb.request import Request
from beluga_nb.result import Engine, IncompleteError, Result


@dataclass
class Tally:
    """How many pictures an engine was asked for, and how many of them have arrived."""

    asked: int = 0
    arrived: int = 0


TALLY: ContextVar[Tally | None] = ContextVar("TALLY", default=None)
"""The tally of the call that is under way, if someone wants to know how far it is."""


class Counted:
    """Ask the engine, and count in `TALLY` what it is asked for and what arrives."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def __call__(self, request: Request) -> Result:
        tally = TALLY.get() or Tally()
        tally.asked += request.n
        try:
            result = await self.engine(request)
        except IncompleteError as error:
            tally.arrived += len(error.result)
            raise
        tally.arrived += len(result)
        return result
