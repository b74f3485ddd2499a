"""Blind votes: which pairs there are, which comes next, and what is undone."""

import random
from collections import Counter
from dataclasses import dataclass

import pytest
from conftest import drawn

from beluga_nb.compare.sample import Sample
from beluga_nb.compare.vote import SKIP, Ballot, Duel, Sides, duels, pairs
from beluga_nb.errors import RequestError, UnknownNameError
from beluga_nb.request import Request
from beluga_nb.result import Picture, Recipe
from beluga_nb.store.records import Store
from beluga_nb.store.votes import ANSWERS, BOTH_BAD, LEFT, RIGHT, TIE, Box, votes

MODELS = ("flux-2.0", "gpt-image-2", "seedream-4.5")


def sample(model, animal="fox", number=0, data=None):
    request = Request(prompt=f"a {animal}", model=model, sample=number)
    picture = Picture(data or drawn(request, number), "image/png", Recipe(request=request, engine="drawing"))
    return Sample(labels={"animal": animal, "model": model}, number=number, picture=picture)


@pytest.fixture
def samples():
    return [
        sample(model, animal, number) for model in MODELS for animal in ("fox", "cat") for number in (0, 1)
    ]


@dataclass(frozen=True)
class Said:
    left: str
    right: str
    answer: str
    voter: str = ""
    time: int = 0
    criterion: str = ""
    seconds: float | None = None


def begun(samples, votes=(), seed=1, by_whom="", repeats=0):
    rng = random.Random(seed)
    return Ballot.of(pairs(samples, by="model"), by_whom=by_whom, votes=votes, rng=rng, repeats=repeats)


def test_a_pair_differs_in_one_axis_and_in_nothing_else(samples):
    found = pairs(samples, by="model")
    assert len(found) == 3 * 2 * 2  # pairs of models, animals, numbers
    for pair in found:
        one, other = samples[pair.left.place], samples[pair.right.place]
        assert one.labels["model"] != other.labels["model"]
        assert (one.labels["animal"], one.number) == (other.labels["animal"], other.number)


def test_an_axis_that_is_not_there_is_named(samples):
    with pytest.raises(UnknownNameError, match="modle"):
        pairs(samples, by="modle")


def test_the_same_bytes_twice_are_no_question():
    assert pairs([sample("a", data=b"same"), sample("b", data=b"same")], by="model") == []


def test_least_compared_pairs_come_first(samples):
    ballot, rng, asked = begun(samples), random.Random(2), []
    while ballot.question:
        asked.append(ballot.question.labels)
        ballot = ballot.answered(LEFT, rng)
    assert len(asked) == ballot.total == 12
    for begin in (0, 3, 6, 9):  # each three questions are about each pair of models once
        assert len(set(asked[begin : begin + 3])) == 3


def test_what_others_have_compared_comes_later(samples):
    known = next(pair for pair in pairs(samples, by="model") if pair.labels == {"flux-2.0", "gpt-image-2"})
    votes = [Said(known.left.sha256, known.right.sha256, TIE, "Ada")] * 5
    ballot, rng, asked = begun(samples, votes), random.Random(2), []
    while ballot.question:
        asked.append(ballot.question.labels)
        ballot = ballot.answered(RIGHT, rng)
    assert {"flux-2.0", "gpt-image-2"} not in asked[:8]
    assert len(asked) == 12


def test_nobody_is_asked_twice_about_the_same_pictures(samples):
    known = pairs(samples, by="model")[0]
    vote = Said(known.right.sha256, known.left.sha256, TIE, "Ada")
    assert begun(samples, [vote], by_whom="Ada").total == 11
    assert begun(samples, [vote], by_whom="Bo").total == 12


def test_sides_are_drawn_by_the_given_rng_and_even():
    one, other = sample("a"), sample("b")
    sides = Counter(begun([one, other], seed=seed).question.left.label for seed in range(200))
    assert 70 < sides["a"] < 130
    assert begun([one, other], seed=5) == begun([one, other], seed=5)


def test_both_orders_of_a_pair_are_shown_equally_often_also_to_voters_at_the_same_time(samples):
    found, rng, sides = pairs(samples, by="model"), random.Random(7), Sides()
    shown = Counter()
    for _ in range(8):
        ballot = Ballot.of(found, by_whom="", votes=(), rng=rng, sides=sides)
        while ballot.question:
            shown[ballot.question.left.sha256, ballot.question.right.sha256] += 1
            ballot = ballot.answered(TIE, rng)
    assert set(shown.values()) == {4}


def test_orders_of_recorded_votes_count(samples):
    pair = pairs(samples, by="model")[0]
    sides = Sides([Said(pair.left.sha256, pair.right.sha256, TIE)])
    drawn = [sides.drawn(pair, random.Random(1)) for _ in range(3)]
    assert drawn[0] == pair.turned
    assert Counter(each.left for each in drawn[1:]) == {pair.left: 1, pair.right: 1}


def test_pairs_that_were_judged_elsewhere_are_left_out_and_the_own_ones_stay(samples):
    rng = random.Random(3)
    ballot = begun(samples).answered(TIE, rng)
    asked = ballot.question
    other = next(
        pair for pair in ballot.left if pair.pictures not in {asked.pictures, ballot.given[0][0].pictures}
    )
    less = ballot.without(Counter([other.pictures, ballot.given[0][0].pictures]), rng)
    assert (less.total, len(less.answers)) == (11, 1)
    assert less.without(Counter([asked.pictures]), rng).question.pictures != asked.pictures


def test_a_skipped_pair_comes_again_at_the_end_and_counts_for_nothing(samples):
    rng = random.Random(3)
    first = begun(samples)
    ballot = first.answered(SKIP, rng)
    assert ballot.answers == []
    while len(ballot.answers) < 11:
        assert ballot.question.pictures != first.question.pictures
        ballot = ballot.answered(TIE, rng)
    assert ballot.question.pictures == first.question.pictures
    assert ballot.answered(SKIP, rng).question.pictures == first.question.pictures


def test_undo_brings_back_the_question_with_its_sides(samples):
    rng = random.Random(4)
    first = begun(samples)
    later = first.answered(LEFT, rng).answered(SKIP, rng).answered(BOTH_BAD, rng)
    assert later.undone().undone().undone() == first
    assert first.undone() == first


def test_answers_are_the_four_that_there_are(samples):
    with pytest.raises(UnknownNameError, match="both bed"):
        begun(samples).answered("both bed", random.Random(1))
    with pytest.raises(RequestError, match="nothing left"):
        begun([]).answered(LEFT, random.Random(1))
    assert ANSWERS == ("left", "right", "tie", "both bad")


def test_a_pair_knows_its_prompt_and_which_sample_of_it_it_is(samples):
    found = pairs(samples, by="model")
    assert Counter(pair.prompt for pair in found) == {(("animal", "fox"),): 6, (("animal", "cat"),): 6}
    assert len({pair.sample for pair in found}) == 4
    assert {pair.prompt for pair in pairs(samples, by="animal")} == {()}, "a model is no prompt"
    assert len({pair.sample for pair in pairs(samples, by="animal")}) == 6
    assert found[0].turned.sample == found[0].sample


def test_votes_name_pictures_and_count_for_what_these_stand_for(samples):
    found = pairs(samples, by="model")
    pair = found[0]
    votes = [
        Said(pair.left.sha256, pair.right.sha256, LEFT, "Ada"),
        Said(pair.right.sha256, pair.left.sha256, LEFT),
        Said(pair.left.sha256, "0" * 64, LEFT),
    ]
    assert list(duels(votes, found)) == [
        Duel(
            pair.left.label,
            pair.right.label,
            LEFT,
            pair.prompt,
            pair.sample,
            "Ada",
            pictures=(pair.left.sha256, pair.right.sha256),
        ),
        Duel(
            pair.right.label,
            pair.left.label,
            LEFT,
            pair.prompt,
            pair.sample,
            pictures=(pair.right.sha256, pair.left.sha256),
        ),
    ]
    assert list(duels(votes, pairs(samples, by="animal"))) == []


def test_some_pairs_are_asked_about_again_at_the_end(samples):
    ballot, rng, asked = begun(samples, repeats=4), random.Random(2), []
    assert ballot.total == 16
    while ballot.question:
        asked.append(ballot.question.pictures)
        ballot = ballot.answered(LEFT, rng)
    assert len(set(asked[:12])) == 12
    assert len(set(asked[12:])) == 4
    for _ in range(4):
        ballot = ballot.undone()
    assert ballot.question.pictures == asked[12]


def test_a_voter_who_has_judged_all_can_be_asked_again(samples):
    votes = [Said(pair.left.sha256, pair.right.sha256, TIE, "Ada") for pair in pairs(samples, by="model")]
    ballot, rng = begun(samples, votes, by_whom="Ada", repeats=99), random.Random(2)
    assert (ballot.left, ballot.total) == ((), 12)
    seen = set()
    while ballot.question:
        seen.add(ballot.question.pictures)
        ballot = ballot.answered(SKIP if len(seen) == 1 and not ballot.given else TIE, rng)
    assert len(seen) == len(ballot.answers) == 12


def test_a_file_of_as_many_votes_as_a_pack_may_hold_is_read(tmp_path):
    store = Store(tmp_path / "beluga_store")
    box = Box(store, "ada")
    vote = box.cast(left="a" * 64, right="b" * 64, answer=LEFT)
    with box.path.open("ab") as file:
        file.write((b" " * 999 + b"\n") * 70_000)
    assert votes(store) == [vote]
