"""The served API as a child: R49 (start) and R50 (end), S40 and S41."""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from conftest import KEY, ask

from beluga_nb.api.endpoint import Endpoint
from beluga_nb.api.http import Http
from beluga_nb.config.keys import Secret
from beluga_nb.errors import BelugaError
from beluga_nb.request import Request
from beluga_nb.server.child import COMMAND, Server
from beluga_nb.server.previews import previews

PATIENCE = 30  # seconds that a test waits for a process before it gives up


@pytest.fixture
def server():
    running = Server.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def shared():
    running = Server.start()
    yield running
    running.stop()


def healthy(server):
    return httpx.get(f"{server.url}/health").json() == {"status": "ok"}


def alive(pid):
    """Whether a process runs; one that has ended and that nobody has asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def seconds_until_gone(pid, most=PATIENCE):
    began = time.monotonic()
    while alive(pid) and time.monotonic() - began < most:
        time.sleep(0.02)
    return time.monotonic() - began


# --- R49: the start


def test_r49_a_server_listens_within_two_seconds():
    took = []
    for _ in range(3):
        began = time.monotonic()
        server = Server.start()
        try:
            assert healthy(server)
            took.append(time.monotonic() - began)
        finally:
            server.stop()
    assert min(took) < 2  # this machine may be busy with something else


def test_r49_two_at_once_have_ports_keys_and_processes_of_their_own(server, shared):
    assert healthy(server)
    assert healthy(shared)
    for name in ("url", "key", "pid", "port"):
        assert getattr(server, name) != getattr(shared, name)


def test_r49_a_port_of_ones_own_is_used():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server.start(port=port)
    try:
        assert (server.port, server.url) == (port, f"http://127.0.0.1:{port}/v1")
    finally:
        server.stop()


def test_r49_a_port_in_use_is_an_error_with_the_childs_own_words():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BelugaError) as caught:
            Server.start(port=port)
    assert caught.value.message == "The server did not start."
    assert f"port {port} cannot be used (Address already in use)" in caught.value.hint


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("raise SystemExit('no such thing')", "no such thing"),
        ("import nothing_like_it", "ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("raise SystemExit(3)", "It ended with status 3; it has 15 seconds to start."),
    ],
)
def test_r49_a_child_that_ends_at_once_is_an_error_with_its_own_words(program, expected):
    with pytest.raises(BelugaError, match="did not start") as caught:
        Server.start(command=[sys.executable, "-c", program])
    assert expected in caught.value.hint


def test_r49_a_child_that_never_listens_is_an_error_in_time():
    began = time.monotonic()
    with pytest.raises(BelugaError) as caught:
        Server.start(command=[sys.executable, "-c", "import time; time.sleep(60)"], patience=0.3)
    assert time.monotonic() - began < 10
    assert caught.value.hint == "It ended with status -9; it has 0.3 seconds to start."


def test_r49_a_missing_uvicorn_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "uvicorn.py").write_text("raise ImportError('not here')\n")
    monkeypatch.syspath_prepend(tmp_path)  # the child imports what this process would
    with pytest.raises(BelugaError) as caught:
        Server.start()
    assert caught.value.hint.endswith("uvicorn is missing: pip install 'beluga_nb[server]'")


def test_what_else_is_printed_at_the_start_is_passed_over():
    program = f"print('hello', flush=True); import sys; sys.argv[1:] = {list(COMMAND[4:])!r} + sys.argv[1:]\n"
    program += "from beluga_nb.__main__ import main; sys.exit(main(sys.argv[1:]))"
    server = Server.start(command=[sys.executable, "-c", program])
    try:
        assert healthy(server)
    finally:
        server.stop()


# --- S40, S41: where it listens, and its key


@pytest.mark.posix
def test_s40_it_listens_on_127_0_0_1_and_nowhere_else(shared):
    inodes = {os.readlink(each) for each in Path(f"/proc/{shared.pid}/fd").iterdir()}
    listening = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        path = Path(f"/proc/{shared.pid}/net/{table}")
        for line in path.read_text().splitlines()[1:] if path.exists() else []:
            fields = line.split()
            if f"socket:[{fields[9]}]" in inodes and fields[3] != "01":
                listening.append(fields[1])
    assert listening == [f"0100007F:{shared.port:04X}"]


@pytest.mark.posix
def test_s41_the_key_is_new_at_each_start_and_in_no_command_line_environment_repr_or_log(shared, monkeypatch):
    monkeypatch.setenv("BELUGA_API_KEY", KEY)
    monkeypatch.setenv("BELUGA_BASE_URL", "http://127.0.0.1:9/v1")
    server = Server.start()
    try:
        seen = Path(f"/proc/{server.pid}/cmdline").read_bytes()
        seen += Path(f"/proc/{server.pid}/environ").read_bytes()
        seen += f"{server!r} {server} {vars(server)} {server.log}".encode()
        assert server.key.startswith("bapi_")
        assert len(server.key) == 5 + 32  # 192 bits
        assert server.key not in {KEY, shared.key}
        assert server.key.encode() not in seen
        assert b"BELUGA_" not in seen
        assert KEY.encode() not in seen
    finally:
        server.stop()


# --- R50: the end


@pytest.mark.posix
def test_stop_ends_it_within_two_seconds_and_twice_is_once(server):
    began = time.monotonic()
    server.stop()
    server.stop()
    assert time.monotonic() - began < 2
    assert not alive(server.pid)
    assert not server.running
    assert repr(server) == f"<BelugAPI (procedural previews) on {server.url}, stopped>"


@pytest.mark.posix
def test_a_server_that_nobody_holds_has_ended():
    pid = Server.start().pid
    gc.collect()
    assert not alive(pid)


PARENT = """
import os, sys, threading
from beluga_nb.server.child import Server
server = Server.start()
print(server.pid, server.url, server.key, flush=True)
sys.stdin.readline()
"""


@pytest.mark.posix
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "painting"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, None], ids=["SIGKILL", "SIGTERM", "its end"])
def test_r50_it_ends_within_two_seconds_of_its_parent(how, busy):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", PARENT], **pipes) as parent:
        pid, url, key = parent.stdout.readline().split()
        assert alive(pid)
        if busy:
            caller = posted(url, key)
        began = time.monotonic()
        if how is None:
            parent.stdin.close()
        else:
            parent.send_signal(how)
        parent.wait(PATIENCE)
        seconds_until_gone(pid)
        assert time.monotonic() - began < 2 + 0.5 * (how is None)  # where it ends first, then its parent
        if busy:
            caller.close()


def posted(url, key):
    """A connection with the longest request there is under way."""
    port = httpx.URL(url).port
    parameters = {"model": "flux-2.0", "n": 4, "size": "2:1", "prompt": "a whale, " * 100, "quality": "hd"}
    body = json.dumps(parameters)
    caller = socket.create_connection(("127.0.0.1", port), PATIENCE)
    caller.sendall(
        f"POST /v1/images/generations HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
    )
    assert httpx.get(f"{url}/health").status_code == 200
    return caller


FORKED = """
import os, sys, time
from beluga_nb.server.child import Server
server = Server.start()
fork = os.fork()
if fork == 0:
    time.sleep(60)
    os._exit(0)
print(server.pid, fork, flush=True)
sys.stdin.readline()
"""


@pytest.mark.posix
def test_r50_a_fork_that_holds_the_pipe_does_not_keep_it_alive():
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", FORKED], **pipes) as parent:
        pid, fork = map(int, parent.stdout.readline().split())
        try:
            parent.kill()
            parent.wait(PATIENCE)
            assert seconds_until_gone(pid) < 2.5
            assert alive(fork)
        finally:
            os.kill(fork, signal.SIGKILL)


@pytest.mark.posix
def test_a_fork_that_ends_does_not_take_the_server_with_it(server):
    program = "import os, sys\nfrom beluga_nb.server.child import Server\nserver = Server.start()\n"
    program += "if os.fork() == 0:\n    sys.exit(0)\nos.wait()\n"
    program += "import httpx\nprint(httpx.get(server.url + '/health').text)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout == '{"status": "ok"}\n', done.stderr


@pytest.mark.posix
def test_an_interrupt_of_the_parents_group_does_not_reach_it(shared):
    assert os.getsid(shared.pid) == os.getpgid(shared.pid) == shared.pid
    assert os.getpgid(shared.pid) != os.getpgrp()


@pytest.mark.parametrize("response_format", ["url", "b64_json"])
def test_r51_through_the_child_a_picture_is_the_engines_own_to_the_byte(shared, response_format):
    request = Request(prompt="a whale", model="flux-2.0", n=2, size="3:4", take="again", sample=1)

    async def through_the_child(request):
        endpoint = Endpoint(
            base_url=shared.url,
            provider="local",
            key=Secret(shared.key, "a test"),
            response_format=response_format,
            extensions=True,
        )
        engine = Http(endpoint)
        return await engine(request)

    assert ask(through_the_child, request) == ask(previews, request)
