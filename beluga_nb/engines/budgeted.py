"""An engine that is asked within budgets."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from functools import partial

from beluga_nb.budget import Budget, Caps
from beluga_nb.engines.limited import ConcurrencyLimit
from beluga_nb.process.work import at_work, revocable
from beluga_nb.request import Request
from beluga_nb.result import CallCancelled, Engine, Result


class Budgeted:
    """Ask the engine within all of some budgets: reserve before, settle after.

    A ledger may make a reservation wait for another process, so there both happen on threads. Calls with the
    same `turn` reserve one after another, or those that wait could take all threads.
    """

    def __init__(
        self, engine: Engine, *budgets: tuple[Budget, Caps], turn: ConcurrencyLimit | None = None
    ) -> None:
        self.engine = engine
        self.budgets = budgets
        self.turn = turn or ConcurrencyLimit()

    async def __call__(self, request: Request) -> Result:
        if not any(budget.may_wait for budget, _ in self.budgets):
            with self._reserve(request):
                return await self.engine(request)
        async with self.turn.place(lambda: 1):
            reservation = await revocable(partial(self._reserve, request), _withdraw)
        try:
            result = await self.engine(request)
        except BaseException as error:
            # Shielded: a reservation that is not settled would count for ever.
            await asyncio.shield(at_work(reservation.__exit__, type(error), error, error.__traceback__))
            raise
        await asyncio.shield(at_work(reservation.close))
        return result

    def _reserve(self, request: Request) -> ExitStack:
        with ExitStack() as reservation:
            for budget, caps in self.budgets:
                reservation.enter_context(budget.reserved(request, caps))
            return reservation.pop_all()


def _withdraw(reservation: ExitStack) -> None:
    stopped = CallCancelled(may_be_billed=False)  # nothing was sent
    reservation.__exit__(type(stopped), stopped, None)
