"""An engine that is asked within a budget."""

from __future__ import annotations

from beluga_nb.budget import Budget, Caps
from beluga_nb.request import Request
from beluga_nb.result import Engine, Result


class Budgeted:
    """Ask the engine within a budget: reserve before, settle after."""

    def __init__(self, engine: Engine, budget: Budget, caps: Caps) -> None:
        self.engine = engine
        self.budget = budget
        self.caps = caps

    async def __call__(self, request: Request) -> Result:
        with self.budget.reserved(request, self.caps):
            return await self.engine(request)
