"""What happens on the panel: every click ends here, starts a job, and returns at once.

Nothing here blocks or prints. What a call would say in a cell goes to `state.told`, and an error, in the
two lines that a cell would show, to `state.trouble`.
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

from beluga_nb.console import shown_on
from beluga_nb.errors import BelugaError, RequestError
from beluga_nb.hints import Surface
from beluga_nb.images import SUFFIXES
from beluga_nb.result import Bundle, IncompleteError, MissingPicture, Picture, Preview, Result
from beluga_nb.session import LISTENER, Found, Job, Mark, Session, Settings, counted
from beluga_nb.show import comparison
from beluga_nb.show.preview import enlarged, preview_of, thumbnail
from beluga_nb.show.recipe import cell_of
from beluga_nb.text import plural, sanitize
from beluga_nb.widgets.state import CURTAIN, PER_MODEL, Original, Piece, State, Work

MOST_SHOWN = 20
"""Pictures in the gallery; older ones are in the history."""

TILE_EDGE = 256
"""Pixels of the longer side of a picture in the gallery."""

BEAT = 0.05
"""Seconds between looks at a call that is under way."""

PAUSE = 0.15
"""Seconds without another change after which a form is looked at."""

REPEAT = 0.75
"""Seconds within which clicks on the same are one; a key that is held down repeats after about 0.5."""

_FORM = ("prompt", "model", "size", "quality", "n", "take")
_VIEWED = ("compared", "how", "zoom", "across", "down", "split")
_FILTERS = ("sought", "sought_model", "since", "until", "favourites")


Doing = Callable[[], Coroutine[Any, Any, None]]


class Controller:
    """Does on a session what the panel asks for, and writes into the state what comes of it."""

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
        self._names = names if names is not None else {}
        self._clock = clock
        self._numbers = itertools.count(1)
        self._clicking = threading.Lock()  # subshells click side by side
        self._asked: dict[int, dict[str, Any]] = {}  # what is under way
        self._clicked: tuple[dict[str, Any], float] = ({}, 0.0)  # the latest, and when
        self._calls: dict[int, Job[None]] = {}
        self._newest: dict[str, Job[None]] = {}
        self._started: list[Job[None]] = []
        self.failure: Exception | None = None
        self._decoded: comparison.Decoded = {}
        self._offer()
        self._start_with(session.settings())
        state.observe(lambda _: self._offer(), "search")
        state.observe(lambda change: self._picked(change.new), "model")
        state.observe(lambda _: self._describe_size(), "size")
        state.observe(lambda _: self._soon("outlook", self._look_ahead), _FORM)
        state.observe(lambda _: self._soon("sights", self._look), _VIEWED)
        state.observe(lambda _: self.seek(), _FILTERS)

    # Opening, and choosing.

    def _start_with(self, now: Settings) -> None:
        alias = now.aliases.get(now.model, {})
        self._pick_model(str(alias.get("model", now.model)))
        sizes = {PER_MODEL, "auto", *(size.label for size in self.state.sizes)}
        if (size := str(alias.get("size", PER_MODEL))) in sizes:
            self.state.size = size
        self.state.quality = str(alias.get("quality", PER_MODEL))
        self.state.n = min(int(str(alias.get("n", 1))), self.state.most)

    def open(self) -> Job[None]:
        """Say who answers, and bring the history from the store."""
        self.seek()
        return self._soon("answers", self._say_who_answers)

    async def _say_who_answers(self) -> None:
        self.state.answers = await asyncio.to_thread(self.session.answering, self.state.model)

    def _offer(self) -> None:
        state, fitting = self.state, self.session.offered(self.state.search)
        own = [each for each in self.session.offered() if each.id == state.model and each not in fitting]
        state.models = (*own, *fitting)  # what is chosen stays in sight
        if not fitting:
            state.told = f"No model has “{sanitize(state.search, 60)}” in its id, name or provider."

    def _picked(self, name: str) -> None:
        self._pick_model(name)
        self._soon("answers", self._say_who_answers)

    def _pick_model(self, name: str) -> None:
        state = self.state
        model = next((each for each in self.session.offered() if each.id == name), None)
        if model is None:
            model = self.session.offered()[0]
            state.told = f"The panel has no model '{sanitize(name, 80)}': {model.id} is chosen."
        state.model = model.id
        state.sizes = tuple(self.session.sizes_of(model.id))
        if state.size not in {PER_MODEL, "auto", *model.sizes}:
            state.told = f"{model.id} has no size {state.size}: its default is chosen."
            state.size = PER_MODEL
        state.most, state.n = model.n_max, min(state.n, model.n_max)
        sizes = f"{len(state.sizes)} sizes"
        most = plural(model.n_max, "picture")
        state.about_model = f"{model.name or model.id}, by {model.provider}: {sizes}, {most} per request."
        self._describe_size()

    def _describe_size(self) -> None:
        size = next((each for each in self.state.sizes if each.label == self.state.size), None)
        words = {PER_MODEL: "The service's own default.", "auto": "The model decides."}
        if size is None:
            self.state.about_size = words.get(self.state.size, "")
        else:
            best = f", best for {size.best_for}" if size.best_for else ""
            self.state.about_size = f"{size.label}{best}."

    @property
    def asked(self) -> dict[str, Any]:
        """What the form asks for, as `Session.submit` takes it."""
        state = self.state
        said = {"prompt": state.prompt, "model": state.model, "n": state.n, "take": state.take.strip()}
        return said | {
            name: value for name in ("size", "quality") if (value := getattr(state, name)) != PER_MODEL
        }

    async def _look_ahead(self) -> None:
        await asyncio.sleep(PAUSE)
        if not self.state.prompt.strip():
            self.state.outlook = ""
            return
        try:
            plan = await asyncio.to_thread(self.session.plan, **self.asked)
        except BelugaError as error:
            self.state.outlook = error.message
        else:
            verb = "to draw" if plan.local else "to buy"
            words = f"{plan.images} {verb}, {plan.recorded} already in the store"
            self.state.outlook = f"{words}; {plan.price}."

    # Work.

    def generate(self) -> Job[None] | None:
        """Ask for what the form says; more clicks on the same while it is under way ask for nothing."""
        return self._ask(self.asked)

    def again(self) -> Job[None] | None:
        """Ask for the chosen picture's request as a new take: one, however often it is clicked meanwhile."""
        if not (piece := self._chosen()):
            return None
        recipe = piece.result.recipe
        said = {name: value for name, value in recipe.arguments.items() if name not in {"take", "sample"}}
        return self._ask({"prompt": recipe.request.prompt, "mode": "refresh"} | said)

    def stop(self, number: int) -> None:
        """Stop a call, from any thread."""
        if job := self._calls.pop(number, None):
            job.cancel()

    def _ask(self, asked: dict[str, Any]) -> Job[None] | None:
        with self._clicking:
            needless = self._needless(asked)
            number = next(self._numbers)
            if not needless:
                self._asked[number] = asked
        if needless:
            self.state.told = needless
            return None
        job = self._calls[number] = self._start(partial(self._called, number, asked))
        if number not in self._asked:
            self._calls.pop(number, None)
        return job

    def _needless(self, asked: dict[str, Any]) -> str:
        """Return why a click asks for nothing, or nothing where it does."""
        now = self._clock()
        (before, when), self._clicked = self._clicked, (asked, now)
        if asked in self._asked.values():
            return "The same is under way already."
        if asked == before and now - when < REPEAT and self._buys_anew(asked):
            return "The same was asked for just now."
        return ""

    def _buys_anew(self, asked: dict[str, Any]) -> bool:
        with suppress(BelugaError):  # which the call itself will say
            return asked.get("mode", self.session.settings().mode) in {"refresh", "off"}
        return False

    async def _called(self, number: int, asked: dict[str, Any]) -> None:
        work = Work(number, asked["prompt"], asked["model"], asked.get("n", 1))
        try:
            self._show(work)
            result = await self._answer(work, asked)
            await self._take_in(result)
            self.state.told = f"{plural(len(result), 'picture')} of “{sanitize(work.prompt, 60)}”."
        except IncompleteError as error:
            await self._take_in(error.result)
            raise
        except asyncio.CancelledError:
            facts = await asyncio.to_thread(self.session.status)
            lost = f" {facts['unfinished']}." if "unfinished" in facts else ""
            self.state.told = (
                f"Stopped: “{sanitize(work.prompt, 60)}”. What had arrived is in the store.{lost}"
            )
            raise
        finally:
            self._asked.pop(number, None)
            self._calls.pop(number, None)
            self.state.work = tuple(each for each in self.state.work if each.number != number)

    async def _answer(self, work: Work, asked: dict[str, Any]) -> Result:
        began = self._clock()
        with counted() as tally:
            job = self.session.submit(**asked, yes=True, bridge="thread")
        try:
            while not job.done():
                seconds = int(self._clock() - began)
                # What the store has is not asked for, and does not arrive.
                asked_for = tally.asked or work.asked
                self._show(replace(work, asked=asked_for, arrived=tally.arrived, seconds=seconds))
                await asyncio.sleep(BEAT)
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

    async def _take_in(self, result: Result) -> None:
        previews = [await asyncio.to_thread(_small, picture) for picture in result.pictures]
        fresh = [Piece(result, position, each) for position, each in enumerate(previews)]
        state, hashes = self.state, {piece.picture.sha256 for piece in fresh}
        older = (piece for piece in state.gallery if piece.picture.sha256 not in hashes)
        state.result = result
        state.gallery = (*fresh, *older)[:MOST_SHOWN]
        if fresh:
            self.choose(fresh[0])
        self._soon("still", self._be_still)
        self._soon("outlook", self._look_ahead)
        self._soon("answers", self._say_who_answers)
        self.seek()

    async def _be_still(self) -> None:
        self.state.still = dict(await asyncio.to_thread(self._still, self.state.gallery))

    def _still(self, gallery: tuple[Piece, ...]) -> Bundle:
        together = [list(pieces) for _, pieces in groupby(gallery, key=lambda piece: id(piece.result))]
        results = [
            replace(pieces[0].result, pictures=tuple(each.picture for each in pieces)) for pieces in together
        ]
        return self.session.still(results)

    def choose(self, piece: Piece) -> Job[None]:
        """Show a picture large, with its recipe, its cell and what is said of it."""
        state = self.state
        state.chosen, state.original, state.enlarged = piece, None, piece.preview
        state.recipe = _recipe(piece)
        state.cell, state.cell_shown = cell_of(piece.result), False
        self._say_mark(piece)
        return self._soon("enlarged", partial(self._enlarge, piece))

    async def _enlarge(self, piece: Piece) -> None:
        if not isinstance(piece.picture, MissingPicture):
            self.state.enlarged = await asyncio.to_thread(enlarged, piece.picture)
        self.state.marks = await asyncio.to_thread(self.session.marks)
        self._say_mark(piece)

    def _say_mark(self, piece: Piece) -> None:
        if self.state.chosen is piece:
            mark = self.state.marks.get(piece.picture.sha256) or Mark(picture=piece.picture.sha256)
            self.state.favourite, self.state.note = mark.favourite, mark.note

    def favour(self) -> Job[None] | None:
        """Make the chosen picture a favourite, or no longer one."""
        return self._mark(favourite=not self.state.favourite, note=self.state.note)

    def annotate(self, note: str) -> Job[None] | None:
        """Keep a note about the chosen picture."""
        return None if note == self.state.note else self._mark(favourite=self.state.favourite, note=note)

    def _mark(self, *, favourite: bool, note: str) -> Job[None] | None:
        if not (piece := self._chosen()):
            return None
        return self._start(partial(self._marked, piece, favourite=favourite, note=note))

    async def _marked(self, piece: Piece, *, favourite: bool, note: str) -> None:
        mark = await asyncio.to_thread(self.session.mark, piece.picture, favourite=favourite, note=note)
        self.state.marks = {**self.state.marks, mark.picture: mark}
        self._say_mark(piece)
        self.seek()

    def use(self, name: str) -> bool:
        """Put the chosen picture into the notebook under a name; return whether that was possible."""
        name = name.strip()
        if not (piece := self._chosen()):
            return False
        if not name.isidentifier() or keyword.iskeyword(name):
            self._fail(
                RequestError(f"'{sanitize(name, 40)}' is no name of a variable.", "For example: whale")
            )
            return False
        self._names[name] = piece.alone
        self.state.trouble = ()
        self.state.told = f"{name} is this picture now: {name}[0] is its PIL image."
        return True

    def show_cell(self) -> None:
        """Show the cell that asks for the chosen picture's result."""
        self.state.cell_shown = self._chosen() is not None

    def reuse_prompt(self) -> None:
        """Put the chosen picture's request into the form."""
        if piece := self._chosen():
            request, state = piece.result.recipe.request, self.state
            state.model = request.model
            state.prompt, state.take = request.prompt, request.take
            state.size, state.quality = request.size or PER_MODEL, request.quality or PER_MODEL
            state.n = min(request.n, state.most)

    def download(self) -> Job[None] | None:
        """Make the exact bytes of the chosen picture ready to be downloaded."""
        piece = self._chosen()
        return self._start(partial(self._bring_original, piece)) if piece else None

    async def _bring_original(self, piece: Piece) -> None:
        picture = piece.picture
        if isinstance(picture, MissingPicture):
            await asyncio.to_thread(lambda: picture.image)  # which says what to do
        name = f"beluga-{picture.sha256[:12]}{SUFFIXES[picture.media_type]}"
        self.state.original = Original(name, picture.media_type, picture.data)

    def _chosen(self) -> Piece | None:
        if self.state.chosen is None:
            self.state.told = "Choose a picture first."
        return self.state.chosen

    # Comparison.

    def compare(self) -> None:
        """Take the chosen picture into the comparison, or out of it."""
        if not (piece := self._chosen()):
            return
        rest = tuple(each for each in self.state.compared if each is not piece)
        if len(rest) == comparison.MOST:
            self._fail(RequestError("Four pictures are compared at most.", "Take one out of the comparison."))
            return
        self.state.compared = rest if piece in self.state.compared else (*rest, piece)

    def clear_comparison(self) -> None:
        """Compare nothing."""
        self.state.compared = ()

    async def _look(self) -> None:
        pieces = self.state.compared
        self.state.sights = tuple(await asyncio.to_thread(self._sights, pieces)) if pieces else ()

    def _sights(self, pieces: tuple[Piece, ...]) -> list[Preview]:
        state = self.state
        self._decoded = comparison.decoded((piece.picture for piece in pieces), self._decoded)
        images = [self._decoded[piece.picture.sha256] for piece in pieces]
        where = {"zoom": state.zoom, "across": state.across, "down": state.down}
        if state.how == CURTAIN and len(images) > 1:
            return [comparison.curtain(images[0], images[1], split=state.split, **where)]
        return comparison.side_by_side(images, **where)

    # History.

    def seek(self) -> Job[None]:
        """Look again for what is recorded and fits what is asked of the history."""
        return self._soon("found", self._search)

    async def _search(self) -> None:
        await asyncio.sleep(PAUSE)
        state = self.state
        found, more = await asyncio.to_thread(
            self.session.found,
            state.sought,
            model=state.sought_model or None,
            since=state.since or None,
            until=state.until or None,
            favourites=state.favourites,
        )
        state.found, state.more = tuple(found), more

    def bring_back(self, found: Found) -> Job[None]:
        """Put a recorded run into the gallery."""
        return self._start(partial(self._recalled, found.name))

    async def _recalled(self, name: str) -> None:
        await self._take_in(await asyncio.to_thread(self.session.recall, name))

    # How things are done.

    @property
    def jobs(self) -> list[Job[None]]:
        """What is under way."""
        return [job for job in self._started if not job.done()]

    def _soon(self, what: str, work: Doing) -> Job[None]:
        """Start something that makes what was started before of its kind needless."""
        if older := self._newest.get(what):
            older.cancel()
        job = self._newest[what] = self._start(work, quietly=True)
        return job

    def _start(self, work: Doing, *, quietly: bool = False) -> Job[None]:
        if not quietly:
            self.state.trouble = ()
        job = self.session.beside(self._guarded(work))
        self._started = [*self.jobs, job]
        return job

    async def _guarded(self, work: Doing) -> None:
        LISTENER.set(self._hear)
        try:
            with shown_on(Surface.PANEL):
                await work()
        except BelugaError as error:
            self._fail(error)
        except Exception as error:
            # A fault of ours, or a stranger's: said here, since nobody looks at the job.
            self._fail(BelugaError(f"{type(error).__name__} in the panel.", "panel.failure holds it."))
            self.failure = error

    def _hear(self, words: str) -> None:
        self.state.told = sanitize(words)

    def _fail(self, error: BelugaError) -> None:
        self.state.trouble = tuple(map(sanitize, error.lines()))


def _small(picture: Picture) -> Preview:
    return thumbnail(preview_of(picture), TILE_EDGE)


def _recipe(piece: Piece) -> str:
    recipe = piece.picture.recipe
    request = recipe.request
    said = [
        f"{name}: {sanitize(str(value))}" for name, value in request.parameters.items() if name != "prompt"
    ]
    said += [f"take: {sanitize(request.take, 80)}"] if request.take else []
    said += [f"sample: {request.sample}", f"engine: {sanitize(recipe.engine, 80)}"]
    said += [f"revised prompt: {sanitize(recipe.revised_prompt, 400)}"] if recipe.revised_prompt else []
    return "\n".join([*said, f"sha256: {piece.picture.sha256}"])
