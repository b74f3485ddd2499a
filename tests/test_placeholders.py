"""`{{name}}`, and nothing else."""

import pytest

from beluga_nb.errors import UnknownNameError
from beluga_nb.placeholders import filled, names, not_filled


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("a fox", []),
        ("a {{animal}}", ["animal"]),
        ("a {{ animal }} and a {{\tanimal\n}}", ["animal"]),
        ("{{b}} {{a}} {{b}}", ["b", "a"]),
        ("{{größe_2}}", ["größe_2"]),
        ("{{{x}}}", ["x"]),
        ("{x} {{}} {{ }} {{1}} {{a b}} {{a.b}} {{a|upper}} {{a()}} {% if a %} {# a #}", []),
        ('{"json": {"deep": {}}}', []),
        ("${a} %(a)s {a} $a", []),
    ],
)
def test_only_a_name_in_two_braces_is_to_be_filled(prompt, found):
    assert list(names(prompt)) == found


@pytest.mark.parametrize(
    ("prompt", "values", "expected"),
    [
        ("a {{animal}}", {"animal": "fox"}, "a fox"),
        ("{{n}} {{n}}", {"n": 3}, "3 3"),
        ("a {{a}}", {"a": "{{b}}", "b": "never"}, "a {{b}}"),
        ("a {{a}}", {"a": r"\1 \g<0> \n"}, r"a \1 \g<0> \n"),
        ("50 % off, {1+1}, {{1}}\n ", {}, "50 % off, {1+1}, {{1}}\n "),
        ("{{{a}}}", {"a": "x"}, "{x}"),
        ("a {{a}}", {"a": None}, "a None"),
    ],
)
def test_every_other_character_goes_through_as_it_was_typed(prompt, values, expected):
    assert filled(prompt, values) == expected


def test_a_name_without_a_value_is_refused_with_the_one_that_was_meant():
    with pytest.raises(UnknownNameError) as caught:
        filled("a {{animals}}", {"animal": "fox", "_": 1, "_i1": "secret"})
    assert str(caught.value) == (
        "No value for '{{animals}}'.\nDid you mean 'animal'? Set it first, for example: animals = 'red'"
    )
    assert caught.value.choices == ("animal",)


def test_a_name_without_a_value_where_there_are_none():
    with pytest.raises(UnknownNameError) as caught:
        filled("a {{animal}}", {})
    assert str(caught.value) == "No value for '{{animal}}'.\nSet it first, for example: animal = 'red'"


@pytest.mark.parametrize(
    ("text", "remarks"),
    [
        ("{city}", ["{city} is sent as it is; write {{city}} to fill in its value."]),
        ("{ city } {city}", 2),
        ("{city} and {city}", 1),
        ("{{city.upper()}} {{2 * n}} {{[city]}}", 3),
        ("{{city!r}} {{ city | upper }} {{city n}}", 3),
        ("{{city}} {{ n }} {{{city}}}", 0),
        ('{town} {"city": 1} {} {{}} {1} ${n1} {city!r} %(city)s {{town.upper()}}', 0),
    ],
)
def test_braces_that_mention_a_value_and_are_not_filled_are_told(text, remarks):
    found = not_filled(f"a view of {text}", {"city": "Rome", "n": 2})
    assert (found if isinstance(remarks, list) else len(found)) == remarks
    assert not_filled(text, {}) == []
