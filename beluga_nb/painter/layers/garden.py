"""A garden in blossom: trees to both sides, a path, petals in the air."""

from collections.abc import Iterator

import numpy as np

from beluga_nb.painter.colour import RGB, dark, light, mix, under
from beluga_nb.painter.layers import cast
from beluga_nb.painter.layers.frame import Frame
from beluga_nb.painter.layers.land import below, ground, profile
from beluga_nb.painter.layers.sky import sky
from beluga_nb.painter.marks import Glow, Mark, Mist, shape
from beluga_nb.painter.outline import Outline, ellipses, polygon, ribbon
from beluga_nb.painter.scene import Scene
from beluga_nb.painter.stream import Stream
from beluga_nb.painter.subjects.plants import crowns


def garden(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield the garden, the subject in the middle of it."""
    horizon = frame.h * (0.62 + scene.rise)
    blossom = mix(scene.palette.accent, (250, 160, 192), 0.6)
    haze = Glow(frame.w * 0.5, horizon * 0.8, frame.w * 0.48, 0.45, light(blossom, 0.55), 0.6)
    yield from sky(scene, frame, horizon, haze)
    yield from _distance(scene, frame, horizon, blossom)
    yield from _lawn(scene, frame, horizon, blossom)
    yield from _trees(scene, frame, horizon, blossom)
    yield from _figure(scene, frame, horizon)
    yield from _canopy(scene, frame, blossom)
    yield from petals(scene, frame, blossom)


def _figure(scene: Scene, frame: Frame, horizon: float) -> Iterator[Mark]:
    if scene.stance == "air":
        yield from cast.aloft(scene, frame, horizon * 0.6)
    elif scene.subject:
        yield from cast.standing(scene, frame, frame.h * 0.9)


def _distance(scene: Scene, frame: Frame, horizon: float, blossom: RGB) -> Iterator[Mark]:
    p = scene.palette
    hill = profile(scene.stream.child("hill"), frame, horizon - 0.1, 0.08, 1.4, 4)
    yield shape(below(hill, horizon + 0.06), mix(ground(scene, 1.0), p.sky[0], 0.25), p.haze, ink=False)
    yield from _pagoda(scene, frame, horizon)
    for k in range(2):
        stream, x = scene.stream.child(f"far{k}"), frame.w * (0.3 + 0.45 * k)
        cloud = mix(under(light(blossom, 0.2), p.lamp), p.haze, 0.45)
        yield from crowns([(stream, x, horizon - 0.02, 0.2)], cloud, ink=False)
    yield Mist(scene.stream.child("mist"), p.haze, horizon - 0.15, horizon + 0.12, 0.5, (1.5, 5), 0.35, 0.35)


def _pagoda(scene: Scene, frame: Frame, horizon: float) -> Iterator[Mark]:
    x, size = frame.w * (0.72 if scene.flip else 0.28), 0.3
    tone = mix(under((150, 62, 62), scene.palette.lamp), scene.palette.haze, 0.5)
    for tier in range(4):
        y, half = horizon - 0.02 - tier * size * 0.28, size * (0.3 - 0.05 * tier)
        yield shape(
            polygon(
                [
                    (x - half * 0.6, y),
                    (x - half * 0.6, y - size * 0.2),
                    (x + half * 0.6, y - size * 0.2),
                    (x + half * 0.6, y),
                ]
            ),
            light(tone, 0.3),
            ink=False,
        )
        roof = [
            (x - half * 1.15, y - size * 0.16),
            (x - half * 0.8, y - size * 0.2),
            (x - half * 0.35, y - size * 0.3),
        ]
        yield shape(
            polygon([*roof, *[(2 * x - a, b) for a, b in reversed(roof)]]), dark(tone, 0.2), tone, ink=False
        )
    top = horizon - 0.02 - size * 1.12
    yield shape(polygon([(x - 0.003, top), (x, top - 0.09), (x + 0.003, top)]), tone, ink=False)


def _lawn(scene: Scene, frame: Frame, horizon: float, blossom: RGB) -> Iterator[Mark]:
    tone = ground(scene, 0.0)
    edge = profile(scene.stream.child("lawn"), frame, horizon + 0.04, 0.015, 1.2, 2)
    yield shape(below(edge, frame.h + 0.1), light(tone, 0.4), tone, dark(tone, 0.2), ink=False)
    x, bend = frame.w * (0.5 + scene.side * 0.3), scene.stream.one("bend", -0.14, 0.14)
    path = ribbon(
        [
            (x + bend, horizon + 0.05),
            (x - bend * 0.6, horizon + 0.14),
            (x, frame.h * 0.86),
            (x, frame.h + 0.05),
        ],
        [0.03, 0.1, 0.34, 0.56],
    )
    stone = under((240, 222, 204), scene.palette.lamp)
    yield shape(path, mix(stone, scene.palette.haze, 0.4), stone, dark(stone, 0.18), ink=False)
    yield shape(
        _litter(scene.stream.child("litter"), frame, horizon),
        light(under(blossom, scene.palette.lamp), 0.25),
        ink=False,
    )


def _litter(stream: Stream, frame: Frame, horizon: float) -> list[Outline]:
    """Return fallen petals, larger as they come nearer."""
    n = frame.many(170)
    t, x = stream.many("t", n) ** 0.8, stream.many("x", n, 0, frame.w)
    y = horizon + 0.08 + t * (frame.h - horizon - 0.08)
    return ellipses(x, y, 0.003 + 0.007 * t, 0.0012 + 0.0036 * t)


def _trees(scene: Scene, frame: Frame, horizon: float, blossom: RGB) -> Iterator[Mark]:
    bark = under((92, 58, 58), scene.palette.lamp)
    for side in (-1, 1):
        x = frame.w * 0.5 + side * (0.47 * frame.w + 0.02)
        foot = horizon + 0.3 * (frame.h - horizon) + (0.07 if side > 0 else 0.0)
        top = frame.h * 0.24
        stem = ribbon(
            [
                (x, foot),
                (x - side * 0.03, (foot + top) / 2 + 0.1),
                (x - side * 0.12, top + 0.12),
                (x - side * 0.3, top),
            ],
            [0.12, 0.07, 0.05, 0.015],
        )
        bough = ribbon(
            [(x - side * 0.04, (foot + top) / 2), (x - side * 0.02, top + 0.1), (x + side * 0.06, top)],
            [0.06, 0.04, 0.012],
        )
        yield shape([stem, bough], light(bark, 0.15), bark, dark(bark, 0.4), across=True, ink=False)
        heads = ((0.3, 0.02, 0.17), (0.12, -0.05, 0.22), (-0.04, 0.06, 0.2), (0.16, 0.12, 0.14))
        placed = [
            (scene.stream.child(f"crown{side}{k}"), x - side * dx, top + dy, r)
            for k, (dx, dy, r) in enumerate(heads)
        ]
        yield from crowns(placed[:2], under(dark(blossom, 0.03), scene.palette.lamp), ink=False)
        yield from crowns(placed[2:], under(dark(blossom, 0.12), scene.palette.lamp), ink=False)


def _canopy(scene: Scene, frame: Frame, blossom: RGB) -> Iterator[Mark]:
    """Yield near boughs that hang into the upper corners."""
    bark, tone = under((70, 44, 48), scene.palette.lamp), under(light(blossom, 0.12), scene.palette.lamp)
    for side in (-1, 1):
        x = frame.w * (0.5 + side * 0.5)
        yield shape(
            ribbon(
                [(x + side * 0.05, 0.02), (x - side * 0.14, 0.05), (x - side * 0.34, 0.12)],
                [0.035, 0.02, 0.005],
            ),
            bark,
            ink=False,
        )
        places = [
            (scene.stream.child(f"canopy{side}{k}"), x - side * (0.03 + 0.18 * k), 0.03 * k, 0.15 - 0.03 * k)
            for k in range(2)
        ]
        yield from crowns(places, tone, ink=False)


def petals(scene: Scene, frame: Frame, blossom: RGB) -> Iterator[Mark]:
    """Yield petals in the wind, the near ones blurred."""
    stream, tone = scene.stream.child("petals"), under(light(blossom, 0.35), light(scene.palette.lamp, 0.4))
    for k, (per_unit, size, soft) in enumerate(((60, 0.008, 0.0), (24, 0.014, 0.0), (6, 0.026, 0.012))):
        n = frame.many(per_unit * frame.h)
        x, y = stream.many(f"x{k}", n, 0, frame.w), stream.many(f"y{k}", n, 0, frame.h)
        tilt, thin = stream.many(f"tilt{k}", n, 0, 180), stream.many(f"thin{k}", n, 0.3, 0.7)
        leaves = ellipses(x, y, np.full(n, size), size * thin, tilt, n=12)
        yield shape(leaves, tone, soft=soft, alpha=0.92 if not soft else 0.7, ink=False)
