"""The small picture that goes into the notebook; the original stays as it came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from beluga_nb.errors import InvalidImageError
from beluga_nb.images import decode, eight_bit, encode, flatten, size_of, within
from beluga_nb.result import MissingPicture, Picture, Preview

if TYPE_CHECKING:
    from PIL.Image import Image

EDGE = 512
"""Pixels of a preview's longer edge."""

HEAVIEST = 72_000
"""Bytes of one preview: in base64, as HTML and as an image, it adds less than 0.2 MB to a notebook."""

ENLARGED_EDGE = 1024
"""The same of a picture that is looked at by itself."""

HEAVIEST_ENLARGED = 400_000
"""Bytes of that; it is looked at, and goes into no notebook."""

LISTED_EDGE = 96
"""The same of a picture in a list."""

TILE_EDGE = 256
"""The same of a picture in a grid."""

_QUALITIES = (85, 75, 60, 45, 30)
_GAP = 8


def preview(picture: Picture) -> Preview:
    """Return a copy of at most 512 pixels a side: a JPEG, or a PNG where the picture is transparent.

    WebP is not used: nbconvert loses it.
    """
    return small(picture.image)


def preview_of(picture: Picture) -> Preview:
    """Return the preview that came with a picture, if it is one as we make them; else it is made anew.

    A record of anybody may name any file as its preview. Of a picture that is not here nothing can be made:
    its place is empty then.
    """
    kept = picture.preview
    if kept and is_small(kept):
        return kept
    return _empty(picture) if isinstance(picture, MissingPicture) else preview(picture)


def is_small(kept: Preview) -> bool:
    """Whether a preview can be decoded, and has no more bytes and pixels than ours have."""
    if len(kept.data) > HEAVIEST:
        return False
    try:
        return max(size_of(kept.data)) <= EDGE and bool(decode(kept.data))
    except InvalidImageError:
        return False


def _empty(picture: Picture) -> Preview:
    from PIL import Image

    return encoded(Image.new("RGB", within(picture.size, EDGE), "white"))


def small(image: Image) -> Preview:
    """Return the same of a decoded picture, which is left as it is."""
    return encoded(_small(image, EDGE))


def enlarged(picture: Picture) -> Preview:
    """Return a copy of at most 1024 pixels a side."""
    return encoded(_small(picture.image, ENLARGED_EDGE), HEAVIEST_ENLARGED)


def thumbnail(picture: Preview, edge: int = LISTED_EDGE) -> Preview:
    """Return a copy of at most 96 pixels a side, for lists; raise `InvalidImageError` as `decode`."""
    return encoded(_small(decode(picture.data), edge))


def tile(picture: Preview) -> Preview:
    """Return a copy of at most 256 pixels a side, for grids; raise `InvalidImageError` as `decode`."""
    return encoded(_small(decode(picture.data), TILE_EDGE))


def montage(pictures: Sequence[Preview]) -> Preview:
    """Return several previews side by side as one picture, for what shows a single image only."""
    columns = 2 if len(pictures) in {2, 4} else 3
    edge = (2 * EDGE - _GAP * (columns - 1)) // columns
    images = [flatten(_small(decode(picture.data), edge)) for picture in pictures]
    rows = [images[start : start + columns] for start in range(0, len(images), columns)]
    return encoded(_stacked(rows))


def _stacked(rows: Sequence[Sequence[Image]]) -> Image:
    from PIL import Image

    width = max(sum(image.width + _GAP for image in row) for row in rows) - _GAP
    heights = [max(image.height for image in row) for row in rows]
    sheet = Image.new("RGB", (width, sum(heights) + _GAP * (len(rows) - 1)), "white")
    top = 0
    for row, height in zip(rows, heights, strict=True):
        left = 0
        for image in row:
            sheet.paste(image, (left, top))
            left += image.width + _GAP
        top += height + _GAP
    return sheet


def _small(image: Image, edge: int) -> Image:
    image = eight_bit(image)
    mode = "RGBA" if image.has_transparency_data else "RGB"
    whole = image if image.mode == mode else image.convert(mode)
    small = whole.resize(within(whole.size, edge), reducing_gap=1.0)  # a copy in any case
    small.info.clear()  # comments and profiles of the original, which encoders would carry on
    return small.convert("RGB") if small.mode == "RGBA" and _opaque(small) else small


def _opaque(image: Image) -> bool:
    return image.getchannel("A").getextrema() == (255, 255)


def encoded(image: Image, heaviest: int = HEAVIEST) -> Preview:
    """Return a picture as a JPEG, or as a PNG where it is transparent, of about so many bytes at most."""
    media_type = "image/png" if image.mode == "RGBA" else "image/jpeg"
    for data in _lighter_and_lighter(image):
        if len(data) <= heaviest:
            break
    return Preview(data, media_type)


def _lighter_and_lighter(image: Image) -> Iterator[bytes]:
    if image.mode == "RGBA":
        yield encode(image, "PNG")
        yield from (encode(image.reduce(factor).quantize(256), "PNG") for factor in (1, 2, 4))
    else:
        yield from (encode(image, "JPEG", quality=quality, optimize=True) for quality in _QUALITIES)
        yield from (encode(image.reduce(factor), "JPEG", quality=60, optimize=True) for factor in (2, 3, 4))
