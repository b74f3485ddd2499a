"""Built-in metrics of a picture, which need numpy and Pillow only; each names its source.

They measure a copy of at most 512 pixels a side, on white, so that pictures of several sizes compare. They do
not judge quality: they tell blurred from crisp, and grey from colourful.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from beluga_nb.compare.scores import NEAR, BatchMetric
from beluga_nb.errors import InvalidImageError, RequestError
from beluga_nb.images import decode, flatten
from beluga_nb.result import Recipe
from beluga_nb.text import sanitize

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

EDGE = 512
"""Pixels of the longer edge of the copy that is measured."""

LONGEST_REASON = 500
"""Characters of a metric's reason that are kept."""

_SIDE, _KEPT = 32, 8  # pixels a side of a fingerprint's copy, and its frequencies in each direction


def sharpness(image: Image) -> float:
    """Return the variance of the Laplacian, 0 to about 260,000: higher is crisper, and noisier.

    Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy: a comparative study", ICPR 2000.
    """
    grey = _grey(image)
    if min(grey.shape) < 3:  # no pixel has four neighbours
        return 0.0
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    return float(laplacian.var())


def colourfulness(image: Image) -> float:
    """Return how colourful a picture is: 0 is grey, 15 slightly, 33 moderately, 59 quite, 109 extremely so.

    Hasler and Süsstrunk, "Measuring colourfulness in natural images", Human Vision and Electronic Imaging
    VIII, SPIE 5007, 2003: deviation and mean of the opponent channels red - green and yellow - blue.
    """
    red, green, blue = np.moveaxis(_rgb(image), -1, 0)
    one, other = red - green, (red + green) / 2 - blue
    spread = math.hypot(float(one.std()), float(other.std()))
    return spread + 0.3 * math.hypot(float(one.mean()), float(other.mean()))


def contrast(image: Image) -> float:
    """Return the deviation of the grey values, 0 to 0.5 (RMS contrast).

    Peli, "Contrast in complex images", Journal of the Optical Society of America A 7, 1990.
    """
    return float(_grey(image).std() / 255)


def brightness(image: Image) -> float:
    """Return the mean grey value: 0 is black, 1 is white.

    Grey is the luma of ITU-R BT.601, as everywhere here.
    """
    return float(_grey(image).mean() / 255)


def fingerprint(image: Image) -> int:
    """Return 64 bits that hardly change when a picture is scaled, compressed or slightly edited.

    Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010: which of the 64 lowest
    frequencies of the discrete cosine transform are above their median. It depends on shapes, not colours.
    The package ImageHash has the same, but would install 122 MB.
    """
    small = np.asarray(flatten(image).convert("L").resize((_SIDE, _SIDE)), dtype=np.float64)
    cosines = _cosines()
    low = (cosines @ small @ cosines.T).round(3)  # without rounding, an even picture has random bits
    bits = (low > np.median(low)).ravel()
    return int("".join("1" if bit else "0" for bit in bits), 2)


def _cosines() -> NDArray[np.float64]:
    rows, columns = np.arange(_KEPT)[:, None], np.arange(_SIDE)[None, :]
    waves: NDArray[np.float64] = np.cos(np.pi * rows * (2 * columns + 1) / (2 * _SIDE))
    return waves


def alike(fingerprints: Sequence[int], *, within: int = NEAR) -> list[list[int]]:
    """Return groups of indexes: each fingerprint differs in at most `within` bits from another of its group.

    >>> alike([0b1111, 0b1110, 0b0000], within=1)
    [[0, 1]]
    """
    group = list(range(len(fingerprints)))
    for one, bits in enumerate(fingerprints):
        for other in range(one):
            if (bits ^ fingerprints[other]).bit_count() <= within and group[one] != group[other]:
                group = [group[other] if each == group[one] else each for each in group]
    found: dict[int, list[int]] = {}
    for number, name in enumerate(group):
        found.setdefault(name, []).append(number)
    return [members for members in found.values() if len(members) > 1]


def _rgb(image: Image) -> NDArray[np.float64]:
    small = flatten(image)
    small.thumbnail((EDGE, EDGE))  # smaller ones are not enlarged, which would blur them
    return np.asarray(small, dtype=np.float64)


def _grey(image: Image) -> NDArray[np.float64]:
    grey: NDArray[np.float64] = _rgb(image) @ np.array([0.299, 0.587, 0.114])
    return grey


@dataclass(frozen=True)
class BuiltInMetric:
    """A metric, and the version of its values."""

    function: Callable[[Image], float]
    version: str


FINGERPRINT = BuiltInMetric(fingerprint, "built-in 1")

METRICS: Mapping[str, BuiltInMetric] = {
    each.__name__: BuiltInMetric(each, "built-in 1")
    for each in (sharpness, colourfulness, contrast, brightness)
}
"""The metrics that are built in, by name; a changed one gets a new version."""


def takes_recipe(function: Callable[..., object]) -> bool:
    """Whether a function takes a picture and its recipe, not only the picture."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a built-in function without a signature
        return False
    needed = [
        each
        for each in parameters
        if each.default is each.empty and each.kind in {each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD}
    ]
    return len(needed) > 1


def of_bytes(function: Callable[..., object], data: bytes, recipe: Recipe | None) -> object:
    """Return a function's value for a picture; executors call this, on any machine."""
    return function(decode(data)) if recipe is None else function(decode(data), recipe)


def of_batch(metric: BatchMetric, pictures: Sequence[tuple[bytes, Recipe | None]]) -> list[object]:
    """Return what a metric gives for some pictures, or an exception for one that cannot be decoded."""
    found: list[object] = []
    for data, _ in pictures:
        try:
            found.append(decode(data))
        except InvalidImageError as error:
            found.append(error)
    places = [place for place, each in enumerate(found) if not isinstance(each, InvalidImageError)]
    images: list[Any] = [found[place] for place in places]
    values = metric.batch(images, [pictures[place][1] for place in places]) if places else []
    for place, value in zip(places, values, strict=True):
        found[place] = value
    return found


def value_and_reason(value: object) -> tuple[float | Mapping[str, float], str]:
    """Return what a metric gave as a number or several by name, and its reason if it gave one."""
    reason = ""
    match value:
        case (found, str(words)) if isinstance(value, tuple):
            value, reason = found, sanitize(words, LONGEST_REASON)
    if isinstance(value, Mapping) and value and all(isinstance(name, str) and name for name in value):
        return {name: number(value[name]) for name in sorted(value)}, reason  # sorted, as they are recorded
    return number(value), reason


def number(value: object) -> float:
    """Return a metric's value as a number; raise `RequestError` for any other value."""
    try:
        found = value if isinstance(value, int) else float(value)  # type: ignore[arg-type]  # or it raises
    except (TypeError, ValueError):
        found = math.nan
    if isinstance(value, bool | str) or not math.isfinite(found):
        raise RequestError(
            f"The metric gave {type(value).__name__} {str(value)[:40]!r}, which is not a number.",
            "Have it return a float.",
        )
    return found
