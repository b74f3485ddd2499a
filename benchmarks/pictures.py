"""Pictures for the suite: PNGs of 1024 x 1024 and about 2 MB, as a camera's would be."""

from __future__ import annotations

import random
import struct
import tempfile
import zlib
from io import BytesIO
from pathlib import Path

CACHE = Path(tempfile.gettempdir()) / "beluga_nb-benchmarks"
COUNT = 4
EDGE = 1024
PNG_END = 12
"""Bytes of the last chunk, IEND."""


def photographs() -> list[bytes]:
    """Return a few PNGs, made once and kept in the temporary folder."""
    return [_cached(number) for number in range(COUNT)]


def _cached(number: int) -> bytes:
    path = CACHE / f"photograph-{number}.png"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=CACHE, delete=False) as file:
            file.write(_photograph(number))
        Path(file.name).replace(path)
    return path.read_bytes()


def _photograph(number: int) -> bytes:
    """Return smooth shapes under fine noise: what makes a photograph hard to compress."""
    from PIL import Image, ImageChops

    rng = random.Random(number)

    def noise(edge: int, bands: int = 3) -> Image.Image:
        return Image.frombytes("RGB", (edge, edge), rng.randbytes(edge * edge * bands))

    image = noise(4).resize((EDGE, EDGE), Image.Resampling.BICUBIC)
    for edge, share in ((16, 0.3), (64, 0.15)):
        image = Image.blend(image, noise(edge).resize((EDGE, EDGE), Image.Resampling.BICUBIC), share)
    grain = Image.blend(Image.new("RGB", (EDGE, EDGE), (128, 128, 128)), noise(EDGE), 0.05 + number / 50)
    out = BytesIO()
    ImageChops.add(image, grain, offset=-128).save(out, "PNG")
    return out.getvalue()


def distinct(png: bytes, number: int) -> bytes:
    """Return the PNG with a text chunk that holds the number: the same picture in other bytes."""
    chunk = b"tEXt" + b"number\0%d" % number
    packed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png[:-PNG_END] + packed + png[-PNG_END:]
