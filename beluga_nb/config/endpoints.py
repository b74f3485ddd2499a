"""Other servers by name, from `[endpoints.NAME]` in `beluga.toml`: `lab:sd-turbo` is a model of `lab`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from beluga_nb.errors import SettingsError, UnknownNameError
from beluga_nb.text import sanitize, shown

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
# A variable for a key always has this form, so that redaction finds all of them in the environment.
API_KEY = re.compile(r"BELUGA_[A-Z][A-Z0-9_]{0,39}_API_KEY")
"""The variables that `EndpointConfig.variable` names for keys."""

TAKEN = {"belugapi", "local", "localhost"}
"""Provider names in recordings: the service, the embedded BelugAPI, and a host without a dot."""

_EXAMPLE = 'For example: [endpoints.lab] base_url = "https://lab.example/v1", dialect = "localai"'


@dataclass(frozen=True, kw_only=True)
class EndpointConfig:
    """A server under a name of its own, which is its provider name in recordings too.

    `dialect` is what it expects (api/dialects.py), `model` its default model, and `timeout` is
    in seconds. Without `known`, only a model's name or a file that may have come with a notebook
    names it: its recordings are replayed, and nothing is sent to it.
    """

    name: str
    base_url: str = ""
    dialect: str = "generic"
    model: str = ""
    timeout: float | None = None
    known: bool = True

    def __post_init__(self) -> None:
        for part in ("base_url", "dialect", "model"):
            if not isinstance(getattr(self, part), str):
                raise SettingsError(f"The {part} of the endpoint {self.name} is not a string.", _EXAMPLE)
        late = self.timeout
        if late is not None and (isinstance(late, bool) or not isinstance(late, int | float) or not late > 0):
            raise SettingsError(f"The timeout of the endpoint {self.name} is {shown(late, 40)}.", _EXAMPLE)

    @property
    def prefix(self) -> str:
        """What its models' names begin with."""
        return f"{self.name}:"

    def variable(self, what: str) -> str:
        """Return the environment variable for a part of it.

        >>> EndpointConfig(name="lab").variable("API_KEY")
        'BELUGA_LAB_API_KEY'
        """
        return f"BELUGA_{self.name.upper().replace('-', '_')}_{what}"


PARTS = [each.name for each in fields(EndpointConfig) if each.name not in {"name", "known"}]
"""The settings of an endpoint."""


def named_in(table: object, *, known: bool = True) -> dict[str, EndpointConfig]:
    """Return the endpoints of a table; raise `SettingsError` or `UnknownNameError` for an unusable one."""
    if not isinstance(table, Mapping):
        raise SettingsError(f"The setting endpoints is {shown(table, 40)}.", _EXAMPLE)
    return {
        str(name): each if isinstance(each, EndpointConfig) else _named(name, each, known)
        for name, each in table.items()
    }


def _named(name: object, parts: object, known: bool) -> EndpointConfig:
    if not NAME.fullmatch(str(name)) or str(name).lower() in TAKEN:
        raise SettingsError(f"'{sanitize(str(name), 40)}' is not a valid endpoint name.", _EXAMPLE)
    if not isinstance(parts, Mapping):
        raise SettingsError(f"The endpoint {name} is {shown(parts, 40)}.", _EXAMPLE)
    for part in parts:
        if part not in PARTS:
            raise UnknownNameError(f"part of the endpoint {name}", str(part), PARTS)
    return EndpointConfig(name=str(name), known=known, **parts)


def only_named(model: str) -> EndpointConfig | None:
    """Return the endpoint that a model such as `lab:sd-turbo` names, of which nothing else is known."""
    name, colon, rest = model.partition(":")
    if not colon or not rest or not NAME.fullmatch(name) or name.lower() in TAKEN:
        return None
    return EndpointConfig(name=name, known=False)
