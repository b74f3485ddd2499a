"""Which cases of a generated family every check tries, and that the whole check tries all."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent

FAMILY = """
import pytest
from sampling import rounds, some

@pytest.mark.sampled(12)
@pytest.mark.parametrize("one", range(10))
@pytest.mark.parametrize("other", "abcdefgh")
def test_a_pair(one, other):
    print("PAIR", one, other)

@pytest.mark.parametrize("number", some(range(100), 5))
def test_a_number(number):
    print("NUMBER", number, rounds(1, 10))
"""

CONFTEST = """
import sampling

def pytest_collection_modifyitems(config, items):
    items[:], left = sampling.chosen(items)
    config.hook.pytest_deselected(items=left)
"""


def cases(folder, **environ):
    """What the family above prints."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_family.py").write_text(FAMILY)
    kept = {name: value for name, value in os.environ.items() if name != "TESTS_WHOLE"}
    kept |= {"PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environ}
    words = ["-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "-o", "markers=sampled(count)"]
    done = subprocess.run([sys.executable, *words], cwd=folder, env=kept, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.lstrip(".").split() for line in done.stdout.splitlines()]
    return [line[1:] for line in lines if line[:1] == ["PAIR"]], [
        line[1:] for line in lines if line[:1] == ["NUMBER"]
    ]


def test_every_check_tries_some_cases_the_same_each_time_and_each_value_of_a_small_family(tmp_path):
    pairs, numbers = cases(tmp_path)
    assert len(pairs) == 12
    assert {one for one, _ in pairs} == set(map(str, range(10)))
    assert {other for _, other in pairs} == set("abcdefgh")
    assert numbers == [["0", "1"], ["20", "1"], ["40", "1"], ["60", "1"], ["80", "1"]]
    assert cases(tmp_path) == (pairs, numbers)


def test_the_whole_check_tries_all(tmp_path):
    pairs, numbers = cases(tmp_path, TESTS_WHOLE="1")
    assert (len(pairs), len(numbers), numbers[0]) == (80, 100, ["0", "10"])
