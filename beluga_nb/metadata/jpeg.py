"""JPEG: segments up to the scan. XMP is an APP1 segment, C2PA a JUMBF box in APP11 segments."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from beluga_nb.errors import MetadataError
from beluga_nb.metadata.parts import MOST_SEARCHED, bounded

SIGNATURE = b"\xff\xd8"
SCAN, END = 0xDA, 0xD9
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_EXIF = b"Exif\0"
_APP0, _APP1, _APP11 = 0xE0, 0xE1, 0xEB

# The markers with a length. Others may stand in a scan: stuffed and fill bytes, restarts, TEM and SOI.
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd9-\xfe])")

LONGEST = 65_502
"""Bytes of a packet that a segment can hold (XMP specification, part 3)."""


class Segment(NamedTuple):
    """A segment: the file, its marker, and its position; it may end behind the end of the file.

    `start` is the end of the segment before, `at` the place of the marker: fill bytes or a scan lie between.
    """

    data: bytes
    marker: int
    start: int
    at: int
    end: int

    @property
    def content(self) -> bytes:
        """The bytes behind marker and length."""
        return self.data[self.at + 4 : self.end]


def segments(data: bytes) -> Iterator[Segment]:
    """Yield the segments of a JPEG up to EOI, or to the end of a truncated file."""
    start = len(SIGNATURE)
    while found := _MARKER.search(data, start):
        marker, at = found[1][0], found.start()
        # Skip the content of a segment: the thumbnail in it has an EOI of its own.
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield Segment(data, marker, start, at, end)
        if marker == END:
            return
        start = end


def has_end(data: bytes) -> bool:
    """Whether a JPEG holds its last marker, EOI."""
    for number, segment in enumerate(islice(segments(data), MOST_SEARCHED), 1):
        if segment.marker == END or number == MOST_SEARCHED:
            return True
    return False


def find(data: bytes) -> bytes | None:
    """Return the XMP packet, or None; raise `MetadataError` for a damaged file."""
    segment = _xmp(data)
    return segment and segment.content[len(_XMP) :]


def put(data: bytes, packet: bytes | None) -> bytes:
    """Return the file with its XMP packet replaced, or removed if `packet` is None."""
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
    return bounded(_undamaged(data), "JPEG")


def _undamaged(data: bytes) -> Iterator[Segment]:
    """Yield the segments before the first scan."""
    if not data.startswith(SIGNATURE):
        raise MetadataError("The file is not a JPEG.")
    for segment in segments(data):
        if data[segment.start : segment.at].strip(b"\xff"):
            break
        if segment.marker in {SCAN, END}:
            return
        if segment.end < segment.at + 4 or segment.end > len(data):
            raise MetadataError("The JPEG ends in the middle of a segment.")
        yield segment
    raise MetadataError("The JPEG is damaged before its scan.")


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
