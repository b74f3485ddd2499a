"""uvicorn's connection, with limits on the number of connections and on slow clients.

uvicorn drops a client that is silent between two requests. It waits without end for a first request, for the
rest of a body and for a slow reader, and its own refusals are plain text, not the API's error objects. With
httptools, it collects headers and trailers of any length.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from beluga_nb.server.guard import HEAD_LIMIT, Header, refusal

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Protocol
else:
    # httptools' parser if it is installed, else h11's, which takes more time.
    from uvicorn.protocols.http.auto import AutoHTTPProtocol as Protocol

LINGER = 1.0
"""Seconds that a caller that was refused early may go on sending before it is cut off."""


class Connection(Protocol):
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
        self._in_head = False
        self._head = 0  # bytes of a head or trailers without an end yet, but for those of their first read

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
        was_in_head = self._in_head
        super().data_received(data)
        if was_in_head and self._in_head:
            self._head += len(data)
            if self._head > HEAD_LIMIT and not self.transport.is_closing():
                self.send_400_response("The request is too long.")
        if self.cycle is not None and not (self.cycle.more_body or self.cycle.response_complete):
            self._stop_read_timer()

    # These four are called by httptools. h11 limits a head and trailers itself.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head = True, 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()
        self.headers = self.headers.copy()  # Trailers are added to it, and must not reach the app as headers.

    def on_chunk_header(self) -> None:
        # Trailers follow the header of the last chunk, in place of data.
        self._in_head, self._head = True, 0

    def on_body(self, body: bytes) -> None:
        self._in_head = False
        super().on_body(body)

    def on_response_complete(self) -> None:
        # The newest request may be a later one, whose answer waits for this one.
        early = self.cycle.response_complete and self.cycle.more_body
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
        if self.cycle is not None and not (self.cycle.more_body or self.cycle.response_complete):
            # The request before it may be billed, and is answered first. (h11 reads nothing until then.)
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            return
        self._refuse(400, f"{msg} It is malformed, or its headers are longer than {HEAD_LIMIT:,} bytes.")

    def _refuse(self, status: int, message: str, *more: Header) -> None:
        # Written without a cycle: there may be no request yet. The connection ends.
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            headers, body = refusal(status, message)
            lines = [b": ".join(header) for header in [*headers, *more, (b"connection", b"close")]]
            first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()
            self.transport.write(b"\r\n".join([first, *lines, b"", body]))
        self.transport.close()
