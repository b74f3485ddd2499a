"""Where requests go, and how."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import NamedTuple

from beluga_nb.api.dialects import BELUGA, Dialect
from beluga_nb.redaction import Secret
from beluga_nb.request import Request

Sleep = Callable[[float], Awaitable[None]]


class TimeLimits(NamedTuple):
    """How long a call may take, and connecting; in seconds."""

    timeout: float
    connect_timeout: float


TIME_LIMITS: ContextVar[TimeLimits | None] = ContextVar("TIME_LIMITS", default=None)
"""The limits of the call under way, where it has its own; calls with other limits share a connection."""


def timeout(default: float) -> float:
    """Return how long the call that is under way may take."""
    limits = TIME_LIMITS.get()
    return default if limits is None else limits.timeout


DEADLINE: ContextVar[float] = ContextVar("DEADLINE", default=math.inf)
"""When the whole call must have ended, on the running loop's clock, however often it is tried."""


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

    @property
    def limits(self) -> TimeLimits:
        """The limits of the call under way: its own, or else those of this endpoint."""
        return TIME_LIMITS.get() or TimeLimits(self.timeout, self.connect_timeout)

    @property
    def connection(self) -> Endpoint:
        """This endpoint without time limits, which need no connection of their own."""
        return replace(self, timeout=math.inf, connect_timeout=math.inf)

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
