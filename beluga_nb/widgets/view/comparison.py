"""The comparison: two to four pictures in the page, which zooms, moves and blends them without the kernel."""

from __future__ import annotations

import ipywidgets as widgets

from beluga_nb.text import sanitize
from beluga_nb.widgets.collection import COMPARED
from beluga_nb.widgets.controller import Controller
from beluga_nb.widgets.state import State
from beluga_nb.widgets.view.parts import Words, box, button, field, put, show_if

MODES = ("side by side", "slider", "difference")


def comparison(state: State, controller: Controller) -> widgets.Box:
    """Return the comparison of the selected pictures."""
    advice = widgets.Label(f"Select two to {COMPARED} pictures in the filmstrip (☐) to compare them.")
    advice.add_class("beluga-empty")
    mode = field(widgets.Dropdown(description="How", options=MODES), width="130px", name="mode")
    zooming = [
        button(words, None, tooltip=tooltip, name=f"zoom-{name}")
        for words, tooltip, name in (
            ("−", "Zoom out (-)", "out"),
            ("+", "Zoom in (+)", "in"),
            ("Fit", "Show the whole pictures (0)", "fit"),
        )
    ]
    tools = box("tools", mode, *zooming)
    slots = [_Slot(number, state, controller) for number in range(COMPARED)]
    view = box("compared", *(slot.box for slot in slots))

    def show(_: object = None) -> None:
        # With a third picture, a slider or a difference still shows the first two.
        for slot in slots:
            slot.show()
        show_if(not state.picked, advice)
        show_if(state.picked, tools)

    state.observe(show, ["compared", "picked"])
    show()
    return box("comparison", advice, tools, view)


class _Slot:
    def __init__(self, number: int, state: State, controller: Controller) -> None:
        self._number, self._state, self._controller = number, state, controller
        self._image, self._words, self._caption = widgets.Image(), Words("alt", "hidden"), Words("note")
        self._cut = button("×", self._remove, tooltip="Compare this picture no longer", name="remove")
        self.box = box("slot", box("frame", self._image), self._words, self._caption, self._cut)
        self.box.add_class("beluga-named")

    def _remove(self) -> None:
        if self._number < len(self._state.picked):
            self._controller.collection.pick(self._state.picked[self._number])

    def show(self) -> None:
        state, number = self._state, self._number
        has = number < len(state.picked)
        if has:
            item = state.picked[number]
            self._words.text, self._caption.text = item.prompt, item.caption
            self._cut.tooltip = f"Compare no longer: {sanitize(item.prompt, 60)}, {item.name}"
        put(self._image, state.compared[number] if has and number < len(state.compared) else None)
        show_if(has, self.box)
