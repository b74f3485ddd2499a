"""A ranking from votes: Bradley–Terry strengths with a weak prior, and how sure they are.

Each name has a strength; that A is preferred to B has the odds exp(a - b) to 1 (Bradley and Terry, "Rank
Analysis of Incomplete Block Designs", Biometrika 39, 1952). A tie counts as half a win for each. Of "both
bad" nothing follows for who is better: it is counted beside the ranking, and in it not at all. Strengths are
the most probable ones under a Gaussian prior of deviation 1, about 174 Elo points, so that two wins of two
are no certainty and names that were never compared have a place; intervals are those of a Gaussian with the
same curvature there (Laplace).

Twenty lines of Newton's method stand in for choix, which gives the same numbers and brings scipy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from beluga_nb.compare.vote import Duel
from beluga_nb.redaction import redacted_bundle
from beluga_nb.result import Bundle, Preview
from beluga_nb.store.votes import BOTH_BAD, LEFT, RIGHT
from beluga_nb.text import and_more, plural

if TYPE_CHECKING:
    from numpy.typing import NDArray

ELO = 400 / math.log(10)
"""Elo points of one unit of strength."""

PRECISION = 1.0
"""How narrow the prior is: one over its variance."""

SURE = 1.959964
"""Standard deviations to each side of a Gaussian that hold 95 % of it."""

TOO_WIDE = 100.0
"""Elo points to each side above which a strength is imprecise: odds of 64 to 36."""

_PAIRS_NAMED = 6


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A name in a ranking: its strength in Elo points from the mean, between `low` and `high` with 95 %.

    `bad` is how often it was one of two that were both bad.
    """

    name: str
    elo: float
    low: float
    high: float
    wins: int = 0
    losses: int = 0
    ties: int = 0
    bad: int = 0

    @property
    def precise(self) -> bool:
        """Whether there were enough votes for a narrow interval."""
        return self.high - self.low <= 2 * TOO_WIDE

    @property
    def win_rate(self) -> float | None:
        """The share of its comparisons that it won, a tie as half; None where it was not compared."""
        games = self.wins + self.losses + self.ties
        return (self.wins + self.ties / 2) / games if games else None


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Names by how they fared in votes, sorted by the lower bound: who was hardly compared does not lead.

    `wins[i][j]` is how often the standing `i` won against `j`, a tie as half. `alike` are the pairs that the
    votes do not tell apart; `votes` are those that compare, and `bad` those that found both bad. `caveat`
    is a remark on what was compared, and `pictures` are examples by name.
    """

    by: str
    standings: tuple[Standing, ...]
    wins: tuple[tuple[float, ...], ...]
    votes: int
    bad: int = 0
    alike: tuple[tuple[str, str], ...] = ()
    caveat: str = ""
    pictures: Mapping[str, Preview] = field(default_factory=dict, compare=False, repr=False)

    @property
    def ranks(self) -> list[tuple[int, int]]:
        """The best and the worst rank of each name that the votes allow.

        A name ranks below each that is told apart from it and stronger. How precise its strength is, is
        another matter: 12 wins of 12 tell two names apart, and leave open by how much.
        """
        alike = {*self.alike, *(pair[::-1] for pair in self.alike)}
        ranks = []
        for one in self.standings:
            apart = [
                other.elo for other in self.standings if other != one and (one.name, other.name) not in alike
            ]
            stronger = sum(elo > one.elo for elo in apart)
            ranks.append((1 + stronger, len(self.standings) - len(apart) + stronger))
        return ranks

    @property
    def names(self) -> list[str]:
        """The names, in order."""
        return [standing.name for standing in self.standings]

    @property
    def too_few(self) -> bool:
        """Whether there are too few votes for narrow intervals."""
        return not all(standing.precise for standing in self.standings)

    @property
    def note(self) -> str:
        """How much the votes show, in words."""
        return " ".join(filter(None, [self._summary(), self._bad(), self.caveat]))

    def _summary(self) -> str:
        if not self.votes:
            return "No votes yet: nothing can be said."
        words = f"{plural(self.votes, 'vote')}."
        if self.too_few:
            widest = max((each.high - each.low) / 2 for each in self.standings)
            leave = "leaves" if self.votes == 1 else "leave"
            words = f"Too few votes: {self.votes} {leave} up to ±{widest:.0f} Elo points."
        if len(self.alike) == math.comb(len(self.standings), 2) > 1:
            return f"{words} No two are told apart."
        if self.alike:
            pairs = "; ".join(f"{one} and {other}" for one, other in self.alike[:_PAIRS_NAMED])
            words += f" Not told apart: {pairs}{and_more(len(self.alike) - _PAIRS_NAMED)}."
        return words

    def _bad(self) -> str:
        return (
            f"{plural(self.bad, 'vote')} found 'both bad', which does not count in the ranking."
            if self.bad
            else ""
        )

    def to_svg(self) -> str:
        """Return the strengths and their intervals as an SVG picture."""
        from beluga_nb.show.ranking import ranking_svg

        return ranking_svg(self)

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        from beluga_nb.show.ranking import ranking_bundle

        return redacted_bundle(ranking_bundle(self))


def ranking(votes: Iterable[Duel], *, by: str, names: Iterable[str] = ()) -> Ranking:
    """Return the ranking that votes make; `names` are ranked even without votes on them."""
    votes = list(votes)
    found = list(
        dict.fromkeys([*names, *sorted({each for vote in votes for each in (vote.left, vote.right)})])
    )
    compared = [vote for vote in votes if vote.answer != BOTH_BAD]
    wins = wins_of(compared, found)
    strengths, spread = fitted(wins)
    half = SURE * np.sqrt(np.diag(spread))
    # Rounded, since the last digits differ between machines, and a replay must not.
    order = sorted(
        range(len(found)), key=lambda each: (-round(float(strengths[each] - half[each]), 9), found[each])
    )
    return Ranking(
        by=by,
        standings=tuple(_standing(found[i], strengths[i] * ELO, half[i] * ELO, votes) for i in order),
        wins=tuple(tuple(float(wins[i, j]) for j in order) for i in order),
        votes=len(compared),
        bad=len(votes) - len(compared),
        alike=tuple(
            (found[i], found[j])
            for i, j in combinations(order, 2)
            if abs(strengths[i] - strengths[j])
            <= SURE * math.sqrt(spread[i, i] + spread[j, j] - 2 * spread[i, j])
        ),
    )


def _standing(name: str, elo: float, half: float, votes: Sequence[Duel]) -> Standing:
    mine = [vote for vote in votes if name in (vote.left, vote.right)]
    won = sum(vote.answer == (LEFT if vote.left == name else RIGHT) for vote in mine)
    lost = sum(vote.answer == (RIGHT if vote.left == name else LEFT) for vote in mine)
    bad = sum(vote.answer == BOTH_BAD for vote in mine)
    return Standing(
        name=name,
        elo=float(elo),
        low=float(elo - half),
        high=float(elo + half),
        wins=won,
        losses=lost,
        ties=len(mine) - won - lost - bad,
        bad=bad,
    )


def wins_of(votes: Iterable[Duel], names: Sequence[str]) -> NDArray[np.float64]:
    """Return how often each name won against each other one, a tie as half a win for both."""
    place = {name: number for number, name in enumerate(names)}
    wins = np.zeros((len(names), len(names)))
    for vote in votes:
        left, right = place[vote.left], place[vote.right]
        share = {LEFT: 1.0, RIGHT: 0.0}.get(vote.answer, 0.5)
        wins[left, right] += share
        wins[right, left] += 1 - share
    return wins


def fitted(wins: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the most probable strengths, of mean 0, and the covariance of their distances from the mean."""
    count = len(wins)
    games, strengths = wins + wins.T, np.zeros(count)
    for _ in range(100):
        slope, curve = _derivatives(wins, games, strengths)
        step = np.linalg.solve(curve, slope) if count else slope
        longest = float(np.abs(step).max(initial=0.0))
        strengths = strengths + step * min(1.0, 2 / longest if longest else 1.0)  # full steps may diverge
        if longest < 1e-10:  # converged
            break
    _, curve = _derivatives(wins, games, strengths)
    # All strengths may move together by as much as the prior allows: of the distances that is no part.
    spread = np.asarray(np.linalg.inv(curve) - 1 / (PRECISION * max(count, 1)), dtype=np.float64)
    return strengths - strengths.sum() / max(count, 1), spread


def _derivatives(
    wins: NDArray[np.float64], games: NDArray[np.float64], strengths: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    chance = 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))  # that the row beats the column
    slope = (wins - games * chance).sum(axis=1) - PRECISION * strengths
    weight = games * chance * chance.T
    return slope, np.diag(weight.sum(axis=1) + PRECISION) - weight
