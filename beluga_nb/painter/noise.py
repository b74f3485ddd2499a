"""Noise: small random lattices, enlarged by Pillow and added up."""

import numpy as np
from PIL import Image

from beluga_nb.painter.stream import Floats, Stream


def fbm(stream: Stream, size: tuple[int, int], cells: tuple[float, float], octaves: int = 4) -> Image.Image:
    """Return grey clouds; cells says how many lumps lie across and down."""
    total = Image.new("L", size, 128)
    for octave in range(octaves - 1, -1, -1):  # the coarsest last: each blend halves what came before
        lumps = (max(2, round(c * 2**octave) + 1) for c in cells)
        columns, rows = (min(n, most + 2) for n, most in zip(lumps, size, strict=True))
        values = stream.many(f"octave{octave}", columns * rows, 0, 255).astype(np.uint8)
        layer = Image.fromarray(values.reshape(rows, columns))
        total = Image.blend(total, layer.resize(size, Image.Resampling.BICUBIC), 0.52)
    return total


def ridge(stream: Stream, n: int, cells: float, octaves: int = 4, rough: float = 0.5) -> Floats:
    """Return n heights in about [-1, 1], a walk along a skyline."""
    x = np.linspace(0, cells, n)
    heights = np.zeros(n)
    for octave in range(octaves):
        knots = stream.many(f"octave{octave}", int(cells * 2**octave) + 3, -1, 1)
        heights += rough**octave * _eased(x * 2**octave, knots)
    return heights


def _eased(x: Floats, knots: Floats) -> Floats:
    whole = np.floor(x).astype(np.intp)
    t = x - whole
    t = t * t * (3 - 2 * t)
    return np.asarray(knots[whole] * (1 - t) + knots[whole + 1] * t)


def in_fours(
    mask: Image.Image, size: tuple[int, int], part: tuple[float, float, float, float] | None = None
) -> Image.Image:
    """Return a soft mask enlarged to size; its pixels come in fours, at half the cost."""
    half = (size[0] + 1) // 2, (size[1] + 1) // 2
    return mask.resize(half, Image.Resampling.BILINEAR, box=part).resize(size, Image.Resampling.NEAREST)
