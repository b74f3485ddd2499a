"""Rankings from votes: the fit, its intervals, and what is said where votes are few."""

import html
import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from beluga_nb.compare.rank import ELO, Ranking, ranking, rankings
from beluga_nb.compare.vote import NO_VOTES, Duel
from beluga_nb.errors import UnknownNameError
from beluga_nb.store.votes import BOTH_BAD, LEFT, RIGHT, TIE


def beats(winner, loser, times):
    """Votes that `winner` got, half of them on each side, and each on a prompt of its own."""
    return [
        Duel(winner, loser, LEFT, prompt=on(winner, loser, number))
        if number % 2
        else Duel(loser, winner, RIGHT, prompt=on(winner, loser, number))
        for number in range(times)
    ]


def on(*words):
    """A prompt."""
    return (("prompt", " ".join(map(str, words))),)


def study(wins, prompts, voters):
    """Votes of each voter on each prompt; `wins` has the winner and the loser of each."""
    return [
        Duel(*pair, LEFT, prompt=on(prompt), sample=(on(prompt), 0), voter=f"voter {voter}")
        for prompt in range(prompts)
        for voter in range(voters)
        for pair in wins(prompt, voter)
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
    assert with_bad.note.endswith(" 1 vote found 'both bad', which does not count in the ranking.")


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
    few = ranking(beats("a", "b", 3) + beats("b", "c", 3) + beats("c", "a", 1), by="model")
    assert few.too_few
    assert few.note == (
        "Compared on 7 prompts by 1 voter: 7 votes. No interval for any name: fewer than 4 prompts or 16"
        " votes. No two are told apart. This holds for this voter alone."
    )
    wide = ranking(beats("a", "b", 8) + beats("b", "c", 8) + beats("c", "a", 8), by="model")
    assert wide.too_few
    assert wide.note.startswith(
        "Compared on 24 prompts by 1 voter: 24 votes. Too few for narrow intervals: up"
    )
    many = ranking(beats("a", "b", 150) + beats("b", "a", 50), by="model")
    assert (many.too_few, many.alike) == (False, ())
    assert many.note == "Compared on 200 prompts by 1 voter: 200 votes. This holds for this voter alone."


@pytest.mark.parametrize(("votes", "has"), [(15, False), (16, True)])
@pytest.mark.parametrize("prompts", [1, 15])
def test_a_name_has_an_interval_from_16_votes_on_wherever_it_is_shown(prompts, votes, has):
    votes_on = {name: [replace(each, criterion=name) for each in beats("a", "b", votes)] for name in "xy"}
    cast = [
        replace(vote, prompt=on(n % prompts), sample=((), n))
        for each in votes_on.values()
        for n, vote in enumerate(each)
    ]
    one, both = ranking(cast, by="model", criterion="x"), rankings(cast, by="model", per="criterion")
    assert {each.has_interval for each in one.standings} == {has}
    units = "samples" if prompts == 1 else "prompts"
    sentence = f"No interval for any name: fewer than 4 {units} or 16 votes."
    for shown, rows in ((one, 1), (both, 2)):
        bundle = shown._repr_mimebundle_()
        for kind in ("text/plain", "text/html"):
            assert html.unescape(bundle[kind]).count(sentence) == (0 if has else rows)
        assert bundle["text/plain"].count("  none  ") == (0 if has else 2 * rows)


def test_a_rank_that_is_certain_and_an_interval_that_is_wide_are_two_things():
    found = ranking(beats("a", "b", 7), by="model")
    assert found.too_few
    assert "No interval for any name" in found.note
    assert (found.ranks, found.alike) == ([(1, 1), (2, 2)], ())


def test_votes_on_the_same_pictures_are_no_more_prompts():
    """Thirty voters who agree on three prompts show nothing of a fourth."""
    found = ranking(study(lambda *_: [("a", "b")], 3, 30), by="model")
    assert (found.prompts, found.voters, found.votes) == (3, 30, 90)
    assert not any(each.has_interval for each in found.standings)
    assert (found.alike, found.ranks) == ((("a", "b"),), [(1, 2), (1, 2)])
    assert found.note == (
        "Compared on 3 prompts by 30 voters: 90 votes. Fewer than 4 prompts bear no intervals."
    )


def test_votes_that_follow_the_pictures_are_less_sure_than_those_that_do_not():
    """On half of the prompts all voters prefer a, or on each prompt half of the voters do."""

    def pictures(prompt, voter):
        return [("a", "b") if prompt % 2 else ("b", "a")]

    def mixed(prompt, voter):
        return [("a", "b") if (prompt + voter) % 2 else ("b", "a")]

    def voters(prompt, voter):
        return [("a", "b") if voter % 2 else ("b", "a")]

    alike, independent, tastes = (
        ranking(study(wins, 8, 8), by="model").standings[0].high for wins in (pictures, mixed, voters)
    )
    assert alike == pytest.approx(tastes)
    assert alike > 2 * independent


def test_fewer_than_five_voters_speak_for_themselves():
    def split(prompt, voter):
        return [("a", "b") if voter % 2 else ("b", "a")]

    few, many = (ranking(study(split, 10, voters), by="model") for voters in (4, 6))
    assert few.note.endswith(" This holds for these 4 voters alone.")
    assert "alone" not in many.note
    assert few.standings[0].high < many.standings[0].high / 2


def test_of_few_prompts_the_samples_count():
    votes = [
        Duel("a", "b", LEFT if number < 12 else RIGHT, prompt=on("a fox"), sample=((), number), voter="Ada")
        for number in range(16)
    ]
    found = ranking(votes, by="model")
    assert found.standings[0].has_interval
    assert found.note.startswith("Compared on 16 samples of 1 prompt by 1 voter: 16 votes.")
    assert found.findings.endswith("This holds for this prompt and this voter alone.")
    of_prompts = ranking([replace(vote, prompt=()) for vote in votes], by="prompt").findings
    assert of_prompts.startswith("Compared on 16 samples by 1 voter: 16 votes.")
    assert of_prompts.endswith("This holds for this voter alone.")
    other = [replace(vote, prompt=on("an owl"), sample=((), number)) for number, vote in enumerate(votes, 16)]
    both = ranking(votes + other, by="model")
    assert both.note.startswith("Compared on 32 samples of 2 prompts by 1 voter: 32 votes.")
    assert both.findings.endswith("This holds for these 2 prompts and this voter alone.")


def test_a_name_that_was_compared_on_few_prompts_has_no_interval_of_its_own():
    votes = beats("a", "b", 20) + beats("c", "b", 3)
    found = ranking(votes, by="model")
    assert [each.name for each in found.standings if not each.has_interval] == ["c"]
    assert "No interval for c: fewer than 4 prompts or 16 votes." in found.note
    assert found.names[-1] == "c"
    assert {("a", "c"), ("b", "c")} <= {*found.alike, *(pair[::-1] for pair in found.alike)}


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
    assert "… and 15 more." in note


@pytest.mark.parametrize(
    ("wins", "losses", "ties", "rate"), [(0, 0, 0, None), (3, 1, 0, 0.75), (1, 0, 1, 0.75)]
)
def test_a_win_rate_counts_a_tie_as_half(wins, losses, ties, rate):
    votes = beats("a", "b", wins) + beats("b", "a", losses) + [Duel("a", "b", TIE)] * ties
    found = ranking(votes, by="model", names=["a", "b"])
    assert {each.name: each.win_rate for each in found.standings}["a"] == rate


def test_one_vote_is_reported_in_the_singular():
    note = ranking([Duel("a", "b", LEFT)], by="model").note
    assert note == "Compared on 1 prompt by 1 voter: 1 vote. Fewer than 4 prompts bear no intervals."


def test_no_votes_are_no_ranking():
    found = ranking([], by="model", names=["a", "b"])
    assert found.note == NO_VOTES
    assert [each.elo for each in found.standings] == [0, 0]
    assert ranking([], by="model") == Ranking(by="model", standings=(), wins=(), votes=0)


def test_names_that_were_never_compared_with_the_others_have_a_place():
    found = ranking(beats("a", "b", 20) + beats("c", "d", 20), by="model", names=["e"])
    by_name = {each.name: each for each in found.standings}
    assert by_name["a"].elo == pytest.approx(by_name["c"].elo)
    assert by_name["e"].elo == pytest.approx(0, abs=1e-6)
    assert [each.name for each in found.standings if not each.has_interval] == ["e"]


def test_a_thousand_wins_of_a_thousand_still_have_a_strength():
    found = ranking(beats("a", "b", 1000), by="model")
    assert 2 < found.standings[0].elo / ELO < 4


def on_criterion(votes, criterion, **more):
    return [replace(vote, criterion=criterion, **more) for vote in votes]


def test_each_criterion_has_a_ranking_of_its_own():
    votes = [*beats("a", "b", 8), *on_criterion(beats("b", "a", 5), "fits the prompt")]
    assert ranking(votes, by="model").votes == 8
    fits = ranking(votes, by="model", criterion="fits the prompt")
    assert (fits.votes, fits.names[0], fits.criterion) == (5, "b", "fits the prompt")
    assert "There are votes on" not in fits.note
    per = rankings(votes, by="model", per="criterion")
    assert {name: found.names[0] for name, found in per.items()} == {"": "a", "fits the prompt": "b"}
    none = ranking(votes, by="model", criterion="is sharp")
    assert none.note == f"{NO_VOTES} There are votes on '', 'fits the prompt'."


def test_rankings_of_voters_and_of_groups_of_prompts():
    votes = [
        Duel("a", "b", answer, prompt=on(animal), sample=(on(animal), 0), voter=voter)
        for animal, answer in (("fox", LEFT), ("cat", LEFT), ("car", RIGHT), ("bus", RIGHT))
        for voter in ("Ada", "Bob")
    ]
    axis = "prompt"
    by_voter = rankings(votes, by="model", per="voter")
    assert {name: found.votes for name, found in by_voter.items()} == {"Ada": 4, "Bob": 4}
    assert (
        "Several rankings are not corrected for being several." in by_voter._repr_mimebundle_()["text/plain"]
    )
    by_prompt = rankings(votes, by="model", per=axis)
    assert {name: found.names[0] for name, found in by_prompt.items()} == {
        "bus": "b",
        "car": "b",
        "cat": "a",
        "fox": "a",
    }
    kind = rankings(
        votes, by="model", per=lambda labels: "animals" if labels[axis] in {"fox", "cat"} else "things"
    )
    assert {name: found.names[0] for name, found in kind.items()} == {"animals": "a", "things": "b"}
    assert all(found.prompts == 2 for found in kind.values())
    with pytest.raises(UnknownNameError, match="modle"):
        rankings(votes, by="model", per="modle")
    assert len(rankings([], by="model", per="voter")) == 0
    shown = kind._repr_mimebundle_()["text/plain"].splitlines()
    assert shown[0].split()[:3] == ["group", "rank", "model"]
    assert [line.split()[0] for line in shown[1:5]] == ["animals", "animals", "things", "things"]
    assert shown[5].startswith("animals: Compared on 2 prompts by 2 voters: 4 votes. ")


def test_votes_of_an_excluded_voter_do_not_count_and_the_ranking_says_so():
    out = on_criterion(beats("b", "a", 9), "", voter="Bob", excluded="asleep")
    found = ranking([*beats("a", "b", 8), *out], by="model")
    assert found.standings == ranking(beats("a", "b", 8), by="model").standings
    assert found.findings.endswith(" 9 votes by 1 excluded voter left out.")
    assert list(rankings(out, by="model", per="voter")) == []
    [grouped] = rankings([*beats("a", "b", 8), *out], by="model", per="criterion").values()
    assert grouped == found
