"""Flags of countries, by their names in six languages."""

import pytest
from sampling import of_each

from beluga_nb.painter import paint
from beluga_nb.painter.figure import Coat, Figure, drawing, figures
from beluga_nb.painter.flags import PREFIX, flags, parts_of
from beluga_nb.painter.reading import read
from beluga_nb.painter.stream import Stream

FLAGS = sorted(name for name, _ in flags())
FLAG = {
    "words": "flag: {}",
    "de": "flagge {}",
    "fr": "drapeau : {}",
    "es": "bandera: {}",
    "zh": "旗: {}",
    "ja": "旗: {}",
}
NAMED = [
    (FLAG[language].format(word.removesuffix("?")), name)
    for language, words, name in figures().words()
    if name.startswith(PREFIX)
    for word in words
]


def subjects(prompt: str) -> list[str]:
    return [*read(prompt).values("subject")]


@of_each(named=NAMED)
def test_a_flag_is_drawn_by_its_countrys_name_in_six_languages(named: tuple[str, str]) -> None:
    prompt, name = named
    assert subjects(prompt) == [name]


def test_a_country_is_its_flag_where_nothing_else_is_to_be_drawn() -> None:
    for prompt, drawn in (
        ("Malta", ["flag-of-malta"]),
        ("厄立特里亚", ["flag-of-eritrea"]),
        ("a French flag on a mountain", ["flag-of-france"]),
        ("flags of Germany and Italy", ["flag-of-germany", "flag-of-italy"]),
        ("a cat beside the flag of Brazil", ["cat", "flag-of-brazil"]),
        ("a turkey", ["turkey"]),
        ("flag: Turkey", ["flag-of-turkey"]),
        ("a red flag", ["flag"]),
    ):
        assert subjects(prompt) == drawn, prompt
    account = paint("a temple in Japan", model="gpt-image-2", size=(128, 128)).account
    assert (account.drawn, account.ignored) == (("temple",), ("japan",))


def test_no_two_countries_have_one_flag_but_those_that_do() -> None:
    coat = Coat((200, 0, 0), (0, 0, 0), False, (), Stream(1))

    def look(figure: Figure) -> str:
        shapes = drawing(figure).shapes(coat)
        return str([(shape.fill, [outline.tolist() for outline in shape.outlines]) for shape in shapes])

    looks: dict[str, list[str]] = {}
    for name in FLAGS:
        looks.setdefault(look(figures()[name]), []).append(name.removeprefix(PREFIX))

    assert sorted(each for each in looks.values() if len(each) > 1) == [
        ["chad", "romania"],
        ["indonesia", "monaco"],
    ]


@pytest.mark.parametrize("design", ["x:r", "h:?", "disc:r,1", "poly:r,1,2,3"])
def test_a_wrong_design_is_an_error(design: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        parts_of(design)
