"""A large grid as a folder of pages, which opens from the disk: an index, its pages, and their pictures.

index.html               the counts of the grid, what has failed, and which labels each page has
page-0001.html           a page of at most 200 pictures
previews/1c/1c7f….jpg    their previews, named by the SHA-256 of the picture; or `pictures`, the exact ones
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from beluga_nb.compare.cell import PictureRef
from beluga_nb.compare.grid import Grid
from beluga_nb.compare.pages import MOST_SHOWN, Pages
from beluga_nb.images import SUFFIXES
from beluga_nb.paths import check_replaceable, has_content, make_folder, remove_older, save_file
from beluga_nb.redaction import redact
from beluga_nb.result import MissingPicture, Preview
from beluga_nb.show.grid_table import Table
from beluga_nb.show.markup import outside
from beluga_nb.show.page import body_of, page
from beluga_nb.show.template import document, read_template

INDEX = "index.html"

_GENERATOR = "beluga_nb grid"
_MARK = f'<meta name="generator" content="{_GENERATOR}">'.encode()
_PAGE = re.compile(r"page-\d{4,}\.html")


def write_pages(
    grid: Grid, folder: Path, table_of: Callable[..., Table], whole: Table, *, originals: bool
) -> Path:
    """Write a grid as a folder of pages and return its index; raise `StoreError` where that is not possible.

    Pages are made one by one, so that memory does not grow with the grid. `whole` has the caption of the
    whole grid, and its failed cells. Left-over pages of an earlier version in the folder are removed.
    """
    is_again = check_replaceable(folder, (INDEX,), mark=(INDEX, _MARK))
    make_folder(folder)
    pages = grid.divided(MOST_SHOWN, spread=False)
    save_file(folder / INDEX, redact(_index(whole, pages, title=folder.name)).encode())
    pictures = _Pictures(folder, originals=originals)
    for number, cells in enumerate(pages, 1):
        table = table_of(grid.part(cells), pictures)
        words = f"Page {number:,} of {len(pages):,}; {table.caption}"
        html = page(
            replace(table, caption=words),
            title=f"{folder.name}, page {number}",
            links=_links(number, len(pages)),
            images="data: 'self' file:",
        )
        save_file(folder / _name(number), redact(html).encode())
    if is_again:
        remove_older(folder, _PAGE, {_name(number) for number in range(1, len(pages) + 1)})
    return folder / INDEX


class _Pictures:
    """Writes pictures, each once, and returns their addresses relative to a page."""

    def __init__(self, folder: Path, *, originals: bool) -> None:
        self._folder = folder
        self._originals = originals

    def __call__(self, ref: PictureRef) -> str:
        picture = ref.load() if self._originals else None
        if picture is None or isinstance(picture, MissingPicture):
            place, file = "previews", ref.preview()
        else:
            place, file = "pictures", Preview(picture.data, picture.media_type)
        address = f"{place}/{ref.sha256[:2]}/{ref.sha256}{SUFFIXES[file.media_type]}"
        path = self._folder / address
        if not has_content(path, file.data):
            make_folder(path.parent)
            save_file(path, file.data)
        return address


def _index(whole: Table, pages: Pages, *, title: str) -> str:
    listed = "".join(
        f'<li><a href="{_name(number + 1)}">{outside(_range(pages, number))}</a></li>'
        for number in range(len(pages))
    )
    return document(
        body_of(whole, f"<main><ol>{listed}</ol></main>"),
        title=outside(title, 120),
        style=read_template("show/page.css"),
        generator=_GENERATOR,
    )


def _range(pages: Pages, number: int) -> str:
    """Return in words the first and the last label of a page, of each dimension that it has only in part."""
    if pages.is_list:
        first, *_, last = [pages[number][0], *pages[number]]
        return f"{' · '.join(first.key)} to {' · '.join(last.key)}"
    shown = [
        f"{name}: {' · '.join(labels[0])} to {' · '.join(labels[-1])}"
        for name, length, labels in zip(pages.names, pages.lengths, pages.labels(number), strict=True)
        if len(labels) < length
    ]
    return ", ".join(shown) or f"page {number + 1}"


def _links(number: int, count: int) -> str:
    links = [(INDEX, "All pages")]
    links += [(_name(number - 1), "← previous")] if number > 1 else []
    links += [(_name(number + 1), "next →")] if number < count else []
    shown = (f'<a href="{name}">{words}</a>' for name, words in links)
    return f"<nav>{' · '.join(shown)}</nav>"


def _name(number: int) -> str:
    return f"page-{number:04}.html"
