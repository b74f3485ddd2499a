"""The server on a real port, attacked: S40 to S45 and matrix E."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest
import uvicorn
from conftest import KEY, Counting, drawing

from beluga_nb.request import Request
from beluga_nb.result import ImagePayload, Result
from beluga_nb.server.app import create_app
from beluga_nb.server.connection import LINGER, Connection
from beluga_nb.server.guard import HEAD_LIMIT, Guard

PATIENCE = 30  # seconds that a test waits for an answer before it gives up
BODY = json.dumps({"model": "flux-2.0", "prompt": "a whale"}).encode()


class Service:
    """A guarded server in a thread, and the engine behind it."""

    def __init__(self, most, patience, engine):
        self.engine = Counting(engine)

        class Bounded(Connection):
            pass

        Bounded.most, Bounded.patience = most, patience
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        app = Guard(create_app(self.engine, key=KEY), port=self.port)
        config = uvicorn.Config(
            app,
            http=Bounded,
            lifespan="off",
            log_level="critical",
            h11_max_incomplete_event_size=HEAD_LIMIT,
            timeout_keep_alive=1,
        )
        self.server = uvicorn.Server(config)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def ask(self, method="GET", path="/v1/health", **headers):
        """One request with exactly these headers; the status, the headers and the body of its answer."""
        content = headers.pop("content", b"")
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines += [f"content-length: {len(content)}"] if content else []
        head = "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "connection: close", "", ""])
        with self.connect() as caller:
            caller.sendall(head.encode("latin-1") + content)
            return answer(caller)

    @property
    def alive(self):
        return self.ask(host=f"127.0.0.1:{self.port}")[0] == 200


def answer(caller):
    head, _, body = to_the_end(caller).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


def to_the_end(caller):
    heard = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while data := caller.recv(65536):
            heard += data
    return bytes(heard)


@contextlib.contextmanager
def serving(most=256, patience=10.0, engine=drawing):
    service = Service(most, patience, engine)
    thread = threading.Thread(target=service.server.run, args=[[service.listener]], daemon=True)
    thread.start()
    try:
        yield service
        assert service.alive
    finally:
        service.server.should_exit = True
        thread.join(PATIENCE)


@pytest.fixture(scope="module")
def service():
    with serving() as running:
        yield running


def assert_refused(answered, status):
    actual, headers, body = answered
    assert actual == status
    assert set(json.loads(body)["error"]) == {"message", "type", "code", "param"}
    assert not [name for name in headers if name.startswith("access-control-")]
    assert headers.get("x-request-id", "").startswith("req_")


# --- S42: Host


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LocalHost:{port}", "[::1]:{port}"])
def test_s42_this_machines_own_names_are_served(service, host):
    assert service.ask(host=host.format(port=service.port))[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost",
        "localhost.evil.example:{port}",
        "localhost.:{port}",
        "127.0.0.1.evil.example:{port}",
        "127.0.0.2:{port}",
        "0.0.0.0:{port}",
        "2130706433:{port}",
        "evil@127.0.0.1:{port}",
        "127.0.0.1:{port}0",
        "[::]:{port}",
        "127.0.0.1:{port}, evil.example",
        "",
    ],
)
def test_s42_a_foreign_host_is_403_also_with_a_valid_key(service, host):
    asked = len(service.engine.requests)
    headers = {"host": host.format(port=service.port), "authorization": f"Bearer {KEY}"}
    assert_refused(service.ask(**headers), 403)
    headers |= {"content_type": "application/json", "content": BODY}
    assert_refused(service.ask("POST", "/v1/images/generations", **headers), 403)
    assert len(service.engine.requests) == asked


def test_s42_no_host_at_all_is_403(service):
    with service.connect() as caller:
        caller.sendall(b"GET /v1/health HTTP/1.0\r\n\r\n")
        assert_refused(answer(caller), 403)


def test_s42_two_hosts_are_400(service):
    with service.connect() as caller:
        caller.sendall(f"GET / HTTP/1.1\r\nhost: localhost:{service.port}\r\nhost: evil\r\n\r\n".encode())
        assert_refused(answer(caller), 400)


# --- S43: web pages


def own(service, **more):
    return {"host": f"127.0.0.1:{service.port}", "authorization": f"Bearer {KEY}"} | more


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://evil.example",
        "http://evil.example:{port}",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "https://127.0.0.1:{port}",
        "http://localhost:8888",
        "http://localhost:{port}.evil.example",
        "file://",
        "",
    ],
)
def test_s43_a_foreign_origin_is_403_also_with_a_valid_key(service, origin):
    asked = len(service.engine.requests)
    headers = own(service, origin=origin.format(port=service.port), content_type="application/json")
    assert_refused(service.ask("POST", "/v1/images/generations", content=BODY, **headers), 403)
    assert_refused(service.ask(**headers), 403)
    assert len(service.engine.requests) == asked


def test_s43_our_own_origin_is_served_without_cors_headers(service):
    status, headers, _ = service.ask(**own(service, origin=f"http://127.0.0.1:{service.port}"))
    assert status == 200
    assert not [name for name in headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_s43_the_cross_site_post_that_needs_no_preflight_draws_nothing(service, kind):
    asked = len(service.engine.requests)
    headers = own(service, content_type=kind, content=BODY)
    assert_refused(service.ask("POST", "/v1/images/generations", **headers), 415)
    headers |= {"origin": "https://evil.example"}
    assert_refused(service.ask("POST", "/v1/images/generations", **headers), 403)
    assert len(service.engine.requests) == asked


@pytest.mark.parametrize("origin", [{}, {"origin": "https://evil.example"}])
def test_s43_a_preflight_is_405_with_allow_and_no_cors_headers(service, origin):
    headers = own(service, access_control_request_method="POST", **origin)
    answered = service.ask("OPTIONS", "/v1/images/generations", **headers)
    assert_refused(answered, 405)
    assert answered[1]["allow"] == "post"


# --- S44: files


SPELLINGS = [
    "/files/../secret.txt",
    "/files/../../../../etc/passwd",
    "/files/./../secret.txt",
    "/files/..%2fsecret.txt",
    "/files/..%2Fsecret.txt",
    "/files/%2e%2e/secret.txt",
    "/files/%2e%2e%2fsecret.txt",
    "/files/%2E%2E%2Fsecret.txt",
    "/files/.%2e/secret.txt",
    "/files/%252e%252e%252fsecret.txt",
    "/files/..%252fsecret.txt",
    "/files/%25252e%25252e%25252fsecret.txt",
    "/files/..\\secret.txt",
    "/files/..%5csecret.txt",
    "/files/%2e%2e%5csecret.txt",
    "/files/..%255csecret.txt",
    "/files/....//secret.txt",
    "/files/....\\\\secret.txt",
    "/files/..;/secret.txt",
    "/files/secret.txt%00.png",
    "/files/%00",
    "/files/..%00/secret.txt",
    "/files//etc/passwd",
    "/files/%2fetc%2fpasswd",
    "/files/{folder}/secret.txt",
    "/files/file:%2f%2f{folder}%2fsecret.txt",
    "/files/C:%5cWindows%5cwin.ini",
    "/files/C:/Windows/win.ini",
    "/files/%c0%ae%c0%ae%c0%afsecret.txt",
    "/files/%e0%80%ae%e0%80%ae/secret.txt",
    "/files/..%ef%bc%8fsecret.txt",
    "/files/%uff0e%uff0e/secret.txt",
    "/files/~/secret.txt",
    "/files/",
    "/files/.",
    "/files/..",
    "/files/%2e%2e",
]

WATCHED = """
import sys
from beluga_nb.server.serve import main

def tell(event, arguments):
    if event == "open":
        print("opened", arguments[0], file=sys.stderr, flush=True)

sys.addaudithook(tell)
sys.exit(main(["--port", "0"]))
"""


def test_s44_thirty_spellings_of_a_path_outside_are_404_and_open_no_file(tmp_path):
    assert len(SPELLINGS) >= 30
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "folder").mkdir()
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", WATCHED], cwd=tmp_path / "folder", **pipes) as server:
        try:
            port = int(server.stdout.readline().split(":")[2].partition("/")[0])
            statuses = [spelt(port, path.format(folder=tmp_path)) for path in ["/files/warm", *SPELLINGS]]
            assert statuses == [404] * (1 + len(SPELLINGS))
        finally:
            server.kill()
        opened = server.stderr.read()
    assert "opened" in opened  # the hook works: imports open files
    assert "secret" not in opened
    assert "passwd" not in opened
    assert "win.ini" not in opened


def spelt(port, path):
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as caller:
        caller.sendall(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n".encode())
        status, _, body = answer(caller)
        assert b"secret\n" not in body
        return status


def test_s44_a_file_is_neither_sniffed_nor_run_nor_cached(service):
    url = f"http://127.0.0.1:{service.port}/v1/images/generations"
    found = httpx.post(url, json=json.loads(BODY), headers={"authorization": f"Bearer {KEY}"}).json()
    headers = httpx.get(found["data"][0]["url"]).headers
    assert headers["content-type"] == "image/png"
    assert headers.get_list("x-content-type-options") == ["nosniff"]
    assert headers.get_list("content-security-policy") == ["default-src 'none'; sandbox"]
    assert headers.get_list("cache-control") == ["private, no-store"]


# --- S45: too much, too slow, too many


def test_s45_the_bounds_are_the_bars():
    assert (HEAD_LIMIT, Connection.patience, LINGER) == (16_384, 10.0, 1.0)


def test_s45_a_body_of_100_megabytes_is_refused_before_it_is_read(service):
    sent, piece = 0, b" " * (1024 * 1024)
    with service.connect() as caller:
        caller.sendall(
            f"POST /v1/images/generations HTTP/1.1\r\nhost: 127.0.0.1:{service.port}\r\n"
            f"authorization: Bearer {KEY}\r\ncontent-type: application/json\r\n"
            f"content-length: {100 * 1024 * 1024}\r\n\r\n".encode()
        )
        for _ in range(3):
            caller.sendall(piece)
            sent += len(piece)
        assert caller.recv(65536).startswith(b"HTTP/1.1 413 ")  # with 97 of the 100 unsent
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while caller.recv(65536):
                pass
        assert time.monotonic() - began < LINGER + 4
    assert service.alive


def test_s45_a_chunked_body_of_100_megabytes_is_refused_before_it_is_read(service):
    url = f"http://127.0.0.1:{service.port}/v1/images/generations"
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    pieces = iter([b" " * (1024 * 1024)] * 100)
    with contextlib.suppress(httpx.WriteError, httpx.ReadError):  # or the answer, if it is read in time
        assert httpx.post(url, content=pieces, headers=headers, timeout=PATIENCE).status_code == 413
    assert service.alive


def test_s45_without_a_key_the_body_is_not_read(service):
    with service.connect() as caller:
        caller.sendall(
            f"POST /v1/images/generations HTTP/1.1\r\nhost: 127.0.0.1:{service.port}\r\n"
            "content-type: application/json\r\ncontent-length: 1000000\r\n\r\n".encode()
        )
        assert caller.recv(65536).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("pieces", [1, 40])
def test_s45_a_header_beyond_16_kibibytes_is_refused(service, pieces):
    head = f"GET /v1/health HTTP/1.1\r\nhost: 127.0.0.1:{service.port}\r\nx: {'x' * 20_000}\r\n\r\n".encode()
    step = len(head) // pieces + 1
    with service.connect() as caller:
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(head), step):
                caller.sendall(head[start : start + step])
                if pieces > 1:
                    time.sleep(0.002)
        assert_refused(answer_of_one(caller), 431 if pieces == 1 else 400)


def answer_of_one(caller):
    """The answer on a connection that may be kept open."""
    heard = b""
    while b"\r\n\r\n{" not in heard or not heard.endswith(b"}"):
        heard += caller.recv(65536)
    head, _, body = heard.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


HEAD = "POST /v1/images/generations HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
HEAD += f"authorization: Bearer {KEY}\r\ncontent-type: application/json\r\n"

SLOW = {
    "says nothing": b"",
    "never ends its header": HEAD.encode(),
    "never ends its body": f"{HEAD}content-length: 1000\r\n\r\n{{".encode(),
    "never ends its chunks": f"{HEAD}transfer-encoding: chunked\r\n\r\n1\r\n{{\r\n".encode(),
    "never ends its second request": (
        b"GET /v1/health HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n"
        + f"{HEAD}content-length: 1000\r\n\r\n{{".encode()
    ),
    "never ends its second header": b"GET /v1/health HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\nGET /",
}


@pytest.fixture(scope="module")
def hurried():
    with serving(most=8, patience=0.4) as running:
        yield running


@pytest.mark.parametrize("how", SLOW)
def test_s45_who_is_slow_is_dropped(hurried, how):
    began = time.monotonic()
    with hurried.connect() as caller:
        caller.sendall(SLOW[how].replace(b"{port}", str(hurried.port).encode()))
        to_the_end(caller)
    assert 0.3 < time.monotonic() - began < 8
    assert hurried.engine.requests == []


@pytest.mark.parametrize("start", ["", f"{HEAD}content-length: 1000\r\n\r\n"], ids=["header", "body"])
def test_s45_a_slow_trickle_of_bytes_is_dropped_too(hurried, start):
    began = time.monotonic()
    with hurried.connect() as caller, contextlib.suppress(ConnectionError):
        caller.sendall(start.replace("{port}", str(hurried.port)).encode())
        for byte in b"GET /v1/health HTTP/1.1\r\n" * 100:
            caller.sendall(bytes([byte]))
            time.sleep(0.05)
    assert time.monotonic() - began < 8


def test_s45_patience_is_for_each_request_and_not_for_the_connection(hurried):
    with httpx.Client(base_url=f"http://127.0.0.1:{hurried.port}") as client:
        for _ in range(4):
            assert client.get("/v1/health").status_code == 200
            time.sleep(0.2)
        headers = {"authorization": f"Bearer {KEY}"}
        assert client.post("/v1/images/generations", content=BODY, headers=headers).status_code == 415


LARGE = 30_000_000


async def large(request: Request) -> Result:
    return Result.of(request, [ImagePayload(b"x" * LARGE, "image/png")], engine="large")


@pytest.mark.parametrize("reads", [False, True])
def test_s45_who_takes_nothing_of_an_answer_is_dropped_and_who_is_slow_gets_it_all(reads):
    body = json.dumps({"model": "flux-2.0", "prompt": "x", "response_format": "b64_json"})
    with serving(patience=0.4, engine=large) as service, service.connect() as caller:
        head = f"{HEAD}connection: close\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        caller.sendall(head.replace("{port}", str(service.port)).encode())
        heard = 0
        for _ in range(12):
            time.sleep(0.1)
            heard += len(caller.recv(1_000_000)) if reads else 0
        heard += len(to_the_end(caller))
    assert (heard > LARGE * 4 / 3) == reads


def test_s45_one_connection_too_many_is_503_and_the_others_stay(hurried):
    with contextlib.ExitStack() as callers:
        for _ in range(8):
            callers.enter_context(hurried.connect())
        with hurried.connect() as caller:
            assert_refused(answer(caller), 503)


def test_s45_two_hundred_connections_leave_the_server_alive(hurried):
    with contextlib.ExitStack() as callers:
        opened = [callers.enter_context(hurried.connect()) for _ in range(200)]
        for caller in opened:
            with contextlib.suppress(ConnectionError):
                caller.sendall(b"GET /v1/hea")
        for caller in opened:
            to_the_end(caller)
    assert hurried.alive


def test_two_hundred_callers_at_once_are_served(service):
    with contextlib.ExitStack() as callers:
        opened = [callers.enter_context(service.connect()) for _ in range(200)]
        for caller in opened:
            caller.sendall(f"GET /v1/health HTTP/1.1\r\nhost: localhost:{service.port}\r\n\r\n".encode())
        assert all(caller.recv(65536).startswith(b"HTTP/1.1 200 ") for caller in opened)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        b"GET /\r\n\r\n",
        b"\x00" * 4096,
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
def test_s45_garbage_is_400_with_the_error_object(service, garbage):
    with service.connect() as caller:
        caller.sendall(garbage)
        assert_refused(answer(caller), 400)


@pytest.mark.parametrize("version", [b"HTTP/2.0\r\n\r\nSM", b"HTTP/9.9"])
def test_s45_another_version_of_http_without_a_host_is_403(service, version):
    with service.connect() as caller:
        caller.sendall(b"PRI * " + version + b"\r\n\r\n")
        assert caller.recv(65536).startswith(b"HTTP/1.1 403 ")


def test_s45_random_bytes_leave_the_server_alive(service):
    for _ in range(50):
        with service.connect() as caller, contextlib.suppress(ConnectionError):
            caller.sendall(os.urandom(300) + b"\r\n\r\n")
            to_the_end(caller)
    assert service.alive


def test_s45_a_broken_chunk_in_a_body_is_400(service):
    with service.connect() as caller:
        head = f"{HEAD}transfer-encoding: chunked\r\n\r\nzz\r\n"
        caller.sendall(head.replace("{port}", str(service.port)).encode())
        assert_refused(answer(caller), 400)
