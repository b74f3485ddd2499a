"""Many calls on any executor: threads, processes, interpreters, or a Dask cluster, a bounded number at once.

What was passed in is never shut down. At most `in_flight` calls are under way, so that pictures are read
and sent as they are needed, not all at once; an interrupt cancels those that have not begun.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import nullcontext
from typing import TypeVar

from beluga_nb.compare.cluster import Cluster, ClusterWorkers
from beluga_nb.errors import RequestError
from beluga_nb.process.lifetime import wait_for_parent
from beluga_nb.text import sanitize

T = TypeVar("T")

IN_FLIGHT = 16
"""Calls that are under way at once by default."""

HEARTBEAT = 0.1
"""Seconds between two checks for calls that have ended, so that an interrupt is seen on every system."""

Workers = Executor | Cluster
"""An executor of `concurrent.futures`, or a Dask client, whose workers make calls."""


def each(
    function: Callable[..., T],
    calls: Iterable[tuple[object, ...]],
    *,
    executor: Workers | None = None,
    in_flight: int = IN_FLIGHT,
    metric: Callable[..., object] | None = None,
    beat: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, T | Exception]]:
    """Call a function with each of some arguments; yield the number of each call and what came of it.

    They come as they end, an exception in place of a result. Without an executor they run here, one by one.
    While workers are waited for, `beat` is called.
    The workers of a cluster are asked first whether they have the function, and the metric that it calls.
    Raises `RequestError` where the executor takes no more, or a worker cannot work.
    """
    if in_flight < 1:
        raise RequestError(f"in_flight is {in_flight}.", "Give a whole number from 1 on.")
    if executor is None:
        return ((number, _outcome(function, *arguments)) for number, arguments in enumerate(calls))
    if isinstance(executor, Cluster):
        workers = ClusterWorkers(executor, function, *([metric] if metric else []))

        def look() -> None:
            workers.look()
            beat()

        return _under_way(function, calls, executor.get_executor(pure=False), in_flight, look)
    check_not_within(executor)
    if has_processes(executor):
        function = functools.partial(while_the_parent_lives, function)
    return _under_way(function, calls, executor, in_flight, beat)


def check_not_within(executor: Executor) -> None:
    """Raise `RequestError` in a thread of an executor, where waiting for its other calls may never end."""
    # `submit` starts a thread before it adds it to these, and holds the lock meanwhile.
    with getattr(executor, "_shutdown_lock", nullcontext()):
        is_within = threading.current_thread() in getattr(executor, "_threads", ())
    if is_within:
        raise RequestError(
            "This thread belongs to the executor, whose calls might wait for this one to end.",
            "Pass another executor, or call this outside of it.",
        )


def has_processes(executor: Executor) -> bool:
    """Whether an executor is a pool of processes."""
    module = sys.modules.get("concurrent.futures.process")  # a pool exists only if this is imported
    return module is not None and isinstance(executor, module.ProcessPoolExecutor)


def while_the_parent_lives(function: Callable[..., T], *arguments: object) -> T:
    """Call a function in a worker process that ends with its parent: a pool's own would wait for ever."""
    _end_with_parent()
    return function(*arguments)


@functools.cache
def _end_with_parent() -> None:
    threading.Thread(target=_wait_and_end, daemon=True).start()


def _wait_and_end() -> None:
    from multiprocessing import parent_process

    if parent := parent_process():

        def ended(seconds: float) -> bool:
            parent.join(seconds)
            return not parent.is_alive()

        wait_for_parent(ended)
        os._exit(1)


def _outcome(function: Callable[..., T], *arguments: object) -> T | Exception:
    try:
        return function(*arguments)
    except Exception as error:  # a user's function may raise anything
        return error


def _under_way(
    function: Callable[..., T],
    calls: Iterable[tuple[object, ...]],
    pool: Executor,
    in_flight: int,
    look: Callable[[], None],
) -> Iterator[tuple[int, T | Exception]]:
    waiting: dict[Future[T], int] = {}
    try:
        for number, arguments in enumerate(calls):
            while len(waiting) >= in_flight:
                yield from _ended(waiting)
                look()
            waiting[submitted(pool, function, arguments)] = number
        while waiting:
            yield from _ended(waiting)
            look()
    finally:
        for future in waiting:
            future.cancel()


def submitted(pool: Executor, function: Callable[..., T], arguments: tuple[object, ...]) -> Future[T]:
    """Return a call that an executor has taken; raise `RequestError` where it takes no more."""
    try:
        return pool.submit(function, *arguments)
    except RuntimeError as error:  # it was shut down, or a process of it has died
        raise RequestError(
            f"The executor takes no more work: {sanitize(str(error), 200)}.",
            "Pass another one; what was done is kept.",
        ) from error


def _ended(waiting: dict[Future[T], int]) -> Iterator[tuple[int, T | Exception]]:
    done, _ = wait(waiting, timeout=HEARTBEAT, return_when=FIRST_COMPLETED)
    for future in done:
        number = waiting.pop(future)
        yield number, _outcome(future.result)
