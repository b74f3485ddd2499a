"""Parts of the views: labelled fields, lines of text, buttons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets
import traitlets

from beluga_nb.result import Preview
from beluga_nb.widgets.state import State


def tabs(parts: Mapping[str, widgets.DOMWidget]) -> widgets.Tab:
    """Return tabs with these titles."""
    tab = widgets.Tab(tuple(parts.values()))
    for number, title in enumerate(parts):
        tab.set_title(number, title)  # the `titles` trait is new in ipywidgets 8
    return tab


def field(widget: widgets.DOMWidget, *, width: str = "100%", name: str = "") -> widgets.DOMWidget:
    """Return a widget with its label above it."""
    widget.add_class("beluga-field")
    if name:
        widget.add_class(f"beluga-{name}")
    widget.layout.width = width
    return widget


def line(state: State, trait: str, name: str = "note", *, width: str = "100%") -> widgets.Label:
    """Return a line of text with the value of a trait."""
    label = widgets.Label(layout={"width": width})
    label.add_class(f"beluga-{name}")
    traitlets.dlink((state, trait), (label, "value"))
    return label


def button(
    words: str, action: Callable[[], object], *, tooltip: str, name: str = "", style: str = ""
) -> widgets.Button:
    """Return a button that runs an action; the tooltip is its description for screen readers too."""
    made = widgets.Button(description=words, tooltip=tooltip, button_style=style, layout={"width": "auto"})
    made.on_click(lambda _: action())
    if name:
        made.add_class(f"beluga-{name}")
    return made


def row(*parts: widgets.DOMWidget) -> widgets.Box:
    """Return parts side by side; they wrap where the row is too narrow."""
    box = widgets.Box(parts)
    box.add_class("beluga-row")
    return box


def show_if(condition: object, widget: widgets.DOMWidget) -> None:
    """Show a widget if a condition is true, and else hide it: it takes no room then."""
    widget.layout.display = None if condition else "none"


def visible(widget: widgets.DOMWidget, state: State, trait: str) -> None:
    """Hide a widget while a trait is empty or false."""

    def follow(_: object = None) -> None:
        show_if(getattr(state, trait), widget)

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
    """Update a list's options whenever `among` changes, and link its value to the trait `chosen`.

    A core widget selects its first option whenever its options change; here the trait keeps its value.
    """
    busy = False

    def show(_: object = None) -> None:
        nonlocal busy
        busy = True
        try:
            current = list(options())
            if list(widget.options) != current:
                widget.options = current
            value = getattr(state, chosen)
            widget.value = value if value in [each for _, each in current] else None
        finally:
            busy = False

    def choose(change: traitlets.Bunch) -> None:
        # Ignore the selections that `show` makes itself.
        if not busy and change.new is not None:
            setattr(state, chosen, change.new)

    widget.observe(choose, "value")
    state.observe(show, [among, chosen])
    show()


def put(image: widgets.Image, preview: Preview) -> None:
    """Show a picture in an image widget, unless it shows it already."""
    # Assigning the same bytes would send them to the front end again.
    if image.value != preview.data:
        image.format = preview.media_type.partition("/")[2]
        image.value = preview.data
