"""What can be said of the pictures of a comparison: scores, votes, a ranking; and the values that say it.

`Judged` gives it to whatever has `samples`: a grid, or a `Gallery` of results. Whose session it is knows
where scores and votes are kept, and how a browser is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar, overload

from beluga_nb.compare.executors import IN_FLIGHT, Workers
from beluga_nb.compare.sample import Sample
from beluga_nb.errors import RequestError, UnknownNameError
from beluga_nb.redaction import redacted_bundle
from beluga_nb.result import Bundle, Picture, Result
from beluga_nb.text import plural

if TYPE_CHECKING:
    from beluga_nb.compare.rank import Ranking

T = TypeVar("T")

Metric = Callable[..., object]
"""A function of a PIL image, or of a PIL image and its `Recipe`, that gives a number."""

NEAR = 6
"""Bits of a fingerprint, of 64, in which near-duplicates differ at most."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A picture's score, or the exception that the metric raised for it."""

    labels: Mapping[str, str]
    number: int
    sha256: str
    value: float | None = None
    error: Exception | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Scores(Sequence[float | None]):
    """What a metric gave for each picture, in order; None where it failed: `errors` says why."""

    name: str
    version: str
    rows: tuple[Scored, ...]
    caveat: str = ""
    view: Callable[[Scores], Bundle] | None = field(default=None, compare=False, repr=False)

    @property
    def errors(self) -> list[Scored]:
        """The pictures that the metric failed for."""
        return [row for row in self.rows if row.error]

    def mean(self, *, by: str) -> dict[str, float]:
        """Return the mean of each label of an axis; what failed is left out.

        Raises `UnknownNameError` where a picture has no label of that name.
        """
        found: dict[str, list[float]] = {}
        for row in self.rows:
            if by not in row.labels:
                raise UnknownNameError("axis", by, row.labels)
            if row.value is not None:
                found.setdefault(row.labels[by], []).append(row.value)
        return {label: sum(values) / len(values) for label, values in found.items()}

    @overload
    def __getitem__(self, index: int) -> float | None: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[float | None]: ...
    def __getitem__(self, index: int | slice) -> float | Sequence[float | None] | None:
        if isinstance(index, slice):
            return [row.value for row in self.rows[index]]
        return self.rows[index].value

    def __len__(self) -> int:
        return len(self.rows)

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        return redacted_bundle(self.view(self) if self.view else {"text/plain": repr(self)})


@dataclass(frozen=True)
class Duplicates(Sequence[Sequence[Scored]]):
    """Groups of pictures that look nearly the same; each picture's `value` is its fingerprint."""

    groups: tuple[tuple[Scored, ...], ...]
    caveat: str = ""
    view: Callable[[Duplicates], Bundle] | None = field(default=None, compare=False, repr=False)

    @overload
    def __getitem__(self, index: int) -> Sequence[Scored]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sequence[Scored]]: ...
    def __getitem__(self, index: int | slice) -> Sequence[Scored] | Sequence[Sequence[Scored]]:
        return self.groups[index]

    def __len__(self) -> int:
        return len(self.groups)

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        return redacted_bundle(self.view(self) if self.view else {"text/plain": repr(self)})


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """Votes and scores side by side: the ranking, and of each metric the mean for each name.

    Names are in the order of the ranking.
    """

    by: str
    ranking: Ranking
    means: Mapping[str, Mapping[str, float]]
    view: Callable[[Leaderboard], Bundle] | None = field(default=None, compare=False, repr=False)

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        return redacted_bundle(self.view(self) if self.view else {"text/plain": repr(self)})


class Jury(Protocol):
    """The session, as far as judging asks it."""

    def _scores_of(
        self,
        samples: Sequence[Sample],
        name: str,
        metric: Metric | None,
        *,
        version: str | None,
        executor: Workers | None,
        in_flight: int,
    ) -> Scores: ...
    def _mapped(
        self,
        samples: Sequence[Sample],
        function: Callable[..., T],
        *,
        executor: Workers | None,
        in_flight: int,
    ) -> list[T]: ...
    def _duplicates_of(self, samples: Sequence[Sample], *, within: int) -> Duplicates: ...
    def _booth_of(self, samples: Sequence[Sample], *, by: str, voter: str, seed: int | None) -> object: ...
    def _ranking_of(self, samples: Sequence[Sample], *, by: str) -> Ranking: ...
    def _leaderboard_of(
        self, samples: Sequence[Sample], metrics: Sequence[str | Scores], *, by: str
    ) -> Leaderboard: ...


class Judged:
    """What has `samples`, and a session behind it, can be scored, voted on and ranked."""

    _jury: Jury

    @property
    def samples(self) -> Sequence[Sample]:
        """The pictures, each with its labels."""
        raise NotImplementedError

    def score(
        self,
        name: str,
        metric: Metric | None = None,
        *,
        version: str | None = None,
        executor: Workers | None = None,
        in_flight: int = IN_FLIGHT,
    ) -> Scores:
        """Return what a metric gives for each picture: a function of its PIL image (and its recipe).

        What is recorded for a picture under this name and `version` is not measured again, and needs no
        `metric`; an exception stays with its picture. Built in are "sharpness", "colourfulness", "contrast"
        and "brightness". `executor` is a `concurrent.futures.Executor` or a `dask.distributed.Client`: at
        most `in_flight` pictures are under way there, and it is never shut down.
        """
        return self._jury._scores_of(
            self.samples, name, metric, version=version, executor=executor, in_flight=in_flight
        )

    def map(
        self, function: Callable[..., T], *, executor: Workers | None = None, in_flight: int = IN_FLIGHT
    ) -> list[T]:
        """Return what a function of a PIL image (and its recipe) gives for each picture, in order.

        Nothing is kept. Raises what the function raises. `executor` is as in `score`.
        """
        return self._jury._mapped(self.samples, function, executor=executor, in_flight=in_flight)

    def duplicates(self, *, within: int = NEAR) -> Duplicates:
        """Return the groups of pictures that look nearly the same: at most `within` bits of 64 apart."""
        return self._jury._duplicates_of(self.samples, within=within)

    def vote(self, *, by: str = "model", voter: str = "", seed: int | None = None) -> object:
        """Return a booth for blind votes on pictures that differ in `by` alone: which of two is better.

        Nothing that reaches the browser says which is which before the end. Votes are recorded one by one,
        with the name that the `voter` chooses. In mode "replay" nobody votes, and it is the ranking.
        """
        return self._jury._booth_of(self.samples, by=by, voter=voter, seed=seed)

    def ranking(self, *, by: str = "model") -> Ranking:
        """Return the ranking that everybody's votes on these pictures make."""
        return self._jury._ranking_of(self.samples, by=by)

    def leaderboard(self, *metrics: str | Scores, by: str = "model") -> Leaderboard:
        """Return the ranking with the means of some metrics beside it: names of built-in ones, or scores."""
        return self._jury._leaderboard_of(self.samples, metrics, by=by)


class Gallery(Judged):
    """Results side by side, to be judged: each picture is labelled by what was asked for."""

    def __init__(self, results: Iterable[Result], *, jury: Jury) -> None:
        self._jury = jury
        self._pictures = [picture for result in results for picture in _pictures_of(result)]

    @property
    def samples(self) -> Sequence[Sample]:
        """The pictures: labels are what their requests say, and the number is that of the sample."""
        asked = [picture.recipe.request for picture in self._pictures]
        names = [name for name in _LABELS if any(getattr(each, name) for each in asked)]
        return [_sample(picture, names) for picture in self._pictures]

    def __repr__(self) -> str:
        count = len(self._pictures)
        return f"<Gallery of {plural(count, 'picture')}>"


def _pictures_of(result: object) -> Sequence[Picture]:
    if isinstance(result, Result):
        return result.pictures
    raise RequestError(
        f"A gallery is made of results, and this is a {type(result).__name__}.",
        "Give what generate() returned, each by itself: gallery(*results). A grid is judged as it is.",
    )


_LABELS = ("prompt", "model", "size", "quality", "take")


def _sample(picture: Picture, names: Iterable[str]) -> Sample:
    request = picture.recipe.request
    labels = {name: str(getattr(request, name) or "") for name in names}
    return Sample(labels=labels, number=request.sample, picture=picture)
