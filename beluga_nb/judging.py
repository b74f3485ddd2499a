"""Judging: a session keeps scores and votes in its store, asks voters, and shows what follows.

What measures and ranks is imported where it is wanted: the first picture of a kernel waits for none of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from beluga_nb.compare.executors import Workers, each
from beluga_nb.compare.judged import Duplicates, Gallery, Leaderboard, Metric, Scored, Scores
from beluga_nb.compare.sample import Sample
from beluga_nb.config.settings import Settings
from beluga_nb.errors import RequestError, StoreError
from beluga_nb.result import Bundle, MissingPicture, Recipe, Result
from beluga_nb.store.records import Store
from beluga_nb.text import nearest, plural, sanitize

if TYPE_CHECKING:
    from beluga_nb.compare.rank import Ranking
    from beluga_nb.compare.vote import Ballot, Entrant, Pair
    from beluga_nb.store.votes import Box, Vote

T = TypeVar("T")

LONGEST_PROMPT = 300
"""Characters of a prompt that a voter sees."""


class Judging:
    """The part of a session that judges pictures; it asks nobody for any."""

    notify: Callable[[str], None]

    def gallery(self, *results: Result) -> Gallery:
        """Return some results side by side, to be scored, voted on and ranked."""
        return Gallery(results, jury=self)

    def settings(self, **said: object) -> Settings:
        """Return the settings as they stand now."""
        raise NotImplementedError

    def _booth(self, voting: Voting) -> object:
        raise NotImplementedError

    def _scores_of(
        self,
        samples: Sequence[Sample],
        name: str,
        metric: Metric | None,
        *,
        version: str | None,
        executor: Workers | None,
        in_flight: int,
    ) -> Scores:
        from beluga_nb.compare.measure import FINGERPRINT, MEASURES
        from beluga_nb.show.judged import scores_bundle

        if not name.strip():
            raise RequestError("The score has no name.", 'Give it one: score("width", function)')
        built_in = FINGERPRINT if name == "fingerprint" else MEASURES.get(name)
        if metric is None and built_in and version is None:
            metric, version = built_in.function, built_in.version
        scoring = _Scoring(self._keeping(), name, str(version or "1"), metric)
        seen = _Seen()
        rows = scoring.rows(samples, seen, executor=executor, in_flight=in_flight)
        for problem in scoring.problems[:1]:
            self.notify(problem)
        return Scores(name, scoring.version, rows, seen.caveat, view=scores_bundle)

    def _mapped(
        self,
        samples: Sequence[Sample],
        function: Callable[..., T],
        *,
        executor: Workers | None,
        in_flight: int,
    ) -> list[T]:
        from beluga_nb.compare.measure import of_bytes, takes_recipe

        both = takes_recipe(function)
        calls = ((function, *_sent(samples[place], both)) for place in range(len(samples)))
        found: dict[int, Any] = {}
        for place, outcome in each(of_bytes, calls, executor=executor, in_flight=in_flight, metric=function):
            if isinstance(outcome, Exception):
                outcome.add_note(f"It was raised for {_words(samples[place])}.")
                raise outcome
            found[place] = outcome
        return [found[place] for place in range(len(samples))]

    def _duplicates_of(self, samples: Sequence[Sample], *, within: int) -> Duplicates:
        from beluga_nb.compare.measure import alike
        from beluga_nb.show.judged import duplicates_bundle

        scores = self._scores_of(samples, "fingerprint", None, version=None, executor=None, in_flight=1)
        rows = [row for row in scores.rows if row.value is not None]
        groups = alike([int(row.value or 0) for row in rows], within=within)
        found = tuple(tuple(rows[number] for number in group) for group in groups)
        return Duplicates(found, scores.caveat, view=duplicates_bundle)

    def _ranking_of(self, samples: Sequence[Sample], *, by: str) -> Ranking:
        from beluga_nb.compare.rank import ranking
        from beluga_nb.compare.vote import duels, pairs
        from beluga_nb.show.ranking import ranking_bundle, ranking_svg
        from beluga_nb.store.votes import votes

        seen = _Seen(by)
        counted = duels(votes(self._store()), pairs(seen.passing(samples), by=by))
        found = ranking(counted, by=by, names=seen.labels)
        return replace(found, caveat=seen.caveat, view=ranking_bundle, draw=ranking_svg)

    def _leaderboard_of(
        self, samples: Sequence[Sample], metrics: Sequence[str | Scores], *, by: str
    ) -> Leaderboard:
        from beluga_nb.show.judged import leaderboard_bundle

        scores = [
            self._scores_of(samples, metric, None, version=None, executor=None, in_flight=1)
            if isinstance(metric, str)
            else metric
            for metric in metrics
        ]
        means = {found.name: found.mean(by=by) for found in scores}
        ranking = self._ranking_of(samples, by=by)
        return Leaderboard(by=by, ranking=ranking, means=means, view=leaderboard_bundle)

    def _booth_of(self, samples: Sequence[Sample], *, by: str, voter: str, seed: int | None) -> object:
        from beluga_nb.compare.vote import Ballot, pairs
        from beluga_nb.store.votes import Box, votes

        mode, store = self.settings().mode, self._store()
        if mode == "replay":
            return self._ranking_of(samples, by=by)
        if mode == "off":
            raise RequestError('Mode "off" keeps nothing, and votes would be lost.', "Use mode auto to vote.")
        rng = random.Random(seed)
        seen = _Seen(by)
        among = pairs(seen.passing(samples), by=by)
        if not among:
            raise RequestError(
                f"No two of these pictures differ in '{sanitize(by, 60)}' alone.",
                "Vote by another axis, or ask for the same with another value of this one.",
            )
        ballot = Ballot.of(among, by_whom=voter, votes=votes(store), rng=rng)
        ranked = lambda: self._ranking_of(samples, by=by)  # noqa: E731  what Voting asks at its end
        return self._booth(Voting(samples, ballot, seen, box=Box(store, voter), rng=rng, ranked=ranked))

    def _keeping(self) -> _Keeping:
        mode = self.settings().mode
        return _Keeping(
            self._store(), reading=mode in {"auto", "replay"}, writing=mode in {"auto", "refresh"}
        )

    def _store(self) -> Store:
        raise NotImplementedError


@dataclass
class _Seen:
    """What pictures are, noticed as they go by, since many are not held in memory."""

    by: str = ""
    labels: dict[str, None] = field(default_factory=dict)
    drawn: set[bool] = field(default_factory=set)

    def passing(self, samples: Sequence[Sample]) -> Iterator[Sample]:
        for sample in samples:
            if self.by in sample.labels:
                self.labels[sample.labels[self.by]] = None
            self.drawn.add(sample.picture.recipe.procedural)
            yield sample

    @property
    def caveat(self) -> str:
        """That no model made these, in a sentence; nothing where models did."""
        if True not in self.drawn:
            return ""
        return f"{'Some are l' if False in self.drawn else 'L'}ocal previews, not model output."


@dataclass(frozen=True, kw_only=True)
class _Keeping:
    """Where scores are kept, and whether the mode has them read and written."""

    store: Store = field(kw_only=False)
    reading: bool
    writing: bool


@dataclass
class _Scoring:
    """A metric at work: what is recorded is read, the rest is measured, and recorded as it comes."""

    keeping: _Keeping
    name: str
    version: str
    metric: Metric | None
    problems: list[str] = field(default_factory=list)

    def rows(
        self, samples: Sequence[Sample], seen: _Seen, *, executor: Workers | None, in_flight: int
    ) -> tuple[Scored, ...]:
        from beluga_nb.compare.measure import of_bytes, takes_recipe

        both = self.metric is not None and takes_recipe(self.metric)
        known: dict[tuple[str, str], float | Exception] = {}
        rows: list[tuple[Mapping[str, str], int, tuple[str, str]]] = []
        missing: dict[tuple[str, str], int] = {}
        for place, sample in enumerate(seen.passing(samples)):
            of = (sample.picture.sha256, _asked(sample.picture.recipe) if both else "")
            rows.append((sample.labels, sample.number, of))
            if of not in known and of not in missing:
                value = self._recorded(sample) if self.metric is None else self._read(*of)
                if value is not None:
                    known[of] = value
                elif isinstance(sample.picture, MissingPicture):
                    known[of] = _elsewhere(sample.picture)
                else:
                    missing[of] = place
        self._check_can_measure(len(missing), len(rows))
        calls = ((self.metric, *_sent(samples[place], both)) for place in missing.values())
        todo = list(missing)
        for number, outcome in each(
            of_bytes, calls, executor=executor, in_flight=in_flight, metric=self.metric
        ):
            known[todo[number]] = self._kept(todo[number], outcome)
        return tuple(_scored(labels, number, of[0], known[of]) for labels, number, of in rows)

    def _check_can_measure(self, missing: int, total: int) -> None:
        if missing and self.metric is None:
            from beluga_nb.compare.measure import MEASURES

            like = nearest(self.name, MEASURES)
            meant = f"Did you mean '{like}'? " if like and like != self.name else ""
            raise RequestError(
                f"No score '{sanitize(self.name, 60)}' of version {sanitize(self.version, 60)} is recorded"
                f" for {missing} of {plural(total, 'picture')}.",
                f"{meant}Give the function that measures it: score(name, function).",
            )

    def _recorded(self, sample: Sample) -> float | None:
        # Without its function nobody knows whether a metric looks at recipes.
        name = sample.picture.sha256
        plainly = self._read(name, "")
        return self._read(name, _asked(sample.picture.recipe)) if plainly is None else plainly

    def _read(self, image: str, asked: str) -> float | None:
        from beluga_nb.store.scores import read

        if not self.keeping.reading:
            return None
        return read(self.keeping.store, image, metric=self.name, version=self.version, asked=asked)

    def _kept(self, of: tuple[str, str], outcome: object) -> float | Exception:
        from beluga_nb.compare.measure import number
        from beluga_nb.store.scores import Score, write

        if isinstance(outcome, Exception):
            return outcome
        try:
            value = number(outcome)
        except RequestError as error:
            return error
        if self.keeping.writing and not self.problems:
            image, asked = of
            score = Score(image=image, metric=self.name, version=self.version, value=value, asked=asked)
            try:
                write(self.keeping.store, score)
            except StoreError as error:
                self.problems.append(error.message)
        return value


def _asked(recipe: Recipe) -> str:
    from beluga_nb.store.scores import asked_of

    return asked_of(recipe)


def _sent(sample: Sample, both: bool) -> tuple[bytes, Recipe | None]:
    if isinstance(sample.picture, MissingPicture):
        raise _elsewhere(sample.picture)
    return sample.picture.data, sample.picture.recipe if both else None


def _elsewhere(picture: MissingPicture) -> Exception:
    try:
        return StoreError(f"{picture.image} is here.")
    except StoreError as error:
        return error


def _scored(labels: Mapping[str, str], number: int, sha256: str, found: float | Exception) -> Scored:
    if isinstance(found, Exception):
        return Scored(labels=labels, number=number, sha256=sha256, error=found)
    return Scored(labels=labels, number=number, sha256=sha256, value=found)


def _words(sample: Sample) -> str:
    return " · ".join([*(sanitize(label, 60) for label in sample.labels.values()), f"number {sample.number}"])


class Voting:
    """A session of votes, as a booth shows it: two pictures without names, until it is revealed."""

    def __init__(
        self,
        samples: Sequence[Sample],
        ballot: Ballot,
        seen: _Seen,
        *,
        box: Box,
        rng: random.Random,
        ranked: Callable[[], Ranking],
    ) -> None:
        self._samples = samples
        self._ballot = ballot
        self._box = box
        self._rng = rng
        self._seen = seen
        self._ranked = ranked
        self._votes: list[Vote | None] = []

    @property
    def pictures(self) -> tuple[bytes, bytes] | None:
        """The two pictures that are asked about, left and right, as JPEGs that tell nothing else."""
        from beluga_nb.show.blind import blind

        question = self._ballot.question
        if question is None:
            return None
        return blind(self._image(question.left), self._image(question.right))

    @property
    def caption(self) -> str:
        """What both pictures have in common: their prompt, or else their labels."""
        question = self._ballot.question
        if question is None:
            return ""
        left, right = self._samples[question.left.place], self._samples[question.right.place]
        prompts = {each.picture.recipe.request.prompt for each in (left, right)}
        common = [label for name, label in left.labels.items() if name != self._seen.by]
        words = prompts.pop() if len(prompts) == 1 else " · ".join(common)
        return "" if self._reveals(words) else sanitize(words, LONGEST_PROMPT)

    @property
    def progress(self) -> str:
        """How far it is, and whether what is shown are previews."""
        told = f"{len(self._ballot.answers)} of {self._ballot.total} compared."
        return f"{told} {self._seen.caveat}".rstrip()  # of all, since of one side it would tell something

    @property
    def undoable(self) -> bool:
        """Whether there is anything to take back."""
        return bool(self._ballot.given)

    def answer(self, answer: str) -> None:
        """Record an answer, or "skip" it; raise `StoreError` where that fails: the question stays."""
        question = self._ballot.question
        if question is None:
            return
        after = self._ballot.answered(answer, self._rng)
        self._votes.append(None if answer == "skip" else self._cast(question, answer))
        self._ballot = after

    def undo(self) -> None:
        """Take the last answer back; raise `StoreError` where that cannot be recorded."""
        if self._votes:
            if vote := self._votes[-1]:
                self._box.undo(vote)
            self._votes.pop()
            self._ballot = self._ballot.undone()

    def reveal(self) -> Bundle:
        """Return the ranking, now that nobody votes any more."""
        return self._ranked()._repr_mimebundle_()

    def _cast(self, question: Pair, answer: str) -> Vote:
        return self._box.cast(left=question.left.sha256, right=question.right.sha256, answer=answer)

    def _image(self, entrant: Entrant) -> Any:
        return self._samples[entrant.place].picture.image

    def _reveals(self, words: str) -> bool:
        return any(label.casefold() in words.casefold() for label in self._seen.labels if label)
