"""The filmstrip: every picture as a tile, filters, and what is done with selected pictures."""

from __future__ import annotations

import ipywidgets as widgets
import traitlets

from beluga_nb.text import plural, sanitize
from beluga_nb.widgets.controller import Controller
from beluga_nb.widgets.state import Item, State
from beluga_nb.widgets.view.parts import box, button, field, fold, line, linked, show_if, visible
from beluga_nb.widgets.view.tiles import Tile, Tiles
from beluga_nb.widgets.view.work import work_list

_EVERY = ("every model", "")


def strip(state: State, controller: Controller) -> widgets.Box:
    """Return running calls, the pictures with their filters, and the actions for selected ones."""
    collection = controller.collection
    tiles = Tiles(
        lambda number: controller.show(state.items[number]),
        lambda number: collection.toggle_favourite(state.items[number]),
        lambda number: collection.pick(state.items[number]),
    )
    count = widgets.Label(layout={"width": "auto"})
    count.add_class("beluga-count")
    window = widgets.Label(layout={"display": "none"})
    window.add_class("beluga-window")

    def show(_: object = None) -> None:
        tiles.show([_tile(each, state) for each in state.items])
        window.value = f"{state.first} {len(state.items)} {state.total}"
        count.value = plural(state.total, "picture") if state.total else "Nothing that fits is recorded."
        show_if(state.total or controller.collection.filters, count)

    state.observe(show, ["items", "total", "chosen", "picked"])
    show()
    return box(
        "strip",
        box("bar", count, _filters(state, controller), _selected(state, controller)),
        _question(state, controller),
        box("film", work_list(state, controller), tiles.box),
        window,
        *_from_the_page(state, controller),
    )


def _from_the_page(state: State, controller: Controller) -> list[widgets.DOMWidget]:
    """Return hidden widgets by which the script tells which tiles are in view, and that the panel is."""
    at = widgets.IntText(layout={"display": "none"}, description="In view")
    at.add_class("beluga-at")
    traitlets.link((state, "at"), (at, "value"))
    seen = button("Refresh", controller.seen, tooltip="List the pictures again", name="seen")
    seen.layout.display = "none"
    return [at, seen]


def _filters(state: State, controller: Controller) -> widgets.Box:
    models = [_EVERY, *((each.id, each.id) for each in controller.data.models())]
    only = widgets.Checkbox(description="Favourites only", indent=False, layout={"width": "auto"})
    traitlets.link((state, "favourites"), (only, "value"))
    return fold(
        "History",
        box(
            "row",
            linked(widgets.Text(description="Search prompts"), state, "history_query", width="180px"),
            linked(
                widgets.Dropdown(description="Of model", options=models),
                state,
                "history_model",
                width="180px",
            ),
            linked(widgets.Text(description="Tag", placeholder="#poster"), state, "tag", width="110px"),
            _day(state, "since", "From"),
            _day(state, "until", "Until"),
            only,
        ),
        tooltip="Search everything that is recorded, by day",
        name="history",
    )


def _day(state: State, trait: str, words: str) -> widgets.DOMWidget:
    picker = widgets.DatePicker(description=words)
    traitlets.dlink((picker, "value"), (state, trait), lambda day: day.isoformat() if day else "")
    return field(picker, width="130px")


def _selected(state: State, controller: Controller) -> widgets.Box:
    collection = controller.collection
    count = widgets.Label(layout={"width": "auto"})
    tag = linked(widgets.Text(description="New tag", placeholder="poster"), state, "new_tag", width="110px")
    shown = box(
        "selected",
        count,
        tag,
        button("Tag", collection.tag, tooltip="Add this tag to the notes of the selected pictures"),
        button(
            "Download zip", collection.download, tooltip="Download the originals of the selected pictures"
        ),
        button("Forget…", collection.ask_to_forget, tooltip="Ask whether to remove them from the store"),
        button("Clear", collection.clear, tooltip="Select nothing"),
    )

    def follow(_: object = None) -> None:
        count.value = f"{len(state.picked)} selected"
        show_if(state.picked, shown)

    state.observe(follow, "picked")
    follow()
    return shown


def _question(state: State, controller: Controller) -> widgets.Box:
    shown = box(
        "question",
        line(state, "question", "message"),
        button("Forget", controller.collection.forget, tooltip="Remove them from the store", style="danger"),
        button("Keep", controller.collection.keep, tooltip="Forget nothing"),
    )
    visible(shown, state, "question")
    return shown


def _tile(item: Item, state: State) -> Tile:
    return Tile(
        preview=item.preview,
        caption=sanitize(item.prompt, 60),
        name=item.name,
        day=item.day,
        words=f"{item.prompt}, {item.name}",
        chosen=state.chosen is not None and state.chosen.picture.sha256 == item.sha256,
        favourite=item.favourite,
        picked=any(each.sha256 == item.sha256 for each in state.picked),
    )
