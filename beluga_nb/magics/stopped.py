"""Stop, in two lines: what has arrived, what may have been charged, and how to go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import beluga_nb.session.status as status
from beluga_nb.errors import BelugaError
from beluga_nb.redaction import redact
from beluga_nb.runtime import interrupts_stop
from beluga_nb.session.session import Session


class Stopped(KeyboardInterrupt):
    """A cell was stopped: a `KeyboardInterrupt` whose arguments IPython shows in place of a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [redact(line) for line in self.args]


@contextmanager
def stopped_in_two_lines(session: Session, *, mode: str | None) -> Iterator[None]:
    """Tell what a Stop in the block leaves behind, in place of the traceback."""
    try:
        with interrupts_stop():
            yield
    except KeyboardInterrupt:
        unfinished, kept = "", mode != "off"
        with suppress(BelugaError):  # A store that cannot be read hides no interrupt.
            settings = session.settings(mode=mode)
            kept = settings.mode != "off"
            unfinished = status.unfinished(session.resources, settings) if kept else ""
        raise Stopped(*_lines(kept=kept, unfinished=unfinished)) from None


def _lines(*, kept: bool, unfinished: str) -> list[str]:
    # Whether anything was requested is not known here: a call may have begun at the moment of the Stop.
    first = "what has arrived is kept" if kept else "nothing is kept in mode off"
    again = (
        "Run the cell again: only what is missing is requested."
        if kept
        else "A service may charge for what it had begun. Run the cell again to request it anew."
    )
    return [
        f"KeyboardInterrupt: stopped; {first}.",
        f"Unfinished: {unfinished}. {again}" if unfinished else again,
    ]
