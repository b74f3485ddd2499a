"""The functions that formulas of scenery may use: random numbers, arrays, colours, and shapes of land."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from beluga_nb.painter.colour import RGB, dark, light, mix, under, vivid
from beluga_nb.painter.layers import cast
from beluga_nb.painter.lettering import LEADING, covered, fitted
from beluga_nb.painter.noise import ridge as heights
from beluga_nb.painter.outline import Outline, arc, balls, box, curve, moved, polygon
from beluga_nb.painter.scene import Frame, Scene
from beluga_nb.painter.stream import Floats, Stream

Names = Mapping[str, Any]
"""What a formula's names stand for: numbers, colours, NumPy arrays, truth values, words."""
SNOW: RGB = (244, 248, 255)


def ground(names: Names, depth: float) -> RGB:
    """Return the ground's colour, 0 near to 1 far: hazier, in the hour's light, white under snow."""
    scene: Scene = names["scene"]
    p = scene.palette
    tone = mix(p.near, p.far, min(1.0, depth * 1.2))
    if scene.weather == "snow" or "arctic" in scene.settings:
        tone = mix(tone, SNOW, 0.8)
    return mix(under(tone, p.lamp), p.haze, min(0.86, 0.04 + 0.8 * depth**1.1))


def neutral(names: Names, lamp: RGB) -> RGB:
    """Return a light in which named colours can still be seen."""
    return cast.neutral(names["scene"], lamp)


def count(names: Names, per_unit: float) -> int:
    """Return how many small things the frame holds, by its width."""
    frame: Frame = names["frame"]
    return max(1, round(per_unit * frame.w * frame.detail))


# --- random numbers: from the stream of the group in which a formula stands, by a label


def _stream(names: Names, label: str) -> Stream:
    stream: Stream = names["stream"]
    return stream.child(label) if label else stream


def one(names: Names, label: str, low: float = 0.0, high: float = 1.0) -> float:
    stream: Stream = names["stream"]
    return stream.one(label.format_map(names), low, high)


def many(names: Names, label: str, n: int, low: float = 0.0, high: float = 1.0) -> Floats:
    stream: Stream = names["stream"]
    return stream.many(label.format_map(names), n, low, high)


def pick(names: Names, label: str, *options: object) -> object:
    stream: Stream = names["stream"]
    return stream.pick(label.format_map(names), options)


def profile(
    names: Names, label: str, y: float, height: float, cells: float, octaves: int, rough: float = 0.5
) -> Outline:
    """Return the upper edge of a ridge as points from left to right."""
    n = round(70 * names["w"] * (1 + octaves / 4))
    x = np.linspace(-0.02, names["w"] + 0.02, n)
    stream = _stream(names, label.format_map(names))
    return np.column_stack([x, y - height * heights(stream, n, cells * names["w"], octaves, rough)])


def ridge(names: Names, label: str, n: int, cells: float, octaves: int, rough: float = 0.5) -> Floats:
    """Return the heights of a ridge, in about -1 to 1."""
    return heights(_stream(names, label), n, cells, octaves, rough)


def bushes(
    names: Names, numbers: Floats, x: Floats, y: Floats, rx: Floats, ry: Floats, n: int, size: Floats
) -> list[Outline]:
    """Return n leaves of each bush or head of foliage; each has a stream by its number."""
    arrays = np.broadcast_arrays(numbers, x, y, rx, ry, size)
    places = zip(*(each.tolist() for each in arrays), strict=True)
    stream: Stream = names["stream"]
    every = (balls(stream.child(k), left, top, (wide, high), n, r) for k, left, top, wide, high, r in places)
    return [ball for bush in every for ball in bush]


# --- cities


ROOFS = (
    polygon([(-0.4, 0), (-0.4, -0.5), (-0.05, -0.5), (0, -2.2), (0.05, -0.5), (0.4, -0.5), (0.4, 0)]),
    polygon([(-1, 0), (-0.1, -1.5), (0.1, -1.5), (1, 0)]),
    np.vstack([arc(0, 0, 0.9, 180, 265), polygon([(0, -2)]), arc(0, 0, 0.9, 275, 360)]),
    polygon([(-1, 0), (1, -0.8), (1, 0)]),
    polygon([(-0.62, 0), (-0.62, -0.5), (0.62, -0.5), (0.62, 0)]),
)
"""A mast, a spire, a dome, a slope and a flat roof, for a tower that is two wide."""


def skyline(names: Names, towers: Floats, domed: bool) -> list[Outline]:
    """Return the towers and their roofs; spires are for narrow towers."""
    roofs: list[Outline] = []
    for left, top, right, _ in towers.tolist():
        style, half = names["stream"].whole(f"roof{left:.4f}", 0, 4), (right - left) / 2
        style = 4 if (style == 1 and half >= 0.07) or (style == 2 and not domed) else style
        roofs.append(moved(ROOFS[style] * half, left + half, top))
    return [*(box(*tower) for tower in towers.tolist()), *roofs]


def windows(names: Names, towers: Floats, width: float, height: float, lit: float) -> list[Floats]:
    """Return the boxes of three kinds of windows; lit is the share of windows that have any light."""
    found: list[list[Floats]] = [[], [], []]
    for left, top, right, bottom in towers.tolist():
        columns, rows = int((right - left) / width) - 1, int((bottom - top) / height) - 1
        if columns < 1 or rows < 1:
            continue
        on = names["stream"].many(f"on{left:.4f}", columns * rows)
        at = np.flatnonzero(on < lit)
        x = left + ((right - left) - columns * width) / 2 + at % columns * width + width * 0.2
        y = top + (at // columns + 0.7) * height
        panes = np.column_stack([x, y, x + width * 0.6, y + height * 0.5])
        kind = np.searchsorted([lit * 0.6, lit * 0.85], on[at], side="right")
        for each in range(3):
            found[each].append(panes[kind == each])
    return [np.concatenate(each) if each else np.empty((0, 4)) for each in found]


# --- lines, arrays, outlines


def below(edge: Outline, bottom: float) -> Outline:
    """Return the land under an edge."""
    return np.vstack([edge, [(edge[-1, 0], bottom), (edge[0, 0], bottom)]])


def strip(x: Floats, top: Floats, bottom: Floats) -> Outline:
    """Return what lies between two lines over the same places."""
    return np.vstack([np.column_stack([x, top]), np.column_stack([x, bottom])[::-1]])


def open_curve(*coordinates: float) -> Outline:
    """Return a smooth open line through points."""
    return curve(np.reshape(coordinates, (-1, 2)), closed=False)


def closed_curve(*coordinates: float) -> Outline:
    """Return a smooth outline through points."""
    return curve(np.reshape(coordinates, (-1, 2)))


def _plain(value: Any) -> Any:
    """Return a NumPy number as Python's own, which Pillow expects."""
    return value.item() if isinstance(value, np.generic) else value


NUMPY = ("abs", "sin", "cos", "exp", "cumsum", "arange", "linspace", "interp", "where", "pad")
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{name: getattr(np, name) for name in NUMPY},
    **{f.__name__: f for f in (round, len, covered, mix, light, dark, under, vivid)},
    **{f.__name__: f for f in (below, strip, open_curve, closed_curve)},
    "min": lambda a, b: _plain(np.minimum(a, b)),
    "max": lambda a, b: _plain(np.maximum(a, b)),
    "smallest": lambda items: _plain(np.min(items)),
    "nth": lambda k, *items: items[k % len(items)],
    "item": lambda items, k: _plain(items[k]),
    "selected": lambda items, wanted: items[np.asarray(wanted, dtype=bool)],
    "at": lambda edge, places: edge[(places * (len(edge) - 1)).astype(int)],
    "column": lambda table, k: table[:, k],
    "array": lambda *items: np.array(items),
    "columns": lambda *columns: np.column_stack(columns),
    "shifted": lambda edge, y: moved(edge, 0, y),
    "every": lambda edge, n: edge[::n],
    "part": lambda items, start, stop: items[start:stop],
    "summit": lambda edge: edge[int(np.argmin(edge[:, 1]))],
    "above": lambda outline, y: outline[outline[:, 1] < y],
    "joined": lambda *lines: np.vstack(lines),
    "lines_of": lambda text, width, height: fitted(text, width, height)[0],
    "size_of": lambda text, width, height: fitted(text, width, height)[1],
}
"""Functions of their arguments alone. Where NumPy or Python has such a function, it has the same name."""

BOUND: Mapping[str, Callable[..., Any]] = {
    **{f.__name__: f for f in (ground, neutral, count, one, many, pick, profile, ridge, bushes)},
    **{f.__name__: f for f in (skyline, windows)},
}
"""Functions that also look at the scene, and draw on the stream of the group in which a formula stands."""


def names_of(scene: Scene, frame: Frame) -> dict[str, Any]:
    """Return what the names in formulas mean for a scene."""
    parts = (scene, scene.palette, frame)
    return {
        **{field.name: getattr(part, field.name) for part in parts for field in fields(part)},
        **{hour: scene.time == hour for hour in ("day", "night", "dawn", "dusk")},
        **{weather: scene.weather == weather for weather in ("clear", "rain", "storm", "snow", "fog")},
        "scene": scene,
        "frame": frame,
        "stream": scene.stream,
        "white": (255, 255, 255),
        "snowy": SNOW,
        "leading": LEADING,
        "pi": np.pi,
        "k": 0,
        "n": 1,
    }
