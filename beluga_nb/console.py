"""The person at the notebook or terminal: what they are told, and what they are asked."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from contextvars import ContextVar

from beluga_nb.errors import NotConfirmedError
from beluga_nb.redaction import redact

BEFORE_OUTPUT: ContextVar[Callable[[], None]] = ContextVar("BEFORE_OUTPUT", default=lambda: None)
"""What is done before a word is said or asked: a line of progress goes out of the way."""

LISTENER: ContextVar[Callable[[str], None] | None] = ContextVar("LISTENER", default=None)
"""Who hears, in place of the notebook, what a call says: a panel has no cell to say it in."""


def tell(words: str) -> None:
    """Say something to the person at the notebook or terminal."""
    words = redact(words)
    if listener := LISTENER.get():
        listener(words)
        return
    BEFORE_OUTPUT.get()()
    # In a notebook stderr looks like an alarm; in a script stdout belongs to the script.
    print(words, file=sys.stdout if "ipykernel" in sys.modules else sys.stderr)


def ask(question: str) -> bool | None:
    """Return the answer to a yes-or-no question, or None where nobody can answer."""
    BEFORE_OUTPUT.get()()
    if LISTENER.get() or not ("ipykernel" in sys.modules or (sys.stdin and sys.stdin.isatty())):
        return None
    try:
        return input(f"{redact(question)} [y/N] ").strip().lower() in {"y", "yes"}
    except (EOFError, NotImplementedError):  # a kernel that nobody types into raises the latter
        return None


def ask_hidden(question: str) -> str | None:
    """Return what is typed unseen, or None where nobody can type."""
    if not ("ipykernel" in sys.modules or (sys.stdin and sys.stdin.isatty())):
        return None  # where there is no terminal, getpass would show what is typed
    try:
        return getpass.getpass(question)
    except UnicodeDecodeError as error:  # which holds what was typed
        return error.object.decode("utf-8", "surrogateescape")
    except (EOFError, NotImplementedError):
        return None


def check_yes(answer: bool | None, *, unasked: str, declined: str, nothing: str) -> None:
    """Raise `NotConfirmedError` unless the answer is yes; None means that nobody could be asked."""
    if answer is None:
        raise NotConfirmedError(unasked, f"Say so in advance: --yes, or yes=True in Python. {nothing}")
    if not answer:
        raise NotConfirmedError(declined, nothing)
