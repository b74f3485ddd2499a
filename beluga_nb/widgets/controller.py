"""The actions of the panel: each starts a job on the I/O thread and returns at once.

Nothing here blocks or prints. Messages that a call prints in a cell go to `state.message`; an error goes to
`state.error`, in the two lines that a cell shows.
"""

from __future__ import annotations

import asyncio
import itertools
import keyword
import threading
import time
from collections.abc import Callable, Coroutine, MutableMapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any

from beluga_nb.compare.plan import Plan
from beluga_nb.config.settings import Settings
from beluga_nb.console import LISTENER, shown_on
from beluga_nb.engines.call import Tally
from beluga_nb.errors import BelugaError, RequestError
from beluga_nb.hints import Code, Hint, Surface
from beluga_nb.images import SUFFIXES
from beluga_nb.process.work import revocable
from beluga_nb.result import Bundle, IncompleteError, MissingPicture, Picture, Preview, Result
from beluga_nb.runtime import Job
from beluga_nb.session.resources import ASK_ABOVE
from beluga_nb.session.session import Session
from beluga_nb.session.watching import unfinished
from beluga_nb.show import comparison
from beluga_nb.show.lightbox import cell_of
from beluga_nb.show.preview import enlarged, preview_of, tile
from beluga_nb.show.recipe import recipe_text
from beluga_nb.store.marks import Mark
from beluga_nb.text import plural, sanitize
from beluga_nb.widgets.data import Found, PanelData
from beluga_nb.widgets.state import DEFAULT, Original, Piece, State, Work

MOST_SHOWN = 20
"""Pictures in the gallery; older ones are in the history."""

POLL_INTERVAL = 0.05
"""Seconds between updates of a running call's progress."""

DEBOUNCE = 0.15
"""Seconds without another change before the form or the history is evaluated."""

REPEAT = 0.75
"""Seconds in which clicks for the same request count once; a held key repeats after about 0.5."""

_FORM = ("prompt", "model", "size", "quality", "n", "take")
_COMPARISON = ("compared", "mode", "zoom", "across", "down", "split")
_FILTERS = ("history_query", "history_model", "since", "until", "favourites")


Task = Callable[[], Coroutine[Any, Any, None]]


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
        self.data = PanelData(session)
        self.state = state
        self._names = names if names is not None else {}
        self._clock = clock
        self._numbers = itertools.count(1)
        self._clicking = threading.Lock()  # with subshells, clicks arrive on several threads
        self._asked: dict[int, dict[str, Any]] = {}  # arguments of the running calls
        self._clicked: tuple[dict[str, Any], float] = ({}, 0.0)  # arguments and time of the latest click
        self._calls: dict[int, Job[None]] = {}
        self._newest: dict[str, Job[None]] = {}
        self._started: list[Job[None]] = []
        self.failure: Exception | None = None
        self._decoded: comparison.Decoded = {}
        self._list_models()
        self._apply_settings(session.settings())
        # Observed only now: the lines above set the same traits.
        state.observe(lambda _: self._list_models(), "search")
        state.observe(lambda change: self._model_changed(change.new), "model")
        state.observe(lambda _: self._describe_size(), "size")
        state.observe(lambda _: self._restart("estimate", self._estimate), _FORM)
        state.observe(lambda _: self._restart("comparison", self._render_comparison), _COMPARISON)
        state.observe(lambda _: self.search_history(), _FILTERS)

    # The form.

    def _apply_settings(self, settings: Settings) -> None:
        alias = settings.aliases.get(settings.model, {})
        self._choose_model(str(alias.get("model", settings.model)))
        sizes = {DEFAULT, "auto", *(size.label for size in self.state.sizes)}
        if (size := str(alias.get("size", DEFAULT))) in sizes:
            self.state.size = size
        self.state.quality = str(alias.get("quality", DEFAULT))
        self.state.n = min(int(str(alias.get("n", 1))), self.state.max_n)

    def open(self) -> Job[None]:
        """Show which provider answers, and the history of the store."""
        self.search_history()
        return self._restart("provider", self._describe_provider)

    async def _describe_provider(self) -> None:
        self.state.provider = await asyncio.to_thread(self.data.backend, self.state.model)

    def _list_models(self) -> None:
        state, fitting = self.state, self.data.models(self.state.search)
        own = [each for each in self.data.models() if each.id == state.model and each not in fitting]
        state.models = (*own, *fitting)  # a search never hides the chosen model
        if not fitting:
            state.message = f"No model matches “{sanitize(state.search, 60)}” in its id, name or provider."

    def _model_changed(self, name: str) -> None:
        self._choose_model(name)
        self._restart("provider", self._describe_provider)

    def _choose_model(self, name: str) -> None:
        state = self.state
        model = next((each for each in self.data.models() if each.id == name), None)
        if model is None:
            model = self.data.models()[0]
            state.message = f"The panel has no model '{sanitize(name, 80)}': {model.id} is chosen."
        state.model = model.id
        state.sizes = tuple(self.data.sizes(model.id))
        if state.size not in {DEFAULT, "auto", *model.sizes}:
            state.message = f"{model.id} has no size {state.size}: its default is chosen."
            state.size = DEFAULT
        state.max_n, state.n = model.n_max, min(state.n, model.n_max)
        sizes = f"{len(state.sizes)} sizes"
        most = plural(model.n_max, "picture")
        state.about_model = f"{model.name or model.id}, by {model.provider}: {sizes}, {most} per request."
        self._describe_size()

    def _describe_size(self) -> None:
        size = next((each for each in self.state.sizes if each.label == self.state.size), None)
        words = {DEFAULT: "The service's own default.", "auto": "The model decides."}
        if size is None:
            self.state.about_size = words.get(self.state.size, "")
        else:
            best = f", best for {size.best_for}" if size.best_for else ""
            self.state.about_size = f"{size.label}{best}."

    @property
    def arguments(self) -> dict[str, Any]:
        """The form as arguments of `Session.submit`."""
        state = self.state
        arguments = {"prompt": state.prompt, "model": state.model, "n": state.n, "take": state.take.strip()}
        return arguments | {
            name: value for name in ("size", "quality") if (value := getattr(state, name)) != DEFAULT
        }

    async def _estimate(self) -> None:
        await asyncio.sleep(DEBOUNCE)
        if not self.state.prompt.strip():
            self.state.estimate = ""
            return
        try:
            plan = await asyncio.to_thread(self._plan, self.arguments)
        except BelugaError as error:
            self.state.estimate = error.message
        else:
            verb = "to draw" if plan.local else "to buy"
            words = f"{plan.images} {verb}, {plan.recorded} already in the store"
            missing = f", {plan.missing} not recorded" if plan.missing else ""
            self.state.estimate = f"{words}{missing}; {plan.price}."

    def _plan(self, arguments: dict[str, Any]) -> Plan:
        # With a mode of its own, a plan for a replay counts what is missing, as the click would.
        return self.session.plan(**arguments, mode=self.session.settings().mode)

    # Calls.

    def generate(self) -> Job[None] | None:
        """Send the form's request; return None where the same one is running already."""
        return self._ask(self.arguments)

    def again(self) -> Job[None] | None:
        """Request the chosen picture's result again, as a new take; as `generate`."""
        if not (piece := self._chosen()):
            return None
        recipe = piece.result.recipe
        rest = {name: value for name, value in recipe.arguments.items() if name not in {"take", "sample"}}
        # The form never asks for so many, but a result of the history may have come from anywhere.
        if recipe.request.n > ASK_ABOVE:
            self._show_error(
                RequestError(
                    f"{recipe.request.n} new pictures are more than {ASK_ABOVE}, too many for one click.",
                    "In a cell, a new take of it asks you first.",
                )
            )
            return None
        return self._ask({"prompt": recipe.request.prompt, "mode": "refresh"} | rest)

    def stop(self, number: int) -> None:
        """Stop a call, from any thread."""
        if job := self._calls.pop(number, None):
            job.cancel()

    def _ask(self, arguments: dict[str, Any]) -> Job[None] | None:
        with self._clicking:
            duplicate = self._duplicate(arguments)
            number = next(self._numbers)
            if not duplicate:
                self._asked[number] = arguments
        if duplicate:
            self.state.message = duplicate
            return None
        job = self._calls[number] = self._start(partial(self._call, number, arguments))
        # A quick call may have ended before its job was stored.
        if number not in self._asked:
            self._calls.pop(number, None)
        return job

    def _duplicate(self, arguments: dict[str, Any]) -> str:
        """Return why a click is ignored; an empty text if it is not."""
        time = self._clock()
        (before, clicked), self._clicked = self._clicked, (arguments, time)
        if arguments in self._asked.values():
            return "The same is under way already."
        # The store answers a repeated request for nothing, unless the mode buys each time.
        if arguments == before and time - clicked < REPEAT and self._always_buys(arguments):
            return "The same was asked for just now."
        return ""

    def _always_buys(self, arguments: dict[str, Any]) -> bool:
        with suppress(BelugaError):  # the call itself reports it
            return not self.session.settings(mode=arguments.get("mode")).reads_store
        return False

    async def _call(self, number: int, arguments: dict[str, Any]) -> None:
        work = Work(number, arguments["prompt"], arguments["model"], arguments.get("n", 1))
        tally = Tally()
        try:
            self._show(work)
            result = await self._answer(work, arguments, tally)
            await self._add(result)
            self.state.message = f"{plural(len(result), 'picture')} of “{sanitize(work.prompt, 60)}”."
        except IncompleteError as error:
            await self._add(error.result)
            raise
        except asyncio.CancelledError:
            lost = await asyncio.to_thread(unfinished, self.session.resources, tally)
            self.state.message = (
                f"Stopped: “{sanitize(work.prompt, 60)}”. What had arrived is in the store."
                + (f" {lost}." if lost else "")
            )
            raise
        finally:
            self._asked.pop(number, None)
            self._calls.pop(number, None)
            self.state.work = tuple(each for each in self.state.work if each.number != number)

    async def _answer(self, work: Work, arguments: dict[str, Any], tally: Tally) -> Result:
        began = self._clock()
        submit = partial(self.session.submit, **arguments, assume_yes=True, bridge="thread", tally=tally)
        # On a thread, since it reads files before it starts. The bridge "nested" waits for a caller, and
        # would never run behind a click.
        job = await revocable(submit, lambda job: job.cancel())
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

    def _show(self, work: Work) -> None:
        others = (each for each in self.state.work if each.number != work.number)
        self.state.work = tuple(sorted((*others, work), key=lambda each: each.number))

    # Results.

    async def _add(self, result: Result) -> None:
        tiles = [await asyncio.to_thread(_tile, picture) for picture in result.pictures]
        fresh = [Piece(result, position, each) for position, each in enumerate(tiles)]
        state, hashes = self.state, {piece.picture.sha256 for piece in fresh}
        older = (piece for piece in state.gallery if piece.picture.sha256 not in hashes)
        state.result = result
        state.gallery = (*fresh, *older)[:MOST_SHOWN]
        if fresh:
            self.choose(fresh[0])
        self._restart("snapshot", self._update_snapshot)
        self._restart("estimate", self._estimate)
        self._restart("provider", self._describe_provider)
        self.search_history()

    async def _update_snapshot(self) -> None:
        self.state.snapshot = dict(await asyncio.to_thread(self._snapshot, self.state.gallery))

    def _snapshot(self, gallery: tuple[Piece, ...]) -> Bundle:
        groups = [list(pieces) for _, pieces in groupby(gallery, key=lambda piece: id(piece.result))]
        # The gallery may hold only some pictures of a result.
        results = [
            replace(pieces[0].result, pictures=tuple(each.picture for each in pieces)) for pieces in groups
        ]
        return self.data.still(results)

    def choose(self, piece: Piece) -> Job[None]:
        """Enlarge a picture, and show its recipe, its cell and its note."""
        state = self.state
        # The small preview is shown until the enlarged one is made.
        state.chosen, state.original, state.enlarged = piece, None, piece.preview
        state.recipe = recipe_text(piece.picture)
        state.cell, state.cell_shown = cell_of(piece.result), False
        self._show_mark(piece)
        return self._restart("enlarged", partial(self._enlarge, piece))

    async def _enlarge(self, piece: Piece) -> None:
        self.state.enlarged = await asyncio.to_thread(enlarged, piece.picture)
        self.state.marks = await asyncio.to_thread(self.session.store.marks)
        self._show_mark(piece)

    def _show_mark(self, piece: Piece) -> None:
        if self.state.chosen is piece:
            mark = self.state.marks.get(piece.picture.sha256) or Mark(picture=piece.picture.sha256)
            self.state.favourite, self.state.note = mark.favourite, mark.note

    def toggle_favourite(self) -> Job[None] | None:
        """Make the chosen picture a favourite, or no longer one."""
        return self._mark(favourite=not self.state.favourite, note=self.state.note)

    def annotate(self, note: str) -> Job[None] | None:
        """Store a note about the chosen picture."""
        return None if note == self.state.note else self._mark(favourite=self.state.favourite, note=note)

    def _mark(self, *, favourite: bool, note: str) -> Job[None] | None:
        if not (piece := self._chosen()):
            return None
        return self._start(partial(self._write_mark, piece, favourite=favourite, note=note))

    async def _write_mark(self, piece: Piece, *, favourite: bool, note: str) -> None:
        mark = await asyncio.to_thread(self.session.store.mark, piece.picture, favourite=favourite, note=note)
        self.state.marks = {**self.state.marks, mark.picture: mark}
        self._show_mark(piece)
        self.search_history()

    def use(self, name: str) -> bool:
        """Bind the chosen picture to a variable of the notebook; return whether that was possible."""
        name = name.strip()
        if not (piece := self._chosen()):
            return False
        if not name.isidentifier() or keyword.iskeyword(name):
            self._show_error(
                RequestError(
                    f"'{sanitize(name, 40)}' is not a valid variable name.",
                    Hint("For example: ", Code("whale")),
                )
            )
            return False
        self._names[name] = piece.alone
        self.state.error = ()
        self.state.message = f"{name} is this picture now: {name}[0] is its PIL image."
        return True

    def show_cell(self) -> None:
        """Show the cell that requests the chosen picture's result."""
        self.state.cell_shown = self._chosen() is not None

    def reuse_prompt(self) -> None:
        """Copy the chosen picture's request into the form."""
        if piece := self._chosen():
            request, state = piece.result.recipe.request, self.state
            state.model = request.model
            state.prompt, state.take = request.prompt, request.take
            state.size, state.quality = request.size or DEFAULT, request.quality or DEFAULT
            state.n = min(request.n, state.max_n)

    def download(self) -> Job[None] | None:
        """Make the exact bytes of the chosen picture ready for download."""
        piece = self._chosen()
        return self._start(partial(self._provide_original, piece.picture)) if piece else None

    async def _provide_original(self, picture: Picture) -> None:
        if isinstance(picture, MissingPicture):
            raise picture.error
        name = f"beluga-{picture.sha256[:12]}{SUFFIXES[picture.media_type]}"
        self.state.original = Original(name, picture.media_type, picture.data)

    def _chosen(self) -> Piece | None:
        if self.state.chosen is None:
            self.state.message = "Choose a picture first."
        return self.state.chosen

    # Comparison.

    def compare(self) -> None:
        """Add the chosen picture to the comparison, or remove it."""
        if not (piece := self._chosen()):
            return
        rest = tuple(each for each in self.state.compared if each is not piece)
        if len(rest) == comparison.MOST:
            self._show_error(
                RequestError("Four pictures are compared at most.", "Remove one from the comparison.")
            )
            return
        self.state.compared = rest if piece in self.state.compared else (*rest, piece)

    def clear_comparison(self) -> None:
        """Remove all pictures from the comparison."""
        self.state.compared = ()

    async def _render_comparison(self) -> None:
        images = await asyncio.to_thread(self._compare, self.state.compared)
        self.state.comparison_images = tuple(images)

    def _compare(self, pieces: tuple[Piece, ...]) -> list[Preview]:
        state = self.state
        self._decoded = comparison.decoded((piece.picture for piece in pieces), self._decoded)
        return comparison.views(
            [self._decoded[piece.picture.sha256] for piece in pieces],
            mode=state.mode,
            split=state.split,
            zoom=state.zoom,
            across=state.across,
            down=state.down,
        )

    # History.

    def search_history(self) -> Job[None]:
        """Search the recorded runs again, by the filters of the history."""
        return self._restart("history", self._find)

    async def _find(self) -> None:
        await asyncio.sleep(DEBOUNCE)
        state = self.state
        found, more = await asyncio.to_thread(
            self.data.runs,
            state.history_query,
            model=state.history_model or None,
            since=state.since or None,
            until=state.until or None,
            favourites=state.favourites,
        )
        state.found, state.more = tuple(found), more

    def recall(self, found: Found) -> Job[None]:
        """Add a recorded run to the gallery."""
        return self._start(partial(self._recall, found.run.name))

    async def _recall(self, name: str) -> None:
        await self._add(await asyncio.to_thread(self.session.store.recall, name))

    # Jobs.

    @property
    def jobs(self) -> list[Job[None]]:
        """The jobs that are running."""
        return [job for job in self._started if not job.done()]

    def _restart(self, kind: str, work: Task) -> Job[None]:
        """Start a job of a kind, and cancel the older one, whose outcome is outdated."""
        if older := self._newest.get(kind):
            older.cancel()
        job = self._newest[kind] = self._start(work, keep_error=True)
        return job

    def _start(self, work: Task, *, keep_error: bool = False) -> Job[None]:
        if not keep_error:
            self.state.error = ()
        job = self.session.resources.room.thread.submit(self._guarded(work))
        self._started = [*self.jobs, job]
        return job

    async def _guarded(self, work: Task) -> None:
        LISTENER.set(self._show_message)
        try:
            with shown_on(Surface.PANEL):
                await work()
        except BelugaError as error:
            self._show_error(error)
        except Exception as error:
            # Nothing awaits the job, so an unexpected error would go unseen.
            self._show_error(BelugaError(f"{type(error).__name__} in the panel.", "panel.failure holds it."))
            self.failure = error

    def _show_message(self, words: str) -> None:
        self.state.message = sanitize(words)

    def _show_error(self, error: BelugaError) -> None:
        # First the badge: the view shows both when the lines change.
        self.state.billing = error.billing
        self.state.error = tuple(map(sanitize, error.lines()))


def _tile(picture: Picture) -> Preview:
    return tile(preview_of(picture))
