"""Whether each test that shows a promise has run: `python -m tests.promises FOLDER` reads what runs wrote.

A run of pytest with `-p tests.promises --ran=FILE` writes there which test functions ran, on any worker, and
which tests failed.
"""

import json
import os
import sys
from collections import Counter
from pathlib import Path


def pytest_addoption(parser):
    parser.addoption("--ran", type=Path, help="write how often each test function passed or was skipped")


def pytest_configure(config):
    # A worker of pytest-xdist sends its reports to the process that started it, which hears of all of them.
    if config.option.ran and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Ran(config.option.ran, config.rootpath))


class Ran:
    """A plugin that counts the ends of each test function, and writes them down as JSON."""

    def __init__(self, path, root):
        self.path = path
        self.root = root
        self.ends = {"passed": Counter(), "skipped": Counter()}
        self.failed = {}  # the names of failed tests; a dict, as a test may fail and its tear-down too

    def pytest_runtest_logreport(self, report):
        # A skipped test has no call; the set-up and tear-down of the others pass as well.
        if report.skipped or (report.passed and report.when == "call"):
            # The parameters in brackets may hold any sign, "::" and brackets too.
            self.ends[report.outcome][report.nodeid.partition("[")[0].rpartition("::")[2]] += 1
        elif report.failed:
            self.failed[str(self.root / report.nodeid)] = None

    def pytest_sessionfinish(self):
        self.path.write_text(json.dumps({**self.ends, "failed": [*self.failed]}))


def unshown(shown, passed, skipped, *, skips_count):
    """Name each promise with a test that did not run: `{"S05": ["s05_… did not run"]}`."""
    missing = {}
    for promise, tests in shown.items():
        for name in (f"test_{each}" for each in tests if f"test_{each}" not in passed):
            if name not in skipped:
                missing.setdefault(promise, []).append(f"{name} did not run")
            elif skips_count:
                missing.setdefault(promise, []).append(f"{name} was skipped")
    return missing


def main(folder):
    from tests.bars import SHOWN

    runs = [json.loads(each.read_text()) for each in sorted(Path(folder).glob("*.json"))]
    passed, skipped = ({name for run in runs for name in run[end]} for end in ("passed", "skipped"))
    # A laptop may lack Chromium or Node; CI installs them, so that a skipped test is a mistake there.
    missing = unshown(SHOWN, passed, skipped, skips_count="CI" in os.environ)
    for promise, reasons in missing.items():
        print(f"{promise}: {', '.join(reasons)}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
