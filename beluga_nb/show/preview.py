"""Previews: the small copies of pictures that go into a notebook, at several sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from beluga_nb.errors import InvalidImageError
from beluga_nb.images import displayable, encode, flatten, shared, size_of, within
from beluga_nb.result import MissingPicture, Picture, Preview, known_sha256

if TYPE_CHECKING:
    from PIL.Image import Image

EDGE = 512
"""Pixels of a preview's longer edge."""

HEAVIEST = 72_000
"""Most bytes of a preview: in base64, as HTML and as an image, it adds less than 0.2 MB to a notebook."""

ENLARGED_EDGE = 1024
"""Pixels of the longer edge of an enlarged picture."""

HEAVIEST_ENLARGED = 400_000
"""Most bytes of an enlarged picture, which goes into no notebook."""

LISTED_EDGE = 96
"""Pixels of the longer edge of a picture in a list."""

TILE_EDGE = 256
"""Pixels of the longer edge of a picture in a grid."""

HEAVIEST_OF_MANY = 400_000
"""Most bytes of the previews of an output; where they are more, it has tiles. With its sheet, and in base64,
such an output is lighter than 0.8 MB."""

_QUALITIES = (85, 75, 60, 45, 30)
_GAP = 8


def preview(picture: Picture) -> Preview:
    """Return a copy of at most 512 pixels a side: a JPEG, or a PNG if the picture is transparent.

    It is never a WebP, which nbconvert drops.
    """
    return small(_seen(picture))


def preview_of(picture: Picture) -> Preview:
    """Return a picture's recorded preview if it is usable, else a new one."""
    return recorded_preview(picture.preview, lambda: picture)


def recorded_preview(kept: Preview | None, load: Callable[[], Picture]) -> Preview:
    """Return a recorded preview if it is usable, else a new one of the picture that `load` returns.

    The preview of a picture whose bytes are missing is an empty rectangle.
    """
    # A record from elsewhere may name any file as its preview.
    if kept and _is_small(kept):
        return kept
    picture = load()
    return _empty(picture) if isinstance(picture, MissingPicture) else preview(picture)


def _is_small(kept: Preview) -> bool:
    """Whether a preview can be decoded, and is within the limits of previews."""
    if len(kept.data) > HEAVIEST:
        return False
    try:
        is_small = max(size_of(kept.data)) <= EDGE
        if is_small:
            shared(kept.data)  # raises where it cannot be decoded
    except InvalidImageError:
        return False
    return is_small


def _empty(picture: Picture) -> Preview:
    from PIL import Image

    return encoded(Image.new("RGB", within(picture.size, EDGE), "white"))


def small(image: Image) -> Preview:
    """Return the preview of a decoded picture, which is not changed."""
    return encoded(_small(image, EDGE))


def enlarged(picture: Picture) -> Preview:
    """Return a copy of at most 1024 pixels a side; the preview of a picture whose bytes are missing."""
    if isinstance(picture, MissingPicture):
        return preview_of(picture)
    return encoded(_small(_seen(picture), ENLARGED_EDGE), HEAVIEST_ENLARGED)


def _seen(picture: Picture) -> Image:
    """Return the image of a picture to look at, without a copy."""
    if isinstance(picture, MissingPicture):
        return picture.image
    return shared(picture.data, known_sha256(picture))


def thumbnail(picture: Preview, edge: int) -> Preview:
    """Return a copy of at most `edge` pixels a side; raise `InvalidImageError` as `decode`."""
    return encoded(_small(shared(picture.data), edge))


def are_light(previews: Sequence[Preview]) -> bool:
    """Whether previews may go into one output as they are, so that each can be opened at 512 pixels."""
    return sum(len(each.data) for each in previews) <= HEAVIEST_OF_MANY


def montage(pictures: Sequence[Preview]) -> Preview:
    """Return several previews as one picture, for front ends that show a single image."""
    columns = 2 if len(pictures) in {2, 4} else 3
    edge = (2 * EDGE - _GAP * (columns - 1)) // columns
    images = [flatten(_small(shared(picture.data), edge)) for picture in pictures]
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
    is_shown_as_is = image.mode == "RGB" and not image.has_transparency_data
    shown = image if is_shown_as_is else displayable(image)
    # With the gap, Pillow first reduces by a whole factor, which is faster and good enough for small copies.
    small = shown.resize(within(image.size, edge), reducing_gap=1.0)
    small.info.clear()  # encoders would write the original's comments and profiles
    return small.convert("RGB") if small.mode == "RGBA" and _opaque(small) else small


def _opaque(image: Image) -> bool:
    return image.getchannel("A").getextrema() == (255, 255)


def encoded(image: Image, heaviest: int = HEAVIEST) -> Preview:
    """Return a picture as a JPEG, or as a PNG if it is transparent, of `heaviest` bytes if possible."""
    media_type = "image/png" if image.mode == "RGBA" else "image/jpeg"
    for data in _lighter_and_lighter(image):
        if len(data) <= heaviest:
            break
    return Preview(data, media_type)


def _lighter_and_lighter(image: Image) -> Iterator[bytes]:
    if image.mode == "RGBA":
        yield encode(image, "PNG")
        # Transparency allows no JPEG, so fewer colours save bytes here.
        yield from (encode(image.reduce(factor).quantize(256), "PNG") for factor in (1, 2, 4))
    else:
        yield from (encode(image, "JPEG", quality=quality, optimize=True) for quality in _QUALITIES)
        yield from (encode(image.reduce(factor), "JPEG", quality=60, optimize=True) for factor in (2, 3, 4))
