"""A server that `beluga.toml` names, as an `Endpoint`: its address, its dialect, and its own key.

A key goes to one origin: BELUGA_LAB_API_KEY to the address of `lab`, and a service's own key
(OPENAI_API_KEY …) to that service alone, where there is none of the first kind. The dialect has no say in
it: a file that came with a notebook may name one. While a file alone names a server, nothing is sent to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from beluga_nb.api.dialects import BELUGA, DIALECTS, Dialect, find
from beluga_nb.api.endpoint import Endpoint
from beluga_nb.api.fetch import origin
from beluga_nb.config.endpoints import Named
from beluga_nb.config.keys import checked
from beluga_nb.config.project import FILE
from beluga_nb.config.settings import Settings
from beluga_nb.errors import SettingsError
from beluga_nb.redaction import Secret
from beluga_nb.text import sanitize


def key_of(named: Named, environ: Mapping[str, str]) -> Secret | None:
    """Return the key for a server that the person has named, or None."""
    secrets = (Secret(environ.get(variable, ""), variable) for variable in _variables(named))
    secret = next(filter(None, secrets), None) if named.known else None
    return checked(secret) if secret else None


def check_named(named: Named) -> None:
    """Raise `SettingsError` where only a file that may have come with a notebook names a server."""
    if named.known:
        return
    address = sanitize(named.base_url or find(named.dialect).service or "?", 200)
    raise SettingsError(
        f"{FILE} names the server {named.name} at {address}, and you have not: nothing was sent.",
        f"If you trust that address, say so yourself: set {named.variable('BASE_URL')}={address}",
    )


def endpoint_of(now: Settings, named: Named, key: Secret | None) -> Endpoint:
    """Return where requests to a server go, and how; raise `SettingsError` where that is not to be used."""
    check_named(named)
    dialect = find(named.dialect)
    if key is None and (service := _service(named)):
        raise SettingsError(f"There is no key for the endpoint {named.name}.", f"Set {service.variable}.")
    return Endpoint(
        base_url=_base_url(named, dialect),
        provider=named.name,
        key=key,
        response_format=now.response_format,
        extensions=dialect is BELUGA and now.loopback,
        timeout=named.timeout or dialect.timeout or now.timeout,
        connect_timeout=now.connect_timeout,
        dialect=dialect,
        prefix=named.prefix,
    )


def variables(endpoints: Iterable[Named]) -> set[str]:
    """Return the variables that may hold a key of a server, the services' own among them."""
    return {each.variable("API_KEY") for each in endpoints} | {
        each.variable for each in DIALECTS.values() if each.variable
    }


def told(named: Named, environ: Mapping[str, str]) -> str:
    """Return, in words, what a server is, and whether there is a key for it."""
    try:
        check_named(named)
        dialect = find(named.dialect)
        address, key = _base_url(named, dialect), key_of(named, environ)
    except ValueError as error:  # all of what is said wrongly is one
        return str(error.args[0])
    held = f"key from {key.source}, ending in {key.ending}" if key else f"no key ({_variables(named)[-1]})"
    return f"{dialect.name} at {address}, {held}"


def _base_url(named: Named, dialect: Dialect) -> str:
    if base_url := named.base_url or dialect.service:
        return base_url
    raise SettingsError(
        f"The endpoint {named.name} has no base_url.",
        f"Say it in beluga.toml, under [endpoints.{named.name}].",
    )


def _variables(named: Named) -> list[str]:
    service = _service(named)
    return [named.variable("API_KEY"), *([service.variable] if service else [])]


def _service(named: Named) -> Dialect | None:
    """Return the dialect of the service whose address an endpoint has, whatever its own dialect."""
    address = named.base_url or find(named.dialect).service
    services = (each for each in DIALECTS.values() if each.service)
    return next((each for each in services if address and origin(each.service) == origin(address)), None)
