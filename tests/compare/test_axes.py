"""Named axes become combinations: all, zipped, or sampled; what does not fit is found at once."""

import random

import pytest

from beluga_nb.compare.axes import Study, axis, replacing, whole_prompts
from beluga_nb.errors import RequestError, UnknownNameError

ANIMALS = axis("animal", ["cat", "fox"])
STYLES = axis("style", {"oil": "thick oil paint, impasto", "ink": "ink on paper"})
PROMPT = "A {{animal}} in {{style}}, accent colour #ff8800, 50 % off, {1+1}"


def prompts(study):
    return [each.prompt for each in study.combinations()]


def test_the_last_axis_changes_fastest_and_everything_else_is_literal():
    study = Study(prompt=PROMPT, axes=(ANIMALS, STYLES))
    assert prompts(study) == [
        f"A {animal} in {style}, accent colour #ff8800, 50 % off, {{1+1}}"
        for animal in ("cat", "fox")
        for style in ("thick oil paint, impasto", "ink on paper")
    ]
    assert [each.labels for each in study.combinations()][1] == {"animal": "cat", "style": "ink"}


def test_parameters_are_no_part_of_the_prompt():
    study = Study(prompt="a {{animal}}", axes=(ANIMALS, axis("model", ["flux-2.0"])))
    [first, _] = study.combinations()
    assert (first.prompt, first.asked, first.values) == ("a cat", {"model": "flux-2.0"}, {"animal": "cat"})


def test_rows_set_all_the_names_of_their_columns():
    rows = [
        {"label": "night", "animal": "owl", "place": "a forest at night", "size": "16:9"},
        {"animal": "crab", "place": "a beach", "size": "1:1"},
    ]
    study = Study(prompt="a {{animal}} in {{place}}", axes=(axis("scene", rows),))
    night, beach = study.combinations()
    assert (night.labels, night.prompt, night.asked) == (
        {"scene": "night"},
        "a owl in a forest at night",
        {"size": "16:9"},
    )
    assert beach.labels == {"scene": "crab · a beach · 1:1"}


def test_a_row_is_named_by_the_column_of_its_axis():
    [choice] = axis("animal", [{"animal": "owl", "place": "a forest"}]).choices
    assert choice.label == "owl"


def test_a_missing_value_of_a_row_is_an_error():
    for nothing in (None, float("nan")):
        with pytest.raises(RequestError, match="is missing"):
            axis("scene", [{"animal": nothing}])


def test_axes_in_pairs_advance_together():
    study = Study(prompt=PROMPT, axes=(ANIMALS, STYLES), pairs=(("animal", "style"),))
    assert [tuple(each.labels.values()) for each in study.combinations()] == [("cat", "oil"), ("fox", "ink")]
    assert [[axis.name for axis in axes] for axes in study.dimensions] == [["animal", "style"]]


def test_pairs_of_different_lengths_are_an_error_that_names_them():
    with pytest.raises(RequestError, match="animal has 2, style has 3"):
        Study(prompt=PROMPT, axes=(ANIMALS, axis("style", ["a", "b", "c"])), pairs=(("animal", "style"),))


def test_a_sample_is_drawn_by_its_seed_without_making_all():
    numbers = axis("animal", range(100)), axis("style", range(100)), axis("place", range(100))
    study = Study(prompt="{{animal}} {{style}} {{place}}", axes=numbers, sample=5, seed=7)
    assert study.total == 10**6
    assert prompts(study) == prompts(study)
    drawn = sorted(random.Random(7).sample(range(10**6), 5))
    assert prompts(study) == [f"{n // 10**4} {n // 100 % 100} {n % 100}" for n in drawn]
    other = Study(prompt="{{animal}} {{style}} {{place}}", axes=numbers, sample=5, seed=8)
    assert prompts(other) != prompts(study)


def test_a_sample_needs_a_seed():
    with pytest.raises(RequestError, match="no seed"):
        Study(prompt=PROMPT, axes=(ANIMALS, STYLES), sample=2)


def test_more_than_a_hundred_thousand_are_not_meant():
    numbers = axis("animal", range(317)), axis("style", range(317))
    with pytest.raises(RequestError, match="100,489 combinations"):
        Study(prompt=PROMPT, axes=numbers)


def test_search_and_replace_starts_with_the_term_itself_and_looks_at_nothing_twice():
    study = Study(
        prompt="a watercolour of oil on water",
        axes=(replacing("watercolour", ["oil", "ink"]), replacing("oil", ["foam"])),
    )
    assert prompts(study) == [
        "a watercolour of oil on water",
        "a watercolour of foam on water",
        "a oil of oil on water",
        "a oil of foam on water",
        "a ink of oil on water",
        "a ink of foam on water",
    ]


def test_a_missing_term_is_an_error_at_once():
    with pytest.raises(RequestError, match="'Watercolour' is to be replaced, and is not in the prompt"):
        Study(prompt="a watercolour", axes=(replacing("Watercolour", ["oil"]),))


def test_whole_prompts_are_an_axis_and_their_labels_stay_apart():
    study = Study(axes=(whole_prompts(["a fox", "a {{animal}}"]), ANIMALS))
    assert prompts(study) == ["a fox", "a fox", "a cat", "a fox"]
    long = ["x" * 100 + "1", "x" * 100 + "2"]
    assert [label[:3] for label in whole_prompts(long).labels] == ["1: ", "2: "]
    assert whole_prompts({"short": "a fox"}).labels == ("short",)


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (
            {"prompt": "a {{animal}}", "axes": (ANIMALS, STYLES)},
            "an axis style, and no {{style}} in the prompt",
        ),
        ({"prompt": PROMPT, "axes": (ANIMALS,)}, "No axis or value for '{{style}}'"),
        ({"prompt": PROMPT, "axes": (ANIMALS, STYLES, ANIMALS)}, "Two axes set animal"),
        ({"prompt": PROMPT, "axes": (ANIMALS, STYLES), "pairs": (("animal", "stile"),)}, "No axis 'stile'"),
        ({"prompt": PROMPT, "axes": (ANIMALS, STYLES), "sample": 0, "seed": 1}, "sample is 0"),
    ],
)
def test_what_does_not_fit_is_found_before_anything_is_asked(study, message):
    with pytest.raises(RequestError, match=message.replace("{", r"\{")):
        Study(**study)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "no values"),
        (["cat", "cat"], "'cat' twice"),
        ("cat", "Give its values in a list"),
        (7, "in a list"),
    ],
)
def test_an_axis_has_different_values_in_a_list(given, message):
    with pytest.raises(RequestError, match=message):
        axis("animal", given)


@pytest.mark.parametrize(
    "rows", [[{"style": "oil"}, "fox"], ["fox", {}], [{"animal": "cat"}, {"style": "oil"}]]
)
def test_a_row_without_a_column_of_the_others_is_named(rows):
    study = Study(prompt="a {{animal}}", axes=(axis("animal", rows),))
    with pytest.raises(
        RequestError, match=r"^There is no value for \{\{animal\}\} with animal (oil|)\.\nGive all"
    ):
        list(study.combinations())
    filled = list(
        Study(prompt="a {{animal}}", axes=(axis("animal", rows),), values={"animal": "owl"}).combinations()
    )
    assert "owl" in {each.values["animal"] for each in filled}


def test_a_longer_study_has_the_old_combinations_too():
    study = Study(prompt=PROMPT, axes=(ANIMALS, STYLES))
    longer = study.extended({"animal": axis("animal", ["owl"])})
    assert set(prompts(study)) < set(prompts(longer))
    assert longer.total == 6
    with pytest.raises(UnknownNameError, match="No axis 'anmal'"):
        study.extended({"anmal": axis("anmal", ["owl"])})
    with pytest.raises(RequestError, match="'cat' twice"):
        study.extended({"animal": axis("animal", ["cat"])})
