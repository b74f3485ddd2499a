"""The table of a grid, as HTML and as text: rows, columns, and one table for each facet of further axes.

A table fills the width, and has no more columns than fit on a page: further ones continue below. A click
opens a picture in the lightbox. Where scripts are removed, as in a notebook that is not trusted yet,
`<details>` enlarges it and shows its recipe; where styles are removed, too, it is a plain table.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import pybase64

from beluga_nb.compare.grid import FAILED, NOT_STARTED, RUNNING, UNKNOWN
from beluga_nb.errors import BelugaError
from beluga_nb.result import Bundle, Preview
from beluga_nb.show.labels import Shortened, label_html, marked, prompt_html
from beluga_nb.show.lightbox import cell_attribute, lightbox, recipe_html, recipe_lines
from beluga_nb.show.markup import Described, address, alt, caption, outside
from beluga_nb.show.template import fill
from beluga_nb.text import and_more, sanitize

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURES_ACROSS = 5
"""Pictures that stand side by side in a notebook: on paper and in a narrow window they are still large."""

_LONGEST_TEMPLATE = 600
_CELLS_NAMED = 6
_REASONS_OF_A_PAGE = 12
_WIDEST = 320  # pixels of a column
# Front ends give rows stripes, which would not be those of the labels.
_PLAIN, _STRIPE = "background:none", "background:rgba(128,128,128,.1)"
_RULE = "1px solid rgba(128,128,128,.35)"
_CELL = "text-align:left;vertical-align:top;white-space:normal;overflow-wrap:anywhere"
_HEAD = f"{_CELL};font-weight:600;padding:8px 6px 4px"
_ROW = f"{_HEAD};padding:4px 6px"
_SQUARE = f"{_CELL};padding:4px 6px 8px"
_FIGURES = "display:flex;flex-wrap:wrap;gap:6px;align-items:flex-start"
_NOTE = "overflow-wrap:anywhere;font-size:90%;opacity:.85"
_STATE = f"{_NOTE};display:inline-block;border:{_RULE};border-radius:4px;padding:1px 8px"
_ARRIVED = "display:inline-block;vertical-align:top;width:168px;overflow-wrap:anywhere;padding:6px"
_FRAME = "border-radius:3px;background:rgba(128,128,128,.14)"
_SMALL = "font-size:80%;opacity:.7;padding-top:2px"
_SYMBOLS = {FAILED: "✗", UNKNOWN: "?", RUNNING: "…", NOT_STARTED: "○"}


@dataclass(frozen=True)
class Figure:
    """A picture of a grid: what is known of it, where a page gets it from, and how it is opened."""

    picture: Described
    source: str
    image: Callable[[], Image]


@dataclass(frozen=True)
class Square:
    """What one cell of a grid shows: its pictures, and a note and an error where some are missing.

    While it runs, that is `frames` empty frames of a `shape`.
    """

    figures: tuple[Figure, ...] = ()
    note: str = ""
    error: BelugaError | None = None
    frames: int = 0
    shape: tuple[int, int] = (1, 1)

    @property
    def across(self) -> int:
        """How many pictures stand side by side."""
        return across(len(self.figures) + self.frames)


Key = tuple[str, ...]
"""The labels of a cell, one of each dimension."""


@dataclass(frozen=True)
class Reason:
    """Why some cells have no pictures: their state, the error of all of them, and which they are."""

    state: str
    error: BelugaError
    cells: tuple[Key, ...]

    @property
    def where(self) -> str:
        """The first of these cells, in words."""
        named = "; ".join(" · ".join(cell) for cell in self.cells[:_CELLS_NAMED])
        return f"{named} {and_more(len(self.cells) - _CELLS_NAMED)}".strip()


@dataclass(frozen=True)
class Dimension:
    """A name and its labels; axes that advance together are one.

    `texts` are the labels before they were cut.
    """

    name: str
    labels: tuple[str, ...]
    texts: tuple[str, ...] = ()

    @cached_property
    def shortened(self) -> Shortened:
        """The labels without what they have in common."""
        return Shortened.of(self.texts or self.labels)

    def short(self, label: str) -> str:
        """Return a label without what all have in common."""
        return self.shortened.rests[self.labels.index(label)]

    def blocks(self, most: int) -> list[tuple[str, ...]]:
        """Return the labels in blocks of about the same length, and of at most this many.

        >>> [len(block) for block in Dimension("size", tuple("abcdefg")).blocks(5)]
        [4, 3]
        """
        count = -(-len(self.labels) // most)
        size, longer = divmod(len(self.labels), max(1, count))
        ends = list(itertools.accumulate([size + (number < longer) for number in range(count)], initial=0))
        return [self.labels[start:end] for start, end in itertools.pairwise(ends)]


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

    @property
    def across(self) -> int:
        """How many pictures stand side by side in its widest cell."""
        return max(square.across for square in self.squares.values())

    def at(self, row: str, column: str) -> Square:
        """Return what stands there."""
        return self.squares.get((row, column), ABSENT)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A grid to be shown: its caption, its prompts, its dimensions, and a square for each combination.

    A page also has the squares of all cells that have `failed` in the whole grid.
    """

    caption: str
    prompts: tuple[str, ...]
    dimensions: tuple[Dimension, ...]
    squares: Mapping[Key, Square]
    failed: Mapping[Key, Square] = field(default_factory=dict)

    @property
    def reasons(self) -> list[Reason]:
        """Why cells have no pictures, each reason once, the commonest first."""
        found: dict[tuple[str, ...], list[Key]] = {}
        errors: dict[tuple[str, ...], BelugaError] = {}
        for key, square in (self.failed or self.squares).items():
            if square.error:
                reason = (square.note, type(square.error).__name__, str(square.error))
                errors.setdefault(reason, square.error)
                found.setdefault(reason, []).append(key)
        reasons = [Reason(reason[0], errors[reason], tuple(cells)) for reason, cells in found.items()]
        reasons.sort(key=lambda reason: -len(reason.cells))
        return reasons[:_REASONS_OF_A_PAGE] if self.failed else reasons

    @cached_property
    def mixed(self) -> bool:
        """Whether some pictures are local previews and others are not, so that each has to say it."""
        figures = (figure for square in self.squares.values() for figure in square.figures)
        kinds = {figure.picture.recipe.procedural for figure in figures}
        return len(kinds) > 1

    def without_constants(self) -> tuple[Table, list[Dimension]]:
        """Return the table without the dimensions that have one label, and these."""
        varied = [number for number, each in enumerate(self.dimensions) if len(each.labels) > 1]
        same = [each for each in self.dimensions if len(each.labels) == 1]
        squares = {tuple(key[number] for number in varied): square for key, square in self.squares.items()}
        dimensions = tuple(self.dimensions[number] for number in varied)
        return replace(self, dimensions=dimensions, squares=squares), same

    def dimension_number(self, name: str) -> int:
        """Return the number of the dimension of this name."""
        return next(number for number, each in enumerate(self.dimensions) if each.name == name)

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
            case (only,):
                return (), NOTHING, only
        return self.dimensions[:-2], self.dimensions[-2], self.dimensions[-1]

    def _key(self, facets: tuple[str, ...], row: str, column: str) -> Key:
        if len(self.dimensions) > 1:
            return (*facets, row, column)
        return (row or column,) if self.dimensions else ()


def grid_bundle(table: Table, *, page: str = "", more: str = "", sheet: Preview | None = None) -> Bundle:
    """Return the table as HTML and as text; `more` is a line about pictures that are left out.

    `page` says which page of a larger grid it is.

    The sheet, if there is one, is for front ends that show a single image: LaTeX, PDF, consoles.
    """
    image = {sheet.media_type: pybase64.b64encode(sheet.data).decode()} if sheet else {}
    html = grid_html(table, more=" ".join(filter(None, [page, more])))
    return {"text/html": html, **image, "text/plain": "\n".join(filter(None, [grid_text(table), page]))}


def grid_html(table: Table, *, more: str = "", is_running: bool = False) -> str:
    """Return the tables one below the other, each as wide as the page; one that is running has no script."""
    return fill(
        "show/grid.html",
        prompts="".join(f"<div>{each}</div>" for each in prompts_html(table, _LONGEST_TEMPLATE)),
        caption=outside(table.caption),
        reasons="".join(f'<div style="{_NOTE}">{reason_html(reason)}</div>' for reason in table.reasons),
        parts="".join(_part_html(table, part) for part in table.parts),
        more=f'<p style="{_NOTE}">{outside(more)}</p>' if more else "",
        lightbox=lightbox() if not is_running and any(map(_has_source, table.squares.values())) else "",
    )


def _has_source(square: Square) -> bool:
    return any(figure.source for figure in square.figures)


def prompts_html(table: Table, longest: int) -> list[str]:
    """Return the prompts with the names of their axes marked."""
    names = [dimension.name for dimension in table.dimensions]
    return [prompt_html(prompt, names, longest) for prompt in table.prompts]


def reason_html(reason: Reason) -> str:
    """Return a line about cells without pictures: how many, why, and which."""
    count = f"{_SYMBOLS.get(reason.state, '')} {len(reason.cells)} {reason.state}".strip()
    name, *lines = type(reason.error).__name__, *_error_lines(reason.error)
    words = f"<b>{outside(count)}</b> · <b>{outside(name)}</b> {' '.join(map(outside, lines))}"
    where = outside(reason.where) if reason.cells != ((),) else ""
    return f"{words} <i>({where})</i>" if where else words


def arrivals_html(squares: Mapping[Key, Square]) -> str:
    """Return some cells side by side, each below its labels."""
    return "".join(
        f'<div style="{_ARRIVED}"><b>{outside(" · ".join(labels))}</b>{_square_html(square, mark=True)}</div>'
        for labels, square in squares.items()
    )


def _part_html(table: Table, part: Part) -> str:
    blocks = part.columns.blocks(-(-PICTURES_ACROSS // part.across))
    wide = max(map(len, blocks))
    return fill(
        "show/grid-part.html",
        title=_title_html(table, part) if part.facets else "",
        axes=f'<div style="padding:4px 6px 0">{axes}</div>' if (axes := axes_html(table, part)) else "",
        width=str(wide * part.across * _WIDEST),
        rows="".join(_block_html(table, part, block, wide) for block in blocks),
    )


def _title_html(table: Table, part: Part) -> str:
    return f'<div style="font-weight:600;padding:10px 6px 2px">{facets_html(table, part)}</div>'


def facets_html(table: Table, part: Part) -> str:
    """Return which facet a table is, in the marks of its axes."""
    named = ((table.dimension_number(name), name, label) for name, label in part.facets)
    return " &nbsp; ".join(
        f"{marked(outside(name), axis)} {label_of(table, table.dimensions[axis], label)}"
        for axis, name, label in named
    )


def axes_html(table: Table, part: Part) -> str:
    """Return the names of the rows and the columns, with what their labels have in common."""
    named = [
        f"{marked(outside(each.name), number)} {arrow} {outside(each.shortened.common, 1000)}"
        for each, arrow in ((part.rows, "↓"), (part.columns, "→"))
        if each.name
        for number in [table.dimension_number(each.name)]
    ]
    return " &nbsp; ".join(named)


def _block_html(table: Table, part: Part, columns: tuple[str, ...], wide: int) -> str:
    """Return some columns of a table: their heads, and for each row its label above its cells."""
    width = f"{100 / wide:.4g}%"
    heads = (
        f'<th style="{_HEAD};width:{width}">{label_of(table, part.columns, each)}</th>' for each in columns
    )
    missing = f'<td style="width:{width}"></td>' * (wide - len(columns))
    rows = (_row_html(table, part, row, columns, wide) for row in part.rows.labels)
    head = f'<tr style="{_PLAIN}">{"".join(heads)}{missing}</tr>' if part.columns.name else ""
    return head + "".join(rows)


def _row_html(table: Table, part: Part, row: str, columns: tuple[str, ...], wide: int) -> str:
    """Return a row: its label, which has a line of its own, since it may be a whole prompt; and its cells."""
    label = ""
    if part.rows.name:
        head = f'<th colspan="{wide}" style="{_ROW}">{label_of(table, part.rows, row)}</th>'
        label = f'<tr style="{_STRIPE};break-after:avoid">{head}</tr>'
    cells = "".join(
        f'<td style="{_SQUARE}">{_square_html(part.at(row, column), mark=table.mixed)}</td>'
        for column in columns
    )
    return f'{label}<tr style="{_PLAIN};break-inside:avoid">{cells}</tr>'


def label_of(table: Table, dimension: Dimension, label: str) -> str:
    """Return a label as HTML, without what all labels of the dimension have in common."""
    axis = table.dimension_number(dimension.name)
    return label_html(dimension.short(label), dimension.shortened.rests, axis)


def _square_html(square: Square, *, mark: bool) -> str:
    wide = square.across
    width = f"{100 // wide - 2 * (wide > 1)}%"
    figures = "".join(_figure_html(each, width, mark=mark) for each in square.figures)
    shape = "{}/{}".format(*square.shape)
    figures += f'<div style="{_FRAME};width:{width};aspect-ratio:{shape}"></div>' * square.frames
    line = f'<div style="{_FIGURES}">{figures}</div>' if figures else ""
    return f"{line}{note_html(square, _STATE)}"


def note_html(square: Square, style: str) -> str:
    """Return the state of a square where pictures are missing; the reasons stand above the table."""
    if not square.note:
        return ""
    words = f"{_SYMBOLS.get(square.note, '')} {square.note}"
    return f'<div style="{style}">{outside(words)}</div>'


def _error_lines(error: BelugaError) -> list[str]:
    return [sanitize(line) for line in str(error).splitlines() if line.strip()]


def _figure_html(figure: Figure, width: str, *, mark: bool) -> str:
    words = outside(alt(figure.picture))
    # A closed element is as wide as its part of the cell; when it opens, the wider recipe stretches the
    # picture, which is why that has no width of its own.
    image = (
        fill(
            "show/grid-image.html",
            source=address(figure.source),
            alt=words,
            cell=cell_attribute(figure.picture),
        )
        if figure.source
        else f"<div>{words}</div>"
    )
    local = mark and figure.picture.recipe.procedural
    return fill(
        "show/grid-figure.html",
        image=image,
        width=width,
        mark=f'<div style="{_SMALL}">local preview</div>' if local else "",
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
