"""Tree, conifer, clusters of leaves."""

from collections.abc import Sequence

import numpy as np

from beluga_nb.painter.colour import RGB, dark, light
from beluga_nb.painter.figure import Coat
from beluga_nb.painter.marks import Shape, shape
from beluga_nb.painter.outline import Outline, ellipses, moved, polygon, ribbon
from beluga_nb.painter.stream import Stream

BARK: RGB = (96, 64, 48)


def tufts(stream: Stream, x: float, y: float, rx: float, ry: float, n: int, size: float) -> list[Outline]:
    """Return n leafy balls scattered in an ellipse."""
    angle, reach = stream.many("angle", n, 0, 2 * np.pi), np.sqrt(stream.many("reach", n))
    radius = stream.many("radius", n, 0.6, 1.15) * size
    across, down = x + rx * reach * np.cos(angle), y + ry * reach * np.sin(angle)
    return ellipses(across, down, radius, radius * 0.88, n=16)


def crown(stream: Stream, x: float, y: float, r: float, colour: RGB) -> tuple[Shape, ...]:
    """Return foliage in three tones: shade below, body, light on top."""
    return crowns([(stream, x, y, r)], colour)


def crowns(
    places: Sequence[tuple[Stream, float, float, float]], colour: RGB, *, ink: bool = True
) -> tuple[Shape, ...]:
    """Return heads of foliage that grow into each other: chance, middle and radius of each."""
    low: list[Outline] = []
    body: list[Outline] = []
    top: list[Outline] = []
    for stream, x, y, r in places:
        low += tufts(stream.child("low"), x, y + r * 0.18, r * 0.86, r * 0.6, 15, r * 0.32)
        body += tufts(stream.child("body"), x, y, r * 0.8, r * 0.56, 18, r * 0.29)
        top += tufts(stream.child("top"), x - r * 0.14, y - r * 0.24, r * 0.56, r * 0.36, 20, r * 0.17)
    return (
        shape(low, dark(colour, 0.42), ink=ink),
        shape(body, light(colour, 0.1), colour, dark(colour, 0.25), ink=False),
        shape(top, light(colour, 0.48), light(colour, 0.2), ink=False),
    )


def trunk(stream: Stream, height: float, lean: float, bark: RGB = BARK) -> tuple[Shape, ...]:
    """Return a trunk with two boughs."""
    stem = ribbon([(0, 0.0), (lean * 0.3, -height * 0.4), (lean, -height)], [0.13, 0.075, 0.035])
    boughs = [
        ribbon(
            [
                (lean * 0.4, -height * 0.45),
                (lean * 0.5 + s * 0.1, -height * 0.68),
                (lean * 0.6 + s * 0.24, -height * 0.9),
            ],
            [0.055, 0.035, 0.012],
        )
        for s in (-1, 1)
    ]
    knots = stream.one("knots", 0.2, 0.4)
    return (shape([stem, *boughs], light(bark, knots * 0.5), bark, dark(bark, 0.35), across=True),)


def tree(coat: Coat) -> tuple[Shape, ...]:
    """Return a broad-leaved tree."""
    lean = coat.stream.one("lean", -0.06, 0.06)
    return (
        *trunk(coat.stream, 0.62, lean),
        *crown(coat.stream.child("left"), lean - 0.2, -0.6, 0.26, dark(coat.base, 0.12)),
        *crown(coat.stream.child("right"), lean + 0.21, -0.62, 0.25, dark(coat.base, 0.2)),
        *crown(coat.stream.child("crown"), lean, -0.74, 0.32, coat.base),
    )


def conifer(x: float, foot: float, height: float, lean: float = 0.0) -> Outline:
    """Return the outline of a spruce: four skirts and a tip."""
    half = height * 0.2
    left: list[tuple[float, float]] = []
    for tier in range(4):
        top, wide = 1 - (tier + 1) / 4.6, half * (0.36 + 0.21 * tier)
        left += [(-wide * 0.45, -height * (top + 0.1)), (-wide, -height * top)]
    stem = [(-half * 0.1, -height * 0.12), (-half * 0.1, 0.0)]
    side = [(0.0, -height), *left, *stem]
    right = [(-px, py) for px, py in reversed(side[1:])]
    return moved(polygon([*side, *right]), x + lean, foot)
