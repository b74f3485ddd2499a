"""Rubrics, verdicts and agreement: what a judge may answer, and what follows from it."""

import itertools
import json

import pytest

from beluga_nb.compare.agreement import Share
from beluga_nb.compare.judge import Rubric, agreement
from beluga_nb.compare.vote import Duel
from beluga_nb.errors import InvalidVerdictError, RequestError
from beluga_nb.request import Question
from beluga_nb.result import Answer, Recipe
from beluga_nb.store.votes import BOTH_BAD, LEFT, RIGHT, TIE

RUBRICS = {"words": Rubric.of(["yes", "partly", "no"], None), "numbers": Rubric.of(None, (1, 10))}
GOOD = {"words": "partly", "numbers": 5.5}


def answer(content, *, refusal=None, ended="stop"):
    question = Question(prompt="?", model="lab:vlm", about=("ab" * 32,), schema="{}")
    given = {"content": content, "refusal": refusal, "ended": ended, "model": "vlm-2"}
    return Answer(json.dumps(given).encode(), "application/json", Recipe(request=question, engine="lab"))


def violations(verdict):
    """Every way in which an answer can miss its schema by one change, and some that are no JSON."""
    whole = {"reason": "It is so.", "verdict": verdict}
    yield from (json.dumps({name: whole[name] for name in whole if name != gone}) for gone in whole)
    wrong = (None, True, False, [], {}, [verdict], {"a": verdict})
    for name, value in itertools.product(whole, wrong):
        yield json.dumps(whole | {name: value})
    yield json.dumps(whole | {"reason": 1})
    yield json.dumps(whole | {"extra": 1})
    yield json.dumps([whole])
    text = json.dumps(whole)
    yield from (text[:end] for end in range(0, len(text), 5))
    yield from (
        f"```json\n{text}\n```",
        f"{text} I hope this helps.",
        "",
        "null",
        "yes",
        "\ud800",
        "[" * 9999,
    )


@pytest.mark.parametrize("kind", RUBRICS)
def test_whatever_does_not_fit_the_schema_is_no_verdict(kind):
    count = 0
    for content in violations(GOOD[kind]):
        with pytest.raises(InvalidVerdictError, match="The answer of the judge does not fit its schema"):
            RUBRICS[kind].verdict(answer(content))
        count += 1
    assert count > 30


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [("words", word) for word in ("Yes", "yes ", "maybe", "", 1)]
    + [("numbers", value) for value in (0.999, 10.001, 1e400, "5", -1e308)],
)
def test_a_verdict_that_was_not_offered_is_none(kind, verdict):
    with pytest.raises(InvalidVerdictError):
        RUBRICS[kind].verdict(answer(json.dumps({"reason": "So.", "verdict": verdict})))


@pytest.mark.parametrize(("kind", "value"), [("words", 0.5), ("numbers", 5.5)])
def test_a_verdict_has_a_value_a_word_and_a_reason(kind, value):
    verdict = RUBRICS[kind].verdict(answer(json.dumps({"verdict": GOOD[kind], "reason": "It is so."})))
    assert (verdict.value, verdict.answer, verdict.reason) == (value, GOOD[kind], "It is so.")
    assert (verdict.model, verdict.local) == ("vlm-2", False)


def test_a_judge_that_declines_and_an_answer_that_was_cut_off_say_so():
    with pytest.raises(InvalidVerdictError, match="The judge declined to answer: I cannot"):
        RUBRICS["words"].verdict(answer(None, refusal="I cannot look at this."))
    with pytest.raises(InvalidVerdictError, match=r'The answer of the judge was cut off: \{"reason'):
        RUBRICS["words"].verdict(answer('{"reason": "It', ended="length"))


def test_the_schema_asks_for_the_reason_first():
    schema = json.loads(RUBRICS["words"].schema)
    assert list(schema["properties"]) == schema["required"] == ["reason", "verdict"]
    assert schema["properties"]["verdict"] == {"type": "string", "enum": ["yes", "partly", "no"]}
    assert schema["additionalProperties"] is False
    numbers = json.loads(RUBRICS["numbers"].schema)["properties"]["verdict"]
    assert numbers == {"type": "number", "minimum": 1, "maximum": 10}


def test_choices_count_from_1_to_0_or_what_a_mapping_says():
    assert Rubric.of(None, None).choices == {"yes": 1, "no": 0}
    assert Rubric.of({"good": 3, "bad": -1}, None).choices == {"good": 3, "bad": -1}


@pytest.mark.parametrize(
    ("choices", "scale"),
    [("yes", None), (["yes"], None), (["yes", "yes"], None), ([], None), (["a", "b"], (1, 2)), (3, None)]
    + [
        ([1, 2], None),
        ([["a"], ["b"]], None),
        ({"a": "x", "b": 1}, None),
        ({"a": float("nan"), "b": 1}, None),
    ]
    + [(None, scale) for scale in (5, ("a", "b"), "ab", (True, 2))]
    + [(None, scale) for scale in ((2, 1), (1, 1), (0, float("inf")), (float("nan"), 1), (1, 2, 3))],
)
def test_choices_and_scales_that_decide_nothing_are_refused(choices, scale):
    with pytest.raises(RequestError):
        Rubric.of(choices, scale)


def duel(left, right, chosen, *, animal="fox", voter="Ada"):
    label = (("animal", animal),)
    return Duel(left, right, chosen, prompt=label, sample=(label, 0), voter=voter)


def test_agreement_counts_the_votes_of_people_that_are_the_judges_answer():
    judge = [duel("a", "b", LEFT), duel("a", "b", TIE, animal="cat"), duel("a", "b", LEFT, animal="owl")]
    people = [
        duel("b", "a", RIGHT),
        duel("a", "b", LEFT, voter="Bob"),
        duel("a", "b", RIGHT, voter="Cy"),
        duel("a", "b", TIE, animal="cat"),
        duel("a", "b", BOTH_BAD, animal="owl"),
        duel("a", "b", LEFT, animal="cow"),
    ]
    found = agreement(judge, people, judge="lab:vlm")
    assert (found.same, found.pairs) == (Share(count=3, of=4), 2)
    assert found.alpha == 1
    assert str(found).startswith("3 of 4 votes of people on 2 pairs agree with lab:vlm (no interval: too few")


def test_a_judge_that_is_the_opposite_of_people_agrees_less_than_chance():
    animals = ("fox", "cat", "owl", "cow")
    judge = [duel("a", "b", LEFT, animal=animal) for animal in animals]
    people = [duel("a", "b", RIGHT, animal=animal) for animal in animals]
    found = agreement(judge, people, judge="lab:vlm")
    assert found.same.count == 0
    assert found.alpha is not None
    assert found.alpha < 0


def test_a_voter_who_judged_a_pair_again_is_one_person_and_the_last_vote_counts():
    again = [duel("a", "b", answer) for answer in (RIGHT, RIGHT, LEFT)]
    found = agreement([duel("a", "b", LEFT)], again, judge="lab:vlm")
    assert (found.same, found.people) == (Share(count=1, of=1), None)


def test_the_interval_of_an_agreement_takes_votes_on_one_prompt_for_alike():
    """Thirty voters who are of one mind on each of four prompts are four observations, not 120."""
    judge = [duel("a", "b", LEFT, animal=animal) for animal in ("fox", "cat", "owl", "cow")]

    def people(*sides):
        chosen = zip(("fox", "cat", "owl", "cow"), sides, strict=False)
        return [
            duel("a", "b", side, animal=animal, voter=f"{number}")
            for animal, side in chosen
            for number in range(30)
        ]

    split = agreement(judge, people(LEFT, LEFT, RIGHT, RIGHT), judge="lab:vlm")
    assert split.same.interval == pytest.approx((0.412, 0.588), abs=0.001)
    assert split.interval == (0, 1)
    assert "(95 % interval 0% to 100%)" in str(split)
    alike = agreement(judge, people(LEFT, LEFT, LEFT, LEFT), judge="lab:vlm")
    assert alike.interval == Share(count=4, of=4).interval
    few = agreement(judge, people(LEFT, LEFT, RIGHT), judge="lab:vlm")
    assert few.interval is None
    assert "(no interval: too few prompts)" in str(few)


def test_without_votes_nothing_is_known_of_the_agreement():
    found = agreement([duel("a", "b", LEFT)], [duel("a", "b", BOTH_BAD)], judge="lab:vlm")
    assert str(found) == "No votes of people on these pairs: how far they agree is not known."
