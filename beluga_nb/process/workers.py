"""Threads for blocking work, and what keeps a process alive until paid answers are on disk.

`concurrent.futures` refuses new work as soon as the main thread has ended, while other threads may still wait
for answers that are paid for. These threads go on until nothing is under way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

WORK = 60.0
"""Seconds that a process waits for one piece of work on a thread; decoding the largest picture takes less."""

PAUSE = 0.05
"""Seconds after which no more work is expected; Python may end as much later."""


class Holding:
    """Work under way, and until when the process waits for each piece of it as Python ends.

    A non-daemon thread waits, since Python waits for such threads. Ctrl-C ends that.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._until: dict[object, float] = {}
        self._waiter: threading.Thread | None = None

    def begin(self, seconds: float) -> Callable[[], None]:
        """Hold the process for at most so many seconds; return a function that ends that."""
        token = object()
        with self._changed:
            self._until[token] = time.monotonic() + seconds
            if self._waiter is None:
                self._start_waiter()
        return partial(self._end, token)

    @contextmanager
    def during(self, seconds: float) -> Iterator[None]:
        """Hold the process while the block runs, for at most so many seconds."""
        end = self.begin(seconds)
        try:
            yield
        finally:
            end()

    @property
    def has_waiter(self) -> bool:
        """Whether a thread is waiting."""
        return self._waiter is not None

    def wait(self, seconds: float = float("inf")) -> None:
        """Wait until nothing is under way, or until the time of all work has passed."""
        latest = time.monotonic() + seconds
        with self._changed:
            while (left := min(latest, max(self._until.values(), default=0.0)) - time.monotonic()) > 0:
                self._changed.wait(left)

    def _start_waiter(self) -> None:
        waiter = threading.Thread(target=self._wait_for_all, name="beluga-keep", daemon=False)
        try:
            waiter.start()
        except RuntimeError:  # Python is ending and starts no more threads
            return
        self._waiter = waiter

    def _wait_for_all(self) -> None:
        with self._changed:
            self.wait()
            # One short piece of work often follows another, and each would start a thread of its own.
            # Work whose time has passed is not waited for: without waiting, the lock would never be free.
            while self._changed.wait_for(self._has_time_left, PAUSE):
                self.wait()
            self._waiter = None

    def _has_time_left(self) -> bool:
        return max(self._until.values(), default=0.0) > time.monotonic()

    def _end(self, token: object) -> None:
        with self._changed:
            self._until.pop(token, None)
            if not self._has_time_left():
                self._changed.notify_all()


Item = tuple["Future[object]", Callable[[], object], Callable[[], None]]


class Workers(ThreadPoolExecutor):
    """At most so many threads, each started when it is needed; they work until `shutdown`.

    A ThreadPoolExecutor only because asyncio requires one; nothing of that class is used.
    """

    def __init__(self, most: int, holding: Holding, *, name: str) -> None:
        super().__init__(1)
        self.most = most
        self.holding = holding
        self.name = name
        self._waiting: SimpleQueue[Item | None] = SimpleQueue()
        self._free = threading.Semaphore(0)
        self._changing = threading.Lock()
        self._at_work: list[threading.Thread] = []
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start the work on a thread, or on this one if no thread can be started any more."""
        future: Future[T] = Future()
        item = (future, partial(fn, *args, **kwargs), self.holding.begin(WORK))
        with self._changing:
            if self._closed:
                item[2]()
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._waiting.put(item)  # type: ignore[arg-type]  # a Future[T] is a Future[object]
            if not self._free.acquire(blocking=False) and len(self._at_work) < self.most:
                self._start()
            stranded = not self._at_work
        if stranded:
            # No thread can be started any more, so the caller does the work.
            _do(self._waiting.get())
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """End the threads as soon as they have done what they were given."""
        with self._changing:
            if not self._closed:
                self._closed = True
                for _ in self._at_work:
                    # Each thread takes one, and only after all that was given before.
                    self._waiting.put(None)
        if wait:
            for thread in self._at_work:
                thread.join()

    def _start(self) -> None:
        name = f"{self.name}-{len(self._at_work)}"
        # A daemon, so that an idle thread does not delay the end of Python; `holding` waits for its work.
        thread = threading.Thread(target=_work, args=(self._waiting, self._free), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # Python is ending; existing threads do the work
            return
        self._at_work.append(thread)


def _work(waiting: SimpleQueue[Item | None], free: threading.Semaphore) -> None:
    while (item := waiting.get()) is not None:
        _do(item)
        del item  # an idle thread would keep the picture in memory
        free.release()


def _do(item: Item | None) -> None:
    assert item is not None, "only a thread is given the end"
    future, work, end = item
    try:
        if future.set_running_or_notify_cancel():
            future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
    finally:
        end()
        del future, work, item  # the error's traceback references this frame
