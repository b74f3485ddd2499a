"""The running calls, each with a button that stops it, and the lines of the last error."""

from __future__ import annotations

from functools import partial

import ipywidgets as widgets

from beluga_nb.text import plural, sanitize
from beluga_nb.widgets.controller import Controller
from beluga_nb.widgets.state import State, Work
from beluga_nb.widgets.view.comms import receive_in_any_shell
from beluga_nb.widgets.view.parts import show_if


class WorkList:
    """A row for each running call. Widgets are reused, so that a long session does not accumulate them."""

    def __init__(self, state: State, controller: Controller) -> None:
        self.box = widgets.VBox()
        self.box.add_class("beluga-work")
        self._state = state
        self._controller = controller
        self._rows: list[_Row] = []
        self._add_row()  # created in the calling cell, because the I/O thread has no parent message
        state.observe(lambda _: self._show(), "work")

    def _show(self) -> None:
        work = self._state.work
        while len(self._rows) < len(work):
            self._add_row()
        for row, each in zip(self._rows, work, strict=False):
            row.show(each)
        self.box.children = tuple(row.box for row in self._rows[: len(work)])

    def _add_row(self) -> None:
        row = _Row()
        row.stop.on_click(partial(self._stop, len(self._rows)))
        self._rows.append(row)

    def _stop(self, place: int, _: object) -> None:
        # The call may have ended between the click and its message.
        if place < len(self._state.work):
            self._controller.stop(self._state.work[place].number)


class _Row:
    def __init__(self) -> None:
        self._bar = widgets.IntProgress(layout={"width": "90px"})
        self._label = widgets.Label(layout={"flex": "1 1 auto"})
        self.stop = widgets.Button(description="Stop", layout={"width": "auto"})
        receive_in_any_shell(self.stop)
        self.box = widgets.Box([self._bar, self._label, self.stop])
        self.box.add_class("beluga-row")

    def show(self, work: Work) -> None:
        self._bar.max, self._bar.value = max(1, work.asked), work.arrived
        self._label.value = _words(work)
        self.stop.tooltip = f"Stop “{sanitize(work.prompt, 60)}”"


def _words(work: Work) -> str:
    count = f"{work.arrived} of {plural(work.asked, 'picture')}"
    return f"{work.model}: {count}, {work.seconds} s, “{sanitize(work.prompt, 60)}”"


def error_lines(state: State) -> widgets.VBox:
    """Return the two lines of the last error, hidden while there is none."""
    message, hint = widgets.Label(), widgets.Label()
    box = widgets.VBox([message, hint])
    box.add_class("beluga-error")

    def show(_: object = None) -> None:
        first, *rest = (*state.error, "")
        message.value, hint.value = first, " ".join(rest).strip()
        show_if(state.error, box)

    state.observe(show, "error")
    show()
    return box
