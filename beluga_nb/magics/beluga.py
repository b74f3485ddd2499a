"""The magic itself: parse, call, show; decisions live elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from beluga_nb.commands.table import CommandCall
from beluga_nb.console import shown_on
from beluga_nb.engines.call import Tally
from beluga_nb.errors import BelugaError
from beluga_nb.hints import Surface
from beluga_nb.magics.parse import Comparison, Help, Prompt, Values, parse
from beluga_nb.magics.shown import display, shown, silent
from beluga_nb.magics.typed import check_no_key
from beluga_nb.placeholders import filled
from beluga_nb.result import IncompleteError, Result
from beluga_nb.session.default import default

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def answer(shell: InteractiveShell, line: str, cell: str | None, local_ns: Mapping[str, object]) -> object:
    """Do what a line or cell asks for; return what it gives, which IPython shows if it is the last line."""
    with shown_on(Surface.MAGIC):
        # First: an error of the parser would quote the line.
        check_no_key(shell, line, cell)
        values = {**shell.user_ns, **local_ns}
        call = parse(line, cell, fill=lambda text: filled(text, values))
        match call:
            case Help():
                from beluga_nb.show.cheatsheet import help_bundle  # Lazy import: few cells show it.

                display(help_bundle(call.command), raw=True)
                return None
            case CommandCall():
                from beluga_nb.magics.commands import run  # Lazy import: a picture needs none of it.

                return run(shell, call)
        try:
            return _answered(shell, call, values)
        except BelugaError as error:
            error.traced = call.debug
            raise


def _answered(shell: InteractiveShell, call: Prompt | Comparison, values: Mapping[str, object]) -> object:
    if isinstance(call, Comparison):
        from beluga_nb.magics.comparing import compared  # Lazy import, for the same reason.

        return compared(shell, call, values)
    return _generated(shell, call, None if call.raw else values)


def _generated(shell: InteractiveShell, call: Prompt, values: Mapping[str, object] | None) -> Result | None:
    if call.dry_run:
        display(default.plan(call.prompt, values=values, **_planned(call.options)))
        return None
    try:
        tally = Tally(shows_result=not call.quiet)
        result = default.generate(call.prompt, values=values, tally=tally, **call.options)
    except IncompleteError as error:
        # What arrived was paid for: it is bound and shown before the error is.
        _keep(shell, call, error.result)
        if not call.quiet:
            display(error.result)
        raise
    _keep(shell, call, result)
    return silent(result) if call.quiet else shown(result)


def _keep(shell: InteractiveShell, call: Prompt, result: Result) -> None:
    if call.output:
        shell.user_ns[call.output] = result


def _planned(options: Values) -> Values:
    # A plan sends nothing, so there is nothing to confirm.
    return {name: value for name, value in options.items() if name != "assume_yes"}
