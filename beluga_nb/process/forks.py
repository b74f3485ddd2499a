"""Memory that forked processes share, in which their budgets are counted together (budget.py).

Loaded with the package, since a process may fork before it uses anything else of it. Without a fork it costs
nothing; `subprocess` does not run these hooks.
"""

from __future__ import annotations

import os
from contextlib import suppress

MEMORY = 2**24
"""Bytes of the memory that forked processes share: room for some hundred thousand reservations."""

LOCK_TIMEOUT = 5.0
"""Seconds that a process waits for another to write its line there, which takes microseconds."""

NO_MEMORY = (OSError, ImportError, ValueError, MemoryError)
"""What is raised where forked processes can share no memory, or nothing forks."""


class InheritedLedger:
    """A ledger for the processes that are forked from this one: memory that they share.

    Not a file: a disk may be full, and a daemon closes descriptors and reuses their numbers. Raises one of
    `NO_MEMORY` where there is none, or no lock for it.
    """

    def __init__(self) -> None:
        import mmap  # Lazy imports: few processes fork.
        from multiprocessing import get_context

        # Of the fork context, whose locks children inherit.
        self._lock = get_context("fork").Lock()
        self._memory = mmap.mmap(-1, MEMORY)  # zero bytes, which no line contains
        self._end = 0  # the end of the lines when last read

    def add(self, line: bytes) -> None:
        """Add a line; raise `OSError` where there is no room."""
        if not self._lock.acquire(timeout=LOCK_TIMEOUT):  # its holder was killed, or is stopped
            raise OSError("another process does not let go of it")
        try:
            # No line holds a zero byte, so the first one is where the lines end.
            end = self._end = self._memory.find(b"\0", self._end)
            if end + len(line) >= MEMORY:
                raise OSError("the memory is full")
            self._memory[end : end + len(line)] = line
        finally:
            self._lock.release()

    def read(self, start: int) -> bytes:
        """Return the lines from `start` on that are complete."""
        return self._memory[start : self._memory.find(b"\0", start)]


class Heritage:
    """The ledger of the default session, which is made at its first use: possibly in a forked child.

    All processes that are forked before it is made find the same `ledger`. In one that `is_apart` there could
    be none.
    """

    def __init__(self) -> None:
        self.ledger: InheritedLedger | None = None
        self.is_apart = False
        self._is_taken = False

    def take(self) -> Heritage:
        """Return it to the budget of the default session, which handles later forks itself."""
        self._is_taken = True
        return self

    def before_fork(self) -> None:
        """Make the ledger, where there is memory for it."""
        # Before the first fork, or its child would have nothing to share.
        if not (self._is_taken or self.ledger or self.is_apart):
            with suppress(*NO_MEMORY):
                self.ledger = InheritedLedger()

    def in_child(self) -> None:
        """Note whether this process can share its parent's count."""
        self.is_apart = self.ledger is None


HERITAGE = Heritage()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=HERITAGE.before_fork, after_in_child=HERITAGE.in_child)
