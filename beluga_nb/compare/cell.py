"""A cell of a grid, and what has come of it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Protocol

from beluga_nb.errors import BelugaError, NotRecordedError
from beluga_nb.hints import Hint
from beluga_nb.merge import billed_first
from beluga_nb.placeholders import names
from beluga_nb.request import Request
from beluga_nb.result import Answer, Picture, Preview, Recipe, Usage, causes
from beluga_nb.text import plural


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Cell:
    """One combination: its `key`, the request, and the template that its prompt was filled from.

    `key` has the labels in the order of the `axes`, and `filling` the values of the template's names in their
    order. A grid may have 100,000 cells, so these share what they can and hold no dictionaries.
    """

    axes: tuple[str, ...]
    key: tuple[str, ...]
    request: Request
    template: str | None = None
    filling: tuple[str, ...] = ()

    @property
    def labels(self) -> dict[str, str]:
        """Its label on each axis."""
        return dict(zip(self.axes, self.key, strict=True))

    @property
    def values(self) -> dict[str, str]:
        """What the template was filled with, by name."""
        return dict(zip(names(self.template), self.filling, strict=True)) if self.template else {}


class PictureSource(Protocol):
    """Where a picture of a grid and its preview are read.

    `provider` is the name that the picture is recorded under, or None: not recorded.
    """

    @property
    def provider(self) -> str | None: ...
    def load(self, ref: PictureRef, /) -> Picture: ...
    def preview(self, ref: PictureRef, /) -> Preview: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureRef:
    """A picture of a cell without its bytes: what is known of it, and the source that reads it again.

    A grid does not hold its pictures in memory, and of 100,000 pictures little else either.
    """

    cell: Cell
    request: Request
    source: PictureSource
    digest: bytes
    media_type: str
    size: tuple[int, int]
    engine: str
    revised_prompt: str | None
    created: int
    usage: Usage | None

    @property
    def sha256(self) -> str:
        """The SHA-256 of its bytes, 64 hexadecimal digits."""
        return self.digest.hex()

    @property
    def recipe(self) -> Recipe:
        """How it was made."""
        return Recipe(
            request=self.request,
            engine=self.engine,
            revised_prompt=self.revised_prompt,
            created=self.created,
            template=self.cell.template,
            values=self.cell.values,
            usage=self.usage,
        )

    @property
    def provider(self) -> str | None:
        """The name that it is recorded under, or None: not recorded."""
        return self.source.provider

    def load(self) -> Picture:
        """Read it; raise `StoreError` where it is not there any more."""
        return self.source.load(self)

    def preview(self) -> Preview:
        """Read its small copy, or make it; as `load`."""
        return self.source.preview(self)


@dataclass(frozen=True, slots=True)
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
        # Cells with the same request share one error.
        "may have been billed": len(
            {id(outcome.error) for outcome in outcomes if outcome.error and outcome.error.may_be_billed}
        ),
    }
    words = [f"{plural(count, each)} {end}" for end, count in counts.items() if count]
    if not words or cause.may_be_billed:
        return cause
    raised = copy(cause)  # The error of its own call stays as it is.
    raised.is_of_a_run = True
    raised.hint = Hint(cause.hint, f" Of this {of}, {' and '.join(words)}.")
    return raised
