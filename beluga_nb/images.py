"""Conversion between bytes and Pillow images: decode, convert, resize, encode. No other module does it.

Outside bytes are decoded within bounds: only PNG, JPEG and WebP, and only up to a number of pixels.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from beluga_nb.errors import InvalidImageError, MetadataError, RequestError
from beluga_nb.metadata import excess, jpeg, png, webp
from beluga_nb.metadata.formats import sniff
from beluga_nb.process.locks import ProcessLock

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

FORMATS: Mapping[str, str] = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
"""The media type of each format that is decoded, by the API's `output_format`, which is Pillow's name too."""

SUFFIXES: Mapping[str, str] = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}

MEDIA_TYPE_OF_SUFFIX = {".jpeg": "image/jpeg"} | {suffix: kind for kind, suffix in SUFFIXES.items()}

MAX_PIXELS = 40_000_000
"""Most pixels of a picture that is decoded (S25)."""

MAX_SIDE = 16_384
"""Most pixels of a side of a picture that is decoded (S25)."""


MAX_DECODED = 256 * 2**20
"""Bytes of decoded pictures that are held for the next who asks for them."""

MOST_HELD = 1000
"""Decoded pictures that are held at most: however small, Pillow's objects take some kilobytes for each."""


def decode(data: bytes, sha256: str = "") -> Image:
    """Return `data` as a loaded image of the caller's own; of an animation, the first frame.

    Its pixels are copied when it is changed, so no reader sees what another draws.
    With a known `sha256`, bytes that were read again are not decoded again. Raises
    `InvalidImageError` for other formats than PNG, JPEG and WebP, for damaged data, above 40 million pixels
    or 16,384 a side, and for too many parts (metadata/excess.py).
    """
    if not (image := _DECODED.get(data, sha256)):
        image = _with_or_without_text(_decoded, data)
        _DECODED.offer(data, image, sha256)
    from beluga_nb.copy_on_write import SharedImage  # Lazy import: it loads Pillow.

    return SharedImage.of(image)


def shared(data: bytes, sha256: str = "") -> Image:
    """Return `data` as `decode` does, as an image that others read too: it must not be changed.

    The pictures that were decoded last are kept, so that one is decoded once for its check, its preview, and
    all who open it.
    """
    if not (image := _DECODED.get(data, sha256)):
        image = _with_or_without_text(_decoded, data)
        _DECODED.put(data, image, sha256)
    return image


def index_by_sha256(data: bytes, sha256: str) -> None:
    """Let `decode` and `shared` find the image of some bytes by their SHA-256 when these are read again."""
    _DECODED.get(data, sha256)


class _Held(NamedTuple):
    """A decoded image with its data, which is empty once the image is found by its SHA-256."""

    data: bytes
    image: Image

    @property
    def weight(self) -> int:
        per_pixel = _BYTES_PER_PIXEL.get(self.image.mode, 4)
        return len(self.data) + self.image.width * self.image.height * per_pixel


class _Decoded:
    """The images that were decoded last, of `most` bytes in all, and up to `MOST_HELD`.

    Each is found by the object that holds its data or, once that is known, by the SHA-256 of its data. An
    eighth of the room is for images that are opened for the first time while it is full: if these could push
    out all others, a loop over more images than there is room for would find none of them.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.size = 0
        self._images: dict[int | str, _Held] = {}  # the least recently used first
        self._passing: dict[int | str, int] = {}  # the weights of the images in that eighth
        self._lock = ProcessLock()

    def get(self, data: bytes, sha256: str = "") -> Image | None:
        """Return an image or None; with its SHA-256, the image is found by that from here on."""
        with self._lock:
            # By identity: to hash some megabytes takes a while. An id stays taken while its data is here.
            held = self._take(id(data)) or (self._take(sha256) if sha256 else None)
            if not held:
                return None
            self._add(data, held.image, sha256)
            return held.image

    def put(self, data: bytes, image: Image, sha256: str = "") -> None:
        """Hold an image, and drop the least recently used ones."""
        with self._lock:
            key: int | str = sha256 or id(data)
            if key not in self._images:
                self._add(data, image, sha256)
            while self.size > self.most or len(self._images) > MOST_HELD:
                self._take(next(iter(self._images)))

    def offer(self, data: bytes, image: Image, sha256: str = "") -> None:
        """Hold an image that may not be asked for again; until it is, it makes room for the next ones."""
        with self._lock:
            weight = _Held(b"" if sha256 else data, image).weight
            if self.size + weight > self.most:
                self._passing[sha256 or id(data)] = weight
                while sum(self._passing.values()) > self.most // 8 and len(self._passing) > 1:
                    self._take(next(iter(self._passing)))
            self.put(data, image, sha256)

    def _add(self, data: bytes, image: Image, sha256: str) -> None:
        held = self._images[sha256 or id(data)] = _Held(b"" if sha256 else data, image)
        self.size += held.weight

    def _take(self, key: int | str) -> _Held | None:
        self._passing.pop(key, None)
        if held := self._images.pop(key, None):
            self.size -= held.weight
        return held


_BLOCK = 256 * 2**10
"""Bytes of a picture that a decoder gets at once."""

_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2}
"""What Pillow takes for a pixel in memory, where it is not four bytes, as for RGB."""

_DECODED = _Decoded(MAX_DECODED)


def size_of(data: bytes, sha256: str = "") -> tuple[int, int]:
    """Return width and height from a picture's header; raise `InvalidImageError` as `decode`."""
    return (_DECODED.get(data, sha256) or _with_or_without_text(_opened, data)).size


def _with_or_without_text(read: Callable[[bytes], Image], data: bytes) -> Image:
    if too_much := excess.excess(data):
        raise _too_large(data, too_much)
    # Pillow rejects a PNG for a damaged or long text chunk, though its pixels are fine.
    try:
        return read(data)
    except InvalidImageError as error:
        with contextlib.suppress(MetadataError, InvalidImageError):
            if (bare := png.without_text(data)) != data:
                return read(bare)
        raise error from None


def _decoded(data: bytes) -> Image:
    if data.startswith(png.SIGNATURE) and (file := png.with_one_idat(data)):
        # Pillow finds more of what is wrong behind the last pixel when that is read along with it.
        with contextlib.suppress(InvalidImageError):
            return _loaded(data, file)
    return _loaded(data)


def _loaded(data: bytes, file: IO[bytes] | None = None) -> Image:
    image = _opened(data, file)
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(data)
    if max(image.size) > MAX_SIDE:
        raise _too_large(data, f"a side above {MAX_SIDE:,} pixels")
    # Pillow's decoders release the GIL for each block that they read. A busy thread keeps it between two of
    # them for up to 5 ms.
    image.decodermaxblock = _BLOCK
    try:
        image.load()
    except Exception as error:  # Pillow raises at least six classes for damaged data
        raise _bad_image(data, error) from None
    return image


def _opened(data: bytes, file: IO[bytes] | None = None) -> ImageFile:
    """Open a picture from a `file`, which may hold its bytes in another form that gives the same image."""
    from PIL import Image

    try:
        return Image.open(file or io.BytesIO(data), formats=tuple(FORMATS))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        # Under -W error the warning is raised.
        raise _too_large(data) from None
    except Exception as error:  # as above
        raise _bad_image(data, error) from None


def _too_large(
    data: bytes, what: str = f"more than {MAX_PIXELS // 1_000_000} million pixels"
) -> InvalidImageError:
    return InvalidImageError(
        f"The picture has {what}.",
        "It is not decoded; its bytes are kept as they came.",
        data=data,
        whole=True,
        outcome=None,
    )


def _bad_image(data: bytes, error: Exception) -> InvalidImageError:
    what = f"The picture's {len(data):,} bytes are no readable PNG, JPEG or WebP ({type(error).__name__})."
    return InvalidImageError(
        what if data else "The picture is empty.",
        "Give the bytes of a PNG, JPEG or WebP.",
        data=data,
        whole=is_of_another_format(data),
        outcome=None,
    )


def is_of_another_format(data: bytes) -> bool:
    """Whether data begins as a GIF, BMP, TIFF, JPEG XL, AVIF or HEIF does; none of them is decoded."""
    return bool(_OTHER_FORMAT.match(data))


_OTHER_FORMAT = re.compile(
    rb"GIF8[79]a|BM.{4}\0{4}|II\*\0|MM\0\*|\0\0\0\x0cJXL |\xff\x0a"
    rb"|.{4}ftyp(?:avi[fs]|hei[cfms]|hev[cmsx]|mif1|msf1)",
    re.DOTALL,
)


def media_type_of(data: bytes) -> str:
    """Return the media type from a picture's header; raise `InvalidImageError` as `decode`."""
    return media_type(_with_or_without_text(_opened, data))


def media_type(image: Image) -> str:
    """Return the media type that a picture was decoded from."""
    return FORMATS[str(image.format).lower()]


def eight_bit(image: Image) -> Image:
    """Return a 16-bit grey picture in 8 bits, any other picture as it is."""
    # Pillow's own conversion clips the values instead of scaling them.
    if not image.mode.startswith("I;16"):
        return image
    grey = image.point(lambda value: value * (1 / 256)).convert("L")
    # A transparent value is given in 16 bits; as one of 8 it would make other pixels transparent.
    grey.info.pop("transparency", None)
    return grey


def displayable(image: Image) -> Image:
    """Return a copy of a picture as RGB, or as RGBA if it may be transparent."""
    image = eight_bit(image)
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def flatten(image: Image) -> Image:
    """Return a copy of a picture as RGB, on white where it is transparent."""
    from PIL import Image

    shown = displayable(image)
    if shown.mode == "RGB":
        return shown
    return Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown).convert("RGB")


def fitted(size: tuple[int, int], edge: int) -> tuple[int, int]:
    """Return a size scaled up or down to `edge` pixels on its longer side."""
    return scaled(size, edge / max(size))


def within(size: tuple[int, int], edge: int) -> tuple[int, int]:
    """Return a size scaled down to at most `edge` pixels a side; never scaled up."""
    return scaled(size, min(1.0, edge / max(size)))


def scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return a scaled size in whole pixels, at least one a side.

    >>> scaled((1024, 3), 0.25)
    (256, 1)
    """
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def encode(image: Image, kind: str, **options: object) -> bytes:
    """Return an image encoded in a format by Pillow's name, such as "JPEG", with options of the encoder."""
    if sys.platform == "linux":
        # Pillow's JPEG encoder releases the GIL only if the file has a descriptor. There may be no such file
        # here, or a limit of its size.
        with contextlib.suppress(OSError, AttributeError), open(os.memfd_create("picture"), "w+b") as file:
            return _encoded(image, file, kind, options)
    return _encoded(image, io.BytesIO(), kind, options)


def _encoded(image: Image, file: IO[bytes], kind: str, options: Mapping[str, object]) -> bytes:
    image.save(file, kind, **options)
    file.seek(0)
    return file.read()


def convert(image: Image, path: Path) -> bytes:
    """Return an image encoded in the format of a file's suffix; raise `RequestError` for an unknown one.

    A JPEG is flattened; only PNG and TIFF keep 16 bits.
    """
    from PIL import Image

    suffix = path.suffix.lower()
    # JPEG knows no transparency, and Pillow refuses to leave it out.
    if suffix in {".jpg", ".jpeg"}:
        image = flatten(image)
    # PNG knows no CMYK.
    elif suffix == ".png" and image.mode == "CMYK":
        image = displayable(image)
    elif suffix not in {".png", ".tif", ".tiff"}:
        image = eight_bit(image)
    try:
        return encode(image, Image.registered_extensions()[suffix])
    except (ValueError, KeyError, OSError) as error:
        raise RequestError(
            f"'{path.name}' names no picture format that can be written.", "Use .png, .jpg or .webp."
        ) from error


SIGNATURES = (png.SIGNATURE, jpeg.SIGNATURE + b"\xff", b"RIFF")
"""The first bytes of a PNG, a JPEG, and a RIFF file, which may be a WebP."""

_HAS_END = {"image/png": png.has_end, "image/jpeg": jpeg.has_end, "image/webp": webp.has_end}


def is_picture(data: bytes) -> bool:
    """Whether data begins as a PNG, a JPEG or a WebP does."""
    return sniff(data) is not None


def is_whole(data: bytes) -> bool:
    """Whether data is a PNG, JPEG or WebP with its end."""
    return is_picture(data) and not is_truncated(data)


def is_truncated(data: bytes) -> bool:
    """Whether a PNG, JPEG or WebP lacks its end; other data is never truncated.

    A PNG ends with IEND, a JPEG with EOI, and a WebP is as long as in its RIFF header (S27). Bytes behind
    the end do not matter.
    """
    media_type = sniff(data)
    return media_type is not None and not _HAS_END[media_type](data)
