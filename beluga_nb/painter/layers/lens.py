"""The lens: lights out of focus."""

from collections.abc import Iterator

from beluga_nb.painter.colour import RGB, light
from beluga_nb.painter.layers.frame import Frame
from beluga_nb.painter.marks import Mark, shape
from beluga_nb.painter.outline import ellipses
from beluga_nb.painter.scene import Scene


def bokeh(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield pale discs along the edges, away from the subject in the middle."""
    stream, n = scene.stream.child("bokeh"), frame.many(26)
    x, y = stream.many("x", n, 0, frame.w), stream.many("y", n, 0, frame.h)
    away = ((x / frame.w - 0.5) ** 2 + (y / frame.h - 0.5) ** 2) > 0.1
    r = stream.many("r", n, 0.016, 0.055)
    tones: tuple[RGB, ...] = (light(scene.palette.glow, 0.4), light(scene.palette.accent, 0.5))
    for k, tone in enumerate(tones):
        mine = away.copy()
        mine[k::2] = False
        if mine.any():
            discs = ellipses(x[mine], y[mine], r[mine], r[mine], n=28)
            yield shape(discs, tone, soft=0.004, alpha=0.34, ink=False)
