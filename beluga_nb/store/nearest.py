"""The recorded request that is most like one that is not recorded."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from beluga_nb.core import Request
from beluga_nb.store.index import Row
from beluga_nb.store.records import Store

_COMPARED = 500  # characters of two prompts
_PARAMETERS = ("model", "size", "quality", "output_format", "output_compression", "take")


def nearest(request: Request, store: Store) -> Request | None:
    """Return the recorded request that is most like this one; of equals the one with the first key."""
    rows = store.index.table().rows
    matcher = difflib.SequenceMatcher(b=request.prompt[:_COMPARED])  # it remembers its second text
    best, most = None, 0.0
    for bound, place, differences in sorted(_bounds(request, rows)):
        if best is not None and -bound < most:
            break
        matcher.set_seq1(rows[place].prompt[:_COMPARED])
        likeness = 4 * matcher.ratio() - differences
        if best is None or (likeness, -place) > (most, -best):
            best, most = place, likeness
    return None if best is None else rows[best].request


def _bounds(request: Request, rows: Sequence[Row]) -> Iterator[tuple[float, int, float]]:
    """Yield what the likeness of each row cannot exceed, negative; its place; and how many parameters differ.

    A full comparison is slow; this rules most out.
    """
    asked = tuple(getattr(request, name) for name in _PARAMETERS)
    prompts: dict[str, float] = {}
    parameters: dict[tuple[object, ...], int] = {}
    for place, row in enumerate(rows):
        if (ratio := prompts.get(row.prompt)) is None:
            ratio = prompts[row.prompt] = _most_alike(request.prompt[:_COMPARED], row.prompt[:_COMPARED])
        own = (row.model, row.size, row.quality, row.output_format, row.output_compression, row.take)
        if (different := parameters.get(own)) is None:
            different = parameters[own] = sum(one != other for one, other in zip(asked, own, strict=True))
        differences = different + abs(request.sample - row.sample) / 1e6
        yield differences - 4 * ratio, place, differences


def _most_alike(one: str, other: str) -> float:
    """Return what the ratio of two texts cannot exceed: ends in common, and equal characters between."""
    length = len(one) + len(other)
    start = _same(one, other)
    one, other = one[start:], other[start:]
    end = _same(one[::-1], other[::-1])
    one, other = one[: len(one) - end], other[: len(other) - end]
    between = sum(min(one.count(each), other.count(each)) for each in set(one))
    return 2.0 * (start + end + between) / length


def _same(one: str, other: str) -> int:
    """Return how many characters at the start are the same."""
    if one[: len(other)] == other[: len(one)]:
        return min(len(one), len(other))
    return next(place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
