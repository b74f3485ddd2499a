"""An engine that is asked for the same request by one caller at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from beluga_nb.engines.per_loop import PerLoop
from beluga_nb.merge import completed
from beluga_nb.request import Request
from beluga_nb.result import Engine, IncompleteError, Picture, Result


class Flight(asyncio.Lock):
    """A lock for the callers of one request, and the pictures that have arrived for those that wait."""

    def __init__(self) -> None:
        super().__init__()
        self._callers = 0
        self._arrived: dict[int, Picture] = {}

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[dict[int, Picture]]:
        """Wait until no other caller asks; give the pictures that have arrived, by sample, to be added to."""
        self._callers += 1
        try:
            async with self:
                yield self._arrived
        finally:
            self._callers -= 1
            if not self._callers:
                # Later callers find the pictures in the store; memory is for those that have waited.
                self._arrived.clear()


class KeyedLocks:
    """One lock for each key and event loop, as long as it is used."""

    def __init__(self) -> None:
        self._locks = PerLoop(WeakValueDictionary[Hashable, Flight])

    def lock(self, key: Hashable) -> Flight:
        """Return the lock of a key."""
        return self._locks.get().setdefault(key, Flight())


class SingleFlight:
    """Ask for the same request once at a time: callers that waited get the pictures bought meanwhile.

    Requests are the same with equal `key`s, whatever their `n`. After a refusal, a failure or a stop the next
    caller asks again. This needs no store.
    """

    def __init__(self, engine: Engine, locks: KeyedLocks, *key: Hashable) -> None:
        self.engine = engine
        self.locks = locks
        self.key = key

    async def __call__(self, request: Request) -> Result:
        async with self.locks.lock((*self.key, request.slice(0))).turn() as arrived:

            async def asked(part: Request) -> Result:
                try:
                    result = await self.engine(part)
                except IncompleteError as error:
                    arrived.update(_by_sample(error.result))
                    raise
                arrived.update(_by_sample(result))  # at once, since the next part may be stopped
                return result

            return await completed(request, dict(arrived), asked)


def _by_sample(result: Result) -> dict[int, Picture]:
    # A picture that was recorded as another take is no answer to the other callers.
    asked = ((picture.recipe.request, picture) for picture in result.pictures)
    return {each.sample: picture for each, picture in asked if each == result.request.slice(each.sample)}
