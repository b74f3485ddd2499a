"""The grid builder: axes, the plan, and the grid as one picture."""

from __future__ import annotations

import ipywidgets as widgets
import traitlets

from beluga_nb.redaction import redact
from beluga_nb.widgets.controller import Controller
from beluga_nb.widgets.state import State
from beluga_nb.widgets.view.parts import Words, box, button, fold, line, linked, put, received, row, visible

_HINT = "{{style}} in the prompt takes the values of style. @g copies the grid in the variable g."


def grid(state: State, controller: Controller) -> widgets.Box:
    """Return the grid builder and the grid."""
    axes = widgets.Textarea(
        description="Axes", placeholder="style: flat illustration, ink drawing\nsize: 1:1, 16:9"
    )
    chips = widgets.HTML('<div class="beluga-chips"></div>')  # which the script fills
    hint = widgets.Label(_HINT)
    hint.add_class("beluga-note")
    run = button(
        "Run grid",
        controller.run_grid,
        tooltip="Ask for the pictures of all combinations",
        name="run-grid",
        style="primary",
        takes_form=True,
    )
    insert = button(
        "Insert grid as cell",
        None,
        tooltip="Put the cell that asks for this grid below the panel",
        name="insert-grid",
    )
    for each in (run, insert):
        traitlets.dlink((state, "grid_ready"), (each, "disabled"), lambda ready: not ready)
    cell = widgets.Textarea(layout={"display": "none"}, description="Cell of the grid")
    cell.add_class("beluga-grid-cell")
    traitlets.dlink((state, "grid_cell"), (cell, "value"), redact)
    return box(
        "grid",
        chips,
        row(run, insert, line(state, "grid_plan", "plan")),
        fold("As text", linked(axes, state, "axes", name="axes"), hint, tooltip="One axis a line"),
        received(state, "axes"),
        _sheet(state),
        cell,
    )


def _sheet(state: State) -> widgets.Box:
    image, words = widgets.Image(), Words("alt", "note")
    image.add_class("beluga-large")
    traitlets.dlink((state, "grid_words"), (words, "text"))
    state.observe(lambda change: put(image, change.new), "grid_sheet")
    shown = box("named", image, words)
    visible(shown, state, "grid_words")
    return shown
