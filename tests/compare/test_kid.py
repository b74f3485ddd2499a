"""The distance between sets of pictures, on features whose distance is known."""

import math

import numpy as np
import pytest

from beluga_nb.compare.kid import distances
from beluga_nb.compare.scores import Scored, Scores
from beluga_nb.errors import RequestError, UnknownNameError


def scored(model, animal, features, number=0):
    parts = {f"{place:04}": float(value) for place, value in enumerate(features)}
    return Scored(labels={"model": model, "animal": animal}, number=number, sha256="0" * 64, parts=parts)


def sets(shift, *, prompts=12, of_prompt=0.0, seed=1):
    rng = np.random.default_rng(seed)
    rows = []
    for prompt in range(prompts):
        own = of_prompt * rng.normal(size=8)
        rows += [
            scored("a", str(prompt), own + rng.normal(size=8)),
            scored("b", str(prompt), own + rng.normal(size=8) + shift),
        ]
    return rows


def by_hand(one, other):
    """The estimate as the paper writes it, sum by sum."""

    def kernel(x, y):
        return (sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3

    m, n = len(one), len(other)
    own = sum(kernel(one[i], one[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    theirs = sum(kernel(other[i], other[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return own + theirs - 2 * sum(kernel(x, y) for x in one for y in other) / (m * n)


def test_the_distance_is_that_of_the_paper_also_for_sets_of_two_sizes():
    rows = [*sets(0.5), scored("b", "0", np.ones(8), number=1)]
    [found] = distances(rows, by="model")
    one, other = ([list(row.parts.values()) for row in rows if row.labels["model"] == name] for name in "ab")
    assert found.kid == pytest.approx(by_hand(one, other), rel=1e-9)
    assert (found.one, found.other, found.pictures) == ("a", "b", (12, 13))


def test_sets_that_differ_are_farther_apart_than_chance_makes_them():
    [alike], [apart] = (distances(sets(shift, seed=2), by="model") for shift in (0, 2))
    assert abs(alike.kid) < 1 < apart.kid
    assert apart.chance < 0.01 < 0.05 < alike.chance


def test_chance_is_claimed_as_often_as_it_is_there_even_if_pictures_of_a_prompt_are_alike():
    chances = [
        distances(sets(0, prompts=8, of_prompt=3, seed=seed), by="model")[0].chance for seed in range(60)
    ]
    assert sum(each <= 0.1 for each in chances) <= 14  # 6 are expected, and more than 14 come once in 1,000


def test_chance_is_adjusted_for_the_number_of_pairs():
    """Holm: the smallest p-value is multiplied by 3, the next by 2."""
    third = [
        scored("c", each.labels["animal"], 2 * np.random.default_rng(9).normal(size=8)) for each in sets(0)
    ]
    rows = [*sets(2), *third]
    alone = sorted(
        distances([row for row in rows if row.labels["model"] in pair], by="model")[0].chance
        for pair in ("ab", "bc", "ac")
    )
    found = sorted(each.chance for each in distances(rows, by="model"))
    assert found == pytest.approx([3 * alone[0], max(3 * alone[0], 2 * alone[1]), max(found[1], alone[2])])
    many = [scored(str(name), str(prompt), [name, 1]) for name in range(12) for prompt in range(14)]
    assert min(each.chance for each in distances(many, by="model")) <= 0.05


def test_a_set_of_one_picture_has_no_distance():
    [found] = distances(sets(0, prompts=1), by="model")
    assert math.isnan(found.kid)
    assert math.isnan(found.chance)


def test_a_distance_needs_features_and_an_axis():
    numbers = Scores("sharpness", "1", (Scored(labels={"model": "a"}, number=0, sha256="", value=1.0),))
    with pytest.raises(RequestError, match="no features"):
        numbers.kid(by="model")
    with pytest.raises(UnknownNameError):
        Scores("features", "1", tuple(sets(0))).kid(by="style")


def test_distances_are_a_table():
    shown = Scores("features", "1", tuple(sets(2))).kid(by="model")._repr_mimebundle_()["text/plain"]
    assert shown.splitlines()[0].split("  ") == ["sets", " KID of features", "by chance", "pictures"]
    assert "a – b" in shown
    assert "12 and 12" in shown
    three = Scores("features", "1", (*sets(2), *(scored("c", str(each), np.ones(8)) for each in range(3))))
    assert "by chance, for all pairs together" in three.kid(by="model")._repr_mimebundle_()["text/plain"]
