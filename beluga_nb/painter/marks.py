"""Marks: values that describe shapes. Layers return marks; a sheet draws them in order."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Protocol

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from beluga_nb.painter.colour import RGB, Tone, plain
from beluga_nb.painter.noise import fbm, in_fours
from beluga_nb.painter.outline import Outline, even, turned
from beluga_nb.painter.stream import Floats, Stream

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Pen:
    """A contour line: its colour and its width in units."""

    colour: RGB
    width: float


@dataclass(frozen=True, slots=True)
class Sheet:
    """The paper: an image, pixels per unit (the short edge is one unit), samples per edge pixel, a pen,
    and how its paints are mixed.
    """

    image: Image.Image
    unit: float
    grain: int
    pen: Pen | None = None
    tone: Tone = plain

    def box(self, left: float, top: float, right: float, bottom: float) -> Box | None:
        """Return the pixels that cover this part in units, None when outside the paper."""
        x0, y0 = max(0, int(left * self.unit)), max(0, int(top * self.unit))
        x1 = min(self.image.width, int(right * self.unit) + 1)
        y1 = min(self.image.height, int(bottom * self.unit) + 1)
        return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None

    def lay(self, colour: RGB, box: Box, mask: Image.Image) -> None:
        """Paint a colour through a mask, as a picture: Pillow is slower with the bare colour."""
        self.image.paste(Image.new("RGB", mask.size, self.tone(colour)), box, mask)


class Mark(Protocol):
    """Anything that can be put on a sheet."""

    def put(self, sheet: Sheet) -> None:
        """Change the sheet's image."""


def ramp(colours: Sequence[RGB], places: Floats) -> Image.Image:
    """Return a column of pixels: the colours, evenly spread over 0 to 1, at these places."""
    column = np.empty((len(places), 3), np.uint8)
    for c, channel in enumerate(zip(*colours, strict=True)):
        column[:, c] = np.interp(places, even(len(colours)), channel) + 0.5
    return Image.frombytes("RGB", (1, len(places)), column.tobytes())


STEPS = 512


@lru_cache(maxsize=64)
def _strip(colours: tuple[RGB, ...], across: bool) -> Image.Image:
    """Return a gradient in STEPS, with as much of its first and of its last colour before and after it."""
    column = ramp(colours, np.linspace(-1, 2, 3 * STEPS))
    return column.transpose(Image.Transpose.TRANSPOSE) if across else column


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
        column = ramp([sheet.tone(c) for c in self.colours], rows)
        sheet.image.paste(column.resize((box[2], box[3] - box[1]), Image.Resampling.NEAREST), (0, box[1]))


WIDE = 120  # pixels over which a light fades so slowly that its mask may be coarse


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
        left, top = self.x - self.rx, self.y - self.ry
        box = sheet.box(left, top, self.x + self.rx, self.y + self.ry)
        if box is None:
            return
        disc = Image.radial_gradient("L").point(_falloff(self.power, self.alpha))
        corner, reach = (
            np.array([left, top] * 2) * sheet.unit,
            2 * np.array([self.rx, self.ry] * 2) * sheet.unit,
        )
        x0, y0, x1, y1 = np.clip((np.array(box) - corner) * (256 / reach), 0.0, 256.0).tolist()
        part = x0, y0, x1, y1
        size = box[2] - box[0], box[3] - box[1]
        if min(self.rx, self.ry) * sheet.unit > WIDE:
            mask = in_fours(disc, size, part)
        else:
            mask = disc.resize(size, Image.Resampling.BILINEAR, box=part)
        sheet.lay(self.colour, box, mask)


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
        small = max(2, size[0] // 6), max(2, size[1] // 6)
        cells = self.cells[0] * size[0] / sheet.unit, self.cells[1] * size[1] / sheet.unit
        clouds = fbm(self.stream, small, cells).point(self._table())
        mask = in_fours(ImageChops.multiply(clouds, _band(small)), size)
        sheet.lay(self.colour, box, mask)

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
        small = above.reduce((min(2, width), min(self.smear, above.height))).filter(ImageFilter.BoxBlur(1))
        tall = small.resize((small.width, height), Image.Resampling.BILINEAR)
        image = tall.resize((width, height), Image.Resampling.NEAREST)
        self._tear(image, sheet.unit)
        image = Image.blend(image, Image.new("RGB", image.size, sheet.tone(self.tint)), 1 - self.alpha)
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


@dataclass(frozen=True, slots=True, eq=False)
class Panes:
    """Many upright rectangles (left, top, right, bottom): such edges need no smoothing."""

    boxes: Floats
    colour: RGB

    def put(self, sheet: Sheet) -> None:
        """Fill them."""
        draw = ImageDraw.Draw(sheet.image)
        edges = np.rint(self.boxes * sheet.unit).astype(int)
        edges[:, 2:] = np.maximum(edges[:, :2], edges[:, 2:] - 1)
        colour = sheet.tone(self.colour)
        for pane in edges.tolist():
            draw.rectangle(pane, colour)


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
    owner: int = 0  # the number of the subject that it shows a part of
    dyed: bool = False  # in the subject's own colour, which a prompt may name
    open: bool = False  # no contour from the last point to the first: a limb grows out of a body
    board: bool | str = False  # the words in quotes of the prompt are set on it, or else this text

    def put(self, sheet: Sheet) -> None:
        """Fill the shape, edges smoothed, and draw its contour when the sheet has a pen."""
        ends = self.ends()
        pad = self.soft * 1.6 + (2 + 2 * (sheet.pen is not None)) / sheet.unit
        box = sheet.box(ends[0] - pad, ends[1] - pad, ends[2] + pad, ends[3] + pad)
        if box is None or self.alpha <= 0:
            return
        drawn_with_pen = self.ink and not self.soft and self.alpha > 0.8
        if sheet.pen and drawn_with_pen:
            # Under the fill: where outlines overlap, only the rim of their union shows.
            sheet.lay(sheet.pen.colour, box, self._contour(sheet, box, sheet.pen))
        elif self._scattered(sheet, box):
            self._scatter(sheet)
            return
        mask = self._mask(sheet, box)
        if len(self.fill) == 1:
            sheet.lay(self.fill[0], box, mask)
        else:
            sheet.image.paste(self._gradient(sheet, box, ends), box, mask)

    def ends(self) -> tuple[float, float, float, float]:
        """Return left, top, right, bottom."""
        points = np.concatenate(self.outlines).T.copy()  # NumPy is slow along a short axis
        (left, top), (right, bottom) = points.min(axis=1).tolist(), points.max(axis=1).tolist()
        return left, top, right, bottom

    def _scattered(self, sheet: Sheet, box: Box) -> bool:
        """Return whether this is many small equal things, far apart, in one colour: drops, flakes, stars."""
        many, area = len(self.outlines), (box[2] - box[0]) * (box[3] - box[1])
        if many < 5 or self.within or len(self.fill) > 1 or area < 2_000 * many:
            return False
        if len({len(outline) for outline in self.outlines}) > 1:
            return False
        wide, high = (np.ptp(np.stack(self.outlines), axis=1).max(axis=0) + 3.2 * self.soft) * sheet.unit
        return bool((wide + 3) * (high + 3) * many < 0.4 * area)

    def _scatter(self, sheet: Sheet) -> None:
        """Draw each outline into a cell of its own and stamp the cells: the space between costs nothing."""
        points = np.stack(self.outlines) * sheet.unit
        blur = self.soft * sheet.unit
        pad = 1 + round(1.6 * blur)
        corners = np.floor(points.min(axis=1)) - pad
        wide, high = (int(v) for v in np.ceil((points.max(axis=1) - corners).max(axis=0)) + pad)
        n, grain = len(points), 1 if blur > 1 else sheet.grain + 1
        points -= corners[:, None, :]
        points[:, :, 0] += (np.arange(n) * wide)[:, None]
        cells = Image.new("L", (n * wide * grain, high * grain))
        draw = ImageDraw.Draw(cells)
        for outline in (points * grain - 0.5).reshape(n, -1).tolist():
            draw.polygon(outline, round(255 * self.alpha))
        cells = cells.filter(ImageFilter.GaussianBlur(blur * 0.5)) if blur > 1 else cells.reduce(grain)
        colour = Image.new("RGB", (wide, high), sheet.tone(self.fill[0]))
        for k, corner in enumerate(corners.astype(int).tolist()):
            sheet.image.paste(colour, corner, cells.crop((k * wide, 0, (k + 1) * wide, high)))

    def _mask(self, sheet: Sheet, box: Box) -> Image.Image:
        blur = self.soft * sheet.unit
        # Steps are hard to see on the rim of a faint thing.
        grain = sheet.grain - 1 if self.alpha <= 0.5 else _grain(sheet, box)
        level = round(255 * self.alpha)
        mask = (
            _soft_mask(self.outlines, sheet, box, blur, level)
            if blur > 1
            else _hard_mask(self.outlines, sheet, box, grain, level)
        )
        if self.within:
            mask = ImageChops.multiply(mask, _hard_mask(self.within, sheet, box, _grain(sheet, box)))
        return mask

    def _gradient(self, sheet: Sheet, box: Box, ends: tuple[float, float, float, float]) -> Image.Image:
        first, last = (0, 2) if self.across else (1, 3)
        strip = _strip(tuple(sheet.tone(c) for c in self.fill), self.across)
        steps = STEPS / max((ends[last] - ends[first]) * sheet.unit, 1e-9)
        start = STEPS + (box[first] - ends[first] * sheet.unit) * steps
        low = min(max(start, 0.0), 3 * STEPS - 1.0)
        high = min(max(start + (box[last] - box[first]) * steps, low + 1e-3), 3.0 * STEPS)
        piece = (low, 0, high, 1) if self.across else (0, low, 1, high)
        return strip.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.NEAREST, box=piece)

    def _contour(self, sheet: Sheet, box: Box, pen: Pen) -> Image.Image:
        grain = sheet.grain
        mask = Image.new("L", ((box[2] - box[0]) * grain, (box[3] - box[1]) * grain))
        draw, width = ImageDraw.Draw(mask), max(1, round(2 * pen.width * sheet.unit * grain))
        for outline in _pixels(self.outlines, sheet.unit * grain, box, grain):
            draw.line(outline if self.open else outline + outline[:4], 255, width)
        mask = mask.reduce(grain)
        return ImageChops.multiply(mask, _hard_mask(self.within, sheet, box, grain)) if self.within else mask


def _grain(sheet: Sheet, box: Box) -> int:
    area = (box[2] - box[0]) * (box[3] - box[1])
    return sheet.grain + (1 if area < 40_000 else 0)


def _pixels(outlines: Sequence[Outline], scale: float, box: Box, grain: float) -> Iterator[list[float]]:
    """Yield each outline as a flat list of pixels in the box; all at once, for NumPy's sake."""
    points = np.concatenate(outlines) * scale - (box[0] * grain + 0.5, box[1] * grain + 0.5)
    numbers, start = points.ravel().tolist(), 0
    for outline in outlines:
        yield numbers[start : start + outline.size]
        start += outline.size


def _hard_mask(
    outlines: Sequence[Outline], sheet: Sheet, box: Box, grain: int, level: int = 255
) -> Image.Image:
    mask = Image.new("L", ((box[2] - box[0]) * grain, (box[3] - box[1]) * grain))
    draw = ImageDraw.Draw(mask)
    for outline in _pixels(outlines, sheet.unit * grain, box, grain):
        draw.polygon(outline, level)
    return mask.reduce(grain) if grain > 1 else mask


def _soft_mask(outlines: Iterable[Outline], sheet: Sheet, box: Box, blur: float, level: int) -> Image.Image:
    """Return a blurred mask, drawn small: a wide blur needs no pixels."""
    size = box[2] - box[0], box[3] - box[1]
    shrink = min(1.0, 2.0 * sheet.grain / 2 / blur)
    small = max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))
    mask = Image.new("L", small)
    draw = ImageDraw.Draw(mask)
    scale = np.array([small[0] / size[0], small[1] / size[1]])
    for outline in outlines:
        draw.polygon(((outline * sheet.unit - (box[0], box[1])) * scale - 0.5).ravel().tolist(), level)
    mask = mask.filter(ImageFilter.GaussianBlur(blur * shrink * 0.5))
    if blur * 255 > 12 * level and sheet.grain < 3:
        return in_fours(mask, size)
    smooth = Image.Resampling.BICUBIC if sheet.grain > 2 else Image.Resampling.BILINEAR
    return mask.resize(size, smooth)


def placed(
    shapes: Iterable[Shape], x: float, y: float, size: float, *, flip: bool = False, tilt: float = 0.0
) -> tuple[Shape, ...]:
    """Return shapes drawn about the origin, moved to (x, y), size times as large, perhaps mirrored."""
    bent, place = turned(np.eye(2), tilt) * (-size if flip else size, size), np.array([x, y])

    def moved(outlines: tuple[Outline, ...]) -> tuple[Outline, ...]:
        return tuple(o @ bent + place for o in outlines)

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


def cover(sheet: Sheet, marks: Iterable[Mark]) -> None:
    """Put the marks on the sheet; what is soft and lies behind everything, on a smaller one, enlarged."""
    waiting = iter(marks)
    behind, first = [], next(waiting, None)
    while isinstance(first, Wash | Glow | Mist):
        behind.append(first)
        first = next(waiting, None)
    _backdrop(sheet, behind)
    if first:
        first.put(sheet)
    for mark in waiting:
        mark.put(sheet)


def _backdrop(sheet: Sheet, marks: Sequence[Mark]) -> None:
    size = sheet.image.size
    if len(marks) < 3 or sheet.unit < 2 * WIDE:  # a single gradient is sooner painted than enlarged
        for mark in marks:
            mark.put(sheet)
        return
    small = replace(
        sheet, image=Image.new("RGB", ((size[0] + 1) // 2, (size[1] + 1) // 2)), unit=sheet.unit / 2
    )
    for mark in marks:
        mark.put(small)
    sheet.image.paste(small.image.resize(size, Image.Resampling.NEAREST))


def simplified(marks: Iterable[Mark], shades: int) -> Iterator[Mark]:
    """Yield the marks as a poster shows them: this many shades each, no mist, no soft shade."""
    for mark in marks:
        if isinstance(mark, Shape):
            if not (mark.soft and mark.alpha < 0.8):
                yield replace(mark, fill=stepped(mark.fill, shades), soft=0.0)
        elif isinstance(mark, Wash):
            yield replace(mark, colours=stepped(mark.colours, shades + 3))
        elif not isinstance(mark, Mist):
            yield mark


def stepped(colours: tuple[RGB, ...], shades: int) -> tuple[RGB, ...]:
    """Return a gradient that goes in steps: every shade repeated, so that its change takes no room."""
    if len(colours) == 1 or shades == 1:
        return (colours[len(colours) // 2],)
    table = np.asarray(ramp(colours, (np.arange(shades) + 0.5) / shades))[:, 0].tolist()
    return tuple((red, green, blue) for red, green, blue in table for _ in range(40))


def recoloured(shapes: Iterable[Shape], change: Tone) -> tuple[Shape, ...]:
    """Return the shapes with every colour changed, as by a lamp or by haze."""
    return tuple(replace(s, fill=tuple(change(c) for c in s.fill)) for s in shapes)
