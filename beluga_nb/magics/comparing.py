"""`%%beluga compare`: a grid of the axes on the line and the prompts below it, shown as it fills."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beluga_nb.compare.axes import AXIS_PARAMETERS
from beluga_nb.compare.grid import Grid
from beluga_nb.engines.call import Tally
from beluga_nb.errors import RequestError, UnknownNameError
from beluga_nb.hints import Code, Hint
from beluga_nb.magics.parse import Comparison
from beluga_nb.magics.shown import display, shown, silent
from beluga_nb.session.default import default

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_TABLE = ".csv"


def compared(shell: InteractiveShell, call: Comparison, values: Mapping[str, object]) -> Grid | None:
    """Run the grid that a cell asks for; what has arrived is kept and shown, however it ends."""
    grid = _grid(call, values)
    # Before it runs, so that an interrupted grid can go on.
    if call.output:
        shell.user_ns[call.output] = grid
    if call.dry_run:
        display(grid.plan(mode=call.run.get("mode")))
        return None
    try:
        grid.run(tally=Tally(shows_result=not call.quiet), **call.run)
    except BaseException:
        if not call.quiet and len(grid.samples):
            display(grid)
        raise
    return silent(grid) if call.quiet else shown(grid)


def _grid(call: Comparison, values: Mapping[str, object]) -> Grid:
    axes: dict[str, Any] = {name: _axis_values(given, values) for name, given in call.axes.items()}
    arguments: dict[str, Any] = dict(call.grid)
    for name in AXIS_PARAMETERS:
        if len(arguments.get(name, ())) == 1:  # A single value is no axis.
            [arguments[name]] = arguments[name]
    prompts = call.prompts[0] if len(call.prompts) == 1 else list(call.prompts)
    return default.grid(prompts, values=values, **arguments, **axes)


def _axis_values(given: object, values: Mapping[str, object]) -> object:
    if not isinstance(given, str):
        return given
    name = given.removeprefix("@").strip("\"'")
    if name.lower().endswith(_TABLE):
        return Path(name)
    if name not in values:
        known = [each for each in values if not each.startswith("_")]
        raise UnknownNameError(
            "variable",
            name,
            known,
            hint=Hint("Set it first, for example: ", Code(f"{name} = ['red', 'blue']")),
        )
    if isinstance(values[name], str):
        raise RequestError(
            f"The variable {name} is one text.", f"Give its values in a list: {name} = [{name}]"
        )
    return values[name]
