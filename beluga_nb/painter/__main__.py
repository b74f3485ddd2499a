"""Look at the figures of a file: `python -m beluga_nb.painter preview FILE [PICTURE.png]`."""

import sys
from collections.abc import Mapping, Sequence
from math import isqrt
from pathlib import Path

from PIL import Image, ImageDraw

from beluga_nb.errors import BelugaError
from beluga_nb.painter.colour import RGB, rgb
from beluga_nb.painter.figure import Coat, Figure, Gallery, drawing, sources
from beluga_nb.painter.marks import Sheet, Wash, placed
from beluga_nb.painter.media import PENS, easel, enlarged, rendered
from beluga_nb.painter.stream import Stream
from beluga_nb.redaction import redact

USAGE = "usage: python -m beluga_nb.painter preview FILE [PICTURE.png]"
CELL = 256, 256
OTHERS = rgb("#d8322f"), rgb("#2f62c9")
STYLES = "photo", "watercolour", "ink", "pixel"
PAPER: tuple[RGB, RGB] = (226, 236, 240), (196, 208, 212)


def main(words: Sequence[str]) -> int:
    """Paint the sheet and say where it is; 2 where the words are not understood, 1 where the file is not."""
    if len(words) not in (2, 3) or words[0] != "preview":
        print(USAGE, file=sys.stderr)
        return 2
    path = Path(words[1])
    out = Path(words[2]) if len(words) > 2 else path.with_suffix(".png")
    try:
        preview(Gallery(sources(path))).save(out)
    except (BelugaError, OSError) as error:
        print(redact(str(error)), file=sys.stderr)
        return 1
    print(redact(str(out)))
    return 0


def preview(figures: Mapping[str, Figure]) -> Image.Image:
    """Return a block for each figure, half as large where there are several, with its name.

    A block has a row for each style and a column for the figure's own colour and for two others.
    """
    columns, share = isqrt(len(figures) - 1) + 1, min(2, len(figures))
    width, height = (len(OTHERS) + 1) * CELL[0] // share, len(STYLES) * CELL[1] // share
    sheet = Image.new("RGB", (columns * width, -(-len(figures) // columns) * height))
    for number, (name, figure) in enumerate(figures.items()):
        block = Image.new("RGB", ((len(OTHERS) + 1) * CELL[0], len(STYLES) * CELL[1]))
        for row, style in enumerate(STYLES):
            for column, colour in enumerate((figure.colour, *OTHERS)):
                block.paste(alone(figure, colour, style), (column * CELL[0], row * CELL[1]))
        if share > 1:
            ImageDraw.Draw(block).text((4, 4), name, "black", font_size=28)
        sheet.paste(block.resize((width, height)), (number % columns * width, number // columns * height))
    return sheet


def alone(figure: Figure, colour: RGB, style: str) -> Image.Image:
    """Return the figure by itself, as large as its cell allows."""
    stream = Stream(1)
    shapes = drawing(figure).shapes(Coat(colour, (242, 193, 78), False, (), stream))
    lefts, tops, rights, bottoms = zip(*(shape.ends() for shape in shapes), strict=True)
    left, top, right, bottom = min(lefts), min(tops), max(rights), max(bottoms)
    size = 0.86 / max(right - left, bottom - top)
    small = easel(style, CELL, fine=True)
    sheet = Sheet(Image.new("RGB", small), min(small), 3, PENS.get(style))
    Wash(PAPER, 0, 1).put(sheet)
    for shape in placed(shapes, 0.5 - size * (left + right) / 2, 0.5 - size * (top + bottom) / 2, size):
        shape.put(sheet)
    return enlarged(rendered(sheet.image, style, CELL, stream, fine=True), style, CELL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
