"""Under water: light from above, blue depth, ice or a surface overhead, the sea bed below."""

from collections.abc import Iterator

import numpy as np

from beluga_nb.painter.colour import RGB, dark, light, mix
from beluga_nb.painter.layers import cast
from beluga_nb.painter.layers.frame import Frame
from beluga_nb.painter.layers.land import below, profile
from beluga_nb.painter.marks import Glow, Mark, Mist, Wash, hazed, lit, placed, shape
from beluga_nb.painter.noise import ridge
from beluga_nb.painter.outline import Outline, curve, ellipse, polygon, ribbon
from beluga_nb.painter.scene import Scene

Water = tuple[RGB, RGB, RGB, RGB]  # surface, upper, middle, depth

WATERS: dict[str, Water] = {
    "day": ((196, 242, 244), (74, 188, 214), (20, 108, 164), (8, 40, 86)),
    "dawn": ((255, 226, 200), (128, 190, 204), (36, 104, 150), (14, 42, 84)),
    "dusk": ((255, 186, 140), (120, 120, 170), (44, 66, 128), (16, 26, 68)),
    "night": ((96, 140, 190), (26, 66, 124), (10, 34, 84), (3, 10, 36)),
}


def underwater(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield the water and what swims in it."""
    water = WATERS[scene.time]
    yield Wash(water, 0, frame.h)
    yield Glow(
        frame.w * (0.5 + 0.3 * scene.sun),
        -0.05,
        frame.w * 0.55,
        frame.h * 0.7,
        light(water[0], 0.4),
        0.75,
        1.7,
    )
    yield Mist(
        scene.stream.child("depth"), water[1], frame.h * 0.05, frame.h * 0.8, 0.32, (1.2, 2.6), 0.45, 0.3
    )
    yield from _ceiling(scene, frame, water)
    yield from _shafts(scene, frame, water)
    yield from _bed(scene, frame, water)
    yield from _shoal(scene, frame, water)
    yield from _swimmers(scene, frame, water)
    yield from _bubbles(scene, frame, water)


def _ceiling(scene: Scene, frame: Frame, water: Water) -> Iterator[Mark]:
    if "arctic" in scene.settings or scene.weather == "snow":
        yield from _ice(scene, frame, water)
        return
    stream, n = scene.stream.child("surface"), frame.many(26)
    x, y = stream.many("x", n, 0, frame.w), stream.many("y", n) ** 2 * 0.14
    glints = [
        ellipse(float(a), float(b), 0.05 + 0.03 * float(b), 0.006, n=16) for a, b in zip(x, y, strict=True)
    ]
    yield shape(glints, light(water[0], 0.6), soft=0.008, alpha=0.7)


def _ice(scene: Scene, frame: Frame, water: Water) -> Iterator[Mark]:
    """Yield floes overhead, jagged below, glowing where they are thin."""
    n = round(60 * frame.w)
    x = np.linspace(-0.02, frame.w + 0.02, n)
    for k, (deep, tone) in enumerate(((0.17, mix(water[0], water[1], 0.45)), (0.09, light(water[0], 0.55)))):
        stream = scene.stream.child(f"ice{k}")
        jag = deep + 0.055 * ridge(stream, n, 5 * frame.w, 4, 0.6)
        edge = np.column_stack([x, jag])
        floe = np.vstack([[(-0.02, -0.05)], edge, [(frame.w + 0.02, -0.05)]])
        yield shape(floe, light(tone, 0.3), tone, mix(tone, water[1], 0.35), alpha=0.9, ink=False)
        cracks = [
            polygon([(a, -0.02), (a + 0.05, -0.02), (a + 0.01, deep * 0.9)])
            for a in stream.many("cracks", frame.many(6), 0, frame.w)
        ]
        yield shape(cracks, (255, 255, 255), alpha=0.4, within=floe, ink=False)


def _shafts(scene: Scene, frame: Frame, water: Water) -> Iterator[Mark]:
    stream, n = scene.stream.child("shafts"), round(5 + 2 * frame.w)
    source = frame.w * (0.5 + 0.3 * scene.sun)
    for k in range(n):
        top = source + stream.one(f"x{k}", -0.5, 0.5) * frame.w * 0.7
        foot, wide = top + (top - source) * 0.7, stream.one(f"w{k}", 0.02, 0.07)
        deep = frame.h * stream.one(f"d{k}", 0.6, 1.0)
        beam = polygon(
            [
                (top - wide * 0.4, -0.1),
                (top + wide * 0.4, -0.1),
                (foot + wide * 1.7, deep),
                (foot - wide * 1.7, deep),
            ]
        )
        yield shape(
            beam, light(water[0], 0.5), water[1], water[2], soft=0.035, alpha=stream.one(f"a{k}", 0.18, 0.42)
        )


def _bed(scene: Scene, frame: Frame, water: Water) -> Iterator[Mark]:
    for k in range(3):
        stream = scene.stream.child(f"bed{k}")
        edge = profile(stream, frame, frame.h * (0.86 + 0.055 * k), 0.06 - 0.008 * k, 1.8, 5)
        tone = mix(mix(water[3], (40, 92, 116), 0.3), water[2], 0.55 - 0.26 * k)
        yield shape(below(edge, frame.h + 0.1), light(tone, 0.08), tone, dark(tone, 0.3), ink=False)
        if k:
            yield from _weeds(scene, frame, edge, k, dark(tone, 0.1))


def _weeds(scene: Scene, frame: Frame, edge: Outline, k: int, tone: RGB) -> Iterator[Mark]:
    stream, n = scene.stream.child(f"weeds{k}"), frame.many(9)
    leaves = []
    for at, tall in zip(stream.many("at", n), stream.many("tall", n, 0.06, 0.16), strict=True):
        x, y = edge[int(at * (len(edge) - 1))]
        leaves.append(
            ribbon(
                [
                    (x, y + 0.02),
                    (x + 0.015, y - tall * 0.4),
                    (x - 0.01, y - tall * 0.7),
                    (x + 0.012, y - tall),
                ],
                [0.012, 0.012, 0.002],
            )
        )
    coral = "underwater" in scene.settings
    yield shape(leaves, mix(tone, (236, 112, 108), 0.45) if coral else light(tone, 0.08), tone, ink=False)


def _shoal(scene: Scene, frame: Frame, water: Water) -> Iterator[Mark]:
    stream, n = scene.stream.child("shoal"), frame.many(16)
    x0 = frame.w * (0.8 if scene.side < 0 else 0.2)
    x, y = x0 + stream.many("x", n, -0.22, 0.22), frame.h * 0.3 + stream.many("y", n, -0.1, 0.12)
    side = -1 if scene.flip else 1
    fish = [
        curve(
            [
                (a - side * 0.018, b),
                (a, b - 0.0065),
                (a + side * 0.012, b),
                (a + side * 0.024, b - 0.007),
                (a + side * 0.024, b + 0.007),
                (a + side * 0.012, b),
                (a, b + 0.0065),
            ],
            steps=3,
        )
        for a, b in zip(x, y, strict=True)
    ]
    yield shape(fish, mix(water[2], water[3], 0.4), alpha=0.7, ink=False)


def _swimmers(scene: Scene, frame: Frame, water: Water) -> Iterator[Mark]:
    if not cast.glyph(scene):
        return
    lamp = mix(water[0], (255, 255, 255), 0.6)
    (x, size), y = cast.place(scene, frame), frame.h * scene.stream.one("depth", 0.47, 0.56)
    size = min(size, frame.w * 0.86)
    shapes = hazed(lit(cast.glyph(scene), lamp), water[2], 0.04)
    yield shape(
        ellipse(x, y + 0.14 * size, size * 0.5, size * 0.1), dark(water[3], 0.2), soft=0.1 * size, alpha=0.35
    )
    yield from placed(shapes, x, y, size, flip=scene.flip, tilt=scene.stream.one("tilt", -10, 4))


def _bubbles(scene: Scene, frame: Frame, water: Water) -> Iterator[Mark]:
    stream, n = scene.stream.child("bubbles"), frame.many(36 * frame.h)
    x, y, r = stream.many("x", n, 0, frame.w), stream.many("y", n, 0, frame.h), stream.many("r", n) ** 3
    motes = [
        ellipse(float(a), float(b), 0.0014 + 0.006 * float(c), 0.0014 + 0.006 * float(c), n=14)
        for a, b, c in zip(x, y, r, strict=True)
    ]
    yield shape(motes, light(water[0], 0.6), alpha=0.5, ink=False)
    gleam = [
        ellipse(float(a) - 0.002, float(b) - 0.002, 0.0016, 0.0016, n=8)
        for a, b, c in zip(x, y, r, strict=True)
        if c > 0.4
    ]
    if gleam:
        yield shape(gleam, (255, 255, 255), alpha=0.9, ink=False)
