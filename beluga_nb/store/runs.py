"""Runs: the recordings of one request and take under one provider.

A run is named by the key of its first sample. A call without a known end is a run, too, named by its id.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from beluga_nb.errors import RequestError, StoreError
from beluga_nb.hints import Hint, Remedy
from beluga_nb.redaction import redacted_bundle
from beluga_nb.request import Request
from beluga_nb.result import PROCEDURAL, Bundle, Preview, Result
from beluga_nb.store import pending
from beluga_nb.store.format import Entry, key
from beluga_nb.store.index import Row, Table
from beluga_nb.store.pending import Pending
from beluga_nb.store.records import Store
from beluga_nb.text import sanitize

SHOWN_NAME = 12
"""Characters that are shown of a run's name."""

SHORTEST_NAME = 4
"""Characters that must be given of a run's name."""

IN_PROGRESS = "in progress"

_LISTED = Hint(Remedy("history"), " lists all runs.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """The recordings of a request, in the order of their samples; or its `call`, which has no known end.

    `created` is when the newest of them came, in Unix seconds; 0 where that is not known. `rows` are the
    recordings in the index.
    """

    name: str
    provider: str
    created: int
    rows: tuple[Row, ...] = field(default=(), repr=False)
    call: Pending | None = None

    @property
    def request(self) -> Request:
        """What was asked for."""
        return self.call.request if self.call else self.rows[0].request.slice(0)

    @property
    def prompt(self) -> str:
        """The prompt that was asked for."""
        return self.call.request.prompt if self.call else self.rows[0].prompt

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return self.call.request.model if self.call else self.rows[0].model

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the recordings."""
        return tuple(row.key for row in self.rows)

    @property
    def images(self) -> tuple[str, ...]:
        """The pictures by their SHA-256."""
        return tuple(row.image for row in self.rows if row.image)

    @property
    def count(self) -> int:
        """How many pictures there are."""
        return len(self.images)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The recordings."""
        return tuple(row.entry for row in self.rows)

    @property
    def pictures(self) -> tuple[Entry, ...]:
        """The recordings that are pictures, not refusals."""
        return tuple(row.entry for row in self.rows if row.image)

    @property
    def note(self) -> str:
        """A refusal, or why the end is not known; nothing for pictures."""
        if self.call:
            return (
                IN_PROGRESS if self.call.on_its_way else f"no known end: {self.call.why or 'its kernel died'}"
            )
        refusals = [row.refusal for row in self.rows if row.refused]
        return f"refused: {refusals[0].message}" if refusals and refusals[0] else ""

    @property
    def procedural(self) -> bool:
        """Whether the built-in painter drew any of it."""
        return any(row.engine == PROCEDURAL for row in self.rows)

    def mentions(self, text: str) -> bool:
        """Whether the prompt or the revised prompt holds a text, in upper or lower case."""
        folded = text.casefold()
        revised = (row.revised_prompt or "" for row in self.rows)
        return any(folded in each.casefold() for each in (self.prompt, *revised))


@dataclass(frozen=True)
class History:
    """Some runs, the newest first, how many `more` there are, and whether `all` were asked for."""

    runs: tuple[Run, ...]
    more: int = 0
    all: bool = True
    view: Callable[[History], Bundle] | None = field(default=None, compare=False, repr=False)

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        return redacted_bundle(self.view(self) if self.view else {"text/plain": repr(self)})


def runs(store: Store, table: Table | None = None) -> list[Run]:
    """Return every run of a store, the newest first: by a table of its index, or the index as it is now."""
    recorded = (table or store.index.table()).once(_recorded)
    found = recorded + [_unfinished(call) for call in pending.calls(store)]
    return sorted(found, key=_newest_first)


def _newest_first(run: Run) -> tuple[int, str]:
    return -run.created, run.name


def _recorded(table: Table) -> list[Run]:
    by_request: dict[tuple[object, ...], list[Row]] = {}
    for row in table.rows:
        by_request.setdefault(row.asked, []).append(row)
    return sorted(map(_of, by_request.values()), key=_newest_first)


def _of(rows: list[Row]) -> Run:
    rows.sort(key=_sample)
    first = rows[0]
    return Run(
        # The name does not depend on which samples are recorded.
        name=key(first.request.slice(0), provider=first.provider) if first.sample else first.key,
        provider=first.provider,
        created=max(row.created for row in rows),
        rows=tuple(rows),
    )


def _sample(row: Row) -> int:
    return row.sample


def _unfinished(call: Pending) -> Run:
    return Run(name=call.run, provider=call.provider, created=call.started, call=call)


def history(
    store: Store,
    text: str = "",
    *,
    model: str | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int = 50,
) -> History:
    """Return the newest runs: with a text in the prompt, of a model, from one day to another, both included.

    Days are written as 2026-11-22 and begin at midnight UTC.
    """
    if limit < 1:
        raise RequestError(f"The limit is {limit}.", "Give a whole number from 1 on.")
    start = _midnight(since) if since else 0.0
    end = _midnight(until) + timedelta(days=1).total_seconds() if until else float("inf")
    folded = text.casefold()
    found = [
        run
        for run in runs(store)
        if folded in run.prompt.casefold()
        and (model is None or run.model == model)
        and start <= run.created < end
    ]
    everything = not (text or model or since or until)
    return History(tuple(found[:limit]), more=max(0, len(found) - limit), all=everything)


def _midnight(day: str) -> float:
    try:
        then = date.fromisoformat(day)
    except ValueError:
        raise RequestError(f"'{sanitize(day, 40)}' is not a date.", "Give it as 2026-11-22.") from None
    return datetime(then.year, then.month, then.day, tzinfo=UTC).timestamp()


def find(store: Store, names: Sequence[str], table: Table | None = None) -> list[Run]:
    """Return the runs with these names or prefixes; raise `RequestError` for an unknown or ambiguous one."""
    known = runs(store, table)
    return [_only(name, known) for name in names]


def _only(name: str, known: Sequence[Run]) -> Run:
    if len(name) < SHORTEST_NAME:
        raise RequestError(
            f"'{sanitize(name, 40)}' is too short for the name of a run.",
            f"Give at least {SHORTEST_NAME} characters.",
        )
    found = [run for run in known if run.name.startswith(name.lower())]
    if not found:
        raise RequestError(f"There is no run '{sanitize(name, 80)}'.", _LISTED)
    if len(found) > 1:
        raise RequestError(
            f"The names of {len(found)} runs begin with '{name}'.", Hint("Give more of the name. ", _LISTED)
        )
    return found[0]


def recall(store: Store, name: str) -> Result:
    """Return the recorded pictures of a run; raise the refusal that came instead, if one did."""
    [run] = find(store, [name])
    if run.call:
        raise StoreError(
            f"The call {run.name[:SHOWN_NAME]} has no pictures ({run.note}).",
            "Run its cell again to ask anew.",
        )
    pictures = tuple(store.picture(entry) for entry in run.pictures)
    if not pictures:
        raise next(refusal for row in run.rows if (refusal := row.refusal))
    return Result(run.request.slice(pictures[0].recipe.request.sample, len(pictures)), pictures)


def previews(store: Store, entries: Iterable[Entry]) -> Iterator[Preview]:
    """Yield the recorded previews of pictures that can be read."""
    for entry in entries:
        with contextlib.suppress(StoreError):
            if entry.preview:
                yield Preview(store.blob(entry.preview), entry.preview.media_type)
