"""What became of a request, whatever was raised and whenever: decided by what left, counted by a server."""

import asyncio
import inspect
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import types
from contextlib import suppress

import anyio
import faulty
import h11
import httpcore
import httpx
import pytest
from conftest import everything_said
from faulty import Faulty, b64, http, images
from httpcore._backends.anyio import AnyIOBackend, AnyIOStream

from beluga_nb.api import transport
from beluga_nb.api.endpoint import Endpoint
from beluga_nb.api.http import Http
from beluga_nb.config.keys import Secret
from beluga_nb.engines.retrying import Policy, Retrying
from beluga_nb.errors import APIConnectionError, EngineError
from beluga_nb.request import Request
from beluga_nb.result import CallCancelled, Result
from beluga_nb.wire import REFUSALS

KEY = "bapi_SENTINEL-SENTINEL-1234"
FOX = Request(prompt="a fox", model="flux-2.0")


async def no_time(_):
    pass


def outcome_of(base_url, *, timeout=3.0):
    """Ask through the client and its retries; return the result or the error."""
    endpoint = Endpoint(base_url=base_url, provider="wire", key=Secret(KEY, "code"), timeout=timeout)

    async def asked():
        client = Http(endpoint)
        try:
            return await Retrying(client, Policy(attempts=2), sleep=no_time)(FOX)
        except EngineError as error:
            return error

    return asyncio.run(asked())


# --- every class of exception, at every moment


def raised_by(*modules: types.ModuleType) -> list[type[Exception]]:
    """All classes of exceptions of these modules that can be raised with a word."""
    found = {}
    for module in modules:
        for each in vars(module).values():
            if inspect.isclass(each) and issubclass(each, Exception) and not issubclass(each, Warning):
                with suppress(Exception):
                    each("a fault")
                    found[f"{each.__module__}.{each.__qualname__}"] = each
    return [found[name] for name in sorted(found)]


CLASSES = raised_by(httpx, httpcore, h11, anyio, ssl, socket, asyncio, __import__("builtins"))
CLASSES.remove(httpcore.ConnectionNotAvailable)  # only its pool and its connections say so to each other


class Failing:
    """Raises where the network is asked for the `at`-th time; before that it is as it was."""

    def __init__(self, monkeypatch, owner, name, kind, at=1):
        real, left = getattr(owner, name), [at]

        async def failing(*args, **kwargs):
            left[0] -= 1
            if left[0] == 0:
                raise kind("a fault")
            return await real(*args, **kwargs)

        monkeypatch.setattr(owner, name, failing)


def test_there_are_very_many_classes():
    assert len(CLASSES) > 100


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_what_fails_before_the_request_has_left_was_not_sent_and_after_that_nobody_knows(kind, picture):
    for name, at in MOMENTS:
        with Faulty(answered_slowly(picture)) as server, pytest.MonkeyPatch.context() as patched:
            Failing(patched, AnyIOBackend if name == "connect_tcp" else AnyIOStream, name, kind, at)
            found = outcome_of(server.url)
        if name == "connect_tcp":
            # It was not sent, so it may be sent again, where another try may fare better.
            assert isinstance(found, Result) or (type(found), found.outcome) == (
                APIConnectionError,
                "not_sent",
            )
            assert server.count("POST") == isinstance(found, Result)
            continue
        assert isinstance(found, EngineError), (name, at)
        assert (found.outcome, found.may_be_billed) == ("unknown", True), (name, at)
        assert server.count("POST") <= 1, (name, at)
        assert KEY not in everything_said(found)


MOMENTS = [("connect_tcp", 1), ("write", 1), ("write", 2), ("read", 1), ("read", 2)]


@pytest.fixture(scope="module")
def picture():
    from conftest import drawn

    return drawn(FOX, 0)


def answered_slowly(data):
    """An answer in two pieces, so that it is read twice."""
    sent = images(b64(data))

    def step(exchange):
        exchange.send(sent[:200])
        exchange.stopped.wait(0.02)
        exchange.send(sent[200:])

    return step


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize(("owner", "name"), [(AnyIOBackend, "connect_tcp"), (AnyIOStream, "read")])
def test_an_interrupt_passes_and_takes_no_frame_with_the_key_along(kind, owner, name, monkeypatch):
    Failing(monkeypatch, owner, name, kind)
    with Faulty(images()) as server, pytest.raises(kind) as caught:
        outcome_of(server.url)
    assert KEY not in everything_said(caught.value)


@pytest.mark.parametrize(("name", "billed"), [("connect_tcp", False), ("read", True)])
def test_a_call_that_is_cancelled_says_whether_it_had_left(name, billed, monkeypatch):
    owner = AnyIOBackend if name == "connect_tcp" else AnyIOStream
    Failing(monkeypatch, owner, name, asyncio.CancelledError)
    with Faulty(images()) as server, pytest.raises(asyncio.CancelledError) as caught:
        outcome_of(server.url)
    assert getattr(caught.value, "may_be_billed", True) is billed
    assert isinstance(caught.value, CallCancelled) is not billed
    assert KEY not in everything_said(caught.value)


# --- settings that cannot be used


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("https_proxy", "socks5://127.0.0.1:9"),
        ("https_proxy", "gopher://127.0.0.1:9"),
        ("https_proxy", "http://[::1"),
        ("https_proxy", "http://127.0.0.1:port"),
        ("https_proxy", "://"),
        ("SSL_CERT_FILE", "/nowhere/ca.pem"),
        ("SSL_CERT_FILE", __file__),
        ("SSL_CERT_FILE", "/"),
        ("SSL_CERT_DIR", "/nowhere"),
    ],
)
def test_a_setting_of_the_environment_that_cannot_be_used_is_an_error_of_ours(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    found = outcome_of("https://images.invalid/v1", timeout=2)
    assert isinstance(found, APIConnectionError)
    assert (found.outcome, found.may_be_billed) == ("not_sent", False)
    assert "Nothing was sent or billed." in str(found)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 407, 429, 500, 502, 503, 504])
def test_a_proxy_that_refuses_a_tunnel_has_let_nothing_through(status, monkeypatch):
    refusing = b"HTTP/1.1 %d No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % status
    with Proxy(refusing) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        found = outcome_of("https://images.invalid/v1")
    assert isinstance(found, APIConnectionError)
    assert (found.outcome, found.may_be_billed) == ("not_sent", False)
    assert set(proxy.methods) == {b"CONNECT"}


@pytest.mark.parametrize(
    "given", [b"", b"HTTP/1.1 200 OK\r\n\r\nno TLS", b"garbage\r\n\r\n"], ids=["silence", "no TLS", "garbage"]
)
def test_a_tunnel_that_breaks_before_the_handshake_has_let_nothing_through(given, monkeypatch):
    with Proxy(given) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        found = outcome_of("https://images.invalid/v1")
    assert isinstance(found, APIConnectionError)
    assert found.outcome == "not_sent"


class Proxy:
    """Says one thing to whoever asks it for a tunnel."""

    def __init__(self, answer):
        self.answer = answer
        self.methods = []

    def __enter__(self):
        import threading

        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        return self

    def serve(self):
        with suppress(OSError):
            while True:
                connection, _ = self.listening.accept()
                with connection:
                    self.methods.append(connection.recv(65536).partition(b" ")[0])
                    connection.sendall(self.answer)

    def __exit__(self, *_):
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.thread.join(5)


# --- every status


@pytest.mark.sampled(4)
@pytest.mark.parametrize("hundred", range(2, 10))
def test_only_a_status_that_proves_it_is_a_refusal(hundred):
    for status in range(hundred * 100, hundred * 100 + 100):
        with Faulty(http(b"", status)) as server:
            found = outcome_of(server.url)
        refused = status in REFUSALS or status == 429
        assert found.outcome == ("refused" if refused else "unknown"), status
        assert server.count("POST") == (2 if status == 429 else 1), status


LOCATIONS = [
    "urn:job:7",
    "mailto:a@b",
    "https:x",
    "https://xn--/",
    "https://xn--a/",
    "//[",
    "//",
    "/",
    "",
    "?",
    "#",
    "..",
    "../../v2",
    "http://[::1",
    "http://:80",
    "http://a:port/",
    "http://a:99999/",
    "https://user:secret@elsewhere.example/",
    "{here}/v1/images/generations",
    "{here}/elsewhere",
    "javascript:alert(1)",
    "data:text/plain,x",
    "file:///etc/passwd",
    "ftp://a/",
    "http://a b/",
    "http://\x7f/",
    "\xff\xfe",
    "x" * 9000,
    "https://" + "a." * 200 + "example/",
    None,
]


@pytest.mark.parametrize("status", [*range(300, 312), 350, 399])
def test_no_redirect_of_a_post_is_built_followed_or_called_free(status):
    for location in LOCATIONS:
        head = f"HTTP/1.1 {status} Elsewhere\r\nconnection: close\r\ncontent-length: 0\r\n"
        head += f"location: {location}\r\n" if location is not None else ""
        with Faulty((head + "\r\n").encode("latin-1")) as server:
            found = outcome_of(server.url)
        assert isinstance(found, EngineError)
        assert (found.outcome, found.status) == ("unknown", status), location
        assert server.count("POST") == server.connections == 1, location
        assert "secret" not in str(found)


def test_a_certificate_is_read_once_for_all(monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert transport._trusted_certificates(None, None) is transport._trusted_certificates(None, None)


def test_what_is_not_reachable_makes_no_post():
    with faulty.nobody() as base_url:
        assert outcome_of(base_url).outcome == "not_sent"


FORKED_MEANWHILE = """
import os, sys, time
from pathlib import Path
from beluga_nb.session.session import Session

folder, how = Path(sys.argv[1]), sys.argv[2]
session = Session(folder=folder, notify=lambda _: None, timeout=2.0 if how == "in time" else 60.0)
job = session.submit("a fox", mode="off")
sys.stdin.readline()  # the connection is open
if not os.fork():
    time.sleep(60)
    os._exit(0)
if how == "stopped":
    job.cancel()
try:
    print(len(job.result()), flush=True)
except BaseException as error:
    print(type(error).__name__, flush=True)
sys.stdin.readline()
"""

ENDS = {"stopped": "CancelledError", "in time": "APITimeoutError", "answered": "1"}


@pytest.mark.sampled(6)
@pytest.mark.posix
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("arrived", ["nothing", "a head", "half a body"])
@pytest.mark.parametrize("how", ENDS)
def test_a_call_that_has_ended_ends_its_connection_though_a_forked_child_lives(
    how, arrived, scheme, picture, tmp_path
):
    whole = images(b64(picture))
    found = whole[
        : {"nothing": 0, "a head": whole.index(b"\r\n\r\n") + 4, "half a body": len(whole) - 9}[arrived]
    ]
    reached, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def step(exchange):
        exchange.send(found)
        reached.set()
        go_on.wait(20)
        if how == "answered":
            exchange.send(whole[len(found) :])
        exchange.wait()  # until the client leaves
        ended.set()

    made = faulty.certificate(tmp_path / "certificate") if scheme == "https" else None
    with Faulty(step, certificate=made) as server:
        environ = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "BELUGA_API_KEY": "bapi_SENTINEL-SENTINEL-1234",
            "BELUGA_BASE_URL": server.url,
            "BELUGA_MODEL": "flux-2.0",
            **({"SSL_CERT_FILE": str(made)} if made else {}),
        }
        words = [sys.executable, "-c", FORKED_MEANWHILE, str(tmp_path), how]
        with subprocess.Popen(
            words,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                assert reached.wait(20)
                process.stdin.write("\n")
                process.stdin.flush()
                go_on.set()
                assert process.stdout.readline().strip() == ENDS[how]
                assert ended.wait(5)
            finally:
                os.killpg(process.pid, signal.SIGKILL)
    assert server.count("POST") == 1


def test_the_command_line_of_the_http_client_is_not_imported():
    probe = """
import sys
import beluga_nb.api.transport
print([name for name in ("httpx._main", "click", "rich") if name in sys.modules])
import httpx
print(callable(httpx.main))
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "True"]
