"""Log our requests: method and address without its query, by the logger `beluga_nb`.

The libraries below log more: httpx whole addresses at INFO, where a query may be a signature, and httpcore
the headers of answers at DEBUG, where a server may repeat the key (S07). While one of our requests is on its
way, their lines about it are dropped; those about other requests stay.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from beluga_nb.redaction import redact_record

LIBRARIES = (
    "httpx",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "httpcore.socks",
)

_log = logging.getLogger("beluga_nb")
_ours: ContextVar[bool] = ContextVar("ours", default=False)


def _not_ours(_: logging.LogRecord) -> bool:
    return not _ours.get()


@contextmanager
def quiet_http_logs(method: str, where: str) -> Iterator[None]:
    """Drop the libraries' log lines about one of our requests, and log one line of our own."""
    for name in LIBRARIES:
        logging.getLogger(name).addFilter(_not_ours)  # adding a filter twice has no effect
    _log.addFilter(redact_record)
    _log.debug("%s %s", method, where)
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)
