"""Skies: gradient, stars, sun or moon, clouds."""

from collections.abc import Iterator

import numpy as np

from beluga_nb.painter.colour import RGB, dark, light, mix
from beluga_nb.painter.layers.frame import Frame
from beluga_nb.painter.marks import Glow, Mark, Mist, Wash, shape
from beluga_nb.painter.outline import Outline, curve, ellipse, ellipses
from beluga_nb.painter.scene import Scene
from beluga_nb.painter.stream import Stream


def sky(scene: Scene, frame: Frame, horizon: float, *veils: Mark) -> Iterator[Mark]:
    """Yield everything above the horizon; veils hang behind sun and clouds, where soft things cost little."""
    yield Wash(scene.palette.sky, 0, horizon + 0.02)
    yield from veils
    if scene.night and scene.weather == "clear":
        yield from stars(scene.stream.child("stars"), frame, horizon)
    if "aurora" in scene.moods:
        yield from _aurora(scene, frame, horizon)
    if (
        scene.weather == "clear"
        or (scene.weather == "snow" and scene.night)
        or scene.subject in ("sun", "moon")
    ):
        yield from luminary(scene, frame, horizon)
    yield from clouds(scene, frame, horizon)


def _aurora(scene: Scene, frame: Frame, horizon: float) -> Iterator[Mark]:
    """Yield curtains of light: bright at their lower edge, fading upwards."""
    stream = scene.stream.child("aurora")
    for k, tone in enumerate(((90, 240, 170), (70, 220, 200), (170, 110, 235))):
        x = np.linspace(-0.1, frame.w + 0.1, 15)
        wave = stream.many(f"wave{k}", 15, -0.05, 0.05) + 0.07 * np.sin(x * 5 + stream.one(f"turn{k}", 0, 6))
        foot = horizon * (0.74 - 0.16 * k) + wave
        rays = stream.many(f"rays{k}", 15, 0.55, 1.0) * horizon * 0.4
        curtain = curve(np.vstack([np.column_stack([x, foot]), np.column_stack([x, foot - rays])[::-1]]))
        yield shape(curtain, mix(scene.palette.sky[0], tone, 0.25), tone, soft=0.07, alpha=0.62, ink=False)


def stars(stream: Stream, frame: Frame, bottom: float, per_unit: float = 130) -> Iterator[Mark]:
    """Yield small stars and a few large ones."""
    n = frame.many(per_unit * bottom)
    x, y, r = stream.many("x", n, 0, frame.w), stream.many("y", n) ** 1.3 * bottom, stream.many("r", n)
    for low, high, size, alpha in (
        (0.0, 0.7, 0.0011, 0.55),
        (0.7, 0.94, 0.0018, 0.8),
        (0.94, 1.0, 0.003, 1.0),
    ):
        chosen = np.flatnonzero((r >= low) & (r < high))
        if len(chosen):
            yield shape(
                ellipses(x[chosen], y[chosen], size, size, n=8), (236, 242, 255), alpha=alpha, ink=False
            )


def luminary(scene: Scene, frame: Frame, horizon: float) -> Iterator[Mark]:
    """Yield the sun or the moon with its light."""
    starring = scene.subject in ("sun", "moon")
    moon = scene.subject == "moon" or (scene.night and scene.subject != "sun")
    x = frame.w * (0.5 + (0.1 if starring else 0.33) * scene.sun)
    y = {"day": 0.24, "night": 0.26, "dawn": 0.72, "dusk": 0.78}[scene.time] * horizon
    y = horizon * 0.5 if starring else y
    r = 0.19 * scene.zoom if starring else (0.05 if moon else 0.058)
    glow = scene.colour if starring and scene.colour else scene.palette.glow
    yield Glow(x, y, r * 9, r * 9, glow, 0.5 if not moon else 0.3, 2.0)
    yield Glow(x, y, r * 3, r * 3, glow, 0.7 if not moon else 0.45, 1.6)
    yield from (_moon(x, y, r, glow) if moon else _sun(x, y, r, glow))


def _sun(x: float, y: float, r: float, glow: RGB) -> Iterator[Mark]:
    yield shape(ellipse(x, y, r, r), light(glow, 0.7), mix(glow, (255, 214, 120), 0.3), ink=False)


def _moon(x: float, y: float, r: float, glow: RGB) -> Iterator[Mark]:
    disc = ellipse(x, y, r, r, n=64)
    seas = [(-0.3, -0.25, 0.34), (0.2, -0.4, 0.2), (0.3, 0.1, 0.26), (-0.15, 0.35, 0.22), (-0.5, 0.15, 0.14)]
    spots = [ellipse(x + a * r, y + b * r, c * r, c * r * 0.85) for a, b, c in seas]
    yield shape(disc, light(glow, 0.6), glow, ink=False)
    yield shape(spots, dark(glow, 0.3), soft=r * 0.12, alpha=0.4, within=disc)
    yield shape(
        ellipse(x + r * 0.55, y + r * 0.3, r * 0.7, r * 1.1),
        dark(glow, 0.5),
        soft=r * 0.5,
        alpha=0.4,
        within=disc,
    )


def clouds(scene: Scene, frame: Frame, horizon: float) -> Iterator[Mark]:
    """Yield fair-weather clouds, or a cover."""
    stream, p = scene.stream.child("clouds"), scene.palette
    if scene.weather != "clear":
        tone = dark(p.sky[0], 0.3) if scene.weather in ("rain", "storm") else p.sky[1]
        yield Mist(stream.child("low"), tone, -horizon * 0.4, horizon * 0.85, 0.75, (1.4, 3.0), 0.42, 0.22)
        if scene.kind not in ("forest", "garden"):  # there, the trees hide it
            yield Mist(stream.child("high"), light(p.sky[1], 0.25), -0.05, horizon, 0.5, (1.6, 4.5), 0.5, 0.2)
        return
    body = mix(light(p.sky[2], 0.6), p.glow, 0.3) if not scene.night else mix(p.sky[1], p.sky[2], 0.7)
    if scene.kind not in ("forest", "garden"):
        yield Mist(stream.child("veil"), body, horizon * 0.1, horizon, 0.35, (1.2, 7.0), 0.5, 0.25)
    for k in range(round(2 * frame.w + stream.one("n", 0, 2))):
        yield from _cloud(stream.child(k), frame, horizon, body, mix(p.sky[1], p.haze, 0.6))


def _cloud(stream: Stream, frame: Frame, horizon: float, top: RGB, base: RGB) -> Iterator[Mark]:
    x, y = stream.one("x", 0, frame.w), stream.one("y", 0.12, 0.66) * horizon
    width = stream.one("width", 0.09, 0.2) * (0.6 + 0.6 * (1 - y / horizon))
    yield shape(puffs(stream, x, y, width), top, base, soft=0.009, alpha=0.82, ink=False)


def puffs(stream: Stream, x: float, y: float, width: float) -> list[Outline]:
    """Return the balls of one cloud: flat below, heaped in the middle."""
    n = 9
    along = np.linspace(-1, 1, n) + stream.many("along", n, -0.08, 0.08)
    rise = (1 - along**2) * stream.many("rise", n, 0.5, 1.0)
    balls = ellipses(
        x + along * width,
        y - rise * width * 0.2,
        width * (0.12 + 0.2 * rise),
        width * (0.06 + 0.17 * rise),
        n=36,
    )
    return [*balls, ellipse(x, y + width * 0.05, width * 1.1, width * 0.06)]
