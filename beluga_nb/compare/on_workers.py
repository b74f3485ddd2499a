"""The cells of a grid on workers: an engine that sends each call to an executor, and waits for its answer.

It takes the place of the source in the pipeline, so all that decides stays here: what is recorded, what may
be spent, and the journal, in which a call stands before it is sent away. A worker turns one request into one
raw answer (`engines/worker.py`), which is parsed and recorded here as if it had come to this process.

Dask runs a task again when it has lost the worker, the result, or both. So a call has a ticket, which the
scheduler keeps: whoever takes it first may ask, a second run may not. The scheduler alone runs tasks again,
so its memory lasts as long as the ticket is needed. By the same ticket a call is taken back before it begins.
"""

from __future__ import annotations

import asyncio
import math
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
from beluga_nb.compare.cluster import LOOK_EVERY, Cluster, ClusterWorkers, SchedulerTicket, present_in
from beluga_nb.compare.executors import Workers, has_processes, submitted, while_the_parent_lives
from beluga_nb.engines import worker
from beluga_nb.engines.backend import Backend
from beluga_nb.engines.pipeline import Source, answering
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
"""Calls that are sent for each thread of the workers, so that none of them waits for its next one."""

WITHDRAWAL = 0.6
"""Seconds in which a stopped call is taken back; after that it counts as begun."""

ARRIVAL = 300.0
"""Seconds in which the answer of a task that has ended must come over the network."""

ACKNOWLEDGED_AT_ONCE = 64
"""Calls whose answers are removed from the workers together."""

POLL = 0.5
"""Seconds between looks at calls of an earlier run that are still under way on a worker."""


class Sent(NamedTuple):
    """A task as it was sent, and a future that ends with it."""

    task: Task
    future: Future[Any]


class Crew(Protocol):
    """Workers, wherever they are.

    `in_flight` calls keep them busy, 0 where that is not known. `is_here` are threads of this process.
    `has_unfit` is whether the last `look` has refused one of them, beside which the others go on.
    """

    in_flight: int
    is_here: bool

    @property
    def has_unfit(self) -> bool: ...

    def submit(self, task: Task, here: tuple[Backend, EngineRoom]) -> Sent:
        """Send a task; raise `RequestError` where none is taken any more."""
        ...

    def result(self, sent: Sent) -> Delivery:
        """Return what came of a task that has ended; raise any exception of the executor."""
        ...

    def withdraw(self, sent: Sent) -> bool:
        """Take a task back; return whether it has not begun, and never will."""
        ...

    def everywhere(self, function: Callable[..., Any], *arguments: object) -> Mapping[str, Any]:
        """Call a function where the workers keep their answers; return the results by worker."""
        ...

    def look(self) -> None:
        """Look after the workers now and then; raise `RequestError` where they cannot go on."""
        ...


class Pool:
    """The workers of an executor of `concurrent.futures`: threads, processes, or something alike."""

    has_unfit = False

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        threads = getattr(executor, "_max_workers", None)
        self.in_flight = PER_THREAD * threads if isinstance(threads, int) else 0
        kinds = [each.__name__ for each in type(executor).__mro__]
        self.is_here = isinstance(executor, ThreadPoolExecutor) and "InterpreterPoolExecutor" not in kinds
        self._is_on_this_machine = isinstance(executor, ThreadPoolExecutor) or has_processes(executor)

    def submit(self, task: Task, here: tuple[Backend, EngineRoom]) -> Sent:
        """Send a task; threads of this process have its engine."""
        if self._is_on_this_machine:  # An initializer may have set another folder in a process.
            task = replace(task, folder=worker.journal().folder)
        function: Callable[..., Delivery] = worker.perform
        if self.is_here:
            function = partial(worker.perform, here=here)
        elif has_processes(self._executor):
            function = partial(while_the_parent_lives, worker.perform)
        return Sent(task, _taken(self._executor, function, task))

    def result(self, sent: Sent) -> Delivery:
        """Return what came of a task."""
        delivery: Delivery = sent.future.result()
        return delivery

    def withdraw(self, sent: Sent) -> bool:
        """Take a task back, by the claim that a worker on this machine would take."""
        with suppress(OSError, StoreError):  # A worker has left no claim where nothing can be written.
            return sent.future.cancel() or (self._is_on_this_machine and worker.claim(sent.task))
        return False

    def everywhere(self, function: Callable[..., Any], *arguments: object) -> Mapping[str, Any]:
        """Call a function here: the workers have this machine's folder."""
        return {worker.name(): function(*arguments)}

    def look(self) -> None:
        """Do nothing: a pool that is broken says so when it is used."""


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


class DaskCrew:
    """The workers of a Dask cluster, which were asked first."""

    is_here = False

    def __init__(
        self, client: Cluster, options: Mapping[str, object], assignments: Sequence[Assignment]
    ) -> None:
        self._client = client
        self._options = {**options, "pure": False, "retries": 0}
        describe = partial(worker.describe, assignments)
        with _reachable():
            self.workers = ClusterWorkers(client, worker.perform, describe=describe)
            self.in_flight = PER_THREAD * sum(client.nthreads().values())

    @property
    def has_unfit(self) -> bool:
        return self.workers.has_unfit

    def submit(self, task: Task, here: tuple[Backend, EngineRoom]) -> Sent:  # noqa: ARG002
        """Send a task with a ticket, which the scheduler has before it has the task."""
        ticket = SchedulerTicket(f"beluga-{task.attempt}")
        task = replace(task, ticket=ticket)
        ended: Future[Any] = Future()
        with _reachable():
            ticket.issue(self._client)
            there = self._client.submit(worker.perform, task, **self._options)
            # Not by Dask's own executor: its futures never end where the scheduler is lost with the result.
            there.add_done_callback(partial(_end, ended))
        return Sent(task, ended)

    def result(self, sent: Sent) -> Delivery:
        """Return what came of a task, from the worker that has it."""
        delivery: Delivery = sent.future.result().result(timeout=ARRIVAL)
        return delivery

    def withdraw(self, sent: Sent) -> bool:
        """Take a task back, by its ticket: Dask does not tell whether a task has begun."""
        assert isinstance(sent.task.ticket, SchedulerTicket)
        with suppress(Exception):  # The scheduler is gone, or the client was closed.
            return sent.task.ticket.take(self._client)
        return False

    def everywhere(self, function: Callable[..., Any], *arguments: object) -> Mapping[str, Any]:
        """Call a function on each worker."""
        with _reachable():
            return self.workers.everywhere(function, *arguments)

    def look(self) -> None:
        """Ask the workers that have joined; raise `RequestError` where none is left."""
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


def _end(ended: Future[Any], there: object) -> None:
    with suppress(InvalidStateError):  # It was given up.
        ended.set_result(there)


def crew_of(executor: Workers, backends: Sequence[Backend]) -> Crew:
    """Return the workers of an executor; raise `RequestError` where they cannot answer for some backends."""
    # A `client.get_executor(resources=…)` of the user's has the options of its tasks.
    client, options = _client_of(executor), getattr(executor, "_kwargs", {})
    if _is_imported_by_a_parent():
        raise RequestError(
            "This script is imported by a process that it has started itself.",
            'Let it start workers only below `if __name__ == "__main__":`.',
        )
    if isinstance(client, Cluster):
        return DaskCrew(client, options, [Assignment.of(each, travels=True) for each in backends])
    crew = Pool(client)
    for each in backends:
        Assignment.of(each, travels=not crew.is_here)
    return crew


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
    """What each worker of an executor has: its versions, its engine, where its key comes from, its folder."""

    rows: tuple[Mapping[str, str], ...]

    @classmethod
    def of(cls, executor: Workers, backends: Sequence[Backend]) -> WorkerTable:
        """Ask the workers of an executor, and refuse none."""
        client = _client_of(executor)
        if not isinstance(client, Cluster):
            here = Pool(client).is_here
            assignments = [Assignment.of(each, travels=not here) for each in backends]
            return cls((worker.describe([] if here else assignments),))
        describe = partial(worker.describe, [Assignment.of(each, travels=True) for each in backends])
        with _reachable():
            found = client.run(describe, workers=sorted(present_in(client)), on_error="return")
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


class Remote:
    """The sources of a run whose calls are made by workers.

    `lost` is why no more calls can be made, once that is so. `made` counts the calls that each worker has
    made.
    """

    def __init__(self, crew: Crew, room: EngineRoom) -> None:
        self.crew = crew
        self.room = room
        self.lost: BelugaError | None = None
        self.made: Counter[str] = Counter()
        self._done: list[str] = []

    def source(self, source: Source, backend: Backend, make_preview: PreviewMaker | None) -> Source:
        """Return a source with the same rules, whose calls are made by the workers."""
        own = backend.settings.own_engine
        endpoint = answering(own.name, source.timeout) if own else backend.endpoint()
        assignment = Assignment.of(backend, travels=not self.crew.is_here)

        async def engine(request: Request) -> Result:
            request = request.as_call()  # In mode "off" it has no id yet.
            delivery = await self._delivered(request, assignment, backend)
            return await self._understood(request, delivery, endpoint, make_preview)

        return replace(source, engine=engine, limit=self.room.limit(id(self.crew)))

    def end(self) -> None:
        """Let the workers remove what has been handed over."""
        self._acknowledge()

    def fetch(self, store: Store, *, notify: Callable[[str], None], timeout: float) -> None:
        """Bring answers of earlier calls that workers still have to the store's journal.

        Calls of an earlier run that are still under way are waited for, for at most `timeout` seconds.
        """
        until, told = time.monotonic() + timeout, False
        while runs := [call.run for call in pending.calls(store) if not call.on_its_way]:
            under_way = set[str]()
            for name, found in self.crew.everywhere(worker.left_here, runs).items():
                under_way |= {run for run, (is_under_way, _) in found.items() if is_under_way}
                self._fetch(store, name, {run: names for run, (_, names) in found.items() if names})
            if not under_way or time.monotonic() > until:
                return
            if not told:
                calls = plural(len(under_way), "call")
                notify(f"{calls} of an earlier run are still under way on the workers, and are waited for.")
                told = True
            time.sleep(POLL)

    def _fetch(self, store: Store, name: str, left: Mapping[str, Sequence[str]]) -> None:
        for run, names in left.items():
            if pending.answers(store, run) or not any(map(worker.is_whole, names)):
                continue
            for each, data in self.crew.everywhere(worker.read_here, names).get(name, {}).items():
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
                    is_back = self.crew.has_unfit and await self._withdrawn(begun)
                    if is_back or not self.crew.has_unfit:
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
        """Return what came of a task that has ended, or the name of an error of its executor."""
        try:
            return self.crew.result(sent)
        except (Exception, asyncio.CancelledError) as error:  # The task returns its own errors.
            return type(error).__name__

    def _submit(self, task: Task, here: tuple[Backend, EngineRoom]) -> Sent:
        if self.lost:
            raise self.lost
        try:
            return self.crew.submit(task, here)
        except RequestError as error:
            self.lost = error
            raise

    def _look(self) -> None:
        try:
            self.crew.look()
        except RequestError as error:
            self.lost = error
            raise

    async def _withdrawn(self, begun: asyncio.Future[Sent]) -> bool:
        """Whether a call was taken back before it began; one that is not known to be soon counts as begun."""
        taken = asyncio.ensure_future(self._withdraw(begun))
        await asyncio.wait({taken}, timeout=WITHDRAWAL)
        return taken.done() and taken.result()

    async def _withdraw(self, begun: asyncio.Future[Sent]) -> bool:
        try:
            sent = await begun
        except BelugaError:
            return True
        return await at_work(self.crew.withdraw, sent)

    async def _understood(
        self, request: Request, delivery: Delivery, endpoint: Endpoint, make_preview: PreviewMaker | None
    ) -> Result:
        from beluga_nb.api.http import Http  # Lazy import: a replay needs no HTTP client.

        run = request.idempotency_key
        if delivery.response is None:
            self._done.append(run)
            assert delivery.error
            raise delivery.error
        # On this disk first, as an answer that came here, then it is acknowledged.
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
            with suppress(Exception):  # They are asked about what they have left when the next run begins.
                self.crew.everywhere(worker.acknowledge, done)


def _plain(request: Request) -> Request:
    """Return a request without what belongs to this process: its file, and the time on its loop."""
    return replace(request, spool=None, deadline=math.inf)


def _retrieved(waiting: asyncio.Future[Any]) -> None:
    """Let asyncio not report an error of an executor, which `_ended` reads."""
    if not waiting.cancelled():
        waiting.exception()


def _unknown(reason: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(f"The call was lost with its worker ({reason}).", worker.RERUN)


def _not_begun(reason: str) -> APIConnectionError:
    return APIConnectionError(
        f"The call did not reach a worker ({reason}).", "Nothing was sent or billed. Run the grid again."
    )
