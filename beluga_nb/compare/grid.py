"""The grid: a result for each combination of named axes, asked for when it is run, and once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Unpack, overload

from beluga_nb.compare.axes import Study
from beluga_nb.compare.cell import Cell, Outcome, PictureRef, check_run
from beluga_nb.compare.executors import Workers
from beluga_nb.compare.gallery import Evaluable
from beluga_nb.compare.on_workers import WorkerTable
from beluga_nb.compare.pages import MOST_ON_PAGE, MOST_SHOWN, Pages
from beluga_nb.compare.plan import Plan
from beluga_nb.compare.sample import Sample
from beluga_nb.compare.workspace import Arriving, Runner, RunOptions, Workspace
from beluga_nb.engines.call import Tally
from beluga_nb.errors import (
    BelugaError,
    NotSentError,
    RequestError,
    UnknownNameError,
)
from beluga_nb.images import SUFFIXES
from beluga_nb.interrupted import showing
from beluga_nb.key_check import refuses_keys
from beluga_nb.paths import file_path_of, make_folder, path_of
from beluga_nb.redaction import redacted_bundle
from beluga_nb.request import Request
from beluga_nb.result import Bundle, Result
from beluga_nb.runtime import Job, awaitable, blocking
from beluga_nb.signatures import named_methods, named_options
from beluga_nb.store import pending
from beluga_nb.store.records import Store
from beluga_nb.text import plural

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandas.io.formats.style import Styler

DONE, FAILED, UNKNOWN, NOT_STARTED = STATES = ("done", "failed", "outcome unknown", "not started")
"""The states of a cell. If its outcome is unknown, it may have been billed."""

RUNNING = "running"
"""The state of a cell while its call is under way."""

_ONLY = "Its result is grid[()]."
_NO_NAME = re.compile(r"[^\w.-]+")
_LONGEST_NAME = 40


def _watch(grid: Grid, tally: Tally | None) -> AbstractContextManager[tuple[Tally, Callable[[], None]]]:
    return grid._runner.calling(tally, label="grid", arrivals=grid.arrivals)


@named_methods
class Grid(Evaluable):
    """A `Result` per combination of named axes; nothing is asked before it is run.

    `run()` asks for what is missing, shows itself and keeps what arrives: a cell that fails does not sink the
    others, and running again, after Stop or in another kernel, buys only what is not there. `grid[labels]` is
    the result of a cell, by its labels in the order of the axes, or in a mapping. A grid of more than 200
    pictures shows its first `page`.
    """

    def __init__(
        self,
        study: Study,
        cells: Sequence[Cell],
        *,
        runner: Runner,
        extended: Callable[[Study, Mapping[str, object]], Grid] | None = None,
    ) -> None:
        self.study = study
        self.cells = tuple(cells)
        self._runner = runner
        self._extended = extended  # None in a part of a grid
        self._outcomes: dict[Cell, Outcome] = {}
        self._by_key = {cell.key: cell for cell in self.cells}
        self.page_number = 0  # of a grid that is a page of another one, from 1 on

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """The labels of each axis, those that have a cell."""
        present = {axis.name: {cell.labels[axis.name] for cell in self.cells} for axis in self.study.axes}
        return {
            axis.name: tuple(label for label in axis.labels if label in present[axis.name])
            for axis in self.study.axes
        }

    def plan(self, *, mode: str | None = None) -> Plan:
        """Return what `run` would send, and what that would cost, the recorded subtracted; send nothing."""
        return self._runner.plan(self._wanted(mode), mode=mode)

    @named_options(RunOptions)
    def submit(
        self,
        *,
        failed: bool = False,
        executor: Workers | None = None,
        tally: Tally | None = None,
        **options: Unpack[RunOptions],
    ) -> Job[Grid]:
        """Start asking for what is missing, or only for what has `failed`.

        With an `executor`, its workers make the calls: a `dask.distributed.Client`, or any executor of
        `concurrent.futures`. Caps, journal and store stay here. A call that is lost with its worker is not
        made again by this run; it may have been billed.

        `max_images` and `max_cost`, by your own prices, bound this run. Many new pictures need
        `assume_yes`. Mode "refresh" asks for all of it anew. `tally` counts what is asked for and arrives;
        `run` shows that after a second, unless `progress` is false.
        An answer that the others would get too (401, 402, 403) stops the run and is raised; any other error
        stays in its cell. Raises `OverBudgetError` or `NotConfirmedError` before anything is sent.
        """
        wanted = self._wanted(options.get("mode"))
        cells = [cell for cell in wanted if not failed or self.outcome(cell).error]
        return self._runner.submit(
            cells, self._outcomes.__setitem__, self._ended, tally=tally, executor=executor, **options
        )

    run = blocking("run", submit, watch=_watch)
    arun = awaitable("arun", submit)

    @named_options(RunOptions)
    def submit_retry(
        self,
        *,
        executor: Workers | None = None,
        tally: Tally | None = None,
        **options: Unpack[RunOptions],
    ) -> Job[Grid]:
        """Start asking for what has failed, and for nothing else."""
        return self.submit(failed=True, executor=executor, tally=tally, **options)

    retry = blocking("retry", submit_retry, watch=_watch)
    aretry = awaitable("aretry", submit_retry)

    def workers(self, executor: Workers) -> WorkerTable:
        """Return a table of what each worker of an executor has, and lacks, for this grid; send nothing.

        Raises `SettingsError` for an engine that is an object of this process, which workers elsewhere lack.
        """
        return self._runner.workers(self.cells, executor)

    def outcome(self, cell: Cell) -> Outcome:
        """Return what has come of a cell so far."""
        return self._outcomes.get(cell, Outcome())

    @property
    def errors(self) -> dict[tuple[str, ...], BelugaError]:
        """Why cells have failed, by their labels."""
        found = ((cell.key, self.outcome(cell).error) for cell in self.cells)
        return {key: error for key, error in found if error}

    def _absent(self) -> Sequence[tuple[Mapping[str, str], str]]:
        found = [(cell.labels, self.outcome(cell)) for cell in self.cells]
        return [
            (labels, type(outcome.error).__name__ if outcome.error else "not asked for")
            for labels, outcome in found
            if outcome.error or not outcome.pictures
        ]

    @property
    def counts(self) -> dict[str, int]:
        """How many cells are done, have failed, may have been billed, or are not started.

        While it runs, also how many are running.
        """
        return counts_of(self.states())

    def states(self, workspace: Workspace | None = None) -> dict[Cell, str]:
        """Return how each cell stands; what is not run yet by the store of the workspace."""
        # The store is read only where something is open: a shown grid is rendered many times.
        left = [cell for cell in self.cells if cell not in self._outcomes]
        calls = _open_calls((workspace or self._runner.workspace()).store) if left else {}
        return {cell: self.state(cell, calls) for cell in self.cells}

    def state(self, cell: Cell, calls: Mapping[Request, bool] = MappingProxyType({})) -> str:
        """Return how a cell stands, by its outcome or else by the open `calls` of the store."""
        error = self.outcome(cell).error
        if cell in self._outcomes and error is None:
            return DONE
        if isinstance(error, NotSentError):
            return NOT_STARTED
        if error is not None:
            return UNKNOWN if error.may_be_billed else FAILED
        waiting = calls.get(cell.request.slice(0))
        return NOT_STARTED if waiting is None else RUNNING if waiting else UNKNOWN

    def arrivals(self) -> Arriving:
        """Return what shows, as HTML, the cells that arrive."""
        from beluga_nb.show.grid import Arrivals

        return Arrivals(self, self._runner.workspace())

    @property
    def arrived(self) -> int:
        """How many cells have an outcome."""
        return len(self._outcomes)

    def arrivals_between(self, first: int, end: int) -> Sequence[Cell]:
        """Return the cells from `first` to before `end`, counted from 0, in the order of their outcomes."""
        return list(islice(self._outcomes, first, end))

    @property
    def samples(self) -> Sequence[Sample]:
        """Every picture that arrived, with the labels of its cell; each is read when it is looked at."""
        return _Samples([ref for cell in self.cells for ref in self.outcome(cell).pictures])

    def __getitem__(self, labels: object) -> Result:
        return self._result(self._cell(labels), self._runner.workspace())

    def _result(self, cell: Cell, workspace: Workspace) -> Result:
        outcome = self.outcome(cell)
        if not outcome.pictures:
            raise outcome.error or RequestError(
                f"The cell {' · '.join(cell.key)} has no pictures yet.", "Ask for them: run()"
            )
        return workspace.result(cell.request, [ref.load() for ref in outcome.pictures])

    def __len__(self) -> int:
        return len(self.cells)

    def items(self) -> Iterator[tuple[tuple[str, ...], Result]]:
        """Yield the labels and the result of each cell that has pictures."""
        workspace = self._runner.workspace()
        return (
            (cell.key, self._result(cell, workspace)) for cell in self.cells if self.outcome(cell).pictures
        )

    def where(self, /, **labels: object) -> Grid:
        """Return the part of the grid that has these labels: `where(model=["flux-2.0"], animal="fox")`."""
        wanted = {name: _labels(given) for name, given in labels.items()}
        for name, chosen in wanted.items():
            self._check_labels(name, chosen)
        cells = [
            cell for cell in self.cells if all(cell.labels[name] in chosen for name, chosen in wanted.items())
        ]
        return self.part(cells)

    def part(self, cells: Sequence[Cell]) -> Grid:
        """Return the part of the grid that has these cells, with what has come of them."""
        return self._with(Grid(self.study, cells, runner=self._runner))

    def workspace(self) -> Workspace:
        """Return the settings and the store as they stand now."""
        return self._runner.workspace()

    def page(self, number: int = 1) -> Grid:
        """Return a part that is small enough to be shown: 40 pictures, with evenly spaced labels.

        Each page is a sample of the whole, which can be run first, and each cell is on exactly one page.
        Pages are counted from 1; raises `RequestError` where there is no such page.
        """
        pages = self.pages
        if number not in range(1, len(pages) + 1):
            raise RequestError(
                f"There is no page {number}.", f"The first page is 1, and the last is {len(pages):,}."
            )
        return self._page(pages, number)

    def _page(self, pages: Pages, number: int) -> Grid:
        part = self.part(pages[number - 1])
        part.page_number, part.pages = number, pages
        return part

    def sampled(self, most: int) -> Grid:
        """Return the grid, or a part of it with evenly spaced labels and at most so many pictures."""
        pages = self.divided(most)
        return self if len(pages) == 1 else self._page(pages, 1)

    @cached_property
    def pages(self) -> Pages:
        """The cells of each page; a grid of 200 pictures or fewer is a single one."""
        return self.divided(MOST_ON_PAGE if self.is_large else MOST_SHOWN)

    def divided(self, most: int, *, spread: bool = True) -> Pages:
        """Return the cells in pages of at most so many pictures."""
        if sum(cell.request.n for cell in self.cells) <= most:
            return Pages(self.study, self._by_key, most=max(1, len(self)))
        largest = max(cell.request.n for cell in self.cells)
        return Pages(self.study, self._by_key, most=max(1, most // largest), spread=spread)

    @cached_property
    def is_large(self) -> bool:
        """Whether it is shown in pages."""
        return sum(cell.request.n for cell in self.cells) > MOST_SHOWN

    @refuses_keys
    def extend(self, /, **more: object) -> Grid:
        """Return the grid with further values on its axes; running it asks only for the new cells."""
        if self._extended is None:
            raise RequestError("This is a part of a grid.", "Extend the whole one.")
        return self._with(self._extended(self.study, more))

    def to_frame(self) -> DataFrame:
        """Return a table of the pictures and failures as a pandas DataFrame; needs `beluga_nb[pandas]`.

        `provider` is the name that a picture is recorded under, `cost` its price by your own prices, and
        `version` that of beluga_nb.
        """
        from beluga_nb.show.grid import frame_of

        return frame_of(self, self._runner.workspace())

    def to_parquet(self, path: str | Path) -> Path:
        """Write the same table as a Parquet file, and return where; needs pyarrow.

        It is written in batches, so that memory does not grow with the grid. Raises `BelugaError` if pyarrow
        is not installed, or the file cannot be written.
        """
        from beluga_nb.show.grid import write_parquet_of

        path = file_path_of(path)
        write_parquet_of(self, self._runner.workspace(), path)
        return path

    def style(self) -> Styler:
        """Return the same table with the pictures in it, for a notebook to show."""
        from beluga_nb.show.grid import style_of

        return style_of(self, self._runner.workspace())

    def sheet(
        self,
        path: str | Path,
        *,
        title: str = "",
        edge: int = 512,
        dpi: int = 300,
        limit: int = 40_000_000,
    ) -> Path:
        """Write the grid as one labelled poster, and return where: a PNG, PDF or SVG by the file's name.

        Pictures have `edge` pixels at most, and fewer where the whole would have more than `limit`. In print
        `dpi` of these pixels make an inch. Of more than 1,000 pictures it shows an even sample, and says so.
        """
        from beluga_nb.show.grid import write_sheet_of

        path = file_path_of(path)
        if not path.suffix:
            path = path.with_suffix(".png")
        write_sheet_of(self, path, title=title, edge=edge, dpi=dpi, limit=limit)
        return path

    def to_html(self, path: str | Path, *, originals: bool = False) -> Path:
        """Write the grid as one page that needs nothing else, and return where.

        It holds previews of 512 pixels, or with `originals` the exact pictures. Of a grid of more than 200
        pictures, a name without a suffix such as "cats" makes a folder of pages; its index is returned.
        """
        from beluga_nb.show.grid import write_page_of

        return write_page_of(self, file_path_of(path), originals=originals)

    def export(self, folder: str | Path, *, metadata: str = "auto") -> list[Path]:
        """Write each picture to a file of its own, named after its labels, and return where.

        `metadata` is where the recipe goes, as in `Picture.save`.
        """
        folder = path_of(folder)
        make_folder(folder)
        samples = self.samples
        assert isinstance(samples, _Samples)
        return [
            sample.picture.save(folder / name, metadata=metadata)
            for name, sample in zip(samples.names, samples, strict=True)
        ]

    def __repr__(self) -> str:
        states = ", ".join(f"{count} {state}" for state, count in self.counts.items() if count)
        return f"<Grid of {plural(len(self), 'cell')}: {states}>"

    @showing
    def _repr_mimebundle_(self, include: Collection[str] | None = None, **_: object) -> Bundle:
        from beluga_nb.show.grid import bundle_of

        # A list of kinds asks for text: the sheet is left out then.
        return redacted_bundle(bundle_of(self, self._runner.workspace(), with_sheet=include is None))

    def _wanted(self, mode: str | None) -> list[Cell]:
        """Return the cells that a run asks for: what is missing, or all of them where it samples anew."""
        return [
            cell
            for cell in self.cells
            if mode == "refresh" or cell not in self._outcomes or self.outcome(cell).error is not None
        ]

    def _ended(self, cause: BelugaError | None) -> Grid:
        """Return the grid at the end of a run; raise what stopped it, or what nothing arrived for."""
        check_run(cause, [self.outcome(cell) for cell in self.cells], of="grid", each="cell")
        return self

    def _cell(self, labels: object) -> Cell:
        names = [axis.name for axis in self.study.axes]
        if isinstance(labels, Mapping):
            if set(labels) != set(names):
                raise RequestError(_named(names), "Give each of them." if names else _ONLY)
            labels = tuple(labels[name] for name in names)
        key = tuple(map(str, labels)) if isinstance(labels, tuple) else (str(labels),)
        if len(key) != len(names):
            order = "Give them in that order, or use where()." if len(names) > 1 else "Give it alone."
            raise RequestError(_named(names), order if names else _ONLY)
        for name, label in zip(names, key, strict=True):
            self._check_labels(name, {label})
        if key not in self._by_key:
            raise RequestError(
                f"There is no cell {' · '.join(key)}.", "Not every combination is in this grid."
            )
        return self._by_key[key]

    def _check_labels(self, name: str, labels: Iterable[str]) -> None:
        known = {axis.name: axis for axis in self.study.axes}
        if name not in known:
            raise UnknownNameError("axis", name, known)
        for label in labels:
            if label not in known[name].labels:
                raise UnknownNameError(name, label, known[name].labels)

    def _with(self, grid: Grid) -> Grid:
        for cell in grid.cells:
            known = self._by_key.get(cell.key)
            if known and known.request == cell.request and known in self._outcomes:
                grid._outcomes[cell] = self._outcomes[known]
        return grid


def counts_of(states: Mapping[Cell, str]) -> dict[str, int]:
    """Return how many cells stand in each way."""
    counted = Counter(states.values())
    running = {RUNNING: counted[RUNNING]} if counted[RUNNING] else {}
    return {state: counted[state] for state in STATES} | running


def _open_calls(store: Store) -> dict[Request, bool]:
    """Return the calls without a known end, and whether each is still under way."""
    # Of several calls for the same, the one that is under way counts.
    calls = sorted(pending.calls(store), key=lambda call: call.on_its_way)
    return {call.request.slice(0): call.on_its_way for call in calls}


def _named(axes: Sequence[str]) -> str:
    if not axes:
        return "The only cell of this grid has no label."
    return f"A cell has {plural(len(axes), 'label')}: {', '.join(axes)}."


def _labels(given: object) -> set[str]:
    # A value that is no text, such as a number, has its text as its label.
    if isinstance(given, str) or not isinstance(given, Iterable):
        return {str(given)}
    return set(map(str, given))


class _Samples(Sequence[Sample]):
    def __init__(self, refs: Sequence[PictureRef]) -> None:
        self._refs = refs

    def __len__(self) -> int:
        return len(self._refs)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(index, slice):
            return _Samples(self._refs[index])
        ref = self._refs[index]
        return Sample(labels=ref.cell.labels, number=_number(ref), picture=ref.load())

    @property
    def names(self) -> list[str]:
        """A file name for each: its labels, and its number where there are several."""
        several = any(map(_number, self._refs))
        words = [
            "-".join(filter(None, [*map(_slug, ref.cell.key), str(_number(ref) + 1) if several else ""]))
            or "picture"
            for ref in self._refs
        ]
        # Some file systems ignore case.
        twice = {name for name, count in Counter(map(str.casefold, words)).items() if count > 1}
        named = [
            f"{place:03}-{name}" if name.casefold() in twice else name for place, name in enumerate(words, 1)
        ]
        return [name + SUFFIXES[ref.media_type] for name, ref in zip(named, self._refs, strict=True)]


def _number(ref: PictureRef) -> int:
    """Return the number of a picture within its cell, from 0 on."""
    return ref.request.sample - ref.cell.request.sample


def _slug(label: str) -> str:
    return _NO_NAME.sub("-", label).strip("-.")[:_LONGEST_NAME].rstrip("-.")
