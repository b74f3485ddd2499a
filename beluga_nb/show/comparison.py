"""Pictures to compare: the same part of each, side by side or with a curtain between two.

`zoom` is a factor from 1 on; `across` and `down` give the position of the part, from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from beluga_nb.images import encode, fitted, flatten
from beluga_nb.result import Picture, Preview

if TYPE_CHECKING:
    from PIL.Image import Image

Decoded: TypeAlias = "Mapping[str, Image]"
"""Decoded pictures by their SHA-256."""

MOST = 4
"""Pictures that are compared at once."""

SIDE_BY_SIDE, CURTAIN = "side by side", "slider"
"""The modes of a comparison."""

_EDGE, _EDGE_ALONE = 512, 1024  # pixels of the longer side, of several pictures and of one
_SEAM = 2
_BARS = "#808080"
_QUALITY = 85


def decoded(pictures: Iterable[Picture], known: Decoded) -> Decoded:
    """Return the pictures decoded; `known` ones are reused, because a slider asks for the same many times."""
    wanted = {picture.sha256: picture for picture in pictures}
    new = {name: picture.image for name, picture in wanted.items() if name not in known}
    return {name: image for name, image in {**known, **new}.items() if name in wanted}


def views(
    images: Sequence[Image], *, mode: str, split: float, zoom: float, across: float, down: float
) -> list[Preview]:
    """Return what a comparison shows in a mode; a single picture has no curtain."""
    if mode == CURTAIN and len(images) > 1:
        return [curtain(images[0], images[1], split=split, zoom=zoom, across=across, down=down)]
    return side_by_side(images, zoom=zoom, across=across, down=down)


def side_by_side(images: Sequence[Image], *, zoom: float, across: float, down: float) -> list[Preview]:
    """Return the same part of each picture."""
    return [_encoded(_part(image, _EDGE, zoom=zoom, across=across, down=down)) for image in images]


def curtain(left: Image, right: Image, *, split: float, zoom: float, across: float, down: float) -> Preview:
    """Return one picture: `left` up to `split`, from 0 to 1 of its width, and `right` beyond it."""
    from PIL import Image

    parts = [_part(image, _EDGE_ALONE, zoom=zoom, across=across, down=down) for image in (left, right)]
    # Pictures of another shape have bars, so that none of them is stretched.
    width, height = (max(part.size[side] for part in parts) for side in (0, 1))
    one, both = (Image.new("RGB", (width, height), _BARS) for _ in parts)
    for whole, part in zip((one, both), parts, strict=True):
        whole.paste(part, ((width - part.width) // 2, (height - part.height) // 2))
    edge = round(split * width)
    both.paste(one.crop((0, 0, edge, height)), (0, 0))
    if 0 < edge < width:
        both.paste(Image.new("RGB", (_SEAM, height), "white"), (edge, 0))
    return _encoded(both)


def _part(image: Image, edge: int, *, zoom: float, across: float, down: float) -> Image:
    width, height = image.width / zoom, image.height / zoom
    left, top = (image.width - width) * across, (image.height - height) * down
    size = fitted(image.size, edge)
    return flatten(image).resize(size, box=(left, top, left + width, top + height), reducing_gap=2.0)


def _encoded(image: Image) -> Preview:
    return Preview(encode(image, "JPEG", quality=_QUALITY), "image/jpeg")
