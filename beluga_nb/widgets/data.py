"""What a panel reads and writes beside calling for pictures: models, recordings, favourites, notes, tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

import beluga_nb.catalog as catalog
from beluga_nb.catalog import Model, Size
from beluga_nb.errors import InvalidImageError, RequestError, StoreError
from beluga_nb.result import Bundle, Picture, Preview, Result
from beluga_nb.session.session import Session
from beluga_nb.show.history import minute
from beluga_nb.show.preview import TILE_EDGE, recorded_preview, thumbnail
from beluga_nb.store.forget import Chosen, Forgotten, choose, forget
from beluga_nb.store.index import Row, Table
from beluga_nb.store.marks import Mark, marks, write
from beluga_nb.store.records import Store
from beluga_nb.store.runs import days, previews
from beluga_nb.text import sanitize
from beluga_nb.widgets.state import Item

_TAG = re.compile(r"(?<!\S)#([\w-]{1,40})")
_MOST_PREVIEWS = 600  # about 5 MB


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which recordings are listed; a tag is a word of the note that begins with #."""

    text: str = ""
    model: str = ""
    tag: str = ""
    since: str = ""
    until: str = ""
    favourites: bool = False

    def __bool__(self) -> bool:
        return self != Filters()


def tags(note: str) -> list[str]:
    """Return the tags of a note.

    >>> tags("for the #poster, no 5#6")
    ['poster']
    """
    return _TAG.findall(note)


@dataclass(frozen=True)
class PanelData:
    """What a session has for a panel to show."""

    session: Session
    _previews: dict[str, Preview | None] = field(default_factory=dict, repr=False)

    def backend(self, model: str = "") -> str:
        """Return who answers for a model, in which mode, and where a key was found; of the key nothing."""
        resources, settings = self.session.resources, self.session.settings()
        backend = resources.backend(settings.at(model or settings.model))
        who = backend.description + (": previews, not model output" if backend.is_local else "")
        key = backend.key.source if backend.key else "none"
        return f"Answers: {who}. Mode: {settings.mode}. Key: {key}."

    def spent(self) -> tuple[str, float]:
        """Return what was spent, in words, and its share of the caps, which is negative where none is set."""
        settings = self.session.settings()
        budget, caps = self.session.resources.budget_of(settings), settings.caps
        spent = budget.spent
        shares = [spent.images / caps.images] if caps.images else []
        shares += [float(spent.cost / caps.cost)] if caps.cost else []
        words = budget.words(caps) if spent.images or shares else ""
        return words, min(max(shares), 1.0) if shares else -1.0

    def models(self, text: str = "") -> list[Model]:
        """Return the models with all words of a text in id, name or provider, other servers' among them."""
        return catalog.matching(text, among=self.session.preferences.models())

    def model(self, name: str) -> Model | None:
        """Return a model that can be chosen, also one of another server that is not listed."""
        return self.session.preferences.model(name)

    def sizes(self, model: str = "") -> list[Size]:
        """Return the sizes that a model has, all of them for one that the catalogue does not know."""
        own = {label for each in catalog.models() if each.id == model for label in each.sizes}
        return [size for size in catalog.sizes() if not own or size.label in own]

    def items(
        self, filters: Filters, *, first: int, count: int, without: Collection[str] = ()
    ) -> tuple[list[Item], int]:
        """Return the recorded pictures from number `first` on, the newest first, and how many there are.

        `without` are SHA-256s of pictures that are shown elsewhere.
        """
        store = self.session.store.open()
        marked = marks(store)
        # While one scrolls, no file is edited by hand.
        table = store.index.recheck() if first else store.index.table()
        rows = table.once(_pictures)
        if filters:
            is_meant = _filter(filters, marked)
            rows = [row for row in rows if is_meant(row)]
        if without:
            rows = [row for row in rows if row.image not in without]
        # One row more, to know whether the first one begins a day.
        before = _day(rows[first - 1]) if 0 < first <= len(rows) else ""
        found = []
        for row in rows[first : first + count]:
            day = _day(row)
            found.append(self._item(store, row, marked, day="" if day == before else day))
            before = day
        return found, len(rows)

    def recorded_models(self) -> list[str]:
        """Return the models of the recorded pictures, in order of their names."""
        return self.session.store.open().index.recheck().once(_models)

    def _item(self, store: Store, row: Row, marked: Mapping[str, Mark], *, day: str) -> Item:
        sha256 = str(row.image)
        return Item(
            sha256=sha256,
            run=row.run,
            prompt=sanitize(row.prompt, 200),
            model=sanitize(row.model, 80),
            take=sanitize(row.take, 40),
            number=row.sample + 1,
            size=(row.width, row.height),
            day=day,
            favourite=sha256 in marked and marked[sha256].favourite,
            preview=self._preview(row.preview or sha256, partial(_read_tile, store, row)),
        )

    def item_of(self, picture: Picture, preview: Preview, *, favourite: bool) -> Item:
        """Return a picture of this panel, whether or not it is recorded."""
        request = picture.recipe.request
        return Item(
            sha256=picture.sha256,
            run="",
            prompt=sanitize(request.prompt, 200),
            model=sanitize(request.model, 80),
            take=sanitize(request.take, 40),
            number=request.sample + 1,
            size=picture.size,
            favourite=favourite,
            preview=preview,
        )

    def _preview(self, name: str, read: Callable[[], Preview | None]) -> Preview | None:
        if name not in self._previews:
            while len(self._previews) >= _MOST_PREVIEWS:
                self._previews.pop(next(iter(self._previews)), None)
            self._previews[name] = read()
        return self._previews[name]

    def picture(self, item: Item) -> Picture:
        """Return a recorded picture; raise `StoreError` where it is not recorded any more."""
        store = self.session.store.open()
        for row in store.index.recheck().once(_pictures):
            if row.image == item.sha256:
                return store.picture(row.entry)
        raise StoreError(f"The picture {item.sha256[:12]}… is not recorded any more.", "Ask for it again.")

    def note(self, sha256: str) -> Mark:
        """Return the note on a picture, and whether it is a favourite."""
        return marks(self.session.store.open()).get(sha256) or Mark(picture=sha256)

    def mark(self, mark: Mark) -> None:
        """Store a note, and whether a picture is a favourite."""
        write(self.session.store.open(), replace(mark, note=mark.note.strip()))

    def add_tag(self, sha256: str, tag: str) -> None:
        """Add a tag to the note on a picture, unless it has that."""
        mark = self.note(sha256)
        if tag not in tags(mark.note):
            self.mark(replace(mark, note=f"{mark.note} #{tag}"))

    def runs_of(self, hashes: Collection[str]) -> Chosen:
        """Return the runs that have some of these pictures, to be forgotten."""
        store = self.session.store.open()
        names = dict.fromkeys(row.run for row in store.index.table().rows if row.image in hashes)
        if not names:
            raise RequestError("None of these pictures is recorded.", "There is nothing to forget.")
        return choose(store, names)

    def forget(self, chosen: Chosen) -> Forgotten:
        """Remove runs from the store."""
        return forget(self.session.store.open(), chosen)

    def still(self, results: Sequence[Result]) -> Bundle:
        """Return several results as what a saved notebook shows of them, without anything that moves."""
        resources, settings = self.session.resources, self.session.settings()
        view = resources.store_view(settings, resources.store(settings), writing=settings.writes_store)
        return view.still(results)


def _pictures(table: Table) -> list[Row]:
    """Return the recordings that are pictures, each picture once, the newest first."""
    rows = sorted(
        (row for row in table.rows if row.image), key=lambda row: (-row.created, row.run, row.sample)
    )
    return list({row.image: row for row in reversed(rows)}.values())[::-1]


def _models(table: Table) -> list[str]:
    return sorted({sanitize(row.model, 80) for row in table.rows if row.image})


def _day(row: Row) -> str:
    return minute(row.created)[:10]


def _filter(filters: Filters, marked: Mapping[str, Mark]) -> Callable[[Row], bool]:
    text, (start, end) = filters.text.casefold(), days(filters.since or None, filters.until or None)

    def is_meant(row: Row) -> bool:
        mark = marked.get(str(row.image))
        return (
            text in row.prompt.casefold()
            and filters.model in {"", row.model}
            and start <= row.created < end
            and (not filters.favourites or bool(mark and mark.favourite))
            and (not filters.tag or bool(mark and filters.tag in tags(mark.note)))
        )

    return is_meant


def _read_tile(store: Store, row: Row) -> Preview | None:
    entry = row.entry
    with suppress(StoreError, InvalidImageError):
        kept = next(previews(store, [entry]), None)
        return thumbnail(recorded_preview(kept, lambda: store.picture(entry)), TILE_EDGE)
    return None
