"""Without fork, pread and fcntl it works as well; and nowhere does a child outlive its parent."""

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from kernels import clean_environment

pytestmark = pytest.mark.posix  # it kills, and reads /proc to count what is left

TESTS = Path(__file__).parent
ELSEWHERE = TESTS / "elsewhere"
PATIENCE = 60
GRACE = 3  # seconds that a child gets once its parent has ended

HERE = {"here": [], "elsewhere": [str(ELSEWHERE)]}


def started(program, folder, system, mark=""):
    path = os.pathsep.join([*HERE[system], str(TESTS), *filter(None, sys.path)])
    environ = clean_environment(PYTHONPATH=path, ORPHANS_OF=mark)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    (folder / "program.py").write_text(program)
    return subprocess.Popen([sys.executable, "program.py"], cwd=folder, env=environ, **pipes)


def run(program, folder, system="elsewhere"):
    with started(program, folder, system) as running:
        out, err = running.communicate(timeout=PATIENCE)
    assert (running.returncode, err) == (0, ""), err
    return out


def left_of(mark):
    """The command lines of all processes that have a mark in their environment."""
    found = {}
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if f"ORPHANS_OF={mark}".encode() in (each / "environ").read_bytes():
                found[int(each.name)] = (each / "cmdline").read_bytes().replace(b"\0", b" ")[-100:]
        except OSError:
            continue
    return {pid: words for pid, words in found.items() if words}  # a zombie has none


MISSES = """
import os, select, sys
print([name for name in ("fork", "pread", "geteuid", "setsid") if hasattr(os, name)])
try:
    import fcntl
except ImportError:
    print("no fcntl")
try:
    select.select([os.pipe()[0]], [], [], 0)
except OSError:
    print("no pipes")
"""


def test_elsewhere_lacks_what_it_says(tmp_path):
    assert run(MISSES, tmp_path).splitlines() == ["[]", "no fcntl", "no pipes"]


WORKS = {
    "generate, and replay": """
import beluga_nb
whale = beluga_nb.generate("a whale", n=2)
assert beluga_nb.generate("a whale", n=2, mode="replay") == whale
print(len(whale))
""",
    "agenerate": """
import asyncio, beluga_nb
print(len(asyncio.run(beluga_nb.agenerate("a whale", n=2))))
""",
    "the served API": """
import beluga_nb, httpx
from beluga_nb.server.child import Server
server = Server.start()
assert httpx.get(server.url + "/health").json() == {"status": "ok"}
assert server.log == ""
body = {"model": "flux-2.0", "prompt": "a whale", "n": 2}
key = {"Authorization": f"Bearer {server.key}"}
answer = httpx.post(server.url + "/images/generations", json=body, headers=key, timeout=30)
server.stop()
assert not server.running
print(len(answer.json()["data"]))
""",
    "what a server complains about": """
import socket
from beluga_nb.errors import BelugaError
from beluga_nb.server.child import Server
with socket.create_server(("127.0.0.1", 0)) as taken:
    try:
        Server.start(port=taken.getsockname()[1])
    except BelugaError as error:
        print(2 if "cannot be used" in error.hint else error)
""",
    "a grid, measured in processes": """
import beluga_nb, multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dots import red
if __name__ == "__main__":
    grid = beluga_nb.grid("a {{animal}}", animal=["fox", "hare"]).run()
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        print(sum(row.value is not None for row in grid.score("red", red, executor=pool).rows))
""",
    "looking after the store": """
import beluga_nb, subprocess, sys
beluga_nb.generate("a whale", n=2)
done = subprocess.run([sys.executable, "-m", "beluga_nb", "verify"], capture_output=True, text=True)
print(2 if "(2 recordings): all well" in done.stdout else done)
""",
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("what", WORKS)
@pytest.mark.parametrize("system", HERE)
def test_it_works_elsewhere_as_here(tmp_path, what, system):
    assert run(WORKS[what], tmp_path, system) == "2\n"


STARTS = {
    "the served API": "from beluga_nb.server.child import Server\nkept = Server.start()",
    "two servers": "from beluga_nb.server.child import Server\nkept = [Server.start(), Server.start()]",
    "a generation": "import beluga_nb\nkept = beluga_nb.submit('a whale', n=4)",
    "spawned workers": "work('spawn')",
    "forked workers": "work('fork')",
    "workers of a fork server": "work('forkserver')",
}

PARENT = """
import multiprocessing, sys, time
from concurrent.futures import ProcessPoolExecutor
from beluga_nb.compare.executors import each
from dots import resting

def work(how):
    global pool
    pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(how))
    for _ in each(resting, [(0.3,)] * 4, executor=pool):
        pass
    for _ in range(2):
        pool.submit(time.sleep, 60)

if __name__ == "__main__":
    {start}
    print("ready", flush=True)
    match sys.stdin.readline().strip():
        case "sys.exit":
            sys.exit(3)
        case "an exception":
            raise RuntimeError("it went wrong")
"""

ENDS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "sys.exit": 3, "an exception": 1}
POOLS = {"spawned workers", "forked workers", "workers of a fork server"}
CASES = [
    (system, what, how)
    for system in HERE
    for what in STARTS
    for how in ENDS
    # Elsewhere nothing is forked. A pool waits for its work at an orderly end: that is its promise.
    if not (system == "elsewhere" and "fork" in what) and not (what in POOLS and not how.startswith("SIG"))
]


@pytest.mark.sampled(6)
@pytest.mark.parametrize(("system", "what", "how"), CASES)
def test_nothing_outlives_its_parent(tmp_path, system, what, how):
    mark = uuid.uuid4().hex
    program = PARENT.replace("{start}", STARTS[what].replace("\n", "\n    "))
    with started(program, tmp_path, system, mark) as parent:
        try:
            assert parent.stdout.readline() == "ready\n", parent.stderr.read()
            assert parent.pid in left_of(mark)
            if how.startswith("SIG"):
                parent.send_signal(ENDS[how])
            else:
                parent.stdin.write(f"{how}\n")
                parent.stdin.close()
            parent.wait(PATIENCE)
            assert parent.returncode in {ENDS[how], -ENDS[how]}
            until = time.monotonic() + GRACE
            while left_of(mark) and time.monotonic() < until:
                time.sleep(0.05)
            assert left_of(mark) == {}
        finally:
            for pid in left_of(mark):
                os.kill(pid, signal.SIGKILL)
