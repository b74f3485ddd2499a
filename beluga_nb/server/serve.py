"""Serve the embedded BelugAPI on loopback: `python -m beluga_nb serve`."""

from __future__ import annotations

import _thread
import argparse
import json
import logging
import os
import re
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NoReturn
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from beluga_nb.arguments import is_whole
from beluga_nb.errors import SettingsError
from beluga_nb.process.lifetime import closed, wait_for_parent
from beluga_nb.redaction import redact_record
from beluga_nb.result import Engine
from beluga_nb.server.app import create_app
from beluga_nb.server.faults import faulty
from beluga_nb.server.guard import HEAD_LIMIT, Guard
from beluga_nb.server.previews import previews

Run = Callable[[ASGIApp, socket.socket, Callable[[], None]], None]
"""Serves an app on a listening socket until Ctrl-C, and calls back when it has begun."""

Connect = Callable[[str], Engine]
"""Makes the engine of an upstream's base URL, or raises `SettingsError`."""

Announce = Callable[[str, str], None]
"""Reports the URL and the key of a server that listens."""

HOST = "127.0.0.1"
"""The only address that is served: the server is for the user of this machine."""

PORT = 8787

WORKERS = 4
UPSTREAM_WORKERS = 64

CONNECTIONS = 256
"""Connections at a time: a whole class on one Hub, where S45 has 32 for one notebook."""

IDLE = 10
"""Seconds that a connection may rest between two requests.

httpx and the openai package give theirs up after 5, and must be the first to: a POST on a connection that is
just being closed has an unknown outcome.
"""

_KEY = re.compile(r"bapi_[A-Za-z0-9_.~+/=-]+")  # the characters of a Bearer token (RFC 6750, 2.1)
_GRACE = 2  # seconds before running jobs are cut off when the server ends
_ORPHANS_GRACE = 1  # … when its parent has ended; R50 has 2 for everything


def _nowhere(url: str) -> Engine:
    raise SettingsError(f"Nothing here can connect to {url}.", "Use python -m beluga_nb serve.")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def parser() -> argparse.ArgumentParser:
    """Return the command line of `serve`."""
    words = _Parser(
        prog="python -m beluga_nb serve",
        description="Serve the image API on this machine; the built-in painter draws previews.",
        allow_abbrev=False,
    )
    words.add_argument("--port", type=_port, default=PORT, help=f"default {PORT}; 0 takes a free one")
    words.add_argument("--key", type=_key, help="starts with bapi_; random unless given")
    words.add_argument(
        "--upstream",
        metavar="URL",
        help="pass requests on to a service that is polled; BELUGA_UPSTREAM_KEY holds its key",
    )
    words.add_argument(
        "--faults", action="store_true", help="let prompts ask for failures: 'fault: 429 | a red bicycle'"
    )
    words.add_argument(
        "--connections",
        type=_count,
        default=CONNECTIONS,
        help=f"at most so many at a time; default {CONNECTIONS}",
    )
    # `child.py` passes the descriptors of two pipes.
    words.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    words.add_argument("--parent-fd", type=int, help=argparse.SUPPRESS)
    return words


def _count(text: str) -> int:
    if not (is_whole(text, 1, 65535)):
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 1 to 65535")
    return int(text)


def _port(text: str) -> int:
    if not (is_whole(text, 0, 65535)):
        raise argparse.ArgumentTypeError(f"'{text}' is no port; give a number from 0 to 65535")
    return int(text)


def _key(text: str) -> str:
    if not _KEY.fullmatch(text):
        # The key itself is not repeated: terminals are shared and logged.
        raise argparse.ArgumentTypeError("the key must be bapi_ and letters, digits or _ . ~ + / = -")
    return text


def new_key() -> str:
    """Return a random key."""
    return f"bapi_{secrets.token_urlsafe(24)}"


def main(words: Sequence[str], *, engine: Engine = previews, connect: Connect = _nowhere) -> int:
    """Serve until Ctrl-C and return the exit status; what cannot start is 2, with a line on stderr."""
    options = parser().parse_args(words)
    key = options.key or new_key()
    try:
        engine = connect(options.upstream) if options.upstream else engine
    except SettingsError as error:
        return _sorry(f"--upstream: {error.message} {error.hint}")
    try:
        run = _server(options.connections)
        listener = socket.create_server((HOST, options.port))
    except ImportError:
        return _sorry("uvicorn is missing: pip install 'beluga_nb[server]'")
    except OSError as error:
        why = os.strerror(error.errno or 0)
        return _sorry(f"port {options.port} cannot be used ({why}); --port 0 takes a free one")
    if options.parent_fd is not None:
        threading.Thread(target=_end_with_parent, args=[options.parent_fd], daemon=True).start()
    announce = partial(_print, _who(options)) if options.ready_fd is None else _answering(options.ready_fd)
    with listener:
        # Waiting for another machine uses no CPU here.
        create = partial(create_app, key=key, workers=UPSTREAM_WORKERS if options.upstream else WORKERS)
        app = faulty(engine, create) if options.faults else create(engine)
        return _serve(run, app, listener, key, announce)


def _who(options: argparse.Namespace) -> str:
    host = urlsplit(options.upstream).hostname if options.upstream else None
    who = f"pictures from {host}" if host else "procedural previews"
    return f"{who}, faults on demand" if options.faults else who


def _sorry(line: str) -> int:
    print(f"{parser().prog}: {line}", file=sys.stderr)
    return 2


def _serve(run: Run, app: ASGIApp, listener: socket.socket, key: str, announce: Announce) -> int:
    port = listener.getsockname()[1]
    # uvicorn shuts down at Ctrl-C, then raises the signal again.
    with suppress(KeyboardInterrupt):
        run(Guard(app, port=port), listener, lambda: announce(f"http://{HOST}:{port}/v1", key))
    return 0


def _not_asked_for(record: logging.LogRecord) -> bool:
    # An answer that is cut off on demand (faults.py) is not a failure of this server.
    return not (record.exc_info and isinstance(record.exc_info[1], ConnectionAbortedError))


def _print(who: str, url: str, key: str) -> None:
    print(f"BelugAPI ({who}) on {url}  key {key}", flush=True)


def _answering(ready: int) -> Announce:
    def answer(url: str, key: str) -> None:
        os.write(ready, json.dumps({"url": url, "key": key, "pid": os.getpid()}).encode() + b"\n")
        # This closes the pipe for the reader; later output goes to the log.
        os.dup2(2, ready)

    return answer


def _end_with_parent(parent: int) -> None:
    """End this process when its parent does, SIGKILL included, or closes its end of the pipe."""
    wait_for_parent(closed(parent))
    _thread.interrupt_main()
    time.sleep(_ORPHANS_GRACE)
    os._exit(0)


def _server(connections: int) -> Run:
    import uvicorn

    from beluga_nb.server.connection import Connection

    class Bounded(Connection):
        most = connections

    class Server(uvicorn.Server):
        def __init__(self, config: uvicorn.Config, begun: Callable[[], None]) -> None:
            super().__init__(config)
            self.begun = begun

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            # Not earlier: a Ctrl-C while the event loop is being created leaves a traceback.
            self.begun()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # Requests are cut off at Ctrl-C on purpose, so their tracebacks are not logged.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            await super().shutdown(sockets)

    def run(app: ASGIApp, listener: socket.socket, begun: Callable[[], None]) -> None:
        for each in (_not_asked_for, redact_record):
            logging.getLogger("uvicorn.error").addFilter(each)
        config = uvicorn.Config(
            app,
            http=Bounded,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            h11_max_incomplete_event_size=HEAD_LIMIT,
            timeout_graceful_shutdown=_GRACE,
            timeout_keep_alive=IDLE,
        )
        Server(config, begun).run(sockets=[listener])

    return run
