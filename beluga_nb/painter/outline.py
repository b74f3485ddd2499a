"""Outlines: closed polygons as (n, 2) arrays, x to the right, y down."""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from beluga_nb.painter.stream import Floats, Stream

Outline = Floats
Points = Sequence[tuple[float, float]] | Floats


@cache
def even(n: int) -> Floats:
    """Return n numbers evenly spread over 0 to 1, not to be written to."""
    return np.linspace(0, 1, n)


def moved(outline: Outline, x: float, y: float) -> Outline:
    """Return the outline x further to the right and y further down."""
    shifted: Outline = outline + np.array([x, y])
    return shifted


def polygon(points: Points) -> Outline:
    """Return the polygon of these corners."""
    return np.asarray(points, dtype=np.float64)


def curve(points: Points, *, closed: bool = True, steps: int = 8) -> Outline:
    """Return a smooth (Catmull-Rom) curve through the points."""
    p = np.asarray(points, dtype=np.float64)
    padded = np.concatenate([p[-1:], p, p[:2]] if closed else [p[:1], p, p[-1:]])
    a, b, c, d = padded[:-3, None], padded[1:-2, None], padded[2:-1, None], padded[3:, None]
    t = even(steps + 1)[None, :-1, None]
    bent = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    dense = bent.reshape(-1, 2)
    return dense if closed else np.concatenate([dense, p[-1:]])


def ellipses(
    x: Floats, y: Floats, rx: Floats | float, ry: Floats | float, tilt: Floats | None = None, n: int = 10
) -> list[Outline]:
    """Return many ellipses at once; tilt in degrees."""
    reach, centres = np.empty((len(x), 1, 2)), np.empty((len(x), 1, 2))
    reach[:, 0, 0], reach[:, 0, 1] = rx, ry
    centres[:, 0, 0], centres[:, 0, 1] = x, y
    points = _circle(n) * reach
    if tilt is not None:
        c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
        points = points @ np.stack([c, s, -s, c], axis=-1).reshape(-1, 2, 2)
    return list(points + centres)


def balls(
    stream: Stream, x: float, y: float, reach: tuple[float, float], n: int, size: float
) -> list[Outline]:
    """Return n circles scattered in an ellipse, such as leaves."""
    angle, far = stream.many("angle", n, 0, 2 * np.pi), np.sqrt(stream.many("reach", n))
    radius = stream.many("radius", n, 0.6, 1.15) * size
    across, down = x + reach[0] * far * np.cos(angle), y + reach[1] * far * np.sin(angle)
    return ellipses(across, down, radius, radius * 0.88, n=16)


@cache
def _circle(n: int) -> Outline:
    t = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.column_stack([np.cos(t), np.sin(t)])


def arc(x: float, y: float, r: float, start: float, end: float, n: int = 24) -> Outline:
    """Return points along a circle between two angles in degrees (0 is right, 90 is down)."""
    t = np.radians(np.linspace(start, end, n))
    return np.column_stack([x + r * np.cos(t), y + r * np.sin(t)])


def ring(x: float, y: float, r: float, width: float, n: int = 48) -> Outline:
    """Return a closed band round a circle."""
    outer, inner = arc(x, y, r, 0, 360, n), arc(x, y, r - width, 360, 0, n)
    return np.vstack([outer, inner])


def box(left: float, top: float, right: float, bottom: float, r: float = 0.0) -> Outline:
    """Return a rectangle, its corners rounded by r."""
    if not r:
        return polygon([(left, top), (right, top), (right, bottom), (left, bottom)])
    corners = [(right - r, top + r, 270), (right - r, bottom - r, 0), (left + r, bottom - r, 90)]
    corners.append((left + r, top + r, 180))
    return np.vstack([arc(x, y, r, a, a + 90, 7) for x, y, a in corners])


def ribbon(points: Points, widths: Sequence[float], *, steps: int = 6) -> Outline:
    """Return a band along a smooth line whose width changes on the way: limbs, tails, trunks."""
    line = curve(points, closed=False, steps=steps)
    along = np.empty_like(line)
    along[1:-1] = (line[2:] - line[:-2]) / 2
    along[0], along[-1] = line[1] - line[0], line[-1] - line[-2]
    half = np.interp(even(len(line)), even(len(widths)), widths) / 2
    half /= np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)
    aside = along[:, ::-1] * (-1.0, 1.0) * half[:, None]
    return np.concatenate([line + aside, (line - aside)[::-1]])


def rod(a: tuple[float, float], b: tuple[float, float], width: float) -> Outline:
    """Return a straight bar from a to b."""
    along, down = b[0] - a[0], b[1] - a[1]
    half = width / 2 / max(math.hypot(along, down), 1e-9)
    x, y = -down * half, along * half
    return polygon([(a[0] + x, a[1] + y), (b[0] + x, b[1] + y), (b[0] - x, b[1] - y), (a[0] - x, a[1] - y)])


def turned(outline: Outline, degrees: float) -> Outline:
    """Return the outline turned about the origin, clockwise on the picture."""
    if not degrees:
        return outline
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    spun: Outline = outline @ np.array([[c, s], [-s, c]])
    return spun
