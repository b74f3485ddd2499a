"""Runs rows: every trial in a fresh process, the subjects in turn, disturbed rounds left out."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.machine import QUIET, Usage, wait_until_quiet
from benchmarks.rows import Measures, Row

ROOT = Path(__file__).parent.parent
EXTRA_ROUNDS = 2
"""Rounds that may be added for those that were disturbed."""

TRIAL_TIMEOUT = 600
"""Seconds."""

MISSING = "not installed"


@dataclass(frozen=True)
class Summary:
    """A figure of several rounds, and its ratio to the first subject's in the same rounds."""

    median: float
    least: float
    most: float
    ratio: float | None = None
    exponent: float | None = None
    """The figure grows as the size to this power."""


@dataclass(frozen=True)
class SubjectResult:
    """What one subject gave at one size: its measures, or a problem."""

    row: str
    subject: str
    size: int
    measures: Mapping[str, Summary]
    rounds: int = 0
    disturbed: bool = False
    """Whether other processes used the machine in every round."""

    problem: str = ""


@dataclass(frozen=True)
class Round:
    """The measures of each subject, and the largest share that other processes used meanwhile."""

    measures: Mapping[str, Measures]
    problems: Mapping[str, str]
    others: float


class Suite:
    """The service, the folders, and the way to run a row."""

    def __init__(self, folder: Path, service: subprocess.Popen[str]) -> None:
        assert service.stdout
        self.folder = folder
        self.service = service.pid
        self.port = int(service.stdout.readline())

    def lines(
        self, module: str, name: str, row: Row, *, quick: bool, rounds: int | None
    ) -> Iterator[SubjectResult]:
        """Yield the lines of a row; the last size has the exponents."""
        subjects, sizes = row.chosen(quick=quick)
        wanted = rounds or (1 if quick else row.rounds)
        found: list[SubjectResult] = []
        for size in sizes:
            try:
                prepared = self._prepared(module, name, row, size)
                every = list(self._rounds(module, name, row, subjects, size, prepared, wanted))
            except subprocess.SubprocessError as error:
                every = [Round({}, dict.fromkeys(subjects, _reason(error)), 0.0)]
            found += [_line(name, subject, subjects[0], size, every) for subject in subjects]
        yield from (_with_exponents(line, found) for line in found)

    def _prepared(self, module: str, name: str, row: Row, size: int) -> Path:
        if row.prepare is None:
            return self.folder
        folder = self.folder / f"{row.prepare.__module__}.{row.prepare.__qualname__}-{size}"
        if not folder.exists():
            folder.mkdir()
            self._run(module, name, "prepare", size, folder, folder, timeout=None)
        return folder

    def _rounds(
        self,
        module: str,
        name: str,
        row: Row,
        subjects: Sequence[str],
        size: int,
        prepared: Path,
        wanted: int,
    ) -> Iterator[Round]:
        undisturbed = 0
        for number in range(wanted + (EXTRA_ROUNDS if wanted > 1 else 0)):
            if undisturbed == wanted:
                return
            measures, problems, others = {}, {}, 0.0
            wait_until_quiet(self.service)
            for subject in subjects[:: -1 if number % 2 else 1]:
                if row.missing(subject):
                    problems[subject] = MISSING
                    continue
                before = Usage.now(self.service)
                try:
                    measures[subject] = self._trial(module, name, subject, size, prepared)
                except subprocess.SubprocessError as error:
                    problems[subject] = _reason(error)
                others = max(others, Usage.now(self.service).others(before))
            undisturbed += others < QUIET
            yield Round(measures, problems, others)

    def _trial(self, module: str, name: str, subject: str, size: int, prepared: Path) -> Measures:
        with tempfile.TemporaryDirectory(dir=self.folder, ignore_cleanup_errors=True) as folder:
            printed = self._run(module, name, subject, size, Path(folder), prepared, timeout=TRIAL_TIMEOUT)
        measures: Measures = json.loads(printed.splitlines()[-1])
        return measures

    def _run(self, *words: object, timeout: float | None) -> str:
        *what, folder, prepared = map(str, words)
        return subprocess.run(
            [sys.executable, "-m", "benchmarks.trial", *what, str(self.port), folder, prepared],
            cwd=ROOT, capture_output=True, text=True, check=True, timeout=timeout,
        ).stdout  # fmt: skip


@contextmanager
def suite() -> Iterator[Suite]:
    """Start the service in a process of its own; end it, and remove all folders, at the end."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        words = [sys.executable, "-m", "benchmarks.service"]
        with subprocess.Popen(
            words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as service:
            try:
                yield Suite(Path(folder), service)
            finally:
                service.terminate()


def _reason(error: subprocess.SubprocessError) -> str:
    if isinstance(error, subprocess.CalledProcessError) and error.stderr:
        return str(error.stderr).strip().splitlines()[-1][:200]
    return type(error).__name__


def _line(name: str, subject: str, first: str, size: int, every: Sequence[Round]) -> SubjectResult:
    complete = [each for each in every if subject in each.measures]
    if not complete:
        return SubjectResult(name, subject, size, {}, problem=every[-1].problems[subject])
    quiet = [each for each in complete if each.others < QUIET]
    rounds = quiet or [min(complete, key=lambda each: each.others)]
    measures = {
        measure: _spread(
            [each.measures[subject][measure] for each in rounds],
            [each.measures.get(first, {}).get(measure, 0.0) for each in rounds],
        )
        for measure in rounds[0].measures[subject]
    }
    return SubjectResult(name, subject, size, measures, len(rounds), disturbed=not quiet)


def _spread(values: Sequence[float], firsts: Sequence[float]) -> Summary:
    ratios = [value / first for value, first in zip(values, firsts, strict=True) if first]
    ratio = statistics.median(ratios) if ratios else None
    return Summary(statistics.median(values), min(values), max(values), ratio)


def _with_exponents(line: SubjectResult, lines: Sequence[SubjectResult]) -> SubjectResult:
    """Return the line of the largest size with the exponents from the smallest to the largest."""
    same = [each for each in lines if each.subject == line.subject and each.measures]
    if len(same) < 2 or line is not same[-1]:
        return line
    first, doublings = same[0], math.log(line.size / same[0].size)
    return replace(
        line,
        measures={
            name: replace(spread, exponent=math.log(spread.median / first.measures[name].median) / doublings)
            if spread.median > 0 and first.measures[name].median > 0
            else spread
            for name, spread in line.measures.items()
        },
    )
