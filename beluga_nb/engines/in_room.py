"""An engine that runs on the engine room's loop."""

from __future__ import annotations

from beluga_nb.engines.room import EngineRoom
from beluga_nb.request import Request
from beluga_nb.result import Engine, Result


class InRoom:
    """Ask the engine on the room's loop, whatever loop the caller has; Python ends only after the answer."""

    def __init__(self, engine: Engine, room: EngineRoom, *, hold: float) -> None:
        self.engine = engine
        self.room = room
        self.hold = hold

    async def __call__(self, request: Request) -> Result:
        return await self.room.thread.run(self._asked(request), hold=self.hold)

    async def _asked(self, request: Request) -> Result:
        return await self.engine(request)
