"""The head of an answer, read liberally: what follows it is paid for, however a server writes HTTP.

An HTTP library refuses a bare line feed, a blank in a header's name, two lengths, or `HTTP/2` over a plain
connection, and drops all that came. So each head is written anew, as RFC 9112 has it, before the library
reads it. Where there is no status line at all, everything is the body of a success. Libraries also drop what
follows a length that is too small, a status that has no body, or a chunk of another size than it announces;
so chunks are taken apart here, and what is beyond the body is handed out after it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

Read = Callable[..., Awaitable[bytes]]
"""Reads at most so many bytes within a time, as httpcore's streams do; nothing is the end."""

SILENCE = 0.25
"""Seconds without a byte after which nothing more is expected behind a body that seems to be cut."""

_LONGEST = 64 * 2**10  # bytes of a head that are waited for; httpcore takes 100 KB
_PIECE = 256 * 2**10  # bytes of a body that are read at once, as many as asyncio has; httpcore asks for 64 KB
_LONGEST_LINE = 8 * 2**10  # bytes of a status line, with blank lines before it

_BODILESS = {204, 304}

_HEADLESS = b"HTTP/1.1 200 \r\n\r\n"
_STATUS = re.compile(rb"[\r\n]*HTTP[^\s]{0,40}[ \t]+([1-9][0-9]{2})(?![0-9])[^\n]*\n", re.IGNORECASE)
_END = re.compile(rb"\n\r?\n")
_FOLD = re.compile(rb"\n[ \t]+")
_NO_TOKEN = re.compile(rb"[^!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROLS = re.compile(rb"[\0-\x08\x0a-\x1f\x7f]")

_LARGEST_CHUNK = 2**63  # bytes
_SIZE = re.compile(rb"\r?\n[ \t]{0,20}(?:0[xX])?([0-9A-Fa-f]{1,64})[ \t]{0,20}(?:;[^\n]{0,4096})?\r?\n")
_MAY_BE_SIZE = re.compile(
    rb"\r?(?:\n[ \t]{0,20}(?:0[xX])?[0-9A-Fa-f]{0,64}[ \t]{0,20}(?:;[^\n]{0,4096})?\r?)?"
)
_TRAILERS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}:[^\n]{0,2000}\n){0,40}\r?(?:\n|\Z)")


class LiberalHead:
    """Reads an answer from a stream, with its heads in the form that every HTTP library takes."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._waiting = self._begun = b""
        self._passed = self._in_head = False
        self._left: int | None = None  # bytes of the body; None where its length is unknown
        self._chunks: _Chunks | None = None
        self._beyond = b""

    async def __call__(self, max_bytes: int = _PIECE, timeout: float | None = None) -> bytes:
        """Read as the stream does: first the head alone, then the body."""
        if self._begun:
            begun, self._begun = self._begun, b""
            return begun
        while not self._passed:
            arrived = await self._read(max_bytes, timeout)
            is_more_of_a_line = bool(self._waiting and arrived) and b"\n" not in arrived
            self._waiting += arrived
            if is_more_of_a_line and self._in_head and len(self._waiting) < _LONGEST_LINE:
                continue
            written = self._written(ended=not arrived)
            if written or not arrived:
                return written
        while self._left != 0:
            arrived = await self._read(max(max_bytes, _PIECE), timeout)
            body = self._within(arrived)
            if body or not arrived:  # a chunk's size may arrive without its data
                return body
        return b""

    @property
    def is_broken_off(self) -> bool:
        """Whether the body came in chunks, and without the one that ends it."""
        return self._chunks is not None and not self._chunks.is_whole

    async def beyond(self, *, patient: bool) -> AsyncGenerator[bytes, None]:
        """Yield what follows the body as its head has it; with `patient`, also what is still on its way."""
        if self._chunks and self._chunks.is_whole:
            if patient and b"\n" not in self._beyond:
                self._beyond += await self._soon()
            trailers = _TRAILERS.match(self._beyond)
            self._beyond = self._beyond[trailers.end() if trailers else 0 :]
        if self._beyond:
            yield self._beyond
        while patient and self._left == 0 and (more := await self._soon()):
            yield more

    async def _soon(self) -> bytes:
        try:
            async with asyncio.timeout(SILENCE):
                return await self._read(_LONGEST)
        except Exception:  # of httpcore, anyio, ssl: nothing more arrives
            return b""

    def _within(self, body: bytes) -> bytes:
        """Return what is of the body by its length or its chunks, and keep what is beyond it."""
        if self._chunks:
            body, beyond = self._chunks.taken(body)
            self._left = None if beyond is None else 0
            self._beyond = beyond or b""
            return body
        if self._left is None:
            return body
        body, beyond = body[: self._left], body[self._left :]
        self._left -= len(body)
        self._beyond += beyond
        return body

    def _written(self, *, ended: bool) -> bytes:
        """Return the heads that are there, and after the last of them what is there of the body."""
        written = b""
        while True:
            status = _STATUS.match(self._waiting)
            if not status:
                if not ended and _may_be_status(self._waiting):
                    return written
                if not self._waiting:
                    self._passed = True
                    return written
                self._begun = self._rest()
                return written + _HEADLESS
            end = _END.search(self._waiting, status.end() - 1)
            self._in_head = not end
            if not end and len(self._waiting) < _LONGEST:
                return written + (self._rest() if ended else b"")
            code, last = int(status[1]), end.start() if end else _LONGEST
            head, body = self._waiting[status.end() : last], self._waiting[end.end() if end else last :]
            interim = code < 200 and code != 101
            if not interim and not ended and _chunked(head) and not _shows_chunks(body):
                return written
            self._waiting = body
            if code == 101:  # The request asked for no other protocol, and an HTTP library would stop here.
                code, head = 200, b"content-length: 0"
            written += b"HTTP/1.1 %d \r\n%b\r\n" % (code, _fields_of(head, body))
            if not interim:
                self._chunks = _Chunks() if code not in _BODILESS and _in_chunks(head, body) else None
                self._left = 0 if code in _BODILESS else _length(head, body)
                self._begun = self._within(self._rest())
                return written

    def _rest(self) -> bytes:
        rest, self._waiting, self._passed = self._waiting, b"", True
        return rest


class _Chunks:
    """Takes a body in chunks apart, up to the one that ends it, or to where no size is that must be one."""

    def __init__(self) -> None:
        self._waiting = b"\r\n"  # as if a chunk had ended: every size but the first follows one
        self._left = 0  # bytes of a chunk
        self.is_whole = False

    def taken(self, arrived: bytes) -> tuple[bytes, bytes | None]:
        """Return what is of the body, and at its end what is beyond it; nothing arrives when all has."""
        data, at, parts = self._waiting + arrived, 0, []
        self._waiting = b""
        while True:
            parts.append(data[at : at + self._left])
            at += len(parts[-1])
            self._left -= len(parts[-1])
            if self._left:
                return b"".join(parts), None if arrived else b""
            line = _SIZE.match(data, at)
            size = int(line[1], 16) if line else None
            if not line or size is None or size > _LARGEST_CHUNK:
                break
            at, self._left = line.end(), size
            if not size:
                self.is_whole = True
                return b"".join(parts), data[at:]
        if arrived and _MAY_BE_SIZE.fullmatch(data, at):
            self._waiting = data[at:]
            return b"".join(parts), None
        return b"".join(parts), data[at:].removeprefix(b"\r\n")  # the line end of the chunk before


def _may_be_status(start: bytes) -> bool:
    if len(start) >= _LONGEST_LINE:
        return False
    start = start.lstrip(b"\r\n")
    return start[:4].upper() == b"HTTP"[: len(start)] and b"\n" not in start


def _shows_chunks(body: bytes) -> bool:
    """Whether enough of a body is there to see if it comes in chunks."""
    return not _MAY_BE_SIZE.fullmatch(b"\n" + body)


def _fields_of(head: bytes, body: bytes) -> bytes:
    """Return the header lines of an answer, with one length at most, and with none for chunks."""
    written = b""
    for name, value in _fields(head):
        how_long = name.lower() in {b"content-length", b"transfer-encoding"}
        if not how_long and len(written) + len(name) + len(value) < _LONGEST:
            written += b"%b: %b\r\n" % (name, value)
    length = _length(head, body)
    return written if length is None else written + b"content-length: %d\r\n" % length


def _in_chunks(head: bytes, body: bytes) -> bool:
    return _chunked(head) and bool(_SIZE.match(b"\n" + body))


def _length(head: bytes, body: bytes) -> int | None:
    """Return the length of a body by its head, if that is unambiguous."""
    values = b",".join(value for name, value in _fields(head) if name.lower() == b"content-length")
    return None if _in_chunks(head, body) else content_length(values)


def content_length(values: bytes) -> int | None:
    """Return the number in the values of Content-Length; None for none, or for several that differ."""
    [length, *others] = {each.strip() for each in values.split(b",")}
    return int(length) if length.isdigit() and len(length) < 19 and not others else None


def _chunked(head: bytes) -> bool:
    codings = [value.lower() for name, value in _fields(head) if name.lower() == b"transfer-encoding"]
    return b",".join(codings).rpartition(b",")[2].strip() == b"chunked"


def _fields(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    for line in _FOLD.sub(b" ", head).split(b"\n"):
        name, colon, value = line.partition(b":")
        name = _NO_TOKEN.sub(b"-", name.strip())
        if colon and name:
            yield name, _CONTROLS.sub(b" ", value).strip()
