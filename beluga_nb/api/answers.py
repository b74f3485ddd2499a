"""Read the pictures of an answer in any form: a pure function from raw bytes to pictures.

An answer that has arrived is paid for, so many forms are understood: wrapped, URL-safe or unpadded base64,
pictures under other names, a bare picture, server-sent events, several documents, JSON that is
cut off. Work and memory are bounded by counts, since a small body can hold millions of parts.
"""

from __future__ import annotations

import binascii
import contextlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

import pybase64

from beluga_nb.api.body import BLANKS, inflated
from beluga_nb.api.states import FIELDS, is_under_way, states, with_spelt_names
from beluga_nb.errors import InvalidResponseError
from beluga_nb.images import SIGNATURES, is_of_another_format, is_picture, is_truncated, is_whole
from beluga_nb.redaction import redact_bytes
from beluga_nb.text import sanitize
from beluga_nb.wire import Item, error_words, without_surrogates

MOST_ITEMS = 64
"""Pictures of one answer that are read; the raw answer keeps the others."""

MOST_PARTS = 200_000
"""Objects, lists, members and strings of one answer; no service that draws pictures sends as many."""

MOST_LINES = 1_000_000
"""Lines of server-sent events; base64 may be wrapped."""

_LONG = 256  # bytes; longer strings are cut out before JSON is parsed
_MOST_DOCUMENTS = 1000
_MOST_FOUND = 10_000  # places in a text that may be pictures
_MOST_DEEP = 3  # attempts at a text that is nested too deeply; each may take a hundredth of a second
_MOST_REPAIRED = 8  # places of a text at which a document may begin that is cut off
_DEEPEST = 500
_MOST_WORK = 50_000_000  # characters that are read again where a document is damaged

_ENCODED_SIGNATURES = ("iVBORw0KGgo", "/9j/", "_9j_", "UklGR")
_HEX_SIGNATURES = ("89504e470d0a1a0a", "ffd8ff", "52494646")

_ADDRESSES = ("url", "urls", "image_url", "image_urls", "uri", "image_uri", "signed_url", "href")
_NAMES_OF_ADDRESSES = ("url", "uri", "link", "src", "href", "path", "img", "picture", "photo")
_OTHER_ADDRESSES = (
    "status",
    "cancel",
    "poll",
    "hook",
    "callback",
    "response",
    "request",
    "doc",
    "help",
    "avatar",
)
_COPIES = ("thumb", "preview", "mask", "input")  # of a picture that is also in the answer
_LISTS = {"data", "images", "image", "output", "outputs", "result", "results", "artifacts", "predictions"}
_NO_PICTURES = {"error", "errors", "detail", "usage", "request", "input", "prompt", "revised_prompt"}
_PEOPLE = {"user", "author", "owner", "creator", "account", "model", "provider"}  # their objects hold avatars
_JOBS = ("taskid", "jobid", "predictionid", "id")
_PLACES_OF_JOBS = ("data", "output", "result", "task", "job")
_HEADERS_OF_JOBS = ("operation-location", "azure-asyncoperation", "x-job-id", "x-task-id")
_OPERATION = "/operations/"
_QUEUE = {*FIELDS, "statusurl", "responseurl", "queueposition"}


@dataclass(frozen=True, kw_only=True)
class ParsedAnswer:
    """The pictures of an answer in their order, or the error of one that is damaged; `more` were not read.

    `created` is Unix time in seconds, 0 where it is not given. `job` is the service's id of the job.
    """

    items: tuple[Item | InvalidResponseError, ...]
    created: int = 0
    more: int = 0
    job: str = ""


def parse(body: bytes, headers: Mapping[str, str] | None = None, *, status: int = 200) -> ParsedAnswer:
    """Return what an answer holds; raise `InvalidResponseError`, with the `job` if named, for no picture.

    With a failed status, only whole pictures are taken, and addresses that name one.

    >>> parse(b'{"created": 7, "data": [{"url": "/files/1.png"}]}').items
    (Item(data=None, url='/files/1.png', revised_prompt=None),)
    """
    headers, failed = headers or {}, not 200 <= status < 300
    body = inflated(body, headers.get("content-encoding", ""))
    bare = body.lstrip(BLANKS)
    if (is_picture(bare) or is_of_another_format(bare)) and not (failed and is_truncated(bare)):
        return ParsedAnswer(items=(Item(data=bare),))
    parts = _multipart(body, headers.get("content-type", ""))
    if failed:
        parts = [each for each in parts if is_whole(each)]
    if parts:
        return ParsedAnswer(items=tuple(Item(data=part) for part in parts[:MOST_ITEMS]))
    if bare := _bare_within(body):
        return ParsedAnswer(items=(Item(data=bare),))
    reader = _Reader(failed=failed)
    reader.read_body(_utf_8(body))
    reader.read_head(headers)
    if not reader.items or (reader.job and not any(map(_is_of_use, reader.items))):
        raise _nothing(body, reader)
    return ParsedAnswer(
        items=tuple(reader.items[:MOST_ITEMS]),
        created=reader.created,
        more=max(0, len(reader.items) - MOST_ITEMS),
        job=reader.job,
    )


def decoded(encoded: str | bytes | memoryview) -> bytes:
    """Return the bytes of base64, with or without a `data:` prefix; else raise `InvalidResponseError`.

    Line breaks and blanks, JSON's escapes, the URL-safe alphabet and missing padding are understood.
    """
    try:
        data = _decoded(encoded)
    except (binascii.Error, ValueError):
        raise InvalidResponseError(
            "A picture in the answer is damaged (its base64 does not decode).", "It may have been billed."
        ) from None
    return data if is_picture(data) else redact_bytes(data)  # other data may hold a key


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
        text = _unescaped(text).encode("utf-8", "replace")
    text = text.translate(_URL_SAFE, delete=b"\0\t\n\v\f\r =")
    return text + b"=" * (-len(text) % 4)


def _unescaped(text: bytes) -> str:
    try:
        return str(json.loads(b'"%s"' % text, strict=False))
    except (ValueError, RecursionError):
        return text.decode("utf-8", "replace").replace("\\/", "/").replace("\\n", "").replace("\\r", "")


_BOUNDARY = re.compile(r'boundary="?([^";,\s]{1,200})', re.IGNORECASE)
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


def _multipart(body: bytes, content_type: str) -> list[bytes]:
    """Return the pictures among the parts of a multipart body."""
    boundary = _BOUNDARY.search(content_type)
    if not boundary or not content_type.lower().startswith("multipart/"):
        return []
    parts = body.split(b"--" + boundary[1].encode("utf-8", "replace"), MOST_ITEMS + 1)
    return [payload for payload in map(_payload, parts) if payload]


def _payload(part: bytes) -> bytes:
    head = _BLANK_LINE.search(part)
    payload = part[head.end() :] if head else b""
    if is_picture(payload):
        return payload.removesuffix(b"\n").removesuffix(b"\r")
    return next(_encoded_within(payload), b"") if _encodes(payload) else b""


# --- pictures anywhere


def _bare_within(body: bytes) -> bytes:
    """Return the first whole picture in the raw bytes of a body, with all that follows it."""
    for start in sorted(at for at in map(body.find, SIGNATURES) if at >= 0):
        if is_picture(body[start : start + 12]) and is_whole(body[start:]):
            return body[start:]
    return b""


_ENCODED = re.compile(rb"(?:iVBORw0KGgo|[/_]9j\\{0,2}[/_]|UklGR)[A-Za-z0-9+/_\\\r\n\t-]{40,}+")


def _encoded_within(text: bytes) -> Iterator[bytes]:
    """Yield the whole pictures whose base64 occurs anywhere in a text."""
    for found in itertools.islice(_ENCODED.finditer(text), _MOST_FOUND):
        encoded = _plain_base64(found[0]).rstrip(b"=")
        if len(encoded) % 4 == 1:  # impossible for base64: the last letter belongs to the text after it
            encoded = encoded[:-1]
        with contextlib.suppress(binascii.Error, ValueError):
            data = _decoded(encoded)
            if is_whole(data):
                yield data


_NUMBERS = re.compile(rb"\[\s*(?:137,\s*80|255,\s*216|82,\s*73),[0-9,\s]++\]")


def _of_numbers(found: re.Match[bytes]) -> bytes:
    try:
        return b'"%s"' % pybase64.b64encode(bytes(json.loads(found[0])))
    except (ValueError, TypeError):
        return found[0]


_LINK = re.compile(
    rb"(?:!\[[^\]]{0,300}\]\(|<img(?:\s[^<>]{0,300}?)?\ssrc\s{0,9}=\s{0,9}[\"']?)((?:https?:)?//[^\s()<>\"'\\]{1,2000})",
    re.IGNORECASE,
)


def _links_within(text: bytes) -> Iterator[str]:
    """Yield the addresses of the pictures that a text in Markdown or HTML shows."""
    for found in itertools.islice(_LINK.finditer(text), _MOST_FOUND):
        yield found[1].replace(b"&amp;", b"&").decode("utf-8", "replace")


def _encodes(raw: str | bytes | memoryview) -> bool:
    """Whether a string begins as an encoded picture does."""
    start = raw[:200] if isinstance(raw, str) else bytes(raw[:200]).decode("ascii", "replace")
    start = start.lstrip().replace("\\", "")
    if start[:5].lower() == "data:":
        kind, _, payload = start.partition(",")
        return kind[5:11].lower() == "image/" or payload.startswith(_ENCODED_SIGNATURES)
    return start.startswith(_ENCODED_SIGNATURES) or start.lower().startswith(_HEX_SIGNATURES)


# --- documents


class _Strings:
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
        return raw if isinstance(raw, str) else _unescaped(bytes(raw))


_PLACE = re.compile("\x01([0-9]{1,9})\x01")


def _documents(body: bytes, strings: _Strings) -> Iterator[object]:
    """Yield the JSON values of a body, as far as they can be read."""
    if body.count(b'"') > MOST_PARTS:
        raise _too_many()
    short = b"".join(_short(body, strings))
    if sum(short.count(sign) for sign in (b"{", b"[", b",")) > MOST_PARTS:
        raise _too_many()
    text = short.decode("utf-8", "replace")
    for each in _events(text) or [text]:
        yield from _values(each)


def _utf_8(body: bytes) -> bytes:
    encoding = json.detect_encoding(body[:4])
    if encoding.startswith("utf-8"):
        return body
    return body.decode(encoding, "replace").encode("utf-8", "replace")


def _too_many() -> InvalidResponseError:
    return InvalidResponseError(
        f"The answer has more than {MOST_PARTS:,} parts; it is not read.", "It may have been billed."
    )


def _short(body: bytes, strings: _Strings) -> Iterator[bytes]:
    """Yield the body in pieces, with place holders for its long strings."""
    view, done, start = memoryview(body), 0, body.find(b'"')
    while start >= 0:
        end = _end_of_string(body, start)
        if end < 0:
            break
        if end - start > _LONG:
            yield body[done : start + 1]
            yield strings.add(view[start + 1 : end])
            done = end
        start = body.find(b'"', end + 1)
    yield body[done:]


def _end_of_string(body: str | bytes, start: int) -> int:
    signs: tuple[Any, Any] = ('"', "\\") if isinstance(body, str) else (b'"', 0x5C)
    quote, backslash = signs
    end = body.find(quote, start + 1)
    while end >= 0:
        first = end
        while body[first - 1] == backslash:
            first -= 1
        if (end - first) % 2 == 0:
            return end
        end = body.find(quote, end + 1)
    return -1


_FIELD = re.compile(r"^(?:data|event|id|retry)(?::|$)|^:", re.MULTILINE)


_END_OF_LINE = re.compile(r"\r\n|\n|\r")


def _events(text: str) -> list[str]:
    """Return the data of server-sent events; nothing where the text is none."""
    if not _FIELD.match(_start(text[:1000].encode("utf-8", "replace"))):
        return []
    if sum(map(text.count, ("\n\n", "\n\r\n", "\r\r"))) > MOST_PARTS:
        raise _too_many()
    if text.count("\n") + text.count("\r") > MOST_LINES:
        raise _too_many()
    events = (_END_OF_LINE.split(each) for each in re.split(r"\r\n\r\n|\n\n|\r\r", text))
    lines = ([line[5:].strip() for line in each if line.startswith("data:")] for each in events)
    return ["\n".join(each) for each in lines if each]


def _start(body: bytes) -> str:
    return body[:1000].decode("utf-8", "replace").lstrip("\ufeff \t\r\n")


_START = re.compile(r"[{\[]")


# Python refuses integers of thousands of digits; no number in an answer needs as many.
_DECODER = json.JSONDecoder(
    strict=False,
    parse_int=lambda digits: int(digits) if len(digits) < 20 else 0,
    parse_constant=lambda _: None,
)


@dataclass(frozen=True)
class _Cut:
    """A truncated document: its complete part, and the names around the cut."""

    value: object
    names: frozenset[str]


def _values(text: str) -> Iterator[object]:
    """Yield the documents of a text; of a damaged one, its complete inner values."""
    if text.lstrip().startswith('"'):
        yield from _of_string(text.strip())
        return
    at = repaired = deep = 0
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
            end = _end_of_string(text, at)
            if end < 0:
                return
            start = end + 1
        yield text[at:start], at


def _cut(text: str, start: int) -> _Cut:
    """Return the complete part of the truncated document at `start`; raise `ValueError` for any other."""
    open_, names, name = list[str](), list[str](), ""
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
    return _Cut(_DECODER.decode(document) if document else None, frozenset((*names, name)))


# --- pictures


@dataclass
class _Reader:
    """Collects the pictures of documents, and the job, time and errors beside them.

    `failed`: the answer has a failed status, so its text is that of an error.
    """

    failed: bool = False
    strings: _Strings = field(default_factory=_Strings)
    items: list[Item | InvalidResponseError] = field(default_factory=list)
    created: int = 0
    job: str = ""
    error: str = ""
    empty: bool = False
    under_way: bool = False
    waits: bool = False
    drafts: bool = False
    echo: bool = False
    cut: bool = False
    texts: list[tuple[str, str]] = field(default_factory=list)  # (name, text)

    def read_body(self, body: bytes) -> None:
        """Read the body of an answer."""
        # Node writes a `Buffer` as a list of numbers.
        for document in _documents(_NUMBERS.sub(_of_numbers, body), self.strings):
            self.read(document)
        if self.failed:  # an error page may show a picture of its own
            self.items = [each for each in self.items if _counts_in_error(each)]
        elif not any(map(_is_of_use, self.items)):
            before, self.items = self.items, []
            self.search(body)
            self.items = self.items or before

    def read_head(self, headers: Mapping[str, str]) -> None:
        """Read the headers: the address of the picture, or the job."""
        if not (self.items or self.error) and _names_picture(place := headers.get("location", "")):
            self.items.append(Item(url=place))
        named = (headers.get(name, "").partition("?")[0] for name in _HEADERS_OF_JOBS)
        self.job = self.job or sanitize(next(filter(None, named), ""), 200)

    def read(self, document: object, depth: int = 0) -> None:
        if isinstance(document, str):
            self._string(document, "result")
            inner = self.strings.text(document).encode("utf-8", "replace")
            self.texts.append(("", document))
            for each in _documents(inner, self.strings) if depth < 3 else ():
                self.read(each, depth + 1)
            return
        if isinstance(document, _Cut):
            self.cut, self.echo = True, self.echo or bool(document.names & _NO_PICTURES)
            document = document.value
        if isinstance(document, Mapping):
            self._head(document)
        self._walk(document, "result", 0)

    def search(self, body: bytes) -> None:
        """Where no document has a picture, search for one: in the texts, then anywhere in the body."""
        if self.waits or self.drafts or self.error or b"partial_image" in body or _PAGE.search(body[:1000]):
            return
        for number in range(len(self.strings.cut) if not self.echo else 0):
            self._string(f"\x01{number}\x01", "cut")
        for name, text in self.texts if not self.items else ():  # reading one adds more
            self._text(name, self.strings.text(text).strip())
        if not self.items and not self.echo:
            self._loose(body)
            if not self.items and len(body) < 1000 and _is_alone(alone := _start(body).strip()):
                self.items.append(Item(url=alone))
        self.items = list(dict.fromkeys(self.items))

    def _text(self, name: str, text: str) -> None:
        if name and text.startswith(("{", "[")):
            with contextlib.suppress(InvalidResponseError):  # too many parts
                for each in _documents(text.encode("utf-8", "replace"), self.strings):
                    self.read(each)
        elif _is_alone(text) and (name == "content" or (_names_picture(text) and not _is_other(name))):
            self.items.append(Item(url=text))
        else:
            self._loose(text.encode("utf-8", "replace"))

    def _loose(self, text: bytes) -> None:
        self.items += [Item(data=each) for each in itertools.islice(_encoded_within(text), MOST_ITEMS)]
        self.items += [Item(url=each) for each in _links_within(text)]

    def _head(self, document: Mapping[str, object]) -> None:
        created = document.get("created")
        self.created = self.created or (created if type(created) is int and created > 0 else 0)
        self.empty = self.empty or document.get("data") == []
        if not self.error and (document.get("error") or document.get("detail")):
            self.error = sanitize(self.strings.text(error_words(document))) or "it does not say which"
        if not self.job:
            self.job = self._job(document)

    def _job(self, document: Mapping[str, object]) -> str:
        inner = [document.get(name) for name in _PLACES_OF_JOBS]
        inner = [each[0] if isinstance(each, list) and each else each for each in inner]
        places = [with_spelt_names(each) for each in (document, *inner) if isinstance(each, Mapping)]
        named = [place.get(name) for name in _JOBS for place in places]
        operations = (place.get("name") for place in places)
        named += [name for name in operations if isinstance(name, str) and _OPERATION in f"/{name}"]
        if places[0].keys() & _QUEUE and not self.error:  # elsewhere it is an id for the service's log
            named.append(places[0].get("requestid"))
        for each in named:
            if isinstance(each, str | int) and not isinstance(each, bool) and str(each):
                return sanitize(self.strings.text(str(each)), 200)
        return ""

    def _walk(self, value: object, name: str, depth: int) -> None:
        if depth > 32 or len(self.items) > MOST_PARTS:
            return
        if isinstance(value, Mapping):
            self._object(value, name, depth)
        elif isinstance(value, list):
            for each in value:
                before = len(self.items)
                self._walk(each, name, depth + 1)
                if self.cut and each is value[-1]:
                    continue
                if len(self.items) == before and depth == 1 and name in {"data", "images"}:
                    self.items.append(_none_of_both())
        elif isinstance(value, str) and name:
            self._string(value, name)

    def _object(self, members: Mapping[str, object], place: str, depth: int) -> None:
        kind = members.get("type")
        if isinstance(kind, str) and kind.endswith("partial_image"):
            self.drafts = True
            return  # a draft of a later picture
        outer = self.under_way
        self.under_way = outer or is_under_way(members)
        self.waits = self.waits or self.under_way
        self.error = self.error or (_failure(members) if depth == 0 else "")
        found, before = list(self._pictures(members, place, depth)), len(self.items)
        inner = {
            name: value for name, value in members.items() if not (isinstance(value, str) or _is_copy(name))
        }
        self._within(inner if found else members, depth)
        if found and _encoded_in(self.items[before:]) <= _encoded_in(found):
            self.items[before:] = found
        self.under_way = outer

    def _within(self, members: Mapping[str, object], depth: int) -> None:
        before = len(self.items)
        for name, value in members.items():
            if name in _NO_PICTURES:
                self.echo = self.echo or bool(value and name != "usage")
            elif (not isinstance(value, str) or name in _LISTS) and name not in _PEOPLE:
                self._walk(value, name, depth + 1)
            if isinstance(value, str) and name not in _NO_PICTURES and not self.under_way:
                self.texts.append((name, value))
        if len(self.items) == before and not (self.under_way or self.error or self.failed):
            self.items += [Item(url=each) for each in self._other_addresses(members)]

    def _pictures(
        self, members: Mapping[str, object], place: str, depth: int
    ) -> Iterator[Item | InvalidResponseError]:
        revised = members.get("revised_prompt")
        words = without_surrogates(self.strings.text(revised)) if isinstance(revised, str) else None
        found, damaged = list[bytes](), None
        for name, value in members.items():
            if isinstance(value, str) and value and (name == "b64_json" or self._encodes(value)):
                if name in _NO_PICTURES or (found and _is_copy(name)):
                    continue
                try:
                    data = decoded(self.strings.raw(value))
                except InvalidResponseError as error:
                    damaged = error
                else:
                    if data not in found[:MOST_ITEMS]:  # the same picture under another name
                        found.append(data)
        yield from (Item(data=data, revised_prompt=words) for data in found)
        if found:
            return
        if not self.under_way:
            addresses = list(self._addresses(members))
            if (self.failed or self.error) and place not in _LISTS:
                addresses = []  # a link to documentation of the error
            elif self.failed and (depth == 0 or self.error):
                addresses = list(filter(_names_picture, addresses))
            yield from (Item(url=address, revised_prompt=words) for address in addresses)
            if addresses:
                return
        if damaged:
            yield damaged

    def _encodes(self, value: str) -> bool:
        return _encodes(self.strings.raw(value))

    def _addresses(self, members: Mapping[str, object]) -> Iterator[str]:
        for name in _ADDRESSES:
            value = members.get(name)
            for each in value if isinstance(value, list) else [value]:
                inner = each.get("url") if isinstance(each, Mapping) else each
                if not isinstance(inner, str) or not inner or self._encodes(inner):
                    continue
                if not isinstance(value, list) or _is_address(inner) or _is_relative(inner):
                    yield self.strings.text(inner)

    def _other_addresses(self, members: Mapping[str, object]) -> Iterator[str]:
        """Yield the addresses under names of addresses, in an object that has no better ones."""
        for name, value in members.items():
            if name in _NO_PICTURES or _is_other(name):
                continue
            if any(each in name.lower() for each in _NAMES_OF_ADDRESSES):
                for each in value if isinstance(value, list) else [value]:
                    text = self.strings.text(each) if isinstance(each, str) else ""
                    if _is_address(text) or _is_relative(text):
                        yield text

    def _string(self, value: str, name: str) -> None:
        if self._encodes(value):
            try:
                self.items.append(Item(data=decoded(self.strings.raw(value))))
            except InvalidResponseError as error:
                self.items.append(error)
        elif not self.under_way and name in {*_LISTS, *_ADDRESSES}:
            text = self.strings.text(value)
            if _is_address(text) or _is_relative(text):
                self.items.append(Item(url=text))


def _is_copy(name: str) -> bool:
    return any(each in name.lower() for each in _COPIES)


def _encoded_in(items: list[Item | InvalidResponseError]) -> int:
    return sum(isinstance(item, Item) and item.data is not None for item in items)


def _is_of_use(item: Item | InvalidResponseError) -> bool:
    return isinstance(item, Item) or item.message != _none_of_both().message


_PAGE = re.compile(rb"<(?:!doctype html|html|head)\b", re.IGNORECASE)  # the pictures of a page are logos


def _failure(members: Mapping[str, object]) -> str:
    """Return the state of an object if that is a failure, else an empty string."""
    failed = (word for word, state in states(members) if state in {"failed", "cancelled"})
    return sanitize(next(failed, ""), 40)


def _counts_in_error(item: Item | InvalidResponseError) -> bool:
    """Whether an item counts in an error's answer: an address, or a whole picture."""
    return isinstance(item, Item) and (item.data is None or is_whole(item.data))


def _is_other(name: str) -> bool:
    return any(each in name.lower() for each in _OTHER_ADDRESSES)


_ADDRESS = re.compile(r"https?://|//[\w-]+(?:\.[\w-]+)+(?::\d{1,5})?/", re.IGNORECASE)


def _is_address(text: str) -> bool:
    return bool(_ADDRESS.match(text))


def _is_alone(text: str) -> bool:
    """Whether a text is an address and nothing else."""
    return _is_address(text) and len(text) < 2000 and not _SPACE.search(text)


def _names_picture(text: str) -> bool:
    """Whether an address ends as the file of a picture does."""
    path = text.partition("?")[0].partition("#")[0].lower()
    return _is_relative(text) or (_is_alone(text) and path.endswith(_PICTURE_FILES))


_SPACE = re.compile(r"\s")
_PICTURE_FILES = (".png", ".jpg", ".jpeg", ".webp")


def _is_relative(text: str) -> bool:
    path = text.partition("?")[0].lower()
    return len(text) < 2000 and path.endswith(_PICTURE_FILES) and not _SPACE.search(text) and ":" not in path


def _none_of_both() -> InvalidResponseError:
    return InvalidResponseError(
        "A picture in the answer has neither url nor b64_json.", "It may have been billed."
    )


def _nothing(body: bytes, reader: _Reader) -> InvalidResponseError:
    if reader.error:
        # Some gateways send status 200 before the service has answered.
        error = InvalidResponseError(
            f"The service answered with an error: {reader.error}", "It may have been billed."
        )
    elif reader.empty:
        error = InvalidResponseError(
            "The answer holds no picture.",
            "The model may have declined the prompt: put it another way. It may have been billed.",
        )
    elif reader.job:
        error = InvalidResponseError(
            f"The service has taken the request as job {reader.job}, and sent no picture.",
            "It may have been billed; the service may still finish it.",
        )
    else:
        start = sanitize(body[:200].decode(errors="replace"), 80)
        error = InvalidResponseError(
            f"The answer is not the API's: {start or 'it is empty'}",
            "Look at the base URL. It may have been billed.",
        )
    error.job = reader.job
    return error
