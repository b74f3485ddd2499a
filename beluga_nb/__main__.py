"""The command line: `python -m beluga_nb`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from beluga_nb.commands.arguments import USAGE_ERROR
from beluga_nb.commands.table import commands_on, function
from beluga_nb.commands.usage import PROGRAM, terminal_usage
from beluga_nb.hints import Surface

if TYPE_CHECKING:
    from beluga_nb.result import Engine


def main(words: Sequence[str]) -> int:
    """Run the command and return its exit status; 2 for a command that does not exist."""
    if not words or words[0] in {"-h", "--help"}:
        print(terminal_usage())
        return 0
    name, *rest = words
    commands = commands_on(Surface.TERMINAL)
    if name not in commands:
        print(f"{PROGRAM}: no command '{name}'; available: {', '.join(commands)}", file=sys.stderr)
        return USAGE_ERROR
    if program := commands[name].program:
        status: int = function(program)(rest)
        return status
    from beluga_nb.terminal.cli import main  # Lazy import: a server needs no session.

    return main([name, *rest])


def serve(words: Sequence[str]) -> int:
    """Serve the image API until Ctrl-C."""
    from beluga_nb.server.serve import main

    return main(words, connect=_connect)


def _connect(url: str) -> Engine:
    # The client and the server side meet only here: neither imports the other.
    from beluga_nb.engines.upstream import upstream

    return upstream(url, os.environ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
