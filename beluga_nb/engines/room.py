"""The engine room: what all sessions of a process share."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar, cast
from weakref import WeakSet, WeakValueDictionary

from beluga_nb.engines.limited import ConcurrencyLimit
from beluga_nb.engines.per_loop import PerLoop
from beluga_nb.engines.single_flight import KeyedLocks
from beluga_nb.process.locks import ProcessLock
from beluga_nb.request import Request
from beluga_nb.runtime import Thread

T = TypeVar("T")

MOST_SERVICES = 8
"""Services whose state is kept; that of the embedded one holds its last pictures."""


class EngineRoom:
    """What all sessions of a process share: the loop that engines run on, and the limits and locks there.

    There is one while a session holds it (`engine_room()`). A forked child has the same object, and in it a
    loop of its own, with locks and connections that belong to that.
    """

    def __init__(self) -> None:
        self.thread = Thread()
        self.flights = KeyedLocks()
        self.taking = ProcessLock()
        self.under_way: set[str] = set()  # the ids of recorded calls without an end
        self._checks = ConcurrencyLimit()
        self._takes: dict[Hashable, set[Request]] = {}
        self._limits: WeakValueDictionary[Hashable, ConcurrencyLimit] = WeakValueDictionary()
        self._services: dict[Hashable, PerLoop[object]] = {}
        self._changing = ProcessLock()
        self._sessions: WeakSet[object] = WeakSet()

    def enter(self, session: object) -> None:
        """Register a session."""
        self._sessions.add(session)

    def leave(self, session: object) -> None:
        """Unregister a session. The last one ends the loop, even if a traceback still holds this room."""
        self._sessions.discard(session)
        if not self._sessions:
            self.thread.close()

    def takes(self, store: Hashable) -> set[Request]:
        """Return the first samples of the takes that are being made for a store; `taking` guards them."""
        return self._takes.setdefault(store, set())

    def limit(self, service: Hashable) -> ConcurrencyLimit:
        """Return the limit of all calls to a service."""
        return self._limits.setdefault(service, ConcurrencyLimit())

    def checking(self) -> AbstractAsyncContextManager[object]:
        """Wait for a turn to check a picture in a block: more at once than cores delay the event loop."""
        return self._checks.place(lambda: (os.cpu_count() or 1) + 1)

    def service(self, name: Hashable, make: Callable[[], T]) -> T:
        """Return what all calls to a service share on the running loop; `make` makes it, for each loop anew.

        The last few are kept.
        """
        with self._changing:
            service = self._services.pop(name, None) or PerLoop(make)
            self._services[name] = service
            # Else each new key or address would leave its state behind for good.
            for oldest in list(self._services)[:-MOST_SERVICES]:
                del self._services[oldest]
        return cast(PerLoop[T], service).get()


_ROOMS: WeakValueDictionary[str, EngineRoom] = WeakValueDictionary()  # at most one: it is the process's

_ENTERING = ProcessLock()


def engine_room() -> EngineRoom:
    """Return the process's engine room, or a new one if no session holds one."""
    with _ENTERING:
        room = _ROOMS.get("")
        if room is None:
            room = _ROOMS[""] = EngineRoom()
        return room
