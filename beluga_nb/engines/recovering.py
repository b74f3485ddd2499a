"""An engine that uses what is left of earlier calls before its engine is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from itertools import compress
from pathlib import Path

import beluga_nb.chat as chat
from beluga_nb.engines.recorder import RECORDING_TIMEOUT, Recorder
from beluga_nb.errors import (
    Address,
    APIStatusError,
    EngineError,
    InvalidImageError,
    InvalidResponseError,
)
from beluga_nb.images import is_of_another_format, is_whole
from beluga_nb.merge import completed
from beluga_nb.process.work import at_work
from beluga_nb.request import Question, Request
from beluga_nb.result import CallCancelled, Engine, Picture, Result, causes
from beluga_nb.store import files, pending
from beluga_nb.store.pending import Pending
from beluga_nb.store.records import Store
from beluga_nb.wire import Item

Recover = Callable[[Request, Address | Path], Awaitable[Result]]
"""Gets pictures of a request from their address, or from the answer in a file; it raises `EngineError`."""


class Recovering:
    """Use what earlier calls for the same request have left, which costs nothing, before the engine is asked.

    First the answers that were kept are read, then pictures are fetched from known addresses. A call is
    complete when all its pictures are recorded. The engine is asked for pictures that are lost. Pictures that
    exist and cannot be had now (their host does not answer, their format cannot be decoded here) are an
    error, or with `anew` bought again.
    """

    def __init__(self, engine: Engine, recorder: Recorder, recover: Recover, *, anew: bool = False) -> None:
        self.engine = engine
        self.recorder = recorder
        self.recover = recover
        self.anew = anew

    async def __call__(self, request: Request) -> Result:
        found: dict[int, Picture | APIStatusError] = {}
        exist: dict[int, InvalidResponseError] = {}
        for call in await asyncio.to_thread(self._calls, request):
            exist |= await self._recovered(call, found)
        missing = (
            await asyncio.to_thread(self.recorder.missing, request) if exist and not self.anew else set()
        )
        # Their frames hold the pictures of whole answers.
        errors = {sample: error.with_traceback(None) for sample, error in exist.items() if sample in missing}
        return await completed(request, {**errors, **found}, self.engine)

    async def _recovered(
        self, call: Pending, found: dict[int, Picture | APIStatusError]
    ) -> dict[int, InvalidResponseError]:
        """Record what is left of a call; return by sample why pictures that exist cannot be had now."""
        exist: dict[int, InvalidResponseError] = {}
        tried: set[Address | Path] = set()
        for left in await asyncio.to_thread(self._left, call):
            if left not in tried and (error := await self._tried(call, left, found)):
                tried.update(error.addresses)
                samples = [left.sample] if isinstance(left, Address) else call.request.samples
                for each in _still_there(error):
                    exist |= dict.fromkeys(samples if each.sample is None else [each.sample], each)
        return exist

    async def _tried(
        self, call: Pending, left: Address | Path, found: dict[int, Picture | APIStatusError]
    ) -> EngineError | None:
        """Record what is left of a call in one place; return why something is still missing.

        Pictures that the store cannot take go into `found`, by sample.
        """
        part = call.request.slice(left.sample) if isinstance(left, Address) else call.request
        if not await asyncio.to_thread(self.recorder.missing, part):
            return None
        failed = None
        try:
            result = await self.recover(part, left)
            await self.recorder.keep_extra(result)
        except EngineError as error:
            failed, result = error, getattr(error, "result", Result(part, ()))
        except CallCancelled as stopped:
            await asyncio.wait([at_work(self.recorder.rescue, stopped)], timeout=RECORDING_TIMEOUT)
            raise
        arrived = await asyncio.shield(at_work(self._arrived, call, result, failed))
        found.update({picture.recipe.request.sample: picture for picture in arrived})
        if failed and isinstance(left, Path) and not _still_there(failed):
            self.recorder.notify(f"An answer that was paid for is kept, and of no use yet: {failed.message}")
        return failed

    def _calls(self, request: Request) -> list[Pending]:
        missing = self.recorder.missing(request)
        if not missing:
            return []
        store, others = self.recorder.store, self.recorder.under_way
        calls = pending.calls_for(store, request, provider=self.recorder.provider, excluding=others)
        return [call for call in calls if missing & set(call.request.samples)]

    def _left(self, call: Pending) -> list[Address | Path]:
        return [*pending.answers(self.recorder.store, call.run), *call.addresses]

    def _arrived(self, call: Pending, result: Result, failed: EngineError | None) -> list[Picture]:
        """Record what is missing of a call; return the pictures of it that could not be recorded."""
        if failed:
            self.recorder.keep_invalid_images(failed)
        missing = self.recorder.missing(call.request)
        new = [each for each in result.pictures if each.recipe.request.sample in missing]
        written = self.recorder.record(replace(result, pictures=tuple(new))).pictures
        if not (missing := self.recorder.missing(call.request)):
            pending.complete(self.recorder.store, call.run)
        return [each for each in written if each.recipe.request.sample in missing]


def recoverable_samples(store: Store, calls: Iterable[Pending]) -> set[int]:
    """Return the samples whose pictures some calls have left: at an address, or whole in a kept answer.

    An answer without them, such as that of a job, is of no use: they are bought again.
    """
    samples: set[int] = set()
    for call in calls:
        samples |= {address.sample for address in call.addresses}
        for path in pending.answers(store, call.run):
            samples |= set(compress(call.request.samples, _readable(path, call.request)))
    return samples


def _readable(path: Path, request: Request) -> list[bool]:
    """Return for each picture, or answer, that was kept whether it is whole, or at an address."""
    from beluga_nb.api import answers, spool  # Lazy imports: most calls leave nothing.

    try:
        status, headers, body = spool.read(path, files.LARGEST_BLOB)
        if isinstance(request, Question):
            return [bool(chat.answer_from_json(body))]
        items = answers.parse(body, headers, status=status).items
    except (OSError, ValueError, MemoryError, InvalidResponseError):
        return []
    return [
        isinstance(item, Item)
        and (item.data is None or is_whole(item.data) or is_of_another_format(item.data))
        for item in items
    ]


def _still_there(error: EngineError) -> list[InvalidResponseError]:
    """Return why pictures that exist cannot be had now: not decoded here, or their host does not answer."""
    # Other errors, such as a 503, do not prove that there is a picture.
    replies = [each for each in causes(error) if isinstance(each, InvalidResponseError)]
    return [
        each for each in replies if each.temporary or (isinstance(each, InvalidImageError) and each.whole)
    ]
