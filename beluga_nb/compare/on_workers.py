"""The cells of a grid on workers: an engine that sends each call to an executor, and waits for its answer.

It takes the place of the source in the pipeline. This process still decides what is recorded and what may be
spent, and writes each call into the journal before it is sent. A worker turns one request into one raw answer
(`engines/worker.py`), which is parsed and recorded here as if this process had received it.

Dask runs a task again when it has lost the worker or the result. So each call has a ticket, which the
scheduler keeps. The first run of a task takes it and asks; a second run finds none and does not ask. Only the
scheduler runs tasks again, and tickets are lost only with the scheduler. To cancel a call that has not begun,
this process takes the ticket itself.
"""

from __future__ import annotations

import asyncio
import math
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, InvalidStateError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

from beluga_nb.api.endpoint import Endpoint
from beluga_nb.compare.cluster import (
    LOOK_EVERY,
    Cluster,
    ClusterWorkers,
    SchedulerTicket,
    present_in,
    reply,
    run_on,
)
from beluga_nb.compare.executors import (
    Workers,
    check_not_within,
    has_processes,
    submitted,
    while_the_parent_lives,
)
from beluga_nb.config.settings import Settings
from beluga_nb.engines import worker
from beluga_nb.engines.backend import Backend
from beluga_nb.engines.pipeline import Source, engine_endpoint
from beluga_nb.engines.room import EngineRoom
from beluga_nb.engines.worker import Assignment, Delivery, Task
from beluga_nb.errors import (
    APIConnectionError,
    BelugaError,
    EngineError,
    OutcomeUnknownError,
    RequestError,
    StoreError,
)
from beluga_nb.paths import write_file
from beluga_nb.process.work import at_work
from beluga_nb.redaction import redacted_bundle
from beluga_nb.request import Request
from beluga_nb.result import Bundle, CallCancelled, PreviewMaker, Result
from beluga_nb.store import pending
from beluga_nb.store.records import Store
from beluga_nb.text import plural, sanitize

PER_THREAD = 2
"""Calls that are sent for each thread of the workers, so that no thread is idle between two calls."""

WITHDRAWAL_TIMEOUT = 0.6
"""Seconds that taking back a stopped call may last; after that the call counts as begun."""

RESULT_TIMEOUT = 300.0
"""Seconds that fetching the result of a task that has ended may last."""

ACKNOWLEDGED_AT_ONCE = 64
"""Calls whose answers are removed from the workers together."""

POLL_INTERVAL = 0.5
"""Seconds between two checks for calls of an earlier run that are still under way on a worker."""


class Sent(NamedTuple):
    """A task as it was sent, and a future that ends with it."""

    task: Task
    future: Future[Any]


class WorkerPool(Protocol):
    """Workers that make calls: those of an executor, or of a Dask cluster.

    `in_flight` is the number of calls that keep all of them busy, or 0 if it is not known; it changes while
    workers come and go. `is_here` is true for threads of this process.
    `has_unfit` is whether the last `look` has refused one of them, beside which the others go on.
    """

    is_here: bool

    @property
    def in_flight(self) -> int: ...

    @property
    def has_unfit(self) -> bool: ...

    def submit(self, task: Task, here: tuple[Backend, EngineRoom]) -> Sent:
        """Send a task; raise `RequestError` if no more are accepted."""
        ...

    def result(self, sent: Sent) -> Delivery:
        """Return the delivery of a task that has ended; raise any exception of the executor."""
        ...

    def withdraw(self, sent: Sent) -> bool:
        """Take a task back; return true if it had not begun and never will."""
        ...

    def on_each_worker(self, function: Callable[..., Any], *arguments: object) -> Mapping[str, Any]:
        """Call a function on each worker, or where all of them keep answers; return the results by worker."""
        ...

    def look(self) -> None:
        """Check the workers while calls wait; raise `RequestError` where they cannot go on."""
        ...


class ExecutorPool:
    """The workers of an executor of `concurrent.futures`, such as threads or processes."""

    has_unfit = False

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        if "InterpreterPoolExecutor" in [each.__name__ for each in type(executor).__mro__]:
            raise RequestError(
                "An InterpreterPoolExecutor makes no calls: its interpreters allow no daemon threads.",
                "Pass a ThreadPoolExecutor or a ProcessPoolExecutor.",
            )
        threads = getattr(executor, "_max_workers", None)
        self.in_flight = PER_THREAD * threads if isinstance(threads, int) else 0
        self.is_here = isinstance(executor, ThreadPoolExecutor)
        self._is_on_this_machine = isinstance(executor, ThreadPoolExecutor) or has_processes(executor)

    def submit(self, task: Task, here: tuple[Backend, EngineRoom]) -> Sent:
        """Send a task; threads of this process have its engine."""
        if self._is_on_this_machine:  # An initializer may have set another folder in a process.
            task = replace(task, folder=worker.journal().folder)
        function: Callable[..., Delivery] = worker.perform
        if self.is_here:
            function = partial(worker.perform, here=here)
        elif has_processes(self._executor):
            function = partial(while_the_parent_lives, _perform_to_the_end)
        return Sent(task, _taken(self._executor, function, task))

    def result(self, sent: Sent) -> Delivery:
        """Return the delivery of a task."""
        delivery: Delivery = sent.future.result()
        return delivery

    def withdraw(self, sent: Sent) -> bool:
        """Take a task back: cancel it, or take its claim before a worker on this machine does."""
        if sent.future.cancel():
            return True
        with suppress(OSError, StoreError):  # A worker has left no claim where nothing can be written.
            if self._is_on_this_machine and worker.claim(sent.task):
                sent.future.add_done_callback(partial(_release, sent.task))
                return True
        return False

    def on_each_worker(self, function: Callable[..., Any], *arguments: object) -> Mapping[str, Any]:
        """Call a function in this process: its workers keep answers in the folder of this machine."""
        return {worker.name(): function(*arguments)}

    def look(self) -> None:
        """Do nothing: a broken pool raises when it is used."""


def _perform_to_the_end(task: Task) -> Delivery:
    """Make a call in a process of a pool, which Ctrl-C and a notebook's Stop would interrupt, too."""
    # For good: a process that ends while it waits for its next task ends the whole pool.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return worker.perform(task)


def _release(task: Task, ended: Future[Any]) -> None:
    """Remove the claim of a task that was taken back, after a worker has found the claim."""
    # Where an executor breaks, another of its processes may still find the task.
    if not ended.cancelled() and not ended.exception():
        worker.release(task)


def _taken(executor: Executor, function: Callable[..., Delivery], task: Task) -> Future[Any]:
    """Return a future, whatever a user's executor returns or raises: the call may have begun."""
    try:
        future: object = submitted(executor, function, (task,))
        if isinstance(future, Future):
            return future
        raise TypeError("no future")
    except RequestError:
        raise
    except Exception as error:  # of the user's executor
        failed: Future[Any] = Future()
        failed.set_exception(error)
        return failed


class DaskPool:
    """The workers of a Dask cluster, which are checked before the first call."""

    is_here = False

    def __init__(
        self, client: Cluster, options: Mapping[str, object], assignments: Sequence[Assignment]
    ) -> None:
        self._client = client
        self._options = {**options, "pure": False, "retries": 0}
        describe = partial(worker.describe, assignments)
        with _reachable():
            self.workers = ClusterWorkers(client, worker.perform, describe=describe)
            self._check_resources(options.get("resources"))

    def _check_resources(self, wanted: object) -> None:
        """Raise `RequestError` where no worker has what a task needs: Dask would wait for one for ever."""
        if not isinstance(wanted, Mapping):
            return
        found = self.on_each_worker(worker.resources).values()
        if not any(all(has.get(name, 0) >= number for name, number in wanted.items()) for has in found):
            needed = ",".join(f"{name}={number}" for name, number in wanted.items())
            raise RequestError(
                f"No worker of the cluster has the resources {sanitize(needed, 80)}.",
                "Start workers that have them, as docs/cluster.md shows.",
            )

    @property
    def in_flight(self) -> int:
        return PER_THREAD * self.workers.threads

    @property
    def has_unfit(self) -> bool:
        return self.workers.has_unfit

    def submit(self, task: Task, here: tuple[Backend, EngineRoom]) -> Sent:  # noqa: ARG002
        """Send a task, after its ticket."""
        ticket = SchedulerTicket(f"beluga-{task.attempt}")
        task = replace(task, ticket=ticket)
        ended: Future[Any] = Future()
        with _reachable():
            remove = ticket.issue(self._client)
            there = self._client.submit(worker.perform, task, **self._options)
        # The call may have begun: where the client is closed just now, `look` finds the cluster lost.
        with suppress(Exception):
            # Not by Dask's own executor: its futures never end where the scheduler is lost with the result.
            there.add_done_callback(partial(_end, ended, remove))
        return Sent(task, ended)

    def result(self, sent: Sent) -> Delivery:
        """Return the delivery of a task, from the worker that has it."""
        delivery: Delivery = reply(self._client, sent.future.result().result, timeout=RESULT_TIMEOUT)
        return delivery

    def withdraw(self, sent: Sent) -> bool:
        """Take a task back, by its ticket: Dask does not tell whether a task has begun."""
        assert isinstance(sent.task.ticket, SchedulerTicket)
        with suppress(Exception):  # The scheduler is gone, or the client was closed.
            return sent.task.ticket.take(self._client)
        return False

    def on_each_worker(self, function: Callable[..., Any], *arguments: object) -> Mapping[str, Any]:
        """Call a function on each worker."""
        with _reachable():
            return self.workers.on_each_worker(function, *arguments)

    def look(self) -> None:
        """Check the workers that have joined; raise `RequestError` where none is left."""
        with _reachable():
            self.workers.look()


@contextmanager
def _reachable() -> Iterator[None]:
    """Raise `RequestError` for any error of Dask, of its event loop, or of a socket."""
    try:
        yield
    except RequestError:
        raise
    except Exception as error:
        words = sanitize(str(error), 200)
        raise RequestError(
            f"The cluster cannot be reached: {type(error).__name__}{words and ': '}{words}",
            "What was done is kept. Connect to it again, and run the grid again.",
        ) from error


def _end(ended: Future[Any], remove: Callable[[], None], there: object) -> None:
    # Should the scheduler run the task again, it finds no ticket, as if it had been taken.
    with suppress(Exception):  # The scheduler is gone, or the client was closed.
        remove()
    with suppress(InvalidStateError):  # The caller has cancelled it.
        ended.set_result(there)


def pool_of(executor: Workers, backends: Sequence[Backend]) -> WorkerPool:
    """Return the workers of an executor; raise `RequestError` where they cannot answer for some backends."""
    # The executor of `client.get_executor(resources=…)` holds its client and the options of its tasks.
    client, options = _client_of(executor), getattr(executor, "_kwargs", {})
    if _is_imported_by_a_parent():
        raise RequestError(
            "This script is imported by a process that it has started itself.",
            'Let it start workers only below `if __name__ == "__main__":`.',
        )
    if isinstance(client, Cluster):
        return DaskPool(client, options, [Assignment.of(each, is_sent=True) for each in backends])
    check_not_within(client)
    pool = ExecutorPool(client)
    for each in backends:
        Assignment.of(each, is_sent=not pool.is_here)
    return pool


def _client_of(executor: object) -> Executor | Cluster:
    """Return the client of a cluster, or an executor; raise `RequestError` for anything else."""
    client = getattr(executor, "_client", executor)
    if isinstance(client, type) or not isinstance(client, Executor | Cluster):
        raise RequestError(
            f"{sanitize(repr(client), 80)} is not an executor.",
            "Pass a dask.distributed.Client, or an executor of concurrent.futures.",
        )
    return client


def _is_imported_by_a_parent() -> bool:
    """Whether this process was spawned, and still imports the script of its parent.

    There it would wait for the calls of its parent, which waits for it.
    """
    process = sys.modules.get("multiprocessing.process")
    return process is not None and getattr(process.current_process(), "_inheriting", False)


@dataclass(frozen=True, repr=False)
class WorkerTable:
    """A table with a row for each worker: its versions, its engine, the source of its key, and its folder."""

    rows: tuple[Mapping[str, str], ...]

    @classmethod
    def of(cls, executor: Workers, backends: Sequence[Backend]) -> WorkerTable:
        """Return the table for the workers of an executor; a worker that lacks something is not refused."""
        client = _client_of(executor)
        if not isinstance(client, Cluster):
            here = ExecutorPool(client).is_here
            assignments = [Assignment.of(each, is_sent=not here) for each in backends]
            return cls((worker.describe([] if here else assignments),))
        describe = partial(worker.describe, [Assignment.of(each, is_sent=True) for each in backends])
        with _reachable():
            found = run_on(client, sorted(present_in(client)), describe)
        return cls(tuple(_described(name, about) for name, about in found.items()))

    def __repr__(self) -> str:
        return self._bundle()["text/plain"]

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        return redacted_bundle(self._bundle())

    def _bundle(self) -> Bundle:
        from beluga_nb.show.tables import table

        names = [name for name in _COLUMNS if any(row.get(name) for row in self.rows)]
        return table([[row.get(name, "") for name in names] for row in self.rows], names, "Workers")


_COLUMNS = ("worker", "beluga_nb", "Python", "engine", "key", "answers kept in", "problem")


def _described(name: str, about: object) -> Mapping[str, str]:
    if isinstance(about, Mapping):
        return about
    return {"worker": name, "problem": f"{type(about).__name__}: {sanitize(str(about), 120)}"}


class Dispatcher:
    """Sends the calls of a run to workers, and waits for their answers.

    `lost` is the error after which no more calls can be sent, or None. `made` counts the calls that each
    worker has made.
    """

    def __init__(self, pool: WorkerPool, room: EngineRoom) -> None:
        self.pool = pool
        self.room = room
        self.lost: BelugaError | None = None
        self.made: Counter[str] = Counter()
        self._done: list[str] = []

    def source(self, source: Source, backend: Backend, make_preview: PreviewMaker | None) -> Source:
        """Return a source with the same rules whose calls are sent to the workers."""
        own = backend.settings.own_engine
        endpoint = engine_endpoint(own.name, source.timeout) if own else backend.endpoint()
        assignment = Assignment.of(backend, is_sent=not self.pool.is_here)

        async def engine(request: Request) -> Result:
            request = request.as_call()  # In mode "off" it has no id yet.
            delivery = await self._delivered(request, assignment, backend)
            return await self._understood(request, delivery, endpoint, make_preview)

        return replace(source, engine=engine, limit=self.room.limit(id(self.pool)), most=self.most)

    def most(self, settings: Settings) -> int:
        """Return how many calls may be under way: as many as keep the workers busy, unless it is set."""
        if "max_in_flight" in settings.places:
            return settings.max_in_flight
        return self.pool.in_flight or settings.max_in_flight

    def end(self) -> None:
        """Let the workers remove the answers that have arrived here."""
        self._acknowledge()

    def fetch(self, store: Store, *, notify: Callable[[str], None], timeout: float) -> None:
        """Copy the answers of earlier calls that workers still have into the store's journal.

        Waits at most `timeout` seconds for calls of an earlier run that are still under way.
        """
        until, has_notified = time.monotonic() + timeout, False
        while runs := [call.run for call in pending.calls(store) if not call.on_its_way]:
            under_way = set[str]()
            for name, found in self.pool.on_each_worker(worker.left_here, runs).items():
                under_way |= {run for run, (is_under_way, _) in found.items() if is_under_way}
                self._fetch(store, name, {run: names for run, (_, names) in found.items() if names})
            if not under_way or time.monotonic() > until:
                return
            if not has_notified:
                calls = plural(len(under_way), "call")
                notify(f"{calls} of an earlier run are still under way on the workers, and are waited for.")
                has_notified = True
            time.sleep(POLL_INTERVAL)

    def _fetch(self, store: Store, name: str, left: Mapping[str, Sequence[str]]) -> None:
        for run, names in left.items():
            if pending.answers(store, run) or not any(map(worker.is_whole, names)):
                continue
            for each, data in self.pool.on_each_worker(worker.read_here, names).get(name, {}).items():
                with suppress(OSError):
                    write_file(store.folder / "pending" / each, data)
            if pending.answers(store, run):
                self._done.append(run)
        self._acknowledge()

    async def _delivered(self, request: Request, assignment: Assignment, backend: Backend) -> Delivery:
        task = Task(request=_plain(request), assignment=assignment, attempt=uuid4().hex)
        begun = asyncio.ensure_future(at_work(self._submit, task, (backend, self.room)))
        is_back = False
        try:
            sent = await asyncio.shield(begun)
            waiting = asyncio.wrap_future(sent.future)
            waiting.add_done_callback(_retrieved)
            while not (await asyncio.wait({waiting}, timeout=LOOK_EVERY))[0]:
                try:
                    await asyncio.to_thread(self._look)
                except RequestError:
                    # Beside a worker that is refused, the others end what they have begun.
                    is_back = self.pool.has_unfit and await self._withdrawn(begun)
                    if is_back or not self.pool.has_unfit:
                        raise
            delivery = await asyncio.shield(at_work(self._ended, sent))
        except asyncio.CancelledError:
            is_back = await self._withdrawn(begun)
            raise CallCancelled(may_be_billed=not is_back) from None
        except BelugaError:
            is_begun = not is_back and begun.done() and not begun.exception()
            if is_begun and not await self._withdrawn(begun):
                raise _unknown("the cluster was lost") from None
            raise
        if isinstance(delivery, str):
            raise _not_begun(delivery) if await self._withdrawn(begun) else _unknown(delivery)
        self.made[delivery.worker] += 1
        return delivery

    def _ended(self, sent: Sent) -> Delivery | str:
        """Return the delivery of a task that has ended, or the name of its executor's error."""
        try:
            return self.pool.result(sent)
        except (Exception, asyncio.CancelledError) as error:  # The task returns its own errors.
            return type(error).__name__

    def _submit(self, task: Task, here: tuple[Backend, EngineRoom]) -> Sent:
        if self.lost:
            raise self.lost
        try:
            return self.pool.submit(task, here)
        except RequestError as error:
            self.lost = error
            raise

    def _look(self) -> None:
        try:
            self.pool.look()
        except RequestError as error:
            self.lost = error
            raise

    async def _withdrawn(self, begun: asyncio.Future[Sent]) -> bool:
        """Whether a call was taken back before it began; without an answer in time, it counts as begun."""
        taken = asyncio.ensure_future(self._withdraw(begun))
        await asyncio.wait({taken}, timeout=WITHDRAWAL_TIMEOUT)
        return taken.done() and taken.result()

    async def _withdraw(self, begun: asyncio.Future[Sent]) -> bool:
        try:
            sent = await begun
        except BelugaError:
            return True
        return await at_work(self.pool.withdraw, sent)

    async def _understood(
        self, request: Request, delivery: Delivery, endpoint: Endpoint, make_preview: PreviewMaker | None
    ) -> Result:
        from beluga_nb.api.http import Http  # Lazy import: a replay needs no HTTP client.

        run = request.idempotency_key
        if delivery.response is None:
            self._done.append(run)
            assert delivery.error
            raise delivery.error
        # Acknowledged only when the answer is on this disk: then the worker removes its own.
        response = await worker.spooled(delivery.response, request)
        if request.spool is None or (response.kept and (response.content or not response.broken)):
            self._done.append(run)
        if len(self._done) >= ACKNOWLEDGED_AT_ONCE:
            await asyncio.to_thread(self._acknowledge)
        deadline = asyncio.get_running_loop().time() + endpoint.timeout
        try:
            return await Http(endpoint, make_preview=make_preview).understood(request, response, deadline)
        except EngineError as error:
            error.idempotency_key = run
            raise

    def _acknowledge(self) -> None:
        done, self._done = self._done, []
        if done:
            with suppress(Exception):  # The next run fetches what the workers still have.
                self.pool.on_each_worker(worker.acknowledge, done)


def _plain(request: Request) -> Request:
    """Return a request without its file and deadline, which are valid in this process alone."""
    return replace(request, spool=None, deadline=math.inf)


def _retrieved(waiting: asyncio.Future[Any]) -> None:
    """Mark an executor's error as retrieved, which asyncio would report: `_ended` reads it."""
    if not waiting.cancelled():
        waiting.exception()


def _unknown(reason: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(f"The call was lost with its worker ({reason}).", worker.RERUN)


def _not_begun(reason: str) -> APIConnectionError:
    return APIConnectionError(
        f"The call did not reach a worker ({reason}).", "Nothing was sent or billed. Run the grid again."
    )
