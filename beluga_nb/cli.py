"""Looking after the store from a terminal, in CI, before a commit: `python -m beluga_nb verify` and such."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from typing import TextIO

from beluga_nb.arguments import USAGE_ERROR, Parser, is_whole
from beluga_nb.errors import BelugaError, NotConfirmedError
from beluga_nb.redaction import redact
from beluga_nb.session import Session, default
from beluga_nb.show.history import history_text

PROGRAM = "python -m beluga_nb"

FINE, PROBLEMS, FAILED, INTERRUPTED = 0, 1, USAGE_ERROR, 130
"""Exit statuses: all well; something is wrong, or was not confirmed; nothing could be done; Ctrl-C."""

Run = Callable[[Session, argparse.Namespace], int]


def parser() -> argparse.ArgumentParser:
    """Return the command line of what looks after the store."""
    words = Parser(prog=PROGRAM, allow_abbrev=False)
    commands = words.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Run, about: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, description=about, allow_abbrev=False)
        added.set_defaults(run=run)
        return added

    verify = command("verify", _verify, "Check that recordings are whole; exit status 1 where one is not.")
    verify.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="what it shows must be recorded")

    weight = command("weight", _weight, "Say what the pictures in notebooks weigh.")
    weight.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="all of the folder unless given")

    history = command("history", _history, "List what is recorded, the newest first.")
    history.add_argument("text", nargs="?", default="", metavar="TEXT", help="only prompts with this text")
    history.add_argument("--model", metavar="ID", help="only this model")
    history.add_argument("--since", metavar="DATE", help="from this day on, as in 2026-11-22 (UTC)")
    history.add_argument("--until", metavar="DATE", help="up to this day")
    history.add_argument("--limit", type=_count, default=50, metavar="N", help="at most so many; default 50")

    forget = command(
        "forget", _forget, "Remove recordings: those that all of this is true of. Asks first, unless --yes."
    )
    forget.add_argument("runs", nargs="*", metavar="RUN", help="of this name; history lists them")
    forget.add_argument("--older", metavar="AGE", help="older than this, as in 90d or 12w")
    forget.add_argument("--prompt", metavar="TEXT", help="with this text in the prompt")
    forget.add_argument("--all", action="store_true", help="everything that is recorded")
    forget.add_argument("--yes", action="store_true", help="do not ask")

    pack = command("pack", _pack, "Write a notebook and the recordings that it needs to one zip.")
    pack.add_argument("notebook", metavar="NOTEBOOK")
    pack.add_argument("-o", "--output", metavar="FILE", help="the zip; beside the notebook unless given")

    unpack = command(
        "unpack", _unpack, "Bring a packed notebook and its recordings back, every byte checked."
    )
    unpack.add_argument("file", metavar="FILE")
    unpack.add_argument("--into", default=".", metavar="FOLDER", help="the current folder unless given")
    return words


def _count(text: str) -> int:
    if not (is_whole(text, 1)):
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 1 on")
    return int(text)


def main(words: Sequence[str], *, session: Session = default) -> int:
    """Run a command and return its exit status; an error is two lines on stderr."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a prompt may hold what the terminal cannot show
    said = parser().parse_args(words)
    try:
        session.watch()
        run: Run = said.run
        return run(session, said)
    except BelugaError as error:
        _say(f"{PROGRAM} {words[0]}: {error}", file=sys.stderr)
        return PROBLEMS if isinstance(error, NotConfirmedError) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _say(words: object, *, file: TextIO | None = None) -> None:
    print(redact(str(words)), file=file)


def _verify(session: Session, said: argparse.Namespace) -> int:
    reports = session.verify(*said.notebooks)
    _say("\n".join(map(str, reports)))
    return FINE if all(report.fine for report in reports) else PROBLEMS


def _weight(session: Session, said: argparse.Namespace) -> int:
    _say("\n".join(map(str, session.weight(*said.notebooks))) or "There is no notebook in this folder.")
    return FINE


def _history(session: Session, said: argparse.Namespace) -> int:
    found = session.history(said.text, model=said.model, since=said.since, until=said.until, limit=said.limit)
    _say(history_text(found.runs, more=found.more, all=found.all))
    return FINE


def _forget(session: Session, said: argparse.Namespace) -> int:
    _say(session.forget(*said.runs, older=said.older, prompt=said.prompt, everything=said.all, yes=said.yes))
    return FINE


def _pack(session: Session, said: argparse.Namespace) -> int:
    _say(session.pack(said.notebook, to=said.output))
    return FINE


def _unpack(session: Session, said: argparse.Namespace) -> int:
    _say(session.unpack(said.file, into=said.into))
    return FINE
