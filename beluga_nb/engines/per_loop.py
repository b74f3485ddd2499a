"""An engine that is made when it is first asked, one for each event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakKeyDictionary

from beluga_nb.request import Request
from beluga_nb.result import Engine, Result


class PerLoop:
    """Make the engine when it is first asked, one for each event loop.

    What holds connections or locks belongs to the loop it was made in; and who is never asked is
    never made, so that a notebook that replays imports no HTTP client.
    """

    def __init__(self, make: Callable[[], Engine]) -> None:
        self.make = make
        self.engines: WeakKeyDictionary[asyncio.AbstractEventLoop, Engine] = WeakKeyDictionary()

    async def __call__(self, request: Request) -> Result:
        loop = asyncio.get_running_loop()
        engine = self.engines.get(loop)
        if engine is None:
            engine = self.engines[loop] = self.make()
        return await engine(request)
