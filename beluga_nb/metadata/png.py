"""PNG: a signature and chunks. XMP is an iTXt chunk, C2PA a caBX chunk."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from beluga_nb.errors import MetadataError
from beluga_nb.metadata.parts import bounded

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
_KEYWORD = b"XML:com.adobe.xmp\0"
_TEXT = re.compile(b"(" + _KEYWORD + rb"\0.[^\0]*\0[^\0]*\0)(.*)", re.DOTALL)
_PLAIN = _KEYWORD + b"\0\0\0\0"  # not compressed, no language, no translated keyword


class Chunk(NamedTuple):
    """A chunk: its name, its content, and where it stands in the file."""

    name: bytes
    content: bytes
    start: int
    end: int


def find(data: bytes) -> bytes | None:
    """Return the XMP packet, or None; raise `MetadataError` for a damaged file."""
    chunk = _xmp(data)
    return chunk and _parts(chunk)[1]


def put(data: bytes, packet: bytes | None) -> bytes:
    """Return the file with this packet in the place of its own, or with none."""
    chunk = _xmp(data)
    start, end = (chunk.start, chunk.end) if chunk else (_after_header(data),) * 2
    head = _parts(chunk)[0] if chunk else _PLAIN
    return data[:start] + (b"" if packet is None else _chunk(b"iTXt", head + packet)) + data[end:]


def has_c2pa(data: bytes) -> bool:
    """Whether the file holds a signed C2PA manifest."""
    return any(chunk.name == b"caBX" for chunk in _chunks(data))


def without_text(data: bytes) -> bytes:
    """Return the file without its texts, which may be damaged or too long for a decoder."""
    kept, start = [], 0
    for chunk in _chunks(data):
        if chunk.name in _TEXTS:
            kept.append(data[start : chunk.start])
            start = chunk.end
    return b"".join([*kept, data[start:]]) if kept else data


def _chunks(data: bytes) -> Iterator[Chunk]:
    return bounded(_read(data), "PNG")


def _read(data: bytes) -> Iterator[Chunk]:
    start = len(SIGNATURE)
    if not data.startswith(SIGNATURE):
        raise MetadataError("The file is no PNG.")
    while start < len(data):
        length = int.from_bytes(data[start : start + 4], "big")
        end = start + 12 + length
        if end > len(data):
            raise MetadataError("The PNG ends in the middle of a chunk.")
        name = data[start + 4 : start + 8]
        # Pixels are the bulk of a file, and nobody asks for them here.
        yield Chunk(name, b"" if name == b"IDAT" else data[start + 8 : end - 4], start, end)
        if name == b"IEND":
            return
        start = end


def _xmp(data: bytes) -> Chunk | None:
    texts = (chunk for chunk in _chunks(data) if chunk.name == b"iTXt")
    return next((chunk for chunk in texts if chunk.content.startswith(_KEYWORD)), None)


def _parts(chunk: Chunk) -> tuple[bytes, bytes]:
    """Return what stands before the packet (keyword, compression, two languages), and the packet."""
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
