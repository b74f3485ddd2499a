"""Pictures that tell nothing but what is to be seen: one size, one format, one length, and no metadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from beluga_nb.errors import InvalidImageError
from beluga_nb.images import encode, flatten, scaled

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
    raise InvalidImageError("A picture cannot be made small enough to be voted on.", "Skip this pair.")


def _canvas(*images: Image) -> tuple[int, int]:
    fitted = [scaled(image.size, EDGE / max(image.size)) for image in images]
    return max(width for width, _ in fitted), max(height for _, height in fitted)


def _placed(image: Image, canvas: tuple[int, int]) -> Image:
    from PIL import Image

    small = flatten(image).resize(scaled(image.size, EDGE / max(image.size)), Image.Resampling.LANCZOS)
    placed = Image.new("RGB", canvas, _GREY)
    placed.paste(small, ((canvas[0] - small.width) // 2, (canvas[1] - small.height) // 2))
    return placed


def _encoded(*images: Image) -> Iterator[tuple[bytes, ...]]:
    for quality in _QUALITIES:  # the same for both, or it would tell which one is the busier
        yield tuple(encode(image, "JPEG", quality=quality) for image in images)


def _padded(jpeg: bytes) -> bytes:
    return jpeg + bytes(LENGTH - len(jpeg))  # decoders stop at the end of the picture
