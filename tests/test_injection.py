"""Every await of a call fails once, each in several ways: nothing is bought twice, lost or miscounted.

A call suspends some forty times: for threads, for the network, for its own tasks. The k-th of these raises
instead of going on, for k = 1, 2, 3 … until a call comes to its end. What was under way goes on, as it does
when a real fault strikes. A server on raw sockets counts what was sent.
"""

import asyncio
import collections.abc
import gc
import ssl
import time
from functools import partial

import pytest
from conftest import drawn
from faulty import Faulty, b64, http, images
from sampling import rounds

from beluga_nb.api.endpoint import Endpoint
from beluga_nb.api.http import Http, recovered
from beluga_nb.budget import Budget, Caps
from beluga_nb.config.keys import Secret
from beluga_nb.engines.budgeted import Budgeted
from beluga_nb.engines.claimed import Claimed
from beluga_nb.engines.recorded import Recorded
from beluga_nb.engines.recorder import Recorder
from beluga_nb.engines.recovering import Recovering
from beluga_nb.engines.replayed import Replayed
from beluga_nb.engines.retrying import Retrying
from beluga_nb.request import Request
from beluga_nb.show.preview import preview
from beluga_nb.store import pending
from beluga_nb.store.records import Store

FOX = Request(prompt="a fox", model="flux-2.0")
KEY = "bapi_SENTINEL-SENTINEL-1234"


class Struck(collections.abc.Generator):
    """A coroutine whose awaits are counted, over all tasks of a call; the k-th raises."""

    def __init__(self, coroutine, strike):
        self.coroutine, self.strike = coroutine, strike

    def send(self, value):
        return self._checked(self.coroutine.send(value))

    def throw(self, *raised):
        return self._checked(self.coroutine.throw(*raised))

    def _checked(self, waiting):
        if fault := self.strike():
            # A task may wait for a future once; a fault leaves it as it is.
            if getattr(waiting, "_asyncio_future_blocking", None):
                waiting._asyncio_future_blocking = False
            return self._checked(self.coroutine.throw(fault))
        return waiting

    def close(self):
        self.coroutine.close()

    def __await__(self):
        return self


async def awaited(struck):
    return await struck


class Strike:
    """Says when to raise: at the k-th suspension."""

    def __init__(self, at, fault):
        self.left, self.fault, self.struck = at, fault, False

    def __call__(self):
        self.left -= 1
        if self.left == 0:
            self.struck = True
            return self.fault()
        return None


class Room:
    """What one user has: a store, a budget, and what is around an engine."""

    def __init__(self, folder, url):
        self.store, self.budget, self.url, self.messages = Store(folder / "store"), Budget(), url, []

    def call(self, strike=None):
        """Ask once; return the result or what was raised."""

        async def asked():
            loop = asyncio.get_running_loop()
            if strike:
                loop.set_task_factory(
                    lambda loop, coro, **how: asyncio.Task(awaited(Struck(coro, strike)), loop=loop, **how)
                )
            task = loop.create_task(self.engine()(FOX))
            try:
                return await asyncio.gather(task, return_exceptions=True)
            finally:
                loop.set_task_factory(None)

        [result] = asyncio.run(asked())
        self.settle()
        return result

    def settle(self):
        """Wait for the threads that outlive a stopped call and write down what became of it."""
        until = time.monotonic() + 20
        while time.monotonic() < until and not (
            all(each.why for each in pending.calls(self.store))
            and not list(self.store.folder.glob("pending/*.claim"))
        ):
            time.sleep(0.01)

    def engine(self):
        endpoint = Endpoint(base_url=self.url, provider="wire", key=Secret(KEY, "code"), timeout=5)
        recorder = Recorder(self.store, provider="wire", preview=preview, notify=self.messages.append)
        recorded = Recorded(Retrying(Http(endpoint)), recorder, digest=endpoint.digest)
        budgeted = Budgeted(recorded, (self.budget, Caps(images=9)))
        replayed = Replayed(budgeted, self.store, provider="wire")
        recovering = Recovering(replayed, recorder, partial(recovered, endpoint))
        return Claimed(recovering, self.store, provider="wire", notify=self.messages.append)


def linked():
    return [images({"url": "{here}/a.png"})], [http(drawn(FOX, 0))]


def inside():
    return [images(b64(drawn(FOX, 0)))], [b""]


FAULTS = {
    "cancelled": asyncio.CancelledError,
    "no more threads": lambda: RuntimeError("cannot schedule new futures after shutdown"),
    "disk": lambda: OSError(28, "No space left on device"),
    "TLS": lambda: ssl.SSLError(1, "decryption failed"),
    "memory": MemoryError,
}


# A fault in the middle of closing a connection leaves it to the collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("answer", [inside, linked])
def test_a_fault_at_any_await_buys_nothing_twice_and_loses_nothing(answer, fault, tmp_path):
    for at in range(1, 400, rounds(3, 1)):
        post, get = answer()
        with Faulty(post, get) as server:
            room = Room(tmp_path / f"{at}", server.url)
            strike = Strike(at, FAULTS[fault])
            found = room.call(strike)
            posts = server.count("POST")
            lost, recorded = pending.calls(room.store), room.store.has(FOX, provider="wire")
            assert posts <= 1, at
            assert posts <= recorded + len(lost) <= 1, (at, found)
            assert all(each.why for each in lost), (at, found)
            assert room.budget.images == recorded + len(lost), (at, found)
            assert not list(room.store.folder.glob("pending/*.claim")), at
            arrived = [path for call in lost for path in pending.answers(room.store, call.run)]
            again = room.call()
            assert not isinstance(again, BaseException), (at, found, again)
            assert again.pictures[0].data == drawn(FOX, 0)
            assert pending.calls(room.store) == [], (at, found)
            keys = {each.headers["idempotency-key"] for each in server.asked("POST")}
            assert len(keys) == 1, (at, found)
            if recorded or any(path.suffix == ".answer" for path in arrived):
                assert server.count("POST") == 1, "what had arrived was not bought again"
            if not strike.struck:
                assert at > 12
                gc.collect()  # within this test, whatever was left
                return
    raise AssertionError("a call has fewer awaits than that")
