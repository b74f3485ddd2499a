"""Runs: the recordings of one request and take under one provider.

A run is named by the key of its first sample. A call without a known end is a run, too, named by its id.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from beluga_nb.errors import RequestError, StoreError
from beluga_nb.hints import Hint, Remedy, Surface, on
from beluga_nb.interrupted import showing
from beluga_nb.redaction import redacted_bundle
from beluga_nb.request import Request, check_text
from beluga_nb.result import PROCEDURAL, Bundle, Preview, Result
from beluga_nb.store import pending
from beluga_nb.store.format import Entry
from beluga_nb.store.index import Row, Table
from beluga_nb.store.pending import Pending
from beluga_nb.store.records import Store
from beluga_nb.text import and_more, sanitize, shown

SHOWN_NAME = 12
"""Characters that are shown of a run's name."""

SHORTEST_NAME = 4
"""Characters that must be given of a run's name."""

IN_PROGRESS = "in progress"

Filter = Callable[[Row | Request], bool]
"""What tells whether a recording, or the request of a call without a known end, is meant."""

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
                IN_PROGRESS if self.call.on_its_way else f"no result. {self.call.why or 'Its kernel died.'}"
            )
        refusals = [row.refusal for row in self.rows if row.refused]
        return f"refused: {refusals[0].message}" if refusals and refusals[0] else ""

    @property
    def procedural(self) -> bool:
        """Whether the built-in painter drew any of it."""
        return any(row.engine == PROCEDURAL for row in self.rows)


@dataclass(frozen=True)
class History:
    """A page of runs, the newest first, how many `more` there are, and whether `all` were asked for.

    `surface` has the words for the next page, and `address` is that of the store, if it has one.
    """

    runs: tuple[Run, ...]
    more: int = 0
    all: bool = True
    page: int = 1
    surface: Surface = Surface.PYTHON
    address: str = ""
    view: Callable[[History], Bundle] | None = field(default=None, compare=False, repr=False)

    @property
    def rest(self) -> str:
        """The address of the store, how many runs are left out, and how to see them; empty without either.

        Where there are no runs, it says how to begin.
        """
        hint = Hint()
        if self.more:
            hint = Hint(f"{and_more(self.more)}: the next page is ", Remedy("page", str(self.page + 1)))
        elif not self.runs and self.all:
            hint = Hint("Nothing is recorded yet. Begin with ", Remedy("generate"))
        elif not self.runs:
            hint = Hint("Nothing that fits is recorded. ", Remedy("history"), " lists all runs.")
        # The address comes first: a hint may end with what is to be typed.
        return " ".join(filter(None, [self.address and f"In {self.address}.", on(hint, self.surface)]))

    @showing
    def _repr_mimebundle_(self, **_: object) -> Bundle:
        return redacted_bundle(self.view(self) if self.view else {"text/plain": repr(self)})


def runs(store: Store, table: Table | None = None, *, having: Filter | None = None) -> list[Run]:
    """Return every run of a store, the newest first, or those `having` a recording or call that is meant.

    The recordings are those in a table of the index, or as they are now.
    """
    return newest(store, table, having=having)[0]


def newest(
    store: Store,
    table: Table | None = None,
    *,
    having: Filter | None = None,
    start: float = -math.inf,
    end: float = math.inf,
    limit: int | None = None,
    skipped: int = 0,
) -> tuple[list[Run], int]:
    """Return the newest runs as `runs`, of those that came in a time, and how many older ones there are.

    The newest of all, as many as are `skipped`, are left out.
    """
    table = table or store.index.table()
    arrivals = table.once(_arrivals)
    names = arrivals if having is None else {row.run for row in table.rows if having(row)}
    calls = {call.run: call for call in pending.calls(store) if having is None or having(call.request)}
    times = {name: arrivals[name] for name in names} | {name: call.started for name, call in calls.items()}
    found = sorted((-time, name) for name, time in times.items() if start <= time < end)
    found = found[skipped:]
    listed = [name for _, name in found[:limit]]
    # Only these are made: a store may have very many.
    return _named(table, listed, calls), len(found) - len(listed)


def _named(table: Table, names: Sequence[str], calls: Mapping[str, Pending]) -> list[Run]:
    """Return the runs of these names, in their order."""
    by_name: dict[str, list[Row]] = {name: [] for name in names}
    for row in table.rows:
        if (name := row.run) in by_name:
            by_name[name].append(row)
    return [_unfinished(calls[name]) if name in calls else _of(by_name[name]) for name in names]


def _arrivals(table: Table) -> dict[str, int]:
    """Return the names of all runs, and when the newest recording of each came."""
    arrivals = dict[str, int]()
    for row in table.rows:
        name = row.run
        if row.created >= arrivals.get(name, row.created):
            arrivals[name] = row.created
    return arrivals


def _of(rows: list[Row]) -> Run:
    rows.sort(key=_sample)
    first = rows[0]
    created = max(row.created for row in rows)
    return Run(name=first.run, provider=first.provider, created=created, rows=tuple(rows))


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
    page: int = 1,
    also: Filter | None = None,
) -> History:
    """Return the newest runs: with a text in the prompt, of a model, from one day to another, both included.

    Days are written as 2026-11-22 and begin at midnight UTC. Page 2 lists those after the newest `limit`.
    With `also`, a recording must pass this too.
    """
    for name, number in (("limit", limit), ("page", page)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise RequestError(f"The {name} is {shown(number)}.", "Give a whole number from 1 on.")
    start, end = days(since, until)
    everything = not (text or model or since or until)
    filters = [_containing(text, model=model)] if text or model else []
    filters += [also] if also else []

    def having(each: Row | Request) -> bool:
        return all(is_meant(each) for is_meant in filters)

    found, more = newest(
        store,
        having=having if filters else None,
        start=start,
        end=end,
        limit=limit,
        skipped=(page - 1) * limit,
    )
    return History(tuple(found), more=more, all=everything and page == 1, page=page)


def _containing(text: str, *, model: str | None = None) -> Filter:
    """Return what tells recordings and calls by a text in the prompt, in upper or lower case, and a model."""
    check_text("text", text)
    folded = text.casefold()
    return lambda each: (model is None or each.model == model) and folded in each.prompt.casefold()


def days(since: str | None, until: str | None) -> tuple[float, float]:
    """Return the Unix times at which a day begins and another ends; without them, the time is not limited."""
    end = _midnight(until) + timedelta(days=1).total_seconds() if until else float("inf")
    return _midnight(since) if since else 0.0, end


def _midnight(day: str) -> float:
    try:
        then = date.fromisoformat(day)
    except (TypeError, ValueError):
        raise RequestError(f"{shown(day, 40)} is not a date.", "Give it as 2026-11-22.") from None
    return datetime(then.year, then.month, then.day, tzinfo=UTC).timestamp()


def find(store: Store, names: Sequence[str], table: Table | None = None) -> list[Run]:
    """Return the runs with these names or prefixes; raise `RequestError` for an unknown or ambiguous one."""
    table = table or store.index.table()
    calls = {call.run: call for call in pending.calls(store)}
    known = [*table.once(_arrivals), *calls]
    return _named(table, [_only(name, known) for name in names], calls)


def _only(name: str, known: Iterable[str]) -> str:
    if len(name) < SHORTEST_NAME:
        raise RequestError(
            f"'{sanitize(name, 40)}' is too short for the name of a run.",
            f"Give at least {SHORTEST_NAME} characters.",
        )
    begins = name.lower()
    found = [each for each in known if each.startswith(begins)]
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
    # From the first sample to the last, also where some between them are not recorded.
    samples = [picture.recipe.request.sample for picture in pictures]
    return Result(run.request.slice(samples[0], samples[-1] - samples[0] + 1), pictures)


def previews(store: Store, entries: Iterable[Entry]) -> Iterator[Preview]:
    """Yield the recorded previews of pictures that can be read."""
    for entry in entries:
        with contextlib.suppress(StoreError):
            if entry.preview:
                yield Preview(store.blob(entry.preview), entry.preview.media_type)
