"""Bottle, cup, lamp, book, balloon."""

import numpy as np

from beluga_nb.painter.colour import RGB, dark, light, mix
from beluga_nb.painter.marks import Shape, shape
from beluga_nb.painter.outline import Outline, box, curve, ellipse, polygon, ribbon, rod
from beluga_nb.painter.subjects.coat import Coat

WHITE: RGB = (255, 255, 255)


def bottle(coat: Coat) -> tuple[Shape, ...]:
    """Return a glass bottle, three quarters full."""
    glass = polygon(np.vstack([_side(-1), _side(1)[::-1]]))
    pale, edge = light(coat.base, 0.6), dark(coat.base, 0.5)
    water = box(-0.2, -0.6, 0.2, 0.0)
    clear = mix(coat.base, (120, 196, 224), 0.5)
    return (
        shape(glass, edge, coat.base, pale, light(pale, 0.4), pale, coat.base, edge, across=True),
        shape(
            water,
            dark(clear, 0.4),
            clear,
            light(clear, 0.55),
            clear,
            dark(clear, 0.45),
            across=True,
            alpha=0.8,
            within=glass,
            ink=False,
        ),
        shape(ellipse(0, -0.6, 0.155, 0.02), light(clear, 0.7), clear, within=glass, ink=False),
        shape(ellipse(0, -0.015, 0.15, 0.06), dark(clear, 0.55), soft=0.03, alpha=0.7, within=glass),
        *_label(coat),
        *_bubbles(coat),
        shape(
            ribbon(
                [(-0.115, -0.05), (-0.118, -0.3), (-0.115, -0.56), (-0.075, -0.7), (-0.05, -0.82)],
                [0.01, 0.026, 0.03, 0.02, 0.01],
            ),
            WHITE,
            soft=0.006,
            alpha=0.85,
            within=glass,
        ),
        shape(
            ribbon([(0.128, -0.08), (0.13, -0.5), (0.09, -0.66)], [0.006, 0.014, 0.004]),
            WHITE,
            soft=0.004,
            alpha=0.7,
            within=glass,
        ),
        *_cap(coat),
    )


def _side(s: int) -> Outline:
    """Return one flank of the bottle from the mouth to the foot."""
    flank = [(0.048, -0.93), (0.05, -0.8), (0.06, -0.74), (0.105, -0.68), (0.148, -0.6), (0.155, -0.5),
             (0.155, -0.2), (0.156, -0.04), (0.146, -0.01), (0.11, 0.003)]  # fmt: skip
    return curve(flank, closed=False) * (s, 1)


def _label(coat: Coat) -> tuple[Shape, ...]:
    paper = box(-0.156, -0.44, 0.156, -0.19)
    mark = ellipse(0, -0.345, 0.05, 0.05)
    wave = curve(
        [(-0.05, -0.335), (-0.02, -0.35), (0.02, -0.33), (0.05, -0.345), (0.04, -0.31), (-0.04, -0.31)]
    )
    return (
        shape(
            paper,
            (176, 190, 198),
            (246, 250, 250),
            WHITE,
            (240, 244, 246),
            (166, 180, 190),
            across=True,
            alpha=0.96,
        ),
        shape(mark, (118, 190, 224), (44, 116, 176), ink=False),
        shape(wave, WHITE, within=mark, ink=False),
        shape(
            [box(-0.07, -0.27, 0.07, -0.262), box(-0.045, -0.245, 0.045, -0.239)], (92, 128, 150), ink=False
        ),
        shape([box(-0.156, -0.44, 0.156, -0.432), box(-0.156, -0.198, 0.156, -0.19)], coat.accent, ink=False),
    )


def _bubbles(coat: Coat) -> tuple[Shape, ...]:
    x, y = coat.stream.many("bx", 22, -0.12, 0.12), coat.stream.many("by", 22, -0.58, -0.04)
    r = coat.stream.many("br", 22, 0.002, 0.006)
    places = zip(x, y, r, strict=True)
    drops = [ellipse(a, b, c, c, n=12) for a, b, c in places if not -0.45 < b < -0.18]
    return (shape(drops, WHITE, alpha=0.6, ink=False),) if drops else ()


def _cap(coat: Coat) -> tuple[Shape, ...]:
    metal: RGB = (186, 196, 206)
    return (
        shape(
            box(-0.056, -0.985, 0.056, -0.905, 0.01),
            dark(metal, 0.5),
            light(metal, 0.6),
            metal,
            dark(metal, 0.5),
            across=True,
        ),
        shape(box(-0.06, -0.9, 0.06, -0.885, 0.004), coat.accent, dark(coat.accent, 0.4), across=True),
    )


def cup(coat: Coat) -> tuple[Shape, ...]:
    """Return a cup on a saucer, steaming."""
    body = curve([(-0.34, -0.62), (-0.33, -0.4), (-0.26, -0.16), (-0.15, -0.05), (0.15, -0.05),
                  (0.26, -0.16), (0.33, -0.4), (0.34, -0.62)])  # fmt: skip
    handle = ribbon(
        [(0.3, -0.5), (0.46, -0.52), (0.5, -0.36), (0.4, -0.24), (0.25, -0.22)],
        [0.05, 0.05, 0.055, 0.05, 0.04],
    )
    steam = [
        ribbon([(x, -0.66), (x - 0.06, -0.82), (x + 0.05, -0.98), (x, -1.16)], [0.01, 0.05, 0.06, 0.01])
        for x in (-0.12, 0.08)
    ]
    return (
        shape(ellipse(0, -0.03, 0.52, 0.075), coat.lit, coat.base, dark(coat.base, 0.4)),
        shape(ellipse(0, -0.05, 0.3, 0.035), dark(coat.base, 0.4), soft=0.02, alpha=0.7),
        shape(handle, coat.lit, coat.shade),
        shape(
            body, dark(coat.base, 0.1), light(coat.base, 0.5), coat.base, coat.shade, coat.deep, across=True
        ),
        shape(ellipse(0, -0.62, 0.34, 0.085), light(coat.base, 0.7), coat.base),
        shape(ellipse(0, -0.61, 0.305, 0.066), (58, 34, 24), (128, 80, 48), ink=False),
        shape(ellipse(-0.08, -0.605, 0.12, 0.022, -4), (206, 160, 112), soft=0.015, alpha=0.8),
        *(shape(s, WHITE, soft=0.05, alpha=0.4) for s in steam),
    )


def lamp(coat: Coat) -> tuple[Shape, ...]:
    """Return a table lamp, burning."""
    body = curve([(-0.05, -0.46), (-0.06, -0.4), (-0.15, -0.28), (-0.16, -0.17), (-0.09, -0.07),
                  (-0.12, -0.03), (0.12, -0.03), (0.09, -0.07), (0.16, -0.17), (0.15, -0.28), (0.06, -0.4),
                  (0.05, -0.46)])  # fmt: skip
    shade = polygon([(-0.17, -0.94), (0.17, -0.94), (0.33, -0.52), (-0.33, -0.52)])
    warm: RGB = (255, 226, 160)
    return (
        shape(ellipse(0, -0.7, 0.62, 0.46), warm, soft=0.3, alpha=0.55),
        shape(box(-0.15, -0.035, 0.15, 0.0, 0.015), (196, 164, 104), (120, 90, 54)),
        shape(body, coat.shade, light(coat.base, 0.4), coat.base, coat.deep, across=True),
        shape(rod((0, -0.55), (0, -0.45), 0.03), (196, 164, 104), (120, 90, 54)),
        shape(shade, (255, 240, 206), (255, 216, 138)),
        shape(ellipse(0, -0.66, 0.14, 0.16), (255, 255, 236), soft=0.08, alpha=0.8, within=shade),
        shape(
            [box(-0.34, -0.535, 0.34, -0.51, 0.01), box(-0.18, -0.95, 0.18, -0.93, 0.008)],
            coat.base,
            coat.shade,
        ),
    )


def book(coat: Coat) -> tuple[Shape, ...]:
    """Return an open book that leans back, on a stack of two closed ones."""
    closed = [(0.0, -0.13, 0.5, coat.accent), (-0.03, -0.26, 0.44, mix(coat.base, (52, 66, 96), 0.6))]
    pages = [curve([(0.0, -0.34), (s * 0.16, -0.4), (s * 0.45, -0.33), (s * 0.5, -0.76), (s * 0.2, -0.84),
                    (0.0, -0.76)], closed=True, steps=5) for s in (-1, 1)]  # fmt: skip
    cover = polygon([(-0.5, -0.28), (0.0, -0.25), (0.5, -0.28), (0.56, -0.77), (0.0, -0.7), (-0.56, -0.77)])
    lines = [
        rod((s * 0.08, -0.44 - 0.075 * k), (s * (0.4 - 0.05 * (k == 4)), -0.42 - 0.075 * k), 0.014)
        for s in (-1, 1)
        for k in range(5)
    ]
    return (
        *(part for x, y, half, tone in closed for part in _closed_book(x, y, half, tone)),
        shape(cover, coat.lit, coat.base, coat.shade),
        *(shape(p, WHITE, (252, 246, 232), (226, 214, 194), across=True) for p in pages),
        shape(lines, (150, 140, 132), alpha=0.8, ink=False),
        shape(
            ribbon([(0, -0.8), (0, -0.56), (0, -0.33)], [0.06, 0.03, 0.05]),
            (150, 130, 110),
            soft=0.03,
            alpha=0.7,
        ),
        shape(ribbon([(0.02, -0.34), (0.05, -0.24), (0.03, -0.14)], [0.03, 0.03, 0.03]), (196, 44, 48)),
    )


def _closed_book(x: float, y: float, half: float, tone: RGB) -> tuple[Shape, ...]:
    return (
        shape(box(x - half, y, x + half, y + 0.13, 0.02), light(tone, 0.2), tone, dark(tone, 0.4)),
        shape(box(x - half + 0.06, y + 0.025, x + half + 0.02, y + 0.105), WHITE, (222, 212, 194)),
        shape(
            [box(x - half + d, y, x - half + d + 0.012, y + 0.13) for d in (0.02, 0.045)],
            light(tone, 0.6),
            ink=False,
        ),
    )


def balloon(coat: Coat) -> tuple[Shape, ...]:
    """Return a hot-air balloon, centred on its envelope."""
    envelope = curve([(0, -0.5), (-0.22, -0.45), (-0.36, -0.28), (-0.38, -0.08), (-0.29, 0.12),
                      (-0.14, 0.29), (-0.07, 0.37), (0.07, 0.37), (0.14, 0.29), (0.29, 0.12),
                      (0.38, -0.08), (0.36, -0.28), (0.22, -0.45)])  # fmt: skip
    gores = [
        curve(
            [
                (k * 0.02, -0.5),
                (k * 0.2, -0.36),
                (k * 0.29, -0.1),
                (k * 0.19, 0.15),
                (k * 0.05, 0.37),
                ((k + 0.33) * 0.05, 0.37),
                ((k + 0.4) * 0.19, 0.15),
                ((k + 0.4) * 0.29, -0.1),
                ((k + 0.4) * 0.2, -0.36),
            ]
        )
        for k in (-1.3, -0.62, 0.1, 0.75)
    ]
    ropes = [rod((s * 0.065, 0.36), (s * 0.05, 0.5), 0.006) for s in (-1, -0.3, 0.3, 1)]
    basket = box(-0.06, 0.49, 0.06, 0.58, 0.015)
    return (
        shape(envelope, light(coat.base, 0.4), coat.base, coat.base, dark(coat.base, 0.3), across=True),
        *(
            shape(g, light(coat.base, 0.5), light(coat.base, 0.42), alpha=0.7, within=envelope, ink=False)
            for g in gores
        ),
        shape(ellipse(0.24, 0.1, 0.28, 0.46), coat.deep, soft=0.14, alpha=0.28, within=envelope),
        shape(ellipse(-0.16, -0.26, 0.12, 0.15, 30), WHITE, soft=0.09, alpha=0.5, within=envelope),
        shape(ropes, (84, 62, 50), ink=False),
        shape(basket, (172, 120, 72), (104, 66, 40)),
    )
