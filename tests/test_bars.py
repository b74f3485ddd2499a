"""Which test shows which bar (S05, R02 …), and which bar holds in another shape.

A test is named after its bar (`test_s05_…`), or after its row of the fault matrix (`test_a16_…`). Here it is
only checked that these tests exist; `python -m tests` also fails if one of them did not run (`promises.py`).
"""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import promises
import pytest
from bars import DIFFERS, FIRST, SHOWN

pytestmark = pytest.mark.unsampled  # each bar is a claim of its own

TESTS = Path(__file__).parent
README = (TESTS.parent / "README.md").read_text("utf-8")
NAMES = {
    name
    for path in TESTS.rglob("test_*.py")
    if "node_modules" not in path.parts
    for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text("utf-8"), re.M)
}


@pytest.mark.parametrize("bar", FIRST.split())
def test_a_bar_of_first_priority_is_shown(bar):
    assert bar in SHOWN
    assert [name for name in SHOWN[bar] if f"test_{name}" not in NAMES] == []


def test_nothing_differs_that_is_no_bar():
    assert set(DIFFERS) | set(SHOWN) <= set(FIRST.split())


def test_every_promise_of_the_readme_names_bars_that_are_shown():
    section = README.partition("## What is promised")[2].partition("\n## ")[0]
    promises = re.findall(r"^\| .+ \| ([RS]\d.*) \|$", section, re.MULTILINE)
    assert len(promises) == 19
    for bars in promises:
        assert set(bars.split(", ")) <= set(SHOWN)


# --- that they have run

SUITE = """
import pytest

@pytest.mark.parametrize("sign", ["a", "[::]"])
def test_a_whale_is_drawn(sign):
    pass

@pytest.mark.skip
def test_a_whale_is_painted():
    pass

@pytest.mark.parametrize("nothing", [pytest.param(1, marks=pytest.mark.skip), 2])
def test_a_whale_is_sometimes_skipped(nothing):
    pass

def test_a_whale_is_not_chosen():
    pass
"""


TWO = ("-p", "xdist", "-n", "2", "--dist", "loadfile")


@pytest.mark.parametrize("workers", [(), TWO], ids=["one", "two"])
def test_a_run_writes_down_which_functions_ran_and_which_were_skipped(workers, tmp_path):
    for name in ("test_one.py", "test_other.py"):
        tmp_path.joinpath(name).write_text(SUITE)
    words = ["-p", "promises", f"--ran={tmp_path / 'ran.json'}", "-k", "not chosen", "-p", "no:cacheprovider"]
    # Importing the plugins that are installed would take longer than the tests.
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", *words, *workers]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=120)
    ran = json.loads((tmp_path / "ran.json").read_text())
    assert ran["passed"] == {"test_a_whale_is_drawn": 4, "test_a_whale_is_sometimes_skipped": 2}
    assert ran["skipped"] == {"test_a_whale_is_painted": 2, "test_a_whale_is_sometimes_skipped": 2}


@pytest.mark.parametrize(
    ("skips_count", "missing"),
    [
        (False, {"S1": ["test_renamed did not run"]}),
        (True, {"S1": ["test_renamed did not run"], "S2": ["test_skipped was skipped"]}),
    ],
)
def test_a_promise_whose_test_did_not_run_is_named_and_in_ci_one_whose_test_was_skipped(skips_count, missing):
    shown = {"S1": ("ran", "renamed"), "S2": ("skipped",), "S3": ("ran", "both")}
    passed, skipped = {"test_ran", "test_both"}, {"test_skipped", "test_both"}
    assert promises.unshown(shown, passed, skipped, skips_count=skips_count) == missing


def test_every_run_of_the_tests_writes_down_what_ran_and_the_promises_are_checked_after_both():
    checked = runpy.run_path(str(TESTS / "__main__.py"))
    checks = checked["CHECKS"]
    writing = [name for name, command in checks.items() if any("--ran=" in each for each in command)]
    assert writing == ["tests", "tests in other environments"]
    assert checks["promises"] == ("tests.promises", str(checked["RAN"]))
    assert checked["ran"](writing[0]).parent == checked["RAN"]
    assert list(checks).index("promises") > list(checks).index(writing[-1])


def test_the_check_of_promises_runs_as_ci_runs_it(tmp_path):
    ran = tmp_path / "ran.json"
    tests = {f"test_{name}": 1 for names in SHOWN.values() for name in names}
    command = [sys.executable, "-m", "tests.promises", str(tmp_path)]

    def check(passed):
        ran.write_text(json.dumps({"passed": passed, "skipped": {}}))
        return subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, timeout=60)

    assert check(tests).returncode == 0
    [lost, *_] = SHOWN["S05"]
    without = check({name: count for name, count in tests.items() if name != f"test_{lost}"})
    assert (without.returncode, without.stderr) == (1, "")
    assert f"S05: test_{lost} did not run" in without.stdout
