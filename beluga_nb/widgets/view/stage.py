"""The stage: the chosen picture, its three actions, and a drawer with everything else about it."""

from __future__ import annotations

import base64

import ipywidgets as widgets
import traitlets

from beluga_nb.redaction import redact
from beluga_nb.text import sanitize
from beluga_nb.widgets.controller import Controller
from beluga_nb.widgets.state import File, Form, State
from beluga_nb.widgets.view.clicks import about
from beluga_nb.widgets.view.parts import (
    Words,
    box,
    button,
    field,
    fold,
    line,
    linked,
    put,
    row,
    show_if,
    visible,
)


def stage(state: State, controller: Controller) -> widgets.Box:
    """Return the chosen picture with its actions, or a sentence while none is chosen."""
    empty = widgets.Label("Your pictures appear here. Describe one, or try an example.")
    empty.add_class("beluga-empty")
    shown = box("shown", _enlarged(state), _actions(state, controller))
    visible(shown, state, "chosen")

    def follow(_: object = None) -> None:
        show_if(not state.chosen, empty)

    state.observe(follow, "chosen")
    follow()
    return box("stage", empty, shown)


def _enlarged(state: State) -> widgets.Box:
    image = widgets.Image()
    image.add_class("beluga-large")
    words, title, caption = Words("alt", "hidden"), Words("title"), Words("note")

    def show(_: object = None) -> None:
        if state.enlarged and state.chosen:
            put(image, state.enlarged)
            words.text, caption.text = state.chosen.words, state.chosen.caption
            title.text = sanitize(state.chosen.picture.recipe.request.prompt, 300)

    state.observe(show, ["enlarged", "chosen"])
    return box("named", image, words, title, caption)


def _actions(state: State, controller: Controller) -> widgets.Box:
    favourite = button("☆ Favourite", controller.toggle_favourite, tooltip="")
    again = button("New take", controller.again, tooltip="")
    made = box("actions", favourite, again, _drawer(state, controller))

    def follow(_: object = None) -> None:
        favourite.description = "★ Favourite" if state.favourite else "☆ Favourite"
        favourite.tooltip = "No longer a favourite" if state.favourite else "Keep as a favourite"
        again.disabled = bool(state.takes)
        again.tooltip = state.takes or "Ask for the same again, as a new take"
        if state.chosen:
            about(made, state.chosen.picture.sha256)

    state.observe(follow, ["favourite", "takes", "chosen"])
    follow()
    return made


def _drawer(state: State, controller: Controller) -> widgets.Box:
    return fold(
        "⋯ More",
        row(
            button("Edit", controller.reuse_prompt, tooltip="Put this prompt and its options into the form"),
            button("Copy prompt", None, tooltip="Copy the prompt to the clipboard", name="copy"),
            button("Download", controller.download, tooltip="Download the original, to the byte"),
            button(
                "Insert as cell",
                controller.show_cell,
                tooltip="Put the cell that asks for this below the panel",
                name="insert",
            ),
        ),
        _use(state, controller),
        _note(state, controller),
        _cell(state),
        _prompt(state),
        line(state, "recipe", "recipe"),
        tooltip="Recipe, note, variable, cell and download",
        name="drawer",
    )


def download(state: State) -> widgets.HTML:
    """Return a link to the file that is ready for download; the script follows it at once."""
    link = widgets.HTML()
    link.add_class("beluga-download")

    def show(_: object = None) -> None:
        link.value = _link(state.file) if state.file else ""
        show_if(state.file, link)

    state.observe(show, "file")
    show()
    return link


def _link(file: File) -> str:
    # No outside text, so nothing to escape: a name of ours, a known media type, and base64.
    source = f"data:{file.media_type};base64,{base64.b64encode(file.data).decode()}"
    words = f"{file.name} ({len(file.data):,} bytes)"
    return f'<a download="{file.name}" href="{source}">{words}</a>'


def _use(state: State, controller: Controller) -> widgets.Box:
    use = button(
        "Use as a variable",
        controller.use,
        tooltip="Put this picture into the notebook under that name",
        takes_form=True,
    )
    name = linked(widgets.Text(description="Variable"), state, "name", width="130px", name="variable")
    return row(name, use)


def _note(state: State, controller: Controller) -> widgets.Box:
    def annotate(form: Form | None = None) -> None:
        controller.annotate((form or controller.composer.form).note)

    note = widgets.Text(
        description="Note", continuous_update=False, placeholder="kept in the store; #words are tags"
    )
    traitlets.dlink((state, "note"), (note, "value"))
    note.observe(lambda change: controller.annotate(change.new), "value")
    # The page tells a note as a click on this: while it waits, another picture may come to the stage.
    keep = button("Keep note", annotate, tooltip="Keep the note", name="keep-note", takes_form=True)
    keep.layout.display = "none"
    return box("noted", field(note, name="annotation"), keep)


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
