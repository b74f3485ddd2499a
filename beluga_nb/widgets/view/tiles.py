"""Tiles: small pictures to choose from, each with a button that has an accessible name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import ipywidgets as widgets

from beluga_nb.result import Preview
from beluga_nb.widgets.view.parts import put


@dataclass(frozen=True)
class Tile:
    """The content of a tile: a picture or none, a caption, its full description, whether it is chosen."""

    preview: Preview | None
    caption: str
    words: str
    chosen: bool = False


class Tiles:
    """A grid of tiles. Widgets are reused, so that a long session does not accumulate them."""

    def __init__(self, click: Callable[[int], object]) -> None:
        self.box = widgets.Box()
        self.box.add_class("beluga-tiles")
        self._click = click
        self._tiles: list[_TileWidget] = []

    def show(self, tiles: Sequence[Tile]) -> None:
        """Show these tiles, in their order."""
        while len(self._tiles) < len(tiles):
            self._tiles.append(_TileWidget(partial(self._click, len(self._tiles))))
        for widget, tile in zip(self._tiles, tiles, strict=False):
            widget.show(tile)
        self.box.children = tuple(each.box for each in self._tiles[: len(tiles)])


class _TileWidget:
    def __init__(self, click: Callable[[], object]) -> None:
        self._image = widgets.Image()
        self._button = widgets.Button()
        self._button.on_click(lambda _: click())
        self.box = widgets.VBox([self._image, self._button])
        self.box.add_class("beluga-tile")

    def show(self, tile: Tile) -> None:
        if tile.preview:
            put(self._image, tile.preview)
        else:  # the widget may still hold the picture of another tile
            self._image.value = b""
        self._button.description, self._button.tooltip = tile.caption, tile.words
        if tile.chosen:
            self.box.add_class("beluga-chosen")
        else:
            self.box.remove_class("beluga-chosen")
