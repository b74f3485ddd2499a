"""Run coroutines from any caller, and stop them on an interrupt.

`Thread` is the default: one event loop on a background thread, for callers with and without a loop. `Nested`
is opt-in: nest_asyncio on a private loop on the calling thread, for callbacks and scorers that call the
blocking functions again. Neither touches the kernel's own loop: patching that loses queued cells on ipykernel
>= 7.1.

With either bridge, engines run on the one loop that a process has for them (`engines/room.py`). A nested
loop runs only while a caller waits for it: a call that is interrupted there would keep its locks, its place
in the queue and its connections, and all other callers would wait behind it.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import contextvars
import inspect
import os
import selectors
import signal
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from functools import partial
from types import FrameType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from beluga_nb.errors import RequestError, SettingsError
from beluga_nb.hints import Code, Hint
from beluga_nb.interrupted import Left, explain
from beluga_nb.process.locks import ProcessLock
from beluga_nb.process.workers import Holding, Workers
from beluga_nb.signatures import called_as
from beluga_nb.text import sanitize

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
P = ParamSpec("P")
S = TypeVar("S")
F = TypeVar("F", bound=Callable[..., Any])

HEARTBEAT = 0.05
"""Seconds between checks of a job that is waited for, so that an interrupt is noticed on every system."""

WORKERS = 12
"""Threads that check and record pictures; each is started when it is needed."""

GRACE = 5.0
"""Seconds that a cancelled job gets to close its connections."""


def _nothing() -> None:
    """The default heartbeat: do nothing."""


class Job(Protocol[T_co]):
    """Work under way: wait for it with `result()` or `await`; `cancel()` stops it, from any thread.

    While `result` waits it calls `beat`, some twenty times a second and on the calling thread.
    """

    def done(self) -> bool: ...
    def cancel(self) -> object: ...
    def result(self, beat: Callable[[], None] = ...) -> T_co: ...
    def __await__(self) -> Generator[Any, None, T_co]: ...


class Bridge(Protocol):
    """Runs coroutines; Python does not end before a job has ended, for at most `hold` seconds.

    A notebook shows a job that is stopped while it is waited for as the lines that `left` returns.
    """

    def submit(
        self, coroutine: Coroutine[Any, Any, T], *, hold: float = 0.0, left: Left | None = None
    ) -> Job[T]: ...


def close_unstarted(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Close a coroutine that an interrupt kept from beginning, so that Python does not warn of it."""
    if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        coroutine.close()


@contextlib.contextmanager
def _interrupts(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Call `handler` on an interrupt, instead of Python's own handler or that of a loop in this thread.

    The handler of such a loop (as of an `await` cell) could do nothing before we return to it.
    """
    # Python handles signals on the main thread alone. A handler that the user has set stays.
    in_charge = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if in_charge else None
    if not callable(before) or (before is not signal.default_int_handler and not _in_a_loop()):
        yield
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def interrupts_wait() -> Iterator[None]:
    """Let an interrupt wait for the end of the block."""
    came = False

    def note(*_: object) -> None:
        nonlocal came
        came = True

    try:
        with _interrupts(note):
            yield
    finally:
        if came:
            raise KeyboardInterrupt


def _in_a_loop() -> bool:
    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop() is not None
    return False


class _Started(threading.local):
    jobs: list[_Waited[Any]] | None = None


_STARTED = _Started()
"""The jobs that this thread has started in the block of `interrupts_stop`."""


@contextlib.contextmanager
def interrupts_stop() -> Iterator[None]:
    """Stop what the block has started on an interrupt, even on one before it waits for what it started."""
    outer, _STARTED.jobs = _STARTED.jobs, []
    try:
        yield
    except KeyboardInterrupt:
        for job in _STARTED.jobs:
            job.stop()
        raise
    finally:
        _STARTED.jobs = outer


Watch = Callable[[S, Any], contextlib.AbstractContextManager[tuple[Any, Callable[[], None]]]]
"""Shows how far a job is in a block: gets the caller's tally or None; yields the tally and the heartbeat."""


def blocking(
    name: str, start: Callable[Concatenate[S, P], Job[T]], *, watch: Watch[S] | None = None
) -> Callable[Concatenate[S, P], T]:
    """Derive the blocking method `name` from the method that starts a job, which counts in its `tally`.

    `watch` shows how far it is.
    """

    def wait(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        tally = kwargs.get("tally")
        start_it: list[Callable[..., Job[T]]] = [partial(start, self, *args, **kwargs)]
        del args, kwargs  # An error's frames would keep them, and a key may be among them.
        if watch is None:
            with called_as(name, start), interrupts_stop():
                return start_it.pop()().result()
        try:
            with called_as(name, start), watch(self, tally) as (tally, beat), interrupts_stop():
                return start_it.pop()(tally=tally).result(beat)
        except KeyboardInterrupt as interrupt:
            # The traceback of a script need not show how this waits.
            interrupt.__traceback__ = None
            raise

    return _named(name, wait, start, "Return")


_PREPARED_HERE = """Before it first waits, it reads settings, keys and the store on the calling thread, and
blocks the event loop there: only on that thread can a question be asked and interrupted."""


def awaitable(
    name: str, start: Callable[Concatenate[S, P], Job[T]]
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Derive the coroutine method `name` from the method that starts a job."""

    async def wait(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        start_it = [partial(start, self, *args, **kwargs)]
        del args, kwargs  # An error's frames would keep them, and a key may be among them.
        with called_as(name, start):
            return await start_it.pop()()

    coroutine = _named(name, wait, start, "Await")
    coroutine.__doc__ = f"{inspect.cleandoc(coroutine.__doc__ or '')}\n\n{_PREPARED_HERE}"
    return coroutine


def _named(name: str, wait: F, start: Callable[..., Any], verb: str) -> F:
    owner, _, _ = start.__qualname__.rpartition(".")
    signature = inspect.signature(start)
    given = str(signature.return_annotation).removeprefix("Job[").removesuffix("]")
    wait.__name__, wait.__qualname__ = name, f"{owner}.{name}"
    wait.__doc__ = (start.__doc__ or "").replace("Start asking for", f"{verb} the `{given}` of asking for", 1)
    wait.__signature__ = signature.replace(return_annotation=given)  # type: ignore[attr-defined]
    return wait


class Thread:
    """One event loop on a daemon thread, started by the first job, and anew in a forked child.

    It ends when neither this object nor a running job of its is referenced, or when Python ends. Blocking
    work of its jobs runs on at most so many `workers`.
    """

    def __init__(self, *, workers: int = WORKERS) -> None:
        self.workers = workers
        self._starting = ProcessLock()
        # Keyed by process: a forked child shares the parent's sockets and must not touch its loop.
        self._running: dict[int, _LoopThread] = {}

    def submit(
        self, coroutine: Coroutine[Any, Any, T], *, hold: float = 0.0, left: Left | None = None
    ) -> ThreadJob[T]:
        """Start the coroutine and return its job at once."""
        try:
            with self._starting:
                home = self._home()
                home.begin()
            return ThreadJob(self, home, coroutine, hold, left)
        except BaseException:
            close_unstarted(coroutine)
            raise

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run the coroutine on this loop, from any loop; cancelling waits until it has ended."""
        home = self._running.get(os.getpid())
        if home and home.is_current:
            return await coroutine
        job = self.submit(coroutine)
        try:
            return await job
        except asyncio.CancelledError:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GRACE):
                    await job.ended()
            raise

    def during(self, seconds: float) -> contextlib.AbstractContextManager[None]:
        """Keep Python from ending while a block runs on the loop, for at most so many seconds."""
        return self._home().holding.during(seconds)

    def close(self) -> None:
        """End the loop as soon as no job is under way; the next job starts another."""
        with self._starting:
            home = self._running.pop(os.getpid(), None)
        if home:
            home.end_when_idle()

    def _home(self) -> _LoopThread:
        with self._starting:
            home = self._running.get(os.getpid())
            if home is None or not home.thread.is_alive():
                home = self._running[os.getpid()] = _LoopThread(self.workers)
                # Unlike __del__, it is also called as Python ends.
                weakref.finalize(self, home.end)
            return home


class _LoopThread:
    def __init__(self, workers: int) -> None:
        self.pid = os.getpid()
        self.workers = workers
        self.holding = Holding()
        self._jobs = 0
        self._closing = False
        self._counting = threading.Lock()
        self._started = threading.Event()
        self._failure: Exception | None = None
        self.thread = threading.Thread(target=self._run, name="beluga-io", daemon=True)
        try:
            self.thread.start()
        except RuntimeError:
            raise RequestError(
                "Python is ending, and starts no thread any more.",
                "Nothing was sent. Wait for the other threads before the main one ends.",
            ) from None
        # In steps: the thread may fail before it starts the loop, and on Windows only a wait with a timeout
        # can be interrupted.
        while not self._started.wait(HEARTBEAT) and self.thread.is_alive():
            pass
        if not self._started.is_set():
            error = self._failure
            reason = sanitize(f"{type(error).__name__}: {error}", 120) if error else "the thread ended"
            raise RequestError(
                f"The event loop that sends requests could not start ({reason}).",
                "Nothing was sent. Close files, or restart the kernel, and ask again.",
            )

    @property
    def is_current(self) -> bool:
        """Whether the running loop is this one."""
        if threading.current_thread() is not self.thread:
            return False
        if asyncio.get_running_loop() is not self.loop:
            raise _own_loop()
        return True

    def _run(self) -> None:
        runner = asyncio.Runner()
        try:
            _check_descriptors()
            self.loop = runner.get_loop()
        except Exception as error:  # no free file descriptor, or a log handler fails
            self._failure = error
            return
        # A Runner cancels the remaining tasks. While Python ends, it cannot start the thread that waits for
        # the executor.
        with contextlib.suppress(RuntimeError), runner:
            # Half of the threads' work waits for the disk, so asyncio's few default threads are too few.
            self.loop.set_default_executor(Workers(self.workers, self.holding, name="beluga-work"))
            self._stopped = asyncio.Event()
            self._started.set()
            while not self._stopped.is_set():
                # A SystemExit in a job comes through here; it belongs to the caller of the job's result.
                # A user's engine may also cancel every task there is, or stop the loop.
                with contextlib.suppress(SystemExit, KeyboardInterrupt, asyncio.CancelledError):
                    try:
                        runner.run(self._stopped.wait())
                    except RuntimeError:
                        if self.loop.is_closed():
                            raise
                        self._resume()

    def _resume(self) -> None:
        """Let a loop that was stopped run again: other jobs may be under way on it."""
        # nest_asyncio, where it is applied, takes back a stop only at the end of `run_forever`.
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()

    def begin(self) -> None:
        """Count a job that is about to start."""
        with self._counting:
            self._jobs += 1

    def finish(self) -> None:
        """Count a job as ended."""
        with self._counting:
            self._jobs -= 1
            over = self._closing and not self._jobs
        if over:
            self._stop()

    def end_when_idle(self) -> None:
        """Stop the loop once no job is under way."""
        with self._counting:
            self._closing = True
            over = not self._jobs
        if over:
            self.end()

    def end(self) -> None:
        """Stop the loop; as Python ends, first wait for held work that no thread waits for."""
        if self.pid != os.getpid():
            return
        leaving = not threading.main_thread().is_alive()
        if leaving and not self.holding.has_waiter:
            self.holding.wait()
        self._stop()
        if leaving:
            self.holding.wait(GRACE)  # so that pictures of cancelled jobs are recorded

    def _stop(self) -> None:
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self._stopped.set)
            if not threading.current_thread().daemon:  # a thread must not wait for itself
                self.thread.join(GRACE)


def _check_descriptors() -> None:
    """Raise `OSError` where there are too few for an event loop, which prints a traceback when half made."""
    with selectors.DefaultSelector():
        for end in socket.socketpair():
            end.close()


class _Waited(Coroutine[Any, Any, T]):
    """A job as a coroutine that a task drives; each task gets its own.

    A task that is cancelled before its first step never calls `__await__`, but throws into its coroutine. So
    the job is cancelled here.
    """

    def __init__(self, left: Left | None) -> None:
        self._left = left
        self._waits: weakref.WeakKeyDictionary[asyncio.Task[Any], Generator[Any, None, T]] = (
            weakref.WeakKeyDictionary()
        )

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Let a stop of this job in the block be shown as the lines on what it leaves behind."""
        try:
            yield
        except KeyboardInterrupt as interrupt:
            if self._left:
                explain(interrupt, self._left)
            raise
        except asyncio.CancelledError as cancelled:
            if self._left:
                explain(cancelled, partial(self._left_at_end, self._left))
            raise

    def _left_at_end(self, left: Left) -> Sequence[str]:
        """Return what is left of the job once it has ended: its calls are unfinished until then."""
        self._wait_to_end()
        return left()

    def _wait_to_end(self) -> None:
        """Wait until a job that was cancelled has ended, if another thread runs it."""

    @abc.abstractmethod
    def cancel(self) -> None:
        """Stop the job; it closes its connections first."""

    def stop(self) -> None:
        """Stop the job as an interrupt does."""
        self.cancel()

    def send(self, value: Any) -> Any:
        """Continue to wait."""
        return self._wait().send(value)

    def throw(self, *error: Any) -> Any:
        """Stop the job if its task was cancelled before it waited."""
        if asyncio.current_task() not in self._waits:
            self.cancel()
        return self._wait().throw(*error)

    def close(self) -> None:
        """Leave the job as it is: an abandoned task does not stop it."""

    def _wait(self) -> Generator[Any, None, T]:
        task = asyncio.current_task()
        assert task is not None, "only tasks send and throw"
        if task not in self._waits:
            self._waits[task] = self.__await__()
        return self._waits[task]


class _Heartbeat:
    """Wakes an event loop again and again while jobs are awaited on it: once for all of them."""

    def __init__(self) -> None:
        self._awaited = 0
        self._timer: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def during(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Wake the loop while the block waits on it."""
        self._awaited += 1
        if not self._timer:
            self._wake(loop)
        try:
            yield
        finally:
            self._awaited -= 1
            if self._timer and not self._awaited:
                self._timer.cancel()
                self._timer = None

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(HEARTBEAT, self._wake, loop)


_HEARTBEATS: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Heartbeat] = weakref.WeakKeyDictionary()


class ThreadJob(_Waited[T]):
    """A job on a loop of another thread."""

    def __init__(
        self,
        bridge: Thread,
        home: _LoopThread,
        coroutine: Coroutine[Any, Any, T],
        hold: float,
        left: Left | None,
    ) -> None:
        super().__init__(left)
        self._bridge: Thread | None = bridge  # a reference, so that the loop lives until the job has ended
        self._home = home
        self._changing = threading.Lock()
        self._finished = threading.Event()
        self._callbacks: list[Callable[[], object]] = []
        self._cancelled = False
        self._task: asyncio.Task[T] | None = None
        self._release = home.holding.begin(hold) if hold else _nothing
        # The caller's context: what the job prints belongs to the cell that started it.
        context = contextvars.copy_context()
        try:
            home.loop.call_soon_threadsafe(self._start, coroutine, context)
            if _STARTED.jobs is not None:
                _STARTED.jobs.append(self)
        except KeyboardInterrupt:  # the caller never gets this job, which may be under way
            self._cancelled = True
            home.loop.call_soon_threadsafe(self._abandon, coroutine)
            self._finished.wait(GRACE)
            raise
        except RuntimeError:
            self._abandon(coroutine)
            raise

    def _start(self, coroutine: Coroutine[Any, Any, T], context: contextvars.Context) -> None:
        if self._cancelled:
            coroutine.close()
            self._end()
            return
        self._task = self._home.loop.create_task(self._run(coroutine), context=context)
        self._task.add_done_callback(lambda task: self._finish(task, coroutine))

    async def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._cancelled:  # after `_start`, before the first step: the loop has not seen it yet
            raise asyncio.CancelledError
        return await coroutine

    def _abandon(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._stop()
        if self._task is None and not self.done():
            coroutine.close()
            self._end()

    def _finish(self, task: asyncio.Task[T], coroutine: Coroutine[Any, Any, T]) -> None:
        coroutine.close()  # only one that never began has anything to close
        if not task.cancelled():
            task.exception()  # Retrieved, so that asyncio does not report it as unhandled.
        self._end()

    def _end(self) -> None:
        with self._changing:
            self._finished.set()
            callbacks, self._callbacks = self._callbacks, []
        self._release()
        self._home.finish()
        self._bridge = None
        for tell in callbacks:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                tell()

    def done(self) -> bool:
        """Whether the job has ended."""
        return self._finished.is_set()

    def cancel(self) -> None:
        """Stop the job; it closes its connections first."""
        self._cancelled = True
        with contextlib.suppress(RuntimeError):  # the loop, and with it the job, has ended
            self._home.loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if self._task and not self._task.cancelling():  # a second cancel would interrupt its clean-up
            self._task.cancel()

    def result(self, beat: Callable[[], None] = _nothing) -> T:
        """Wait and return what the job returns; an interrupt cancels it and waits for its clean-up."""
        if threading.current_thread() is self._home.thread and not self.done():
            self.cancel()
            raise _own_loop()
        self._check_here()
        with self._explained():
            try:
                with _interrupts(signal.default_int_handler):
                    while not self._finished.wait(HEARTBEAT):
                        beat()
            except BaseException:
                self.stop()
                raise
            return self._outcome()

    def stop(self) -> None:
        """Stop the job, and wait for its clean-up."""
        if not self._cancelled:
            self.cancel()
            self._wait_to_end()

    def _wait_to_end(self) -> None:
        self._finished.wait(GRACE)

    def __await__(self) -> Generator[Any, None, T]:
        return self._awaited().__await__()

    async def _awaited(self) -> T:
        self._check_here()
        with self._explained():
            try:
                await self.ended()
            except asyncio.CancelledError:
                self.cancel()
                raise
            return self._outcome()

    async def ended(self) -> None:
        """Wait until the job has ended, in whatever way."""
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        with self._changing:
            if not self.done():
                self._callbacks.append(partial(loop.call_soon_threadsafe, woken.set_result, None))
        # ipykernel sees the interrupt of an `await` cell only when its loop wakes (ipykernel#881).
        with _HEARTBEATS.setdefault(loop, _Heartbeat()).during(loop):
            while not self.done():
                await asyncio.wait({woken})

    def _outcome(self) -> T:
        if self._task is None:
            raise asyncio.CancelledError
        return self._task.result()

    def _check_here(self) -> None:
        if self._home.pid != os.getpid() and not self.done():
            raise RequestError(
                "This call was started by the process that this one was forked from.",
                "Wait for it there, or ask again here.",
            )


def _own_loop() -> RequestError:
    return RequestError(
        "A blocking call was made inside a coroutine of its own event loop.",
        'Await agenerate() there, or use the setting bridge = "nested".',
    )


class Nested:
    """nest_asyncio on a private loop for each calling thread and process: a job may block on another job."""

    def __init__(self) -> None:
        self._loops = threading.local()

    def submit(
        self,
        coroutine: Coroutine[Any, Any, T],
        *,
        hold: float = 0.0,  # noqa: ARG002
        left: Left | None = None,
    ) -> Job[T]:
        """Return the job; it runs on the calling thread, while `result` waits."""
        job: _NestedJob[T] | None = None
        try:
            if getattr(self._loops, "pid", None) != os.getpid():  # a forked child must not share its sockets
                self._loops.own, self._loops.pid = _nested_loop(), os.getpid()
            with interrupts_wait():  # A job that is half made leaves a coroutine behind, too.
                job = _NestedJob(self._loops.own, coroutine, left)
            return job
        except BaseException:
            if job:  # The caller never gets it.
                job.cancel()
            else:
                close_unstarted(coroutine)
            raise


class _PrivateLoop(asyncio.SelectorEventLoop):
    """A class of its own: nest_asyncio patches classes, and the kernel's must stay as it is."""

    def __init__(self) -> None:
        super().__init__()
        self._pid = os.getpid()

    def __del__(self) -> None:
        # It ends with its thread, without a ResourceWarning. In a forked child
        # closing it would take it out of the parent's selector too.
        if not self.is_closed() and self._pid == os.getpid():
            self.close()


def _nested_loop() -> asyncio.AbstractEventLoop:
    try:
        if sys.version_info < (3, 12):
            import nest_asyncio as nest
        else:  # nest_asyncio breaks asyncio.run(loop_factory=) there
            import nest_asyncio2 as nest
    except ImportError:
        raise SettingsError(
            'bridge = "nested" needs nest_asyncio, which is not installed.',
            Hint(Code("pip install 'beluga_nb[nested]'")),
        ) from None
    loop = _PrivateLoop()
    loop.set_default_executor(Workers(WORKERS, Holding(), name="beluga-nested"))
    nest.apply(loop)
    return loop


def cost_of_a_patch() -> str:
    """Return a warning about a nest_asyncio that the user applied to this thread's own loop, or "".

    Measured on ipykernel: since 7.1, messages that arrive during a nested run are lost; nest_asyncio2 keeps
    them.
    """
    loop = type(asyncio.get_running_loop()) if _in_a_loop() else None
    if loop is None or issubclass(loop, _PrivateLoop) or not hasattr(loop, "_nest_patched"):
        return ""
    if hasattr(loop, "_nest_asyncio2"):
        return "queued cells and clicks then wait for the end of a cell that uses it"
    return "on ipykernel 7.1 and later such a cell loses queued cells (“Run All”) and clicks"


class _NestedJob(_Waited[T]):
    def __init__(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T], left: Left | None
    ) -> None:
        super().__init__(left)
        self._loop = loop
        self._cancelled = False
        self._task: asyncio.Task[T] = loop.create_task(self._run(coroutine))
        self._task.add_done_callback(lambda _: coroutine.close())  # It may never have begun.
        if _STARTED.jobs is not None:
            _STARTED.jobs.append(self)
        self._timer: asyncio.TimerHandle | None = None  # of the next heartbeat
        self._pressed: float | None = None  # the time of the last Stop
        self._heard = False

    async def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._cancelled:  # before it was waited for
            raise asyncio.CancelledError
        return await coroutine

    def done(self) -> bool:
        """Whether the job has ended."""
        return self._task.done()

    def cancel(self) -> None:
        """Stop the job; it closes its connections first."""
        self._cancelled = True
        self._loop.call_soon_threadsafe(self._stop_once)

    def _stop_once(self) -> None:
        if not self._task.cancelling():
            self._task.cancel()

    def result(self, beat: Callable[[], None] = _nothing) -> T:
        """Run the job to its end; an interrupt cancels it and waits for its clean-up."""
        with self._explained():
            return self._result(beat)

    def _result(self, beat: Callable[[], None]) -> T:
        self._beat(beat)
        try:
            with _interrupts(self._press):
                self._loop.run_until_complete(asyncio.wait({self._task}))
        except KeyboardInterrupt:
            self._task.cancel()
            self._loop.run_until_complete(asyncio.wait({self._task}, timeout=GRACE))
            raise
        finally:  # The loop stands still from here on, and would keep what the heartbeat refers to.
            if self._timer:
                self._timer.cancel()
        if self._pressed is not None:
            raise KeyboardInterrupt
        return self._task.result()

    def _press(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  as signal handlers are
        # KeyboardInterrupt raised here would land anywhere in the loop or a clean-up. So it is raised only
        # where a job blocks the loop, or takes too long to end.
        if self._pressed is None:
            self._pressed = time.monotonic()
            self._loop.call_soon_threadsafe(self._stop)
        elif not self._heard or time.monotonic() - self._pressed > GRACE:
            raise KeyboardInterrupt

    def _stop(self) -> None:
        self._heard = True
        self._stop_once()

    def _beat(self, beat: Callable[[], None]) -> None:
        # Where signals do not wake select(), a loop that waits for the network would not see an interrupt.
        if not self._task.done():
            beat()
            self._timer = self._loop.call_later(HEARTBEAT, self._beat, beat)

    def __await__(self) -> Generator[Any, None, T]:
        return self.result()
        yield  # Makes this a generator; the job has run already, on its private loop.
