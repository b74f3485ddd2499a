"""One engine room for a process: what is asked at once is bought once, and kept though Python ends.

POSTs are counted by a server of raw sockets. What patches asyncio or ends runs in processes of its own.
"""

import asyncio
import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import Counter
from functools import partial

import httpx
import pytest
from conftest import KEY, drawing, drawn, service
from faulty import Faulty, after, b64, http, images, silence
from hypothesis import given, settings
from hypothesis.strategies import integers, lists, none, one_of, sets, tuples
from sampling import rounds
from stores import own_disk

from beluga_nb.config import keys
from beluga_nb.engines.limited import ConcurrencyLimit
from beluga_nb.engines.room import EngineRoom, engine_room
from beluga_nb.engines.single_flight import KeyedLocks, SingleFlight
from beluga_nb.errors import APIStatusError, BelugaError
from beluga_nb.request import Request
from beluga_nb.session.session import Session
from beluga_nb.store import pending
from beluga_nb.store.records import Store

PICTURE = drawn(Request(prompt="a fox", model="flux-2.0"), 0)

SETUP = """
import asyncio, os, sys, threading
from pathlib import Path
from beluga_nb.session.session import Session

FOLDER = Path(os.environ["FOLDER"])
CALLERS = 6

def session(**options):
    return Session(folder=FOLDER, notify=lambda _: None, **options)
"""


def environment(url, folder, **more):
    environ = {
        "BELUGA_API_KEY": KEY,
        "BELUGA_BASE_URL": url,
        "BELUGA_MODEL": "flux-2.0",
        "FOLDER": str(folder),
    }
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environ, **more}


def start(script, url, folder, before=(), **more):
    return subprocess.Popen(
        [*before, sys.executable, "-W", "error", "-c", SETUP + script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(url, folder, **more),
    )


def run(script, url, folder, before=(), **more):
    process = start(script, url, folder, before, **more)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def prompts(server):
    return Counter(json.loads(heard.body)["prompt"] for heard in server.asked("POST"))


def recorded(folder):
    return len(list((folder / "beluga_store").glob("records/**/*.json")))


def open_calls(folder):
    return pending.calls(Store(folder / "beluga_store"))


# --- what is asked at once

WAYS = """
import itertools, warnings

warnings.simplefilter("ignore", ResourceWarning)  # nest_asyncio's own asyncio.run() closes no loop

def thread(session, prompt):
    return session.generate(prompt, bridge="thread")

def nested(session, prompt):
    return session.generate(prompt, bridge="nested")

def job(session, prompt):
    return session.submit(prompt).result()

def awaited(session, prompt):
    return asyncio.run(session.agenerate(prompt))

def nested_and_awaited(session, prompt):
    return asyncio.run(session.agenerate(prompt, bridge="nested"))

def in_a_task(session, prompt):
    async def cell():
        return await asyncio.ensure_future(session.submit(prompt))
    return asyncio.run(cell())

def grid(session, prompt):
    return session.grid(prompt).run()

def nested_grid(session, prompt):
    session.preferences.set(bridge="nested")
    session.grid(prompt).run()

def panel(session, prompt):
    from beluga_nb.widgets.panel import panel as panel_of

    made = panel_of(session)
    made.state.model, made.state.prompt = "flux-2.0", prompt
    made.controller.generate().result()

WAYS = [thread, nested, job, awaited, nested_and_awaited, in_a_task, grid, nested_grid, panel]
"""

TOGETHER = """
SHARED = [True, False]  # one session, or one for each caller
DISTINCT = list(map(int, os.environ["DISTINCT"].split()))

def ways():
    yield from ([way] * CALLERS for way in WAYS)
    yield WAYS[:CALLERS]
    yield WAYS[-CALLERS:]

failures = []
for number, (together, shared, distinct) in enumerate(itertools.product(ways(), SHARED, DISTINCT)):
    one, barrier = session() if shared else None, threading.Barrier(CALLERS)
    def ask(way, prompt, own):
        barrier.wait(30)
        try:
            way(own, prompt)
        except BaseException as error:
            failures.append((way.__name__, repr(error)))
    threads = [
        threading.Thread(target=ask, args=(way, f"{number} {caller % distinct}", one or session()))
        for caller, way in enumerate(together)
    ]
    for thread_ in threads:
        thread_.start()
    for thread_ in threads:
        thread_.join(60)
    print(distinct, flush=True)
print(failures)
"""


def test_whoever_asks_at_once_by_whatever_way_each_request_is_bought_once(tmp_path):
    with Faulty(after(0.02, images(b64(PICTURE)))) as server:
        more = {"BELUGA_MAX_IMAGES": "1000", "DISTINCT": rounds("3", "1 3")}
        code, out, err = run(WAYS + TOGETHER, server.url, tmp_path, **more)
        *distinct, failures = out.splitlines()
        assert (failures, err, code) == ("[]", "", 0)
        assert len(distinct) == rounds(22, 44)
        assert set(prompts(server).values()) == {1}
        assert len(prompts(server)) == sum(map(int, distinct)) == recorded(tmp_path)


UNWRITABLE = """
import resource, subprocess

CALLERS = 3  # as in the test, which starts eleven of these
kind, options = os.environ["KIND"], {"mode": os.environ["MODE"]} if "MODE" in os.environ else {}
FOLDER = FOLDER / "disk"
session().generate("before")
place = FOLDER / "beluga_store"
if kind == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, -1))
elif kind == "read-only":
    subprocess.run(["mount", "-o", "remount,ro", str(FOLDER)], check=True)
elif kind != "writable":
    (place / kind).rename(place.with_name(kind))
    (place / kind).touch()

failures = []
for number, way in enumerate(WAYS):
    for shared in (True, False):
        one, barrier, results = session(**options) if shared else None, threading.Barrier(CALLERS), []
        def ask(own):
            barrier.wait(30)
            try:
                results.append(way(own, f"{number} {shared}"))
            except BaseException as error:
                failures.append((way.__name__, repr(error)))
        threads = [threading.Thread(target=ask, args=[one or session(**options)]) for _ in range(CALLERS)]
        for thread_ in threads:
            thread_.start()
        for thread_ in threads:
            thread_.join(60)
        pictures = {each.pictures[0].sha256 for each in results if hasattr(each, "pictures")}
        print(len(results), len(pictures), flush=True)
print(failures)
"""

KINDS = ["writable", "full", "read-only", "tmp", "pending", "records", "blobs"]


def asked_at_once(kind, folder, **more):
    """Let three callers ask for the same at once in each of nine ways; return how often each was bought."""
    (folder / "disk").mkdir()
    disk = own_disk(folder / "disk") if kind == "read-only" else ()
    if disk is None:
        pytest.skip("no disk may be mounted here")
    with Faulty(after(0.3, images(b64(PICTURE)))) as server:
        code, out, err = run(WAYS + UNWRITABLE, server.url, folder, before=disk, KIND=kind, **more)
        *asked, failures = out.splitlines()
        assert (failures, err, code) == ("[]", "", 0)
        assert len(asked) == 18
        assert set(asked) <= {"3 1", "3 0"}  # a grid and a panel give no result
        bought = prompts(server)
    assert bought.pop("before") == 1
    assert len(bought) == 18
    return set(bought.values())


@pytest.mark.sampled(2)
@pytest.mark.posix
@pytest.mark.parametrize("kind", KINDS)
def test_whoever_asks_at_once_buys_once_though_the_store_cannot_be_written(kind, tmp_path):
    assert asked_at_once(kind, tmp_path) == {1}


@pytest.mark.sampled(2)
@pytest.mark.posix
@pytest.mark.parametrize("mode", ["refresh", "off"])
@pytest.mark.parametrize("kind", ["writable", "full"])
def test_whoever_wants_a_picture_of_their_own_buys_it_though_others_ask_for_the_same(kind, mode, tmp_path):
    assert asked_at_once(kind, tmp_path, MODE=mode) == {3}


@pytest.mark.parametrize("mode", ["auto", "off"])
def test_the_next_request_is_sent_while_the_picture_of_an_answer_is_downloaded(mode, tmp_path):
    second = threading.Event()

    def answer(exchange):
        if server.count("POST") == 2:
            second.set()
        exchange.send(images({"url": f"{server.here}/a.png"}))

    def picture(exchange):
        assert second.wait(60)
        exchange.send(http(PICTURE))

    with Faulty(answer, picture) as server:
        environ = environment(server.url, tmp_path)
        calls = Session(environ=environ, folder=tmp_path, max_in_flight=1, mode=mode)
        jobs = [calls.submit(f"fox {number}") for number in range(2)]
        assert [job.result().pictures[0].data for job in jobs] == [PICTURE, PICTURE]


# --- Python ends

SUBMITTED = "calls = session()\nfor number in range(3):\n    calls.submit(f'fox {number}')\n"
QUEUED = "calls = session(max_in_flight=1)\nfor number in range(3):\n    calls.submit(f'fox {number}')\n"
DROPPED = "for number in range(3):\n    session().submit(f'fox {number}')\n"
GRID = "job = session(max_in_flight=1).grid('{{what}}', what=['fox', 'cat', 'owl']).submit()\n"
THREADS = """
def ask(number):
    session(bridge={bridge!r}).generate(f"fox {{number}}")
for number in range(3):
    threading.Thread(target=ask, args=(number,)).start()
"""
LATE = """
calls = session()
calls.generate("fox 0")
def ask(number):
    threading.main_thread().join()
    calls.generate(f"fox {number}", bridge=("thread", "nested")[number % 2])
for number in (1, 2):
    threading.Thread(target=ask, args=(number,)).start()
"""
LATE_JOBS = """
calls = session()
calls.generate("fox 0")
def ask():
    threading.main_thread().join()
    for number in (1, 2):
        calls.submit(f"fox {number}")
threading.Thread(target=ask).start()
"""
CHILD = """
import multiprocessing
def work():
    calls = session()
    for number in range(3):
        calls.submit(f"fox {number}")
child = multiprocessing.get_context("fork").Process(target=work)
child.start()
child.join()
"""
ENDINGS = {
    "submitted": SUBMITTED,
    "queued": QUEUED,
    "sessions dropped": DROPPED,
    "a grid": GRID,
    "threads that ask after the end": LATE,
    "jobs of a thread after the end": LATE_JOBS,
    "an error": SUBMITTED + "raise SystemExit(0)",
    "in a forked child": CHILD,
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("script", ENDINGS.values(), ids=ENDINGS)
def test_a_script_that_ends_first_keeps_what_it_has_asked_for(script, tmp_path):
    with Faulty(after(0.3, images(b64(PICTURE)))) as server:
        assert run(script, server.url, tmp_path) == (0, "", "")
        assert set(prompts(server).values()) == {1}
        assert (len(prompts(server)), recorded(tmp_path), open_calls(tmp_path)) == (3, 3, [])


@pytest.mark.parametrize("bridge", ["thread", "nested"])
def test_a_thread_whose_first_call_comes_as_the_script_ends_is_answered_or_hears_that_nothing_was_sent(
    bridge, tmp_path
):
    with Faulty(after(0.3, images(b64(PICTURE)))) as server:
        code, out, err = run(THREADS.format(bridge=bridge), server.url, tmp_path)
        asked = len(prompts(server))
    assert (code, out, asked, open_calls(tmp_path)) == (0, "", recorded(tmp_path), [])
    # Python 3.12 starts no thread once the main one has ended, if that is before the call; the others do.
    refused = err.count("RequestError: Python is ending")
    assert asked + refused == 3
    assert refused == 0 or sys.version_info[:2] == (3, 12)
    assert err.count("Nothing was sent. Wait for the other threads") == refused


@pytest.mark.posix
@pytest.mark.parametrize("presses", [1, 2, 3])
def test_ctrl_c_ends_a_script_that_waits_for_its_calls(presses, tmp_path):
    with Faulty(silence) as server:
        process = start("session().submit('a fox')\n", server.url, tmp_path)
        until = time.monotonic() + 30
        while not server.count("POST"):
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(0.5)
        for _ in range(presses):
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        process.communicate(timeout=20)
        assert server.count("POST") == 1
    [call] = open_calls(tmp_path)
    assert not call.on_its_way


def test_a_script_does_not_wait_longer_than_its_calls_may_take(tmp_path):
    with Faulty(silence) as server:
        began = time.monotonic()
        code, _, _ = run("session(timeout=3).submit('a fox')\n", server.url, tmp_path)
        assert (code, server.count("POST")) == (0, 1)
        assert time.monotonic() - began < 20


# --- connections


def session_at(url, folder, **options):
    environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": url, "BELUGA_MODEL": "flux-2.0"}
    return Session(environ=environ, folder=folder, notify=lambda _: None, **options)


def alive(kind):
    gc.collect()
    return sum(isinstance(each, kind) for each in gc.get_objects())


CHANGES = {
    "timeout": lambda session, number: session.preferences.set(timeout=100 + number),
    "connect_timeout": lambda session, number: session.preferences.set(connect_timeout=10 + number),
    "max_in_flight": lambda session, number: session.preferences.set(max_in_flight=1 + number),
    "mode": lambda session, number: session.preferences.set(mode=("auto", "refresh", "off")[number % 3]),
    "embed": lambda session, number: session.preferences.set(embed=("none", "link")[number % 2]),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("setting", CHANGES)
def test_a_setting_that_makes_no_connection_makes_no_client(setting, tmp_path):
    with service(drawing) as url:
        session = session_at(url, tmp_path)
        for number in range(3):
            CHANGES[setting](session, number)
            session.generate(f"first {number}")
        clients, contexts = alive(httpx.AsyncHTTPTransport), len(engine_room()._services)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(25):
            CHANGES[setting](session, number)
            session.generate(f"fox {number}")
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert (alive(httpx.AsyncHTTPTransport), len(engine_room()._services)) == (clients, contexts)
        assert grown < 4e6


def test_each_call_has_its_own_time_limit_on_one_connection(tmp_path):
    with Faulty(silence) as server:
        session = session_at(server.url, tmp_path)
        clients = set()
        for seconds in (0.3, 0.2, 0.4):
            session.preferences.set(timeout=seconds)
            with pytest.raises(BelugaError, match=f"No answer within {seconds:g} s"):
                session.generate(f"fox {seconds}")
            clients.add(alive(httpx.AsyncHTTPTransport))
        assert len(clients) == 1


def test_of_connections_that_change_only_the_last_few_are_kept(tmp_path):
    with service(drawing) as url:
        session = session_at(url, tmp_path, mode="off")
        counts = []
        for number in range(16):
            session.resources.keys.take(keys.Secret(f"bapi_{number:020}", "a test"))
            with contextlib.suppress(BelugaError):  # of another key than the server has
                session.generate("a fox")
            if number in (10, 15):
                counts.append(alive(httpx.AsyncHTTPTransport))
        assert counts[0] == counts[1]


# --- nothing is left behind


def open_files():
    return len(os.listdir("/proc/self/fd"))


def left(room):
    """What is under way in a room: tasks, locks, places, held time, and takes that are being made."""
    home = room.thread._home()

    async def tasks():
        return len(asyncio.all_tasks()) - 2  # this, and what waits for the loop's end

    count = room.thread.submit(tasks()).result()
    locks = sum(len(each) for each in room.flights._locks.values.values())
    queues = [queue for limit in room._limits.values() for queue in limit._queues.values.values()]
    places = sum(queue.on_their_way + len(queue.waiting) for queue in queues)
    return count, locks, places, len(home.holding._until), sum(map(len, room._takes.values()))


def eventually(claim, seconds=20):
    """Wait until a claim holds; connections close, and threads end, a moment after their call."""
    until = time.monotonic() + seconds
    while not claim():
        gc.collect()
        assert time.monotonic() < until
        time.sleep(0.05)


def eventually_nothing(room):
    eventually(lambda: left(room) == (0, 0, 0, 0, 0))


def generated(session, number):
    session.generate(f"fox {number}")


def cancelled(session, number):
    job = session.submit(f"fox {number}")
    time.sleep(0.002 * (number % 8))
    job.cancel()
    with contextlib.suppress(BaseException):
        job.result()


def cancelled_in_the_queue(session, number):
    jobs = [session.submit(f"fox {number}", mode=("auto", "refresh")[number % 2]) for _ in range(6)]
    time.sleep(0.002 * (number % 8))
    for job in jobs:
        job.cancel()
    for job in jobs:
        with contextlib.suppress(BaseException):
            job.result()


def awaited(session, number):
    asyncio.run(session.agenerate(f"fox {number}"))


def refreshed(session, number):
    session.generate("fox", mode="refresh")


def gridded(session, number):
    session.grid("{{what}}", what=[f"fox {number}", f"owl {number}"]).run()


def in_a_session_of_its_own(session, number):
    session_at(session.settings().base_url, session.preferences.folder).generate(f"fox {number}")


USES = [
    generated,
    cancelled,
    cancelled_in_the_queue,
    awaited,
    refreshed,
    gridded,
    in_a_session_of_its_own,
]


@pytest.mark.sampled(4)
@pytest.mark.posix
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors cannot be counted here")
@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_calls_leave_no_thread_task_descriptor_lock_or_place(use, tmp_path):
    with service(drawing) as url:
        session = session_at(url, tmp_path)
        room = session.resources.room
        for number in range(12):  # all threads of the pool are there
            use(session, number)
        eventually_nothing(room)
        before = open_files(), {thread.name for thread in threading.enumerate()}
        for number in range(12, 36):
            use(session, number)
        eventually_nothing(room)
        eventually(lambda: open_files() <= before[0])
        ours = {"beluga-io", *(f"beluga-work-{number}" for number in range(12))}
        eventually(lambda: {thread.name for thread in threading.enumerate()} <= before[1] | ours)


ENDS = """
import gc

first, second = session(), session()
first.generate("a fox"), second.generate("a fox")
shared, home = first.resources.room is second.resources.room, first.resources.room.thread._home().thread
first.close()
gc.collect()
stays = home.is_alive()
second.close()
del first, second
gc.collect()
home.join(20)
print(shared, stays, home.is_alive(), session().generate("a hen").recipe.request.prompt)
"""


def test_the_room_ends_with_its_last_session_and_the_next_makes_another(tmp_path):
    with service(drawing) as url:  # in a process where no other test has sessions
        assert run(ENDS, url, tmp_path) == (0, "True True False a hen\n", "")


# --- stopped anywhere


class Cut:
    """A coroutine that is stopped at its n-th wait."""

    def __init__(self, coroutine, number):
        self.coroutine = coroutine
        self.number = number
        self.reached = False

    def __await__(self):
        waits, number = self.coroutine.__await__(), 0
        step = partial(waits.send, None)
        while True:
            try:
                waited = step()
            except StopIteration as stop:
                return stop.value
            if number == self.number:
                self.reached = asyncio.current_task().cancel()
            number += 1
            try:
                yield waited
            except BaseException as error:
                step = partial(waits.throw, error)
            else:
                step = partial(waits.send, None)


async def awaiting(cut):
    return await cut


@pytest.mark.sampled(6)
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("mode", ["auto", "refresh", "off"])
@pytest.mark.parametrize("budget", ["session", "store"])
def test_a_call_that_is_stopped_at_any_wait_leaves_all_books_true(budget, mode, n, tmp_path):
    spent = {}
    with Faulty(images(*[b64(PICTURE)] * n)) as server:
        for number in range(200):
            folder = tmp_path / str(number)
            session = session_at(server.url, folder, mode=mode, max_images=50, budget=budget)
            now, store = session.settings(), Store(folder / "beluga_store")
            request = Request(prompt=f"fox {number}", model="flux-2.0", n=n)
            cut = Cut(session.resources.engine(session.resources.call(request, now))(request), number)
            with contextlib.suppress(asyncio.CancelledError, BelugaError):
                session.resources.room.thread.submit(awaiting(cut)).result()
            eventually_nothing(session.resources.room)
            spent[request.prompt] = images_spent = session.resources.budget_of(now).images
            kept, lost = recorded(folder), len(pending.calls(store))
            assert kept in {0, n}
            if mode != "off":
                assert (images_spent, lost) in {(0, 0), (n, not kept)}, f"stopped at {number}"
            if not cut.reached:
                break
    assert not cut.reached
    assert number > 8
    for prompt, posts in prompts(server).items():
        assert (posts, spent[prompt]) == (1, n), "what was sent is counted, and sent once"


# --- limits and locks


@pytest.mark.parametrize("limits", [[1], [3], [1, 2, 3]], ids=str)
@pytest.mark.parametrize("seed", range(6))
def test_a_limit_holds_when_calls_are_stopped_and_admits_them_in_order(seed, limits):
    import random

    chance, limit = random.Random(seed), ConcurrencyLimit()
    inside, most_inside, entered = [], 0, []

    async def caller(number, most):
        nonlocal most_inside
        async with limit.place(lambda: most):
            entered.append(number)
            assert len(inside) < max(limits)
            inside.append(number)
            most_inside = max(most_inside, len(inside))
            try:
                await asyncio.sleep(chance.random() * 0.003)
            finally:
                inside.remove(number)

    async def together():
        tasks = []
        for number in range(60):
            tasks.append(asyncio.ensure_future(caller(number, chance.choice(limits))))
            if chance.random() < 0.3:
                await asyncio.sleep(0.001)
            if chance.random() < 0.4:
                chance.choice(tasks).cancel()
        await asyncio.wait(tasks)
        [queue] = limit._queues.values.values()
        assert (queue.on_their_way, list(queue.waiting)) == (0, [])
        for each in tasks:
            assert each.cancelled() or each.exception() is None

    asyncio.run(together())
    assert limits != [1] or entered == sorted(entered)
    assert 1 <= most_inside <= max(limits)


WANTED = tuples(integers(0, 2), integers(1, 4), one_of(none(), integers(0, 8)))


@given(wanted=lists(WANTED, min_size=1, max_size=6), failing=sets(integers(1, 8), max_size=3))
@settings(max_examples=rounds(40, 150), deadline=None)
def test_of_what_is_asked_for_at_once_each_picture_comes_once_and_an_error_or_a_stop_is_ones_own(
    wanted, failing
):
    """Each caller wants `n` pictures from a sample on, and may be stopped after so many milliseconds."""
    bought, calls, failed = Counter(), 0, set()

    async def engine(request):
        nonlocal calls
        calls += 1
        if fails := calls in failing:
            failed.add(asyncio.current_task())
        await asyncio.sleep(0.002)
        if fails:
            raise APIStatusError("No.", status=400)
        result = await drawing(request)
        bought.update(request.samples)
        return result

    async def together():
        single, loop = SingleFlight(engine, KeyedLocks(), "store"), asyncio.get_running_loop()
        requests = [Request(prompt="a fox", model="flux-2.0", sample=sample, n=n) for sample, n, _ in wanted]
        tasks = [asyncio.ensure_future(single(request)) for request in requests]
        for task, (_, _, stop) in zip(tasks, wanted, strict=True):
            if stop is not None:
                loop.call_later(stop / 1000, task.cancel)
        await asyncio.wait(tasks)
        for task, request, (_, _, stop) in zip(tasks, requests, wanted, strict=True):
            if task.cancelled():
                assert stop is not None
            elif task.exception():
                assert task in failed
            else:
                assert task.result() == await drawing(request)
        assert set(bought.values()) <= {1}
        failing.clear()
        bought.clear()
        assert await single(requests[0]) == await drawing(requests[0])
        assert bought == Counter(requests[0].samples), "nobody asks any more, so it is asked anew"

    asyncio.run(together())


def test_a_lock_is_there_while_it_is_wanted():
    locks = KeyedLocks()

    async def wanted():
        async with locks.lock("a"), locks.lock("b"):
            assert len(next(iter(locks._locks.values.values()))) == 2
        gc.collect()
        return len(next(iter(locks._locks.values.values())))

    assert asyncio.run(wanted()) == 0


def test_a_process_has_one_room_however_many_threads_enter_at_once():
    for _ in range(20):
        found, together = [], threading.Barrier(8)

        def enter(found=found, together=together):
            together.wait(20)
            found.append(engine_room())

        threads = [threading.Thread(target=enter) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len({id(room) for room in found}) == 1
        assert isinstance(found[0], EngineRoom)
