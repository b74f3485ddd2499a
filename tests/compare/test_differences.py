"""Differences of scores on the same prompts."""

import math
from random import Random
from statistics import fmean, stdev

import pytest

from beluga_nb.compare.scores import Scored, Scores
from beluga_nb.errors import UnknownNameError


def scored(model, animal, value, number=0):
    return Scored(labels={"model": model, "animal": animal}, number=number, sha256="0" * 64, value=value)


def scores(*rows):
    return Scores("sharpness", "1", rows)


ANIMALS = ("fox", "cat", "owl", "dog", "emu")
HIGHER = (1.0, 2.0, 2.0, 3.0, 2.0)
PAIRED = scores(
    *(
        scored("a", animal, 100 * place + more)
        for place, (animal, more) in enumerate(zip(ANIMALS, HIGHER, strict=True))
    ),
    *(scored("b", animal, 100 * place) for place, animal in enumerate(ANIMALS)),
)


def test_a_difference_is_that_of_pairs_with_the_interval_of_student():
    """The prompts differ by hundreds, which is no part of the difference. t is 2.776 with 4 degrees."""
    [found] = PAIRED.differences(by="model")
    half = 2.776445 * stdev(HIGHER) / math.sqrt(5)
    assert (found.one, found.other, found.prompts, found.samples) == ("a", "b", 5, 5)
    assert (found.mean, found.low, found.high) == pytest.approx((2, 2 - half, 2 + half), abs=1e-5)


def test_where_differences_are_skewed_both_sides_are_as_long_as_the_longer_one():
    """Of 1, 2, 2, 4 and 1 the skewness is 0.9129, Johnson's t longer by 0.9129 (2 t + 1 / t) / 6 √5."""
    values = dict(zip(ANIMALS, (1.0, 2.0, 2.0, 4.0, 1.0), strict=True))
    rows = [scored(name, each, values[each] * (name == "a")) for name in "ab" for each in values]
    [found] = scores(*rows).differences(by="model")
    student = 2.776445 * stdev(values.values()) / math.sqrt(5)
    assert found.half == pytest.approx(student * 1.402326, rel=1e-5)
    [turned] = scores(*reversed(rows)).differences(by="model")
    assert (turned.mean, turned.half) == (-2, pytest.approx(found.half))


@pytest.mark.parametrize("prompts", [4, 8, 20])
def test_the_interval_of_a_skewed_difference_covers_92_of_100_studies(prompts):
    """Student's t covers 89 to 91: an exponential distribution has a long tail that few prompts show."""
    rng, covered, studies = Random(3), 0, 600
    for _ in range(studies):
        values = [(4 * rng.expovariate(1) - 4, rng.gauss(0, 1)) for _ in range(prompts)]
        pairs = [(str(prompt), pair) for prompt, pair in enumerate(values)]
        rows = [scored("ab"[side], prompt, pair[side]) for prompt, pair in pairs for side in (0, 1)]
        [found] = scores(*rows).differences(by="model")
        covered += found.low <= 0 <= found.high
    assert covered / studies >= 0.915


def three(*names):
    """Scores on five prompts, where each name is higher on some."""
    values = {
        "a": HIGHER,
        "b": (0.0, 0.0, 0.0, 0.0, 0.0),
        "c": (0.0, 0.5, 1.0, -1.0, 0.0),
    }
    return scores(
        *(
            scored(name, animal, value)
            for name in names
            for animal, value in zip(ANIMALS, values[name], strict=True)
        )
    )


def test_the_intervals_of_all_pairs_hold_together():
    """Three intervals of 98.3 % each: t is 3.961 with 4 degrees."""
    [alone] = three("a", "b").differences(by="model")
    found = three("a", "b", "c").differences(by="model")
    assert {each.pairs for each in found} == {3}
    assert found[0].half == pytest.approx(alone.half * 3.96081 / 2.776445, rel=1e-5)
    assert str(alone) == "a − b: 2 (95 %: 1.12 to 2.88; 5 prompts)"
    assert str(found[0]) == "a − b: 2 (95 % for all pairs together: 0.747 to 3.25; 5 prompts)"
    assert found._repr_mimebundle_()["text/plain"].splitlines()[:2] == [
        "difference  mean sharpness  95 % for all pairs together  prompts  samples",
        "a − b       2               0.7475 to 3.253              5        5",
    ]


def test_pairs_without_an_interval_are_not_corrected_for():
    rows = [*three("a", "b").rows, scored("c", "fox", 1.0), scored("c", "cat", 2.0)]
    found = {(each.one, each.other): each for each in scores(*rows).differences(by="model")}
    [alone] = three("a", "b").differences(by="model")
    assert found["a", "b"] == alone
    assert math.isinf(found["a", "c"].half)


@pytest.mark.parametrize("names", [3, 12])
def test_names_of_the_same_mean_are_told_apart_in_about_5_of_100_studies(names):
    """Each interval alone would tell names apart in 12 % of the studies of 3, and in 70 % of those of 12."""
    rng, wrong, studies = Random(20261130), 0, 300
    for _ in range(studies):
        found = scores(
            *(scored(str(name), animal, rng.gauss(0, 1)) for name in range(names) for animal in ANIMALS)
        ).differences(by="model")
        wrong += any(abs(each.mean) > each.half for each in found)
    assert wrong / studies <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / studies)


def test_many_samples_of_a_prompt_are_no_more_prompts():
    many = scores(
        *(
            Scored(labels=row.labels, number=number, sha256="", value=row.value)
            for row in PAIRED.rows
            for number in range(9)
        )
    )
    [found], [once] = many.differences(by="model"), PAIRED.differences(by="model")
    assert (found.mean, found.half) == pytest.approx((once.mean, once.half))
    assert (found.prompts, found.samples) == (5, 45)


def test_of_few_prompts_the_samples_count_and_of_few_samples_nothing():
    few = [scored("a", "fox", value, number) for number, value in enumerate(HIGHER)]
    few += [scored("b", "fox", 0, number) for number in range(5)]
    [found] = scores(*few).differences(by="model")
    assert (found.prompts, found.samples, found.mean) == (1, 5, fmean(HIGHER))
    assert math.isfinite(found.half)
    [two] = scores(*few[:2], *few[5:7]).differences(by="model")
    assert math.isinf(two.half)
    assert "none" in scores(*few[:2], *few[5:7]).differences(by="model")._repr_mimebundle_()["text/plain"]


def test_what_failed_or_has_no_partner_is_left_out():
    found = scores(*PAIRED.rows, scored("a", "elk", 7), scored("c", "fox", None)).differences(by="model")
    assert [(each.one, each.other, each.samples) for each in found] == [("a", "b", 5)]
    apart = scores(scored("a", "fox", 1), scored("b", "cat", 1)).differences(by="model")
    assert apart[0].samples == 0
    assert math.isnan(apart[0].mean)


def test_an_axis_that_is_none_is_named():
    with pytest.raises(UnknownNameError, match="style"):
        PAIRED.differences(by="style")


def test_differences_are_shown_in_a_table():
    shown = PAIRED.differences(by="model")._repr_mimebundle_()["text/plain"]
    assert shown.splitlines()[:2] == [
        "difference  mean sharpness  95 %            prompts  samples",
        "a − b       2               1.122 to 2.878  5        5",
    ]
