"""Votes as data: who answered what, how far voters agree, and what speaks against trusting their votes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations, pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, overload

from beluga_nb.compare.vote import Duel
from beluga_nb.redaction import redacted_bundle
from beluga_nb.result import Bundle
from beluga_nb.store.votes import BOTH_BAD, LEFT, RIGHT, TIE

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = ("time", "voter", "common", "number", "left", "right", "answer", "preferred")
"""The columns of `Votes.to_frame`."""

_SURE = 1.959964  # deviations to each side of a Gaussian that hold 95 % of it


@dataclass(frozen=True, kw_only=True)
class Share:
    """How many of some are so."""

    count: int
    of: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the share lies with 95 % if all are independent (Wilson, 1927); None of nothing."""
        if not self.of:
            return None
        share, weight = self.count / self.of, _SURE**2 / self.of
        middle = (share + weight / 2) / (1 + weight)
        half = math.sqrt(share * (1 - share) * weight + weight**2 / 4) / (1 + weight)
        return middle - half, middle + half


@dataclass(frozen=True, kw_only=True)
class Votes(Sequence[Duel]):
    """The votes on some pictures that differ in `by`, the oldest first."""

    by: str
    rows: tuple[Duel, ...]
    caveat: str = ""

    @property
    def agreement(self) -> float | None:
        """How far voters agree: Krippendorff's alpha for nominal values; None where no two judged one pair.

        1 is full agreement, and 0 what chance would give. Each pair counts with its names in both orders, so
        that nothing depends on which is the first. If a voter judged a pair twice, the last vote counts.
        """
        units: dict[_Pair, list[str]] = {}
        for (_, pair), given in self._given().items():
            units.setdefault(pair, []).append(_preferred(given[-1]))
        return alpha(units.values(), turned={FIRST: SECOND, SECOND: FIRST})

    @property
    def left(self) -> Share:
        """How often the picture on the left was preferred, of the votes that prefer one."""
        answers = Counter(row.answer for row in self.rows)
        return Share(count=answers[LEFT], of=answers[LEFT] + answers[RIGHT])

    @property
    def repeated(self) -> Share:
        """How often a voter answered a pair as the time before, of the pairs that they judged again."""
        again = [
            _preferred(one) == _preferred(other)
            for given in self._given().values()
            for one, other in pairwise(given)
        ]
        return Share(count=sum(again), of=len(again))

    @property
    def intransitive(self) -> Share:
        """How often a voter preferred a to b, b to c and c to a, of the triples that they judged."""
        beaten: dict[tuple[str, Hashable], set[tuple[str, str]]] = {}
        for (voter, (sample, first, second)), given in self._given().items():
            preferred = _preferred(given[-1])
            if preferred in {FIRST, SECOND}:
                order = (first, second) if preferred == FIRST else (second, first)
                beaten.setdefault((voter, sample), set()).add(order)
        cycles = [cycle for orders in beaten.values() for cycle in _cycles(orders)]
        return Share(count=sum(cycles), of=len(cycles))

    def to_frame(self) -> DataFrame:
        """Return a pandas DataFrame with a line for each vote; `common` is what both pictures share."""
        from beluga_nb.show.frame import frame

        return frame([_line(row) for row in self.rows], COLUMNS)

    def _given(self) -> dict[tuple[str, _Pair], list[Duel]]:
        """Return the votes of each voter on each pair of pictures."""
        found: dict[tuple[str, _Pair], list[Duel]] = {}
        for row in self.rows:
            first, second = sorted((row.left, row.right))
            found.setdefault((row.voter, (row.sample, first, second)), []).append(row)
        return found

    @overload
    def __getitem__(self, index: int) -> Duel: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Duel]: ...
    def __getitem__(self, index: int | slice) -> Duel | Sequence[Duel]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        from beluga_nb.show.ranking import votes_bundle

        return redacted_bundle(votes_bundle(self))


FIRST, SECOND = "first", "second"
"""Which of two names was preferred, in their alphabetical order."""

_Pair = tuple[Hashable, str, str]


def _preferred(vote: Duel) -> str:
    if vote.answer in {TIE, BOTH_BAD}:
        return vote.answer
    return FIRST if (vote.answer == LEFT) == (vote.left < vote.right) else SECOND


def _cycles(orders: set[tuple[str, str]]) -> Iterator[bool]:
    """Yield whether each triple of names that is ordered by pairs is a cycle."""
    names = sorted({name for order in orders for name in order})
    for triple in combinations(names, 3):
        wins = Counter(one for one, other in orders if {one, other} <= set(triple))
        if wins.total() == 3:
            yield set(wins.values()) == {1}


def _line(vote: Duel) -> dict[str, object]:
    labels, number = vote.sample
    preferred = {LEFT: vote.left, RIGHT: vote.right}.get(vote.answer, "")
    return dict(
        zip(
            COLUMNS,
            (
                datetime.fromtimestamp(vote.time, UTC),
                vote.voter,
                " · ".join(label for _, label in labels),
                number,
                vote.left,
                vote.right,
                vote.answer,
                preferred,
            ),
            strict=True,
        )
    )


def alpha(
    units: Iterable[Sequence[Hashable]], *, turned: Mapping[Hashable, Hashable] = MappingProxyType({})
) -> float | None:
    """Return Krippendorff's alpha for nominal values; None where it is not defined.

    Each unit has the values that its observers gave; units with one value do not count. Values that `turned`
    maps to each other are equally probable by chance. Krippendorff, "Computing Krippendorff's
    Alpha-Reliability", 2011.

    >>> round(alpha([["a", "a"], ["b", "b"], ["a", "b"]]), 3)
    0.444
    """
    pairable = [Counter(unit) for unit in units if len(unit) > 1]
    found = sum(pairable, Counter())
    totals = [(found[each] + found[turned.get(each, each)]) / 2 for each in {*found, *turned}]
    count = found.total()
    expected = count**2 - sum(each**2 for each in totals)
    if not expected:
        return None
    observed = sum(
        (unit.total() ** 2 - sum(each**2 for each in unit.values())) / (unit.total() - 1) for unit in pairable
    )
    return 1 - (count - 1) * observed / expected
