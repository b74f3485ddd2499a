"""How sure strengths are: quantiles, the fit, and how often simulated studies hold the truth."""

import math

import numpy as np
import pytest

from beluga_nb.compare.inference import Fit, Wins, fit, fitted, outside, t_quantile, two_way
from beluga_nb.compare.rank import ranking
from beluga_nb.compare.vote import Duel
from beluga_nb.compare.vote_plan import plan_votes
from beluga_nb.errors import RequestError
from beluga_nb.store.votes import LEFT, RIGHT

coverage = pytest.importorskip("benchmarks.coverage", reason="the benchmarks are not in the package")


@pytest.mark.parametrize(
    ("degrees", "level", "quantile"),
    [
        (1, 0.05, 12.706),
        (2, 0.05, 4.303),
        (3, 0.05, 3.182),
        (4, 0.05, 2.776),
        (5, 0.05, 2.571),
        (10, 0.05, 2.228),
        (15, 0.05, 2.131),
        (30, 0.05, 2.042),
        (120, 0.05, 1.980),
        (7, 0.10, 1.895),
        (3, 0.01, 5.841),
        (10, 0.01, 3.169),
        (math.inf, 0.05, 1.960),
        (math.inf, 0.01, 2.576),
    ],
)
def test_quantiles_are_those_of_published_tables(degrees, level, quantile):
    assert t_quantile(degrees, level) == pytest.approx(quantile, abs=5e-4)
    assert outside(t_quantile(degrees, level), degrees) == pytest.approx(level, abs=1e-9)


def test_with_one_degree_of_freedom_it_is_the_distribution_of_cauchy():
    for t in (0.0, 0.5, 1.0, 20.0):
        assert outside(t, 1) == pytest.approx(1 - 2 / math.pi * math.atan(t))


@pytest.mark.parametrize(
    ("wins", "strengths"),
    [
        (
            [[0, 8, 5, 3], [4, 0, 6, 2], [7, 6, 0, 5], [9, 7, 5, 0]],
            [-0.159285351, -0.412176612, 0.060333120, 0.511128842],
        ),
        (
            [[0, 60, 35, 0, 2], [20, 0, 31, 9, 4], [25, 29, 0, 14, 1], [0, 3, 6, 0, 2], [0, 1, 0, 3, 0]],
            [0.927992265, 0.124409274, 0.298041803, -0.678272566, -0.672170776],
        ),
        ([[0, 12], [0, 0]], [1.131273012, -1.131273012]),
    ],
)
def test_the_fit_is_that_of_choix(wins, strengths):
    """choix 0.4.1 gave these numbers, less their mean, for a pair (i, j) for each win:

    `choix.opt_pairwise(len(wins), pairs, alpha=0.5, tol=1e-14, method="Newton-CG")`
    """
    assert fitted(np.array(wins, dtype=float)) == pytest.approx(strengths, abs=1e-6)


PUBLISHED = np.array([[0, 730, 498, 221], [33, 0, 68, 17], [320, 813, 0, 142], [284, 276, 325, 0]])
"""How often Biometrika, Comm. Statist., JASA and JRSS-B were cited by each other: Agresti, "Categorical Data
Analysis", 2nd edition, 2002, page 448, from Stigler, "Citation Patterns in the Journals of Statistics and
Probability", Statistical Science 9, 1994."""


def without_prior(wins):
    """The strengths of maximum likelihood: beside so many votes, the prior is nothing."""
    return fitted(1e9 * wins)


def of_evalica(wins, ties):
    evalica = pytest.importorskip("evalica")
    counts = [(i, j, evalica.Winner.X, n) for (i, j), n in np.ndenumerate(wins) if n]
    counts += [(i, j, evalica.Winner.Draw, n) for (i, j), n in np.ndenumerate(ties) if n]
    left, right, winners, weights = map(list, zip(*counts, strict=True))
    found = evalica.bradley_terry(
        *(left, right, winners),
        weights=[float(each) for each in weights],
        tie_weight=0.5,
        tolerance=1e-14,
        limit=10**6,
    )
    strengths = np.log(found.scores.sort_index().to_numpy())
    return strengths - strengths.mean()


def test_the_fit_is_that_of_evalica_on_the_same_counts_where_a_tie_is_half_a_win():
    rng = np.random.default_rng(20)
    for names in (2, 3, 5, 12):
        for _ in range(5):
            wins, ties = rng.integers(1, 40, (names, names)), np.triu(rng.integers(0, 20, (names, names)), 1)
            np.fill_diagonal(wins, 0)
            found = without_prior(wins + (ties + ties.T) / 2)
            assert found == pytest.approx(of_evalica(wins, ties), abs=1e-6)


def test_the_fit_is_that_of_evalica_on_a_published_table():
    expected = of_evalica(PUBLISHED, np.zeros_like(PUBLISHED))
    assert without_prior(PUBLISHED) == pytest.approx(expected, abs=1e-6)


def test_a_published_table_has_the_strengths_that_bradleyterry2_gives_it():
    """`BTabilities` of the package BradleyTerry2 for R has these numbers in its tests, to seven digits."""
    found = without_prior(PUBLISHED)
    assert found - found[0] == pytest.approx([0, -2.9490725, -0.4795698, 0.2689541], abs=1e-6)


def simulated(truth, votes, rng):
    """The fit of one study: `votes` pairs drawn evenly, each on a prompt of its own, by one voter."""
    count = len(truth)
    wins = np.zeros((votes, count, count))
    for number in range(votes):
        one, other = rng.choice(count, 2, replace=False)
        won = rng.random() < 1 / (1 + math.exp(truth[other] - truth[one]))
        wins[(number, one, other) if won else (number, other, one)] += 1
    return fit(wins, wins.sum(axis=0, keepdims=True), wins)


@pytest.mark.parametrize(
    ("names", "votes", "as_the_prior_says"), [(3, 30, True), (4, 60, True), (6, 120, True), (4, 120, False)]
)
def test_intervals_hold_the_truth_in_about_95_of_100_studies(names, votes, as_the_prior_says):
    """Where strengths are as the prior expects, and where they are fixed, an odd one far off."""
    rng = np.random.default_rng(20261124)
    inside = []
    for _ in range(300):
        truth = rng.normal(size=names) if as_the_prior_says else np.array([-1.5, 0.0, 0.2, 1.3])
        found = simulated(truth, votes, rng)
        margins = [found.margin(name) for name in range(names)]
        inside.extend(np.abs(found.strengths - (truth - truth.mean())) <= margins)
    assert 0.93 <= np.mean(inside) <= 0.97


DESIGNS = {
    "a picture is as good as its name": coverage.Design(prompts=8, voters=3, pictures=0),
    "pictures matter": coverage.Design(prompts=8, voters=30, pictures=0.5),
    "pictures matter, on four prompts": coverage.Design(prompts=4, voters=30, pictures=1),
    "voters matter": coverage.Design(prompts=16, voters=10, pictures=0, tastes=0.5),
    "both matter": coverage.Design(prompts=16, voters=10, pictures=0.5, tastes=0.5),
}


@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_where_votes_are_alike_intervals_hold_the_truth_and_equals_are_seldom_told_apart(design):
    """The bounds are three standard errors of 200 studies beyond 95 % of intervals and 5 % of studies."""
    _, found = coverage.simulated(design, studies=200, seed=20261130)
    assert 0.92 <= np.mean(found.covered) <= 0.99
    assert np.mean(found.apart) <= 0.10


@pytest.mark.parametrize("strengths", [coverage.EQUAL, coverage.DIFFERENT], ids=["equal", "different"])
@pytest.mark.parametrize(("prompts", "voters"), [(4, 3), (6, 2), (8, 1), (4, 30)])
def test_intervals_of_few_votes_or_of_no_effects_are_no_wider_than_they_claim(prompts, voters, strengths):
    """They covered 98 to 99 % when all of the variance of independent votes and of the prior was added.

    Each bound is a standard error beyond 92 to 98 %.
    """
    design = coverage.Design(prompts=prompts, voters=voters, pictures=0, strengths=strengths)
    _, found = coverage.simulated(design, studies=400 if voters < 30 else 200, seed=5)
    assert 0.91 <= np.mean(found.covered) <= 0.985
    assert len(found.covered) == 3 * len(found.apart)


def test_degrees_of_freedom_are_the_nearest_whole_number():
    """Here 3.88: rounded down, 4 prompts and 30 voters without effects covered more than 98 %."""
    assert two_way(0.3, 1.0, 0.9, prompts=4, voters=30) == (0.5, 4)


def test_fewer_than_16_votes_on_a_name_have_no_interval_and_can_tell_it_apart():
    """Of 4 prompts and one voter, intervals covered 98 to 99 %: there are few values to choose from."""
    design = coverage.Design(prompts=4, voters=1, pictures=0.5)
    _, found = coverage.simulated(design, studies=50, seed=5)
    assert not found.covered
    wins = np.zeros((7, 2, 2))
    wins[:, 0, 1] = 1
    seven = fit(wins, wins.sum(axis=0, keepdims=True), wins)
    assert math.isinf(seven.margin(0))
    assert seven.apart() == {frozenset({0, 1})}


def test_of_many_equal_names_any_two_are_seldom_told_apart():
    """66 pairs on four prompts: Satterthwaite's degrees of freedom alone would do so in 18 to 24 %."""
    design = coverage.Design(prompts=4, voters=30, pictures=1, tastes=0.5, strengths=(0.0,) * 12)
    _, found = coverage.simulated(design, studies=100, seed=4)
    assert np.mean(found.apart) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 100)
    assert 0.92 <= np.mean(found.covered) <= 0.98


def test_intervals_that_take_votes_for_independent_would_be_wrong():
    """The simulation can tell: votes on one prompt are alike in it."""
    before, _ = coverage.simulated(DESIGNS["pictures matter"], studies=100, seed=1)
    assert np.mean(before.covered) < 0.75
    assert np.mean(before.apart) > 0.3


def test_names_that_differ_are_found_and_their_strengths_covered():
    design = coverage.Design(prompts=16, voters=10, pictures=0.5, strengths=coverage.DIFFERENT)
    _, found = coverage.simulated(design, studies=100, seed=2)
    assert np.mean(found.covered) >= 0.92
    assert np.mean(found.apart) >= 0.95


def test_a_jackknife_is_the_fit_without_each_prompt():
    """One Newton step from the strengths is close to a fit of its own."""
    wins = coverage.Design(prompts=12, voters=3, pictures=1).study(np.random.default_rng(3))
    found, by_prompt = coverage.measured(wins), wins.sum(axis=1)
    moved = np.array([fitted(by_prompt.sum(axis=0) - each) - found.strengths for each in by_prompt])
    assert found.between_prompts == pytest.approx(11 / 12 * moved.T @ moved, rel=0.05, abs=1e-4)


def test_half_of_the_larger_share_is_used_where_the_sum_of_both_is_too_small():
    shares = {"between_prompts": 0.04, "between_voters": 0.09, "between_cells": 0.12}
    two = np.array([[1.0, -1.0], [-1.0, 1.0]]) / 2
    found = Fit(
        strengths=np.zeros(2),
        prior=np.zeros((2, 2)),
        independent=0.01 * two,
        prompts=[16, 16],
        voters=[9, 9],
        votes=[144, 144],
        **{name: share * two for name, share in shares.items()},
    )
    # A strength less the mean has half of each share, here the voters': 0.045; nine of them have 8 degrees.
    assert found.margin(0) == pytest.approx(t_quantile(8) * math.sqrt(0.045 / 2))


def test_prompts_that_all_agree_leave_at_least_half_of_the_variance_of_independent_votes():
    """Sixteen wins of sixteen: between the prompts there is no difference at all."""
    wins = np.zeros((16, 2, 2))
    wins[:, 0, 1] = 1
    found = fit(wins, wins.sum(axis=0, keepdims=True), wins)
    of_independent = coverage.independent(wins.sum(axis=0), found.strengths)[0][0]
    assert of_independent / math.sqrt(2) < found.margin(0) < of_independent
    assert t_quantile(15) ** 2 * found.between_prompts[0, 0] < of_independent**2 / 4


def test_a_large_difference_is_covered_where_votes_are_not_few():
    """One name wins nine of ten votes."""
    design = coverage.Design(prompts=8, voters=30, pictures=0.5, strengths=(1.2, -1.2))
    _, found = coverage.simulated(design, studies=200, seed=4)
    assert np.mean(found.covered) >= 0.92


@pytest.mark.parametrize("seed", range(5))
def test_a_ranking_depends_on_no_order_of_votes_or_names(seed):
    rng = np.random.default_rng(seed)
    votes = [
        Duel(
            *map(str, rng.choice(4, 2, replace=False)),
            (LEFT, RIGHT)[rng.integers(2)],
            prompt=(("prompt", str(rng.integers(9))),),
            voter=str(rng.integers(7)),
        )
        for _ in range(150)
    ]
    found = ranking(votes, by="model")
    mixed = [votes[number] for number in rng.permutation(150)]
    assert ranking(mixed, by="model") == found


def test_a_plan_finds_what_it_was_made_for():
    """Of the planned size, 80 % of studies tell the two apart; 200 studies have a standard error of 3 %."""
    for voters, pictures, tastes in ((1, 0.5, 0.0), (10, 0.5, 0.3), (30, 1.0, 0.3)):
        [need] = plan_votes(effect=0.7, voters=[voters], pictures=pictures, tastes=tastes).needs
        found = coverage.power(0.7, need.prompts, voters, pictures, tastes if voters >= 5 else 0.0)
        assert 0.7 <= found <= 0.95


def test_a_plan_takes_a_win_rate_or_elo_points():
    by_rate, by_elo = plan_votes(effect=0.64), plan_votes(effect=100)
    assert by_rate.elo == pytest.approx(100, abs=0.5)
    assert by_elo.win_rate == pytest.approx(0.64, abs=0.001)


def test_more_voters_need_fewer_prompts_and_smaller_effects_more():
    one, three = plan_votes(effect=0.65, voters=[1, 3]).needs
    assert three.prompts < one.prompts < three.votes
    [smaller] = plan_votes(effect=0.6, voters=[1]).needs
    assert smaller.prompts > one.prompts
    [more_names] = plan_votes(effect=0.65, voters=[1], names=4).needs
    assert more_names.votes == 6 * more_names.prompts


def test_what_no_number_of_prompts_shows_is_planned_as_none():
    plan = plan_votes(effect=0.55, voters=[5], tastes=1)
    assert plan.needs[0].prompts is plan.needs[0].votes is plan.needs[0].votes_each is None
    assert "none suffices" in plan._repr_mimebundle_()["text/plain"]


@pytest.mark.parametrize("wrong", [0.5, 0.3, 0, -50, float("nan"), float("inf")])
def test_an_effect_that_is_none_cannot_be_planned_for(wrong):
    with pytest.raises(RequestError, match="cannot be planned for"):
        plan_votes(effect=wrong)


@pytest.mark.parametrize(
    "wrong", [{"names": 1}, {"voters": []}, {"voters": [0]}, {"power": 1}, {"tastes": -1}]
)
def test_a_study_that_cannot_be_is_not_planned(wrong):
    with pytest.raises(RequestError, match="cannot be planned"):
        plan_votes(effect=0.6, **wrong)


@pytest.mark.parametrize("entries", [1, 700, 2**20])
def test_many_clusters_in_blocks_give_the_numbers_of_one_array(entries, monkeypatch):
    rng = np.random.default_rng(7)
    names, prompts, voters = 5, 90, 40
    left = rng.integers(names, size=4000)
    right = (left + rng.integers(1, names, size=4000)) % names
    shares = rng.choice([0.0, 0.5, 1.0], size=4000)
    of_prompt, of_voter = rng.integers(prompts, size=4000), rng.integers(voters, size=4000)
    clusters = [of_prompt, of_voter, of_prompt * voters + of_voter]
    dense = []
    for each in clusters:
        wins = np.zeros((each.max() + 1, names, names))
        np.add.at(wins, (each, left, right), shares)
        np.add.at(wins, (each, right, left), 1 - shares)
        dense.append(wins)
    monkeypatch.setattr("beluga_nb.compare.inference.MOST_ENTRIES", entries)
    whole, blocks = fit(*dense), fit(*(Wins(each, left, right, shares, names) for each in clusters))
    assert vars(whole).keys() == vars(blocks).keys()
    for name, found in vars(whole).items():
        assert getattr(blocks, name) == pytest.approx(found, abs=1e-9), name
