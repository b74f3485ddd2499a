"""The suite: `python -m benchmarks [--quick] [--only ROW …] [--json NEW.json] [--compare OLD.json]`.

Prints the table as rows are done; with `--table FILE` it stands in a file, too.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

from benchmarks import machine
from benchmarks.harness import Line, Suite, suite
from benchmarks.report import changes, from_json, table, to_json
from benchmarks.rows import Row

MODULES = ("calls", "start", "stored", "grids", "notebooks", "pages", "painter", "served")
END, START = "<!-- end of the table -->", "<!-- the table -->"


def rows() -> dict[str, tuple[str, Row]]:
    """Return every row by its name, with its module."""
    return {
        name: (module, row)
        for module in MODULES
        for name, row in import_module(f"benchmarks.{module}").ROWS.items()
    }


def measured(
    running: Suite, chosen: dict[str, tuple[str, Row]], *, quick: bool, rounds: int | None
) -> Iterator[Line]:
    """Yield the lines of the chosen rows, and report on stderr which row runs."""
    for number, (name, (module, row)) in enumerate(chosen.items(), 1):
        began = time.monotonic()
        print(f"{number} of {len(chosen)}: {name}", end=" … ", file=sys.stderr, flush=True)
        yield from running.lines(module, name, row, quick=quick, rounds=rounds)
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def main(words: Sequence[str] | None = None) -> None:
    """Run the suite."""
    every = rows()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
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
    if options.results:
        results = json.loads(options.results.read_text())
    else:
        chosen = {name: each for name, each in every.items() if not options.only or name in options.only}
        with suite() as running:
            lines = list(measured(running, chosen, quick=options.quick, rounds=options.rounds))
        results = {
            "date": time.strftime("%Y-%m-%d"),
            "machine": machine.description(),
            "lines": [to_json(line) for line in lines],
        }
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
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


def _words(results: dict[str, dict[str, object]]) -> str:
    about = results["machine"]
    packages = about["packages"]
    assert isinstance(packages, dict)
    versions = ", ".join(f"{name} {found}" for name, found in packages.items())
    return (
        f"Measured on {results['date']} on {about['cores']} cores of {about['processor']}, with Python "
        f"{about['python']}, {versions}."
    )


if __name__ == "__main__":
    main()
