"""Recording and replaying: two wrappers around an engine, and the modes that they make.

auto     Replayed(Recorded(engine))     what is recorded answers, the rest is asked and recorded
replay   Replayed(unrecorded)           what is not recorded is an error
refresh  auto, as a new take            everything is asked again, nothing is destroyed
off      engine                         nothing is read or written
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

from beluga_nb.core import Engine, Incomplete, Picture, Preview, Request, Result
from beluga_nb.engines import joined, outcome
from beluga_nb.errors import BadImage, BelugaError, NotRecorded, StoreError, plain
from beluga_nb.store.records import Store


class Replayed:
    """Answer what is recorded under `provider` from the store, and ask the engine for the rest."""

    def __init__(self, engine: Engine, store: Store, *, provider: str) -> None:
        self.engine = engine
        self.store = store
        self.provider = provider

    async def __call__(self, request: Request) -> Result:
        pictures = await asyncio.to_thread(self._found, request)
        outcomes: list[Result | BelugaError] = []
        for sample, n in _runs(request.samples, pictures):
            part = request.part(sample, n)
            known = pictures.get(sample)
            outcomes.append(Result(part, (known,)) if known else await outcome(self.engine, part))
        return joined(request, outcomes)

    def _found(self, request: Request) -> dict[int, Picture]:
        read = {
            sample: self.store.read(request.part(sample), provider=self.provider)
            for sample in request.samples
        }
        return {sample: picture for sample, picture in read.items() if picture}


def _runs(samples: Sequence[int], known: Mapping[int, object]) -> Iterator[tuple[int, int]]:
    """Yield (first, count): each known sample by itself, and the unknown ones in runs."""
    start = None
    for sample in samples:
        if sample in known:
            if start is not None:
                yield start, sample - start
            yield sample, 1
            start = None
        elif start is None:
            start = sample
    if start is not None:
        yield start, samples[-1] + 1 - start


class Recorded:
    """Record under `provider` whatever arrives, before anyone sees it.

    `preview` makes the small copy that goes into notebooks; it is made once and kept, since encoders
    differ between machines. A store that cannot be written is told to `notify`, and the pictures are
    passed on all the same.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store,
        *,
        provider: str,
        preview: Callable[[Picture], Preview],
        notify: Callable[[str], None],
    ) -> None:
        self.engine = engine
        self.store = store
        self.provider = provider
        self.preview = preview
        self.notify = notify

    async def __call__(self, request: Request) -> Result:
        try:
            return await self._kept(await self.engine(request))
        except Incomplete as error:
            result = await self._kept(error.result)
            for cause in error.causes:
                await self._keep_bytes(cause)
            raise Incomplete(result, error.causes) from None
        except BadImage as error:
            await self._keep_bytes(error)
            raise

    async def _kept(self, result: Result) -> Result:
        # Shielded: an interrupt between arrival and disk would lose what was paid for.
        writing = asyncio.ensure_future(asyncio.to_thread(self._write, result.pictures))
        return replace(result, pictures=await asyncio.shield(writing))

    def _write(self, pictures: Sequence[Picture]) -> tuple[Picture, ...]:
        return tuple(self._written(picture) for picture in pictures)

    def _written(self, picture: Picture) -> Picture:
        picture = replace(picture, preview=self._small(picture))
        try:
            self.store.write(picture, picture.preview, provider=self.provider)
        except (StoreError, BadImage) as error:
            self.notify(str(error))
        return picture

    def _small(self, picture: Picture) -> Preview | None:
        try:
            return self.preview(picture)
        except Exception as error:  # a codec's: no reason to lose the picture itself
            reason = f"{type(error).__name__}: {plain(str(error), 120)}"
            self.notify(f"A picture has no preview ({reason}). It is recorded all the same.")
            return None

    async def _keep_bytes(self, error: BelugaError) -> None:
        if not (isinstance(error, BadImage) and error.data):
            return
        try:
            path = await asyncio.to_thread(self.store.keep, error.data)
        except OSError as failed:
            self.notify(f"The bytes of a broken picture are not kept: {failed.strerror or failed}.")
            return
        name = path.relative_to(self.store.folder.parent).as_posix()
        error.hint = f"It may have been billed; its bytes are kept as {name}."


@dataclass(frozen=True)
class Unrecorded:
    """The engine of mode "replay": it has no answer, and says what the nearest recording is."""

    store: Store

    async def __call__(self, request: Request) -> Result:
        near = await asyncio.to_thread(nearest, request, self.store)
        raise NotRecorded(
            f"Not recorded: {request.model}, {request.size or 'default size'}, sample {request.sample},"
            f" “{plain(request.prompt, 60)}”.",
            (f"Nearest recording: {_differences(request, near)}. " if near else "The store is empty. ")
            + "Use --mode auto to have it made.",
        )


def nearest(request: Request, store: Store) -> Request | None:
    """Return the recorded request that is most like this one."""
    return max(store.requests(), key=lambda other: _likeness(request, other), default=None)


def _likeness(request: Request, other: Request) -> float:
    names = (request.said.keys() | other.said.keys() | {"take"}) - {"prompt"}
    same = -sum(getattr(request, name) != getattr(other, name) for name in names)
    alike = difflib.SequenceMatcher(None, request.prompt[:500], other.prompt[:500]).ratio()
    return float(same + 4 * alike)


def _differences(request: Request, other: Request) -> str:
    before, after = ({**each.said, "take": each.take, "sample": each.sample} for each in (request, other))
    different = [name for name in sorted(before | after) if before.get(name) != after.get(name)]
    words = [
        f"{name} {plain(str(after[name]), 60)!r}" if name in after else f"no {name}" for name in different
    ]
    return ", ".join(words) or "of another provider"


def retaken(request: Request, store: Store, *, provider: str) -> Request:
    """Return the request as the first take that has no recording yet: "2", "3" … or "name.2" …"""
    prefix = f"{request.take}." if request.take else ""
    takes = (replace(request, take=f"{prefix}{number}") for number in count(2))
    return next(take for take in takes if not _begun(take, store, provider))


def _begun(request: Request, store: Store, provider: str) -> bool:
    return any(store.has(request.part(sample), provider=provider) for sample in request.samples)
