"""Checks of a study, for CI: thresholds on scores, judges and win rates, from a file `study.toml`.

    prompt = "{{count}} red foxes in the snow"
    model = ["flux-2.0", "gpt-image-2"]
    axes = { count = ["two", "five"] }

    [[check]]
    judge = "Does it show {{count}} foxes?"
    model = "lab:vlm"
    at_least = 0.8

Each check compares a mean with its threshold, or, where it is `sure`, the whole 95 % interval. Under CI the
mode is "replay": what is not recorded is an error, and nothing is sent.
"""

from __future__ import annotations

import inspect
import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from beluga_nb.compare.axes import AXIS_PARAMETERS
from beluga_nb.compare.grid import Grid
from beluga_nb.errors import BelugaError, CheckFailedError, RequestError, UnknownNameError
from beluga_nb.paths import not_written, path_of, read_file, write_file
from beluga_nb.redaction import redact, redacted_bundle
from beluga_nb.result import Bundle
from beluga_nb.text import plural, sanitize, shown
from beluga_nb.untrusted import number

if TYPE_CHECKING:
    from beluga_nb.compare.scores import Estimate

LARGEST_STUDY = 2**20
"""Bytes of a study's file."""

_STUDY = ("prompt", "n", "axes", "check", *AXIS_PARAMETERS)
_KINDS = {
    "score": ("version",),
    "judge": ("model", "choices", "scale", "n", "take"),
    "win_rate": ("by", "criterion", "judge", "model", "n", "take"),
}
_ALL = ("name", "where", "at_least", "at_most", "sure")
_TEXTS = ("name", "score", "judge", "win_rate", "version", "model", "take", "by", "criterion")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One threshold, and what came of it: an estimate with its interval, or why there is none.

    Where a judge has compared, `note` says how far people agree.
    """

    name: str
    threshold: str
    passed: bool
    estimate: Estimate | None = None
    problem: str = ""
    note: str = ""

    @property
    def words(self) -> str:
        """The estimate and its interval, or why there is none."""
        return (
            self.problem
            if self.estimate is None
            else "; ".join(filter(None, [str(self.estimate), self.note]))
        )


@dataclass(frozen=True)
class Checks(Sequence[Check]):
    """What came of the checks of a study."""

    study: str
    rows: tuple[Check, ...]

    @property
    def failed(self) -> list[Check]:
        """The checks that did not pass."""
        return [row for row in self.rows if not row.passed]

    @property
    def summary(self) -> str:
        """How many checks there are, and how many of them failed."""
        return f"{self.study}: {len(self.failed)} of {plural(len(self.rows), 'check')} failed"

    def to_junit(self, path: str | Path) -> Path:
        """Write the checks as JUnit XML, which CI systems show, and return where."""
        from beluga_nb.show.checks import junit

        path = path_of(path)
        try:
            write_file(path, redact(junit(self)).encode())
        except OSError as error:
            raise not_written(path, error) from None
        return path

    def raise_for_failure(self) -> Checks:
        """Return the checks where all passed; raise `CheckFailedError` otherwise."""
        if not self.failed:
            return self
        lines = [f"  {row.name}: {row.words}, wanted {row.threshold}" for row in self.failed]
        raise CheckFailedError("\n".join([f"{self.summary}.", *lines]))

    @overload
    def __getitem__(self, index: int) -> Check: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Check]: ...
    def __getitem__(self, index: int | slice) -> Check | Sequence[Check]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        from beluga_nb.show.checks import checks_bundle

        return redacted_bundle(checks_bundle(self))


def checks(make_grid: Callable[..., Grid], path: str | Path) -> Checks:
    """Return what comes of the checks of a study, whose grid `make_grid` makes (`Session.grid`).

    Raises `BelugaError` where the file cannot be read, or the study cannot be run at all.
    """
    path = path_of(path)
    study = _study(path)
    wanted = [_Wanted.of(each) for each in study.pop("check")]
    axes = study.pop("axes", {})
    for name in axes:
        if name in study or name in _options(make_grid):
            raise RequestError(
                f"The axes of the study have {sanitize(name, 80)}, which is no axis here.",
                "Give it outside of axes, or another name.",
            )
    grid = make_grid(study.pop("prompt"), **study, **axes).run()
    parts = [grid.where(**each.given.get("where", {})) for each in wanted]
    made = (each.made(part) for each, part in zip(wanted, parts, strict=True))
    return Checks(sanitize(path.name, 80), tuple(made))


def _options(make_grid: Callable[..., Grid]) -> set[str]:
    """Return the arguments of a function that are no axes."""
    named = inspect.signature(make_grid).parameters.values()
    return {each.name for each in named if each.kind is not each.VAR_KEYWORD} - {*AXIS_PARAMETERS}


def _study(path: Path) -> dict[str, Any]:
    try:
        study = tomllib.loads(read_file(path, LARGEST_STUDY).decode())
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or sanitize(str(error), 120)
        raise RequestError(
            f"The study {sanitize(path.name, 80)} cannot be read: {reason}.", "Name a study.toml."
        ) from None
    for name in study:
        if name not in _STUDY:
            raise UnknownNameError("part of a study", name, _STUDY)
    found = study.get("check")
    if (
        not isinstance(study.get("prompt"), str)
        or not isinstance(found, list)
        or not found
        or not all(map(_is_table, found))
    ):
        raise RequestError("The study has no prompt, or no checks.", "Add prompt = …, and a [[check]].")
    if not _is_table(study.get("axes", {})):
        raise RequestError("The axes of the study are no table.", 'Write axes = { count = ["two", "five"] }.')
    return study


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping)


@dataclass(frozen=True)
class _Wanted:
    """A check as it is written down."""

    kind: str
    given: Mapping[str, Any]
    name: str
    at_least: float
    at_most: float

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> _Wanted:
        kind = next((each for each in ("win_rate", "score", "judge") if each in given), None)
        if kind is None:
            raise RequestError("A check measures nothing.", "Give it a score, a judge or a win_rate.")
        known = (kind, *_KINDS[kind], *_ALL)
        for name in given:
            if name not in known:
                raise UnknownNameError(f"part of a check of a {kind}", name, known)
        if not _is_table(given.get("where", {})):
            raise RequestError("The where of a check is no table.", 'Write where = { model = "flux-2.0" }.')
        for name in (*_TEXTS, "sure"):
            if name in given and not isinstance(given[name], bool if name == "sure" else str):
                raise RequestError(
                    f"The {name} of a check is {shown(given[name], 60)}.",
                    "Give true or false." if name == "sure" else "Give it as text.",
                )
        limits = [given[name] for name in ("at_least", "at_most") if name in given]
        try:
            [*map(number, limits)]
        except (TypeError, ValueError):
            raise RequestError(f"A threshold is {shown(limits, 60)}.", "Give a number.") from None
        if not limits:
            raise RequestError("A check has no threshold.", "Give it at_least or at_most.")
        if "judge" in given and not isinstance(given.get("model"), str):
            raise RequestError("A check by a judge names no model.", 'Give it one: model = "lab:vlm".')
        name = sanitize(str(given.get("name") or " ".join([kind.replace("_", " "), str(given[kind])])), 120)
        return cls(kind, given, name, given.get("at_least", -math.inf), given.get("at_most", math.inf))

    @property
    def threshold(self) -> str:
        ends = {"at least": self.at_least, "at most": self.at_most}
        words = " and ".join(f"{name} {end:g}" for name, end in ends.items() if math.isfinite(end))
        return f"{words}, surely" if self.given.get("sure") else words

    def made(self, grid: Grid) -> Check:
        """Return what comes of it on a grid; an error is one of this check alone."""
        try:
            estimate, note = self._estimate(grid)
        except BelugaError as error:
            problem = sanitize(str(error), 400)
            return Check(name=self.name, threshold=self.threshold, passed=False, problem=problem)
        sure = bool(self.given.get("sure"))
        low, high = (estimate.low, estimate.high) if sure else (estimate.mean, estimate.mean)
        passed = self.at_least <= low and high <= self.at_most and (estimate.has_interval or not sure)
        return Check(name=self.name, threshold=self.threshold, passed=passed, estimate=estimate, note=note)

    def _estimate(self, grid: Grid) -> tuple[Estimate, str]:
        from beluga_nb.compare.differences import estimate_of_scores, estimate_of_wins

        options = {name: self.given[name] for name in _KINDS[self.kind] if name in self.given}
        if self.kind == "score":
            return estimate_of_scores(grid.score(self.given["score"], **options)), ""
        if self.kind == "judge":
            return estimate_of_scores(grid.judge(self.given["judge"], **options).run()), ""
        by, name = options.pop("by", "model"), str(self.given["win_rate"])
        question = options.pop("judge", None)
        if question is None:
            criterion = options.get("criterion", "")
            votes = [vote for vote in grid.votes(by=by).counted if vote.criterion == criterion]
            return estimate_of_wins(votes, name), ""
        judged = grid.judge_pairs(question, by=by, **options).run()
        if judged.errors:
            raise judged.errors[0]
        return estimate_of_wins([row.duel for row in judged], name), str(judged.agreement).rstrip(".")
