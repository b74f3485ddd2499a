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
from typing import NoReturn

from starlette.applications import Starlette

from beluga_nb.core import Engine
from beluga_nb.local.app import create_app
from beluga_nb.local.previews import previews

Run = Callable[[Starlette, socket.socket], None]
"""Serves an app on a listening socket until Ctrl-C."""

HOST = "127.0.0.1"
"""The only address that is served: what runs here is one person's."""

PORT = 8787

_KEY = re.compile(r"bapi_[A-Za-z0-9_.~+/=-]+")  # what a Bearer token may hold (RFC 6750, 2.1)
_GRACE = 2  # seconds that a picture under way gets when the server ends


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


def main(words: Sequence[str], *, engine: Engine = previews) -> int:
    """Serve until Ctrl-C and return the exit status; what cannot start is 2, with a line on stderr."""
    said = parser().parse_args(words)
    key = said.key or new_key()
    try:
        run = _server()
        listener = socket.create_server((HOST, said.port))
    except ImportError:
        return _sorry("uvicorn is missing: pip install 'beluga_nb[server]'")
    except OSError as error:
        why = os.strerror(error.errno or 0)
        return _sorry(f"port {said.port} cannot be used ({why}); --port 0 takes a free one")
    with listener:
        return _serve(run, create_app(engine, key=key), listener, key)


def _sorry(line: str) -> int:
    print(f"{parser().prog}: {line}", file=sys.stderr)
    return 2


def _serve(run: Run, app: Starlette, listener: socket.socket, key: str) -> int:
    port = listener.getsockname()[1]
    # uvicorn shuts down in order at Ctrl-C, then raises what it had held back.
    with suppress(KeyboardInterrupt):
        print(f"BelugAPI (procedural previews) on http://{HOST}:{port}/v1  key {key}", flush=True)
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
