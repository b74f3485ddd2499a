"""The asynchronous jobs behind the embedded server (contract.md: Inside: the asynchronous job)."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Literal

from beluga_nb.errors import APIStatusError, APITimeoutError, BelugaError, EngineError, RateLimitError
from beluga_nb.redaction import redact_record
from beluga_nb.request import Request
from beluga_nb.result import Engine, Result

State = Literal["queued", "processing", "completed", "failed", "cancelled"]

CLOSED_REQUEST = 499
"""The status of a job that was cancelled: the caller is gone, but logs and tests read it."""

_LONGEST_WAIT = 60.0  # seconds; the OpenAI SDKs ignore a Retry-After above it

_log = logging.getLogger(__name__)
_log.addFilter(redact_record)
_running: ContextVar[Job | None] = ContextVar("_running", default=None)


def advance(percent: float) -> None:
    """Add to the progress of the job that this code runs in, if it runs in one.

    For engines that know how far they are; nothing else depends on it.
    """
    job = _running.get()
    if job is not None:
        job.progress = min(100.0, job.progress + percent)


class Job:
    """One request on its way: `state` and `progress` (0 to 100)."""

    def __init__(self, request: Request) -> None:
        self.id = secrets.token_hex(16)
        self.request = request
        self.state: State = "queued"
        self.progress = 0.0
        self._task: asyncio.Task[Result | BelugaError] | None = None

    async def result(self) -> Result:
        """Return the result or raise the job's `BelugaError`.

        A caller that is cancelled while waiting here cancels the job, and waits for its clean-up.
        """
        outcome = await self._outcome()
        if isinstance(outcome, BelugaError):
            raise outcome
        return outcome

    async def _outcome(self) -> Result | BelugaError:
        assert self._task is not None, "JobQueue.submit starts the job"
        try:
            return await self._task
        except asyncio.CancelledError:
            waiter = asyncio.current_task()
            if waiter is not None and waiter.cancelling():
                raise
            return APIStatusError(
                "The job was cancelled; nothing was drawn.", status=CLOSED_REQUEST, code="cancelled"
            )

    def cancel(self) -> None:
        """Stop the job, whether it waits or runs; one that has ended stays as it is."""
        if self._task is not None:
            self._task.cancel()

    def _start(self, task: asyncio.Task[Result | BelugaError]) -> None:
        self._task = task
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[Result | BelugaError]) -> None:
        # A callback, not a `finally` in the task: a task that is cancelled early never runs.
        if task.cancelled():
            self.state = "cancelled"
        elif isinstance(task.result(), BelugaError):
            self.state = "failed"
        else:
            self.state, self.progress = "completed", 100.0


class JobQueue:
    """Run requests through an engine, `workers` at a time, with at most `limit` more waiting.

    A job that takes longer than `patience` seconds, its wait included, fails as `APITimeoutError`. Every job
    is a task of its own, so nothing runs while there is no job. A queue serves one event loop.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        workers: int = 4,
        limit: int = 64,
        patience: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engine = engine
        self.workers = workers
        self.limit = limit
        self.patience = patience
        self.clock = clock
        self.jobs: set[Job] = set()
        self.pace = 1.0  # seconds that the latest pictures took, as an estimate for the next
        self._free = asyncio.Semaphore(workers)

    def submit(self, request: Request) -> Job:
        """Return a new job on the running loop; raise `RateLimitError` with `retry_after` when full."""
        if len(self.jobs) >= self.workers + self.limit:
            raise self._full()
        job = Job(request)
        self.jobs.add(job)
        task = asyncio.create_task(self._work(job), name=f"beluga job {job.id}")
        task.add_done_callback(lambda _: self.jobs.discard(job))
        job._start(task)
        return job

    def _full(self) -> RateLimitError:
        rounds = math.ceil(len(self.jobs) / self.workers)
        return RateLimitError(
            f"{len(self.jobs)} requests are waiting already.",
            "Wait a little and run it again.",
            retry_after=min(_LONGEST_WAIT, max(1.0, rounds * self.pace)),
        )

    async def _work(self, job: Job) -> Result | BelugaError:
        # Errors are returned: asyncio would report an exception that is never retrieved.
        try:
            async with asyncio.timeout(self.patience), self._free:
                return await self._ask(job)
        except TimeoutError:
            return APITimeoutError(
                f"The picture was not ready within {self.patience:g} seconds.",
                "It was given up; ask for fewer at a time, or run it again.",
            )

    async def _ask(self, job: Job) -> Result | BelugaError:
        job.state = "processing"
        _running.set(job)
        began = self.clock()
        try:
            result = await self.engine(job.request)
        except BelugaError as error:
            return error
        except Exception as error:  # an engine is code of others
            return _unexpected(job, error)
        # Only successes count: what is refused or cancelled at once does not show how long the others take.
        self.pace = self.clock() - began
        return result


def _unexpected(job: Job, error: Exception) -> EngineError:
    # Its text may hold paths, addresses or keys: it goes to the log and never into an answer.
    _log.error("The engine failed in job %s", job.id, exc_info=error)
    return EngineError("The engine failed unexpectedly; the server's log says how.", status=500)
