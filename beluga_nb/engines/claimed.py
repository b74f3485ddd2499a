"""An engine that is asked while no other process that shares the store asks for the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import beluga_nb.store.claims as claims
from beluga_nb.process.work import at_work, revocable
from beluga_nb.request import Request
from beluga_nb.result import Engine, Result
from beluga_nb.store.claims import HeldClaim, Watch, is_abandoned
from beluga_nb.store.format import key
from beluga_nb.store.records import Store
from beluga_nb.text import sanitize

HEARTBEAT = 5.0
"""Seconds between two heartbeats of the owner of a claim."""

Sleep = Callable[[float], Awaitable[None]]


class Claimed:
    """Ask the engine for what is not recorded while no other process that shares the store asks for it.

    A second process waits, and then finds recorded what the first has bought. Before a request may be bought
    twice, since another machine has gone silent, `notify` is called. Where no claim can be written, none is
    made.
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
        claim = await self._claim(request)
        if claim is None:
            return await self.engine(request)
        # Without heartbeats other processes would take the claim over.
        beating = asyncio.create_task(self._beat(claim))
        try:
            return await self.engine(request)
        finally:
            beating.cancel()
            await asyncio.shield(at_work(claim.release))

    def _take(self, request: Request, watch: Watch) -> HeldClaim | None:
        is_recorded = not self.store.missing(request, provider=self.provider)
        return None if is_recorded else watch.take()

    async def _claim(self, request: Request) -> HeldClaim | None:
        """Return the claim on a request, or None where none is needed or can be made.

        If none can be made, or an old one not removed, the store cannot be written: `Recorded` reports that.
        At an address that is an error, before anything is sent.
        """
        watch = self.store.watch(f"{key(request.slice(0), provider=self.provider)}.claim")
        notified, pause = set[str](), 0.05
        while True:
            try:
                return await revocable(partial(self._take, request, watch), _release)
            except FileExistsError:
                message, goes_away = await asyncio.to_thread(_look, watch)
            except OSError:
                return None
            if message and message not in notified:
                notified.add(message)
                self.notify(message)
            if not goes_away:
                return None  # the store is read-only, or a file that is not ours has the claim's name
            await self.sleep(pause)
            # Ever less often: on a network file system each look takes a while.
            pause = min(1.0, pause * 1.5)

    async def _beat(self, claim: HeldClaim) -> None:
        while True:
            await self.sleep(HEARTBEAT)
            await asyncio.to_thread(claim.beat)


def _release(claim: HeldClaim | None) -> None:
    if claim:
        claim.release()


def _look(watch: Watch) -> tuple[str, bool]:
    """Look at a claim, and remove an abandoned one; return a message, and whether waiting is of use."""
    try:
        watch.look()
    except OSError:
        return "", True  # released meanwhile
    message = waiting_message(watch)
    is_over = is_abandoned(watch.holder, silent_for=watch.silent_for)
    return message, not is_over or watch.remove()


def waiting_message(watch: Watch) -> str:
    """Return the message for the user while a claim is waited for, or nothing."""
    holder = watch.holder
    owner = f"process {holder.pid} on {sanitize(holder.host, 40)}"
    if holder.is_gone:
        return ""
    if is_abandoned(holder, silent_for=watch.silent_for):
        return (
            f"Another kernel ({owner if holder.token else 'its claim does not say which'}) asked for the same"
            f" and has been silent for {claims.SILENCE:g} s; it is asked for here, and may be bought twice."
        )
    return (
        f"Another kernel ({owner}) is asking for the same; its answer is waited for." if holder.token else ""
    )
