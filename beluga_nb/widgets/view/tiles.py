"""Tiles: small pictures to choose from, each with buttons that have accessible names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import ipywidgets as widgets

from beluga_nb.result import Preview
from beluga_nb.widgets.view.clicks import Action, about
from beluga_nb.widgets.view.parts import Words, box, put, set_class


@dataclass(frozen=True, kw_only=True)
class Tile:
    """What a tile shows: a picture or none, its hash, two lines of text, its full description, its states."""

    preview: Preview | None
    caption: str
    name: str = ""
    day: str = ""
    words: str
    subject: str
    chosen: bool = False
    favourite: bool = False
    picked: bool = False


class Tiles:
    """A strip of tiles. Widgets are reused, so that a long session does not accumulate them.

    `open`, `star` and `pick` are called with the number of a tile.
    """

    def __init__(
        self,
        open: Callable[[int], object],  # noqa: A002  as the action is called
        star: Callable[[int], object],
        pick: Callable[[int], object],
    ) -> None:
        self.box = box("tiles")
        self._actions = (open, star, pick)
        self._tiles: list[_TileWidget] = []
        # One layout and one style for all: each would be a model of its own in the page.
        self._layout, self._style = widgets.Layout(width="auto"), widgets.ButtonStyle()

    def show(self, tiles: Sequence[Tile]) -> None:
        """Show these tiles, in their order."""
        while len(self._tiles) < len(tiles):
            self._tiles.append(self._new(len(self._tiles)))
        for widget, tile in zip(self._tiles, tiles, strict=False):
            widget.show(tile)
        self.box.children = tuple(each.box for each in self._tiles[: len(tiles)])

    def _new(self, number: int) -> _TileWidget:
        buttons = []
        for action in self._actions:
            buttons.append(Action(partial(action, number), layout=self._layout, style=self._style))
        return _TileWidget(widgets.Image(layout=self._layout), *buttons, layout=self._layout)


class _TileWidget:
    def __init__(
        self,
        image: widgets.Image,
        button: widgets.Button,
        star: widgets.Button,
        pick: widgets.Button,
        *,
        layout: widgets.Layout,
    ) -> None:
        self._image, self._button, self._star, self._pick = image, button, star, pick
        self._day, self._name = Words("day", layout=layout), Words("name", layout=layout)
        star.add_class("beluga-star")
        pick.add_class("beluga-pick")
        self.box = widgets.Box([self._day, image, button, self._name, star, pick], layout=layout)
        self.box.add_class("beluga-tile")

    def show(self, tile: Tile) -> None:
        put(self._image, tile.preview)
        # One message each, and no more: a strip that is scrolled has 36 others at once.
        with self._button.hold_sync():
            self._button.description, self._button.tooltip = tile.caption, tile.words
            about(self.box, tile.subject, on=self._button)
        self._name.text, self._day.text = tile.name, tile.day
        self._star.description = "★" if tile.favourite else "☆"
        self._star.tooltip = "No longer a favourite" if tile.favourite else "Favourite"
        self._pick.description = "☑" if tile.picked else "☐"
        self._pick.tooltip = "Do not select" if tile.picked else "Select"
        for name, on in (("chosen", tile.chosen), ("starred", tile.favourite), ("picked", tile.picked)):
            set_class(self.box, f"beluga-{name}", on=on)
