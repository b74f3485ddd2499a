"""The recorded request that is most like one that is not recorded."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter

from beluga_nb.request import Request
from beluga_nb.store.index import Row
from beluga_nb.store.records import Store

_COMPARED = 500  # characters of a prompt
_WITH_ORDER = 200  # recordings whose letters are compared in order, which takes longer
_parameters = attrgetter("model", "size", "quality", "output_format", "output_compression", "take")


def nearest_recording(request: Request, store: Store) -> Request | None:
    """Return the recorded request that is most like this one; of equals the one with the first key."""
    rows, prompt = store.index.table().rows, request.prompt[:_COMPARED]

    def distance(place: int, differences: float) -> float:
        row = rows[place]
        return differences - 4 * _ratio(_in_order(prompt, row.prompt[:_COMPARED]), prompt, row)

    nearer = heapq.nsmallest(_WITH_ORDER, _distances(request, rows))
    exact = [(distance(place, differences), place) for _, place, differences in nearer]
    return rows[min(exact)[1]].request if exact else None


def _distances(request: Request, rows: Sequence[Row]) -> Iterator[tuple[float, int, float]]:
    """Yield for each row a lower bound of its distance, its index, and its distance in parameters alone."""
    asked = _parameters(request)
    letters = Counter(request.prompt[:_COMPARED])
    alike: dict[str, float] = {}
    different: dict[tuple[object, ...], int] = {}
    for place, row in enumerate(rows):
        prompt = row.prompt
        if prompt not in alike:
            alike[prompt] = _ratio(_letters(letters, prompt[:_COMPARED]), request.prompt, row)
        own = _parameters(row)
        if own not in different:
            different[own] = sum(one != other for one, other in zip(asked, own, strict=True))
        differences = different[own] + abs(request.sample - row.sample) / 1e6
        yield differences - 4 * alike[prompt], place, differences


def _ratio(same: int, prompt: str, row: Row) -> float:
    return 2 * same / (min(len(prompt), _COMPARED) + min(len(row.prompt), _COMPARED))


def _letters(letters: Mapping[str, int], text: str) -> int:
    """Return how many letters two texts share, in any order."""
    same = 0
    for letter, most in letters.items():
        found = text.count(letter)
        same += found if found < most else most
    return same


def _in_order(one: str, other: str) -> int:
    """Return how long the longest common subsequence is (Hyyrö 2004, a bit for each letter)."""
    places: dict[str, int] = {}
    for place, letter in enumerate(one):
        places[letter] = places.get(letter, 0) | 1 << place
    rest = everything = (1 << len(one)) - 1
    for letter in other:
        found = rest & places.get(letter, 0)
        rest = (rest + found) | (rest - found)
    return len(one) - (rest & everything).bit_count()
