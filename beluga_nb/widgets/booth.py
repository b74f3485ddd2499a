"""The booth: two pictures, blind; one key or click says which is better.

ipywidgets has no key events, so a text field takes the keys, one letter at a time, and has the focus after
each vote: JupyterLab leaves the keys of a text field alone. The browser gets two pictures and a caption, no
more; its cell shows the ranking at the end, which is what a saved notebook holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import ipywidgets as widgets
import pybase64
from IPython.display import display

from beluga_nb.errors import BelugaError
from beluga_nb.hints import Surface, on
from beluga_nb.result import Bundle
from beluga_nb.show.markup import outside
from beluga_nb.widgets.view.parts import CAN_FOCUS, bundle

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
"""What each key says."""

UNSEEN = 0.25
"""Seconds in which nobody has looked at two new pictures: a key that is held down votes once."""

_FACES = {
    "left": "1 · left is better",
    "right": "2 · right is better",
    "tie": "t · tie",
    "both bad": "b · both bad",
    "skip": "s · skip",
    "undo": "u · undo",
}
_WORDS = "A booth for blind votes, in JupyterLab or Notebook; the ranking is shown here at its end."
_KEYS_TOLD = "Type 1 or 2 for the better picture, t: tie, b: both bad, s: skip, u: undo"
_FIGURE = "margin:0;flex:1 1 0;min-width:0"
_IMAGE = "width:100%;height:auto;border-radius:4px;display:block;margin:0"


_BOOTH = "beluga-booth"
_FOCUS = f"""<style onload="this.closest('.{_BOOTH}')?.querySelector('input')?.focus()"></style>"""


class Voting(Protocol):
    """A session of votes, without names."""

    @property
    def pictures(self) -> tuple[bytes, bytes] | None: ...
    @property
    def caption(self) -> str: ...
    @property
    def progress(self) -> str: ...
    @property
    def undoable(self) -> bool: ...
    def answer(self, answer: str) -> None: ...
    def undo(self) -> None: ...
    def reveal(self) -> Bundle: ...


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
        if self.keys.has_trait("tooltip"):  # of a text field: since ipywidgets 8
            self.keys.tooltip = _KEYS_TOLD
        self.buttons = {answer: self._button(answer) for answer in KEYS.values()}
        self.end = widgets.Button(
            description="End and reveal", layout=widgets.Layout(width="auto"), tooltip="Show the ranking"
        )
        self.keys.observe(self._typed, "value")
        self.end.on_click(lambda _: self.reveal())
        row = widgets.HBox(
            [self.keys, *self.buttons.values(), self.end], layout=widgets.Layout(flex_flow="row wrap")
        )
        self.view = widgets.VBox([self.pictures, row, self.status])
        self.view.add_class(_BOOTH)
        self._show()

    def press(self, answer: str) -> None:
        """Do what a key or button says: answer, skip or undo."""
        if self._ended or self._clock() - self._shown_at < UNSEEN:
            return
        try:
            self._voting.undo() if answer == "undo" else self._voting.answer(answer)
        except BelugaError as error:
            self._say(f"Not recorded. {error.message} {on(error.hint, Surface.PANEL)}")
            return
        self._show()
        self._focus()

    def reveal(self) -> None:
        """End the session: the ranking takes the place of the booth, and nothing is taken back any more."""
        self._ended = self._voting.reveal()
        for handle in self._handles:
            handle.update(dict(self._ended), raw=True)  # type: ignore[no-untyped-call]  # IPython's
        self.view.close()

    def _button(self, answer: str) -> widgets.Button:
        button = widgets.Button(description=_FACES[answer], layout=widgets.Layout(width="auto"))
        button.on_click(lambda _: self.press(answer))
        return button

    def _typed(self, change: Mapping[str, Any]) -> None:
        typed = str(change["new"]).strip().lower()
        if not typed:
            return
        self.keys.value = ""
        # One at a time: what was typed behind it was typed before anybody saw the next pictures.
        answer = KEYS.get(typed[0])
        if answer:
            self.press(answer)

    def _show(self) -> None:
        try:
            pictures = self._voting.pictures
        except BelugaError as error:  # a damaged one: it can be skipped
            self.pictures.value = ""
            self._say(f"{error.message} Skip this pair.")
        else:
            caption = self._voting.caption
            self.pictures.value = _html(pictures, caption) if pictures else "<p>That was all.</p>"
            self._say(self._voting.progress)
            for answer, button in self.buttons.items():
                button.disabled = not self._voting.undoable if answer == "undo" else pictures is None
        self._shown_at = self._clock()

    def _focus(self) -> None:
        if CAN_FOCUS:
            self.keys.focus()

    def _say(self, words: str) -> None:
        self.status.value = f'<span style="opacity:.75">{outside(words)}</span>'

    def __repr__(self) -> str:
        return _WORDS

    def _ipython_display_(self) -> None:
        if self._ended:
            display(dict(self._ended), raw=True)  # type: ignore[no-untyped-call]  # IPython's
            return
        shown = bundle(self.view, repr(self))
        handle = display(shown, raw=True, display_id=True)  # type: ignore[no-untyped-call]  # IPython's
        self._handles.append(handle)
        self._focus()


def _html(pictures: tuple[bytes, bytes], caption: str) -> str:
    figures = "".join(
        f'<figure style="{_FIGURE}"><img alt="{side} picture" style="{_IMAGE}"'
        f' src="data:image/jpeg;base64,{pybase64.b64encode(data).decode()}"></figure>'
        for side, data in zip(("left", "right"), pictures, strict=True)
    )
    words = f'<div style="margin:0 0 6px">{outside(caption)}</div>' if caption else ""
    focus = "" if CAN_FOCUS else _FOCUS
    return f'{words}<div style="display:flex;gap:12px">{figures}</div>{focus}'
