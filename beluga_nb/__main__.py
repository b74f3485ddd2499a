"""The command line: `python -m beluga_nb lab` and `serve`, and what looks after the store."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from beluga_nb.result import Engine

CARE = ("verify", "weight", "history", "forget", "pack", "unpack")

USAGE = """\
usage: python -m beluga_nb COMMAND ...

  lab      JupyterLab on the quickstart, or another of the notebooks
  serve    the image API on this machine, for any OpenAI client
  verify   what is recorded is whole, and what notebooks show is recorded
  weight   what the pictures in notebooks weigh
  history  what is recorded, the newest first
  forget   remove recordings, until nothing of them is left in the store
  pack     a notebook and the recordings that it needs, as one zip
  unpack   … and back, every byte checked

  COMMAND --help says more"""


def main(words: Sequence[str]) -> int:
    """Run the command and return its exit status; 2 for a command that does not exist."""
    match words:
        case ["lab", *rest]:
            from beluga_nb.lab import main as lab

            return lab(rest)
        case ["serve", *rest]:
            from beluga_nb.server.serve import main as serve

            return serve(rest, connect=_connect)
        case [command, *rest] if command in CARE:
            from beluga_nb.cli import main as care

            return care([command, *rest])
        case [] | ["-h" | "--help"]:
            print(USAGE)
            return 0
        case [word, *_]:
            known = ", ".join(["lab", "serve", *CARE])
            print(f"python -m beluga_nb: no command '{word}'; there are: {known}", file=sys.stderr)
    return 2


def _connect(url: str) -> Engine:
    # The client side and the server side meet here; neither knows the other.
    from beluga_nb.engines.upstream import upstream
    from beluga_nb.server.jobs import advance

    return upstream(url, os.environ, advance=advance)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
