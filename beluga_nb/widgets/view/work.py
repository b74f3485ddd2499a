"""The running calls, each with a button that stops it, and the card of the last error."""

from __future__ import annotations

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
        calls = {each.number: each for each in self._state.work}
        for row in self._rows:
            row.number = row.number if row.number in calls else None
        # A call keeps its row: a click on Stop must not reach the call that moves up when another ends.
        rows = {row.number: row for row in self._rows if row.number is not None}
        for number, each in calls.items():
            if number not in rows:
                rows[number] = self._free_row()
            rows[number].show(each)
        self.box.children = tuple(rows[number].box for number in calls)

    def _free_row(self) -> _Row:
        return next((row for row in self._rows if row.number is None), None) or self._add_row()

    def _add_row(self) -> _Row:
        row = _Row()
        row.stop.on_click(lambda _: self._stop(row))
        self._rows.append(row)
        return row

    def _stop(self, row: _Row) -> None:
        # The call may have ended between the click and its message.
        if row.number is not None:
            self._controller.stop(row.number)


class _Row:
    def __init__(self) -> None:
        self.number: int | None = None  # of the call that it shows
        self._bar = widgets.IntProgress(layout={"width": "90px"})
        self._label = widgets.Label(layout={"flex": "1 1 auto"})
        self.stop = widgets.Button(description="Stop", layout={"width": "auto"})
        receive_in_any_shell(self.stop)
        self.box = widgets.Box([self._bar, self._label, self.stop])
        self.box.add_class("beluga-row")

    def show(self, work: Work) -> None:
        self.number = work.number
        self._bar.max, self._bar.value = max(1, work.asked), work.arrived
        self._label.value = _words(work)
        self.stop.tooltip = f"Stop “{sanitize(work.prompt, 60)}”"


def _words(work: Work) -> str:
    count = f"{work.arrived} of {plural(work.asked, 'picture')}"
    return f"{work.model}: {count}, {work.seconds} s, “{sanitize(work.prompt, 60)}”"


def error_card(state: State) -> widgets.VBox:
    """Return the two lines of the last error with the badge of a cell's, hidden while there is none."""
    message, badge, hint = widgets.Label(), widgets.Label(), widgets.Label()
    badge.add_class("beluga-badge")
    title = widgets.Box([message, badge])
    title.add_class("beluga-row")
    box = widgets.VBox([title, hint])
    box.add_class("beluga-error")

    def show(_: object = None) -> None:
        first, *rest = (*state.error, "")
        message.value, hint.value, badge.value = first, " ".join(rest).strip(), state.billing
        show_if(state.billing, badge)
        show_if(state.error, box)

    state.observe(show, "error")
    show()
    return box
