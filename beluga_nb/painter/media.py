"""Media, such as oil or pencil: cheap passes over the finished image."""

import math
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from beluga_nb.painter.marks import Pen
from beluga_nb.painter.noise import fbm
from beluga_nb.painter.stream import Stream

# A pass takes the image, the picture's size, a random stream, and whether to be fine; few use all of them.
Pass = Callable[[Image.Image, tuple[int, int], Stream, bool], Image.Image]

PENS: Mapping[str, Pen] = {
    "anime": Pen((44, 26, 48), 0.0036),
    "ink": Pen((22, 22, 28), 0.0034),
    "neon": Pen((255, 255, 255), 0.003),
}


# Strokes show the lights and shades of a small picture at full size.
PAINTED_LAST = ("oil",)
MOST_PIXELS = 1_330_000
DRAWN_PIXELS = 1_150_000
"""Standard quality draws pictures up to the former itself; larger ones are enlarged from the latter."""


def rendered(
    image: Image.Image, medium: str, size: tuple[int, int], stream: Stream, *, fine: bool
) -> Image.Image:
    """Return the image in a medium; photo leaves it as it is."""
    passing = PASSES.get(medium)
    return passing(image, size, stream.child("medium"), fine) if passing else image


def easel(medium: str, size: tuple[int, int], *, fine: bool) -> tuple[int, int]:
    """Return the size at which a scene is painted: what a medium blurs need not be drawn sharply."""
    if medium in ("watercolour", "neon") or (medium == "oil" and min(size) >= 512):
        return (size[0] + 1) // 2, (size[1] + 1) // 2
    if medium == "pixel":
        return _scaled(size, min(1.0, 4 * (128 if fine else 96) / min(size)))
    if not fine and size[0] * size[1] > MOST_PIXELS:
        return _scaled(size, math.sqrt(DRAWN_PIXELS / (size[0] * size[1])))
    return size


def _scaled(size: tuple[int, int], share: float) -> tuple[int, int]:
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def enlarged(image: Image.Image, medium: str, size: tuple[int, int]) -> Image.Image:
    """Return the picture at its full size; pixel art keeps its corners."""
    if image.size == size:
        return image
    return image.resize(size, Image.Resampling.NEAREST if medium == "pixel" else Image.Resampling.BILINEAR)


def _oil(image: Image.Image, size: tuple[int, int], stream: Stream, fine: bool) -> Image.Image:
    """Lay brush strokes across the slopes of brightness: broad ones everywhere, small ones on detail."""
    coarse = image  # strokes take their colours from here: the small picture says enough
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    short = min(size)
    canvas = image.filter(ImageFilter.ModeFilter(3)) if short < 64 else image.copy()
    for k, (pitch, long) in enumerate(
        ((short / 46, 2.6), (short / (150 if fine else 105), 2.2), (short / (260 if fine else 190), 2.4))
    ):
        _strokes(canvas, coarse, stream.child(k), max(2.0, pitch), long, least=(0.0, 4.0, 11.0)[k])
    return Image.blend(canvas, image, 0.3)


def _strokes(
    canvas: Image.Image, source: Image.Image, stream: Stream, pitch: float, long: float, *, least: float
) -> None:
    size = canvas.size
    guide = source.resize(
        (max(4, round(size[0] / pitch)), max(4, round(size[1] / pitch))), Image.Resampling.BOX
    )
    grey = np.asarray(guide.convert("L").filter(ImageFilter.GaussianBlur(1)), dtype=np.float64)
    down, across = np.gradient(grey)
    strength = np.hypot(down, across)
    swirl = np.asarray(fbm(stream, guide.size, (3, 3), 2), dtype=np.float64) / 255 * 4
    angle = np.where(strength > 2.5, np.arctan2(across, -down), swirl)
    rows, columns = np.nonzero(strength >= least)
    n = len(rows)
    order = np.argsort(stream.many("order", n))
    rows, columns = rows[order], columns[order]
    x = (columns + 0.5 + stream.many("x", n, -0.5, 0.5)) * size[0] / guide.width
    y = (rows + 0.5 + stream.many("y", n, -0.5, 0.5)) * size[1] / guide.height
    tone = np.asarray(guide)[rows, columns].astype(np.float64) * stream.many("tone", n, 0.93, 1.07)[:, None]
    half = pitch * long / 2 * stream.many("long", n, 0.6, 1.2)
    dx, dy = np.cos(angle[rows, columns]) * half, np.sin(angle[rows, columns]) * half
    ends = np.column_stack([x - dx, y - dy, x + dx, y + dy]).tolist()
    inks = (np.clip(tone, 0, 255).astype(np.int64) @ (1, 1 << 8, 1 << 16)).tolist()
    draw, width = ImageDraw.Draw(canvas), max(2, round(pitch * (0.75 if least else 1.0)))
    for line, ink in zip(ends, inks, strict=True):
        draw.line(line, ink, width)


def _anime(image: Image.Image, _size: tuple[int, int], _stream: Stream, fine: bool) -> Image.Image:
    """Brighten, and step the tones as cel paint does."""
    steps = 14 if fine else 11
    ramp = np.arange(256) / 255
    stepped = np.floor(ramp * steps + 0.5) / steps
    curve = np.clip(0.35 * ramp + 0.65 * stepped, 0, 1) ** 0.9
    return image.point([int(v * 255) for v in curve] * 3)


def _watercolour(image: Image.Image, _size: tuple[int, int], stream: Stream, fine: bool) -> Image.Image:
    """Let pigment run: wandering edges, darker rims, granulation, paper at the margin."""
    warped = _warped(image, stream.child("warp"), 0.012)
    soft = warped.filter(ImageFilter.MedianFilter(5)) if fine else warped
    rims = ImageChops.subtract(soft.filter(ImageFilter.BoxBlur(max(2, image.height // 120))), soft)
    soft = ImageChops.subtract(soft, rims)
    pale = soft.point(lambda v: int(255 * (0.06 + 0.94 * (v / 255)) ** 0.9))
    bloom = _broad(stream.child("bloom"), image.size, (5, 5), 4).point(
        lambda v: int(min(50, max(0, (v - 100) * 0.7)))
    )
    pale.paste((252, 249, 240), (0, 0), bloom)
    pale.paste((251, 248, 240), (0, 0), ImageOps.invert(_margin(image.size, stream.child("margin"))))
    return pale


def _broad(stream: Stream, size: tuple[int, int], cells: tuple[float, float], octaves: int) -> Image.Image:
    """Return clouds with lumps so large that a quarter of their pixels says enough."""
    quarter = max(2, size[0] // 4), max(2, size[1] // 4)
    return fbm(stream, quarter, cells, octaves).resize(size, Image.Resampling.BILINEAR)


def _warped(image: Image.Image, stream: Stream, reach: float) -> Image.Image:
    size, amount = image.size, reach * min(image.size) / 64
    table = ((np.arange(256) - 128) * amount).astype(np.int32)
    down, across = (table[np.asarray(_broad(stream.child(k), size, (9, 9), 3))] for k in range(2))
    rows = np.clip(np.arange(size[1], dtype=np.int32)[:, None] + down, 0, size[1] - 1)
    columns = np.clip(np.arange(size[0], dtype=np.int32)[None, :] + across, 0, size[0] - 1)
    pixels = np.asarray(image.convert("RGBX")).view(np.uint32).ravel()  # whole pixels move at once
    moved = pixels.take(rows * size[0] + columns)
    return Image.frombytes("RGB", size, moved.tobytes(), "raw", "RGBX")


def _margin(size: tuple[int, int], stream: Stream) -> Image.Image:
    """Return a mask of the painted area: a rectangle whose edge wanders."""
    pad = max(1, round(min(size) * 0.035))
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rectangle((pad, pad, size[0] - pad - 1, size[1] - pad - 1), 255)
    mask = mask.filter(ImageFilter.BoxBlur(pad * 0.8))
    wander = fbm(stream, size, (14, 14), 4)
    return ImageChops.add(mask, wander, 1, -128).point(lambda v: min(255, max(0, (v - 110) * 9)))


def _ink(image: Image.Image, _size: tuple[int, int], _stream: Stream, fine: bool) -> Image.Image:
    """Keep the tones, give them ink and paper."""
    grey = image.convert("L").point(lambda v: int(255 * min(1, 0.06 + (v / 255) ** 0.8)))
    small = grey.reduce(2).filter(ImageFilter.BoxBlur(1))
    edge = ImageChops.subtract(small.filter(ImageFilter.BoxBlur(4)), small).point(lambda v: min(255, v * 5))
    steps = 7 if fine else 5
    stepped = grey.point(lambda v: int(255 * (0.5 * v / 255 + 0.5 * round(v / 255 * steps) / steps)))
    lined = ImageChops.subtract(stepped, edge.resize(grey.size, Image.Resampling.BILINEAR))
    return ImageOps.colorize(lined, (26, 28, 36), (249, 245, 234), (150, 150, 152))


def _neon(image: Image.Image, _size: tuple[int, int], _stream: Stream, _fine: bool) -> Image.Image:
    """Put out the light and let the outlines glow."""
    grey = image.convert("L")
    edge = ImageChops.subtract(_spread(grey, ImageChops.lighter), _spread(grey, ImageChops.darker)).point(
        lambda v: min(255, max(0, v - 10) * 5)
    )
    ImageDraw.Draw(edge).rectangle((0, 0, edge.width - 1, edge.height - 1), outline=0)  # offsets wrap round
    hue = image.filter(ImageFilter.BoxBlur(1)).convert("HSV")
    bright = Image.merge(
        "HSV", (hue.getchannel(0), hue.getchannel(1).point(lambda v: min(255, 150 + v)), edge)
    ).convert("RGB")
    glow = ImageChops.add(bright, bright.filter(ImageFilter.BoxBlur(min(image.size) / 100)))
    dim = image.point(lambda v: int(v * 0.26))
    return ImageChops.add(dim, glow)


def _spread(grey: Image.Image, choose: Callable[[Image.Image, Image.Image], Image.Image]) -> Image.Image:
    """Return each pixel's lightest or darkest neighbour, ten times as fast as a rank filter."""
    for x, y in ((1, 0), (0, 1)):
        beside = choose(ImageChops.offset(grey, x, y), ImageChops.offset(grey, -x, -y))
        grey = choose(grey, beside)
    return grey


def _pixel(image: Image.Image, _size: tuple[int, int], _stream: Stream, fine: bool) -> Image.Image:
    """Return a small picture of few colours."""
    cells = 128 if fine else 96
    small = image.resize(_scaled(image.size, min(1.0, cells / min(image.size))), Image.Resampling.BOX)
    return small.quantize(64 if fine else 48, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).convert(
        "RGB"
    )


PASSES: Mapping[str, Pass] = {
    "oil": _oil,
    "anime": _anime,
    "watercolour": _watercolour,
    "ink": _ink,
    "neon": _neon,
    "pixel": _pixel,
}
