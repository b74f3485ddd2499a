"""How much scores differ between names, on the same prompts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import combinations
from statistics import fmean, stdev

from beluga_nb.compare.inference import MIN_PROMPTS, t_quantile
from beluga_nb.compare.scores import Difference, Scored
from beluga_nb.compare.vote import Labels, others, prompt_of
from beluga_nb.errors import UnknownNameError


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
    by_prompt: dict[Labels, list[float]] = {}
    for (labels, _), value in by_sample.items():
        by_prompt.setdefault(prompt_of(labels), []).append(value)
    # Scores of one prompt are alike, as votes on it are, and few prompts say nothing of others.
    many = len(by_prompt) >= MIN_PROMPTS
    values = [fmean(each) for each in by_prompt.values()] if many else list(by_sample.values())
    half = math.inf
    if len(values) >= MIN_PROMPTS:
        half = t_quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Difference(
        one=one,
        other=other,
        mean=fmean(values) if values else math.nan,
        half=half,
        prompts=len(by_prompt),
        samples=len(by_sample),
    )
