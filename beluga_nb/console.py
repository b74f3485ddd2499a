"""Messages to the user at the notebook or terminal, and questions, in the words of a surface."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

from beluga_nb.errors import BelugaError, NotConfirmedError
from beluga_nb.hints import Surface, on
from beluga_nb.redaction import redact

AROUND_OUTPUT: ContextVar[Callable[[str], AbstractContextManager[None]]] = ContextVar(
    "AROUND_OUTPUT", default=lambda _: nullcontext()
)
"""Is entered around each message, with its text, and around each question, with "": progress makes room."""

LISTENER: ContextVar[Callable[[str], None] | None] = ContextVar("LISTENER", default=None)
"""Gets the messages of a call instead of the notebook: a panel has no cell to print in."""

_SURFACE: ContextVar[Surface] = ContextVar("_SURFACE", default=Surface.PYTHON)


@contextmanager
def shown_on(surface: Surface) -> Iterator[None]:
    """Write the messages of the block, and the errors that leave it, in the words of a surface."""
    token = _SURFACE.set(surface)
    try:
        yield
    except BelugaError as error:
        # Kept on the error: a notebook renders it when this block is over.
        error.surface = surface
        raise
    finally:
        _SURFACE.reset(token)


def surface() -> Surface:
    """Return the surface whose words are used now."""
    return _SURFACE.get()


def tell(words: str) -> None:
    """Print something for the user at the notebook or terminal."""
    words = redact(on(words, _SURFACE.get()))
    if listener := LISTENER.get():
        listener(words)
        return
    # In a notebook stderr looks like an alarm; in a script stdout belongs to the script.
    with AROUND_OUTPUT.get()(words):
        print(words, file=sys.stdout if "ipykernel" in sys.modules else sys.stderr)


def ask(question: str) -> bool | None:
    """Return the answer to a yes-or-no question, or None where the user cannot be asked."""
    # A panel has nowhere to ask, and a script without a terminal would wait for ever.
    if LISTENER.get() or not ("ipykernel" in sys.modules or (sys.stdin and sys.stdin.isatty())):
        return None
    try:
        with AROUND_OUTPUT.get()(""):
            return input(f"{redact(question)} [y/N] ").strip().lower() in {"y", "yes"}
    except (EOFError, NotImplementedError):  # A kernel whose client allows no input raises the latter.
        return None


def ask_hidden(question: str) -> str | None:
    """Return what is typed unseen, or None where nothing can be typed."""
    if not ("ipykernel" in sys.modules or (sys.stdin and sys.stdin.isatty())):
        return None  # Without a terminal getpass would show what is typed.
    try:
        return getpass.getpass(question)
    except UnicodeDecodeError as error:
        # What was typed is no UTF-8; it may still be a key, whose check gives a better message.
        return error.object.decode("utf-8", "surrogateescape")
    except (EOFError, NotImplementedError):
        return None


def cannot_ask(what: str, hint: str) -> NotConfirmedError:
    """Return the error for what needs a yes where the user cannot be asked."""
    return NotConfirmedError(f"{what}, and this environment cannot ask for confirmation.", hint)


def check_yes(answer: bool | None, *, unasked: str, declined: str) -> None:
    """Raise `NotConfirmedError` unless the answer is yes; None: the user could not be asked."""
    if answer is None:
        # No hint names an option that skips a question about money.
        advice = "Ask for fewer at a time, or run it where you can be asked."
        raise cannot_ask(unasked, f"Nothing was sent. {advice}")
    if not answer:
        raise NotConfirmedError(declined, "Nothing was sent.")
