"""PNG: a signature and chunks. XMP is an iTXt chunk, C2PA a caBX chunk."""

from __future__ import annotations

import io
import os
import re
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from typing import IO, NamedTuple

from beluga_nb.errors import MetadataError
from beluga_nb.metadata.parts import MOST_SEARCHED, bounded

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
_KEYWORD = b"XML:com.adobe.xmp\0"
_TEXT = re.compile(b"(" + _KEYWORD + rb"\0.[^\0]*\0[^\0]*\0)(.*)", re.DOTALL)
_PLAIN = _KEYWORD + b"\0\0\0\0"  # not compressed, no language, no translated keyword


class Chunk(NamedTuple):
    """A chunk: the file, its name, and its position; it may end behind the end of the file."""

    data: bytes
    name: bytes
    start: int
    end: int

    @property
    def content(self) -> bytes:
        """The bytes between header and checksum."""
        return self.data[self.start + 8 : self.end - 4]


def chunks(data: bytes) -> Iterator[Chunk]:
    """Yield the chunks of a PNG up to IEND, or to the end of a truncated file."""
    start = len(SIGNATURE)
    while start < len(data):
        name, end = data[start + 4 : start + 8], start + 12 + int.from_bytes(data[start : start + 4], "big")
        yield Chunk(data, name, start, end)
        if name == b"IEND":
            return
        start = end


def has_end(data: bytes) -> bool:
    """Whether a PNG holds its last chunk, IEND."""
    for number, chunk in enumerate(islice(chunks(data), MOST_SEARCHED), 1):
        if chunk.name == b"IEND":
            return chunk.start + 12 <= len(data)
        if number == MOST_SEARCHED:
            return True  # it is not searched further
    return False


def with_one_idat(data: bytes) -> IO[bytes] | None:
    """Return a file whose IDAT chunks are joined, without a checksum, or None where there are not several.

    Nothing is copied, and only the first run of these chunks is joined. Pillow reads chunk by
    chunk, does not look at their checksums, and takes the GIL between two of them.
    """
    run: list[Chunk] = []
    for chunk in chunks(data):
        if chunk.name == b"IDAT" and chunk.end <= len(data):
            run.append(chunk)
        elif run:
            break
    if len(run) < 2:
        return None
    view, size = memoryview(data), sum(chunk.end - chunk.start - 12 for chunk in run)
    head = memoryview(struct.pack(">I", size) + b"IDAT")
    contents = (view[chunk.start + 8 : chunk.end - 4] for chunk in run)
    return _Pieces([view[: run[0].start], head, *contents, memoryview(bytes(4)), view[run[-1].end :]])


class _Pieces(io.BytesIO):
    """A file for reading that consists of several pieces, of which only what is read is copied."""

    def __init__(self, pieces: Sequence[memoryview]) -> None:
        super().__init__()
        self._pieces = pieces
        self._starts = [0, *accumulate(map(len, pieces))]
        self._at = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes."""
        start, end = self._at, self._starts[-1]
        if size is not None and size >= 0:
            end = min(end, start + size)
        found, number = [], bisect_right(self._starts, start) - 1
        while self._at < end:
            first = self._starts[number]
            found.append(self._pieces[number][self._at - first : end - first])
            self._at += len(found[-1])
            number += 1
        return b"".join(found)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to another place, and return it."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._starts[-1]}[whence]
        self._at = max(0, origin + offset)
        return self._at

    def tell(self) -> int:
        """Return where the next byte is read."""
        return self._at


def find(data: bytes) -> bytes | None:
    """Return the XMP packet, or None; raise `MetadataError` for a damaged file."""
    chunk = _xmp(data)
    return chunk and _split(chunk)[1]


def put(data: bytes, packet: bytes | None) -> bytes:
    """Return the file with its XMP packet replaced, or removed if `packet` is None."""
    chunk = _xmp(data)
    start, end = (chunk.start, chunk.end) if chunk else (_after_header(data),) * 2
    head = _split(chunk)[0] if chunk else _PLAIN
    return data[:start] + (b"" if packet is None else _chunk(b"iTXt", head + packet)) + data[end:]


def has_c2pa(data: bytes) -> bool:
    """Whether the file holds a signed C2PA manifest."""
    return any(chunk.name == b"caBX" for chunk in _chunks(data))


def without_text(data: bytes) -> bytes:
    """Return the file without its text chunks, which may be damaged or too long for a decoder."""
    kept, start = [], 0
    for chunk in _chunks(data):
        if chunk.name in _TEXTS:
            kept.append(data[start : chunk.start])
            start = chunk.end
    return b"".join([*kept, data[start:]]) if kept else data


def _chunks(data: bytes) -> Iterator[Chunk]:
    return bounded(_undamaged(data), "PNG")


def _undamaged(data: bytes) -> Iterator[Chunk]:
    if not data.startswith(SIGNATURE):
        raise MetadataError("The file is not a PNG.")
    for chunk in chunks(data):
        if chunk.end > len(data):
            raise MetadataError("The PNG ends in the middle of a chunk.")
        yield chunk


def _xmp(data: bytes) -> Chunk | None:
    texts = (chunk for chunk in _chunks(data) if chunk.name == b"iTXt")
    return next((chunk for chunk in texts if chunk.content.startswith(_KEYWORD)), None)


def _split(chunk: Chunk) -> tuple[bytes, bytes]:
    """Return an iTXt chunk's head (keyword, compression, language, translated keyword) and its packet."""
    text = _TEXT.fullmatch(chunk.content)
    if text is None:
        raise MetadataError("The PNG holds compressed XMP, which is left as it is.")
    return text[1], text[2]


def _after_header(data: bytes) -> int:
    first = next(_chunks(data), None)
    if first is None or first.name != b"IHDR":
        raise MetadataError("The PNG does not begin with its header.")
    return first.end


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
