"""End a child process with its parent.

On every system a pipe is read to its end, and the parent's process id is compared.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress

_EVERY = 0.5
"""Seconds between checks of the parent's process id."""


def wait_for_parent(ended: Callable[[float], object]) -> None:
    """Return when the parent process has ended, SIGKILL included.

    `ended` waits at most so many seconds for what the parent holds open, and returns whether it is closed. A
    process that the parent has forked may hold it open too; so the parent's process id is compared as well.
    It changes where orphans are adopted, and stays the same elsewhere, as on Windows.
    """
    born = os.getppid()
    while not ended(_EVERY) and os.getppid() == born:
        pass


def closed(pipe: int) -> Callable[[float], bool]:
    """Return a function that waits for the end of a pipe.

    A thread reads it: on Windows `select` takes only sockets.
    """
    end = threading.Event()
    threading.Thread(target=_read_to_the_end, args=[pipe, end], daemon=True).start()
    return end.wait


def _read_to_the_end(pipe: int, end: threading.Event) -> None:
    with suppress(OSError):
        while os.read(pipe, 4096):
            pass
    end.set()
