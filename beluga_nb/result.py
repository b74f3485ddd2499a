"""The `Result` of an engine, its `Picture`s and their recipes, and the `Engine` protocol.

An engine is an async function from a `Request` to a `Result`. A wrapper of an engine is an engine too, and
never changes the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

import beluga_nb.commands.cells as cells
import beluga_nb.images as images
import beluga_nb.untrusted as untrusted
from beluga_nb.errors import (
    MAY_BE_BILLED,
    Address,
    BelugaError,
    EngineError,
    InvalidImageError,
    MetadataError,
    RequestError,
    StoreError,
)
from beluga_nb.hints import Code, Hint
from beluga_nb.images import (
    MEDIA_TYPE_OF_SUFFIX,
    SUFFIXES,
    convert,
    decode,
    encode,
    is_truncated,
    media_type,
    media_type_of,
    shared,
    size_of,
)
from beluga_nb.interrupted import showing
from beluga_nb.key_check import refuses_keys
from beluga_nb.paths import file_path_of
from beluga_nb.redaction import redact, redacted_bundle
from beluga_nb.request import PARAMETERS, Request, check_text
from beluga_nb.signatures import named_methods
from beluga_nb.text import plural, sanitize

if TYPE_CHECKING:
    from PIL.Image import Image

SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
"""IPTC's vocabulary for what made a picture."""

RECIPE_SCHEMA = 1
"""The format of the recipe in a saved file."""

PROCEDURAL = "procedural"
"""The `engine` of pictures that the built-in painter drew: previews, not model output."""

Bundle = Mapping[str, str]
"""Media type to content, as Jupyter's display protocol takes it."""


@dataclass(frozen=True)
class Usage:
    """What a picture took when a service made it: the seconds of its request, and its cost.

    The cost is an estimate by the prices that were set then, such as "0.04 USD"; None where there was none.
    """

    seconds: float
    cost: str | None = None


@named_methods
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How pictures were made: the request, the engine that answered, and the prompt that it drew.

    `engine` is the name of the engine, "procedural" for the built-in painter; `created` is Unix
    time in seconds. Where the prompt was filled from a `template`, `values` are what it was filled with.
    `usage` is known of pictures that a service made and the store recorded.
    """

    request: Request
    engine: str
    revised_prompt: str | None = None
    created: int = field(default=0, compare=False)
    template: str | None = field(default=None, compare=False)
    values: Mapping[str, str] = field(default_factory=dict, compare=False)
    usage: Usage | None = field(default=None, compare=False, repr=False)

    @property
    def procedural(self) -> bool:
        """Whether the built-in painter drew this: a preview, not the output of `request.model`."""
        return self.engine == PROCEDURAL

    @property
    def date(self) -> datetime | None:
        """When it was made, in UTC; None where that is not known."""
        try:
            return datetime.fromtimestamp(self.created, UTC) if self.created > 0 else None
        except (OverflowError, ValueError, OSError):  # the service may send any number
            return None

    @property
    def arguments(self) -> dict[str, object]:
        """The arguments of `Session.generate`, beside the prompt, that ask for this again."""
        asked = self.request
        given = {name: value for name, value in asked.parameters.items() if name != "prompt"}
        rest = {"n": (asked.n, 1), "take": (asked.take, ""), "sample": (asked.sample, 0)}
        return given | {name: value for name, (value, usual) in rest.items() if value != usual}

    def properties(self, sha256: str) -> dict[str, str]:
        """Return the XMP properties of a saved file: IPTC's (2025.1), and the recipe."""
        source = "algorithmicMedia" if self.procedural else "trainedAlgorithmicMedia"
        properties = {"xmp:CreatorTool": "beluga_nb", "Iptc4xmpExt:DigitalSourceType": SOURCES + source}
        if not self.procedural:  # a preview was not made by a model
            properties["Iptc4xmpExt:AISystemUsed"] = self.request.model
            properties["Iptc4xmpExt:AIPromptInformation"] = self.request.prompt
        if date := self.date:
            properties["xmp:CreateDate"] = date.strftime("%Y-%m-%dT%H:%M:%SZ")
        properties["beluga:recipe"] = self.to_json(sha256)
        return {name: redact(value) for name, value in properties.items()}

    def to_json(self, sha256: str) -> str:
        """Return the recipe as a saved file holds it, with the SHA-256 of the picture as it came."""
        record = {
            "schema": RECIPE_SCHEMA,
            "request": self.request.parameters,
            "take": self.request.take,
            "sample": self.request.sample,
            "engine": self.engine,
            "created": self.created,
            "revised_prompt": self.revised_prompt,
            "sha256": sha256,
        }
        if self.template is not None:
            record |= {"template": self.template, "values": dict(self.values)}
        return json.dumps(record)  # ASCII, which survives programs that rewrite a file

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
    given = {name: asked[name] for name in PARAMETERS if name in asked}
    template, values = untrusted.text_or_none(record.get("template")), record.get("values", {})
    for name, text in untrusted.members(values).items():
        check_text("recipe", name)
        check_text("recipe", text)
    return Recipe(
        request=Request(**given | {"n": 1, "take": record["take"], "sample": record["sample"]}),
        engine=untrusted.text(record["engine"]),
        revised_prompt=untrusted.text_or_none(record["revised_prompt"]),
        created=untrusted.whole(record["created"]),
        template=template,
        values=values if template is not None else {},
    )


@dataclass(frozen=True)
class Preview:
    """The small copy of a picture that goes into the notebook."""

    data: bytes
    media_type: str


@named_methods
@dataclass(frozen=True, repr=False)
class Picture:
    """One generated image: the exact bytes as they came, their media type, and the recipe."""

    data: bytes
    media_type: str
    recipe: Recipe
    preview: Preview | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {_brief(self.recipe.request)}, {self.media_type}>"

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of `data`, 64 hexadecimal digits."""
        sha256 = hashlib.sha256(self.data).hexdigest()
        images.index_by_sha256(self.data, sha256)
        return sha256

    @property
    def image(self) -> Image:
        """A `PIL.Image.Image`, a new one at each access, so that drawing on one does not change another.

        Raises `InvalidImageError` when `data` is not a PNG, JPEG or WebP of at most 40 million pixels.
        """
        return decode(self.data, known_sha256(self))

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return size_of(self.data, known_sha256(self))

    def save(self, path: str | Path, *, metadata: str = "auto") -> Path:
        """Write the picture with its recipe; no pixel changes, unless the suffix names another format.

        The recipe goes into the file, from which `beluga_nb.open` reads it. `metadata` is "auto"; "embed",
        even where it makes a signature (C2PA) invalid; "sidecar", a file `whale.png.xmp` beside it; or
        "none". Where "auto" has to take a sidecar, a warning tells. `data` and `sha256` stay as they are.
        """
        from beluga_nb.metadata import files  # lazy: a replay needs no XML parser

        path = file_path_of(path)
        if not path.suffix:
            path = path.with_suffix(SUFFIXES[self.media_type])
        suffix = path.suffix.lower()
        wanted = MEDIA_TYPE_OF_SUFFIX.get(suffix, suffix)
        data = self.data if wanted == self.media_type else convert(self.image, path)
        files.write(path, data, wanted, self.recipe.properties(self.sha256), how=metadata)
        return path


_OF_DATA = {"sha256", "size"}
"""The properties of a picture that depend on its bytes alone."""


def known_sha256(picture: Picture) -> str:
    """Return the SHA-256 of a picture's bytes if it was needed before, else nothing."""
    return str(picture.__dict__.get("sha256", ""))


def with_fields(picture: Picture, **fields: Recipe | Preview | None) -> Picture:
    """Return the same picture with another `recipe` or `preview`; what is known of its bytes stays known."""
    changed = replace(picture, **fields)  # type: ignore[arg-type]  # either of the two
    changed.__dict__.update({name: picture.__dict__[name] for name in _OF_DATA & picture.__dict__.keys()})
    return changed


@dataclass(frozen=True, repr=False)
class MissingPicture(Picture):
    """A picture whose bytes are elsewhere: `data` is a Git LFS pointer to them.

    It has its preview, its hash (`digest`) and its size (`pixels`); methods that need the bytes raise
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
        """Width and height in pixels, from the recording."""
        return self.pixels

    @property
    def image(self) -> Image:
        """Raises `StoreError`: there is nothing to decode."""
        raise self.error

    def save(self, path: str | Path, *, metadata: str = "auto") -> Path:  # noqa: ARG002
        """Raise `StoreError`: there is nothing to write."""
        raise self.error

    @property
    def error(self) -> StoreError:
        """The error of everything that needs the bytes."""
        return StoreError(
            f"The picture {self.digest[:12]}… is not here, only its Git LFS pointer.",
            Hint("Fetch it: ", Code("git lfs pull")),
        )


def whole(picture: Picture) -> bytes:
    """Return the bytes of a picture; raise `StoreError` where they are elsewhere."""
    if isinstance(picture, MissingPicture):
        raise picture.error
    return picture.data


@dataclass(frozen=True, repr=False)
class Answer(Picture):
    """What a model answered to a `Question`: `data` is JSON, as `chat.answer_from_json` returns it.

    It stands in the place of a picture, so that all wrappers of engines treat both alike.
    """

    @property
    def image(self) -> Image:
        """Raises `RequestError`: an answer is no picture."""
        raise RequestError("An answer is no picture.", "Read what the judge has found.")


def _brief(request: Request) -> str:
    asked = [f"“{sanitize(request.prompt, 60)}”", sanitize(request.model, 80)]
    return ", ".join([*asked, *([sanitize(request.size, 40)] if request.size else [])])


@named_methods
@dataclass(frozen=True, repr=False)
class Result(Sequence["Image"]):
    """The pictures of one request: a sequence of PIL images that also keeps the exact bytes.

    `result[0]`, `for image in result` and `len(result)` are of `PIL.Image.Image`; `.pictures` are the
    same with their bytes and recipes. A slice is a Result again. The session sets `renderer`, which shows
    it in a notebook, and `regenerate`, which asks again. `extra` yields what the service sent beyond what
    was asked for; it may be downloaded only when it is read.
    """

    request: Request
    pictures: tuple[Picture, ...]
    renderer: Callable[[Result], Bundle] | None = field(default=None, compare=False)
    regenerate: Callable[..., Result] | None = field(default=None, compare=False)
    extra: Callable[[], AsyncGenerator[ImagePayload, None]] | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return f"<Result: {plural(len(self), 'picture')} of {_brief(self.request)}>"

    @classmethod
    def of(
        cls,
        request: Request,
        answers: Iterable[ImagePayload | Image | bytes],
        *,
        engine: str,
        created: int = 0,
    ) -> Result:
        """Build the result of `request` from pictures in the order of its samples.

        Each is a PIL image, which becomes a PNG, or the bytes of a PNG, JPEG or WebP, which stay as they are.
        `engine` is the name of what made them. Raises `InvalidImageError` for what is not a picture.
        """
        pictures = tuple(
            Picture(
                answer.data,
                answer.media_type,
                Recipe(
                    request=request.slice(sample),
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
        """Return the result with the template and values in its recipes; None is no template."""
        if template is None is self.recipe.template:
            return self
        recipes = [replace(each.recipe, template=template, values=values) for each in self.pictures]
        pictures = zip(self.pictures, recipes, strict=True)
        return replace(self, pictures=tuple(with_fields(each, recipe=recipe) for each, recipe in pictures))

    @property
    def recipe(self) -> Recipe:
        """The recipe of all pictures; fields that differ between them are in each picture's own recipe."""
        if not self.pictures:
            return Recipe(request=self.request, engine="")
        first = self.pictures[0].recipe
        return replace(
            first, request=self.request, revised_prompt=first.revised_prompt if len(self) == 1 else None
        )

    @property
    def image(self) -> Image:
        """The picture as a PIL image, where the result has one; raises `RequestError` otherwise."""
        if len(self.pictures) == 1:
            return self.pictures[0].image
        if not self.pictures:
            raise RequestError("This result has no picture.", "Ask again: result.rerun()")
        raise RequestError(
            f"This result has {len(self.pictures)} pictures, and .image is for one.",
            "Take one by its number, such as result[0], or all of them: for image in result",
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

        `metadata` is where their recipes go, as in `Picture.save`.
        """
        path = file_path_of(path)
        if len(self) == 1:
            return [self.pictures[0].save(path, metadata=metadata)]
        return [
            picture.save(path.with_name(f"{path.stem}-{number}{path.suffix}"), metadata=metadata)
            for number, picture in enumerate(self.pictures, 1)
        ]

    def to_magic(self) -> str:
        """Return the `%%beluga` cell that asks for this; with its template filled in.

        Raises `RequestError` for `output_format` and `output_compression`, which a cell cannot give.
        """
        return cells.magic(self.request.prompt, self.recipe.arguments)

    def to_python(self) -> str:
        """Return the call of `beluga_nb.generate` that asks for this, with the template if there was one."""
        return cells.call(*self._asked())

    @refuses_keys
    def rerun(self, /, **changes: object) -> Result:
        """Ask again, with the changes: any argument of `generate`, such as `size="16:9"` or `prompt=`.

        Recorded pictures are replayed; another `take` samples anew. Raises `RequestError` for a result that
        no session made.
        """
        if self.regenerate is None:
            raise RequestError(
                "This result comes from no session, so it cannot be asked for again.",
                "Use beluga_nb.generate().",
            )
        prompt, arguments = self._asked()
        if "prompt" in changes:
            # They were for the old template.
            arguments.pop("values", None)
        return self.regenerate(**{"prompt": prompt} | arguments | changes)

    def __getstate__(self) -> dict[str, object]:
        # A session is neither copied nor pickled.
        return self.__dict__ | {"regenerate": None, "extra": None}

    def _asked(self) -> tuple[str, dict[str, object]]:
        recipe = self.recipe
        if recipe.template is None:
            return self.request.prompt, recipe.arguments
        return recipe.template, recipe.arguments | {"values": dict(recipe.values)}

    @showing
    def _repr_mimebundle_(self, **_: object) -> Bundle:
        return redacted_bundle(self.renderer(self) if self.renderer else {"text/plain": repr(self)})


@dataclass(frozen=True)
class ImagePayload:
    """One picture of an engine's answer, without the request."""

    data: bytes = field(repr=False)
    media_type: str = "image/png"
    revised_prompt: str | None = None
    preview: Preview | None = field(default=None, compare=False, repr=False)


_PICTURES = "Give a list of PIL images or bytes: [Image.fromarray(array)]."


def _each(answers: object) -> Iterable[object]:
    if isinstance(answers, bytes | str) or not isinstance(answers, Iterable):  # a single picture
        raise InvalidImageError(
            f"An object of the type {type(answers).__name__} is not a list of pictures.",
            _PICTURES,
            outcome=None,
        )
    return answers


def _answer(picture: object) -> ImagePayload:
    if isinstance(picture, ImagePayload):
        return picture
    if isinstance(picture, bytes):
        return ImagePayload(picture, media_type_of(picture))
    from PIL.Image import Image  # Lazy import: a replay needs no Pillow.

    if not isinstance(picture, Image):
        raise InvalidImageError(
            f"An object of the type {type(picture).__name__} is not a picture.", _PICTURES, outcome=None
        )
    try:
        return ImagePayload(encode(picture, "PNG"))
    except (OSError, ValueError) as error:
        raise InvalidImageError(
            f"An image of the mode {picture.mode} cannot be written as a PNG.",
            'Convert it: image.convert("RGB").',
            outcome=None,
        ) from error


_BILLED = f"{MAY_BE_BILLED} The bytes are kept as they came."

PreviewMaker = Callable[["Image"], Preview]
"""Makes the small copy of a decoded picture, which it leaves as it is."""


def validate(data: bytes, make_preview: PreviewMaker | None = None) -> tuple[str, Preview | None]:
    """Return the media type of an answer's picture that is whole and decodes; else raise `InvalidImageError`.

    With `make_preview`, the small copy is returned too: decoding is most of its work.
    """
    if is_truncated(data):  # Pillow loads some truncated files, such as a PNG without its last twenty bytes
        raise InvalidImageError("The answer's picture is cut short.", _BILLED, data=data)
    try:
        image, preview = shared(data), None
    except InvalidImageError as error:
        error.outcome, error.hint = "unknown", _BILLED
        raise
    if make_preview:
        # A codec may fail here. The preview is tried again where it is needed, and the error shown there.
        with contextlib.suppress(Exception):
            preview = make_preview(image)
    return media_type(image), preview


class Engine(Protocol):
    """An async function from a `Request` to a `Result`; it raises `EngineError` when it has none."""

    async def __call__(self, request: Request, /) -> Result: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnEngine:
    """A user's engine, which a session asks instead of a service; its pictures are recorded under `name`.

    `within` returns the engine with a timeout in seconds, checked against what an engine promises. `path` is
    where other processes import it, or empty for an object of this process alone.
    """

    engine: Engine
    name: str
    path: str = ""
    within: Callable[[float], Engine]


class IncompleteError(EngineError):
    """Some pictures arrived, the rest did not: `result` holds the good ones, `causes` the reasons."""

    default_status = 502

    def __init__(self, result: Result, causes: Sequence[BelugaError]) -> None:
        self.result = result
        self.causes = tuple(causes)
        cause = self.causes[0]
        wanted = result.request.n
        # Of a format that is not decoded here: asking again would give nothing better.
        kept = all(isinstance(each, InvalidImageError) and each.whole for each in self.causes)
        again = "" if kept else " Running it again asks only for what is missing."
        super().__init__(
            f"{len(result)} of {wanted} {result.request.unit}s arrived; the rest failed: {cause.message}",
            Hint(cause.hint, again if cause.hint else again.lstrip()),
        )
        # A picture that cannot be decoded was made, whether or not its error knows of an answer.
        billed = any(cause.may_be_billed or isinstance(cause, InvalidImageError) for cause in self.causes)
        self.outcome = "unknown" if billed else "refused"

    @property
    def billing(self) -> str:
        """As of any error; empty where the rest was refused, since what arrived may have a price."""
        return "" if self.outcome == "refused" else super().billing


E = TypeVar("E", bound=BaseException)


def causes(error: E) -> Sequence[E | BelugaError]:
    """Return the errors behind missing pictures, one for each where they are known."""
    if isinstance(error, IncompleteError):
        return error.causes
    return [error, *error.others] if isinstance(error, EngineError) else [error]


class CallCancelled(asyncio.CancelledError):
    """A call was stopped; this holds what is known of it.

    `arrived` checks the pictures whose bytes were there, which takes a while, and returns them, or what is
    wrong with them. `may_be_billed` is false where nothing was on its way, as between two attempts.
    `addresses` are those of pictures that were made and not fetched yet.
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
