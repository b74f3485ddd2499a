"""The head of an answer, read liberally: what follows it is paid for, however a server writes HTTP.

An HTTP library refuses a bare line feed, a blank in a header's name, two lengths, or `HTTP/2` over a plain
connection, and drops all that came. So each head is written anew, as RFC 9112 has it, before the library
reads it. Where there is no status line at all, everything is the body of a success.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator

Read = Callable[..., Awaitable[bytes]]
"""Reads at most so many bytes within a time, as httpcore's streams do; nothing is the end."""

_LONGEST = 64 * 2**10  # bytes of a head that are waited for; httpcore takes 100 KB
_LONGEST_LINE = 8 * 2**10  # bytes of a status line, with blank lines before it

_HEADLESS = b"HTTP/1.1 200 \r\n\r\n"
_STATUS = re.compile(rb"[\r\n]*HTTP[^\s]{0,40}[ \t]+([1-9][0-9]{2})(?![0-9])[^\n]*\n", re.IGNORECASE)
_END = re.compile(rb"\n\r?\n")
_FOLD = re.compile(rb"\n[ \t]+")
_NO_TOKEN = re.compile(rb"[^!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROLS = re.compile(rb"[\0-\x08\x0a-\x1f\x7f]")
_CHUNK = re.compile(rb"[ \t]*(?:0[xX])?[0-9A-Fa-f]{1,16}[ \t]*(;[^\n]{0,200})?\r?\n")
_MAY_BE_CHUNK = re.compile(rb"[ \t]{0,20}(?:0[xX])?[0-9A-Fa-f]{0,16}[ \t]{0,20}(;[^\n]{0,200})?\r?")


class LiberalHead:
    """Reads an answer from a stream, with its heads in the form that every HTTP library takes."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._waiting = b""
        self._passed = self._in_head = False

    async def __call__(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read as the stream does."""
        while not self._passed:
            arrived = await self._read(max_bytes, timeout)
            is_more_of_a_line = bool(self._waiting and arrived) and b"\n" not in arrived
            self._waiting += arrived
            if is_more_of_a_line and self._in_head and len(self._waiting) < _LONGEST_LINE:
                continue
            written = self._written(ended=not arrived)
            if written or not arrived:
                return written
        return await self._read(max_bytes, timeout)

    def _written(self, *, ended: bool) -> bytes:
        """Return the heads that are there, and after the last of them what is there of the body."""
        written = b""
        while True:
            status = _STATUS.match(self._waiting)
            if not status:
                if not ended and _may_be_status(self._waiting):
                    return written
                return written + self._rest(_HEADLESS if self._waiting else b"")
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
            written += b"HTTP/1.1 %d \r\n%b\r\n" % (code, _fields_of(head, body))
            if not interim:
                return written + self._rest()

    def _rest(self, head: bytes = b"") -> bytes:
        rest, self._waiting, self._passed = head + self._waiting, b"", True
        return rest


def _may_be_status(start: bytes) -> bool:
    if len(start) >= _LONGEST_LINE:
        return False
    start = start.lstrip(b"\r\n")
    return start[:4].upper() == b"HTTP"[: len(start)] and b"\n" not in start


def _shows_chunks(body: bytes) -> bool:
    """Whether enough of a body is there to see if it comes in chunks."""
    return not _MAY_BE_CHUNK.fullmatch(body)


def _fields_of(head: bytes, body: bytes) -> bytes:
    """Return the header lines of an answer, with one way at most of telling where its body ends."""
    written, lengths = b"", set[bytes]()
    for name, value in _fields(head):
        if name.lower() == b"content-length":
            lengths |= {each.strip() for each in value.split(b",")}
        elif name.lower() != b"transfer-encoding" and len(written) + len(name) + len(value) < _LONGEST:
            written += b"%b: %b\r\n" % (name, value)
    if _chunked(head) and _CHUNK.match(body):
        return written + b"transfer-encoding: chunked\r\n"
    [length, *others] = lengths or {b""}
    if length.isdigit() and len(length) < 19 and not others:
        written += b"content-length: %b\r\n" % length
    return written


def _chunked(head: bytes) -> bool:
    codings = [value.lower() for name, value in _fields(head) if name.lower() == b"transfer-encoding"]
    return b",".join(codings).rpartition(b",")[2].strip() == b"chunked"


def _fields(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    for line in _FOLD.sub(b" ", head).split(b"\n"):
        name, colon, value = line.partition(b":")
        name = _NO_TOKEN.sub(b"-", name.strip())
        if colon and name:
            yield name, _CONTROLS.sub(b" ", value).strip()
