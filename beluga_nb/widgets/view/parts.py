"""The parts that the views are made of: labelled fields, lines of text, buttons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets
import traitlets

from beluga_nb.result import Preview
from beluga_nb.widgets.state import State


def tabs(parts: Mapping[str, widgets.DOMWidget]) -> widgets.Tab:
    """Return parts behind one another, by their titles."""
    made = widgets.Tab(tuple(parts.values()))
    for number, title in enumerate(parts):
        made.set_title(number, title)  # `titles` is new in ipywidgets 8
    return made


def field(widget: widgets.DOMWidget, *, width: str = "100%", name: str = "") -> widgets.DOMWidget:
    """Return a widget with its label above it."""
    widget.add_class("beluga-field")
    if name:
        widget.add_class(f"beluga-{name}")
    widget.layout.width = width
    return widget


def line(state: State, trait: str, name: str = "note") -> widgets.Label:
    """Return a line of text that says what a trait says."""
    label = widgets.Label(layout={"width": "100%"})
    label.add_class(f"beluga-{name}")
    traitlets.dlink((state, trait), (label, "value"))
    return label


def button(
    words: str, do: Callable[[], object], *, told: str, name: str = "", style: str = ""
) -> widgets.Button:
    """Return a button that does something when it is clicked; `told` says what, to who hovers or listens."""
    made = widgets.Button(description=words, tooltip=told, button_style=style, layout={"width": "auto"})
    made.on_click(lambda _: do())
    if name:
        made.add_class(f"beluga-{name}")
    return made


def row(*parts: widgets.DOMWidget) -> widgets.Box:
    """Return parts side by side, as far as there is room."""
    made = widgets.Box(parts)
    made.add_class("beluga-row")
    return made


def visible(widget: widgets.DOMWidget, state: State, trait: str) -> None:
    """Have a widget seen only while a trait says something."""

    def follow(_: object = None) -> None:
        widget.layout.display = None if getattr(state, trait) else "none"

    state.observe(follow, trait)
    follow()


def choices(
    widget: widgets.DOMWidget,
    state: State,
    *,
    among: str,
    chosen: str,
    options: Callable[[], Sequence[tuple[str, str]]],
) -> None:
    """Have a list show the options, anew when `among` changes, and what is chosen in step with the state.

    Core widgets choose the first option by themselves whenever the options change; the state is to stay.
    """
    busy = False

    def show(_: object = None) -> None:
        nonlocal busy
        busy = True
        try:
            told = list(options())
            if list(widget.options) != told:
                widget.options = told
            value = getattr(state, chosen)
            widget.value = value if value in [each for _, each in told] else None
        finally:
            busy = False

    def choose(change: traitlets.Bunch) -> None:
        if not busy and change.new is not None:
            setattr(state, chosen, change.new)

    widget.observe(choose, "value")
    state.observe(show, [among, chosen])
    show()


def put(image: widgets.Image, preview: Preview) -> None:
    """Show a picture in a widget, unless it shows it already."""
    if image.value != preview.data:
        image.format = preview.media_type.partition("/")[2]
        image.value = preview.data
