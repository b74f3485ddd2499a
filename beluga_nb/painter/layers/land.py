"""Lands: hills, forest, mountains, desert."""

from collections.abc import Iterator

import numpy as np

from beluga_nb.painter.colour import RGB, dark, light, mix, under
from beluga_nb.painter.layers import cast
from beluga_nb.painter.layers.frame import Frame
from beluga_nb.painter.layers.sky import sky
from beluga_nb.painter.marks import Glow, Mark, Mist, Wash, shape
from beluga_nb.painter.noise import ridge
from beluga_nb.painter.outline import Outline, curve, ellipses, moved, polygon, ribbon
from beluga_nb.painter.scene import Scene
from beluga_nb.painter.stream import Stream
from beluga_nb.painter.subjects.plants import conifer, tufts

SNOW: RGB = (244, 248, 255)


def ground(scene: Scene, depth: float) -> RGB:
    """Return the ground's colour, 0 near to 1 far: hazier, in the hour's light, white under snow."""
    p = scene.palette
    tone = mix(p.near, p.far, min(1.0, depth * 1.2))
    if scene.weather == "snow" or "arctic" in scene.settings:
        tone = mix(tone, SNOW, 0.8)
    return mix(under(tone, p.lamp), p.haze, min(0.86, 0.04 + 0.8 * depth**1.1))


def profile(
    stream: Stream, frame: Frame, y: float, height: float, cells: float, octaves: int, rough: float = 0.5
) -> Outline:
    """Return the upper edge of a ridge as points from left to right."""
    n = round(70 * frame.w * (1 + octaves / 4))
    x = np.linspace(-0.02, frame.w + 0.02, n)
    return np.column_stack([x, y - height * ridge(stream, n, cells * frame.w, octaves, rough)])


def below(edge: Outline, bottom: float) -> Outline:
    """Return the land under an edge."""
    return np.vstack([edge, [(edge[-1, 0], bottom), (edge[0, 0], bottom)]])


def _hour_glow(scene: Scene, frame: Frame, horizon: float) -> Iterator[Mark]:
    x = frame.w * (0.5 + 0.33 * scene.sun)
    strength = {"dawn": 0.34, "dusk": 0.42, "day": 0.16, "night": 0.12}[scene.time]
    if scene.weather == "clear":
        yield Glow(x, horizon, frame.w * 0.6, 0.3, scene.palette.glow, strength, 1.8)


def hills(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield rolling hills with trees and flowers."""
    horizon = frame.h * (scene.stream.one("horizon", 0.54, 0.62) + scene.rise)
    yield from sky(scene, frame, horizon)
    yield from sky_cast(scene, frame, horizon)
    far = profile(scene.stream.child("far"), frame, horizon - 0.03, 0.06, 2.2, 5)
    yield shape(
        below(far, frame.h),
        mix(ground(scene, 0.9), scene.palette.sky[1], 0.3),
        ground(scene, 0.95),
        ink=False,
    )
    yield from _hour_glow(scene, frame, horizon)
    yield Wash((ground(scene, 0.8), ground(scene, 0.2)), horizon, frame.h + 0.01)
    for k in range(scene.depth):
        yield from _hill(scene, frame, horizon, k, scene.depth)
    yield from _foreground(scene, frame)


def sky_cast(scene: Scene, frame: Frame, horizon: float) -> Iterator[Mark]:
    """Yield the subject in the air, if that is where it belongs."""
    if scene.stance == "air":
        yield from cast.aloft(scene, frame, horizon * 0.52)


def on_ground(scene: Scene) -> bool:
    """Return whether the subject is to stand on the ground."""
    return scene.stance in ("ground", "floor", "sea", "float")


def _hill(scene: Scene, frame: Frame, horizon: float, k: int, n: int) -> Iterator[Mark]:
    stream, depth = scene.stream.child(f"hill{k}"), 1 - (k + 1) / n
    y = horizon + (frame.h * 0.98 - horizon) * ((k + 0.35) / n) ** 1.15
    edge = profile(stream, frame, y, 0.05 + 0.015 * k, 1.1, 2, 0.35)
    tone = ground(scene, depth * 0.75)
    trees = 16 - 4 * k if k < n - 1 else 0
    yield from copses(scene, stream, frame, edge, depth, trees)
    yield shape(below(edge, frame.h + 0.1), light(tone, 0.26), tone, dark(tone, 0.22), ink=False)
    light_band = moved(edge, 0, 0.03)
    yield shape(
        ribbon(light_band[::3], [0.03, 0.05, 0.03], steps=1), light(tone, 0.34), soft=0.035, alpha=0.55
    )
    if k < n - 1:
        yield from _hedges(scene, stream, edge, tone)


def _hedges(scene: Scene, stream: Stream, edge: Outline, tone: RGB) -> Iterator[Mark]:
    """Yield furrows that follow the hill, as fields do."""
    offsets = stream.many("furrows", 3, 0.03, 0.11)
    bands = [ribbon(moved(edge, 0, float(o))[::4], [0.001, 0.004, 0.001], steps=1) for o in offsets]
    if scene.weather != "snow":
        yield shape(bands, dark(tone, 0.18), alpha=0.5, ink=False)


def copses(scene: Scene, stream: Stream, frame: Frame, edge: Outline, depth: float, n: int) -> Iterator[Mark]:
    """Yield clumps of trees along a ridge."""
    if n <= 0:
        return
    places = stream.many("copse", frame.many(n))
    places = np.where(
        stream.many("clump", len(places)) < 0.6, 0.25 * places + stream.one("at", 0, 0.7), places
    )
    size = 0.03 + 0.05 * (1 - depth)
    leaf = mix(dark(ground(scene, depth * 0.75), 0.38), scene.palette.haze, 0.12 * depth)
    if scene.weather == "snow":
        leaf = mix(leaf, (60, 90, 96), 0.5)
    balls, spruces = [], []
    for k, t in enumerate(places):
        x, y = edge[int(t * (len(edge) - 1))]
        if k % 3 == 0:
            spruces.append(conifer(float(x), float(y) + 0.008, size * 1.5))
        else:
            balls += tufts(
                stream.child(k), float(x), float(y) - size * 0.35, size * 0.34, size * 0.24, 6, size * 0.3
            )
    yield shape(spruces, leaf, dark(leaf, 0.3), ink=False)
    if balls:
        yield shape(balls, light(leaf, 0.18), dark(leaf, 0.15), ink=False)


def _foreground(scene: Scene, frame: Frame) -> Iterator[Mark]:
    foot = frame.h * scene.stream.one("foot", 0.885, 0.925)
    if on_ground(scene):
        yield from cast.standing(scene, frame, foot)
    yield from _grasses(scene, frame)


def _grasses(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield blades and blossoms along the lower edge."""
    stream, n = scene.stream.child("grass"), frame.many(90)
    x, length = stream.many("x", n, -0.02, frame.w + 0.02), stream.many("length", n, 0.03, 0.09)
    lean = stream.many("lean", n, -0.02, 0.02)
    blades = [
        polygon([(a - 0.004, frame.h + 0.01), (a + b, frame.h + 0.005 - c), (a + 0.004, frame.h + 0.01)])
        for a, b, c in zip(x, lean, length, strict=True)
    ]
    tone = ground(scene, 0.0)
    yield shape(blades, light(tone, 0.12), dark(tone, 0.4), ink=False)
    if scene.weather == "snow":
        return
    heads = ellipses((x + lean)[::4], frame.h - length[::4], 0.0065, 0.006, n=12)
    yield shape(heads, under(light(scene.palette.accent, 0.2), scene.palette.lamp), ink=False)


def forest(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield rows of spruces, each row nearer and darker, around a clearing."""
    horizon = frame.h * (scene.stream.one("horizon", 0.6, 0.66) + scene.rise)
    yield from sky(scene, frame, horizon)
    rows = scene.depth + 1
    for k in range(rows):
        yield from _tree_row(scene, frame, horizon, k, rows)
    tone = ground(scene, 0.1)
    edge = profile(scene.stream.child("floor"), frame, frame.h * 0.8, 0.02, 1.5, 3)
    yield shape(below(edge, frame.h + 0.1), light(tone, 0.26), dark(tone, 0.2), ink=False)
    yield Glow(frame.w * (0.5 + scene.side * 0.7), frame.h * 0.88, 0.7, 0.16, light(tone, 0.45), 0.6)
    yield from sky_cast(scene, frame, horizon)
    yield from _foreground(scene, frame)
    yield from _wings(scene, frame)


def _tree_row(scene: Scene, frame: Frame, horizon: float, k: int, rows: int) -> Iterator[Mark]:
    stream, depth = scene.stream.child(f"row{k}"), 1 - k / (rows - 0.5)
    foot = horizon + (frame.h * 0.84 - horizon) * (k / rows)
    n = max(5, frame.many(20 / (1 + 0.55 * k)))
    x = (np.arange(n) + stream.many("x", n)) / n * (frame.w + 0.2) - 0.1
    height = stream.many("height", n, 0.22, 0.42) * (0.75 + 0.36 * k)
    gap = np.abs(x - frame.w * (0.5 + scene.side * 0.7)) < 0.1 + 0.07 * k
    trees = [
        conifer(float(a), foot + 0.03, float(b))
        for a, b, g in zip(x, height, gap, strict=True)
        if not (g and k > 0)
    ]
    pine = mix(under(scene.palette.near, scene.palette.lamp), scene.palette.haze, 0.78 * depth**0.9)
    frost = mix(pine, under(SNOW, scene.palette.lamp), 0.45) if scene.weather == "snow" else light(pine, 0.12)
    if trees:
        yield shape(trees, frost, pine, dark(pine, 0.2), ink=False)
    if k % 2 == 0:
        yield Mist(
            stream.child("mist"),
            scene.palette.haze,
            foot - 0.12,
            foot + 0.12,
            0.42 * depth + 0.1,
            (2, 5),
            0.3,
            0.4,
        )


def _wings(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield a dark trunk that frames the view, away from the subject."""
    bark = dark(under((72, 58, 56), scene.palette.lamp), 0.35)
    for x in (frame.w * (0.985 if scene.side < 0 else 0.015),):
        stem = ribbon(
            [(x, frame.h + 0.05), (x + 0.02, frame.h * 0.5), (x - 0.01, -0.05)], [0.13, 0.075, 0.06]
        )
        yield shape(stem, light(bark, 0.1), bark, dark(bark, 0.5), across=True, ink=False)


def mountains(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield snow-capped ranges over meadows."""
    horizon = frame.h * (scene.stream.one("horizon", 0.62, 0.7) + scene.rise)
    yield from sky(scene, frame, horizon)
    for k in range(max(2, scene.depth - 1)):
        yield from _range(scene, frame, horizon, k, max(2, scene.depth - 1))
    yield from sky_cast(scene, frame, horizon)
    yield Wash((scene.palette.haze, ground(scene, 0.4)), horizon + 0.1, frame.h + 0.01)
    yield Mist(
        scene.stream.child("valley"),
        scene.palette.haze,
        horizon - 0.16,
        horizon + 0.14,
        0.6,
        (1.5, 5),
        0.32,
        0.35,
    )
    for k in (1, 2):
        yield from _hill(scene, frame, horizon + 0.02, k, 3)
    yield from _foreground(scene, frame)


def _range(scene: Scene, frame: Frame, horizon: float, k: int, n: int) -> Iterator[Mark]:
    stream, depth = scene.stream.child(f"range{k}"), 1 - (k + 1) / (n + 0.4)
    lead = 1.25 if scene.subject == "mountain" and k == 0 else 1.0
    peaks = _peaks(stream, frame, horizon, lead * (0.42 - 0.22 * k / n) * (0.8 + 0.2 * frame.h))
    stone = (
        scene.colour
        if scene.subject == "mountain" and scene.colour
        else mix(scene.palette.far, (96, 108, 148), 0.5)
    )
    rock = mix(under(stone, scene.palette.lamp), scene.palette.haze, 0.2 + 0.55 * depth)
    body = below(peaks, horizon + 0.25)
    side = 1 if scene.sun > 0 else -1
    snow = mix(under(SNOW, scene.palette.lamp), scene.palette.haze, 0.12 + 0.4 * depth)
    top = float(peaks[:, 1].min())
    yield shape(body, rock, mix(rock, scene.palette.haze, 0.45), ink=False)
    cap = _cap(stream, peaks, top, horizon, 0.42 if scene.weather != "snow" else 0.8)
    yield shape(cap, snow, within=body, ink=False)
    yield shape(
        _facets(stream, peaks, horizon, side),
        dark(rock, 0.55),
        dark(rock, 0.3),
        mix(rock, scene.palette.haze, 0.45),
        alpha=0.42,
        within=body,
        ink=False,
    )


def _peaks(stream: Stream, frame: Frame, horizon: float, height: float) -> Outline:
    n = round(4.2 * frame.w) + 2
    x = (np.arange(n) + stream.many("x", n, -0.28, 0.28)) / (n - 1) * (frame.w + 0.3) - 0.15
    tall = stream.many("tall", n, 0.45, 1.0) * np.where(np.arange(n) % 2, 1.0, 0.42) * height
    dense = np.linspace(-0.05, frame.w + 0.05, round(120 * frame.w))
    rough = ridge(stream.child("rough"), len(dense), 9 * frame.w, 3) * height * 0.045
    return np.column_stack([dense, horizon - np.interp(dense, x, tall) - rough])


def _cap(stream: Stream, peaks: Outline, top: float, horizon: float, share: float) -> Outline:
    """Return the part of a range above a ragged snow line."""
    line = top + (horizon - top) * share
    ragged = line + 0.05 * ridge(stream.child("snowline"), len(peaks), 14, 3, 0.6)
    return np.vstack(
        [peaks - (0, 0.01), np.column_stack([peaks[::-1, 0], np.maximum(ragged, peaks[:, 1])[::-1]])]
    )


def _facets(stream: Stream, peaks: Outline, horizon: float, sun: int) -> list[Outline]:
    """Return the flank of every summit that lies in shade: from a jagged spine to the next valley."""
    x, y = peaks[:, 0], peaks[:, 1]
    tops = [i for i in range(5, len(y) - 5) if y[i] == y[i - 5 : i + 6].min()]
    found = []
    for at, i in enumerate(tops):
        stop = (
            (tops[at + 1] if at + 1 < len(tops) else len(y) - 1) if sun < 0 else (tops[at - 1] if at else 0)
        )
        lowest = min(i, stop) + int(np.argmax(y[min(i, stop) : max(i, stop) + 1]))
        deep, reach = horizon + 0.1 - y[i], x[lowest] - x[i]
        jag = stream.many(f"jag{i}", 5, -0.06, 0.1) * reach
        spine = [
            (x[i] + jag[k] * (k + 1) / 2 + reach * 0.05 * k, y[i] + deep * (k + 1) / 5) for k in range(5)
        ]
        found.append(
            polygon([(x[i], y[i] - 0.03), *spine, (x[lowest], horizon + 0.1), (x[lowest], y[i] - 0.03)])
        )
    return found


def desert(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield dunes with sharp crests: one side lit, one in shade."""
    horizon = frame.h * (scene.stream.one("horizon", 0.5, 0.58) + scene.rise)
    yield from sky(scene, frame, horizon)
    yield from sky_cast(scene, frame, horizon)
    yield from _hour_glow(scene, frame, horizon)
    yield Wash((ground(scene, 0.9), ground(scene, 0.4)), horizon, frame.h)
    for k in range(scene.depth):
        yield from _dune(scene, frame, horizon, k, scene.depth)
    if on_ground(scene):
        yield from cast.standing(scene, frame, frame.h * 0.9)


def _dune(scene: Scene, frame: Frame, horizon: float, k: int, n: int) -> Iterator[Mark]:
    stream, depth = scene.stream.child(f"dune{k}"), 1 - (k + 1) / n
    y = horizon + (frame.h - horizon) * (k / n) ** 1.1
    tone = ground(scene, depth * 0.8)
    edge = profile(stream, frame, y + 0.03, 0.07 + 0.02 * k, 0.9, 2, 0.3)
    body = below(edge, frame.h + 0.1)
    yield shape(body, light(tone, 0.36), tone, dark(tone, 0.12), ink=False)
    inner = edge[8:-8]
    x, top = inner[int(np.argmin(inner[:, 1]))]
    side = -1 if scene.sun > 0 else 1
    crest = [
        (x, top - 0.02),
        (x + side * 0.05, top + 0.06),
        (x - side * 0.03, top + 0.15),
        (x + side * 0.16, top + 0.3),
        (x + side * 0.5, top + 0.5),
    ]
    shade = np.vstack(
        [curve(crest, closed=False), [(x + side * 3, top + 0.5), (x + side * 3, top - 0.4), (x, top - 0.4)]]
    )
    yield shape(shade, dark(tone, 0.5), dark(tone, 0.5), dark(tone, 0.1), alpha=0.62, within=body, ink=False)
