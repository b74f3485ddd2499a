"""Where pictures come from, when they came and what they cost, as tables and data sets say it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING

from beluga_nb.compare.axes import AXIS_PARAMETERS
from beluga_nb.compare.cell import PictureRef
from beluga_nb.show.markup import Described

if TYPE_CHECKING:
    from beluga_nb.compare.workspace import Workspace
    from beluga_nb.result import Recipe

COLUMNS = (
    *(*AXIS_PARAMETERS, "sample", "prompt", "revised_prompt"),
    *("engine", "provider", "local", "date", "cost", "version"),
    *("sha256", "media_type", "width", "height"),
)
"""What is known of a picture; `version` is that of beluga_nb, which writes this."""


def labelled(
    rows: Sequence[tuple[Mapping[str, object], Mapping[str, str]]], taken: Collection[str]
) -> tuple[list[dict[str, object]], list[str]]:
    """Return rows of facts with their labels, and the columns of the labels (`label_columns`)."""
    columns = label_columns(rows, taken)
    return [row_of(*row, columns) for row in rows], list(columns.values())


def label_columns(
    rows: Iterable[tuple[Mapping[str, object], Mapping[str, str]]], taken: Collection[str]
) -> dict[str, str]:
    """Return the column of each label of some rows, which may be an iterator.

    A fact keeps its name. A label of a name in `taken` has a column of its own, such as `model_label`,
    unless it says the same as the fact in each row.
    """
    count, same = 0, Counter[str]()
    for facts, labels in rows:
        count += 1
        for name, label in labels.items():
            is_same = name in facts and label == ("" if facts[name] is None else str(facts[name]))
            same[name] += is_same  # Names that are never the same are counted too, as 0.
    columns: dict[str, str] = {}
    for name in same:
        column = name
        if same[name] < count:
            while column in {*taken, *columns.values()} or (column != name and column in same):
                column += "_label"
        columns[name] = column
    return columns


def row_of(
    facts: Mapping[str, object], labels: Mapping[str, str], columns: Mapping[str, str]
) -> dict[str, object]:
    """Return facts with labels in their columns."""
    return {**facts, **{columns[name]: label for name, label in labels.items() if columns[name] not in facts}}


class Provenance:
    """What the store and the settings know of pictures."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._prices = workspace.settings.prices

    @cached_property
    def _providers(self) -> Mapping[tuple[object, str, str], str]:
        is_used = self._workspace.settings.uses_store
        rows = self._workspace.store.index.table().rows if is_used else ()
        return {(row.image, row.prompt, row.model): row.provider for row in rows}

    @property
    def currency(self) -> str:
        """The currency of the user's own prices."""
        return self._prices.currency if self._prices else ""

    def row(self, picture: Described, media_type: str) -> dict[str, object]:
        """Return what is known of a picture, by column."""
        recipe, (width, height) = picture.recipe, picture.size
        request = recipe.request
        return {name: getattr(request, name) for name in (*AXIS_PARAMETERS, "sample", "prompt")} | {
            "revised_prompt": recipe.revised_prompt,
            "engine": recipe.engine,
            "provider": self.provider(picture),
            "local": recipe.procedural,
            "date": recipe.date,
            "cost": self.cost(recipe),
            "version": version(),
            "sha256": picture.sha256,
            "media_type": media_type,
            "width": width,
            "height": height,
        }

    def provider(self, picture: Described) -> str | None:
        """Return the name that a picture is recorded under, or None: not recorded."""
        if isinstance(picture, PictureRef):  # The index of a large store would take much memory.
            return picture.provider
        request = picture.recipe.request
        return self._providers.get((picture.sha256, request.prompt, request.model))

    def cost(self, recipe: Recipe) -> float | None:
        """Return what a picture costs by the user's own prices, or None where that is unknown."""
        if recipe.procedural:
            return 0.0
        price = self._prices.each(recipe.request) if self._prices else None
        return None if price is None else float(price)


def version() -> str:
    """Return the version of beluga_nb."""
    return str(import_module(__name__.partition(".")[0]).__version__)
