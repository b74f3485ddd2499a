"""The suite: `python -m benchmarks`. `benchmarks/README.md` says what its rows and figures mean."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.harness import SubjectResult, Suite, suite
from benchmarks.report import changes, from_json, table, to_json
from benchmarks.rows import Row

MODULES = ("calls", "start", "stored", "grids", "large", "notebooks", "pages", "painter", "served")
Results = dict[str, Any]
END, START = "<!-- end of the table -->", "<!-- the table -->"


def rows() -> dict[str, tuple[str, Row]]:
    """Return every row by its name, with its module."""
    return {
        name: (module, row)
        for module in MODULES
        for name, row in import_module(f"benchmarks.{module}").ROWS.items()
    }


def measured(
    running: Suite, chosen: Mapping[str, tuple[str, Row]], *, quick: bool, rounds: int | None
) -> Iterator[list[SubjectResult]]:
    """Yield the lines of each row, and report on stderr which row runs."""
    for number, (name, (module, row)) in enumerate(chosen.items(), 1):
        began = time.monotonic()
        print(f"{number} of {len(chosen)}: {name}", end=" … ", file=sys.stderr, flush=True)
        yield list(running.lines(module, name, row, quick=quick, rounds=rounds))
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def run(options: argparse.Namespace, every: Mapping[str, tuple[str, Row]]) -> Results:
    """Measure, and return the results: those of the rows that were done, if it is interrupted."""
    results: Results = {"date": time.strftime("%Y-%m-%d"), "machine": machine.description(), "lines": []}
    chosen = {
        name: (module, row)
        for name, (module, row) in every.items()
        if (name in options.only if options.only else row.in_quick or not options.quick)
    }
    with contextlib.suppress(KeyboardInterrupt), suite() as running:
        for lines in measured(running, chosen, quick=options.quick, rounds=options.rounds):
            results["lines"] += map(to_json, lines)
            if options.json:
                options.json.write_text(json.dumps(results, indent=1) + "\n")
    return results


def main(words: Sequence[str] | None = None) -> None:
    """Run the suite."""
    every = rows()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure beluga_nb beside its peers."
    )
    parser.add_argument("--quick", action="store_true", help="fewer subjects, small sizes, one round")
    parser.add_argument(
        "--only", action="append", metavar="ROW", help=f"one of {', '.join(every)}; repeatable"
    )
    parser.add_argument("--rounds", type=int, help="rounds of each row")
    parser.add_argument("--json", type=Path, metavar="NEW.json", help="write the results")
    parser.add_argument("--compare", type=Path, metavar="OLD.json", help="report what changed since then")
    parser.add_argument("--results", type=Path, metavar="NEW.json", help="measure nothing, read these")
    parser.add_argument("--readme", action="store_true", help="put the table into benchmarks/README.md")
    options = parser.parse_args(words)
    if unknown := set(options.only or ()) - every.keys():
        parser.error(f"no row {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    results = json.loads(options.results.read_text()) if options.results else run(options, every)
    found = [from_json(line) for line in results["lines"]]
    printed = table(found, {name: row.title for name, (_, row) in every.items()})
    print(printed)
    if options.readme:
        write_readme(f"{_words(results)}\n\n{printed}")
    if options.compare:
        older = json.loads(options.compare.read_text())["lines"]
        print("\n".join(changes(map(from_json, older), found)) or "Nothing changed beyond the noise.")


def write_readme(text: str) -> None:
    """Put the table between its two marks."""
    path = Path(__file__).with_name("README.md")
    before, _, rest = path.read_text("utf-8").partition(START)
    path.write_text(f"{before}{START}\n{text}\n{END}{rest.partition(END)[2]}", "utf-8")


def _words(results: Results) -> str:
    about = results["machine"]
    versions = ", ".join(f"{name} {found}" for name, found in about["packages"].items())
    return (
        f"Measured on {results['date']} on {about['cores']} cores of {about['processor']}, with Python "
        f"{about['python']}, {versions}."
    )


if __name__ == "__main__":
    main()
