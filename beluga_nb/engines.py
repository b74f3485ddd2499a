"""Engines made of engines: they change when and how often the inner one is asked, never the answer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import (
    AsyncIterator,
    Callable,
    Container,
    Coroutine,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

from beluga_nb._locks import ProcessLock
from beluga_nb._loop import Thread
from beluga_nb.core import Engine, Incomplete, Picture, Request, Result, causes
from beluga_nb.errors import BadReply, BelugaError, EngineError, NotRecorded, NotSent

T = TypeVar("T")

MOST_SOURCES = 8
"""Connections that are kept ready; each has a TLS context of some 800 kB."""


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


class ConcurrencyLimit:
    """Lets calls through in the order they came, on each event loop; each says how many there may be."""

    def __init__(self) -> None:
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue] = WeakKeyDictionary()

    @asynccontextmanager
    async def place(self, most: int) -> AsyncIterator[None]:
        """Wait until fewer than `most` are on their way, and be one of them while the block runs."""
        queue = self._queues.setdefault(asyncio.get_running_loop(), _Queue())
        await queue.enter(most)
        try:
            yield
        finally:
            queue.leave()


class _Queue:
    def __init__(self) -> None:
        self.on_their_way = 0
        self.waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def enter(self, most: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        self.waiting.append((most, turn))
        self._let()
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():  # let through at the moment it was stopped
                self.on_their_way -= 1
            self._let()
            raise

    def leave(self) -> None:
        self.on_their_way -= 1
        self._let()

    def _let(self) -> None:
        while self.waiting and (self.waiting[0][1].done() or self.on_their_way < self.waiting[0][0]):
            _, turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self.on_their_way += 1


class Limited:
    """Ask the engine while fewer than `most` calls are on their way, those of others at this limit too."""

    def __init__(self, engine: Engine, limit: ConcurrencyLimit, most: int) -> None:
        self.engine = engine
        self.limit = limit
        self.most = most

    async def __call__(self, request: Request) -> Result:
        async with self.limit.place(self.most):
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


class Flight(asyncio.Lock):
    """A lock for those who ask for the same, and what has arrived for whoever waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self._callers = 0
        self._arrived: dict[int, Picture] = {}

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[dict[int, Picture]]:
        """Wait until nobody else asks; give what has arrived meanwhile, by sample, to be added to."""
        self._callers += 1
        try:
            async with self:
                yield self._arrived
        finally:
            self._callers -= 1
            if not self._callers:
                self._arrived.clear()


class KeyedLocks:
    """One lock for each key, on each event loop, while it is wanted."""

    def __init__(self) -> None:
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[Hashable, Flight]] = (
            WeakKeyDictionary()
        )

    def lock(self, key: Hashable) -> Flight:
        """Return the lock of a key."""
        locks = self._locks.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
        return locks.setdefault(key, Flight())


class SingleFlight:
    """Answer the same request once at a time: who has waited has what the others bought meanwhile.

    The same is what has the same `key` and differs at most in how many of its pictures are wanted. What was
    refused, failed or was stopped is asked for anew by whoever is next. Nothing of it depends on a store.
    """

    def __init__(self, engine: Engine, locks: KeyedLocks, *key: Hashable) -> None:
        self.engine = engine
        self.locks = locks
        self.key = key

    async def __call__(self, request: Request) -> Result:
        async with self.locks.lock((*self.key, request.part(0))).turn() as arrived:
            try:
                result = await completed(request, arrived, self.engine)
            except Incomplete as error:
                arrived.update(_by_sample(error.result))
                raise
            arrived.update(_by_sample(result))
            return result


def _by_sample(result: Result) -> dict[int, Picture]:
    # One that was recorded as another take answers nobody else.
    asked = ((picture.recipe.request, picture) for picture in result.pictures)
    return {each.sample: picture for each, picture in asked if each == result.request.part(each.sample)}


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


class EngineRoom:
    """What all sessions of a process share: the loop that engines run on, and who waits for whom there.

    There is one while anybody holds it (`engine_room()`). A forked child has the same object, and in it a
    loop of its own, with locks and connections that belong to that.
    """

    def __init__(self) -> None:
        self.thread = Thread()
        self.flights = KeyedLocks()
        self.taking = ProcessLock()
        self._takes: dict[Hashable, set[Request]] = {}
        self._limits: WeakValueDictionary[Hashable, ConcurrencyLimit] = WeakValueDictionary()
        self._sources: dict[Hashable, PerLoop] = {}
        self._changing = ProcessLock()
        self._sessions: WeakSet[object] = WeakSet()

    def enter(self, session: object) -> None:
        """Be there for a session until it leaves."""
        self._sessions.add(session)

    def leave(self, session: object) -> None:
        """Let a session go; with the last one the loop ends, though a traceback may hold this room still."""
        self._sessions.discard(session)
        if not self._sessions:
            self.thread.close()

    def takes(self, store: Hashable) -> set[Request]:
        """Return the first samples of the takes that are being made for a store; `taking` guards them."""
        return self._takes.setdefault(store, set())

    def limit(self, service: Hashable) -> ConcurrencyLimit:
        """Return the limit of all calls to a service."""
        return self._limits.setdefault(service, ConcurrencyLimit())

    def source(self, connection: Hashable, make: Callable[[], Engine]) -> Engine:
        """Return the engine of a connection: one for each value of `connection`.

        The last few are kept. One that is forgotten lives as long as a call on it.
        """
        with self._changing:
            source = self._sources.pop(connection, None) or PerLoop(make)
            self._sources[connection] = source
            for oldest in list(self._sources)[:-MOST_SOURCES]:
                del self._sources[oldest]
            return source


_ROOMS: WeakValueDictionary[str, EngineRoom] = WeakValueDictionary()  # at most one: it is the process's
_ENTERING = ProcessLock()


def engine_room() -> EngineRoom:
    """Return the process's engine room, or a new one if no session holds one."""
    with _ENTERING:
        room = _ROOMS.get("")
        if room is None:
            room = _ROOMS[""] = EngineRoom()
        return room


class Connected:
    """Ask the room's engine for a connection, which is made only when something is asked for."""

    def __init__(self, room: EngineRoom, connection: Hashable, make: Callable[[], Engine]) -> None:
        self.room = room
        self.connection = connection
        self.make = make

    async def __call__(self, request: Request) -> Result:
        return await self.room.source(self.connection, self.make)(request)


class InRoom:
    """Ask the engine on the room's loop, whatever loop the caller has; Python ends only after the answer."""

    def __init__(self, engine: Engine, room: EngineRoom, *, hold: float) -> None:
        self.engine = engine
        self.room = room
        self.hold = hold

    async def __call__(self, request: Request) -> Result:
        return await self.room.thread.run(self._asked(request), hold=self.hold)

    async def _asked(self, request: Request) -> Result:
        return await self.engine(request)


class Held:
    """Ask the engine, and do not let Python end before it answers, for at most `seconds` from now."""

    def __init__(self, engine: Engine, room: EngineRoom, seconds: float) -> None:
        self.engine = engine
        self.room = room
        self.seconds = seconds

    async def __call__(self, request: Request) -> Result:
        with self.room.thread.during(self.seconds):
            return await self.engine(request)


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


async def completed(request: Request, known: Mapping[int, Picture | BelugaError], engine: Engine) -> Result:
    """Return the result of what is known of a request, by sample, and of asking the engine for the rest."""
    outcomes: list[Result | BelugaError] = []
    for sample, n in runs(request.samples, known):
        part = request.part(sample, n)
        found = known.get(sample)
        if isinstance(found, Picture):
            outcomes.append(Result(part, (found,)))
        else:
            outcomes.append(found or await outcome(engine, part))
    return joined(request, outcomes)


def runs(samples: Sequence[int], known: Container[int]) -> Iterator[tuple[int, int]]:
    """Yield (first, count): each known sample by itself, and the unknown ones in runs."""
    start = None
    for sample in samples:
        if sample in known:
            if start is not None:
                yield start, sample - start
            yield sample, 1
            start = None
        elif start is None:
            start = sample
    if start is not None:
        yield start, samples[-1] + 1 - start


def joined(request: Request, outcomes: Sequence[Result | BelugaError]) -> Result:
    """Join the outcomes of the parts of `request`, in order.

    Raises the first error as it is where nothing arrived, and `Incomplete` where something did.
    """
    arrived = [each.result if isinstance(each, Incomplete) else each for each in outcomes]
    results = [each for each in arrived if isinstance(each, Result)]
    errors = [each for each in outcomes if isinstance(each, BelugaError)]
    missing = _together([cause for error in errors for cause in causes(error)])
    if not results:
        first, *others = missing
        if isinstance(first, EngineError):
            first.others = tuple(each for each in others if isinstance(each, BadReply))
        raise first
    result = Result(request, tuple(picture for each in results for picture in each.pictures))
    if missing:
        incomplete = Incomplete(result, missing)
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
