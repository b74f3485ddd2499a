"""How much scores differ between names, on the same prompts.

A table of differences is read as one statement: which names are apart. So its intervals hold together: with
95 %, all of them contain the true differences. Each of m intervals is that of Student's t at a level of
5 % / m (Dunn, "Multiple Comparisons Among Means", Journal of the American Statistical Association 56, 1961),
from the prompts of its own pair. Where differences are skewed, one side of an interval has to be longer
(Johnson, "Modified t Tests and Confidence Intervals for Asymmetrical Populations", Journal of the American
Statistical Association 73, 1978): both sides are as long as that. Separate intervals of 95 % miss at least
one of three differences in 11 to 17 % of studies, and one of 66 in 74 to 88 %.

Simulations chose this (`benchmarks/coverage.py`); 2, 3 and 12 names had the same mean on 4, 8 and 20 prompts,
where all were alike, where one varied four times as much, and where one was skewed. All intervals held in 93
to 98 % of the studies; without the longer side, in 89 to 91 % of those of two names of which one is skewed.
The bootstrap of the largest t held in 92 to 100 %, with wide intervals on few prompts, and needs a seed; a
multivariate t with the correlations of the differences held in as few as 44 %, since few prompts say little
of them. Where one has a long tail, as a log-normal score has, all intervals held in 88 to 95 %, and 95 % is
not claimed: few prompts do not show the tail. Tukey's range needs equal variances (Maxwell, "Pairwise
Multiple Comparisons in Repeated Measures Designs", Journal of Educational Statistics 5, 1980).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean, stdev

from beluga_nb.compare.inference import LEVEL, MIN_PROMPTS, MIN_VOTERS, MIN_VOTES, t_quantile, two_way
from beluga_nb.compare.scores import Difference, Estimate, Scored, Scores
from beluga_nb.compare.vote import Duel, Labels, others, prompt_of
from beluga_nb.errors import RequestError, UnknownNameError
from beluga_nb.store.votes import BOTH_BAD, LEFT, RIGHT, TIE
from beluga_nb.text import plural, sanitize


def differences(rows: Iterable[Scored], *, by: str) -> tuple[Difference, ...]:
    """Return the mean difference of each two labels of an axis, over pictures that differ in it alone."""
    found: dict[tuple[Labels, int], dict[str, float]] = {}
    for row in rows:
        if by not in row.labels:
            raise UnknownNameError("axis", by, row.labels)
        if row.value is not None:
            values = found.setdefault((others(row.labels, by=by), row.number), {})
            values[row.labels[by]] = row.value
    names = dict.fromkeys(name for values in found.values() for name in values)
    # Once for all pairs of names: there may be a million rows.
    by_sample = [(prompt_of(labels), values) for (labels, _), values in found.items()]
    means = {(one, other): _difference(one, other, by_sample) for one, other in combinations(names, 2)}
    pairs = sum(math.isfinite(mean.error) for mean in means.values())
    return tuple(
        Difference(one=one, other=other, pairs=pairs, **vars(mean.estimate(LEVEL / max(pairs, 1))))
        for (one, other), mean in means.items()
    )


@dataclass(frozen=True, kw_only=True)
class _Mean:
    """A mean and its standard error, which is infinite where values are too few."""

    mean: float
    error: float
    skewness: float
    degrees: int
    prompts: int
    samples: int

    def estimate(self, level: float = LEVEL) -> Estimate:
        """Return it with an interval that misses the true mean with this probability."""
        half = math.inf
        if math.isfinite(self.error):
            t = t_quantile(self.degrees)
            # At every level as at 5 %: the expansion that this is from holds for a small t alone.
            longer = 1 + abs(self.skewness) * (2 * t + 1 / t) / (6 * math.sqrt(self.degrees + 1))
            half = longer * t_quantile(self.degrees, level) * self.error
        return Estimate(mean=self.mean, half=half, prompts=self.prompts, samples=self.samples)


def _difference(one: str, other: str, by_sample: Iterable[tuple[Labels, Mapping[str, float]]]) -> _Mean:
    return _mean(
        (prompt, values[one] - values[other])
        for prompt, values in by_sample
        if one in values and other in values
    )


def _mean(of_samples: Iterable[tuple[Labels, float]]) -> _Mean:
    """Return the mean of the values of some samples, each with its prompt."""
    by_prompt: dict[Labels, list[float]] = {}
    all_values = []
    for prompt, value in of_samples:
        by_prompt.setdefault(prompt, []).append(value)
        all_values.append(value)
    # Scores of one prompt are alike, as votes on it are, and few prompts say nothing of others.
    many = len(by_prompt) >= MIN_PROMPTS
    values = (
        [fmean(each) if len(each) > 1 else each[0] for each in by_prompt.values()] if many else all_values
    )
    return _Mean(
        mean=fmean(values) if values else math.nan,
        error=stdev(values) / math.sqrt(len(values)) if len(values) >= MIN_PROMPTS else math.inf,
        skewness=_skewness(values),
        degrees=len(values) - 1,
        prompts=len(by_prompt),
        samples=len(all_values),
    )


def _skewness(values: Sequence[float]) -> float:
    """Return how much longer one tail of some values is than the other."""
    mean = fmean(values) if values else 0.0
    square = math.fsum((value - mean) ** 2 for value in values)
    cube = math.fsum((value - mean) ** 3 for value in values)
    return cube * math.sqrt(len(values)) / square**1.5 if square else 0.0


def estimate_of_scores(scores: Scores) -> Estimate:
    """Return the mean of scores; raise `RequestError` where a picture has none."""
    without = [row for row in scores.rows if row.value is None]
    if without or not scores:
        first = f": {scores.errors[0].error}" if scores.errors else ""
        raise RequestError(
            f"{len(without)} of {plural(len(scores), 'picture')} have no score{first}",
            "Mend that, or leave them out: where = …",
        )
    found: dict[tuple[Labels, Labels, int], float] = {}
    for row in scores.rows:
        labels = tuple(sorted(row.labels.items()))
        assert row.value is not None
        found[prompt_of(labels), labels, row.number] = row.value
    return _mean((prompt, value) for (prompt, _, _), value in found.items()).estimate()


def estimate_of_wins(duels: Iterable[Duel], name: str) -> Estimate:
    """Return how often a name wins, a tie as half; raise `RequestError` where it was not compared.

    Of one sample all comparisons count together. "Both bad" does not count. As in a ranking, the interval is
    one for other voters too where there are 5 or more, it is never far narrower than that of independent
    votes, and there is none of fewer than 16 votes. Between prompts alone, it covered 78 to 93 % where 5
    voters differed.
    """
    found: dict[tuple[Labels, Labels, int], list[tuple[str, float]]] = {}
    for duel in duels:
        if name in {duel.left, duel.right} and duel.answer != BOTH_BAD:
            won = duel.answer == (LEFT if duel.left == name else RIGHT)
            votes = found.setdefault((duel.prompt, *duel.sample), [])
            votes.append((duel.voter, 0.5 if duel.answer == TIE else float(won)))
    if not found:
        raise RequestError(f"{sanitize(name, 80)} was compared with nothing.", "Vote first, or ask a judge.")
    mean = _mean((prompt, fmean(value for _, value in votes)) for (prompt, *_), votes in found.items())
    voters = {voter for votes in found.values() for voter, _ in votes}
    return replace(mean.estimate(), half=_half_of_wins(mean, found, len(voters)), voters=len(voters))


def _half_of_wins(
    mean: _Mean, found: Mapping[tuple[Labels, Labels, int], Sequence[tuple[str, float]]], voters: int
) -> float:
    """Return how far the interval of a win rate reaches to each side."""
    if math.isinf(mean.error) or sum(map(len, found.values())) < MIN_VOTES:
        return math.inf
    many = mean.prompts >= MIN_PROMPTS
    samples = Counter(prompt for prompt, *_ in found)
    # What each vote moves the mean by: prompts count once, in them samples, and in these votes.
    moves: list[tuple[Labels | tuple[Labels, Labels, int], str, float]] = []
    for sample, votes in found.items():
        share = 1 / (mean.prompts * samples[sample[0]] if many else mean.samples) / len(votes)
        unit = sample[0] if many else sample
        moves += [(unit, voter, share * (value - mean.mean)) for voter, value in votes]
    variance, degrees = mean.error**2, float(mean.degrees)
    if voters >= MIN_VOTERS:
        variance, degrees = two_way(
            variance,
            _between((voter, move) for _, voter, move in moves),
            _between(((unit, voter), move) for unit, voter, move in moves),
            prompts=mean.degrees + 1,
            voters=voters,
        )
    elif len(moves) == mean.degrees + 1:
        # One vote on each prompt: the share says how votes vary. With Student's t, 16 votes covered up to
        # 98.4 %.
        degrees = math.inf
    least = _MIN_VARIANCE * math.fsum(move**2 for *_, move in moves)
    normal = t_quantile(math.inf)
    half = max(
        t_quantile(degrees) / normal * _longer_side(mean.mean, normal * math.sqrt(variance)),
        _longer_side(mean.mean, normal * math.sqrt(least)),
    )
    # Rounded, since the last digits differ between machines; and of equal votes, nothing is left.
    return round(half, 10)


_MIN_VARIANCE = 0.4
"""The least share of the variance of independent votes: with half of it, 20 votes covered up to 98.6 %."""


def _longer_side(share: float, half: float) -> float:
    """Return how far the interval of a share reaches at its longer side; `half` is that of a mean.

    It is Wilson's, of as many independent votes as have the same variance. That of a mean covered as few as
    89 % of 16 votes.
    """
    if not (square := share * (1 - share)):
        return half
    inverse = half**2 / square
    around = math.sqrt(inverse * square + inverse**2 / 4)
    low, high = ((share + inverse / 2 + side * around) / (1 + inverse) for side in (-1, 1))
    return max(share - low, high - share)


def _between(moves: Iterable[tuple[Hashable, float]]) -> float:
    """Return the variance of a mean between clusters, from what each vote in one moves it by."""
    sums: dict[Hashable, float] = {}
    for cluster, move in moves:
        sums[cluster] = sums.get(cluster, 0.0) + move
    return len(sums) / max(len(sums) - 1, 1) * math.fsum(each**2 for each in sums.values())
