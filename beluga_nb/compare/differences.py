"""How much scores differ between names, on the same prompts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import combinations
from statistics import fmean, stdev

from beluga_nb.compare.inference import MIN_PROMPTS, t_quantile
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
    return tuple(
        _difference(
            one,
            other,
            {
                at: values[one] - values[other]
                for at, values in found.items()
                if {one, other} <= values.keys()
            },
        )
        for one, other in combinations(names, 2)
    )


def _difference(one: str, other: str, by_sample: Mapping[tuple[Labels, int], float]) -> Difference:
    found = estimate({(prompt_of(at[0]), *at): value for at, value in by_sample.items()})
    return Difference(one=one, other=other, **vars(found))


def estimate(by_sample: Mapping[tuple[Labels, Labels, int], float]) -> Estimate:
    """Return the mean of the values of some samples, each by its prompt, its labels and its number."""
    by_prompt: dict[Labels, list[float]] = {}
    for (prompt, _, _), value in by_sample.items():
        by_prompt.setdefault(prompt, []).append(value)
    # Scores of one prompt are alike, as votes on it are, and few prompts say nothing of others.
    many = len(by_prompt) >= MIN_PROMPTS
    values = [fmean(each) for each in by_prompt.values()] if many else list(by_sample.values())
    half = math.inf
    if len(values) >= MIN_PROMPTS:
        half = t_quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Estimate(
        mean=fmean(values) if values else math.nan,
        half=half,
        prompts=len(by_prompt),
        samples=len(by_sample),
    )


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
    return estimate(found)


def estimate_of_wins(duels: Iterable[Duel], name: str) -> Estimate:
    """Return how often a name wins, a tie as half; raise `RequestError` where it was not compared.

    Of one sample all comparisons count together. "Both bad" does not count.
    """
    found: dict[tuple[Labels, Labels, int], list[float]] = {}
    for duel in duels:
        if name in {duel.left, duel.right} and duel.answer != BOTH_BAD:
            won = duel.answer == (LEFT if duel.left == name else RIGHT)
            values = found.setdefault((duel.prompt, *duel.sample), [])
            values.append(0.5 if duel.answer == TIE else float(won))
    if not found:
        raise RequestError(f"{sanitize(name, 80)} was compared with nothing.", "Vote first, or ask a judge.")
    return estimate({at: fmean(values) for at, values in found.items()})
