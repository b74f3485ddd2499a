"""The line of progress: what it says, and when it is drawn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from beluga_nb.engines.call import Tally
from beluga_nb.runtime import interrupts_wait
from beluga_nb.text import duration, plural, sanitize

SHOW_AFTER = 1.0
"""Seconds before progress is shown; most replays and local previews are done by then."""

MIN_PAUSE_FACTOR = 10
"""Pauses between drawings last at least this many times as long as a drawing takes."""


class ProgressDisplay(Protocol):
    """Draws a line of progress over the one before, and erases all that it drew.

    `interval` is the least number of seconds between two drawings. `is_free` tells whether it may draw
    without harm to other output. What is erased is `replaced` where the result follows at once. What is
    printed or asked in the block of `beside` stays, whatever is drawn and erased after it.
    """

    @property
    def interval(self) -> float: ...
    def is_free(self) -> bool: ...
    def draw(self, text: str, share: float | None) -> None: ...
    def erase(self, *, replaced: bool) -> None: ...
    def beside(self, printed: str) -> AbstractContextManager[None]: ...


class ProgressLine:
    """Decides what is drawn at a heartbeat, and when; without a display, nothing is."""

    def __init__(
        self, display: ProgressDisplay | None, tally: Tally, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._display = display
        self._tally = tally
        self._clock = clock
        self._began = clock()
        self._drawn = ""
        self._next = 0.0  # When it may be drawn again, on that clock.
        self._lock = threading.RLock()  # Messages of a call come from its own thread.

    def beat(self) -> None:
        """Draw the line again if it has changed; draw nothing if all comes from the store."""
        began = self._clock()
        if self._display is None or not self._tally.asked or began - self._began < SHOW_AFTER:
            return
        text = words(self._tally, began - self._began)
        if text == self._drawn or began < self._next or not self._is_wanted():
            return
        # What is half drawn could not be erased.
        with interrupts_wait(), self._lock:
            if not self._display.is_free():
                return
            self._drawn = text
            self._display.draw(text, share(self._tally))
            self._next = began + max(self._display.interval, MIN_PAUSE_FACTOR * (self._clock() - began))

    def _is_wanted(self) -> bool:
        return self._tally.settings is None or self._tally.settings.progress

    def erase(self, *, replaced: bool = False) -> None:
        """Erase the line; the next heartbeat may draw it again."""
        with self._lock:
            if self._display and self._drawn:
                self._drawn = ""
                self._display.erase(replaced=replaced)

    @contextmanager
    def beside(self, printed: str) -> Iterator[None]:
        """Make room for what is printed or asked in the block."""
        with self._lock:
            self.erase()
            with self._display.beside(printed) if self._display else nullcontext():
                yield

    def end(self, *, replaced: bool = False) -> None:
        """Erase the line, and draw no other."""
        self.erase(replaced=replaced)
        self._display = None


def words(tally: Tally, elapsed: float) -> str:
    """Return how far something is: the count, the time, the time left, and what it has cost.

    >>> words(Tally(label="grid", asked=6, arrived=2, wanted=8), 7.2)
    'grid: 2 of 8 pictures, 7 s, about 22 s left'
    >>> words(Tally(label="grid", asked=6, arrived=3, wanted=8, made_by={"a": 1, "b": 2}), 7.2)
    'grid: 3 of 8 pictures, 7 s, about 12 s left, 3 under way, 2 workers made 1 to 2 each'
    """
    total = _total(tally)
    text = f"{sanitize(tally.label, 80)}: {tally.arrived} of {plural(total, tally.unit)}, {duration(elapsed)}"
    done = tally.arrived + tally.failed
    if 0 < done < total:
        text += f", about {duration(elapsed / done * (total - done))} left"
    caps = tally.settings.caps if tally.settings else None
    if caps and caps.prices and tally.spent.cost and not tally.spent.unpriced:
        text += f", {caps.words(tally.spent.cost)} so far"
    if made := tally.made_by.values():
        least, most = min(made), max(made)
        each = f"{least} to {most}" if least < most else str(most)
        text += f", {tally.asked - done} under way, {plural(len(made), 'worker')} made {each} each"
    return text


def share(tally: Tally) -> float | None:
    """Return which part of it is done, from 0 to 1, or None where it has no parts."""
    total = _total(tally)
    return min((tally.arrived + tally.failed) / total, 1.0) if total > 1 else None


def _total(tally: Tally) -> int:
    return max(tally.wanted, tally.asked)
