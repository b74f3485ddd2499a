"""An engine whose function answers several requests in one call, such as a model that draws batches."""

from __future__ import annotations

import asyncio
import copy
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from beluga_nb.engines.asynchronous import check_async
from beluga_nb.engines.per_loop import PerLoop
from beluga_nb.errors import BelugaError, InvalidResponseError, RequestError
from beluga_nb.request import Request
from beluga_nb.result import Result

WAIT = 0.2
"""Seconds for which a batch that is not full waits for one more request."""


@dataclass(eq=False)
class _Waiting:
    request: Request
    answer: asyncio.Future[Result]

    @property
    def kind(self) -> tuple[object, ...]:
        """What the requests of a batch have in common: all but the prompt, the take and the sample."""
        parameters = {**self.request.parameters, "prompt": ""}
        return self.request.operation, self.request.n, *sorted(parameters.items())


@dataclass
class _Queue:
    waiting: list[_Waiting] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def like_first(self, most: int) -> list[_Waiting]:
        """Return the requests of the oldest one's kind, at most so many."""
        self.waiting = [each for each in self.waiting if not each.answer.done()]  # Some were stopped.
        return [each for each in self.waiting if each.kind == self.waiting[0].kind][:most]


class BatchEngine:
    """An engine that lets `function` answer up to `size` requests at once.

    The function is async, gets a list of requests that differ only in their prompts, takes and samples, and
    returns a `Result`, or a `BelugaError`, for each, in their order. One call of it is under way at a time. A
    batch that is not full waits `wait` seconds for another request.

    >>> async def draw(requests):
    ...     images = model([each.prompt for each in requests])
    ...     return [Result.of(each, [image]) for each, image in zip(requests, images)]
    >>> BatchEngine(draw, size=8).size
    8
    """

    def __init__(
        self,
        function: Callable[[Sequence[Request]], Awaitable[Sequence[Result | BelugaError]]],
        *,
        size: int,
        wait: float = WAIT,
    ) -> None:
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise RequestError(f"The size of a batch is {size!r}.", "Give a whole number from 1 on.")
        if isinstance(wait, bool) or not isinstance(wait, int | float) or not 0 <= wait < math.inf:
            raise RequestError(f"The wait for a batch is {wait!r}.", "Give seconds, from 0 on.")
        check_async(function, "function", "requests")
        self.function = function
        self.size = size
        self.wait = wait
        # Recordings have the name of the engine.
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self._queues = PerLoop(_Queue)

    async def __call__(self, request: Request) -> Result:
        queue = self._queues.get()
        waiting = _Waiting(request, asyncio.get_running_loop().create_future())
        queue.waiting.append(waiting)
        queue.arrived.set()
        if queue.task is None:
            queue.task = asyncio.create_task(self._serve(queue))
        return await waiting.answer

    async def _serve(self, queue: _Queue) -> None:
        try:
            while batch := await self._gathered(queue):
                queue.waiting = [each for each in queue.waiting if each not in batch]
                await self._answered(batch)
        finally:
            queue.task = None

    async def _gathered(self, queue: _Queue) -> list[_Waiting]:
        """Return a batch that is full, or that no request has joined for a while."""
        batch = queue.like_first(self.size)
        while 0 < len(batch) < self.size:
            queue.arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self.wait):
                    while len(queue.like_first(self.size)) <= len(batch):
                        await queue.arrived.wait()
                        queue.arrived.clear()
            before, batch = batch, queue.like_first(self.size)
            if len(batch) <= len(before):
                break
        return batch

    async def _answered(self, batch: Sequence[_Waiting]) -> None:
        call = asyncio.ensure_future(self._outcomes([each.request for each in batch]))
        for each in batch:
            each.answer.add_done_callback(partial(_cancel_unwanted, call, batch))
        await asyncio.wait({call})
        outcomes = [] if call.cancelled() else call.result()
        for each, outcome in zip(batch, outcomes, strict=False):
            if each.answer.done():
                continue
            # A future refuses StopIteration. As a result, it is an answer of the wrong type.
            if isinstance(outcome, BaseException) and not isinstance(outcome, StopIteration):
                each.answer.set_exception(_copied(outcome))
            else:
                each.answer.set_result(outcome)
        for each in batch:  # Only those without an outcome: the call was cancelled.
            each.answer.cancel()

    async def _outcomes(self, requests: Sequence[Request]) -> Sequence[Any]:
        """Return a result or an error for each request; an error of the function is that of each of them."""
        try:
            outcomes = list(await self.function(requests))
            if len(outcomes) != len(requests):
                count = f"{len(outcomes)} answers to {len(requests)} requests"
                raise InvalidResponseError(
                    f"The function {self.__name__} returned {count}.",
                    "Let it return a Result, or a BelugaError, for each request, in their order.",
                )
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # of the user's function; Ctrl-C reaches the main thread only
            return [error for _ in requests]
        return outcomes


def _cancel_unwanted(call: asyncio.Future[Any], batch: Sequence[_Waiting], _: object) -> None:
    if all(each.answer.cancelled() for each in batch):
        call.cancel()


def _copied(error: BaseException) -> BaseException:
    """Return an error of its own for each request: what follows adds the id of the call to it."""
    return copy.copy(error) if isinstance(error, BelugaError) else error
