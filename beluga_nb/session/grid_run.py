"""Running the cells of a grid: many calls at once, within caps, each outcome kept as it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from typing import ClassVar, TypeVar

import beluga_nb.catalog as catalog
from beluga_nb.budget import Budget, Caps
from beluga_nb.compare.cell import Cell, Outcome, PictureRef, PictureSource
from beluga_nb.compare.executors import Workers
from beluga_nb.compare.on_workers import Dispatcher, WorkerTable, pool_of
from beluga_nb.compare.plan import Plan
from beluga_nb.compare.workspace import Arriving, Workspace
from beluga_nb.config.settings import Settings
from beluga_nb.console import check_yes
from beluga_nb.engines.call import Call, Calls, Missing, Tally
from beluga_nb.engines.pipeline import Source
from beluga_nb.engines.stop_on_fatal import CircuitBreaker
from beluga_nb.errors import APIStatusError, BelugaError, OverBudgetError, StoreError
from beluga_nb.merge import side_by_side
from beluga_nb.process.work import at_work
from beluga_nb.request import Question, Request
from beluga_nb.result import (
    Answer,
    Bundle,
    Engine,
    IncompleteError,
    Picture,
    Preview,
    Result,
    with_fields,
)
from beluga_nb.runtime import GRACE, Job, close_unstarted
from beluga_nb.session.resources import ASK_ABOVE, Resources
from beluga_nb.session.watching import Watching, calling, left_of, working
from beluga_nb.show.preview import preview_of, recorded_preview
from beluga_nb.store.records import Store

T = TypeVar("T")

STOPPING = {401, 402, 403}
"""The statuses that every other request would get too: the key, the balance, a permission."""

MOST_AT_ONCE = 1024
"""Calls that may be under way at once on a cluster that grows."""


@dataclass(frozen=True)
class SessionRunner:
    """What grids, galleries and votes ask of a session (`compare.workspace.Runner`)."""

    resources: Resources

    def plan(self, cells: Sequence[Cell], *, mode: str | None = None) -> Plan:
        """Return what a run of cells would send, and what that would cost; send nothing."""
        settings = self.resources.plan_settings(mode=mode)
        missing = self.resources.missing(self.resources.calls(tuple(_by_request(cells)), settings))
        unit = cells[0].request.unit if cells else Request.unit
        return replace(self.resources.plan(missing, settings.caps), cells=len(cells), unit=unit)

    def submit(
        self,
        cells: Sequence[Cell],
        arrived: Callable[[Cell, Outcome], None],
        ended: Callable[[BelugaError | None], T],
        *,
        mode: str | None = None,
        max_images: int | None = None,
        max_cost: float | None = None,
        assume_yes: bool = False,
        progress: bool | None = None,
        tally: Tally | None = None,
        executor: Workers | None = None,
    ) -> Job[T]:
        """Start a run of cells; raise `BelugaError` before anything is sent."""
        tally = tally or Tally()
        tally.settings = settings = self.resources.settings(mode=mode, progress=progress)
        caps = settings.own_caps(images=max_images, cost=max_cost)
        # A budget of this run alone: what was made before does not count.
        own = Budget()
        by_request = _by_request(cells)
        calls = self.resources.calls(tuple(by_request), settings)
        by_model = {
            model: replace(call, budgets=[*call.budgets, (own, caps)] if call.budgets else ())
            for model, call in calls.by_model.items()
        }
        calls = Calls(calls.requests, by_model)
        dispatcher = None
        if executor is not None and settings.may_ask:
            dispatcher = self._dispatcher(by_model.values(), executor)
            tally.made_by = dispatcher.made
        if settings.may_ask:
            missing = self.resources.missing(calls)
            tally.wanted = tally.asked + sum(each.bought for each in missing)
            self._check(missing, settings, caps, assume_yes=assume_yes)
        engines = self._engines(by_model.values(), tally, dispatcher)
        run = _Run(self.resources, engines, dispatcher, cache(_Recorded))
        longest = max((call.timeout for call in by_model.values()), default=0.0)
        bridge, left = self.resources.bridge(settings), partial(left_of, self.resources, tally)
        work = run(tuple(by_request.values()), calls, arrived, ended)
        try:
            return bridge.submit(work, hold=longest + GRACE, left=left)
        except BaseException:
            close_unstarted(work)
            raise

    def _dispatcher(self, calls: Collection[Call], executor: Workers) -> Dispatcher:
        """Return a dispatcher to the workers of an executor.

        The workers are checked first, and answers of earlier calls that they still have are fetched.
        """
        backends = {call.backend.identity: call.backend for call in calls if call.may_ask}
        dispatcher = Dispatcher(pool_of(executor, list(backends.values())), self.resources.room)
        stores = {call.store.folder: call for call in calls if call.settings.writes_store}
        for call in stores.values():
            dispatcher.fetch(call.store, notify=self.resources.notify, timeout=call.timeout)
        return dispatcher

    def workers(self, cells: Sequence[Cell], executor: Workers) -> WorkerTable:
        """Return what the workers of an executor have for some cells; send nothing."""
        calls = self.resources.calls(tuple(_by_request(cells)), self.resources.settings())
        backends = {each.backend.identity: each.backend for each in calls.by_model.values()}
        return WorkerTable.of(executor, list(backends.values()))

    def workspace(self) -> Workspace:
        """Return the settings and the store as they stand now."""
        settings = self.resources.settings()
        store = self.resources.store(settings)
        return Workspace(
            settings=settings,
            store=store,
            folder=self.resources.preferences.folder,
            notify=self.resources.notify,
            result=partial(self._result, self.resources.view(settings, store)),
        )

    def calling(
        self,
        tally: Tally | None,
        *,
        label: str,
        arrivals: Callable[[], Arriving] | None = None,
    ) -> Watching:
        """Show how far a run is in a block."""
        return calling(self.resources, tally, label=label, arrivals=arrivals)

    def working(self, label: str, *, unit: str, progress: bool | None, left: Sequence[str]) -> Watching:
        """Show how far other work is in a block."""
        return working(self.resources, label, unit=unit, progress=progress, left=left)

    def _result(
        self, view: Callable[[Result], Bundle], request: Request, pictures: Sequence[Picture]
    ) -> Result:
        return replace(Result(request, tuple(pictures)), renderer=view, regenerate=self.resources.regenerate)

    def _engines(
        self, calls: Collection[Call], tally: Tally, dispatcher: Dispatcher | None
    ) -> dict[tuple[str, str], tuple[Engine, CircuitBreaker]]:
        """Return an engine for each backend: a key that one refuses another may take."""
        engines = dict[tuple[str, str], tuple[Engine, CircuitBreaker]]()
        for identity, call in {call.backend.identity: call for call in calls}.items():
            breaker = CircuitBreaker(partial(_stops, dispatcher))
            engine = self.resources.engine(replace(call, tally=tally), breaker=breaker, dispatcher=dispatcher)
            engines[identity] = engine, breaker
        return engines

    def _check(self, missing: Sequence[Missing], settings: Settings, caps: Caps, *, assume_yes: bool) -> None:
        plan = self.resources.plan(missing, settings.caps)
        # `max_images` of a run is the caller's own word, and holds for free previews too.
        Budget().check(plan.requests, Caps(images=caps.images))
        self.resources.check_budgets(missing)
        if assume_yes or plan.images <= ASK_ABOVE:
            return
        unit = plan.requests[0].unit
        pictures = f"{plan.images} new {unit}s of {', '.join(plan.models)}"
        check_yes(
            self.resources.confirm(f"{pictures}, {plan.price}: go on?"),
            unasked=f"{pictures}, {plan.price}: more than {ASK_ABOVE}",
            declined=f"{pictures} were not confirmed.",
        )


@dataclass(frozen=True)
class _Run:
    """One run of cells; each backend has an engine of its own, and a breaker that stops the others too.

    Cells with the same request share one call and its outcome: nothing is sent again in a run after an error.
    """

    resources: Resources
    engines: Mapping[tuple[str, str], tuple[Engine, CircuitBreaker]]
    dispatcher: Dispatcher | None
    recorded: Callable[[Store, str], _Recorded]

    async def __call__(
        self,
        work: Sequence[Sequence[Cell]],
        calls: Calls,
        arrived: Callable[[Cell, Outcome], None],
        ended: Callable[[BelugaError | None], T],
    ) -> T:
        remaining, off_ratio = zip(work, calls, strict=True), set[str]()
        most = self.dispatcher.most if self.dispatcher else Source.most
        settings = {call.backend.identity: call.settings for call in calls.by_model.values()}.values()

        def in_flight() -> int:
            return max(map(most, settings), default=1)

        may_begin = asyncio.Semaphore(begun := in_flight())

        async def worker() -> None:
            nonlocal begun
            await may_begin.acquire()
            for cells, call in remaining:
                outcomes = await self._outcomes(cells, call)
                sizes = (ref.size for ref in outcomes[0].pictures)
                off_ratio.add(catalog.off_ratio(call.request, sizes))
                for cell, outcome in zip(cells, outcomes, strict=True):
                    arrived(cell, outcome)
                # Twice as many as calls may be under way, so that some look into the store meanwhile. Half of
                # them begin when a call has ended: at once, they could buy later cells before the first ones.
                if begun < 2 * in_flight():
                    begun += 1
                    may_begin.release()
            may_begin.release()  # Let the next one that waits see that no cells are left, and end.

        # A cluster may grow. Until then, the others wait, and take little memory.
        workers = max(2 * begun, MOST_AT_ONCE if self.dispatcher else 0)
        try:
            await side_by_side(worker() for _ in range(min(workers, len(work))))
        finally:
            if self.dispatcher:
                await asyncio.wait({at_work(self.dispatcher.end)}, timeout=GRACE)
        for words in sorted(off_ratio - {""}):  # each once, in an order that a replay has too
            self.resources.notify(words)
        return ended(next((each.cause for _, each in self.engines.values() if each.cause), None))

    async def _outcomes(self, cells: Sequence[Cell], call: Call) -> list[Outcome]:
        engine, _ = self.engines[call.backend.identity]
        first = replace(call, template=cells[0].template, values=cells[0].values)
        try:
            result, error = await self.resources.ask(first, engine), None
        # Some of the pictures arrived: the cells have both, these and the error.
        except IncompleteError as incomplete:
            result, error = incomplete.result, incomplete
        except BelugaError as failure:
            return [Outcome(error=failure) for _ in cells]
        if isinstance(call.request, Question):
            answers = tuple(each for each in result.pictures if isinstance(each, Answer))
            return [Outcome(answers=answers, error=error) for _ in cells]
        # On a thread, since it looks into the store.
        sources = await asyncio.to_thread(self._sources, result, call)
        return [Outcome(_refs(cell, result, sources), error) for cell in cells]

    def _sources(self, result: Result, call: Call) -> list[PictureSource]:
        """Return where each picture of a result is read again."""
        places = (call.provider, *call.settings.providers) if call.settings.uses_store else ()
        recorded = [self.recorded(call.store, provider) for provider in places]
        return [
            next(
                (each for each in recorded if each.has(picture.recipe.request, picture.sha256)),
                _InMemory.of(picture),
            )
            for picture in result.pictures
        ]


def _refs(cell: Cell, result: Result, sources: Sequence[PictureSource]) -> tuple[PictureRef, ...]:
    return tuple(
        PictureRef(
            cell=cell,
            # Without the id and the path of its call, which a large grid need not hold for each picture.
            request=request if request == picture.recipe.request else picture.recipe.request,
            source=source,
            digest=bytes.fromhex(picture.sha256),
            media_type=_shared(picture.media_type),
            size=_shared(picture.size),
            engine=_shared(picture.recipe.engine),
            revised_prompt=picture.recipe.revised_prompt,
            created=_shared(picture.recipe.created),
            usage=picture.recipe.usage,
        )
        for picture, source in zip(result.pictures, sources, strict=True)
        for request in [cell.request.slice(picture.recipe.request.sample)]
    )


def _stops(dispatcher: Dispatcher | None, error: BelugaError) -> bool:
    is_lost = dispatcher is not None and error is dispatcher.lost
    is_refused = isinstance(error, APIStatusError) and error.status in STOPPING
    return is_lost or is_refused or isinstance(error, OverBudgetError)


@dataclass(frozen=True)
class _Recorded:
    """The recordings of a store under a provider, where pictures of a grid are read."""

    store: Store
    provider: str

    def has(self, request: Request, sha256: str) -> bool:
        """Whether a picture is recorded here: another one of the same request may be."""
        with suppress(StoreError):
            entry = self.store.entry(request, provider=self.provider)
            return bool(entry and entry.image and entry.image.sha256 == sha256)
        return False

    def load(self, ref: PictureRef, /) -> Picture:
        """Read the picture; raise `StoreError` where it is not recorded any more."""
        picture = self.store.read(ref.request, provider=self.provider)
        if not isinstance(picture, Picture) or picture.sha256 != ref.sha256:
            raise StoreError(
                f"The picture {ref.sha256[:12]}… is not recorded any more.",
                "Make the grid anew, and run it.",
            )
        return with_fields(picture, recipe=ref.recipe)

    def preview(self, ref: PictureRef, /) -> Preview:
        """Read the recorded preview, or make one; as `load`."""
        is_same = self.has(ref.request, ref.sha256)
        recorded = self.store.preview(ref.request, provider=self.provider) if is_same else None
        return recorded_preview(recorded, partial(self.load, ref))


@dataclass(frozen=True, slots=True)
class _InMemory:
    """The bytes of a picture that is nowhere else: nothing was to be written, or nothing could be."""

    data: bytes
    small: Preview | None
    provider: ClassVar[None] = None

    @classmethod
    def of(cls, picture: Picture) -> _InMemory:
        """Return what is held of a picture: its preview only where that is little beside its bytes."""
        small = picture.preview
        return cls(picture.data, small if small and 8 * len(small.data) < len(picture.data) else None)

    def load(self, ref: PictureRef, /) -> Picture:
        """Return the picture."""
        picture = Picture(self.data, ref.media_type, ref.recipe, self.small)
        picture.__dict__["sha256"] = ref.sha256  # which was needed before
        return picture

    def preview(self, ref: PictureRef, /) -> Preview:
        """Return the preview that came with the picture, or make one."""
        return preview_of(self.load(ref))


_shared = lru_cache(maxsize=1000, typed=True)(lambda value: value)
"""Returns the first of some equal values: much of what is known of pictures is the same for many of them."""


def _by_request(cells: Sequence[Cell]) -> dict[Request, list[Cell]]:
    by_request: dict[Request, list[Cell]] = {}
    for cell in cells:
        if others := by_request.get(cell.request):
            others.append(cell)
        else:
            by_request[cell.request] = [cell]
    return by_request
