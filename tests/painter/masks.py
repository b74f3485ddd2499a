"""Which pixels of a picture show which subject, found by painting the scene in the subjects' numbers."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from beluga_nb.painter.colour import RGB
from beluga_nb.painter.finish import window
from beluga_nb.painter.layers.scenery import marks
from beluga_nb.painter.look import Look
from beluga_nb.painter.marks import Mark, Shape, Sheet, cover, simplified
from beluga_nb.painter.painting import drawn
from beluga_nb.painter.register import SOFT, Register
from beluga_nb.painter.scene import Frame, Scene

Mask = NDArray[np.bool_]
BLACK: RGB = (0, 0, 0)
PRIMARY: dict[int, RGB] = {1: (255, 0, 0), 2: (0, 255, 0), 3: (0, 0, 255)}


def masks(scene: Scene, look: Look, size: tuple[int, int]) -> list[Mask]:
    """Return for each actor which pixels of a picture show it, more than what lies over it."""
    starts = range(0, len(scene.cast), 3)  # a family is three actors, and others may stand beside it
    return [mask for start in starts for mask in _three(scene, look, size, start)][: len(scene.cast)]


def _three(scene: Scene, look: Look, size: tuple[int, int], start: int) -> list[Mask]:
    """Return the masks of three actors: one for each channel of a picture."""
    look = replace(look, mirror=0.0) if scene.written else look
    box = window(size, look)
    inner = box[2] - box[0], box[3] - box[1]
    unit = min(inner)
    sheet = Sheet(Image.new("RGB", inner), unit, 2)
    planned = marks(scene, Frame(inner[0] / unit, inner[1] / unit))
    planned = simplified(planned, round(look.flat)) if look.flat else planned
    cover(sheet, _numbered(planned, start))
    seen = ImageOps.mirror(sheet.image) if look.mirror else sheet.image
    whole = Image.new("RGB", size)
    whole.paste(seen, box)
    return [np.asarray(whole)[:, :, channel] > 127 for channel in range(3)]


def _numbered(planned: Iterable[Mark], start: int) -> Iterator[Mark]:
    """Yield the marks in the colours of their subjects; all else is black, and halos are left out."""
    for mark in planned:
        if isinstance(mark, Shape):
            if not (mark.owner and mark.soft >= SOFT):
                yield replace(mark, fill=(PRIMARY.get(mark.owner - start, BLACK),))
            continue
        names = {each.name for each in fields(mark)}  # type: ignore[arg-type]
        black: dict[str, object] = {name: BLACK for name in ("colour", "tint") if name in names}
        if "colours" in names:
            black["colours"] = (BLACK,)
        yield replace(mark, **black)  # type: ignore[type-var]


class Without(Register):
    """Lets all marks through but those of a subject: what differs in the picture is what shows it."""

    def __init__(self, actors: int, number: int) -> None:
        """Leave out the subject with this number, from 1."""
        super().__init__(actors)
        self._number = number

    def noting(self, marks: Iterable[Mark], width: float, height: float) -> Iterator[Mark]:
        """Yield the other marks."""
        left = (m for m in marks if not (isinstance(m, Shape) and m.owner == self._number))
        yield from super().noting(left, width, height)


def difference(scene: Scene, look: Look, size: tuple[int, int], number: int) -> float:
    """Return the share of the picture that changes when a subject is left out."""
    registers = (Register(len(scene.cast)), Without(len(scene.cast), number))
    whole, without = (
        np.asarray(drawn(scene, look, size, fine=False, register=each), dtype=np.int16) for each in registers
    )
    return float((np.abs(whole - without).max(axis=2) > SEEN).mean())


SEEN = 24  # of 256 levels of a channel


def pieces(mask: Mask, least: int) -> int:
    """Return how many connected parts of at least so many pixels a mask has."""
    sizes: dict[int, int] = {}
    above: list[tuple[int, int, int]] = []
    for row in mask:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]]))).tolist()
        runs = []
        for left, right in zip(edges[::2], edges[1::2], strict=True):
            touching = sorted({part for a, b, part in above if a < right and b > left})
            part = touching[0] if touching else len(sizes)
            sizes[part] = sizes.get(part, 0) + right - left
            for other in touching[1:]:
                sizes[part] += sizes[other]
                sizes[other] = 0
                above = [(a, b, part if each == other else each) for a, b, each in above]
                runs = [(a, b, part if each == other else each) for a, b, each in runs]
            runs.append((left, right, part))
        above = runs
    return sum(size >= least for size in sizes.values())


def shown(colour: RGB, pixels: NDArray[np.uint8]) -> float:
    """Return the share of pixels of this colour: of the hue of a strong one, the lightness of a grey."""
    hue, chroma, light = _polar(pixels.reshape(-1, 3))
    wanted = _polar(np.array([colour], np.uint8))
    if wanted[1][0] > STRONG:
        away = np.abs((hue - wanted[0][0] + 180) % 360 - 180)
        near = (away < 40) & (chroma > 8)
    else:
        near = (chroma < 26) & (np.abs(light - wanted[2][0]) < 45)
    return float(near.mean())


STRONG = 16


def _polar(pixels: NDArray[np.uint8]) -> Sequence[NDArray[np.float64]]:
    """Return hue in degrees, chroma and lightness of CIELAB."""
    linear = (pixels / 255.0) ** 2.2
    xyz = linear @ np.array([[0.4339, 0.2127, 0.0178], [0.3762, 0.7152, 0.1095], [0.1899, 0.0721, 0.8726]])
    f = np.cbrt(xyz)
    a, b = 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])
    return np.degrees(np.arctan2(b, a)), np.hypot(a, b), 116 * f[:, 1] - 16
