"""Reproducible random numbers from a hash, the same on every machine and for every NumPy."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

Floats = NDArray[np.float64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def seed_of(*parts: str | int) -> int:
    """Return the 64-bit seed of these parts; any text will do, lone surrogates too."""
    digest = blake2b(digest_size=8)
    for part in parts:
        text = str(part).encode("utf-8", "surrogatepass")
        digest.update(len(text).to_bytes(8, "big") + text)
    return int.from_bytes(digest.digest(), "big")


def splitmix(start: int, n: int) -> NDArray[np.uint64]:
    """Return n numbers of the splitmix64 sequence that begins at start."""
    z = np.uint64(start) + np.arange(1, n + 1, dtype=np.uint64) * GOLDEN
    z = (z ^ (z >> np.uint64(30))) * FIRST
    z = (z ^ (z >> np.uint64(27))) * SECOND
    return z ^ (z >> np.uint64(31))


@dataclass(frozen=True, slots=True)
class Stream:
    """A seed whose numbers are asked for by name, so that a new question moves no old answer."""

    seed: int

    def child(self, label: str | int) -> "Stream":
        """Return the stream of a part."""
        return Stream(seed_of(self.seed, label))

    def many(self, label: str, n: int, low: float = 0.0, high: float = 1.0) -> Floats:
        """Return n numbers in [low, high)."""
        unit = (splitmix(seed_of(self.seed, label), n) >> np.uint64(11)).astype(np.float64) / 2.0**53
        return low + unit * (high - low)

    def one(self, label: str, low: float = 0.0, high: float = 1.0) -> float:
        """Return one number in [low, high)."""
        return low + (seed_of(self.seed, label) >> 11) / 2.0**53 * (high - low)

    def whole(self, label: str, low: int, high: int) -> int:
        """Return a whole number from low to high, both included."""
        return low + seed_of(self.seed, label) % (high - low + 1)

    def pick(self, label: str, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[seed_of(self.seed, label) % len(options)]
