"""An emblem: rings of petals turned about a centre, for subjects that the lexicon does not know."""

from collections.abc import Iterator

import numpy as np

from beluga_nb.painter.colour import RGB, dark, light, mix, vivid
from beluga_nb.painter.layers.frame import Frame
from beluga_nb.painter.marks import Glow, Mark, Mist, Wash, placed, shape
from beluga_nb.painter.outline import Outline, curve, ellipse, ellipses, moved, polygon, ring
from beluga_nb.painter.outline import turned as tilted
from beluga_nb.painter.scene import Scene
from beluga_nb.painter.stream import Stream


def emblem(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield an ornament on a deep ground."""
    stream = scene.stream.child("emblem")
    hues = _hues(scene, stream)
    x, y, r = frame.w * (0.5 + 0.3 * scene.side * (frame.w > 1.3)), frame.h * 0.5, 0.4 * scene.zoom
    base = dark(hues[0], 0.72)
    yield Wash((dark(base, 0.1), base, mix(base, hues[1], 0.2)), 0, frame.h)
    yield Mist(stream.child("mist"), hues[1], -0.1, frame.h + 0.1, 0.22, (1.4, 1.6), 0.45, 0.35)
    yield Glow(x, y, r * 2, r * 2, hues[2], 0.55, 1.6)
    yield from _dust(stream, frame, hues[2])
    folds = stream.pick("folds", (6, 7, 8, 9, 10, 12))
    for k in range(scene.depth + 1):
        yield from _wreath(stream.child(k), x, y, r * (1 - 0.19 * k), folds, hues[k % 3], hues[(k + 1) % 3])
    yield shape(ellipse(x, y, r * 0.13, r * 0.13), light(hues[2], 0.7), hues[2])


def _hues(scene: Scene, stream: Stream) -> tuple[RGB, RGB, RGB]:
    hue = stream.one("hue", 0, 360)
    spread = stream.pick("spread", (28, 40, 150, 180))
    found = (vivid(hue, 0.5, 0.6), vivid(hue + spread * 0.5, 0.6, 0.65), vivid(hue + spread, 0.68, 0.8))
    return (
        found
        if scene.colour is None
        else (scene.colour, light(scene.colour, 0.25), mix(found[2], scene.colour, 0.4))
    )


def _dust(stream: Stream, frame: Frame, tone: RGB) -> Iterator[Mark]:
    n = frame.many(60 * frame.h)
    x, y, r = (
        stream.many("dx", n, 0, frame.w),
        stream.many("dy", n, 0, frame.h),
        stream.many("dr", n, 0.001, 0.003),
    )
    yield shape(ellipses(x, y, r, r), light(tone, 0.4), alpha=0.5, ink=False)


def _wreath(
    stream: Stream, x: float, y: float, r: float, folds: int, tone: RGB, other: RGB
) -> Iterator[Mark]:
    petal = _petal(stream, folds)
    n = folds * (2 if stream.one("double") < 0.4 else 1)
    turn = stream.one("turn", 0, 360 / n)
    leaf = (
        shape(petal, light(tone, 0.4), tone, dark(tone, 0.3)),
        shape(moved(petal * (0.5, 0.78), 0.0, -0.12), light(other, 0.35), other, alpha=0.85),
    )
    for first in (0, 1):  # every other petal lies above its neighbours
        tilts = [turn + 360 * k / n for k in range(first, n, 2)]
        shades = [tilted(moved(petal, 0.0, 0.02), tilt) for tilt in tilts]
        yield from placed([shape(shades, (8, 8, 28), soft=0.05, alpha=0.4, ink=False)], x, y, r)
        for tilt in tilts:
            yield from placed(leaf, x, y, r, tilt=tilt)
    a = np.radians(turn - 90 + 360 / n * (np.arange(n) + 0.5))
    beads = ellipses(x + r * 1.04 * np.cos(a), y + r * 1.04 * np.sin(a), r * 0.024, r * 0.024, n=14)
    yield shape(beads, light(other, 0.6), ink=False)
    yield shape(ring(x, y, r * 0.3, r * 0.02), light(tone, 0.5), other)


def _petal(stream: Stream, folds: int) -> Outline:
    wide = stream.one("wide", 0.5, 0.95) * np.pi / folds
    if stream.one("form") < 0.3:
        return polygon([(0, -0.1), (-wide, -0.6), (0, -1.0), (wide, -0.6)])
    belly = stream.one("belly", -0.75, -0.45)
    return curve(
        [
            (0, -0.08),
            (-wide * 0.55, belly + 0.2),
            (-wide, belly),
            (-wide * 0.4, -0.92),
            (0, -1.0),
            (wide * 0.4, -0.92),
            (wide, belly),
            (wide * 0.55, belly + 0.2),
        ]
    )
