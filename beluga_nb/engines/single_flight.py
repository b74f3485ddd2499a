"""An engine that is asked for the same request by one caller at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from copy import copy
from weakref import WeakValueDictionary

from beluga_nb.engines.per_loop import PerLoop
from beluga_nb.errors import BelugaError
from beluga_nb.merge import completed
from beluga_nb.request import Request
from beluga_nb.result import Engine, IncompleteError, Picture, Result, causes


class Turn:
    """One caller's turn: what is known from callers before it, and what it leaves to those that wait."""

    def __init__(self, flight: Flight, number: int) -> None:
        self._flight = flight
        self._number = number

    @property
    def known(self) -> dict[int, Picture | BelugaError]:
        """What has come of each sample: pictures, and errors after which it must not be sent again."""
        errors = self._flight.errors.items()
        shared = {sample: copy(error) for sample, (last, error) in errors if self._number <= last}
        return {**shared, **self._flight.arrived}

    def add(self, result: Result) -> None:
        """Keep pictures for those that wait."""
        self._flight.arrived.update(_by_sample(result))

    def fail(self, request: Request, error: BelugaError) -> None:
        """Keep an error for those that wait by now, if the request may have been executed."""
        if error.outcome == "unknown":
            kept = self._flight.callers, causes(error)[0]
            self._flight.errors.update(dict.fromkeys(request.samples, kept))


class Flight(asyncio.Lock):
    """A lock for the callers of one request, and what has come of it for those that wait.

    `callers` is how many have come, and `errors` has with each error how many had come when it did.
    """

    def __init__(self) -> None:
        super().__init__()
        self.callers = 0
        self.arrived: dict[int, Picture] = {}
        self.errors: dict[int, tuple[int, BelugaError]] = {}
        self._present = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Wait until no other caller asks."""
        self.callers += 1
        self._present += 1
        turn = Turn(self, self.callers)
        try:
            async with self:
                yield turn
        finally:
            self._present -= 1
            if not self._present:
                # Later callers find the pictures in the store; memory is for those that have waited.
                self.arrived.clear()
                self.errors.clear()


class KeyedLocks:
    """One lock for each key and event loop, as long as it is used."""

    def __init__(self) -> None:
        self._locks = PerLoop(WeakValueDictionary[Hashable, Flight])

    def lock(self, key: Hashable) -> Flight:
        """Return the lock of a key."""
        return self._locks.get().setdefault(key, Flight())


class SingleFlight:
    """Ask for the same request once at a time: callers that waited get the pictures bought meanwhile.

    Requests are the same with equal `key`s, whatever their `n`. Callers that waited share an error with an
    unknown outcome, since the request may have been billed. After a refusal or a stop, and for callers that
    come later, it is asked again. This needs no store.
    """

    def __init__(self, engine: Engine, locks: KeyedLocks, *key: Hashable) -> None:
        self.engine = engine
        self.locks = locks
        self.key = key

    async def __call__(self, request: Request) -> Result:
        async with self.locks.lock((*self.key, request.slice(0))).turn() as turn:

            async def asked(part: Request) -> Result:
                try:
                    result = await self.engine(part)
                except BelugaError as error:
                    turn.fail(part, error)
                    if isinstance(error, IncompleteError):
                        turn.add(error.result)
                    raise
                turn.add(result)  # at once, since the next part may be stopped
                return result

            return await completed(request, turn.known, asked)


def _by_sample(result: Result) -> dict[int, Picture]:
    # A picture that was recorded as another take is no answer to the other callers.
    asked = ((picture.recipe.request, picture) for picture in result.pictures)
    return {each.sample: picture for each, picture in asked if each == result.request.slice(each.sample)}
