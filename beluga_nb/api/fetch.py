"""What the service sends is distrusted: where a picture's URL leads, and what its bytes are."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

from beluga_nb.core import MEDIA_TYPES, decode
from beluga_nb.errors import BadImage, BadReply, plain

MAX_ANSWER = 64 * 2**20
"""Bytes of JSON that are read (research/reliability.md, S22)."""

MAX_IMAGE = 32 * 2**20
"""Bytes of one picture that are read (research/reliability.md, S22)."""

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}

# IPv6, or what a resolver reads as IPv4 however it is spelt (127.1, 0x7f000001), or this machine.
_NO_NAME = re.compile(r".*:.*|(.*\.)?(\d+|0x[0-9a-f]*|localhost)\.?")


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port, which together say whose address this is."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return parts.scheme, parts.hostname or "", port


def picture_url(url: str, base_url: str) -> str:
    """Return the absolute URL of a picture; raise `BadReply` for one that is not fetched.

    https from a host with a name, or the API's own origin; plain http and this machine's own addresses
    only when the API itself is there (research/reliability.md, S20).
    """
    home = origin(base_url)
    try:
        absolute = urljoin(base_url + "/", url)
        there = origin(absolute)
    except ValueError:
        raise _unsafe(url) from None
    scheme, host, _ = there
    if scheme not in {"https", "http"} or not host or "@" in urlsplit(absolute).netloc:
        raise _unsafe(url)
    if not absolute.isprintable() or " " in host:
        raise _unsafe(url)
    if there != home and home[1] not in _LOOPBACK and (scheme != "https" or _NO_NAME.fullmatch(host)):
        raise _unsafe(url)
    return absolute


def _unsafe(url: str) -> BadReply:
    shown = re.sub("//[^/]*@", "//…@", url.partition("?")[0])
    return BadReply(
        f"The answer's picture lies at an address that is not fetched: {plain(shown, 120)}",
        "Pictures come over https. It may have been billed; ask the service for response_format b64_json.",
    )


def media_type(data: bytes) -> str:
    """Return the media type of a picture that is whole and decodes; else raise `BadImage`."""
    image = decode(data)
    if not _whole(data, str(image.format)):
        raise BadImage(
            "The answer's picture is cut short.",
            "It may have been billed; the bytes are kept as they came.",
            data=data,
        )
    return MEDIA_TYPES[str(image.format)]


def _whole(data: bytes, kind: str) -> bool:
    # Pillow loads a PNG that lacks its last twenty bytes; what it loads of a JPEG is whole.
    if kind == "PNG":
        return b"\x00\x00\x00\x00IEND\xaeB`\x82" in data
    if kind == "WEBP":
        return len(data) >= 8 + int.from_bytes(data[4:8], "little")
    return True
