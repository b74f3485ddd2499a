"""WebP: chunks in a RIFF file. XMP needs a VP8X header, which is added if it is missing."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from beluga_nb.errors import MetadataError
from beluga_nb.metadata.parts import bounded

_HEAD = 12  # RIFF, the size of what follows, WEBP
_XMP, _ALPHA = 0x04, 0x10  # flags of the VP8X header


class Chunk(NamedTuple):
    """A chunk: its name, its content, and its position with the padding."""

    name: bytes
    content: bytes
    start: int
    end: int


def is_webp(data: bytes) -> bool:
    """Whether data begins as a WebP does."""
    return data[:4] == b"RIFF" and data[8:_HEAD] == b"WEBP"


def has_end(data: bytes) -> bool:
    """Whether a WebP is as long as in its RIFF header."""
    return len(data) >= _end(data)


def find(data: bytes) -> bytes | None:
    """Return the XMP packet, or None; raise `MetadataError` for a damaged file."""
    chunk = _named(b"XMP ", _chunks(data))
    return chunk and chunk.content


def put(data: bytes, packet: bytes | None) -> bytes:
    """Return the file with its XMP packet replaced, or removed if `packet` is None."""
    chunks = _chunks(data)
    body = _without_packet(data, chunks) if packet is None else _with_packet(data, chunks, packet)
    last = chunks[-1].end
    size = int.from_bytes(data[4:8], "little") + len(body) - (last - _HEAD)
    if size >= 1 << 32:
        raise MetadataError("The WebP would be larger than its format allows.")
    return data[:4] + struct.pack("<I", size) + data[8:_HEAD] + body + data[last:]


def has_c2pa(data: bytes) -> bool:
    """Whether the file holds a signed C2PA manifest."""
    return _named(b"C2PA", _chunks(data)) is not None


def _with_packet(data: bytes, chunks: list[Chunk], packet: bytes) -> bytes:
    kept = [data[chunk.start : chunk.end] for chunk in chunks if chunk.name != b"VP8X"]
    own = [number for number, chunk in enumerate(chunks) if chunk.name == b"XMP "]
    place = own[0] - (chunks[0].name == b"VP8X") if own else len(kept)
    kept[place : place + len(own[:1])] = [_chunk(b"XMP ", packet)]
    return _header(chunks, _XMP) + b"".join(kept)


def _without_packet(data: bytes, chunks: list[Chunk]) -> bytes:
    kept = [chunk for chunk in chunks if chunk.name not in {b"XMP ", b"VP8X"}]
    body = b"".join(data[chunk.start : chunk.end] for chunk in kept)
    simple = len(kept) == 1 and kept[0].name in {b"VP8 ", b"VP8L"}
    return body if simple else _header(chunks, 0) + body


def _header(chunks: list[Chunk], xmp: int) -> bytes:
    first = chunks[0]
    if first.name != b"VP8X":
        width, height, alpha = _canvas(first)
        edges = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
        return _chunk(b"VP8X", bytes([xmp | alpha, 0, 0, 0]) + edges)
    if len(first.content) < 10:
        raise MetadataError("The header of the WebP is damaged.")
    return _chunk(b"VP8X", bytes([first.content[0] & ~_XMP | xmp]) + first.content[1:])


def _canvas(image: Chunk) -> tuple[int, int, int]:
    head = image.content[:10]
    if image.name == b"VP8 " and len(head) == 10 and head[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", head[6:])
        return _checked(width & 0x3FFF, height & 0x3FFF, 0)
    if image.name == b"VP8L" and len(head) >= 5 and head[0] == 0x2F:
        bits = int.from_bytes(head[1:5], "little")
        return _checked((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, _ALPHA * (bits >> 28 & 1))
    raise MetadataError("The WebP does not begin with a picture.")


def _checked(width: int, height: int, alpha: int) -> tuple[int, int, int]:
    if not (width and height):
        raise MetadataError("The WebP has no size.")
    return width, height, alpha


def _chunks(data: bytes) -> list[Chunk]:
    chunks = list(bounded(_read(data), "WebP"))
    if not chunks:
        raise MetadataError("The WebP has no chunks.")
    return chunks


def _read(data: bytes) -> Iterator[Chunk]:
    if not is_webp(data):
        raise MetadataError("The file is not a WebP.")
    start, stop = _HEAD, _end(data)
    while start < stop:
        length = int.from_bytes(data[start + 4 : start + 8], "little")
        end = start + 8 + length + length % 2
        if end > min(stop, len(data)):
            raise MetadataError("The WebP ends in the middle of a chunk.")
        yield Chunk(data[start : start + 4], data[start + 8 : start + 8 + length], start, end)
        start = end


def _end(data: bytes) -> int:
    return int.from_bytes(data[4:8], "little") + 8


def _named(name: bytes, chunks: list[Chunk]) -> Chunk | None:
    return next((chunk for chunk in chunks if chunk.name == name), None)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
