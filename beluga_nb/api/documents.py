"""The JSON documents in a body, also of server-sent events, and of bodies that are damaged or cut off.

Long strings are cut out first: they are pictures, and a JSON parser would copy each of them.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from beluga_nb.api.body import end_of_string, has_more
from beluga_nb.api.encoded import unescaped, with_numbers_encoded
from beluga_nb.errors import InvalidResponseError
from beluga_nb.wire import NOT_SENT_AGAIN

MOST_PARTS = 200_000
"""Objects, lists, members and strings of one answer; no service that draws pictures sends as many."""

MOST_LINES = 1_000_000
"""Lines of server-sent events; base64 may be wrapped."""

_LONG = 256  # bytes; longer strings are cut out before JSON is parsed
_MOST_DOCUMENTS = 1000
_MOST_DEEP = 3  # attempts at a text that is nested too deeply; each may take a hundredth of a second
_MOST_REPAIRED = 8  # places of a text at which a document may begin that is cut off
_DEEPEST = 500
_MOST_WORK = 50_000_000  # characters that are read again where a document is damaged


class Strings:
    """The long strings of a body, replaced by short place holders so that JSON does not copy them."""

    def __init__(self) -> None:
        self.cut: list[memoryview] = []

    def add(self, string: memoryview) -> bytes:
        self.cut.append(string)
        return b"\x01%d\x01" % (len(self.cut) - 1)

    def raw(self, value: str) -> str | memoryview:
        """Return the raw bytes of a string that was cut out, or the string itself."""
        found = _PLACE.fullmatch(value)
        return self.cut[int(found[1])] if found and int(found[1]) < len(self.cut) else value

    def text(self, value: str) -> str:
        """Return a string with its JSON escapes decoded."""
        raw = self.raw(value)
        return raw if isinstance(raw, str) else unescaped(bytes(raw))


_PLACE = re.compile("\x01([0-9]{1,9})\x01")


def documents(body: bytes, strings: Strings) -> Iterator[object]:
    """Yield the JSON values of a body, as far as they can be read."""
    if has_more(body, b'"', MOST_PARTS):
        raise _too_many()
    short = with_numbers_encoded(b"".join(_short(body, strings)))
    if sum(short.count(sign) for sign in (b"{", b"[", b",")) > MOST_PARTS:
        raise _too_many()
    text = short.decode("utf-8", "replace")
    for each in _events(text) or [text]:
        yield from _values(each)


def as_utf_8(body: bytes) -> bytes:
    encoding = json.detect_encoding(body[:4])
    if encoding.startswith("utf-8"):
        return body
    return body.decode(encoding, "replace").encode("utf-8", "replace")


def _too_many() -> InvalidResponseError:
    return InvalidResponseError(
        f"The answer has more than {MOST_PARTS:,} parts; it is not read.", NOT_SENT_AGAIN
    )


def _short(body: bytes, strings: Strings) -> Iterator[bytes]:
    """Yield the body in pieces, with place holders for its long strings."""
    view, done, start = memoryview(body), 0, body.find(b'"')
    while start >= 0:
        end = end_of_string(body, start)
        if end < 0:
            break
        if end - start > _LONG:
            yield body[done : start + 1]
            yield strings.add(view[start + 1 : end])
            done = end
        start = body.find(b'"', end + 1)
    yield body[done:]


_FIELD = re.compile(r"^(?:data|event|id|retry)(?::|$)|^:", re.MULTILINE)


_END_OF_LINE = re.compile(r"\r\n|\n|\r")


def _events(text: str) -> list[str]:
    """Return the data of server-sent events; nothing where the text is none."""
    if not _FIELD.match(start_of(text[:1000].encode("utf-8", "replace"))):
        return []
    if sum(map(text.count, ("\n\n", "\n\r\n", "\r\r"))) > MOST_PARTS:
        raise _too_many()
    if text.count("\n") + text.count("\r") > MOST_LINES:
        raise _too_many()
    events = (_END_OF_LINE.split(each) for each in re.split(r"\r\n\r\n|\n\n|\r\r", text))
    lines = ([line[5:].strip() for line in each if line.startswith("data:")] for each in events)
    return ["\n".join(each) for each in lines if each]


def start_of(body: bytes) -> str:
    return body[:1000].decode("utf-8", "replace").lstrip("\ufeff \t\r\n")


_START = re.compile(r"[{\[]")


# Python refuses integers of thousands of digits; no number in an answer needs as many.
_DECODER = json.JSONDecoder(
    strict=False,
    parse_int=lambda digits: int(digits) if len(digits) < 20 else 0,
    parse_constant=lambda _: None,
)


@dataclass(frozen=True)
class CutDocument:
    """A truncated document: its complete part, and the names around the cut."""

    value: object
    names: frozenset[str]


def _values(text: str) -> Iterator[object]:
    """Yield the documents of a text; of a damaged one, its complete inner values."""
    if text.lstrip().startswith('"'):
        yield from _of_string(text.strip())
        return
    at = repaired = deep = 0
    # Each attempt may read the text to its end, so a long text gets fewer of them.
    for _ in range(min(_MOST_DOCUMENTS, _MOST_WORK // (len(text) + 1) + 1)):
        start = _START.search(text, at)
        if not start or deep == _MOST_DEEP:
            return
        try:
            value, at = _DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError) as error:
            at = start.end()
            deep += isinstance(error, RecursionError)
            repaired += 1
            with contextlib.suppress(ValueError, RecursionError):
                if repaired <= _MOST_REPAIRED:
                    cut = _cut(text, start.start())
                    yield cut
                    if cut.value is not None:
                        return
        else:
            yield value


def _of_string(text: str) -> Iterator[object]:
    """Yield the content of a JSON string, which may be JSON again, and truncated."""
    with contextlib.suppress(ValueError, RecursionError):
        yield _DECODER.decode(text)
        return
    if text[1:1000].lstrip().startswith(("{", "[")):
        with contextlib.suppress(ValueError, RecursionError):
            yield _DECODER.decode(_without_cut_escape(text) + '"')


_CUT_NUMBER = re.compile(r"u[0-9a-fA-F]{0,3}\Z")
_TOKEN = re.compile(r'\s*+(["\[\]{},:]|[^\s\[\]{},:"]++)')
_CLOSED_BY = {"{": "}", "[": "]"}


def _without_cut_escape(text: str) -> str:
    for each in (text, text[:-4] + _CUT_NUMBER.sub("", text[-4:])):
        if (len(each) - len(each.rstrip("\\"))) % 2:
            return each[:-1]
    return text


def _tokens(text: str, start: int) -> Iterator[tuple[str, int]]:
    """Yield the tokens of JSON from `start` on and their places; a truncated string is not a token."""
    while found := _TOKEN.match(text, start):
        at, start = found.start(1), found.end()
        if found[1] == '"':
            end = end_of_string(text, at)
            if end < 0:
                return
            start = end + 1
        yield text[at:start], at


def _cut(text: str, start: int) -> CutDocument:
    """Return the complete part of the truncated document at `start`; raise `ValueError` for any other."""
    open_, names, name = list[str](), list[str](), ""
    # `whole` is where the last complete value ends, and `depth` how many brackets are open there.
    whole, depth, before, broken = start, 0, "[", True
    for token, at in _tokens(text, start):
        if token in _CLOSED_BY:
            open_.append(_CLOSED_BY[token])
            names.append(name)
        elif token in "]}":
            if not open_ or open_.pop() != token or not open_:
                break
            name, whole, depth = names.pop(), at + 1, len(open_)
        elif token == ",":
            whole, depth = at, len(open_)
        elif token[0] == '"':
            if open_[-1] == "]" or before == ":":
                whole, depth = at + len(token), len(open_)
            else:
                name = token[1:-1]
        elif token != ":" and before not in "[,:":
            break
        if len(open_) > _DEEPEST:
            break
        before = token
    else:
        broken = False
    if broken:
        raise ValueError(text[start : start + 80])
    document = text[start:whole] + "".join(reversed(open_[:depth]))
    return CutDocument(_DECODER.decode(document) if document else None, frozenset((*names, name)))
