"""Outlines: closed polygons as (n, 2) arrays, x to the right, y down."""

from collections.abc import Sequence
from functools import cache

import numpy as np

from beluga_nb.local.painter.stream import Floats

Outline = Floats
Points = Sequence[tuple[float, float]] | Floats


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
    padded = np.vstack([p[-1], p, p[:2]]) if closed else np.vstack([p[:1], p, p[-1:]])
    a, b, c, d = padded[:-3, None], padded[1:-2, None], padded[2:-1, None], padded[3:, None]
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    bent = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    dense = bent.reshape(-1, 2)
    return dense if closed else np.vstack([dense, p[-1:]])


def ellipse(x: float, y: float, rx: float, ry: float, tilt: float = 0.0, n: int = 36) -> Outline:
    """Return an ellipse; tilt in degrees."""
    return moved(turned(_circle(n) * (rx, ry), tilt), x, y)


def ellipses(
    x: Floats, y: Floats, rx: Floats | float, ry: Floats | float, tilt: Floats | None = None, n: int = 10
) -> list[Outline]:
    """Return many ellipses at once; tilt in degrees."""
    reach = np.stack(np.broadcast_arrays(rx, ry), axis=-1)
    centres = np.stack(np.broadcast_arrays(x, y), axis=-1)
    points = _circle(n) * reach[..., None, :]
    if tilt is not None:
        c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
        points = points @ np.stack([c, s, -s, c], axis=-1).reshape(-1, 2, 2)
    return list(points + centres[:, None, :])


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
    along = np.gradient(line, axis=0)
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
    normal = np.column_stack([-along[:, 1], along[:, 0]]) / length
    places = np.linspace(0, 1, len(widths))
    half = np.interp(np.linspace(0, 1, len(line)), places, widths)[:, None] / 2
    return np.vstack([line + normal * half, (line - normal * half)[::-1]])


def rod(a: tuple[float, float], b: tuple[float, float], width: float) -> Outline:
    """Return a straight bar from a to b."""
    return ribbon([a, b], [width, width], steps=1)


def turned(outline: Outline, degrees: float) -> Outline:
    """Return the outline turned about the origin, clockwise on the picture."""
    if not degrees:
        return outline
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    spun: Outline = outline @ np.array([[c, s], [-s, c]])
    return spun
