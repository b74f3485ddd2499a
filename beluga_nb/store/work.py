"""Work on threads that must not stay half done, whatever happens to the coroutine that waits for it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from functools import partial
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def at_work(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    """Start the work on a thread, where it comes to its end even if the event loop runs no more."""
    there = partial(contextvars.copy_context().run, work, *args, **kwargs)
    return asyncio.get_running_loop().run_in_executor(None, there)


async def revocable(work: Callable[[], T], undo: Callable[[T], object]) -> T:
    """Return the result of work on a thread; undo the work where its caller has stopped waiting.

    Whichever ends last undoes it: the thread, or the caller.
    """
    handover = _Handover[T]()
    try:
        return await at_work(handover.carry_out, work, undo)
    except BaseException:
        handover.refuse(undo)
        raise


class _Handover(Generic[T]):
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refused = False
        self._done: list[T] = []

    def carry_out(self, work: Callable[[], T], undo: Callable[[T], object]) -> T:
        done = work()
        with self._lock:
            self._done.append(done)
            refused = self._refused
        if refused:
            undo(done)
        return done

    def refuse(self, undo: Callable[[T], object]) -> None:
        with self._lock:
            self._refused = True
            done = list(self._done)
        for each in done:
            undo(each)
