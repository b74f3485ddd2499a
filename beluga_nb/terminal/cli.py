"""Commands in a terminal, in CI, before a commit: `python -m beluga_nb verify` and such."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import TextIO

from beluga_nb.commands.arguments import USAGE_ERROR
from beluga_nb.commands.table import COMMANDS, CommandCall, function
from beluga_nb.commands.usage import PROGRAM, parser
from beluga_nb.console import shown_on
from beluga_nb.errors import BelugaError, NotConfirmedError
from beluga_nb.hints import Surface, on
from beluga_nb.redaction import redact
from beluga_nb.session.default import default
from beluga_nb.session.session import Session
from beluga_nb.show.history import history_text
from beluga_nb.store.runs import History
from beluga_nb.terminal.actions import Findings

FINE, PROBLEMS, FAILED, INTERRUPTED = 0, 1, USAGE_ERROR, 130
"""Exit statuses: all well; something is wrong, or was not confirmed; nothing could be done; Ctrl-C."""


def main(words: Sequence[str], *, session: Session = default) -> int:
    """Run a command and return its exit status; an error is two lines on stderr."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A prompt may hold characters that the terminal cannot show.
        sys.stdout.reconfigure(errors="replace")
    name, *rest = words
    # Options that were not typed are left out: argparse has None or False for them.
    arguments = vars(parser(name).parse_args(rest))
    call = CommandCall(
        name,
        tuple(arguments.pop("words", ())),
        {each: value for each, value in arguments.items() if value not in (None, False)},
    )
    try:
        with shown_on(Surface.TERMINAL):
            session.resources.watch()
            value = function(COMMANDS[name].run)(session, call)
    except BelugaError as error:
        _print(f"{PROGRAM} {name}: {error}", file=sys.stderr)
        return PROBLEMS if isinstance(error, NotConfirmedError) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return _show(value)


def _show(value: object) -> int:
    match value:
        case Findings():
            _print(value.report["text/plain"])
            return PROBLEMS if value.problems else FINE
        case History():
            _print(history_text(value.runs, rest=value.rest))
        case str():
            _print(on(value, Surface.TERMINAL))
        case _:
            _print(value)
    return FINE


def _print(text: object, *, file: TextIO | None = None) -> None:
    print(redact(str(text)), file=file)
