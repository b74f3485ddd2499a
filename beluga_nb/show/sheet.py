"""A grid as a poster: its title, and its groups of labelled pictures side by side, scaled down to a limit.

A layout is a list of words and pictures with their places. It becomes a PNG, a PDF, or an SVG whose words
are text.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from beluga_nb.caller import warn
from beluga_nb.errors import RequestError
from beluga_nb.images import MAX_SIDE, encode, flatten, within
from beluga_nb.result import Preview
from beluga_nb.show.fonts import LOOKED_FOR, Font, font_for
from beluga_nb.show.grid_table import Figure, Part, Square, Table, across
from beluga_nb.show.markup import outside
from beluga_nb.show.preview import encoded
from beluga_nb.text import plural, sanitize

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = (".png", ".pdf", ".svg")
"""The endings of a sheet's file."""

SMALLEST = 8
"""Least pixels of a picture's longer edge; a smaller one shows nothing."""

SMALL_EDGE = 168
"""Pixels of a picture's longer edge in a notebook's sheet."""

SMALL_LIMIT = 4_000_000
"""Most pixels of a notebook's sheet."""

_INK, _PALE = "#222222", "#6b6b6b"
_SHAPE = 1.4  # the width of a poster for a height of 1
_MOST_GROUPS = 12
_LONGEST = 2000
_NOTE_LINES = 6
_QUALITY = 95


class _Words(NamedTuple):
    """A line of text and its upper left corner."""

    left: int
    top: int
    text: str
    size: int
    ink: str
    bold: bool


class _Placed(NamedTuple):
    """A picture with its upper left corner and its size."""

    left: int
    top: int
    size: tuple[int, int]
    figure: Figure


@dataclass(frozen=True)
class _Scale:
    """All lengths in pixels, derived from the longer edge of a picture; of a lone one, from half of it."""

    edge: int
    alone: bool = False

    @property
    def unit(self) -> int:
        return self.edge // 2 if self.alone else self.edge

    @property
    def gap(self) -> int:
        return max(2, self.unit // 40)

    @property
    def margin(self) -> int:
        return max(4, self.unit // 10)

    @property
    def text(self) -> int:
        return max(9, min(60, self.unit // 16))

    @property
    def title(self) -> int:
        return round(self.text * 1.6)

    @property
    def label(self) -> int:
        """The greatest width of the column of labels."""
        return self.text * 9

    def fitted(self, size: tuple[int, int]) -> tuple[int, int]:
        return within(size, self.edge)


def sheet_file(
    table: Table, kind: str, *, title: str, axes: str, edge: int, dpi: int, limit: int
) -> tuple[bytes, str]:
    """Return a sheet as a PNG, PDF or SVG, and the letters that its font lacks.

    `axes` is the line below the title and the prompt. Pictures are opened one at a time. Raises
    `RequestError` if the limit is too low.
    """
    alone = sum(len(square.figures) for square in table.squares.values()) == len(table.squares) == 1
    layout = _fitting(table, title, edge * 2 if alone else edge, limit, axes, alone=alone)
    if kind == ".svg":
        return layout.svg(dpi).encode(), ""  # A program that shows an SVG chooses a font itself.
    if kind == ".pdf":
        # Without dates, the same pictures give the same bytes.
        options = {"resolution": dpi, "quality": _QUALITY, "title": title or " ".join(table.prompts) or None}
        return encode(layout.drawn(), "PDF", **options, creationDate=None, modDate=None), layout.missing
    return encode(layout.drawn(), "PNG", dpi=(dpi, dpi)), layout.missing


def warn_of(missing: str) -> None:
    """Warn of letters that the fonts of a sheet lack, if there are any."""
    if missing:
        warn(
            f"No font that is looked for has {plural(len(missing), 'letter')} of the sheet: {missing[:20]}."
            f" Install one of these that has them ({LOOKED_FOR}), or write an SVG instead."
        )


def small_sheet(table: Table) -> Preview:
    """Return a sheet small enough for a notebook, for front ends that show a single image, such as LaTeX."""
    layout = _fitting(table, "", SMALL_EDGE, SMALL_LIMIT)
    if layout.missing:
        # Only its own words can say so: the HTML and the text beside it have all letters.
        letters = plural(len(layout.missing), "letter")
        remark = f"{letters} in none of the fonts that are looked for: shown as boxes."
        layout = _fitting(replace(table, caption=f"{table.caption}. {remark}"), "", SMALL_EDGE, SMALL_LIMIT)
    return encoded(layout.drawn())


def words_of(table: Table) -> list[str]:
    """Return all text of a sheet with its place; the store keeps a sheet for each text."""
    words = [f"{SMALL_EDGE}", *table.prompts, table.caption]
    for part in table.parts:
        words += [part.title, part.rows.name, *part.rows.labels, part.columns.name, *part.columns.labels]
    for square in table.squares.values():
        words += [str(len(square.figures)), square.error.message if square.error else square.note]
    return words


def _fitting(
    table: Table, title: str, edge: int, limit: int, axes: str = "", *, alone: bool = False
) -> _Layout:
    font = font_for("".join([title, *words_of(table)]))
    # Pictures are never scaled up, and words have the scale of the pictures.
    figures = [figure for square in table.squares.values() for figure in square.figures]
    edge = min(edge, max((max(figure.picture.size) for figure in figures), default=edge))
    groups = list(table.parts)
    best = min(
        range(1, min(_MOST_GROUPS, max(len(groups), *(len(part.columns.labels) for part in groups))) + 1),
        key=lambda each: _Layout(table, title, axes, _Scale(edge, alone), font, each).misshapen,
    )
    while edge >= SMALLEST:
        layout = _Layout(table, title, axes, _Scale(edge, alone), font, best)
        width, height = layout.size
        if width * height <= limit and max(width, height) <= MAX_SIDE:
            return layout
        # Tried out, since text wraps anew at each width.
        edge = min(edge - 1, edge * 9 // 10)
    raise RequestError(
        f"The sheet does not fit into {limit:,} pixels and a side of {MAX_SIDE:,}.",
        "Raise the limit, or write parts of the grid: where(...).",
    )


@dataclass
class _Layout:
    """Where everything stands; `beside` groups, or columns of a lone axis, stand side by side."""

    table: Table
    title: str
    axes: str
    scale: _Scale
    font: Font
    beside: int
    words: list[_Words] = field(default_factory=list)
    pictures: list[_Placed] = field(default_factory=list)

    def __post_init__(self) -> None:
        parts = list(self.table.parts)
        alone = len(self.table.dimensions) == 1
        groups = [
            (part, columns)
            for part in parts
            for columns in part.columns.blocks(self.beside if alone else len(part.columns.labels))
        ]
        beside = 1 if alone else self.beside
        rows = [groups[start : start + beside] for start in range(0, len(groups), beside)]
        widths = [
            max(self._group_width(*row[number]) for row in rows if number < len(row))
            for number in range(max(map(len, rows), default=0))
        ]
        inner = max(sum(widths) + self.scale.margin * (len(widths) - 1), self.scale.unit * 2)
        top = self._head(inner)
        for row in rows:
            left, bottom = self.scale.margin, top
            for (part, columns), width in zip(row, widths, strict=False):
                bottom = max(bottom, self._group(part, columns, left, top, width))
                left += width + self.scale.margin
            top = bottom + self.scale.margin // (2 if alone else 1)
        self.size = inner + 2 * self.scale.margin, self._foot(top, inner)

    @property
    def misshapen(self) -> float:
        """How far it is from the shape of a poster."""
        width, height = self.size
        return abs(math.log(width / height / _SHAPE))

    @property
    def missing(self) -> str:
        """The letters that its font lacks."""
        return self.font.missing("".join(each.text for each in self.words))

    # --- where everything stands

    def _head(self, width: int) -> int:
        top = self.scale.margin
        if self.title:
            top = self._write(self.title, self.scale.margin, top, width, size=self.scale.title, bold=True)
        for prompt in self.table.prompts:
            size = self.scale.text if self.title else round(self.scale.text * 1.3)
            top = self._write(prompt, self.scale.margin, top, width, size=size, bold=not self.title)
        if self.axes:
            top = self._write(self.axes, self.scale.margin, top, width, ink=_PALE)
        return top + self.scale.margin // 2

    def _foot(self, top: int, width: int) -> int:
        size = max(8, round(self.scale.text * 0.75))
        bottom = self._write(
            self.table.caption, self.scale.margin, top - self.scale.gap, width, size=size, ink=_PALE
        )
        return bottom + self.scale.margin // 2

    def _group(self, part: Part, columns: Sequence[str], left: int, top: int, width: int) -> int:
        """Place one group, and return where it ends."""
        if part.title:
            top = self._write(part.title, left, top, width, bold=True) + self.scale.gap
        commons = [each.shortened.common for each in (part.rows, part.columns) if each.shortened.common]
        for common in commons:
            top = self._write(common, left, top, width, ink=_PALE) + self.scale.gap
        labels = self._label_width(part)
        wide = self._column_width(part)
        if part.columns.name:
            top = self._column_heads(part, columns, left + labels, top, wide)
        top += self.scale.gap // 2
        for row in part.rows.labels:
            bottom = top
            if labels:
                bottom = self._write(part.rows.short(row), left, top, labels - 2 * self.scale.gap)
            for number, column in enumerate(columns):
                place = left + labels + number * (wide + self.scale.gap)
                bottom = max(bottom, self._square(part.at(row, column), place, top, wide))
            top = bottom + self.scale.gap
        return top

    def _column_heads(self, part: Part, columns: Sequence[str], left: int, top: int, wide: int) -> int:
        """Place the heads so that all end above their pictures, each with a gap beside it."""
        ends: list[int] = []
        start = len(self.words)
        for number, column in enumerate(columns):
            place = left + number * (wide + self.scale.gap)
            end = self._write(part.columns.short(column), place, top, wide - 2 * self.scale.gap)
            ends += [end] * (len(self.words) - start - len(ends))
        bottom = max(ends, default=top)
        self.words[start:] = [
            line._replace(top=line.top + bottom - end)
            for line, end in zip(self.words[start:], ends, strict=True)
        ]
        return bottom

    def _square(self, square: Square, left: int, top: int, width: int) -> int:
        tall, wide = self._tile(square)
        columns = across(len(square.figures))
        bottom = top
        for number, figure in enumerate(square.figures):
            row, column = divmod(number, columns)
            size = self.scale.fitted(figure.picture.size)
            x, y = left + column * (wide + self.scale.gap), top + row * (tall + self.scale.gap)
            self.pictures.append(_Placed(x, y, size, figure))
            bottom = max(bottom, y + size[1])
        note = square.error.message if square.error else square.note
        if note and not square.figures:
            return self._write(note, left, top, width, ink=_PALE, most=_NOTE_LINES)
        return bottom

    def _write(
        self,
        text: str,
        left: int,
        top: int,
        width: int,
        *,
        size: int = 0,
        ink: str = _INK,
        bold: bool = False,
        most: int | None = None,
    ) -> int:
        """Place lines of text, and return where the next one would be."""
        size = size or self.scale.text
        for line in self.font.wrapped(sanitize(text, _LONGEST), width, size, bold=bold)[:most]:
            self.words.append(_Words(left, top, line, size, ink, bold))
            top += round(size * 1.35)
        return top

    def _tile(self, square: Square) -> tuple[int, int]:
        sizes = [self.scale.fitted(figure.picture.size) for figure in square.figures]
        return max((height for _, height in sizes), default=0), max((width for width, _ in sizes), default=0)

    def _square_width(self, square: Square) -> int:
        if not square.figures:
            return self.scale.edge
        columns = across(len(square.figures))
        return columns * self._tile(square)[1] + (columns - 1) * self.scale.gap

    def _column_width(self, part: Part) -> int:
        return max(map(self._square_width, part.squares.values()))

    def _label_width(self, part: Part) -> int:
        if not part.rows.name:
            return 0
        longest = max(
            self.font.width(sanitize(label, _LONGEST), self.scale.text) for label in part.rows.shortened.rests
        )
        return min(longest, self.scale.label) + 2 * self.scale.gap

    def _group_width(self, part: Part, columns: Sequence[str]) -> int:
        wide = self._column_width(part) + self.scale.gap
        return self._label_width(part) + wide * len(columns) - self.scale.gap

    # --- how it is drawn

    def drawn(self) -> Image:
        """Return the sheet as an image."""
        from PIL import Image, ImageDraw

        image = Image.new("RGB", self.size, "white")
        for left, top, picture in self._opened():
            image.paste(picture, (left, top))
        draw = ImageDraw.Draw(image)
        for line in self.words:
            font = self.font.at(line.size, bold=line.bold)
            draw.text((line.left, line.top), line.text, fill=line.ink, font=font)
        return image

    def _opened(self) -> Iterator[tuple[int, int, Image]]:
        for placed in self.pictures:
            picture = flatten(placed.figure.image())
            yield placed.left, placed.top, picture.resize(placed.size)

    def svg(self, dpi: int) -> str:
        """Return the sheet as SVG: its words are text, and its pictures JPEG."""
        width, height = self.size
        size = f'width="{width / dpi:.4g}in" height="{height / dpi:.4g}in" viewBox="0 0 {width} {height}"'
        parts = [f'<rect width="{width}" height="{height}" fill="white"/>']
        for left, top, picture in self._opened():
            data = b64encode(encode(picture, "JPEG", quality=_QUALITY)).decode()
            place = f'x="{left}" y="{top}" width="{picture.width}" height="{picture.height}"'
            parts.append(f'<image {place} href="data:image/jpeg;base64,{data}"/>')
        for line in self.words:
            # SVG places the base line of text, which is about 0.93 of its size below the upper edge.
            place = f'x="{line.left}" y="{line.top + round(line.size * 0.93)}"'
            weight = ' font-weight="bold"' if line.bold else ""
            style = f'font-size="{line.size}" fill="{line.ink}"{weight}'
            parts.append(f"<text {place} {style}>{outside(line.text, _LONGEST)}</text>")
        family = outside(f"{self.font.family}, sans-serif")
        return f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{family}">{"".join(parts)}</svg>'
