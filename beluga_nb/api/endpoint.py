"""Where requests go, and how."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, replace
from typing import Any

from beluga_nb.api.dialects import BELUGA, Dialect
from beluga_nb.redaction import Secret
from beluga_nb.request import Request

Sleep = Callable[[float], Awaitable[None]]

Message = MutableMapping[str, Any]
App = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
"""An ASGI application, as the ASGI specification types it."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An OpenAI-compatible base URL and what belongs to it; times in seconds.

    `provider` is its name in results and recordings. `extensions` sends the take and the sample number
    too, which our own server understands and others ignore. `dialect` is what it expects, and `prefix` is
    what the names of its models begin with here, and not there.
    """

    base_url: str
    provider: str
    key: Secret | None = None
    response_format: str = "b64_json"
    extensions: bool = False
    timeout: float = 330.0
    connect_timeout: float = 10.0
    dialect: Dialect = BELUGA
    prefix: str = ""

    def body(self, request: Request) -> dict[str, object]:
        """Return what is posted for a request."""
        there = replace(request, model=request.model.removeprefix(self.prefix))
        return self.dialect.body(there, response_format=self.response_format, extensions=self.extensions)

    def content(self, request: Request) -> bytes:
        """Return the body as the bytes that are sent."""
        body = json.dumps(self.body(request), ensure_ascii=False, separators=(",", ":"))
        return body.encode()

    def digest(self, request: Request) -> str:
        """Return the SHA-256 of these bytes: to the service, two calls with one digest are the same."""
        return hashlib.sha256(self.content(request)).hexdigest()
