"""An engine that asks the room's engine for a connection."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from beluga_nb.engines.room import EngineRoom
from beluga_nb.request import Request
from beluga_nb.result import Engine, Result


class Connected:
    """Ask the room's engine for a connection, which is made only when something is asked for."""

    def __init__(self, room: EngineRoom, connection: Hashable, make: Callable[[], Engine]) -> None:
        self.room = room
        self.connection = connection
        self.make = make

    async def __call__(self, request: Request) -> Result:
        return await self.room.source(self.connection, self.make)(request)
