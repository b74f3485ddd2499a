"""A Stop in two lines, in place of a traceback."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from beluga_nb.errors import bold, is_coloured
from beluga_nb.redaction import redact

Left = Callable[[], Sequence[str]]
"""Returns two lines on what a Stop leaves behind."""


def explain(stop: KeyboardInterrupt | CancelledError, left: Left) -> None:
    """Let IPython show a stop as the lines that `left` returns, unless an inner call has explained it.

    The class stays as it is. Only `KeyboardInterrupt` itself ends a script with the status that shells know,
    and before Python 3.13 `asyncio.timeout` recognises only `CancelledError` itself. The lines become the
    message of an interrupt. A cancellation has no message, and gets its lines when it is shown.
    """
    if hasattr(stop, "_render_traceback_"):
        return
    shown = _Shown(type(stop).__name__, left)
    if isinstance(stop, KeyboardInterrupt):
        first, *more = lines = [*map(redact, left())]
        shown = _Shown(type(stop).__name__, partial(list, lines))
        stop.args = (first,)
        for words in more:
            stop.add_note(words)
        stop.__suppress_context__ = True
    # IPython shows this in place of the traceback.
    stop._render_traceback_ = shown  # type: ignore[union-attr]


@contextmanager
def explained(left: Left) -> Iterator[None]:
    """Explain an interrupt of the block, or of the function that this decorates."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        explain(interrupt, left)
        raise


@dataclass(frozen=True)
class _Shown:
    name: str
    left: Left

    def __call__(self) -> list[str]:
        first, *more = map(redact, self.left())
        title = f"{self.name}: {first}"
        return [bold(title) if is_coloured() else title, *more]

    def __reduce__(self) -> tuple[object, ...]:
        # A copy in another process has the lines, and not the call that they are about.
        return _Shown, (self.name, partial(list, [*self.left()]))


showing = explained(lambda: ("stopped while showing; nothing is lost.", "Show it again."))
"""Explains an interrupt of the function that makes what a notebook shows."""
