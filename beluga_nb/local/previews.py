"""The built-in painter as an engine: free previews, drawn on this machine and labelled as such."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING

import beluga_nb.catalog as catalog
from beluga_nb.core import FORMATS, PROCEDURAL, Answer, Request, Result
from beluga_nb.local.jobs import advance

if TYPE_CHECKING:
    from beluga_nb.local.painter.painting import Painting


async def previews(request: Request, *, clock: Callable[[], float] = time.time) -> Result:
    """Return painted previews of `request`, as PNG by default; the same request gives the same bytes.

    Raises `errors.UnknownName` for a model that the catalogue does not have.
    """
    answers = await asyncio.gather(
        *(_painted(request.part(sample), 100 / request.n) for sample in request.samples)
    )
    return Result.of(request, answers, engine=PROCEDURAL, created=int(clock()))


async def _painted(request: Request, share: float) -> Answer:
    answer = await asyncio.to_thread(_paint, request)
    advance(share)
    return answer


def _paint(request: Request) -> Answer:
    # numpy and the painter take their time to import: not at `%load_ext`, and not on the event loop.
    from beluga_nb.local.painter import choose_size, paint

    model = catalog.find(request.model)
    asked = request.size or catalog.DEFAULT_SIZE
    label = choose_size(request.prompt, model.sizes) if asked == catalog.AUTO else asked
    painting = paint(
        request.prompt,
        model=request.model,
        size=catalog.pixels(label),
        quality=request.quality or catalog.QUALITIES[0],
        take=request.take,
        sample=request.sample,
    )
    media_type = FORMATS[request.output_format or "png"]
    return Answer(
        _encoded(painting, media_type, request.output_compression), media_type, painting.revised_prompt
    )


def _encoded(painting: Painting, media_type: str, quality: int | None) -> bytes:
    if media_type == "image/png":
        return painting.png()
    out = BytesIO()
    # Pillow counts from 1, the API from 0.
    said = {} if quality is None else {"quality": max(1, quality)}
    painting.image.save(out, media_type.removeprefix("image/"), **said)
    return out.getvalue()
