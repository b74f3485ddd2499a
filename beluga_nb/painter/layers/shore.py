"""Waters: sea, beach, coast, lake."""

from collections.abc import Iterator

import numpy as np

from beluga_nb.painter.colour import dark, light, mix, under
from beluga_nb.painter.layers import cast
from beluga_nb.painter.layers.frame import Frame
from beluga_nb.painter.layers.land import SNOW, below, copses, ground, on_ground, profile, sky_cast
from beluga_nb.painter.layers.sky import sky
from beluga_nb.painter.marks import Glow, Mark, Mirror, Wash, lit, placed, shape
from beluga_nb.painter.outline import curve, ellipse, moved, polygon, ribbon
from beluga_nb.painter.scene import Scene


def sea(scene: Scene, frame: Frame, top: float, bottom: float) -> Iterator[Mark]:
    """Yield water with glints under the sun."""
    p = scene.palette
    deep = mix(under(p.far, p.lamp), p.sky[0], 0.3)
    yield Wash((mix(p.sky[2], deep, 0.45), deep, dark(deep, 0.3)), top, bottom)
    stream, n = scene.stream.child("waves"), frame.many(70)
    t, x = stream.many("t", n) ** 1.4, stream.many("x", n, -0.05, frame.w)
    length = stream.many("length", n, 0.04, 0.14) * (0.4 + t)
    waves = [ellipse(float(a), top + (bottom - top) * float(b), float(c), 0.0012 + 0.004 * float(b), n=14)
             for a, b, c in zip(x, t, length, strict=True)]  # fmt: skip
    yield shape(waves[::2], light(mix(deep, p.sky[2], 0.5), 0.2), alpha=0.5, ink=False)
    yield shape(waves[1::2], dark(deep, 0.3), alpha=0.35, ink=False)
    if scene.weather == "clear":
        yield from _glints(scene, frame, top, bottom)


def _glints(scene: Scene, frame: Frame, top: float, bottom: float) -> Iterator[Mark]:
    stream, n = scene.stream.child("glints"), frame.many(46)
    centre, t = frame.w * (0.5 + 0.33 * scene.sun), stream.many("t", n)
    x = centre + stream.many("x", n, -0.13, 0.13) * (0.35 + t)
    dots = [
        ellipse(
            float(a),
            top + 0.004 + (bottom - top) * float(b),
            0.012 + 0.02 * float(b),
            0.0015 + 0.0025 * float(b),
            n=12,
        )
        for a, b in zip(x, t, strict=True)
    ]
    yield Glow(centre, top, 0.5, (bottom - top) * 1.1, scene.palette.glow, 0.35)
    yield shape(dots, light(scene.palette.glow, 0.5), alpha=0.75, ink=False)


def beach(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield sky, sea, surf and sand."""
    horizon, shore = frame.h * (scene.stream.one("horizon", 0.46, 0.52) + scene.rise), frame.h * 0.69
    yield from sky(scene, frame, horizon)
    yield from sky_cast(scene, frame, horizon)
    yield from _headland(scene, frame, horizon)
    yield from sea(scene, frame, horizon, shore + 0.06)
    yield from _sand(scene, frame, shore)
    if on_ground(scene):
        yield from cast.standing(scene, frame, frame.h * scene.stream.one("foot", 0.87, 0.91))
    elif scene.subject is None:
        yield from _palm(scene, frame)


def _headland(scene: Scene, frame: Frame, horizon: float) -> Iterator[Mark]:
    left = scene.stream.one("headland") < 0.5
    edge = profile(scene.stream.child("headland"), frame, horizon, 0.03, 2.5, 4)
    fall = np.linspace(1, -0.6, len(edge)) if left else np.linspace(-0.6, 1, len(edge))
    edge[:, 1] = np.minimum(edge[:, 1] - 0.07 * np.clip(fall, -1, 1) + 0.02, horizon + 0.01)
    yield shape(
        below(edge, horizon + 0.011),
        ground(scene, 0.85),
        mix(scene.palette.haze, ground(scene, 0.8), 0.4),
        ink=False,
    )


def _sand(scene: Scene, frame: Frame, shore: float) -> Iterator[Mark]:
    sand = under(mix(scene.palette.near, SNOW, 0.75 if scene.weather == "snow" else 0.0), scene.palette.lamp)
    edge = profile(scene.stream.child("shore"), frame, shore, 0.022, 0.9, 2, 0.4)
    foam = under((255, 255, 255), mix(scene.palette.lamp, (255, 255, 255), 0.4))
    shallow = mix(under(scene.palette.far, scene.palette.lamp), foam, 0.4)
    yield shape(below(edge - (0, 0.05), frame.h), shallow, alpha=0.5, ink=False, soft=0.02)
    yield shape(below(edge - (0, 0.012), frame.h), foam, ink=False)
    yield shape(below(edge, frame.h + 0.1), dark(sand, 0.25), sand, light(sand, 0.2), ink=False)
    yield shape(
        ribbon(moved(edge, 0, 0.035)[::2], [0.006, 0.003, 0.007], steps=1),
        foam,
        alpha=0.5,
        soft=0.004,
        ink=False,
    )
    stream, n = scene.stream.child("ripples"), frame.many(40)
    x, y = stream.many("x", n, 0, frame.w), shore + 0.07 + stream.many("y", n) * (frame.h - shore - 0.07)
    marks = [
        ellipse(float(a), float(b), 0.03 + 0.05 * float(b - shore), 0.003, n=12)
        for a, b in zip(x, y, strict=True)
    ]
    yield shape(marks, dark(sand, 0.3), alpha=0.16, ink=False)


def _palm(scene: Scene, frame: Frame) -> Iterator[Mark]:
    x, foot = frame.w * (0.2 if scene.flip else 0.8), frame.h * 0.9
    lean = 0.16 if scene.flip else -0.16
    bark, leaf = under((128, 92, 66), scene.palette.lamp), under((58, 128, 74), scene.palette.lamp)
    yield shape(
        ribbon([(x, foot), (x + lean * 0.3, foot - 0.3), (x + lean, foot - 0.62)], [0.05, 0.032, 0.026]),
        light(bark, 0.2),
        dark(bark, 0.4),
        across=True,
    )
    for k, angle in enumerate(np.linspace(-205, 25, 8)):
        a, reach = np.radians(angle), 0.3
        tip = (x + lean + reach * np.cos(a), foot - 0.62 + reach * 0.6 * np.sin(a) + 0.1)
        mid = (x + lean + reach * 0.55 * np.cos(a), foot - 0.66 + reach * 0.62 * np.sin(a))
        yield shape(
            ribbon([(x + lean, foot - 0.62), mid, tip], [0.02, 0.075, 0.004]),
            light(leaf, 0.2 * (k % 2)),
            dark(leaf, 0.35),
        )


def coast(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield open water; a lighthouse stands on its rock, a boat rides the swell."""
    horizon = frame.h * (scene.stream.one("horizon", 0.6, 0.66) + scene.rise)
    yield from sky(scene, frame, horizon)
    yield from sky_cast(scene, frame, horizon)
    yield from _headland(scene, frame, horizon)
    yield from sea(scene, frame, horizon, frame.h)
    if "arctic" in scene.settings:
        yield from _icebergs(scene, frame, horizon)
    if scene.subject == "lighthouse":
        yield from _lighthouse(scene, frame)
    elif scene.subject == "ship":
        yield from _afloat(scene, frame, horizon)
    elif on_ground(scene):
        yield from _rocky_shore(scene, frame)
        yield from cast.standing(scene, frame, frame.h * 0.9)


def _lighthouse(scene: Scene, frame: Frame) -> Iterator[Mark]:
    (x, size), foot = cast.place(scene, frame), frame.h * 0.84
    lamp = foot - 0.88 * size
    if cast.is_group(scene):
        yield from cast.staged(scene, cast.glyph(scene), x, foot, size)
        return
    yield from cast.lamplight(scene, x, lamp, size)
    yield from cast.staged(scene, cast.glyph(scene), x, foot, size)
    yield Glow(x, lamp, size * 0.16, size * 0.16, (255, 246, 200), 0.9, 1.5)
    if scene.weather == "snow":
        drift = curve([(-0.55, 0.1), (-0.3, 0.03), (-0.1, -0.03), (0.16, -0.03), (0.42, 0.06), (0.55, 0.14),
                       (0.2, 0.09), (-0.2, 0.08)])  # fmt: skip
        snow = lit([shape(drift, SNOW, (206, 218, 236), ink=False)], scene.palette.lamp)
        yield from placed(snow, x, foot, size)


def _afloat(scene: Scene, frame: Frame, horizon: float) -> Iterator[Mark]:
    (x, size), y = cast.place(scene, frame), horizon + 0.385 * (frame.h - horizon)
    shapes = lit(cast.glyph(scene), cast.lamp(scene))
    yield from placed(shapes, x, y, size, flip=scene.flip, tilt=scene.stream.one("heel", -4, 4))
    yield Mirror(
        y + 0.035 * size,
        min(frame.h, y + 0.5 * size),
        mix(scene.palette.far, scene.palette.sky[0], 0.3),
        0.55,
        scene.stream,
    )
    foam = [ellipse(x + d * size, y + 0.045 * size, 0.16 * size, 0.012 * size) for d in (-0.3, 0.0, 0.3)]
    yield shape(foam, light(scene.palette.haze, 0.6), soft=0.012, alpha=0.8)


def _icebergs(scene: Scene, frame: Frame, horizon: float) -> Iterator[Mark]:
    stream = scene.stream.child("ice")
    for k in range(3):
        x, size = stream.one(f"x{k}", 0.05, 0.95) * frame.w, stream.one(f"s{k}", 0.12, 0.26)
        y = horizon + 0.02 + 0.03 * k
        tops = stream.many(f"t{k}", 5, 0.3, 1.0) * size
        edge = [(x + (j / 2 - 1) * size, y - float(t)) for j, t in enumerate(tops)]
        ice = under(SNOW, scene.palette.lamp)
        yield shape(
            polygon([(x - size * 1.2, y), *edge, (x + size * 1.2, y)]), ice, mix(ice, (120, 190, 220), 0.5)
        )
        yield shape(
            polygon([edge[2], edge[3], edge[4], (x + size * 1.2, y), (x + size * 0.2, y)]),
            (130, 176, 210),
            alpha=0.5,
            ink=False,
        )


def _rocky_shore(scene: Scene, frame: Frame) -> Iterator[Mark]:
    tone = ground(scene, 0.05)
    edge = profile(scene.stream.child("rocks"), frame, frame.h * 0.84, 0.03, 3, 4)
    yield shape(below(edge, frame.h + 0.1), light(tone, 0.3), dark(tone, 0.3), ink=False)


def lake(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield still water that mirrors hills and woods."""
    shore = frame.h * scene.stream.one("shore", 0.56, 0.62)
    yield from sky(scene, frame, shore)
    for k in range(2):
        edge = profile(scene.stream.child(f"far{k}"), frame, shore - 0.1 + 0.05 * k, 0.09 - 0.03 * k, 1.8, 5)
        yield shape(
            below(edge, shore + 0.01), ground(scene, 0.95 - 0.25 * k), ground(scene, 1.0 - 0.2 * k), ink=False
        )
    yield from sky_cast(scene, frame, shore)
    yield from copses(
        scene, scene.stream.child("bank"), frame, profile(scene.stream, frame, shore, 0.004, 1, 2), 0.4, 26
    )
    yield Mirror(
        shore,
        frame.h + 0.01,
        mix(scene.palette.far, scene.palette.sky[0], 0.4),
        0.72,
        scene.stream.child("mirror"),
    )
    if scene.weather == "clear":
        yield from _glints(scene, frame, shore, frame.h)
    if on_ground(scene):
        yield from _rocky_shore(scene, frame)
        yield from cast.standing(scene, frame, frame.h * 0.9)
