"""An engine that writes down each call before it is sent, and records what arrives."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from beluga_nb.budget import Caps
from beluga_nb.engines.recorder import RECORDING_TIMEOUT, Recorder
from beluga_nb.errors import APIStatusError, BelugaError, EngineError, StoreError
from beluga_nb.process.work import at_work, revocable
from beluga_nb.request import Request
from beluga_nb.result import CallCancelled, Engine, IncompleteError, Result, Usage, causes
from beluga_nb.store import files, pending
from beluga_nb.store.pending import Pending
from beluga_nb.text import sanitize


class Recorded:
    """Write down each call before it is sent, and record what arrives before the caller gets it.

    A refusal of the model is recorded, too; a call without a known end stays in the journal. `digest` gives
    the SHA-256 of what is sent: an earlier call of unknown end that sent the same is repeated, under its id.
    `written` has the ids of the calls without an end. With `caps`, pictures are recorded with the time that
    their request took, and with their cost by the prices that are set.
    """

    def __init__(
        self,
        engine: Engine,
        recorder: Recorder,
        *,
        digest: Callable[[Request], str] = lambda _: "",
        written: set[str] | None = None,
        caps: Caps | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engine = engine
        self.recorder = recorder
        self.store = recorder.store
        self.digest = digest
        self.written = set[str]() if written is None else written
        self.caps = caps
        self.clock = clock

    async def __call__(self, request: Request) -> Result:
        call = await self._begin(request.as_call())
        try:
            return await self._ask(call)
        finally:
            self.recorder.under_way.discard(call.request.idempotency_key)

    async def _ask(self, call: _Call) -> Result:
        request = call.request
        try:
            result = await self.engine(request)
        except asyncio.CancelledError as error:
            # A thread that checks pictures cannot be interrupted: it goes on, and Stop need not wait for it.
            await asyncio.wait([at_work(self._failed, call, error)], timeout=RECORDING_TIMEOUT)
            raise
        except BaseException as error:
            await asyncio.shield(at_work(self._failed, call, error))
            raise
        # Shielded: an interrupt between arrival and disk would lose what was paid for.
        recorded = await asyncio.shield(at_work(self._arrived, call, result))
        # Only when what was asked for is safe: fetching more takes time and may fail.
        if result.extra:
            try:
                await self.recorder.keep_extra(result)
            finally:
                await asyncio.shield(at_work(self._ended, call, recorded))
        return recorded

    async def _begin(self, request: Request) -> _Call:
        try:
            return await revocable(partial(self._write_down, request), self._withdraw)
        except asyncio.CancelledError:
            raise CallCancelled(may_be_billed=False) from None  # nothing was sent
        except Exception as error:  # such as a thread that cannot be started
            failed = EngineError(
                f"The call could not be written down ({type(error).__name__}: {sanitize(str(error), 120)}).",
                "Nothing was sent or billed. Remove the cause, or restart the kernel, then run it again.",
            )
            failed.outcome = "not_sent"
            raise failed from error

    def _write_down(self, request: Request) -> _Call:
        store, provider, body = self.store, self.recorder.provider, self.digest(request)
        others = self.recorder.under_way
        before = pending.repeatable(store, request, provider=provider, body=body, excluding=others)
        if before:
            request = replace(request, idempotency_key=before.run)
        self.written.add(request.idempotency_key)
        # Beside the call in the journal; where a link leads out of the store, in memory only.
        spool = pending.CALLS.path(store, request.idempotency_key).with_suffix("")
        request = replace(request, spool=spool if files.is_inside(spool, store.folder) else None)
        written = None
        self.recorder.under_way.add(request.idempotency_key)
        # At an address, another machine may know of this call by nothing else: it is not sent without.
        notifying = contextlib.nullcontext() if store.mirror else self.recorder.notifying()
        try:
            with notifying:
                written = pending.begin(store, request, provider=provider, body=body, before=before)
        except BaseException:
            self.recorder.under_way.discard(request.idempotency_key)
            raise
        return _Call(request, written, before, began=self.clock())

    def _usage(self, call: _Call) -> Usage | None:
        if self.caps is None:
            return None
        cost = self.caps.worst(call.request.slice(call.request.sample))
        seconds = round(self.clock() - call.began, 1)
        return Usage(seconds, None if cost is None else self.caps.words(cost))

    def _withdraw(self, call: _Call) -> None:
        """Write down that nothing came of a call. One that it repeats stays as it was."""
        self.recorder.under_way.discard(call.request.idempotency_key)
        if not call.before:
            self._complete(call)
            return
        with self.recorder.notifying():
            pending.CALLS.write(self.store, call.before)

    def _arrived(self, call: _Call, result: Result) -> Result:
        recorded = self.recorder.record(result, self._usage(call))
        if not result.extra:  # with more to keep, the answer stays until that is done
            self._ended(call, recorded)
        return recorded

    def _ended(self, call: _Call, recorded: Result) -> None:
        if self.recorder.has_all(recorded):
            self._complete(call)
        else:  # the answer stays, and is read when the store can be written
            self._mark_unknown(call, StoreError("Its pictures could not be recorded."))

    def _failed(self, call: _Call, error: BaseException) -> None:
        if isinstance(error, IncompleteError):
            error.result = self.recorder.record(error.result, self._usage(call))
        self.recorder.keep_invalid_images(error)
        if isinstance(error, APIStatusError) and error.declined:
            self._declined(call.request, error)
        if not isinstance(error, BelugaError | CallCancelled) or error.may_be_billed:
            self._mark_unknown(call, error)
        else:
            self._withdraw(call)
        if isinstance(error, CallCancelled) and self.recorder.rescue(error) == call.request.n:
            self._complete(call)

    def _complete(self, call: _Call) -> None:
        pending.complete(self.store, call.request.idempotency_key)
        self.written.discard(call.request.idempotency_key)  # a large grid would hold an id for each cell

    def _declined(self, request: Request, error: APIStatusError) -> None:
        provider, created = self.recorder.provider, int(time.time())
        with self.recorder.notifying():
            self.store.write_refusal(request, error, provider=provider, created=created)

    def _mark_unknown(self, call: _Call, error: BaseException) -> None:
        if call.written is None:
            return
        why = error.message if isinstance(error, BelugaError) else "It was interrupted."
        addresses = error.addresses if isinstance(error, EngineError | CallCancelled) else ()
        with self.recorder.notifying():
            pending.mark_unknown(self.store, call.written, why, addresses, _job(error))


@dataclass(frozen=True)
class _Call:
    """A call in flight, as it is written down, and the call that it repeats, if any."""

    request: Request
    written: Pending | None = None
    before: Pending | None = None
    began: float = 0.0


def _job(error: BaseException) -> str:
    of_engines = [each for each in (error, *causes(error)) if isinstance(each, EngineError)]
    return next((each.job for each in of_engines if each.job), "")
