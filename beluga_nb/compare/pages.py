"""Pages of a large grid: each is small enough to be shown, and each cell is on exactly one page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import overload

from beluga_nb.compare.axes import Study
from beluga_nb.compare.cell import Cell

MOST_SHOWN = 200
"""Pictures of a grid that go into a notebook; a larger grid is shown in pages."""

MOST_ON_PAGE = 40
"""Pictures of a page: with their recipes they are less than 1 MB of HTML."""

Key = tuple[str, ...]
"""Labels of a cell, in the order of some axes."""


class Pages(Sequence[list[Cell]]):
    """The cells of a grid in pages of at most `most`.

    A page has some labels of each dimension, and all cells with these. With `spread` the labels are evenly
    spaced, so that each page is a sample of the whole; without, they are adjacent. If a grid lacks some
    combinations, its cells are divided instead of its labels, and a page is a list (`is_list`).

    >>> Pages.sizes([10, 10_000], 40)
    [10, 4]
    """

    def __init__(self, study: Study, by_key: Mapping[Key, Cell], *, most: int, spread: bool = True) -> None:
        self.names = [" · ".join(axis.name for axis in axes) for axes in study.dimensions]
        self.cells = list(by_key.values())
        self._by_key = by_key
        self._spread = spread
        numbers = {axis.name: number for number, axis in enumerate(study.axes)}
        self._axes = [[numbers[axis.name] for axis in axes] for axes in study.dimensions]
        # In the order of the cells, which is that of the labels.
        self._rows = [
            list(dict.fromkeys(tuple(key[axis] for axis in axes) for key in by_key)) for axes in self._axes
        ]
        self.lengths = [len(rows) for rows in self._rows]
        self.is_list = math.prod(self.lengths) != len(self.cells)
        if self.is_list:
            self._counts = [-(-len(self.cells) // most)]
        else:
            sizes = self.sizes(self.lengths, most)
            self._counts = [-(-length // size) for length, size in zip(self.lengths, sizes, strict=True)]

    @staticmethod
    def sizes(lengths: Sequence[int], most: int) -> list[int]:
        """Return how many labels of each dimension a page has: all of the shortest, if there is room."""
        sizes = list(lengths)
        shortest = sorted(range(len(lengths)), key=lengths.__getitem__)
        for done, number in enumerate(shortest):
            others = len(lengths) - done - 1
            # All labels where three of each other dimension fit too, else an equal share of the room.
            # Rounded first, since 8 ** (1 / 3) is below 2.
            if lengths[number] > most // 3**others:
                sizes[number] = min(lengths[number], int(round(most ** (1 / (others + 1)), 9)))
            most //= sizes[number]
        return sizes

    def __len__(self) -> int:
        return math.prod(self._counts)

    @overload
    def __getitem__(self, number: int) -> list[Cell]: ...
    @overload
    def __getitem__(self, number: slice) -> list[list[Cell]]: ...
    def __getitem__(self, number: int | slice) -> list[Cell] | list[list[Cell]]:
        if isinstance(number, slice):
            return [self[each] for each in range(len(self))[number]]
        if self.is_list:
            return self.cells[self._slice(range(len(self))[number], len(self.cells), len(self))]
        found = []
        for chosen in product(*self.labels(number)):
            key = [""] * sum(map(len, self._axes))
            for axes, labels in zip(self._axes, chosen, strict=True):
                for axis, label in zip(axes, labels, strict=True):
                    key[axis] = label
            found.append(self._by_key[tuple(key)])
        return found

    def labels(self, number: int) -> list[list[Key]]:
        """Return the labels of each dimension that a page has."""
        number = range(len(self))[number]
        places: list[int] = []
        # The digits of a number with mixed bases: the last dimension changes fastest.
        for count in reversed(self._counts):
            number, place = divmod(number, count)
            places.insert(0, place)
        return [
            rows[self._slice(place, len(rows), count)]
            for rows, place, count in zip(self._rows, places, self._counts, strict=True)
        ]

    def _slice(self, place: int, length: int, count: int) -> slice:
        if self._spread:
            return slice(place, None, count)
        return slice(place * length // count, (place + 1) * length // count)
