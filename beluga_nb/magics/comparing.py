"""`%%beluga compare`: a grid from the axes of a line and the prompts below it, shown as it fills."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beluga_nb.call import Tally
from beluga_nb.compare.grid import Grid
from beluga_nb.errors import RequestError, UnknownNameError
from beluga_nb.magics.parse import Call
from beluga_nb.magics.progress import Progress, drawn, listening, pen_for
from beluga_nb.magics.shown import display, say, shown, silent
from beluga_nb.session import default

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_TABLE = ".csv"


def compared(shell: InteractiveShell, call: Call, values: Mapping[str, object]) -> Grid | None:
    """Make and run the grid that a cell asks for; what has arrived is kept and shown, however it ends."""
    with listening() as spoken:
        grid = _grid(call, values)
    if call.output:
        shell.user_ns[call.output] = grid
    run = call.said["run"]
    plan = grid.plan(mode=run.get("mode"))
    if call.dry_run:
        say(plan)
        return None
    pen = None if spoken() else pen_for(shell, inspect.currentframe())
    try:
        tally = Tally()
        job = grid.submit(tally=tally, **run)
        line = Progress(pen, tally, "grid", wanted=plan.images, html=lambda: _html(grid))
        with drawn(line) as beat:
            job.result(beat)
    except BaseException:
        if not call.quiet and len(grid.samples):
            display(grid)
        raise
    return silent(grid) if call.quiet else shown(grid)


def _html(grid: Grid) -> str:
    return grid._repr_mimebundle_(include={"text/html"})["text/html"]


def _grid(call: Call, values: Mapping[str, object]) -> Grid:
    axes: dict[str, Any] = {name: _given(given, values) for name, given in call.said["axes"].items()}
    said: dict[str, Any] = dict(call.said["grid"])
    for name in ("model", "size", "quality", "take"):
        if len(said.get(name, ())) == 1:  # one is no axis
            [said[name]] = said[name]
    prompts = call.prompts[0] if len(call.prompts) == 1 else list(call.prompts)
    return default.grid(prompts, values=values, **said, **axes)


def _given(given: object, values: Mapping[str, object]) -> object:
    if not isinstance(given, str):
        return given
    place = given.removeprefix("@").strip("\"'")
    if place.lower().endswith(_TABLE):
        return Path(place)
    if place not in values:
        known = [each for each in values if not each.startswith("_")]
        raise UnknownNameError(
            "variable", place, known, hint=f"Set it first, for example: {place} = ['red', 'blue']"
        )
    if isinstance(values[place], str):
        raise RequestError(
            f"The variable {place} is one text.", f"Give its values in a list: {place} = [{place}]"
        )
    return values[place]
