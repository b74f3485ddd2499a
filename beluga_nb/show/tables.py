"""The tables of the package: one look, as HTML that survives an untrusted notebook, and as aligned text.

Every table has a caption, a row head in each line, and a rule under its head. Columns of numbers stand at the
right, and ids and settings are code. Styles are inline and colours inherited, so that a table fits Light and
Dark. In a narrow window and on paper, many columns are set in smaller type. A table that is too wide even so
scrolls by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from beluga_nb.images import within
from beluga_nb.result import Bundle
from beluga_nb.show.markup import outside
from beluga_nb.text import sanitize


class Kind(Enum):
    """What a column holds. One of no kind holds numbers if all its cells are numbers, and else text."""

    NONE = "none"
    CODE = "code"
    ID = "id"  # code that is broken where the table would be too wide
    NUMBER = "number"
    NUMBERS = "numbers"  # several, broken between them
    SHORT = "short"  # is never broken
    LONG = "long"  # gets the room that is left, and is broken anywhere


class Column(NamedTuple):
    """A column: its name, what it holds, and HTML of ours in place of a name."""

    name: str
    kind: Kind = Kind.NONE
    html: str = ""


class Cell(NamedTuple):
    """A cell: its text; HTML of ours that stands before and after it; and words that are shown on hover."""

    text: str
    before: str = ""
    after: str = ""
    title: str = ""


NUMBER = re.compile(r"[+−-]?[\d,]+(\.\d+)?(e[+-]?\d+)?½?( ?%)?|½|unknown")
"""What counts as a number in a cell."""

_LONGEST_TITLE = 4000
_LONGEST_NOTE = 8000  # The limits of a claim are at the end of its note.
_RULE = "1px solid rgba(128,128,128,.6)"
_HAIRLINE = "1px solid rgba(128,128,128,.2)"
# Notebooks stretch tables, colour every other line, and align all cells at the right.
_TABLE = "border:none;border-collapse:collapse;margin:0;table-layout:auto;width:auto;font-size:inherit"
_ROW = "background:none;break-inside:avoid"
_CELL = "padding:4px 1em 4px 0;border:none"
_CAPTION = "caption-side:top;text-align:left;padding:0 0 4px 0;font-weight:600"
_LEGEND = "font-weight:normal;white-space:normal;margin-top:2px"
_NUMBERS = "text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums"
_STYLES = {
    Kind.NONE: "text-align:left",
    Kind.CODE: "text-align:left;white-space:nowrap",
    Kind.ID: "text-align:left;white-space:normal;min-width:7em;overflow-wrap:anywhere",
    Kind.NUMBER: _NUMBERS,
    Kind.NUMBERS: _NUMBERS.replace("nowrap", "normal"),
    Kind.SHORT: "text-align:left;white-space:nowrap;font-variant-numeric:tabular-nums",
    Kind.LONG: "text-align:left;white-space:normal;min-width:8em;max-width:48em;overflow-wrap:anywhere",
}
_LONG_CAPTION = 60
_MANY = 8  # columns that A4 has room for at full size; a long one counts as four


_CODES = {Kind.CODE, Kind.ID}
_UNBROKEN = 16  # characters of an id, such as "gpt-image-2", that stand on one line on paper too


def table(
    rows: Iterable[Sequence[str | Cell]],
    head: Sequence[str | Column] = (),
    caption: str = "",
    note: str = "",
    *,
    legend: str = "",
    nothing: str = "",
) -> Bundle:
    """Return a table as HTML, and as text with aligned columns; the caption is in the HTML alone.

    `legend` is HTML of ours below the caption, and `note` is a line below the table. Where there are no rows,
    a sentence stands in place of the table: `nothing`, which says how to begin.
    """
    columns = [each if isinstance(each, Column) else Column(each) for each in head]
    cells = [[each if isinstance(each, Cell) else Cell(each) for each in row] for row in rows]
    if not cells:
        return noted(sentence(nothing or f"{caption or 'Table'}: there is nothing yet."), note)
    lines = [[sanitize(each.text) for each in row] for row in cells]
    lines = [[sanitize(each.name) for each in columns], *lines] if head else lines
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    aligned = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return noted(
        {"text/html": table_html(cells, columns, caption, legend), "text/plain": "\n".join(aligned)}, note
    )


def sentence(words: str) -> Bundle:
    """Return a sentence in place of a table."""
    return {
        "text/html": f"<p>{outside(words, _LONGEST_NOTE)}</p>",
        "text/plain": sanitize(words, _LONGEST_NOTE),
    }


def noted(shown: Bundle, note: str) -> Bundle:
    """Return a bundle with a line of text below it, if there is one."""
    if not note:
        return shown
    return {
        "text/html": f'{shown["text/html"]}<p style="margin:.6em 0">{outside(note, _LONGEST_NOTE)}</p>',
        "text/plain": f"{shown['text/plain']}\n{sanitize(note, _LONGEST_NOTE)}",
    }


def facts(rows: Mapping[str, str], caption: str) -> Bundle:
    """Return names and what is true of each as a table without a head."""
    return table(list(rows.items()), caption=caption)


def table_html(
    rows: Sequence[Sequence[Cell]],
    columns: Sequence[Column],
    caption: str,
    legend: str = "",
    *,
    align: str = "top",
) -> str:
    """Return a table as HTML; its first column is the head of each row. Without names it has no head."""
    kinds = _kinds(rows, columns)
    below = f'<div style="{_LEGEND}">{legend}</div>' if legend else ""
    # A short one is in one line even above a narrower table.
    space = "nowrap" if len(caption) <= _LONG_CAPTION else "normal"
    title = (
        f'<caption style="{_CAPTION};white-space:{space}">{outside(caption)}{below}</caption>'
        if caption
        else ""
    )
    top = f"<thead>{_head(columns, kinds)}</thead>" if any(each.name for each in columns) else ""
    body = "".join(_row(row, kinds, align) for row in rows)
    # With a tabindex the keyboard can scroll it too.
    return (
        '<div tabindex="0" style="overflow-x:auto;max-width:100%">'
        f'<table style="{_TABLE}{_type(kinds)}">{title}{top}<tbody>{body}</tbody></table></div>'
    )


def _type(kinds: Sequence[Kind]) -> str:
    """Return the type of many columns: smaller in a narrow window, and on paper, which cannot scroll."""
    columns = len(kinds) + 3 * kinds.count(Kind.LONG)
    return f";font-size:clamp(9px,{15 / columns:.3g}vw,1em)" if columns > _MANY else ""


def _kinds(rows: Sequence[Sequence[Cell]], columns: Sequence[Column]) -> list[Kind]:
    width = len(columns) or max(map(len, rows), default=0)
    kinds = [each.kind for each in columns] or [Kind.NONE] * width
    return [
        Kind.NUMBER if kind is Kind.NONE and _are_numbers(row[place].text for row in rows) else kind
        for place, kind in enumerate(kinds)
    ]


def _are_numbers(texts: Iterable[str]) -> bool:
    filled = [text for text in texts if text]
    return bool(filled) and all(NUMBER.fullmatch(text) for text in filled)


def _head(columns: Sequence[Column], kinds: Sequence[Kind]) -> str:
    style = f"{_CELL};border-bottom:{_RULE};font-weight:600;vertical-align:bottom"
    cells = [
        f'<th scope="col" style="{style};{_STYLES[kind]};white-space:normal">{words}</th>'
        if words
        else f'<td style="{style}"></td>'  # A head without words names nothing.
        for words, kind in zip((each.html or outside(each.name) for each in columns), kinds, strict=True)
    ]
    return f'<tr style="{_ROW}">{"".join(cells)}</tr>'


def _row(row: Sequence[Cell], kinds: Sequence[Kind], align: str) -> str:
    cells = [
        _cell(cell, kind, align, is_head=not place)
        for place, (cell, kind) in enumerate(zip(row, kinds, strict=True))
    ]
    return f'<tr style="{_ROW}">{"".join(cells)}</tr>'


def _cell(cell: Cell, kind: Kind, align: str, *, is_head: bool) -> str:
    text = outside(cell.text)
    space = "nowrap" if kind is Kind.CODE or len(cell.text) <= _UNBROKEN else "normal"
    words = f'<code style="white-space:{space}">{text}</code>' if text and kind in _CODES else text
    title = f' title="{outside(cell.title, _LONGEST_TITLE)}"' if cell.title else ""
    style = f'style="{_CELL};vertical-align:{align};border-bottom:{_HAIRLINE};{_STYLES[kind]}'
    inner = f"{cell.before}{words}{cell.after}"
    if is_head and inner:
        return f'<th scope="row" {style};font-weight:normal"{title}>{inner}</th>'
    return f'<td {style}"{title}>{inner}</td>'


_BOX = "display:inline-block;border:1px solid;border-radius:2px"


def shape(pixels: tuple[int, int], label: str, *, edge: int = 15) -> str:
    """Return a small box in the shape of a picture, whose longer edge is `edge`; its label is read out."""
    width, height = within(pixels, edge)
    # All take the same width, so that what follows is aligned; the border is outside of width and height.
    left = (edge - width) // 2
    place = f"width:{width - 2}px;height:{height - 2}px;margin:0 {edge + 3 - left - width}px 0 {left}px"
    name = outside(label)
    return f'<span role="img" aria-label="{name}" title="{name}" style="{_BOX};{place}"></span>'
