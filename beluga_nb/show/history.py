"""The history of a store as a table, with small pictures where they can be shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from beluga_nb.errors import InvalidImageError
from beluga_nb.result import Bundle, Preview
from beluga_nb.show.markup import LOCAL_PREVIEW, address, data_uri, outside
from beluga_nb.show.preview import LISTED_EDGE, thumbnail
from beluga_nb.show.tables import Cell, Column, Kind, table, table_html
from beluga_nb.store.records import Store
from beluga_nb.text import sanitize

if TYPE_CHECKING:
    from beluga_nb.store.runs import History, Run

HEAD = ("run", "when (UTC)", "model", "pictures", "prompt", "")

_COLUMNS = (
    Column("run", Kind.CODE),
    Column("preview", Kind.NONE),
    Column("prompt", Kind.LONG),
    Column("model", Kind.ID),
    Column("pictures", Kind.NUMBER),
)
"""The columns of the HTML, which fit on paper, where nothing can scroll."""
# Notebooks bound pictures by their cell, and in a table that would be by nothing.
_IMAGE = "max-height:64px;width:auto;max-width:10vw;border-radius:3px;display:block;margin:0"
_IMAGES = "display:flex;flex-wrap:wrap;gap:4px;max-width:240px"
_NOTE = "opacity:.75"
_UNKNOWN = "unknown"
_NAME_LENGTH = 12
_CLIPPED = 160  # characters of a prompt; the whole is shown on hover
_PICTURED = 4  # pictures of a run in the history


def history_bundle(store: Store, history: History) -> Bundle:
    """Return the history as HTML, with the previews that the store has, and as text."""
    thumbnails = [list(thumbnails_of(store, run, most=_PICTURED)) for run in history.runs]
    return {
        "text/html": history_html(history.runs, thumbnails, rest=history.rest),
        "text/plain": history_text(history.runs, rest=history.rest),
    }


def thumbnails_of(store: Store, run: Run, *, most: int, edge: int = LISTED_EDGE) -> Iterator[Preview]:
    """Yield small copies of the first pictures of a run, those that can be read."""
    from beluga_nb.store.runs import previews  # Lazy import, as in `Library`.

    for small in previews(store, run.pictures[:most]):
        with suppress(InvalidImageError):
            yield thumbnail(small, edge)


def history_text(runs: Sequence[Run], *, rest: str = "") -> str:
    """Return the runs as aligned text; `rest` is the line below them, or in their place."""
    if not runs:
        return rest
    lines = table([_row(run, longest=80) for run in runs], HEAD)["text/plain"]
    return f"{lines}\n{rest}" if rest else lines


def history_html(runs: Sequence[Run], thumbnails: Sequence[Sequence[Preview]], *, rest: str = "") -> str:
    """Return the runs as a table, each with its small pictures."""
    if not runs:
        return f"<p>{outside(rest)}</p>"
    lines = [_line(run, shown) for run, shown in zip(runs, thumbnails, strict=True)]
    shown = table_html(lines, _COLUMNS, "History")
    return f"{shown}<p>{outside(rest)}</p>" if rest else shown


def _row(run: Run, *, longest: int) -> tuple[str, ...]:
    request = run.request
    model = f"{request.model}, take {request.take}" if request.take else request.model
    notes = [LOCAL_PREVIEW] * run.procedural + [run.note] * bool(run.note)
    return (
        sanitize(run.name, _NAME_LENGTH + 1)[:_NAME_LENGTH],
        minute(run.created),
        sanitize(model, 60),
        str(len(run.pictures)),
        sanitize(request.prompt, longest),
        sanitize("; ".join(notes), 120),
    )


def minute(created: int) -> str:
    """Return Unix time to the minute, in UTC; "unknown" if there is none, or it is out of range."""
    try:
        return datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%d %H:%M") if created else _UNKNOWN
    except (ValueError, OverflowError, OSError):  # the range depends on the system
        return _UNKNOWN


def _line(run: Run, thumbnails: Sequence[Preview]) -> tuple[Cell, ...]:
    name, when, model, pictures, prompt, note = _row(run, longest=_CLIPPED)
    # Time and note stand below other words: a narrow notebook would cut off further columns.
    time = f'<div style="{_NOTE}">{outside(when)}{" UTC" * (when != _UNKNOWN)}</div>'
    below = f'<div style="{_NOTE}">{outside(note)}</div>' if note else ""
    whole = run.request.prompt if len(run.request.prompt) > _CLIPPED else ""
    images = Cell("", before=f'<div style="{_IMAGES}">{"".join(_images(thumbnails))}</div>')
    words = Cell(prompt, after=below, title=whole)
    return (Cell(name, after=time), images, words, Cell(model), Cell(pictures))


def _images(thumbnails: Sequence[Preview]) -> Iterator[str]:
    for number, shown in enumerate(thumbnails, 1):
        yield f'<img src="{address(data_uri(shown))}" alt="picture {number}" style="{_IMAGE}">'
