"""A limit on the parts of a picture that is decoded: a small file with many parts takes minutes to decode."""

from __future__ import annotations

from itertools import islice

from beluga_nb.metadata import jpeg, png

MAX_SCANS = 100
"""Scans of a JPEG: encoders write up to 20, and each covers all pixels."""

MAX_SEGMENTS = 10_000
"""Segments of a JPEG, and bytes between them before its first scan; Pillow reads both one by one."""

MAX_CHUNKS = 100_000
"""Chunks of a PNG, which Pillow reads one by one."""


def excess(data: bytes) -> str:
    """Return what a PNG or JPEG has too much of, in words, or nothing."""
    if data.startswith(jpeg.SIGNATURE):
        return _excess_of_jpeg(data)
    return _excess_of_png(data) if data.startswith(png.SIGNATURE) else ""


def _excess_of_jpeg(data: bytes) -> str:
    scans = between = 0
    for count, segment in enumerate(jpeg.segments(data), 1):
        if segment.marker == jpeg.END:
            break
        if not scans:
            if data[segment.start] != 0xFF:
                return ""  # damaged, which the decoder reports
            between += segment.at - segment.start
        scans += segment.marker == jpeg.SCAN
        if scans > MAX_SCANS:
            return f"more than {MAX_SCANS:,} scans"
        if max(count, between) > MAX_SEGMENTS:
            return f"more than {MAX_SEGMENTS:,} segments"
    return ""


def _excess_of_png(data: bytes) -> str:
    count = sum(chunk.name != b"IEND" for chunk in islice(png.chunks(data), MAX_CHUNKS))
    return f"more than {MAX_CHUNKS:,} chunks" if count == MAX_CHUNKS else ""
