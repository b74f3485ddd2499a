"""A grid as one page that needs nothing else: it filters, hides columns, and shows a picture large."""

from __future__ import annotations

import hashlib
from base64 import b64encode

from beluga_nb.show.grid import Figure, Part, Square, Table, note_html, recipe_lines
from beluga_nb.show.markup import address, alt, outside

_LONGEST_SEARCHED = 200_000  # characters of a cell that its filter looks at

_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0; padding: 20px 24px }
body { background: Canvas; color: CanvasText }
h1 { font-size: 19px; margin: 0 0 2px } h2 { font-size: 16px; margin: 22px 0 6px }
.said { opacity: .7; margin: 0 0 10px }
.controls { display: flex; flex-wrap: wrap; gap: 6px 22px; align-items: center; padding: 8px 0 12px }
.controls fieldset { border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 2px 12px }
.controls legend { float: left; font-weight: 600; padding: 0 8px 0 0 }
input[type=search] { font: inherit; padding: 4px 8px; min-width: 16em }
.frame { overflow: auto; max-height: 86vh }
table { border-collapse: separate; border-spacing: 0 }
th { text-align: left; font-weight: 600; vertical-align: top; padding: 6px 12px 6px 6px }
th { background: Canvas; max-width: 16em }
thead th { position: sticky; top: 0; z-index: 2 } tbody th { position: sticky; left: 0; z-index: 1 }
thead th:first-child { left: 0; z-index: 3; font-weight: 400; white-space: nowrap }
td, tbody th { border-top: 1px solid #8886; vertical-align: top; padding: 6px }
td > div { max-width: 26em; overflow-wrap: anywhere }
td > div.line { max-width: none; white-space: nowrap }
figure { display: inline-block; margin: 0 6px 4px 0; vertical-align: top }
figure button { all: unset; cursor: zoom-in; display: block }
figure button:focus-visible { outline: 2px solid Highlight }
figure img { width: 168px; height: auto; display: block; border-radius: 4px }
figcaption { font-size: 12px; opacity: .7 }
figure template { display: none }
dialog { border: 0; border-radius: 8px; padding: 14px; max-width: 94vw; max-height: 94vh }
dialog { color: inherit; background: Canvas }
dialog::backdrop { background: #000a }
dialog .large { display: flex; flex-wrap: wrap; gap: 18px }
dialog img { max-width: min(66vw, 1024px); max-height: 84vh; width: auto; height: auto }
dl { max-width: 26em; margin: 0; overflow-wrap: anywhere }
dt { opacity: .65; font-size: 13px } dd { margin: 0 0 6px }
[hidden] { display: none !important }
"""

_SCRIPT = """
const all = (where, what) => [...where.querySelectorAll(what)];
const search = document.querySelector('input[type=search]');
const boxes = all(document, 'input[data-axis]');
function look() {
  const off = new Set(boxes.filter(box => !box.checked).map(box => box.dataset.axis + ':' + box.value));
  const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
  const hidden = each => (each.dataset.of || '').split(' ').some(one => off.has(one));
  for (const part of all(document, 'section')) {
    for (const head of all(part, 'thead th')) head.hidden = hidden(head);
    for (const row of all(part, 'tbody tr')) {
      let left = 0;
      for (const cell of all(row, 'td')) {
        cell.hidden = hidden(cell);
        const text = (row.dataset.text + ' ' + cell.dataset.text).toLowerCase();
        const fits = words.every(word => text.includes(word));
        cell.style.opacity = fits ? '' : '.12';
        left += !cell.hidden && fits;
      }
      row.hidden = hidden(row) || !left;
    }
    part.hidden = hidden(part) || all(part, 'tbody tr').every(row => row.hidden);
  }
}
search.addEventListener('input', look);
boxes.forEach(box => box.addEventListener('change', look));
const dialog = document.querySelector('dialog');
document.addEventListener('click', event => {
  const button = event.target.closest('figure button');
  if (button) {
    const large = button.querySelector('img').cloneNode();
    const told = button.parentElement.querySelector('template').content.cloneNode(true);
    dialog.querySelector('.large').replaceChildren(large, told);
    dialog.showModal();
  } else if (event.target === dialog || event.target.closest('dialog img')) dialog.close();
});
look();
"""


def page(table: Table, *, title: str) -> str:
    """Return the page; it holds its pictures itself."""
    parts = "".join(_section(table, part) for part in table.parts)
    prompts = "".join(f"<h1>{outside(prompt, 2000)}</h1>" for prompt in table.prompts)
    # What is from outside is escaped, and nothing but this very script may run.
    allowed = b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{outside(policy)}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{outside(title, 120)}</title><style>{_STYLE}</style></head><body>"
        f'{prompts}<p class="said">{outside(table.head)}</p>{_controls(table)}{parts}'
        f'<dialog><div class="large"></div></dialog><script>{_SCRIPT}</script></body></html>\n'
    )


def _controls(table: Table) -> str:
    axes = "".join(
        f"<fieldset><legend>{outside(dimension.name)}</legend>"
        + "".join(
            f'<label><input type="checkbox" checked data-axis="{axis}" value="{number}">'
            f" {outside(label)}</label>"
            for number, label in enumerate(dimension.labels)
        )
        + "</fieldset>"
        for axis, dimension in enumerate(table.dimensions)
    )
    return (
        '<div class="controls"><input type="search" placeholder="filter by words"'
        f' aria-label="filter by words">{axes}</div>'
    )


def _section(table: Table, part: Part) -> str:
    title = f"<h2>{outside(part.title)}</h2>" if part.title else ""
    head = "".join(
        f'<th data-of="{_of(table, part.columns.name, column)}">{outside(column)}</th>'
        for column in part.columns.labels
    )
    corner = " · ".join(filter(None, [part.rows.name, part.columns.name]))
    rows = "".join(_row(table, part, row) for row in part.rows.labels)
    facets = " ".join(_facet(table, name, label) for name, label in part.facets)
    return (
        f'<section data-of="{facets}">{title}<div class="frame"><table><thead><tr>'
        f"<th>{outside(corner)}</th>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _row(table: Table, part: Part, row: str) -> str:
    cells = "".join(
        f'<td data-of="{_of(table, part.columns.name, column)}" data-text="{_text(part, column, row)}">'
        f"{_square(part.at(row, column))}</td>"
        for column in part.columns.labels
    )
    of = _of(table, part.rows.name, row)
    told = outside(f"{part.title} {row}")
    return f'<tr data-of="{of}" data-text="{told}"><th>{outside(row)}</th>{cells}</tr>'


def _text(part: Part, column: str, row: str) -> str:
    square = part.at(row, column)
    prompts = dict.fromkeys(figure.picture.recipe.request.prompt for figure in square.figures)
    return outside(" ".join([column, *prompts, str(square.error or ""), square.note]), _LONGEST_SEARCHED)


def _of(table: Table, name: str, label: str) -> str:
    return _facet(table, name, label) if name else ""


def _facet(table: Table, name: str, label: str) -> str:
    axis = next(number for number, each in enumerate(table.dimensions) if each.name == name)
    return f"{axis}:{table.dimensions[axis].labels.index(label)}"


def _square(square: Square) -> str:
    figures = "".join(map(_figure, square.figures))
    line = f'<div class="line">{figures}</div>' if figures else ""
    return f"{line}{note_html(square, '')}"


def _figure(figure: Figure) -> str:
    picture = figure.picture
    lines = "".join(
        f"<dt>{outside(name)}</dt><dd>{outside(said, 2000)}</dd>" for name, said in recipe_lines(picture)
    )
    mark = "<figcaption>local preview</figcaption>" if picture.recipe.procedural else ""
    return (
        f'<figure><button type="button"><img src="{address(figure.source)}" alt="{outside(alt(picture))}"'
        f' loading="lazy"></button>{mark}<template><dl>{lines}</dl></template></figure>'
    )
