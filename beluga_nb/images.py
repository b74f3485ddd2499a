"""Bytes become Pillow images here, and images bytes; nobody else decodes or encodes a picture.

What comes from outside is decoded within bounds: PNG, JPEG and WebP alone, and no more than so many pixels.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from beluga_nb.errors import InvalidImageError, MetadataError, RequestError
from beluga_nb.metadata import excess, png

if TYPE_CHECKING:
    from PIL.Image import Image

MEDIA_TYPES: Mapping[str, str] = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
"""Pillow's name of each format that is decoded at all, and its media type."""

FORMATS: Mapping[str, str] = {name.lower(): kind for name, kind in MEDIA_TYPES.items()}
"""The API's word for each format, and its media type (contract.md: Request parameters)."""

SUFFIXES: Mapping[str, str] = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}

MEDIA_TYPE_OF_SUFFIX = {".jpeg": "image/jpeg"} | {suffix: kind for kind, suffix in SUFFIXES.items()}

MAX_PIXELS = 40_000_000
"""Pixels above which a picture is not decoded (S25)."""

MAX_SIDE = 16_384
"""Pixels of a side above which a picture is not decoded (S25)."""


def decode(data: bytes) -> Image:
    """Return `data` as a loaded image.

    Only PNG, JPEG and WebP are tried, of one that moves only the first frame, and nothing above 40 million
    pixels, with a side above 16,384, or of too many parts (metadata/excess.py); else `InvalidImageError`.
    """
    return _with_or_without_text(_decoded, data)


def size_of(data: bytes) -> tuple[int, int]:
    """Return width and height of a picture, by how it begins; raise `InvalidImageError` as `decode`."""
    return _with_or_without_text(_opened, data).size


def _with_or_without_text(read: Callable[[bytes], Image], data: bytes) -> Image:
    if too_much := excess.excess(data):
        raise _too_large(data, too_much)
    # Pillow refuses a PNG with good pixels for a text that is damaged or long.
    try:
        return read(data)
    except InvalidImageError as error:
        with contextlib.suppress(MetadataError, InvalidImageError):
            if (bare := png.without_text(data)) != data:
                return read(bare)
        raise error from None


def _decoded(data: bytes) -> Image:
    image = _opened(data)
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(data)
    if max(image.size) > MAX_SIDE:
        raise _too_large(data, f"a side above {MAX_SIDE:,} pixels")
    try:
        image.load()
    except Exception as error:  # a decoder fails in at least six ways on damaged data
        raise _bad_image(data, error) from None
    return image


def _opened(data: bytes) -> Image:
    from PIL import Image

    try:
        return Image.open(io.BytesIO(data), formats=tuple(MEDIA_TYPES))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # the latter under -W error
        raise _too_large(data) from None
    except Exception as error:  # likewise
        raise _bad_image(data, error) from None


def _too_large(
    data: bytes, what: str = f"more than {MAX_PIXELS // 1_000_000} million pixels"
) -> InvalidImageError:
    return InvalidImageError(
        f"The picture has {what}.",
        "It is not decoded; its bytes are kept as they came.",
        data=data,
        whole=True,
    )


def _bad_image(data: bytes, error: Exception) -> InvalidImageError:
    if not data:
        return InvalidImageError("The answer holds an empty picture.", "It may have been billed.", data=data)
    return InvalidImageError(
        f"The answer holds {len(data):,} bytes that are no readable PNG, JPEG or WebP"
        f" ({type(error).__name__}).",
        "It may have been billed; the bytes are kept as they came.",
        data=data,
        whole=is_of_another_format(data),
    )


def is_of_another_format(data: bytes) -> bool:
    """Whether data begins as a GIF, BMP, TIFF, JPEG XL, AVIF or HEIF does, which are not decoded here."""
    return bool(_OTHER_FORMAT.match(data))


_OTHER_FORMAT = re.compile(
    rb"GIF8[79]a|BM.{4}\0{4}|II\*\0|MM\0\*|\0\0\0\x0cJXL |\xff\x0a"
    rb"|.{4}ftyp(?:avi[fs]|hei[cfms]|hev[cmsx]|mif1|msf1)",
    re.DOTALL,
)


def media_type_of(data: bytes) -> str:
    """Return the media type of a picture, by how it begins; raise `InvalidImageError` as `decode`."""
    return MEDIA_TYPES[str(_with_or_without_text(_opened, data).format)]


def eight_bit(image: Image) -> Image:
    """Return a grey picture of 16 bits in 8: Pillow would clip its values instead of scaling them."""
    if not image.mode.startswith("I;16"):
        return image
    return image.point(lambda value: value * (1 / 256)).convert("L")


def flatten(image: Image) -> Image:
    """Return a picture as RGB, on white where it is transparent."""
    from PIL import Image

    image = eight_bit(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    clear = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


def within(size: tuple[int, int], edge: int) -> tuple[int, int]:
    """Return the size of a picture scaled down to so many pixels a side, never up."""
    return scaled(size, min(1.0, edge / max(size)))


def scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return a size in whole pixels, at least one a side.

    >>> scaled((1024, 3), 0.25)
    (256, 1)
    """
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def encode(image: Image, kind: str, **options: int) -> bytes:
    """Return an image in a format by Pillow's name, such as "JPEG", with that encoder's options."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def convert(image: Image, path: Path) -> bytes:
    """Return an image in the format of a file's suffix; raise `RequestError` where there is none.

    A JPEG is flat, and only a PNG or TIFF has 16 bits.
    """
    from PIL import Image

    suffix = path.suffix.lower()
    if suffix in {".jpg", ".jpeg"}:
        image = flatten(image)
    elif suffix not in {".png", ".tif", ".tiff"}:
        image = eight_bit(image)
    try:
        return encode(image, Image.registered_extensions()[suffix])
    except (ValueError, KeyError, OSError) as error:
        raise RequestError(
            f"'{path.name}' names no picture format that can be written.", "Use .png, .jpg or .webp."
        ) from error


SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")


def is_picture(data: bytes) -> bool:
    """Whether data begins as a PNG, a JPEG or a WebP does."""
    return data.startswith(SIGNATURES) and (data[:4] != b"RIFF" or data[8:12] == b"WEBP")


def is_whole(data: bytes) -> bool:
    """Whether data is a PNG, JPEG or WebP with its end."""
    return is_picture(data) and not is_truncated(data)


def is_truncated(data: bytes) -> bool:
    """Whether a PNG, JPEG or WebP ends before its end; what is none of them is not cut.

    A PNG ends with IEND, a JPEG with EOI, and a WebP is as long as its RIFF header says
    (S27). What follows the end does not matter.
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return not _ends_as_png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return not _ends_as_jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    return False


_MOST_PARTS = 200_000  # that are looked at; a picture of more is not decoded (metadata/excess.py)


def _ends_as_png(data: bytes) -> bool:
    at = 8
    for _ in range(_MOST_PARTS):
        if at + 12 > len(data):
            return False
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return True


_EOI = 0xD9
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)  # not stuffed, and no restart


def _ends_as_jpeg(data: bytes) -> bool:
    at = 2
    for _ in range(_MOST_PARTS):
        found = _MARKER.search(data, at)
        if not found:
            return False
        if found[1][0] == _EOI:
            return True
        # A segment is passed over, or the thumbnail in it would end the picture; a scan is searched.
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return True
