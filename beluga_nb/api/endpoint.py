"""Where requests go, and how: an `Endpoint`, and how one is made from a server that `beluga.toml` names.

A key goes to one origin: BELUGA_LAB_API_KEY to the address of `lab`, and a service's own key
(OPENAI_API_KEY …) to that service alone, where there is none of the first kind. The dialect does not decide
this, since a file that came with a notebook may set it. Nothing is sent to a server that only a file names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import Any

import beluga_nb.chat as chat
from beluga_nb.api.addresses import origin
from beluga_nb.api.dialects import BELUGA, DIALECTS, Dialect, find_dialect
from beluga_nb.config.endpoints import API_KEY, EndpointConfig
from beluga_nb.config.keys import checked
from beluga_nb.config.project import FILE
from beluga_nb.config.settings import Settings
from beluga_nb.errors import SettingsError
from beluga_nb.redaction import Environment, Secret
from beluga_nb.request import Question, Request
from beluga_nb.text import sanitize

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
        """Return the body that is posted for a request."""
        model = request.model.removeprefix(self.prefix)
        if isinstance(request, Question):
            return chat.question_to_json(request, model=model)
        there = replace(request, model=model)
        return self.dialect.body(there, response_format=self.response_format, extensions=self.extensions)

    def url(self, request: Request) -> str:
        """Return where a request is posted to."""
        return f"{self.base_url}{chat.PATH if isinstance(request, Question) else self.dialect.path}"

    def content(self, request: Request) -> bytes:
        """Return the body as the bytes that are sent."""
        body = json.dumps(self.body(request), ensure_ascii=False, separators=(",", ":"))
        return body.encode()

    def digest(self, request: Request) -> str:
        """Return the SHA-256 of these bytes: to the service, two calls with one digest are the same."""
        return hashlib.sha256(self.content(request)).hexdigest()


def key_of(config: EndpointConfig, environ: Mapping[str, str]) -> Secret | None:
    """Return the key for a server that the user has named, or None."""
    secrets = (Secret(environ.get(variable, ""), variable) for variable in _variables(config))
    secret = next(filter(None, secrets), None) if config.known else None
    return checked(secret) if secret else None


def check_known(config: EndpointConfig) -> None:
    """Raise `SettingsError` where only a file that may have come with a notebook names a server."""
    if config.known:
        return
    address = sanitize(config.base_url or find_dialect(config.dialect).service or "?", 200)
    raise SettingsError(
        f"{FILE} names the server {config.name} at {address}, and you have not: nothing was sent.",
        f"If you trust that address, set it yourself: {config.variable('BASE_URL')}={address}",
    )


def endpoint_of(settings: Settings, config: EndpointConfig, key: Secret | None) -> Endpoint:
    """Return where requests to a server go, and how; raise `SettingsError` where that is not to be used."""
    check_known(config)
    dialect = find_dialect(config.dialect)
    if key is None and (service := _service(config)):
        raise SettingsError(f"There is no key for the endpoint {config.name}.", f"Set {service.variable}.")
    return Endpoint(
        base_url=_base_url(config, dialect),
        provider=config.name,
        key=key,
        response_format=settings.response_format,
        extensions=dialect is BELUGA and settings.loopback,
        timeout=config.timeout or dialect.timeout or settings.timeout,
        connect_timeout=settings.connect_timeout,
        dialect=dialect,
        prefix=config.prefix,
    )


def key_variables(environ: Environment) -> set[str]:
    """Return the variables that may hold a key of a server, and the services' own."""
    return {name for name in environ.names() if API_KEY.fullmatch(name)} | {
        each.variable for each in DIALECTS.values() if each.variable
    }


def describe(config: EndpointConfig, environ: Mapping[str, str]) -> str:
    """Return a line about a server: its dialect, its address, and whether there is a key for it."""
    try:
        check_known(config)
        dialect = find_dialect(config.dialect)
        address, key = _base_url(config, dialect), key_of(config, environ)
    except ValueError as error:  # All configuration errors are ValueErrors.
        return str(error.args[0])
    key_words = (
        f"key from {key.source}, ending in {key.ending}" if key else f"no key ({_variables(config)[-1]})"
    )
    return f"{dialect.name} at {address}, {key_words}"


def _base_url(config: EndpointConfig, dialect: Dialect) -> str:
    if base_url := config.base_url or dialect.service:
        return base_url
    raise SettingsError(
        f"The endpoint {config.name} has no base_url.",
        f"Set it in beluga.toml, under [endpoints.{config.name}].",
    )


def _variables(config: EndpointConfig) -> list[str]:
    service = _service(config)
    return [config.variable("API_KEY"), *([service.variable] if service else [])]


def _service(config: EndpointConfig) -> Dialect | None:
    """Return the dialect of the service whose address an endpoint has, whatever its own dialect."""
    address = config.base_url or find_dialect(config.dialect).service
    services = (each for each in DIALECTS.values() if each.service)
    return next((each for each in services if address and origin(each.service) == origin(address)), None)
