"""Jobs of the panel: they run on the I/O thread, and report what fails in the state."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from beluga_nb.console import LISTENER, shown_on
from beluga_nb.errors import BelugaError
from beluga_nb.hints import Surface, on
from beluga_nb.runtime import Job
from beluga_nb.session.session import Session
from beluga_nb.text import sanitize
from beluga_nb.widgets.state import State

Task = Callable[[], Coroutine[Any, Any, None]]

DEBOUNCE = 0.15
"""Seconds without another change before the form or the history is evaluated."""


def in_a_line(error: BelugaError) -> str:
    """Return what happened and what to do in one line, in the words of the panel."""
    return sanitize(f"{error.message} {on(error.hint, Surface.PANEL)}".strip())


class Jobs:
    """Starts jobs of a session; messages and errors go to the state, where a cell would print them."""

    def __init__(self, session: Session, state: State) -> None:
        self._session = session
        self._state = state
        self._newest: dict[str, Job[None]] = {}
        self._started: list[Job[None]] = []
        self.failure: Exception | None = None

    @property
    def running(self) -> list[Job[None]]:
        """The jobs that are running."""
        return [job for job in self._started if not job.done()]

    def start(self, work: Task, *, keep_error: bool = False) -> Job[None]:
        """Start a job; the error of the one before it is no longer shown, unless `keep_error`."""
        if not keep_error:
            self._state.error = ()
        job = self._session.resources.room.thread.submit(self._guarded(work))
        self._started = [*self.running, job]
        return job

    def restart(self, kind: str, work: Task) -> Job[None]:
        """Start a job of a kind, and cancel the older one, whose outcome is outdated."""
        if older := self._newest.get(kind):
            older.cancel()
        job = self._newest[kind] = self.start(work, keep_error=True)
        return job

    def show(self, error: BelugaError) -> None:
        """Show the lines of an error."""
        # First the badge: the view shows both when the lines change.
        self._state.billing = error.billing
        self._state.error = tuple(map(sanitize, error.lines(beside_badge=True)))

    async def _guarded(self, work: Task) -> None:
        LISTENER.set(self._show_message)
        try:
            with shown_on(Surface.PANEL):
                await work()
        except BelugaError as error:
            self.show(error)
        except Exception as error:
            # Nothing awaits the job, so an unexpected error would go unseen.
            self.show(BelugaError(f"{type(error).__name__} in the panel.", "panel.failure holds it."))
            self.failure = error

    def _show_message(self, words: str) -> None:
        self._state.message = sanitize(words)
