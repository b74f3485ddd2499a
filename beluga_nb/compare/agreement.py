"""Votes as data: who answered what, how far voters agree, and what speaks against trusting their votes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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

COLUMNS = (
    *("time", "voter", "common", "number", "left", "right", "answer", "preferred"),
    *("criterion", "seconds", "excluded", "left_sha256", "right_sha256"),
)
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
    """The votes on some pictures that differ in `by`, the oldest first.

    Those of excluded voters are in it, and its properties do not count them.
    """

    by: str
    rows: tuple[Duel, ...]
    caveat: str = ""

    @property
    def counted(self) -> tuple[Duel, ...]:
        """The votes of voters who are not excluded."""
        return tuple(row for row in self.rows if not row.excluded)

    @property
    def by_voter(self) -> dict[str, Votes]:
        """The votes of each voter, excluded or not: so it can be seen why one should be."""
        found: dict[str, list[Duel]] = {}
        for row in self.rows:
            found.setdefault(row.voter, []).append(replace(row, excluded=""))
        return {voter: replace(self, rows=tuple(rows)) for voter, rows in sorted(found.items())}

    @property
    def agreement(self) -> float | None:
        """How far voters agree: Krippendorff's alpha for nominal values; None where no two judged one pair.

        1 is full agreement, and 0 what chance would give. Each pair counts with its names in both orders, so
        that nothing depends on which is the first. If a voter judged a pair twice, the last vote counts.
        """
        return alpha([list(given.values()) for given in self._by_pair().values()], turned=_TURNED)

    @property
    def fleiss_kappa(self) -> float | None:
        """Fleiss' kappa of all voters, over the pairs that each of them judged; None where there are none."""
        voters = {row.voter for row in self.counted}
        units = [list(given.values()) for given in self._by_pair().values() if given.keys() == voters]
        return fleiss_kappa(units, turned=_TURNED)

    @property
    def cohen_kappa(self) -> dict[tuple[str, str], float | None]:
        """Cohen's kappa of each two voters, over the pairs that both judged; None where it is not defined."""
        both: dict[tuple[str, str], list[tuple[Hashable, Hashable]]] = {
            two: [] for two in combinations(sorted({row.voter for row in self.counted}), 2)
        }
        for pair in self._by_pair().values():
            for one, other in combinations(sorted(pair), 2):
                both[one, other].append((pair[one], pair[other]))
        return {two: cohen_kappa(values, turned=_TURNED) for two, values in both.items()}

    @property
    def left(self) -> Share:
        """How often the picture on the left was preferred, of the votes that prefer one."""
        answers = Counter(row.answer for row in self.counted)
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
        beaten: dict[Hashable, set[tuple[str, str]]] = {}
        for (voter, (criterion, sample, first, second)), given in self._given().items():
            preferred = _preferred(given[-1])
            if preferred in {FIRST, SECOND}:
                order = (first, second) if preferred == FIRST else (second, first)
                beaten.setdefault((voter, criterion, sample), set()).add(order)
        cycles = [cycle for orders in beaten.values() for cycle in _cycles(orders)]
        return Share(count=sum(cycles), of=len(cycles))

    def to_frame(self) -> DataFrame:
        """Return a pandas DataFrame with a line for each vote; `common` is what both pictures share."""
        from beluga_nb.show.frame import frame

        return frame([_line(row) for row in self.rows], COLUMNS)

    def _given(self) -> dict[tuple[str, _Pair], list[Duel]]:
        """Return the votes of each voter on each pair of pictures."""
        found: dict[tuple[str, _Pair], list[Duel]] = {}
        for row in self.counted:
            first, second = sorted((row.left, row.right))
            found.setdefault((row.voter, (row.criterion, row.sample, first, second)), []).append(row)
        return found

    def _by_pair(self) -> dict[_Pair, dict[str, str]]:
        """Return the last answer of each voter to each pair."""
        found: dict[_Pair, dict[str, str]] = {}
        for (voter, pair), given in self._given().items():
            found.setdefault(pair, {})[voter] = _preferred(given[-1])
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

_Turned = Mapping[Hashable, Hashable]

_TURNED: _Turned = MappingProxyType({FIRST: SECOND, SECOND: FIRST})

_Pair = tuple[str, Hashable, str, str]  # the criterion, the sample, and both names


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
    when, common = datetime.fromtimestamp(vote.time, UTC), " · ".join(label for _, label in labels)
    asked = (when, vote.voter, common, number, vote.left, vote.right, vote.answer, preferred)
    more = (vote.criterion, vote.seconds, vote.excluded, *vote.pictures)
    return dict(zip(COLUMNS, (*asked, *more), strict=True))


def alpha(units: Iterable[Sequence[Hashable]], *, turned: _Turned = MappingProxyType({})) -> float | None:
    """Return Krippendorff's alpha for nominal values; None where it is not defined.

    Each unit has the values that its observers gave; units with one value do not count. Values that `turned`
    maps to each other are equally probable by chance. Krippendorff, "Computing Krippendorff's
    Alpha-Reliability", 2011.

    >>> round(alpha([["a", "a"], ["b", "b"], ["a", "b"]]), 3)
    0.444
    """
    pairable = [Counter(unit) for unit in units if len(unit) > 1]
    found = sum(pairable, Counter())
    count = found.total()
    expected = count**2 - sum(each**2 for each in _totals(found, turned).values())
    if not expected:
        return None
    observed = sum(
        (unit.total() ** 2 - sum(each**2 for each in unit.values())) / (unit.total() - 1) for unit in pairable
    )
    return 1 - (count - 1) * observed / expected


def cohen_kappa(
    pairs: Sequence[tuple[Hashable, Hashable]], *, turned: _Turned = MappingProxyType({})
) -> float | None:
    """Return Cohen's kappa of two observers' values of the same units; None where it is not defined.

    `turned` is as in `alpha`. Cohen, "A Coefficient of Agreement for Nominal Scales", 1960.

    >>> cohen_kappa([("a", "a"), ("b", "b"), ("a", "b"), ("b", "a")])
    0.0
    """
    one, other = (_totals(Counter(pair[place] for pair in pairs), turned) for place in (0, 1))
    expected = sum(count * other.get(value, 0) for value, count in one.items())
    return _above_chance(sum(len({*pair}) == 1 for pair in pairs), expected, len(pairs))


def fleiss_kappa(
    units: Sequence[Sequence[Hashable]], *, turned: _Turned = MappingProxyType({})
) -> float | None:
    """Return Fleiss' kappa of units that have equally many values each; None where it is not defined.

    `turned` is as in `alpha`. Fleiss, "Measuring Nominal Scale Agreement among Many Raters", 1971.

    >>> fleiss_kappa([["a", "a"], ["b", "b"]])
    1.0
    """
    found = [Counter(unit) for unit in units]
    count, observers = len(units), min(map(len, units), default=0)
    if observers < 2:
        return None
    alike = sum(sum(each * (each - 1) for each in unit.values()) for unit in found)
    totals = _totals(sum(found, Counter()), turned)
    expected = sum((each / observers) ** 2 for each in totals.values())
    return _above_chance(alike / (observers * (observers - 1)), expected, count)


def _totals(found: Counter[Hashable], turned: _Turned) -> dict[Hashable, float]:
    """Return how often each value was given, where those that are turned are equally frequent."""
    return {each: (found[each] + found[turned.get(each, each)]) / 2 for each in {*found, *turned}}


def _above_chance(alike: float, expected: float, count: int) -> float | None:
    """Return the share of what chance leaves open; `expected` is that by chance, times the count squared."""
    by_chance = expected / count if count else 0.0
    return (alike - by_chance) / (count - by_chance) if count > by_chance else None
