"""Serve the embedded BelugAPI on loopback: `python -m beluga_nb serve`."""

from __future__ import annotations

import _thread
import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from beluga_nb.commands.arguments import USAGE_ERROR
from beluga_nb.commands.usage import PROGRAM, parser
from beluga_nb.config.keys import random_key
from beluga_nb.errors import SettingsError
from beluga_nb.hints import Surface, on
from beluga_nb.process.lifetime import closed, wait_for_parent
from beluga_nb.redaction import redact_record
from beluga_nb.result import Engine
from beluga_nb.server.app import create_app
from beluga_nb.server.faults import faulty
from beluga_nb.server.guard import HEAD_LIMIT, Guard
from beluga_nb.server.previews import previews

Run = Callable[[ASGIApp, socket.socket, Callable[[Callable[[], None]], None]], None]
"""Serves an app on a listening socket until Ctrl-C; when it has begun, passes on what ends it as well."""

Connect = Callable[[str], Engine]
"""Makes the engine of an upstream's base URL, or raises `SettingsError`."""

Announce = Callable[[str, str], None]
"""Is called with the URL and the key of a server that listens."""

HOST = "127.0.0.1"
"""The only address that is served: the server is for programs on this machine."""

WORKERS = 4
UPSTREAM_WORKERS = 64

IDLE = 10
"""Seconds that a connection may be idle between two requests.

httpx and the openai package close theirs after 5, and must be the first to: a POST on a connection that is
just being closed has an unknown outcome.
"""

_GRACE = 2  # Seconds that a picture under way gets when the server ends.
_ORPHANS_GRACE = 1  # The same when its parent has ended; R50 has 2 for everything.


def _no_client(url: str) -> Engine:
    raise SettingsError(f"Nothing here can connect to {url}.", f"Use {PROGRAM} serve.")


def main(words: Sequence[str], *, engine: Engine = previews, connect: Connect = _no_client) -> int:
    """Serve until Ctrl-C and return the exit status; what cannot start is 2, with a line on stderr."""
    arguments = parser("serve").parse_args(words)
    key = arguments.key or random_key().reveal()
    upstream: str | None = arguments.upstream
    try:
        engine = connect(upstream) if upstream else engine
    except SettingsError as error:
        return _failed(f"--upstream: {error.message} {on(error.hint, Surface.TERMINAL)}")
    try:
        run = uvicorn_run(arguments.connections)
        listener = socket.create_server((HOST, arguments.port))
    except ImportError:
        return _failed("uvicorn is missing: pip install 'beluga_nb[server]'")
    except OSError as error:
        why = os.strerror(error.errno or 0)
        return _failed(f"port {arguments.port} cannot be used ({why}); --port 0 takes a free one")
    if arguments.parent_fd is not None:
        threading.Thread(target=_end_with_parent, args=[arguments.parent_fd], daemon=True).start()
    what = _description(upstream, faults=arguments.faults)
    announce = partial(_print, what) if arguments.ready_fd is None else _reporting(arguments.ready_fd)
    with listener:
        # Waiting for another machine takes no processor here, so many workers may wait.
        create = partial(create_app, key=key, workers=UPSTREAM_WORKERS if upstream else WORKERS)
        app = faulty(engine, create) if arguments.faults else create(engine)
        return _serve(run, app, listener, key, announce)


def _description(upstream: str | None, *, faults: bool) -> str:
    host = urlsplit(upstream).hostname if upstream else None
    what = f"pictures from {host}" if host else "procedural previews"
    return f"{what}, faults on demand" if faults else what


def _failed(line: str) -> int:
    print(f"{PROGRAM} serve: {line}", file=sys.stderr)
    return USAGE_ERROR


def _serve(run: Run, app: ASGIApp, listener: socket.socket, key: str, announce: Announce) -> int:
    port = listener.getsockname()[1]
    # uvicorn shuts down in order at Ctrl-C, then raises the interrupt again.
    with suppress(KeyboardInterrupt):
        run(Guard(app, port=port), listener, lambda _: announce(f"http://{HOST}:{port}/v1", key))
    return 0


def _is_no_fault(record: logging.LogRecord) -> bool:
    # An answer that is cut off on demand (faults.py) is no failure of this server.
    return not (record.exc_info and isinstance(record.exc_info[1], ConnectionAbortedError))


def _print(what: str, url: str, key: str) -> None:
    print(f"BelugAPI ({what}) on {url}  key {key}", flush=True)


def _reporting(ready: int) -> Announce:
    def report(url: str, key: str) -> None:
        os.write(ready, json.dumps({"url": url, "key": key, "pid": os.getpid()}).encode() + b"\n")
        # The reader sees the end of the pipe, and what is printed from here on goes to the log.
        os.dup2(2, ready)

    return report


def _end_with_parent(parent: int) -> None:
    """End this process when its parent does, SIGKILL included, or closes its end of the pipe."""
    wait_for_parent(closed(parent))
    _thread.interrupt_main()
    time.sleep(_ORPHANS_GRACE)
    os._exit(0)


def uvicorn_run(connections: int) -> Run:
    """Return what serves an app with uvicorn; raise `ImportError` where that is missing."""
    import uvicorn

    from beluga_nb.server.connection import Connection

    class Bounded(Connection):
        most = connections

    class Server(uvicorn.Server):
        def __init__(self, config: uvicorn.Config, begun: Callable[[Callable[[], None]], None]) -> None:
            super().__init__(config)
            self.begun = begun

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            # Not before this: a Ctrl-C while the event loop is made would leave a traceback.
            self.begun(self.stop)

        def stop(self) -> None:
            self.should_exit = True

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # Requests are cut off at Ctrl-C on purpose, so uvicorn prints no traceback for each.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            await super().shutdown(sockets)

    def run(app: ASGIApp, listener: socket.socket, begun: Callable[[Callable[[], None]], None]) -> None:
        for each in (_is_no_fault, redact_record):
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
