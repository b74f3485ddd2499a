"""Every check there is, in one command, the same for people and machines: `python -m tests`.

`python -m tests quick` is the part that takes less than a minute. Tests generate families of cases, of which
every check tries some and `python -m tests whole` all; `python -m tests environments` tries all environments.

Formatting, lint, types, tests (browser tests among them), a search of all that they left for their key, and
the notebooks, twice with strict nbval and once with pytest-notebook, from their recordings alone, without a
key, and without a route to another machine. It ends at the first step that fails. Where there is npm, the
openai package for Node comes first.

Hundreds of tests wait for kernels, browsers and servers on a machine that may have two cores. Where up to
eight of them failed they run again by themselves, and are named: what fails twice fails the check.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTEST = ("pytest", "-q")
# The tests themselves do not use these plugins, and each process would import them for two seconds.
LEAN = ("-p", "no:nbval", "-p", "no:schemathesis")
# A test that waits for ever fails, with the stacks of all threads, and runs once more by itself.
ENDING = ("--timeout=600",)
# Kernels, browsers and servers make a test wait, so that two cores have work for four, and for the tests in
# other environments beside them: measured, four take 6 % less time than three.
FOUR_AT_A_TIME = ("-n", "4", "--dist", "loadfile", "--no-loadscope-reorder")
ALONE = (*PYTEST, "-p", "no:cacheprovider")
NBVAL = (*ALONE, "--nbval", "--nbval-current-env", "--nbval-cell-timeout=60")
PYTEST_NOTEBOOK = (
    *(*ALONE, "-p", "no:nbval", "-p", "nb_regression", "--nb-test-files", "--nb-exec-timeout=60"),
    # Which Python ran it, and the states of widgets, which have new names each time; every output counts.
    *("-o", "nb_diff_ignore=/metadata/language_info\n/metadata/widgets"),
    *("-W", 'ignore:Field "pytest_notebook:UserWarning'),  # it warns as it documents itself
)

QUICK_TESTS = (
    "tests/test_architecture.py",
    "tests/test_doctests.py",
    "tests/test_bars.py",
    "tests/test_errors.py",
    "tests/test_text.py",
    "tests/test_wire.py",
    "tests/test_contract.py",
    "tests/test_law.py::test_a_server_never_changes_the_answer",
    "tests/magics/test_parse.py",
    "tests/compare/test_plan.py",
    "tests/store/test_records.py::test_the_key_of_a_request_never_changes",
)
"""Tests that start no kernel, browser or server, and need no key or wait."""
NOT_QUICK = (
    "not previews and not any_container and not floods"  # the painter, and megabytes of disguised keys
)

MEMORY = Path("/dev/shm")
ROOM = 6 * 2**30  # bytes; the tests and two environments take half of it


def scratch() -> Path:
    """Return a folder in memory if it has room: on a disk, tests wait for each of thousands of `fsync`."""
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    return MEMORY if in_memory else Path(tempfile.gettempdir())


LEFT = scratch() / f"beluga_nb-tests-{os.getpid()}"
"""What the tests leave behind: notebooks, stores and logs, searched for their key at the end."""

RAN = LEFT.with_name(f"{LEFT.name}-ran")
"""The folder in which each run of the tests writes down which functions ran, and which tests failed."""


FEW = 8  # failed tests that run again; where more fail, the machine was not the reason


def ran(name: str) -> Path:
    """The file in which a check writes down what ran."""
    return RAN / f"{name.replace(' ', '-')}.json"


def noting(name: str) -> tuple[str, ...]:
    """The words that let a check write down what ran."""
    return ("-p", "tests.promises", f"--ran={ran(name)}")


def marked(mark: str) -> list[str]:
    """The files with tests of a mark: to collect all others takes as long as many of them."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(path.relative_to(ROOT)) for path in files if f"mark.{mark}" in path.read_text("utf-8")]


# On A4, nbconvert cuts a cell's lines after some 75 characters.
FOR_PAPER = ("--line-length", "75", "--config", "format.exclude=[]")


def types_on(*systems: str) -> dict[str, tuple[str, ...]]:
    """The checks of types on other systems than this one."""
    return {
        f"types, {system}": ("mypy", "--platform", system, f"--cache-dir=.mypy_cache/{system}")
        for system in systems
    }


CHECKS = {
    "formatting": ("ruff", "format", "--check", "."),
    "formatting of cells": ("ruff", "format", "--check", *FOR_PAPER, "notebooks"),
    "lint": ("ruff", "check", "."),
    "types": ("mypy",),
    **types_on("win32", "emscripten"),
    "tests": (*PYTEST, *LEAN, *ENDING, *FOUR_AT_A_TIME, *noting("tests"), f"--basetemp={LEFT}", "tests"),
    "tests in other environments": (
        *(*PYTEST, *LEAN, *ENDING, *noting("tests in other environments"), f"--basetemp={LEFT}-environments"),
        *("-m", "environment", *marked("environment")),
    ),
    "notebooks, nbval": (*NBVAL, "notebooks"),
    "notebooks, pytest-notebook": (*PYTEST_NOTEBOOK, "notebooks"),
    "notebooks again, nbval": (*NBVAL, "notebooks"),
    "promises": ("tests.promises", str(RAN)),
    "keys": ("tests.leaks", str(LEFT), "notebooks"),
}

WHOLE = CHECKS | types_on("darwin")

BESIDE = {
    "formatting of cells",
    "lint",
    "tests in other environments",
    *(name for name in WHOLE if name.startswith("types")),
}
"""Checks that begin at the same time as the one before them, and print when they end."""

NEXT = {name for name in CHECKS if name.startswith("notebooks")}
"""Checks that begin when the one before them has ended, beside what still runs, and print when they end."""

QUICK = {
    **{name: CHECKS[name] for name in ("formatting", "formatting of cells", "lint", "types")},
    "tests": (*ALONE, *LEAN, "-n", "2", f"--basetemp={LEFT}", "-k", NOT_QUICK, *QUICK_TESTS),
}
"""What a change breaks most often, in less than a minute, by `python -m tests quick`."""

EVERYWHERE = {
    "environments": (
        *PYTEST,
        "-rA",
        f"--basetemp={LEFT}",
        "-m",
        "environment or everywhere",
        *marked("everywhere"),
    ),
}
"""All of `tests/environments`, and NbClassic and Firefox; every check tries the oldest of everything."""

KINDS = {"": CHECKS, "quick": QUICK, "whole": WHOLE, "environments": EVERYWHERE}

NPM = ("install", "--prefix", "tests/node", "--no-audit", "--no-fund", "--no-package-lock", "--silent")
NPM_PATIENCE = 120  # seconds: without a network, npm itself would try for many minutes


def environment() -> dict[str, str]:
    """The environment without anyone's key or settings, and without a keyring to find one in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BELUGA_")}
    # Without bytecode each of some hundred kernels and processes would compile the whole package again.
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    path = os.pathsep.join(filter(None, [str(ROOT / "tests/lean"), kept.get("PYTHONPATH")]))
    keyring = "keyring.backends.null.Keyring"
    return kept | {"PYTHON_KEYRING_BACKEND": keyring, "TMPDIR": str(LEFT.parent), "PYTHONPATH": path}


def without_a_route() -> dict[str, str]:
    """The environment in which notebooks are checked: what is not recorded is an error there."""
    clean = environment()
    path = os.pathsep.join(filter(None, [str(ROOT / "tests/offline"), clean.get("PYTHONPATH")]))
    return {**clean, "PYTHONPATH": path, "BELUGA_MODE": "replay", "JUPYTER_PREFER_ENV_PATH": "1"}


def packages_are_missing() -> bool:
    """Whether a package for Node that tests need is not installed."""
    node = ROOT / "tests/node"
    needed = json.loads((node / "package.json").read_text("utf-8"))["dependencies"]
    return not all((node / "node_modules" / name).exists() for name in needed)


def passes_again(name: str, took: dict[str, float]) -> bool:
    """Whether the few tests that failed in a check pass with nothing beside them."""
    failed = json.loads(ran(name).read_text("utf-8"))["failed"] if ran(name).exists() else []
    if not 0 < len(failed) <= FEW:
        return False
    again = f"{name} again"
    command = (*PYTEST, *LEAN, *ENDING, *noting(again), f"--basetemp={LEFT}-again", "-m", "", *failed)
    return run(again, command, took, at_once=True) == 0


def steps(checks: dict[str, tuple[str, ...]]) -> list[list[list[str]]]:
    """Group the names of checks: a step has lanes, which run at the same time, each in its order."""
    found: list[list[list[str]]] = []
    for name in checks:
        if name in NEXT:
            found[-1][-1].append(name)
        elif name in BESIDE:
            found[-1].append([name])
        else:
            found.append([[name]])
    return found


def run(name: str, command: tuple[str, ...], took: dict[str, float], *, at_once: bool) -> int:
    """Run a check and return its status; it prints at once, or all that it has to print at its end.

    `took` gets the seconds that it took.
    """
    headline = f"== {name}: {' '.join(command)}"
    if at_once:
        print(headline, flush=True)
    began = time.monotonic()
    where = without_a_route() if name.startswith("notebooks") else environment()
    kept = {} if at_once else {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, env=where, **kept)
    if not at_once:
        print(f"{headline}\n{done.stdout}", end="", flush=True)
    took[name] = time.monotonic() - began
    outcome = "FAILED" if done.returncode else "passed"
    print(f"== {name}: {outcome} in {took[name]:.0f} s\n", flush=True)
    return done.returncode


def all_pass(step: list[list[str]], checks: dict[str, tuple[str, ...]], took: dict[str, float]) -> bool:
    """Run the lanes of a step side by side, and again the few tests that failed: whether all passed."""
    first = step[0][0]

    def failed(lane: list[str]) -> list[str]:
        return [name for name in lane if run(name, checks[name], took, at_once=name == first)]

    with ThreadPoolExecutor() as pool:
        lanes = pool.map(failed, step)
    return all(passes_again(name, took) for lane in lanes for name in lane)


def main(words: list[str]) -> int:
    if not set(words) <= KINDS.keys():
        print(f"There is no {words[0]!r}. {', '.join(filter(None, KINDS))}, or nothing for every check.")
        return 2
    if words != ["quick"] and (npm := shutil.which("npm")) and packages_are_missing():
        with contextlib.suppress(subprocess.TimeoutExpired):  # the tests that need it say so
            subprocess.run([npm, *NPM], cwd=ROOT, timeout=NPM_PATIENCE)
    checks = KINDS[words[0] if words else ""]
    if words and words[0] in ("whole", "environments"):
        os.environ["TESTS_WHOLE"] = "1"
    RAN.mkdir(exist_ok=True)
    began, took = time.monotonic(), dict[str, float]()
    passed = all(all_pass(step, checks, took) for step in steps(checks))
    each = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in took.items())
    print(f"== {time.monotonic() - began:.0f} s, {sum(os.times()[2:4]):.0f} s of processors: {each}")
    if not passed:
        return 1
    for left in (LEFT, f"{LEFT}-environments", f"{LEFT}-again", RAN):
        shutil.rmtree(left, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
