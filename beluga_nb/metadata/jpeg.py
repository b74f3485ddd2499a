"""JPEG: segments up to the scan. XMP is an APP1 segment, C2PA a JUMBF box in APP11 segments."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from beluga_nb.errors import MetadataError
from beluga_nb.metadata.parts import bounded

SIGNATURE = b"\xff\xd8"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_EXIF = b"Exif\0"
_APP0, _APP1, _APP11, _SCAN, _END = 0xE0, 0xE1, 0xEB, 0xDA, 0xD9

_MARKER = re.compile(rb"\xff++[^\xff]", re.DOTALL)  # a marker may be filled up

LONGEST = 65_502
"""Bytes of a packet that a segment can hold (XMP specification, part 3)."""


class Segment(NamedTuple):
    """A segment before the scan: its marker, its content, and where it stands in the file."""

    marker: int
    content: bytes
    start: int
    end: int


def find(data: bytes) -> bytes | None:
    """Return the XMP packet, or None; raise `MetadataError` for a damaged file."""
    segment = _xmp(data)
    return segment and segment.content[len(_XMP) :]


def put(data: bytes, packet: bytes | None) -> bytes:
    """Return the file with this packet in the place of its own, or with none."""
    if packet is not None and len(packet) > LONGEST:
        raise MetadataError(f"A JPEG holds {LONGEST:,} bytes of XMP, and this would take {len(packet):,}.")
    segment = _xmp(data)
    start, end = (segment.start, segment.end) if segment else (_after_head(data),) * 2
    return data[:start] + (b"" if packet is None else _segment(_XMP + packet)) + data[end:]


def has_c2pa(data: bytes) -> bool:
    """Whether the file holds a signed C2PA manifest, or any other JUMBF box."""
    return any(
        segment.marker == _APP11 and segment.content.startswith(b"JP") and b"jumb" in segment.content[:24]
        for segment in _segments(data)
    )


def _segments(data: bytes) -> Iterator[Segment]:
    return bounded(_read(data), "JPEG")


def _read(data: bytes) -> Iterator[Segment]:
    if not data.startswith(SIGNATURE):
        raise MetadataError("The file is no JPEG.")
    start = len(SIGNATURE)
    while True:
        marker = _MARKER.match(data, start)
        if marker is None:
            raise MetadataError("The JPEG is damaged before its scan.")
        at = marker.end() - 1
        if data[at] in {_SCAN, _END}:
            return
        end = at + 1 + int.from_bytes(data[at + 1 : at + 3], "big")
        if end < at + 3 or end > len(data):
            raise MetadataError("The JPEG ends in the middle of a segment.")
        yield Segment(data[at], data[at + 3 : end], start, end)
        start = end


def _xmp(data: bytes) -> Segment | None:
    texts = (segment for segment in _segments(data) if segment.marker == _APP1)
    return next((segment for segment in texts if segment.content.startswith(_XMP)), None)


def _after_head(data: bytes) -> int:
    end = len(SIGNATURE)
    for segment in _segments(data):
        if segment.marker != _APP0 and not (segment.marker == _APP1 and segment.content.startswith(_EXIF)):
            break
        end = segment.end
    return end


def _segment(content: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content
