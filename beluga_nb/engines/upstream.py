"""The engine of a server that passes requests on: `python -m beluga_nb serve --upstream URL`."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from beluga_nb.api.endpoint import Endpoint
from beluga_nb.api.polled import Polled
from beluga_nb.config import keys
from beluga_nb.config.settings import LOOPBACK, checked_base_url
from beluga_nb.errors import APIStatusError, EngineError
from beluga_nb.redaction import Environment, Secret
from beluga_nb.request import Request
from beluga_nb.result import Engine, Result

VARIABLE = "BELUGA_UPSTREAM_KEY"

UPSTREAM_TIMEOUT = 290.0
"""Seconds for a whole picture: less than the 300 of the server's own jobs, whose error would name no task."""


def upstream(url: str, environ: Mapping[str, str]) -> Engine:
    """Return the engine behind the base URL of a service that is polled.

    Its key comes from BELUGA_UPSTREAM_KEY. Only polls are sent again from here: the caller gets the error,
    and decides. Raises `SettingsError` for a URL or a key that is unusable.
    """
    environ = Environment(environ)  # which a traceback with the variables of its frames does not show
    base_url = checked_base_url(url)
    host = str(urlsplit(base_url).hostname)
    secret = Secret(environ.get(VARIABLE, ""), VARIABLE)
    endpoint = Endpoint(
        base_url=base_url,
        provider=host,
        key=keys.checked(secret) if secret else None,
        response_format="url",
        extensions=host in LOOPBACK,  # there, it may be our own server
        timeout=UPSTREAM_TIMEOUT,
    )
    return HidesUpstreamAuth(Polled(endpoint), host)


class HidesUpstreamAuth:
    """Map 401 and 403 of the service to 502: the key that it refuses is this server's, not the caller's."""

    def __init__(self, engine: Engine, host: str) -> None:
        self.engine = engine
        self.host = host

    async def __call__(self, request: Request) -> Result:
        try:
            return await self.engine(request)
        except APIStatusError as error:
            if error.status not in {401, 403}:
                raise
            raise EngineError(
                f"{self.host} refuses this server's {VARIABLE}: {error.message}", status=502
            ) from error
