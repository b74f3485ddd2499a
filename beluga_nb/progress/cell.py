"""Progress below a cell of a notebook: a bar, and frames that fill with pictures; erased when the call ends.

They are erased so that a saved notebook equals its replay. Only `clear_output` removes an output, and it
removes all of a cell's. So messages of beluga_nb are printed again after it. Where a cell shows anything
else, nothing new is drawn; a bar that is there already is only updated.
"""

from __future__ import annotations

import inspect
import linecache
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from beluga_nb.caller import caller
from beluga_nb.redaction import redact
from beluga_nb.show.waiting import bar_html

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.display import DisplayHandle

_IMPORTS = ("import ", "from ")


class CellDisplay:
    """Draws below the cell that is running.

    The bar comes first, where it is seen however many pictures there are. `frames` returns HTML that stands
    below it, in place of what it returned before; `arrivals` returns HTML that is added at the end.
    """

    interval = 0.5

    def __init__(
        self,
        shell: InteractiveShell,
        *,
        frames: Callable[[], str] | None = None,
        arrivals: Callable[[], str] | None = None,
    ) -> None:
        self._outputs = Outputs.of(shell)
        self._frames = frames
        self._arrivals = arrivals
        self._shown: dict[str, tuple[DisplayHandle, str]] = {}

    def is_free(self) -> bool:
        """Whether the cell shows only output of this module, or still has what was drawn."""
        return self._outputs is not None and (self._outputs.are_none() or bool(self._shown))

    def draw(self, text: str, share: float | None) -> None:
        """Show the frames and the bar in place of those before, and what has arrived since."""
        if self._outputs is None:
            return
        if not self._outputs.are_none():  # An engine of the user's has printed something.
            self._show("bar", text, bar_html(text, share))
            return
        try:
            self._show("bar", text, bar_html(text, share))
            if self._frames:
                self._show("frames", "", self._frames())
            if self._arrivals and (html := self._arrivals()):
                self._show(f"arrivals {len(self._shown)}", text, html)
        finally:  # An interrupt may come after a message was sent.
            self._outputs.disregard()

    def _show(self, place: str, text: str, html: str) -> None:
        from IPython.display import DisplayHandle  # Lazy import: only a kernel has it.

        html = redact(html)
        if not html:
            return
        handle, before = self._shown.get(place) or (DisplayHandle(), "")  # type: ignore[no-untyped-call]
        if html == before:
            return
        bundle = {"text/plain": redact(text), "text/html": html}
        show = handle.update if place in self._shown else handle.display
        show(bundle, raw=True)  # type: ignore[no-untyped-call]  # IPython's own
        self._shown[place] = handle, html

    def erase(self, *, replaced: bool) -> None:
        """Leave no output; what is `replaced` goes away when the next output comes, so that nothing jumps."""
        from IPython.display import clear_output

        if self._outputs and self._outputs.are_none():
            printed = self._outputs.printed
            clear_output(wait=replaced or bool(printed))  # type: ignore[no-untyped-call]
            for words in printed:
                print(words)
            self._outputs.disregard()
        else:  # Something was shown meanwhile, such as by a thread of the user's, and must stay.
            for handle, _ in self._shown.values():
                handle.update({}, raw=True)  # type: ignore[no-untyped-call]
        self._shown = {}

    @contextmanager
    def beside(self, printed: str) -> Iterator[None]:
        """Remember what is printed in the block, so that it can be printed again.

        A question, with an empty text, is not printed again: a replay does not ask it.
        """
        was_alone = self._outputs is not None and self._outputs.are_none()
        yield
        if self._outputs and was_alone and not self._outputs.are_none():
            self._outputs.printed += [printed] if printed else []
            self._outputs.disregard()


class Outputs:
    """Tells whether a cell has shown anything, by the number of messages that its kernel has sent."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = weakref.proxy(shell)
        self._cell = ""
        self._sent = -1
        self.printed: list[str] = []  # messages of beluga_nb below the running cell
        shell.events.register("pre_run_cell", self._begin)

    @staticmethod
    def of(shell: InteractiveShell) -> Outputs | None:
        """Return the outputs of the running cell; None where they are captured."""
        if not hasattr(getattr(shell.display_pub, "session", None), "message_count"):
            return None
        if shell not in _OUTPUTS:
            _OUTPUTS[shell] = Outputs(shell)
            # This cell began before its messages were counted.
            if _comes_first(caller(inspect.currentframe())) and not _has_printed(shell):
                _OUTPUTS[shell]._begin()
        return _OUTPUTS[shell]

    def _begin(self, _: object = None) -> None:
        # A cell may run others, as `%%time` does, and have shown something before.
        if (cell := self._running()) != self._cell:
            self._cell = cell
            self.printed = []
            self._sent = self._count()

    def are_none(self) -> bool:
        """Whether the running cell has shown nothing, apart from what is disregarded."""
        return self._cell == self._running() and self._sent == self._count()

    def disregard(self) -> None:
        """Disregard what the cell has shown so far."""
        self._sent = self._count()

    def _running(self) -> str:
        return str(self._shell.get_parent()["header"]["msg_id"])

    def _count(self) -> int:
        for stream in (sys.stdout, sys.stderr):  # What is printed is sent later.
            stream.flush()
        return int(self._shell.display_pub.session.message_count)


_OUTPUTS: weakref.WeakKeyDictionary[Any, Outputs] = weakref.WeakKeyDictionary()


def forget(shell: InteractiveShell) -> None:
    """Count the messages of a shell's cells no longer."""
    if outputs := _OUTPUTS.pop(shell, None):
        shell.events.unregister("pre_run_cell", outputs._begin)


def _comes_first(frame: FrameType | None) -> bool:
    """Whether only comments and imports stand before a line of a cell."""
    if frame is None or not frame.f_code.co_name.startswith(("<module>", "<cell line:")):
        return False
    before = linecache.getlines(frame.f_code.co_filename)[: frame.f_lineno - 1]
    return all(not line.strip() or line.startswith(("#", *_IMPORTS)) for line in before)


def _has_printed(shell: InteractiveShell) -> bool:
    """Whether the running cell has printed something, such as a warning of an import."""
    # Before IPython 9 this is not known. What is printed has the number from before the cell was counted.
    printed: dict[int, Sequence[object]] = getattr(shell.history_manager, "outputs", {})
    return any(printed.get(shell.execution_count - back) for back in (0, 1))
