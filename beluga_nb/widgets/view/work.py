"""What is under way, each with a button that stops it, and what went wrong."""

from __future__ import annotations

import ipywidgets as widgets

from beluga_nb.text import plural, sanitize
from beluga_nb.widgets.controller import Controller
from beluga_nb.widgets.state import State, Work
from beluga_nb.widgets.view.parts import line


class UnderWay:
    """A line for each call under way; its widgets are used again."""

    def __init__(self, state: State, controller: Controller) -> None:
        self.box = widgets.VBox()
        self.box.add_class("beluga-work")
        self._state = state
        self._controller = controller
        self._made: list[widgets.Box] = []
        self._make()  # one in the cell that makes the panel, where widgets are made best
        state.observe(lambda _: self._show(), "work")

    def _show(self) -> None:
        work = self._state.work
        while len(self._made) < len(work):
            self._make()
        for made, each in zip(self._made, work, strict=False):
            bar, label, stop = made.children
            bar.max, bar.value = max(1, each.asked), each.arrived
            label.value = _words(each)
            stop.tooltip = f"Stop “{sanitize(each.prompt, 60)}”"
        self.box.children = tuple(self._made[: len(work)])

    def _make(self) -> None:
        number = len(self._made)
        bar = widgets.IntProgress(layout={"width": "90px"})
        stop = widgets.Button(description="Stop", layout={"width": "auto"})
        stop.on_click(lambda _: self._stop(number))
        _hear_while_a_cell_runs(stop)
        made = widgets.Box([bar, widgets.Label(layout={"flex": "1 1 auto"}), stop])
        made.add_class("beluga-row")
        self._made.append(made)

    def _stop(self, place: int) -> None:
        if place < len(self._state.work):
            self._controller.stop(self._state.work[place].number)


def _words(work: Work) -> str:
    count = f"{work.arrived} of {plural(work.asked, 'picture')}"
    return f"{work.model}: {count}, {work.seconds} s, “{sanitize(work.prompt, 60)}”"


def _hear_while_a_cell_runs(button: widgets.Button) -> None:
    # ipykernel 7.4 sends what a widget hears to the shell that last spoke for it, which a running cell keeps
    # busy; other versions know no such thing, and hear where the front end says (feasibility.md, section 2).
    comm = getattr(button, "comm", None)
    if comm is not None and hasattr(type(comm), "_reply_subshell_for"):
        comm._reply_subshell_for = lambda _, default: default


def trouble(state: State) -> widgets.VBox:
    """Return the two lines of the last error, seen while there is one."""
    lines = widgets.VBox([widgets.Label(), widgets.Label()])
    lines.add_class("beluga-trouble")

    def show(_: object = None) -> None:
        first, *rest = (*state.trouble, "")
        lines.children[0].value, lines.children[1].value = first, " ".join(rest).strip()
        lines.layout.display = None if state.trouble else "none"

    state.observe(show, "trouble")
    show()
    return lines


def told(state: State) -> widgets.Label:
    """Return the line that says what has happened."""
    return line(state, "told", "told")
