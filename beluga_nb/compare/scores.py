"""Scores, near-duplicates and leaderboards as values, which need no numpy; see `scoring.py`."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, overload, runtime_checkable

from beluga_nb.errors import RequestError, UnknownNameError
from beluga_nb.redaction import redacted_bundle
from beluga_nb.result import Bundle, Recipe
from beluga_nb.signatures import named_methods
from beluga_nb.text import plural, shown

if TYPE_CHECKING:
    from PIL.Image import Image

    from beluga_nb.compare.rank import Ranking

NEAR = 6
"""Bits of a fingerprint, of 64, in which near-duplicates differ at most."""

ALL_PAIRS = "95 % for all pairs together"
"""How sure a claim about many pairs of names is."""

Metric = Callable[..., object]
"""A function of a PIL image, or of a PIL image and its `Recipe`.

It gives a number, a mapping from names to numbers, or either with a reason: `(0.8, "the hat is missing")`.
"""


@runtime_checkable
class BatchMetric(Protocol):
    """A metric that measures up to `batch_size` pictures at once, and names the `version` of its values.

    `check` raises an error if it cannot measure here; `modules` are the packages that it needs.
    """

    @property
    def version(self) -> str: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def modules(self) -> Collection[str]: ...
    def check(self) -> None: ...
    def batch(self, images: Sequence[Image], recipes: Sequence[Recipe | None]) -> Sequence[object]: ...


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A picture's score, or the exception that the metric raised for it.

    If a metric gives several numbers, they are `parts`, and there is no `value`.
    """

    labels: Mapping[str, str]
    number: int
    sha256: str
    value: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    error: Exception | None = field(default=None, compare=False)


@named_methods
@dataclass(frozen=True)
class Scores(Sequence[float | None]):
    """What a metric gave for each picture, in order; None where it failed, for a reason in `errors`.

    If a metric gives several numbers by name, `scores["name"]` are the scores of one of them.
    """

    name: str
    version: str
    rows: tuple[Scored, ...]
    caveat: str = ""

    @property
    def is_of_judge(self) -> bool:
        """Whether a vision model gave them."""
        return False

    @property
    def errors(self) -> list[Scored]:
        """The pictures that the metric failed for."""
        return [row for row in self.rows if row.error]

    @property
    def parts(self) -> list[str]:
        """The names of the numbers that the metric gives; none if it gives one number."""
        return list(dict.fromkeys(name for row in self.rows for name in row.parts))

    def mean(self, *, by: str) -> Means:
        """Return the mean of each label of an axis; what failed is left out.

        It is shown with how many pictures each mean is of, and how far their scores spread. Raises
        `UnknownNameError` where a picture has no label of that name.
        """
        self._check_is_one_number()
        found: dict[str, list[float]] = {}
        for row in self.rows:
            if by not in row.labels:
                raise UnknownNameError("axis", by, row.labels)
            if row.value is not None:
                found.setdefault(row.labels[by], []).append(row.value)
        return Means(self.name, found, by, failed=len(self.errors), caveat=self.caveat)

    def differences(self, *, by: str) -> Differences:
        """Return how much each two labels of an axis differ, on the same prompts.

        With 95 %, all of the intervals together contain the true differences. Raises `UnknownNameError` where
        a picture has no label of that name.
        """
        from beluga_nb.compare.differences import differences

        self._check_is_one_number()
        return Differences(self.name, differences(self.rows, by=by), self.caveat)

    def kid(self, *, by: str) -> Distances:
        """Return how far apart the pictures of each two labels of an axis are, as sets.

        It is the Kernel Inception Distance of the features that the metric gave. Raises `UnknownNameError`
        where a picture has no label of that name, and `RequestError` if there are no features.
        """
        from beluga_nb.compare.kid import distances

        return Distances(self.name, distances(self.rows, by=by), self.caveat)

    def _check_is_one_number(self) -> None:
        if self.parts:
            raise RequestError(
                f"The metric gives {len(self.parts)} numbers for each picture.",
                f"Choose one, such as scores[{shown(self.parts[0], 60)}].",
            )

    def _part(self, name: str) -> Scores:
        if name not in self.parts:
            raise UnknownNameError("number of this metric", name, self.parts)
        rows = (replace(row, value=row.parts.get(name), parts={}) for row in self.rows)
        return Scores(f"{self.name} {name}", self.version, tuple(rows), self.caveat)

    @overload
    def __getitem__(self, index: int) -> float | None: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[float | None]: ...
    @overload
    def __getitem__(self, index: str) -> Scores: ...
    def __getitem__(self, index: int | slice | str) -> float | Sequence[float | None] | Scores | None:
        if isinstance(index, str):
            return self._part(index)
        if isinstance(index, slice):
            return [row.value for row in self.rows[index]]
        return self.rows[index].value

    def __len__(self) -> int:
        return len(self.rows)

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        from beluga_nb.show.scores import scores_bundle

        return redacted_bundle(scores_bundle(self))


@dataclass(frozen=True, eq=False)
class Means(Mapping[str, float]):
    """The mean score of each label of an axis, in the scores of a metric.

    It is shown with how many pictures each mean is of, and how far their scores spread.
    """

    name: str
    scores: Mapping[str, Sequence[float]]
    by: str
    failed: int = 0
    caveat: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """How many pictures each mean is of."""
        return {label: len(values) for label, values in self.scores.items()}

    @property
    def spreads(self) -> dict[str, float]:
        """The standard deviation of the scores of each label that has at least two."""
        from statistics import stdev  # Lazy import: a grid without scores does not need it.

        return {label: stdev(values) for label, values in self.scores.items() if len(values) > 1}

    def __getitem__(self, label: str) -> float:
        return sum(self.scores[label]) / len(self.scores[label])

    def __iter__(self) -> Iterator[str]:
        return iter(self.scores)

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        return repr(dict(self))

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        from beluga_nb.show.scores import means_bundle

        return redacted_bundle(means_bundle(self))


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean, with 95 % by at most `half` off.

    Each prompt counts once. With fewer than 4 prompts their samples count, and the interval holds for these
    prompts alone; with fewer than 4 samples it is infinite. `voters` is by how many a win rate was voted, and
    0 of other means.
    """

    mean: float
    half: float
    prompts: int
    samples: int
    voters: int = 0

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval: equal values have no variance to estimate one from."""
        return 0 < self.half < math.inf

    @property
    def low(self) -> float:
        """The lower end of the interval; a win rate is not below 0."""
        return max(self.mean - self.half, 0.0 if self.voters else -math.inf)

    @property
    def high(self) -> float:
        """The upper end of the interval; a win rate is not above 1."""
        return min(self.mean + self.half, 1.0 if self.voters else math.inf)

    @property
    def sure(self) -> str:
        """How sure the interval is, in words."""
        return "95 %"

    def __str__(self) -> str:
        interval = f"{self.sure}: {self.low:.3g} to {self.high:.3g}"
        if not self.has_interval:
            interval = "no interval" if self.half else "no interval: all alike"
        voters = f", {plural(self.voters, 'voter')}" if self.voters else ""
        return f"{self.mean:.3g} ({interval}; {plural(self.prompts, 'prompt')}{voters})"


@dataclass(frozen=True, kw_only=True)
class Difference(Estimate):
    """How much higher `one` scores than `other` on the same prompts, as an estimate.

    `pairs` says how many differences, this one included, have intervals that all hold together with 95 %.
    """

    one: str
    other: str
    pairs: int = 1

    @property
    def sure(self) -> str:
        """How sure the interval is, in words."""
        return ALL_PAIRS if self.pairs > 1 else super().sure

    def __str__(self) -> str:
        return f"{self.one} − {self.other}: {super().__str__()}"


@dataclass(frozen=True)
class Differences(Sequence[Difference]):
    """How much the labels of an axis differ in the scores of a metric.

    With 95 %, all of the intervals together contain the true differences.
    """

    name: str
    rows: tuple[Difference, ...]
    caveat: str = ""

    @overload
    def __getitem__(self, index: int) -> Difference: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Difference]: ...
    def __getitem__(self, index: int | slice) -> Difference | Sequence[Difference]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        from beluga_nb.show.scores import differences_bundle

        return redacted_bundle(differences_bundle(self))


@dataclass(frozen=True, kw_only=True)
class Distance:
    """How far apart two sets of pictures are: `kid`, which is about 0 for sets that are alike, or below.

    `chance` is how often sets that differ by chance alone are at least as far apart; of several pairs it is
    adjusted, so that they can be read together (Holm). `pictures` are the sizes of both sets.
    """

    one: str
    other: str
    kid: float
    chance: float
    pictures: tuple[int, int]


@dataclass(frozen=True)
class Distances(Sequence[Distance]):
    """How far apart the pictures of the labels of an axis are, as sets, in the features of a metric."""

    name: str
    rows: tuple[Distance, ...]
    caveat: str = ""

    @overload
    def __getitem__(self, index: int) -> Distance: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Distance]: ...
    def __getitem__(self, index: int | slice) -> Distance | Sequence[Distance]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        from beluga_nb.show.scores import distances_bundle

        return redacted_bundle(distances_bundle(self))


@dataclass(frozen=True)
class Duplicates(Sequence[Sequence[Scored]]):
    """Groups of pictures that look nearly the same; each picture's `value` is its fingerprint."""

    groups: tuple[tuple[Scored, ...], ...]
    caveat: str = ""

    @overload
    def __getitem__(self, index: int) -> Sequence[Scored]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sequence[Scored]]: ...
    def __getitem__(self, index: int | slice) -> Sequence[Scored] | Sequence[Sequence[Scored]]:
        return self.groups[index]

    def __len__(self) -> int:
        return len(self.groups)

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        from beluga_nb.show.scores import duplicates_bundle

        return redacted_bundle(duplicates_bundle(self))


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """Votes and scores side by side: the ranking, and of each metric the mean for each name.

    Names are in the order of the ranking. `note` says how far people agree with a judge.
    """

    by: str
    ranking: Ranking
    means: Mapping[str, Means]
    note: str = ""

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        from beluga_nb.show.scores import leaderboard_bundle

        return redacted_bundle(leaderboard_bundle(self))
