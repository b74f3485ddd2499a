"""Pictures behind the links of `url` answers: in memory, for a while, and never too many."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from beluga_nb.images import SUFFIXES
from beluga_nb.result import Picture

LIFETIME = 60 * 60.0
"""Seconds that a link works."""

MOST_BYTES = 256 * 1024 * 1024
"""Bytes that are kept; the oldest files are dropped first."""


@dataclass(frozen=True)
class File:
    """A picture's bytes and media type, until `expires` on the clock of `FileCache`."""

    data: bytes
    media_type: str
    expires: float


class FileCache:
    """Keep pictures under names that cannot be guessed (128 random bits)."""

    def __init__(
        self,
        *,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most_bytes = most_bytes
        self.clock = clock
        self._files: dict[str, File] = {}  # oldest first
        self._bytes = 0

    def put(self, picture: Picture) -> str:
        """Keep the picture and return its name, such as `9f86….png`."""
        name = secrets.token_hex(16) + SUFFIXES.get(picture.media_type, ".bin")
        self._files[name] = File(picture.data, picture.media_type, self.clock() + LIFETIME)
        self._bytes += len(picture.data)
        self._tidy()
        return name

    def get(self, name: str) -> File | None:
        """Return the file of that name, or None where there is none any more."""
        self._tidy()
        return self._files.get(name)

    def _tidy(self) -> None:
        moment = self.clock()
        while self._files:
            oldest = next(iter(self._files))
            alone = len(self._files) == 1
            # The newest one stays, however large: its link was just sent.
            if self._files[oldest].expires > moment and (self._bytes <= self.most_bytes or alone):
                return
            self._bytes -= len(self._files.pop(oldest).data)
