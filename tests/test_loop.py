"""The event loop that all calls share does not wait for disks, locks or clocks: threads do that."""

import os
import subprocess
import sys

import pytest

WATCHED = """
import asyncio, contextlib, os, sys, threading, time
from functools import wraps
from pathlib import Path

FOLDER, BUDGET = Path(sys.argv[1]), sys.argv[2]
FAMILIES = {"open", "os", "shutil", "glob", "tempfile", "subprocess", "fcntl", "time", "pathlib"}
NAMES = {"socket.getaddrinfo", "socket.gethostbyname"}
found, watching = {}, threading.Event()

def note(event):
    if not watching.is_set() or threading.current_thread().name != "beluga-io":
        return
    frame, calls = sys._getframe(2), []
    while frame := frame.f_back:
        calls.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
    # A module that is needed for the first time is read once, and is in memory from there on.
    if any("importlib" in file for file, _, _ in calls):
        return
    ours = [call for call in calls if "beluga_nb" in call[0]] or calls
    place = " < ".join(f"{Path(file).name}:{line} {name}" for file, line, name in ours[:3])
    found.setdefault(f"{event}: {place}", None)

def hook(event, arguments):
    if event in NAMES or event.partition(".")[0] in FAMILIES:
        note(event)

sys.addaudithook(hook)

def noting(name):
    real = getattr(os, name)
    @wraps(real)
    def noted(*args, **kwargs):
        note(f"os.{name}")
        return real(*args, **kwargs)
    setattr(os, name, noted)

for name in ("stat", "lstat", "fstat", "readlink", "fsync", "access", "write", "read", "close"):
    noting(name)  # Python audits none of these.

from conftest import KEY, drawing, drawn
from faulty import Faulty, after, b64, error, http, images, silence
from beluga_nb.api import download
from beluga_nb.errors import BelugaError
from beluga_nb.request import Request
from beluga_nb.session.session import Session
from beluga_nb.store.claims import Claim
from beluga_nb.store.format import key

download.PAUSE = 0.01  # what fails is fetched again at once
PICTURE = drawn(Request(prompt="a fox", model="flux-2.0"), 0)
folders = iter(range(10**6))

def session(url, **options):
    environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": url, "BELUGA_MODEL": "flux-2.0"}
    options = {"folder": FOLDER / str(next(folders)), "max_images": 500, "budget": BUDGET} | options
    options["folder"].mkdir(exist_ok=True)
    return Session(environ=environ, notify=lambda _: None, **options)

def tried(call, *args, **kwargs):
    with contextlib.suppress(BelugaError, asyncio.CancelledError):
        return call(*args, assume_yes=True, **kwargs)

def fresh_and_recorded(server, n):
    for mode in ("auto", "refresh", "off", "replay"):
        calls = session(server.url)
        for _ in range(2):
            tried(calls.generate, "a fox", n=n, mode=mode)

def refused(server, n):
    for answer in (error(400, "No."), error(402, "No."), error(500, "No."), http(b"{", length=99)):
        server.plays(answer)
        calls = session(server.url)
        for _ in range(2):
            tried(calls.generate, "a fox", n=n)

def lost_before(server, n):
    server.plays(http(b'{"created": 1, "data": [%s]}' % b", ".join(n * [b'{"url": "{here}/a.png"}'])))
    calls = session(server.url)
    server.plays(get=error(503))
    tried(calls.generate, "a fox", n=n)
    server.plays(get=http(PICTURE, content_type="image/png"))
    tried(calls.generate, "a fox", n=n)
    server.plays(images(*n * [b64(b"no picture")]))
    for _ in range(2):
        tried(calls.generate, "a cat", n=n)

def claimed_by_another_kernel(server, n):
    calls = session(server.url)
    request = Request(prompt="a fox", model="flux-2.0", n=n)
    call = calls.resources.call(request, calls.settings())
    name = f"{key(request.slice(0), provider=call.provider)}.claim"
    claim = Claim.take(call.store.folder / "pending" / name, call.store.folder)
    threading.Timer(0.4, claim.release).start()
    tried(calls.generate, "a fox", n=n)

def over_the_cap(server, n):
    calls = session(server.url, max_images=n)
    jobs = []
    for each in range(3):
        with contextlib.suppress(BelugaError):  # the first may be done already
            jobs.append(calls.submit(f"fox {each}", n=n))
    for job in jobs:
        with contextlib.suppress(BelugaError):
            job.result()

def grid(server, n):
    calls = session(server.url)
    for _ in range(2):
        tried(calls.grid("a {{animal}}", animal=["fox", "cat", "owl"], n=n).run)

def stopped(server, n):
    for mode in ("auto", "refresh", "off"):
        for step in (silence, after(0.2, images(*n * [b64(PICTURE)]))):
            server.plays(step)
            posts = server.count("POST")
            calls = session(server.url)
            job = calls.submit("a fox", n=n, mode=mode)
            while server.count("POST") == posts:
                time.sleep(0.01)
            job.cancel()
            with contextlib.suppress(asyncio.CancelledError, BelugaError):
                job.result()

def stopped_anywhere(server, n):
    for number in range(12):
        calls = session(server.url)
        job = calls.submit("a fox", n=n)
        time.sleep(number / 500)
        job.cancel()
        with contextlib.suppress(asyncio.CancelledError, BelugaError):
            job.result()

def own_engine(server, n):
    calls = session(server.url, engine=drawing)
    for mode in ("auto", "auto", "refresh", "off", "replay"):
        tried(calls.generate, "a fox", n=n, mode=mode)

def painted(server, n):
    calls = Session(environ={}, folder=FOLDER / str(next(folders)), notify=lambda _: None)
    for mode in ("auto", "auto", "refresh", "off", "replay"):
        tried(calls.generate, "a fox", n=min(n, 2), mode=mode)

def nested(server, n):
    tried(session(server.url, bridge="nested").generate, "a fox", n=n)

SCENES = [fresh_and_recorded, refused, lost_before, claimed_by_another_kernel, over_the_cap, grid, stopped,
          stopped_anywhere, own_engine, painted, nested]

def play(server, n):
    for scene in SCENES:
        before = len(found)
        server.plays(images(*n * [b64(PICTURE)]), error(404))
        scene(server, n)
        for place in list(found)[before:]:
            print(f"{scene.__name__}, n={n}: {place}", flush=True)

with Faulty() as server:
    play(server, 1)  # Modules that are imported where they are needed are in memory from here on.
    watching.set()
    for n in (1, 6):
        play(server, n)
watching.clear()
"""


@pytest.mark.parametrize("budget", ["session", "store"])
def test_the_loop_that_calls_share_touches_no_disk_and_never_sleeps(budget, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WATCHED, str(tmp_path), budget],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stdout + ended.stderr
