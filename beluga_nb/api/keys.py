"""The key: where it comes from, and an object that does not show it."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from typing import NoReturn

from beluga_nb.errors import SettingsError

VARIABLE = "BELUGA_API_KEY"

_TYPED_KEY = re.compile(r"bapi_[A-Za-z0-9_-]{16,}")
_SHAPE = re.compile(r"[!-~]{8,512}")


class Secret:
    """A key that no repr, format, copy, JSON or pickle gives away; `source` says where it was found."""

    __slots__ = ("_reveal", "source")

    def __init__(self, value: str, source: str) -> None:
        # In a closure, where neither vars() nor a debugger's list of attributes shows it.
        self._reveal: Callable[[], str] = lambda: value
        self.source = source

    def reveal(self) -> str:
        """Return the key itself, for the one header that needs it."""
        return self._reveal()

    @property
    def ending(self) -> str:
        """The last four characters, which tell two keys apart."""
        return self._reveal()[-4:]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(
            self.reveal().encode(), other.reveal().encode()
        )

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __repr__(self) -> str:
        return f"<key from {self.source}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A key is not copied or pickled.")


def find(environ: Mapping[str, str], *, explicit: str | None = None) -> Secret | None:
    """Return the key that was given, else the environment's, else None.

    Raises `SettingsError`, without the key, where it is malformed (research/reliability.md, S05).
    """
    if explicit is not None:
        return Secret(checked(explicit, "the key given in code"), "code")
    value = environ.get(VARIABLE)
    return Secret(checked(value, VARIABLE), VARIABLE) if value is not None and value.strip() else None


def made_up() -> Secret:
    """Return a new random key of 192 bits, for an embedded server."""
    return Secret(f"bapi_{secrets.token_urlsafe(24)}", "the embedded server")


def checked(value: str, source: str) -> str:
    """Return the key without outer white space; raise `SettingsError` where it cannot be one."""
    key = value.strip()
    if key.lower().startswith("bearer "):
        raise SettingsError(f"{source} starts with 'Bearer'.", "Give the key alone: bapi_…")
    if not _SHAPE.fullmatch(key):
        raise SettingsError(
            f"{source} is malformed: it has blanks, invisible or non-ASCII characters, or is too short.",
            "Copy the key again: bapi_… and nothing else. Nothing was sent.",
        )
    return key


def check_service_key(secret: Secret) -> None:
    """Raise `SettingsError` where a key for BelugAPI itself lacks its `bapi_`."""
    if not secret.reveal().startswith("bapi_"):
        raise SettingsError(
            f"{secret.source} is malformed: BelugAPI's keys start with bapi_.",
            "Copy the key again, or set BELUGA_BASE_URL if it is for another service. Nothing was sent.",
        )


def typed_key(text: str) -> bool:
    """Whether a key stands in a text that is about to be sent, shown or stored."""
    return _TYPED_KEY.search(text) is not None
