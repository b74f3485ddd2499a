"""The floor: what a client costs that does only what it must, on bare sockets.

A connection is used again when it has answered. An answer is received into one buffer; its base64 is found
without a JSON parser, and decoded, like the PNG, in as many threads as there are cores.
"""

from __future__ import annotations

import asyncio
import binascii
import json
import os
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from PIL import Image

BLOCK = 1 << 16
FIELD = b'"b64_json": "'


class Connection(asyncio.BufferedProtocol):
    """One connection that has one request under way at most."""

    transport: asyncio.Transport
    answer: asyncio.Future[tuple[bytearray, int, int]]
    buffer: bytearray
    received: int
    start: int
    end: int

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def get_buffer(self, _sizehint: int) -> memoryview:
        if self.received == len(self.buffer):
            self.buffer.extend(bytes(len(self.buffer)))
        return memoryview(self.buffer)[self.received :]

    def buffer_updated(self, nbytes: int) -> None:
        self.received += nbytes
        if not self.end:
            head = self.buffer.find(b"\r\n\r\n", 0, self.received)
            if head < 0:
                return
            length = bytes(self.buffer[:head]).lower().partition(b"content-length:")[2]
            self.start = head + 4
            self.end = self.start + int(length.partition(b"\r\n")[0])
            # The buffer cannot grow while a view of it is in use, so a longer one replaces it.
            if self.end > len(self.buffer):
                longer = bytearray(self.end)
                longer[: self.received] = memoryview(self.buffer)[: self.received]
                self.buffer = longer
        if self.received >= self.end:
            self.answer.set_result((self.buffer, self.start, self.end))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc or ConnectionError("The connection was closed."))

    async def ask(self, request: bytes) -> tuple[bytearray, int, int]:
        """Send a request; return the buffer, and where in it the body begins and ends."""
        self.buffer, self.received, self.start, self.end = bytearray(BLOCK), 0, 0, 0
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.answer


class Floor:
    """A client on bare sockets."""

    def __init__(self, base_url: str, headers: dict[str, str]) -> None:
        self.url = urlsplit(base_url)
        self.address = str(self.url.hostname), self.url.port or 80
        lines = [f"{name}: {value}\r\n" for name, value in {"Host": self.url.netloc, **headers}.items()]
        self.headers = "".join(lines)
        self.idle: list[Connection] = []
        self.threads = ThreadPoolExecutor(os.cpu_count() or 1)

    async def picture(self, body: dict[str, object]) -> Image.Image:
        """Return the decoded picture of a request for one."""
        data = json.dumps(body).encode()
        post = f"POST {self.url.path}/images/generations HTTP/1.1\r\n{self.headers}"
        answer = await self._ask(f"{post}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        encoded = body["response_format"] == "b64_json"
        if not encoded:
            buffer, start, end = answer
            path = urlsplit(json.loads(bytes(buffer[start:end]))["data"][0]["url"]).path
            answer = await self._ask(f"GET {path} HTTP/1.1\r\nHost: {self.url.netloc}\r\n\r\n".encode())
        return await asyncio.get_running_loop().run_in_executor(self.threads, _decoded, encoded, *answer)

    async def _ask(self, request: bytes) -> tuple[bytearray, int, int]:
        if self.idle:
            connection = self.idle.pop()
        else:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(Connection, *self.address)
        answer = await connection.ask(request)
        self.idle.append(connection)
        return answer


def _decoded(encoded: bool, buffer: bytearray, start: int, end: int) -> Image.Image:
    from PIL import Image

    data: bytes | memoryview = memoryview(buffer)[start:end]
    if encoded:
        first = buffer.index(FIELD, start) + len(FIELD)
        data = binascii.a2b_base64(memoryview(buffer)[first : buffer.index(b'"', first)])
    image = Image.open(BytesIO(data))
    image.load()
    return image
