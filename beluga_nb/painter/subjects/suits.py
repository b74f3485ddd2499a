"""Knight, robot, astronaut."""

import numpy as np

from beluga_nb.painter.colour import RGB, dark, light, mix
from beluga_nb.painter.marks import Shape, shape
from beluga_nb.painter.outline import Outline, box, curve, ellipse, moved, polygon, ribbon, rod
from beluga_nb.painter.subjects.coat import Coat

STEEL: RGB = (176, 188, 204)
WHITE: RGB = (246, 246, 244)
GOLD: RGB = (232, 190, 96)
INK: RGB = (26, 28, 38)
SIDES = (-1, 1)


def _metal(outline: Outline | list[Outline], tone: RGB = STEEL) -> Shape:
    """Return a rounded plate, lit from the left."""
    return shape(outline, dark(tone, 0.15), light(tone, 0.55), tone, dark(tone, 0.5), across=True)


def knight(coat: Coat) -> tuple[Shape, ...]:
    """Return a knight in armour: a plumed helmet, a surcoat, a shield on the arm, a drawn sword."""
    return (
        *_plume(coat),
        *_greaves(),
        *_surcoat(coat),
        *_raised_sword(),
        *_pauldrons(),
        *_helmet(),
        *_shield(coat),
    )


def _plume(coat: Coat) -> tuple[Shape, ...]:
    cape = curve([(-0.1, -0.76), (0.1, -0.76), (0.24, -0.5), (0.3, -0.12), (0.12, -0.06), (-0.12, -0.1)])
    feather = curve([(0.0, -1.0), (0.04, -1.1), (0.16, -1.12), (0.26, -1.02), (0.27, -0.9), (0.2, -0.96),
                     (0.1, -1.0)])  # fmt: skip
    return (
        shape(cape, dark(coat.base, 0.2), dark(coat.base, 0.65)),
        shape(feather, coat.lit, coat.base, coat.shade, across=True),
    )


def _greaves() -> tuple[Shape, ...]:
    legs = [
        ribbon([(s * 0.075, -0.42), (s * 0.09, -0.24), (s * 0.095, -0.04)], [0.13, 0.1, 0.085]) for s in SIDES
    ]
    feet = [curve([(s * 0.05, -0.05), (s * 0.14, -0.05), (s * 0.17, -0.005), (s * 0.05, 0.0)]) for s in SIDES]
    knees = [ellipse(s * 0.088, -0.235, 0.058, 0.045) for s in SIDES]
    return (*map(_metal, legs), *map(_metal, feet), *map(_metal, knees))


def _surcoat(coat: Coat) -> tuple[Shape, ...]:
    mail = curve(
        [(-0.15, -0.78), (0.15, -0.78), (0.14, -0.56), (0.15, -0.36), (-0.15, -0.36), (-0.14, -0.56)]
    )
    cloth = curve([(-0.11, -0.79), (0.0, -0.76), (0.11, -0.79), (0.1, -0.54), (0.15, -0.26), (0.04, -0.24),
                   (0.0, -0.3), (-0.04, -0.24), (-0.15, -0.26), (-0.1, -0.54)])  # fmt: skip
    cross = [box(-0.016, -0.74, 0.016, -0.58), box(-0.06, -0.69, 0.06, -0.66)]
    return (
        _metal(mail, dark(STEEL, 0.35)),
        shape(cloth, coat.lit, coat.base, coat.shade),
        shape(cross, WHITE, ink=False),
        shape(box(-0.112, -0.54, 0.112, -0.5, 0.01), (112, 74, 46), (66, 42, 32)),
        shape(ellipse(0, -0.52, 0.022, 0.02), GOLD, dark(GOLD, 0.4)),
    )


def _raised_sword() -> tuple[Shape, ...]:
    arm = ribbon([(-0.14, -0.73), (-0.24, -0.6), (-0.27, -0.47)], [0.1, 0.085, 0.07])
    blade = polygon([(-0.293, -0.53), (-0.257, -0.53), (-0.262, -1.06), (-0.275, -1.11), (-0.288, -1.06)])
    return (
        _metal(arm),
        shape(blade, (150, 166, 188), (240, 246, 252), (200, 212, 226), across=True),
        shape(rod((-0.345, -0.52), (-0.205, -0.52), 0.026), GOLD, dark(GOLD, 0.4)),
        shape(rod((-0.275, -0.52), (-0.275, -0.4), 0.026), (82, 52, 42)),
        shape(ellipse(-0.275, -0.39, 0.022, 0.022), GOLD, dark(GOLD, 0.4)),
        _metal(ellipse(-0.275, -0.465, 0.046, 0.04)),
    )


def _pauldrons() -> tuple[Shape, ...]:
    plates = [
        curve([(s * 0.08, -0.8), (s * 0.16, -0.82), (s * 0.22, -0.75), (s * 0.19, -0.68), (s * 0.11, -0.7)])
        for s in SIDES
    ]
    return tuple(map(_metal, plates))


def _helmet() -> tuple[Shape, ...]:
    dome = curve([(-0.095, -0.82), (-0.105, -0.92), (-0.08, -1.0), (0.0, -1.035), (0.08, -1.0),
                  (0.105, -0.92), (0.095, -0.82), (0.04, -0.775), (-0.04, -0.775)])  # fmt: skip
    visor = curve([(-0.1, -0.905), (0.0, -0.93), (0.1, -0.905), (0.08, -0.83), (0.0, -0.785), (-0.08, -0.83)])
    holes = [ellipse(s * x, -0.842, 0.007, 0.007, n=10) for s in SIDES for x in (0.018, 0.04)]
    return (
        _metal(dome),
        _metal(visor, light(STEEL, 0.2)),
        shape([rod((s * 0.015, -0.893), (s * 0.078, -0.882), 0.02) for s in SIDES], INK, ink=False),
        shape(rod((0, -1.03), (0, -0.79), 0.014), light(STEEL, 0.6), dark(STEEL, 0.2), ink=False),
        shape(holes, INK, ink=False),
    )


def _shield(coat: Coat) -> tuple[Shape, ...]:
    def board(w: float, h: float) -> Outline:
        left = [(0.0, 0.5 * h), (-0.6 * w, 0.2 * h), (-w, -0.18 * h), (-w, -0.5 * h), (-0.5 * w, -0.47 * h)]
        right = [(-x, y) for x, y in reversed(left[1:])]
        return moved(curve([*left, (0.0, -0.5 * h), *right]), 0.22, -0.46)

    face = board(0.135, 0.37)
    return (
        _metal(board(0.155, 0.42)),
        shape(face, coat.lit, coat.base, coat.shade),
        shape(box(0.0, -0.7, 0.22, -0.2), WHITE, dark(WHITE, 0.2), within=face, ink=False),
        shape(ellipse(0.22, -0.48, 0.045, 0.045), GOLD, dark(GOLD, 0.4)),
        shape(ellipse(0.17, -0.58, 0.06, 0.09, 20), WHITE, soft=0.03, alpha=0.5, within=face),
    )


def robot(coat: Coat) -> tuple[Shape, ...]:
    """Return a friendly robot: a screen for a face, a round body, jointed arms."""
    return (*_limbs(coat), *_torso(coat), *_screen(coat))


def _limbs(coat: Coat) -> tuple[Shape, ...]:
    grey: RGB = mix(STEEL, INK, 0.35)
    legs = [rod((s * 0.11, -0.28), (s * 0.12, -0.06), 0.07) for s in SIDES]
    feet = [box(s * 0.12 - 0.085, -0.075, s * 0.12 + 0.085, 0.0, 0.035) for s in SIDES]
    right = ribbon([(0.22, -0.52), (0.34, -0.42), (0.31, -0.26)], [0.06, 0.055, 0.05])
    left = ribbon([(-0.22, -0.52), (-0.36, -0.54), (-0.42, -0.68)], [0.06, 0.055, 0.05])
    hands = [ellipse(0.305, -0.235, 0.06, 0.06), ellipse(-0.43, -0.71, 0.06, 0.06)]
    return (
        *(_metal(part, grey) for part in (*legs, left, right)),
        *(shape(part, coat.lit, coat.base, coat.shade) for part in (*feet, *hands)),
        shape([ellipse(0.34, -0.42, 0.034, 0.034), ellipse(-0.36, -0.545, 0.034, 0.034)], light(grey, 0.4)),
    )


def _torso(coat: Coat) -> tuple[Shape, ...]:
    body = box(-0.235, -0.6, 0.235, -0.2, 0.1)
    return (
        _metal(rod((0, -0.66), (0, -0.58), 0.11), mix(STEEL, INK, 0.3)),
        shape(body, coat.lit, coat.base, coat.shade),
        shape(ellipse(0.2, -0.36, 0.16, 0.26), coat.deep, soft=0.08, alpha=0.5, within=body),
        shape(box(-0.12, -0.51, 0.12, -0.34, 0.03), dark(coat.base, 0.7), (34, 44, 62)),
        shape(ribbon([(-0.095, -0.42), (-0.05, -0.42), (-0.02, -0.475), (0.02, -0.375), (0.05, -0.42),
                      (0.095, -0.42)], [0.011, 0.011], steps=1), (120, 244, 214), ink=False),
        shape([ellipse(x, -0.28, 0.02, 0.02) for x in (-0.07, 0.0, 0.07)], coat.accent),
    )  # fmt: skip


def _screen(coat: Coat) -> tuple[Shape, ...]:
    head, face = box(-0.25, -0.98, 0.25, -0.64, 0.11), box(-0.195, -0.925, 0.195, -0.7, 0.08)
    lamp: RGB = (124, 236, 255)
    eyes = [(ellipse(x, -0.82, 0.034, 0.044), np.array([x, -0.82])) for x in (-0.085, 0.085)]
    return (
        shape(rod((0, -0.97), (0, -1.07), 0.016), mix(STEEL, INK, 0.3)),
        shape(ellipse(0, -1.085, 0.032, 0.032), light(coat.accent, 0.3), dark(coat.accent, 0.2)),
        *(_metal(ellipse(s * 0.255, -0.81, 0.035, 0.07), mix(STEEL, INK, 0.2)) for s in SIDES),
        shape(head, coat.lit, coat.base, coat.shade),
        shape(face, (44, 56, 82), (16, 20, 34)),
        *(shape(eye * (1.8, 1.6) + middle * (-0.8, -0.6), lamp, soft=0.04, alpha=0.45, within=face)
          for eye, middle in eyes),
        *(shape(eye, (226, 252, 255), lamp, ink=False) for eye, _ in eyes),
        shape(ribbon([(-0.05, -0.748), (0.0, -0.728), (0.05, -0.748)], [0.01, 0.014, 0.01]), lamp, ink=False),
        shape(polygon([(-0.2, -0.9), (-0.1, -0.94), (0.0, -0.94), (-0.2, -0.78)]), WHITE, alpha=0.14,
              within=face, ink=False),
    )  # fmt: skip


def astronaut(coat: Coat) -> tuple[Shape, ...]:
    """Return an astronaut in a white suit with a mirrored visor."""
    cloth = coat.base
    back = box(-0.2, -0.74, 0.2, -0.32, 0.05)
    body = curve([(-0.15, -0.7), (0.0, -0.72), (0.15, -0.7), (0.18, -0.52), (0.16, -0.34), (0.0, -0.31),
                  (-0.16, -0.34), (-0.18, -0.52)])  # fmt: skip
    legs = [
        ribbon([(s * 0.08, -0.36), (s * 0.11, -0.2), (s * 0.115, -0.06)], [0.15, 0.13, 0.12]) for s in SIDES
    ]
    arms = [
        ribbon([(-0.13, -0.66), (-0.28, -0.6), (-0.36, -0.74)], [0.12, 0.11, 0.1]),
        ribbon([(0.13, -0.66), (0.26, -0.54), (0.25, -0.38)], [0.12, 0.11, 0.1]),
    ]
    bands = [rod((s * 0.06, -0.13), (s * 0.18, -0.13), 0.026) for s in SIDES]
    return (
        _metal(back, (150, 156, 170)),
        *(shape(leg, light(cloth, 0.3), cloth, dark(cloth, 0.3), across=True) for leg in legs),
        shape(bands, coat.accent, ink=False),
        *(_metal(box(s * 0.12 - 0.08, -0.07, s * 0.12 + 0.08, 0.0, 0.03), (128, 134, 148)) for s in SIDES),
        *(shape(arm, light(cloth, 0.4), cloth, dark(cloth, 0.25)) for arm in arms),
        shape([ellipse(-0.365, -0.77, 0.055, 0.06), ellipse(0.25, -0.345, 0.055, 0.06)], (150, 156, 170)),
        shape(body, light(cloth, 0.4), cloth, dark(cloth, 0.35), across=True),
        shape(box(-0.09, -0.58, 0.09, -0.46, 0.02), (206, 212, 222), (150, 158, 174)),
        shape([ellipse(x, -0.52, 0.014, 0.014) for x in (-0.05, 0.0, 0.05)], coat.accent, ink=False),
        *_visor(cloth),
    )


def _visor(cloth: RGB) -> tuple[Shape, ...]:
    glass = curve([(-0.13, -0.86), (-0.1, -0.95), (0.0, -0.975), (0.1, -0.95), (0.13, -0.86), (0.1, -0.775),
                   (0.0, -0.75), (-0.1, -0.775)])  # fmt: skip
    return (
        shape(ellipse(0, -0.86, 0.18, 0.18), light(cloth, 0.5), cloth, dark(cloth, 0.35)),
        shape(glass, (255, 206, 120), (196, 112, 60), (40, 44, 84), (20, 22, 48)),
        shape(ellipse(-0.05, -0.92, 0.045, 0.02, -25), WHITE, soft=0.01, alpha=0.8, within=glass),
    )
