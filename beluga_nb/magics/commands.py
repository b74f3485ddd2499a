"""Run a command of `%beluga`, and show what it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import IPython

from beluga_nb.commands.table import COMMANDS, CommandCall, function
from beluga_nb.errors import StoreError
from beluga_nb.hints import Surface, on
from beluga_nb.magics.shown import display, print_text, shown
from beluga_nb.session.default import default
from beluga_nb.terminal.actions import Findings
from beluga_nb.text import plural

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from beluga_nb.result import Result
    from beluga_nb.session.session import Session


def run(shell: InteractiveShell, call: CommandCall) -> object:
    """Do what a command asks for, show it, and return it if it is a value to go on with."""
    value = function(COMMANDS[call.name].run)(default, call)
    if call.output:
        shell.user_ns[call.output] = value
    match value:
        case None:
            return None
        case str():
            print_text(on(value, Surface.MAGIC))
        case dict():
            display(value, raw=True)
        case Findings():
            display(value.report, raw=True)
            if value.problems:
                found = f"{call.name} found {plural(value.problems, 'problem')}, listed above."
                raise StoreError(found, "Nothing was changed.")
        case _:
            return shown(value)
    return None


def open_picture(session: Session, call: CommandCall) -> Result:
    """Return a saved picture, and put the cell that asks for it below this one."""
    from beluga_nb.show.lightbox import cell_of  # Lazy import: no other cell reads recipes from files.

    result = session.open(*call.words)
    shell = IPython.get_ipython()
    shell.set_next_input(cell_of(result))
    return result
