"""`{{name}}`, and nothing else."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

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
    ("text", "count"),
    [
        ("{city}", 1),
        ("{ city } {city}", 2),
        ("{city} and {city}", 1),
        ("{{city}} {{ n }} {{{city}}}", 0),
        ('{town} {"city": 1} {} {{}} {{ }} {1} ${n1} {city!r} %(city)s', 0),
        ('{"scene": {"city": 1, "of": {"n": [{}, {"a": {"b": {}}}]}}} {% if city %} {# n #}', 0),
    ],
)
def test_a_value_in_single_braces_is_told(text, count):
    remark = "{city} is sent as it is; write {{city}} to fill in its value."
    found = not_filled(f"a view of {text}", {"city": "Rome", "n": 2})
    assert len(found) == count
    assert (remark in found) == bool(count)
    assert not_filled(text, {}) == []


EXPRESSION = st.from_regex(
    r"(a|city|'x'|2)(\.b|\[0\]|\(x\)|\|upper|!r|:>9| [*+] 2| if n else n)|[2-9]|\(n\)|-city", fullmatch=True
)


@given(st.lists(EXPRESSION, min_size=1, max_size=3, unique=True), st.sampled_from(["", " ", "\n"]))
@example(["animal*2"], "")
def test_an_expression_in_double_braces_is_sent_as_typed_and_told_with_what_to_write(expressions, space):
    prompt = " of ".join(f"{{{{{space}{each}{space}}}}}" for each in expressions)
    for values in ({"city": "Rome", "n": 2}, {}):
        assert filled(prompt, values) == prompt
        [remark] = not_filled(f"{prompt} {{{{ n }}}}", values)
        problem, remedy = remark.splitlines()
        assert problem.startswith(" ".join(f"Sent as typed: {{{{{space}{expressions[0]}".split()))
        assert problem.endswith(". Only a name by itself is filled in.")
        assert remedy == "Assign what you mean to a variable first (value = …), and write {{value}}."
