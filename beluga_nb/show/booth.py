"""The booth for blind votes: two pictures, and a key, a button or a click for the better one.

ipywidgets has no key events, so a text field receives the keys, one letter at a time; the page's script gives
it the focus. JupyterLab does not handle keys typed into a text field. ipywidgets has no clickable pictures
either: two unseen buttons lie on them. The browser receives two pictures and a caption only. At the end the
cell shows the ranking, which is what a saved notebook holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import pybase64
from IPython.display import display

from beluga_nb.compare.vote import SKIP, Pair
from beluga_nb.compare.voting import Voting
from beluga_nb.errors import BelugaError
from beluga_nb.hints import Surface, on
from beluga_nb.result import Bundle
from beluga_nb.show.blind import blind
from beluga_nb.show.markup import outside
from beluga_nb.show.template import fill, read_template, script_of
from beluga_nb.show.widget import bundle
from beluga_nb.store.votes import LEFT, RIGHT

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

KEYS: Mapping[str, str] = {
    "1": "left",
    "2": "right",
    "t": "tie",
    "b": "both bad",
    "s": "skip",
    "u": "undo",
    "z": "zoom",
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
    "zoom": "z · zoom",
}
_ZOOMED = "beluga-booth-zoomed"
_TEXT = "A booth for blind votes, in JupyterLab or Notebook; the ranking is shown here at its end."
_UNFINISHED = "This vote has not ended. Run this cell again to go on: every answer is in the store."
"""What a notebook says that was saved before the ranking was shown, where the booth was."""


class Booth:
    """Two pictures, and buttons that are keys as well; `reveal()` ends it and shows the ranking.

    `begin(voter=…)` returns the questions of a voter; without a name, those of the first.
    """

    def __init__(
        self,
        begin: Callable[..., Voting],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._begin = begin
        self._voting = begin()
        self._contest = self._voting.contest
        self._clock = clock
        self._shown_at = float("-inf")
        self._handles: list[DisplayHandle] = []
        self._stills: list[DisplayHandle] = []
        self._ended: Bundle | None = None
        self._is_damaged = False  # A picture of the pair cannot be shown.
        self.head = widgets.HTML()
        self.pictures = widgets.HTML()
        self.status = widgets.HTML()
        self.keys = widgets.Text(
            description="Keys",
            continuous_update=True,
            layout=widgets.Layout(width="170px"),
            style={"description_width": "initial"},
        )
        self.keys.add_class("beluga-booth-keys")
        self.name = widgets.Text(
            value=self._voting.voter,
            description="Your name",
            placeholder="or a code",
            continuous_update=False,
            layout=widgets.Layout(width="240px"),
            style={"description_width": "initial"},
        )
        self.buttons = {answer: self._button(answer, _LABELS[answer]) for answer in KEYS.values()}
        self.faces = [self._face(side) for side in (LEFT, RIGHT)]
        self.end = widgets.Button(
            description="End and reveal", layout=widgets.Layout(width="auto"), tooltip="Show the ranking"
        )
        self.keys.observe(self._key_typed, "value")
        self.name.observe(self._name_typed, "value")
        self.end.on_click(lambda _: self.reveal())
        stage = widgets.Box([self.pictures, *self.faces])
        stage.add_class("beluga-booth-stage")
        row = widgets.HBox(
            [self.keys, *self.buttons.values(), self.end], layout=widgets.Layout(flex_flow="row wrap")
        )
        top = widgets.Box([self.head, self.name])
        top.add_class("beluga-booth-top")
        self.view = widgets.VBox([top, stage, row, self.status])
        self.view.add_class("beluga-booth")
        self._show()

    def press(self, answer: str) -> None:
        """Record an answer, skip the pair, undo the last answer, or zoom into both pictures or out."""
        if answer == "zoom":
            self._zoom(_ZOOMED not in self.view._dom_classes)
            return
        seconds = self._clock() - self._shown_at
        if self._ended or seconds < UNSEEN:
            return
        try:
            self._answer(answer, seconds)
        except BelugaError as error:
            self._show_status(f"Not recorded. {error.message} {on(error.hint, Surface.PANEL)}")
            return
        self._show()

    def _answer(self, answer: str, seconds: float) -> None:
        if answer == "undo":
            self._voting.undo()
        elif not self._is_damaged:
            self._voting.answer(answer, seconds=seconds)
        elif answer == SKIP:  # There is nothing to choose from, however often it is shown.
            self._voting.pass_over()

    def reveal(self) -> None:
        """End the session: the ranking replaces the booth, and no answer can be undone any more."""
        self._ended = self._contest.ranking()._repr_mimebundle_()
        for handle in self._handles:
            handle.update(dict(self._ended), raw=True)  # type: ignore[no-untyped-call]  # IPython has no types
        for still in self._stills:
            still.update({"text/plain": "", "text/html": ""}, raw=True)  # type: ignore[no-untyped-call]
        # Voilà does not update what a cell has displayed: there the ranking stands in the booth's place.
        self.view.children = (widgets.HTML(self._ended["text/html"]),)

    def _button(self, answer: str, label: str, tooltip: str = "") -> widgets.Button:
        button = widgets.Button(description=label, tooltip=tooltip, layout=widgets.Layout(width="auto"))
        button.on_click(lambda _: self.press(answer))
        return button

    def _face(self, side: str) -> widgets.Button:
        """Return the button that lies on a picture; the style moves its words out of sight."""
        words = f"The {side} picture is better"
        face = self._button(side, words, words)
        face.add_class(f"beluga-booth-{side}")
        return face

    def _key_typed(self, change: Mapping[str, Any]) -> None:
        typed = str(change["new"]).strip().lower()
        if not typed:
            return
        self.keys.value = ""
        # Further letters were typed before the next pictures were visible.
        answer = KEYS.get(typed[0])
        if answer:
            self.press(answer)

    def _name_typed(self, change: Mapping[str, Any]) -> None:
        # What was answered so far stays with the name before.
        self._voting = self._begin(voter=str(change["new"]))
        self._show()

    def _show(self) -> None:
        question = self._voting.question
        self._zoom(False)
        try:
            caption, pictures = self._shown(question) if question else ("", None)
        except BelugaError:
            # What the error says may be of one side alone.
            self._is_damaged, caption, self.pictures.value = True, "", ""
            self._show_status("A picture of this pair is damaged. Skip it.")
        else:
            self._is_damaged = False
            self.pictures.value = (
                figures_html(pictures) if pictures else thanks_html(self._voting.voter, self._voting.summary)
            )
            self._show_status(self._voting.progress)
        for answer, button in self.buttons.items():
            usable = question is not None and (not self._is_damaged or answer == SKIP)
            button.disabled = not (self._voting.can_undo if answer == "undo" else usable)
            button.layout.display = "none" if question is None and answer != "undo" else None
        self._offer_keys()
        self.end.button_style = "primary" if question is None else ""
        self.head.value = head_html(
            self._contest.question, caption, done=self._voting.done, total=self._voting.total
        )
        for face in self.faces:
            face.layout.display = "none" if self._is_damaged or question is None else None
        self._shown_at = self._clock()

    def _shown(self, question: Pair) -> tuple[str, tuple[bytes, bytes]]:
        left, right = (sample.picture.image for sample in self._contest.samples_of(question))
        return self._contest.caption(question), blind(left, right)

    def _zoom(self, zoomed: bool) -> None:
        (self.view.add_class if zoomed else self.view.remove_class)(_ZOOMED)

    def _offer_keys(self) -> None:
        usable = [key for key, answer in KEYS.items() if not self.buttons[answer].disabled]
        self.keys.placeholder = " ".join(usable)
        if self.keys.has_trait("tooltip"):  # new in ipywidgets 8
            self.keys.tooltip = ", ".join(_LABELS[KEYS[key]] for key in usable)

    def _show_status(self, words: str) -> None:
        self.status.value = status_html(words)

    def __repr__(self) -> str:
        return _TEXT

    def _ipython_display_(self) -> None:
        if self._ended:
            display(dict(self._ended), raw=True)  # type: ignore[no-untyped-call]  # IPython has no types
            return
        shown = bundle(self.view, repr(self))
        handle = display(shown, raw=True, display_id=True)  # type: ignore[no-untyped-call]  # IPython has no types
        self._handles.append(handle)
        # CSS hides these words while the booth lives, and afterwards the error that JupyterLab shows for it.
        unfinished = {
            "text/plain": "",
            "text/html": fill("show/still.html", html=f"<p>{outside(_UNFINISHED)}</p>"),
        }
        self._stills.append(display(unfinished, raw=True, display_id=True))  # type: ignore[no-untyped-call]


def head_html(question: str, caption: str, *, done: int, total: int) -> str:
    """Return the question, what both pictures have in common, and how far it is."""
    return fill(
        "show/booth-head.html",
        style=read_template("show/booth.css"),
        script=script_of("show/save.js", "show/booth.js"),
        question=outside(question),
        caption=outside(caption),
        done=str(done),
        total=str(total),
    )


def figures_html(pictures: tuple[bytes, bytes]) -> str:
    """Return two JPEGs side by side."""
    figures = "".join(
        fill("show/booth-figure.html", side=side, data=pybase64.b64encode(data).decode())
        for side, data in zip((LEFT, RIGHT), pictures, strict=True)
    )
    return fill("show/booth.html", figures=figures)


def thanks_html(voter: str, summary: Sequence[str]) -> str:
    """Return what stands in place of the pictures at the end."""
    name = f", {voter}" if voter else ""
    return fill("show/booth-end.html", name=outside(name), summary=outside(" ".join(summary)))


def status_html(words: str) -> str:
    """Return a line below the buttons, which a screen reader says when it changes."""
    return fill("show/booth-status.html", words=outside(words))
