"""Where pictures come from, when they came and what they cost, as tables and data sets say it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from beluga_nb.compare.axes import AXIS_PARAMETERS
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


class Provenance:
    """What the store and the settings know of pictures."""

    def __init__(self, workspace: Workspace) -> None:
        rows = workspace.store.index.table().rows if workspace.settings.uses_store else ()
        self._providers = {(row.image, row.prompt, row.model): row.provider for row in rows}
        self._prices = workspace.settings.prices

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
