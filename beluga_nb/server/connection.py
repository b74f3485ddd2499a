"""uvicorn's connection, with limits on the number of connections and on slow clients.

uvicorn drops a client that is silent between two requests. It waits without end for a first request, for the
rest of a body and for a slow reader, and its own refusals are plain text, not the API's error objects.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from beluga_nb.server.guard import HEAD_LIMIT, Header, refusal

LINGER = 1.0
"""Seconds that a caller that was refused early may go on sending before it is cut off."""


class Connection(H11Protocol):
    """Speak HTTP with one caller, as one of at most `most`.

    A caller has `patience` seconds for a whole request, header and body, and must take some of its answer
    in each `patience` seconds.
    """

    most: int = 256
    patience: float = 10.0

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._read_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    # --- reading a request

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._start_read_timer(self.patience)
        if len(self.connections) > self.most:
            full = f"No connection is left, of {self.most}. Close some, or wait."
            self._refuse(503, full, (b"retry-after", b"1"))  # Nothing was begun, so it may be sent again.

    def data_received(self, data: bytes) -> None:
        if self._read_timer is None:
            self._start_read_timer(self.patience)
        super().data_received(data)
        if self.cycle is not None and not (self.cycle.more_body or self.cycle.response_complete):
            self._stop_read_timer()

    def on_response_complete(self) -> None:
        early = self.cycle.more_body
        super().on_response_complete()  # which may begin the next request, if that has been sent already
        if self.cycle.more_body:
            self._start_read_timer(LINGER if early else self.patience)

    def _start_read_timer(self, seconds: float) -> None:
        self._stop_read_timer()
        self._read_timer = self.loop.call_later(seconds, self.transport.abort)

    def _stop_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    # --- writing the answer

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_write_timer(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_write_timer()

    def _start_write_timer(self, left: int) -> None:
        self._write_timer = self.loop.call_later(self.patience, self._check_progress, left)

    def _check_progress(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        # A slow reader may stay; one that takes nothing may not.
        if left < before:
            self._start_write_timer(left)
        else:
            self.transport.abort()

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    # --- the end

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_read_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, f"{msg} It is malformed, or its headers are longer than {HEAD_LIMIT:,} bytes.")

    def _refuse(self, status: int, message: str, *more: Header) -> None:
        # Not written by h11, whose state allows no answer here; the connection ends.
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            headers, body = refusal(status, message)
            lines = [b": ".join(header) for header in [*headers, *more, (b"connection", b"close")]]
            first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()
            self.transport.write(b"\r\n".join([first, *lines, b"", body]))
        self.transport.close()
