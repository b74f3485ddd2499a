"""Scores, votes and a ranking of pictures: of a grid, or of a `Gallery` of results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar, Unpack

from beluga_nb.compare.axes import AXIS_PARAMETERS
from beluga_nb.compare.executors import IN_FLIGHT, Workers
from beluga_nb.compare.sample import Sample, SampleNotes
from beluga_nb.compare.scores import NEAR, Duplicates, Leaderboard, Metric, Scores
from beluga_nb.compare.workspace import Runner, Workspace
from beluga_nb.errors import RequestError, UnknownNameError
from beluga_nb.interrupted import explained, showing
from beluga_nb.key_check import refuses_keys
from beluga_nb.paths import path_of
from beluga_nb.redaction import redacted_bundle
from beluga_nb.result import Bundle, Picture, Result
from beluga_nb.signatures import named_methods, named_options
from beluga_nb.store.votes import (
    LONGEST_REASON,
    LONGEST_VOTER,
    Box,
    exclusions,
    voter_name,
    votes,
    votes_and_exclusions,
)
from beluga_nb.text import plural, sanitize

if TYPE_CHECKING:
    from beluga_nb.compare.agreement import Votes
    from beluga_nb.compare.judge import Agreement, Choices, JudgedPairs, PairQuestions, PictureQuestions
    from beluga_nb.compare.rank import Ranking, Rankings
    from beluga_nb.compare.vote import Duel
    from beluga_nb.compare.voting import Contest
    from beluga_nb.show.ballot import BallotPage
    from beluga_nb.show.booth import Booth

# What measures and ranks is imported where it is used: it brings numpy, and a first picture needs none.

T = TypeVar("T")

_STOPPED = (
    "stopped; scores that were recorded are kept.",
    "Run it again: only what has no score is measured.",
)
_READING = ("stopped; nothing was changed.", "Run it again: it begins anew.")


class BallotOptions(TypedDict, total=False):
    """Options of a voting page, which `Evaluable.ballot` explains. An option that is None has its default."""

    consent: str | None
    port: int | None
    host: str | None
    voters: int | None
    links: str | Path | None
    each: int | None
    repeats: int | None
    close_after: int | None
    close_at: datetime | str | None


@named_methods
class Evaluable(ABC):
    """Pictures that can be scored, voted on and ranked: the base of `Grid` and `Gallery`."""

    _runner: Runner

    @property
    @abstractmethod
    def samples(self) -> Sequence[Sample]:
        """The pictures, each with its labels."""

    @explained(lambda: _STOPPED)
    def score(
        self,
        name: str,
        metric: Metric | None = None,
        *,
        version: str | None = None,
        executor: Workers | None = None,
        in_flight: int = IN_FLIGHT,
        progress: bool | None = None,
    ) -> Scores:
        """Return what a metric gives for each picture: a function of its PIL image (and its recipe).

        It gives a number, a mapping from names to numbers, or either with a reason in a tuple.

        What is recorded for a picture under this name and `version` is not measured again, and needs no
        `metric`; an exception stays with its picture. Built in are "sharpness", "colourfulness", "contrast"
        and "brightness"; `beluga_nb.learned` has metrics of trained models. `executor` is a
        `concurrent.futures.Executor` or a `dask.distributed.Client`: at most `in_flight` pictures are under
        way there, and it is never shut down. After a second it shows how far it is, unless `progress` is
        false.
        """
        from beluga_nb.compare.scoring import score

        work = self._runner.working(name, unit="picture", progress=progress, left=_STOPPED)
        with work as (tally, beat):
            return score(
                self.samples,
                name,
                metric,
                self._runner.workspace(),
                version=version,
                executor=executor,
                in_flight=in_flight,
                tally=tally,
                beat=beat,
            )

    def map(
        self, function: Callable[..., T], *, executor: Workers | None = None, in_flight: int = IN_FLIGHT
    ) -> list[T]:
        """Return what a function of a PIL image (and its recipe) gives for each picture, in order.

        Nothing is kept. Raises what the function raises. `executor` is as in `score`.
        """
        from beluga_nb.compare.scoring import mapped

        return mapped(self.samples, function, executor=executor, in_flight=in_flight)

    def duplicates(self, *, within: int = NEAR) -> Duplicates:
        """Return the groups of pictures that look nearly the same: at most `within` bits of 64 apart."""
        from beluga_nb.compare.scoring import duplicates

        return duplicates(self.samples, self._runner.workspace(), within=within)

    def vote(
        self,
        *,
        by: str = "model",
        voter: str = "",
        question: str = "",
        criterion: str = "",
        repeats: int = 0,
        seed: int | None = None,
    ) -> Booth | Ranking:
        """Return a booth for blind votes on pictures that differ in `by` alone: which of two is better.

        Nothing that reaches the browser shows which is which before the end. Votes are recorded one by one,
        with the name that the `voter` chooses. `question` stands above the pictures. A `criterion`, such as
        "fits the prompt", is shown and has a ranking of its own. After the last pair, `repeats` pairs are
        asked about again, which shows how consistent a voter is. In mode "replay" it is the ranking instead.
        """
        workspace, criterion = self._runner.workspace(), sanitize(criterion, LONGEST_VOTER)
        if not workspace.settings.may_ask:
            return self.ranking(by=by, criterion=criterion)
        from beluga_nb.compare.voting import Voting
        from beluga_nb.show.booth import Booth

        contest = self._contest(workspace, by=by, question=question, criterion=criterion)
        return Booth(partial(Voting, contest, voter=voter, repeats=repeats, seed=seed))

    @named_options(BallotOptions)
    def ballot(
        self, *, by: str = "model", question: str = "", criterion: str = "", **options: Unpack[BallotOptions]
    ) -> BallotPage | Ranking:
        """Serve the same booth as a web page, for voters without a notebook; its `url` is the link.

        Whoever opens it reads the `consent` text, and votes under a name or a code of their own. With
        `voters`, each of so many voters has a secret link instead; `links` names the file that lists
        them, by default "ballot-links.csv". A `host`, the address of this machine for other machines, needs
        that; without one, only this machine reaches the page. A free `port` is taken, unless one is named.
        Each voter compares at most `each` pairs. The vote ends after `close_after` votes in all, or at
        `close_at`, such as "2026-12-01T18:00". The page is served until `stop()`, or as long as this process
        lives. In mode "replay" it is the ranking instead.
        """
        workspace, criterion = self._runner.workspace(), sanitize(criterion, LONGEST_VOTER)
        if not workspace.settings.may_ask:
            return self.ranking(by=by, criterion=criterion)
        from beluga_nb.show.ballot import open_ballot

        contest = self._contest(workspace, by=by, question=question, criterion=criterion)
        return open_ballot(contest, folder=workspace.folder, **options)

    def _contest(self, workspace: Workspace, *, by: str, question: str, criterion: str) -> Contest:
        if not workspace.settings.uses_store:
            raise RequestError('Mode "off" keeps nothing, and votes would be lost.', "Use mode auto to vote.")
        from beluga_nb.compare.voting import Contest

        ranking = partial(self.ranking, by=by, criterion=criterion)
        return Contest(
            self.samples,
            workspace.store,
            by=by,
            question=question,
            criterion=criterion,
            ranking=ranking,
        )

    @explained(lambda: _READING)
    def ranking(self, *, by: str = "model", criterion: str = "") -> Ranking:
        """Return the ranking that the votes on these pictures give: those on a criterion, or on none.

        Votes of excluded voters do not count.
        """
        from beluga_nb.compare.rank import ranking
        from beluga_nb.show.plot import illustrated

        workspace = self._runner.workspace()
        found, notes = self._duels(by, workspace)
        made = ranking(found, by=by, criterion=criterion, names=notes.labels)
        return illustrated(replace(made, caveat=notes.caveat), notes.labels, workspace)

    @explained(lambda: _READING)
    def rankings(
        self, *, per: str | Callable[[Mapping[str, str]], str], by: str = "model", criterion: str = ""
    ) -> Rankings:
        """Return a ranking for each "criterion", for each "voter", or for each label of an axis.

        `per` may also be a function of the labels that both pictures have, which returns the name of a group
        of prompts. Except with "criterion", only votes on `criterion` count.
        """
        from beluga_nb.compare.rank import rankings

        found, notes = self._duels(by, self._runner.workspace())
        return replace(
            rankings(found, by=by, per=per, criterion=criterion, names=notes.labels), caveat=notes.caveat
        )

    @explained(lambda: _READING)
    def votes(self, *, by: str = "model") -> Votes:
        """Return all votes on these pictures, the oldest first, and how far their voters agree."""
        from beluga_nb.compare.agreement import Votes

        found, notes = self._duels(by, self._runner.workspace())
        return Votes(by=by, rows=tuple(found), caveat=notes.caveat)

    def exclude_voter(self, voter: str, *, reason: str) -> None:
        """Exclude the votes of a voter from all rankings of the store; they are kept, and so is the reason.

        Raises `UnknownNameError` where no voter has that name.
        """
        workspace, voter = self._runner.workspace(), voter_name(voter)
        known, excluded = {vote.voter for vote in votes(workspace.store)}, exclusions(workspace.store)
        if voter not in known:
            raise UnknownNameError("voter", voter, sorted(known))
        if not reason.strip():
            raise RequestError(
                "The exclusion has no reason.", 'Give one, such as "answered in half a second".'
            )
        if voter not in excluded or excluded[voter].reason != sanitize(reason, LONGEST_REASON):
            _writing(workspace)
            Box(workspace.store, voter).exclude(reason)

    def include_voter(self, voter: str) -> None:
        """Let the votes of an excluded voter count again."""
        workspace, voter = self._runner.workspace(), voter_name(voter)
        while excluded := exclusions(workspace.store).get(voter):
            _writing(workspace)
            Box(workspace.store, voter).undo(excluded)

    def _duels(self, by: str, workspace: Workspace) -> tuple[Iterator[Duel], SampleNotes]:
        from beluga_nb.compare.vote import duels, pairs

        notes = SampleNotes(by)
        among = pairs(notes.reading(self.samples), by=by)
        cast, excluded = votes_and_exclusions(workspace.store)
        return duels(cast, among, excluded=excluded), notes

    @refuses_keys
    def judge(
        self,
        question: str,
        *,
        model: str,
        choices: Choices | None = None,
        scale: tuple[float, float] | None = None,
        n: int = 1,
        take: str = "",
    ) -> PictureQuestions:
        """Return questions to a vision model about each picture; `run()` asks them, and gives its verdicts.

        `model` answers at BelugAPI, or at an endpoint, as in "lab:qwen-vl". `{{name}}` in the question is
        filled with the label of a picture, what its prompt was filled with, or its `prompt`. A verdict is one
        of some `choices`, "yes" or "no" by default: the first counts 1 and the last 0, or each what a mapping
        says. With a `scale` such as (1, 10) it is a number. `n` answers are asked for; their mean counts.
        What is recorded is not asked again; another `take` asks anew.
        """
        from beluga_nb.compare.judge import Judging, PictureQuestions, Rubric

        rubric = Rubric.of(choices, scale)
        judging = Judging(question=question, model=model, rubric=rubric, n=n, take=take)
        return PictureQuestions(self.samples, judging, runner=self._runner)

    @refuses_keys
    def judge_pairs(
        self,
        question: str,
        *,
        model: str,
        by: str = "model",
        criterion: str = "",
        n: int = 1,
        take: str = "",
    ) -> PairQuestions:
        """Return questions to a vision model about each two pictures that differ in `by` alone.

        The judge answers "first", "second" or "tie", in both orders: where it names another picture in the
        other order, that counts as a tie. `{{name}}` is filled with what both have in common. People's
        votes on `criterion` are compared with the answers. The rest is as in `judge`.
        """
        from beluga_nb.compare.judge import PAIR, Judging, PairQuestions

        judging = Judging(question=question, model=model, rubric=PAIR, n=n, take=take)
        return PairQuestions(
            self.samples,
            judging,
            by=by,
            criterion=criterion,
            people=lambda: self.votes(by=by).counted,
            runner=self._runner,
        )

    def agreement(
        self, judged: Scores | JudgedPairs, *, by: str = "model", criterion: str | None = None
    ) -> Agreement:
        """Return how far the votes of people agree with a judge, or with any score, on the same pictures.

        A score prefers the picture that it gives more. Votes on `criterion` count, or without one those on
        none. `by` is the axis in which the compared pictures differ; comparisons of a judge have their own,
        and a criterion of their own.
        """
        from beluga_nb.compare.judge import JudgedPairs, agreement, duels_of

        if isinstance(judged, JudgedPairs):
            by, name, duels = judged.by, judged.judge, [row.duel for row in judged]
            criterion = judged.agreement.criterion if criterion is None else criterion
        else:
            name, duels = _scored(judged).version, list(duels_of(self.samples, judged, by=by))
        return agreement(duels, self.votes(by=by).counted, judge=name, criterion=criterion or "")

    @explained(lambda: _READING)
    def leaderboard(self, *metrics: str | Scores, by: str = "model", criterion: str = "") -> Leaderboard:
        """Return the ranking with the means of some metrics beside it: names of built-in ones, or scores."""
        scores = self._scores(metrics)
        means = {each.name: each.mean(by=by) for each in scores}
        judges = [each for each in scores if each.is_of_judge]
        note = " ".join(str(self.agreement(each, by=by, criterion=criterion)) for each in judges)
        ranking = self.ranking(by=by, criterion=criterion)
        return Leaderboard(by=by, ranking=ranking, means=means, note=note)

    def report(
        self,
        folder: str | Path,
        *metrics: str | Scores | JudgedPairs,
        by: str = "model",
        title: str = "",
    ) -> Path:
        """Write a report into a folder, as `report.html`, `.md` and `.tex`, and return its page.

        It has all pictures, a table of models, dates and settings, a ranking for each criterion, what the
        votes are worth, some metrics as in `leaderboard`, the verdicts of judges among them with their
        reasons and how far people agree, all prompts, and how to see the same again. The page needs nothing
        else; `figures` holds the figures as SVG and as PDF of 300 pixels an inch.
        """
        from beluga_nb.compare.judge import JudgedPairs
        from beluga_nb.show.report import Study, write_report

        found = self.votes(by=by)
        criteria = sorted({vote.criterion for vote in found.counted})
        scores = self._scores(each for each in metrics if not isinstance(each, JudgedPairs))
        study = Study(
            by=by,
            samples=self.samples,
            votes=found,
            rankings=[self.ranking(by=by, criterion=each) for each in criteria],
            scores=scores,
            verdicts={
                place: [self.agreement(each, by=by, criterion=criterion) for criterion in criteria or [""]]
                for place, each in enumerate(scores)
                if each.is_of_judge
            },
            # People may have voted since the judge compared.
            pairs=[
                replace(each, agreement=self.agreement(each))
                for each in metrics
                if isinstance(each, JudgedPairs)
            ],
            absent=self._absent(),
        )
        return write_report(study, path_of(folder), self._runner.workspace(), title=title)

    def _absent(self) -> Sequence[tuple[Mapping[str, str], str]]:
        """Return the labels of each cell that lacks pictures, with the reason."""
        return []

    def to_dataset(self, folder: str | Path) -> Path:
        """Write the pictures and votes as a data set, which `datasets.load_dataset` opens; return where.

        `images` holds the exact bytes, `metadata.jsonl` labels, prompts and parameters, and
        `preferences.jsonl` a line for each vote that prefers one of two pictures of the same prompt (as
        Parquet too, where pyarrow is installed). `croissant.json` describes them.
        """
        from beluga_nb.show.dataset import write_dataset

        folder, workspace, samples = path_of(folder), self._runner.workspace(), self.samples
        axes = dict.fromkeys(name for sample in samples for name in sample.labels)
        cast = [vote for axis in axes for vote in self._duels(axis, workspace)[0]]
        write_dataset(samples, cast, folder, workspace)
        return folder

    def _scores(self, metrics: Iterable[str | Scores]) -> list[Scores]:
        return [
            self.score(metric, in_flight=1) if isinstance(metric, str) else _scored(metric)
            for metric in metrics
        ]


class Gallery(Evaluable):
    """Results side by side, to be judged: each picture is labelled by what was asked for."""

    def __init__(self, results: Iterable[Result], *, runner: Runner) -> None:
        self._runner = runner
        self._results = tuple(map(_result, results))
        self._pictures = [picture for result in self._results for picture in result.pictures]

    @property
    def samples(self) -> Sequence[Sample]:
        """The pictures: labels are the parameters of their requests, and the number is that of the sample."""
        asked = [picture.recipe.request for picture in self._pictures]
        names = [name for name in ("prompt", *AXIS_PARAMETERS) if any(getattr(each, name) for each in asked)]
        return [_sample(picture, names) for picture in self._pictures]

    def __repr__(self) -> str:
        count = len(self._pictures)
        return f"<Gallery of {plural(count, 'picture')}>"

    @showing
    def _repr_mimebundle_(self, **_: object) -> Bundle:
        from beluga_nb.show.figures import still

        return redacted_bundle(still(self._results))


def _scored(given: object) -> Scores:
    if isinstance(given, Scores):
        return given
    raise RequestError(
        f"{type(given).__name__} has no scores.", "Give what score() or judge(…).run() returned."
    )


def _writing(workspace: Workspace) -> None:
    if not workspace.settings.writes_store:
        raise RequestError(
            f'Mode "{workspace.settings.mode}" records nothing.', "Use mode auto to exclude a voter."
        )


def _result(result: object) -> Result:
    if isinstance(result, Result):
        return result
    raise RequestError(
        f"A gallery is made of results, and this is of the type {type(result).__name__}.",
        "Give what generate() returned, each by itself: gallery(*results). A grid is judged as it is.",
    )


def _sample(picture: Picture, names: Iterable[str]) -> Sample:
    request = picture.recipe.request
    labels = {name: str(getattr(request, name) or "") for name in names}
    return Sample(labels=labels, number=request.sample, picture=picture)
