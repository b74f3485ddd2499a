"""An engine that runs on the engine room's loop."""

from __future__ import annotations

from beluga_nb.engines.room import EngineRoom
from beluga_nb.request import Request
from beluga_nb.result import Engine, Result


class InRoom:
    """Ask the engine on the room's loop, whatever loop the caller has."""

    def __init__(self, engine: Engine, room: EngineRoom) -> None:
        self.engine = engine
        self.room = room

    async def __call__(self, request: Request) -> Result:
        return await self.room.thread.run(self._asked(request))

    # An engine may return any awaitable, and a task needs a coroutine.
    async def _asked(self, request: Request) -> Result:
        return await self.engine(request)
