"""Scenery: places are data, whose errors name their file, group and part."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from beluga_nb.painter.layers import scenery
from beluga_nb.painter.layers.cast import names_of as names_of_cast
from beluga_nb.painter.layers.formula import formula
from beluga_nb.painter.layers.functions import BOUND, FUNCTIONS, names_of
from beluga_nb.painter.look import look_of
from beluga_nb.painter.marks import Glow, Shape
from beluga_nb.painter.reading import read
from beluga_nb.painter.scene import Frame, Scene, staged

FILES = sorted(path.stem for path in scenery.FOLDER.glob("*.toml"))
HILL = """
[hill]
foot = 'h * 0.9'
parts = [
  {use = 'stone', repeat = '3', size = 0.1},
  {glow = 'w / 2, foot, 0.2, 0.1', fill = 'glow', when = 'night'},
]

[stone]
x = 'one("x{k}", 0, w)'
parts = [
  {ellipse = 'x, foot, size * (k + 1), size', fill = 'near, dark(near, 0.3)', ink = false},
]
"""


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of places of our own."""
    monkeypatch.setattr(scenery, "FOLDER", tmp_path)
    scenery.groups.cache_clear()
    yield tmp_path
    scenery.groups.cache_clear()


def scene_of(prompt: str) -> Scene:
    return staged(read(prompt), look_of("gpt-image-2"), seed=7)


def test_a_place_is_painted_from_its_file(places: Path) -> None:
    (places / "hill.toml").write_text(HILL)
    day, night = (
        [*scenery.Scenery(scene_of(f"hills at {hour}"), Frame(1.5, 1)).marks("hill")]
        for hour in ("noon", "night")
    )
    assert [type(mark) for mark in day] == [Shape] * 3
    assert [type(mark) for mark in night] == [Shape] * 3 + [Glow]
    ends = [mark.ends() for mark in day if isinstance(mark, Shape)]
    assert [round(right - left, 6) for left, _, right, _ in ends] == [0.2, 0.4, 0.6]
    assert len({left + right for left, _, right, _ in ends}) == 3


def test_the_documented_place_stands_in_its_file() -> None:
    docs = (Path(__file__).parents[2] / "docs/figures.md").read_text("utf-8")
    [block] = re.findall(r"^(\[desert\]\n.*?)^```$", docs, re.MULTILINE | re.DOTALL)
    desert = (scenery.FOLDER / "desert.toml").read_text("utf-8").splitlines()
    assert set(block.splitlines()) <= set(desert)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("fill = 'near", "fil = 'near", "hill.toml, [stone], part 1: no 'fil' beside 'ellipse'"),
        ("ellipse =", "ovals =", "hill.toml, [stone], part 1: it needs one of"),
        ("x, foot, size", "x, foot; size +", "hill.toml, [stone], part 1: '(size + * (k + 1), size,)'"),
        ("dark(near", "darker(near", "hill.toml, [stone], part 1: 'darker(near, 0.3)' is no part"),
        ("h * 0.9", "h.real * 0.9", "hill.toml, [hill]: 'h.real' is no part of a formula"),
        ("h * 0.9", "(lambda: 1)()", "hill.toml, [hill]: '(lambda: 1)()' is no part of a formula"),
    ],
)
def test_an_error_in_scenery_names_the_file_the_group_and_the_part(
    places: Path, before: str, after: str, why: str
) -> None:
    (places / "hill.toml").write_text(HILL.replace(before, after))
    with pytest.raises(ValueError, match=re.escape(why)):
        scenery.groups("hill")


def test_a_formula_is_arithmetic_and_nothing_else() -> None:
    names = {"a": 2.0, "word": "rain", "words": ("rain", "fog")}
    assert formula("-a ** 2 + 6 / 3 % 2")(names) == -4
    assert formula('word in words and not a > 3 or word == "x"')(names) is True
    assert formula('"#ff8000" if a < 1 else mix("#000000", "#646464", 0.5)')(names) == (50, 50, 50)
    assert formula("min(array(1, 5), a)")(names).tolist() == [1, 2]
    for text in ("a.b", "a[0]", "[a]", "open('x')", "a := 1", "f'{a}'", "a if", "[x for x in a]"):
        with pytest.raises(ValueError, match=r"is no (formula|part of a formula)"):
            formula(text)


@pytest.mark.unsampled
@pytest.mark.parametrize("file", FILES)
def test_every_name_in_scenery_is_set_somewhere(file: str) -> None:
    scene, frame = scene_of("a fox"), Frame(1, 1)
    known = {*FUNCTIONS, *BOUND, *names_of(scene, frame), *names_of_cast(scene, frame)}
    listed = {name: tomllib.loads((scenery.FOLDER / f"{name}.toml").read_text()) for name in FILES}
    groups = [group for found in listed.values() for group in found.values()]
    known |= {key for group in groups for key in group}
    known |= {key for group in groups for part in group["parts"] if "use" in part for key in part}
    for name, group in listed[file].items():
        texts = [value for key, value in group.items() if key != "parts"]
        texts += [value for part in group["parts"] for key, value in part.items() if key not in scenery.WORDS]
        for text in (each for value in texts for each in (value if isinstance(value, list) else [value])):
            for each in str(text).split(";"):
                asked = {node.id for node in ast.walk(ast.parse(f"({each},)")) if isinstance(node, ast.Name)}
                assert asked <= known, (name, each)
        for part in group["parts"]:
            if use := part.get("use"):
                there, _, local = use.rpartition(".")
                assert local in listed[there or (file if local in listed[file] else local)], use
