"""Recording and replaying: two wrappers around an engine, and the modes that they make.

auto     Replayed(Recorded(engine))     what is recorded answers, the rest is asked and recorded;
                                        `Recovering` around it first uses what was paid for and left
replay   Replayed(unrecorded)           what is not recorded is an error
refresh  auto, as a new take            everything is asked again, nothing is destroyed
off      engine                         nothing is read or written
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Container, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path

from beluga_nb.core import (
    SMALL,
    Engine,
    Incomplete,
    Picture,
    Preview,
    Request,
    Result,
    Small,
    Stopped,
    causes,
)
from beluga_nb.engines import completed
from beluga_nb.errors import (
    Address,
    BadImage,
    BadReply,
    BelugaError,
    EngineError,
    NotRecorded,
    Refused,
    StoreError,
)
from beluga_nb.store import files, pending
from beluga_nb.store.pending import Pending
from beluga_nb.store.records import Store
from beluga_nb.store.work import at_work, revocable
from beluga_nb.text import sanitize

PATIENCE = 0.5
"""Seconds that a stopped call waits for its pictures to be recorded."""


class Replayed:
    """Answer what is recorded under `provider` from the store, and ask the engine for the rest."""

    def __init__(self, engine: Engine, store: Store, *, provider: str) -> None:
        self.engine = engine
        self.store = store
        self.provider = provider

    async def __call__(self, request: Request) -> Result:
        return await completed(request, await asyncio.to_thread(self._found, request), self.engine)

    def _found(self, request: Request) -> dict[int, Picture | Refused]:
        read = {
            sample: self.store.read(request.part(sample), provider=self.provider)
            for sample in request.samples
        }
        return {sample: each for sample, each in read.items() if each}


class Recorded:
    """Write down each call before it is sent, and under `provider` whatever arrives, before anyone sees it.

    `preview` makes the small copy that goes into notebooks; it is made once and kept, since encoders
    differ between machines. `small` makes the same of what an engine has decoded anyway. A prompt that
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
        small: Small | None = None,
        body: Callable[[Request], str] = lambda _: "",
    ) -> None:
        self.engine = engine
        self.store = store
        self.provider = provider
        self.preview = preview
        self.small = small
        self.notify = notify
        self.body = body
        self.told: set[str] = set()

    async def __call__(self, request: Request) -> Result:
        call = await self._begin(request.as_call())
        request = call.request
        token = SMALL.set(self.small)
        try:
            result = await self.engine(request)
        except asyncio.CancelledError as error:
            # Checking pictures cannot be cut off. Who pressed Stop need not wait for it: it goes on.
            await asyncio.wait([at_work(self._failed, call, error)], timeout=PATIENCE)
            raise
        except BaseException as error:
            await asyncio.shield(at_work(self._failed, call, error))
            raise
        finally:
            SMALL.reset(token)
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
            raise Stopped(may_be_billed=False) from None  # nothing was sent
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
            request = replace(request, run=before.run)
        spool = pending.path_of(self.store, request.run).with_suffix("")
        request = replace(request, spool=spool if files.is_inside(spool, self.store.folder) else None)
        written = None
        with self._told_once():
            written = pending.begin(self.store, request, provider=self.provider, body=body, before=before)
        return _Call(request, written, before)

    def _withdraw(self, call: _Call) -> None:
        """Write down that nothing came of a call: what was lost before it stays lost."""
        if not call.before:
            pending.cross_out(self.store, call.request.run)
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
            pending.cross_out(self.store, call.request.run)
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
        if isinstance(error, Incomplete):
            error.result = self.written(error.result)
        self.keep_pictures_of(error)
        if isinstance(error, Refused) and error.declined:
            self._declined(call.request, error)
        if not isinstance(error, BelugaError | Stopped) or error.may_be_billed:
            self._lost(call, error)
        else:
            self._withdraw(call)
        if isinstance(error, Stopped) and self.rescued(error) == call.request.n:
            pending.cross_out(self.store, call.request.run)

    def rescued(self, stopped: Stopped) -> int:
        """Record the pictures that a stopped call had brought; return how many they are."""
        kept = 0
        with contextlib.suppress(BelugaError):
            for each in stopped.arrived():
                if isinstance(each, Result):
                    kept += len(each) if self.has(self.written(each)) else 0
                elif isinstance(each, BadImage) and each.data:
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

    def _declined(self, request: Request, error: Refused) -> None:
        with self._told_once():
            self.store.write_refusal(request, error, provider=self.provider, created=int(time.time()))

    def _lost(self, call: _Call, error: BaseException) -> None:
        if call.written is None:
            return
        why = error.message if isinstance(error, BelugaError) else "It was interrupted."
        addresses = error.addresses if isinstance(error, EngineError | Stopped) else ()
        with self._told_once():
            pending.lose(self.store, call.written, why, addresses, _job(error))

    def keep_pictures_of(self, error: BaseException) -> None:
        """Keep the bytes of the pictures that could not be decoded, and say in their errors where."""
        for cause in causes(error):
            if isinstance(cause, BadImage) and cause.data:
                self._keep_bytes(cause)

    def _keep_bytes(self, error: BadImage) -> None:
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
        except (StoreError, BadImage) as error:
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


Recover = Callable[[Request, Address | Path], Awaitable[Result]]
"""Gets pictures of a request from their address, or from the answer in a file; it raises `EngineError`."""


class Recovering:
    """Use what is left of earlier calls for the same, which costs nothing, before the engine is asked.

    First the answers that were kept are read, then the pictures fetched whose addresses are known. A call is
    crossed out when all its pictures are recorded. What is lost is for the engine, which buys it; what exists
    and cannot be had now (its host does not answer, its format is not decoded here) is an error. With `anew`
    it is bought again.
    """

    def __init__(self, engine: Engine, recorded: Recorded, recover: Recover, *, anew: bool = False) -> None:
        self.engine = engine
        self.recorded = recorded
        self.recover = recover
        self.anew = anew

    async def __call__(self, request: Request) -> Result:
        found: dict[int, Picture | Refused] = {}
        exist: dict[int, BadReply] = {}
        for call in await asyncio.to_thread(self._lost, request):
            exist |= await self._recovered(call, found)
        missing = await asyncio.to_thread(self._missing, request) if exist and not self.anew else set()
        errors = {sample: error.with_traceback(None) for sample, error in exist.items() if sample in missing}
        return await completed(request, {**errors, **found}, self.engine)

    async def _recovered(self, call: Pending, found: dict[int, Picture | Refused]) -> dict[int, BadReply]:
        """Record what is left of a call; return, by sample, why pictures that exist cannot be had now."""
        exist: dict[int, BadReply] = {}
        tried: set[Address | Path] = set()
        for left in await asyncio.to_thread(self._left, call):
            if left not in tried and (error := await self._tried(call, left, found)):
                tried.update(error.addresses)
                samples = [left.sample] if isinstance(left, Address) else call.request.samples
                for each in _still_there(error):
                    exist |= dict.fromkeys(samples if each.sample is None else [each.sample], each)
        return exist

    async def _tried(
        self, call: Pending, left: Address | Path, found: dict[int, Picture | Refused]
    ) -> EngineError | None:
        """Record what is left there of a call; return why something is missing still.

        Into `found` goes, by sample, what a store that cannot be written does not take.
        """
        part = call.request.part(left.sample) if isinstance(left, Address) else call.request
        if not await asyncio.to_thread(self._missing, part):
            return None
        failed = None
        try:
            result = await self.recover(part, left)
            await self.recorded.keep_extra(result)
        except EngineError as error:
            failed, result = error, getattr(error, "result", Result(part, ()))
        except Stopped as stopped:
            await asyncio.wait([at_work(self.recorded.rescued, stopped)], timeout=PATIENCE)
            raise
        arrived = await asyncio.shield(at_work(self._arrived, call, result, failed))
        found.update({picture.recipe.request.sample: picture for picture in arrived})
        if failed and isinstance(left, Path) and not _still_there(failed):
            self.recorded.tell(f"An answer that was paid for is kept, and of no use yet: {failed.message}")
        return failed

    def _lost(self, request: Request) -> list[Pending]:
        missing = self._missing(request)
        store, provider = self.recorded.store, self.recorded.provider
        lost = pending.lost(store, request, provider=provider) if missing else []
        return [call for call in lost if missing & set(call.request.samples)]

    def _left(self, call: Pending) -> list[Address | Path]:
        return [*pending.answers(self.recorded.store, call.run), *call.addresses]

    def _arrived(self, call: Pending, result: Result, failed: EngineError | None) -> list[Picture]:
        """Record what is missing of a call; return the pictures of it that could not be recorded."""
        if failed:
            self.recorded.keep_pictures_of(failed)
        missing = self._missing(call.request)
        new = [each for each in result.pictures if each.recipe.request.sample in missing]
        written = self.recorded.written(replace(result, pictures=tuple(new))).pictures
        if not (missing := self._missing(call.request)):
            pending.cross_out(self.recorded.store, call.run)
        return [each for each in written if each.recipe.request.sample in missing]

    def _missing(self, request: Request) -> set[int]:
        store, provider = self.recorded.store, self.recorded.provider
        return {each for each in request.samples if not store.has(request.part(each), provider=provider)}


def _still_there(error: EngineError) -> list[BadReply]:
    """Return why pictures that exist cannot be had now: not decoded here, or their host does not answer."""
    replies = [
        each for each in causes(error) if isinstance(each, BadReply)
    ]  # a 503 says nothing of a picture
    return [each for each in replies if each.temporary or (isinstance(each, BadImage) and each.whole)]


@dataclass(frozen=True)
class Unrecorded:
    """The engine of mode "replay": it has no answer, and says what the nearest recording is."""

    store: Store

    async def __call__(self, request: Request) -> Result:
        raise NotRecorded(await asyncio.to_thread(self._missing, request))

    def _missing(self, request: Request) -> str:
        last = f" to {request.samples[-1]}" if request.n > 1 else ""
        asked = f"{request.model}, {request.size or 'default size'}, sample {request.sample}{last}"
        from beluga_nb.store.nearest import nearest_recording  # in its place: a hit needs none

        near = nearest_recording(request, self.store)
        told = f"nearest recording: {_differences(request, near)}" if near else "the store is empty"
        return f"{asked}, “{sanitize(request.prompt, 60)}”; {told}"


def _differences(request: Request, other: Request) -> str:
    before, after = ({**each.said, "take": each.take, "sample": each.sample} for each in (request, other))
    different = [name for name in sorted(before | after) if before.get(name) != after.get(name)]
    words = [
        f"{name} {sanitize(str(after[name]), 60)!r}" if name in after else f"no {name}" for name in different
    ]
    return ", ".join(words) or "of another provider"


def retaken(
    request: Request,
    store: Store,
    *,
    provider: str,
    reserved: Container[Request] = (),
    unfinished: bool = False,
) -> Request:
    """Return the request as the first take that has no recording yet: "2", "3" … or "name.2" …

    `reserved` holds the first samples of the takes that are being made. With `unfinished`, it may be a take
    of which a lost call has left what is missing.
    """
    prefix = f"{request.take}." if request.take else ""
    takes = (replace(request, take=f"{prefix}{number}") for number in count(2))
    return next(
        take
        for take in takes
        if take.part(0) not in reserved
        and (not _begun(take, store, provider) or (unfinished and _recoverable(take, store, provider)))
    )


def _recoverable(request: Request, store: Store, provider: str) -> bool:
    left = pending.recoverable(store, request, provider=provider)
    return any(not store.has(request.part(sample), provider=provider) for sample in left)


def _begun(request: Request, store: Store, provider: str) -> bool:
    return any(store.has(request.part(sample), provider=provider) for sample in request.samples)
