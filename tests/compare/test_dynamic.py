"""`dynamicprompts`' syntax, asked for by name: what it would damage is an error."""

import pytest
from needed import needed

from beluga_nb.compare.dynamic import expand
from beluga_nb.errors import RequestError

needed("dynamicprompts")


def test_choices_become_whole_prompts():
    assert expand("a {red|blue} {fox|{small|big} owl}, oil") == [
        "a red fox, oil",
        "a red small owl, oil",
        "a red big owl, oil",
        "a blue fox, oil",
        "a blue small owl, oil",
        "a blue big owl, oil",
    ]


def test_a_sample_comes_again_by_its_seed():
    template = "a {red|green|blue|pink} {fox|owl|cat|dog}"
    assert expand(template, sample=3, seed=1) == expand(template, sample=3, seed=1)
    assert len(expand(template, sample=3, seed=1)) == 3
    with pytest.raises(RequestError, match="no seed"):
        expand(template, sample=3)


@pytest.mark.parametrize(
    "template",
    [
        "colour #ff8800 background, {a|b}",
        "a {subject} in {place}",
        'json {"a": 1}, {a|b}',
        "for $10, {a|b}",
        "a {red|blue",
        "a red|blue} fox",
        "__animals__ in {a|b}",
    ],
)
def test_what_it_would_damage_is_an_error(template):
    with pytest.raises(RequestError):
        expand(template)


def test_there_are_not_too_many():
    with pytest.raises(RequestError, match="more than 10,000"):
        expand(" ".join(["{1|2|3|4|5|6|7|8|9|10}"] * 5))
