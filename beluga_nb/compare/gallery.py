"""Scores, votes and a ranking of pictures: of a grid, or of a `Gallery` of results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from beluga_nb.compare.axes import AXIS_PARAMETERS
from beluga_nb.compare.executors import IN_FLIGHT, Workers
from beluga_nb.compare.sample import Sample, SampleNotes
from beluga_nb.compare.scores import NEAR, Duplicates, Leaderboard, Metric, Scores
from beluga_nb.compare.workspace import Runner, Workspace
from beluga_nb.errors import RequestError
from beluga_nb.redaction import redacted_bundle
from beluga_nb.result import Bundle, Picture, Result
from beluga_nb.signatures import named_methods
from beluga_nb.store.votes import votes
from beluga_nb.text import plural

if TYPE_CHECKING:
    from beluga_nb.compare.agreement import Votes
    from beluga_nb.compare.rank import Ranking
    from beluga_nb.compare.vote import Duel
    from beluga_nb.show.booth import Booth

# What measures and ranks is imported where it is used: it brings numpy, and a first picture needs none.

T = TypeVar("T")

_STOPPED = (
    "stopped; scores that were recorded are kept.",
    "Run it again: only what has no score is measured.",
)


@named_methods
class Evaluable(ABC):
    """Pictures that can be scored, voted on and ranked: the base of `Grid` and `Gallery`."""

    _runner: Runner

    @property
    @abstractmethod
    def samples(self) -> Sequence[Sample]:
        """The pictures, each with its labels."""

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

    def vote(self, *, by: str = "model", voter: str = "", seed: int | None = None) -> Booth | Ranking:
        """Return a booth for blind votes on pictures that differ in `by` alone: which of two is better.

        Nothing that reaches the browser shows which is which before the end. Votes are recorded one by one,
        with the name that the `voter` chooses. In mode "replay" it is the ranking instead.
        """
        workspace = self._runner.workspace()
        if not workspace.settings.may_ask:
            return self.ranking(by=by)
        if not workspace.settings.uses_store:
            raise RequestError('Mode "off" keeps nothing, and votes would be lost.', "Use mode auto to vote.")
        from beluga_nb.compare.voting import Voting
        from beluga_nb.show.booth import Booth

        ranking = partial(self.ranking, by=by)
        return Booth(Voting(self.samples, workspace.store, by=by, voter=voter, seed=seed, ranking=ranking))

    def ranking(self, *, by: str = "model") -> Ranking:
        """Return the ranking that all votes on these pictures give."""
        from beluga_nb.compare.rank import ranking
        from beluga_nb.show.stored import examples

        workspace = self._runner.workspace()
        counted, notes = self._counted(by, workspace)
        return replace(
            ranking(counted, by=by, names=notes.labels),
            caveat=notes.caveat,
            pictures=examples(notes.labels, workspace),
        )

    def votes(self, *, by: str = "model") -> Votes:
        """Return all votes on these pictures, the oldest first, and how far their voters agree."""
        from beluga_nb.compare.agreement import Votes

        counted, notes = self._counted(by, self._runner.workspace())
        return Votes(by=by, rows=tuple(counted), caveat=notes.caveat)

    def _counted(self, by: str, workspace: Workspace) -> tuple[Iterator[Duel], SampleNotes]:
        from beluga_nb.compare.vote import duels, pairs

        notes = SampleNotes(by)
        among = pairs(notes.reading(self.samples), by=by)
        return duels(votes(workspace.store), among), notes

    def leaderboard(self, *metrics: str | Scores, by: str = "model") -> Leaderboard:
        """Return the ranking with the means of some metrics beside it: names of built-in ones, or scores."""
        scores = [
            self.score(metric, in_flight=1) if isinstance(metric, str) else metric for metric in metrics
        ]
        means = {each.name: each.mean(by=by) for each in scores}
        return Leaderboard(by=by, ranking=self.ranking(by=by), means=means)


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

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        from beluga_nb.show.figures import still

        return redacted_bundle(still(self._results))


def _result(result: object) -> Result:
    if isinstance(result, Result):
        return result
    raise RequestError(
        f"A gallery is made of results, and this is a {type(result).__name__}.",
        "Give what generate() returned, each by itself: gallery(*results). A grid is judged as it is.",
    )


def _sample(picture: Picture, names: Iterable[str]) -> Sample:
    request = picture.recipe.request
    labels = {name: str(getattr(request, name) or "") for name in names}
    return Sample(labels=labels, number=request.sample, picture=picture)
