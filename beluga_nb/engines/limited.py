"""Limit the number of calls that are on their way at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar

from beluga_nb.engines.per_loop import PerLoop
from beluga_nb.request import Request
from beluga_nb.result import Engine, Result


class ConcurrencyLimit:
    """Lets calls through in their order, on each event loop; each call gives the limit that it accepts."""

    def __init__(self) -> None:
        self._queues = PerLoop(_Queue)

    @asynccontextmanager
    async def place(self, most: Callable[[], int]) -> AsyncIterator[_Place]:
        """Wait until fewer than `most()` are on their way, and be one of them while the block runs."""
        queue = self._queues.get()
        await queue.enter(most)
        place = _Place(queue)
        try:
            yield place
        finally:
            place.leave()


class _Place:
    """The place of one call, which is on its way until it has an answer, or ends."""

    def __init__(self, queue: _Queue) -> None:
        self._queue = queue
        self._has_answer = False

    def answered(self) -> None:
        """Let another call through: this one has its answer."""
        if not self._has_answer:
            self._has_answer = True
            self._queue.on_their_way -= 1
            self._queue.answered += 1
            self._queue.admit()

    def leave(self) -> None:
        """End the call."""
        if self._has_answer:
            self._queue.answered -= 1
        else:
            self._queue.on_their_way -= 1
        self._queue.admit()


class _Queue:
    def __init__(self) -> None:
        self.on_their_way = self.answered = 0
        self.waiting: deque[tuple[Callable[[], int], asyncio.Future[None]]] = deque()

    async def enter(self, most: Callable[[], int]) -> None:
        turn = asyncio.get_running_loop().create_future()
        self.waiting.append((most, turn))
        self.admit()
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():  # let through at the moment it was stopped
                self.on_their_way -= 1
            self.admit()
            raise

    def admit(self) -> None:
        """Let waiting calls go, in their order, while there is room."""
        while self.waiting and (self.waiting[0][1].done() or self._has_room(self.waiting[0][0]())):
            _, turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self.on_their_way += 1

    def _has_room(self, most: int) -> bool:
        # A call that has its answer holds it in memory, so those are limited, too.
        return self.on_their_way < most and self.on_their_way + self.answered < 2 * most


_PLACE: ContextVar[_Place | None] = ContextVar("place", default=None)


def answered() -> None:
    """Let the next call go, while the one of this context downloads and checks the pictures of its answer."""
    if place := _PLACE.get():
        place.answered()


class Limited:
    """Ask the engine while fewer than `most()` calls with this limit are on their way.

    After `answered`, a call is not on its way any more: the service has done its part.
    """

    def __init__(self, engine: Engine, limit: ConcurrencyLimit, most: Callable[[], int]) -> None:
        self.engine = engine
        self.limit = limit
        self.most = most

    async def __call__(self, request: Request) -> Result:
        async with self.limit.place(self.most) as place:
            token = _PLACE.set(place)
            try:
                return await self.engine(request)
            finally:
                # A coroutine that outlives its loop is closed in another context.
                with suppress(ValueError):
                    _PLACE.reset(token)
