"""Pictures side by side, or one over another: the same part of each, at the same size on the screen.

Zoom is a factor from 1 on; `across` and `down` say where the middle of the part is, from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from beluga_nb.images import encode, flatten, scaled
from beluga_nb.result import Picture, Preview

if TYPE_CHECKING:
    from PIL.Image import Image

Decoded: TypeAlias = "Mapping[str, Image]"
"""Pictures that are decoded, by their SHA-256."""

MOST = 4
"""Pictures that are compared at once."""

_EDGE, _EDGE_ALONE = 512, 1024  # pixels of the longer side, of several pictures and of one
_SEAM = 2
_QUALITY = 85


def decoded(pictures: Iterable[Picture], known: Decoded) -> Decoded:
    """Return the pictures decoded, as far as possible from what is known: a slider moves many times."""
    wanted = {picture.sha256: picture for picture in pictures}
    new = {name: picture.image for name, picture in wanted.items() if name not in known}
    return {name: image for name, image in {**known, **new}.items() if name in wanted}


def side_by_side(images: Sequence[Image], *, zoom: float, across: float, down: float) -> list[Preview]:
    """Return the same part of each picture."""
    return [_encoded(_part(image, _EDGE, zoom=zoom, across=across, down=down)) for image in images]


def curtain(left: Image, right: Image, *, split: float, zoom: float, across: float, down: float) -> Preview:
    """Return one picture that shows `left` up to `split`, from 0 to 1 of its width, and `right` behind it."""
    from PIL import Image

    one = _part(left, _EDGE_ALONE, zoom=zoom, across=across, down=down)
    other = _part(right, _EDGE_ALONE, zoom=zoom, across=across, down=down).resize(one.size)
    edge = round(split * one.width)
    both = other.copy()
    both.paste(one.crop((0, 0, edge, one.height)), (0, 0))
    if 0 < edge < one.width:
        both.paste(Image.new("RGB", (_SEAM, one.height), "white"), (edge, 0))
    return _encoded(both)


def _part(image: Image, edge: int, *, zoom: float, across: float, down: float) -> Image:
    width, height = image.width / zoom, image.height / zoom
    left, top = (image.width - width) * across, (image.height - height) * down
    size = scaled(image.size, edge / max(image.size))
    return flatten(image).resize(size, box=(left, top, left + width, top + height), reducing_gap=2.0)


def _encoded(image: Image) -> Preview:
    return Preview(encode(image, "JPEG", quality=_QUALITY), "image/jpeg")
