"""Engines made of engines: they change when and how often the inner one is asked, never the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from beluga_nb.core import Engine, Incomplete, Request, Result
from beluga_nb.errors import BelugaError, EngineError, NotRecorded, NotSent

T = TypeVar("T")


class Spread:
    """Ask for the parts of a request side by side, and join the answers in order.

    `split` says what the parts are (`catalog.split`: no more pictures each than the model allows).
    What arrived survives a part that fails: the error is `core.Incomplete` then.
    """

    def __init__(self, engine: Engine, split: Callable[[Request], Sequence[Request]]) -> None:
        self.engine = engine
        self.split = split

    async def __call__(self, request: Request) -> Result:
        parts = self.split(request)
        if len(parts) == 1:
            return await self.engine(request)
        return joined(request, await side_by_side(outcome(self.engine, part) for part in parts))


class Gate:
    """Lets at most `most` through at a time, on each event loop."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.free: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    def here(self) -> asyncio.Semaphore:
        """Return the semaphore of the running loop."""
        return self.free.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(self.most))


class Limited:
    """Ask the engine through a gate, which several engines may share."""

    def __init__(self, engine: Engine, gate: Gate) -> None:
        self.engine = engine
        self.gate = gate

    async def __call__(self, request: Request) -> Result:
        async with self.gate.here():
            return await self.engine(request)


class UntilStopped:
    """Ask the engine until an error says that all others would end alike; then nobody is asked any more.

    What is on its way then comes to its own end. `cause` is that error, once there is one.
    """

    def __init__(self, engine: Engine, stops: Callable[[BelugaError], bool]) -> None:
        self.engine = engine
        self.stops = stops
        self.cause: BelugaError | None = None

    async def __call__(self, request: Request) -> Result:
        if self.cause:
            raise NotSent(self.cause)
        try:
            return await self.engine(request)
        except BelugaError as error:
            if self.cause is None and self.stops(error):
                self.cause = error
            raise


@dataclass
class Tally:
    """How many pictures an engine was asked for, and how many of them have arrived."""

    asked: int = 0
    arrived: int = 0


TALLY: ContextVar[Tally | None] = ContextVar("TALLY", default=None)
"""The tally of the call that is under way, if someone wants to know how far it is."""


class Counted:
    """Ask the engine, and count in `TALLY` what it is asked for and what arrives."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def __call__(self, request: Request) -> Result:
        tally = TALLY.get() or Tally()
        tally.asked += request.n
        try:
            result = await self.engine(request)
        except Incomplete as error:
            tally.arrived += len(error.result)
            raise
        tally.arrived += len(result)
        return result


class Queue:
    """Who asks for the same pictures, on each event loop: one lock for each request, while it is wanted."""

    def __init__(self) -> None:
        self.locks: WeakKeyDictionary[
            asyncio.AbstractEventLoop, WeakValueDictionary[Request, asyncio.Lock]
        ] = WeakKeyDictionary()

    def lock(self, request: Request) -> asyncio.Lock:
        """Return the lock of a request, however many of its pictures are wanted."""
        locks = self.locks.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
        return locks.setdefault(request.part(0), asyncio.Lock())


class InTurn:
    """Answer the same request once at a time, so that the second finds recorded what the first bought."""

    def __init__(self, engine: Engine, queue: Queue) -> None:
        self.engine = engine
        self.queue = queue

    async def __call__(self, request: Request) -> Result:
        async with self.queue.lock(request):
            return await self.engine(request)


class PerLoop:
    """Make the engine when it is first asked, one for each event loop.

    What holds connections or locks belongs to the loop it was made in; and who is never asked is
    never made, so that a notebook that replays imports no HTTP client.
    """

    def __init__(self, make: Callable[[], Engine]) -> None:
        self.make = make
        self.engines: WeakKeyDictionary[asyncio.AbstractEventLoop, Engine] = WeakKeyDictionary()

    async def __call__(self, request: Request) -> Result:
        loop = asyncio.get_running_loop()
        engine = self.engines.get(loop)
        if engine is None:
            engine = self.engines[loop] = self.make()
        return await engine(request)


async def side_by_side(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Return what they return, in order; if one fails or all are stopped, it shows when each has ended."""
    tasks = [asyncio.ensure_future(each) for each in coroutines]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            if not task.cancelling():  # once: the second time would cut its clean-up short
                task.cancel()
        await asyncio.wait(tasks)  # gather() would leave connections open behind it
        raise


async def outcome(engine: Engine, request: Request) -> Result | BelugaError:
    """Return what the engine answers, or the error it raises."""
    try:
        return await engine(request)
    except BelugaError as error:
        return error


def joined(request: Request, outcomes: Sequence[Result | BelugaError]) -> Result:
    """Join the outcomes of the parts of `request`, in order.

    Raises the first error as it is where nothing arrived, and `Incomplete` where something did.
    """
    arrived = [each.result if isinstance(each, Incomplete) else each for each in outcomes]
    results = [each for each in arrived if isinstance(each, Result)]
    errors = [each for each in outcomes if isinstance(each, BelugaError)]
    if not results:
        raise _together(errors)[0]
    causes = _together(
        [cause for error in errors for cause in (error.causes if isinstance(error, Incomplete) else [error])]
    )
    result = Result(request, tuple(picture for each in results for picture in each.pictures))
    if causes:
        incomplete = Incomplete(result, causes)
        incomplete.run = next((error.run for error in errors if isinstance(error, EngineError)), "")
        raise incomplete
    return result


def _together(errors: Sequence[BelugaError]) -> Sequence[BelugaError]:
    # Who replays wants to know at once all that is missing.
    missing = [error for error in errors if isinstance(error, NotRecorded)]
    if len(missing) < 2:
        return errors
    whole = NotRecorded(*(line for error in missing for line in error.missing))
    return [whole, *(error for error in errors if error not in missing)]
