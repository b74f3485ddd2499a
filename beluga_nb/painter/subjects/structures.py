"""House and lighthouse."""

from beluga_nb.painter.colour import RGB, dark, light, mix
from beluga_nb.painter.marks import Shape, shape
from beluga_nb.painter.outline import Outline, box, curve, ellipse, polygon, rod
from beluga_nb.painter.subjects.coat import Coat

LAMP: RGB = (255, 222, 130)
WHITE: RGB = (250, 247, 240)


def house(coat: Coat) -> tuple[Shape, ...]:
    """Return a cottage: a gable, a roof, a chimney, a door, windows."""
    front = polygon([(-0.46, 0), (-0.46, -0.42), (-0.24, -0.72), (-0.02, -0.42), (-0.02, 0)])
    roof = polygon([(-0.26, -0.77), (0.4, -0.77), (0.56, -0.4), (0.0, -0.4)])
    gable = [rod((-0.25, -0.77), (-0.52, -0.39), 0.05), rod((-0.25, -0.77), (0.01, -0.39), 0.05)]
    tile: RGB = mix(coat.accent, (168, 78, 58), 0.85)
    pane: RGB = LAMP if coat.night else (150, 196, 216)
    return (
        shape(box(0.24, -0.94, 0.34, -0.66), (150, 96, 80), (104, 62, 56), across=True),
        shape(box(-0.04, -0.42, 0.5, 0), dark(coat.base, 0.16), dark(coat.base, 0.36)),
        shape(front, coat.lit, coat.base),
        shape(roof, light(tile, 0.22), tile, dark(tile, 0.25)),
        shape(gable, light(tile, 0.25), dark(tile, 0.2)),
        *_opening(-0.24, -0.26, 0.13, 0.26, (126, 74, 52)),
        *(s for x in (0.14, 0.36) for s in _window(x, -0.24, pane)),
        *_window(-0.24, -0.46, pane),
    )


def _opening(x: float, top: float, width: float, height: float, colour: RGB) -> tuple[Shape, ...]:
    door = box(x - width / 2, top, x + width / 2, top + height)
    return (
        shape(box(x - width / 2 - 0.02, top - 0.02, x + width / 2 + 0.02, 0), WHITE),
        shape(door, light(colour, 0.15), dark(colour, 0.25)),
        shape(ellipse(x + width * 0.3, top + height * 0.55, 0.01, 0.01), LAMP, ink=False),
    )


def _window(x: float, y: float, pane: RGB) -> tuple[Shape, ...]:
    return (
        shape(box(x - 0.065, y - 0.075, x + 0.065, y + 0.075), WHITE),
        shape(box(x - 0.05, y - 0.06, x + 0.05, y + 0.06), light(pane, 0.3), pane, ink=False),
        shape(
            [rod((x, y - 0.06), (x, y + 0.06), 0.012), rod((x - 0.05, y), (x + 0.05, y), 0.012)],
            WHITE,
            ink=False,
        ),
    )


def lighthouse(coat: Coat) -> tuple[Shape, ...]:
    """Return a banded tower with its lantern on a rock; the lamp stands near (0, -0.9)."""
    tower = polygon([(-0.12, 0.02), (-0.075, -0.8), (0.075, -0.8), (0.12, 0.02)])
    bands = [box(-0.2, y - 0.11, 0.2, y) for y in (-0.08, -0.34, -0.6)]
    windows = [box(-0.016, y - 0.05, 0.016, y, 0.008) for y in (-0.22, -0.48, -0.7)]
    return (
        *_rock(),
        shape(tower, dark(WHITE, 0.16), WHITE, WHITE, dark(WHITE, 0.25), dark(WHITE, 0.5), across=True),
        *(
            shape(b, coat.lit, coat.base, coat.shade, coat.deep, across=True, within=tower, ink=False)
            for b in bands
        ),
        shape(windows, LAMP if coat.night else (60, 66, 84), ink=False),
        shape(box(-0.05, -0.1, 0.05, 0.0, 0.02), (94, 58, 50), (58, 36, 36)),
        shape(box(-0.12, -0.82, 0.12, -0.79, 0.008), (70, 74, 88), (40, 42, 54)),
        shape(
            [rod((x, -0.82), (x, -0.87), 0.006) for x in (-0.11, -0.055, 0.055, 0.11)]
            + [rod((-0.115, -0.87), (0.115, -0.87), 0.007)],
            (52, 54, 66),
            ink=False,
        ),
        shape(box(-0.055, -0.94, 0.055, -0.82), (255, 250, 220), LAMP),
        shape([rod((x, -0.94), (x, -0.82), 0.007) for x in (-0.052, 0.0, 0.052)], (60, 58, 66), ink=False),
        shape(
            curve([(-0.085, -0.94), (-0.06, -1.0), (0.0, -1.04), (0.06, -1.0), (0.085, -0.94)]),
            coat.lit,
            coat.base,
            coat.deep,
            across=True,
        ),
        shape(rod((0, -1.03), (0, -1.09), 0.01), (60, 58, 66), ink=False),
    )


def _rock() -> tuple[Shape, ...]:
    stone: RGB = (96, 98, 108)
    rock = polygon([(-0.62, 0.2), (-0.5, 0.07), (-0.36, 0.05), (-0.24, -0.03), (-0.05, -0.02),
                    (0.14, -0.04), (0.3, 0.03), (0.42, 0.05), (0.56, 0.12), (0.66, 0.2), (0.4, 0.32),
                    (-0.4, 0.32)])  # fmt: skip
    faces = [
        polygon([(-0.36, 0.05), (-0.24, -0.03), (-0.05, -0.02), (-0.12, 0.06), (-0.28, 0.12)]),
        polygon([(0.14, -0.04), (0.3, 0.03), (0.2, 0.09), (0.06, 0.04)]),
    ]
    return (
        shape(rock, stone, dark(stone, 0.55)),
        *(shape(f, light(stone, 0.3), stone, ink=False) for f in faces),
    )


def castle(coat: Coat) -> tuple[Shape, ...]:
    """Return a castle: a keep, four towers with pointed roofs, a gate."""
    walls = (
        *_turret(coat, -0.26, 0.11, 0.74, 0.2),
        *_turret(coat, 0.24, 0.1, 0.82, 0.24),
        *_turret(coat, 0.0, 0.2, 0.66, 0.0),
        *_turret(coat, -0.03, 0.09, 0.92, 0.22),
        shape([box(-0.5, -0.34, 0.5, 0.0), *_merlons(-0.5, 0.5, -0.34)], coat.lit, coat.base, coat.shade),
        *_turret(coat, -0.48, 0.13, 0.54, 0.2),
        *_turret(coat, 0.48, 0.13, 0.5, 0.2),
    )
    gate = curve([(-0.1, 0.0), (-0.1, -0.16), (0.0, -0.26), (0.1, -0.16), (0.1, 0.0)])
    return (*walls, shape(gate, dark((92, 58, 40), 0.2), dark((92, 58, 40), 0.6)))


def _merlons(left: float, right: float, top: float) -> list[Outline]:
    n = max(3, round((right - left) / 0.07)) | 1
    step = (right - left) / n
    return [box(left + k * step, top - 0.04, left + (k + 1) * step, top + 0.01) for k in range(0, n, 2)]


def _turret(coat: Coat, x: float, half: float, height: float, roof: float) -> tuple[Shape, ...]:
    """Return a round tower; without a roof it has battlements."""
    body = box(x - half * 0.8, -height, x + half * 0.8, 0.0)
    head = [
        box(x - half, -height - 0.02, x + half, -height + 0.06),
        *_merlons(x - half, x + half, -height - 0.02),
    ]
    slits = [box(x - 0.014, y - 0.05, x + 0.014, y, 0.01) for y in (-height + 0.16, -height + 0.34)]
    cone = polygon([(x - half * 1.15, -height), (x, -height - roof * 1.4), (x + half * 1.15, -height)])
    slate = mix(coat.accent, (70, 92, 140), 0.75)
    fill = (coat.lit, coat.base, coat.shade, coat.deep)
    return (
        shape(body, *fill, across=True),
        shape(head, *fill, across=True),
        shape(slits, LAMP if coat.night else dark(coat.base, 0.8), ink=False),
        *((shape(cone, light(slate, 0.3), slate, dark(slate, 0.5), across=True),) if roof else ()),
    )
