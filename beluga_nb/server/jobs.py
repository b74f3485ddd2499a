"""The asynchronous jobs behind the embedded server, as behind BelugAPI itself."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from beluga_nb.errors import APIStatusError, APITimeoutError, BelugaError, EngineError, RateLimitError
from beluga_nb.redaction import redact_record
from beluga_nb.request import Request
from beluga_nb.result import Engine, Result

CLOSED_REQUEST = 499
"""The status of a job that was cancelled: the caller is gone, but logs and tests read it."""

_LONGEST_WAIT = 60.0  # seconds; the OpenAI SDKs ignore a Retry-After above it

_log = logging.getLogger(__name__)
_log.addFilter(redact_record)


@dataclass(frozen=True, eq=False)
class Job:
    """One request on its way through a `JobQueue`."""

    id: str
    request: Request
    _task: asyncio.Task[Result | BelugaError]

    async def result(self) -> Result:
        """Return the result or raise the job's `BelugaError`.

        A caller that is cancelled while waiting here cancels the job, and waits for its clean-up.
        """
        outcome = await self._outcome()
        if isinstance(outcome, BelugaError):
            raise outcome
        return outcome

    async def _outcome(self) -> Result | BelugaError:
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
        self._task.cancel()


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
        name = secrets.token_hex(16)
        job = Job(name, request, asyncio.create_task(self._work(name, request), name=f"beluga job {name}"))
        self.jobs.add(job)
        # A callback, not a `finally` in the task: a task that is cancelled early never runs.
        job._task.add_done_callback(lambda _: self.jobs.discard(job))
        return job

    def _full(self) -> RateLimitError:
        rounds = math.ceil(len(self.jobs) / self.workers)
        return RateLimitError(
            f"{len(self.jobs)} requests are waiting already.",
            "Wait a little and run it again.",
            retry_after=min(_LONGEST_WAIT, max(1.0, rounds * self.pace)),
        )

    async def _work(self, name: str, request: Request) -> Result | BelugaError:
        # Errors are returned: asyncio would report an exception that is never retrieved.
        try:
            # In this order the wait for a worker counts, too.
            async with asyncio.timeout(self.patience), self._free:
                return await self._ask(name, request)
        except TimeoutError:
            return APITimeoutError(
                f"The picture was not ready within {self.patience:g} seconds.",
                "It was given up; ask for fewer at a time, or run it again.",
            )

    async def _ask(self, name: str, request: Request) -> Result | BelugaError:
        began = self.clock()
        try:
            result = await self.engine(request)
        except BelugaError as error:
            return error
        except Exception as error:  # an engine is code of others
            return _unexpected(name, error)
        # Only successes count: what is refused or cancelled at once does not show how long the others take.
        self.pace = self.clock() - began
        return result


def _unexpected(name: str, error: Exception) -> EngineError:
    # Its text may hold paths, addresses or keys: it goes to the log and never into an answer.
    _log.error("The engine failed in job %s", name, exc_info=error)
    return EngineError("The engine failed unexpectedly; see the server's log.", status=500)
