"""The look of a model: how it frames a scene and mixes its paints; finish.py works on the picture."""

from dataclasses import dataclass, fields
from functools import cache

import numpy as np

from beluga_nb.painter.colour import RGB, Tone, brightness, mix, rgb
from beluga_nb.painter.reading import table, texts
from beluga_nb.painter.stream import Stream, seed_of


@dataclass(frozen=True, slots=True)
class Look:
    """What looks.toml says of a model; the file explains the fields."""

    contrast: float = 1.0
    saturation: float = 1.0
    warmth: float = 0.0
    gamma: float = 1.0
    lift: float = 0.0
    split: float = 0.0
    shadows: str = "#000000"
    lights: str = "#ffffff"
    zoom: float = 1.0
    side: float = 0.0
    sun: float = 0.6
    rise: float = 0.0
    turn: float = 0.0
    layers: float = 4.0
    mirror: float = 0.0
    flat: float = 0.0
    glow: float = 0.0
    vignette: float = 0.0
    dusk: float = 0.0
    bars: float = 0.0
    border: float = 0.0
    mat: str = "#ffffff"
    band: float = 0.0


@cache
def look_of(model: str) -> Look:
    """Return the look of a model; one without a description gets one from its name."""
    if model not in table("looks.toml"):
        stream = Stream(seed_of("look", model))
        ranges = {name: texts(reach) for name, reach in table("looks.toml", "ranges").items()}
        return Look(**{name: stream.one(name, *map(float, reach)) for name, reach in ranges.items()})  # type: ignore[arg-type]
    entry = table("looks.toml", model)
    kinds = {f.name: f.type for f in fields(Look)}
    return Look(**{k: str(v) if kinds[k] is str else float(str(v)) for k, v in entry.items()})  # type: ignore[arg-type]


def tone_of(look: Look, *, saturation: float = 1.0) -> Tone:
    """Return how a model mixes its paints: saturation, curves, then tinted shadows and lights.

    Grading some hundred paints makes nearly the same picture as grading a million pixels, and sooner.
    """
    amount, curves = look.saturation * saturation, _curves(look)
    shadows, lights = rgb(look.shadows), rgb(look.lights)

    @cache
    def tone(colour: RGB) -> RGB:
        grey = round(brightness(colour) * 255)
        red, green, blue = mix((grey, grey, grey), colour, amount)
        curved = curves[0][red], curves[1][green], curves[2][blue]
        bright = brightness(curved)
        tinted = mix(curved, shadows, look.split * (1 - bright) ** 1.5)
        return mix(tinted, lights, look.split * bright**1.5)

    return tone


def _curves(look: Look) -> list[list[int]]:
    x = np.linspace(0, 1, 256)
    curve = np.clip(0.5 + (x - 0.5) * look.contrast, 0, 1) ** look.gamma
    curve = look.lift + (1 - look.lift) * curve
    tints = (1 + 0.1 * look.warmth, 1 + 0.015 * look.warmth, 1 - 0.13 * look.warmth)
    return [[int(v) for v in np.clip(curve * tint * 255 + 0.5, 0, 255)] for tint in tints]
