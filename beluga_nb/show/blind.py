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
# How much wider for its height one picture may be than the other; both are cropped half of the way.
_NEAR = 1.1


def blind(left: Image, right: Image, *, edge: int = EDGE, length: int = LENGTH) -> tuple[bytes, bytes]:
    """Return two pictures as new JPEGs of the same size, quality and length.

    Pictures of nearly one shape are cropped to it: a model may be known by its sizes. Those of different
    shapes are centred on the same grey canvas.
    """
    for one, other in _encoded(*_placed(flatten(left), flatten(right), edge)):
        if max(len(one), len(other)) <= length:
            return _padded(one, length), _padded(other, length)
    raise BelugaError("A picture cannot be made small enough to be voted on.", "Skip this pair.")


def _placed(left: Image, right: Image, edge: int) -> tuple[Image, Image]:
    """Return both in the size of one canvas, from their pixels: metadata would name a model."""
    from PIL import Image, ImageOps

    scaling = Image.Resampling.LANCZOS
    wider = left.width * right.height / (left.height * right.width)
    if 1 / _NEAR <= wider <= _NEAR:
        canvas = fitted(
            (round((left.width * right.width) ** 0.5), round((left.height * right.height) ** 0.5)), edge
        )
        return ImageOps.fit(left, canvas, scaling), ImageOps.fit(right, canvas, scaling)
    small = [image.resize(fitted(image.size, edge), scaling) for image in (left, right)]
    canvas = max(image.width for image in small), max(image.height for image in small)
    one, other = (ImageOps.pad(image, canvas, scaling, _GREY) for image in small)
    return one, other


def _encoded(*images: Image) -> Iterator[tuple[bytes, ...]]:
    # One quality for both: different ones would show which picture has more detail.
    for quality in _QUALITIES:
        yield tuple(encode(image, "JPEG", quality=quality) for image in images)


def _padded(jpeg: bytes, length: int) -> bytes:
    return jpeg + bytes(length - len(jpeg))  # decoders ignore bytes behind EOI
