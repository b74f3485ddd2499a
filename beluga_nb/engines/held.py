"""An engine that keeps Python from ending before it answers."""

from __future__ import annotations

from beluga_nb.engines.room import EngineRoom
from beluga_nb.request import Request
from beluga_nb.result import Engine, Result


class Held:
    """Ask the engine, and do not let Python end before it answers, for at most `seconds`.

    A job holds Python from its start (`runtime.Bridge.submit`), but not for as long as it may wait for its
    turn; what is about to be paid for is held here.
    """

    def __init__(self, engine: Engine, room: EngineRoom, seconds: float) -> None:
        self.engine = engine
        self.room = room
        self.seconds = seconds

    async def __call__(self, request: Request) -> Result:
        # Python would otherwise end with the main thread, and the answer be lost.
        with self.room.thread.during(self.seconds):
            return await self.engine(request)
