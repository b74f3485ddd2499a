"""Whale, fish, cat, dog, fox, horse, bird."""

from beluga_nb.painter.colour import RGB, dark, light, mix
from beluga_nb.painter.marks import Shape, shape
from beluga_nb.painter.outline import Outline, curve, ellipse, moved, polygon, ribbon
from beluga_nb.painter.subjects.coat import Coat

WHITE: RGB = (250, 248, 242)
INK: RGB = (28, 26, 34)


def _bent(points: list[tuple[float, float]], bend: float) -> list[tuple[float, float]]:
    """Return the points of a body with its ends bent up or down."""
    return [(x, y + bend * (x + 0.1) ** 2) for x, y in points]


def whale(coat: Coat) -> tuple[Shape, ...]:
    """Return a beluga: round melon, short beak, no dorsal fin."""
    bend = coat.stream.one("bend", -0.5, -0.2)
    body = curve(_bent(WHALE_BODY, bend))
    tail = [curve(_bent(points, bend)) for points in (WHALE_FLUKE_FAR, WHALE_FLUKE_NEAR)]
    belly = curve(_bent(WHALE_BELLY, bend))
    return (
        shape(curve(_bent(WHALE_FIN_FAR, bend)), coat.shade, dark(coat.base, 0.5)),
        shape(tail[0], coat.base, dark(coat.base, 0.34)),
        shape(tail[1], light(coat.base, 0.4), dark(coat.base, 0.2)),
        shape(body, light(coat.base, 0.6), coat.base, dark(coat.base, 0.28), dark(coat.base, 0.46)),
        shape(belly, dark(coat.base, 0.6), soft=0.07, alpha=0.5, within=body),
        shape(curve(_bent(WHALE_SHEEN, bend)), WHITE, soft=0.05, alpha=0.75, within=body),
        shape(curve(_bent(WHALE_FIN, bend)), coat.lit, dark(coat.base, 0.4)),
        *_whale_face(coat, bend, body),
    )


def _whale_face(coat: Coat, bend: float, body: Outline) -> tuple[Shape, ...]:
    mouth = _bent([(-0.505, 0.035), (-0.455, 0.05), (-0.405, 0.035), (-0.385, 0.015)], bend)
    eye = _bent([(-0.37, -0.012)], bend)[0]
    melon = _bent([(-0.44, -0.07)], bend)[0]
    return (
        shape(ellipse(*melon, 0.07, 0.045, -20), WHITE, soft=0.04, alpha=0.8, within=body),
        shape(ribbon(mouth, [0.004, 0.009, 0.008, 0.002]), dark(coat.base, 0.62), ink=False),
        shape(ellipse(*eye, 0.0135, 0.0135), INK, ink=False),
        shape(ellipse(eye[0] - 0.004, eye[1] - 0.005, 0.004, 0.004), WHITE, ink=False),
    )


WHALE_BODY = [
    (-0.52, 0.03), (-0.502, 0.0), (-0.492, -0.045), (-0.455, -0.092), (-0.395, -0.105), (-0.33, -0.1),
    (-0.24, -0.125), (-0.1, -0.15), (0.04, -0.142), (0.18, -0.1), (0.3, -0.05), (0.4, -0.018), (0.46, 0.0),
    (0.4, 0.02), (0.3, 0.045), (0.17, 0.09), (0.03, 0.132), (-0.12, 0.15), (-0.25, 0.135), (-0.36, 0.1),
    (-0.44, 0.072), (-0.505, 0.052),
]  # fmt: skip
WHALE_BELLY = [(-0.5, 0.06), (-0.3, 0.1), (-0.1, 0.11), (0.15, 0.06), (0.4, 0.02), (0.4, 0.2), (-0.1, 0.25)]
WHALE_SHEEN = [(-0.34, -0.09), (-0.1, -0.14), (0.1, -0.12), (0.28, -0.05), (0.1, -0.085), (-0.1, -0.1)]
WHALE_FIN = [(-0.24, 0.085), (-0.17, 0.08), (-0.115, 0.11), (-0.1, 0.19), (-0.13, 0.25), (-0.18, 0.235),
             (-0.225, 0.17)]  # fmt: skip
WHALE_FIN_FAR = [(-0.33, 0.08), (-0.28, 0.09), (-0.29, 0.16), (-0.33, 0.2), (-0.36, 0.19), (-0.36, 0.13)]
WHALE_FLUKE_NEAR = [(0.38, -0.012), (0.44, 0.0), (0.5, 0.05), (0.56, 0.12), (0.6, 0.15), (0.53, 0.15),
                    (0.46, 0.1), (0.4, 0.03)]  # fmt: skip
WHALE_FLUKE_FAR = [(0.4, -0.01), (0.45, -0.035), (0.5, -0.075), (0.55, -0.115), (0.585, -0.125),
                   (0.585, -0.095), (0.55, -0.035), (0.5, 0.015), (0.43, 0.02)]  # fmt: skip


def fish(coat: Coat) -> tuple[Shape, ...]:
    """Return a plump fish with a veil tail."""
    body = curve([(-0.42, 0.02), (-0.3, -0.11), (-0.1, -0.18), (0.12, -0.13), (0.28, -0.03), (0.28, 0.04),
                  (0.12, 0.14), (-0.12, 0.19), (-0.32, 0.12)])  # fmt: skip
    tail = curve([(0.24, 0.0), (0.36, -0.14), (0.52, -0.22), (0.47, -0.06), (0.5, 0.02), (0.48, 0.1),
                  (0.53, 0.23), (0.36, 0.14)])  # fmt: skip
    back_fin = curve([(-0.16, -0.15), (-0.06, -0.27), (0.12, -0.25), (0.2, -0.1), (0.02, -0.12)])
    stripes = [ribbon([(x, -0.2), (x + 0.04, 0), (x, 0.2)], [0.03, 0.06, 0.03]) for x in (-0.16, 0.1)]
    fin = curve([(-0.1, 0.03), (0.04, 0.04), (0.1, 0.13), (-0.02, 0.12)])
    return (
        shape(tail, coat.lit, coat.shade, across=True),
        shape(back_fin, coat.shade, coat.base),
        shape(body, coat.lit, coat.base, coat.shade),
        *(shape(s, WHITE, alpha=0.82, within=body, ink=False) for s in stripes),
        shape(ellipse(-0.1, 0.2, 0.3, 0.09), coat.deep, soft=0.06, alpha=0.5, within=body),
        shape(fin, coat.shade, coat.base),
        shape(ellipse(-0.28, -0.03, 0.036, 0.036), WHITE),
        shape(ellipse(-0.287, -0.03, 0.021, 0.021), INK, ink=False),
    )


def cat(coat: Coat) -> tuple[Shape, ...]:
    """Return a sitting tabby that looks at you."""
    body = curve([(-0.16, -0.66), (-0.22, -0.5), (-0.21, -0.3), (-0.19, -0.1), (-0.2, -0.015), (-0.1, 0.0),
                  (0.05, 0.0), (0.24, 0.0), (0.34, -0.07), (0.36, -0.22), (0.3, -0.4), (0.19, -0.56),
                  (0.1, -0.68)])  # fmt: skip
    tail = ribbon([(0.27, -0.06), (0.44, -0.03), (0.55, -0.12), (0.54, -0.28), (0.46, -0.36)],
                  [0.09, 0.1, 0.09, 0.08, 0.02])  # fmt: skip
    chest = curve([(-0.17, -0.62), (-0.03, -0.6), (-0.02, -0.42), (-0.1, -0.28), (-0.18, -0.4)])
    backs = [
        ribbon(
            [
                (0.34 - k * 0.03, -0.44 + k * 0.14),
                (0.24 - k * 0.02, -0.4 + k * 0.13),
                (0.17, -0.4 + k * 0.13),
            ],
            [0.045, 0.035, 0.004],
        )
        for k in range(3)
    ]
    legs = [
        ribbon([(x, -0.42), (x, -0.2), (x - 0.005, -0.015)], [0.12, 0.085, 0.09]) for x in (-0.055, -0.15)
    ]
    return (
        shape(tail, coat.base, coat.shade),
        shape(body, coat.lit, coat.base, coat.shade, across=True),
        *(shape(s, coat.deep, alpha=0.55, within=body, ink=False) for s in backs),
        shape(ellipse(0.2, -0.14, 0.15, 0.14), coat.lit, soft=0.05, alpha=0.5, within=body),
        shape(ellipse(0.06, -0.12, 0.07, 0.2), coat.deep, soft=0.05, alpha=0.5, within=body),
        *(shape(leg, coat.lit, coat.base) for leg in legs),
        shape(chest, light(coat.base, 0.75), soft=0.03, alpha=0.9, within=body),
        *(shape(ellipse(x, -0.025, 0.062, 0.032), light(coat.base, 0.7)) for x in (-0.05, -0.155)),
        *_cat_head(coat),
    )


def _cat_head(coat: Coat) -> tuple[Shape, ...]:
    x, y = -0.06, -0.78
    head = curve([(x - 0.2, y + 0.03), (x - 0.17, y - 0.1), (x, y - 0.145), (x + 0.17, y - 0.1), (x +
                  0.2, y + 0.03), (x + 0.12, y + 0.13), (x, y + 0.16), (x - 0.12, y + 0.13)])  # fmt: skip
    ears = [
        polygon([(x + s * 0.185, y - 0.04), (x + s * 0.175, y - 0.27), (x + s * 0.035, y - 0.125)])
        for s in (-1, 1)
    ]
    inner = [
        polygon([(x + s * 0.16, y - 0.09), (x + s * 0.16, y - 0.21), (x + s * 0.075, y - 0.125)])
        for s in (-1, 1)
    ]
    marks = [ribbon([(x + d, y - 0.15), (x + d * 0.8, y - 0.07)], [0.028, 0.006]) for d in (-0.06, 0.0, 0.06)]
    whiskers = [ribbon([(x + s * 0.07, y + 0.07), (x + s * 0.26, y + 0.05 + d)], [0.006, 0.002])
                for s in (-1, 1) for d in (-0.03, 0.03)]  # fmt: skip
    return (
        *(shape(ear, coat.base, coat.shade) for ear in ears),
        *(shape(ear, mix(coat.base, (240, 150, 150), 0.6), ink=False) for ear in inner),
        shape(head, coat.lit, coat.base, coat.shade),
        *(shape(m, coat.deep, alpha=0.6, within=head, ink=False) for m in marks),
        shape(ellipse(x, y + 0.09, 0.095, 0.06), light(coat.base, 0.8), soft=0.02, within=head),
        *_eyes(x, y - 0.005, 0.085, 0.042),
        shape(
            polygon([(x - 0.022, y + 0.05), (x + 0.022, y + 0.05), (x, y + 0.075)]),
            (214, 120, 120),
            ink=False,
        ),
        *(shape(w, WHITE, alpha=0.8, ink=False) for w in whiskers),
        *(
            shape(
                ribbon(
                    [(x, y + 0.075), (x + s * 0.025, y + 0.1), (x + s * 0.055, y + 0.092)], [0.008, 0.004]
                ),
                INK,
                ink=False,
            )
            for s in (-1, 1)
        ),
    )


def _eyes(x: float, y: float, apart: float, r: float) -> tuple[Shape, ...]:
    sides = (-1, 1)
    return (
        *(shape(ellipse(x + s * apart, y, r, r * 0.92), (222, 214, 96), (132, 178, 84)) for s in sides),
        *(shape(ellipse(x + s * apart, y, r * 0.42, r * 0.84), INK, ink=False) for s in sides),
        *(
            shape(ellipse(x + s * apart - r * 0.3, y - r * 0.35, r * 0.2, r * 0.2), WHITE, ink=False)
            for s in sides
        ),
    )


def dog(coat: Coat) -> tuple[Shape, ...]:
    """Return a standing dog with drooping ears."""
    ear = curve(
        [(-0.47, -0.93), (-0.4, -0.9), (-0.37, -0.78), (-0.41, -0.69), (-0.47, -0.75), (-0.49, -0.86)]
    )
    tail = ribbon([(0.38, -0.6), (0.5, -0.7), (0.56, -0.84), (0.52, -0.95)], [0.09, 0.075, 0.05, 0.02])
    return (
        shape(tail, coat.lit, coat.base),
        *_walker(coat, coat.base),
        *_muzzle(coat, coat.lit, length=0.21, depth=0.14),
        shape(ear, coat.shade, coat.deep),
        shape(ribbon([(-0.45, -0.68), (-0.37, -0.63), (-0.29, -0.66)], [0.03, 0.035, 0.03]), (196, 52, 52)),
    )


def fox(coat: Coat) -> tuple[Shape, ...]:
    """Return a standing fox: pricked ears, dark socks, a brush with a white tip."""
    brush = ribbon(
        [(0.36, -0.56), (0.52, -0.5), (0.68, -0.34), (0.82, -0.2), (0.93, -0.17)],
        [0.07, 0.17, 0.21, 0.15, 0.01],
    )
    tip = ellipse(0.88, -0.17, 0.1, 0.13)
    ears = [polygon([(x, -0.9), (x + 0.045, -1.1), (x + 0.11, -0.88)]) for x in (-0.5, -0.58)]
    bib = curve([(-0.56, -0.77), (-0.44, -0.68), (-0.38, -0.5), (-0.44, -0.42), (-0.52, -0.6)])
    return (
        shape(brush, coat.lit, coat.base, coat.shade),
        shape(tip, WHITE, soft=0.03, within=brush),
        shape(ears[1], coat.shade, coat.deep),
        *_walker(coat, (46, 34, 34)),
        shape(bib, WHITE, soft=0.025, alpha=0.92, within=NECK),
        *_muzzle(coat, WHITE, length=0.27, depth=0.09),
        shape(ears[0], (46, 34, 34), coat.base),
    )


TORSO = curve([(-0.36, -0.68), (-0.22, -0.69), (-0.05, -0.66), (0.16, -0.66), (0.34, -0.63),
               (0.41, -0.52), (0.38, -0.4), (0.22, -0.385), (0.04, -0.35), (-0.16, -0.32),
               (-0.32, -0.35), (-0.41, -0.47), (-0.42, -0.6)])  # fmt: skip
NECK = curve([(-0.2, -0.68), (-0.32, -0.8), (-0.42, -0.93), (-0.56, -0.84), (-0.5, -0.7), (-0.44, -0.5),
              (-0.32, -0.42), (-0.2, -0.5)])  # fmt: skip


def _walker(coat: Coat, sock: RGB) -> tuple[Shape, ...]:
    """Return the body, neck and four legs of a four-legged animal."""
    fore = ribbon([(-0.3, -0.5), (-0.31, -0.28), (-0.3, -0.14), (-0.315, -0.01)], [0.17, 0.095, 0.06, 0.065])
    hind = ribbon([(0.28, -0.54), (0.26, -0.36), (0.36, -0.2), (0.33, -0.01)], [0.23, 0.17, 0.065, 0.065])
    far_fore, far_hind = fore * (0.96, 0.97) + (0.12, -0.005), hind * (0.96, 0.97) + (-0.13, -0.005)
    return (
        *(shape(leg, coat.shade, dark(sock, 0.3)) for leg in (far_fore, far_hind)),
        shape(NECK, coat.lit, coat.base),
        shape(TORSO, coat.lit, coat.base, coat.shade),
        shape(hind, coat.base, coat.base, sock),
        shape(fore, coat.base, coat.base, sock),
        shape(ellipse(-0.02, -0.33, 0.3, 0.09), coat.deep, soft=0.07, alpha=0.5, within=TORSO),
        shape(ellipse(-0.28, -0.56, 0.12, 0.14), coat.base, soft=0.05, within=TORSO),
    )


def _muzzle(coat: Coat, cheek: RGB, *, length: float, depth: float) -> tuple[Shape, ...]:
    """Return a head in profile."""
    tip = -0.54 - length
    head = curve([(-0.36, -0.84), (-0.41, -0.94), (-0.51, -0.96), (-0.6, -0.9), (tip + 0.02, -0.84),
                  (tip, -0.81), (tip + 0.02, -0.83 + depth * 0.62), (-0.6, -0.84 + depth),
                  (-0.48, -0.72), (-0.38, -0.74)])  # fmt: skip
    jaw = curve([(tip, -0.79), (-0.62, -0.815), (-0.52, -0.8), (-0.42, -0.74), (-0.5, -0.68), (tip, -0.7)])
    return (
        shape(head, coat.lit, coat.base, coat.shade),
        shape(jaw, cheek, soft=0.015, alpha=0.9, within=head),
        shape(ellipse(tip + 0.015, -0.815, 0.024, 0.021), INK, ink=False),
        shape(ellipse(-0.56, -0.875, 0.016, 0.017), INK, ink=False),
        shape(ellipse(-0.564, -0.88, 0.005, 0.005), WHITE, ink=False),
    )


HORSE = curve([(-0.52, -1.0), (-0.43, -1.0), (-0.34, -0.86), (-0.24, -0.7), (-0.05, -0.655), (0.12, -0.655),
               (0.3, -0.68), (0.42, -0.62), (0.45, -0.5), (0.4, -0.4), (0.24, -0.385), (0.05, -0.35),
               (-0.15, -0.36), (-0.3, -0.42), (-0.37, -0.55), (-0.42, -0.7), (-0.47, -0.82)])  # fmt: skip


def horse(coat: Coat) -> tuple[Shape, ...]:
    """Return a standing horse with a flowing mane and tail."""
    hair = dark(coat.base, 0.72)
    mane = curve([(-0.46, -1.03), (-0.38, -0.98), (-0.27, -0.83), (-0.15, -0.66), (-0.2, -0.62),
                  (-0.26, -0.7), (-0.31, -0.72), (-0.36, -0.83), (-0.41, -0.9)])  # fmt: skip
    tail = ribbon([(0.4, -0.62), (0.53, -0.58), (0.57, -0.4), (0.54, -0.2), (0.6, -0.1)],
                  [0.05, 0.1, 0.12, 0.1, 0.01])  # fmt: skip
    ears = [polygon([(x, -0.98), (x + 0.01, -1.09), (x + 0.06, -0.99)]) for x in (-0.47, -0.52)]
    return (
        shape(tail, light(hair, 0.15), hair),
        shape(ears[1], coat.shade, coat.deep),
        *_horse_legs(coat, hair),
        shape(HORSE, coat.lit, coat.base, coat.shade),
        shape(ellipse(0.02, -0.38, 0.3, 0.08), coat.deep, soft=0.07, alpha=0.5, within=HORSE),
        shape(ellipse(0.3, -0.58, 0.13, 0.1), coat.lit, soft=0.06, alpha=0.6, within=HORSE),
        *_horse_head(coat),
        shape(mane, light(hair, 0.15), hair),
        shape(ears[0], coat.lit, coat.shade),
    )


def _horse_legs(coat: Coat, hoof: RGB) -> tuple[Shape, ...]:
    fore = ribbon(
        [(-0.26, -0.46), (-0.27, -0.28), (-0.26, -0.14), (-0.27, -0.03)], [0.15, 0.075, 0.05, 0.055]
    )
    hind = ribbon([(0.33, -0.5), (0.29, -0.34), (0.38, -0.2), (0.36, -0.03)], [0.22, 0.13, 0.055, 0.055])
    feet = [
        polygon([(x - 0.03, -0.045), (x + 0.03, -0.045), (x + 0.045, 0), (x - 0.05, 0)])
        for x in (-0.27, 0.36)
    ]
    far = (
        *(moved(part, 0.11, -0.01) for part in (fore, feet[0])),
        *(moved(part, -0.13, -0.01) for part in (hind, feet[1])),
    )
    return (
        *(shape(leg, coat.shade, coat.deep) for leg in far),
        shape(hind, coat.base, coat.base, coat.shade),
        shape(fore, coat.base, coat.base, coat.shade),
        *(shape(foot, hoof) for foot in feet),
    )


def _horse_head(coat: Coat) -> tuple[Shape, ...]:
    head = curve([(-0.4, -0.92), (-0.46, -1.0), (-0.54, -0.98), (-0.62, -0.86), (-0.72, -0.76),
                  (-0.735, -0.7), (-0.7, -0.665), (-0.64, -0.67), (-0.56, -0.74),
                  (-0.46, -0.78), (-0.4, -0.84)])  # fmt: skip
    return (
        shape(head, coat.lit, coat.base, coat.shade),
        shape(ellipse(-0.7, -0.7, 0.06, 0.05), coat.deep, soft=0.03, alpha=0.6, within=head),
        shape(ellipse(-0.535, -0.895, 0.016, 0.018), INK, ink=False),
        shape(ellipse(-0.539, -0.9, 0.005, 0.005), WHITE, ink=False),
        shape(ellipse(-0.71, -0.715, 0.009, 0.012, 30), INK, ink=False),
    )


def bird(coat: Coat) -> tuple[Shape, ...]:
    """Return a bird in flight, wings up."""
    body = curve([(-0.4, -0.03), (-0.34, -0.085), (-0.24, -0.08), (-0.05, -0.07), (0.2, -0.02),
                  (0.36, 0.03), (0.2, 0.05), (-0.02, 0.09), (-0.22, 0.075), (-0.34, 0.03)])  # fmt: skip
    near = curve([(-0.2, -0.03), (-0.16, -0.22), (0.0, -0.42), (0.22, -0.52), (0.4, -0.54),
                  (0.34, -0.4), (0.26, -0.26), (0.16, -0.1), (0.08, 0.0), (-0.06, 0.02)])  # fmt: skip
    far = curve([(-0.18, -0.05), (-0.24, -0.24), (-0.22, -0.42), (-0.12, -0.56), (-0.02, -0.62),
                 (0.0, -0.46), (0.0, -0.26), (-0.02, -0.08)])  # fmt: skip
    tail = polygon([(0.28, 0.0), (0.54, -0.02), (0.5, 0.05), (0.54, 0.11), (0.28, 0.05)])
    feathers = [
        ribbon([(0.02 + k * 0.045, -0.06 - k * 0.02), (0.14 + k * 0.06, -0.3 - k * 0.055)], [0.012, 0.003])
        for k in range(4)
    ]
    return (
        shape(far, coat.deep, coat.shade),
        shape(tail, coat.shade, coat.deep, across=True),
        shape(body, coat.lit, coat.base, coat.shade),
        shape(near, dark(coat.base, 0.5), coat.base, coat.lit),
        *(shape(f, coat.deep, alpha=0.5, within=near, ink=False) for f in feathers),
        shape(polygon([(-0.385, -0.055), (-0.48, -0.02), (-0.385, -0.01)]), (240, 170, 60)),
        shape(ellipse(-0.335, -0.045, 0.014, 0.014), INK, ink=False),
    )
