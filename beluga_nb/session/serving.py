"""The server of a session: the image API as a process of its own, at most one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_nb.config.preferences import check_no_engine
from beluga_nb.config.settings import Settings
from beluga_nb.errors import RequestError
from beluga_nb.hints import Hint, Remedy

if TYPE_CHECKING:
    from beluga_nb.server.child import Server


class Serving:
    """Starts a server, and ends it."""

    def __init__(self) -> None:
        self._server: Server | None = None

    def start(self, settings: Settings, *, port: int | None) -> Server:
        """Return the running server, or a new one; see `Session.serve`."""
        check_no_engine(settings, "a server: that is a process of its own, which has no such engine")
        from beluga_nb.server.child import Server  # Lazy import: few sessions serve.

        if self._server is None or not self._server.running:
            self._server = Server.start(port=port or 0, faults=settings.faults)
        elif port not in {None, 0, self._server.port}:
            raise RequestError(
                f"The server runs already, on {self._server.url}.",
                Hint("Stop it first: ", Remedy("stop serving")),
            )
        return self._server

    def stop(self) -> bool:
        """End the server; return whether one was running."""
        server, self._server = self._server, None
        if server is None or not server.running:
            return False
        server.stop()
        return True
