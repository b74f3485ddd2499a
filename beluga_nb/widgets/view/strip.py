"""The filmstrip: every picture as a tile, filters, and what is done with selected pictures."""

from __future__ import annotations

import ipywidgets as widgets
import traitlets

from beluga_nb.text import plural, sanitize
from beluga_nb.widgets.controller import Controller
from beluga_nb.widgets.state import Item, State
from beluga_nb.widgets.view.comms import receive_in_any_shell
from beluga_nb.widgets.view.parts import box, button, choices, field, fold, line, linked, show_if, visible
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
        box("bar", count, _filters(state), _selected(state, controller)),
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
    seen = widgets.Button(
        description="Refresh", tooltip="List the pictures again", layout={"display": "none"}
    )
    seen.add_class("beluga-seen")
    seen.on_click(lambda _: controller.seen())
    receive_in_any_shell(seen)
    return [at, seen]


def _filters(state: State) -> widgets.Box:
    model = widgets.Dropdown(description="Of model")
    receive_in_any_shell(model)

    def models() -> list[tuple[str, str]]:
        # The chosen one stays, also where the last of its pictures is forgotten.
        names = {*state.recorded_models, state.history_model} - {""}
        return [_EVERY, *((each, each) for each in sorted(names))]

    choices(model, state, among="recorded_models", chosen="history_model", options=models)
    only = widgets.Checkbox(description="Favourites only", indent=False, layout={"width": "auto"})
    traitlets.link((state, "favourites"), (only, "value"))
    return fold(
        "History",
        box(
            "row",
            linked(widgets.Text(description="Search prompts"), state, "history_query", width="180px"),
            field(model, width="180px"),
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
    tag = linked(
        widgets.Text(description="New tag", placeholder="poster"),
        state,
        "new_tag",
        width="110px",
        name="new-tag",
    )
    actions = {
        button("Tag", collection.tag, tooltip="", takes_form=True): "Add this tag to the notes of",
        button("Download zip", collection.download, tooltip=""): "Download the originals of",
        button("Forget…", collection.ask_to_forget, tooltip=""): "Ask whether to remove from the store",
    }
    clear = button("Clear", collection.clear, tooltip="Select nothing")
    shown = box("selected", count, tag, *actions, clear)

    def follow(_: object = None) -> None:
        count.value = f"{len(state.picked)} selected"
        for each, words in actions.items():
            each.tooltip = f"{words} {plural(len(state.picked), 'selected picture')}"
        show_if(state.picked, shown)

    state.observe(follow, "picked")
    follow()
    return shown


def _question(state: State, controller: Controller) -> widgets.Box:
    forget = button("Forget", controller.collection.forget, tooltip="", style="danger")
    traitlets.dlink((state, "question"), (forget, "tooltip"), lambda asked: asked or "Remove from the store")
    shown = box(
        "question",
        line(state, "question", "message"),
        forget,
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
        subject=item.sha256,
        chosen=state.chosen is not None and state.chosen.picture.sha256 == item.sha256,
        favourite=item.favourite,
        picked=any(each.sha256 == item.sha256 for each in state.picked),
    )
