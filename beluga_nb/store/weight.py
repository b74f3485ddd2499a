"""The bytes that pictures take in the file of a notebook."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from beluga_nb.store.notebooks import loaded, outputs_of
from beluga_nb.text import plural, sanitize

_IN_HTML = re.compile(r'"data:image/[^"]*"')
_NAMED = 3  # of the heaviest cells
_MEGABYTE = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Weight:
    """The bytes of a notebook's file, and those of its pictures by the number of their cell, from 1.

    A picture that an output holds both as HTML and as an image counts once; the bytes of both count.
    """

    name: str
    size: int
    pictures: int
    by_cell: Mapping[int, int]

    @property
    def weight(self) -> int:
        """The bytes that are pictures."""
        return sum(self.by_cell.values())

    def __str__(self) -> str:
        size = f"{self.name}, as it was saved: {_megabytes(self.size)}"
        if not self.pictures:
            return f"{size}, no pictures"
        share = f"{_megabytes(self.weight)} are {plural(self.pictures, 'picture')}"
        heaviest = sorted(self.by_cell.items(), key=lambda each: -each[1])[:_NAMED]
        cells = ", ".join(f"cell {cell} {_megabytes(weight)}" for cell, weight in heaviest)
        return f"{size}, of which {share}; heaviest: {cells}"


def weigh(path: Path) -> Weight:
    """Return the weight of a notebook; raise `StoreError` for a file that is not a notebook."""
    return loaded(path, lambda data: _weight(path.name, data))


def _weight(name: str, data: bytes) -> Weight:
    by_cell: Counter[int] = Counter()
    pictures = 0
    for cell, shown in outputs_of(data):
        in_html = _IN_HTML.findall(shown.get("text/html", ""))
        images = [content for kind, content in shown.items() if kind.startswith("image/")]
        if in_html or images:
            by_cell[cell] += sum(map(len, [*in_html, *images]))
            pictures += len(in_html) or 1
    return Weight(name=sanitize(name), size=len(data), pictures=pictures, by_cell=by_cell)


def _megabytes(count: int) -> str:
    return f"{count / _MEGABYTE:.2f} MB"
