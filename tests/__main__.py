"""Every check there is, in one command, the same for people and machines: `python -m tests`.

Formatting, lint, types, tests (browser tests among them), a search of all that they left for their key, and
the notebooks, twice, with strict nbval and with pytest-notebook, from their recordings alone: without a key,
and without a route to another machine. It ends at the first that fails. Where there is npm, the openai
package for Node comes first.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTEST = ("pytest", "-q")
TWO_AT_A_TIME = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")  # what takes longest comes early
ALONE = (*PYTEST, "-p", "no:cacheprovider")
NBVAL = (*ALONE, "--nbval", "--nbval-current-env", "--nbval-cell-timeout=60")
PYTEST_NOTEBOOK = (
    *(*ALONE, "-p", "no:nbval", "-p", "nb_regression", "--nb-test-files", "--nb-exec-timeout=60"),
    # Which Python ran it, and the states of widgets, which have new names each time; every output counts.
    *("-o", "nb_diff_ignore=/metadata/language_info\n/metadata/widgets"),
    *("-W", 'ignore:Field "pytest_notebook:UserWarning'),  # it warns as it documents itself
)

LEFT = Path(tempfile.gettempdir()) / f"beluga_nb-tests-{os.getpid()}"
"""What the tests leave behind: notebooks, stores and logs, searched for their key at the end."""

CHECKS = {
    "formatting": ("ruff", "format", "--check", "."),
    "lint": ("ruff", "check", "."),
    "types": ("mypy",),
    **{f"types, {system}": ("mypy", "--platform", system) for system in ("win32", "darwin", "emscripten")},
    "tests": (*PYTEST, *TWO_AT_A_TIME, f"--basetemp={LEFT}", "tests"),
    "tests in other environments": (*PYTEST, f"--basetemp={LEFT}-environments", "-m", "environment", "tests"),
    "keys": ("tests.leaks", str(LEFT), "notebooks"),
    "notebooks, nbval": (*NBVAL, "notebooks"),
    "notebooks, pytest-notebook": (*PYTEST_NOTEBOOK, "notebooks"),
    "notebooks again, nbval": (*NBVAL, "notebooks"),
    "notebooks again, pytest-notebook": (*PYTEST_NOTEBOOK, "notebooks"),
}

EVERYWHERE = {
    "environments": (
        *PYTEST,
        "-rA",
        f"--basetemp={LEFT}",
        "-m",
        "environment or everywhere",
        "tests/test_environments.py",
    ),
}
"""All of `tests/environments`, by `python -m tests environments`; every check tries the cheapest two."""

NPM = ("install", "--prefix", "tests/node", "--no-audit", "--no-fund", "--no-package-lock", "--silent")
NPM_PATIENCE = 120  # seconds: without a network, npm itself would try for many minutes


def environment() -> dict[str, str]:
    """The environment without anyone's key or settings, and without a keyring to find one in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BELUGA_")}
    return kept | {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}


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


def main(words: list[str]) -> int:
    if (npm := shutil.which("npm")) and packages_are_missing():
        with contextlib.suppress(subprocess.TimeoutExpired):  # the tests that need it say so
            subprocess.run([npm, *NPM], cwd=ROOT, timeout=NPM_PATIENCE)
    for name, command in (EVERYWHERE if words == ["environments"] else CHECKS).items():
        print(f"== {name}: {' '.join(command)}", flush=True)
        began = time.monotonic()
        where = without_a_route() if name.startswith("notebooks") else environment()
        where |= {"TESTS_WHOLE": "1"} if name in EVERYWHERE else {}
        status = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, env=where).returncode
        print(
            f"== {name}: {'passed' if status == 0 else 'FAILED'} in {time.monotonic() - began:.0f} s\n",
            flush=True,
        )
        if status:
            return status
    for left in (LEFT, f"{LEFT}-environments"):
        shutil.rmtree(left, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
