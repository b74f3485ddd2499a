"""The look of a model: framing before the picture is drawn, paints while it is, shade after."""

from dataclasses import dataclass, fields
from functools import cache

import numpy as np
from PIL import Image

from beluga_nb.local.painter.colour import RGB, Tone, brightness, mix
from beluga_nb.local.painter.noise import in_fours
from beluga_nb.local.painter.reading import table
from beluga_nb.local.painter.stream import Stream, seed_of


@dataclass(frozen=True, slots=True)
class Look:
    """What looks.toml says of a model; the file explains the fields."""

    contrast: float
    saturation: float
    warmth: float
    lift: float
    zoom: float
    side: float
    sun: float
    vignette: float
    turn: float
    layers: float


RANGES = (
    (0.94, 1.2),  # contrast
    (0.85, 1.25),  # saturation
    (-0.3, 0.35),  # warmth
    (0.0, 0.08),  # lift
    (0.9, 1.1),  # zoom
    (-0.25, 0.25),  # side
    (-0.8, 0.8),  # sun
    (0.0, 0.3),  # vignette
    (-12.0, 12.0),  # turn
    (3.0, 5.0),  # layers
)


@cache
def look_of(model: str) -> Look:
    """Return the look of a model; a model nobody has described gets one from its name."""
    known = table("looks.toml")
    if model in known:
        entry = table("looks.toml", model)
        return Look(**{f.name: float(str(entry[f.name])) for f in fields(Look)})
    stream = Stream(seed_of("look", model))
    return Look(*(stream.one(f.name, *r) for f, r in zip(fields(Look), RANGES, strict=True)))


def tone_of(look: Look, *, saturation: float = 1.0) -> Tone:
    """Return how a model mixes its paints: the look's saturation, warmth and contrast of a colour.

    All of it is linear, so that graded paints make the same picture as a graded picture, and sooner.
    """
    amount, curves = look.saturation * saturation, _curves(look)

    @cache
    def tone(colour: RGB) -> RGB:
        grey = round(brightness(colour) * 255)
        red, green, blue = mix((grey, grey, grey), colour, amount)
        return curves[0][red], curves[1][green], curves[2][blue]

    return tone


def _curves(look: Look) -> list[list[int]]:
    x = np.linspace(0, 1, 256)
    curve = 0.5 + (x - 0.5) * look.contrast
    curve = look.lift + (1 - look.lift) * curve
    tints = (1 + 0.1 * look.warmth, 1 + 0.015 * look.warmth, 1 - 0.13 * look.warmth)
    return [[int(v) for v in np.clip(curve * tint * 255 + 0.5, 0, 255)] for tint in tints]


def darkened(image: Image.Image, look: Look) -> Image.Image:
    """Return the image with the look's vignette."""
    if look.vignette:
        image.paste(Image.new("RGB", image.size, (8, 8, 20)), (0, 0), _vignette(image.size, look.vignette))
    return image


def _vignette(size: tuple[int, int], strength: float) -> Image.Image:
    reach = np.clip((np.arange(256) / 255 - 0.42) / 0.58, 0, 1) ** 2
    levels = [int(v) for v in 255 * strength * reach]
    return in_fours(Image.radial_gradient("L").point(levels), size)
