"""Forms: what the parts of figures and of scenery may be, as outlines from groups of numbers."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from beluga_nb.painter.outline import Outline, balls, box, curve, ellipses, ribbon, ring, rod
from beluga_nb.painter.stream import Stream, seed_of

Groups = Sequence[tuple[Any, ...]]
Form = Callable[[Groups, Sequence[float], int], list[Outline]]
"""Makes outlines of groups of numbers, of widths, and of the steps of a curve: 0 for its default."""


def _points(groups: Groups) -> list[Outline]:
    """Return a list of points; a coordinate that is an array makes as many lists."""
    first = groups[0][0]
    if len(groups) == 1 and isinstance(first, list):
        return first
    if len(groups) == 1 and isinstance(first, np.ndarray) and first.ndim == 2:
        return [first]
    flat = [c for group in groups for c in (np.asarray(group[0]).ravel() if len(group) == 1 else group)]
    if any(isinstance(c, np.ndarray) for c in flat):
        return list(np.stack(np.broadcast_arrays(*flat), axis=-1).reshape(-1, len(flat) // 2, 2))
    return [np.array(flat, dtype=np.float64).reshape(-1, 2)]


def _ellipses(groups: Groups, steps: int) -> list[Outline]:
    found: list[Outline] = []
    for x, y, rx, *more in groups:
        ry, *tilt = more or (rx,)
        left, top, wide, high = np.broadcast_arrays(np.atleast_1d(x), y, rx, ry)
        tilts = np.broadcast_to(tilt[0], len(left)) if tilt else None
        found += ellipses(left, top, wide, high, tilts, steps)
    return found


def _leaves(group: tuple[Any, ...]) -> list[Outline]:
    x, y, rx, ry, n, r = group
    return balls(Stream(seed_of("leaves", str(group))), x, y, (rx, ry), int(n), r)


FORMS: Mapping[str, Form] = {
    "curve": lambda groups, _, steps: [curve(each, steps=steps or 8) for each in _points(groups)],
    "polygon": lambda groups, *_: _points(groups),
    "ribbon": lambda groups, widths, steps: [
        ribbon(each, widths, steps=steps or 6) for each in _points(groups)
    ],
    "line": lambda groups, widths, _: [rod(a, b, widths[0]) for a, b in pairwise(groups)],
    "ellipse": lambda groups, _, steps: _ellipses(groups, steps or 36),
    "box": lambda groups, *_: [box(*group) for group in groups],
    "ring": lambda groups, _, steps: [ring(x, y, r, wide, steps or 48) for x, y, r, wide in groups],
    "leaves": lambda groups, *_: [leaf for group in groups for leaf in _leaves(group)],
}
