"""The calls that run and that have failed, as tiles, and the card of the last error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import ipywidgets as widgets
import traitlets

from beluga_nb.text import plural, sanitize
from beluga_nb.widgets.controller import Controller
from beluga_nb.widgets.state import Failure, State, Work
from beluga_nb.widgets.view.parts import Words, box, button, line, show_if

T = TypeVar("T", Work, Failure)


def work_list(state: State, controller: Controller) -> widgets.Box:
    """Return a tile for each running call, which stops it, and for each failed one, which asks again."""
    running = _Calls[Work](_WorkTile, lambda work: controller.stop(work.number))
    failed = _Calls[Failure](lambda: _FailureTile(controller), controller.dismiss)
    everything = button("Stop all", controller.stop_all, tooltip="Stop all calls", name="stop-all")

    def show_work(_: object = None) -> None:
        running.show(state.work)
        show_if(len(state.work) > 1, everything)

    state.observe(show_work, "work")
    state.observe(lambda _: failed.show(state.failures), "failures")
    show_work()
    return box("work", everything, running.box, failed.box)


class _CallTile(Generic[T]):
    """A tile of a call: lines of text, and a button that ends or removes it."""

    remove_words: str

    def __init__(self, *more: widgets.DOMWidget) -> None:
        self.call: T | None = None
        self.labels = tuple(Words(layout={"width": "auto"}) for _ in range(3))
        self.remove = button("×", self._remove, tooltip=self.remove_words, name="remove")
        self.on_remove: Callable[[T], object] = print
        self.box = box("call", *self.labels, *more, self.remove)

    def _remove(self) -> None:
        # The call may have ended between the click and its message.
        if self.call is not None:
            self.on_remove(self.call)

    def show(self, call: T) -> None:
        self.call = call
        for label, words in zip(self.labels, self.words(call), strict=True):
            label.text = words

    def words(self, call: T) -> tuple[str, str, str]:
        raise NotImplementedError


class _WorkTile(_CallTile[Work]):
    remove_words = "Stop"

    def __init__(self) -> None:
        self._bar = widgets.IntProgress(layout={"width": "auto"})
        super().__init__(self._bar)
        self.box.add_class("beluga-running")

    def show(self, call: Work) -> None:
        super().show(call)
        self._bar.max, self._bar.value = max(1, call.asked), call.arrived
        self.remove.tooltip = f"Stop “{sanitize(call.prompt, 60)}”"

    def words(self, call: Work) -> tuple[str, str, str]:
        count = f"{call.arrived} of {plural(call.asked, 'picture')}, {call.seconds} s"
        return sanitize(call.prompt, 60), count, sanitize(call.model, 40)


class _FailureTile(_CallTile[Failure]):
    remove_words = "Remove this tile"

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._retry = button("Retry", self._again, tooltip="Ask for the same again")
        super().__init__(self._retry)
        self.box.add_class("beluga-failed")

    def show(self, call: Failure) -> None:
        super().show(call)
        asked = (str(call.arguments.get(name, "")) for name in ("prompt", "model", "size", "quality", "take"))
        self._retry.tooltip = f"Ask for the same again: {sanitize(', '.join(filter(None, asked)), 200)}"

    def _again(self) -> None:
        if self.call is not None:
            self._controller.retry(self.call)

    def words(self, call: Failure) -> tuple[str, str, str]:
        what = sanitize(str(call.arguments.get("prompt", "")), 60)
        # The card shows the name of the error and its status: a tile has room for the reason alone.
        name, _, reason = call.lines[0].partition(" (status ")[0].partition(": ")
        return what, sanitize(reason or name, 120), call.billing or "failed"


class _Calls(Generic[T]):
    """The tiles of some calls. Widgets are reused, so that a long session does not accumulate them."""

    def __init__(self, make: Callable[[], _CallTile[T]], remove: Callable[[T], object]) -> None:
        self.box = box("calls")
        self._make: Callable[[], _CallTile[T]] = make
        self._remove: Callable[[T], object] = remove
        self._tiles: list[_CallTile[T]] = []
        self._add()  # created in the calling cell, because the I/O thread has no parent message

    def show(self, calls: tuple[T, ...]) -> None:
        numbers = {each.number for each in calls}
        for tile in self._tiles:
            if tile.call is not None and tile.call.number not in numbers:
                tile.call = None
        # A call keeps its tile: a click on × must not reach the call that moves up when another ends.
        tiles = {tile.call.number: tile for tile in self._tiles if tile.call is not None}
        for each in calls:
            if each.number not in tiles:
                tiles[each.number] = self._free()
            tiles[each.number].show(each)
        self.box.children = tuple(tiles[each.number].box for each in calls)

    def _free(self) -> _CallTile[T]:
        for tile in self._tiles:
            if tile.call is None:
                return tile
        return self._add()

    def _add(self) -> _CallTile[T]:
        tile = self._make()
        tile.on_remove = self._remove
        self._tiles.append(tile)
        return tile


def error_card(state: State) -> widgets.Box:
    """Return the two lines of the last error with the badge of a cell's, hidden while there is none."""
    message, badge, hint = Words(), Words("badge"), Words()
    card = box("error", box("row", message, badge), hint)

    def show(_: object = None) -> None:
        first, *rest = (*state.error, "")
        message.text, hint.text, badge.text = first, " ".join(rest).strip(), state.billing
        show_if(state.billing, badge)
        show_if(state.error, card)

    state.observe(show, "error")
    show()
    return card


def header(state: State) -> widgets.Box:
    """Return the line that says who answers, in which mode, and how much of the caps is spent."""
    meter = widgets.FloatProgress(max=1.0, layout={"width": "72px"})
    meter.add_class("beluga-meter")
    traitlets.dlink((state, "share"), (meter, "value"), lambda share: max(0.0, share))

    def follow(_: object = None) -> None:
        show_if(state.share >= 0, meter)
        meter.bar_style = "danger" if state.share >= 1 else ""

    state.observe(follow, "share")
    follow()
    return box("header", line(state, "provider", "provider"), meter, line(state, "spent", "spent"))
