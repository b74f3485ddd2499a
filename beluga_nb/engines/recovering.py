"""An engine that uses what is left of earlier calls before its engine is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from beluga_nb.engines.recorded import PATIENCE, Recorded
from beluga_nb.errors import (
    Address,
    APIStatusError,
    EngineError,
    InvalidImageError,
    InvalidResponseError,
)
from beluga_nb.merge import completed
from beluga_nb.request import Request
from beluga_nb.result import CallCancelled, Engine, Picture, Result, causes
from beluga_nb.store import pending
from beluga_nb.store.pending import Pending
from beluga_nb.store.work import at_work

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
        found: dict[int, Picture | APIStatusError] = {}
        exist: dict[int, InvalidResponseError] = {}
        for call in await asyncio.to_thread(self._lost, request):
            exist |= await self._recovered(call, found)
        missing = await asyncio.to_thread(self._missing, request) if exist and not self.anew else set()
        errors = {sample: error.with_traceback(None) for sample, error in exist.items() if sample in missing}
        return await completed(request, {**errors, **found}, self.engine)

    async def _recovered(
        self, call: Pending, found: dict[int, Picture | APIStatusError]
    ) -> dict[int, InvalidResponseError]:
        """Record what is left of a call; return, by sample, why pictures that exist cannot be had now."""
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
        """Record what is left there of a call; return why something is missing still.

        Into `found` goes, by sample, what a store that cannot be written does not take.
        """
        part = call.request.slice(left.sample) if isinstance(left, Address) else call.request
        if not await asyncio.to_thread(self._missing, part):
            return None
        failed = None
        try:
            result = await self.recover(part, left)
            await self.recorded.keep_extra(result)
        except EngineError as error:
            failed, result = error, getattr(error, "result", Result(part, ()))
        except CallCancelled as stopped:
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
        return {each for each in request.samples if not store.has(request.slice(each), provider=provider)}


def _still_there(error: EngineError) -> list[InvalidResponseError]:
    """Return why pictures that exist cannot be had now: not decoded here, or their host does not answer."""
    replies = [
        each for each in causes(error) if isinstance(each, InvalidResponseError)
    ]  # a 503 says nothing of a picture
    return [
        each for each in replies if each.temporary or (isinstance(each, InvalidImageError) and each.whole)
    ]
