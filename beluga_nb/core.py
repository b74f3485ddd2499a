"""The values that everything speaks: `Request`, `Picture`, `Result`, and what an `Engine` is.

An engine is an async function from a `Request` to a `Result`. Whatever wraps one is one again,
and never changes the answer.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, overload
from uuid import uuid4

from beluga_nb.errors import BadImage, BelugaError, EngineError, RequestError, StoreError, plain

if TYPE_CHECKING:
    from PIL.Image import Image

PROMPT_LIMIT = 32_000
"""Characters of a prompt (contract.md: Request parameters)."""

MEDIA_TYPES: Mapping[str, str] = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
"""Pillow's name of each format that is decoded at all, and its media type."""

FORMATS: Mapping[str, str] = {name.lower(): kind for name, kind in MEDIA_TYPES.items()}
"""The API's word for each format, and its media type (contract.md: Request parameters)."""

SUFFIXES: Mapping[str, str] = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}

_MEDIA_TYPE_OF_SUFFIX = {".jpeg": "image/jpeg"} | {suffix: kind for kind, suffix in SUFFIXES.items()}

MAX_PIXELS = 40_000_000
"""Pixels above which a picture is not decoded (research/reliability.md, S25)."""

MAX_SIDE = 16_384
"""Pixels of a side above which a picture is not decoded (research/reliability.md, S25)."""

PROCEDURAL = "procedural"
"""The `engine` of pictures that the built-in painter drew: previews, not model output."""

_WHICH_PICTURES = {"n", "take", "sample", "run"}

Bundle = Mapping[str, str]
"""Media type to content, as Jupyter's display protocol takes it."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for; the parameters mean what they mean in the API.

    What is None was not set by the user: the service's own defaults apply. `output_format` is one of
    `FORMATS`, and `output_compression` is how good a JPEG or WebP is to be, from 0 to 100.
    `take` and `sample` never reach the service. A take is a label for "sample it all again", and
    `sample` is the number of the first of the `n` pictures within its take. `run` is the id of one call,
    the same however often it is sent (its `Idempotency-Key`).

    >>> Request(prompt="a red bicycle", model="flux-2.0", size="16:9")
    Request(prompt='a red bicycle', model='flux-2.0', n=1, size='16:9', quality=None, \
output_format=None, output_compression=None, take='', sample=0)
    """

    prompt: str
    model: str
    n: int = 1
    size: str | None = None
    quality: str | None = None
    output_format: str | None = None
    output_compression: int | None = None
    take: str = ""
    sample: int = 0
    run: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("prompt", "model", "take"):
            _check_text(name, getattr(self, name))
        for name in ("size", "quality", "output_format"):
            if getattr(self, name) is not None:
                _check_text(name, getattr(self, name))
        _check_prompt_length(self.prompt)
        _check_count("n", self.n, least=1)
        _check_count("sample", self.sample, least=0)
        if self.output_compression is not None:
            _check_count("output_compression", self.output_compression, least=0)

    def part(self, sample: int, n: int = 1) -> Request:
        """Return the request for `n` of these pictures, from `sample` on."""
        return replace(self, sample=sample, n=n)

    def as_call(self) -> Request:
        """Return the request with an id of its own, if it has none yet."""
        return self if self.run else replace(self, run=str(uuid4()))

    @property
    def said(self) -> dict[str, str | int]:
        """What the user set that each picture depends on, by the API's names."""
        names = [each.name for each in fields(self) if each.name not in _WHICH_PICTURES]
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @property
    def samples(self) -> range:
        """The numbers of the pictures that are asked for."""
        return range(self.sample, self.sample + self.n)


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise RequestError(
            f"The {name} is {plain(repr(value), 60)}, not text.", f"Give {name} as a string.", param=name
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RequestError(
            f"The {name} holds a broken character at position {error.start} (half of a surrogate pair).",
            "Type or paste it again.",
            param=name,
        ) from None


def _check_prompt_length(prompt: str) -> None:
    length = len(prompt.strip())
    if not length:
        raise RequestError(
            "The prompt is empty.",
            "Describe the picture, for example: %beluga a red bicycle on a beach",
            param="prompt",
            code="missing_parameter",
        )
    if length > PROMPT_LIMIT:
        raise RequestError(
            f"The prompt has {length:,} characters.",
            f"At most {PROMPT_LIMIT:,} are possible.",
            param="prompt",
        )


def _check_count(name: str, value: object, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise RequestError(
            f"{name} is {plain(repr(value), 60)}.",
            f"Give {name} as a whole number from {least} on.",
            param=name,
        )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How pictures came about: what was asked, who answered, and what that engine said it drew.

    `engine` is the name of what answered, "procedural" for the built-in painter; `created` is Unix
    time in seconds.
    """

    request: Request
    engine: str
    revised_prompt: str | None = None
    created: int = field(default=0, compare=False)

    @property
    def procedural(self) -> bool:
        """Whether the built-in painter drew this: a preview, not the output of `request.model`."""
        return self.engine == PROCEDURAL


@dataclass(frozen=True)
class Preview:
    """The small copy of a picture that goes into the notebook."""

    data: bytes
    media_type: str


@dataclass(frozen=True)
class Picture:
    """One generated image: the exact bytes as they came, their media type, and the recipe."""

    data: bytes = field(repr=False)
    media_type: str
    recipe: Recipe
    preview: Preview | None = field(default=None, compare=False, repr=False)

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of `data`, 64 hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def image(self) -> Image:
        """A `PIL.Image.Image`, decoded anew at each call, so that drawing on one spoils no other.

        Raises `BadImage` when `data` is not a PNG, JPEG or WebP of at most 40 million pixels.
        """
        return decode(self.data)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return _opened(self.data).size

    def save(self, path: str | Path) -> Path:
        """Write the picture; the bytes as they came, unless the suffix names another format."""
        path = Path(path)
        if not path.suffix:
            path = path.with_suffix(SUFFIXES[self.media_type])
        if _MEDIA_TYPE_OF_SUFFIX.get(path.suffix.lower()) == self.media_type:
            path.write_bytes(self.data)
        else:
            _convert(self.image, path)
        return path


@dataclass(frozen=True)
class Absent(Picture):
    """A picture whose bytes are elsewhere: `data` is the Git LFS pointer that stands in for them.

    It shows its preview and knows its hash (`digest`) and size (`pixels`); what needs the bytes raises
    `StoreError`.
    """

    digest: str = ""
    pixels: tuple[int, int] = (0, 0)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the bytes that are elsewhere."""
        return self.digest

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as they are recorded."""
        return self.pixels

    @property
    def image(self) -> Image:
        """Raises `StoreError`: there is nothing to decode."""
        raise self._elsewhere()

    def save(self, path: str | Path) -> Path:  # noqa: ARG002
        """Raise `StoreError`: there is nothing to write."""
        raise self._elsewhere()

    def _elsewhere(self) -> StoreError:
        return StoreError(
            f"The picture {self.digest[:12]}… is not here, only its Git LFS pointer.",
            "Fetch it: git lfs pull",
        )


def _convert(image: Image, path: Path) -> None:
    flat = _on_white(image) if path.suffix.lower() in {".jpg", ".jpeg"} else image
    try:
        flat.save(path)
    except (ValueError, KeyError) as error:
        raise RequestError(
            f"'{path.name}' names no picture format that can be written.", "Use .png, .jpg or .webp."
        ) from error


def _on_white(image: Image) -> Image:
    from PIL import Image

    if not image.has_transparency_data:
        return image.convert("RGB")
    clear = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


def decode(data: bytes) -> Image:
    """Return `data` as a loaded image.

    Only PNG, JPEG and WebP are tried, of one that moves only the first frame, and nothing above 40 million
    pixels or with a side above 16,384; else `BadImage`.
    """
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


def _too_large(data: bytes, what: str = f"more than {MAX_PIXELS // 1_000_000} million pixels") -> BadImage:
    return BadImage(
        f"The picture has {what}.",
        "It is not decoded; its bytes are kept as they came.",
        data=data,
    )


def _bad_image(data: bytes, error: Exception) -> BadImage:
    if not data:
        return BadImage("The answer holds an empty picture.", "It may have been billed.", data=data)
    return BadImage(
        f"The answer holds {len(data):,} bytes that are no readable PNG, JPEG or WebP"
        f" ({type(error).__name__}).",
        "It may have been billed; the bytes are kept as they came.",
        data=data,
    )


@dataclass(frozen=True)
class Result(Sequence["Image"]):
    """What one request gave: a sequence of PIL images that also keeps the exact bytes.

    `result[0]`, `for image in result` and `len(result)` speak of `PIL.Image.Image`; `.pictures` are the
    same with their bytes and recipes. A slice is a Result again. How it shows itself in a notebook is
    given by the session as `view`. `extra` is what the service sent beyond what was asked for.
    """

    request: Request
    pictures: tuple[Picture, ...]
    view: Callable[[Result], Bundle] | None = field(default=None, compare=False, repr=False)
    extra: tuple[Answer, ...] = field(default=(), compare=False, repr=False)

    @classmethod
    def of(cls, request: Request, answers: Iterable[Answer], *, engine: str, created: int = 0) -> Result:
        """Build the result of `request` from pictures in the order of its samples."""
        pictures = tuple(
            Picture(
                answer.data,
                answer.media_type,
                Recipe(
                    request=request.part(sample),
                    engine=engine,
                    revised_prompt=answer.revised_prompt,
                    created=created,
                ),
            )
            for sample, answer in zip(request.samples, answers, strict=False)
        )
        return cls(request, pictures)

    @property
    def recipe(self) -> Recipe:
        """How the pictures came about; what differs between several stands in each picture's own recipe."""
        if not self.pictures:
            return Recipe(request=self.request, engine="")
        first = self.pictures[0].recipe
        return replace(
            first, request=self.request, revised_prompt=first.revised_prompt if len(self) == 1 else None
        )

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> Result: ...
    def __getitem__(self, index: int | slice) -> Image | Result:
        if isinstance(index, slice):
            return replace(self, pictures=self.pictures[index])
        return self.pictures[index].image

    def __len__(self) -> int:
        return len(self.pictures)

    def __iter__(self) -> Iterator[Image]:
        return (picture.image for picture in self.pictures)

    def save(self, path: str | Path) -> list[Path]:
        """Write the pictures and return where: `whale.png`, or `whale-1.png`, `whale-2.png` … of several."""
        path = Path(path)
        if len(self) == 1:
            return [self.pictures[0].save(path)]
        return [
            picture.save(path.with_name(f"{path.stem}-{number}{path.suffix}"))
            for number, picture in enumerate(self.pictures, 1)
        ]

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        return self.view(self) if self.view else {"text/plain": repr(self)}


@dataclass(frozen=True)
class Answer:
    """One picture of an engine's answer, before it is joined with the request."""

    data: bytes = field(repr=False)
    media_type: str = "image/png"
    revised_prompt: str | None = None


class Engine(Protocol):
    """An async function from a `Request` to a `Result`; it raises `EngineError` when it has none."""

    async def __call__(self, request: Request, /) -> Result: ...


class Incomplete(EngineError):
    """Some pictures arrived, the rest did not: `result` holds the good ones, `causes` says why."""

    default_status = 502

    def __init__(self, result: Result, causes: Sequence[BelugaError]) -> None:
        self.result = result
        self.causes = tuple(causes)
        cause = self.causes[0]
        wanted = result.request.n
        super().__init__(
            f"{len(result)} of {wanted} pictures arrived; the rest failed: {cause.message}",
            f"{cause.hint} Running it again asks only for what is missing.".strip(),
        )
        self.may_be_billed = any(cause.may_be_billed for cause in self.causes)
