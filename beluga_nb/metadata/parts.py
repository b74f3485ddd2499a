"""A limit on the number of chunks or segments of a picture file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from beluga_nb.errors import MetadataError

T = TypeVar("T")

MOST = 65_536
"""Chunks or segments that are read for metadata; an animation has one for each frame."""

MOST_SEARCHED = 200_000
"""Chunks or segments that are searched for the end of a file; one with more is not decoded (excess.py)."""


def bounded(parts: Iterator[T], whose: str) -> Iterator[T]:
    """Yield the parts of a file; raise `MetadataError` if there are more than `MOST`."""
    for number, part in enumerate(parts):
        if number == MOST:
            raise MetadataError(f"The {whose} has more than {MOST:,} parts.")
        yield part
