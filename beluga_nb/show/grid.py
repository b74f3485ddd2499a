"""A grid as people see it: its table in a notebook, its sheet, its page, and its rows for pandas."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from beluga_nb.compare.axes import AXIS_PARAMETERS, LONGEST_LABEL, Axis, Choice, Study
from beluga_nb.compare.cell import Cell, Outcome, PictureRef
from beluga_nb.compare.grid import DONE, NOT_STARTED, Grid, counts_of
from beluga_nb.compare.pages import MOST_SHOWN
from beluga_nb.compare.workspace import Workspace
from beluga_nb.errors import BelugaError, InvalidImageError, RequestError, StoreError
from beluga_nb.images import decode
from beluga_nb.paths import save_file
from beluga_nb.placeholders import filled
from beluga_nb.redaction import redact
from beluga_nb.result import Bundle, MissingPicture, Preview
from beluga_nb.show.grid_table import Dimension, Figure, Square, Table, arrivals_html, grid_bundle, grid_html
from beluga_nb.show.markup import alt, data_uri
from beluga_nb.show.preview import EDGE, TILE_EDGE, are_light
from beluga_nb.show.provenance import COLUMNS, Provenance, label_columns, labelled, row_of
from beluga_nb.show.stored import StoreView
from beluga_nb.show.waiting import MOST_FRAMES, expected_size
from beluga_nb.store.collection import Blob
from beluga_nb.text import plural, sanitize

# Lazy imports in here: a grid in a notebook needs no fonts, no page and no pandas.
if TYPE_CHECKING:
    from pandas import DataFrame
    from pandas.io.formats.style import Styler
    from PIL.Image import Image

HEAVIEST_SOURCES = 700_000
"""Characters of encoded pictures in an output: with its text, an output stays below 1 MB."""


def bundle_of(grid: Grid, workspace: Workspace, *, with_sheet: bool) -> Bundle:
    """Return a grid as a notebook shows it; the sheet is for what shows a single image, such as LaTeX.

    Of a large grid it is the first page, with the counts and the failures of the whole.
    """
    view = _view(workspace, writing=workspace.settings.writes_store)
    page = grid.page() if grid.is_large else grid
    sources = _Sources(view, _previews(page))
    table = table_of(page, sources, workspace=workspace)
    if page is not grid:
        table = _with_whole(table, grid, workspace)
    # The sheet is one more picture in the notebook.
    light = view.embed in {"preview", "original"} and not sources.left
    sheet = _small_sheet(page, table, view) if with_sheet and light and not page.page_number else None
    return grid_bundle(table, page=_page_words(page), more=sources.more, sheet=sheet)


def _with_whole(page: Table, grid: Grid, workspace: Workspace) -> Table:
    """Return the table of a page with the counts of the whole grid, and what has failed elsewhere in it."""
    states = grid.states(workspace)
    failed = {
        _place(grid.study, cell): Square(note=state, error=error)
        for cell, state in states.items()
        if (error := grid.outcome(cell).error)
    }
    return replace(page, caption=_caption(grid, counts_of(states)), failed=failed)


def _page_words(page: Grid) -> str:
    """Return in words which page of a larger grid this is, what it shows, and how to see others."""
    if not page.page_number:
        return ""
    pages, number = page.pages, page.page_number
    if pages.is_list:
        labels = "in its order"
    else:
        shown = zip(pages.labels(number - 1), pages.lengths, pages.names, strict=True)
        labels = ", ".join(f"{name}: {len(each)} of {length:,}" for each, length, name in shown)
    following = number % len(pages) + 1
    return (
        f"Page {number:,} of {len(pages):,} shows {len(page):,} of {plural(len(pages.cells), 'cell')}, evenly"
        f" spaced ({labels}). page({following}) shows others, where() those of some labels, and"
        " to_html('folder') writes all of them."
    )


class Arrivals:
    """What arrives in a grid that is running, as HTML (`compare.workspace.Arriving`)."""

    def __init__(self, grid: Grid, workspace: Workspace) -> None:
        self._grid = grid
        self._shown = 0
        self._sources = _Sources(_view(workspace, writing=False))
        self._is_small = sum(cell.request.n for cell in grid.cells) <= MOST_FRAMES
        self._frames = lru_cache(maxsize=1)(self._framed)  # Each call reads small copies of the pictures.

    def frames(self) -> str:
        """Return a small grid with a frame for each picture that has not arrived."""
        return self._frames(self._grid.arrived) if self._is_small else ""

    def _framed(self, arrived: int) -> str:
        squares = {
            _place(self._grid.study, cell): Square(frames=cell.request.n, shape=expected_size(cell.request))
            for cell in {*self._grid.cells} - {*self._grid.arrivals_between(0, len(self._grid))}
        }
        table = table_of(self._grid, self._sources)
        caption = f"{arrived} of {plural(len(self._grid), 'cell')}"
        table = replace(table, caption=caption, squares={**table.squares, **squares})
        return grid_html(table, is_running=True)

    def html(self) -> str:
        """Return the cells of a large grid that have arrived since the last call."""
        if self._is_small:
            return ""
        cells = self._grid.arrivals_between(self._shown, MOST_SHOWN)
        self._shown += len(cells)
        squares = {
            cell.key: _square(self._grid.outcome(cell), self._sources, state=self._grid.state(cell))
            for cell in cells
        }
        return arrivals_html(squares) if squares else ""


def frame_of(grid: Grid, workspace: Workspace) -> DataFrame:
    """Return a row for each picture of a grid, and for each cell that has none."""
    from beluga_nb.show.frame import frame

    rows, labels = labelled(list(_facts(grid, workspace)), _FACTS)
    return frame(rows, _columns(grid, labels))


_FACTS = (*COLUMNS, "error")


def _columns(grid: Grid, labels: Sequence[str]) -> list[str]:
    # A parameter that no request has would be an empty column.
    unset = {name for name in AXIS_PARAMETERS if not any(getattr(cell.request, name) for cell in grid.cells)}
    return [*labels, *(name for name in _FACTS if name not in {*labels, *unset})]


def write_parquet_of(grid: Grid, workspace: Workspace, path: Path) -> None:
    """Write the same rows as a Parquet file, without holding all of them in memory."""
    from beluga_nb.show.parquet import write_rows

    columns = label_columns(_facts(grid, workspace), _FACTS)
    rows = (row_of(*row, columns) for row in _facts(grid, workspace))
    write_rows(path, rows, _columns(grid, list(columns.values())))


def style_of(grid: Grid, workspace: Workspace) -> Styler:
    """Return these rows with their pictures."""
    from beluga_nb.show.frame import styled

    sources = _Sources(_view(workspace, writing=False))
    refs = [ref for _, ref, _ in _lines(grid)]
    urls = [sources(ref) if ref else "" for ref in refs]
    return styled(frame_of(grid, workspace), urls, [alt(ref) if ref else "" for ref in refs])


MOST_ON_SHEET = 1_000
"""Pictures of a poster; of more, a sample is shown."""


def write_sheet_of(grid: Grid, path: Path, *, title: str, edge: int, dpi: int, limit: int) -> None:
    """Write a grid as one labelled picture, in the format of the file's name."""
    from beluga_nb.show.sheet import FORMATS, sheet_file, warn_of

    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise RequestError(
            f"'{path.name}' is not a file name for a sheet.", "It is a PNG, PDF or SVG: sheet('cats.png')"
        )
    if dpi < 1:
        raise RequestError(f"dpi is {dpi}.", "Give the pixels of an inch in print, such as 300.")
    whole, grid = grid, grid.sampled(MOST_ON_SHEET)
    table = replace(table_of(grid, edge=edge), prompts=_filled_prompts(whole))
    if not any(square.note for square in table.squares.values()):
        # All is done: only what its pictures are is worth a line.
        remarks = _remarks(grid)
        table = replace(
            table, caption="; ".join([plural(len(_refs(grid)), "picture"), *remarks]) if remarks else ""
        )
    if grid is not whole:
        sample = f"{len(grid):,} of {plural(len(whole), 'cell')}, evenly spaced"
        table = replace(table, caption="; ".join(filter(None, [sample, table.caption])))
    table, same = table.without_constants()
    table = _turned(table)
    axes = _axes_in_words(table, same)
    data, missing = sheet_file(table, kind, title=title, axes=axes, edge=edge, dpi=dpi, limit=limit)
    warn_of(missing)
    save_file(path, data)


def _filled_prompts(grid: Grid) -> tuple[str, ...]:
    """Return the prompt of a grid, filled with what is the same in all cells; none if prompts are an axis.

    What differs is the name of its axis, in brackets.
    """
    templates = {cell.template or cell.request.prompt for cell in grid.cells}
    if len(templates) != 1:
        return ()
    same = set.intersection(*({*cell.values.items()} for cell in grid.cells))
    different = {name: f"[{name}]" for cell in grid.cells for name in cell.values}
    return (filled(templates.pop(), {**different, **dict(same)}),)


_NARROWEST = 0.6  # width by height; below it, rows become columns if that is nearer to a square


def _turned(table: Table) -> Table:
    """Return the table, its rows as columns if its sheet would be tall and narrow."""
    shapes = [figure.picture.size for square in table.squares.values() for figure in square.figures[:1]]
    if len(table.dimensions) != 2 or not shapes:
        return table
    rows, columns = table.dimensions
    wide, tall = max(width for width, _ in shapes), max(height for _, height in shapes)
    ratio = len(columns.labels) * wide / (len(rows.labels) * tall)
    turned = len(rows.labels) * wide / (len(columns.labels) * tall)
    if ratio > _NARROWEST or abs(math.log(turned)) >= abs(math.log(ratio)):
        return table
    squares = {key[::-1]: square for key, square in table.squares.items()}
    return replace(table, dimensions=(columns, rows), squares=squares)


def _axes_in_words(table: Table, same: Sequence[Dimension]) -> str:
    """Return which axis is where in a table, and what is the `same` in all of it, unless a prompt says so."""
    *groups, last = [each.name for each in table.dimensions] or [""]
    named = [f"Compared by {last}"] if last else []
    if groups:
        *groups, rows = groups
        named = [f"rows: {rows}", f"columns: {last}", *(f"groups: {', '.join(groups)}" for _ in groups[:1])]
    prompts = " ".join(table.prompts)
    named += [f"{each.name}: {each.labels[0]}" for each in same if each.labels[0] not in prompts]
    return " · ".join(named)


MOST_IN_FILE = 10_000
"""Pictures of a page in one file: browsers cannot open files of gigabytes."""


def write_page_of(grid: Grid, path: Path, *, originals: bool) -> Path:
    """Write a grid as one page, or a large one as a folder if the path has no suffix; return what to open.

    Raises `StoreError` where that is not possible.
    """
    if grid.is_large and not path.suffix:
        from beluga_nb.show.page_folder import write_pages

        whole = _with_whole(table_of(grid.page()), grid, grid.workspace())
        return write_pages(grid, path, table_of, whole, originals=originals)
    from beluga_nb.show.page import page

    if (count := len(_refs(grid))) > MOST_IN_FILE:
        raise RequestError(
            f"One file would hold {count:,} pictures.",
            f"Name a folder, which has a page for every {MOST_SHOWN}: to_html({path.stem!r})",
        )
    html = page(table_of(grid, _original if originals else _small), title=path.stem)
    save_file(path, redact(html).encode())
    return path


def _view(workspace: Workspace, *, writing: bool) -> StoreView:
    return StoreView(
        workspace.store, writing=writing, embed=workspace.settings.embed, folder=workspace.folder
    )


def table_of(
    grid: Grid,
    source: Callable[[PictureRef], str] = lambda _: "",
    *,
    edge: int = EDGE,
    workspace: Workspace | None = None,
) -> Table:
    """Return the table of a grid; `source` gives the address of each picture."""
    states = grid.states(workspace)
    squares = {
        _place(grid.study, cell): _square(grid.outcome(cell), source, state=states[cell], edge=edge)
        for cell in grid.cells
    }
    table = Table(
        caption=_caption(grid, counts_of(states)),
        prompts=tuple(grid.study.prompts) if len(grid.study.prompts) == 1 else (),
        dimensions=tuple(
            _dimension(axes, {place[number] for place in squares})
            for number, axes in enumerate(grid.study.dimensions)
        ),
        squares=squares,
    )
    return _listed(table) if grid.page_number and grid.pages.is_list else table


def _listed(table: Table) -> Table:
    """Return the table as a list, for cells that are not all combinations of their labels."""
    labels = tuple(map(_joined, table.squares))
    names = Dimension(_joined(each.name for each in table.dimensions), labels)
    squares: Mapping[tuple[str, ...], Square] = {
        (label,): square for label, square in zip(labels, table.squares.values(), strict=True)
    }
    return replace(table, dimensions=(names,), squares=squares)


def _square(outcome: Outcome, source: Callable[[PictureRef], str], *, state: str, edge: int = EDGE) -> Square:
    figures = (Figure(ref, source(ref), partial(_image, ref, edge)) for ref in outcome.pictures)
    return Square(tuple(figures), note="" if state == DONE else state, error=outcome.error)


def _previews(grid: Grid) -> list[Preview]:
    """Return the previews of the pictures that go into a notebook."""
    refs = [ref for cell in grid.cells for ref in grid.outcome(cell).pictures]
    return [small for ref in refs[:MOST_SHOWN] if (small := _preview(ref))]


def _preview(ref: PictureRef) -> Preview | None:
    with suppress(InvalidImageError):
        return ref.preview()
    return None


class _Sources:
    """The addresses of pictures in a notebook, up to so many.

    They hold the `previews`, which can be opened at 512 pixels, or tiles where there are none or all of them
    would be too heavy.
    """

    def __init__(self, view: StoreView, previews: Sequence[Preview] = ()) -> None:
        self.view = view
        self.count = self.left = self._size = 0
        self._has_tiles = not previews or not are_light(previews)

    def __call__(self, ref: PictureRef) -> str:
        """Return an address that holds the small copy, or leads to the picture; nothing beyond the limit."""
        self.count += 1
        if self.count > MOST_SHOWN or self._size > HEAVIEST_SOURCES:
            self.left += 1
            return ""
        source = self._source(ref) if self.view.embed != "none" else ""
        self._size += len(source) if self.view.embed == "preview" else 0
        return source

    def _source(self, ref: PictureRef) -> str:
        if self.view.embed == "link" and (link := self.view.link(Blob(ref.sha256, ref.media_type))):
            return link
        if self.view.embed == "original":
            return _original(ref)
        small = _preview(ref)
        if small is None:
            return ""
        return self._tile(small) if self._has_tiles else data_uri(small)

    @property
    def more(self) -> str:
        """What is left out, in words."""
        if self.left:
            are = "picture is" if self.left == 1 else "pictures are"
            return f"{self.left:,} more {are} not shown here: to_html() shows all of them."
        if self.count and self._has_tiles and self.view.embed == "preview":
            return f"Pictures open at {TILE_EDGE} pixels, as there are many: to_html() shows them larger."
        return ""

    def _tile(self, small: Preview) -> str:
        with suppress(InvalidImageError):
            return data_uri(self.view.tile(small))
        return ""


def _image(ref: PictureRef, edge: int) -> Image:
    return decode(ref.preview().data) if edge <= EDGE else ref.load().image


def _small(ref: PictureRef) -> str:
    return data_uri(ref.preview())


def _original(ref: PictureRef) -> str:
    picture = ref.load()
    if isinstance(picture, MissingPicture):
        return _small(ref)
    return data_uri(Preview(picture.data, picture.media_type))


def _small_sheet(grid: Grid, table: Table, view: StoreView) -> Preview | None:
    """Return all pictures of a grid as one, with its labels; nothing where one of them cannot be shown."""
    from beluga_nb.show.sheet import small_sheet, words_of

    with suppress(InvalidImageError, StoreError, RequestError):
        # The store keeps a sheet by its parts, so it is made of all of them or not at all.
        if parts := [ref.preview() for cell in grid.cells for ref in grid.outcome(cell).pictures]:
            return view.labelled(parts, lambda: small_sheet(table), words_of(table))
    return None


def _place(study: Study, cell: Cell) -> tuple[str, ...]:
    return tuple(_joined(cell.labels[axis.name] for axis in axes) for axes in study.dimensions)


def _joined(labels: Iterable[str]) -> str:
    return " · ".join(labels)


def _dimension(axes: Sequence[Axis], present: Collection[str]) -> Dimension:
    """Return the labels of some axes that have a cell, and their texts."""
    rows = [row for row in zip(*(axis.choices for axis in axes), strict=True) if _label(row) in present]
    return Dimension(
        " · ".join(axis.name for axis in axes),
        tuple(map(_label, rows)),
        tuple(_joined(_text(axis, choice) for axis, choice in zip(axes, row, strict=True)) for row in rows),
    )


def _label(choices: Iterable[Choice]) -> str:
    return _joined(choice.label for choice in choices)


def _text(axis: Axis, choice: Choice) -> str:
    """Return the value of a label that was cut; else the label."""
    value = choice.sets.get(axis.name, "")
    return (
        value
        if choice.label.endswith(sanitize(value, LONGEST_LABEL)) and len(value) > LONGEST_LABEL
        else choice.label
    )


def _caption(grid: Grid, counts: Mapping[str, int]) -> str:
    states = [f"{count} {state}" for state, count in counts.items() if count]
    if counts[NOT_STARTED] == len(grid):
        pictures = f"{plural(sum(cell.request.n for cell in grid.cells), 'picture')} to make"
    else:
        pictures = plural(len(_refs(grid)), "picture")
    return "; ".join([f"{plural(len(grid), 'cell')}: {', '.join(states)}", pictures, *_remarks(grid)])


def _refs(grid: Grid) -> list[PictureRef]:
    return [ref for cell in grid.cells for ref in grid.outcome(cell).pictures]


def _remarks(grid: Grid) -> list[str]:
    """Return a remark on local previews, if there are any."""
    refs = _refs(grid)
    local = sum(ref.recipe.procedural for ref in refs)
    if local == len(refs) == 1:
        return ["a local preview, not model output"]
    some = "all" if local == len(refs) else f"{local}"
    return [f"{some} of them local previews, not model output"] if local else []


def _lines(grid: Grid) -> Iterator[tuple[Cell, PictureRef | None, BelugaError | None]]:
    """Yield each picture of a grid, and each cell that has failed or was not asked for."""
    for cell in grid.cells:
        outcome = grid.outcome(cell)
        yield from ((cell, ref, None) for ref in outcome.pictures)
        if outcome.error or not outcome.pictures:
            yield cell, None, outcome.error


def _facts(grid: Grid, workspace: Workspace) -> Iterator[tuple[Mapping[str, object], Mapping[str, str]]]:
    provenance = Provenance(workspace)
    for cell, ref, error in _lines(grid):
        if ref:
            row = provenance.row(ref, ref.media_type)
        else:
            row = {name: getattr(cell.request, name) for name in (*AXIS_PARAMETERS, "prompt")}
        yield row | {"error": error.message if error else None}, cell.labels
