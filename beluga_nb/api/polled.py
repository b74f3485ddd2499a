"""A service that is asked once and then polled, as an engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from beluga_nb.api import tasks
from beluga_nb.api.endpoint import App, Endpoint, Sleep
from beluga_nb.api.http import Http
from beluga_nb.api.tasks import Task
from beluga_nb.api.transport import Response
from beluga_nb.errors import (
    NOT_BILLED,
    APIStatusError,
    APITimeoutError,
    EngineError,
    InvalidResponseError,
    OutcomeUnknownError,
)
from beluga_nb.request import Request
from beluga_nb.result import Result
from beluga_nb.wire import NOT_SENT_AGAIN, TRY_LATER


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long to wait before each poll, in seconds: `first`, then `growth` times as long, up to `longest`.

    Services advise a poll every 3 to 5 s; quick models are ready before. A poll
    that has no answer after `patience` is lost.
    """

    first: float = 1.0
    growth: float = 1.5
    longest: float = 5.0
    patience: float = 30.0

    def waits(self) -> Iterator[float]:
        """Yield the waits, without end."""
        wait = self.first
        while True:
            yield wait
            wait = max(wait, min(self.longest, wait * self.growth))


class Polled:
    """The engine behind an `Endpoint` whose answer to a submission is a task.

    The submission is sent once. A poll costs nothing: one that is lost or refused, or cannot be read, is
    repeated until `endpoint.timeout`, which bounds the whole call. Pictures are fetched as soon as the task
    is completed, since their links expire. Cancelling the call ends the polling. Raises what `Http` raises.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        pace: Pace | None = None,
        app: App | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.endpoint = endpoint
        self.pace = pace or Pace()
        self.sleep = sleep
        self.http = Http(endpoint, app=app, sleep=sleep)

    async def __call__(self, request: Request) -> Result:
        deadline = asyncio.get_running_loop().time() + self.endpoint.timeout
        name = _submitted(await self.http.post(request, deadline))
        try:
            return await self._completed(request, name, deadline)
        except EngineError as error:
            error.job = name
            raise

    async def _completed(self, request: Request, name: str, deadline: float) -> Result:
        reply, task = await self._ended(name, deadline)
        if task.error:
            raise task.error
        if task.state == "cancelled":
            raise APIStatusError(
                f"The service cancelled task {name}.",
                f"{NOT_BILLED} Run it again for another task.",
                status=409,
                code="cancelled",
            )
        if not task.items:
            raise InvalidResponseError(f"Task {name} is completed and holds no picture.", NOT_SENT_AGAIN)
        engine = self.http.engine_of(reply)
        return await self.http.result(request, task.items, deadline, engine=engine, created=task.created)

    async def _ended(self, name: str, deadline: float) -> tuple[Response, Task]:
        clock, refused, wait = asyncio.get_running_loop().time, None, 0.0
        # No limit on the number of polls: they cost nothing, and `deadline` ends them.
        for pause in self.pace.waits():
            try:
                async with asyncio.timeout_at(deadline):
                    await self.sleep(max(pause, wait))
            except TimeoutError:
                raise refused or self._late(name) from None
            patience = min(deadline, clock() + self.pace.patience)
            # The language is that of error messages.
            sent = await self.http.get(f"/tasks/{name}?language=en", patience)
            refused, wait = _refused(name, sent, refused), _asked_to_wait(sent)
            task = await asyncio.to_thread(_task, sent)
            if isinstance(sent, Response) and task and task.state != "pending":
                return sent, task
        raise AssertionError("the waits have no end")

    def _late(self, name: str) -> EngineError:
        return APITimeoutError(
            f"Task {name} was not ready within {self.endpoint.timeout:g} s.",
            f"The service may still finish it. {NOT_SENT_AGAIN}",
        )


def _submitted(reply: Response) -> str:
    if error := reply.error:
        with contextlib.suppress(EngineError):
            error.job = tasks.submitted(reply.content)
        raise error
    try:
        return tasks.submitted(reply.content)
    except InvalidResponseError as error:
        raise reply.broken or error from None


def _task(sent: Response | EngineError) -> Task | None:
    """Return the task as a poll's answer describes it; None where it does not."""
    if isinstance(sent, EngineError) or sent.status != 200:
        return None
    try:
        return tasks.read(sent.content)
    except InvalidResponseError:  # such as a gateway's HTML page
        return None


def _asked_to_wait(sent: Response | EngineError) -> float:
    error = None if isinstance(sent, EngineError) else sent.error
    return getattr(error, "retry_after", None) or 0.0


def _refused(name: str, sent: Response | EngineError, before: EngineError | None) -> EngineError | None:
    """Return the error of a task that cannot be asked after, if that is the service's last word."""
    if isinstance(sent, EngineError):
        return before
    error = sent.error
    if not error or error.status >= 500 or error.status in TRY_LATER:
        return None
    return OutcomeUnknownError(
        f"Task {name} cannot be asked after: {error.message}",
        NOT_SENT_AGAIN,
        status=502,
    )
