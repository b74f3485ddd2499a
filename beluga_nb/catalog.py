"""Models and sizes: what exists, what a model takes, and how pixel sizes become labels.

The data stands in `models.toml`; the rules are BelugAPI's (Models, Sizes, Request parameters).
`supported_parameters` is what a model takes: requests are checked by it, and the records of models and
the OpenAPI document are written from it.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any

from beluga_nb.errors import RequestError, UnknownNameError
from beluga_nb.hints import Code, Hint, Remedy
from beluga_nb.images import FORMATS
from beluga_nb.request import PROMPT_LIMIT, Request
from beluga_nb.text import sanitize

AUTO = "auto"
DEFAULT_SIZE = "1:1"
QUALITIES = ("standard", "hd")

OPENAI_QUALITIES = {
    "low": "standard",
    "medium": "standard",
    "auto": "standard",
    "high": "hd",
    "xhigh": "hd",
    "max": "hd",
}
"""OpenAI's words for quality, which the embedded server takes too (API reference: Request parameters)."""

_EDGE = "(1[6-9]|[2-9][0-9]|[1-9][0-9]{2,4})"
PIXELS = rf"\s*{_EDGE}\s*[xX×]\s*{_EDGE}\s*"
"""Width and height of at least 16 pixels each."""


@dataclass(frozen=True, kw_only=True)
class Enum:
    """A parameter that takes one of `values`, or a synonym from `also`."""

    about: str
    values: tuple[str, ...]
    default: str | None = None
    also: Mapping[str, str] = field(default_factory=dict, hash=False)

    def taken(self, name: str, value: str, _model: str, /) -> str:
        """Return the value that is meant; raise `UnknownNameError` for any other."""
        if value in self.values:
            return value
        if value in self.also:
            return self.also[value]
        raise UnknownNameError(name.replace("_", " "), value, self.values, param=name)


@dataclass(frozen=True, kw_only=True)
class Sizes(Enum):
    """A parameter that takes labels, or pixels (`PIXELS`) that stand for the nearest label."""

    def taken(self, name: str, value: str, model: str, /) -> str:
        """Return the label; raise `RequestError` for one of another model's, `UnknownNameError` for none."""
        if value in self.values:
            return value
        own = [each for each in self.values if each != AUTO]
        if value in labels():
            raise RequestError(
                f"{model} has no size '{value}'.",
                Hint(
                    f"It takes {', '.join(own)} or auto; nearest is ",
                    Code(label_of(*pixels(value), own)),
                    ".",
                ),
                param=name,
            )
        if match := re.fullmatch(PIXELS, value):
            return label_of(int(match[1]), int(match[2]), own)
        hint = f"{model} takes {', '.join(self.values)} or pixels such as 1024x1024."
        raise UnknownNameError(name, value, self.values, hint=hint, param=name)


@dataclass(frozen=True, kw_only=True)
class Range:
    """A parameter that takes a whole number from `least` to `most`; no `most`, no limit."""

    about: str
    least: int
    most: int | None = None
    default: int | None = None
    advice: str = "Give a whole number in that range."

    def taken(self, name: str, value: int, model: str, /) -> int:
        """Return the number; raise `RequestError` for one out of range."""
        if value < self.least or (self.most is not None and value > self.most):
            raise RequestError(
                f"{name} is {sanitize(str(value), 20)}, but {model} takes {self.least} to {self.most}.",
                self.advice,
                param=name,
            )
        return value


@dataclass(frozen=True, kw_only=True)
class Text:
    """A parameter that takes text of at most `longest` characters; not `blank`, more than white space."""

    about: str
    longest: int | None = None
    blank: bool = True
    default: str | None = None

    def taken(self, _name: str, value: str, _model: str, /) -> str:
        """Return the text as it is: `Request` has checked it already, whatever the model."""
        return value


Parameter = Enum | Range | Text

RESPONSE_FORMAT = Enum(
    about="Whether the answer holds links, which work for 60 minutes, or the pictures themselves.",
    values=("url", "b64_json"),
    default="url",
)

EXTENSIONS: Mapping[str, Parameter] = {
    "take": Text(about="A label for sampling the same request anew.", default=""),
    "sample": Range(about="The number of the first picture within its take.", least=0, default=0),
}
"""The embedded server's extensions to the contract: take and sample."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """A size label, the pixels that the embedded server draws for it, and what it is good for."""

    label: str
    pixels: tuple[int, int]
    best_for: str = ""

    @property
    def ratio(self) -> float:
        """Width over height."""
        return self.pixels[0] / self.pixels[1]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model: its id on the wire, its name, its maker, its size labels, and pictures per request."""

    id: str
    name: str
    provider: str
    sizes: tuple[str, ...]
    n_max: int


@cache
def _data() -> dict[str, list[dict[str, object]]]:
    try:
        return tomllib.loads(files("beluga_nb").joinpath("models.toml").read_text("utf-8"))
    except OSError as error:  # no file descriptor is free
        raise RequestError(
            f"models.toml cannot be read ({error.strerror}).",
            "Nothing was sent. Close files, or restart the kernel, and ask again.",
        ) from None


@cache
def sizes() -> tuple[Size, ...]:
    """Return all sizes, in the order that breaks ties."""
    return tuple(Size(**{**row, "pixels": tuple(row["pixels"])}) for row in _data()["size"])  # type: ignore[arg-type]


@cache
def labels() -> tuple[str, ...]:
    """Return the labels of all sizes."""
    return tuple(size.label for size in sizes())


@cache
def models() -> tuple[Model, ...]:
    """Return all models, in the service's own order."""
    return tuple(
        Model(**{**row, "sizes": labels() if row["sizes"] == "all" else tuple(row["sizes"])})  # type: ignore[arg-type]
        for row in _data()["model"]
    )


@dataclass(frozen=True)
class Listing:
    """Models, those that only the service has (`others`), those of `named` servers, and a line about it."""

    models: Sequence[Model]
    others: Sequence[Model] = ()
    note: str = ""
    named: Sequence[Model] = ()


def matching(
    text: str = "", *, provider: str = "", size: str = "", among: Sequence[Model] | None = None
) -> list[Model]:
    """Return the models with all words of `text` in id, name or provider, of a provider, that have a size.

    >>> [model.id for model in matching("flux", size="21:9")]
    ['flux-kontext', 'flux-2.0']
    """
    among = models() if among is None else among
    return [model for model in among if _matches(model, text, provider) and size in {"", *model.sizes}]


def compared(
    found: Sequence[Model], found_there: Sequence[Model], there: Sequence[Model], *, service: str
) -> Listing:
    """Return what was found here and at a service that lists `there`; the note names what that lacks."""
    ids = {model.id for model in there}
    lacking = [model.id for model in found if model.id not in ids]
    note = f"{service} does not list {', '.join(lacking)}." if lacking else f"{service} lists all of these."
    return Listing(found, [model for model in found_there if model.id not in _by_id()], note)


def _matches(model: Model, text: str, provider: str) -> bool:
    description = f"{model.id} {model.name} {model.provider}".casefold()
    words = text.casefold().split()
    return provider.casefold() in {"", model.provider.casefold()} and all(
        word in description for word in words
    )


@cache
def _by_id() -> dict[str, Model]:
    return {model.id: model for model in models()}


def find(model_id: str) -> Model:
    """Return the model of that id; raise `UnknownNameError`, naming the nearest, where there is none."""
    try:
        return _by_id()[model_id]
    except KeyError:
        raise UnknownNameError(
            "model",
            model_id,
            _by_id(),
            hint=Hint(Remedy("models"), f" lists all {len(models())}."),
            param="model",
            code="model_not_found",
        ) from None


@cache
def supported_parameters(model: Model) -> Mapping[str, Parameter]:
    """Return what a request for this model takes beside its id, by the API's names.

    >>> supported_parameters(find("gpt-image-2"))["n"].most
    1
    """
    return {
        "prompt": Text(
            about="What the picture shows, in words; white space around it does not count.",
            longest=PROMPT_LIMIT,
            blank=False,
        ),
        "n": Range(
            about="How many pictures.", least=1, most=model.n_max, default=1, advice="Send more requests."
        ),
        "size": Sizes(
            about="A label, auto, or width x height in pixels, which become the nearest label.",
            values=(*model.sizes, AUTO),
            default=DEFAULT_SIZE,
        ),
        "quality": Enum(
            about="How finely it is drawn; OpenAI's words are taken for the nearest of the two.",
            values=QUALITIES,
            default=QUALITIES[0],
            also=OPENAI_QUALITIES,
        ),
        "output_format": Enum(about="The format of the pictures.", values=tuple(FORMATS), default="png"),
        "output_compression": Range(
            about="How much a JPEG or WebP keeps: 0 is smallest, 100 is best. A PNG always keeps all.",
            least=0,
            most=100,
        ),
        "response_format": RESPONSE_FORMAT,
    }


def pixels(label: str) -> tuple[int, int]:
    """Return the width and height that the embedded server draws for a label.

    >>> pixels("16:9")
    (1536, 864)
    """
    return next(size.pixels for size in sizes() if size.label == label)


def label_of(width: int, height: int, allowed: Sequence[str]) -> str:
    """Return the allowed label nearest to a pixel size, in log distance (API reference: Sizes).

    >>> label_of(1792, 1024, labels())
    '16:9'
    """
    # By logarithms 2:1 and 1:2 are equally far from 1:1.
    wanted = math.log(width / height)
    among = [size for size in sizes() if size.label in allowed]
    return min(among, key=lambda size: abs(wanted - math.log(size.ratio))).label


def canonical(request: Request, *, allow_unknown_model: bool = False) -> Request:
    """Return the request in the catalogue's words: pixel sizes as labels, OpenAI's qualities as ours.

    Raises `UnknownNameError` or `RequestError` for what the model does not take, except too large an `n`,
    which `split` takes care of. With `allow_unknown_model`, a model that the catalogue does not
    know is left as it is, with whatever size and quality it was given: catalogues age.
    """
    # Left as it is: what an unknown model takes is the service's to decide.
    if allow_unknown_model and request.model not in _by_id():
        return request
    takes, given = supported_parameters(find(request.model)), request.parameters
    return replace(request, **{name: _taken(takes[name], name, given) for name in takes if name in given})


def of_another_server(request: Request) -> Request:
    """Return the request for a model that is in no catalogue, its pixels spelt as `WxH`.

    Raises `UnknownNameError` or `RequestError` for what no model takes at all.
    """
    # All models take the same formats, so any of them will do here.
    takes = supported_parameters(models()[0])
    quality = Enum(about="", values=(*QUALITIES, *OPENAI_QUALITIES))
    if request.quality is not None:
        quality.taken("quality", request.quality, request.model)
    given = request.parameters
    for name in ("output_format", "output_compression"):
        if name in given:
            _taken(takes[name], name, given)
    if request.size is None or request.size in {*labels(), AUTO}:
        return request
    if match := re.fullmatch(PIXELS, request.size):
        return replace(request, size=f"{match[1]}x{match[2]}")
    hint = Hint(
        f"There are the {len(labels())} labels of ", Remedy("sizes"), ", auto, and pixels such as 1024x1024."
    )
    raise UnknownNameError("size", request.size, (*labels(), AUTO), hint=hint, param="size")


OFF_RATIO = 0.02
"""How far a ratio may be off without a remark: many models round sides to multiples of 8 or 16."""


def off_ratio(request: Request, came: Iterable[tuple[int, int]]) -> str:
    """Return a remark if pictures came in another shape than was asked for.

    >>> off_ratio(Request(prompt="a fox", model="lab:sd", size="16:9"), [(512, 512)])
    'lab:sd gave 512 × 512 where 16:9 was asked for.'
    """
    match = re.fullmatch(r"(\d+)[:x](\d+)", request.size or "")
    if match is None:
        return ""
    wanted = int(match[1]) / int(match[2])
    off = [size for size in came if all(size) and abs(size[0] / size[1] / wanted - 1) > OFF_RATIO]
    sizes = " and ".join(f"{width} × {height}" for width, height in dict.fromkeys(off))
    return f"{request.model} gave {sizes} where {request.size} was asked for." if off else ""


def check_count(request: Request) -> None:
    """Raise `RequestError` where one request for the model cannot ask for that many pictures."""
    takes = supported_parameters(find(request.model))
    _taken(takes["n"], "n", {"n": request.n, "model": request.model})


def _taken(parameter: Parameter, name: str, given: Mapping[str, str | int]) -> Any:
    # Request has seen to it that each value is of its parameter's type.
    return parameter.taken(name, given[name], str(given["model"]))  # type: ignore[arg-type]


def conversions(asked: Request, request: Request) -> list[str]:
    """Return remarks on where the canonical request differs from the one that was made."""
    return [
        f"{name} {before} is asked for as {after}"
        for name, before, after in (
            ("size", asked.size, request.size),
            ("quality", asked.quality, request.quality),
        )
        if before != after
    ]


def split(request: Request) -> list[Request]:
    """Return the requests that together ask for all `n` pictures, none for more than the model's limit.

    >>> [part.n for part in split(Request(prompt="a cat", model="flux-2.0", n=6))]
    [4, 2]
    """
    known = _by_id().get(request.model)
    most = known.n_max if known else 1
    return [
        request.slice(sample, min(most, request.samples.stop - sample))
        for sample in range(request.sample, request.samples.stop, most)
    ]
