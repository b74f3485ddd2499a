"""The collection: every recorded picture in a filmstrip, and what is done with several of them."""

from __future__ import annotations

import asyncio
import io
import zipfile
from dataclasses import replace
from functools import partial

from beluga_nb.errors import RequestError
from beluga_nb.images import SUFFIXES
from beluga_nb.result import MissingPicture, Picture, Preview
from beluga_nb.runtime import Job
from beluga_nb.show.preview import enlarged
from beluga_nb.store.forget import Chosen
from beluga_nb.store.zips import new
from beluga_nb.text import plural
from beluga_nb.widgets.data import Filters, PanelData, tags
from beluga_nb.widgets.jobs import DEBOUNCE, Jobs
from beluga_nb.widgets.state import File, Form, Item, Piece, State

WINDOW = 36
"""Items that the page has at once; it asks for others when they come into view."""

COMPARED = 4
"""Pictures that are compared at once."""

HEAVIEST_ZIP = 100 * 2**20
"""Bytes of pictures that are downloaded at once."""

_FILTERS = ("history_query", "history_model", "tag", "since", "until", "favourites")


class Collection:
    """Lists the pictures of the panel and of the store, and tags, downloads or forgets selected ones."""

    def __init__(self, data: PanelData, state: State, jobs: Jobs) -> None:
        self.data, self.state, self.jobs = data, state, jobs
        self._large: dict[str, Preview] = {}
        self._chosen: Chosen | None = None  # what it was asked whether to forget
        state.observe(lambda _: self._search_anew(), _FILTERS)
        state.observe(lambda _: self.refresh(), "gallery")
        state.observe(lambda _: self.jobs.restart("items", self._find), "at")
        state.observe(lambda _: self.jobs.restart("compared", self._enlarge), "picked")

    # The filmstrip.

    @property
    def filters(self) -> Filters:
        """What is looked for."""
        state = self.state
        return Filters(
            text=state.history_query,
            model=state.history_model,
            tag=state.tag.strip().removeprefix("#"),
            since=state.since,
            until=state.until,
            favourites=state.favourites,
        )

    def refresh(self) -> Job[None]:
        """List the pictures again: others may have recorded some."""
        return self.jobs.restart("items", self._find_later)

    def _search_anew(self) -> None:
        self.state.at = 0
        self.refresh()

    async def _find_later(self) -> None:
        await asyncio.sleep(DEBOUNCE)
        await self._find()

    async def _find(self) -> None:
        state = self.state
        items, total = await asyncio.to_thread(self._window, state.at)
        state.first, state.total, state.items = state.at, total, tuple(items)
        state.recorded_models = tuple(await asyncio.to_thread(self.data.recorded_models))

    def _window(self, first: int) -> tuple[list[Item], int]:
        filters, state = self.filters, self.state
        # What was asked for here comes first, whenever it was recorded, unless something is looked for.
        own = () if filters else state.gallery
        hashes = {piece.picture.sha256 for piece in own}
        shown = [self._item_of(piece) for piece in own[first : first + WINDOW]]
        if shown and not first:
            shown[0] = replace(shown[0], day="Asked for here")
        recorded, total = self.data.items(
            filters, first=max(0, first - len(own)), count=WINDOW - len(shown), without=hashes
        )
        return [*shown, *recorded], len(own) + total

    def _item_of(self, piece: Piece) -> Item:
        mark = self.data.note(piece.picture.sha256)
        return self.data.item_of(piece.picture, piece.preview, favourite=mark.favourite)

    def read(self, item: Item) -> Picture:
        """Return the picture of an item, from this panel or from the store; raise `StoreError`."""
        own = (piece.picture for piece in self.state.gallery)
        return next((each for each in own if each.sha256 == item.sha256), None) or self.data.picture(item)

    def toggle_favourite(self, item: Item) -> Job[None]:
        """Make a picture a favourite, or no longer one."""
        return self.jobs.start(partial(self._mark, item))

    async def _mark(self, item: Item) -> None:
        mark = await asyncio.to_thread(self.data.note, item.sha256)
        mark = replace(mark, favourite=not mark.favourite)
        await asyncio.to_thread(self.data.mark, mark)
        if self.state.chosen and self.state.chosen.picture.sha256 == item.sha256:
            self.state.favourite = mark.favourite
        await self._find()

    # Selected pictures.

    def pick(self, item: Item) -> None:
        """Select a picture, or no longer."""
        rest = tuple(each for each in self.state.picked if each.sha256 != item.sha256)
        self.state.question, self._chosen = "", None
        self.state.picked = rest if len(rest) < len(self.state.picked) else (*rest, item)

    def clear(self) -> None:
        """Select nothing."""
        self.keep()
        self.state.picked = ()

    def keep(self) -> None:
        """Forget nothing; what is selected stays so."""
        self.state.question, self._chosen = "", None

    async def _enlarge(self) -> None:
        items = self.state.picked[:COMPARED]
        self._large = {item.sha256: self._large[item.sha256] for item in items if item.sha256 in self._large}
        self.state.compared = tuple([await asyncio.to_thread(self._enlarged, item) for item in items])

    def _enlarged(self, item: Item) -> Preview:
        if item.sha256 not in self._large:
            self._large[item.sha256] = enlarged(self.read(item))
        return self._large[item.sha256]

    def tag(self, form: Form | None = None) -> Job[None]:
        """Add the tag that was typed at the click to the notes of the selected pictures."""
        typed = form.new_tag if form else self.state.new_tag
        return self.jobs.start(partial(self._tag, typed.strip().removeprefix("#"), self.state.picked))

    async def _tag(self, tag: str, items: tuple[Item, ...]) -> None:
        if tags(f"#{tag}") != [tag]:
            raise RequestError(f"“{tag[:40]}” is not a tag.", "Use letters, digits, - and _.")
        for item in items:
            await asyncio.to_thread(self.data.add_tag, item.sha256, tag)
        self.state.message = f"{plural(len(items), 'picture')} tagged #{tag}."
        await self._find()

    def download(self) -> Job[None]:
        """Make the exact bytes of the selected pictures ready for download, in a zip."""
        return self.jobs.start(self._zip)

    async def _zip(self) -> None:
        items = self.state.picked
        data = await asyncio.to_thread(self._zipped, items)
        self.state.file = File(
            f"beluga-{plural(len(items), 'picture').replace(' ', '-')}.zip", "application/zip", data
        )

    def _zipped(self, items: tuple[Item, ...]) -> bytes:
        buffer, weight = io.BytesIO(), 0
        with zipfile.ZipFile(buffer, "w") as zipped:
            for number, item in enumerate(items, 1):
                picture = self.read(item)
                if isinstance(picture, MissingPicture):
                    raise picture.error
                weight += len(picture.data)
                if weight > HEAVIEST_ZIP:
                    raise RequestError(
                        f"{plural(len(items), 'picture')} are more than {HEAVIEST_ZIP // 2**20} MB.",
                        "Select fewer.",
                    )
                suffix = SUFFIXES[picture.media_type]
                zipped.writestr(new(f"{number:03}-{picture.sha256[:12]}{suffix}"), picture.data)
        return buffer.getvalue()

    def ask_to_forget(self) -> Job[None]:
        """Ask whether to forget the runs of the selected pictures."""
        return self.jobs.start(self._ask_to_forget)

    async def _ask_to_forget(self) -> None:
        self._chosen = chosen = await asyncio.to_thread(self.data.runs_of, self._selected)
        others = sum(run.count for run in chosen.runs) - len(self._selected)
        more = f" {others} of them not selected: a run is forgotten as a whole." if others > 0 else ""
        self.state.question = f"Forget {chosen}?{more}"

    def forget(self) -> Job[None]:
        """Remove the runs of the selected pictures from the store, as was asked."""
        return self.jobs.start(self._forget)

    async def _forget(self) -> None:
        chosen, self._chosen = self._chosen, None
        self.clear()
        if chosen is None:
            return
        state, gone = self.state, {image for run in chosen.runs for image in run.images}
        state.message = str(await asyncio.to_thread(self.data.forget, chosen))
        state.gallery = tuple(each for each in state.gallery if each.picture.sha256 not in gone)
        if state.chosen and state.chosen.picture.sha256 in gone:
            state.chosen = None
        await self._find()

    @property
    def _selected(self) -> set[str]:
        return {item.sha256 for item in self.state.picked}
