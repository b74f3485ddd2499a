"""Where coroutines run, and how Stop stops them.

`Thread` is the default: one event loop on a background thread, whatever loop the caller has. `Nested` is
opt-in: nest_asyncio on a private loop on the calling thread, for engines and scorers that call the
blocking functions again. Neither touches the kernel's own loop: patching that loses queued cells on
ipykernel >= 7.1 (research/feasibility.md, 3a).
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from beluga_nb.errors import RequestError, SettingsError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
P = ParamSpec("P")
S = TypeVar("S")
F = TypeVar("F", bound=Callable[..., Any])

HEARTBEAT = 0.05
"""Seconds between looks at a job that is waited for, so that an interrupt is seen on every system."""

WORKERS = 12
"""Threads that pictures are checked and recorded on; each is started when it is wanted."""

GRACE = 5.0
"""Seconds that a cancelled job gets to close its connections."""


def _nothing() -> None:
    """What a heartbeat does unless someone wants more."""


class Job(Protocol[T_co]):
    """Work under way: wait for it with `result()` or `await`; `cancel()` stops it, from any thread.

    While `result` waits it calls `beat`, some twenty times a second and on the calling thread.
    """

    def done(self) -> bool: ...
    def cancel(self) -> None: ...
    def result(self, beat: Callable[[], None] = ...) -> T_co: ...
    def __await__(self) -> Generator[Any, None, T_co]: ...


class Bridge(Protocol):
    """A place where coroutines run."""

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Job[T]: ...


@contextlib.contextmanager
def _interrupts(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Have `handler` called for interrupts, in place of Python's own or that of a loop which waits for us.

    A handler of an event loop in this thread (that of an `await` cell, say) could do nothing before we end.
    """
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


def _in_a_loop() -> bool:
    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop() is not None
    return False


def blocking(name: str, start: Callable[Concatenate[S, P], Job[T]]) -> Callable[Concatenate[S, P], T]:
    """Derive the method of that name, which waits, from the one that starts a job."""

    def wait(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return start(self, *args, **kwargs).result()

    return _named(name, wait, start, "Return")


def awaitable(
    name: str, start: Callable[Concatenate[S, P], Job[T]]
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Derive the coroutine method of that name from the one that starts a job."""

    async def wait(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await start(self, *args, **kwargs)

    return _named(name, wait, start, "Await")


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

    It ends when nobody holds this object or a job of its that is under way, or when Python does.
    """

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._running: _LoopThread | None = None

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Job[T]:
        """Start the coroutine and return its job at once."""
        with self._starting:
            if self._running is None or self._running.pid != os.getpid():
                self._running = _LoopThread()
                weakref.finalize(self, self._running.stop)
        return _ThreadJob(self, self._running, coroutine)


class _LoopThread:
    def __init__(self) -> None:
        self.pid = os.getpid()
        self._started = threading.Event()
        self.thread = threading.Thread(target=self._run, name="beluga-io", daemon=True)
        self.thread.start()
        self._started.wait()

    def _run(self) -> None:
        # A Runner cancels what is under way when it ends. As Python itself ends, it cannot start the thread
        # that would wait for the executor's threads, which have ended by then.
        with contextlib.suppress(RuntimeError), asyncio.Runner() as runner:
            self.loop = runner.get_loop()
            # Of the work on threads, half waits for the disk: asyncio's own few would wait for one another.
            self.loop.set_default_executor(ThreadPoolExecutor(WORKERS, thread_name_prefix="beluga-work"))
            self._stopped = asyncio.Event()
            self._started.set()
            while not self._stopped.is_set():
                # A SystemExit in a job comes through here; it belongs to who asks for the job's result.
                with contextlib.suppress(SystemExit, KeyboardInterrupt):
                    runner.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        await self._stopped.wait()

    def stop(self) -> None:
        if self.pid == os.getpid() and self.thread.is_alive():
            self.loop.call_soon_threadsafe(self._stopped.set)
            if threading.current_thread() is not self.thread:
                self.thread.join(GRACE)


class _ThreadJob(Generic[T]):
    def __init__(self, bridge: Thread, home: _LoopThread, coroutine: Coroutine[Any, Any, T]) -> None:
        self._bridge: Thread | None = bridge  # held, so that the loop lives until the job has ended
        self._home = home
        self._finished = threading.Event()
        self._cancelled = False
        self._task: asyncio.Task[T] | None = None
        # The caller's context: what the job prints belongs to the cell that started it.
        context = contextvars.copy_context()
        try:
            home.loop.call_soon_threadsafe(self._start, coroutine, context)
        except KeyboardInterrupt:  # nobody will have this job, which may be under way
            home.loop.call_soon_threadsafe(self._abandon, coroutine)
            self._finished.wait(GRACE)
            raise

    def _start(self, coroutine: Coroutine[Any, Any, T], context: contextvars.Context) -> None:
        self._task = self._home.loop.create_task(coroutine, context=context)
        self._task.add_done_callback(self._finish)
        if self._cancelled:
            self._task.cancel()

    def _finish(self, task: asyncio.Task[T]) -> None:
        if not task.cancelled():
            task.exception()  # looked at, so that a job nobody waits for is not reported as forgotten
        self._finished.set()
        self._bridge = None

    def _abandon(self, coroutine: Coroutine[Any, Any, T]) -> None:
        if self._task:
            self._task.cancel()
        else:
            coroutine.close()
            self._finished.set()

    def done(self) -> bool:
        """Whether the job has ended."""
        return self._finished.is_set()

    def cancel(self) -> None:
        """Stop the job; it closes its connections first."""
        self._cancelled = True
        self._home.loop.call_soon_threadsafe(lambda: self._task and self._task.cancel())

    def result(self, beat: Callable[[], None] = _nothing) -> T:
        """Wait and return what the job returns; an interrupt cancels it and waits for its clean-up."""
        if threading.current_thread() is self._home.thread:
            self.cancel()
            raise RequestError(
                "A blocking call was made inside a coroutine of its own event loop.",
                'Await agenerate() there, or use the setting bridge = "nested".',
            )
        try:
            with _interrupts(signal.default_int_handler):
                while not self._finished.wait(HEARTBEAT):
                    beat()
        except BaseException:
            self.cancel()
            self._finished.wait(GRACE)
            raise
        return self._outcome()

    def __await__(self) -> Generator[Any, None, T]:
        return self._awaited().__await__()

    async def _awaited(self) -> T:
        try:
            # ipykernel sees the interrupt of an `await` cell only when its loop wakes (ipykernel#881).
            while not self._finished.is_set():
                await asyncio.sleep(HEARTBEAT)
        except asyncio.CancelledError:
            self.cancel()
            raise
        return self._outcome()

    def _outcome(self) -> T:
        assert self._task is not None
        return self._task.result()


class Nested:
    """nest_asyncio on a private loop for each calling thread and process: a job may block on another job."""

    def __init__(self) -> None:
        self._loops = threading.local()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Job[T]:
        """Return the job; it runs on the calling thread while that waits for it."""
        if getattr(self._loops, "pid", None) != os.getpid():  # a forked child would share its sockets
            try:
                self._loops.own, self._loops.pid = _nested_loop(), os.getpid()
            except SettingsError:
                coroutine.close()
                raise
        return _NestedJob(self._loops.own, coroutine)


class _PrivateLoop(asyncio.SelectorEventLoop):
    """A class of its own: nest_asyncio patches classes, and the kernel's must stay as it is."""

    def __init__(self) -> None:
        super().__init__()
        self._pid = os.getpid()

    def __del__(self) -> None:
        # It ends with its thread, without the warning that asks somebody to close it. In a forked child
        # closing it would take it out of the parent's selector too.
        if not self.is_closed() and self._pid == os.getpid():
            self.close()


def _nested_loop() -> asyncio.AbstractEventLoop:
    try:
        if sys.version_info < (3, 12):
            import nest_asyncio as nest
        else:  # the original breaks asyncio.run(loop_factory=) there
            import nest_asyncio2 as nest
    except ImportError:
        raise SettingsError(
            'bridge = "nested" needs nest_asyncio, which is not installed.', "pip install 'beluga_nb[nested]'"
        ) from None
    loop = _PrivateLoop()
    nest.apply(loop)
    return loop


def cost_of_a_patch() -> str:
    """Return what a nest_asyncio costs that someone applied to this thread's own loop, or nothing.

    Measured on ipykernel (research/feasibility.md, 3a): since 7.1 what arrives during a nested run is lost;
    nest_asyncio2 keeps it for later.
    """
    loop = type(asyncio.get_running_loop()) if _in_a_loop() else None
    if loop is None or issubclass(loop, _PrivateLoop) or not hasattr(loop, "_nest_patched"):
        return ""
    if hasattr(loop, "_nest_asyncio2"):
        return "queued cells and clicks then wait for the end of a cell that uses it"
    return "on ipykernel 7.1 and later such a cell loses queued cells (“Run All”) and clicks"


class _NestedJob(Generic[T]):
    def __init__(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> None:
        self._loop = loop
        self._task: asyncio.Task[T] = loop.create_task(coroutine)
        self._pressed: float | None = None  # when Stop was
        self._heard = False

    def done(self) -> bool:
        """Whether the job has ended."""
        return self._task.done()

    def cancel(self) -> None:
        """Stop the job; it closes its connections first."""
        self._loop.call_soon_threadsafe(self._task.cancel)

    def result(self, beat: Callable[[], None] = _nothing) -> T:
        """Run the job to its end; an interrupt cancels it and waits for its clean-up."""
        self._beat(beat)
        try:
            with _interrupts(self._press):
                self._loop.run_until_complete(asyncio.wait({self._task}))
        except KeyboardInterrupt:
            self._task.cancel()
            self._loop.run_until_complete(asyncio.wait({self._task}, timeout=GRACE))
            raise
        if self._pressed is not None:
            raise KeyboardInterrupt
        return self._task.result()

    def _press(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  as signal handlers are
        # Raised here, KeyboardInterrupt would land anywhere in the loop or a clean-up. It does where a job
        # keeps the loop from hearing of it, or takes too long to end.
        if self._pressed is None:
            self._pressed = time.monotonic()
            self._loop.call_soon_threadsafe(self._stop)
        elif not self._heard or time.monotonic() - self._pressed > GRACE:
            raise KeyboardInterrupt

    def _stop(self) -> None:
        self._heard = True
        self._task.cancel()

    def _beat(self, beat: Callable[[], None]) -> None:
        # A loop that waits for the network alone sees no interrupt where signals wake no select().
        if not self._task.done():
            beat()
            self._loop.call_later(HEARTBEAT, self._beat, beat)

    def __await__(self) -> Generator[Any, None, T]:
        return self.result()
        yield  # what makes this a generator: the job runs here and now, on its private loop
