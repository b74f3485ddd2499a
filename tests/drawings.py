"""Real pictures, and engines of five lines: all that a process of its own needs, which imports no server."""

import asyncio
import io

from PIL import Image, ImageDraw

from beluga_nb.request import Request
from beluga_nb.result import ImagePayload, Result


def drawn(request: Request, sample: int, kind: str = "PNG", size: tuple[int, int] = (96, 64)) -> bytes:
    """A small real picture that depends on everything an engine may look at, and on nothing else."""
    words = "|".join(map(str, (*request.parameters.values(), request.take, sample)))
    hue = sum(words.encode()) * 37 % 256
    image = Image.new("RGB", size, (hue, 255 - hue, len(words) % 256))
    ImageDraw.Draw(image).text((4, 4), f"{sample} {words[:12].encode('ascii', 'replace').decode()}")
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


async def drawing(request: Request, size: tuple[int, int] = (96, 64)) -> Result:
    """An engine: it draws each sample of a request, always the same."""
    answers = [
        ImagePayload(drawn(request, sample, size=size), "image/png", f"a drawing of sample {sample}")
        for sample in request.samples
    ]
    return Result.of(request, answers, engine="drawing", created=1_750_000_000)


class Counting:
    """An engine that remembers what its engine was asked."""

    def __init__(self, engine=drawing):
        self.engine = engine
        self.requests = []

    async def __call__(self, request):
        self.requests.append(request)
        return await self.engine(request)


def ask(engine, request):
    return asyncio.run(asyncio.wait_for(engine(request), 30))
