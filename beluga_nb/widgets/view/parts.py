"""Parts of the views: labelled fields, lines of text, buttons, folds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import traitlets

from beluga_nb.result import Preview
from beluga_nb.show.markup import outside
from beluga_nb.widgets.state import State
from beluga_nb.widgets.view.clicks import Action
from beluga_nb.widgets.view.comms import receive_in_any_shell


def tabs(parts: Mapping[str, widgets.DOMWidget]) -> widgets.Tab:
    """Return tabs with these titles."""
    tab = widgets.Tab(tuple(parts.values()))
    for number, title in enumerate(parts):
        tab.set_title(number, title)  # the `titles` trait is new in ipywidgets 8
    return tab


def box(name: str, *parts: widgets.DOMWidget) -> widgets.Box:
    """Return parts in a box of this class, by which the style sheet lays them out."""
    made = widgets.Box(parts)
    made.add_class(f"beluga-{name}")
    return made


def row(*parts: widgets.DOMWidget) -> widgets.Box:
    """Return parts side by side; they wrap where the row is too narrow."""
    return box("row", *parts)


def fold(words: str, *parts: widgets.DOMWidget, tooltip: str, name: str = "") -> widgets.Box:
    """Return parts that a button shows and hides; the page does that without the kernel."""
    button = widgets.ToggleButton(description=words, tooltip=tooltip, layout={"width": "auto"})
    button.add_class("beluga-quiet")
    made = box("fold", button, box("folded", *parts))
    if name:
        made.add_class(f"beluga-{name}")
    return made


def field(widget: widgets.DOMWidget, *, width: str = "100%", name: str = "") -> widgets.DOMWidget:
    """Return a widget with its label above it."""
    widget.add_class("beluga-field")
    if name:
        widget.add_class(f"beluga-{name}")
    widget.layout.width = width
    return widget


def linked(
    widget: widgets.DOMWidget, state: State, trait: str, *, width: str = "100%", name: str = ""
) -> widgets.DOMWidget:
    """Return a labelled field whose value is that of a trait."""
    traitlets.link((state, trait), (widget, "value"))
    receive_in_any_shell(widget)
    return field(widget, width=width, name=name)


def plain(text: str) -> str:
    """Return text as HTML that shows it as it is: no tag, and no mathematics for a typesetter.

    >>> plain("<b> $5")
    '<span class="tex2jax_ignore mathjax_ignore">&lt;b&gt; <span>$</span>5</span>'
    """
    if not text:
        return ""
    # All mathematics begins with one of the two, and none goes beyond an element.
    lines = "\n".join(map(outside, text.split("\n")))
    split = lines.replace("$", "<span>$</span>").replace("\\", "<span>\\</span>")
    return f'<span class="tex2jax_ignore mathjax_ignore">{split}</span>'


class Words(widgets.HTML):  # type: ignore[misc]  # ipywidgets has no types
    """Text from outside, shown as it is; a `Label` would typeset what is between dollars."""

    text = traitlets.Unicode()

    def __init__(self, *names: str, **options: Any) -> None:
        super().__init__(**options)
        for name in ("plain", *names):
            self.add_class(f"beluga-{name}")

    @traitlets.observe("text")
    def _show(self, change: traitlets.Bunch) -> None:
        self.value = plain(change.new)


def line(state: State, trait: str, name: str = "note") -> Words:
    """Return a line of text with the value of a trait."""
    made = Words(name, layout={"width": "auto"})
    traitlets.dlink((state, trait), (made, "text"))
    return made


def button(
    words: str,
    action: Callable[..., object] | None,
    *,
    tooltip: str,
    name: str = "",
    style: str = "",
    takes_form: bool = False,
) -> widgets.Button:
    """Return a button that runs an action; the tooltip is its description for screen readers too.

    Without an action, only the page knows what to do.
    """
    options = {"description": words, "tooltip": tooltip, "button_style": style, "layout": {"width": "auto"}}
    made = Action(action, takes_form=takes_form, **options) if action else widgets.Button(**options)
    if name:
        made.add_class(f"beluga-{name}")
    return made


def show_if(condition: object, widget: widgets.DOMWidget) -> None:
    """Show a widget if a condition is true, and else hide it: it takes no room then."""
    widget.layout.display = None if condition else "none"


def visible(widget: widgets.DOMWidget, state: State, trait: str) -> None:
    """Hide a widget while a trait is empty or false."""

    def follow(_: object = None) -> None:
        show_if(getattr(state, trait), widget)

    state.observe(follow, trait)
    follow()


def set_class(widget: widgets.DOMWidget, name: str, *, on: bool) -> None:
    """Give a widget a class, or take it away."""
    if on:
        widget.add_class(name)
    else:
        widget.remove_class(name)


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


def received(state: State, name: str) -> widgets.Textarea:
    """Return a hidden field that tells the page which value of a trait the kernel has received.

    A widget sends its newest value only after the kernel has acknowledged the one before, so a click can
    overtake it. The script delays the click until both are equal.
    """
    echo = widgets.Textarea(layout={"display": "none"})
    echo.add_class(f"beluga-received-{name}")

    def follow(_: object = None) -> None:
        # Not a link: an alias becomes its model while others are still to be notified of the alias.
        echo.value = str(getattr(state, name))

    state.observe(follow, name)
    follow()
    return echo


def put(image: widgets.Image, preview: Preview | None) -> None:
    """Show a picture in an image widget, or none, unless it shows that already."""
    data = preview.data if preview else b""
    # Assigning the same bytes would send them to the front end again.
    if image.value != data:
        if preview:
            image.format = preview.media_type.partition("/")[2]
        image.value = data
