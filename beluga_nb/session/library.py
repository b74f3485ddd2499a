"""Looking after the store: what is recorded is listed, brought back, checked, forgotten and sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from beluga_nb.config.settings import Settings
from beluga_nb.console import cannot_ask, surface
from beluga_nb.errors import RequestError
from beluga_nb.hints import Hint, Remedy
from beluga_nb.interrupted import explained
from beluga_nb.paths import absolute_path, path_of
from beluga_nb.result import Picture, Result
from beluga_nb.session.resources import Resources
from beluga_nb.session.watching import working
from beluga_nb.show.history import history_bundle, history_text
from beluga_nb.signatures import named_methods
from beluga_nb.store import marks
from beluga_nb.store.marks import Mark
from beluga_nb.store.opened import open_store
from beluga_nb.store.records import Store
from beluga_nb.text import and_more

# Lazy imports in here: the first picture of a kernel waits for none of it.
if TYPE_CHECKING:
    from beluga_nb.store.forget import Chosen, Forgotten
    from beluga_nb.store.pack import Packed
    from beluga_nb.store.runs import History
    from beluga_nb.store.unpack import Unpacked
    from beluga_nb.store.verify import Report
    from beluga_nb.store.weight import Weight

_STOPPED = ("stopped; nothing was changed.", "Run it again: it begins anew.")

_NAMED = 20  # runs that are named before they are forgotten


@named_methods
@dataclass(frozen=True)
class Library:
    """What a session has recorded; nothing here asks for pictures."""

    resources: Resources

    def open(self, folder: str | Path | None = None) -> Store:
        """Return the store of the session, or the one that another folder's settings name."""
        settings = self.resources.settings(absolute_path(path_of(folder)) if folder else None)
        # Another folder's store is used once, so its index is not kept in memory.
        return open_store(settings.store) if folder else self.resources.store(settings)

    @explained(lambda: _STOPPED)
    def history(
        self,
        text: str = "",
        *,
        model: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int = 50,
        page: int = 1,
    ) -> History:
        """Return the newest recorded runs: those with a text in the prompt, of a model, from a day to a day.

        Days are as in "2026-11-22", in UTC, both included. Page 2 lists those after the newest `limit`.
        """
        from beluga_nb.store.runs import history

        store = self.open()
        found = history(store, text, model=model, since=since, until=until, limit=limit, page=page)
        address = store.name if store.mirror else ""
        return replace(found, view=partial(history_bundle, store), surface=surface(), address=address)

    def recall(self, run: str) -> Result:
        """Return the recorded pictures of a run, by its name in the history, or how that begins.

        Raises `APIStatusError` where the model had declined.
        """
        return self._recalled(self.resources.settings(), run)

    def newest(self) -> Result:
        """Return the recorded pictures of the newest run that has some; raise `RequestError` if none has."""
        from beluga_nb.store.runs import runs

        settings = self.resources.settings()
        for run in runs(self.resources.store(settings)):
            if run.count:
                return self._recalled(settings, run.name)
        raise RequestError("There is no picture yet.", Hint("Ask for one: ", Remedy("generate")))

    def _recalled(self, settings: Settings, run: str) -> Result:
        from beluga_nb.store.runs import recall

        store = self.resources.store(settings)
        view = self.resources.store_view(settings, store, writing=False)
        return replace(recall(store, run), renderer=view, regenerate=self.resources.regenerate)

    def shown(self, notebook: str | Path) -> list[Result]:
        """Return the recorded pictures that the outputs of a notebook show, each as a result."""
        from beluga_nb.store.pack import shown_by

        store = self.open()
        entries = shown_by(store, path_of(notebook))
        return [Result(entry.request, (store.picture(entry),)) for entry in entries]

    @explained(lambda: _STOPPED)
    def verify(self, *notebooks: str | Path, progress: bool | None = None) -> list[Report]:
        """Return what is wrong with the store, or with the stores of some notebooks and what these show.

        After a second it shows how far it is, unless `progress` is false.
        """
        by_store: dict[Store, list[Path]] = {} if notebooks else {self.open(): []}
        for path in map(path_of, notebooks):
            by_store.setdefault(self.open(path.parent), []).append(path)
        work = working(self.resources, "verify", unit="file", progress=progress, left=_STOPPED)
        with work as (tally, beat):

            def count(total: int, checked: int) -> None:
                tally.wanted, tally.asked, tally.arrived = total, 1, checked
                beat()

            return [self._verified(store, paths, count) for store, paths in by_store.items()]

    def _verified(self, store: Store, notebooks: list[Path], count: Callable[[int, int], None]) -> Report:
        from beluga_nb.store.verify import verify

        if not store.mirror:
            return verify(store, notebooks, count=count)
        from beluga_nb.store.mirror import downloaded

        with downloaded(store) as copy:
            return verify(copy, notebooks, count=count)

    def forget(
        self,
        *names: str,
        older: str | None = None,
        prompt: str | None = None,
        everything: bool = False,
        assume_yes: bool = False,
    ) -> Forgotten:
        """Remove runs from the store, by name, age ("90d", "12w") and a text in the prompt: all must fit.

        Asks first, unless `assume_yes`; raises `NotConfirmedError` where it cannot ask. Notebooks, git's
        history and IPython's history are not touched.
        """
        from beluga_nb.store.forget import Forgotten, choose, forget

        store = self.open()
        chosen = choose(store, names, older=older, prompt=prompt, everything=everything)
        if not chosen:
            return Forgotten(chosen)  # nothing to ask about
        if not assume_yes and not self._is_confirmed(chosen):
            return Forgotten(chosen, declined=True)
        return forget(store, chosen)

    def pack(self, notebook: str | Path, *, to: str | Path | None = None) -> Packed:
        """Write a notebook and the recordings that it needs to a zip: beside it, or to the file `to`."""
        from beluga_nb.store.pack import pack

        notebook = path_of(notebook)
        return pack(self.open(notebook.parent), notebook, path_of(to) if to else None)

    def unpack(self, file: str | Path, *, into: str | Path = ".") -> Unpacked:
        """Put a packed notebook into a folder and its recordings into that folder's store, all checked."""
        from beluga_nb.store.unpack import unpack

        into = path_of(into)
        return unpack(path_of(file), self.open(into), into=into)

    def weigh(self, *notebooks: str | Path) -> list[Weight]:
        """Return what the pictures in some notebooks weigh, or in all of the folder's."""
        from beluga_nb.store.weight import weigh

        paths = list(map(path_of, notebooks))
        return [weigh(path) for path in paths or sorted(self.resources.preferences.folder.glob("*.ipynb"))]

    def marks(self) -> dict[str, Mark]:
        """Return which pictures are favourites, and the notes on them, by SHA-256."""
        return marks.marks(self.open())

    def mark(self, picture: Picture, *, favourite: bool, note: str = "") -> Mark:
        """Record whether a picture is a favourite, and a note; raise `StoreError` if not possible."""
        mark = Mark(picture=picture.sha256, favourite=favourite, note=note.strip())
        marks.write(self.open(), mark)
        return mark

    def _is_confirmed(self, chosen: Chosen) -> bool:
        if chosen.runs:
            rest = and_more(len(chosen.runs) - _NAMED)
            self.resources.notify(history_text(chosen.runs[:_NAMED], rest=rest))
        answer = self.resources.confirm(f"Forget {chosen}?")
        if answer is None:
            raise cannot_ask(
                f"{chosen}: to be forgotten", Hint("Nothing was removed. Confirm with ", Remedy("yes"), ".")
            )
        return answer
