"""Waiting with progress: one line for nested calls too, and Stop in two lines."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from beluga_nb.compare.workspace import Arriving
from beluga_nb.console import AROUND_OUTPUT
from beluga_nb.engines.call import Tally
from beluga_nb.interrupted import Left, explain
from beluga_nb.progress.displays import display_here
from beluga_nb.progress.line import ProgressDisplay, ProgressLine
from beluga_nb.progress.value_use import ValueUse, value_use

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_WATCHED: ContextVar[bool] = ContextVar("_WATCHED", default=False)
"""Whether a call that this one is part of shows its progress already."""


@contextmanager
def watched(
    tally: Tally,
    *,
    left: Left,
    arrivals: Callable[[], Arriving] | None = None,
) -> Iterator[Callable[[], None]]:
    """Show the progress of what is counted in a tally; yield the function that each heartbeat calls.

    `left` returns the two lines of what a Stop leaves behind. `arrivals` makes what is shown of a grid.
    """
    display = None if _WATCHED.get() else display_here(partial(_in_cell, tally, arrivals))
    line = ProgressLine(display, tally)
    watching, around = _WATCHED.set(True), AROUND_OUTPUT.get()
    token = AROUND_OUTPUT.set(line.beside if display else around)
    try:
        yield line.beat
        line.end(replaced=tally.shows_result and _is_shown_next())
    except KeyboardInterrupt as interrupt:
        line.end()
        explain(interrupt, left)
        raise
    finally:
        line.end()
        AROUND_OUTPUT.reset(token)
        _WATCHED.reset(watching)


@contextmanager
def messages_stay() -> Iterator[None]:
    """Keep messages of the block in the output of a cell when later progress is erased."""

    def display_in_cell(shell: InteractiveShell) -> ProgressDisplay:
        from beluga_nb.progress.cell import CellDisplay  # Lazy import: only a notebook needs it.

        return CellDisplay(shell)

    display = None if _WATCHED.get() else display_here(display_in_cell)
    token = AROUND_OUTPUT.set(display.beside if display else AROUND_OUTPUT.get())
    try:
        yield
    finally:
        AROUND_OUTPUT.reset(token)


def _in_cell(
    tally: Tally, arrivals: Callable[[], Arriving] | None, shell: InteractiveShell
) -> ProgressDisplay:
    from beluga_nb.progress.cell import CellDisplay  # Lazy import: only a notebook needs it.
    from beluga_nb.show.waiting import frames_html

    if arrivals:
        arriving = arrivals()
        return CellDisplay(shell, frames=arriving.frames, arrivals=arriving.html)

    # Each call makes small copies of the pictures.
    @lru_cache(maxsize=1)
    def frames(arrived: int) -> str:
        return frames_html(tally.request, tally.results[:arrived]) if tally.request else ""

    return CellDisplay(shell, frames=lambda: frames(len(tally.results)))


def _is_shown_next() -> bool:
    """Whether IPython shows what the call returns, as the value of the cell's last line."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    quiet = shell is None or shell.displayhook.quiet()
    return not quiet and value_use(inspect.currentframe()) is ValueUse.SHOWN
