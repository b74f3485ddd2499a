"""The parts of a picture file, as many as are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from beluga_nb.errors import MetadataError

T = TypeVar("T")

MOST = 65_536
"""Chunks or segments of a file that is read: a film has one for each frame."""


def bounded(parts: Iterator[T], whose: str) -> Iterator[T]:
    """Yield the parts of a file; raise `MetadataError` where there are more than `MOST`."""
    for number, part in enumerate(parts):
        if number == MOST:
            raise MetadataError(f"The {whose} has more than {MOST:,} parts.")
        yield part
