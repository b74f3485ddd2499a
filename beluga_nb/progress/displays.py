"""Where progress is drawn: in a terminal, in the log of a kernel, or below a cell of a notebook."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import unicodedata
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import accumulate
from typing import TYPE_CHECKING

from beluga_nb.console import LISTENER
from beluga_nb.progress.line import ProgressDisplay
from beluga_nb.redaction import redact

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_BLOCKS = " ▏▎▍▌▋▊▉█"
_WIDTH = 10  # characters of the bar


class TerminalDisplay:
    """Draws over the last line of a terminal, on stderr."""

    interval = 0.5

    def is_free(self) -> bool:
        """Whether it may draw: always, since it draws and erases its own line only."""
        return True

    def draw(self, text: str, share: float | None) -> None:
        """Show the text, behind a bar where a part is done."""
        line = text if share is None else f"{bar(share, _blocks(sys.stderr.encoding))} {text}"
        # A line that wraps could not be drawn over.
        print(f"\r\x1b[K{_cut(redact(line), _columns() - 1)}", end="", file=sys.stderr, flush=True)

    def erase(self, *, replaced: bool) -> None:  # noqa: ARG002  as displays are called
        """Leave the line as it was."""
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def beside(self, printed: str) -> AbstractContextManager[None]:  # noqa: ARG002  as displays are called
        """Leave what is printed above the line."""
        return nullcontext()


def _columns() -> int:
    """Return how wide the terminal is that stderr goes to; stdout may go elsewhere."""
    with suppress(OSError, ValueError, AttributeError):  # It is none, though it says so.
        if columns := os.get_terminal_size(sys.stderr.fileno()).columns:
            return columns
    return shutil.get_terminal_size().columns


def _cut(line: str, columns: int) -> str:
    """Return as much of a line as fits.

    >>> _cut("a 鲸 b", 4), _cut("a 鲸 b", 3)
    ('a 鲸', 'a ')
    """
    ends = accumulate(2 if unicodedata.east_asian_width(each) in "FW" else 1 for each in line)
    return "".join(each for each, end in zip(line, ends, strict=True) if end <= columns)


def bar(share: float, blocks: str = _BLOCKS) -> str:
    """Return a bar of text.

    >>> bar(0.25), bar(0.25, " #")
    ('|██▌       |', '|##        |')
    """
    steps = len(blocks) - 1
    whole, rest = divmod(int(share * _WIDTH * steps), steps)
    return f"|{(blocks[-1] * whole + (blocks[rest] if rest else '')).ljust(_WIDTH)}|"


def _blocks(encoding: str | None) -> str:
    try:
        _BLOCKS.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return " #"
    return _BLOCKS


class LogDisplay:
    """Writes a line now and then where a kernel's own log goes: below nbclient and papermill, to stderr.

    What the kernel itself prints would become an output of the notebook.
    """

    interval = 10.0

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def is_free(self) -> bool:
        """Whether it may draw: always."""
        return True

    def draw(self, text: str, share: float | None) -> None:  # noqa: ARG002  A log shows no bar.
        """Write the text as a line."""
        with suppress(OSError):  # the log is closed, or its disk is full
            os.write(self._descriptor, f"{redact(text)}\n".encode())

    def erase(self, *, replaced: bool) -> None:
        """Leave what was written."""

    def beside(self, printed: str) -> AbstractContextManager[None]:  # noqa: ARG002  as displays are called
        """Leave what is printed where it goes."""
        return nullcontext()


def display_here(
    display_in_cell: Callable[[InteractiveShell], ProgressDisplay | None],
) -> ProgressDisplay | None:
    """Return what draws progress for a call on this thread, or None where it would not be seen.

    `display_in_cell` gives the display for a cell of a notebook.
    """
    # A panel shows its own progress. Lines of several threads would be drawn over one another.
    if LISTENER.get() or threading.current_thread() is not threading.main_thread():
        return None
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    parent = getattr(shell, "get_parent", None)  # Only a kernel's shell has this: the request it executes.
    if shell is None or parent is None:
        return TerminalDisplay() if sys.stderr and sys.stderr.isatty() else None
    content = parent().get("content", {})
    if content.get("allow_stdin"):
        return display_in_cell(shell)
    # nbclient and such execute notebooks unattended, and do not allow input. The message of a click, which
    # has no cell, does not mention it.
    return _in_log() if "code" in content else None


def _in_log() -> LogDisplay | None:
    # In a kernel this is the stderr of its process, where its log goes, and not what its cells print to.
    with suppress(OSError, ValueError, AttributeError):  # there is none
        return LogDisplay(sys.stderr.fileno())
    return None
