"""Pictures that tell nothing but what is to be seen: one size, one format, one length, and no metadata."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from beluga_nb.errors import BadImage

if TYPE_CHECKING:
    from PIL.Image import Image

EDGE = 640
"""Pixels of the longer edge of what is shown."""

LENGTH = 160_000
"""Bytes of each picture, whatever it shows."""

_QUALITIES = (92, 85, 75, 60, 45, 30, 15, 5)
_GREY = (128, 128, 128)


def blind(left: Image, right: Image) -> tuple[bytes, bytes]:
    """Return two pictures as JPEGs of the same size, quality and length, encoded anew, without metadata.

    Where they differ in shape, both stand on the same grey.
    """
    canvas = _canvas(left, right)
    for one, other in _encoded(_placed(left, canvas), _placed(right, canvas)):
        if max(len(one), len(other)) <= LENGTH:
            return _padded(one), _padded(other)
    raise BadImage("A picture cannot be made small enough to be voted on.", "Skip this pair.")


def _canvas(*images: Image) -> tuple[int, int]:
    fitted = [_fitted(image.size) for image in images]
    return max(width for width, _ in fitted), max(height for _, height in fitted)


def _fitted(size: tuple[int, int]) -> tuple[int, int]:
    scale = EDGE / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _placed(image: Image, canvas: tuple[int, int]) -> Image:
    from PIL import Image

    small = _flat(image).resize(_fitted(image.size), Image.Resampling.LANCZOS)
    placed = Image.new("RGB", canvas, _GREY)
    placed.paste(small, ((canvas[0] - small.width) // 2, (canvas[1] - small.height) // 2))
    return placed


def _flat(image: Image) -> Image:
    from PIL import Image

    if image.mode.startswith("I;16"):  # Pillow clips 16 bits to 8 where we want them scaled
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    clear = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


def _encoded(*images: Image) -> Iterator[tuple[bytes, ...]]:
    for quality in _QUALITIES:  # the same for both, or it would tell which one is the busier
        yield tuple(_jpeg(image, quality) for image in images)


def _jpeg(image: Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _padded(jpeg: bytes) -> bytes:
    return jpeg + bytes(LENGTH - len(jpeg))  # decoders stop at the end of the picture
