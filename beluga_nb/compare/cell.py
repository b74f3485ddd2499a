"""A cell of a grid, and what has come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from beluga_nb.errors import BelugaError
from beluga_nb.request import Request
from beluga_nb.result import Picture, Preview, Recipe


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
    preview: Callable[[], Preview | None]


@dataclass(frozen=True)
class Outcome:
    """What has come of a cell: the pictures that arrived, and why others did not."""

    pictures: tuple[PictureRef, ...] = ()
    error: BelugaError | None = None
