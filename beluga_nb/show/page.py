"""A grid as one self-contained page: it filters, hides columns, and enlarges pictures."""

from __future__ import annotations

import hashlib
from base64 import b64encode

from beluga_nb.show.grid_table import (
    Figure,
    Part,
    Square,
    Table,
    across,
    axes_html,
    facets_html,
    label_of,
    note_html,
    prompts_html,
    reason_html,
)
from beluga_nb.show.labels import marked
from beluga_nb.show.lightbox import cell_attribute, recipe_html, recipe_lines, script
from beluga_nb.show.markup import address, alt, outside
from beluga_nb.show.template import document, fill, read_template

PICTURES_ACROSS = 8
"""Pictures that stand side by side: a page is wider than an output, and still fits on paper."""

_WIDEST = 320  # pixels of a picture in the table
_LONGEST_SEARCHED = 200_000  # characters of a cell that its filter searches


def page(table: Table, *, title: str, links: str = "", images: str = "data:") -> str:
    """Return the page with its pictures, style and script in it.

    `links` is HTML that leads to other pages, and `images` is where pictures may come from, as in a
    Content-Security-Policy.
    """
    code = f"{script()}\n{read_template('show/page.js')}"
    # The policy lets this script run and no other one, should any escaping fail.
    allowed = b64encode(hashlib.sha256(code.encode()).digest()).decode()
    axes = "".join(_axis(table, number) for number in range(len(table.dimensions)))
    sections = "".join(
        _section(table, part, columns)
        for part in table.parts
        for columns in part.columns.blocks(-(-PICTURES_ACROSS // part.across))
    )
    body = body_of(
        table,
        f"<main data-beluga>{sections}</main>",
        links=links,
        controls=fill("show/page-controls.html", axes=axes),
    )
    return document(
        f"{body}<script>{code}</script>",
        title=outside(title, 120),
        style=read_template("show/page.css"),
        policy=f"img-src {images}; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'",
    )


def body_of(table: Table, main: str, *, links: str = "", controls: str = "") -> str:
    """Return what a grid's page shows: its prompts and counts, and `main` below them."""
    return fill(
        "show/page.html",
        prompts=links + "".join(f"<h1>{prompt}</h1>" for prompt in prompts_html(table, 2000)),
        caption=outside(table.caption),
        reasons="".join(f'<p class="about">{reason_html(reason)}</p>' for reason in table.reasons),
        controls=controls,
        main=main,
    )


def _axis(table: Table, axis: int) -> str:
    dimension = table.dimensions[axis]
    labels = "".join(
        f'<label><input type="checkbox" checked data-axis="{axis}" value="{number}"> {outside(label)}</label>'
        for number, label in enumerate(dimension.labels)
    )
    return fill("show/page-axis.html", name=marked(outside(dimension.name), axis), labels=labels)


def _section(table: Table, part: Part, columns: tuple[str, ...]) -> str:
    """Return some columns of a table."""
    corner = "<td></td>" if part.rows.name else ""
    named = [(_label_id(table, part.columns.name, each), each) for each in columns if part.columns.name]
    heads = "".join(
        f'<th data-of="{facet}">{label_of(table, part.columns, each)}</th>' for facet, each in named
    )
    return fill(
        "show/page-section.html",
        facets=" ".join(_label_id(table, name, label) for name, label in part.facets),
        title=f"<h2>{facets_html(table, part)}</h2>" if part.facets else "",
        axes=axes_html(table, part),
        width=str(len(columns) * part.across * _WIDEST),
        heads=corner + heads,
        rows="".join(_row(table, part, row, columns) for row in part.rows.labels),
    )


def _row(table: Table, part: Part, row: str, columns: tuple[str, ...]) -> str:
    return fill(
        "show/page-row.html",
        facet=_label_id(table, part.rows.name, row),
        text=outside(f"{part.title} {row}"),
        label=f"<th>{label_of(table, part.rows, row)}</th>" if part.rows.name else "",
        cells="".join(_cell(table, part, column, row) for column in columns),
    )


def _cell(table: Table, part: Part, column: str, row: str) -> str:
    square = part.at(row, column)
    facet, text = _label_id(table, part.columns.name, column), _searched(square, column)
    return f'<td data-of="{facet}" data-text="{text}">{_square(square, mark=table.mixed)}</td>'


def _searched(square: Square, column: str) -> str:
    # A cell's pictures usually have one prompt, and a large grid would hold it many times.
    prompts = dict.fromkeys(figure.picture.recipe.request.prompt for figure in square.figures)
    return outside(" ".join([column, *prompts, str(square.error or ""), square.note]), _LONGEST_SEARCHED)


def _label_id(table: Table, name: str, label: str) -> str:
    """Return a label's id in the page's script: the numbers of its dimension and of its place there."""
    if not name:
        return ""
    axis = table.dimension_number(name)
    return f"{axis}:{table.dimensions[axis].labels.index(label)}"


def _square(square: Square, *, mark: bool) -> str:
    figures = "".join(_figure(figure, mark=mark) for figure in square.figures)
    line = f'<div class="line" style="--across:{across(len(square.figures))}">{figures}</div>'
    return f"{line if figures else ''}{note_html(square, '')}"


def _figure(figure: Figure, *, mark: bool) -> str:
    picture = figure.picture
    return fill(
        "show/page-figure.html",
        source=address(figure.source),
        alt=outside(alt(picture)),
        mark="<figcaption>local preview</figcaption>" if mark and picture.recipe.procedural else "",
        cell=cell_attribute(picture),
        recipe=recipe_html(recipe_lines(picture)),
    )
