"""Models and sizes: what exists, what a model takes, and how pixel sizes become labels.

The data stands in `models.toml`; the rules in contract.md (Models, Sizes).
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from beluga_nb.core import Request
from beluga_nb.errors import RequestError, UnknownName

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
"""OpenAI's words for quality, which the embedded server takes too (contract.md: Request parameters)."""

_PIXELS = re.compile(r"\s*(\d{1,5})\s*[xX×]\s*(\d{1,5})\s*")
_LEAST_EDGE = 16


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
    """A model: its id on the wire, its name, who makes it, its size labels, and pictures per request."""

    id: str
    name: str
    provider: str
    sizes: tuple[str, ...]
    n_max: int


@cache
def _data() -> dict[str, list[dict[str, object]]]:
    return tomllib.loads(files("beluga_nb").joinpath("models.toml").read_text("utf-8"))


@cache
def sizes() -> tuple[Size, ...]:
    """Return the 13 sizes, in the order that breaks ties."""
    return tuple(Size(**{**row, "pixels": tuple(row["pixels"])}) for row in _data()["size"])  # type: ignore[arg-type]


@cache
def labels() -> tuple[str, ...]:
    """Return the 13 size labels."""
    return tuple(size.label for size in sizes())


@cache
def models() -> tuple[Model, ...]:
    """Return the 17 models, in the service's own order."""
    return tuple(
        Model(**{**row, "sizes": labels() if row["sizes"] == "all" else tuple(row["sizes"])})  # type: ignore[arg-type]
        for row in _data()["model"]
    )


@cache
def _by_id() -> dict[str, Model]:
    return {model.id: model for model in models()}


def find(model_id: str) -> Model:
    """Return the model of that id; raise `UnknownName`, naming the nearest, where there is none."""
    try:
        return _by_id()[model_id]
    except KeyError:
        raise UnknownName(
            "model",
            model_id,
            _by_id(),
            hint=f"%beluga models lists all {len(models())}.",
            param="model",
            code="model_not_found",
        ) from None


def pixels(label: str) -> tuple[int, int]:
    """Return the width and height that the embedded server draws for a label.

    >>> pixels("16:9")
    (1536, 864)
    """
    return next(size.pixels for size in sizes() if size.label == label)


def label_of(width: int, height: int, allowed: Sequence[str]) -> str:
    """Return the allowed label nearest to a pixel size, in log distance (contract.md: Sizes).

    >>> label_of(1792, 1024, labels())
    '16:9'
    """
    wanted = math.log(width / height)
    among = [size for size in sizes() if size.label in allowed]
    return min(among, key=lambda size: abs(wanted - math.log(size.ratio))).label


def canonical(request: Request, *, insist: bool = False) -> Request:
    """Return the request in the catalogue's words: pixel sizes as labels, OpenAI's qualities as ours.

    Raises `UnknownName` or `RequestError` for what the model does not take. With `insist`, a model
    that the catalogue does not know is left as it is, with whatever size and quality it was given:
    catalogues age.
    """
    if insist and request.model not in _by_id():
        return request
    model = find(request.model)
    return replace(request, size=_label(request.size, model), quality=_quality(request.quality))


def _label(size: str | None, model: Model) -> str | None:
    if size is None or size == AUTO or size in model.sizes:
        return size
    if size in labels():
        raise RequestError(
            f"{model.id} has no size '{size}'.",
            f"It takes {', '.join(model.sizes)} or auto; nearest is {label_of(*pixels(size), model.sizes)}.",
            param="size",
        )
    match = _PIXELS.fullmatch(size)
    width, height = (int(edge) for edge in match.groups()) if match else (0, 0)
    if min(width, height) >= _LEAST_EDGE:
        return label_of(width, height, model.sizes)
    raise UnknownName(
        "size",
        size,
        (*model.sizes, AUTO),
        hint=f"{model.id} takes {', '.join(model.sizes)}, auto or pixels such as 1024x1024.",
        param="size",
    )


def _quality(quality: str | None) -> str | None:
    if quality is None or quality in QUALITIES:
        return quality
    if quality in OPENAI_QUALITIES:
        return OPENAI_QUALITIES[quality]
    raise UnknownName("quality", quality, QUALITIES, param="quality")


def conversions(asked: Request, request: Request) -> list[str]:
    """Say in words where the canonical request differs from what was asked."""
    return [
        f"{name} {before} is asked for as {after}"
        for name, before, after in (
            ("size", asked.size, request.size),
            ("quality", asked.quality, request.quality),
        )
        if before != after
    ]


def n_max(model_id: str) -> int:
    """Return how many pictures one request for this model may ask for; 1 where it is unknown."""
    return _by_id()[model_id].n_max if model_id in _by_id() else 1


def split(request: Request) -> list[Request]:
    """Return the requests that together ask for all `n` pictures, none for more than the model's limit.

    >>> [part.n for part in split(Request(prompt="a cat", model="flux-2.0", n=6))]
    [4, 2]
    """
    most = n_max(request.model)
    return [
        request.part(sample, min(most, request.samples.stop - sample))
        for sample in range(request.sample, request.samples.stop, most)
    ]
