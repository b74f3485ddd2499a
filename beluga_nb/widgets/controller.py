"""The actions of the panel: each starts a job on the I/O thread and returns at once.

Nothing here blocks or prints. Messages that a call prints in a cell go to `state.message`; an error goes to
`state.error`, in the two lines that a cell shows.
"""

from __future__ import annotations

import asyncio
import builtins
import itertools
import keyword
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

from beluga_nb.compare.grid import Grid
from beluga_nb.engines.call import Tally
from beluga_nb.errors import BelugaError, RequestError
from beluga_nb.hints import Code, Hint
from beluga_nb.images import SUFFIXES
from beluga_nb.placeholders import filled, names
from beluga_nb.process.work import revocable
from beluga_nb.result import Bundle, IncompleteError, MissingPicture, Picture, Preview, Result
from beluga_nb.runtime import Job
from beluga_nb.session.resources import ASK_ABOVE
from beluga_nb.session.session import Session
from beluga_nb.session.watching import unfinished
from beluga_nb.show.lightbox import cell_of
from beluga_nb.show.preview import TILE_EDGE, enlarged, preview_of, thumbnail
from beluga_nb.show.recipe import recipe_text
from beluga_nb.text import plural, sanitize
from beluga_nb.widgets.collection import Collection
from beluga_nb.widgets.composer import NO_TAKE, Composer
from beluga_nb.widgets.data import Filters, PanelData
from beluga_nb.widgets.grid_builder import GridBuilder
from beluga_nb.widgets.jobs import Jobs, Task
from beluga_nb.widgets.state import Failure, File, Form, Item, Piece, State, Work

T = TypeVar("T")

MOST_SHOWN = 20
"""Pictures of this panel that a saved notebook shows; all others are in the store."""

MOST_FAILURES = 8
"""Failed calls that are listed; the oldest go."""

POLL_INTERVAL = 0.05
"""Seconds between updates of a running call's progress."""

_HELD = (
    "Nothing was sent: it would make more pictures than was shown before, or others. Click again to go ahead."
)

REPEAT = 0.75
"""Seconds in which clicks for the same count once, whatever came of the first, and in which no click answers
a question; a held key repeats after about 0.5."""


class Controller:
    """Runs the panel's actions on a session, and writes their outcome into the state."""

    def __init__(
        self,
        session: Session,
        state: State,
        *,
        names: MutableMapping[str, object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.session = session
        self.state = state
        self.data = PanelData(session)
        self._names = names if names is not None else {}
        self._jobs = Jobs(session, state)
        self.composer = Composer(session, self.data, state, self._jobs, self._names)
        self.collection = Collection(self.data, state, self._jobs)
        self.builder = GridBuilder(session, state, self._jobs, self.composer)
        # What was recorded or forgotten, here or elsewhere, changes what a click would do and what was spent.
        state.observe(lambda _: self.composer.renew(), "total")
        state.observe(lambda _: self.composer.describe(), "total")
        self._clock = clock
        self._numbers = itertools.count(1)
        self._clicking = threading.Lock()  # with subshells, clicks arrive on several threads
        self._asked: dict[int, object] = {}  # what the running calls ask for
        self._clicked: tuple[object, float] = (None, 0.0)  # what the latest click asked for, and its time
        self._calls: dict[int, Job[None]] = {}

    def open(self) -> Job[None]:
        """Show who answers, and what the store has: its newest run is on the stage."""
        self.composer.describe()
        self.collection.refresh()
        self.session.resources.arrivals.add(self.collection)
        return self._jobs.restart("newest", self._open_newest)

    async def _open_newest(self) -> None:
        items, _ = await asyncio.to_thread(partial(self.data.items, Filters(), first=0, count=1))
        if items and not self.state.chosen:
            await self._recall(items[0])

    @property
    def jobs(self) -> list[Job[None]]:
        """The jobs that are running."""
        return self._jobs.running

    @property
    def failure(self) -> Exception | None:
        """The last unexpected exception."""
        return self._jobs.failure

    # Calls.

    def generate(self, form: Form | None = None) -> Job[None] | None:
        """Send the form's request as it was at the click, unless that takes more than the button said then.

        Returns None where the same one is running, or was asked for just before.
        """
        form = form or self.composer.form
        try:
            self.composer.check(form)
        except BelugaError as error:
            self._jobs.show(error)
            return None
        return self._ask(self.composer.arguments_of(form), values=self.composer.values(), form=form)

    def again(self) -> Job[None] | None:
        """Request the chosen picture's result again, as a new take; as `generate`."""
        if not (piece := self._chosen()):
            return None
        recipe = piece.result.recipe
        rest = {name: value for name, value in recipe.arguments.items() if name not in {"take", "sample"}}
        # The form never asks for so many, but a result of the history may have come from anywhere.
        if recipe.request.n > ASK_ABOVE:
            self._jobs.show(
                RequestError(
                    f"{recipe.request.n} new pictures are more than {ASK_ABOVE}, too many for one click.",
                    "In a cell, a new take of it asks you first.",
                )
            )
            return None
        return self._ask({"prompt": recipe.request.prompt, "mode": "refresh"} | rest)

    def retry(self, failure: Failure) -> Job[None] | None:
        """Send the request of a failed call again; as `generate`."""
        arguments: dict[str, Any] = dict(failure.arguments)
        values: Mapping[str, object] | None = arguments.pop("values")
        if values is not None and not values.keys() >= set(names(arguments["prompt"])):
            values = self.composer.values()  # it was refused for want of them
        job = self._ask(arguments, values=values)
        if job:
            self.dismiss(failure)
        return job

    def dismiss(self, failure: Failure) -> None:
        """List a failed call no longer, and show its error no longer."""
        self.state.failures = tuple(each for each in self.state.failures if each is not failure)
        if self.state.error == failure.lines:
            self.state.error = ()

    def stop(self, number: int) -> None:
        """Stop a call, from any thread."""
        if job := self._calls.pop(number, None):
            job.cancel()

    def stop_all(self) -> None:
        """Stop all calls, from any thread."""
        for number in list(self._calls):
            self.stop(number)

    def _ask(
        self,
        arguments: dict[str, Any],
        *,
        values: Mapping[str, object] | None = None,
        form: Form | None = None,
    ) -> Job[None] | None:
        asked = arguments
        if "mode" in arguments and not self._may_ask():
            self.state.message = NO_TAKE
            return None
        if values is not None:
            with suppress(BelugaError):  # a prompt that cannot be filled is refused by the call itself
                asked = arguments | {"prompt": filled(arguments["prompt"], values)}
        if number := self._clicked_for(asked):
            call = partial(self._call, number, asked, arguments | {"values": values}, form)
            return self._start(number, call)
        return None

    def _may_ask(self) -> bool:
        self.composer.describe()  # a cell may have changed the mode
        with suppress(BelugaError):  # the call itself reports it
            return self.session.settings().may_ask
        return True

    def _start(self, number: int, call: Task) -> Job[None]:
        job = self._calls[number] = self._jobs.start(call)
        # A quick call may have ended before its job was stored.
        if number not in self._asked:
            self._calls.pop(number, None)
        return job

    def _end(self, number: int) -> None:
        self._asked.pop(number, None)
        self._calls.pop(number, None)
        self.state.work = tuple(each for each in self.state.work if each.number != number)

    def _clicked_for(self, asked: object) -> int:
        """Return a number for what a click asks for; 0, with a message, where the click is ignored."""
        with self._clicking:
            time = self._clock()
            (before, clicked), self._clicked = self._clicked, (asked, time)
            if asked in self._asked.values():
                ignored = "The same is under way already."
            elif asked == before and time - clicked < REPEAT:
                ignored = "The same was asked for just now."
            else:
                number = next(self._numbers)
                self._asked[number] = asked
                return number
        if self.state.message != _HELD:
            self.state.message = ignored
        return 0

    def _hold(self, asked: object) -> None:
        """Send nothing: it would make more than the button showed. The next click comes after a pause."""
        with self._clicking:
            self._clicked = asked, self._clock()
        self.state.message = _HELD

    async def _call(
        self, number: int, asked: dict[str, Any], arguments: dict[str, Any], form: Form | None
    ) -> None:
        try:
            if form and await self.composer.exceeds(form, arguments["values"]):
                self._hold(asked)
            else:
                await self._send(number, asked, arguments)
        finally:
            self._end(number)

    async def _send(self, number: int, asked: dict[str, Any], arguments: dict[str, Any]) -> None:
        work = Work(number, asked["prompt"], asked["model"], asked.get("n", 1))
        submit = partial(self.session.submit, **arguments, assume_yes=True, bridge="thread")
        tally = Tally()
        try:
            self._begin(work)
            result = await self._answer(work, submit, tally)
            await self._add(result)
            self.state.message = f"{plural(len(result), 'picture')} of “{sanitize(work.prompt, 60)}”."
        except IncompleteError as error:
            await self._add(error.result)
            self._list_failure(number, error, arguments)
            raise
        except BelugaError as error:
            self._list_failure(number, error, arguments)
            raise
        except asyncio.CancelledError:
            await self._say_stopped(work, tally)
            raise

    async def _say_stopped(self, work: Work, tally: Tally) -> None:
        lost = await asyncio.to_thread(unfinished, self.session.resources, tally)
        words = f"Stopped: “{sanitize(work.prompt, 60)}”. What had arrived is in the store."
        self.state.message = f"{words} {lost}." if lost else words

    def _list_failure(self, number: int, error: BelugaError, arguments: Mapping[str, object]) -> None:
        self.state.message = ""
        lines = tuple(map(sanitize, error.lines(beside_badge=True)))
        failure = Failure(number, lines, error.billing, arguments)
        self.state.failures = (failure, *self.state.failures)[:MOST_FAILURES]

    async def _answer(self, work: Work, submit: Callable[..., Job[T]], tally: Tally) -> T:
        began = self._clock()
        # On a thread, since it reads files before it starts. The bridge "nested" waits for a caller, and
        # would never run behind a click.
        job = await revocable(partial(submit, tally=tally), lambda job: job.cancel())
        try:
            while not job.done():
                seconds = int(self._clock() - began)
                # Recorded pictures are not requested, so they never arrive.
                asked = tally.asked or work.asked
                self._show(replace(work, asked=asked, arrived=tally.arrived, seconds=seconds))
                await asyncio.sleep(POLL_INTERVAL)
        except asyncio.CancelledError:
            job.cancel()
            with suppress(BelugaError, asyncio.CancelledError):
                await job
            raise
        return await job

    def _begin(self, work: Work) -> None:
        # Its tile may be below the window.
        self.state.message = f"Running: “{sanitize(work.prompt, 60)}”."
        self._show(work)

    def _show(self, work: Work) -> None:
        others = (each for each in self.state.work if each.number != work.number)
        self.state.work = tuple(sorted((*others, work), key=lambda each: each.number))

    # Grids.

    def run_grid(self, form: Form | None = None) -> Job[None] | None:
        """Run the grid as it was at the click, or ask first whether so many pictures are meant."""
        form = form or self.composer.form
        try:
            asked = self.builder.asked_for(form)
        except BelugaError as error:
            self._jobs.show(error)
            return None
        if not (number := self._clicked_for(asked)):
            return None
        if not self.builder.confirmed(form, asked):
            self._end(number)
            return None
        return self._start(number, partial(self._run_grid, number, form, asked, self.composer.values()))

    async def _run_grid(
        self,
        number: int,
        form: Form,
        asked: tuple[str, dict[str, Any], dict[str, Any]],
        values: Mapping[str, object],
    ) -> None:
        try:
            if grid := await self.builder.made(form, asked, values):
                work = Work(number, asked[0], f"grid of {len(grid)}", len(grid) * form.n)
                await self._send_grid(work, grid)
            else:
                self._hold(asked)
        finally:
            self._end(number)

    async def _send_grid(self, work: Work, grid: Grid) -> None:
        tally = Tally()
        try:
            self._begin(work)
            await self._answer(work, partial(grid.submit, assume_yes=True), tally)
            self.state.message = ""  # the grid says of itself what came of it
        except asyncio.CancelledError:
            await self._say_stopped(work, tally)
            raise
        finally:
            await self.builder.show(grid)
            await self._list_grid(grid)
            self.composer.describe()

    async def _list_grid(self, grid: Grid) -> None:
        keys = [cell.key for cell in grid.cells if grid.outcome(cell).pictures][:MOST_SHOWN]
        results = [await asyncio.to_thread(grid.__getitem__, key) for key in keys]
        self._list([piece for result in results for piece in await self._pieces(result)])

    # Results.

    async def _add(self, result: Result) -> None:
        fresh = await self._pieces(result)
        self.state.result = result
        self._list(fresh)
        if fresh:
            self.choose(fresh[0])
        self.composer.renew()
        self.composer.describe()

    def _list(self, fresh: list[Piece]) -> None:
        """List pictures before all others of this panel, also in a saved notebook."""
        state, hashes = self.state, {piece.picture.sha256 for piece in fresh}
        older = (piece for piece in state.gallery if piece.picture.sha256 not in hashes)
        state.at = 0
        state.gallery = (*fresh, *older)[:MOST_SHOWN]
        self._jobs.restart("snapshot", self._update_snapshot)

    async def _pieces(self, result: Result) -> list[Piece]:
        tiles = [await asyncio.to_thread(_tile, picture) for picture in result.pictures]
        return [Piece(result, position, each) for position, each in enumerate(tiles)]

    async def _update_snapshot(self) -> None:
        state = self.state
        shown = state.gallery or ((state.chosen,) if state.chosen else ())
        state.snapshot = dict(await asyncio.to_thread(self._snapshot, shown))

    def _snapshot(self, pieces: tuple[Piece, ...]) -> Bundle:
        groups = [list(group) for _, group in groupby(pieces, key=lambda piece: id(piece.result))]
        # The gallery may hold only some pictures of a result.
        results = [
            replace(group[0].result, pictures=tuple(each.picture for each in group)) for group in groups
        ]
        return self.data.still(results)

    def seen(self) -> None:
        """The panel came into view: list what others have recorded, and read mode and variables anew."""
        self.composer.describe()
        self.composer.renew()
        self.collection.refresh()
        if not self.state.snapshot and self.state.chosen:
            self._jobs.restart("snapshot", self._update_snapshot)

    def cell_begins(self) -> None:
        """A cell begins to run: clicks may wait for it."""
        self.composer.is_cell_running = True

    def cell_has_run(self) -> None:
        """A cell has run: it may have changed variables and settings, and clicks may have waited for it."""
        self.state.turn += 1
        self.composer.is_cell_running = False
        self.composer.renew()

    # The stage.

    def show(self, item: Item) -> Job[None]:
        """Show a picture of the filmstrip on the stage."""
        for piece in self.state.gallery:
            if piece.picture.sha256 == item.sha256:
                return self.choose(piece)
        return self._jobs.start(partial(self._recall, item))

    async def _recall(self, item: Item) -> None:
        result = await asyncio.to_thread(self.session.store.recall, item.run)
        pieces = await self._pieces(result)
        self.state.result = result
        self.choose(next((each for each in pieces if each.picture.sha256 == item.sha256), pieces[0]))

    def choose(self, piece: Piece) -> Job[None]:
        """Enlarge a picture, and show its recipe, its cell and its note."""
        state = self.state
        # The small preview is shown until the enlarged one is made.
        state.chosen, state.file, state.enlarged = piece, None, piece.preview
        state.recipe = recipe_text(piece.picture)
        state.cell, state.cell_shown = cell_of(piece.result), False
        state.favourite, state.note = False, ""  # until they are read
        return self._jobs.restart("enlarged", partial(self._enlarge, piece))

    async def _enlarge(self, piece: Piece) -> None:
        self.state.enlarged = await asyncio.to_thread(enlarged, piece.picture)
        await self._show_mark(piece)

    async def _show_mark(self, piece: Piece) -> None:
        mark = await asyncio.to_thread(self.data.note, piece.picture.sha256)
        if self.state.chosen is piece:
            self.state.favourite, self.state.note = mark.favourite, mark.note

    def toggle_favourite(self) -> Job[None] | None:
        """Make the chosen picture a favourite, or no longer one."""
        return self._mark(favourite=not self.state.favourite)

    def annotate(self, note: str) -> Job[None] | None:
        """Store a note about the chosen picture."""
        return None if note == self.state.note else self._mark(note=note)

    def _mark(self, **changes: Any) -> Job[None] | None:
        piece = self._chosen()
        return self._jobs.start(partial(self._write_mark, piece, changes)) if piece else None

    async def _write_mark(self, piece: Piece, changes: dict[str, Any]) -> None:
        mark = await asyncio.to_thread(self.data.note, piece.picture.sha256)
        await asyncio.to_thread(self.data.mark, replace(mark, **changes))
        await self._show_mark(piece)
        self.collection.refresh()

    def use(self, form: Form | None = None) -> bool:
        """Bind the chosen picture to the variable named at the click; return whether that is possible."""
        name = (form or self.composer.form).name.strip()
        if not (piece := self._chosen()):
            return False
        if not name.isidentifier() or keyword.iskeyword(name):
            self._jobs.show(
                RequestError(
                    f"'{sanitize(name, 40)}' is not a valid variable name.",
                    Hint("For example: ", Code("whale")),
                )
            )
            return False
        self._names[name] = piece.alone
        self.state.error = ()
        warning = (
            f" It hides Python's own {name}: del {name} brings that back." if hasattr(builtins, name) else ""
        )
        self.state.message = f"{name} is this picture now: {name}[0] is its PIL image.{warning}"
        return True

    def show_cell(self) -> None:
        """Show the cell that requests the chosen picture's result."""
        self.state.cell_shown = self._chosen() is not None

    def reuse_prompt(self) -> None:
        """Copy the chosen picture's request into the form."""
        if piece := self._chosen():
            self.composer.fill(piece.result.recipe.request)

    def download(self) -> Job[None] | None:
        """Make the exact bytes of the chosen picture ready for download."""
        piece = self._chosen()
        return self._jobs.start(partial(self._provide, piece.picture)) if piece else None

    async def _provide(self, picture: Picture) -> None:
        if isinstance(picture, MissingPicture):
            raise picture.error
        name = f"beluga-{picture.sha256[:12]}{SUFFIXES[picture.media_type]}"
        self.state.file = File(name, picture.media_type, picture.data)

    def _chosen(self) -> Piece | None:
        if self.state.chosen is None:
            self.state.message = "Choose a picture first."
        return self.state.chosen


def _tile(picture: Picture) -> Preview:
    return thumbnail(preview_of(picture), TILE_EDGE)
