"""A report as HTML, Markdown and LaTeX: the same headings, paragraphs, tables and figures in each.

All text of a document may come from outside, and is escaped: in HTML by `markup.outside`, in Markdown by
backslashes, in LaTeX by commands.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from statistics import fmean
from typing import TypeAlias

import pybase64

from beluga_nb.show.markup import outside
from beluga_nb.show.tables import NUMBER, table
from beluga_nb.show.template import document, fill, read_template
from beluga_nb.text import sanitize

LONGEST = 4000
"""Characters of a paragraph or a cell."""


@dataclass(frozen=True)
class Heading:
    """A heading of a section."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Code:
    """Lines of code of our own."""

    text: str


@dataclass(frozen=True)
class TableBlock:
    """A table with a caption."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Figure:
    """A figure: the name of its files, without a suffix, as SVG and as PDF."""

    name: str
    caption: str
    svg: bytes
    pdf: bytes


Block: TypeAlias = Heading | Paragraph | Code | TableBlock | Figure


@dataclass(frozen=True)
class Document:
    """A title and what stands below it."""

    title: str
    blocks: Sequence[Block]

    @property
    def figures(self) -> list[Figure]:
        """Its figures."""
        return [block for block in self.blocks if isinstance(block, Figure)]

    def html(self) -> str:
        """Return a page with its figures in it, without scripts."""
        body = "\n".join(map(_html, self.blocks))
        title = outside(self.title, LONGEST)
        return document(
            fill("show/report.html", title=title, body=body),
            title=title,
            style=read_template("show/report.css"),
            policy="img-src data:; style-src 'unsafe-inline'",
        )

    def markdown(self) -> str:
        """Return Markdown as GitHub reads it; figures are files in `figures/`."""
        return "\n\n".join([f"# {markdown(self.title)}", *map(_markdown, self.blocks)]) + "\n"

    def latex(self) -> str:
        """Return an article for pdfLaTeX, XeLaTeX or LuaLaTeX; figures are files in `figures/`."""
        body = "\n\n".join(
            _room(block, following) + _latex(block)
            for block, following in zip_longest(self.blocks, self.blocks[1:])
        )
        return fill("show/report.tex", title=latex(self.title), body=body) + "\n"


def _html(block: Block) -> str:
    match block:
        case Heading(text):
            return f"<h2>{outside(text, LONGEST)}</h2>"
        case Paragraph(text):
            return f"<p>{outside(text, LONGEST)}</p>"
        case Code(text):
            return f"<pre>{outside_lines(text)}</pre>"
        case TableBlock(caption, head, rows):
            return table(rows, head, caption)["text/html"]
        case Figure(_, caption, svg):
            source = f"data:image/svg+xml;base64,{pybase64.b64encode(svg).decode()}"
            words = outside(caption, LONGEST)
            return f'<figure><img src="{source}" alt="{words}"><figcaption>{words}</figcaption></figure>'


def outside_lines(text: str) -> str:
    """Return lines of text escaped for HTML."""
    return "\n".join(outside(line, LONGEST) for line in text.splitlines())


def _markdown(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {markdown(text)}"
        case Paragraph(text):
            return markdown(text)
        case Code(text):
            return f"```\n{text}\n```"
        case TableBlock(caption, head, rows):
            numbers = _number_columns(head, rows)
            rule = ["--:" if is_number else "---" for is_number in numbers]
            lines = [[markdown(each) for each in line] for line in (head, *rows)]
            lines.insert(1, rule)
            return f"**{markdown(caption)}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)
        case Figure(name, caption):
            return f"![{markdown(caption)}](figures/{name}.svg)\n\n{markdown(caption)}"


# Signs that begin something in Markdown. A backslash before any sign of ASCII makes it text.
_MARKS = re.compile(r"[\\`*_{}\[\]<>#|&~$!^=@]|:(?=//)|(?<=www)\.|^[-+](?!\d)", re.IGNORECASE)
_NUMBERED = re.compile(r"^(\d+)([.)])(?!\d)")


def markdown(text: str) -> str:
    r"""Return outside text escaped for a line of Markdown.

    >>> markdown("a *red* fox <b>, 50 % off")
    'a \\*red\\* fox \\<b\\>, 50 % off'
    """
    return _NUMBERED.sub(r"\1\\\2", _MARKS.sub(r"\\\g<0>", sanitize(text, LONGEST)))


def _latex(block: Block) -> str:
    match block:
        case Heading(text):
            return f"\\section*{{{latex(text)}}}"
        case Paragraph(text):
            return latex(text)
        case Code(text):
            return f"\\begin{{verbatim}}\n{text}\n\\end{{verbatim}}"
        case TableBlock(caption, head, rows):
            return _longtable(caption, head, rows)
        case Figure(name, caption):
            size = "width=\\linewidth,height=0.8\\textheight,keepaspectratio"
            # Not floating: beside a float, pdfLaTeX sets a long table over the foot of the page.
            lines = ["\\begin{figure}[H]", "\\centering"]
            lines.append(f"\\includegraphics[{size}]{{figures/{name}.pdf}}")
            return "\n".join([*lines, f"\\caption{{{latex(caption)}}}", "\\end{figure}"])


_COMMANDS = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    "-": "-{}",
    ",": ",{}",
    "−": r"\textminus{}",
} | {sign: f"\\{sign}" for sign in "&%$#_{}"}
_SIGNS = re.compile(r"""[\\^~<>|"`'&%$#_{}−]|-(?=-)|,(?=,)""")  # two dashes or commas would be another sign
# LaTeX breaks a word of letters by itself, but not the name of a file or a sentence in Chinese. So a long
# word may be broken before each piece: up to 20 letters, and the signs behind them.
_LONG_WORD = re.compile(r"\S{13,}")
_PIECE = re.compile(r"[^\W_]{1,20}[\W_]{0,4}|[\W_]{1,4}")


def latex(text: str) -> str:
    r"""Return outside text escaped for LaTeX.

    >>> latex("50 % of $x_1$ and \\input{a}")
    '50 \\% of \\$x\\_1\\$ and \\textbackslash{}input\\{a\\}'
    """
    words = sanitize(text, LONGEST)
    breaks = [
        word.start() + piece.start()
        for word in _LONG_WORD.finditer(words)
        for piece in _PIECE.finditer(word[0])
        if piece.start()
    ]
    places = [0, *breaks, len(words)]
    pieces = (words[start:end] for start, end in pairwise(places))
    return r"\allowbreak{}".join(_SIGNS.sub(lambda sign: _COMMANDS[sign[0]], piece) for piece in pieces)


def _room(block: Block, following: Block | None) -> str:
    """Return what begins a page where a heading would be parted from a small table below it."""
    if not isinstance(block, Heading):
        return ""
    lines = 10.0  # the heading, and a caption with the head of a table
    if isinstance(following, TableBlock) and _is_small(following.rows):
        lines += max(len(following.rows), _ROWS * _signs(following.rows) / _SIGNS_OF_ROWS)
    return f"\\room{{{lines:.0f}}}"


def _signs(rows: Sequence[Sequence[str]]) -> int:
    return sum(_width(each) for line in rows for each in line)


def _is_small(rows: Sequence[Sequence[str]]) -> bool:
    return len(rows) <= _ROWS and _signs(rows) <= _SIGNS_OF_ROWS


def _longtable(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    columns = "".join(_columns(head, rows))
    # A star keeps the next row on the page. Braces part rows: "\\" reads on for "[2cm]" or "*".
    end = r" \\*" if _is_small(rows) else r" \\"
    lines = ["{}" + " & ".join(latex(each) for each in line) + end for line in (head, *rows)]
    return "\n".join(
        [
            "{\\small\\setlength{\\tabcolsep}{4pt}",
            f"\\begin{{longtable}}{{@{{}}{columns}@{{}}}}",
            f"\\caption{{{latex(caption)}}} \\\\",
            "\\toprule",
            lines[0],
            "\\midrule",
            "\\endhead",
            "\\bottomrule",
            "\\endfoot",
            *lines[1:],
            "\\end{longtable}}",
        ]
    )


_ROWS, _SIGNS_OF_ROWS = 16, 2000  # of a table that stays on one page: about half of it
_BREAKS = (24, 16, 10)  # characters above which a column is broken into lines; fewer if there is no room
_CHARACTER, _GAP = 0.0105, 0.018  # of the width of a line
_LEAST = 0.09  # of the width of a line, for a column that is broken


def _columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the columns of a table: numbers at the right, and long texts in lines."""
    cells = [[_width(line[place]) for line in (head, *rows)] for place in range(len(head))]
    for most in _BREAKS:
        # A long text gets more room than a short one, but leaves room for it.
        long = {place: math.sqrt(fmean(each)) for place, each in enumerate(cells) if max(each) > most}
        taken = sum(max(each) for place, each in enumerate(cells) if place not in long)
        room = 1 - _GAP * len(cells) - _CHARACTER * taken
        if room >= 1.5 * _LEAST * len(long):
            break
    numbers, total = _number_columns(head, rows), sum(long.values())
    spare = max(0.0, room - _LEAST * len(long))
    broken = ">{{\\ragged{}\\arraybackslash}}p{{{:.3f}\\linewidth}}"
    return [
        broken.format("left" if is_number else "right", _LEAST + spare * long[place] / total)
        if place in long
        else "lr"[is_number]
        for place, is_number in enumerate(numbers)
    ]


def _width(text: str) -> int:
    # Letters that a font lacks are as wide as "[?]", and others are often wide.
    is_wide = ("\u0250" <= sign < "\u2000" or sign >= "\u2300" for sign in sanitize(text, LONGEST))
    return sum(3 if wide else 1 for wide in is_wide)


def _number_columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[bool]:
    """Return which columns hold numbers alone."""
    columns = [[line[place] for line in rows if line[place]] for place in range(len(head))]
    return [bool(column) and all(map(NUMBER.fullmatch, column)) for column in columns]


WRITERS: dict[str, Callable[[Document], str]] = {
    "report.html": Document.html,
    "report.md": Document.markdown,
    "report.tex": Document.latex,
}
"""The files of a document."""
