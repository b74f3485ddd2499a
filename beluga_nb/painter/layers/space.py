"""Space: stars, a nebula, a planet with its ring."""

from collections.abc import Iterator

from beluga_nb.painter.colour import RGB, dark, light, mix
from beluga_nb.painter.layers import cast
from beluga_nb.painter.layers.frame import Frame
from beluga_nb.painter.layers.sky import stars
from beluga_nb.painter.marks import Glow, Mark, Mist, Wash, placed, shape
from beluga_nb.painter.outline import Outline, arc, ellipse, ribbon
from beluga_nb.painter.scene import Scene

TILTS = {"rocket": 26.0, "astronaut": -16.0}  # degrees; weightless


def space(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield the sky without a ground."""
    p, stream = scene.palette, scene.stream
    yield Wash((p.near, mix(p.near, p.far, 0.4), dark(p.near, 0.3)), 0, frame.h)
    yield Glow(
        frame.w * (0.5 + 0.3 * scene.sun), frame.h * 0.4, frame.w * 0.55, frame.h * 0.5, p.far, 0.75, 1.5
    )
    yield Mist(stream.child("nebula"), light(p.far, 0.15), -0.1, frame.h + 0.1, 0.5, (1.3, 1.3), 0.46, 0.3)
    yield Mist(stream.child("dust"), p.accent, frame.h * 0.1, frame.h * 0.9, 0.34, (1.6, 2.2), 0.52, 0.26)
    yield from stars(stream.child("stars"), frame, frame.h, 190)
    yield from _planet(scene, frame)
    if cast.glyph(scene):
        yield from _flying(scene, frame)


def _flying(scene: Scene, frame: Frame) -> Iterator[Mark]:
    tilt = 0.0 if cast.is_group(scene) else TILTS.get(scene.subject or "", 0.0)
    shapes, (x, size) = cast.glyph(scene), cast.place(scene, frame)
    if scene.stance not in ("air", "float"):
        shapes = placed(shapes, 0, 0.5, 1)
    tilt *= scene.stream.one("tilt", 0.7, 1.3)
    yield from placed(shapes, x, frame.h * 0.52, size, flip=scene.flip, tilt=tilt)


def _planet(scene: Scene, frame: Frame) -> Iterator[Mark]:
    starring = scene.subject == "planet"
    side = 1 if scene.side < 0 else -1
    x, y = (frame.w * 0.5, frame.h * 0.5) if starring else (frame.w * (0.5 + side * 0.33), frame.h * 0.3)
    r = 0.27 * scene.zoom if starring else 0.15
    tone: RGB = scene.colour if starring and scene.colour else mix(scene.palette.accent, (226, 170, 110), 0.4)
    disc = ellipse(x, y, r, r, n=72)
    ring = _ring(x, y, r)
    yield Glow(x, y, r * 1.9, r * 1.9, tone, 0.34)
    yield shape(
        ring[0], light(tone, 0.4), light(tone, 0.1), light(tone, 0.5), across=True, alpha=0.75, ink=False
    )
    yield shape(disc, light(tone, 0.5), tone, dark(tone, 0.2))
    for k, t in enumerate((-0.55, -0.2, 0.15, 0.5)):
        band = ribbon(
            [(x - r * 1.1, y + r * (t + 0.12)), (x, y + r * t), (x + r * 1.1, y + r * (t - 0.06))],
            [r * 0.1, r * 0.16, r * 0.1],
        )
        yield shape(
            band, light(tone, 0.4) if k % 2 else dark(tone, 0.3), soft=r * 0.06, alpha=0.55, within=disc
        )
    yield shape(
        ellipse(x - side * r * 0.5, y + r * 0.25, r * 0.9, r * 1.2),
        (6, 6, 26),
        soft=r * 0.5,
        alpha=0.8,
        within=disc,
    )
    yield shape(
        ring[1], light(tone, 0.5), light(tone, 0.2), light(tone, 0.6), across=True, alpha=0.9, ink=False
    )


def _ring(x: float, y: float, r: float) -> tuple[Outline, Outline]:
    """Return the far and the near half of the ring."""
    halves = []
    for start, end in ((180, 360), (0, 180)):
        line = arc(0, 0, 1, start, end, 40) * (r * 1.75, r * 0.42)
        line = line @ [[0.966, -0.259], [0.259, 0.966]] + (x, y)
        halves.append(ribbon(line, [r * 0.14, r * 0.12, r * 0.14], steps=1))
    return halves[0], halves[1]
