"""The panel itself: the three rooms put together, and how it stands in a notebook, alive or saved."""

from __future__ import annotations

import ipywidgets as widgets
from IPython.core.getipython import get_ipython
from IPython.display import DisplayHandle, display

from beluga_nb.result import Result
from beluga_nb.session import Session, default
from beluga_nb.show.markup import NO_PICTURE, outside
from beluga_nb.show.widget import bundle
from beluga_nb.widgets.controller import Controller
from beluga_nb.widgets.state import State
from beluga_nb.widgets.view.comparison import comparison
from beluga_nb.widgets.view.form import form
from beluga_nb.widgets.view.history import history
from beluga_nb.widgets.view.page import ROOT, page
from beluga_nb.widgets.view.parts import tabs
from beluga_nb.widgets.view.results import gallery
from beluga_nb.widgets.view.work import UnderWay, told, trouble

_SAVED = "The panel of beluga_nb: run this cell in JupyterLab or Notebook to use it."

_STILL = "beluga-still"


class Panel:
    """A workbench of widgets; shown where it is the last thing in a cell.

    `result` is the newest `Result`, the same object that the magic would give, and `selected` the chosen
    picture as a `Result` of its own.
    """

    def __init__(self, session: Session, names: dict[str, object] | None = None) -> None:
        self.state = State()
        self.controller = Controller(session, self.state, names=names)
        self._stills: list[DisplayHandle] = []
        self.box = widgets.VBox()
        self.box.add_class(ROOT)
        self.box.children = self._parts()
        self.state.observe(lambda _: self._update(), "still")
        self.controller.open()

    @property
    def result(self) -> Result | None:
        """The newest result, or None before the first."""
        return self.state.result

    @property
    def selected(self) -> Result | None:
        """The chosen picture as a result, or None."""
        return self.state.chosen.alone if self.state.chosen else None

    @property
    def failure(self) -> Exception | None:
        """The last fault that is no error of ours, if there was one."""
        return self.controller.failure

    def _parts(self) -> list[widgets.DOMWidget]:
        state, controller = self.state, self.controller
        rooms = {
            "Pictures": gallery(state, controller),
            "Compare": comparison(state, controller),
            "History": history(state, controller),
        }
        return [
            page(controller.data.sizes(), still=_STILL),
            form(state, controller),
            UnderWay(state, controller).box,
            told(state),
            trouble(state),
            tabs(rooms),
        ]

    def __repr__(self) -> str:
        return _SAVED

    def _ipython_display_(self) -> None:
        # Two outputs: the panel, and what a saved notebook shows in its place. The second is hidden while the
        # first lives, and renewed by itself, so that the panel is never drawn anew while someone types.
        display(bundle(self.box, _SAVED), raw=True)  # type: ignore[no-untyped-call]
        still = DisplayHandle()  # type: ignore[no-untyped-call]
        still.display(self._bundle(), raw=True)  # type: ignore[no-untyped-call]
        self._stills.append(still)

    def _update(self) -> None:
        for still in self._stills:
            still.update(self._bundle(), raw=True)  # type: ignore[no-untyped-call]

    def _bundle(self) -> dict[str, str]:
        shown = dict(self.state.still) or {"text/plain": NO_PICTURE}
        html = (
            shown.get("text/html")
            or f"<pre>{'<br>'.join(map(outside, shown['text/plain'].splitlines()))}</pre>"
        )
        return {**shown, "text/html": f'<div class="{_STILL}">{html}</div>'}


def panel(session: Session = default) -> Panel:
    """Return the panel: a workbench of widgets on a session, in the notebook that runs, if one does."""
    shell = get_ipython()
    return Panel(session, shell.user_ns if shell else None)
