"""Finish: the effects and the border that a model's look adds to a painted picture."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps, ImageStat

from beluga_nb.painter.colour import RGB, rgb
from beluga_nb.painter.look import Look
from beluga_nb.painter.marks import Box
from beluga_nb.painter.noise import in_fours

BLACK: RGB = (6, 7, 12)
CREAM: RGB = (255, 246, 228)


# A colour and its place as a small mask: soft shapes need few pixels.
Veil = tuple[RGB, Image.Image]


def developed(image: Image.Image, look: Look) -> Image.Image:
    """Return the image mirrored, glowing and darkened as the look wants it."""
    if look.mirror:
        image = ImageOps.mirror(image)
    halo = _halo(image, look.glow) if look.glow else None
    corners = (BLACK, _corners(look.vignette)) if look.vignette else None
    for colour, mask in filter(None, (halo, corners)):
        _lay(image, colour, in_fours(mask, image.size))
    if look.dusk:
        _lay(image, BLACK, _dusk(image.size, look.dusk))
    return image


def _lay(image: Image.Image, colour: RGB, mask: Image.Image) -> None:
    """Paste a colour through a mask, as a picture: Pillow is slower with the bare colour."""
    image.paste(Image.new("RGB", image.size, colour), (0, 0), mask)


def _halo(image: Image.Image, strength: float) -> Veil | None:
    """Return how the lights bleed, in their common colour; None where nothing shines."""
    small = image.reduce(16)
    lights = small.convert("L").point(lambda v: int(strength * max(0, v - 112) * 255 / 143))
    if not lights.getbbox():
        return None
    red, green, blue = (round(mean) for mean in ImageStat.Stat(small, lights).mean)
    return (red, green, blue), lights.filter(ImageFilter.GaussianBlur(max(1.0, min(small.size) / 24)))


def _corners(strength: float) -> Image.Image:
    reach = np.clip((np.arange(256) / 255 - 0.42) / 0.58, 0, 1) ** 2
    return Image.radial_gradient("L").point([int(v) for v in 255 * strength * reach])


def _dusk(size: tuple[int, int], strength: float) -> Image.Image:
    """Return a mask that is dark along the upper and the lower edge."""
    away = np.abs(np.linspace(-1, 1, size[1]))
    column = (255 * strength * np.clip((away - 0.45) / 0.55, 0, 1) ** 1.6).astype(np.uint8)
    return Image.fromarray(column[:, None]).resize(size, Image.Resampling.NEAREST)


def window(size: tuple[int, int], look: Look) -> Box:
    """Return the part of a picture that the scene fills: what the look puts round it hides nothing."""
    width, height = size
    edge = round(min(size) * look.border)
    top = edge + round(height * look.bars)
    bottom = height - top - round(height * look.band)
    return edge, top, width - edge, max(top + 1, bottom)


def framed(image: Image.Image, look: Look, size: tuple[int, int]) -> Image.Image:
    """Return the painted window in the look's border, between its bars, above its band."""
    box = window(size, look)
    if image.size == size:
        return image
    whole = Image.new("RGB", size, BLACK if look.bars else rgb(look.mat))
    whole.paste(image, box)
    if look.band:
        rule = max(1, size[1] // 120)
        ImageDraw.Draw(whole).rectangle((0, box[3], size[0], box[3] + rule - 1), CREAM)
    return whole
