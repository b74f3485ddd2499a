"""An engine that writes down each call before it is sent, and whatever arrives."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from beluga_nb.errors import APIStatusError, BelugaError, EngineError, InvalidImageError, StoreError
from beluga_nb.request import Request
from beluga_nb.result import (
    CallCancelled,
    Engine,
    IncompleteError,
    Picture,
    Preview,
    Result,
    causes,
)
from beluga_nb.store import files, pending
from beluga_nb.store.pending import Pending
from beluga_nb.store.records import Store
from beluga_nb.store.takes import retaken
from beluga_nb.store.work import at_work, revocable
from beluga_nb.text import sanitize

PATIENCE = 0.5
"""Seconds that a stopped call waits for its pictures to be recorded."""


class Recorded:
    """Write down each call before it is sent, and under `provider` whatever arrives, before anyone sees it.

    `preview` makes the small copy that goes into notebooks; it is made once and kept, since encoders
    differ between machines. A source may have made it already, where it decoded the picture. A prompt that
    the model declines is recorded too; a call without a known end stays in the journal. A store that
    cannot be written is told to `notify`, in one line, and the pictures are passed on all the same.
    `body` gives the SHA-256 of what is posted: a lost call that was the same goes out again under its own id.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store,
        *,
        provider: str,
        preview: Callable[[Picture], Preview],
        notify: Callable[[str], None],
        body: Callable[[Request], str] = lambda _: "",
    ) -> None:
        self.engine = engine
        self.store = store
        self.provider = provider
        self.preview = preview
        self.notify = notify
        self.body = body
        self.told: set[str] = set()

    async def __call__(self, request: Request) -> Result:
        call = await self._begin(request.as_call())
        request = call.request
        try:
            result = await self.engine(request)
        except asyncio.CancelledError as error:
            # Checking pictures cannot be cut off. Who pressed Stop need not wait for it: it goes on.
            await asyncio.wait([at_work(self._failed, call, error)], timeout=PATIENCE)
            raise
        except BaseException as error:
            await asyncio.shield(at_work(self._failed, call, error))
            raise
        # Shielded: an interrupt between arrival and disk would lose what was paid for.
        kept = await asyncio.shield(at_work(self._arrived, call, result))
        if result.extra:
            try:
                await self.keep_extra(result)
            finally:
                await asyncio.shield(at_work(self._ended, call, kept))
        return kept

    async def _begin(self, request: Request) -> _Call:
        try:
            return await revocable(partial(self._begun, request), self._withdraw)
        except asyncio.CancelledError:
            raise CallCancelled(may_be_billed=False) from None  # nothing was sent
        except Exception as error:  # of a thread that cannot be started, say
            failed = EngineError(
                f"The call could not be written down ({type(error).__name__}: {sanitize(str(error), 120)}).",
                "Nothing was sent or billed.",
            )
            failed.outcome = "not_sent"
            raise failed from error

    def _begun(self, request: Request) -> _Call:
        body = self.body(request)
        before = pending.repeatable(self.store, request, provider=self.provider, body=body)
        if before:
            request = replace(request, idempotency_key=before.run)
        spool = pending.path_of(self.store, request.idempotency_key).with_suffix("")
        request = replace(request, spool=spool if files.is_inside(spool, self.store.folder) else None)
        written = None
        with self._told_once():
            written = pending.begin(self.store, request, provider=self.provider, body=body, before=before)
        return _Call(request, written, before)

    def _withdraw(self, call: _Call) -> None:
        """Write down that nothing came of a call: what was lost before it stays lost."""
        if not call.before:
            pending.cross_out(self.store, call.request.idempotency_key)
            return
        with self._told_once():
            pending.write(self.store, call.before)

    def _arrived(self, call: _Call, result: Result) -> Result:
        kept = self.written(result)
        if not result.extra:  # with more to keep, the answer stays until that is done
            self._ended(call, kept)
        return kept

    def _ended(self, call: _Call, kept: Result) -> None:
        if self.has(kept):
            pending.cross_out(self.store, call.request.idempotency_key)
        else:  # the answer stays, and is read when the store can be written
            self._lost(call, StoreError("Its pictures could not be recorded."))

    def has(self, result: Result) -> bool:
        """Whether all pictures of a result are recorded."""
        asked = [picture.recipe.request for picture in result.pictures]
        return all(self.store.has(each, provider=self.provider) for each in asked)

    def written(self, result: Result) -> Result:
        """Return the result with its pictures recorded."""
        return replace(
            result, pictures=tuple(self._written(picture) for picture in result.pictures), extra=None
        )

    async def keep_extra(self, result: Result) -> None:
        """Keep the pictures that an answer holds beyond those that were asked for."""
        if not result.extra:
            return
        kept: list[str] = []
        async with contextlib.aclosing(result.extra()) as extra:
            async for each in extra:
                kept.append(await at_work(self._kept, "a further picture", each.data, each.media_type))
        if names := ", ".join(name for name in kept if name):
            sent = len(result) + len(kept)
            self.tell(
                f"The service sent {sent} pictures where {len(result)} were asked for; also kept: {names}."
            )

    def _failed(self, call: _Call, error: BaseException) -> None:
        if isinstance(error, IncompleteError):
            error.result = self.written(error.result)
        self.keep_pictures_of(error)
        if isinstance(error, APIStatusError) and error.declined:
            self._declined(call.request, error)
        if not isinstance(error, BelugaError | CallCancelled) or error.may_be_billed:
            self._lost(call, error)
        else:
            self._withdraw(call)
        if isinstance(error, CallCancelled) and self.rescued(error) == call.request.n:
            pending.cross_out(self.store, call.request.idempotency_key)

    def rescued(self, stopped: CallCancelled) -> int:
        """Record the pictures that a stopped call had brought; return how many they are."""
        kept = 0
        with contextlib.suppress(BelugaError):
            for each in stopped.arrived():
                if isinstance(each, Result):
                    kept += len(each) if self.has(self.written(each)) else 0
                elif isinstance(each, InvalidImageError) and each.data:
                    self._keep_bytes(each)
        return kept

    def _written(self, picture: Picture) -> Picture:
        picture = replace(picture, preview=self._small(picture))
        with self._told_once():
            picture = self._in_a_free_place(picture)
            self.store.write(picture, picture.preview, provider=self.provider)
        return picture

    def _in_a_free_place(self, picture: Picture) -> Picture:
        request = picture.recipe.request
        with contextlib.suppress(StoreError):  # damaged: it is mended, or left for the owner to bring back
            known = self.store.read(request, provider=self.provider)
            if isinstance(known, Picture) and known.sha256 != picture.sha256:
                # Another kernel bought the same meanwhile. Both were paid for, so both stay.
                request = retaken(request, self.store, provider=self.provider)
                self.tell(f"Another kernel has recorded the same; this one is kept as take {request.take}.")
        return replace(picture, recipe=replace(picture.recipe, request=request))

    def _small(self, picture: Picture) -> Preview | None:
        try:
            return picture.preview or self.preview(picture)
        except Exception as error:  # a codec's: no reason to lose the picture itself
            reason = f"{type(error).__name__}: {sanitize(str(error), 120)}"
            self.tell(f"A picture has no preview ({reason}). It is recorded all the same.")
            return None

    def _declined(self, request: Request, error: APIStatusError) -> None:
        with self._told_once():
            self.store.write_refusal(request, error, provider=self.provider, created=int(time.time()))

    def _lost(self, call: _Call, error: BaseException) -> None:
        if call.written is None:
            return
        why = error.message if isinstance(error, BelugaError) else "It was interrupted."
        addresses = error.addresses if isinstance(error, EngineError | CallCancelled) else ()
        with self._told_once():
            pending.lose(self.store, call.written, why, addresses, _job(error))

    def keep_pictures_of(self, error: BaseException) -> None:
        """Keep the bytes of the pictures that could not be decoded, and say in their errors where."""
        for cause in causes(error):
            if isinstance(cause, InvalidImageError) and cause.data:
                self._keep_bytes(cause)

    def _keep_bytes(self, error: InvalidImageError) -> None:
        name = self._kept("a broken picture", error.data)
        if name and error.whole:
            error.hint = (
                f"It may have been billed, so it is kept as {name} and not bought again: a new take buys"
                " another."
            )
        elif name:
            error.hint = f"It may have been billed; its bytes are kept as {name}."

    def _kept(self, what: str, data: bytes, media_type: str | None = None) -> str:
        try:
            path = self.store.keep(data, media_type)
        except OSError as failed:
            self.tell(f"The bytes of {what} are not kept: {failed.strerror or failed}.")
            return ""
        return path.relative_to(self.store.folder.parent).as_posix()

    @contextlib.contextmanager
    def _told_once(self) -> Iterator[None]:
        try:
            yield
        except (StoreError, InvalidImageError) as error:
            self.tell(f"{error.message} {error.hint}")

    def tell(self, words: str) -> None:
        """Tell the person something, once."""
        if words not in self.told:
            self.told.add(words)
            self.notify(words)


@dataclass(frozen=True)
class _Call:
    """A call that is under way, as it is written down, and what stood there before it."""

    request: Request
    written: Pending | None = None
    before: Pending | None = None


def _job(error: BaseException) -> str:
    of_engines = [each for each in (error, *causes(error)) if isinstance(each, EngineError)]
    return next((each.job for each in of_engines if each.job), "")
