"""Strengths from counted wins, and how sure they are.

Each name has a strength; that A is preferred to B has the odds exp(a - b) to 1 (Bradley and Terry, "Rank
Analysis of Incomplete Block Designs", Biometrika 39, 1952). Strengths are the most probable ones under a
Gaussian prior of deviation 1, about 174 Elo points, so that two wins of two are no certainty and names that
were never compared have a place. Twenty lines of Newton's method stand in for choix, which gives the same
numbers and needs scipy.

Votes on one prompt are alike, since they are about the same pictures, and so are votes by one voter.
Intervals that take them for independent cover 40 to 60 % instead of 95 % where pictures matter. So the
variance of a contrast of strengths, such as a difference, is measured between prompts and between voters:

- The sampling variance is a jackknife: each prompt is left out once, by one Newton step from the strengths
  (the CR3 of Bell and McCaffrey, "Bias Reduction in Standard Errors for Linear Regression with Multi-Stage
  Samples", 2002). With 5 voters or more, voters are left out in the same way, and the two are added without
  what both count (Cameron, Gelbach and Miller, "Robust Inference With Multiway Clustering", 2011). That may
  be too small by chance, so at least half of the larger of the two is used, and all of it for many pairs.
  With all of it, intervals covered up to 99 % where there were 5 voters.
- The prior shrinks strengths. Its share is the square of the bias that this leaves, estimated from the
  strengths. Of names with few votes it is what the prior contributes to the curvature at the strengths: for
  independent votes, both shares together are then the usual Gaussian approximation.
- The sampling share is multiplied by a quantile of Student's t, with Satterthwaite's degrees of freedom; for
  many pairs, the tail is that of the fewest prompts or voters. The share is at least half of what independent
  votes have: prompts that all agree, by chance, would leave nothing of it. The share of the prior is halved,
  too. With all of both, intervals of 24 votes on a pair or fewer, or without effects, covered 98 to 99 %.
  Names with few votes have no interval, and are told apart with all of both.

Simulations chose this (`benchmarks/coverage.py`); pictures and voters had effects of 0, 0.5 and 1 logit. For
equal names, the pigeonhole bootstrap over prompts and voters (Owen, 2007) covered 81 to 97 % with effects and
99 % without, and needs a seed and many fits. The jackknife over prompts alone covered as little as 70 % where
voters differ. What is used here covered 94 to 98 % from 4 prompts and 16 votes on a name on, of names that
are equal and of names that differ. With fewer votes, strengths take few values, and intervals covered 98 to
100 %, hence `MIN_VOTES`. It told equal names apart in about 5 % of the studies at most;
with 3 prompts it did so in 6 to 9 %, hence `MIN_PROMPTS`. With 3 voters, intervals for other voters were two
to three times as wide as those for these voters, and showed little: below `MIN_VOTERS` a ranking is that of
its voters, and says so. Of 12 equal names, any two were told apart in 0 to 5 % of the studies; with
Satterthwaite's degrees of freedom for each of the 66 pairs, in up to 24 %. Very large differences are drawn
towards 0 by the prior: where one name wins 97 of 100 votes and votes are few, intervals often end short of
that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]

PRECISION = 1.0
"""How narrow the prior is: one over its variance."""

LEVEL = 0.05
"""How often an interval may miss, and how often a ranking may wrongly tell any two names apart."""

MIN_PROMPTS = 4
"""With fewer prompts there are no intervals."""

MIN_VOTERS = 5
"""With fewer voters, intervals speak for these voters alone."""

MIN_VOTES = 16
"""A name with fewer votes has no interval."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """Strengths of mean 0, and the shares of their covariance.

    `independent` is what votes would have if none were alike. `between_cells` is what `between_prompts` and
    `between_voters` both count; they are None for few voters.
    `prompts` and `voters` are how many each name was compared on and by, and `votes` how often.
    """

    strengths: Array
    prior: Array
    independent: Array
    between_prompts: Array
    between_voters: Array | None
    between_cells: Array | None
    prompts: Sequence[int]
    voters: Sequence[int]
    votes: Sequence[float]

    def margin(self, name: int) -> float:
        """Return how far the interval of a strength reaches to each side; of few votes it is infinite."""
        if self.votes[name] < MIN_VOTES:
            return math.inf
        contrast = np.full(len(self.strengths), -1 / len(self.strengths))
        contrast[name] += 1
        return self._margin(contrast, [name], LEVEL)

    def apart(self) -> set[frozenset[int]]:
        """Return the pairs that are told apart: in at most 5 % of studies any of them wrongly.

        This is the step-down procedure of Holm, 1979.
        """
        pairs = list(combinations(range(len(self.strengths)), 2))
        excess = {pair: self._excess(pair, LEVEL / len(pairs)) for pair in pairs}
        found: set[frozenset[int]] = set()
        for pair in sorted(pairs, key=lambda pair: (-excess[pair], pair)):
            if self._excess(pair, LEVEL / (len(pairs) - len(found))) <= 1:
                break
            found.add(frozenset(pair))
        return found

    def _excess(self, pair: tuple[int, int], level: float) -> float:
        """Return how many margins two names are apart."""
        contrast = np.zeros(len(self.strengths))
        contrast[list(pair)] = 1, -1
        distance = abs(float(contrast @ self.strengths))
        return round(distance / self._margin(contrast, pair, level), 9)

    def _margin(self, contrast: Array, names: Sequence[int], level: float) -> float:
        """Return the margin of a contrast of some names; with too few prompts it is infinite."""
        prompts = min(self.prompts[name] for name in names)
        if prompts < MIN_PROMPTS:
            return math.inf
        variance = _variance(self.between_prompts, contrast)
        degrees = least = prompts - 1
        if self.between_voters is not None and self.between_cells is not None:
            voters = min(self.voters[name] for name in names)
            shares = [_variance(each, contrast) for each in (self.between_voters, self.between_cells)]
            variance, degrees = two_way(variance, *shares, prompts=prompts, voters=voters, level=level)
            least = max(min(prompts, voters) - 1, 1)
        sampling = quantile_for_many(degrees, least, level) ** 2 * variance
        of_normal = t_quantile(math.inf, level) ** 2
        of_prior = _variance(self.prior, contrast)
        if min(self.votes[name] for name in names) >= MIN_VOTES:
            of_normal /= 2
            shrunk = PRECISION * contrast @ (self.independent + self.prior) @ self.strengths
            of_prior = float(shrunk) ** 2
        floor = of_normal * _variance(self.independent, contrast)
        return math.sqrt(max(sampling, floor) + of_normal * of_prior)


def two_way(
    of_prompts: float, of_voters: float, of_cells: float, *, prompts: int, voters: int, level: float = LEVEL
) -> tuple[float, int]:
    """Return a variance between prompts and between voters, and its degrees of freedom.

    `of_cells` is what both count: that between single voters on single prompts.
    """
    # At the small levels of many pairs, the tail matters.
    share = 0.5 if level >= LEVEL else 1.0
    variance = max(of_prompts + of_voters - of_cells, share * max(of_prompts, of_voters))
    divisor = of_prompts**2 / (prompts - 1) + of_voters**2 / max(voters - 1, 1)
    # To the nearest: rounded down, 4 prompts and 30 voters without effects covered up to 98.4 %. Rounded to
    # six digits first, since the last ones differ between machines.
    effective = math.floor(round(variance**2 / divisor, 6) + 0.5) if divisor else 0
    return variance, max(effective, min(prompts, voters) - 1, 1)


def _variance(covariance: Array, contrast: Array) -> float:
    # Rounding may leave less than nothing of a variance of 0.
    return max(float(contrast @ covariance @ contrast), 0.0)


MOST_ENTRIES = 2**20
"""Entries of matrices that are held at once: 8 MB."""


class Wins:
    """Matrices of wins of the row against the column, one for each cluster of votes.

    A million votes may have as many clusters, each with few of the names. So only entries that are not zero
    are kept, and dense matrices are made a block at a time.
    """

    def __init__(
        self, clusters: Integers, left: Integers, right: Integers, shares: Array, names: int
    ) -> None:
        self.shape = int(clusters.max(initial=-1)) + 1, names, names
        first, second = left * names + right, right * names + left
        entries = np.concatenate([clusters * names**2 + first, clusters * names**2 + second])
        order = np.argsort(entries, kind="stable")
        self._entries = entries[order]
        self._values = np.concatenate([shares, 1 - shares])[order]

    def __len__(self) -> int:
        return self.shape[0]

    def sum(self) -> Array:
        """Return the wins of all clusters."""
        entries = self._entries % (self.shape[1] * self.shape[2])
        return np.asarray(self._dense(entries, self._values, 1)[0], dtype=np.float64)

    def blocks(self) -> Iterator[Array]:
        """Yield the matrices, a block at a time."""
        size = self.shape[1] * self.shape[2]
        step = max(1, MOST_ENTRIES // max(1, size))
        for start in range(0, len(self), step):
            count = min(step, len(self) - start)
            first, last = np.searchsorted(self._entries, [start * size, (start + count) * size])
            yield self._dense(self._entries[first:last] - start * size, self._values[first:last], count)

    def _dense(self, entries: Integers, values: Array, count: int) -> Array:
        shape = count, *self.shape[1:]
        found = np.bincount(entries, weights=values, minlength=math.prod(shape))
        return np.asarray(found.reshape(shape), dtype=np.float64)


def fit(by_prompt: Array | Wins, by_voter: Array | Wins, by_cell: Array | Wins) -> Fit:
    """Return the strengths and how sure they are, from wins of the row against the column.

    There is a matrix of wins for each prompt, each voter, and each voter on each prompt.
    """
    wins = by_prompt.sum() if isinstance(by_prompt, Wins) else by_prompt.sum(axis=0)
    strengths, count = fitted(wins), len(wins)
    curve = _derivatives(wins, strengths)[1] + PRECISION * np.eye(count)
    inverse = np.asarray(np.linalg.inv(curve), dtype=np.float64)
    shrunk = PRECISION * inverse @ inverse
    two_way = len(by_voter) >= MIN_VOTERS
    return Fit(
        strengths=strengths,
        # All strengths may move together by as much as the prior allows: of contrasts that is no part.
        prior=shrunk - 1 / (PRECISION * max(count, 1)),
        independent=inverse - shrunk,
        between_prompts=_jackknife(by_prompt, strengths, curve),
        between_voters=_jackknife(by_voter, strengths, curve) if two_way else None,
        between_cells=_scatter(by_cell, strengths, inverse) if two_way else None,
        prompts=_met(by_prompt),
        voters=_met(by_voter),
        votes=[float(count) for count in wins.sum(axis=0) + wins.sum(axis=1)],
    )


def fitted(wins: Array) -> Array:
    """Return the most probable strengths, of mean 0."""
    count = len(wins)
    strengths = np.zeros(count)
    for _ in range(100):
        slope, curve = _derivatives(wins, strengths)
        step = np.linalg.solve(curve + PRECISION * np.eye(count), slope - PRECISION * strengths)
        longest = float(np.abs(step).max(initial=0.0))
        strengths = strengths + step * min(1.0, 2 / longest if longest else 1.0)  # full steps may diverge
        if longest < 1e-10:  # converged
            break
    return np.asarray(strengths - strengths.sum() / max(count, 1), dtype=np.float64)


def _derivatives(wins: Array, strengths: Array) -> tuple[Array, Array]:
    """Return the slope of the log-likelihood of some wins, and its negative curvature: for each matrix."""
    games = wins + wins.swapaxes(-1, -2)
    chance = 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))  # that the row beats the column
    weight = games * chance * chance.T
    slope = (wins - games * chance).sum(axis=-1)
    return slope, np.eye(len(strengths)) * weight.sum(axis=-1)[..., None] - weight


def _blocks(clusters: Array | Wins) -> Iterable[Array]:
    return clusters.blocks() if isinstance(clusters, Wins) else [clusters]


def _jackknife(clusters: Array | Wins, strengths: Array, curve: Array) -> Array:
    """Return the covariance of strengths from what each cluster moves them by when it is left out."""
    squares = np.zeros_like(curve)
    for block in _blocks(clusters):
        slope, own = _derivatives(block, strengths)
        moved = np.asarray(np.linalg.solve(curve - own, slope[..., None])[..., 0], dtype=np.float64)
        squares += moved.T @ moved
    return (len(clusters) - 1) / max(len(clusters), 1) * squares


def _scatter(clusters: Array | Wins, strengths: Array, inverse: Array) -> Array:
    """Return what the jackknife tends to for many small clusters; it needs no solution for each."""
    squares = np.zeros_like(inverse)
    for block in _blocks(clusters):
        slope, _ = _derivatives(block, strengths)
        squares += slope.T @ slope
    covariance = inverse @ squares @ inverse
    return np.asarray(covariance * len(clusters) / max(len(clusters) - 1, 1), dtype=np.float64)


def _met(clusters: Array | Wins) -> list[int]:
    """Return in how many clusters each name was compared."""
    met = np.zeros(clusters.shape[-1], dtype=np.intp)
    for block in _blocks(clusters):
        met += (block.sum(axis=-1) + block.sum(axis=-2) > 0).sum(axis=0)
    return [int(count) for count in met]


@cache
def t_quantile(degrees: float, level: float = LEVEL) -> float:
    """Return what Student's t exceeds in size with the probability `level`.

    Degrees of freedom are whole, or infinite: that is the Gaussian.

    >>> round(t_quantile(3), 3)
    3.182
    """
    low, high = 0.0, 1.0
    while outside(high, degrees) > level:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if outside(middle, degrees) > level else (low, middle)
    return high


def quantile_for_many(degrees: float, least: float, level: float) -> float:
    """Return a quantile of Student's t for one of many pairs, at a level below 5 %.

    Satterthwaite's degrees of freedom fit at 5 %, but not at levels far below: from 5 % on, the tail is that
    of the `least` degrees.
    """
    return t_quantile(degrees) * t_quantile(least, level) / t_quantile(least)


def outside(t: float, degrees: float) -> float:
    """Return the probability that Student's t exceeds `t` in size.

    The finite series of Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.3 and 26.7.4.
    """
    if math.isinf(degrees):
        return math.erfc(t / math.sqrt(2))
    angle, whole = math.atan(t / math.sqrt(degrees)), int(degrees)
    cosine, odd = math.cos(angle), whole % 2
    term = cosine if odd else 1.0
    total = term if whole > 1 else 0.0
    for number in range(2 + odd, whole, 2):
        term *= cosine**2 * (number - 1) / number
        total += term
    within = 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return 1 - within
