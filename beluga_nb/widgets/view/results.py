"""The gallery, and the chosen picture: enlarged, with its recipe and its actions."""

from __future__ import annotations

import base64

import ipywidgets as widgets
import traitlets

from beluga_nb.redaction import redact
from beluga_nb.text import sanitize
from beluga_nb.widgets.controller import Controller
from beluga_nb.widgets.state import Original, State
from beluga_nb.widgets.view.parts import button, field, line, put, row, show_if, visible
from beluga_nb.widgets.view.tiles import Tile, Tiles


def gallery(state: State, controller: Controller) -> widgets.VBox:
    """Return the gallery with the chosen picture below it."""
    tiles = Tiles(lambda number: controller.choose(state.gallery[number]))
    empty = widgets.Label("Pictures appear here.", layout={"height": "auto"})

    def show(_: object = None) -> None:
        tiles.show(
            [
                Tile(
                    piece.preview,
                    sanitize(piece.picture.recipe.request.prompt, 60),
                    f"Picture {number}: {piece.words}. {piece.caption}",
                    piece is state.chosen,
                )
                for number, piece in enumerate(state.gallery, 1)
            ]
        )
        show_if(not state.gallery, empty)

    state.observe(show, ["gallery", "chosen"])
    show()
    return widgets.VBox([empty, tiles.box, chosen(state, controller)])


def chosen(state: State, controller: Controller) -> widgets.Box:
    """Return the chosen picture, enlarged, with its actions; hidden while none is chosen."""
    box = widgets.Box([_enlarged(state), _actions(state, controller)])
    box.add_class("beluga-large")
    visible(box, state, "chosen")
    return box


def _enlarged(state: State) -> widgets.VBox:
    image, words, caption = widgets.Image(), widgets.Label(), widgets.Label()
    for each, name in ((image, "shown"), (words, "alt"), (words, "recipe"), (caption, "note")):
        each.add_class(f"beluga-{name}")

    def show(_: object = None) -> None:
        if state.enlarged and state.chosen:
            put(image, state.enlarged)
            words.value, caption.value = state.chosen.words, state.chosen.caption

    state.observe(show, ["enlarged", "chosen"])
    box = widgets.VBox([image, words, caption])
    box.add_class("beluga-named")
    return box


def _actions(state: State, controller: Controller) -> widgets.VBox:
    favourite = button(
        "☆ Favourite", controller.toggle_favourite, tooltip="Keep as a favourite, or no longer"
    )

    def star(_: object) -> None:
        favourite.description = "★ Favourite" if state.favourite else "☆ Favourite"
        favourite.tooltip = "No longer a favourite" if state.favourite else "Keep as a favourite"

    state.observe(star, "favourite")
    return widgets.VBox(
        [
            row(
                favourite,
                button("New take", controller.again, tooltip="Ask for the same again, as a new take"),
                button(
                    "Compare", controller.compare, tooltip="Take this picture into the comparison, or out"
                ),
                button(
                    "Edit", controller.reuse_prompt, tooltip="Put this prompt and its options into the form"
                ),
                button("Copy prompt", lambda: None, tooltip="Copy the prompt to the clipboard", name="copy"),
                button("Download", controller.download, tooltip="Download the original, to the byte"),
                button(
                    "Insert as cell",
                    controller.show_cell,
                    tooltip="Put the cell that asks for this below the panel",
                    name="insert",
                ),
            ),
            _original(state),
            _use(state, controller),
            _note(state, controller),
            _cell(state),
            _prompt(state),
            line(state, "recipe", "recipe"),
        ]
    )


def _original(state: State) -> widgets.HTML:
    link = widgets.HTML()
    link.add_class("beluga-download")

    def show(_: object = None) -> None:
        original = state.original
        link.value = _link(original) if original else ""
        show_if(original, link)

    state.observe(show, "original")
    show()
    return link


def _link(original: Original) -> str:
    # No outside text, so nothing to escape: a name made of a hash, a known media type, and base64.
    source = f"data:{original.media_type};base64,{base64.b64encode(original.data).decode()}"
    words = f"{original.name} ({len(original.data):,} bytes)"
    return f'<a download="{original.name}" href="{source}">{words}</a>'


def _use(state: State, controller: Controller) -> widgets.Box:
    name = widgets.Text(description="Variable")
    traitlets.link((state, "name"), (name, "value"))
    use = button(
        "Use as a variable",
        lambda: controller.use(state.name),
        tooltip="Put this picture into the notebook under that name",
    )
    return row(field(name, width="130px"), use)


def _note(state: State, controller: Controller) -> widgets.DOMWidget:
    note = widgets.Text(description="Note", continuous_update=False, placeholder="kept in the store")
    traitlets.dlink((state, "note"), (note, "value"))
    note.observe(lambda change: controller.annotate(change.new), "value")
    return field(note)


def _cell(state: State) -> widgets.DOMWidget:
    cell = widgets.Textarea(description="Its cell (copy it if none appeared)")
    traitlets.dlink((state, "cell"), (cell, "value"), redact)
    visible(cell, state, "cell_shown")
    return field(cell, name="cell")


def _prompt(state: State) -> widgets.DOMWidget:
    words = widgets.Textarea(description="Prompt of this picture")

    def show(_: object) -> None:
        words.value = redact(state.chosen.picture.recipe.request.prompt) if state.chosen else ""

    state.observe(show, "chosen")
    return field(words, name="words")
