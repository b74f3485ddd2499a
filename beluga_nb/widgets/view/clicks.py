"""Buttons, and clicks as the page reports them: which button, its tooltip then, and what the form held.

A click may wait in the kernel behind a cell, while form, filmstrip and stage change. So it does what was seen
when it was made, or nothing. In a page without the script, a click is the core button's own.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

import ipywidgets as widgets
import traitlets

from beluga_nb.widgets.controller import Controller
from beluga_nb.widgets.state import Form, State
from beluga_nb.widgets.view.comms import receive_in_any_shell

_MISSED = "Nothing was done: the panel changed before that arrived. Please try again."
_ABOUT = "beluga-of-"


class Action(widgets.Button):  # type: ignore[misc]  # ipywidgets has no types
    """A button that runs an action, which gets the form if it `takes_form`."""

    def __init__(self, action: Callable[..., object], *, takes_form: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.action, self.takes_form, self.subject = action, takes_form, ""
        self.key = f"beluga-click-{uuid.uuid4().hex[:8]}"
        self.add_class(self.key)
        self.on_click(lambda _: action())
        receive_in_any_shell(self)


class Clicks:
    """The hidden fields by which the page reports clicks, and learns which of them have arrived."""

    def __init__(self, state: State, controller: Controller, panel: Callable[[], widgets.Box]) -> None:
        self._state, self._controller, self._panel = state, controller, panel
        self._arrived: dict[str, int] = {}
        self._heard, turn = _hidden(widgets.Label, "heard"), _hidden(widgets.Label, "turn")
        reported = _hidden(widgets.Textarea, "clicks")
        reported.description = "Clicks"
        receive_in_any_shell(reported)
        reported.observe(lambda change: self._hear(change.new), "value")
        traitlets.dlink((state, "turn"), (turn, "value"), str)
        self.fields = [reported, self._heard, turn]

    def _hear(self, text: str) -> None:
        with suppress(ValueError, TypeError, KeyError):  # no page of ours wrote it
            for click in json.loads(text):
                page, number = str(click["page"]), int(click["number"])
                if number > self._arrived.get(page, 0):
                    self._arrived[page] = number
                    self._do(str(click["key"]), (str(click["tooltip"]), str(click["subject"])), click["form"])
                self._heard.value = f"{page} {number}"

    def _do(self, key: str, seen: tuple[str, str], form: dict[str, object] | None) -> None:
        button = next((each for each in _actions(self._panel()) if each.key == key), None)
        if button is None or (button.tooltip, button.subject) != seen:
            self._state.message = _MISSED
        elif button.takes_form:
            button.action(_filled(self._controller.composer.form, form or {}))
        else:
            button.action()


def _filled(form: Form, reported: dict[str, object]) -> Form:
    held = {each.name: reported.get(each.name) for each in fields(Form)}
    # What the page does not know is as the kernel knows it.
    known: dict[str, Any] = {name: each for name, each in held.items() if isinstance(each, str | int)}
    return replace(form, **known)


def about(box: widgets.Box, subject: str, *, on: widgets.DOMWidget | None = None) -> None:
    """Tell the buttons of a box which picture they are about, and the page by a class of the box, or of `on`.

    Others may have equal words.
    """
    marked = on or box
    others = (each for each in marked._dom_classes if not each.startswith(_ABOUT))
    marked._dom_classes = (*others, f"{_ABOUT}{subject}")
    for each in _actions(box):
        each.subject = subject


def _actions(box: widgets.Box) -> Iterator[Action]:
    for each in box.children:
        if isinstance(each, Action):
            yield each
        elif isinstance(each, widgets.Box):
            yield from _actions(each)


def _hidden(kind: type[widgets.DOMWidget], name: str) -> widgets.DOMWidget:
    made = kind(layout={"display": "none"})
    made.add_class(f"beluga-{name}")
    return made
