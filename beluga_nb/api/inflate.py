"""Answers that are compressed, although nobody asks for that: read all the same, since they are paid for."""

from __future__ import annotations

import zlib

from beluga_nb.errors import BadReply
from beluga_nb.text import sanitize

MOST_INFLATED = 64 * 2**20
"""Bytes that a compressed answer may become."""

_READABLE = {"gzip", "x-gzip", "deflate"}
_GZIP = b"\x1f\x8b"
_MOST_LAYERS = 3


def inflated(content: bytes, encoding: str) -> bytes:
    """Return content without its coding, which `Content-Encoding` may name, or gzip's own first bytes show.

    Raises `BadReply` for one that cannot be read, and for content of more than `MOST_INFLATED` bytes.
    """
    asked = {each.strip() for each in encoding.lower().split(",")} - {"", "identity"}
    if asked - _READABLE:
        raise BadReply(
            f"The answer is in an encoding that was not asked for ({sanitize(encoding, 40)}).",
            "It may have been billed.",
        )
    for _ in range(_MOST_LAYERS):
        if not asked and not content.startswith(_GZIP):
            break
        try:
            content, asked = _inflated(content), set()
        except zlib.error:  # it only claims to be compressed
            break
    return content


def _inflated(content: bytes) -> bytes:
    wrapped = content.startswith(_GZIP) or _starts_as_zlib(content)
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32 if wrapped else -zlib.MAX_WBITS)
    found = bytearray()
    while content and not inflater.eof:
        found += inflater.decompress(content, 2**20)
        if len(found) > MOST_INFLATED:
            raise BadReply(
                f"The answer inflates to more than {MOST_INFLATED // 2**20} MiB.", "It may have been billed."
            )
        content = inflater.unconsumed_tail
    return bytes(found)


def _starts_as_zlib(content: bytes) -> bool:
    return content[:1] == b"\x78" and int.from_bytes(content[:2], "big") % 31 == 0
