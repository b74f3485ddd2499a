"""The engine of mode "replay": it raises an error for what is not recorded."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from beluga_nb.errors import NotRecordedError
from beluga_nb.request import Question, Request
from beluga_nb.result import Result
from beluga_nb.store.records import Store
from beluga_nb.text import sanitize


@dataclass(frozen=True)
class Unrecorded:
    """Raise `NotRecordedError`, which names the nearest recording."""

    store: Store

    async def __call__(self, request: Request) -> Result:
        raise NotRecordedError(await asyncio.to_thread(self._missing, request))

    def _missing(self, request: Request) -> str:
        if isinstance(request, Question):
            pictures = " and ".join(f"{each[:12]}…" for each in request.inputs)
            repeats = f"answer {request.sample}" + (f" to {request.samples[-1]}" if request.n > 1 else "")
            return f"{request.model}, {repeats}, “{sanitize(request.prompt, 60)}” about {pictures}"
        last = f" to {request.samples[-1]}" if request.n > 1 else ""
        asked = f"{request.model}, {request.size or 'default size'}, sample {request.sample}{last}"
        from beluga_nb.store.nearest import nearest_recording  # Lazy import: a hit does not need it.

        near = nearest_recording(request, self.store)
        known = f"nearest recording: {_differences(request, near)}" if near else "the store is empty"
        return f"{asked}, “{sanitize(request.prompt, 60)}”; {known}"


def _differences(request: Request, other: Request) -> str:
    before, after = (
        {**each.parameters, "take": each.take, "sample": each.sample} for each in (request, other)
    )
    different = [name for name in sorted(before | after) if before.get(name) != after.get(name)]
    words = [
        f"{name} {sanitize(str(after[name]), 60)!r}" if name in after else f"no {name}" for name in different
    ]
    return ", ".join(words) or "of another provider"
