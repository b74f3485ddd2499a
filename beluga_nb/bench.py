"""What a panel asks of a session beside pictures: what there is to choose, to find again, and to mark."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import beluga_nb.catalog as catalog
from beluga_nb.catalog import Model, Size
from beluga_nb.config.preferences import Preferences
from beluga_nb.engines.room import EngineRoom
from beluga_nb.errors import InvalidImageError
from beluga_nb.result import Bundle, Picture, Preview, Result
from beluga_nb.runtime import Job
from beluga_nb.show.markup import still
from beluga_nb.show.preview import montage, thumbnail
from beluga_nb.store import marks, sheets
from beluga_nb.store.marks import Mark
from beluga_nb.store.records import Store

if TYPE_CHECKING:
    from beluga_nb.config.settings import Settings
    from beluga_nb.redaction import Secret
    from beluga_nb.store.runs import History, Run

T = TypeVar("T")

_ALL = 100_000  # runs that favourites are looked for in
_FOUND_EDGE = 256


@dataclass(frozen=True, kw_only=True)
class Found:
    """A recorded run that has pictures: its name, what was asked, and its first picture, small."""

    name: str
    prompt: str
    model: str
    created: int
    count: int
    favourite: bool
    preview: Preview | None


class Bench:
    """The part of a session that a panel works on."""

    def beside(self, coroutine: Coroutine[Any, Any, T]) -> Job[T]:
        """Start a coroutine on the engines' own thread and return its job, whatever `bridge` says.

        What waits for a caller, as "nested" does, would never run behind a click.
        """
        return self._room.thread.submit(coroutine)

    def answering(self, model: str = "") -> str:
        """Return who answers for a model, in which mode, and where a key was found; of the key nothing."""
        now = self.settings()
        now = now.at(model or now.model)
        key = self._key(now)
        if now.own_engine:
            return f"Answers: the engine {now.own_engine.name}. Mode: {now.mode}. Key: none."
        who = now.base_url if key or now.named else "the built-in painter: previews, not model output"
        return f"Answers: {who}. Mode: {now.mode}. Key: {key.source if key else 'none'}."

    def offered(self, text: str = "") -> list[Model]:
        """Return the models with all words of a text in id, name or provider, other servers' among them."""
        return catalog.matching(text, among=self.preferences.models())

    def sizes_of(self, model: str) -> list[Size]:
        """Return the sizes that a model has, all of them for one that the catalogue does not know."""
        own = {label for each in catalog.models() if each.id == model for label in each.sizes}
        return [size for size in catalog.sizes() if not own or size.label in own]

    def found(
        self,
        text: str = "",
        *,
        model: str | None = None,
        since: str | None = None,
        until: str | None = None,
        favourites: bool = False,
        limit: int = 24,
    ) -> tuple[list[Found], int]:
        """Return the newest recorded runs that have pictures and fit, and how many more there are."""
        marked = self.marks()
        history = self.history(text, model=model, since=since, until=until, limit=_ALL)
        runs = [run for run in history.runs if run.count]
        if favourites:
            runs = [run for run in runs if _favourite(run, marked)]
        store = self._store()
        return [_found(store, run, marked) for run in runs[:limit]], max(0, len(runs) - limit)

    def marks(self) -> dict[str, Mark]:
        """Return what is said of recorded pictures, by their SHA-256."""
        return marks.marks(self._store())

    def mark(self, picture: Picture, *, favourite: bool, note: str) -> Mark:
        """Keep in the store whether a picture is a favourite, and a note; raise `StoreError` if not."""
        mark = Mark(picture=picture.sha256, favourite=favourite, note=note.strip())
        marks.write(self._store(), mark)
        return mark

    def still(self, results: Sequence[Result]) -> Bundle:
        """Return several results as what a saved notebook shows of them, without anything that moves."""
        if self.settings().embed == "none":
            return {"text/plain": still(results)["text/plain"]}
        store, writing = self._store(), self.settings().mode not in {"off", "replay"}

        def sheet(parts: Sequence[Preview]) -> Preview:
            return sheets.sheet(store, parts, lambda: montage(parts), writing=writing)

        return still(results, sheet)

    # What the session itself has.

    preferences: Preferences

    @property
    def _room(self) -> EngineRoom:
        raise NotImplementedError

    history: Callable[..., History]

    def settings(self, **said: object) -> Settings:
        raise NotImplementedError

    def _key(self, now: Settings) -> Secret | None:
        raise NotImplementedError

    def _store(self) -> Store:
        raise NotImplementedError


def _found(store: Store, run: Run, marked: Mapping[str, Mark]) -> Found:
    from beluga_nb.store.runs import previews

    small = None
    for each in previews(store, run.pictures[:1]):
        with suppress(InvalidImageError):
            small = thumbnail(each, _FOUND_EDGE)
    return Found(
        name=run.name,
        prompt=run.request.prompt,
        model=run.request.model,
        created=run.created,
        count=run.count,
        favourite=_favourite(run, marked),
        preview=small,
    )


def _favourite(run: Run, marked: Mapping[str, Mark]) -> bool:
    return any(name in marked and marked[name].favourite for name in run.images)
