"""A line of progress below a cell, which is erased when the call ends.

It is erased so that a saved notebook equals its replay. Only `clear_output` removes an output, and it removes
all of a cell's, so the line is drawn only where nothing can have been shown before it.
"""

from __future__ import annotations

import linecache
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from IPython.display import DisplayHandle, clear_output, display

from beluga_nb.console import BEFORE_OUTPUT
from beluga_nb.engines.call import Tally
from beluga_nb.magics.value_use import caller
from beluga_nb.text import plural, sanitize

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

PATIENCE = 0.5
"""Seconds before progress is shown; most replays are done by then."""

INTERVAL = 0.5
"""The least number of seconds between two drawings, each of which sends two messages at most."""

SLOWLY = 10
"""Pauses between drawings of a grid last this many times as long as a drawing takes."""


class Pen(Protocol):
    """Draws a line of progress over the one before, adds HTML below it, and erases all of it."""

    def draw(self, text: str, html: str = "") -> None: ...
    def erase(self) -> None: ...


class InCell:
    """Draws below a cell of a notebook, whose only output it is."""

    def __init__(self) -> None:
        self._handle: DisplayHandle | None = None

    def draw(self, text: str, html: str = "") -> None:
        """Show the text over the one before, and the HTML below all that was shown before."""
        bundle = {"text/plain": text}
        if self._handle is None:
            self._handle = DisplayHandle()  # type: ignore[no-untyped-call]  # IPython's own
            self._handle.display(bundle, raw=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(bundle, raw=True)  # type: ignore[no-untyped-call]
        if html:  # An output of its own: what was sent before is not sent again.
            display(bundle | {"text/html": html}, raw=True)  # type: ignore[no-untyped-call]

    def erase(self) -> None:
        """Leave no output."""
        clear_output()  # type: ignore[no-untyped-call]


class InTerminal:
    """Draws over the last line of a terminal."""

    def draw(self, text: str, html: str = "") -> None:  # noqa: ARG002  A terminal shows no HTML.
        """Show the text."""
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def erase(self) -> None:
        """Leave the line as it was."""
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class Progress:
    """Decides what is drawn at a heartbeat, and when.

    The line begins with `label`, or else the model. For a grid, `wanted` is the number of its pictures, which
    gives the time left, and `html` returns what has arrived since it was called last.
    """

    def __init__(
        self,
        pen: Pen | None,
        tally: Tally,
        *,
        clock: Callable[[], float] = time.monotonic,
        label: str = "",
        wanted: int = 0,
        html: Callable[[], str] = str,
    ) -> None:
        self._pen = pen
        self._tally = tally
        self._label = label
        self._clock = clock
        self._began = clock()
        self._drawn = ""
        self._wanted = wanted
        self._html = html
        self._next = 0.0  # When it may be drawn again, on that clock.

    def beat(self) -> None:
        """Draw the line again if it has changed; draw nothing if all comes from the store."""
        elapsed = self._clock() - self._began
        if self._pen is None or elapsed < PATIENCE or not self._tally.asked:
            return
        asked = max(self._wanted, self._tally.asked)
        count = f"{self._tally.arrived} of {plural(asked, 'picture')}"
        label = self._label or sanitize(self._tally.model, 80)
        text = f"{label}: {count}, {max(1, round(elapsed))} s{self._left(asked, elapsed)}"
        began = self._clock()
        if text != self._drawn and began >= self._next:
            self._drawn = text
            self._pen.draw(text, self._html())
            self._next = began + max(INTERVAL, SLOWLY * (self._clock() - began))

    def _left(self, asked: int, elapsed: float) -> str:
        arrived = self._tally.arrived
        if not self._wanted or not arrived or arrived >= asked:
            return ""
        return f", about {max(1, round(elapsed / arrived * (asked - arrived)))} s left"

    def end(self) -> None:
        """Erase the line, and draw no other."""
        pen, self._pen = self._pen, None
        if pen and self._drawn:
            pen.erase()


@contextmanager
def progress(shell: InteractiveShell, frame: FrameType | None, tally: Tally) -> Iterator[Callable[[], None]]:
    """Show the progress of the call with this tally; yield the function that each heartbeat calls."""
    with drawn(Progress(pen_for(shell, frame), tally)) as beat:
        yield beat


@contextmanager
def drawn(line: Progress) -> Iterator[Callable[[], None]]:
    """Draw a line until the end of the block, or until something is printed; yield its heartbeat."""
    token = BEFORE_OUTPUT.set(line.end)
    try:
        yield line.beat
    finally:
        line.end()
        BEFORE_OUTPUT.reset(token)


@contextmanager
def listening() -> Iterator[Callable[[], bool]]:
    """Yield whether something was printed in the block, which erasing a line of progress would lose."""
    printed: list[bool] = []
    token = BEFORE_OUTPUT.set(lambda: printed.append(True))
    try:
        yield lambda: bool(printed)
    finally:
        BEFORE_OUTPUT.reset(token)


def pen_for(shell: InteractiveShell, frame: FrameType | None) -> Pen | None:
    """Return what draws progress here, or None where it would not be seen or could erase other output."""
    parent = getattr(shell, "get_parent", None)  # Only a kernel's shell has this: the request it executes.
    if parent is None:
        return InTerminal() if sys.stderr and sys.stderr.isatty() else None
    # nbclient and such execute notebooks unattended, and do not allow input.
    return (
        InCell() if parent().get("content", {}).get("allow_stdin") and _comes_first(caller(frame)) else None
    )


def _comes_first(frame: FrameType | None) -> bool:
    """Whether a line of a cell is its first, except for comments, so that nothing was shown before."""
    if frame is None or not frame.f_code.co_name.startswith(("<module>", "<cell line:")):
        return False
    before = linecache.getlines(frame.f_code.co_filename)[: frame.f_lineno - 1]
    return all(not line.strip() or line.startswith("#") for line in before)
