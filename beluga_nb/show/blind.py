"""Pictures for a blind vote: equal in size, format and length, without metadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from beluga_nb.errors import BelugaError
from beluga_nb.images import encode, fitted, flatten

if TYPE_CHECKING:
    from PIL.Image import Image

EDGE = 640
"""Pixels of a picture's longer edge."""

LENGTH = 160_000
"""Bytes of each picture; a length would give away which is which."""

_QUALITIES = (92, 85, 75, 60, 45, 30, 15, 5)
_GREY = (128, 128, 128)


def blind(left: Image, right: Image, *, edge: int = EDGE, length: int = LENGTH) -> tuple[bytes, bytes]:
    """Return two pictures as new JPEGs of the same size, quality and length.

    Pictures of different shapes are centred on the same grey canvas.
    """
    canvas = _canvas(edge, left, right)
    for one, other in _encoded(_placed(left, edge, canvas), _placed(right, edge, canvas)):
        if max(len(one), len(other)) <= length:
            return _padded(one, length), _padded(other, length)
    raise BelugaError("A picture cannot be made small enough to be voted on.", "Skip this pair.")


def _canvas(edge: int, *images: Image) -> tuple[int, int]:
    sizes = [fitted(image.size, edge) for image in images]
    return max(width for width, _ in sizes), max(height for _, height in sizes)


def _placed(image: Image, edge: int, canvas: tuple[int, int]) -> Image:
    from PIL import Image

    # Encoded anew from pixels: metadata of the original would name its model.
    small = flatten(image).resize(fitted(image.size, edge), Image.Resampling.LANCZOS)
    placed = Image.new("RGB", canvas, _GREY)
    placed.paste(small, ((canvas[0] - small.width) // 2, (canvas[1] - small.height) // 2))
    return placed


def _encoded(*images: Image) -> Iterator[tuple[bytes, ...]]:
    # One quality for both: different ones would show which picture has more detail.
    for quality in _QUALITIES:
        yield tuple(encode(image, "JPEG", quality=quality) for image in images)


def _padded(jpeg: bytes, length: int) -> bytes:
    return jpeg + bytes(length - len(jpeg))  # decoders ignore bytes behind EOI
