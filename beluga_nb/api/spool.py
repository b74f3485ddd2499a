"""Raw answers on disk: status, headers and body as they arrive, before they are parsed.

An answer to a POST is paid for, so it is kept first. `<name>-1.answer.part` grows with what arrives and
becomes `<name>-1.answer` when it is whole. Both are HTTP messages without a transfer coding, and without
keys. What has arrived is in the file a quarter of a second later, however little it is and whatever comes
next. A full disk does not spoil a call: what arrived is in memory too.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import count
from pathlib import Path

from beluga_nb.api.body import begins_with_picture
from beluga_nb.paths import read_file, write_file
from beluga_nb.redaction import RedactedStream, redact_bytes

SUFFIX = ".answer"
PART = ".part"

MAX_KEPT = 2**30
"""Bytes of one answer that are kept."""

_BLOCK = 512 * 2**10  # bytes that are searched for keys at once, which copies them
_MOST_WAITING = 8 * 2**20  # bytes that are written at once
_PAUSE = 0.25  # seconds after which fewer bytes are written


class Spool:
    """The file of one answer; `complete` is whether it holds the whole answer."""

    def __init__(self, name: Path) -> None:
        self.path = name
        self.complete = False
        self._name = name
        self._beginning = b""
        self._file: int | None = None
        self._begun = self._closed = False
        self._left = MAX_KEPT
        self._waiting: deque[bytes | memoryview] = deque()
        self._unwritten = 0
        self._timer: asyncio.TimerHandle | None = None
        self._redacted: RedactedStream | None = None
        self._body: bytes | None = None
        self._settled = self._end = 0
        self._failed = False  # a write failed; nothing is written after the gap
        self._lock = threading.Lock()

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the head of the answer. The first write makes the file."""
        self._beginning = redact_bytes(_head(status, headers))
        self._timer = asyncio.get_running_loop().call_later(_PAUSE, self._pause)

    async def write(self, chunk: bytes) -> bool:
        """Add to the file; return whether it has taken all until now."""
        if not self._begun:
            self._redacted, self._begun = None if begins_with_picture(chunk) else RedactedStream(), True
        self._left -= len(chunk)
        if self._closed or self._failed or self._left < 0:
            self._waiting.clear()
            return False
        self._waiting.append(chunk)
        self._unwritten += len(chunk)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE, self._pause)
        if self._unwritten >= _MOST_WAITING:
            self._unwritten = 0
            with contextlib.suppress(RuntimeError):  # no thread can be started any more; close() writes it
                await asyncio.to_thread(self._write)
        return True

    def _pause(self) -> None:
        self._timer, self._unwritten = None, 0
        with contextlib.suppress(RuntimeError):  # no thread can be started any more
            asyncio.get_running_loop().run_in_executor(None, partial(self._write, all_of_it=True))

    def hold(self, body: bytes) -> None:
        """Hold the body that has arrived so far, instead of the pieces of it that are not written yet."""
        with self._lock:
            if unwritten := sum(map(len, self._waiting)):
                self._waiting = deque([memoryview(body)[-unwritten:]])

    async def finish(self, body: bytes | None = None) -> bytes | None:
        """Give the file its name, now that the answer is whole; return its `body`, if given, without keys.

        Returns None where the file could not be written.
        """
        self.complete = not self._failed and self._left >= 0
        self._body = body if self.complete else None
        await self.close()
        return self._body if self.complete else None

    async def close(self) -> None:
        """Write what has arrived, and close the file; if the caller is cancelled, a thread ends that."""
        if self._closed:
            return
        if self._timer:
            self._timer.cancel()
        try:
            await asyncio.shield(asyncio.to_thread(self._close))
        except RuntimeError:  # no thread can be started any more
            self._close()

    def _close(self) -> None:
        self._write(all_of_it=True)
        with self._lock:
            self._closed = True
            if self._file is None:
                return
            os.close(self._file)
            self._file = None
            if self.complete:
                with contextlib.suppress(OSError):
                    os.replace(self.path, self.path.with_suffix(""))
                    self.path = self.path.with_suffix("")

    def _open(self) -> None:
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        try:
            # A call that is sent again keeps its id, and both answers are kept.
            numbers = count(1)
            while self._file is None:
                whole = self._name.with_name(f"{self._name.name}-{next(numbers)}{SUFFIX}")
                self.path = whole.with_name(whole.name + PART)
                with contextlib.suppress(FileExistsError):
                    self._file = None if whole.exists() else os.open(self.path, how, 0o600)
        except OSError:
            self.path, self._failed, self.complete = self._name, True, False
        self._settled = self._put(self._beginning)

    def _write(self, *, all_of_it: bool = False) -> None:
        with self._lock:
            if self._beginning and self._file is None and not (self._failed or self._closed):
                self._open()
            if self._redacted is None:
                for chunk in self._taken():
                    self._settled += self._put(chunk)
                return
            if self._body is not None and self._end == len(self._beginning):
                # Nothing is written yet: all of it at once is not copied.
                self._waiting.clear()
                self._body = redact_bytes(self._body)
                self._settled += self._put(self._body)
                return
            for block in self._blocks():
                self._settled += self._put(self._redacted.feed(*block))
            if all_of_it:  # The tail in which a key may continue is written again when more comes.
                last = copy.copy(self._redacted)
                self._put(last.finish())
                if self._body is not None and last.has_found:
                    self._body = redact_bytes(self._body)

    def _taken(self) -> Iterator[bytes | memoryview]:
        with contextlib.suppress(IndexError):
            while True:
                yield self._waiting.popleft()

    def _blocks(self) -> Iterator[list[bytes | memoryview]]:
        block, size = list[bytes | memoryview](), 0
        for chunk in self._taken():
            block.append(chunk)
            size += len(chunk)
            if size >= _BLOCK:
                yield block
                block, size = [], 0
        yield block

    def _put(self, block: bytes | memoryview) -> int:
        """Write after what is settled, and nothing behind it; return how many bytes that were."""
        done = 0
        try:
            if self._file is not None and not self._failed:
                os.lseek(self._file, self._settled, os.SEEK_SET)
                while done < len(block):
                    done += os.write(self._file, memoryview(block)[done:])
                if self._end > self._settled + done:  # there is a tail that was written provisionally
                    os.ftruncate(self._file, self._settled + done)
                self._end = self._settled + done
        except OSError:  # such as a full disk
            self._failed, self.complete = True, False
        return done


def write(name: Path, headers: Mapping[str, str], content: bytes) -> None:
    """Keep the answer of an engine of this process; raise `OSError` where that fails."""
    write_file(
        name.with_name(f"{name.name}-1{SUFFIX}"), redact_bytes(_head(200, headers)) + redact_bytes(content)
    )


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def read(path: Path, limit: int) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of a kept answer; raise `OSError` or `ValueError` for anything else."""
    data = read_file(path, limit)
    head, end, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    if not end or not first.startswith("HTTP/1.1 "):
        raise ValueError(f"{path.name} is no answer that can be read")
    headers = dict(line.partition(": ")[::2] for line in lines)
    return int(first.removeprefix("HTTP/1.1 ")), headers, body
