"""Scores, near-duplicates and leaderboards as values, which need no numpy; see `scoring.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, overload

from beluga_nb.errors import UnknownNameError
from beluga_nb.redaction import redacted_bundle
from beluga_nb.result import Bundle
from beluga_nb.signatures import named_methods

if TYPE_CHECKING:
    from beluga_nb.compare.rank import Ranking

NEAR = 6
"""Bits of a fingerprint, of 64, in which near-duplicates differ at most."""

Metric = Callable[..., object]
"""A function of a PIL image, or of a PIL image and its `Recipe`, that gives a number."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A picture's score, or the exception that the metric raised for it."""

    labels: Mapping[str, str]
    number: int
    sha256: str
    value: float | None = None
    error: Exception | None = field(default=None, compare=False)


@named_methods
@dataclass(frozen=True)
class Scores(Sequence[float | None]):
    """What a metric gave for each picture, in order; None where it failed, for a reason in `errors`."""

    name: str
    version: str
    rows: tuple[Scored, ...]
    caveat: str = ""

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

    def differences(self, *, by: str) -> Differences:
        """Return how much each two labels of an axis differ, on the same prompts, with 95 % intervals.

        Raises `UnknownNameError` where a picture has no label of that name.
        """
        from beluga_nb.compare.differences import differences

        return Differences(self.name, differences(self.rows, by=by), self.caveat)

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
        from beluga_nb.show.scores import scores_bundle

        return redacted_bundle(scores_bundle(self))


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much higher `one` scores than `other` on the same prompts: `mean`, with 95 % by at most `half` off.

    Each prompt counts once. With fewer than 4 prompts their samples count, and the interval holds for these
    prompts alone; with fewer than 4 samples it is infinite.
    """

    one: str
    other: str
    mean: float
    half: float
    prompts: int
    samples: int

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return self.mean + self.half


@dataclass(frozen=True)
class Differences(Sequence[Difference]):
    """How much the labels of an axis differ in the scores of a metric."""

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

    Names are in the order of the ranking.
    """

    by: str
    ranking: Ranking
    means: Mapping[str, Mapping[str, float]]

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        from beluga_nb.show.scores import leaderboard_bundle

        return redacted_bundle(leaderboard_bundle(self))
