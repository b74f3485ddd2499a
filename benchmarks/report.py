"""The results as JSON and as one table, and what changed since older ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict

from benchmarks.harness import SubjectResult, Summary
from benchmarks.rows import UNITS

NOISE, NOISE_OF_ONE = 0.05, 0.25
"""The smallest change of a median that is reported, and of a figure of a single round."""

HEAD = """\
| row | subject | median (least to most) | × first | CPU | CPU, × first | also | grows as n^ |
|---|---|--:|--:|--:|--:|---|--:|"""


def to_json(line: SubjectResult) -> dict[str, object]:
    """Return a line for JSON."""
    return asdict(line)


def from_json(given: Mapping[str, object]) -> SubjectResult:
    """Return the line that `to_json` wrote."""
    measures = given["measures"]
    assert isinstance(measures, dict)
    spreads = {name: Summary(**values) for name, values in measures.items()}
    return SubjectResult(**{**given, "measures": spreads})  # type: ignore[arg-type]


def table(lines: Iterable[SubjectResult], titles: Mapping[str, str]) -> str:
    """Return the table in Markdown, a line for each subject at each size."""
    rows, before = [HEAD], ""
    for line in lines:
        title = titles[line.row] if line.row != before else ""
        before = line.row
        rows.append(f"| {title} | {' | '.join(_cells(line))} |")
    return "\n".join(rows)


def _cells(line: SubjectResult) -> Iterator[str]:
    yield line.subject + (f", {line.size:,}" if line.size > 1 else "") + " (disturbed)" * line.disturbed
    if line.problem:
        yield from (line.problem, *[""] * 5)
        return
    name, first = next(iter(line.measures.items()))
    spread = f" ({shown(name, first.least)} to {shown(name, first.most)})" if line.rounds > 1 else ""
    yield shown(name, first.median) + spread
    yield _number(first.ratio)
    cpu = line.measures.get("cpu")
    yield from (shown("cpu", cpu.median), _number(cpu.ratio)) if cpu else ("", "")
    yield ", ".join(_also(*each) for each in line.measures.items() if each[0] not in {name, "cpu"})
    yield _number(first.exponent)


def _also(name: str, spread: Summary) -> str:
    _, _, words = UNITS[name].partition(" ")
    grows = "" if spread.exponent is None else f" (n^{spread.exponent:.2f})"
    return f"{shown(name, spread.median)} {words}".rstrip() + grows


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def shown(name: str, value: float) -> str:
    """Return a figure with its unit: seconds as milliseconds if there are few of them."""
    unit = UNITS[name].partition(" ")[0]
    if unit == "s":
        return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"
    return f"{value:,.0f} {unit}"


def changes(old: Iterable[SubjectResult], new: Iterable[SubjectResult]) -> Iterator[str]:
    """Yield what changed by more than the noise and beyond both spreads, and what came and went."""
    before = {(line.row, line.subject, line.size): line for line in old}
    for line in new:
        key = line.row, line.subject, line.size
        words = f"{line.row}: {line.subject}" + (f", {line.size:,}" if line.size > 1 else "")
        earlier = before.pop(key, None)
        if earlier is None:
            yield f"{words}: new"
            continue
        noise = NOISE if min(line.rounds, earlier.rounds) > 1 else NOISE_OF_ONE
        for name, spread in line.measures.items():
            if name in earlier.measures:
                yield from _change(words, name, earlier.measures[name], spread, noise)
    yield from (f"{row}: {subject}, {size:,}: not measured" for row, subject, size in before)


def _change(words: str, name: str, old: Summary, new: Summary, noise: float) -> Iterator[str]:
    apart = new.least > old.most or new.most < old.least
    if apart and abs(new.median - old.median) > noise * old.median:
        more = f"{new.median / old.median:.2f} times" if old.median else "from nothing"
        ratios = f", {old.ratio:.2f} → {new.ratio:.2f} × first" if old.ratio and new.ratio else ""
        yield f"{words}: {name} {shown(name, old.median)} → {shown(name, new.median)} ({more}{ratios})"
