"""Comparing: a session makes grids, asks for their cells as it asks for anything, and shows them."""

from __future__ import annotations

import asyncio
import dataclasses
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

import beluga_nb.catalog as catalog
from beluga_nb.budget import Budget, Caps
from beluga_nb.care import View
from beluga_nb.compare.axes import LARGEST, PROMPT, Axis, Combination, Study, axis, replacing, whole_prompts
from beluga_nb.compare.grid import NOT_SENT, UNKNOWN, WAITING, Cell, Grid, Kept, Outcome
from beluga_nb.compare.plan import Plan
from beluga_nb.config.preferences import Preferences, meant
from beluga_nb.config.settings import Settings
from beluga_nb.console import check_yes
from beluga_nb.engines.stop_on_fatal import CircuitBreaker
from beluga_nb.errors import (
    APIStatusError,
    BelugaError,
    ImpossibleCombinationError,
    InvalidImageError,
    OverBudgetError,
    RequestError,
    StoreError,
)
from beluga_nb.images import decode
from beluga_nb.judging import Judging
from beluga_nb.keyless import check, keyless
from beluga_nb.merge import side_by_side
from beluga_nb.paths import path_of, read_file, write_file
from beluga_nb.redaction import redact
from beluga_nb.request import Request
from beluga_nb.result import Bundle, Engine, IncompleteError, MissingPicture, Picture, Preview, Recipe, Result
from beluga_nb.runtime import GRACE, Bridge, Job
from beluga_nb.show.grid import Dimension, Figure, Square, Table, grid_bundle
from beluga_nb.show.markup import alt, bundle, data_uri
from beluga_nb.show.preview import EDGE, preview_of, recorded_preview
from beluga_nb.store import pending
from beluga_nb.store.records import Blob, Store
from beluga_nb.text import plural, sanitize

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandas.io.formats.style import Styler
    from PIL.Image import Image

T = TypeVar("T")
Told = tuple[str | None, Mapping[str, str]]  # a template and the values that it was filled with
Show = Callable[[Result], Bundle]

STOPPING = {401, 402, 403}
"""The statuses that every other request would get too: the key, the balance, a permission."""

ASK_ABOVE = 10
"""More new pictures than this are asked for only after a yes."""

LARGEST_TABLE = 32 * 2**20
"""Bytes of a CSV file with the values of an axis."""

MOST_NAMES = 100
"""Columns of such a file."""

MOST_SHOWN = 200
"""Pictures of a grid that go into a notebook."""


@runtime_checkable
class Frame(Protocol):
    """A table such as pandas' DataFrame."""

    columns: object

    def to_dict(self, orient: Literal["records"]) -> list[Mapping[str, object]]: ...


class Comparing(Judging):
    """The part of a session that compares: it makes grids, and is what they ask."""

    notify: Callable[[str], None]
    confirm: Callable[[str], bool | None]
    preferences: Preferences
    budget: Budget

    @keyless
    def grid(
        self,
        /,
        template: str | Sequence[str] | Mapping[str, str],
        *,
        n: int = 1,
        pairs: Sequence[str] | Sequence[Sequence[str]] = (),
        sample: int | None = None,
        seed: int | None = None,
        replace: Mapping[str, Iterable[object]] | None = None,
        model: str | Iterable[object] | None = None,
        size: str | Iterable[object] | None = None,
        quality: str | Iterable[object] | None = None,
        take: str | Iterable[object] | None = None,
        output_format: str | None = None,
        output_compression: int | None = None,
        insist: bool = False,
        values: Mapping[str, object] | None = None,
        **axes: object,
    ) -> Grid:
        """Return the grid of all combinations of some axes, `n` pictures each; nothing is asked yet.

        `template` is a prompt, or several whole ones. Each name in `axes` is one: it fills `{{name}}` from a
        list of values, a mapping from labels to values, or the rows of a DataFrame, a list of mappings or a
        CSV file (a `Path`), whose columns fill the names that they have. `model`, `size`, `quality` and
        `take` are axes where they are lists. `replace` puts other words in place of a term of the prompt.
        The axes that `pairs` names advance together; `sample` combinations of all are drawn by `seed`.
        `values` fill what is the same everywhere, and the rest is as in `generate`.

        Raises `RequestError` where the axes and the prompt do not fit, and `ImpossibleCombinationError` for
        all combinations that no model takes.

        >>> import beluga_nb                                                       # doctest: +SKIP
        >>> g = beluga_nb.grid("a {{animal}}", animal=["cat", "fox"], n=2).run()   # doctest: +SKIP
        >>> g["fox"][0].size                                                       # doctest: +SKIP
        (1024, 1024)
        """
        parameters = {"size": size, "quality": quality, "take": take, "model": model}
        lists = {name: given for name, given in parameters.items() if not isinstance(given, str | None)}
        study = Study(
            prompt=template if isinstance(template, str) else "",
            axes=(
                *([] if isinstance(template, str) else [whole_prompts(template)]),
                *(replacing(term, given) for term, given in (replace or {}).items()),
                *(self._axis_of(name, given) for name, given in (axes | lists).items()),
            ),
            pairs=_groups(pairs),
            sample=sample,
            seed=seed,
            values=values or {},
        )
        fixed: dict[str, object] = {
            "n": n,
            "output_format": output_format,
            "output_compression": output_compression,
            **{name: given for name, given in parameters.items() if name not in lists},
        }
        cells_of = partial(self._cells_of, fixed=fixed, insist=insist)
        return Grid(study, cells_of(study), desk=self, cells_of=cells_of)

    def _axis_of(self, name: str, given: object) -> Axis:
        if isinstance(given, Path):
            given = path_of(given)
            given = _rows(given if given.is_absolute() else self.preferences.folder / given)
        elif isinstance(given, Frame):
            given = given.to_dict("records")
        return whole_prompts(given) if name == PROMPT and isinstance(given, list) else axis(name, given)

    def _cells_of(self, study: Study, *, fixed: Mapping[str, object], insist: bool) -> list[Cell]:
        cells: list[Cell] = []
        told: list[str] = []
        self.watch()
        now = self.preferences.settings()
        check({"labels": [(axis.name, *axis.labels) for axis in study.axes]})
        impossible: dict[str, list[Combination]] = {}
        combinations = list(study.combinations())
        for each in combinations:
            try:
                parts: dict[str, Any] = meant({**fixed, **each.asked}, now)
                request, words = self._canonical(Request(prompt=each.prompt, **parts), now, insist=insist)
            except RequestError as error:
                impossible.setdefault(str(error).replace("\n", " "), []).append(each)
                continue
            told += words
            template = each.template if each.values else None
            cells.append(Cell(labels=each.labels, request=request, template=template, values=each.values))
        if impossible:
            count = sum(map(len, impossible.values()))
            raise ImpossibleCombinationError(
                count, len(combinations), map(_reason, impossible, impossible.values())
            )
        for line in dict.fromkeys(told):
            self.notify(line)
        return cells

    def _plan_of(self, cells: Sequence[Cell], *, mode: str | None) -> Plan:
        now = self._now(mode)
        plan = self._planned(_requests(cells, now), now)
        return dataclasses.replace(plan, cells=len(cells))

    def _ask_for(
        self,
        cells: Sequence[Cell],
        arrived: Callable[[Cell, Outcome], None],
        ended: Callable[[BelugaError | None], T],
        *,
        max_images: int | None,
        max_cost: float | None,
        mode: str | None,
        yes: bool,
    ) -> Job[T]:
        now = self._now(mode)
        caps = now.own_caps(images=max_images, cost=max_cost)
        self._check_plan(cells, now, caps, yes=yes)
        store, own = self._store_of(now), Budget()
        places = {cell.request.model: now.at(cell.request.model) for cell in cells}
        # One circuit breaker per provider: a key that one refuses another may take.
        breakers = {there.provider: CircuitBreaker(_stops) for there in places.values()}
        engines = {
            there.provider: self._engine(there, store, bounds=[(own, caps)], breaker=breakers[there.provider])
            for there in places.values()
        }

        async def run() -> T:
            todo, off = iter(cells), set[str]()
            ended_one = asyncio.Semaphore(0)

            async def work(*, ahead: bool) -> None:
                if ahead:
                    await ended_one.acquire()
                for cell in todo:
                    there = places[cell.request.model]
                    outcome = await self._outcome_of(cell, engines[there.provider], there, store)
                    off.add(catalog.off_ratio(cell.request, (kept.size for kept in outcome.pictures)))
                    arrived(cell, outcome)
                    ended_one.release()

            # Twice as many as may be on their way, so that some look into the store meanwhile. Half of them
            # wait until a cell ends: at once, they could buy later cells before the first ones.
            workers = min(2 * now.max_in_flight, len(cells))
            await side_by_side(work(ahead=number >= now.max_in_flight) for number in range(workers))
            for words in sorted(off - {""}):  # each once, in an order that a replay has too
                self.notify(words)
            return ended(next((each.cause for each in breakers.values() if each.cause), None))

        return self._bridge(now).submit(run(), hold=now.timeout + GRACE)

    def _check_plan(self, cells: Sequence[Cell], now: Settings, caps: Caps, *, yes: bool) -> None:
        if now.mode == "replay":
            return
        plan = self._planned(_requests(cells, now), now)
        # What this run may make is the caller's own word, and holds for previews too.
        Budget().check(plan.requests, Caps(images=caps.images))
        if bounded := [each for each in plan.requests if self._bounded(now.at(each.model))]:
            to_buy = ((each, self._to_buy(each, now.at(each.model))) for each in bounded)
            bought = [each.slice(each.sample, n) for each, n in to_buy if n]
            for budget in self._bounding(now) if bought else []:
                budget.check(bought, now.caps)
            Budget().check(bounded, caps)
        if yes or plan.images <= ASK_ABOVE:
            return
        what = f"{plan.images} new pictures of {', '.join(plan.models)}"
        check_yes(
            self.confirm(f"{what}, {plan.price}: go on?"),
            unasked=f"{what}, {plan.price}: more than {ASK_ABOVE}, and nobody can be asked here.",
            declined=f"{what} were not confirmed.",
            nothing="Nothing was sent.",
        )

    async def _outcome_of(self, cell: Cell, engine: Engine, now: Settings, store: Store) -> Outcome:
        with self._fresh(cell.request, now, store) as request:
            answer = self._answered(request, engine, bundle, (cell.template, cell.values))
            replayed = self._recorded(request, now, store, providers=set(now.providers))
            try:
                result, error = await answer, None
            except IncompleteError as incomplete:
                result, error = incomplete.result, incomplete
            except BelugaError as failure:
                return Outcome(error=failure)
        if replayed:
            self.budget.save(request.slice(request.sample, len(replayed)), now.caps)
        return Outcome(await asyncio.to_thread(self._keep, result, now, store), error)

    def _keep(self, result: Result, now: Settings, store: Store) -> tuple[Kept, ...]:
        return tuple(self._kept(picture, now, store) for picture in result.pictures)

    def _kept(self, picture: Picture, now: Settings, store: Store) -> Kept:
        recipe = picture.recipe
        kept = partial(
            Kept, sha256=picture.sha256, media_type=picture.media_type, size=picture.size, recipe=recipe
        )
        for provider in (*now.providers, self._provider(now)) if now.mode != "off" else ():
            if store.has(recipe.request, provider=provider):
                return kept(
                    load=partial(_loaded, store, provider, picture.sha256, recipe),
                    preview=partial(_small_of, store, provider, picture.sha256, recipe),
                )
        # It is nowhere else: nothing was to be written, or nothing could be.
        return kept(load=lambda: picture, preview=lambda: preview_of(picture))

    def _open_calls(self) -> Mapping[Request, bool]:
        """Return what was asked for and has no known end, and whether someone is waiting for it still."""
        calls = sorted(pending.calls(self._store()), key=lambda call: call.on_its_way)
        return {call.request.slice(0): call.on_its_way for call in calls}

    def _result_of(self, request: Request, pictures: Sequence[Picture]) -> Result:
        now = self.preferences.settings()
        return self._own(Result(request, tuple(pictures)), self._view_of(now, self._store()))

    def _bundle_of(self, grid: Grid, *, sheet: bool) -> Bundle:
        now = self.preferences.settings()
        view = self._view(self._store(), writing=now.mode not in {"replay", "off"}, embed=now.embed)
        tiles = Tiles(view)
        table = _table(grid, tiles)
        embedded = sheet and now.embed in {"preview", "original"} and tiles.count <= MOST_SHOWN
        return grid_bundle(table, more=tiles.more, sheet=_sheet(grid, table, view) if embedded else None)

    def _frame_of(self, grid: Grid) -> DataFrame:
        from beluga_nb.show.frame import frame  # in its place: no other cell waits for it

        return frame(list(_rows_of(grid)), _columns(grid))

    def _style_of(self, grid: Grid) -> Styler:
        from beluga_nb.show.frame import styled  # in its place, as above

        tiles = Tiles(self._view(self._store(), writing=False))
        kept = [each for _, each, _ in _lines(grid)]
        sources = [tiles(each) if each else "" for each in kept]
        return styled(self._frame_of(grid), sources, [alt(each) if each else "" for each in kept])

    def _write_sheet(self, grid: Grid, path: Path, *, edge: int, limit: int) -> None:
        from beluga_nb.show.sheet import write_sheet  # in its place, as above

        write_sheet(path, _table(grid, edge=edge), edge=edge, limit=limit)

    def _write_page(self, grid: Grid, path: Path, *, originals: bool) -> None:
        from beluga_nb.show.page import page  # in its place, as above

        written = page(_table(grid, _original if originals else _small), title=path.stem)
        try:
            write_file(path, redact(written).encode())
        except OSError as error:
            raise StoreError(
                f"{path.name} cannot be written: {error.strerror or error}.", "Name another file."
            ) from None

    def _now(self, mode: str | None) -> Settings:
        return self.preferences.settings(None, mode=mode)

    # What the session gives.

    def watch(self) -> None:
        raise NotImplementedError

    def _store(self, folder: Path | None = None) -> Store:
        raise NotImplementedError

    def _store_of(self, now: Settings) -> Store:
        raise NotImplementedError

    def _bridge(self, now: Settings) -> Bridge:
        raise NotImplementedError

    def _engine(
        self,
        now: Settings,
        store: Store,
        *,
        bounds: Sequence[tuple[Budget, Caps]] = (),
        breaker: CircuitBreaker | None = None,
    ) -> Engine:
        raise NotImplementedError

    def _bounding(self, now: Settings) -> list[Budget]:
        raise NotImplementedError

    def _to_buy(self, request: Request, now: Settings) -> int:
        return request.n - len(self._left_of(request, now, self._store_of(now)))

    def _planned(self, asked: Sequence[Request], now: Settings) -> Plan:
        raise NotImplementedError

    def _canonical(self, asked: Request, now: Settings, *, insist: bool) -> tuple[Request, list[str]]:
        raise NotImplementedError

    def _fresh(self, request: Request, now: Settings, store: Store) -> AbstractContextManager[Request]:
        raise NotImplementedError

    def _recorded(
        self, request: Request, now: Settings, store: Store, *, providers: Set[str] = frozenset()
    ) -> set[int]:
        raise NotImplementedError

    def _left_of(self, request: Request, now: Settings, store: Store) -> set[int]:
        raise NotImplementedError

    async def _answered(self, request: Request, engine: Engine, view: Show, told: Told) -> Result:
        raise NotImplementedError

    def _provider(self, now: Settings) -> str:
        raise NotImplementedError

    def _bounded(self, now: Settings) -> bool:
        raise NotImplementedError

    def _view(self, store: Store, *, writing: bool, embed: str | None = None) -> View:
        raise NotImplementedError

    def _view_of(self, now: Settings, store: Store) -> Show:
        raise NotImplementedError

    def _own(self, result: Result, view: Show = bundle) -> Result:
        raise NotImplementedError


class Tiles:
    """Where the pictures of a grid come from in a notebook, up to so many."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.count = 0

    def __call__(self, kept: Kept) -> str:
        """Return an address that holds the small copy, or leads to the picture; nothing beyond the limit."""
        self.count += 1
        if self.count > MOST_SHOWN or self.view.embed == "none":
            return ""
        if self.view.embed == "link" and (link := self.view.link(Blob(kept.sha256, kept.media_type))):
            return link
        return _original(kept) if self.view.embed == "original" else self._tile(kept)

    @property
    def more(self) -> str:
        """What is left out, in words."""
        left = self.count - MOST_SHOWN
        are = "picture is" if left == 1 else "pictures are"
        return f"{left:,} more {are} not shown here: to_html() shows all of them." if left > 0 else ""

    def _tile(self, kept: Kept) -> str:
        with suppress(InvalidImageError):
            if small := kept.preview():
                return data_uri(self.view.tile(small))
        return ""


def _stops(error: BelugaError) -> bool:
    return isinstance(error, OverBudgetError) or (
        isinstance(error, APIStatusError) and error.status in STOPPING
    )


def _requests(cells: Iterable[Cell], now: Settings) -> list[Request]:
    """Return what a run asks for: where the store answers, cells that ask for the same ask once."""
    asked = [cell.request for cell in cells]
    return asked if now.mode in {"off", "refresh"} else list(dict.fromkeys(asked))


def _groups(pairs: Sequence[str] | Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    if isinstance(pairs, str):
        raise RequestError(f"pairs is '{sanitize(pairs, 60)}'.", "Name at least two axes in a list.")
    names = [each for each in pairs if isinstance(each, str)]
    groups = [tuple(each) for each in pairs if not isinstance(each, str)]
    return (*([tuple(names)] if names else []), *groups)


def _rows(path: Path) -> list[Mapping[str, object]]:
    import csv  # in its place, as above

    try:
        text = read_file(path, LARGEST_TABLE).decode("utf-8-sig")
        table = csv.DictReader(io.StringIO(text, newline=""), restval=None)  # what is missing is an error
        if len(table.fieldnames or ()) > MOST_NAMES:
            raise ValueError(f"it has more than {MOST_NAMES} names")
        rows: list[Mapping[str, object]] = list(islice(table, LARGEST + 1))
        if len(rows) > LARGEST:
            raise ValueError(f"it has more than {LARGEST:,} rows")
        if any(None in row for row in rows):
            raise ValueError("a line has more cells than there are names")
        return rows
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or sanitize(str(error), 80)
        raise RequestError(
            f"{sanitize(path.name, 120)} cannot be read: {reason}.", "Name a CSV file with a line of names."
        ) from None


def _reason(why: str, combinations: Sequence[Combination]) -> str:
    first = ", ".join(f"{name} {label}" for name, label in combinations[0].labels.items())
    more = f" and {len(combinations) - 1} more" if len(combinations) > 1 else ""
    return f"{sanitize(first, 120)}{more}: {sanitize(why, 300)}" if first else sanitize(why, 300)


def _loaded(store: Store, provider: str, sha256: str, recipe: Recipe) -> Picture:
    picture = store.read(recipe.request, provider=provider)
    if not isinstance(picture, Picture) or picture.sha256 != sha256:
        raise StoreError(
            f"The picture {sha256[:12]}… is not recorded any more.", "Make the grid anew, and run it."
        )
    return dataclasses.replace(picture, recipe=recipe)


def _small_of(store: Store, provider: str, sha256: str, recipe: Recipe) -> Preview:
    kept = store.preview(recipe.request, provider=provider)
    return recorded_preview(kept, partial(_loaded, store, provider, sha256, recipe))


def _image(kept: Kept, edge: int) -> Image:
    small = kept.preview() if edge <= EDGE else None
    return decode(small.data) if small else kept.load().image


def _no_source(_: Kept) -> str:
    return ""


def _small(kept: Kept) -> str:
    small = kept.preview()
    return data_uri(small) if small else ""


def _original(kept: Kept) -> str:
    picture = kept.load()
    return (
        _small(kept)
        if isinstance(picture, MissingPicture)
        else data_uri(Preview(picture.data, picture.media_type))
    )


def _table(grid: Grid, source: Callable[[Kept], str] = _no_source, *, edge: int = EDGE) -> Table:
    states = grid.states()
    squares = {
        _place(grid.study, cell): Square(
            tuple(
                Figure(kept, source(kept), partial(_image, kept, edge))
                for kept in grid.outcome(cell).pictures
            ),
            note=_NOTES.get(states[cell], ""),
            error=grid.outcome(cell).error,
        )
        for cell in grid.cells
    }
    return Table(
        head=_head(grid),
        prompts=tuple(grid.study.prompts) if len(grid.study.prompts) == 1 else (),
        dimensions=tuple(
            Dimension(" · ".join(axis.name for axis in axes), _present(axes, number, squares))
            for number, axes in enumerate(grid.study.dimensions)
        ),
        squares=squares,
    )


_NOTES = {
    UNKNOWN: "asked for, and its end is not known",
    NOT_SENT: "not asked for yet",
    WAITING: "on its way",
}


def _sheet(grid: Grid, table: Table, view: View) -> Preview | None:
    """Return all pictures of a grid as one, with its labels; nothing where one of them cannot be shown."""
    # Imported in its place: a grid without pictures needs no fonts.
    from beluga_nb.show.sheet import small_sheet, words_of

    with suppress(InvalidImageError, StoreError, RequestError):
        small = [kept.preview() for cell in grid.cells for kept in grid.outcome(cell).pictures]
        parts = [each for each in small if each]
        if parts and len(parts) == len(small):
            return view.labelled(parts, lambda: small_sheet(table), words_of(table))
    return None


def _place(study: Study, cell: Cell) -> tuple[str, ...]:
    return tuple(_joined(cell.labels[axis.name] for axis in axes) for axes in study.dimensions)


def _joined(labels: Iterable[str]) -> str:
    return " · ".join(labels)


def _present(axes: Sequence[Axis], number: int, squares: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    there = {place[number] for place in squares}
    return tuple(
        label for label in map(_joined, zip(*(axis.labels for axis in axes), strict=True)) if label in there
    )


def _head(grid: Grid) -> str:
    if not any(grid.outcome(cell) != Outcome() for cell in grid.cells):
        wanted = sum(cell.request.n for cell in grid.cells)
        return f"{plural(len(grid), 'cell')}, {plural(wanted, 'picture')}; nothing is asked before run()"
    pictures = [kept for cell in grid.cells for kept in grid.outcome(cell).pictures]
    local = sum(kept.recipe.procedural for kept in pictures)
    told = [f"{count} {state}" for state, count in grid.counts.items() if count]
    words = [f"{plural(len(grid), 'cell')}: {', '.join(told)}", plural(len(pictures), "picture")]
    if local:
        words.append(
            _all_local(local)
            if local == len(pictures)
            else f"{local} of them local previews, not model output"
        )
    return "; ".join(words)


def _all_local(count: int) -> str:
    return (
        "a local preview, not model output" if count == 1 else "all of them local previews, not model output"
    )


_KNOWN = ("model", "size", "quality", "take")
_TOLD = (
    "sample",
    "prompt",
    "revised_prompt",
    "engine",
    "local",
    "sha256",
    "media_type",
    "width",
    "height",
    "error",
)


def _columns(grid: Grid) -> list[str]:
    labels = [axis.name for axis in grid.study.axes]
    return [*labels, *(name for name in (*_KNOWN, *_TOLD) if name not in labels)]


def _lines(grid: Grid) -> Iterator[tuple[Cell, Kept | None, BelugaError | None]]:
    """Yield each picture of a grid, and each cell that has failed or was not asked for."""
    for cell in grid.cells:
        outcome = grid.outcome(cell)
        yield from ((cell, kept, None) for kept in outcome.pictures)
        if outcome.error or not outcome.pictures:
            yield cell, None, outcome.error


def _rows_of(grid: Grid) -> Iterator[Mapping[str, object]]:
    for cell, kept, error in _lines(grid):
        request = kept.recipe.request if kept else cell.request
        told: dict[str, object] = {name: getattr(request, name) for name in (*_KNOWN, "prompt")}
        if kept:
            width, height = kept.size
            told |= {
                "sample": request.sample,
                "revised_prompt": kept.recipe.revised_prompt,
                "engine": kept.recipe.engine,
                "local": kept.recipe.procedural,
                "sha256": kept.sha256,
                "media_type": kept.media_type,
                "width": width,
                "height": height,
            }
        yield told | {"error": error.message if error else None} | dict(cell.labels)
