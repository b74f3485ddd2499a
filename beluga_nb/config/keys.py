"""Find the API key and check its form."""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module

from beluga_nb.errors import SettingsError
from beluga_nb.hints import Hint, Remedy
from beluga_nb.redaction import Environment, Secret
from beluga_nb.text import sanitize

VARIABLE = "BELUGA_API_KEY"

TYPED = "%beluga login"
"""The source of a key that was typed."""

_SERVICE = "beluga_nb"  # the service name in the keyring
_SHAPE = re.compile(r"[!-~]{8,4096}")  # JWTs have up to some thousand characters


@dataclass(frozen=True)
class Withheld:
    """A vault that may have a key, and does not give it; `why` is what happened, `hint` what to do."""

    why: str
    hint: str


KeySource = Callable[[], object]
"""Where a key may be kept: it returns the key, or `Withheld`, or None, and raises nothing."""

_STATUS = Remedy("status")  # It asks the sources again.

# By the names of Colab's own classes (googlecolab/colabtools, google/colab/userdata.py).
_COLAB = {
    "NotebookAccessError": Withheld(
        f"Colab's secrets have {VARIABLE}, but this notebook may not read it.",
        Hint("Switch on its notebook access, behind the key symbol at the left; then run ", _STATUS, "."),
    ),
    "TimeoutException": Withheld(
        f"Colab's question about the secret {VARIABLE} was not answered in time.",
        Hint("Run ", _STATUS, " and grant access, or log in with ", Remedy("login"), "."),
    ),
}

# Likewise (Kaggle/docker-python, patches/kaggle_secrets.py). Kaggle gives the same error for a secret
# that is not attached to the notebook and for one that does not exist.
_KAGGLE = {
    "ConnectionError": Withheld(
        "Kaggle's secrets cannot be asked for a key: there is no connection.",
        Hint("Switch on the internet in the notebook's settings, then run ", _STATUS, "."),
    ),
    "CredentialError": Withheld(
        "Kaggle does not let this notebook read the account's secrets.",
        Hint(f"Attach {VARIABLE} to it under Add-ons, Secrets; then run ", _STATUS, "."),
    ),
    "BackendError": Withheld(
        f"Kaggle's secrets do not give {VARIABLE} to this notebook.",
        Hint("Look under Add-ons, Secrets, whether it is attached; then run ", _STATUS, "."),
    ),
}
_NOT_ATTACHED = "No user secrets exist"


def colab() -> object:
    """Return the key among Colab's secrets, where this is Colab and the notebook may read it."""
    if "google.colab" not in sys.modules:
        return None
    try:
        return import_module("google.colab.userdata").get(VARIABLE)
    except Exception as error:  # not there, not granted, or no answer: three of Colab's own classes
        return _COLAB.get(type(error).__name__)


def kaggle() -> object:
    """Return the key among Kaggle's secrets, where this is Kaggle and it is attached to the notebook."""
    try:
        client = import_module("kaggle_secrets").UserSecretsClient()
        return client.get_secret(VARIABLE)
    except ImportError:
        return None
    except Exception as error:  # three of Kaggle's own classes
        return None if _NOT_ATTACHED in str(error) else _KAGGLE.get(type(error).__name__)


def keyring() -> object:
    """Return the key that `%beluga login --keep` put into the system's keyring, where there is one."""
    try:
        return import_module("keyring").get_password(_SERVICE, VARIABLE)
    except Exception:  # not installed, no backend, locked
        return None


KEY_SOURCES: Mapping[str, KeySource] = {
    "Colab's secrets": colab,
    "Kaggle's secrets": kaggle,
    "the system's keyring": keyring,
}


def keep(secret: Secret) -> None:
    """Put the key into the system's keyring; raise `SettingsError` where that cannot be done."""
    reason = ""
    try:
        import_module("keyring").set_password(_SERVICE, VARIABLE, secret.reveal())
    except Exception as error:
        reason = type(error).__name__
    if reason:  # raised here: the keyring's error may hold the key
        raise SettingsError(
            f"The key is not kept: there is no usable keyring ({reason}).",
            "Install beluga_nb[keyring], or set BELUGA_API_KEY. This kernel uses the key all the same.",
        )


class KeyResolver:
    """Looks for the key: the one typed or given, the environment's, a vault's, in this order.

    Each vault is asked once, since it may ask the user. `withheld` is why one gave no key.
    """

    def __init__(
        self, environ: Environment, *, explicit: Secret | None = None, vaults: Mapping[str, KeySource] = {}
    ) -> None:
        self._environ = environ
        self._explicit = explicit
        self._vaults = vaults
        self._typed: Secret | None = None
        self._kept: Secret | None = None
        self._asked = False
        self._used: list[Secret] = []
        self.withheld: Withheld | None = None

    def __call__(self) -> Secret | None:
        """Return the key, or None.

        Raises `SettingsError`, without the key, where it is malformed (S05).
        """
        if self._typed:
            return self._typed
        if self._explicit is not None:
            return checked(self._explicit)
        if secret := self.from_environment(VARIABLE):
            return checked(secret)
        if self._kept is None and not self._asked:
            self._asked = True
            self._kept = self._from_vaults()
        return checked(self._kept) if self._kept else None

    def from_environment(self, variable: str) -> Secret | None:
        """Return the key that a variable of the environment holds.

        Every key that was once in use is redacted until the session ends.
        """
        secret = Secret(self._environ.get(variable, ""), variable)
        if secret and secret not in self._used:
            self._used.append(secret)
        return secret or None

    def watch(self, variables: Iterable[str]) -> None:
        """Look at all of these variables, so that keys in them are redacted from here on."""
        for variable in (VARIABLE, *variables):
            self.from_environment(variable)

    def take(self, typed: Secret) -> Secret:
        """Use a key that was typed, instead of all others; raise `SettingsError` where it is malformed."""
        self._used.append(typed)  # redacted even if it is refused in the next line
        self._typed = checked(typed)
        return typed

    def ask_again(self) -> None:
        """Let the vaults be asked once more, if they have withheld a key."""
        self._asked = self._asked and self.withheld is None
        self.withheld = None

    def _from_vaults(self) -> Secret | None:
        for name, vault in self._vaults.items():
            found = vault()
            if isinstance(found, Withheld):
                self.withheld = self.withheld or found
                continue
            secret = Secret(found, name)
            del found  # a traceback may show local variables
            if secret:
                return secret  # even if malformed: it is refused later, and redacted
        return None


def random_key() -> Secret:
    """Return a new random key of 192 bits, for an embedded server."""
    return Secret(f"bapi_{secrets.token_urlsafe(24)}", "the embedded server")


def checked(secret: Secret) -> Secret:
    """Return the key; raise `SettingsError` where it cannot be one."""
    # No part of it is put into a variable, which a traceback may show.
    if secret.kind:
        raise SettingsError(
            f"{_named(secret)} is not a string: its type is {sanitize(secret.kind, 40)}.",
            "Give the key as a str: bapi_… and nothing else. Nothing was sent.",
        )
    if secret.reveal().lower().startswith("bearer "):
        raise SettingsError(f"{_named(secret)} starts with 'Bearer'.", "Give the key alone: bapi_…")
    if not _SHAPE.fullmatch(secret.reveal()):
        raise SettingsError(
            f"{_named(secret)} is malformed: it has blanks, invisible or non-ASCII characters,"
            " or is too short.",
            "Copy the key again: bapi_… and nothing else. Nothing was sent.",
        )
    return secret


def _named(secret: Secret) -> str:
    return {"code": "the key given in code", TYPED: "the key that was typed"}.get(
        secret.source, secret.source
    )


def check_service_key(secret: Secret) -> None:
    """Raise `SettingsError` where a key for BelugAPI itself lacks its `bapi_`."""
    if not secret.reveal().startswith("bapi_"):
        raise SettingsError(
            f"{secret.source} is malformed: BelugAPI's keys start with bapi_.",
            "Copy the key again, or set BELUGA_BASE_URL if it is for another service. Nothing was sent.",
        )
