"""The body of an answer: decompressed, and whether its end is there.

Some servers compress answers although the request forbids it, and their answers are paid for.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from beluga_nb.errors import InvalidResponseError
from beluga_nb.images import is_picture, is_whole
from beluga_nb.text import sanitize
from beluga_nb.wire import NOT_SENT_AGAIN

BLANKS = b"\xef\xbb\xbf\r\n\t "
"""What may stand before the picture in a body: blanks, and a byte order mark."""

MOST_INFLATED = 64 * 2**20
"""Bytes that a small compressed answer may become; a large one may become eight times as large as it is."""

_READABLE = {"gzip", "x-gzip", "deflate"}
_GZIP = b"\x1f\x8b"
_PLAIN = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"{", b"[", b'"', b"d")
_MOST_LAYERS = 3
_MOST_MEMBERS = 10_000  # of a gzip file; each costs time
_PIECE = 2**14


def inflated(content: bytes, encoding: str) -> bytes:
    """Return content without its coding, which `Content-Encoding` may name, or gzip's own first bytes show.

    A name that means nothing here is passed over where the content can be read as it is. Raises
    `InvalidResponseError` for content that cannot be read, and for a small one that becomes more than
    `MOST_INFLATED` bytes.
    """
    asked = {each.strip() for each in encoding.lower().split(",")} - {"", "identity"}
    if asked - _READABLE and not content[:1000].lstrip(BLANKS).startswith((_GZIP, *_PLAIN)):
        raise InvalidResponseError(
            f"The answer is in an encoding that was not asked for ({sanitize(encoding, 40)}).",
            NOT_SENT_AGAIN,
        )
    asked &= _READABLE
    most = max(MOST_INFLATED, min(4 * MOST_INFLATED, 8 * len(content)))
    for _ in range(_MOST_LAYERS):
        if not asked and not content.startswith(_GZIP):
            break
        try:
            content, asked = _inflated(content, most), set()
        except zlib.error:  # it is not compressed
            break
    return content


def _inflated(content: bytes, most: int) -> bytes:
    is_zlib = content[:1] == b"\x78" and int.from_bytes(content[:2], "big") % 31 == 0  # RFC 1950
    wrapped = is_zlib or content.startswith(_GZIP)
    wbits = zlib.MAX_WBITS | 32 if wrapped else -zlib.MAX_WBITS
    found, at, members = bytearray(), 0, 0
    while at < len(content) and members < _MOST_MEMBERS and (not at or content.startswith(_GZIP, at)):
        try:
            at = _member(content, at, zlib.decompressobj(wbits=wbits), found, most)
        except zlib.error:
            if not (wrapped and found):
                raise
            break  # what was inflated before the damage is kept
        members += 1
    return bytes(found)


def _member(content: bytes, at: int, inflater: zlib._Decompress, found: bytearray, most: int) -> int:
    """Add what one member of a gzip file holds, and return where it ends."""
    while at < len(content) and not inflater.eof:
        piece = content[at : at + _PIECE]
        at += len(piece)
        while piece and not inflater.eof:
            found += inflater.decompress(piece, 2**20)
            if len(found) > most:
                raise InvalidResponseError(
                    f"The answer inflates to more than {most // 2**20} MiB.", NOT_SENT_AGAIN
                )
            piece = inflater.unconsumed_tail
    return at - len(inflater.unused_data)


def seems_complete(body: bytes) -> bool:
    """Whether a body is a picture, JSON, HTML or server-sent events, with its end."""
    bare = body.strip(BLANKS)
    if bare[:1] in {b"{", b"["}:
        outside = _outside_strings(bare)
        return all(outside.count(opens) == outside.count(closes) for opens, closes in (b"{}", b"[]"))
    if bare.startswith(_EVENTS):
        return body.endswith((b"\n\n", b"\n\r\n", b"\r\r"))
    return bare.endswith(b">") if bare[:1] == b"<" else is_whole(bare)


_EVENTS = (b"data:", b"event:", b"id:", b"retry:", b":")
_MOST_STRINGS = 200_000  # of JSON that are cut out
_FEW_STRINGS = 1000  # that are skipped one by one, without copying the long ones


def _outside_strings(text: bytes) -> bytes:
    """Return JSON without its strings, or as it is where these are too many."""
    if not has_more(text, b'"', 2 * _FEW_STRINGS):
        return b"".join(_around_strings(text))
    if has_more(text, b'"', 2 * _MOST_STRINGS):
        return text
    if b"\\" in text and b'\\"' in text:  # the first test is faster
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(text.split(b'"')[::2])


def has_more(text: bytes, sign: bytes, most: int) -> bool:
    """Whether a sign occurs more often than that in a text; for few signs, ten times as fast as `count`."""
    at = -1
    return all((at := text.find(sign, at + 1)) >= 0 for _ in range(most + 1))


def _around_strings(text: bytes) -> Iterator[bytes]:
    end = -1
    while (start := text.find(b'"', end + 1)) >= 0:
        yield text[end + 1 : start]
        if (end := end_of_string(text, start)) < 0:
            return
    yield text[end + 1 :]


def end_of_string(text: str | bytes, start: int) -> int:
    """Return where the JSON string that opens at `start` closes, or -1."""
    signs: tuple[Any, Any] = ('"', "\\") if isinstance(text, str) else (b'"', 0x5C)
    quote, backslash = signs
    end = text.find(quote, start + 1)
    while end >= 0:
        first = end
        while text[first - 1] == backslash:
            first -= 1
        if (end - first) % 2 == 0:
            return end
        end = text.find(quote, end + 1)
    return -1


def begins_with_picture(body: bytes) -> bool:
    """Whether a body is a picture, in which no key is looked for: it would take long, and could spoil it."""
    return is_picture(body[:64].lstrip(BLANKS))
