"""Weather in front of everything: rain, snow, fog, lightning."""

from collections.abc import Iterator

import numpy as np

from beluga_nb.painter.colour import RGB, light, under
from beluga_nb.painter.layers.frame import Frame
from beluga_nb.painter.marks import Glow, Mark, Mist, shape
from beluga_nb.painter.outline import Outline, ellipses, polygon, ribbon
from beluga_nb.painter.scene import OUTDOORS, Scene


def falling(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield what falls or drifts, outdoors."""
    if scene.kind not in OUTDOORS:
        return
    if scene.weather in ("rain", "storm"):
        yield from _rain(scene, frame)
    if scene.weather == "storm":
        yield from _lightning(scene, frame)
    if scene.weather == "snow":
        yield from _snow(scene, frame)
    if scene.weather == "fog":
        yield from _fog(scene, frame)


def _rain(scene: Scene, frame: Frame) -> Iterator[Mark]:
    stream = scene.stream.child("rain")
    slant = stream.one("slant", 0.1, 0.24) * (1 if scene.flip else -1)
    drops: list[Outline] = []
    for k, (per_unit, length, width) in enumerate(((150, 0.05, 0.0014), (70, 0.1, 0.0024))):
        n = frame.many(per_unit * frame.h)
        x, y = stream.many(f"x{k}", n, -0.1, frame.w + 0.1), stream.many(f"y{k}", n, -0.1, frame.h)
        fall = slant * length
        drop = polygon([(0, 0), (width, 0), (fall + width, length), (fall, length)])
        drops += list(drop + np.stack([x, y], axis=-1)[:, None, :])
    yield shape(drops, light(scene.palette.haze, 0.55), alpha=0.38, ink=False)


def _lightning(scene: Scene, frame: Frame) -> Iterator[Mark]:
    stream, x = scene.stream.child("bolt"), frame.w * (0.5 + 0.3 * (1 if scene.side < 0 else -1))
    y = np.linspace(0, frame.h * 0.56, 11)
    bolt = np.column_stack([x + np.cumsum(stream.many("jag", 11, -0.05, 0.05)), y])
    fork = bolt[5] + np.column_stack(
        [np.linspace(0, 0.12, 5) + stream.many("fork", 5, -0.02, 0.02), np.linspace(0, 0.2, 5)]
    )
    fork[0] = bolt[5]
    pale: RGB = (244, 240, 255)
    yield Glow(float(bolt[4, 0]), frame.h * 0.2, 0.55, 0.6, (190, 186, 255), 0.5)
    yield shape(
        [ribbon(bolt, [0.014, 0.009, 0.003], steps=1), ribbon(fork, [0.006, 0.002], steps=1)], pale, ink=False
    )


def _snow(scene: Scene, frame: Frame) -> Iterator[Mark]:
    stream = scene.stream.child("snow")
    yield Mist(
        stream.child("drift"),
        light(scene.palette.haze, 0.35),
        frame.h * 0.3,
        frame.h * 1.1,
        0.42,
        (1.5, 3.0),
        0.35,
        0.4,
    )
    flake = under((255, 255, 255), light(scene.palette.lamp, 0.6))
    for k, (per_unit, size, alpha, soft) in enumerate(
        ((240, 0.003, 0.75, 0.0), (130, 0.0052, 0.9, 0.0), (26, 0.012, 0.8, 0.008))
    ):
        n = frame.many(per_unit * frame.h)
        x, y, r = (
            stream.many(f"x{k}", n, 0, frame.w),
            stream.many(f"y{k}", n, 0, frame.h),
            stream.many(f"r{k}", n, 0.6, 1.2),
        )
        yield shape(ellipses(x, y, size * r, size * r), flake, alpha=alpha, soft=soft, ink=False)


def _fog(scene: Scene, frame: Frame) -> Iterator[Mark]:
    stream, haze = scene.stream.child("fog"), light(scene.palette.haze, 0.15)
    for k, (top, bottom, alpha) in enumerate(((0.25, 0.8, 0.42), (0.5, 1.15, 0.28))):
        yield Mist(stream.child(k), haze, frame.h * top, frame.h * bottom, alpha, (1.3, 4.0), 0.26, 0.4)
