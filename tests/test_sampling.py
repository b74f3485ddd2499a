"""Which cases of a generated family every check tries, and that the whole check tries all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sampling import FEW, of_each

TESTS = Path(__file__).parent

FAMILY = """
import pytest
from sampling import rounds, some

@pytest.mark.sampled(12)
@pytest.mark.parametrize("one", range(10))
@pytest.mark.parametrize("other", "abcdefgh")
def test_a_pair(one, other):
    print("PAIR", one, other)

@pytest.mark.parametrize("number", some(range(100), 4))
def test_a_number(number):
    print("NUMBER", number, rounds(1, 10))

@pytest.mark.parametrize("letter", "abcdefghijklmnopqrstuvwxyz")
def test_a_letter(letter):
    print("LETTER", letter)

@pytest.mark.whole
def test_only_in_the_whole_check():
    print("RARE")

@pytest.mark.unsampled
@pytest.mark.parametrize("module", "abcdefghijklmnopqrstuvwxyz")
def test_a_module(module):
    print("MODULE", module)
"""

CONFTEST = """
import sampling

def pytest_collection_modifyitems(config, items):
    items[:], left = sampling.chosen(items)
    config.hook.pytest_deselected(items=left)
"""


def cases(folder, **environ):
    """What the families above print, by its first word."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_family.py").write_text(FAMILY)
    kept = {name: value for name, value in os.environ.items() if name != "TESTS_WHOLE"}
    kept |= {"PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environ}
    words = [
        "-m",
        "pytest",
        "-q",
        "-s",
        "-p",
        "no:cacheprovider",
        "-o",
        "markers=sampled(count)\nunsampled\nwhole",
    ]
    done = subprocess.run([sys.executable, *words], cwd=folder, env=kept, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.lstrip(".").split() for line in done.stdout.splitlines()]
    return {
        name: [line[1:] for line in lines if line[:1] == [name]]
        for name in ("PAIR", "NUMBER", "LETTER", "MODULE", "RARE")
    }


def test_every_check_tries_some_cases_the_same_each_time_and_each_value_of_a_small_family(tmp_path):
    tried = cases(tmp_path)
    pairs = tried["PAIR"]
    assert len(pairs) == 12
    assert {one for one, _ in pairs} == set(map(str, range(10)))
    assert {other for _, other in pairs} == set("abcdefgh")
    assert tried["NUMBER"] == [["0", "1"], ["25", "1"], ["50", "1"], ["75", "1"]]
    assert len({letter for [letter] in tried["LETTER"]}) == FEW
    assert len(tried["MODULE"]) == 26, "each is a claim of its own"
    assert tried["RARE"] == []
    assert cases(tmp_path) == tried


def test_the_whole_check_tries_all(tmp_path):
    tried = cases(tmp_path, TESTS_WHOLE="1")
    assert [len(each) for each in tried.values()] == [80, 100, 26, 26, 1]
    assert tried["NUMBER"][0] == ["0", "10"]


def test_one_test_of_many_cases_tries_all_and_names_those_that_fail():
    tried = []

    @of_each(number=range(5))
    def test_it_is_small(number):
        tried.append(number)
        assert number < 3

    with pytest.raises(ExceptionGroup, match="2 of 5") as caught:
        test_it_is_small()
    assert tried == [0, 1, 2, 3, 4]
    assert [each.__notes__ for each in caught.value.exceptions] == [["number: 3"], ["number: 4"]]
