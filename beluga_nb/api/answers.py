"""Read the pictures of an answer in any form: a pure function from raw bytes to pictures.

An answer that has arrived is paid for, so many forms are understood: wrapped, URL-safe or unpadded base64,
pictures under other names, a bare picture, server-sent events, several documents, JSON that is
cut off. Work and memory are bounded by counts, since a small body can hold millions of parts.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from beluga_nb.api.body import BLANKS, inflated
from beluga_nb.api.documents import MOST_PARTS, CutDocument, Strings, as_utf_8, documents, start_of
from beluga_nb.api.encoded import MOST_FOUND, decoded, encoded_within, encodes
from beluga_nb.api.states import FIELDS, is_under_way, states, with_spelt_names
from beluga_nb.errors import MAY_BE_BILLED, InvalidResponseError
from beluga_nb.images import SIGNATURES, is_of_another_format, is_picture, is_truncated, is_whole
from beluga_nb.text import sanitize
from beluga_nb.wire import NOT_SENT_AGAIN, Item, error_words, without_surrogates

MOST_ITEMS = 64
"""Pictures of one answer that are read; the raw answer keeps the others."""

_ADDRESSES = ("url", "urls", "image_url", "image_urls", "uri", "image_uri", "signed_url", "href")
_NAMES_OF_ADDRESSES = ("url", "uri", "link", "src", "href", "path", "img", "picture", "photo")
_OTHER_ADDRESSES = (
    *("status", "cancel", "poll", "hook", "callback"),
    *("response", "request", "doc", "help", "avatar"),
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
    reader.read_body(as_utf_8(body))
    reader.read_head(headers)
    if not reader.items or (reader.job and not any(map(_is_of_use, reader.items))):
        raise _nothing(body, reader)
    return ParsedAnswer(
        items=tuple(reader.items[:MOST_ITEMS]),
        created=reader.created,
        more=max(0, len(reader.items) - MOST_ITEMS),
        job=reader.job,
    )


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
    return next(encoded_within(payload), b"") if encodes(payload) else b""


def _bare_within(body: bytes) -> bytes:
    """Return the first whole picture in the raw bytes of a body, with all that follows it."""
    if body.isascii():  # as most JSON, in which searching for the signatures takes longest
        return b""
    for start in sorted(at for at in map(body.find, SIGNATURES) if at >= 0):
        if is_picture(body[start : start + 12]) and is_whole(body[start:]):
            return body[start:]
    return b""


_LINK = re.compile(
    rb"(?:!\[[^\]]{0,300}\]\(|<img(?:\s[^<>]{0,300}?)?\ssrc\s{0,9}=\s{0,9}[\"']?)((?:https?:)?//[^\s()<>\"'\\]{1,2000})",
    re.IGNORECASE,
)


def _links_within(text: bytes) -> Iterator[str]:
    """Yield the addresses of the pictures that a text in Markdown or HTML shows."""
    for found in itertools.islice(_LINK.finditer(text), MOST_FOUND):
        yield found[1].replace(b"&amp;", b"&").decode("utf-8", "replace")


# --- pictures in documents


@dataclass
class _Reader:
    """Collects the pictures of documents, and the job, time and errors beside them.

    `failed`: the answer has a failed status, so its text is that of an error.
    """

    failed: bool = False
    strings: Strings = field(default_factory=Strings)
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
        for document in documents(body, self.strings):
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
            for each in documents(inner, self.strings) if depth < 3 else ():
                self.read(each, depth + 1)
            return
        if isinstance(document, CutDocument):
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
            if not self.items and len(body) < 1000 and _is_alone(alone := start_of(body).strip()):
                self.items.append(Item(url=alone))
        self.items = list(dict.fromkeys(self.items))

    def _text(self, name: str, text: str) -> None:
        if name and text.startswith(("{", "[")):
            with contextlib.suppress(InvalidResponseError):  # too many parts
                for each in documents(text.encode("utf-8", "replace"), self.strings):
                    self.read(each)
        elif _is_alone(text) and (name == "content" or (_names_picture(text) and not _is_other(name))):
            self.items.append(Item(url=text))
        else:
            self._loose(text.encode("utf-8", "replace"))

    def _loose(self, text: bytes) -> None:
        self.items += [Item(data=each) for each in itertools.islice(encoded_within(text), MOST_ITEMS)]
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
        # No service nests as deep, and Python's own stack has an end.
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
        # The object's own pictures count, unless more of them are nested in it.
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
        return encodes(self.strings.raw(value))

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
    return InvalidResponseError("A picture in the answer has neither url nor b64_json.", NOT_SENT_AGAIN)


def _nothing(body: bytes, reader: _Reader) -> InvalidResponseError:
    if reader.error:
        # Some gateways send status 200 before the service has answered.
        error = InvalidResponseError(f"The service answered with an error: {reader.error}", NOT_SENT_AGAIN)
    elif reader.empty:
        error = InvalidResponseError(
            "The answer holds no picture.",
            f"The model may have declined the prompt: put it another way. {MAY_BE_BILLED}",
        )
    elif reader.job:
        error = InvalidResponseError(
            f"The service has taken the request as job {reader.job}, and sent no picture.",
            f"The service may still finish it. {NOT_SENT_AGAIN}",
        )
    else:
        start = sanitize(body[:200].decode(errors="replace"), 80)
        error = InvalidResponseError(
            f"The answer is not the API's: {start or 'it is empty'}",
            f"Check the base URL. {MAY_BE_BILLED}",
        )
    error.job = reader.job
    return error
