"""Before work is sent to a cluster, its workers are asked whether they can do it.

A worker that cannot import what a call needs ends, is started again, and ends again, while the caller sees
nothing. So each is asked for the package, its version and the metric's modules, in functions of the standard
library, which every worker has; and so is each that joins later.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import math
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Executor, wait
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast, runtime_checkable

from beluga_nb.compare.scores import BatchMetric
from beluga_nb.errors import RequestError
from beluga_nb.process.locks import ProcessLock
from beluga_nb.text import sanitize

PACKAGE = __name__.partition(".")[0]

LOOK_EVERY = 1.0
"""Seconds between two checks for workers that have joined or left."""

EMPTY_FOR = 60.0
"""Seconds that a cluster may be without workers; one that died may be restarted in that time."""

CLOSED = {"closing", "closed"}
"""The states of a Dask client that answers nothing any more."""

CLOSED_CHECK = 0.5
"""Seconds between two checks whether a client that has not answered yet was closed."""

_CONNECTING = ProcessLock()  # Two threads of a worker would both connect, and one connection be lost.


@runtime_checkable
class Cluster(Protocol):
    """The members of a `dask.distributed.Client` that are used."""

    asynchronous: bool
    loop: Any
    status: str

    def get_executor(self, *, pure: bool) -> Executor: ...

    def submit(self, function: Callable[..., object], *args: object, **options: object) -> Any: ...

    def run(self, function: Callable[..., object], *args: object, **options: object) -> Any: ...

    def nthreads(self) -> Any: ...


def reply(
    client: Cluster,
    method: Callable[..., Any],
    *arguments: object,
    timeout: float | None = None,
    **options: object,
) -> Any:
    """Return what a method of a client, or of one of its objects, returns; call it outside the client's loop.

    Dask itself waits for ever where another thread closes the client meanwhile. This raises `ConnectionError`
    then, and `TimeoutError` after `timeout` seconds.
    """

    async def on_its_loop() -> Any:
        return await method(*arguments, **options)  # On the client's own loop, its methods return awaitables.

    replying = on_its_loop()
    try:
        future = asyncio.run_coroutine_threadsafe(replying, client.loop.asyncio_loop)
    except RuntimeError:  # The loop has ended.
        replying.close()
        raise
    until = time.monotonic() + (math.inf if timeout is None else timeout)
    try:
        while not wait([future], CLOSED_CHECK).done:
            if client.status in CLOSED:
                raise ConnectionError("The client was closed.")
            if time.monotonic() > until:
                raise TimeoutError(f"There was no answer within {timeout:g} seconds.")
        return future.result()
    except CancelledError:  # Its loop cancels all tasks when it ends.
        raise ConnectionError("The client was closed.") from None
    finally:
        future.cancel()  # It has no effect on one that has ended.


@dataclass(frozen=True)
class SchedulerTicket:
    """The right to begin a call, kept by the scheduler of a cluster under a name; it can be taken once."""

    name: str

    def issue(self, client: Cluster) -> Callable[[], None]:
        """Give it to the scheduler; return a function that removes it when its task has ended."""

        async def issued() -> Any:
            # A client has imported the module. To await the queue itself would begin it twice, so that one
            # `close` would not remove it.
            queue = import_module("distributed").Queue(self.name, client=client)
            await queue._started
            await queue.put(1)
            return queue

        return cast(Callable[[], None], reply(client, issued).close)

    def take(self, client: Any = None) -> bool:
        """Take it, on a worker or with a client; return whether it was still there."""
        with _CONNECTING:
            client = client or import_module("distributed").get_client()
        try:
            # As `Queue.get`, which would first ask the scheduler for a queue. This returns what is there, and
            # does not wait.
            found = reply(client, client.scheduler.queue_get, name=self.name, batch=True)
        except KeyError:  # It was removed.
            return False
        return bool(found)


class ClusterWorkers:
    """The workers of a cluster that were checked.

    `describe` is called on each, and `about` has what it returned. If that has a "problem", `RequestError` is
    raised.
    `has_unfit` is whether the last `look` has refused a worker; the others still work. `threads` are those of
    all workers that were there when they were last seen.
    """

    def __init__(
        self,
        cluster: Cluster,
        *functions: Callable[..., object],
        describe: Callable[[], Mapping[str, str]] | None = None,
    ) -> None:
        self._cluster = cluster
        self._functions = functions
        self._describe = describe
        self._looking = threading.Lock()
        self.about: dict[str, Mapping[str, str]] = {}
        self._known: set[str] = set()
        self.has_unfit = False
        self._looked = self._seen = time.monotonic()
        _check_not_in_task()
        present = present_in(cluster)
        self.threads = sum(present.values())
        if not self._ask({*present}):
            raise RequestError(
                "The cluster has no workers.", "Start some first: cluster.scale(2), or adapt(minimum=1)."
            )

    def look(self) -> None:
        """Check the workers that have joined; raise `RequestError` where one cannot work, or none is left."""
        with self._looking:
            if time.monotonic() - self._looked < LOOK_EVERY:
                return
            self._looked = time.monotonic()
        self.has_unfit, present = False, present_in(self._cluster)
        try:
            self._ask(present.keys() - self._known)
        except RequestError:
            self.has_unfit = True
            raise
        if present:
            self._seen, self.threads = time.monotonic(), sum(present.values())
        elif time.monotonic() - self._seen > EMPTY_FOR:
            raise RequestError(
                f"The cluster has had no workers for {EMPTY_FOR:g} seconds.",
                "Its logs have the reason; what was done is kept.",
            )

    def _ask(self, workers: set[str]) -> set[str]:
        if workers:
            self._check_package(sorted(workers))
            for module in sorted(set().union(*map(modules_of, self._functions))):
                self._check_module(module, sorted(workers))
            self._check_functions(sorted(workers))
            if self._describe:
                self._check_described(self._describe, sorted(workers))
            self._known |= workers & present_in(self._cluster).keys()
        return workers

    def on_each_worker(self, function: Callable[..., object], *arguments: object) -> Mapping[str, object]:
        """Return what a function returns on each worker that is there and answers."""
        found = self._run(sorted(present_in(self._cluster)), function, *arguments)
        return {name: value for name, value in found.items() if not _is_error(value)}

    def _run(
        self, workers: list[str], function: Callable[..., object], *arguments: object
    ) -> Mapping[str, object]:
        found = run_on(self._cluster, workers, function, *arguments)
        gone = found.keys() - present_in(self._cluster) if any(map(_is_error, found.values())) else set()
        # An error of Dask itself means that the worker has ended, or cannot be reached.
        return {
            name: value for name, value in found.items() if name not in gone and not _is_dask_error(value)
        }

    def _check_package(self, workers: list[str]) -> None:
        own = import_module(PACKAGE)
        here = own.__version__
        install = f"Install {PACKAGE} {here} where the workers run, and start them again."
        _refuse_failed(self._run(workers, import_module, PACKAGE), f"{PACKAGE} is missing", install)
        # The version that is imported there: its installation may be newer.
        versions = self._run(workers, getattr, own, "__version__")
        if others := [str(found) for found in versions.values() if found != here]:
            which = " and ".join(sanitize(each, 60) for each in sorted(set(others)))
            where = f"{len(others)} of {len(workers)} workers of the cluster"
            raise RequestError(f"{PACKAGE} is {which} on {where}; here it is {here}.", install)

    def _check_module(self, module: str, workers: list[str]) -> None:
        found = self._run(workers, import_module, module)
        _refuse_failed(found, f"The module '{module}' is missing", _remedy(module))

    def _check_described(self, describe: Callable[[], Mapping[str, str]], workers: list[str]) -> None:
        found = self._run(workers, describe)
        _refuse_failed(found, "A check failed", "Its log has more; start the workers again.")
        about = {name: value for name, value in found.items() if isinstance(value, Mapping)}
        self.about |= about
        lacking = [each for each in about.values() if "problem" in each]
        for each in lacking[:1]:
            where = f"On {len(lacking)} of {len(workers)} workers of the cluster"
            raise RequestError(f"{where}: {each['problem']}", each["remedy"])

    def _check_functions(self, workers: list[str]) -> None:
        for function in self._functions:
            _refuse_failed(
                self._run(workers, callable, function),
                "The function cannot be read",
                "Install what it uses where the workers run, or define it in a module that they have.",
            )


def _check_not_in_task() -> None:
    """Raise `RequestError` in a task that occupies a thread of a worker, for which its own tasks may wait."""
    threads = sys.modules.get("distributed.threadpoolexecutor")
    if threads and getattr(threads.thread_state, "proceed", False):
        raise RequestError(
            "This task occupies a thread of the cluster, for which its own calls might wait.",
            "Get the client by `with distributed.worker_client() as client:`, which frees the thread.",
        )


def present_in(cluster: Cluster) -> Mapping[str, int]:
    """Return the workers of a cluster and their threads; raise `RequestError` for an asynchronous client."""
    if cluster.asynchronous:
        raise RequestError("The client is asynchronous.", "Pass one made without asynchronous=True.")
    found: Mapping[str, int] = reply(cluster, cluster.nthreads)
    return found


def run_on(
    cluster: Cluster, workers: list[str], function: Callable[..., object], *arguments: object
) -> Mapping[str, object]:
    """Return what a function returns, or the error that it raises, on each of some workers."""
    found: Mapping[str, object] = reply(
        cluster, cluster.run, function, *arguments, workers=workers, on_error="return"
    )
    return found


def modules_of(function: Callable[..., object]) -> set[str]:
    """Return the names of the modules that a worker imports to have a function.

    >>> modules_of(functools.partial(inspect.cleandoc))
    {'inspect'}
    """
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, BatchMetric):
        return {type(function).__module__, *function.modules}
    home = getattr(function, "__module__", None) or type(function).__module__
    if home != "__main__":
        return {home} - {"builtins"}
    if not inspect.isfunction(function):  # an object of a class that is written in the notebook
        return set()
    # A notebook's own function is sent with its code; the modules that it names do not.
    used = inspect.getclosurevars(function)
    return {_module_of(each) for each in (*used.globals.values(), *used.nonlocals.values())} - {""}


def _module_of(value: object) -> str:
    if isinstance(value, ModuleType):
        return value.__name__
    home = getattr(value, "__module__", "") if callable(value) else type(value).__module__
    return home if isinstance(home, str) and home not in {"__main__", "builtins"} else ""


def _is_error(value: object) -> bool:
    return isinstance(value, BaseException)


def _is_dask_error(value: object) -> bool:
    return _is_error(value) and type(value).__module__.startswith("distributed.")


def _remedy(module: str) -> str:
    file = Path(getattr(sys.modules.get(module), "__file__", None) or "")
    own = file.name == f"{module}.py" and "site-packages" not in file.parts
    send = f", or send it: client.upload_file('{file.name}')" if own else ""
    return f"Install it where the workers run{send}."


def _refuse_failed(found: Mapping[str, object], what: str, remedy: str) -> None:
    failed = [each for each in found.values() if _is_error(each)]
    if failed:
        why = sanitize(str(failed[0]), 200) or type(failed[0]).__name__
        raise RequestError(f"{what} on {len(failed)} of {len(found)} workers of the cluster: {why}.", remedy)
