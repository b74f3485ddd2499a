"""Looking after the store: what is recorded can be listed, brought back, checked, forgotten, sent."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from beluga_nb.console import check_yes
from beluga_nb.errors import InvalidImageError
from beluga_nb.paths import absolute_path, path_of
from beluga_nb.result import Bundle, Picture, Preview, Result
from beluga_nb.show.history import history_html, history_text
from beluga_nb.show.markup import bundle
from beluga_nb.show.preview import montage, thumbnail, tile
from beluga_nb.store import sheets
from beluga_nb.store.collection import Blob
from beluga_nb.store.records import Store

# What is wanted now and then is imported there: the first picture of a kernel waits for none of it.
if TYPE_CHECKING:
    from beluga_nb.store.forget import Chosen, Forgotten
    from beluga_nb.store.pack import Packed
    from beluga_nb.store.runs import History, Run
    from beluga_nb.store.unpack import Unpacked
    from beluga_nb.store.verify import Report
    from beluga_nb.store.weight import Weight

_NAMED = 20  # runs that are named before they are forgotten
_PICTURED = 4  # pictures of a run in the history


class Care:
    """The part of a session that looks after what is recorded; it asks nobody for pictures."""

    notify: Callable[[str], None]
    confirm: Callable[[str], bool | None]

    def history(
        self,
        text: str = "",
        *,
        model: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int = 50,
    ) -> History:
        """Return the newest recorded runs: those with a text in the prompt, of a model, from a day to a day.

        Days are as in "2026-11-22", in UTC, both included.
        """
        from beluga_nb.store.runs import history

        store = self._store()
        found = history(store, text, model=model, since=since, until=until, limit=limit)
        return replace(found, view=partial(_listed, store))

    def recall(self, run: str) -> Result:
        """Return the recorded pictures of a run, by its name in the history, or how that begins.

        Raises `APIStatusError` where the model had declined.
        """
        from beluga_nb.store.runs import recall

        store = self._store()
        return self._own(recall(store, run), self._view(store, writing=False))

    def verify(self, *notebooks: str | Path) -> list[Report]:
        """Return what is wrong with the store, or with the stores of some notebooks and what these show."""
        from beluga_nb.store.verify import verify

        if not notebooks:
            return [verify(self._store())]
        by_store: dict[Path, list[Path]] = {}
        for path in map(path_of, notebooks):
            by_store.setdefault(self._store(absolute_path(path.parent)).folder, []).append(path)
        return [verify(Store(folder), paths) for folder, paths in by_store.items()]

    def forget(
        self,
        *names: str,
        older: str | None = None,
        prompt: str | None = None,
        everything: bool = False,
        yes: bool = False,
    ) -> Forgotten:
        """Remove runs from the store, by name, age ("90d", "12w") or a text in the prompt; all that is said.

        Asks first, unless `yes`. Notebooks, git's history and IPython's history are not touched.
        """
        from beluga_nb.store.forget import Forgotten, choose, forget

        store = self._store()
        chosen = choose(store, names, older=older, prompt=prompt, everything=everything)
        if not chosen:
            return Forgotten(chosen)
        if not yes:
            self._check_forgetting(chosen)
        return forget(store, chosen)

    def pack(self, notebook: str | Path, *, to: str | Path | None = None) -> Packed:
        """Write a notebook and the recordings that it needs to a zip: beside it, unless said otherwise."""
        from beluga_nb.store.pack import pack

        notebook = path_of(notebook)
        return pack(self._store(absolute_path(notebook.parent)), notebook, path_of(to) if to else None)

    def unpack(self, file: str | Path, *, into: str | Path = ".") -> Unpacked:
        """Put a packed notebook into a folder and its recordings into that folder's store, all checked."""
        from beluga_nb.store.unpack import unpack

        into = path_of(into)
        return unpack(path_of(file), self._store(absolute_path(into)), into=into)

    def _check_forgetting(self, chosen: Chosen) -> None:
        if chosen.runs:
            self.notify(history_text(chosen.runs[:_NAMED], more=len(chosen.runs) - _NAMED))
        check_yes(
            self.confirm(f"Forget {chosen}?"),
            unasked=f"{chosen}: to be forgotten, and nobody can be asked here.",
            declined=f"{chosen}: not confirmed.",
            nothing="Nothing was removed.",
        )

    def _store(self, folder: Path | None = None) -> Store:
        raise NotImplementedError

    def weight(self, *notebooks: str | Path) -> list[Weight]:
        """Return what the pictures in some notebooks weigh, or in all of the folder's."""
        from beluga_nb.store.weight import weigh

        paths = list(map(path_of, notebooks))
        return [weigh(path) for path in paths or sorted(self._folder().glob("*.ipynb"))]

    def _folder(self) -> Path:
        raise NotImplementedError

    def _view(self, store: Store, *, writing: bool) -> Callable[[Result], Bundle]:
        raise NotImplementedError

    def _own(self, result: Result, view: Callable[[Result], Bundle] = bundle) -> Result:
        raise NotImplementedError


@dataclass(frozen=True)
class View:
    """How a session's results show themselves: several at once as the sheet that the store keeps of them.

    `embed` is the setting; links lead from the notebook's `folder` into the store.
    """

    store: Store
    writing: bool
    embed: str = "preview"
    folder: Path | None = None

    def __call__(self, result: Result) -> Bundle:
        return bundle(result, self._sheet, embed=self.embed, link=self._link)

    def _sheet(self, parts: Sequence[Preview]) -> Preview:
        return sheets.sheet(self.store, parts, lambda: montage(parts), writing=self.writing)

    def tile(self, small: Preview) -> Preview:
        """Return the copy of a preview that grids show: a sheet of one, which the store keeps."""
        return sheets.sheet(self.store, [small], lambda: tile(small), writing=self.writing)

    def labelled(
        self, parts: Sequence[Preview], make: Callable[[], Preview], words: Sequence[str]
    ) -> Preview:
        """Return the sheet of a grid, which the store keeps."""
        return sheets.sheet(self.store, parts, make, writing=self.writing, words=words)

    def _link(self, picture: Picture) -> str:
        return self.link(Blob(picture.sha256, picture.media_type))

    def link(self, blob: Blob) -> str:
        """Return the way from the notebook to recorded bytes, or nothing where there is none."""
        path = self.store.blob_path(blob)
        if self.folder is None or not os.path.isfile(path):
            return ""
        try:
            return quote(Path(os.path.relpath(path, self.folder)).as_posix())
        except ValueError:  # on another drive
            return ""


def _listed(store: Store, history: History) -> Bundle:
    shown = [_thumbnails(store, run) for run in history.runs]
    return {
        "text/html": history_html(history.runs, shown, more=history.more, all=history.all),
        "text/plain": history_text(history.runs, more=history.more, all=history.all),
    }


def _thumbnails(store: Store, run: Run) -> list[Preview]:
    from beluga_nb.store.runs import previews

    found = []
    for small in previews(store, run.pictures[:_PICTURED]):
        with suppress(InvalidImageError):
            found.append(thumbnail(small))
    return found
