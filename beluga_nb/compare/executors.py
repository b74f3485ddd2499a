"""Many calls on any executor: threads, processes, interpreters, or a Dask cluster, a bounded number at once.

What was passed in is never shut down. Only so many calls are under way as one says, so that pictures are read
and sent as they are needed, not all at once; an interrupt cancels those that have not begun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Protocol, TypeVar, runtime_checkable

from beluga_nb.errors import RequestError, plain

T = TypeVar("T")

IN_FLIGHT = 16
"""Calls that are under way at once, unless one says otherwise."""

HEARTBEAT = 0.1
"""Seconds between looks at what has ended, so that an interrupt is seen on every system."""


@runtime_checkable
class Cluster(Protocol):
    """What gives an executor, as a `dask.distributed.Client` does."""

    def get_executor(self, *, pure: bool) -> Executor: ...


Workers = Executor | Cluster
"""Where calls may go."""


def each(
    function: Callable[..., T],
    calls: Iterable[tuple[object, ...]],
    *,
    executor: Workers | None = None,
    in_flight: int = IN_FLIGHT,
) -> Iterator[tuple[int, T | Exception]]:
    """Call a function with each of some arguments; yield the number of each call and what came of it.

    They come as they end, an exception in place of a result. Without an executor they run here, one by one.
    Raises `RequestError` where the executor takes no more.
    """
    if in_flight < 1:
        raise RequestError(f"in_flight is {in_flight}.", "Give a whole number from 1 on.")
    if executor is None:
        return ((number, _outcome(function, *arguments)) for number, arguments in enumerate(calls))
    pool = executor.get_executor(pure=False) if isinstance(executor, Cluster) else executor
    return _under_way(function, calls, pool, in_flight)


def _outcome(function: Callable[..., T], *arguments: object) -> T | Exception:
    try:
        return function(*arguments)
    except Exception as error:  # a stranger's function: it fails as it likes
        return error


def _under_way(
    function: Callable[..., T], calls: Iterable[tuple[object, ...]], pool: Executor, in_flight: int
) -> Iterator[tuple[int, T | Exception]]:
    waiting: dict[Future[T], int] = {}
    try:
        for number, arguments in enumerate(calls):
            while len(waiting) >= in_flight:
                yield from _ended(waiting)
            waiting[_submitted(pool, function, arguments)] = number
        while waiting:
            yield from _ended(waiting)
    finally:
        for future in waiting:
            future.cancel()


def _submitted(pool: Executor, function: Callable[..., T], arguments: tuple[object, ...]) -> Future[T]:
    try:
        return pool.submit(function, *arguments)
    except RuntimeError as error:  # it was shut down, or a process of it has died
        raise RequestError(
            f"The executor takes no more work: {plain(str(error), 200)}.",
            "Pass another one; what was done is kept.",
        ) from error


def _ended(waiting: dict[Future[T], int]) -> Iterator[tuple[int, T | Exception]]:
    done, _ = wait(waiting, timeout=HEARTBEAT, return_when=FIRST_COMPLETED)
    for future in done:
        number = waiting.pop(future)
        yield number, _outcome(future.result)
