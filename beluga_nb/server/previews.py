"""The built-in painter as an engine: free previews, drawn on this machine and labelled as such."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import beluga_nb.catalog as catalog
from beluga_nb.images import FORMATS
from beluga_nb.request import Request
from beluga_nb.result import PROCEDURAL, ImagePayload, Result


async def previews(request: Request, *, clock: Callable[[], float] = time.time) -> Result:
    """Return painted previews of `request`, as PNG by default; the same request gives the same bytes.

    Raises `UnknownNameError` for a model that the catalogue does not have.
    """
    answers = await asyncio.gather(
        *(asyncio.to_thread(_paint, request.slice(sample)) for sample in request.samples)
    )
    return Result.of(request, answers, engine=PROCEDURAL, created=int(clock()))


def _paint(request: Request) -> ImagePayload:
    # Lazy import on a thread: numpy and the painter are slow to import.
    from beluga_nb.painter import choose_size, paint

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
    media_type, quality = FORMATS[request.output_format or "png"], request.output_compression
    # The encoder's scale begins at 1, the API's at 0.
    data = painting.encoded(media_type, quality=None if quality is None else max(1, quality))
    return ImagePayload(data, media_type, painting.revised_prompt)
