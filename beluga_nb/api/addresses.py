"""Which addresses of pictures may be fetched: no answer is trusted."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import urljoin, urlsplit

from beluga_nb.config.settings import LOOPBACK
from beluga_nb.errors import MAY_BE_BILLED, InvalidResponseError
from beluga_nb.text import sanitize

# IPv6, any spelling of IPv4 that a resolver accepts (127.1, 0x7f000001), or this machine.
_NO_NAME = re.compile(r"[^:]*:.*|(.*\.)?(\d+|0x[0-9a-f]*|localhost)\.?")


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return parts.scheme, parts.hostname or "", port


def picture_url(url: str, base_url: str) -> str:
    """Return the absolute URL of a picture; raise `InvalidResponseError` for one that is not fetched.

    https from a host with a name, or the API's own origin; plain http and this machine's own addresses
    only when the API itself is there (S20). What the name leads to is for `check_addresses`.
    """
    home = origin(base_url)
    try:
        whole = urljoin(base_url + "/", url)
        there = origin(whole)
    except ValueError:
        raise _unsafe(url) from None
    scheme, host, _ = there
    # What stands before an @ makes one host look like another.
    if scheme not in {"https", "http"} or not host or "@" in urlsplit(whole).netloc:
        raise _unsafe(url)
    if not whole.isprintable() or " " in host:
        raise _unsafe(url)
    if there != home and home[1] not in LOOPBACK and (scheme != "https" or _NO_NAME.fullmatch(host)):
        raise _unsafe(url)
    return whole


def absolute(url: str, base_url: str) -> str:
    """Return the absolute form of a picture's URL, or the URL as it is where it has none."""
    try:
        return urljoin(base_url + "/", url)
    except ValueError:
        return url


def check_addresses(url: str, base_url: str, addresses: Collection[str]) -> None:
    """Raise `InvalidResponseError` unless each address that the URL's host has may be connected to.

    That is the open internet, and this machine where the API itself is on it. Where the API is, its own
    origin is too, whatever the address (S21).
    """
    home = origin(base_url)
    if origin(url) == home:
        return
    here = home[1] in LOOPBACK
    if not all(is_public(each) or (here and ipaddress.ip_address(each).is_loopback) for each in addresses):
        raise _unsafe(url)


def is_public(address: str) -> bool:
    """Whether a numeric address is global unicast, and no other address in disguise.

    >>> is_public("93.184.216.34"), is_public("10.0.0.5"), is_public("64:ff9b::a00:5")
    (True, False, False)
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and (ip not in _UNICAST or ip.sixtofour):
        return False  # excludes mapped and translated addresses, which reach IPv4
    return ip.is_global and not ip.is_multicast


_UNICAST = ipaddress.IPv6Network("2000::/3")


def _unsafe(url: str) -> InvalidResponseError:
    shown = re.sub("//[^/]*@", "//…@", url.partition("?")[0])
    return InvalidResponseError(
        f"The answer's picture lies at an address that is not fetched: {sanitize(shown, 120)}",
        f"{MAY_BE_BILLED} Only https is fetched: ask for response_format b64_json.",
    )
