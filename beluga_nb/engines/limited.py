"""Limit the number of calls that are on their way at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from beluga_nb.engines.per_loop import PerLoop
from beluga_nb.request import Request
from beluga_nb.result import Engine, Result


class ConcurrencyLimit:
    """Lets calls through in their order, on each event loop; each call gives the limit that it accepts."""

    def __init__(self) -> None:
        self._queues = PerLoop(_Queue)

    @asynccontextmanager
    async def place(self, most: int) -> AsyncIterator[None]:
        """Wait until fewer than `most` are on their way, and be one of them while the block runs."""
        queue = self._queues.get()
        await queue.enter(most)
        try:
            yield
        finally:
            queue.leave()


class _Queue:
    def __init__(self) -> None:
        self.on_their_way = 0
        self.waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def enter(self, most: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        self.waiting.append((most, turn))
        self._let()
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():  # let through at the moment it was stopped
                self.on_their_way -= 1
            self._let()
            raise

    def leave(self) -> None:
        self.on_their_way -= 1
        self._let()

    def _let(self) -> None:
        while self.waiting and (self.waiting[0][1].done() or self.on_their_way < self.waiting[0][0]):
            _, turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self.on_their_way += 1


class Limited:
    """Ask the engine while fewer than `most` calls with this limit are on their way."""

    def __init__(self, engine: Engine, limit: ConcurrencyLimit, most: int) -> None:
        self.engine = engine
        self.limit = limit
        self.most = most

    async def __call__(self, request: Request) -> Result:
        async with self.limit.place(self.most):
            return await self.engine(request)
