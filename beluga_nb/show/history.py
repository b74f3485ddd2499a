"""The history of a store as a table, with small pictures where they can be shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from beluga_nb.errors import InvalidImageError
from beluga_nb.result import Bundle, Preview
from beluga_nb.show.markup import LOCAL_PREVIEW, address, data_uri, outside, table
from beluga_nb.show.preview import LISTED_EDGE, thumbnail
from beluga_nb.store.records import Store
from beluga_nb.text import and_more, sanitize

if TYPE_CHECKING:
    from beluga_nb.store.runs import History, Run

HEAD = ("run", "when (UTC)", "model", "pictures", "prompt", "")

_CELL = "text-align:left;padding:4px 14px 4px 0;vertical-align:top"
_UNBROKEN = f"{_CELL};white-space:nowrap"
_PROMPT = f"{_CELL};white-space:normal;min-width:16em;max-width:36em;overflow-wrap:anywhere"
_IMAGES = f"{_CELL};min-width:190px"
# Notebooks bound pictures by their cell, and in a table that would be by nothing.
_IMAGE = "max-height:64px;width:auto;max-width:none;border-radius:3px;display:inline-block;margin:0 4px 4px 0"
_NOTE = "opacity:.75"
_NAME_LENGTH = 12
_PICTURED = 4  # pictures of a run in the history


def history_bundle(store: Store, history: History) -> Bundle:
    """Return the history as HTML, with the previews that the store has, and as text."""
    thumbnails = [list(thumbnails_of(store, run, most=_PICTURED)) for run in history.runs]
    return {
        "text/html": history_html(history.runs, thumbnails, more=history.more, all=history.all),
        "text/plain": history_text(history.runs, more=history.more, all=history.all),
    }


def thumbnails_of(store: Store, run: Run, *, most: int, edge: int = LISTED_EDGE) -> Iterator[Preview]:
    """Yield small copies of the first pictures of a run, those that can be read."""
    from beluga_nb.store.runs import previews  # Lazy import, as in `Library`.

    for small in previews(store, run.pictures[:most]):
        with suppress(InvalidImageError):
            yield thumbnail(small, edge)


def history_text(runs: Sequence[Run], *, more: int = 0, all: bool = True) -> str:  # noqa: A002  as in History
    """Return the runs as aligned text."""
    if not runs:
        return _nothing(all)
    lines = table([_row(run, longest=80) for run in runs], HEAD)["text/plain"]
    return f"{lines}\n{and_more(more)}" if more > 0 else lines


def history_html(
    runs: Sequence[Run],
    thumbnails: Sequence[Sequence[Preview]],
    *,
    more: int = 0,
    all: bool = True,  # noqa: A002  as in History
) -> str:
    """Return the runs as a table, each with its small pictures."""
    if not runs:
        return f"<p>{_nothing(all)}</p>"
    top = "".join(f'<th style="{_CELL}">{outside(each)}</th>' for each in ("", *HEAD[:-1]))
    lines = "".join(_line(run, shown) for run, shown in zip(runs, thumbnails, strict=True))
    rest = f"<p>{outside(and_more(more))}</p>" if more > 0 else ""
    return f"<table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>{rest}"


def _nothing(everything: bool) -> str:
    return "Nothing is recorded." if everything else "Nothing that fits is recorded."


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
        return datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%d %H:%M") if created else "unknown"
    except (ValueError, OverflowError, OSError):  # the range depends on the system
        return "unknown"


def _line(run: Run, thumbnails: Sequence[Preview]) -> str:
    name, when, model, pictures, prompt, note = map(outside, _row(run, longest=160))
    cells = (
        ("".join(_images(thumbnails)), _IMAGES),
        (f"<code>{name}</code>", _UNBROKEN),
        (when, _UNBROKEN),
        (model, _UNBROKEN),
        (pictures, _CELL),
        # The note stands below the prompt: a narrow notebook would cut off another column.
        (f'{prompt}<div style="{_NOTE}">{note}</div>' if note else prompt, _PROMPT),
    )
    return "<tr>" + "".join(f'<td style="{style}">{cell}</td>' for cell, style in cells) + "</tr>"


def _images(thumbnails: Sequence[Preview]) -> Iterator[str]:
    for number, shown in enumerate(thumbnails, 1):
        yield f'<img src="{address(data_uri(shown))}" alt="picture {number}" style="{_IMAGE}">'
