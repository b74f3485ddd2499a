"""The history: the recorded runs as tiles; a click adds one to the gallery."""

from __future__ import annotations

import ipywidgets as widgets
import traitlets

from beluga_nb.show.history import minute
from beluga_nb.text import sanitize
from beluga_nb.widgets.controller import Controller
from beluga_nb.widgets.data import Found
from beluga_nb.widgets.state import State
from beluga_nb.widgets.view.parts import field, row
from beluga_nb.widgets.view.tiles import Tile, Tiles

_EVERY = ("every model", "")


def history(state: State, controller: Controller) -> widgets.VBox:
    """Return the history with its filters."""
    tiles = Tiles(lambda number: controller.recall(state.found[number]))
    count = widgets.Label(layout={"height": "auto"})

    def show(_: object = None) -> None:
        tiles.show([_tile(each) for each in state.found])
        more = f", and {state.more} more" if state.more else ""
        count.value = (
            f"{len(state.found)} recorded{more}." if state.found else "Nothing that fits is recorded."
        )

    state.observe(show, ["found", "more"])
    show()
    return widgets.VBox([_filters(state, controller), count, tiles.box])


def _filters(state: State, controller: Controller) -> widgets.Box:
    text = widgets.Text(description="Search prompts")
    traitlets.link((state, "history_query"), (text, "value"))
    models = [_EVERY, *((each.id, each.id) for each in controller.data.models())]
    model = widgets.Dropdown(description="Of model", options=models)
    traitlets.link((state, "history_model"), (model, "value"))
    only = widgets.Checkbox(description="Favourites only", indent=False, layout={"width": "auto"})
    traitlets.link((state, "favourites"), (only, "value"))
    return row(
        field(text, width="180px"),
        field(model, width="200px"),
        _day(state, "since", "From"),
        _day(state, "until", "Until"),
        only,
    )


def _day(state: State, trait: str, words: str) -> widgets.DOMWidget:
    picker = widgets.DatePicker(description=words)
    traitlets.dlink((picker, "value"), (state, trait), lambda day: day.isoformat() if day else "")
    return field(picker, width="130px")


def _tile(found: Found) -> Tile:
    star = "★ " if found.favourite else ""
    run = found.run
    when = minute(run.created) if run.created else ""
    prompt, model = sanitize(run.prompt, 200), sanitize(run.model, 80)
    words = f"Bring back {run.count} of “{prompt}”, {model}, {when}"
    return Tile(found.preview, f"{star}{sanitize(run.prompt, 50)}", words)
