"""What the store holds, as runs: the recordings of one request and take under one provider.

A run is named by the key of its first sample; a call without a known end is one too, named by its id.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

from beluga_nb.core import Bundle, Preview, Request, Result
from beluga_nb.errors import RequestError, StoreError, plain
from beluga_nb.store import pending
from beluga_nb.store.pending import Pending
from beluga_nb.store.records import Entry, Store, key
from beluga_nb.text import redacted_bundle

SHOWN_NAME = 12
"""Characters of a run's name that are shown."""

SHORTEST_NAME = 4
"""Characters of a run's name that must be given."""

ON_ITS_WAY = "on its way"


@dataclass(frozen=True, kw_only=True)
class Run:
    """The recordings of a request, in the order of their samples; or its `call`, which has no known end.

    `created` is when the newest of them came, in Unix seconds; 0 where that is not known.
    """

    name: str
    provider: str
    request: Request
    created: int
    entries: tuple[Entry, ...] = ()
    call: Pending | None = None

    @property
    def pictures(self) -> tuple[Entry, ...]:
        """The recordings that are pictures, not refusals."""
        return tuple(entry for entry in self.entries if entry.image)

    @cached_property
    def note(self) -> str:
        """What is out of the ordinary: a refusal, or an end that is not known."""
        if self.call:
            return (
                ON_ITS_WAY if self.call.on_its_way else f"no known end: {self.call.why or 'its kernel died'}"
            )
        refusals = [entry.refusal for entry in self.entries if entry.refusal]
        return f"refused: {refusals[0].message}" if refusals else ""

    @property
    def procedural(self) -> bool:
        """Whether the built-in painter drew any of it."""
        return any(entry.recipe.procedural for entry in self.entries)

    def mentions(self, text: str) -> bool:
        """Whether the prompt, or what the service made of it, holds a text; capitals do not matter."""
        revised = (entry.recipe.revised_prompt or "" for entry in self.entries)
        return any(text.casefold() in each.casefold() for each in (self.request.prompt, *revised))


@dataclass(frozen=True)
class History:
    """Some runs, the newest first, how many `more` there are, and whether `all` of them were asked for."""

    runs: tuple[Run, ...]
    more: int = 0
    all: bool = True
    view: Callable[[History], Bundle] | None = field(default=None, compare=False, repr=False)

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        return redacted_bundle(self.view(self) if self.view else {"text/plain": repr(self)})


def runs(store: Store) -> list[Run]:
    """Return every run of a store, the newest first."""
    by_request: dict[tuple[str, Request], list[Entry]] = {}
    for entry in store.entries():
        by_request.setdefault((entry.provider, entry.request.part(0)), []).append(entry)
    found = [_recorded(*of, entries) for of, entries in by_request.items()]
    found += [_unfinished(call) for call in pending.calls(store)]
    return sorted(found, key=lambda run: (-run.created, run.name))


def _recorded(provider: str, request: Request, entries: list[Entry]) -> Run:
    entries.sort(key=lambda entry: entry.request.sample)
    first = entries[0]
    return Run(
        name=key(request, provider=provider) if first.request.sample else first.key,
        provider=provider,
        request=request,
        created=max(entry.recipe.created for entry in entries),
        entries=tuple(entries),
    )


def _unfinished(call: Pending) -> Run:
    return Run(name=call.run, provider=call.provider, request=call.request, created=call.started, call=call)


def history(
    store: Store,
    text: str = "",
    *,
    model: str | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int = 50,
) -> History:
    """Return the newest runs: with a text in the prompt, of a model, from a day on, up to a day and with it.

    Days are written as 2026-11-22 and begin at midnight UTC.
    """
    if limit < 1:
        raise RequestError(f"The limit is {limit}.", "Give a whole number from 1 on.")
    start = _midnight(since) if since else 0.0
    end = _midnight(until) + timedelta(days=1).total_seconds() if until else float("inf")
    found = [
        run
        for run in runs(store)
        if text.casefold() in run.request.prompt.casefold()
        and (model is None or run.request.model == model)
        and start <= run.created < end
    ]
    everything = not (text or model or since or until)
    return History(tuple(found[:limit]), more=max(0, len(found) - limit), all=everything)


def _midnight(day: str) -> float:
    try:
        then = date.fromisoformat(day)
    except ValueError:
        raise RequestError(f"'{plain(day, 40)}' is no date.", "Give it as 2026-11-22.") from None
    return datetime(then.year, then.month, then.day, tzinfo=UTC).timestamp()


def find(store: Store, names: Sequence[str]) -> list[Run]:
    """Return the runs of these names or beginnings of names; raise `RequestError` where one is not clear."""
    everything = runs(store)
    return [_only(name, everything) for name in names]


def _only(name: str, everything: Sequence[Run]) -> Run:
    if len(name) < SHORTEST_NAME:
        raise RequestError(
            f"'{plain(name, 40)}' is too short for the name of a run.",
            f"Give at least {SHORTEST_NAME} characters.",
        )
    found = [run for run in everything if run.name.startswith(name.lower())]
    if not found:
        raise RequestError(f"There is no run '{plain(name, 80)}'.", "The history lists them.")
    if len(found) > 1:
        raise RequestError(
            f"{len(found)} runs begin with '{name}'.", "Give more of the name: the history lists them."
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
        raise next(entry.refusal for entry in run.entries if entry.refusal)
    return Result(run.request.part(pictures[0].recipe.request.sample, len(pictures)), pictures)


def previews(store: Store, entries: Iterable[Entry]) -> Iterator[Preview]:
    """Yield the recorded previews of pictures, those that can be read."""
    for entry in entries:
        with contextlib.suppress(StoreError):
            if entry.preview:
                yield Preview(store.blob(entry.preview), entry.preview.media_type)
