"""A server that fails in the way it is told to: raw sockets, one thread for each connection.

`Faulty(post, get)` plays a script: each POST, and each GET, takes the next of its steps, and the last one
stays. A step is the bytes of an answer, or a function that is given the `Exchange` and does what it likes
with the connection. What was asked is kept, to the header, and is counted exactly.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import select
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 90.0
"""Seconds after which a connection that nobody ends is ended; no test lasts as long."""


@dataclass
class Heard:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


@dataclass
class Exchange:
    """One request, and the connection that it came on."""

    heard: Heard
    connection: socket.socket
    stopped: threading.Event

    def send(self, data: bytes) -> bool:
        """Send bytes; return whether the client still takes them."""
        try:
            self.connection.sendall(data)
        except OSError:
            return False
        return True

    def drip(self, data: bytes, every: float) -> None:
        """Send bytes one at a time, until the client leaves."""
        for byte in data:
            if not self.send(bytes([byte])) or self.stopped.wait(every):
                return

    def wait(self) -> None:
        """Say nothing until the client leaves, or the server stops."""
        with contextlib.suppress(OSError):
            while not self.stopped.wait(0.05):
                if select.select([self.connection], [], [], 0)[0] and not self.connection.recv(4096):
                    return

    def reset(self) -> None:
        """End the connection with a RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Step = bytes | Callable[[Exchange], object]


class Faulty:
    """The server, from `with` on; `url` is its API's base URL, and `{here}` in an answer its address."""

    def __init__(
        self, post: Step | list[Step] = b"", get: Step | list[Step] = b"", *, certificate: Path | None = None
    ) -> None:
        self.steps = {"POST": _script(post), "GET": _script(get)}
        self.heard: list[Heard] = []
        self.connections = 0
        self.stopped = threading.Event()
        self.secure: ssl.SSLContext | None = None
        if certificate:
            self.secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.secure.load_cert_chain(certificate)
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Faulty:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        scheme, host = ("https", "localhost") if self.secure else ("http", "127.0.0.1")
        self.here = f"{scheme}://{host}:{self.port}"
        self.url = f"{self.here}/v1"
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for thread in list(self._threads):
            thread.join(PATIENCE)

    def plays(self, post: Step | list[Step] | None = None, get: Step | list[Step] | None = None) -> None:
        """Go on with another script."""
        with self._lock:
            for method, steps in (("POST", post), ("GET", get)):
                if steps is not None:
                    self.steps[method] = _script(steps)

    def count(self, method: str) -> int:
        return len(self.asked(method))

    def asked(self, method: str) -> list[Heard]:
        return [heard for heard in self.heard if heard.method == method]

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listening.accept()
                self.connections += 1
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        with contextlib.suppress(OSError), connection:
            if self.secure:
                connection = self.secure.wrap_socket(connection, server_side=True)
            with connection:
                while heard := _request(connection):
                    if not self._answer(Exchange(heard, connection, self.stopped)):
                        return

    def _answer(self, exchange: Exchange) -> bool:
        with self._lock:
            self.heard.append(exchange.heard)
            steps = self.steps[exchange.heard.method]
            step = steps.pop(0) if len(steps) > 1 else steps[0]
        if callable(step):
            step(exchange)
            return False
        sent = step.replace(b"{here}", self.here.encode())
        return bool(sent) and exchange.send(sent) and b"connection: close" not in sent


def _script(steps: Step | list[Step]) -> list[Step]:
    return list(steps) if isinstance(steps, list) else [steps]


def _request(connection: socket.socket) -> Heard | None:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(65536)):
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        if not (more := connection.recv(65536)):
            return None
        body += more
    method, path, _ = first.split(" ")
    return Heard(method, path, headers, body)


# --- answers


def http(body: bytes, status: int = 200, *, length: int | None = None, **headers: str) -> bytes:
    """An answer with its length, so that a cut is seen; `{here}` in it leaves the length unsaid."""
    lines = [f"HTTP/1.1 {status} Whatever", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if b"{here}" not in body:
        lines.append(f"content-length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def images(*items: object, created: object = 1_750_000_000) -> bytes:
    """The API's answer with these items."""
    return http(json.dumps({"created": created, "data": list(items)}).encode())


def b64(data: bytes) -> dict[str, str]:
    return {"b64_json": base64.b64encode(data).decode()}


def error(status: int, message: str = "", **headers: str) -> bytes:
    """The API's error object under a status."""
    body = json.dumps({"error": {"message": message, "type": "t", "code": "c", "param": None}})
    return http(body.encode() if message else b"", status, **headers)


# --- steps that are no answer


def silence(exchange: Exchange) -> None:
    exchange.wait()


def reset(exchange: Exchange) -> None:
    exchange.reset()


def reset_after(data: bytes) -> Step:
    def step(exchange: Exchange) -> None:
        exchange.send(data)
        exchange.reset()

    return step


def dripping(data: bytes, every: float = 0.02) -> Step:
    return lambda exchange: exchange.drip(data, every)


def repeating(head: bytes, block: bytes, every: float = 0.0) -> Step:
    """Send `head`, and then the block without end."""

    def step(exchange: Exchange) -> None:
        going = exchange.send(head)
        while going and not exchange.stopped.wait(every):
            going = exchange.send(block)

    return step


def after(seconds: float, data: bytes) -> Step:
    def step(exchange: Exchange) -> None:
        exchange.stopped.wait(seconds)
        exchange.send(data)

    return step


# --- addresses where something else happens


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """A base URL where connections are refused."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}/v1"


@contextlib.contextmanager
def full() -> Iterator[str]:
    """A base URL where connecting hangs: nobody accepts, and the queue for it is full."""
    with socket.socket() as listening, contextlib.ExitStack() as waiting:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            caller = waiting.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


_AUTHORITY = """
[ca]
default_ca = here
[here]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = anything
x509_extensions = names
[anything]
commonName = supplied
[names]
subjectAltName = DNS:{host}
basicConstraints = critical, CA:true
[req]
distinguished_name = nothing
[nothing]
"""


def certificate(folder: Path, host: str = "localhost", *, until: str = "20991231235959Z") -> Path:
    """A self-signed certificate, made by the `openssl` program, and its key in the same file."""
    folder.mkdir()
    (folder / "ca.cnf").write_text(_AUTHORITY.format(host=host))
    (folder / "index.txt").touch()
    new = "req -new -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -keyout key -out csr"
    sign = (
        "ca -selfsign -batch -create_serial -notext -keyfile key -in csr -out crt -startdate 20200101000000Z"
    )
    for words in (f"{new} -config ca.cnf -subj /CN={host}", f"{sign} -config ca.cnf -enddate {until}"):
        subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)
    pem = folder / "both.pem"
    pem.write_bytes((folder / "crt").read_bytes() + (folder / "key").read_bytes())
    return pem
