"""Marks: the values a picture is made of. Layers return marks; a sheet takes them in order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from beluga_nb.local.painter.colour import RGB, mix, under
from beluga_nb.local.painter.noise import fbm
from beluga_nb.local.painter.outline import Outline, turned
from beluga_nb.local.painter.stream import Floats, Stream

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Pen:
    """A contour line: its colour and its width in units."""

    colour: RGB
    width: float


@dataclass(frozen=True, slots=True)
class Sheet:
    """The paper: an image, pixels per unit (the short edge is one unit), samples per edge pixel, a pen."""

    image: Image.Image
    unit: float
    grain: int
    pen: Pen | None = None

    def box(self, left: float, top: float, right: float, bottom: float) -> Box | None:
        """Return the pixels that cover this part in units, None when outside the paper."""
        x0, y0 = max(0, int(left * self.unit)), max(0, int(top * self.unit))
        x1 = min(self.image.width, int(right * self.unit) + 1)
        y1 = min(self.image.height, int(bottom * self.unit) + 1)
        return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def flat_paste(image: Image.Image, colour: RGB, box: Box, mask: Image.Image) -> None:
    """Paste one colour through a mask, as a picture: Pillow is slower with the bare colour."""
    image.paste(Image.new("RGB", mask.size, colour), box, mask)


class Mark(Protocol):
    """Anything that can be put on a sheet."""

    def put(self, sheet: Sheet) -> None:
        """Change the sheet's image."""


def ramp(colours: Sequence[RGB], places: Floats) -> Image.Image:
    """Return a column of pixels: the colours, evenly spread over 0 to 1, at these places."""
    stops = np.linspace(0, 1, len(colours))
    table = np.asarray(colours, dtype=np.float64)
    column = np.stack([np.interp(places, stops, table[:, c]) for c in range(3)], axis=-1)
    return Image.fromarray((column + 0.5).astype(np.uint8)[:, None, :])


@dataclass(frozen=True, slots=True)
class Wash:
    """A gradient over the full width, from top to bottom in units."""

    colours: tuple[RGB, ...]
    top: float
    bottom: float

    def put(self, sheet: Sheet) -> None:
        """Fill the band."""
        box = sheet.box(0, self.top, 1e4, self.bottom)
        if box is None:
            return
        rows = (np.arange(box[1], box[3]) / sheet.unit - self.top) / (self.bottom - self.top)
        column = ramp(self.colours, rows)
        sheet.image.paste(column.resize((box[2], box[3] - box[1]), Image.Resampling.NEAREST), (0, box[1]))


@cache
def _falloff(power: float, alpha: float) -> tuple[int, ...]:
    reach = np.clip(1 - np.arange(256) / 180, 0, 1)  # the disc inside Pillow's square gradient
    return tuple(int(v) for v in 255 * alpha * reach**power)


@dataclass(frozen=True, slots=True)
class Glow:
    """A soft round light (or shade) that ends at its radii."""

    x: float
    y: float
    rx: float
    ry: float
    colour: RGB
    alpha: float = 0.6
    power: float = 1.6

    def put(self, sheet: Sheet) -> None:
        """Lay the colour over the picture."""
        ends = (self.x - self.rx, self.y - self.ry, self.x + self.rx, self.y + self.ry)
        box = sheet.box(*ends)
        if box is None:
            return
        disc = Image.radial_gradient("L").point(_falloff(self.power, self.alpha))
        scale_x, scale_y = 256 / (2 * self.rx * sheet.unit), 256 / (2 * self.ry * sheet.unit)
        left, top = self.x - self.rx, self.y - self.ry
        part = (
            max(0.0, (box[0] - left * sheet.unit) * scale_x),
            max(0.0, (box[1] - top * sheet.unit) * scale_y),
            min(256.0, (box[2] - left * sheet.unit) * scale_x),
            min(256.0, (box[3] - top * sheet.unit) * scale_y),
        )
        mask = disc.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.BILINEAR, box=part)
        flat_paste(sheet.image, self.colour, box, mask)


@dataclass(frozen=True, slots=True)
class Mist:
    """Cloudy colour in a band; cells are lumps per unit, threshold says how much stays clear."""

    stream: Stream
    colour: RGB
    top: float
    bottom: float
    alpha: float = 0.6
    cells: tuple[float, float] = (2.0, 4.0)
    threshold: float = 0.45
    edge: float = 0.25

    def put(self, sheet: Sheet) -> None:
        """Lay the clouds over the picture."""
        box = sheet.box(0, self.top, 1e4, self.bottom)
        if box is None:
            return
        size = box[2], box[3] - box[1]
        small = max(2, size[0] // 4), max(2, size[1] // 4)
        cells = self.cells[0] * size[0] / sheet.unit, self.cells[1] * size[1] / sheet.unit
        clouds = fbm(self.stream, small, cells).point(self._table())
        mask = ImageChops.multiply(clouds, _band(small)).resize(size, Image.Resampling.BILINEAR)
        flat_paste(sheet.image, self.colour, box, mask)

    def _table(self) -> list[int]:
        rise = np.clip((np.arange(256) / 255 - self.threshold) / self.edge, 0, 1)
        return [int(v) for v in 255 * self.alpha * rise * rise * (3 - 2 * rise)]


def _band(size: tuple[int, int]) -> Image.Image:
    """Return a mask that fades out towards the top and the bottom."""
    t = np.linspace(0, 1, size[1])
    column = (255 * np.clip(4 * np.minimum(t, 1 - t), 0, 1)).astype(np.uint8)[:, None]
    return Image.fromarray(column).resize(size, Image.Resampling.NEAREST)


@dataclass(frozen=True, slots=True)
class Mirror:
    """Still or wet ground below y: what is above, upside down, torn by small waves."""

    y: float
    bottom: float
    tint: RGB
    alpha: float
    stream: Stream
    wave: float = 0.012
    smear: int = 4
    fading: bool = False

    def put(self, sheet: Sheet) -> None:
        """Reflect the picture."""
        box = sheet.box(0, self.y, 1e4, self.bottom)
        if box is None or box[1] < 2:
            return
        width, height = box[2], box[3] - box[1]
        top = max(0, box[1] - round(height * 1.25))
        above = sheet.image.crop((0, top, width, box[1])).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        small = above.resize((max(1, width // 2), max(1, height // self.smear))).filter(
            ImageFilter.BoxBlur(1)
        )
        image = small.resize((width, height), Image.Resampling.BILINEAR)
        self._tear(image, sheet.unit)
        image = Image.blend(image, Image.new("RGB", image.size, self.tint), 1 - self.alpha)
        fade = (
            Image.linear_gradient("L").point(range(255, -1, -1)).resize(image.size) if self.fading else None
        )
        sheet.image.paste(image, box[:2], fade)

    def _tear(self, image: Image.Image, unit: float) -> None:
        strip = max(2, round(unit / 220))
        shifts = self.stream.many("waves", image.height // strip + 1, -1, 1)
        for row, shift in enumerate(shifts):
            y, deep = row * strip, row * strip / image.height
            offset = round(shift * unit * self.wave * (0.3 + 1.4 * deep))
            if offset and y < image.height:
                band = image.crop((0, y, image.width, min(y + strip, image.height)))
                image.paste(band, (offset, y))


@dataclass(frozen=True, slots=True)
class Panes:
    """Many small upright rectangles (left, top, right, bottom): such edges need no smoothing."""

    boxes: tuple[tuple[float, float, float, float], ...]
    colour: RGB

    def put(self, sheet: Sheet) -> None:
        """Fill them."""
        draw = ImageDraw.Draw(sheet.image)
        for pane in self.boxes:
            left, top, right, bottom = (round(edge * sheet.unit) for edge in pane)
            draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), self.colour)


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """One or more outlines in one fill: a colour, or a gradient down (or across) the whole shape."""

    outlines: tuple[Outline, ...]
    fill: tuple[RGB, ...]
    across: bool = False
    soft: float = 0.0
    alpha: float = 1.0
    within: tuple[Outline, ...] = ()
    ink: bool = True

    def put(self, sheet: Sheet) -> None:
        """Fill the shape, edges smoothed, and draw its contour when the sheet has a pen."""
        ends = self.ends()
        pad = self.soft * 1.6 + (2 + 2 * (sheet.pen is not None)) / sheet.unit
        box = sheet.box(ends[0] - pad, ends[1] - pad, ends[2] + pad, ends[3] + pad)
        if box is None or self.alpha <= 0:
            return
        if sheet.pen and self.ink and not self.soft and self.alpha > 0.8:
            # Under the fill: where outlines overlap, only the rim of their union shows.
            flat_paste(sheet.image, sheet.pen.colour, box, self._contour(sheet, box, sheet.pen))
        mask = self._mask(sheet, box)
        if len(self.fill) == 1:
            flat_paste(sheet.image, self.fill[0], box, mask)
        else:
            sheet.image.paste(self._gradient(sheet, box, ends), box, mask)

    def ends(self) -> tuple[float, float, float, float]:
        """Return left, top, right, bottom."""
        lows = np.min([o.min(axis=0) for o in self.outlines], axis=0)
        highs = np.max([o.max(axis=0) for o in self.outlines], axis=0)
        return float(lows[0]), float(lows[1]), float(highs[0]), float(highs[1])

    def _mask(self, sheet: Sheet, box: Box) -> Image.Image:
        blur = self.soft * sheet.unit
        faint = self.alpha <= 0.5 and sheet.grain < 3  # nobody sees steps on the rim of a faint thing
        grain = 1 if faint else _grain(sheet, box)
        mask = (
            _soft_mask(self.outlines, sheet, box, blur)
            if blur > 1
            else _hard_mask(self.outlines, sheet, box, grain)
        )
        if self.within:
            mask = ImageChops.multiply(mask, _hard_mask(self.within, sheet, box, _grain(sheet, box)))
        if self.alpha < 1:
            mask = mask.point([int(v * self.alpha) for v in range(256)])
        return mask

    def _gradient(self, sheet: Sheet, box: Box, ends: tuple[float, float, float, float]) -> Image.Image:
        first, last = (0, 2) if self.across else (1, 3)
        pixels: Floats = (np.arange(box[first], box[last], dtype=np.float64) + 0.5) / sheet.unit
        places: Floats = (pixels - ends[first]) / max(ends[last] - ends[first], 1e-9)
        column = ramp(self.fill, places)
        if self.across:
            column = column.transpose(Image.Transpose.TRANSPOSE)
        return column.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.NEAREST)

    def _contour(self, sheet: Sheet, box: Box, pen: Pen) -> Image.Image:
        grain = _grain(sheet, box)
        mask = Image.new("L", ((box[2] - box[0]) * grain, (box[3] - box[1]) * grain))
        draw, width = ImageDraw.Draw(mask), max(1, round(2 * pen.width * sheet.unit * grain))
        for outline in self.outlines:
            flat = _pixels(outline, sheet.unit * grain, box, grain)
            draw.line(flat + flat[:4], 255, width)
        mask = mask.reduce(grain)
        return ImageChops.multiply(mask, _hard_mask(self.within, sheet, box, grain)) if self.within else mask


def _grain(sheet: Sheet, box: Box) -> int:
    area = (box[2] - box[0]) * (box[3] - box[1])
    return sheet.grain + (1 if area < 40_000 else 0)


def _pixels(outline: Outline, scale: float, box: Box, grain: float) -> list[float]:
    flat: list[float] = (outline * scale - (box[0] * grain + 0.5, box[1] * grain + 0.5)).ravel().tolist()
    return flat


def _hard_mask(outlines: Iterable[Outline], sheet: Sheet, box: Box, grain: int) -> Image.Image:
    mask = Image.new("L", ((box[2] - box[0]) * grain, (box[3] - box[1]) * grain))
    draw = ImageDraw.Draw(mask)
    for outline in outlines:
        draw.polygon(_pixels(outline, sheet.unit * grain, box, grain), 255)
    return mask.reduce(grain) if grain > 1 else mask


def _soft_mask(outlines: Iterable[Outline], sheet: Sheet, box: Box, blur: float) -> Image.Image:
    """Return a blurred mask, drawn small: a wide blur needs no pixels."""
    size = box[2] - box[0], box[3] - box[1]
    shrink = min(1.0, 2.0 * sheet.grain / 2 / blur)
    small = max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))
    mask = Image.new("L", small)
    draw = ImageDraw.Draw(mask)
    scale = np.array([small[0] / size[0], small[1] / size[1]])
    for outline in outlines:
        flat = ((outline * sheet.unit - (box[0], box[1])) * scale - 0.5).ravel().tolist()
        draw.polygon(flat, 255)
    mask = mask.filter(ImageFilter.GaussianBlur(blur * shrink * 0.5))
    smooth = Image.Resampling.BICUBIC if sheet.grain > 2 else Image.Resampling.BILINEAR
    return mask.resize(size, smooth)


def shape(
    outlines: Outline | Sequence[Outline],
    *fill: RGB,
    across: bool = False,
    soft: float = 0.0,
    alpha: float = 1.0,
    within: Outline | None = None,
    ink: bool = True,
) -> Shape:
    """Return a shape; one colour fills it flat, several make a gradient."""
    many = (outlines,) if isinstance(outlines, np.ndarray) else tuple(outlines)
    inside = () if within is None else (within,)
    return Shape(many, fill, across, soft, alpha, inside, ink)


def placed(
    shapes: Iterable[Shape], x: float, y: float, size: float, *, flip: bool = False, tilt: float = 0.0
) -> tuple[Shape, ...]:
    """Return shapes drawn about the origin, moved to (x, y), size times as large, perhaps mirrored."""
    scale = np.array([-size if flip else size, size])

    def moved(outlines: tuple[Outline, ...]) -> tuple[Outline, ...]:
        return tuple(turned(o, tilt) * scale + (x, y) for o in outlines)

    return tuple(
        replace(
            s,
            outlines=moved(s.outlines),
            within=moved(s.within),
            soft=s.soft * size,
            fill=s.fill[::-1] if flip and s.across else s.fill,
        )
        for s in shapes
    )


def lit(shapes: Iterable[Shape], lamp: RGB) -> tuple[Shape, ...]:
    """Return the shapes under a coloured lamp."""
    return tuple(replace(s, fill=tuple(under(c, lamp) for c in s.fill)) for s in shapes)


def hazed(shapes: Iterable[Shape], haze: RGB, t: float) -> tuple[Shape, ...]:
    """Return the shapes as seen through t of haze."""
    return tuple(replace(s, fill=tuple(mix(c, haze, t) for c in s.fill)) for s in shapes)
