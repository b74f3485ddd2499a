"""What grids and galleries know of their session: where it keeps pictures, and how it runs cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypedDict, TypeVar, Unpack

from beluga_nb.compare.cell import Cell, Outcome
from beluga_nb.compare.plan import Plan
from beluga_nb.config.settings import Settings
from beluga_nb.engines.call import Tally
from beluga_nb.errors import BelugaError
from beluga_nb.request import Request
from beluga_nb.result import Picture, Result
from beluga_nb.runtime import Job
from beluga_nb.store.records import Store

if TYPE_CHECKING:
    from beluga_nb.compare.executors import Workers  # Lazy imports: only a grid's run has any.
    from beluga_nb.compare.on_workers import WorkerTable

T = TypeVar("T")


Progress = AbstractContextManager[tuple[Tally, Callable[[], None]]]
"""A block in which progress is shown: it begins with a tally to count in, and the heartbeat."""


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The settings as they stand, the store that they name, and the notebook's folder.

    `notify` tells the user of a problem, and `result` makes pictures a result that can be shown and asked for
    again.
    """

    settings: Settings
    store: Store
    folder: Path
    notify: Callable[[str], None]
    result: Callable[[Request, Sequence[Picture]], Result]


class RunOptions(TypedDict, total=False):
    """Options of one run of a grid; what each of them means stands at `Grid.submit`. None is left out."""

    max_images: int | None
    max_cost: float | None
    mode: str | None
    assume_yes: bool
    progress: bool | None


class Arriving(Protocol):
    """What has arrived of a grid that is running, as HTML.

    `frames` returns a small grid as it stands, with frames for what is missing, in place of what it returned
    before. `html` returns what has arrived of a large one since it was called last.
    """

    def frames(self) -> str: ...
    def html(self) -> str: ...


class Runner(Protocol):
    """Runs cells, and knows where their pictures, scores and votes are kept."""

    def plan(self, cells: Sequence[Cell], *, mode: str | None = None) -> Plan:
        """Return what a run of cells would send, and what that would cost; send nothing."""
        ...

    def submit(
        self,
        cells: Sequence[Cell],
        arrived: Callable[[Cell, Outcome], None],
        ended: Callable[[BelugaError | None], T],
        *,
        tally: Tally | None = None,
        executor: Workers | None = None,
        **options: Unpack[RunOptions],
    ) -> Job[T]:
        """Start a run of cells: each outcome is passed to `arrived`, and what stopped the run to `ended`.

        With an `executor` its workers make the calls.
        Raises `BelugaError` before anything is sent.
        """
        ...

    def workers(self, cells: Sequence[Cell], executor: Workers) -> WorkerTable:
        """Return what the workers of an executor have for some cells; send nothing."""
        ...

    def workspace(self) -> Workspace:
        """Return the settings and the store as they stand now."""
        ...

    def calling(
        self,
        tally: Tally | None,
        *,
        label: str,
        arrivals: Callable[[], Arriving] | None = None,
    ) -> Progress:
        """Show how far a run is in a block, with what `arrivals` returns; yield its tally and heartbeat."""
        ...

    def working(self, label: str, *, unit: str, progress: bool | None, left: Sequence[str]) -> Progress:
        """Show how far other work is in a block; `left` are two lines of what a Stop leaves behind."""
        ...
