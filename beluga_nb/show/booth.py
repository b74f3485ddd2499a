"""The booth for blind votes: two pictures, and a key or button for the better one.

ipywidgets has no key events, so a text field receives the keys, one letter at a time, and gets the focus
after each vote; JupyterLab does not handle keys typed into a text field. The browser receives two pictures
and a caption only. At the end the cell shows the ranking, which is what a saved notebook holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import pybase64
from IPython.display import display

from beluga_nb.compare.voting import Voting
from beluga_nb.errors import BelugaError
from beluga_nb.hints import Surface, on
from beluga_nb.result import Bundle
from beluga_nb.show.blind import blind
from beluga_nb.show.markup import outside
from beluga_nb.show.template import fill, read_template
from beluga_nb.show.widget import CAN_FOCUS, bundle

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

KEYS: Mapping[str, str] = {
    "1": "left",
    "2": "right",
    "t": "tie",
    "b": "both bad",
    "s": "skip",
    "u": "undo",
}
"""The answer of each key."""

UNSEEN = 0.25
"""Seconds after new pictures in which answers are ignored, so that a held key votes once."""

_LABELS = {
    "left": "1 · left is better",
    "right": "2 · right is better",
    "tie": "t · tie",
    "both bad": "b · both bad",
    "skip": "s · skip",
    "undo": "u · undo",
}
_TEXT = "A booth for blind votes, in JupyterLab or Notebook; the ranking is shown here at its end."
_TOOLTIP = "Type 1 or 2 for the better picture, t: tie, b: both bad, s: skip, u: undo"


class Booth:
    """Two pictures and six buttons, which are keys as well; `reveal()` ends it and shows the ranking."""

    def __init__(self, voting: Voting, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._voting = voting
        self._clock = clock
        self._shown_at = float("-inf")
        self._handles: list[DisplayHandle] = []
        self._ended: Bundle | None = None
        self.pictures = widgets.HTML(layout=widgets.Layout(width="auto", max_width="1300px"))
        self.status = widgets.HTML()
        self.keys = widgets.Text(
            placeholder="keys: 1 2 t b s u",
            continuous_update=True,
            layout=widgets.Layout(width="150px"),
        )
        if self.keys.has_trait("tooltip"):  # new in ipywidgets 8
            self.keys.tooltip = _TOOLTIP
        self.buttons = {answer: self._button(answer) for answer in KEYS.values()}
        self.end = widgets.Button(
            description="End and reveal", layout=widgets.Layout(width="auto"), tooltip="Show the ranking"
        )
        self.keys.observe(self._key_typed, "value")
        self.end.on_click(lambda _: self.reveal())
        row = widgets.HBox(
            [self.keys, *self.buttons.values(), self.end], layout=widgets.Layout(flex_flow="row wrap")
        )
        self.view = widgets.VBox([self.pictures, row, self.status])
        self.view.add_class("beluga-booth")
        self._show()

    def press(self, answer: str) -> None:
        """Record an answer, skip the pair, or undo the last answer."""
        seconds = self._clock() - self._shown_at
        if self._ended or seconds < UNSEEN:
            return
        try:
            self._voting.undo() if answer == "undo" else self._voting.answer(answer, seconds=seconds)
        except BelugaError as error:
            self._show_status(f"Not recorded. {error.message} {on(error.hint, Surface.PANEL)}")
            return
        self._show()
        self._focus()

    def reveal(self) -> None:
        """End the session: the ranking replaces the booth, and no answer can be undone any more."""
        self._ended = self._voting.ranking()._repr_mimebundle_()
        for handle in self._handles:
            handle.update(dict(self._ended), raw=True)  # type: ignore[no-untyped-call]  # IPython has no types
        self.view.close()

    def _button(self, answer: str) -> widgets.Button:
        button = widgets.Button(description=_LABELS[answer], layout=widgets.Layout(width="auto"))
        button.on_click(lambda _: self.press(answer))
        return button

    def _key_typed(self, change: Mapping[str, Any]) -> None:
        typed = str(change["new"]).strip().lower()
        if not typed:
            return
        self.keys.value = ""
        # Further letters were typed before the next pictures were visible.
        answer = KEYS.get(typed[0])
        if answer:
            self.press(answer)

    def _show(self) -> None:
        try:
            samples = self._voting.samples
            pictures = samples and blind(*(each.picture.image for each in samples))
        except BelugaError as error:  # a damaged picture
            self.pictures.value = ""
            self._show_status(f"{error.message} Skip this pair.")
        else:
            asked = " · ".join(filter(None, (self._voting.criterion, self._voting.caption)))
            self.pictures.value = _html(pictures, asked) if pictures else "<p>That was all.</p>"
            self._show_status(self._voting.progress)
            for answer, button in self.buttons.items():
                button.disabled = not self._voting.can_undo if answer == "undo" else pictures is None
        self._shown_at = self._clock()

    def _focus(self) -> None:
        if CAN_FOCUS:
            self.keys.focus()

    def _show_status(self, words: str) -> None:
        self.status.value = f'<span style="opacity:.75">{outside(words)}</span>'

    def __repr__(self) -> str:
        return _TEXT

    def _ipython_display_(self) -> None:
        if self._ended:
            display(dict(self._ended), raw=True)  # type: ignore[no-untyped-call]  # IPython has no types
            return
        shown = bundle(self.view, repr(self))
        handle = display(shown, raw=True, display_id=True)  # type: ignore[no-untyped-call]  # IPython has no types
        self._handles.append(handle)
        self._focus()


def _html(pictures: tuple[bytes, bytes], caption: str) -> str:
    figures = "".join(
        fill("show/booth-figure.html", side=side, data=pybase64.b64encode(data).decode())
        for side, data in zip(("left", "right"), pictures, strict=True)
    )
    return fill(
        "show/booth.html",
        caption=f'<div style="margin:0 0 6px">{outside(caption)}</div>' if caption else "",
        figures=figures,
        # ipywidgets 7 cannot set the focus; the load event of a new <style> can.
        focus="" if CAN_FOCUS else read_template("show/booth-focus.html"),
    )
