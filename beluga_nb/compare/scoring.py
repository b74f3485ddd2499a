"""Metrics at work: recorded scores are read, the others are measured and recorded as they come.

This module imports numpy; the first picture of a kernel must not wait for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from beluga_nb.compare.executors import Workers, each
from beluga_nb.compare.metrics import (
    FINGERPRINT,
    METRICS,
    alike,
    of_batch,
    of_bytes,
    takes_recipe,
    value_and_reason,
)
from beluga_nb.compare.sample import Sample, SampleNotes
from beluga_nb.compare.scores import BatchMetric, Duplicates, Metric, Scored, Scores
from beluga_nb.compare.workspace import Workspace
from beluga_nb.engines.call import Tally
from beluga_nb.errors import RequestError, StoreError
from beluga_nb.hints import Code, did_you_mean
from beluga_nb.result import MissingPicture, Recipe, whole
from beluga_nb.store.scores import Score, asked_of, read, write
from beluga_nb.text import nearest, plural, sanitize

T = TypeVar("T")

Key = tuple[str, str]
"""A picture's SHA-256, and the hash of its request where the metric looks at recipes."""


def score(
    samples: Sequence[Sample],
    name: str,
    metric: Metric | None,
    workspace: Workspace,
    *,
    version: str | None = None,
    executor: Workers | None = None,
    in_flight: int = 1,
    tally: Tally | None = None,
    beat: Callable[[], None] = lambda: None,
) -> Scores:
    """Return the scores of pictures: recorded ones, and what the metric gives for the others.

    `tally` counts the pictures that are measured, and `beat` is called all the while.
    """
    if not name.strip():
        raise RequestError("The score has no name.", 'Give it one: score("width", function)')
    # Not among `METRICS`, which users are offered: a fingerprint is no quality.
    built_in = FINGERPRINT if name == "fingerprint" else METRICS.get(name)
    if metric is None and built_in and version is None:
        metric, version = built_in.function, built_in.version
    if isinstance(metric, BatchMetric):
        if isinstance(metric, type):
            kind = metric.__name__
            raise RequestError(f"{kind} is a class of metrics.", f"Make one of it: {kind}(…)")
        version = " ".join(filter(None, [metric.version, version]))  # which always names the weights
    scoring = _Scoring(workspace, name, str(version or "1"), metric, tally or Tally(), beat)
    notes = SampleNotes()
    rows = scoring.rows(samples, notes, executor=executor, in_flight=in_flight)
    for problem in scoring.problems[:1]:
        workspace.notify(problem)
    return Scores(name, scoring.version, rows, notes.caveat)


def mapped(
    samples: Sequence[Sample], function: Callable[..., T], *, executor: Workers | None, in_flight: int
) -> list[T]:
    """Return what a function gives for each picture, in order; raise what it raises."""
    with_recipe = takes_recipe(function)
    calls = ((function, *_arguments(samples[place], with_recipe)) for place in range(len(samples)))
    found: dict[int, Any] = {}
    for place, outcome in each(of_bytes, calls, executor=executor, in_flight=in_flight, metric=function):
        if isinstance(outcome, Exception):
            outcome.add_note(f"It was raised for {_words(samples[place])}.")
            raise outcome
        found[place] = outcome
    return [found[place] for place in range(len(samples))]


def duplicates(samples: Sequence[Sample], workspace: Workspace, *, within: int) -> Duplicates:
    """Return the groups of pictures whose fingerprints differ in at most `within` bits."""
    scores = score(samples, "fingerprint", None, workspace)
    rows = [row for row in scores.rows if row.value is not None]
    groups = alike([int(row.value or 0) for row in rows], within=within)
    return Duplicates(tuple(tuple(rows[number] for number in group) for group in groups), scores.caveat)


@dataclass
class _Scoring:
    """A metric, and the store that its scores are read from and recorded in."""

    workspace: Workspace
    name: str
    version: str
    metric: Metric | None
    tally: Tally
    beat: Callable[[], None]
    problems: list[str] = field(default_factory=list)

    def rows(
        self, samples: Sequence[Sample], notes: SampleNotes, *, executor: Workers | None, in_flight: int
    ) -> tuple[Scored, ...]:
        with_recipe = self.metric is not None and takes_recipe(self.metric)
        known: dict[Key, Score | Exception] = {}
        rows: list[tuple[Mapping[str, str], int, Key]] = []
        missing: dict[Key, int] = {}
        for place, sample in enumerate(notes.reading(samples)):
            key = (sample.picture.sha256, asked_of(sample.picture.recipe) if with_recipe else "")
            rows.append((sample.labels, sample.number, key))
            if key not in known and key not in missing:
                recorded = self._recorded(sample) if self.metric is None else self._read(*key)
                if recorded is not None:
                    known[key] = recorded
                elif isinstance(sample.picture, MissingPicture):
                    known[key] = sample.picture.error
                else:
                    missing[key] = place
        self._check_can_measure(len(missing), len(rows))
        self.tally.asked += len(missing)
        for key, outcome in self._outcomes(samples, missing, with_recipe, executor, in_flight):
            known[key] = self._measured(key, outcome)
            self.tally.arrived += 1
            self.beat()
        return tuple(_scored(labels, position, key[0], known[key]) for labels, position, key in rows)

    def _outcomes(
        self,
        samples: Sequence[Sample],
        missing: Mapping[Key, int],
        with_recipe: bool,
        executor: Workers | None,
        in_flight: int,
    ) -> Iterator[tuple[Key, object]]:
        """Yield what the metric gives for each picture, or the exception, as it comes."""
        metric, keys = self.metric, list(missing)
        # The samples are read again here, when their turn comes: a grid's do not fit into memory at once.
        arguments = (_arguments(samples[place], with_recipe) for place in missing.values())
        of = partial(each, executor=executor, metric=metric, beat=self.beat)
        if not isinstance(metric, BatchMetric):
            calls = ((metric, *picture) for picture in arguments)
            for position, outcome in of(of_bytes, calls, in_flight=in_flight):
                yield keys[position], outcome
            return
        if missing and executor is None:
            metric.check()
        size = metric.batch_size
        batches = ((metric, pictures) for _ in keys[::size] if (pictures := list(islice(arguments, size))))
        for position, found in of(of_batch, batches, in_flight=max(1, in_flight // size)):
            of_these = keys[position * size :][:size]
            outcomes = [found] * len(of_these) if isinstance(found, Exception) else found
            yield from zip(of_these, outcomes, strict=True)

    def _check_can_measure(self, missing: int, total: int) -> None:
        if missing and self.metric is None:
            like = nearest(self.name, METRICS)
            raise RequestError(
                f"No score '{sanitize(self.name, 60)}' of version {sanitize(self.version, 60)} is recorded"
                f" for {missing} of {plural(total, 'picture')}.",
                did_you_mean(
                    like if like != self.name else None,
                    "Give the function that measures it: ",
                    Code("score(name, function)"),
                    ".",
                ),
            )

    def _recorded(self, sample: Sample) -> Score | None:
        # Without its function it is unknown whether a metric looks at recipes.
        image = sample.picture.sha256
        without = self._read(image, "")
        return self._read(image, asked_of(sample.picture.recipe)) if without is None else without

    def _read(self, image: str, asked: str) -> Score | None:
        if not self.workspace.settings.reads_store:
            return None
        return read(self.workspace.store, image, metric=self.name, version=self.version, asked=asked)

    def _measured(self, key: Key, outcome: object) -> Score | Exception:
        if isinstance(outcome, Exception):
            return outcome
        try:
            value, reason = value_and_reason(outcome)
        except RequestError as error:
            return error
        image, asked = key
        measured = Score(
            image=image, metric=self.name, version=self.version, value=value, asked=asked, reason=reason
        )
        # One failure to write is reported once, and nothing is tried after it.
        if self.workspace.settings.writes_store and not self.problems:
            try:
                write(self.workspace.store, measured)
            except StoreError as error:
                self.problems.append(error.message)
        return measured


def _arguments(sample: Sample, with_recipe: bool) -> tuple[bytes, Recipe | None]:
    return whole(sample.picture), sample.picture.recipe if with_recipe else None


def _scored(labels: Mapping[str, str], position: int, sha256: str, found: Score | Exception) -> Scored:
    scored = Scored(labels=labels, number=position, sha256=sha256)
    if isinstance(found, Exception):
        return replace(scored, error=found)
    if isinstance(found.value, Mapping):
        return replace(scored, parts=found.value, reason=found.reason)
    return replace(scored, value=found.value, reason=found.reason)


def _words(sample: Sample) -> str:
    return " · ".join([*(sanitize(label, 60) for label in sample.labels.values()), f"number {sample.number}"])
