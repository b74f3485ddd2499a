"""The table of a grid, as HTML and as text: rows, columns, and one table for each facet of further axes.

A click opens a picture in the lightbox. Where scripts are removed, as in a notebook that is not trusted yet,
`<details>` enlarges it and shows its recipe; where styles are removed, too, it is a plain table.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pybase64

from beluga_nb.errors import BelugaError
from beluga_nb.result import Bundle, Preview
from beluga_nb.show.lightbox import cell_attribute, lightbox, recipe_html, recipe_lines
from beluga_nb.show.markup import Described, address, alt, caption, outside
from beluga_nb.show.template import fill
from beluga_nb.text import sanitize

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_COLUMNS = 6
"""Values of an only axis that stand side by side; more stand one below the other."""

_BACKGROUND = "background-color:var(--jp-layout-color1,var(--vscode-editor-background,Canvas))"
_RULE = "1px solid rgba(128,128,128,.35)"
_LABEL = "text-align:left;padding:4px 10px 4px 0;font-weight:600;vertical-align:top"
_TOP = f"{_LABEL};{_BACKGROUND};position:sticky;top:0;z-index:2;padding-left:6px"
_LEFT = f"{_LABEL};{_BACKGROUND};position:sticky;left:0;z-index:1;min-width:72px;max-width:200px"
_CELL = f"text-align:left;vertical-align:top;padding:6px;border-top:{_RULE};white-space:normal"
_NOTE = "max-width:240px;overflow-wrap:anywhere;font-size:90%;opacity:.85"
_ARRIVED = "display:inline-block;vertical-align:top;max-width:240px;overflow-wrap:anywhere;padding:6px"
_SMALL = "font-size:80%;opacity:.7;padding-top:2px"


@dataclass(frozen=True)
class Figure:
    """A picture of a grid: what is known of it, where a page gets it from, and how it is opened."""

    picture: Described
    source: str
    image: Callable[[], Image]


@dataclass(frozen=True)
class Square:
    """What one cell of a grid shows: its pictures, and a note where some are missing."""

    figures: tuple[Figure, ...] = ()
    note: str = ""
    error: BelugaError | None = None


@dataclass(frozen=True)
class Dimension:
    """A name and its labels; axes that advance together are one."""

    name: str
    labels: tuple[str, ...]


NOTHING = Dimension("", ("",))
ABSENT = Square(note="not in this grid")


@dataclass(frozen=True)
class Part:
    """One table: which facet it is, its rows and columns, and what stands in it."""

    facets: tuple[tuple[str, str], ...]
    rows: Dimension
    columns: Dimension
    squares: Mapping[tuple[str, str], Square]

    @property
    def title(self) -> str:
        """Which facet it is, in words."""
        return ", ".join(f"{name}: {label}" for name, label in self.facets)

    def at(self, row: str, column: str) -> Square:
        """Return what stands there."""
        return self.squares.get((row, column), ABSENT)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A grid to be shown: its caption, its prompts, its dimensions, and a square for each combination."""

    caption: str
    prompts: tuple[str, ...]
    dimensions: tuple[Dimension, ...]
    squares: Mapping[tuple[str, ...], Square]

    @property
    def parts(self) -> Iterator[Part]:
        """The tables: the last dimension makes the columns, the one before it the rows, the others facets."""
        facets, rows, columns = self._split()
        for labels in itertools.product(*(each.labels for each in facets)):
            squares = {
                (row, column): square
                for row in rows.labels
                for column in columns.labels
                if (square := self.squares.get(self._key(labels, row, column)))
            }
            if squares:
                named = zip((each.name for each in facets), labels, strict=True)
                yield Part(tuple(named), rows, columns, squares)

    def _split(self) -> tuple[tuple[Dimension, ...], Dimension, Dimension]:
        match self.dimensions:
            case ():
                return (), NOTHING, NOTHING
            case (only,) if len(only.labels) <= MOST_COLUMNS:
                return (), NOTHING, only
            case (only,):
                return (), only, NOTHING
        return self.dimensions[:-2], self.dimensions[-2], self.dimensions[-1]

    def _key(self, facets: tuple[str, ...], row: str, column: str) -> tuple[str, ...]:
        if len(self.dimensions) > 1:
            return (*facets, row, column)
        return (row or column,) if self.dimensions else ()


def grid_bundle(table: Table, *, more: str = "", sheet: Preview | None = None) -> Bundle:
    """Return the table as HTML and as text; `more` is a line about pictures that are left out.

    The sheet, if there is one, is for front ends that show a single image: LaTeX, PDF, consoles.
    """
    image = {sheet.media_type: pybase64.b64encode(sheet.data).decode()} if sheet else {}
    return {"text/html": grid_html(table, more=more), **image, "text/plain": grid_text(table)}


def grid_html(table: Table, *, more: str = "") -> str:
    """Return the tables one below the other, in a frame that scrolls below fixed heads."""
    return fill(
        "show/grid.html",
        prompts="".join(f"<div>{outside(prompt, 300)}</div>" for prompt in table.prompts),
        caption=outside(table.caption),
        parts="".join(map(_part_html, table.parts)),
        more=f"<p>{outside(more)}</p>" if more else "",
        lightbox=lightbox() if any(map(_has_source, table.squares.values())) else "",
    )


def _has_source(square: Square) -> bool:
    return any(figure.source for figure in square.figures)


def arrivals_html(squares: Mapping[tuple[str, ...], Square]) -> str:
    """Return some cells side by side, each below its labels."""
    return "".join(
        f'<div style="{_ARRIVED}"><b>{outside(" · ".join(labels))}</b>{_square_html(square)}</div>'
        for labels, square in squares.items()
    )


def _part_html(part: Part) -> str:
    title = f'<div style="font-weight:600;padding:10px 0 2px">{outside(part.title)}</div>'
    corner = " ↓ · ".join(filter(None, [sanitize(part.rows.name), sanitize(part.columns.name)]))
    return fill(
        "show/grid-part.html",
        title=title if part.title else "",
        corner=outside(corner) + (" →" if part.columns.name else ""),
        heads="".join(f'<th style="{_TOP}">{outside(label)}</th>' for label in part.columns.labels),
        rows="".join(_row_html(part, row) for row in part.rows.labels),
    )


def _row_html(part: Part, row: str) -> str:
    cells = "".join(
        f'<td style="{_CELL}">{_square_html(part.at(row, column))}</td>' for column in part.columns.labels
    )
    return f'<tr><th style="{_LEFT};border-top:{_RULE}">{outside(row)}</th>{cells}</tr>'


def _square_html(square: Square) -> str:
    wide = 168 if len(square.figures) == 1 else 104
    figures = "".join(_figure_html(each, wide) for each in square.figures)
    line = f'<div style="white-space:nowrap">{figures}</div>' if figures else ""
    return f"{line}{note_html(square, _NOTE)}"


def note_html(square: Square, style: str) -> str:
    """Return the note of a square: why pictures are missing."""
    if square.error:
        name = type(square.error).__name__
        lines = [f"<b>{outside(name)}</b>", *map(outside, _error_lines(square.error))]
        return f'<div style="{style}">{"<br>".join(lines)}</div>'
    return f'<div style="{style}">{outside(square.note)}</div>' if square.note else ""


def _error_lines(error: BelugaError) -> list[str]:
    return [sanitize(line) for line in str(error).splitlines() if line.strip()]


def _figure_html(figure: Figure, wide: int) -> str:
    words = outside(alt(figure.picture))
    # A closed element is as wide as the picture; when it opens, the wider recipe stretches the picture.
    image = (
        fill(
            "show/grid-image.html",
            source=address(figure.source),
            alt=words,
            width=str(wide),
            cell=cell_attribute(figure.picture),
        )
        if figure.source
        else f'<div style="width:{wide}px">{words}</div>'
    )
    return fill(
        "show/grid-figure.html",
        image=image,
        mark=f'<div style="{_SMALL}">local preview</div>' if figure.picture.recipe.procedural else "",
        mark_of_recipe="data-recipe" if figure.source else "",
        recipe=recipe_html(recipe_lines(figure.picture)),
    )


def grid_text(table: Table) -> str:
    """Return the grid as text: a line for each picture with its labels and its SHA-256."""
    lines = [*(f"“{sanitize(prompt, 200)}”" for prompt in table.prompts), sanitize(table.caption)]
    for key, square in table.squares.items():
        place = " · ".join(sanitize(label, 60) for label in key if label) or "the only cell"
        lines += [
            f"{place}: {caption(figure.picture)} · sha256:{figure.picture.sha256}"
            for figure in square.figures
        ]
        if square.error:
            lines.append(f"{place}: {type(square.error).__name__}: {' '.join(_error_lines(square.error))}")
        elif square.note:
            lines.append(f"{place}: {sanitize(square.note)}")
    return "\n".join(lines)


def across(count: int) -> int:
    """Return the number of columns of a cell's pictures, which stand in a square.

    >>> [across(count) for count in (1, 2, 3, 4, 9)]
    [1, 2, 2, 2, 3]
    """
    return max(1, math.isqrt(count - 1) + 1) if count else 1
