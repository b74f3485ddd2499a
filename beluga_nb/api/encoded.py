"""Pictures that are written as text: base64, hexadecimal digits, data URLs and lists of numbers."""

from __future__ import annotations

import binascii
import contextlib
import itertools
import json
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

import pybase64

from beluga_nb.errors import InvalidResponseError
from beluga_nb.images import is_picture, is_whole
from beluga_nb.redaction import redact_bytes
from beluga_nb.wire import NOT_SENT_AGAIN

MOST_FOUND = 10_000
"""Places in a text that are looked at as possible pictures."""

# How the signatures of PNG, JPEG (also URL-safe) and RIFF begin in base64 and in hexadecimal digits.
_ENCODED_SIGNATURES = ("iVBORw0KGgo", "/9j/", "_9j_", "UklGR")
_HEX_SIGNATURES = ("89504e470d0a1a0a", "ffd8ff", "52494646")


def decoded(encoded: str | bytes | memoryview) -> bytes:
    """Return the bytes of base64, with or without a `data:` prefix; else raise `InvalidResponseError`.

    Line breaks and blanks, JSON's escapes, the URL-safe alphabet and missing padding are understood.
    """
    try:
        data = _decoded(encoded)
    except (binascii.Error, ValueError):
        # Other letters may stand around it, as in Python's "b'…'".
        text = _bytes(encoded)
        for escape, letter in _PERCENT.items():
            text = text.replace(escape, letter)
        found = next(encoded_within(text), None)
        if found is None:
            raise InvalidResponseError(
                "A picture in the answer is damaged (its base64 does not decode).", NOT_SENT_AGAIN
            ) from None
        data = found
    return data if is_picture(data) else redact_bytes(data)  # other data may hold a key


_PERCENT = {b"%2B": b"+", b"%2b": b"+", b"%2F": b"/", b"%2f": b"/", b"%3D": b"=", b"%3d": b"="}
"""The letters of base64 that an address escapes."""


def _decoded(encoded: str | bytes | memoryview) -> bytes:
    head = bytes(encoded[:256].encode("utf-8", "replace") if isinstance(encoded, str) else encoded[:256])
    if head[:5].lower() == b"data:":
        return _of_data_url(encoded)
    if head[:16].lower().startswith(tuple(each.encode() for each in _HEX_SIGNATURES)):
        return binascii.unhexlify(encoded)
    with contextlib.suppress(binascii.Error, ValueError):
        return pybase64.b64decode(encoded, validate=True)
    return pybase64.b64decode(_plain_base64(_bytes(encoded)), validate=True)


def _bytes(text: str | bytes | memoryview) -> bytes:
    return text.encode("utf-8", "replace") if isinstance(text, str) else bytes(text)


def _of_data_url(url: str | bytes | memoryview) -> bytes:
    head, comma, payload = _bytes(url).partition(b",")
    if b";base64" in head.lower():
        return pybase64.b64decode(_plain_base64(payload), validate=True)
    data = unquote_to_bytes(payload)
    if not comma or not is_picture(data):
        raise ValueError(head)
    return data


_NEXT_LINE = re.compile(rb"\r?\ndata:")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def _plain_base64(text: bytes) -> bytes:
    if b"\ndata:" in text:  # lines of server-sent events
        text = _NEXT_LINE.sub(b"", text)
    if b"\\" in text:
        text = unescaped(text).encode("utf-8", "replace")
    text = text.translate(_URL_SAFE, delete=b"\0\t\n\v\f\r =")
    return text + b"=" * (-len(text) % 4)


def unescaped(text: bytes) -> str:
    try:
        return str(json.loads(b'"%s"' % text, strict=False))
    except (ValueError, RecursionError):
        return text.decode("utf-8", "replace").replace("\\/", "/").replace("\\n", "").replace("\\r", "")


_ENCODED = re.compile(rb"(?:iVBORw0KGgo|[/_]9j\\{0,2}[/_]|UklGR)[A-Za-z0-9+/_\\\r\n\t-]{40,}+")


def encoded_within(text: bytes) -> Iterator[bytes]:
    """Yield the whole pictures whose base64 occurs anywhere in a text."""
    for found in itertools.islice(_ENCODED.finditer(text), MOST_FOUND):
        encoded = _plain_base64(found[0]).rstrip(b"=")
        if len(encoded) % 4 == 1:  # impossible for base64: the last letter belongs to the text after it
            encoded = encoded[:-1]
        with contextlib.suppress(binascii.Error, ValueError):
            data = _decoded(encoded)
            if is_whole(data):
                yield data


_NUMBERS = re.compile(rb"\[\s*(?:137,\s*80|255,\s*216|82,\s*73),[0-9,\s]++\]")


def with_numbers_encoded(body: bytes) -> bytes:
    """Return JSON with base64 for each picture that is a list of its bytes, as Node writes a `Buffer`."""
    return _NUMBERS.sub(_of_numbers, body)


def _of_numbers(found: re.Match[bytes]) -> bytes:
    try:
        return b'"%s"' % pybase64.b64encode(bytes(json.loads(found[0])))
    except (ValueError, TypeError):
        return found[0]


def encodes(raw: str | bytes | memoryview) -> bool:
    """Whether a string begins as an encoded picture does."""
    start = raw[:200] if isinstance(raw, str) else bytes(raw[:200]).decode("ascii", "replace")
    start = start.lstrip().replace("\\", "")
    if start[:5].lower() == "data:":
        kind, _, payload = start.partition(",")
        return kind[5:11].lower() == "image/" or payload.startswith(_ENCODED_SIGNATURES)
    return start.startswith(_ENCODED_SIGNATURES) or start.lower().startswith(_HEX_SIGNATURES)
