"""The panel: state, controller and view put together, and its output in a live or saved notebook."""

from __future__ import annotations

import ipywidgets as widgets
import traitlets
from IPython.core.getipython import get_ipython
from IPython.display import DisplayHandle, display

from beluga_nb.result import Result
from beluga_nb.session.default import default
from beluga_nb.session.session import Session
from beluga_nb.show.figures import NO_PICTURE
from beluga_nb.show.markup import outside
from beluga_nb.show.template import fill
from beluga_nb.show.widget import bundle
from beluga_nb.signatures import named_arguments
from beluga_nb.widgets.collection import COMPARED
from beluga_nb.widgets.controller import Controller
from beluga_nb.widgets.state import State
from beluga_nb.widgets.view.clicks import Clicks
from beluga_nb.widgets.view.comparison import comparison
from beluga_nb.widgets.view.form import form
from beluga_nb.widgets.view.grid import grid
from beluga_nb.widgets.view.page import page
from beluga_nb.widgets.view.parts import box, line, tabs
from beluga_nb.widgets.view.stage import download, stage
from beluga_nb.widgets.view.strip import strip
from beluga_nb.widgets.view.work import error_card, header

_TEXT = "The panel of beluga_nb: run this cell in JupyterLab or Notebook to use it."


class Panel:
    """A panel of widgets; a cell whose last expression is a panel shows it.

    `result` is the newest `Result`, the same object that the magic returns, and `selected` a result with
    the chosen picture only.
    """

    def __init__(self, session: Session, names: dict[str, object] | None = None) -> None:
        self.state = State()
        self.controller = Controller(session, self.state, names=names)
        self._snapshots: list[DisplayHandle] = []
        self.box = box("panel", *self._parts())
        self.state.observe(lambda _: self._update(), "snapshot")
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
        """The last unexpected exception, which is no error of beluga_nb, or None."""
        return self.controller.failure

    def _parts(self) -> list[widgets.DOMWidget]:
        state, controller = self.state, self.controller
        rooms = {
            "Picture": stage(state, controller),
            "Compare": comparison(state, controller),
            "Grid": grid(state, controller),
        }
        views = tabs(rooms)

        def follow(change: traitlets.Bunch) -> None:
            if change.name == "chosen":
                views.selected_index = 0
                return
            count = len(state.picked)
            words = f"{COMPARED} of {count}" if count > COMPARED else f"{count}"
            views.set_title(1, f"Compare ({words})" if count else "Compare")
            if (len(change.old), len(change.new)) == (1, 2):  # enough to be compared
                views.selected_index = 1

        state.observe(follow, ["picked", "chosen"])
        canvas = box("canvas", error_card(state), line(state, "message", "message"), download(state), views)
        return [
            page(controller.data.sizes()),
            # The form sticks to the window as far as its desk reaches, and never covers the filmstrip.
            box(
                "layout",
                header(state),
                box("desk", form(state, controller), canvas),
                strip(state, controller),
            ),
            *Clicks(state, controller, lambda: self.box).fields,
        ]

    def __repr__(self) -> str:
        return _TEXT

    def _ipython_display_(self) -> None:
        # Two outputs: the widgets, and a snapshot of the gallery for a saved notebook. CSS hides the snapshot
        # while the widgets live. It is updated alone, so the panel is never redrawn while the user types.
        display(bundle(self.box, _TEXT), raw=True)  # type: ignore[no-untyped-call]  # IPython has no types
        snapshot = DisplayHandle()  # type: ignore[no-untyped-call]  # IPython has no types
        snapshot.display(self._bundle(), raw=True)  # type: ignore[no-untyped-call]  # IPython has no types
        self._snapshots.append(snapshot)

    def _update(self) -> None:
        for snapshot in self._snapshots:
            snapshot.update(self._bundle(), raw=True)  # type: ignore[no-untyped-call]  # IPython has no types

    def _bundle(self) -> dict[str, str]:
        shown = dict(self.state.snapshot) or {"text/plain": NO_PICTURE}
        lines = "<br>".join(map(outside, shown["text/plain"].splitlines()))
        html = shown.get("text/html") or f"<pre>{lines}</pre>"
        # Its style hides what JupyterLab and NbClassic show above it until there is a panel: that it is being
        # loaded, or the error that it cannot be, if the kernel is gone.
        return {**shown, "text/html": fill("show/still.html", html=html)}


@named_arguments
def panel(session: Session = default) -> Panel:
    """Return a new panel on a session, in the notebook that runs, if one does."""
    shell = get_ipython()
    made = Panel(session, shell.user_ns if shell else None)
    if shell:
        shell.events.register("pre_run_cell", lambda *_: made.controller.cell_begins())
        shell.events.register("post_run_cell", lambda *_: made.controller.cell_has_run())
    return made
