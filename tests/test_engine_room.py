"""One engine room for a process: what is asked at once is bought once, and kept though Python ends.

POSTs are counted by a server of raw sockets. What patches asyncio or ends runs in processes of its own.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from conftest import KEY, drawn
from faulty import Faulty, after, b64, images, silence

from beluga_nb.core import Request
from beluga_nb.store import pending
from beluga_nb.store.records import Store

PICTURE = drawn(Request(prompt="a fox", model="flux-2.0"), 0)

SETUP = """
import asyncio, os, sys, threading
from pathlib import Path
from beluga_nb.session import Session

FOLDER = Path(os.environ["FOLDER"])
CALLERS = 6

def session(**said):
    return Session(folder=FOLDER, notify=lambda _: None, **said)
"""


def environment(url, folder, **more):
    said = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": url, "BELUGA_MODEL": "flux-2.0", "FOLDER": str(folder)}
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **said, **more}


def start(script, url, folder, **more):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SETUP + script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(url, folder, **more),
    )


def run(script, url, folder, **more):
    process = start(script, url, folder, **more)
    out, err = process.communicate(timeout=90)
    return process.returncode, out, err


def prompts(server):
    return Counter(json.loads(heard.body)["prompt"] for heard in server.asked("POST"))


def recorded(folder):
    return len(list((folder / "beluga_store").glob("records/**/*.json")))


def open_calls(folder):
    return pending.calls(Store(folder / "beluga_store"))


# --- what is asked at once

TOGETHER = """
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
    made = session.panel()
    made.state.model, made.state.prompt = "flux-2.0", prompt
    made.controller.generate().result()

WAYS = [thread, nested, job, awaited, nested_and_awaited, in_a_task, grid, nested_grid, panel]
SHARED = [True, False]  # one session, or one for each caller
DISTINCT = [1, 3]

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
        code, out, err = run(TOGETHER, server.url, tmp_path, BELUGA_MAX_IMAGES="1000")
        *distinct, failures = out.splitlines()
        assert (failures, err, code) == ("[]", "", 0)
        assert len(distinct) == 44
        assert set(prompts(server).values()) == {1}
        assert len(prompts(server)) == sum(map(int, distinct)) == recorded(tmp_path)


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
    "threads": THREADS.format(bridge="thread"),
    "nested threads": THREADS.format(bridge="nested"),
    "threads that ask after the end": LATE,
    "jobs of a thread after the end": LATE_JOBS,
    "an error": SUBMITTED + "raise SystemExit(0)",
    "in a forked child": CHILD,
}


@pytest.mark.parametrize("script", ENDINGS.values(), ids=ENDINGS)
def test_a_script_that_ends_first_keeps_what_it_has_asked_for(script, tmp_path):
    with Faulty(after(0.3, images(b64(PICTURE)))) as server:
        assert run(script, server.url, tmp_path) == (0, "", "")
        assert set(prompts(server).values()) == {1}
        assert (len(prompts(server)), recorded(tmp_path), open_calls(tmp_path)) == (3, 3, [])


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
        code, _, _ = run("session(timeout=1).submit('a fox')\n", server.url, tmp_path)
        assert (code, server.count("POST")) == (0, 1)
        assert time.monotonic() - began < 20
