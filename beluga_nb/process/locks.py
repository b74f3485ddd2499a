"""A lock for objects that exist once in a process."""

from __future__ import annotations

import os
import threading


class ProcessLock:
    """A lock that is free in a forked child, even if a thread of the parent holds it."""

    def __init__(self) -> None:
        self._locks: dict[int, threading.RLock] = {}

    def __enter__(self) -> None:
        self._own().acquire()

    def __exit__(self, *_: object) -> None:
        self._own().release()

    def _own(self) -> threading.RLock:
        # Found by process id: in a forked child the parent's lock may be held by a thread that is not there.
        return self._locks.setdefault(os.getpid(), threading.RLock())
