"""Bust: a person to below the shoulders."""

from beluga_nb.painter.colour import RGB, dark, light, mix
from beluga_nb.painter.figure import HAIRS, SKINS, Coat
from beluga_nb.painter.marks import Shape, shape
from beluga_nb.painter.outline import curve, ellipse, polygon, ribbon, ring, rod

WHITE: RGB = (246, 242, 234)
GREY: RGB = (196, 194, 192)
GOLD: RGB = (232, 190, 96)


def bust(coat: Coat) -> tuple[Shape, ...]:
    """Return a person to below the shoulders; the chin lies near (0, -0.62), the head's top at -1.05."""
    skin, hair = coat.stream.pick("skin", SKINS[:3]), coat.stream.pick("hair", HAIRS)
    hair = GREY if "aged" in coat.moods else hair
    long_hair = "woman" in coat.moods or ("man" not in coat.moods and coat.stream.one("long") < 0.5)
    return (
        *(_hair_behind(hair) if long_hair else ()),
        *_shoulders(coat, skin),
        *_face(skin),
        *_features(skin, hair),
        *_hair_front(hair, long_hair=long_hair),
        *(_cap(coat) if "renaissance" in coat.moods else ()),
        *(_beard(hair) if "bearded" in coat.moods else ()),
        *(_glasses() if {"tech", "spectacled"} & {*coat.moods} else ()),
    )


def _beard(hair: RGB) -> tuple[Shape, ...]:
    beard = curve([(-0.165, -0.8), (-0.14, -0.7), (-0.07, -0.68), (0.0, -0.69), (0.07, -0.68), (0.14, -0.7),
                   (0.165, -0.8), (0.17, -0.64), (0.1, -0.5), (0.0, -0.42), (-0.1, -0.5),
                   (-0.17, -0.64)])  # fmt: skip
    lips = ribbon([(-0.035, -0.655), (0.0, -0.65), (0.035, -0.655)], [0.006, 0.014, 0.006])
    return (
        shape(beard, light(hair, 0.2), hair, dark(hair, 0.3)),
        shape(lips, (170, 92, 84), ink=False),
    )


def _shoulders(coat: Coat, skin: RGB) -> tuple[Shape, ...]:
    cloth = curve([(-0.12, -0.52), (-0.23, -0.47), (-0.38, -0.41), (-0.47, -0.26), (-0.52, 0.1),
                   (0.52, 0.1), (0.47, -0.26), (0.38, -0.41), (0.24, -0.47), (0.12, -0.52),
                   (0.0, -0.46)])  # fmt: skip
    neck = curve(
        [
            (-0.1, -0.72),
            (-0.105, -0.58),
            (-0.16, -0.5),
            (0.0, -0.39),
            (0.16, -0.5),
            (0.105, -0.58),
            (0.1, -0.72),
        ]
    )
    collar = [
        polygon([(s * 0.16, -0.53), (s * 0.005, -0.37), (s * 0.12, -0.3), (s * 0.22, -0.46)]) for s in (-1, 1)
    ]
    folds = [
        ribbon([(s * 0.3, -0.42), (s * 0.33, -0.2), (s * 0.27, 0.1)], [0.01, 0.05, 0.09]) for s in (-1, 1)
    ]
    return (
        shape(cloth, coat.lit, coat.base, coat.deep),
        *(shape(f, coat.deep, soft=0.03, alpha=0.7, within=cloth) for f in folds),
        shape(ellipse(0.4, -0.1, 0.28, 0.42), coat.deep, soft=0.12, alpha=0.8, within=cloth),
        shape(neck, dark(skin, 0.12), dark(skin, 0.3), dark(skin, 0.2)),
        shape(ellipse(0.03, -0.6, 0.13, 0.07), dark(skin, 0.6), soft=0.04, alpha=0.7, within=neck),
        *(shape(c, WHITE, dark(WHITE, 0.25)) for c in collar),
        *(shape(ellipse(0.0, y, 0.011, 0.011), GOLD, ink=False) for y in (-0.27, -0.17, -0.07)),
    )


HEAD = curve([(0.0, -1.03), (-0.115, -1.0), (-0.17, -0.9), (-0.172, -0.79), (-0.15, -0.69),
              (-0.09, -0.605), (0.0, -0.575), (0.09, -0.605), (0.15, -0.69), (0.172, -0.79),
              (0.17, -0.9), (0.115, -1.0)])  # fmt: skip


def _face(skin: RGB) -> tuple[Shape, ...]:
    ears = [ellipse(s * 0.175, -0.79, 0.026, 0.05) for s in (-1, 1)]
    blush = mix(skin, (220, 96, 84), 0.5)
    return (
        *(shape(e, dark(skin, 0.15)) for e in ears),
        shape(HEAD, light(skin, 0.12), skin, dark(skin, 0.16)),
        shape(ellipse(0.17, -0.8, 0.1, 0.3), dark(skin, 0.5), soft=0.09, alpha=0.7, within=HEAD),
        *(
            shape(ellipse(s * 0.1, -0.71, 0.05, 0.035), blush, soft=0.035, alpha=0.3, within=HEAD)
            for s in (-1, 1)
        ),
        shape(ellipse(-0.06, -0.93, 0.08, 0.05), light(skin, 0.5), soft=0.04, alpha=0.6, within=HEAD),
    )


def _features(skin: RGB, hair: RGB) -> tuple[Shape, ...]:
    deep, lip = dark(skin, 0.5), mix(skin, (188, 70, 70), 0.55)
    brows = [
        ribbon([(s * 0.112, -0.855), (s * 0.075, -0.872), (s * 0.035, -0.858)], [0.007, 0.018, 0.014])
        for s in (-1, 1)
    ]
    nose = curve([(0.008, -0.82), (0.03, -0.74), (0.036, -0.705), (0.01, -0.695), (-0.012, -0.7)])
    upper = curve(
        [(-0.06, -0.656), (-0.02, -0.66), (0.0, -0.655), (0.02, -0.66), (0.06, -0.656), (0.0, -0.641)]
    )
    lower = curve([(-0.052, -0.651), (0.0, -0.64), (0.052, -0.651), (0.026, -0.626), (-0.026, -0.626)])
    return (
        *(shape(b, hair, ink=False) for b in brows),
        *(s for side in (-1, 1) for s in _eye(side * 0.074, -0.81, deep)),
        shape(nose, deep, soft=0.014, alpha=0.5),
        shape(ellipse(-0.006, -0.722, 0.012, 0.02), light(skin, 0.35), soft=0.016, alpha=0.4),
        shape(upper, dark(lip, 0.14), ink=False),
        shape(lower, lip, ink=False),
    )


def _eye(x: float, y: float, lid: RGB) -> tuple[Shape, ...]:
    white = curve([(x - 0.038, y + 0.003), (x, y - 0.019), (x + 0.038, y + 0.003), (x, y + 0.016)])
    lash = ribbon([(x - 0.041, y + 0.002), (x, y - 0.021), (x + 0.041, y + 0.002)], [0.006, 0.011, 0.006])
    return (
        shape(ellipse(x, y - 0.012, 0.05, 0.03), lid, soft=0.02, alpha=0.22),
        shape(white, WHITE, ink=False),
        shape(ellipse(x, y - 0.001, 0.0175, 0.0175), (70, 52, 44), (112, 82, 58), within=white, ink=False),
        shape(ellipse(x, y - 0.001, 0.009, 0.009), (18, 14, 18), ink=False),
        shape(ellipse(x - 0.006, y - 0.007, 0.0045, 0.0045), (255, 255, 255), ink=False),
        shape(lash, (30, 22, 24), ink=False),
    )


def _hair_behind(hair: RGB) -> tuple[Shape, ...]:
    mass = curve([(0.0, -1.1), (-0.19, -1.02), (-0.24, -0.85), (-0.26, -0.62), (-0.3, -0.4),
                  (-0.2, -0.36), (0.2, -0.36), (0.3, -0.4), (0.26, -0.62), (0.24, -0.85),
                  (0.19, -1.02)])  # fmt: skip
    return (shape(mass, hair, dark(hair, 0.5)),)


def _hair_front(hair: RGB, *, long_hair: bool) -> tuple[Shape, ...]:
    low = -0.62 if long_hair else -0.84
    top = curve([(-0.2, low), (-0.205, -0.92), (-0.15, -1.06), (0.0, -1.105), (0.15, -1.06),
                 (0.205, -0.92), (0.2, low), (0.168, -0.86), (0.12, -0.925), (0.03, -0.948),
                 (-0.06, -0.925), (-0.135, -0.88), (-0.172, -0.83)])  # fmt: skip
    sheen = ribbon([(-0.15, -0.98), (-0.08, -1.05), (0.02, -1.07)], [0.01, 0.03, 0.01])
    return (
        shape(top, light(hair, 0.1), hair, dark(hair, 0.3)),
        shape(sheen, light(hair, 0.5), soft=0.02, alpha=0.6, within=top),
    )


def _cap(coat: Coat) -> tuple[Shape, ...]:
    cloth = mix(coat.accent, (120, 20, 30), 0.3)
    cap = curve([(-0.235, -0.98), (-0.25, -1.06), (-0.16, -1.17), (0.02, -1.2), (0.2, -1.17),
                 (0.29, -1.08), (0.25, -0.99), (0.12, -1.0), (0.0, -1.01), (-0.12, -1.0)])  # fmt: skip
    band = ribbon([(-0.215, -0.965), (0.0, -1.01), (0.215, -0.965)], [0.04, 0.05, 0.04])
    return (
        shape(cap, light(cloth, 0.2), cloth, dark(cloth, 0.5)),
        shape(ellipse(0.16, -1.06, 0.12, 0.1), dark(cloth, 0.6), soft=0.06, alpha=0.6, within=cap),
        shape(band, dark(cloth, 0.2), dark(cloth, 0.6)),
        shape(ellipse(-0.1, -1.0, 0.018, 0.018), GOLD),
    )


def _glasses() -> tuple[Shape, ...]:
    frames = [ring(s * 0.076, -0.808, 0.062, 0.009) for s in (-1, 1)]
    arms = [rod((s * 0.138, -0.815), (s * 0.175, -0.825), 0.01) for s in (-1, 1)]
    bridge = ribbon([(-0.018, -0.815), (0.0, -0.825), (0.018, -0.815)], [0.008, 0.008])
    return (
        *(
            shape(ellipse(s * 0.076, -0.808, 0.056, 0.056), (210, 232, 255), alpha=0.14, ink=False)
            for s in (-1, 1)
        ),
        shape([*frames, *arms, bridge], (38, 32, 36), ink=False),
    )
