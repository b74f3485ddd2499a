"""What may reach the app through a real port: callers on this machine, and no web page.

Any page that a browser on this machine shows can send requests to 127.0.0.1, and with DNS rebinding it
can read the answers (S42 to S45). The app in process needs none of this.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

import beluga_nb.wire as wire

NAMES = ("127.0.0.1", "localhost", "[::1]")
"""The host names of this machine."""

HEAD_LIMIT = 16 * 1024
"""Bytes of a request's line and headers."""

Header = tuple[bytes, bytes]

_POLICY = b"default-src 'none'; sandbox"


class Guard:
    """Let requests through to the app that are for `port` on this machine and come from no other web page.

    Everything else is refused before the app sees it, whatever key it has. No answer has CORS headers,
    and none may be cached or sniffed, or do as a page what `policy` does not allow. `names` are those by
    which this machine is called.
    """

    def __init__(
        self, app: ASGIApp, *, port: int, names: Sequence[str] = NAMES, policy: bytes = _POLICY
    ) -> None:
        self.app = app
        self.hosts = {f"{name}:{port}".lower().encode() for name in names}
        if port == 80:  # clients leave it out
            self.hosts |= {name.lower().encode() for name in names}
        self.headers = {
            b"x-content-type-options": b"nosniff",
            b"content-security-policy": policy,
            b"cache-control": b"private, no-store",
            b"referrer-policy": b"no-referrer",
        }
        # A browser sends an Origin to the page's own server, too.
        self.origins = {b"http://" + host for host in self.hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [each for each in message.get("headers", ()) if each[0].lower() not in self.headers]
                message = {**message, "headers": [*kept, *self.headers.items()]}
            await send(message)

        why = self._refusal(scope)
        if why is None:
            await self.app(scope, receive, guarded)
        else:
            await _refuse(guarded, *why)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        if _head(scope) > HEAD_LIMIT:
            return 431, f"The headers are longer than {HEAD_LIMIT:,} bytes. Send less."
        hosts = _values(scope, b"host")
        if not hosts or not self.hosts.issuperset(hosts):
            return 403, "The Host header is not this server's own. Call it as 127.0.0.1 or localhost."
        # A preflight gets the app's 405, without CORS headers.
        if scope["method"] != "OPTIONS" and not self.origins.issuperset(_values(scope, b"origin")):
            return 403, "Web pages may not call this server: the Origin header is not its own."
        return None


def _head(scope: Scope) -> int:
    line = len(scope["raw_path"]) + len(scope["query_string"])
    return line + sum(len(name) + len(value) + 4 for name, value in scope["headers"])


def _values(scope: Scope, wanted: bytes) -> set[bytes]:
    return {value.lower() for name, value in scope["headers"] if name == wanted}


def refusal(status: int, message: str) -> tuple[list[Header], bytes]:
    """Return the headers and the body of a refusal."""
    body = json.dumps(wire.error_object(message, status=status)).encode()
    number = f"req_{secrets.token_hex(16)}".encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (wire.REQUEST_ID_HEADER.encode(), number),
    ]
    return headers, body


async def _refuse(send: Send, status: int, message: str) -> None:
    headers, body = refusal(status, message)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
