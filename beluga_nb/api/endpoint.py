"""Where requests go, and how."""

from __future__ import annotations

import math
from contextvars import ContextVar
from dataclasses import dataclass

from beluga_nb.api.keys import Secret

DEADLINE: ContextVar[float] = ContextVar("DEADLINE", default=math.inf)
"""When the whole call must have ended, on the running loop's clock, however often it is tried."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An OpenAI-compatible base URL and what belongs to it; times in seconds.

    `provider` is its name in results and recordings. `extensions` sends the take and the sample number
    too, which our own server understands and others ignore.
    """

    base_url: str
    provider: str
    key: Secret | None = None
    response_format: str = "b64_json"
    extensions: bool = False
    timeout: float = 330.0
    connect_timeout: float = 10.0
