"""Connections for the HTTP library, straight from asyncio.

For each piece that arrives, the library's own enter a cancel scope and change the selector twice, and a
picture has some thirty pieces. Only connecting has a time limit here: one deadline bounds all the rest.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast

import httpcore

_MOST_WAITING = 2**20  # bytes that arrived and were not read yet, at which no more are taken from the system


class Network(httpcore.AsyncNetworkBackend):
    """Opens connections over TCP."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Return a connection to a host, at the first of its addresses that answers."""
        del local_address, socket_options  # not set by any caller
        connecting = asyncio.get_running_loop().create_connection(
            _Receiver, host, port, happy_eyeballs_delay=0.25
        )
        async with _connecting(timeout):
            try:
                _, receiver = await connecting
            except socket.gaierror:
                raise
            except OSError:
                raise OSError("All connection attempts failed") from None
        return Stream(receiver)


class Stream(httpcore.AsyncNetworkStream):
    """A connection, with or without TLS."""

    def __init__(self, receiver: _Receiver) -> None:
        self._receiver = receiver

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        """Return what has arrived as soon as something has; nothing is the end."""
        return await self._receiver.read(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """Send bytes, as soon as the system takes them."""
        await self._receiver.write(buffer)

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Return this connection with TLS on it."""
        receiver = _Receiver()
        async with _connecting(timeout):
            transport = await asyncio.get_running_loop().start_tls(
                self._receiver.transport, receiver, ssl_context, server_hostname=server_hostname
            )
        receiver.connection_made(cast(asyncio.Transport, transport))
        return Stream(receiver)

    async def aclose(self) -> None:
        """Close the connection at once."""
        if not self._receiver.transport.is_closing():
            self._receiver.transport.abort()
            await asyncio.sleep(0)  # asyncio closes the socket in its next round

    def get_extra_info(self, info: str) -> Any:
        """Return the `socket` or the `ssl_object`."""
        return self._receiver.transport.get_extra_info(info)


class _Receiver(asyncio.Protocol):
    def __init__(self) -> None:
        self.transport = cast(asyncio.Transport, None)
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._ended = self._paused = False
        self._error: Exception | None = None
        self._woken: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None

    async def read(self, most: int) -> bytes:
        while not self._waiting:
            if self._error:
                raise httpcore.ReadError(str(self._error))
            if self._ended:
                return b""
            self._woken = asyncio.get_running_loop().create_future()
            await self._woken
        piece = self._waiting.popleft()
        if len(piece) > most:
            self._waiting.appendleft(piece[most:])
            piece = piece[:most]
        self._size -= len(piece)
        if self._paused and not self._size:
            self._paused = False
            self.transport.resume_reading()
        return piece

    async def write(self, data: bytes) -> None:
        if self._ended or self._error:
            raise httpcore.WriteError("the connection has ended")
        self.transport.write(data)
        if self._drained:
            await self._drained

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._waiting.append(data)
        self._size += len(data)
        if self._size > _MOST_WAITING and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended, self._error = True, exc
        self._wake()
        self.resume_writing()

    def pause_writing(self) -> None:
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._drained and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def _wake(self) -> None:
        if self._woken and not self._woken.done():
            self._woken.set_result(None)


@asynccontextmanager
async def _connecting(seconds: float | None) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise httpcore.ConnectTimeout(str(error)) from None
    except OSError as error:  # also of TLS
        raise httpcore.ConnectError(str(error)) from None
