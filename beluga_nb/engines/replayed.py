"""An engine that answers from the store what is recorded there."""

from __future__ import annotations

import asyncio

from beluga_nb.errors import APIStatusError
from beluga_nb.merge import completed
from beluga_nb.request import Request
from beluga_nb.result import Engine, Picture, Result
from beluga_nb.store.records import Store


class Replayed:
    """Answer what is recorded under `provider` from the store, and ask the engine for the rest."""

    def __init__(self, engine: Engine, store: Store, *, provider: str) -> None:
        self.engine = engine
        self.store = store
        self.provider = provider

    async def __call__(self, request: Request) -> Result:
        return await completed(request, await asyncio.to_thread(self._found, request), self.engine)

    def _found(self, request: Request) -> dict[int, Picture | APIStatusError]:
        read = {
            sample: self.store.read(request.slice(sample), provider=self.provider)
            for sample in request.samples
        }
        return {sample: each for sample, each in read.items() if each}
