"""How often the intervals of a ranking, and of differences, are right: simulated studies of a known truth.

    python -m benchmarks.coverage            # the table: about six minutes
    python -m benchmarks.coverage --plan     # how good `plan_votes` is
    python -m benchmarks.coverage --many     # rankings of twelve equal names
    python -m benchmarks.coverage --wins     # win rates, as `check` has them
    python -m benchmarks.coverage --scores   # differences of scores

In each study every voter compares every pair of three names once on every prompt. Each picture has an effect
on the logit of a vote, alike in all votes on it; each voter may have a taste for each name. "Before" are
intervals that take votes for independent; "after" are those of `beluga_nb.compare.inference`.

In a study of win rates there are two names. In a study of scores, names have the same mean on every prompt,
and each pair an interval of its difference.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise, product

import numpy as np
from numpy.typing import NDArray

from beluga_nb.compare.differences import differences, estimate_of_wins
from beluga_nb.compare.inference import LEVEL, MIN_PROMPTS, MIN_VOTERS, PRECISION, Fit, fit, t_quantile
from beluga_nb.compare.rank import ELO
from beluga_nb.compare.scores import Scored
from beluga_nb.compare.vote import Duel
from beluga_nb.compare.vote_plan import plan_votes
from beluga_nb.store.votes import LEFT, RIGHT

Array = NDArray[np.float64]

SURE = 1.959964
"""Deviations to each side of a Gaussian that hold 95 % of it."""

SIZES = [*product((0.0,), (4, 8, 16), (1, 3, 30)), *product((0.5,), (4, 8, 16), (5, 30))]
"""Tastes, prompts and voters of the studies of a table."""

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
        """Count a study, and its intervals where there are any."""
        errors = np.abs(found - truth)
        self.covered += [bool(e <= m) for e, m in zip(errors, margins, strict=True) if math.isfinite(m)]
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


def table(studies: int = 1200) -> Iterator[str]:
    """Yield the lines of the table of coverage."""
    yield (
        "| prompts | voters | pictures | tastes | covered before | after | told apart before | after"
        " | covered after, names differ | ± Elo before | after |"
    )
    yield "|--:" * 11 + "|"
    for (tastes, prompts, voters), pictures in product(SIZES, (0.0, 0.5, 1.0)):
        assert prompts >= MIN_PROMPTS
        assert voters >= MIN_VOTERS or not tastes, "With few voters, the truth is theirs."
        same, other = (
            Design(prompts=prompts, voters=voters, pictures=pictures, tastes=tastes, strengths=strengths)
            for strengths in (EQUAL, DIFFERENT)
        )
        (before, after), (_, different) = (simulated(each, studies=studies) for each in (same, other))
        rates = before.covered, after.covered, before.apart, after.apart, different.covered
        figures = [float(np.mean(each)) if each else math.nan for each in rates]
        widths = (float(np.median(each.widths)) * ELO for each in (before, after))
        yield (
            f"| {prompts} | {voters} | {pictures:g} | {tastes:g} | "
            + " | ".join(map(percent, figures))
            + " | "
            + " | ".join(f"{width:.0f}" if math.isfinite(width) else "none" for width in widths)
            + " |"
        )


def percent(share: float) -> str:
    """Return a share in percent; of no intervals there is none."""
    return "none" if math.isnan(share) else f"{share:.1%}"


def win_rates(studies: int = 2000) -> Iterator[str]:
    """Yield how often the interval of a win rate contains the true one, where there is an interval."""
    yield "| prompts | voters | pictures | tastes | covered: half of the votes | covered: two thirds |"
    yield "|--:" * 6 + "|"
    for (tastes, prompts, voters), pictures in product(SIZES, (0.0, 0.5, 1.0)):
        covered = []
        for strengths in ((0.0, 0.0), (0.35, -0.35)):
            design = Design(
                prompts=prompts, voters=voters, pictures=pictures, tastes=tastes, strengths=strengths
            )
            rng, (first, second) = np.random.default_rng(1), design.truth
            truth = 1 / (1 + math.exp(second - first))
            found = [estimate_of_wins(duels(design.study(rng)), "0") for _ in range(studies)]
            covered.append([each.low <= truth <= each.high for each in found if each.has_interval])
        figures = " | ".join(percent(float(np.mean(each)) if each else math.nan) for each in covered)
        yield f"| {prompts} | {voters} | {pictures:g} | {tastes:g} | {figures} |"


def duels(wins: Array) -> Iterator[Duel]:
    """Yield the votes of a study of two names."""
    for (prompt, voter), won in np.ndenumerate(wins[:, :, 0, 1]):
        on = (("prompt", str(prompt)),)
        yield Duel("0", "1", LEFT if won else RIGHT, prompt=on, sample=(on, 0), voter=str(voter))


def many() -> Iterator[str]:
    """Yield how often rankings of twelve equal names tell any of their 66 pairs apart."""
    yield "| prompts | voters | pictures | tastes | covered | any two told apart |"
    yield "|--:" * 6 + "|"
    for prompts, voters, pictures, tastes in product((4, 8, 16), (1, 5, 30), (0.5, 1.0), (0.0, 0.5)):
        if voters >= MIN_VOTERS or not tastes:
            equal = (0.0,) * 12
            design = Design(prompts=prompts, voters=voters, pictures=pictures, tastes=tastes, strengths=equal)
            _, after = simulated(design)
            figures = f"{np.mean(after.covered):.1%} | {np.mean(after.apart):.1%}"
            yield f"| {prompts} | {voters} | {pictures:g} | {tastes:g} | {figures} |"


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


KINDS = ("alike", "one varies more", "one is skewed", "one has a long tail")
"""How scores of different names vary between prompts."""

DRAWS = 999
"""Resamples of a bootstrap."""


def scores_of(kind: str, rng: np.random.Generator, prompts: int, names: int) -> Array:
    """Return a score for each prompt and name; the means of all names are 0."""
    found = rng.standard_normal((prompts, names))
    if kind == "one varies more":
        found[:, 0] *= 4
    if kind == "one is skewed":
        found[:, 0] = 4 * (rng.exponential(size=prompts) - 1)
    if kind == "one has a long tail":
        found[:, 0] = 4 * (rng.lognormal(size=prompts) - math.exp(0.5))
    return found


def alone(paired: Array) -> Array:
    """Return the margin of each difference by itself."""
    count = len(paired)
    return np.asarray(t_quantile(count - 1) * paired.std(axis=0, ddof=1) / math.sqrt(count))


def of_package(scores: Array) -> Array:
    """Return the margins of beluga_nb."""
    rows = [
        Scored(labels={"name": str(name), "prompt": str(prompt)}, number=0, sha256="", value=float(value))
        for (prompt, name), value in np.ndenumerate(scores)
    ]
    return np.array([each.half for each in differences(rows, by="name")])


def bootstrapped(paired: Array, rng: np.random.Generator) -> Array:
    """Return margins by the largest t of all differences, in a bootstrap over prompts."""
    count, mean = len(paired), paired.mean(axis=0)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=DRAWS) / count
    means = weights @ paired
    variances = np.maximum(weights @ paired**2 - means**2, 1e-12) / (count - 1)
    largest = (np.abs(means - mean) / np.sqrt(variances)).max(axis=1)
    return np.asarray(np.quantile(largest, 1 - LEVEL) * paired.std(axis=0, ddof=1) / math.sqrt(count))


def multivariate(paired: Array, rng: np.random.Generator) -> Array:
    """Return margins by the largest of Student's variables that are correlated as the differences are."""
    count = len(paired)
    spread = paired.std(axis=0, ddof=1)
    drawn = rng.standard_normal((DRAWS, count)) @ (paired - paired.mean(axis=0)) / spread
    largest = np.abs(drawn).max(axis=1) / np.sqrt(rng.chisquare(count - 1, size=DRAWS))
    return np.asarray(np.quantile(largest, 1 - LEVEL) * spread / math.sqrt(count))


def score_table(studies: int = 1000) -> Iterator[str]:
    """Yield how often all intervals of a study hold, by several procedures, and how often one does."""
    yield (
        "| scores | names | prompts | each alone: one holds | all hold | beluga_nb: one holds | all hold"
        " | bootstrap: all hold | multivariate t: all hold | × width |"
    )
    yield "|---|" + "--:|" * 9
    for kind, names, prompts in product(KINDS, (2, 3, 12), (4, 8, 20)):
        rng = np.random.default_rng(1)
        held: list[list[Array]] = [[], [], [], []]
        widths = []
        for _ in range(studies):
            scores = scores_of(kind, rng, prompts, names)
            paired = np.stack([scores[:, i] - scores[:, j] for i, j in combinations(range(names), 2)], axis=1)
            margins = (
                *(alone(paired), of_package(scores)),
                *(bootstrapped(paired, rng), multivariate(paired, rng)),
            )
            widths.append(float(np.median(margins[1] / margins[3])))
            for found, margin in zip(held, margins, strict=True):
                found.append(np.abs(paired.mean(axis=0)) <= margin)
        each = [np.mean(found) for found in held]
        together = [np.mean([one.all() for one in found]) for found in held]
        figures = (each[0], together[0], each[1], *together[1:])
        yield (
            f"| {kind} | {names} | {prompts} | "
            + " | ".join(f"{figure:.1%}" for figure in figures)
            + f" | {np.median(widths):.2f} |"
        )


if __name__ == "__main__":
    assert LEVEL == 0.05
    tables = {"--plan": plans, "--many": many, "--wins": win_rates, "--scores": score_table}
    for line in next((tables[each] for each in sys.argv[1:] if each in tables), table)():
        print(line, flush=True)
