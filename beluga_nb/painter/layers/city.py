"""A city: three rows of towers, a street that mirrors them when it is wet."""

from collections.abc import Iterator

import numpy as np

from beluga_nb.painter.colour import RGB, dark, light, mix, under, vivid
from beluga_nb.painter.layers import cast
from beluga_nb.painter.layers.frame import Frame
from beluga_nb.painter.layers.sky import sky
from beluga_nb.painter.marks import Glow, Mark, Mirror, Mist, Panes, Wash, shape
from beluga_nb.painter.outline import Outline, box, ellipse, polygon, rod
from beluga_nb.painter.scene import Scene
from beluga_nb.painter.stream import Stream

WARM: RGB = (255, 214, 138)


def city(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield the skyline and its street."""
    street = frame.h * (scene.stream.one("street", 0.68, 0.74) + scene.rise)
    yield from sky(scene, frame, street)
    if scene.time in ("night", "dusk"):
        yield from _city_glow(scene, frame, street)
    if scene.stance == "air":
        yield from cast.aloft(scene, frame, street * 0.36)
    rows = max(3, scene.depth - 1)
    for k in range(rows):
        yield from _row(scene, frame, street, k, rows)
    yield from _street(scene, frame, street)
    if scene.stance in ("ground", "floor", "bust", "float", "sea"):
        yield from cast.standing(scene, frame, frame.h * 0.92)


def neons(scene: Scene) -> tuple[RGB, RGB, RGB]:
    """Return three lamp colours."""
    hue = scene.stream.one("neon", -15, 15)
    own = scene.palette.accent
    return own, vivid(188 + hue, 0.6, 1.0), vivid(272 + hue, 0.68, 1.0)


def _lively(scene: Scene) -> bool:
    return scene.night and bool({"neon-lit", "futuristic", "vivid"} & set(scene.moods))


def _city_glow(scene: Scene, frame: Frame, street: float) -> Iterator[Mark]:
    pink, cyan, violet = neons(scene) if _lively(scene) else (WARM, WARM, WARM)
    yield Glow(
        frame.w * (0.5 - 0.2 * scene.sun),
        street,
        frame.w * 0.85,
        street * 1.15,
        mix(violet, pink, 0.3),
        0.75,
        1.3,
    )
    yield Glow(
        frame.w * (0.5 + 0.3 * scene.sun),
        street * 0.9,
        frame.w * 0.5,
        street * 0.75,
        mix(cyan, pink, 0.5),
        0.6,
        1.6,
    )


def _row(scene: Scene, frame: Frame, street: float, k: int, rows: int) -> Iterator[Mark]:
    stream, near = scene.stream.child(f"row{k}"), (k + 1) / rows
    air = mix(scene.palette.haze, neons(scene)[2], 0.42) if _lively(scene) else scene.palette.haze
    tone = mix(air, under(scene.palette.near, scene.palette.lamp), 0.3 + 0.62 * near)
    if _lively(scene):
        tone = mix(tone, mix((150, 84, 190), (20, 16, 56), (near - 0.3) / 0.7), 0.74)
    towers = _towers(stream, frame, street, k, rows)
    if k == 0:
        towers += _landmarks(scene, frame, street)
    tops = [roof for t in towers for roof in _roofs(stream, t, futuristic="futuristic" in scene.moods)]
    yield shape(
        [*(box(*t) for t in towers), *tops],
        light(tone, 0.05),
        mix(tone, scene.palette.haze, 0.3 * (1 - near)),
        ink=near == 1,
    )
    sides = [(left + (right - left) * 0.62, top, right, foot) for left, top, right, foot in towers]
    yield Panes(tuple(sides), dark(tone, 0.35), 0.5)
    yield from _windows(scene, stream, towers, tone, near)
    if _lively(scene):
        yield from _signs(scene, stream, towers, near)
    if near < 0.7:
        yield Mist(
            stream.child("mist"), air, street - 0.36, street + 0.05, 0.8 * (1.1 - near), (1.2, 3), 0.2, 0.4
        )


def _landmarks(scene: Scene, frame: Frame, street: float) -> list["Tower"]:
    """Return the two towers that one remembers the city by."""
    x = frame.w * (0.5 + 0.5 * scene.side)
    return [(x - 0.055, street * 0.15, x + 0.055, street), (x + 0.1, street * 0.27, x + 0.17, street)]


Tower = tuple[float, float, float, float]


def _towers(stream: Stream, frame: Frame, street: float, k: int, rows: int) -> list[Tower]:
    n = max(4, round(frame.w * (12 - 2.9 * k)))
    edges = np.linspace(-0.06, frame.w + 0.06, n + 1)
    edges[1:-1] += stream.many("edge", n - 1, -0.25, 0.25) * (edges[1] - edges[0])
    tall = stream.many("tall", n) ** 1.6 * 0.5 + 0.28 - 0.05 * k
    middle = (edges[:-1] + edges[1:]) / 2 / frame.w
    dip = 1 - (
        0.62 * np.exp(-(((middle - 0.5) / 0.2) ** 2)) if k == rows - 1 else 0
    )  # a view between the nearest
    tops = street - tall * dip * street * (1.0 - 0.05 * k)
    gap = 0.1 * (edges[1] - edges[0]) * (k > 0)
    return [
        (float(a) + gap, float(t), float(b) - gap, street)
        for a, b, t in zip(edges[:-1], edges[1:], tops, strict=True)
    ]


def _roofs(stream: Stream, tower: Tower, *, futuristic: bool) -> list[Outline]:
    left, top, right, _ = tower
    x, half = (left + right) / 2, (right - left) / 2
    style = stream.whole(f"roof{left:.4f}", 0, 4)
    if style == 0:
        return [rod((x, top), (x, top - 0.09), 0.004), box(x - half * 0.4, top - 0.02, x + half * 0.4, top)]
    if style == 1 and half < 0.07:
        return [
            polygon(
                [
                    (x - half, top),
                    (x - half * 0.1, top - half * 1.5),
                    (x + half * 0.1, top - half * 1.5),
                    (x + half, top),
                ]
            )
        ]
    if style == 2 and futuristic:
        return [ellipse(x, top, half, half * 0.8), rod((x, top), (x, top - half * 2), 0.003)]
    if style == 3:
        return [polygon([(left, top), (right, top - half * 0.8), (right, top)])]
    return [box(x - half * 0.62, top - half * 0.5, x + half * 0.62, top)]


def _windows(scene: Scene, stream: Stream, towers: list[Tower], tone: RGB, near: float) -> Iterator[Mark]:
    pitch_x, pitch_y = 0.011 + 0.006 * near, 0.015 + 0.008 * near
    panes: list[list[Tower]] = [[], [], []]
    for left, top, right, bottom in towers:
        columns, rows = int((right - left) / pitch_x) - 1, int((bottom - top) / pitch_y) - 1
        if columns < 1 or rows < 1:
            continue
        on = stream.many(f"on{left:.4f}", columns * rows)
        x0 = left + ((right - left) - columns * pitch_x) / 2
        lit = 0.42 if scene.time == "night" else 0.24 if scene.time == "dusk" else 0.5
        for index in np.flatnonzero(on < lit):
            column, row = int(index) % columns, int(index) // columns
            x, y = x0 + column * pitch_x + pitch_x * 0.2, top + (row + 0.7) * pitch_y
            panes[0 if on[index] < lit * 0.6 else 1 if on[index] < lit * 0.85 else 2].append(
                (x, y, x + pitch_x * 0.6, y + pitch_y * 0.5)
            )
    for boxes, colour in zip(panes, _pane_colours(scene, tone), strict=True):
        yield Panes(tuple(boxes), mix(colour, tone, 0.1 + 0.55 * (1 - near)))


def _pane_colours(scene: Scene, tone: RGB) -> tuple[RGB, RGB, RGB]:
    if scene.time in ("night", "dusk"):
        pink, cyan, _ = neons(scene)
        return (WARM, cyan, pink) if _lively(scene) else (WARM, (255, 240, 206), (190, 220, 255))
    return light(tone, 0.45), dark(tone, 0.2), light(scene.palette.sky[1], 0.3)


def _signs(scene: Scene, stream: Stream, towers: list[Tower], near: float) -> Iterator[Mark]:
    """Yield glowing edges and signs, each with its halo."""
    colours = neons(scene)
    for k, (left, top, right, bottom) in enumerate(towers):
        if stream.one(f"sign{k}") > 0.5:
            continue
        colour = colours[k % 3]
        x = left if k % 2 else right
        tall = (bottom - top) * stream.one(f"reach{k}", 0.3, 0.8)
        line = rod((x, top), (x, top + tall), 0.003 + 0.003 * near)
        yield shape(line, colour, soft=0.02, alpha=0.75)
        yield shape(line, light(colour, 0.5), ink=False)
        if near > 0.6 and right - left > 0.06:
            sign = box(left + 0.015, top + tall * 0.3, left + 0.035, top + tall * 0.3 + 0.11, 0.006)
            yield shape(sign, colours[(k + 1) % 3], soft=0.03, alpha=0.7)
            yield shape(sign, light(colours[(k + 1) % 3], 0.3), colours[(k + 1) % 3], ink=False)


def _street(scene: Scene, frame: Frame, street: float) -> Iterator[Mark]:
    wet = scene.weather in ("rain", "storm") or "water" in scene.settings or _lively(scene)
    tone = dark(under(scene.palette.near, scene.palette.lamp), 0.15)
    if wet:
        yield Mirror(street, frame.h + 0.01, dark(tone, 0.4), 0.8, scene.stream.child("wet"), 0.007, 9)
        yield from _puddles(scene, frame, street)
        yield from _lanes(scene, frame, street)
    else:
        yield Wash((light(tone, 0.25), tone, dark(tone, 0.3)), street, frame.h + 0.01)
        yield from _lanes(scene, frame, street)
    kerb = box(-0.1, street - 0.006, frame.w + 0.1, street + 0.004)
    yield shape(kerb, dark(tone, 0.5), alpha=0.8, ink=False)


def _puddles(scene: Scene, frame: Frame, street: float) -> Iterator[Mark]:
    stream, n = scene.stream.child("puddles"), frame.many(8)
    x, t = stream.many("x", n, 0, frame.w), stream.many("t", n)
    long = stream.many("long", n, 0.06, 0.22)
    deep = frame.h - street
    pools = [
        ellipse(
            float(a), street + 0.02 + deep * float(b), float(c) * (0.4 + float(b)), 0.003 + 0.011 * float(b)
        )
        for a, b, c in zip(x, t, long, strict=True)
    ]
    glow = neons(scene)[1] if _lively(scene) else scene.palette.haze
    yield shape(pools, light(glow, 0.25), soft=0.008, alpha=0.2)


def _lanes(scene: Scene, frame: Frame, street: float) -> Iterator[Mark]:
    x, deep = frame.w * 0.5, frame.h - street
    dashes = [
        polygon(
            [
                (x - w, street + deep * a),
                (x + w, street + deep * a),
                (x + w * 1.6, street + deep * b),
                (x - w * 1.6, street + deep * b),
            ]
        )
        for a, b, w in ((0.1, 0.2, 0.003), (0.32, 0.5, 0.006), (0.68, 1.0, 0.011))
    ]
    yield shape(dashes, under((250, 244, 224), scene.palette.lamp), alpha=0.7, ink=False)
    kerbs = [
        polygon(
            [
                (x + s * 0.05, street),
                (x + s * (0.62 * frame.w + 0.04), frame.h),
                (x + s * 0.62 * frame.w, frame.h),
                (x + s * 0.047, street),
            ]
        )
        for s in (-1, 1)
    ]
    yield shape(kerbs, under((220, 226, 240), scene.palette.lamp), alpha=0.55, ink=False)
    if scene.night:
        yield from _trails(x, street, frame)


def _trails(x: float, street: float, frame: Frame) -> Iterator[Mark]:
    """Yield the lights of cars that have passed: red away from us, white towards us."""
    for side, colour in ((1, (255, 60, 70)), (-1, (255, 244, 220))):
        lines = []
        for k in (0.16, 0.2, 0.3, 0.34):
            start, end = (x + side * (0.012 + 0.04 * k), street + 0.004), x + side * k * frame.w
            lines.append(polygon([start, (end, frame.h), (end - side * 0.007, frame.h)]))
        yield shape(lines, colour, soft=0.014, alpha=0.4)
        yield shape(lines, light(colour, 0.3), alpha=0.85, ink=False)
