"""Indoors: a product studio, a portrait sitting, a living room."""

from collections.abc import Iterator

import numpy as np

from beluga_nb.painter.colour import RGB, dark, light, mix, under
from beluga_nb.painter.layers import cast
from beluga_nb.painter.layers.frame import Frame
from beluga_nb.painter.layers.land import below, profile
from beluga_nb.painter.marks import Glow, Mark, Mirror, Shape, Wash, lit, placed, shape
from beluga_nb.painter.outline import box, curve, ellipse, polygon, ribbon, rod
from beluga_nb.painter.reading import subjects
from beluga_nb.painter.scene import Scene
from beluga_nb.painter.subjects.people import bust


def _backdrop(scene: Scene) -> RGB:
    tone = scene.palette.far
    if "dark" in scene.moods or scene.night:
        return dark(tone, 0.75)
    return mix(tone, light(scene.colour, 0.5), 0.2) if scene.colour else tone


def studio(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield a sweep, soft boxes, and the product on a polished table."""
    tone, table_y = _backdrop(scene), frame.h * 0.8
    x = frame.w * (0.5 + scene.side * 0.25)
    yield Wash(
        (dark(tone, 0.34), dark(tone, 0.06), light(tone, 0.2), light(tone, 0.42), light(tone, 0.3)),
        0,
        frame.h,
    )
    yield Glow(x, frame.h * 0.46, 0.75, 0.62, light(tone, 0.9), 0.8, 1.5)
    yield Glow(
        frame.w * (0.5 + 0.5 * scene.sun),
        frame.h * 0.1,
        0.5,
        0.5,
        light(scene.palette.accent, 0.55),
        0.3,
        1.6,
    )
    size = min(cast.size_of(scene, frame) * 1.06, table_y - 0.02)
    raised = scene.stance in ("float", "air") and not cast.is_group(scene)
    foot = table_y + 0.05
    product = placed(cast.glyph(scene), x, foot - 0.5 * size * raised, size, flip=scene.flip)
    yield from product
    yield from _table(scene, frame, tone, x, foot, size)
    yield from product


def _table(scene: Scene, frame: Frame, tone: RGB, x: float, foot: float, size: float) -> Iterator[Mark]:
    """Yield the table over the picture so far: what stands on it is mirrored, and drawn again after it."""
    yield Mirror(
        foot, frame.h + 0.01, light(tone, 0.5), 0.42, scene.stream.child("polish"), 0.0, 2, fading=True
    )
    reach = -0.3 if scene.sun > 0 else 0.3
    yield shape(
        ellipse(x + reach * size * 0.5, foot, 0.36 * size, 0.035 * size),
        dark(tone, 0.5),
        soft=0.06,
        alpha=0.5,
    )
    yield shape(ellipse(x, foot, 0.19 * size, 0.022 * size), dark(tone, 0.75), soft=0.02, alpha=0.75)
    yield from _props(scene, x, foot, size)


def _props(scene: Scene, x: float, y: float, size: float) -> Iterator[Mark]:
    """Yield a few polished pebbles and drops beside the product."""
    stream = scene.stream.child("props")
    for k, side in enumerate((-1, 1, 1)):
        px, r = x + side * size * stream.one(f"x{k}", 0.3, 0.52), size * stream.one(f"r{k}", 0.04, 0.075)
        py = y + size * stream.one(f"y{k}", -0.015, 0.03)
        stone = mix(scene.palette.near, scene.palette.accent, 0.5 * (k == 1))
        pebble = ellipse(px, py - r * 0.6, r * 1.3, r * 0.72)
        yield shape(ellipse(px, py + r * 0.1, r * 1.5, r * 0.25), dark(stone, 0.6), soft=r * 0.4, alpha=0.6)
        yield shape(pebble, light(stone, 0.6), stone, dark(stone, 0.45))
        yield shape(
            ellipse(px - r * 0.4, py - r * 0.9, r * 0.4, r * 0.16),
            (255, 255, 255),
            soft=r * 0.2,
            alpha=0.7,
            within=pebble,
        )


def portrait(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield a dark room, a window with a view, side light, and the sitter."""
    p = scene.palette
    wall = (
        mix(p.far, (60, 44, 34), 0.4)
        if "renaissance" in scene.moods or scene.medium == "oil"
        else mix(p.far, (92, 104, 120), 0.65)
    )
    yield Wash((dark(wall, 0.5), dark(wall, 0.2), dark(wall, 0.62)), 0, frame.h)
    yield Glow(
        frame.w * (0.5 - 0.24 * _side(scene)),
        frame.h * 0.36,
        0.75,
        frame.h * 0.62,
        light(wall, 0.42),
        0.8,
        1.5,
    )
    yield from _window(scene, frame, wall)
    yield from _curtain(scene, frame)
    yield from _sitter(scene, frame)


def _side(scene: Scene) -> int:
    return -1 if scene.sun > 0 else 1


def _window(scene: Scene, frame: Frame, wall: RGB) -> Iterator[Mark]:
    """Yield an arched window that looks out on hills."""
    p, x, top, half = scene.palette, frame.w * (0.5 - 0.34 * _side(scene)), frame.h * 0.12, 0.14
    bottom = top + 0.46
    left = [(x - half, bottom), (x - half, top + half), (x - half * 0.7, top + half * 0.3)]
    arch = curve([*left, (x, top), *((2 * x - a, b) for a, b in reversed(left))])
    opening = np.vstack([arch[(arch[:, 1] < bottom)], [(x + half, bottom), (x - half, bottom)]])
    yield shape(opening, dark(wall, 0.7), soft=0.03, alpha=0.9)
    yield shape(opening, *p.sky, ink=False)
    for k in range(2):
        edge = profile(scene.stream.child(f"view{k}"), frame, bottom - 0.14 + 0.07 * k, 0.04, 4, 3)
        hill = mix(under((96, 134, 104), p.lamp), p.haze, 0.6 - 0.3 * k)
        yield shape(below(edge, bottom + 0.02), light(hill, 0.1), dark(hill, 0.15), within=opening, ink=False)
    bars = [
        rod((x, top - 0.05), (x, bottom), 0.009),
        rod((x - half, bottom - 0.2), (x + half, bottom - 0.2), 0.008),
    ]
    yield shape(bars, dark(wall, 0.6), within=opening, ink=False)
    yield shape(
        box(x - half - 0.03, bottom - 0.008, x + half + 0.03, bottom + 0.022),
        light(wall, 0.15),
        dark(wall, 0.5),
    )
    yield Glow(x, (top + bottom) / 2, 0.4, 0.46, p.glow, 0.2)


def _curtain(scene: Scene, frame: Frame) -> Iterator[Mark]:
    side, cloth = _side(scene), dark(mix(scene.palette.accent, (90, 20, 26), 0.35), 0.25)
    x = frame.w * (0.5 + side * 0.5)
    drape = curve([(x + side * 0.1, -0.1), (x - side * 0.26, -0.1), (x - side * 0.22, frame.h * 0.25),
                   (x - side * 0.1, frame.h * 0.5), (x - side * 0.13, frame.h * 0.8), (x - side * 0.05,
                   frame.h * 1.1), (x + side * 0.1, frame.h * 1.1)])  # fmt: skip
    yield shape(drape, dark(cloth, 0.3), cloth, dark(cloth, 0.6))
    for k in range(4):
        fold = ribbon(
            [
                (x - side * (0.22 - 0.055 * k), -0.05),
                (x - side * (0.17 - 0.045 * k), frame.h * 0.3),
                (x - side * (0.06 - 0.02 * k), frame.h),
            ],
            [0.016, 0.035, 0.03],
        )
        yield shape(
            fold, light(cloth, 0.28) if k % 2 else dark(cloth, 0.7), soft=0.022, alpha=0.65, within=drape
        )


def _sitter(scene: Scene, frame: Frame) -> Iterator[Mark]:
    stance = scene.stance or "bust"
    size = scene.zoom * min(1.02, 0.84 * frame.h**0.5)
    x, foot = frame.w * (0.5 + 0.1 * scene.side), frame.h + 0.02
    shapes = cast.glyph(scene)
    if not shapes or stance == "bust":
        shapes = lit(shapes or _stranger(scene), mix(scene.palette.lamp, (255, 246, 232), 0.7))
        yield from placed(shapes, x, foot, size, flip=_turned(scene))
        return
    lift = 0.45 if stance in ("float", "air") else 0.06
    size *= 1.15 if stance == "ground" else 0.8
    yield from placed(lit(shapes, (255, 246, 232)), x, foot - lift * frame.h, size, flip=_turned(scene))


def _turned(scene: Scene) -> bool:
    """Return whether the sitter faces the window; a group has its left and its right already."""
    return scene.flip if cast.is_group(scene) else scene.sun < 0


def _stranger(scene: Scene) -> tuple[Shape, ...]:
    return bust(cast.coat(scene))


def room(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield a living room: window, sofa, lamp, rug; the subject sits on the sofa."""
    p, floor = scene.palette, frame.h * 0.8
    wall = under(p.far if not scene.night else dark(p.far, 0.4), mix(p.lamp, (255, 240, 220), 0.5))
    yield Wash((dark(wall, 0.12), wall, light(wall, 0.2)), 0, floor)
    yield from _big_window(scene, frame, wall)
    yield from _pictures(scene, frame, wall)
    wood = (
        under(p.near, mix(p.lamp, (255, 240, 220), 0.5))
        if "room" not in scene.settings
        else under((168, 118, 78), mix(p.lamp, (255, 240, 220), 0.5))
    )
    yield Wash((dark(wood, 0.3), wood, light(wood, 0.1)), floor, frame.h + 0.01)
    yield shape(
        box(-0.1, floor - 0.02, frame.w + 0.1, floor + 0.004), light(wall, 0.5), dark(wall, 0.15), ink=False
    )
    yield shape(
        ellipse(frame.w * 0.5, frame.h * 0.93, frame.w * 0.46, 0.075),
        light(mix(p.accent, wall, 0.5), 0.2),
        mix(p.accent, wall, 0.3),
    )
    yield from _lamp(scene, frame, floor)
    if not _furnished(scene):
        yield from _sofa(scene, frame)
    if scene.stance not in ("", "scenery", "sky"):
        yield from _seated(scene, frame)


def _furnished(scene: Scene) -> bool:
    """Return whether the subject is furniture, in whose place the sofa would stand."""
    return any(subjects()[actor.subject].stance == "floor" for actor in scene.cast)


def _seated(scene: Scene, frame: Frame) -> Iterator[Mark]:
    seat = frame.h * 0.92 if _furnished(scene) else frame.h * 0.9 - 0.21
    x, size = cast.place(scene, frame)
    size = min(size, 0.84 * seat)  # even the tall must fit under the ceiling
    lift = 0.3 if scene.stance in ("float", "air") else 0.0
    x = frame.w / 2 + (x - frame.w / 2) * 0.7
    yield shape(
        ellipse(x + 0.05 * size, seat - 0.005, size * 0.42, 0.03),
        dark(scene.palette.accent, 0.65),
        soft=0.04,
        alpha=0.6,
    )
    yield from cast.staged(scene, cast.glyph(scene), x, seat - lift, size * 1.06)


def _big_window(scene: Scene, frame: Frame, wall: RGB) -> Iterator[Mark]:
    p, x = scene.palette, frame.w * (0.5 + 0.28 * (1 if scene.sun > 0 else -1))
    half, top, bottom = 0.19, frame.h * 0.1, frame.h * 0.1 + 0.4
    pane = box(x - half, top, x + half, bottom)
    yield shape(
        box(x - half - 0.025, top - 0.025, x + half + 0.025, bottom + 0.025),
        light(wall, 0.7),
        light(wall, 0.4),
    )
    yield shape(pane, *p.sky, ink=False)
    edge = profile(scene.stream.child("view"), frame, bottom - 0.08, 0.04, 3, 4)
    yield shape(below(edge, bottom + 0.1), mix((110, 150, 110), p.haze, 0.4), within=pane, ink=False)
    yield shape(
        [rod((x, top), (x, bottom), 0.012), rod((x - half, top + 0.17), (x + half, top + 0.17), 0.01)],
        light(wall, 0.6),
        ink=False,
    )
    yield shape(
        box(x - half - 0.045, bottom + 0.02, x + half + 0.045, bottom + 0.045),
        light(wall, 0.75),
        light(wall, 0.35),
    )
    side = 1 if scene.sun > 0 else -1  # one curtain, outwards: the other would hang behind the sitter's head
    cloth = light(mix(p.accent, wall, 0.6), 0.4)
    edge_x = x + side * 0.24
    hang = ribbon(
        [(edge_x, top - 0.05), (edge_x, (top + bottom) / 2), (edge_x, frame.h * 0.78)], [0.1, 0.075, 0.11]
    )
    yield shape(hang, cloth, dark(cloth, 0.14), cloth, dark(cloth, 0.14), cloth, across=True)
    beam = polygon(
        [
            (x - half, bottom),
            (x + half, bottom),
            (x + half - scene.sun * 0.7, frame.h),
            (x - half - scene.sun * 0.9, frame.h),
        ]
    )
    if scene.time != "night":
        yield shape(beam, p.glow, soft=0.05, alpha=0.2)


def _pictures(scene: Scene, frame: Frame, wall: RGB) -> Iterator[Mark]:
    x = frame.w * (0.5 - 0.26 * (1 if scene.sun > 0 else -1))
    for k, (dx, dy, w, h) in enumerate(
        ((-0.09, 0.0, 0.075, 0.1), (0.09, -0.02, 0.06, 0.075), (0.09, 0.15, 0.06, 0.05))
    ):
        y = frame.h * 0.22 + dy
        yield shape(box(x + dx - w, y - h, x + dx + w, y + h), (104, 76, 56), (70, 48, 38))
        yield shape(
            box(x + dx - w + 0.012, y - h + 0.012, x + dx + w - 0.012, y + h - 0.012), light(wall, 0.8)
        )
        yield shape(
            ellipse(x + dx, y, w * 0.5, h * 0.5),
            mix(scene.palette.accent, (226, 160, 96), k / 2),
            light(scene.palette.accent, 0.4),
            ink=False,
        )


def _lamp(scene: Scene, frame: Frame, floor: float) -> Iterator[Mark]:
    x = frame.w * (0.5 - 0.4 * (1 if scene.sun > 0 else -1))
    shade = polygon(
        [
            (x - 0.05, floor - 0.52),
            (x + 0.05, floor - 0.52),
            (x + 0.09, floor - 0.38),
            (x - 0.09, floor - 0.38),
        ]
    )
    yield shape(
        [rod((x, floor - 0.4), (x, floor + 0.03), 0.012), ellipse(x, floor + 0.035, 0.06, 0.014)],
        (84, 66, 54),
    )
    yield shape(shade, (255, 244, 214), (246, 212, 150))
    yield Glow(x, floor - 0.42, 0.4, 0.4, (255, 226, 160), 0.5 if scene.night else 0.28)


def _sofa(scene: Scene, frame: Frame) -> Iterator[Mark]:
    cloth = under(scene.palette.accent, mix(scene.palette.lamp, (255, 244, 230), 0.6))
    x, foot, half = frame.w * 0.5, frame.h * 0.9, min(0.44 * frame.w, 0.62)
    yield shape(ellipse(x, foot + 0.01, half * 1.05, 0.03), (30, 20, 24), soft=0.03, alpha=0.55)
    yield shape(
        [
            box(x + s * half * 0.86 - 0.012, foot - 0.04, x + s * half * 0.86 + 0.012, foot + 0.012)
            for s in (-1, 1)
        ],
        (74, 48, 36),
    )
    yield shape(
        box(x - half * 0.94, foot - 0.42, x + half * 0.94, foot - 0.1, 0.06),
        light(cloth, 0.22),
        cloth,
        dark(cloth, 0.25),
    )
    yield shape(rod((x, foot - 0.41), (x, foot - 0.22), 0.005), dark(cloth, 0.45), alpha=0.7, ink=False)
    for s in (-1, 1):
        yield shape(
            box(min(x, x + s * half * 0.86), foot - 0.235, max(x, x + s * half * 0.86), foot - 0.11, 0.03),
            light(cloth, 0.34),
            cloth,
            dark(cloth, 0.2),
        )
    yield shape(box(x - half * 0.9, foot - 0.12, x + half * 0.9, foot - 0.03, 0.02), cloth, dark(cloth, 0.4))
    for s in (-1, 1):
        yield shape(
            box(x + s * half - 0.065, foot - 0.31, x + s * half + 0.065, foot - 0.03, 0.055),
            light(cloth, 0.3),
            cloth,
            dark(cloth, 0.35),
        )
