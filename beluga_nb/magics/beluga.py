"""The magic itself: parse, call, show; decisions live elsewhere."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from beluga_nb.call import Tally
from beluga_nb.compare.template import filled
from beluga_nb.errors import BelugaError
from beluga_nb.magics.grammar import help_text
from beluga_nb.magics.parse import Call, Options, parse
from beluga_nb.magics.progress import progress
from beluga_nb.magics.shown import display, kept, say, shown, silent
from beluga_nb.magics.typed import check_no_key
from beluga_nb.result import IncompleteError, Result
from beluga_nb.session import default

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def answer(shell: InteractiveShell, line: str, cell: str | None, local_ns: Mapping[str, object]) -> object:
    """Do what a line or cell asks for; return what it gives, which IPython shows if it is the last line."""
    check_no_key(shell, line, cell)
    values = {**shell.user_ns, **local_ns}
    call = parse(line, cell, fill=lambda text: filled(text, values))
    if call.help:
        say(help_text())
        return None
    if call.prompts:
        from beluga_nb.magics.comparing import compared  # in its place, as below

        return _traced(call, lambda: compared(shell, call, values))
    if call.command is not None:
        from beluga_nb.magics.commands import run  # in its place: a picture waits for none of it

        return run(shell, call)
    return _traced(call, lambda: _generated(shell, call, None if call.raw else values))


def _traced(call: Call, answered: Callable[[], object]) -> object:
    try:
        return answered()
    except BelugaError as error:
        error.traced = call.debug
        raise


def _generated(shell: InteractiveShell, call: Call, values: Mapping[str, object] | None) -> Result | None:
    if call.dry_run:
        say(default.plan(call.prompt, values=values, **_planned(call.options)))
        return None
    model = call.options.get("model") or default.settings().model
    try:
        tally = Tally()
        with progress(shell, model, inspect.currentframe(), tally) as beat:
            result = default.submit(call.prompt, values=values, tally=tally, **call.options).result(beat)
    except IncompleteError as error:
        kept(call, error.result, shell.user_ns)
        if not call.quiet:
            display(error.result)
        raise
    kept(call, result, shell.user_ns)
    return silent(result) if call.quiet else shown(result)


def _planned(options: Options) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "assume_yes"}
