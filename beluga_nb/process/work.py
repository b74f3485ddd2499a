"""Work on threads that ends even if the coroutine that waits for it is cancelled."""

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
    """Start work on a thread, where it ends even if the event loop has stopped."""
    in_context = partial(contextvars.copy_context().run, work, *args, **kwargs)
    # A future, so that the work has begun even if the caller is cancelled before it waits.
    return asyncio.get_running_loop().run_in_executor(None, in_context)


async def revocable(work: Callable[[], T], undo: Callable[[T], object]) -> T:
    """Return the result of work on a thread; undo the work, on a thread, if the caller is cancelled.

    Whichever ends last has it undone: the thread or the caller.
    """
    handover = _Handover[T]()
    try:
        return await at_work(handover.carry_out, work, undo)
    except BaseException as stop:
        for done in handover.refuse():
            if isinstance(stop, asyncio.CancelledError):
                await asyncio.shield(at_work(undo, done))
            else:  # The loop has ended.
                undo(done)
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

    def refuse(self) -> list[T]:
        """Refuse what is done from here on, which its thread undoes; return what was done before."""
        with self._lock:
            self._refused = True
            return list(self._done)
