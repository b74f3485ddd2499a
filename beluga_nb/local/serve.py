"""Serve the embedded BelugAPI on loopback: `python -m beluga_nb serve`."""

from __future__ import annotations

import argparse
import logging
import os
import re
import secrets
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NoReturn
from urllib.parse import urlsplit

from starlette.applications import Starlette

from beluga_nb.core import Engine
from beluga_nb.errors import SettingsError
from beluga_nb.local.app import create_app
from beluga_nb.local.faults import faulty
from beluga_nb.local.previews import previews

Run = Callable[[Starlette, socket.socket], None]
"""Serves an app on a listening socket until Ctrl-C."""

Connect = Callable[[str], Engine]
"""Makes the engine of an upstream's base URL, or raises `SettingsError`."""

HOST = "127.0.0.1"
"""The only address that is served: what runs here is one person's."""

PORT = 8787

WORKERS = 4
UPSTREAM_WORKERS = 64

_KEY = re.compile(r"bapi_[A-Za-z0-9_.~+/=-]+")  # what a Bearer token may hold (RFC 6750, 2.1)
_GRACE = 2  # seconds that a picture under way gets when the server ends


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
    return words


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= 65535):
        raise argparse.ArgumentTypeError(f"'{text}' is no port; give a number from 0 to 65535")
    return int(text)


def _key(text: str) -> str:
    if not _KEY.fullmatch(text):
        # The key itself is not repeated: terminals are shared and logged.
        raise argparse.ArgumentTypeError("the key must be bapi_ and letters, digits or _ . ~ + / = -")
    return text


def new_key() -> str:
    """Return a random key that nobody guesses."""
    return f"bapi_{secrets.token_urlsafe(24)}"


def main(words: Sequence[str], *, engine: Engine = previews, connect: Connect = _nowhere) -> int:
    """Serve until Ctrl-C and return the exit status; what cannot start is 2, with a line on stderr."""
    said = parser().parse_args(words)
    key = said.key or new_key()
    try:
        engine = connect(said.upstream) if said.upstream else engine
    except SettingsError as error:
        return _sorry(f"--upstream: {error.message} {error.hint}")
    try:
        run = _server()
        listener = socket.create_server((HOST, said.port))
    except ImportError:
        return _sorry("uvicorn is missing: pip install 'beluga_nb[server]'")
    except OSError as error:
        why = os.strerror(error.errno or 0)
        return _sorry(f"port {said.port} cannot be used ({why}); --port 0 takes a free one")
    with listener:
        # Who waits for another machine takes nothing from this one.
        create = partial(create_app, key=key, workers=UPSTREAM_WORKERS if said.upstream else WORKERS)
        app = faulty(engine, create) if said.faults else create(engine)
        return _serve(run, app, listener, key, _who(said))


def _who(said: argparse.Namespace) -> str:
    host = urlsplit(said.upstream).hostname if said.upstream else None
    who = f"pictures from {host}" if host else "procedural previews"
    return f"{who}, faults on demand" if said.faults else who


def _sorry(line: str) -> int:
    print(f"{parser().prog}: {line}", file=sys.stderr)
    return 2


def _serve(run: Run, app: Starlette, listener: socket.socket, key: str, who: str) -> int:
    port = listener.getsockname()[1]
    # uvicorn shuts down in order at Ctrl-C, then raises what it had held back.
    with suppress(KeyboardInterrupt):
        print(f"BelugAPI ({who}) on http://{HOST}:{port}/v1  key {key}", flush=True)
        run(app, listener)
    return 0


def _server() -> Run:
    import uvicorn

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # Requests that are cut off at Ctrl-C are cut off on purpose: no traceback for each.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            await super().shutdown(sockets)

    def run(app: Starlette, listener: socket.socket) -> None:
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=_GRACE,
        )
        Server(config).run(sockets=[listener])

    return run
