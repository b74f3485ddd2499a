"""The values that everything speaks: `Request`, `Picture`, `Result`, and what an `Engine` is.

An engine is an async function from a `Request` to a `Result`. Whatever wraps one is one again,
and never changes the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload
from uuid import uuid4

import beluga_nb.cells as cells
import beluga_nb.untrusted as untrusted
from beluga_nb.errors import (
    Address,
    BadImage,
    BelugaError,
    EngineError,
    MetadataError,
    RequestError,
    StoreError,
)
from beluga_nb.keyless import keyless
from beluga_nb.metadata import excess, png
from beluga_nb.paths import path_of
from beluga_nb.text import redact, redacted_bundle, shown

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
"""Pixels above which a picture is not decoded (S25)."""

SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
"""IPTC's vocabulary for what made a picture."""

RECIPE_SCHEMA = 1
"""The format of the recipe in a saved file."""

MAX_SIDE = 16_384
"""Pixels of a side above which a picture is not decoded (S25)."""

PROCEDURAL = "procedural"
"""The `engine` of pictures that the built-in painter drew: previews, not model output."""

_WHICH_PICTURES = {"n", "take", "sample", "run", "spool"}

Bundle = Mapping[str, str]
"""Media type to content, as Jupyter's display protocol takes it."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for; the parameters mean what they mean in the API.

    What is None was not set by the user: the service's own defaults apply. `output_format` is one of
    `FORMATS`, and `output_compression` is how good a JPEG or WebP is to be, from 0 to 100.
    `take` and `sample` never reach the service. A take is a label for "sample it all again", and
    `sample` is the number of the first of the `n` pictures within its take. `run` is the id of one call,
    the same however often it is sent (its `Idempotency-Key`), and `spool` is the file that its raw answer
    is written to as it arrives.

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
    spool: Path | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("prompt", "model", "take"):
            _check_text(name, getattr(self, name))
        for name in ("size", "quality", "output_format"):
            if getattr(self, name) is not None:
                _check_text(name, getattr(self, name))
        _check_prompt_length(self.prompt)
        _check_count("n", self.n, least=1)
        _check_count("sample", self.sample, least=0)
        if not isinstance(self.spool, Path | None):  # a file from outside may claim one
            raise RequestError("A request names the file of its own answer.", "Leave spool out.")
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
        return {name: value for name in _SAID if (value := getattr(self, name)) is not None}

    @property
    def samples(self) -> range:
        """The numbers of the pictures that are asked for."""
        return range(self.sample, self.sample + self.n)


_SAID = [each.name for each in fields(Request) if each.name not in _WHICH_PICTURES]

PARAMETERS = tuple(each.name for each in fields(Request) if each.compare)
"""What can be said of a request from outside: all of it but what belongs to one call alone."""


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise RequestError(
            f"The {name} is {shown(value, 60)}, not text.", f"Give {name} as a string.", param=name
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
            f"{name} is {shown(value, 60)}.",
            f"Give {name} as a whole number from {least} on.",
            param=name,
        )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How pictures came about: what was asked, who answered, and what that engine said it drew.

    `engine` is the name of what answered, "procedural" for the built-in painter; `created` is Unix
    time in seconds. Where the prompt was filled from a `template`, `values` are what it was filled with.
    """

    request: Request
    engine: str
    revised_prompt: str | None = None
    created: int = field(default=0, compare=False)
    template: str | None = field(default=None, compare=False)
    values: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def procedural(self) -> bool:
        """Whether the built-in painter drew this: a preview, not the output of `request.model`."""
        return self.engine == PROCEDURAL

    @property
    def arguments(self) -> dict[str, object]:
        """What `Session.generate` takes beside the prompt to ask for this again."""
        asked = self.request
        given = {name: value for name, value in asked.said.items() if name != "prompt"}
        rest = {"n": (asked.n, 1), "take": (asked.take, ""), "sample": (asked.sample, 0)}
        return given | {name: value for name, (value, usual) in rest.items() if value != usual}

    def properties(self, sha256: str) -> dict[str, str]:
        """Return what a saved file says of itself, as XMP properties: IPTC's (2025.1), and the recipe."""
        source = "algorithmicMedia" if self.procedural else "trainedAlgorithmicMedia"
        said = {"xmp:CreatorTool": "beluga_nb", "Iptc4xmpExt:DigitalSourceType": SOURCES + source}
        if not self.procedural:  # no model made a preview, and none is named
            said["Iptc4xmpExt:AISystemUsed"] = self.request.model
            said["Iptc4xmpExt:AIPromptInformation"] = self.request.prompt
        if created := _iso(self.created):
            said["xmp:CreateDate"] = created
        said["beluga:recipe"] = self.to_json(sha256)
        return {name: redact(value) for name, value in said.items()}

    def to_json(self, sha256: str) -> str:
        """Return the recipe as a saved file holds it, with the SHA-256 of the picture as it came."""
        record = {
            "schema": RECIPE_SCHEMA,
            "request": self.request.said,
            "take": self.request.take,
            "sample": self.request.sample,
            "engine": self.engine,
            "created": self.created,
            "revised_prompt": self.revised_prompt,
            "sha256": sha256,
        }
        if self.template is not None:
            record |= {"template": self.template, "values": dict(self.values)}
        return json.dumps(record)  # in ASCII, which no program that rewrites a file can spoil

    @classmethod
    def from_json(cls, text: str) -> tuple[Recipe, str]:
        """Return the recipe and the SHA-256 that `to_json` wrote; raise `MetadataError` for anything else."""
        try:
            record = untrusted.members(untrusted.load_json(text))
            if record["schema"] != RECIPE_SCHEMA:
                raise MetadataError(
                    "The recipe was written by another version of beluga_nb.",
                    f"This one reads format {RECIPE_SCHEMA}.",
                )
            return _recipe_from(record), untrusted.text(record["sha256"])
        except untrusted.DAMAGE:
            raise MetadataError(
                "The recipe in the file is damaged.", "PIL.Image.open() opens the picture itself."
            ) from None


def _recipe_from(record: Mapping[str, Any]) -> Recipe:
    asked = untrusted.members(record["request"])
    said = {name: asked[name] for name in PARAMETERS if name in asked}
    template, values = untrusted.text_or_none(record.get("template")), record.get("values", {})
    for name, text in untrusted.members(values).items():
        _check_text("recipe", name)
        _check_text("recipe", text)
    return Recipe(
        request=Request(**said | {"n": 1, "take": record["take"], "sample": record["sample"]}),
        engine=untrusted.text(record["engine"]),
        revised_prompt=untrusted.text_or_none(record["revised_prompt"]),
        created=untrusted.whole(record["created"]),
        template=template,
        values=values if template is not None else {},
    )


def _iso(seconds: int) -> str:
    """Return Unix time as XMP writes it, or nothing where there is none."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds > 0 else ""
    except (OverflowError, ValueError, OSError):  # a service may say anything
        return ""


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
        return size_of(self.data)

    def save(self, path: str | Path, *, metadata: str = "auto") -> Path:
        """Write the picture with its recipe; no pixel changes, unless the suffix names another format.

        The recipe goes into the file, from which `beluga_nb.open` reads it. `metadata` is "auto"; "embed",
        even where it makes a signature (C2PA) invalid; "sidecar", a file `whale.png.xmp` beside it; or
        "none". A warning says where "auto" had to take a sidecar. `data` and `sha256` stay as they are.
        """
        from beluga_nb.metadata import files  # in its place: who replays waits for no parser of XML

        path = _named(path)
        if not path.suffix:
            path = path.with_suffix(SUFFIXES[self.media_type])
        suffix = path.suffix.lower()
        media_type = _MEDIA_TYPE_OF_SUFFIX.get(suffix, suffix)
        data = self.data if media_type == self.media_type else _converted(self.image, path)
        files.write(path, data, media_type, self.recipe.properties(self.sha256), how=metadata)
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

    def save(self, path: str | Path, *, metadata: str = "auto") -> Path:  # noqa: ARG002
        """Raise `StoreError`: there is nothing to write."""
        raise self._elsewhere()

    def _elsewhere(self) -> StoreError:
        return StoreError(
            f"The picture {self.digest[:12]}… is not here, only its Git LFS pointer.",
            "Fetch it: git lfs pull",
        )


def _named(path: str | Path) -> Path:
    path = path_of(path)  # a ~name without a home folder stays as it is
    if path.name in {"", ".."}:
        raise RequestError(f"'{path}' names no file.", "Give the picture a name: save('whale.png')")
    return path


def _converted(image: Image, path: Path) -> bytes:
    from PIL import Image

    suffix, buffer = path.suffix.lower(), io.BytesIO()
    flat = _on_white(image) if suffix in {".jpg", ".jpeg"} else image
    try:
        flat.save(buffer, Image.registered_extensions()[suffix])
    except (ValueError, KeyError, OSError) as error:
        raise RequestError(
            f"'{path.name}' names no picture format that can be written.", "Use .png, .jpg or .webp."
        ) from error
    return buffer.getvalue()


def _on_white(image: Image) -> Image:
    from PIL import Image

    if not image.has_transparency_data:
        return image.convert("RGB")
    clear = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


def decode(data: bytes) -> Image:
    """Return `data` as a loaded image.

    Only PNG, JPEG and WebP are tried, of one that moves only the first frame, and nothing above 40 million
    pixels, with a side above 16,384, or of too many parts (metadata/excess.py); else `BadImage`.
    """
    return _with_or_without_text(_decoded, data)


def size_of(data: bytes) -> tuple[int, int]:
    """Return width and height of a picture, by how it begins; raise `BadImage` as `decode`."""
    return _with_or_without_text(_opened, data).size


def _with_or_without_text(read: Callable[[bytes], Image], data: bytes) -> Image:
    if too_much := excess.excess(data):
        raise _too_large(data, too_much)
    # Pillow refuses a PNG with good pixels for a text that is damaged or long.
    try:
        return read(data)
    except BadImage as error:
        with contextlib.suppress(MetadataError, BadImage):
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


def _too_large(data: bytes, what: str = f"more than {MAX_PIXELS // 1_000_000} million pixels") -> BadImage:
    return BadImage(
        f"The picture has {what}.",
        "It is not decoded; its bytes are kept as they came.",
        data=data,
        whole=True,
    )


def _bad_image(data: bytes, error: Exception) -> BadImage:
    if not data:
        return BadImage("The answer holds an empty picture.", "It may have been billed.", data=data)
    return BadImage(
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


@dataclass(frozen=True)
class Result(Sequence["Image"]):
    """What one request gave: a sequence of PIL images that also keeps the exact bytes.

    `result[0]`, `for image in result` and `len(result)` speak of `PIL.Image.Image`; `.pictures` are the
    same with their bytes and recipes. A slice is a Result again. How it shows itself in a notebook, and
    who is asked again, is given by the session as `view` and `ask`. `extra` yields what the service sent
    beyond what was asked for; until someone wants it, it may lie at an address.
    """

    request: Request
    pictures: tuple[Picture, ...]
    view: Callable[[Result], Bundle] | None = field(default=None, compare=False, repr=False)
    ask: Callable[..., Result] | None = field(default=None, compare=False, repr=False)
    extra: Callable[[], AsyncGenerator[Answer, None]] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(
        cls, request: Request, answers: Iterable[Answer | Image | bytes], *, engine: str, created: int = 0
    ) -> Result:
        """Build the result of `request` from pictures in the order of its samples.

        Each is a PIL image, which becomes a PNG, or the bytes of a PNG, JPEG or WebP, which stay as they are.
        `engine` is the name of what made them. Raises `BadImage` for what is no picture.
        """
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
                answer.preview,
            )
            for sample, answer in zip(request.samples, map(_answer, _each(answers)), strict=False)
        )
        return cls(request, pictures)

    def from_template(self, template: str | None, values: Mapping[str, str]) -> Result:
        """Return the result whose recipes know what their prompt was filled from: None is nothing."""
        if template is None is self.recipe.template:
            return self
        recipes = [replace(each.recipe, template=template, values=values) for each in self.pictures]
        pictures = zip(self.pictures, recipes, strict=True)
        return replace(self, pictures=tuple(replace(each, recipe=recipe) for each, recipe in pictures))

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

    def save(self, path: str | Path, *, metadata: str = "auto") -> list[Path]:
        """Write the pictures and return where: `whale.png`, or `whale-1.png`, `whale-2.png` … of several.

        `metadata` says where their recipes go, as in `Picture.save`.
        """
        path = _named(path)
        if len(self) == 1:
            return [self.pictures[0].save(path, metadata=metadata)]
        return [
            picture.save(path.with_name(f"{path.stem}-{number}{path.suffix}"), metadata=metadata)
            for number, picture in enumerate(self.pictures, 1)
        ]

    def to_magic(self) -> str:
        """Return the `%%beluga` cell that asks for this; a template stands in it filled.

        Raises `RequestError` for `output_format` and `output_compression`, which only Python can say.
        """
        return cells.magic(self.request.prompt, self.recipe.arguments)

    def to_python(self) -> str:
        """Return the call of `beluga_nb.generate` that asks for this, with the template if there was one."""
        return cells.call(*self._asked())

    @keyless
    def rerun(self, /, **changes: object) -> Result:
        """Ask again, with the changes: any argument of `generate`, such as `size="16:9"` or `prompt=`.

        What was recorded is replayed; another `take` samples anew. Raises `RequestError` where no
        session has given this result.
        """
        if self.ask is None:
            raise RequestError(
                "This result comes from no session, so nobody can be asked.", "Use beluga_nb.generate()."
            )
        prompt, arguments = self._asked()
        if "prompt" in changes:
            arguments.pop("values", None)
        return self.ask(**{"prompt": prompt} | arguments | changes)

    def __getstate__(self) -> dict[str, object]:
        # A session, with its connections, is neither copied nor pickled.
        return self.__dict__ | {"ask": None, "extra": None}

    def _asked(self) -> tuple[str, dict[str, object]]:
        recipe = self.recipe
        if recipe.template is None:
            return self.request.prompt, recipe.arguments
        return recipe.template, recipe.arguments | {"values": dict(recipe.values)}

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        return redacted_bundle(self.view(self) if self.view else {"text/plain": repr(self)})


@dataclass(frozen=True)
class Answer:
    """One picture of an engine's answer, before it is joined with the request."""

    data: bytes = field(repr=False)
    media_type: str = "image/png"
    revised_prompt: str | None = None
    preview: Preview | None = field(default=None, compare=False, repr=False)


_PICTURES = "Give a list of PIL images or bytes: [Image.fromarray(array)]."


def _each(answers: object) -> Iterable[object]:
    if isinstance(answers, bytes | str) or not isinstance(answers, Iterable):  # one picture, and no list
        raise BadImage(f"An object of the type {type(answers).__name__} is no list of pictures.", _PICTURES)
    return answers


def _answer(picture: object) -> Answer:
    if isinstance(picture, Answer):
        return picture
    if isinstance(picture, bytes):
        return Answer(picture, MEDIA_TYPES[str(_with_or_without_text(_opened, picture).format)])
    from PIL.Image import Image

    if not isinstance(picture, Image):
        raise BadImage(f"An object of the type {type(picture).__name__} is no picture.", _PICTURES)
    buffer = io.BytesIO()
    try:
        picture.save(buffer, "PNG")
    except (OSError, ValueError) as error:
        raise BadImage(
            f"An image of the mode {picture.mode} cannot be written as a PNG.",
            'Convert it: image.convert("RGB").',
        ) from error
    return Answer(buffer.getvalue())


Small = Callable[["Image"], Preview]
"""Makes the small copy of a picture that is decoded, which it leaves as it is."""

SMALL: ContextVar[Small | None] = ContextVar("SMALL", default=None)
"""What makes the small copy of a picture, where one will be wanted.

Who decodes a picture to see that it is whole makes it on the way: decoding is the most of the work.
"""


class Engine(Protocol):
    """An async function from a `Request` to a `Result`; it raises `EngineError` when it has none."""

    async def __call__(self, request: Request, /) -> Result: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnEngine:
    """A person's engine that a session asks in place of all services; it lives as long as a session has it.

    Its pictures are recorded under `name`. `checked` is the engine held to what an engine promises.
    """

    engine: Engine
    name: str
    checked: Engine


class Incomplete(EngineError):
    """Some pictures arrived, the rest did not: `result` holds the good ones, `causes` says why."""

    default_status = 502

    def __init__(self, result: Result, causes: Sequence[BelugaError]) -> None:
        self.result = result
        self.causes = tuple(causes)
        cause = self.causes[0]
        wanted = result.request.n
        kept = all(isinstance(each, BadImage) and each.whole for each in self.causes)
        again = "" if kept else "Running it again asks only for what is missing."
        super().__init__(
            f"{len(result)} of {wanted} pictures arrived; the rest failed: {cause.message}",
            f"{cause.hint} {again}".strip(),
        )
        self.outcome = "unknown" if any(cause.may_be_billed for cause in self.causes) else "refused"


E = TypeVar("E", bound=BaseException)


def causes(error: E) -> Sequence[E | BelugaError]:
    """Return why pictures are missing; there may be a reason for each."""
    if isinstance(error, Incomplete):
        return error.causes
    return [error, *error.others] if isinstance(error, EngineError) else [error]


class Stopped(asyncio.CancelledError):
    """A call was stopped, and more is known of it than that it was.

    `arrived` checks the pictures whose bytes were there, which takes a while, and returns them, or what is
    wrong with them. `may_be_billed` is false where nothing was on its way, as between two attempts.
    `addresses` says where pictures lie that were made and not fetched yet.
    """

    def __init__(
        self,
        arrived: Callable[[], Sequence[Result | BelugaError]] = tuple,
        *,
        may_be_billed: bool = True,
        addresses: Sequence[Address] = (),
    ) -> None:
        super().__init__()
        self.arrived = arrived
        self.may_be_billed = may_be_billed
        self.addresses = tuple(addresses)
