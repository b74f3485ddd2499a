"""Rankings from votes: the fit, its intervals, and what is said where votes are few."""

import math
from itertools import combinations

import numpy as np
import pytest

from beluga_nb.compare.rank import ELO, Ranking, fitted, ranking
from beluga_nb.compare.vote import Duel
from beluga_nb.store.votes import BOTH_BAD, LEFT, RIGHT, TIE


def beats(winner, loser, times):
    """Votes that `winner` got, half of them on each side."""
    return [
        Duel(winner, loser, LEFT) if number % 2 else Duel(loser, winner, RIGHT) for number in range(times)
    ]


def test_who_wins_more_stands_higher_and_strengths_have_mean_zero():
    found = ranking(beats("a", "b", 30) + beats("b", "c", 30) + beats("c", "a", 5), by="model")
    assert found.names == ["a", "b", "c"]
    assert sum(each.elo for each in found.standings) == pytest.approx(0, abs=1e-6)
    first = found.standings[0]
    assert (first.wins, first.losses, first.ties) == (30, 5, 0)
    assert first.low < first.elo < first.high


def test_two_names_have_the_strength_that_solves_the_equation_by_hand():
    # wins·(1 - p) = strength of the prior at the maximum: 3 wins, 1 loss, each strength ±x, p = σ(2x).
    found = ranking(beats("a", "b", 3) + beats("b", "a", 1), by="model")
    x = found.standings[0].elo / ELO
    assert 3 - 4 / (1 + math.exp(-2 * x)) == pytest.approx(x, abs=1e-9)


def test_a_tie_is_half_a_win_for_each_whatever_the_sides():
    ties = ranking([Duel("a", "b", TIE)] * 4, by="model")
    halves = ranking(beats("a", "b", 2) + beats("b", "a", 2), by="model")
    assert [each.elo for each in ties.standings] == pytest.approx([0, 0])
    assert ties.wins == halves.wins == ((0.0, 2.0), (2.0, 0.0))
    assert ties.standings[0].ties == 4


def test_both_bad_ranks_nothing_and_is_reported():
    votes = beats("a", "b", 3)
    with_bad = ranking([*votes, Duel("b", "a", BOTH_BAD)], by="model")
    assert with_bad.standings[0].elo == ranking(votes, by="model").standings[0].elo
    assert (with_bad.votes, with_bad.bad, with_bad.standings[0].bad) == (3, 1, 1)
    assert with_bad.note.endswith("1 vote found 'both bad', which does not count in the ranking.")


def test_the_order_is_that_of_the_lower_bound():
    # "new" has won its only vote; "old" has won 60 of 80.
    votes = beats("old", "weak", 60) + beats("weak", "old", 20) + beats("new", "weak", 1)
    found = ranking(votes, by="model")
    by_name = {each.name: each for each in found.standings}
    assert found.names[0] == "old"
    assert by_name["new"].high > by_name["old"].high
    assert [each.low for each in found.standings] == sorted(
        (each.low for each in found.standings), reverse=True
    )


def test_few_votes_are_called_few_and_many_are_not():
    few = ranking(beats("a", "b", 2) + beats("b", "c", 1), by="model")
    assert few.too_few
    assert few.note.startswith("Too few votes: 3 leave up to ±")
    assert few.note.endswith(" No two are told apart.")
    many = ranking(beats("a", "b", 150) + beats("b", "a", 50), by="model")
    assert (many.too_few, many.alike, many.note) == (False, (), "200 votes.")


def test_a_rank_that_is_certain_and_an_interval_that_is_wide_are_two_things():
    found = ranking(beats("a", "b", 12), by="model")
    assert found.too_few
    assert found.note.startswith("Too few votes: 12 leave up to ±")
    assert (found.ranks, found.alike) == ([(1, 1), (2, 2)], ())


def test_of_two_equal_names_none_is_told_apart_from_a_third_alone():
    even = beats("a", "b", 1) + beats("b", "a", 1)
    found = ranking(even + beats("a", "c", 2) + beats("b", "c", 2), by="model")
    assert found.alike == (("a", "b"), ("a", "c"), ("b", "c")), "a and c are no neighbours in the order"
    assert found.ranks == [(1, 3)] * 3
    more = ranking(even + beats("a", "c", 20) + beats("b", "c", 20), by="model")
    assert more.alike == (("a", "b"),)
    assert more.ranks == [(1, 2), (1, 2), (3, 3)]


@pytest.mark.parametrize("seed", range(20))
def test_ranks_follow_from_the_pairs_that_are_told_apart(seed):
    rng = np.random.default_rng(seed)
    names = "abcdef"[: rng.integers(1, 7)]
    votes = [
        vote
        for one, other in combinations(names, 2)
        for vote in beats(one, other, rng.integers(0, 30)) + beats(other, one, rng.integers(0, 12))
    ]
    found = ranking(votes, by="model", names=names)
    alike = {frozenset(pair) for pair in found.alike}
    assert len(alike) == len(found.alike)
    strength = {each.name: each.elo for each in found.standings}
    for one, (best, worst) in zip(found.names, found.ranks, strict=True):
        apart = [other for other in names if other != one and frozenset((one, other)) not in alike]
        assert best == 1 + sum(strength[other] > strength[one] for other in apart)
        assert worst == len(names) - sum(strength[other] < strength[one] for other in apart)
        by_strength = sorted(names, key=lambda name: -strength[name])
        assert best <= by_strength.index(one) + 1 <= worst


def test_many_pairs_that_are_not_told_apart_are_counted():
    votes = [vote for other in "bcdefgh" for vote in beats("a", other, 40)]
    note = ranking(votes, by="model").note
    assert note.count(" and ") == 7
    assert note.endswith("… and 15 more.")


@pytest.mark.parametrize(
    ("wins", "losses", "ties", "rate"), [(0, 0, 0, None), (3, 1, 0, 0.75), (1, 0, 1, 0.75)]
)
def test_a_win_rate_counts_a_tie_as_half(wins, losses, ties, rate):
    votes = beats("a", "b", wins) + beats("b", "a", losses) + [Duel("a", "b", TIE)] * ties
    found = ranking(votes, by="model", names=["a", "b"])
    assert {each.name: each.win_rate for each in found.standings}["a"] == rate


def test_one_vote_is_reported_in_the_singular():
    assert ranking([Duel("a", "b", LEFT)], by="model").note.startswith("Too few votes: 1 leaves up to ±")


def test_no_votes_are_no_ranking():
    found = ranking([], by="model", names=["a", "b"])
    assert found.note == "No votes yet: nothing can be said."
    assert [each.elo for each in found.standings] == [0, 0]
    assert ranking([], by="model") == Ranking(by="model", standings=(), wins=(), votes=0)


def test_names_that_were_never_compared_with_the_others_have_a_place():
    found = ranking(beats("a", "b", 10) + beats("c", "d", 10), by="model", names=["e"])
    by_name = {each.name: each for each in found.standings}
    assert by_name["a"].elo == pytest.approx(by_name["c"].elo)
    assert by_name["e"].elo == pytest.approx(0, abs=1e-6)
    assert all(math.isfinite(each.low) and math.isfinite(each.high) for each in found.standings)


def test_a_thousand_wins_of_a_thousand_still_have_a_strength():
    found = ranking(beats("a", "b", 1000), by="model")
    assert 2 < found.standings[0].elo / ELO < 4


def simulated(truth, votes, rng):
    """The wins of one study: `votes` pairs drawn evenly, each won by the odds of the model."""
    count = len(truth)
    wins = np.zeros((count, count))
    for _ in range(votes):
        one, other = rng.choice(count, 2, replace=False)
        won = rng.random() < 1 / (1 + math.exp(truth[other] - truth[one]))
        wins[(one, other) if won else (other, one)] += 1
    return wins


@pytest.mark.parametrize(
    ("names", "votes", "as_the_prior_says"), [(3, 30, True), (4, 60, True), (6, 120, True), (4, 120, False)]
)
def test_intervals_hold_the_truth_in_about_95_of_100_studies(names, votes, as_the_prior_says):
    """Where strengths are as the prior expects, and where they are fixed, an odd one far off."""
    rng = np.random.default_rng(20261124)
    inside = []
    for _ in range(300):
        truth = rng.normal(size=names) if as_the_prior_says else np.array([-1.5, 0.0, 0.2, 1.3])
        strengths, spread = fitted(simulated(truth, votes, rng))
        off = np.abs(strengths - (truth - truth.mean())) / np.sqrt(np.diag(spread))
        inside.extend(off <= 1.959964)
    assert 0.93 <= np.mean(inside) <= 0.97


def test_the_fit_is_that_of_choix():
    """choix 0.4.1 gave these numbers: `opt_pairwise(4, votes, alpha=0.5, tol=1e-12)`."""
    wins = np.array([[0, 8, 5, 3], [4, 0, 6, 2], [7, 6, 0, 5], [9, 7, 5, 0]], dtype=float)
    assert fitted(wins)[0] == pytest.approx([-0.15929, -0.41218, 0.06033, 0.51113], abs=1e-5)
