"""Plain text: what may reach a person's eyes, and that no key in use is in anything that leaves.

`redact` is the filter at every output. It looks for each live `Secret` in whatever form it may have been
echoed: as it is, as base64 or hexadecimal digits, percent-, JSON- or HTML-escaped, and broken by line
ends or characters that nobody sees. So it compares only what is left of a text when escapes are read and
everything but printable ASCII is taken away; no key has anything else.
"""

from __future__ import annotations

import base64
import hmac
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn
from weakref import WeakValueDictionary

from beluga_nb._locks import ProcessLock

if TYPE_CHECKING:
    import logging

LONGEST_OUTSIDE_TEXT = 500
"""Characters of a server's text that enter a message (R10)."""

REDACTED = "(your key)"
"""What stands in place of a key."""

# --- plain text

# Control, format and filler characters, which are not seen and change what is: C0 and C1, soft hyphens, all
# that sets a direction or joins, tags, half surrogate pairs. Variation selectors 15 and 16 pick a glyph.
_UNSEEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Some scripts are spelt with joiners, and so are families of emoji.
_LETTER, _EMOJI = "[\u0600-\u0dff]", "[\u2190-\u2bff\ufe0f\U0001f000-\U0001faff]"
_UNSEEN_CHARACTER = re.compile(
    f"(?!(?<={_LETTER})[\u200c\u200d]{_LETTER})(?!(?<={_EMOJI})\u200d{_EMOJI})[{_UNSEEN}]"
)


def sanitize(text: str, longest: int = LONGEST_OUTSIDE_TEXT) -> str:
    """Return outside text in one line, without key, control, bidi and zero-width codes, cut to `longest`.

    >>> sanitize("50 % off\\x1b[31m!\\u200e\\n")
    '50 % off[31m!'
    """
    # Before it is cut: the half of a key is no key to look for, and still a secret.
    line = " ".join(redact(_UNSEEN_CHARACTER.sub("", text)).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def printable(text: str) -> str:
    """Return outside text with its lines, without control, bidi and zero-width codes.

    >>> printable("red\\x1b[2J\\nblue")
    'red[2J\\nblue'
    """
    return _UNSEEN_CHARACTER.sub("", text)


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """Return the choice a person most likely meant, or None.

    >>> nearest("flux2", ["flux-2.0", "seedream-4.5"])
    'flux-2.0'
    """
    import difflib  # in its place, since this module is part of loading the extension

    by_fold = {choice.casefold(): choice for choice in choices}
    close = difflib.get_close_matches(name.casefold(), by_fold, n=1, cutoff=0.5)
    return by_fold[close[0]] if close else None


# --- secrets


class Secret:
    """A key that no repr, format, copy, JSON or pickle gives away; `source` says where it was found.

    As long as it lives, `redact` takes it out of whatever leaves.
    """

    __slots__ = ("_value", "source")

    def __init__(self, value: str, source: str) -> None:
        self._value = _LIVE.value(value)
        self.source = source

    def reveal(self) -> str:
        """Return the key itself, for the one header that needs it."""
        return self._value.reveal()

    @property
    def ending(self) -> str:
        """The last four characters, which tell two keys apart; of a short one nothing."""
        return self.reveal()[-4:] if len(self.reveal()) >= 2 * _SHORTEST else "…"

    def __bool__(self) -> bool:
        return bool(self.reveal())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(
            self.reveal().encode(), other.reveal().encode()
        )

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __repr__(self) -> str:
        return f"<key from {self.source}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A key is not copied or pickled.")


class Environment(Mapping[str, str]):
    """The variables of an environment, each by its name; nothing that lists or shows them finds any.

    A traceback with the variables of its frames would show a plain mapping, and with it every key.
    """

    __slots__ = ("_said",)

    def __init__(self, said: Mapping[str, str]) -> None:
        self._said: Callable[[], Mapping[str, str]] = lambda: said

    def __getitem__(self, name: str) -> str:
        return self._said()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return "<environment>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("An environment is not copied or pickled: it may hold a key.")


_SHORTEST = 8
"""Characters of a key at least: what is shorter stands in any text by accident."""

_ENOUGH = 16
"""Characters of a key that are taken out even where the rest is cut off."""


class _Form:
    """A way to write a key, of which `enough` characters are recognized; it shows itself to nobody."""

    __slots__ = ("_enough", "_whole")

    def __init__(self, written: bytes, enough: int) -> None:
        self._whole: Callable[[], bytes] = lambda: written
        self._enough: Callable[[], bytes] = lambda: written[:enough]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Form) and self._whole() == other._whole()

    def __hash__(self) -> int:
        return hash(self._whole())

    def __len__(self) -> int:
        return len(self._whole())

    def is_in(self, read: bytes) -> bool:
        return self._enough() in read

    def spans(self, read: bytes) -> Iterator[tuple[int, int]]:
        end = 0
        while (start := read.find(self._enough(), end)) >= 0:
            end = start + len(self._enough())
            while end - start < len(self) and read[end : end + 1] == self._whole()[end - start :][:1]:
                end += 1
            yield start, end


def _forms(key: bytes) -> Iterator[_Form]:
    if len(key) < _SHORTEST:
        return
    yield _Form(key.replace(b"\\", b""), _ENOUGH)
    for digits in (key.hex(), key.hex().upper()):
        yield _Form(digits.encode(), 2 * _ENOUGH)
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            # Of base64 only what depends on nothing that stands before or after the key.
            whole = encode(bytes(offset) + key + bytes(2))
            first, last = -(-offset * 8 // 6), (offset + len(key)) * 8 // 6
            yield _Form(whole[first:last], 4 * _ENOUGH // 3)


class _Value:
    """A key, which all secrets share that are the same, and its forms."""

    __slots__ = ("__weakref__", "forms", "reveal")

    def __init__(self, key: str) -> None:
        # In a closure, where neither vars() nor a debugger's list of attributes shows it.
        self.reveal: Callable[[], str] = lambda: key
        self.forms = tuple(dict.fromkeys(_forms(key.encode().translate(None, _UNPRINTED))))

    def __reduce__(self) -> NoReturn:
        raise TypeError("A key is not copied or pickled.")


class _Live:
    """The keys that some secret holds."""

    def __init__(self) -> None:
        self._values: WeakValueDictionary[str, _Value] = WeakValueDictionary()
        self._lock = ProcessLock()  # a child that is forked while another thread holds it goes on

    def value(self, key: str) -> _Value:
        """Return what all secrets of that key share."""
        with self._lock:
            return self._values.get(key.strip()) or self._values.setdefault(key.strip(), _Value(key.strip()))

    def forms(self) -> list[_Form]:
        """Return the forms of all of them."""
        with self._lock:
            return [form for value in self._values.values() for form in value.forms]


# --- reading through escapes

_UNPRINTED = bytes(number for number in range(256) if not 0x21 <= number <= 0x7E)

# Each may be escaped itself, by whoever has put an answer into another.
_NUMBERED = rb"""
      (?<!\\)\\++(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|U([0-9a-fA-F]{8}))
    | %(?:25)*([0-9a-fA-F]{2})
    | &(?:amp;)*\#0*([0-9]{1,7})(?:;|(?![0-9\\]))
    | &(?:amp;)*\#[xX]0*([0-9a-fA-F]{1,6})(?:;|(?![0-9a-fA-F\\]))
    | &(?:amp;)*([a-zA-Z]{2,31});
"""
_CONTROLS = rb"|(?<!\\)\\++[nrtbf]"
_BASES = (16, 16, 16, 16, 10, 16)
_SIGNS = (b"\\", b"%", b"&")
_ROUNDS = 3
"""How deep escapes of different kinds may stand in one another."""

_ESCAPES = [re.compile(each, re.VERBOSE) for each in (_NUMBERED, _NUMBERED + _CONTROLS)]
"""What is read: without, and with those that a word after a backslash may be mistaken for."""

_RUN = re.compile(rb"(?P<run>[!-~]++)")
_BARE_RUN = re.compile(rb"(?P<run>[!-\[\]-~]++)")
_PIECES = [
    re.compile(each.pattern + rb"|(?P<run>[!-$'-\[\]-~]++|[%&\\])", re.VERBOSE)  # the latter begin no escape
    for each in _ESCAPES
]


def _character(escape: re.Match[bytes]) -> bytes:
    """Return the printable ASCII character that an escape stands for, or nothing."""
    *numbers, name = escape.groups()[: len(_BASES) + 1]
    if name:
        return _entity(name.decode())
    number = next((int(each, base) for each, base in zip(numbers, _BASES, strict=True) if each), 0)
    return bytes((number,)).translate(None, _UNPRINTED) if number < 0x7F else b""


@lru_cache(256)
def _entity(name: str) -> bytes:
    from html.entities import html5  # in its place: a long table that few texts need

    return html5.get(f"{name};", "").encode("ascii", "ignore").translate(None, _UNPRINTED)


def _readings(data: bytes) -> Iterator[bytes]:
    """Yield what is left of data as it stands, and what is left when its escapes are read."""
    thin = data.translate(None, _UNPRINTED)
    yield thin.replace(b"\\", b"") if b"\\" in thin else thin
    if any(sign in thin for sign in _SIGNS):
        for escapes in _ESCAPES[: 1 + (b"\\" in thin)]:
            read = thin
            for _ in range(_ROUNDS):
                read, before = escapes.sub(_character, read), read
                if read == before:
                    break
                yield read.replace(b"\\", b"")


class _Reading:
    """What is left of data when it is read in pieces, and where each character of it stood."""

    def __init__(self, data: bytes, pieces: re.Pattern[bytes], of: _Reading | None = None) -> None:
        read = bytearray()
        self.of = of
        self.at: list[int] = []
        self.pieces: list[tuple[int, int]] = []
        for piece in pieces.finditer(data):
            if said := piece["run"] or _character(piece):
                self.at.append(len(read))
                self.pieces.append(piece.span())
                read += said
        self.read = bytes(read)

    def through(self, pieces: re.Pattern[bytes]) -> _Reading:
        """Return what is left of this when it is read again."""
        return _Reading(self.read, pieces, self)

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Return where in the data that was read first some characters stood."""
        start, end = self._piece(start)[0], self._piece(end - 1)[1]
        return self.of.place(start, end) if self.of else (start, end)

    def _piece(self, index: int) -> tuple[int, int]:
        number = bisect_right(self.at, index) - 1
        start, end = self.pieces[number]
        following = self.at[number + 1] if number + 1 < len(self.at) else len(self.read)
        if end - start != following - self.at[number]:  # an escape
            return start, end
        return start + index - self.at[number], start + index - self.at[number] + 1


def _placed(data: bytes) -> Iterator[_Reading]:
    """Yield the same as `_readings`, with places."""
    thin = _Reading(data, _RUN)
    yield thin.through(_BARE_RUN)
    for pieces in _PIECES[: 1 + (b"\\" in thin.read)]:
        reading = thin
        for _ in range(_ROUNDS):
            before, reading = reading, reading.through(pieces)
            if reading.read == before.read:
                break
            yield reading.through(_BARE_RUN)


def _keys_in(data: bytes, forms: Iterable[_Form]) -> list[tuple[int, int]]:
    """Return from where to where keys stand in data, in order and apart."""
    readings = list(_placed(data))
    spans = [each.place(*span) for each in readings for form in forms for span in form.spans(each.read)]
    apart: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if apart and start < apart[-1][1]:
            apart[-1] = apart[-1][0], max(end, apart[-1][1])
        else:
            apart.append((start, end))
    return apart


def _has_key(data: bytes, forms: Iterable[_Form]) -> bool:
    return any(form.is_in(read) for read in _readings(data) for form in forms)


# --- the filter

_BLOCK = 2**16  # bytes that are looked through at once, beside what is kept back
_WIDEST = 12  # bytes that one character of a form takes, escaped


def redact_bytes(data: bytes) -> bytes:
    """Return data without any key in use."""
    forms = _LIVE.forms()
    if not forms or not _has_key(data, forms):
        return data
    stream = RedactedStream()
    return b"".join([stream.feed(data), stream.finish()])


def redact(text: str) -> str:
    """Return a text without any key in use; one that holds none is returned as it is."""
    if not text or not _LIVE.forms():
        return text
    data = text.encode("utf-8", "surrogatepass")
    redacted = redact_bytes(data)
    return text if redacted is data else redacted.decode("utf-8", "surrogatepass")


class RedactedStream:
    """Takes keys out of data that comes in pieces, whole ones and those that are split over pieces.

    As much is kept back as a key may still be growing in.
    """

    def __init__(self) -> None:
        self._forms = _LIVE.forms()
        self._overlap = _WIDEST * max(map(len, self._forms), default=0)
        self._kept = b""
        self._coming: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> bytes:
        """Return what is known by now to hold no key."""
        if not self._forms:
            return chunk
        self._coming.append(chunk)
        self._size += len(chunk)
        return self._through(self._overlap) if self._size >= _BLOCK else b""

    def finish(self) -> bytes:
        """Return the rest."""
        return self._through(0)

    def _through(self, overlap: int) -> bytes:
        data = memoryview(b"".join([self._kept, *self._coming]))
        self._coming, self._size = [], 0
        done: list[bytes] = []
        start = 0
        while len(data) - start > overlap:
            block = bytes(data[start : start + _BLOCK + overlap])
            kept = overlap if start + len(block) == len(data) else self._overlap
            out, taken = self._block(block, len(block) - kept)
            done.append(out)
            start += taken
        self._kept = bytes(data[start:])
        return b"".join(done)

    def _block(self, block: bytes, until: int) -> tuple[bytes, int]:
        """Return a block up to there, or to the end of a key that stands across, and how long that was."""
        if not _has_key(block, self._forms):
            return block[:until], until
        done, end = [], 0
        for start, after in _keys_in(block, self._forms):
            if start >= until:
                break
            done += [block[end:start], REDACTED.encode()]
            end = after
        done.append(block[end:until])
        return b"".join(done), max(end, until)


_LIVE = _Live()


# --- what is written through it


def redacted_bundle(shown: Mapping[str, str]) -> dict[str, str]:
    """Return what Jupyter's display protocol takes, each text of it without any key."""
    return {kind: redact(said) if kind.startswith("text/") else said for kind, said in shown.items()}


def redact_record(record: logging.LogRecord) -> bool:
    """Take keys out of a line of the log and of its traceback: a filter, for the loggers of this package."""
    import logging

    record.msg, record.args = redact(record.getMessage()), None
    if record.exc_info:
        record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
        record.exc_info = None
    return True


# --- what looks like a key

_SERVICES = re.compile(
    r"(?<![A-Za-z0-9])(?:(?P<ours>bapi_[A-Za-z0-9_-]{16,})"
    r"|(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}"
    r"|(?:xai|fal|gsk|r8|hf|nvapi|AIza)[-_]?[A-Za-z0-9_-]{20,})"
)


def holds_key(text: str) -> bool:
    """Whether a key in use stands in a text, in any form, or what looks like the key of a service."""
    return redact(text) is not text or any(map(_is_key, _SERVICES.finditer(printable(text))))


def _is_key(found: re.Match[str]) -> bool:
    # Without a digit, it is words that hyphens join.
    return found["ours"] is not None or any(each.isdigit() for each in found[0])
