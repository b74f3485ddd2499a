"""How often the intervals of a ranking are right: simulated studies whose truth is known.

    python -m benchmarks.coverage            # the table: about a minute
    python -m benchmarks.coverage --plan     # how good `plan_votes` is

In each study every voter compares every pair of three names once on every prompt. Each picture has an effect
on the logit of a vote, alike in all votes on it; each voter may have a taste for each name. "Before" are
intervals that take votes for independent; "after" are those of `beluga_nb.compare.inference`.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from beluga_nb.compare.inference import LEVEL, MIN_PROMPTS, MIN_VOTERS, PRECISION, Fit, fit
from beluga_nb.compare.rank import ELO
from beluga_nb.compare.vote_plan import plan_votes

Array = NDArray[np.float64]

SURE = 1.959964
"""Deviations to each side of a Gaussian that hold 95 % of it."""

EQUAL, DIFFERENT = (0.0, 0.0, 0.0), (0.7, 0.0, -0.7)
"""Strengths of three names."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """A kind of study: its sizes, and the deviations of the effects of pictures and of tastes, in logits."""

    prompts: int
    voters: int
    pictures: float
    tastes: float = 0.0
    strengths: Sequence[float] = EQUAL

    @property
    def truth(self) -> Array:
        """The strengths that votes on ever more prompts by ever more voters tend to."""
        points, weights = np.polynomial.hermite_e.hermegauss(60)
        spread = math.sqrt(2 * (self.pictures**2 + self.tastes**2))
        strengths = np.array(self.strengths)
        logits = strengths[:, None, None] - strengths[None, :, None] + spread * points
        wins = (1 / (1 + np.exp(-logits))) @ (weights / weights.sum())
        np.fill_diagonal(wins, 0)
        found = np.zeros(len(strengths))
        for _ in range(50):  # Newton's method, without a prior
            chance = 1 / (1 + np.exp(found[None, :] - found[:, None]))
            weight = chance * chance.T * (1 - np.eye(len(found)))
            slope = (wins - chance * (1 - np.eye(len(found)))).sum(axis=1)
            found = found + np.linalg.solve(np.diag(weight.sum(axis=1)) - weight + 1, slope)
        return np.asarray(found, dtype=np.float64)

    def study(self, rng: np.random.Generator) -> Array:
        """Return the wins of one study: for each prompt and voter, of the row against the column."""
        count = len(self.strengths)
        logits = (
            np.array(self.strengths)
            + self.pictures * rng.standard_normal((self.prompts, 1, count))
            + self.tastes * rng.standard_normal((1, self.voters, count))
        )
        wins = np.zeros((self.prompts, self.voters, count, count))
        for one in range(count):
            for other in range(one + 1, count):
                chance = 1 / (1 + np.exp(logits[..., other] - logits[..., one]))
                won = rng.random(chance.shape) < chance
                wins[..., one, other], wins[..., other, one] = won, ~won
        return wins


def measured(wins: Array) -> Fit:
    """Return the fit of a study."""
    return fit(wins.sum(axis=1), wins.sum(axis=0), wins.reshape(-1, *wins.shape[-2:]))


@dataclass
class Rates:
    """Of how many intervals and studies something holds."""

    covered: list[bool] = field(default_factory=list)
    apart: list[bool] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)

    def add(self, found: Array, margins: Sequence[float], truth: Array, *, apart: bool) -> None:
        """Count a study."""
        self.covered += [bool(each) for each in np.abs(found - truth) <= margins]
        self.apart.append(apart)
        self.widths += margins


def simulated(design: Design, *, studies: int = 300, seed: int = 1) -> tuple[Rates, Rates]:
    """Return the rates before and after, of so many studies."""
    rng, truth = np.random.default_rng(seed), design.truth
    before, after = Rates(), Rates()
    for _ in range(studies):
        wins = design.study(rng)
        found = measured(wins)
        margins = [found.margin(name) for name in range(len(truth))]
        after.add(found.strengths, margins, truth, apart=bool(found.apart()))
        margins, apart = independent(wins.sum(axis=(0, 1)), found.strengths)
        before.add(found.strengths, margins, truth, apart=apart)
    return before, after


def independent(wins: Array, strengths: Array) -> tuple[list[float], bool]:
    """Return the margins where votes count as independent, and whether two neighbours are told apart."""
    chance = 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))
    weight = (wins + wins.T) * chance * chance.T
    spread = np.linalg.inv(np.diag(weight.sum(axis=1) + PRECISION) - weight) - 1 / (PRECISION * len(wins))
    own = SURE * np.sqrt(np.diag(spread))
    order = np.argsort(own - strengths)
    apart = [
        abs(strengths[i] - strengths[j]) > SURE * math.sqrt(spread[i, i] + spread[j, j] - 2 * spread[i, j])
        for i, j in pairwise(order)
    ]
    return [float(each) for each in own], any(apart)


def table() -> Iterator[str]:
    """Yield the lines of the table of coverage."""
    yield (
        "| prompts | voters | pictures | tastes | covered before | after | told apart before | after"
        " | covered after, names differ | ± Elo before | after |"
    )
    yield "|--:" * 11 + "|"
    sizes = [*product((0.0,), (4, 8, 16), (1, 3, 30)), *product((0.5,), (4, 8, 16), (5, 30))]
    for (tastes, prompts, voters), pictures in product(sizes, (0.0, 0.5, 1.0)):
        assert prompts >= MIN_PROMPTS
        assert voters >= MIN_VOTERS or not tastes, "With few voters, the truth is theirs."
        same, other = (
            Design(prompts=prompts, voters=voters, pictures=pictures, tastes=tastes, strengths=strengths)
            for strengths in (EQUAL, DIFFERENT)
        )
        (before, after), (_, different) = simulated(same), simulated(other)
        figures = (
            *map(np.mean, (before.covered, after.covered, before.apart, after.apart, different.covered)),
        )
        widths = (float(np.median(each.widths)) * ELO for each in (before, after))
        yield (
            f"| {prompts} | {voters} | {pictures:g} | {tastes:g} | "
            + " | ".join(f"{figure:.1%}" for figure in figures)
            + " | "
            + " | ".join(f"{width:.0f}" for width in widths)
            + " |"
        )


def plans() -> Iterator[str]:
    """Yield how often studies of the planned size tell two names apart."""
    yield "| effect | voters | pictures | tastes | prompts planned | told apart |"
    yield "|--:" * 6 + "|"
    for effect, voters, (pictures, tastes) in product(
        (0.6, 0.7), (1, 3, 10, 30), ((0.0, 0.0), (0.5, 0.3), (1.0, 0.3))
    ):
        plan = plan_votes(effect=effect, voters=[voters], pictures=pictures, tastes=tastes)
        [need] = plan.needs
        if need.prompts is None or need.prompts * voters > 20_000:
            continue
        found = power(effect, need.prompts, voters, pictures, tastes if voters >= MIN_VOTERS else 0.0)
        yield f"| {effect:g} | {voters} | {pictures:g} | {tastes:g} | {need.prompts} | {found:.0%} |"


def power(effect: float, prompts: int, voters: int, pictures: float, tastes: float) -> float:
    """Return how often studies of two names tell them apart."""
    low, high = 0.0, 10.0
    for _ in range(50):  # the difference whose expected win rate is the effect
        middle = (low + high) / 2
        design = Design(
            prompts=prompts,
            voters=voters,
            pictures=pictures,
            tastes=tastes,
            strengths=(middle / 2, -middle / 2),
        )
        reached = 1 / (1 + math.exp(design.truth[1] - design.truth[0]))
        low, high = (middle, high) if reached < effect else (low, middle)
    _, after = simulated(design, studies=200)
    return float(np.mean(after.apart))


if __name__ == "__main__":
    assert LEVEL == 0.05
    for line in plans() if "--plan" in sys.argv else table():
        print(line, flush=True)
