"""The Kernel Inception Distance between sets of pictures, of features that a metric gave for each.

Bińkowski et al., "Demystifying MMD GANs", ICLR 2018: the unbiased estimate of the squared maximum mean
discrepancy, with the kernel (x·y / dimensions + 1)³. The paper takes the features of an Inception network.

The p-values are adjusted for the number of pairs (Holm, "A Simple Sequentially Rejective Multiple Test
Procedure", Scandinavian Journal of Statistics 6, 1979): in at most 5 % of studies is one of 0.05 or less
given to any pair that differs by chance alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from beluga_nb.compare.scores import Distance, Scored
from beluga_nb.compare.vote import others, prompt_of
from beluga_nb.errors import RequestError, UnknownNameError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SHUFFLES = 999
"""The least number of times that labels are exchanged, to see how far apart sets are by chance."""

SHUFFLES_PER_PAIR = 40
"""The same for each pair of sets. An adjusted p-value is then 1 / 40 at best, which is below 0.05."""


def distances(rows: Iterable[Scored], *, by: str) -> tuple[Distance, ...]:
    """Return how far apart the pictures of each two labels of an axis are, as sets."""
    rows = [row for row in rows if not row.error]
    for row in rows:
        if by not in row.labels:
            raise UnknownNameError("axis", by, row.labels)
    if not rows or not rows[0].parts or len({tuple(row.parts) for row in rows}) > 1:
        raise RequestError(
            "There are no features to compare.", 'Score them first: score("features", Features(model)).'
        )
    features = np.array([list(row.parts.values()) for row in rows])
    kernel = (features @ features.T / features.shape[1] + 1) ** 3
    labels = np.array([row.labels[by] for row in rows])
    prompts = [prompt_of(others(row.labels, by=by)) for row in rows]
    numbers = {prompt: number for number, prompt in enumerate(dict.fromkeys(prompts))}
    strata = np.array([numbers[prompt] for prompt in prompts])
    compared = list(combinations(dict.fromkeys(row.labels[by] for row in rows), 2))
    shuffles = max(SHUFFLES, SHUFFLES_PER_PAIR * len(compared) - 1)
    found = []
    for one, other in compared:
        chosen = np.flatnonzero((labels == one) | (labels == other))
        first, part = labels[chosen] == one, kernel[np.ix_(chosen, chosen)]
        counts = int(first.sum()), int((~first).sum())
        kid = chance = math.nan
        if min(counts) > 1:
            # Pictures of one prompt are alike, so that labels are exchanged within prompts only.
            kid, *shuffled = _kids(part, np.vstack([first, *_shuffled(first, strata[chosen], shuffles)]))
            chance = (1 + sum(each >= kid - 1e-12 for each in shuffled)) / (1 + shuffles)
        found.append(Distance(one=one, other=other, kid=kid, chance=chance, pictures=counts))
    adjusted = holm_adjusted([each.chance for each in found])
    return tuple(replace(each, chance=chance) for each, chance in zip(found, adjusted, strict=True))


def holm_adjusted(chances: Sequence[float]) -> list[float]:
    """Return p-values of several hypotheses, adjusted by Holm's procedure; nan stays, and does not count.

    >>> holm_adjusted([0.01, 0.5, 0.02])
    [0.03, 0.5, 0.04]
    """
    adjusted, least = list(chances), 0.0
    order = sorted(
        (each for each in range(len(chances)) if not math.isnan(chances[each])), key=chances.__getitem__
    )
    for rank, place in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * chances[place]))
        adjusted[place] = least
    return adjusted


def _kids(kernel: Floats, firsts: NDArray[np.bool_]) -> list[float]:
    """Return the distance for each way of dividing pictures into two sets."""
    one, other = firsts.astype(float), (~firsts).astype(float)
    m, n = one.sum(axis=1), other.sum(axis=1)
    to_one, own = one @ kernel, np.diag(kernel)
    within_one = (to_one * one).sum(axis=1) - one @ own
    within_other = ((other @ kernel) * other).sum(axis=1) - other @ own
    between = (to_one * other).sum(axis=1)
    kids = within_one / (m * (m - 1)) + within_other / (n * (n - 1)) - 2 * between / (m * n)
    return [float(kid) for kid in kids]


def _shuffled(
    first: NDArray[np.bool_], strata: NDArray[np.int_], shuffles: int
) -> Iterable[NDArray[np.bool_]]:
    rng = np.random.default_rng(0)
    in_order = np.argsort(strata, kind="stable")
    for _ in range(shuffles):
        shuffled = np.empty_like(first)
        shuffled[np.lexsort((rng.random(len(first)), strata))] = first[in_order]
        yield shuffled
