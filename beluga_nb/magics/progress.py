"""One line that says how far a call is, while someone is looking; at its end it is gone.

Gone means that a saved notebook has what its replay has. Only `clear_output` takes an output away, and it
takes all of a cell's, so the line is drawn only where nothing can have been shown before it.
"""

from __future__ import annotations

import linecache
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from IPython.display import DisplayHandle, clear_output

from beluga_nb.magics.value_use import caller
from beluga_nb.session import BEFORE_OUTPUT, Tally, counted
from beluga_nb.show.markup import outside
from beluga_nb.text import plural, sanitize

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

PATIENCE = 0.5
"""Seconds that nobody needs to be told of."""


SLOWLY = 10
"""How many times as long as it takes to draw a grid is waited before it is drawn again."""


class Pen(Protocol):
    """Draws a line in place of the one before, and takes it away."""

    def draw(self, words: str, html: str = "") -> None: ...
    def erase(self) -> None: ...


class InCell:
    """Draws below a cell of a notebook, whose only output it is."""

    def __init__(self) -> None:
        self._handle: DisplayHandle | None = None

    def draw(self, words: str, html: str = "") -> None:
        """Show the words, and below them what there is of a grid."""
        bundle = {"text/plain": words}
        if html:
            bundle["text/html"] = f"<div>{outside(words)}</div>{html}"
        if self._handle is None:
            self._handle = DisplayHandle()  # type: ignore[no-untyped-call]  # IPython's own
            self._handle.display(bundle, raw=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(bundle, raw=True)  # type: ignore[no-untyped-call]

    def erase(self) -> None:
        """Leave no output."""
        clear_output()  # type: ignore[no-untyped-call]


class InTerminal:
    """Draws over the last line of a terminal."""

    def draw(self, words: str, html: str = "") -> None:  # noqa: ARG002  a terminal shows none
        """Show the words."""
        print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)

    def erase(self) -> None:
        """Leave the line as it was."""
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class Progress:
    """What is drawn at a heartbeat, and when.

    Of a grid it is known how many pictures are `wanted`, and so how long it may take; `html` returns what
    there is of it.
    """

    def __init__(
        self,
        pen: Pen | None,
        tally: Tally,
        model: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        wanted: int = 0,
        html: Callable[[], str] = str,
    ) -> None:
        self._pen = pen
        self._tally = tally
        self._model = sanitize(model, 80)
        self._clock = clock
        self._began = clock()
        self._drawn = ""
        self._wanted = wanted
        self._html = html
        self._next = 0.0  # on that clock, when a grid may be drawn again

    def beat(self) -> None:
        """Draw the line anew if it says something else by now; nothing for what the store has."""
        elapsed = self._clock() - self._began
        if self._pen is None or elapsed < PATIENCE or not self._tally.asked:
            return
        asked = max(self._wanted, self._tally.asked)
        count = f"{self._tally.arrived} of {plural(asked, 'picture')}"
        words = f"{self._model}: {count}, {max(1, round(elapsed))} s{self._left(asked, elapsed)}"
        began = self._clock()
        if words != self._drawn and began >= self._next:
            self._drawn = words
            self._pen.draw(words, self._html())
            self._next = began + SLOWLY * (self._clock() - began)

    def _left(self, asked: int, elapsed: float) -> str:
        arrived = self._tally.arrived
        if not self._wanted or not arrived or arrived >= asked:
            return ""
        return f", about {max(1, round(elapsed / arrived * (asked - arrived)))} s left"

    def end(self) -> None:
        """Take the line away, and draw no other."""
        pen, self._pen = self._pen, None
        if pen and self._drawn:
            pen.erase()


@contextmanager
def progress(shell: InteractiveShell, model: str, frame: FrameType | None) -> Iterator[Callable[[], None]]:
    """Show how far the calls in here are, where someone looks; yield what each heartbeat is to call."""
    with counted() as tally, drawn(Progress(pen_for(shell, frame), tally, model)) as beat:
        yield beat


@contextmanager
def drawn(line: Progress) -> Iterator[Callable[[], None]]:
    """Draw a line until the end of the block, or until a word is said; yield its heartbeat."""
    token = BEFORE_OUTPUT.set(line.end)
    try:
        yield line.beat
    finally:
        line.end()
        BEFORE_OUTPUT.reset(token)


@contextmanager
def listening() -> Iterator[Callable[[], bool]]:
    """Yield whether a word was said in the block, which taking the cell's output away would lose."""
    said: list[bool] = []
    token = BEFORE_OUTPUT.set(lambda: said.append(True))
    try:
        yield lambda: bool(said)
    finally:
        BEFORE_OUTPUT.reset(token)


def pen_for(shell: InteractiveShell, frame: FrameType | None) -> Pen | None:
    """Return what draws where someone looks, if something does and nothing can have been shown before."""
    parent = getattr(shell, "get_parent", None)  # a kernel's shell has one: the message that it executes
    if parent is None:
        return InTerminal() if sys.stderr and sys.stderr.isatty() else None
    # Who executes notebooks unattended says that nobody can be asked.
    return (
        InCell() if parent().get("content", {}).get("allow_stdin") and _comes_first(caller(frame)) else None
    )


def _comes_first(frame: FrameType | None) -> bool:
    """Whether a line of a cell is its first, but for comments: nothing can have been shown before."""
    if frame is None or not frame.f_code.co_name.startswith(("<module>", "<cell line:")):
        return False
    before = linecache.getlines(frame.f_code.co_filename)[: frame.f_lineno - 1]
    return all(not line.strip() or line.startswith("#") for line in before)
