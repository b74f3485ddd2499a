"""Bicycle, car, ship, rocket."""

import numpy as np

from beluga_nb.painter.colour import RGB, dark, light, mix
from beluga_nb.painter.marks import Shape, shape
from beluga_nb.painter.outline import Outline, box, curve, ellipse, polygon, ribbon, ring, rod
from beluga_nb.painter.subjects.coat import Coat

RUBBER: RGB = (38, 38, 46)
STEEL: RGB = (190, 198, 208)
WHITE: RGB = (250, 248, 240)


def bicycle(coat: Coat) -> tuple[Shape, ...]:
    """Return a city bicycle."""
    wheels = [(-0.44, -0.285), (0.44, -0.285)]
    crank, seat, head = (0.06, -0.27), (0.15, -0.7), (-0.3, -0.72)
    tubes = [rod(crank, seat, 0.034), rod(crank, head, 0.036), rod((0.125, -0.61), (-0.29, -0.66), 0.034)]
    stays = [rod(crank, wheels[1], 0.022), rod((0.13, -0.62), wheels[1], 0.02)]
    fork = ribbon(
        [(-0.295, -0.75), (-0.33, -0.6), (-0.39, -0.4), (-0.44, -0.285)], [0.034, 0.032, 0.024, 0.018]
    )
    return (
        *(s for x, y in wheels for s in _wheel(x, y, 0.28)),
        shape(stays, coat.base, coat.shade),
        *(shape(t, coat.lit, coat.base, coat.shade) for t in tubes),
        shape(fork, coat.lit, coat.base, coat.shade),
        *_handles(),
        shape(
            curve([(0.02, -0.755), (0.13, -0.775), (0.25, -0.79), (0.27, -0.745), (0.16, -0.725)]),
            (92, 62, 46),
            (52, 34, 30),
        ),
        shape(ring(*crank, 0.075, 0.018), STEEL, dark(STEEL, 0.4), ink=False),
        shape(
            [
                rod((0.0, -0.16), (0.12, -0.38), 0.018),
                rod((-0.05, -0.155), (0.05, -0.155), 0.024),
                rod((0.07, -0.385), (0.17, -0.385), 0.024),
            ],
            (70, 72, 82),
            ink=False,
        ),
    )


def _wheel(x: float, y: float, r: float) -> tuple[Shape, ...]:
    angles = np.radians(np.arange(0, 180, 20))
    spokes = [
        rod(
            (x - r * 0.9 * np.cos(a), y - r * 0.9 * np.sin(a)),
            (x + r * 0.9 * np.cos(a), y + r * 0.9 * np.sin(a)),
            0.005,
        )
        for a in angles
    ]
    return (
        shape(spokes, mix(STEEL, WHITE, 0.4), alpha=0.9, ink=False),
        shape(ring(x, y, r * 0.92, 0.016), STEEL, dark(STEEL, 0.3), ink=False),
        shape(ring(x, y, r, 0.032), light(RUBBER, 0.12), RUBBER, ink=False),
        shape(ellipse(x, y, 0.026, 0.026), STEEL, dark(STEEL, 0.5)),
    )


def _handles() -> tuple[Shape, ...]:
    bar = ribbon(
        [(-0.3, -0.74), (-0.32, -0.84), (-0.25, -0.87), (-0.13, -0.85)], [0.022, 0.022, 0.022, 0.022]
    )
    grip = ribbon([(-0.21, -0.866), (-0.12, -0.848)], [0.034, 0.034])
    return (
        shape(bar, STEEL, dark(STEEL, 0.3)),
        shape(grip, (92, 62, 46)),
        shape(rod((0.148, -0.7), (0.155, -0.75), 0.024), STEEL, dark(STEEL, 0.3)),
    )


def car(coat: Coat) -> tuple[Shape, ...]:
    """Return a friendly car from the side; half a unit high."""
    body = curve([(-0.62, -0.14), (-0.61, -0.25), (-0.5, -0.31), (-0.32, -0.335), (-0.19, -0.48),
                  (0.0, -0.525), (0.22, -0.515), (0.38, -0.42), (0.46, -0.335), (0.58, -0.31),
                  (0.62, -0.2), (0.6, -0.1), (0.4, -0.085), (-0.5, -0.085)])  # fmt: skip
    panes = [
        curve([(-0.26, -0.335), (-0.16, -0.455), (-0.02, -0.485), (-0.015, -0.335)]),
        curve([(0.02, -0.335), (0.02, -0.487), (0.2, -0.475), (0.33, -0.39), (0.37, -0.335)]),
    ]
    sky: RGB = (70, 96, 128) if coat.night else (176, 214, 232)
    return (
        shape(body, coat.lit, coat.base, coat.base, coat.deep),
        shape(
            ribbon([(-0.58, -0.262), (0.0, -0.3), (0.58, -0.272)], [0.012, 0.02, 0.012]),
            WHITE,
            soft=0.012,
            alpha=0.5,
            within=body,
        ),
        shape(box(-0.7, -0.17, 0.7, -0.05), coat.deep, soft=0.03, alpha=0.6, within=body),
        *(shape(p, light(sky, 0.5), dark(sky, 0.35)) for p in panes),
        *(
            shape(
                polygon([(x, -0.33), (x + 0.09, -0.5), (x + 0.15, -0.5), (x + 0.06, -0.33)]),
                WHITE,
                alpha=0.3,
                within=p,
                ink=False,
            )
            for x, p in zip((-0.2, 0.08), panes, strict=True)
        ),
        shape(
            [rod((0.002, -0.33), (0.002, -0.12), 0.006), box(0.05, -0.285, 0.12, -0.27)],
            coat.deep,
            alpha=0.7,
            ink=False,
        ),
        shape(ellipse(-0.585, -0.245, 0.035, 0.04), (255, 248, 214), (255, 214, 120)),
        shape(ellipse(0.6, -0.25, 0.02, 0.04), (226, 52, 48)),
        *(s for x in (-0.36, 0.36) for s in _car_wheel(x)),
    )


def _car_wheel(x: float) -> tuple[Shape, ...]:
    return (
        shape(ellipse(x, -0.122, 0.138, 0.138), (30, 28, 36), ink=False),
        shape(ellipse(x, -0.115, 0.122, 0.122), light(RUBBER, 0.08), RUBBER),
        shape(ellipse(x, -0.115, 0.07, 0.07), light(STEEL, 0.4), dark(STEEL, 0.4)),
        shape(ellipse(x, -0.115, 0.022, 0.022), dark(STEEL, 0.5), ink=False),
    )


def ship(coat: Coat) -> tuple[Shape, ...]:
    """Return a sailing boat; its waterline at y = 0."""
    hull = curve([(-0.52, -0.14), (-0.3, -0.11), (0.1, -0.1), (0.42, -0.13), (0.4, -0.03), (0.33, 0.05),
                  (-0.3, 0.05), (-0.42, -0.03)])  # fmt: skip
    main = curve([(0.01, -0.97), (0.13, -0.72), (0.33, -0.42), (0.42, -0.2), (0.2, -0.18), (0.015, -0.19)])
    jib = curve([(-0.03, -0.9), (-0.12, -0.62), (-0.3, -0.34), (-0.5, -0.17), (-0.25, -0.2), (-0.04, -0.21)])
    stripe = ribbon([(-0.6, -0.1), (0.0, -0.06), (0.5, -0.09)], [0.03, 0.03])
    cloth: RGB = (252, 246, 232)
    return (
        shape(rod((0, 0), (-0.005, -1.0), 0.018), (122, 84, 56)),
        shape(jib, cloth, light(cloth, 0.3), dark(cloth, 0.18), across=True),
        shape(main, light(cloth, 0.4), cloth, dark(cloth, 0.25), across=True),
        shape(
            [rod((0.02, -0.4), (0.34, -0.38), 0.006), rod((0.02, -0.65), (0.17, -0.63), 0.006)],
            dark(cloth, 0.25),
            ink=False,
        ),
        shape(hull, coat.lit, coat.base, coat.deep),
        shape(stripe, cloth, within=hull, ink=False),
        shape(polygon([(-0.005, -1.0), (0.12, -0.97), (-0.003, -0.94)]), coat.base),
    )


def rocket(coat: Coat) -> tuple[Shape, ...]:
    """Return a rocket on its way up, centred."""
    body = curve([(0, -0.5), (-0.09, -0.36), (-0.13, -0.15), (-0.12, 0.1), (-0.085, 0.26),
                  (0.085, 0.26), (0.12, 0.1), (0.13, -0.15), (0.09, -0.36)])  # fmt: skip
    fins = [
        curve([(s * 0.11, 0.05), (s * 0.23, 0.18), (s * 0.25, 0.36), (s * 0.16, 0.3), (s * 0.08, 0.26)])
        for s in (-1, 1)
    ]
    red = mix(coat.accent, (226, 66, 58), 0.8)
    return (
        *_flame(),
        shape(fins[0], light(red, 0.2), dark(red, 0.2)),
        shape(fins[1], red, dark(red, 0.5)),
        shape(
            body, dark(coat.base, 0.2), light(coat.base, 0.7), coat.base, coat.shade, coat.deep, across=True
        ),
        shape(
            box(-0.2, -0.6, 0.2, -0.34),
            light(red, 0.2),
            red,
            dark(red, 0.4),
            across=True,
            within=body,
            ink=False,
        ),
        shape(box(-0.2, 0.16, 0.2, 0.2), red, dark(red, 0.4), across=True, within=body, ink=False),
        shape(ellipse(0, -0.13, 0.066, 0.066), STEEL, dark(STEEL, 0.5)),
        shape(ellipse(0, -0.13, 0.048, 0.048), (150, 220, 246), (34, 84, 140), ink=False),
        shape(ellipse(-0.015, -0.148, 0.014, 0.01, -30), WHITE, ink=False),
        shape(box(-0.06, 0.25, 0.06, 0.29, 0.01), (92, 96, 110), (52, 54, 66), across=True),
        shape(
            curve([(0, 0.12), (-0.025, 0.22), (-0.02, 0.36), (0.02, 0.36), (0.025, 0.22)]),
            light(red, 0.1),
            dark(red, 0.3),
        ),
    )


def _flame() -> tuple[Shape, ...]:
    tongues: list[Outline] = [
        curve([(-k * 0.07, 0.27), (-k * 0.09, 0.36), (0, 0.3 + k * 0.34), (k * 0.09, 0.36), (k * 0.07, 0.27)])
        for k in (1.0, 0.7, 0.4)
    ]
    return (
        shape(ellipse(0, 0.45, 0.2, 0.26), (255, 150, 60), soft=0.16, alpha=0.6),
        shape(tongues[0], (255, 170, 60), (240, 84, 50), ink=False),
        shape(tongues[1], (255, 226, 130), (255, 164, 60), ink=False),
        shape(tongues[2], (255, 255, 236), (255, 236, 160), ink=False),
    )
