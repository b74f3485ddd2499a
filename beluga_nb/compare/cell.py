"""A cell of a grid, and what has come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field

from beluga_nb.errors import BelugaError, NotRecordedError
from beluga_nb.hints import Hint
from beluga_nb.merge import billed_first
from beluga_nb.request import Request
from beluga_nb.result import Answer, Picture, Preview, Recipe, causes
from beluga_nb.text import plural


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """One combination: its labels by axis, the request, and the template that its prompt was filled from."""

    labels: Mapping[str, str]
    request: Request
    template: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, ...]:
        """Its labels in the order of the axes."""
        return tuple(self.labels.values())


@dataclass(frozen=True, kw_only=True)
class PictureRef:
    """A picture without its bytes: what is known of it, and how it and its preview are read again.

    A grid of a thousand pictures does not hold them in memory.
    """

    sha256: str
    media_type: str
    size: tuple[int, int]
    recipe: Recipe
    load: Callable[[], Picture]
    preview: Callable[[], Preview]


@dataclass(frozen=True)
class Outcome:
    """What has come of a cell: the pictures, or answers to a question, that arrived; why others did not."""

    pictures: tuple[PictureRef, ...] = ()
    error: BelugaError | None = None
    answers: tuple[Answer, ...] = ()

    @property
    def arrived(self) -> bool:
        """Whether anything arrived."""
        return bool(self.pictures or self.answers)


def check_run(cause: BelugaError | None, outcomes: Sequence[Outcome], *, of: str, each: str) -> None:
    """Raise what stopped a run of many calls, or what nothing arrived for, at its end."""
    errors = billed_first(outcome.error for outcome in outcomes if outcome.error)
    if cause:
        raise _with_others(cause, outcomes, of, each)
    # One error for all that is not recorded, so that its list is complete.
    if missing := [first for error in errors if isinstance(first := causes(error)[0], NotRecordedError)]:
        raise NotRecordedError(*dict.fromkeys(line for error in missing for line in error.missing))
    if errors and not any(outcome.arrived for outcome in outcomes):
        raise errors[0]  # what may be billed comes first


def _with_others(cause: BelugaError, outcomes: Sequence[Outcome], of: str, each: str) -> BelugaError:
    """Return what stopped a run; its hint also counts what arrived or may be billed."""
    counts = {
        "arrived": sum(outcome.arrived for outcome in outcomes),
        "may have been billed": sum(
            bool(outcome.error and outcome.error.may_be_billed) for outcome in outcomes
        ),
    }
    words = [f"{plural(count, each)} {end}" for end, count in counts.items() if count]
    if not words or cause.may_be_billed:
        return cause
    raised = copy(cause)  # The error of its own call stays as it is.
    raised.is_of_a_run = True
    raised.hint = Hint(cause.hint, f" Of this {of}, {' and '.join(words)}.")
    return raised
