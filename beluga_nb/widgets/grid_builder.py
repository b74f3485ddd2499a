"""The grid builder: axes as lines of text, the plan that they make, and the grid as one picture.

The page shows the lines as chips, and writes them as a user would.
"""

from __future__ import annotations

import asyncio
import base64
import csv
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from beluga_nb.commands import cells
from beluga_nb.compare.axes import axis as axis_of
from beluga_nb.compare.grid import DONE, Grid
from beluga_nb.compare.plan import Plan
from beluga_nb.errors import BelugaError, RequestError
from beluga_nb.result import Preview
from beluga_nb.session.resources import ASK_ABOVE
from beluga_nb.session.session import Session
from beluga_nb.text import plural, sanitize
from beluga_nb.widgets.composer import Composer
from beluga_nb.widgets.jobs import DEBOUNCE, Jobs, in_a_line
from beluga_nb.widgets.promises import Promise, Promises, is_kept
from beluga_nb.widgets.state import Form, State

Asked = tuple[str, dict[str, Any], dict[str, Any]]
"""The prompt of a grid, its axes, and the arguments that are no axis."""

_WATCHED = ("axes", "prompt", "model", "size", "quality", "n", "take")


_OPTIONS = {"n", "pairs", "sample", "seed", "replace", "values"}
"""Arguments of a grid that are no axis."""

_SHOWN = {"prompt", "model", "size", "quality"}
"""Parameters of a request that the form shows."""

_AGAIN = " Press Run again"


def axes_of(text: str) -> dict[str, list[str]]:
    """Return the axes that stand one a line; raise `RequestError` for a line that is none.

    >>> axes_of('style: flat, "ink, wet"\\nsize: 1:1, 16:9')
    {'style': ['flat', 'ink, wet'], 'size': ['1:1', '16:9']}
    """
    found: dict[str, list[str]] = {}
    for line in filter(str.strip, text.splitlines()):
        name, _, values = (part.strip() for part in line.partition(":"))
        texts = _values(values)
        if not name.isidentifier() or not texts or name in found or name in _OPTIONS:
            raise RequestError(
                f"“{sanitize(line, 60)}” is no axis.",
                "Write each once, on a line of its own: style: flat, ink",
            )
        found[name] = texts
    return found


def _values(text: str) -> list[str]:
    # As panel.js does: a value with a comma is in quotes.
    try:
        [values] = csv.reader([text], skipinitialspace=True)
    except csv.Error:  # longer than a field may be
        return []
    return [each.strip() for each in values if each.strip()]


def text_of(axes: Mapping[str, list[str]]) -> str:
    """Return axes as lines of text, as `axes_of` reads them."""
    return "\n".join(f"{name}: {', '.join(map(_quoted, values))}" for name, values in axes.items())


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if value[:1] == '"' or "," in value else value


class GridBuilder:
    """Plans the grid of the prompt and some axes, runs it, and shows it as one picture."""

    def __init__(self, session: Session, state: State, jobs: Jobs, composer: Composer) -> None:
        self.session, self.state, self.jobs, self.composer = session, state, jobs, composer
        self._promises = Promises()
        state.observe(lambda _: self.plan(), _WATCHED)

    def plan(self) -> None:
        """Say how many combinations and pictures the grid has, and what they would cost."""
        self.state.grid_ready = False
        if self.state.axes.strip():
            self.jobs.restart("grid", self._plan)
        else:
            self.state.grid_plan = ""

    async def _plan(self) -> None:
        await asyncio.sleep(DEBOUNCE)
        state = self.state
        try:
            if state.axes.startswith("@"):
                self._take_over(state.axes[1:].strip())
                return  # The axes have changed, so they are planned anew.
            asked = self.asked_for(self.composer.form)
            mode = self.session.settings().mode
            _, plan = await asyncio.to_thread(self._made, mode, *asked, self.composer.values())
            state.grid_cell = cells.comparison(*asked)
        except BelugaError as error:
            state.grid_plan = in_a_line(error)
            return
        self._promise(Promise(plan, mode), asked)

    def _take_over(self, name: str) -> None:
        """Copy the grid in a variable, such as that of `%%beluga compare -o name`, into the form."""
        grid = self.composer.values().get(name)
        if not isinstance(grid, Grid):
            raise RequestError(
                f"The variable {sanitize(name, 60)} is no grid.",
                "Run a cell that keeps a grid in it, such as g = beluga_nb.grid(…), and type @g.",
            )
        study, request = grid.study, grid.cells[0].request
        values = {
            axis.name: [choice.sets.get(axis.name, "") for choice in axis.choices] for axis in study.axes
        }
        axes = text_of(values)
        is_whole = study.prompt and not study.pairs and study.sample is None and axes_of(axes) == values
        if (
            not is_whole
            or any(axis_of(each.name, values[each.name]) != each for each in study.axes)
            or not request.parameters.keys() <= _SHOWN
        ):
            raise RequestError(
                f"The grid {sanitize(name, 60)} is made of more than prompt, axes, size and quality.",
                "Change it in its cell.",
            )
        self.composer.fill(replace(request, prompt=study.prompt))
        # The page does not notice a new text in a field: a new plan makes it draw the chips again.
        self.state.grid_plan = ""
        self.state.axes = axes

    def promised(self, form: Form) -> Promise | None:
        """Return what the plan of a form's grid promised, or None."""
        return self._promises.find(form.turn, form.grid_plan, self.asked_for(form))

    def _promise(self, promise: Promise, asked: Asked, more: str = "", *, refused: bool = False) -> None:
        plan = promise.plan
        counts = ", ".join(f"{count} {name}" for name, count in plan.counts.items())
        words = f"{counts}; {plan.price}.{more}"
        self._promises.add(self.state.turn, words, asked, promise, refused=refused)
        self.state.grid_plan, self.state.grid_ready = words, True

    def asked_for(self, form: Form) -> Asked:
        """Return the prompt, the axes, and the arguments that are no axis."""
        axes: dict[str, Any] = axes_of(form.axes)
        arguments = self.composer.arguments_of(form)
        prompt = str(arguments.pop("prompt"))
        return prompt, axes, {name: each for name, each in arguments.items() if each and name not in axes}

    def _made(
        self,
        mode: str,
        prompt: str,
        axes: dict[str, Any],
        arguments: dict[str, Any],
        values: Mapping[str, object],
    ) -> tuple[Grid, Plan]:
        grid = self.session.grid(prompt, values=values, **arguments, **axes)
        return grid, grid.plan(mode=mode)

    async def made(self, form: Form, asked: Asked, values: Mapping[str, object]) -> Grid | None:
        """Return the grid to run, or None if it would make more than the plan showed, which is then shown."""
        mode, promised = self.session.settings().mode, self.promised(form)
        grid, plan = await asyncio.to_thread(self._made, mode, *asked, values)
        if promised and is_kept(promised, plan, mode, exactly=self.composer.has_waited(form)):
            return grid
        with suppress(BelugaError):  # the axes are being changed
            if self.asked_for(self.composer.form) == asked:  # else the plan is about another grid by now
                self._promise(Promise(plan, mode), asked, refused=True)
        return None

    def confirmed(self, form: Form, asked: Asked) -> bool:
        """Return whether a grid may run; the plan asks first where so many pictures must be confirmed."""
        promised = self.promised(form)
        # Previews cost nothing. What no plan has shown, and what is more than one showed, `made` refuses.
        if promised is None or _AGAIN in form.grid_plan:
            return True
        plan = promised.plan
        if plan.images <= ASK_ABOVE or plan.local:
            return True
        self._promise(promised, asked, f"{_AGAIN} to make {plural(plan.images, 'picture')}.")
        return False

    async def show(self, grid: Grid) -> None:
        """Show a grid as one picture."""
        bundle = await asyncio.to_thread(grid._repr_mimebundle_)
        images = [(kind, data) for kind, data in bundle.items() if kind.startswith("image/")]
        if images:
            [(kind, data), *_] = images
            self.state.grid_sheet = Preview(base64.b64decode(data), kind)
        done = grid.counts.get(DONE, 0)
        failed = [f"{sanitize(' · '.join(key), 60)}: {error.message}" for key, error in grid.errors.items()]
        self.state.grid_words = " ".join([f"{done} of {plural(len(grid), 'cell')} done.", *failed[:3]])
        self.plan()
