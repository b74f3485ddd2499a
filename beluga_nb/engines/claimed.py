"""An engine that is asked while nobody else who shares the store asks for the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from beluga_nb.request import Request
from beluga_nb.result import Engine, Result
from beluga_nb.store.claims import Claim, Waiting, remove
from beluga_nb.store.records import Store, key
from beluga_nb.store.work import revocable

HEARTBEAT = 5.0
"""Seconds between two signs of life from the owner of a claim."""

Sleep = Callable[[float], Awaitable[None]]


class Claimed:
    """Ask the engine for what is not recorded while nobody else who shares the store asks for the same.

    Whoever comes second waits, and then finds recorded what the first has bought. What cannot be known, as
    when another machine has gone silent, is told to `notify` before anything is bought. Where no claim can be
    written, none is made.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store,
        *,
        provider: str,
        notify: Callable[[str], None],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.engine = engine
        self.store = store
        self.provider = provider
        self.notify = notify
        self.sleep = sleep

    async def __call__(self, request: Request) -> Result:
        claim = await self._taken(request)
        if claim is None:
            return await self.engine(request)
        beating = asyncio.create_task(self._beat(claim))
        try:
            return await self.engine(request)
        finally:
            beating.cancel()
            claim.release()

    def _recorded(self, request: Request) -> bool:
        parts = (request.slice(sample) for sample in request.samples)
        return all(self.store.has(part, provider=self.provider) for part in parts)

    def _take(self, request: Request, path: Path) -> Claim | None:
        return None if self._recorded(request) else Claim.take(path, self.store.folder)

    async def _taken(self, request: Request) -> Claim | None:
        """Return the claim on a request, or None where none is wanted or can be made.

        Where none can be made, or an old one not removed, the store cannot be written, as `Recorded` says.
        """
        path = self.store.folder / "pending" / f"{key(request.slice(0), provider=self.provider)}.claim"
        waiting, pause = Waiting(), 0.05
        while True:
            try:
                return await revocable(partial(self._take, request, path), _given_up)
            except FileExistsError:
                pass
            except OSError:
                return None
            await asyncio.to_thread(waiting.look, path)
            if words := waiting.words():
                self.notify(words)
            if waiting.is_over and not await asyncio.to_thread(remove, path, waiting.token):
                return None  # the store is read-only, or a stranger's file is in the place of a claim
            await self.sleep(pause)
            pause = min(1.0, pause * 1.5)

    async def _beat(self, claim: Claim) -> None:
        while True:
            await self.sleep(HEARTBEAT)
            await asyncio.to_thread(claim.beat)


def _given_up(claim: Claim | None) -> None:
    if claim:
        claim.release()
