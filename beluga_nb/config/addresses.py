"""Addresses of stores that are not folders of this machine, such as "s3://bucket/study"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from beluga_nb.errors import SettingsError
from beluga_nb.text import sanitize

DRIVERS = {"s3": "s3fs", "gs": "gcsfs", "abfs": "adlfs", "memory": "fsspec"}
"""The schemes of addresses, each with the package that reads and writes there."""

INSTALLED_BY = {"s3fs": '"beluga_nb[remote]"', "fsspec": '"beluga_nb[remote]"'}
"""What `pip install` gets for a package, if that is not its name."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:([/\\]|:)")  # not a Windows drive, which has one letter
# No backslashes, no patterns (they would list other objects), no query, no spaces or control characters.
_SEGMENT = re.compile(r"[^\x00-\x20\x7f\\*?\[\]#@%:/]+")
_QUERY = re.compile(r"[?#]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTAINER = re.compile(r"[^\x00-\x20\x7f\\*?\[\]#@%:/]+@[\w.-]+")  # of Azure: container@account.host


@dataclass(frozen=True)
class StoreAddress:
    """The address of a store, in its usual spelling.

    >>> StoreAddress("s3://bucket/study").scheme
    's3'
    """

    url: str

    @property
    def scheme(self) -> str:
        """The scheme of its URL, such as "s3"."""
        return self.url.partition(":")[0]

    @property
    def bucket(self) -> str:
        """The name of its bucket or container."""
        return self.url.split("/")[2]

    def __str__(self) -> str:
        return self.url


def is_address(store: str) -> bool:
    """Whether a text is an address, and not the path of a folder.

    >>> is_address("s3://bucket/study"), is_address("simplecache::s3://bucket"), is_address("C:/study")
    (True, True, False)
    """
    return bool(_SCHEME.match(store))


def shown_store(store: str) -> str:
    """Return a text that should name a store as errors show it, without what may be a password.

    >>> shown_store("s3://me:secret@bucket/study?key=secret")
    's3://…@bucket/study?…'
    """
    scheme, slashes, rest = store.partition("://")
    user, at, place = rest.rpartition("@")  # a name and a password, or a container of Azure
    location, *query = _QUERY.split(place, maxsplit=1)
    shown = f"{scheme}{slashes}{user and '…'}{at}{location}"
    return sanitize(f"{shown}{place[len(location)]}…" if query else shown, 80)


def parse_address(store: str) -> StoreAddress | Path:
    """Return a checked address, or the folder that a file:// URL names.

    Raises `SettingsError` for an unknown scheme, for a password, query or pattern in the address, and if the
    package for the scheme is not installed.
    """
    shown = shown_store(store)
    if "::" in store:
        raise SettingsError(
            f"The store '{shown}' is a chain of addresses, which beluga_nb cannot use.",
            "Give its last address alone: this machine keeps copies of it anyway.",
        )
    scheme, _, rest = store.partition("://")
    if (scheme := scheme.lower().partition(":")[0]) == "file":
        return _folder_at(store, shown)
    if scheme not in DRIVERS or not rest:
        raise SettingsError(
            f"The store '{shown}' is an address that beluga_nb cannot use.",
            f"Give the path of a folder, or an address that begins with {', '.join(DRIVERS)} or file://.",
        )
    bucket, *folders = rest.rstrip("/").split("/")
    is_bucket = _SEGMENT.fullmatch(bucket) or (scheme == "abfs" and _CONTAINER.fullmatch(bucket))
    if (
        not is_bucket
        or not all(map(_SEGMENT.fullmatch, folders))
        or not rest.isprintable()
        or {".", ".."} & {*folders}
    ):
        raise SettingsError(
            f"The store '{shown}' is not valid: an address may contain no password, query or pattern.",
            "Give only the bucket and a folder in it, such as s3://bucket/study.",
        )
    _check_installed(scheme)
    return StoreAddress("/".join([f"{scheme}://{bucket}", *folders]))


def _folder_at(url: str, shown: str) -> Path:
    parts = urlsplit(url)
    folder = url2pathname(parts.path)
    is_local = url[len("file:") :].startswith("//") and parts.netloc in {"", "localhost"}
    if not is_local or not folder.strip("/\\") or _QUERY.search(url) or _CONTROL.search(folder):
        raise SettingsError(
            f"The store '{shown}' names no folder.",
            "Give the path of the folder, or its address, such as file:///home/me/study.",
        )
    return Path(folder)


def _check_installed(scheme: str) -> None:
    driver = DRIVERS[scheme]
    for package in ("fsspec", driver):
        if find_spec(package) is None:
            raise SettingsError(
                f"A store at an address of {scheme}:// needs {package}, which is not installed.",
                f"Run: pip install {INSTALLED_BY.get(driver, driver)}",
            )
