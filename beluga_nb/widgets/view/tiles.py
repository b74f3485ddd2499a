"""Small pictures to choose from: each is a picture and a button, which has its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ipywidgets as widgets

from beluga_nb.result import Preview
from beluga_nb.widgets.view.parts import put


@dataclass(frozen=True)
class Tile:
    """What a tile shows: a small picture, if there is one, a line below, and all of it in words."""

    preview: Preview | None
    caption: str
    words: str
    chosen: bool = False


class Tiles:
    """A grid of tiles, whose widgets are used again, so that a long session does not pile them up."""

    def __init__(self, click: Callable[[int], object]) -> None:
        self.box = widgets.Box()
        self.box.add_class("beluga-tiles")
        self._click = click
        self._made: list[widgets.VBox] = []

    def show(self, tiles: Sequence[Tile]) -> None:
        """Show these, in their order."""
        while len(self._made) < len(tiles):
            self._made.append(self._tile(len(self._made)))
        for made, tile in zip(self._made, tiles, strict=False):
            _fill(made, tile)
        self.box.children = tuple(self._made[: len(tiles)])

    def _tile(self, number: int) -> widgets.VBox:
        button = widgets.Button()
        button.on_click(lambda _: self._click(number))
        made = widgets.VBox([widgets.Image(), button])
        made.add_class("beluga-tile")
        return made


def _fill(made: widgets.VBox, tile: Tile) -> None:
    image, button = made.children
    if tile.preview:
        put(image, tile.preview)
    button.description, button.tooltip = tile.caption, tile.words
    if tile.chosen:
        made.add_class("beluga-chosen")
    else:
        made.remove_class("beluga-chosen")
