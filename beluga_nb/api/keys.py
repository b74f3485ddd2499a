"""The key: where it comes from, and an object that does not show it."""

from __future__ import annotations

import hmac
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import NoReturn

from beluga_nb.errors import SettingsError

VARIABLE = "BELUGA_API_KEY"

_SERVICE = "beluga_nb"  # our name in the keyring
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


Vault = Callable[[], str | None]
"""Where a key may be kept: it returns the key, or None, and raises nothing."""


def colab() -> str | None:
    """Return the key among Colab's secrets, where this is Colab and the notebook may read it."""
    if "google.colab" not in sys.modules:
        return None
    try:
        value = import_module("google.colab.userdata").get(VARIABLE)
    except Exception:  # not there, not granted, nobody to grant it: three of Colab's own classes
        return None
    return value if isinstance(value, str) else None


def keyring() -> str | None:
    """Return the key that `%beluga login --keep` put into the system's keyring, where there is one."""
    try:
        value = import_module("keyring").get_password(_SERVICE, VARIABLE)
    except Exception:  # not installed, no backend, locked
        return None
    return value if isinstance(value, str) else None


VAULTS: Mapping[str, Vault] = {"Colab's secrets": colab, "the system's keyring": keyring}


def keep(secret: Secret) -> None:
    """Put the key into the system's keyring; raise `SettingsError` where that cannot be done."""
    reason = ""
    try:
        import_module("keyring").set_password(_SERVICE, VARIABLE, secret.reveal())
    except Exception as error:
        reason = type(error).__name__
    if reason:  # raised here, since an error that a keyring raised may hold the key
        raise SettingsError(
            f"The key is not kept: there is no usable keyring ({reason}).",
            "Install beluga_nb[keyring], or set BELUGA_API_KEY. This kernel uses the key all the same.",
        )


class Finder:
    """Looks for the key: the one typed or given, the environment's, a vault's, in this order.

    The vaults are asked once: they may ask back.
    """

    def __init__(
        self, environ: Mapping[str, str], *, explicit: str | None = None, vaults: Mapping[str, Vault] = {}
    ) -> None:
        # In closures, where no listing of attributes shows a key.
        self._explicit: Callable[[], str | None] = lambda: explicit
        self._environ: Callable[[], Mapping[str, str]] = lambda: environ
        self._vaults = vaults
        self._typed: Secret | None = None
        self._kept: Secret | None = None
        self._asked = False

    def __call__(self) -> Secret | None:
        """Return the key, or None.

        Raises `SettingsError`, without the key, where it is malformed (research/reliability.md, S05).
        """
        if self._typed:
            return self._typed
        if (given := self._explicit()) is not None:
            return Secret(checked(given, "the key given in code"), "code")
        if (value := self._environ().get(VARIABLE, "")).strip():
            return Secret(checked(value, VARIABLE), VARIABLE)
        if self._kept is None and not self._asked:
            self._asked = True
            self._kept = self._from_vaults()
        return self._kept

    def take(self, typed: str) -> Secret:
        """Use a key that was typed, in place of all others; raise `SettingsError` where it is malformed."""
        self._typed = Secret(checked(typed, "the key that was typed"), "%beluga login")
        return self._typed

    def _from_vaults(self) -> Secret | None:
        for name, vault in self._vaults.items():
            if (value := vault()) and value.strip():
                return Secret(checked(value, name), name)
        return None


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
