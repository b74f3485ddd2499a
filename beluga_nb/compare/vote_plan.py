"""How many prompts, voters and votes a ranking needs to tell two names apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import NormalDist, fmean, pvariance

from beluga_nb.compare.inference import LEVEL, MIN_PROMPTS, MIN_VOTERS, quantile_for_many, t_quantile
from beluga_nb.errors import RequestError
from beluga_nb.redaction import redacted_bundle
from beluga_nb.result import Bundle
from beluga_nb.signatures import named_arguments

MOST_PROMPTS = 2000
"""Plans that need more prompts are none."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """How many prompts some voters need, each voting once on every pair; None where no number is enough."""

    voters: int
    prompts: int | None
    votes: int | None

    @property
    def votes_each(self) -> int | None:
        """How many votes each voter casts."""
        return None if self.votes is None else self.votes // self.voters


@dataclass(frozen=True, kw_only=True)
class VotePlan:
    """What a study needs that tells two names apart; one of them wins the share `win_rate` of their votes."""

    win_rate: float
    names: int
    pictures: float
    tastes: float
    power: float
    needs: tuple[Need, ...]

    @property
    def elo(self) -> float:
        """The effect in Elo points."""
        return 400 * math.log10(self.win_rate / (1 - self.win_rate))

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        from beluga_nb.show.ranking import vote_plan_bundle

        return redacted_bundle(vote_plan_bundle(self, enough=MIN_VOTERS))


@named_arguments
def plan_votes(
    *,
    effect: float,
    names: int = 2,
    voters: Sequence[int] = (1, 3, 5, 10, 30),
    pictures: float = 0.5,
    tastes: float = 0.3,
    power: float = 0.8,
) -> VotePlan:
    """Return how many prompts and votes some numbers of voters need to tell two of so many names apart.

    `effect` is a win rate if it is below 1, such as 0.6, else a difference in Elo points. `pictures` and
    `tastes` are the deviations, in logits, by which single pictures are better or worse than their name, and
    by which voters differ; 0.5 are 87 Elo points. `power` is how probable it is that the two are told apart.

    >>> plan_votes(effect=0.7, voters=[10]).needs
    (Need(voters=10, prompts=14, votes=140),)
    """
    win_rate = effect if effect < 1 else 1 / (1 + 10 ** (-effect / 400))
    if not 0.5 < win_rate < 1:
        raise RequestError(
            f"An effect of {effect:g} cannot be planned for.",
            "Give a win rate between 0.5 and 1, such as 0.6, or Elo points from 1 on, such as 70.",
        )
    if names < 2 or not voters or min(voters) < 1 or min(pictures, tastes) < 0 or not 0 < power < 1:
        raise RequestError(
            "Such a study cannot be planned.",
            "It needs two names, one voter, deviations of 0 or more, and a power between 0 and 1.",
        )
    needs = [
        _need(_Spread.of(win_rate, pictures, tastes if count >= MIN_VOTERS else 0.0), names, count, power)
        for count in voters
    ]
    return VotePlan(
        win_rate=win_rate, names=names, pictures=pictures, tastes=tastes, power=power, needs=tuple(needs)
    )


def _need(spread: _Spread, names: int, voters: int, power: float) -> Need:
    def enough(prompts: int) -> bool:
        return spread.margin(prompts, voters, names, power) <= spread.effect

    if not enough(MOST_PROMPTS):
        return Need(voters=voters, prompts=None, votes=None)
    low, high = MIN_PROMPTS - 1, MOST_PROMPTS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return Need(voters=voters, prompts=high, votes=high * voters * math.comb(names, 2))


@dataclass(frozen=True, kw_only=True)
class _Spread:
    """The variances of an estimated difference, in logits: of one prompt, of one voter, and of one vote."""

    effect: float
    prompt: float
    voter: float
    vote: float

    @classmethod
    def of(cls, win_rate: float, pictures: float, tastes: float) -> _Spread:
        # A difference of two names has the effects of two pictures, and of two tastes.
        of_pictures = [math.sqrt(2) * pictures * point for point in _NORMAL]
        of_tastes = [math.sqrt(2) * tastes * point for point in _NORMAL]
        middle = _solved(
            lambda logit: fmean(_chance(logit + x + y) for x, y in product(of_pictures, of_tastes)), win_rate
        )
        prompt = pvariance([fmean(_chance(middle + x + y) for y in of_tastes) for x in of_pictures])
        voter = pvariance([fmean(_chance(middle + x + y) for x in of_pictures) for y in of_tastes])
        vote = win_rate * (1 - win_rate)
        return cls(
            effect=math.log(win_rate / (1 - win_rate)),
            prompt=prompt / vote**2,
            voter=voter / vote**2,
            vote=(vote - prompt - voter) / vote**2,
        )

    def margin(self, prompts: int, voters: int, names: int, power: float) -> float:
        """Return the smallest effect that so many prompts and voters tell apart with this probability."""
        # Other names are compared with both, which is as good as more votes on the two.
        votes = self.vote * 2 / names / (prompts * voters)
        of_prompts, of_voters = self.prompt / prompts + votes, self.voter / voters + votes
        variance = of_prompts
        degrees = least = prompts - 1
        if voters >= MIN_VOTERS:
            variance = of_prompts + of_voters - votes
            divisor = of_prompts**2 / (prompts - 1) + of_voters**2 / (voters - 1)
            least = min(prompts, voters) - 1
            degrees = max(int(variance**2 / divisor), least)
        # The hardest of all pairs: see `inference.Fit.apart`.
        reach = quantile_for_many(degrees, least, LEVEL / math.comb(names, 2))
        return (reach + _beyond(power, degrees)) * math.sqrt(variance)


_NORMAL = [NormalDist().inv_cdf((number + 0.5) / 40) for number in range(40)]


def _beyond(power: float, degrees: int) -> float:
    """Return the quantile of Student's t for a power."""
    return math.copysign(t_quantile(degrees, 2 * min(power, 1 - power)) if power != 0.5 else 0.0, power - 0.5)


def _chance(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def _solved(function: Callable[[float], float], value: float) -> float:
    """Return where a growing function has a value."""
    low, high = 0.0, 50.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < value else (low, middle)
    return high
