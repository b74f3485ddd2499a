"""The embedded server as a child process, which starts in well under a second and ends with its parent.

Its standard input is a pipe whose end it waits for. The pipe ends with this process, even after SIGKILL.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, Protocol
from urllib.parse import urlsplit

from beluga_nb.errors import BelugaError
from beluga_nb.redaction import Secret
from beluga_nb.text import sanitize

# -P: a file in the notebook's folder, such as json.py, must not stand in for a module.
COMMAND = (sys.executable, "-P", "-m", "beluga_nb", "serve", "--ready-fd", "1", "--parent-fd", "0")

_START_TIMEOUT = 15.0  # seconds for a cold start from a slow disk; a warm one takes less than one
_GRACE = 2.0  # seconds before a server is killed
_LOG_SHOWN = 64 * 1024  # bytes
_OURS = "BELUGA_"  # the notebook's settings and key are not passed to the server, which has its own key


class Server:
    """A running server: `url` and `key` are for any OpenAI client on this machine; `stop()` ends it.

    It also ends when this object is no longer referenced, and when this process ends.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Log, *, url: str, key: str) -> None:
        self.url = url
        self.pid = process.pid
        self._secret = Secret(key, "the server")
        self._process = process
        self._log = log
        self._end = weakref.finalize(self, _end, process, log, os.getpid())

    @classmethod
    def start(
        cls,
        *,
        port: int = 0,
        faults: bool = False,
        patience: float = _START_TIMEOUT,
        environ: Mapping[str, str] | None = None,
        command: Sequence[str] = COMMAND,
    ) -> Server:
        """Return a new server once it listens; port 0 takes a free one.

        With `faults`, prompts may ask it for failures (`faults.py`).
        Raises `BelugaError` with the server's last output when it does not listen within `patience` seconds.
        """
        try:
            process = subprocess.Popen(
                [*command, "--port", str(port), *(["--faults"] if faults else [])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(os.environ if environ is None else environ),
                # The notebook's Interrupt must not reach it. Each system has one of the two options.
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except OSError as error:  # such as in a browser, where no process can be started
            raise BelugaError(
                f"The server did not start: {error.strerror or error}.", "It needs a system with processes."
            ) from None
        log = Log(process.stderr)
        try:
            return cls._ready(process, log, patience)
        except BaseException:
            _end(process, log, os.getpid())
            raise

    @classmethod
    def _ready(cls, process: subprocess.Popen[bytes], log: Log, patience: float) -> Server:
        assert process.stdout is not None
        # Killing it ends the pipe, and so the wait below.
        timer = threading.Timer(patience, process.kill)
        timer.start()
        try:
            with process.stdout as lines:  # some may be printed by a sitecustomize
                ready = next((line for line in lines if line.startswith(b'{"url"')), None)
        finally:
            timer.cancel()
        if ready is None:
            process.kill()
            status = process.wait()
            why = f"It ended with status {status}; it has {patience:g} seconds to start."
            raise BelugaError("The server did not start.", sanitize(log.whole(3)) or why)
        reported = json.loads(ready)
        return cls(process, log, url=reported["url"], key=reported["key"])

    @property
    def key(self) -> str:
        """The key of this server, made for this start."""
        return self._secret.reveal()

    @property
    def port(self) -> int:
        """The port that this server listens on."""
        return urlsplit(self.url).port or 80

    @property
    def running(self) -> bool:
        """Whether the server has not ended."""
        return self._process.poll() is None

    @property
    def log(self) -> str:
        """The last output of the server; empty after `stop`."""
        return self._log.last(1000)

    def stop(self) -> None:
        """End the server, and return when it has ended; at most two seconds."""
        self._end()

    def __repr__(self) -> str:
        return f"<BelugAPI (procedural previews) on {self.url}, {'running' if self.running else 'stopped'}>"

    def _repr_pretty_(self, printer: Printer, _cycle: bool) -> None:
        printer.text("\n".join([repr(self), *(_USE if self.running else ())]))


class Printer(Protocol):
    """The printer that IPython passes to `_repr_pretty_`."""

    def text(self, words: str, /) -> None: ...


_USE = (
    "The key is not shown. With server = %beluga serve, it is server.key:",
    "  openai.OpenAI(base_url=server.url, api_key=server.key)",
    "It serves this machine until the kernel ends, or %beluga serve --stop.",
)


class Log:
    """The last output of a process, read as it comes."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        assert pipe is not None
        self._tail = bytearray()
        self._reader = threading.Thread(target=_read, args=[pipe, self._tail], daemon=True)
        self._reader.start()

    def last(self, count: int) -> str:
        """Return the last lines so far."""
        return "\n".join(self._tail.decode(errors="replace").splitlines()[-count:])

    def whole(self, count: int) -> str:
        """Return the last lines of a process that has ended."""
        self._reader.join(_GRACE)
        return self.last(count)

    def forget(self) -> None:
        """Drop the output."""
        self._reader.join(_GRACE)
        self._tail.clear()


def _read(pipe: IO[bytes], tail: bytearray) -> None:
    with pipe:
        while some := os.read(pipe.fileno(), _LOG_SHOWN):
            tail += some
            del tail[:-_LOG_SHOWN]


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if not name.startswith(_OURS)}
    # The child imports the same modules as this process.
    return kept | {"PYTHONPATH": os.pathsep.join(sys.path)}


def _end(process: subprocess.Popen[bytes], log: Log, parent: int) -> None:
    if os.getpid() != parent:  # a fork of the parent, which does not own the server
        return
    assert process.stdin is not None
    process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    process.kill()
    process.wait()
    log.forget()
