"""Finish: what a model's look does to the picture that has been painted, and what it puts round it."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps, ImageStat

from beluga_nb.local.painter.colour import RGB, rgb
from beluga_nb.local.painter.look import Look
from beluga_nb.local.painter.noise import in_fours

BLACK: RGB = (6, 7, 12)
CREAM: RGB = (255, 246, 228)


def developed(image: Image.Image, look: Look) -> Image.Image:
    """Return the image mirrored, glowing and darkened as the look wants it."""
    if look.mirror:
        image = ImageOps.mirror(image)
    if look.glow:
        image = _glowing(image, look.glow)
    if look.vignette:
        image.paste(Image.new("RGB", image.size, BLACK), (0, 0), _vignette(image.size, look.vignette))
    if look.dusk:
        image.paste(Image.new("RGB", image.size, BLACK), (0, 0), _dusk(image.size, look.dusk))
    return image


def _glowing(image: Image.Image, strength: float) -> Image.Image:
    """Let the lights bleed, in their common colour; so soft a thing needs few pixels."""
    small = image.resize((max(1, image.width // 16), max(1, image.height // 16)), Image.Resampling.BOX)
    lights = small.convert("L").point([int(strength * max(0, v - 112) * 255 / 143) for v in range(256)])
    if not lights.getbbox():
        return image
    red, green, blue = (round(mean) for mean in ImageStat.Stat(small, lights).mean)
    halo = lights.filter(ImageFilter.GaussianBlur(max(1.0, min(small.size) / 24)))
    image.paste(
        (red, green, blue),
        (0, 0),
        halo.resize(image.size, Image.Resampling.BILINEAR),
    )
    return image


def _vignette(size: tuple[int, int], strength: float) -> Image.Image:
    reach = np.clip((np.arange(256) / 255 - 0.42) / 0.58, 0, 1) ** 2
    levels = [int(v) for v in 255 * strength * reach]
    return in_fours(Image.radial_gradient("L").point(levels), size)


def _dusk(size: tuple[int, int], strength: float) -> Image.Image:
    """Return a mask that is dark along the upper and the lower edge."""
    away = np.abs(np.linspace(-1, 1, size[1]))
    column = (255 * strength * np.clip((away - 0.45) / 0.55, 0, 1) ** 1.6).astype(np.uint8)
    return Image.fromarray(column[:, None]).resize(size, Image.Resampling.NEAREST)


Box = tuple[int, int, int, int]


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
