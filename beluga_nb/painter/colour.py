"""Colours: mixing, turning, lighting."""

import colorsys
from collections.abc import Callable
from functools import cache

from PIL import ImageColor

RGB = tuple[int, int, int]
Tone = Callable[[RGB], RGB]


@cache
def rgb(text: str) -> RGB:
    """Return the colour of a hex or CSS name.

    >>> rgb("#ff8000")
    (255, 128, 0)
    """
    red, green, blue, *_ = ImageColor.getrgb(text)
    return red, green, blue


def plain(colour: RGB) -> RGB:
    """Return the colour as it is."""
    return colour


def _clamped(red: float, green: float, blue: float) -> RGB:
    return (
        round(0.0 if red < 0.0 else 255.0 if red > 255.0 else red),
        round(0.0 if green < 0.0 else 255.0 if green > 255.0 else green),
        round(0.0 if blue < 0.0 else 255.0 if blue > 255.0 else blue),
    )


def mix(a: RGB, b: RGB, t: float) -> RGB:
    """Return the colour that is t of the way from a to b."""
    (x0, y0, z0), (x1, y1, z1) = a, b
    return _clamped(x0 + (x1 - x0) * t, y0 + (y1 - y0) * t, z0 + (z1 - z0) * t)


def light(colour: RGB, t: float) -> RGB:
    """Return the colour nearer to a warm white."""
    return mix(colour, (255, 250, 240), t)


def dark(colour: RGB, t: float) -> RGB:
    """Return the colour in shade: yellow turns to amber, not to olive, and black is a little blue."""
    red, green, blue = colour
    return mix(
        _clamped(red * (1 - 0.54 * t), green * (1 - 0.66 * t), blue * (1 - 0.52 * t)), (20, 16, 44), t * 0.62
    )


def under(colour: RGB, lamp: RGB) -> RGB:
    """Return the colour as it looks under a coloured lamp."""
    return _clamped(*(x * y / 255 for x, y in zip(colour, lamp, strict=True)))


def turned(colour: RGB, degrees: float) -> RGB:
    """Return the colour with its hue turned round the wheel."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*(x / 255 for x in colour))
    red, green, blue = colorsys.hls_to_rgb((hue + degrees / 360) % 1, lightness, saturation)
    return _clamped(red * 255, green * 255, blue * 255)


def vivid(hue: float, lightness: float, saturation: float) -> RGB:
    """Return the colour of a hue in degrees, a lightness and a saturation in [0, 1]."""
    red, green, blue = colorsys.hls_to_rgb(hue / 360 % 1, lightness, saturation)
    return _clamped(red * 255, green * 255, blue * 255)


def brightness(colour: RGB) -> float:
    """Return how bright a colour looks, in [0, 1]."""
    return (0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]) / 255
