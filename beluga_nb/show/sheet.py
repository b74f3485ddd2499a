"""A grid as one labelled picture, scaled down to fit a limit."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from beluga_nb.errors import RequestError
from beluga_nb.images import MAX_SIDE, encode, flatten, within
from beluga_nb.paths import not_written, write_file
from beluga_nb.result import Preview
from beluga_nb.show.grid import Part, Square, Table, across
from beluga_nb.show.preview import encoded
from beluga_nb.text import sanitize

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

SMALLEST = 8
"""Least pixels of a picture's longer edge; a smaller one shows nothing."""

SMALL_EDGE = 168
"""Pixels of a picture's longer edge in a notebook's sheet, as in the HTML beside it."""

SMALL_LIMIT = 4_000_000
"""Most pixels of a notebook's sheet."""

_INK, _PALE = "#222222", "#777777"
_FONTS = ("DejaVuSans.ttf", "Arial.ttf", "Helvetica.ttc")


@dataclass(frozen=True)
class _Scale:
    """All lengths in pixels, derived from the longer edge of a picture."""

    edge: int

    @property
    def gap(self) -> int:
        return max(2, self.edge // 40)

    @property
    def text(self) -> int:
        return max(9, min(30, self.edge // 14))

    @property
    def line(self) -> int:
        return round(self.text * 1.35)

    @property
    def label(self) -> int:
        """The width of the column of labels."""
        return self.text * 9

    def fitted(self, size: tuple[int, int]) -> tuple[int, int]:
        return within(size, self.edge)

    def lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(sanitize(text, 300), max(6, round(width / (self.text * 0.56)))) or [""]


def write_sheet(path: Path, table: Table, *, edge: int, limit: int) -> None:
    """Write the sheet of a grid; pictures are opened one at a time.

    Raises `RequestError` if the limit is too low, and `StoreError` if the file cannot be written.
    """
    if path.suffix.lower() != ".png":
        raise RequestError(f"'{path.name}' is no name for a sheet.", "It is a PNG: sheet('cats.png')")
    layout = _fitting(table, edge, limit)
    image = layout.drawn()
    try:
        write_file(path, encode(image, "PNG"))
    except OSError as error:
        raise not_written(path, error) from None


def small_sheet(table: Table) -> Preview:
    """Return a sheet small enough for a notebook, for front ends that show a single image, such as LaTeX."""
    return encoded(_fitting(table, SMALL_EDGE, SMALL_LIMIT).drawn())


def words_of(table: Table) -> list[str]:
    """Return all text of a sheet with its place; the store keeps a sheet for each text."""
    words = [f"{SMALL_EDGE}", *table.prompts, table.head]
    for part in table.parts:
        words += [part.title, part.rows.name, *part.rows.labels, part.columns.name, *part.columns.labels]
    for square in table.squares.values():
        words += [str(len(square.figures)), square.error.message if square.error else square.note]
    return words


def _fitting(table: Table, edge: int, limit: int) -> _Layout:
    while edge >= SMALLEST:
        layout = _Layout(table, _Scale(edge))
        width, height = layout.size
        if width * height <= limit and max(width, height) <= MAX_SIDE:
            return layout
        edge = min(edge - 1, edge * 9 // 10)
    raise RequestError(
        f"The sheet does not fit into {limit:,} pixels and a side of {MAX_SIDE:,}.",
        "Raise the limit, or write parts of the grid: where(...).",
    )


class _Layout:
    def __init__(self, table: Table, scale: _Scale) -> None:
        self.table = table
        self.scale = scale
        self.parts = list(table.parts)
        self.widths = [self._widths(part) for part in self.parts]
        widest = max((sum(widths) + scale.gap * len(widths) for widths in self.widths), default=0)
        self.labels = scale.label if any(part.rows.name for part in self.parts) else 0
        self.width = max(scale.edge, self.labels + widest) + 2 * scale.gap
        self.head = [
            *(line for prompt in table.prompts for line in scale.lines(prompt, self.width)),
            *scale.lines(table.head, self.width),
        ]

    @property
    def size(self) -> tuple[int, int]:
        scale = self.scale
        height = len(self.head) * scale.line + 3 * scale.gap
        for part, widths in zip(self.parts, self.widths, strict=True):
            height += self._head_height(part, widths) + sum(self._heights(part)) + scale.gap
        return self.width, height

    def drawn(self) -> Image:
        from PIL import Image, ImageDraw

        image = Image.new("RGB", self.size, "white")
        pen = _Pen(ImageDraw.Draw(image), self.scale, _font(self.scale.text))
        top = pen.write(self.head, self.scale.gap, self.scale.gap, _INK) + self.scale.gap
        for part, widths in zip(self.parts, self.widths, strict=True):
            top = self._draw_head(pen, part, widths, top)
            for row, height in zip(part.rows.labels, self._heights(part), strict=True):
                pen.write(self.scale.lines(row, self.labels), self.scale.gap, top, _INK)
                for column, left in zip(part.columns.labels, self._lefts(widths), strict=True):
                    self._draw_square(image, pen, part.at(row, column), left, top)
                top += height
            top += self.scale.gap
        return image

    def _draw_head(self, pen: _Pen, part: Part, widths: list[int], top: int) -> int:
        bottom = top + self._head_height(part, widths)
        if part.title:
            top = pen.write(self.scale.lines(part.title, self.width), self.scale.gap, top, _INK)
        for column, left, width in zip(part.columns.labels, self._lefts(widths), widths, strict=True):
            pen.write(self.scale.lines(column, width), left, top, _INK)
        return bottom

    def _draw_square(self, image: Image, pen: _Pen, square: Square, left: int, top: int) -> None:
        for figure, (x, y) in zip(square.figures, self._places(square), strict=True):
            picture = flatten(figure.image())
            image.paste(picture.resize(self.scale.fitted(figure.picture.size)), (left + x, top + y))
        note = square.error.message if square.error else square.note
        if note and not square.figures:
            pen.write(self.scale.lines(note, self.scale.edge)[:6], left, top, _PALE)

    def _places(self, square: Square) -> Iterator[tuple[int, int]]:
        tall, wide = self._tile(square)
        columns = across(len(square.figures))
        for number in range(len(square.figures)):
            row, column = divmod(number, columns)
            yield column * (wide + self.scale.gap), row * (tall + self.scale.gap)

    def _tile(self, square: Square) -> tuple[int, int]:
        sizes = [self.scale.fitted(figure.picture.size) for figure in square.figures]
        return max((height for _, height in sizes), default=0), max((width for width, _ in sizes), default=0)

    def _square_size(self, square: Square) -> tuple[int, int]:
        count = len(square.figures)
        if not count:
            return self.scale.edge, 6 * self.scale.line if square.error else self.scale.line
        tall, wide = self._tile(square)
        columns = across(count)
        rows = -(-count // columns)
        return columns * (wide + self.scale.gap), rows * (tall + self.scale.gap)

    def _widths(self, part: Part) -> list[int]:
        return [
            max(self._square_size(part.at(row, column))[0] for row in part.rows.labels)
            for column in part.columns.labels
        ]

    def _heights(self, part: Part) -> list[int]:
        return [
            max(
                len(self.scale.lines(row, self.labels)) * self.scale.line if self.labels else 0,
                *(self._square_size(part.at(row, column))[1] for column in part.columns.labels),
            )
            + self.scale.gap
            for row in part.rows.labels
        ]

    def _head_height(self, part: Part, widths: list[int]) -> int:
        lines = max(
            len(self.scale.lines(column, width))
            for column, width in zip(part.columns.labels, widths, strict=True)
        )
        title = len(self.scale.lines(part.title, self.width)) if part.title else 0
        return (lines + title) * self.scale.line + self.scale.gap

    def _lefts(self, widths: list[int]) -> list[int]:
        left, found = self.scale.gap + self.labels, []
        for width in widths:
            found.append(left)
            left += width + self.scale.gap
        return found


class _Pen:
    def __init__(self, draw: ImageDraw, scale: _Scale, font: FreeTypeFont) -> None:
        self.draw = draw
        self.scale = scale
        self.font = font

    def write(self, lines: list[str], left: int, top: int, ink: str) -> int:
        """Write lines of text and return where the next one would be."""
        for line in lines:
            self.draw.text((left, top), line, fill=ink, font=self.font)
            top += self.scale.line
        return top


def _font(size: int) -> FreeTypeFont:
    from PIL import ImageFont

    # Pillow's own font has Latin letters only.
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)  # type: ignore[return-value]  # with a size it is a FreeTypeFont
