"""How many parts a picture has: a small file of many takes long to read, and is looked at before it is."""

from __future__ import annotations

import re

from beluga_nb.metadata import jpeg, png

MAX_SCANS = 100
"""Scans of a JPEG: encoders write up to 20, and each goes over all pixels."""

MAX_SEGMENTS = 10_000
"""Segments of a JPEG, and bytes between them before its first scan, which Pillow reads one by one."""

MAX_CHUNKS = 100_000
"""Chunks of a PNG, likewise."""

# All markers but those without a length, which may stand in a scan: fill bytes, restarts, TEM and SOI.
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd9-\xfe])")
_SCAN, _END = b"\xda", b"\xd9"


def excess(data: bytes) -> str:
    """Return what a PNG or JPEG has too much of, in words, or nothing."""
    if data.startswith(jpeg.SIGNATURE):
        return _excess_of_jpeg(data)
    return _excess_of_png(data) if data.startswith(png.SIGNATURE) else ""


def _excess_of_jpeg(data: bytes) -> str:
    scans = segments = between = 0
    at = len(jpeg.SIGNATURE)
    while (marker := _MARKER.search(data, at)) and marker[1] != _END:
        if not scans:
            if data[at] != 0xFF:
                return ""  # damaged, which is soon found
            between += marker.start() - at
        scans, segments = scans + (marker[1] == _SCAN), segments + 1
        if scans > MAX_SCANS:
            return f"more than {MAX_SCANS:,} scans"
        if max(segments, between) > MAX_SEGMENTS:
            return f"more than {MAX_SEGMENTS:,} segments"
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return ""


def _excess_of_png(data: bytes) -> str:
    at = len(png.SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if at >= len(data) or data[at + 4 : at + 8] == b"IEND":
            return ""
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return f"more than {MAX_CHUNKS:,} chunks"
