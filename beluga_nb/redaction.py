"""Keys in use are taken out of everything that leaves the process.

`redact` is the filter at every output. It finds each live `Secret` as it is, in base64 or hexadecimal digits,
percent-, JSON- or HTML-escaped, and broken by line ends, invisible characters or a terminal's codes. To do so
it decodes escapes, drops everything but printable ASCII, and compares what is left; a key has nothing else.
"""

from __future__ import annotations

import base64
import hmac
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, NoReturn
from weakref import WeakValueDictionary

from beluga_nb.process.locks import ProcessLock

if TYPE_CHECKING:
    import logging

REDACTED = "(your key)"
"""What stands in place of a key."""

# --- secrets


class Secret:
    """A key that no repr, format, copy, JSON or pickle shows; `source` names where it was found.

    As long as it is referenced, `redact` removes it from every output. Any value can become one, since an
    error raised here would show it; `kind` is the name of its type where it is no text.
    """

    __slots__ = ("_value", "kind", "source")

    def __init__(self, value: object, source: str) -> None:
        self.source = source
        self.kind = "" if value is None or isinstance(value, str) else type(value).__name__
        self._value = _LIVE.value(_text_of(value))

    def reveal(self) -> str:
        """Return the key itself, for the one header that needs it."""
        return self._value.reveal()

    @property
    def ending(self) -> str:
        """The last four characters, which tell two keys apart; none of a short key."""
        return self.reveal()[-4:] if len(self.reveal()) >= 2 * _SHORTEST else "…"

    def __bool__(self) -> bool:
        return bool(self.kind or self.reveal())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.is_same(other.reveal())

    def is_same(self, text: str) -> bool:
        """Whether a text is this key, compared in constant time."""
        return hmac.compare_digest(_encoded(self.reveal()), _encoded(text))

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __repr__(self) -> str:
        return f"<key from {self.source}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A key is not copied or pickled.")


def _text_of(value: object) -> str:
    """Return a value as the text to look for, without blanks around it; only text and bytes have one."""
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "surrogateescape").strip()
    return str.strip(value) if isinstance(value, str) else ""


def _encoded(text: str) -> bytes:
    # Bytes of the environment that are not UTF-8 are half surrogate pairs.
    return text.encode("utf-8", "surrogatepass")


class Environment(Mapping[str, str]):
    """The variables of an environment, each readable by its name; iterating and repr show none.

    A traceback with the variables of its frames would show a plain mapping, and with it every key.
    """

    __slots__ = ("_variables",)

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables: Callable[[], Mapping[str, str]] = lambda: variables

    def __getitem__(self, name: str) -> str:
        return self._variables()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True

    def names(self) -> list[str]:
        """Return the names of all variables."""
        return list(self._variables())

    def __repr__(self) -> str:
        return "<environment>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("An environment is not copied or pickled: it may hold a key.")


_SHORTEST = 8
"""Characters of a key at least: shorter strings occur in any text by accident."""

_ENOUGH = 16
"""Characters of a key that are taken out even where the rest is cut off."""


class _Form:
    """A way to write a key, of which `enough` characters are recognized; its repr does not show it.

    Of the forms that are the key as it is, only one that `fits_base64` may stand in a picture in base64.
    """

    __slots__ = ("_whole", "beginning", "fits_base64")

    def __init__(self, written: bytes, enough: int, *, is_plain: bool = False) -> None:
        # In closures, which a traceback with the variables of its frames does not open.
        self._whole: Callable[[], bytes] = lambda: written
        self.beginning: Callable[[], bytes] = lambda: written[:enough]
        self.fits_base64 = is_plain and not written[:enough].translate(None, _BASE64)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Form) and self._whole() == other._whole()

    def __hash__(self) -> int:
        return hash(self._whole())

    def __len__(self) -> int:
        return len(self._whole())

    def spans(self, read: bytes, end: int = 0, last: int | None = None) -> Iterator[tuple[int, int]]:
        while (start := read.find(self.beginning(), end, last)) >= 0:
            end = start + len(self.beginning())
            # As far as the key goes on: one that is cut off is removed too, but not what follows it.
            while end - start < len(self) and read[end : end + 1] == self._whole()[end - start :][:1]:
                end += 1
            yield start, end


def _forms(key: bytes) -> Iterator[_Form]:
    if len(key) < _SHORTEST:
        return
    # A key may itself contain what looks like an escape, which is then decoded in a text, too.
    for each in [reading.read for reading in _readings(key)] + [key.lower(), key.upper(), key[::-1]]:
        if len(each) >= _SHORTEST:
            yield _Form(each.replace(b"\\", b""), _ENOUGH, is_plain=each == key)
    for digits in (key.hex(), key.hex(":")):
        for written in (digits, digits.upper()):
            yield _Form(written.encode(), len(digits) * _ENOUGH // len(key))
    yield from _in_base64(key, _ENOUGH)
    # UTF-16 in both byte orders: without the last zero, which the other order has at the start.
    yield from _in_base64(bytes(key[i // 2] * (1 - i % 2) for i in range(2 * len(key) - 1)), 2 * _ENOUGH)


def _in_base64(key: bytes, enough: int) -> Iterator[_Form]:
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            # Only the base64 characters that do not depend on the bytes before and after the key.
            whole = encode(bytes(offset) + key + bytes(2))
            first, last = -(-offset * 8 // 6), (offset + len(key)) * 8 // 6
            yield _Form(whole[first:last], 4 * enough // 3)


def _tokens(key: str) -> Iterator[str]:
    """Yield a key, and each long word of one that is malformed, such as what follows "Bearer"."""
    yield key
    yield from (word for each in key.split() if len(word := each.strip("\"'")) >= _ENOUGH and word != key)


class _Value:
    """A key, which all secrets share that are the same, and its forms."""

    __slots__ = ("__weakref__", "forms", "reveal")

    def __init__(self, key: str) -> None:
        # In a closure: neither vars() nor a debugger's list of attributes shows it.
        self.reveal: Callable[[], str] = lambda: key
        printed = [_encoded(token).translate(None, _UNPRINTED) for token in _tokens(key)]
        self.forms = tuple(dict.fromkeys(form for each in printed for form in _forms(each)))

    def __reduce__(self) -> NoReturn:
        raise TypeError("A key is not copied or pickled.")


class _Forms(tuple[_Form, ...]):
    """The forms of so many keys, how long they are, and whether one of them may stand in some bytes."""

    keys: int
    shortest: int
    overlap: int
    """How many bytes a key may reach into what stands beside it."""

    may_stand_in: Callable[[bytes], bool]

    def __new__(cls, keys: int, forms: Iterable[_Form]) -> _Forms:
        self = super().__new__(cls, forms)
        beginnings = [form.beginning() for form in self]
        self.keys = keys
        self.shortest = min(map(len, beginnings), default=0)
        self.overlap = _SLACK + max(map(len, self), default=0)
        # Most texts hold no key; this takes a tenth of the time that it takes to look for each form.
        self.may_stand_in = lambda data: any(map(data.__contains__, beginnings))
        return self


class _Live:
    """The keys that some secret holds."""

    def __init__(self) -> None:
        self._values: WeakValueDictionary[str, _Value] = WeakValueDictionary()
        self._forms: _Forms | None = None
        self._lock = ProcessLock()  # free in a child that is forked while another thread holds it
        # Most places hold no key. Were this value dropped each time, the forms would be gathered anew.
        self._none = self.value("")

    def value(self, key: str) -> _Value:
        """Return what all secrets of that key share."""
        with self._lock:
            if not (value := self._values.get(key)):
                self._forms = None  # first, since `forms` looks at it without the lock
                value = self._values[key] = _Value(key)
            return value

    def forms(self) -> _Forms:
        """Return the forms of all of them."""
        # A new key clears what was gathered; where one is no longer held, the number differs.
        if (forms := self._forms) is not None and forms.keys == len(self._values):
            return forms
        with self._lock:
            values = list(self._values.values())
            self._forms = _Forms(len(values), (form for value in values for form in value.forms))
            return self._forms


# --- reading through escapes

_UNPRINTED = bytes(number for number in range(256) if not 0x21 <= number <= 0x7E)

# Each may be escaped again, where an answer is quoted in another. Each begins with one of a few signs, which
# `re` finds fast. Backslashes that begin no escape are matched too: else `re` would try each of them.
_NUMBERED = rb"""
      \\\\*+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|U([0-9a-fA-F]{8})|u\{0*([0-9a-fA-F]{1,6})\}|([01][0-7]{2})%b)?
    | %%(?:25)*([0-9a-fA-F]{2})
    | &(?:amp;)*\#0*([0-9]{1,7})(?:;|(?![0-9\\]))
    | &(?:amp;)*\#[xX]0*([0-9a-fA-F]{1,6})(?:;|(?![0-9a-fA-F\\]))
    | &(?:amp;)*([a-zA-Z]{2,31});
"""
_CONTROLS = rb"|[nrtbf]"
_QUOTED = rb"|=([0-9a-fA-F]{2})"  # quoted-printable
_BASES = (16, 16, 16, 16, 8, 16, 10, 16, 0, 16)
_ROUNDS = 3
"""How deep escapes of different kinds may stand in one another."""

# As `_SEQUENCE` in text.py, with the ways to escape its first character.
_CODE = rb"(?:(?:\[|%(?:25)*5[bB]|&(?:amp;)*\#(?:0*91|[xX]0*5[bB]);)[0-?]*+[\ -/]*+[@-~]|[\#%(-/][0-~])"
_SEQUENCES = rb"""
      \x1b(?:%b|[\]PX^_][^\x00-\x1f\xc2]*+(?:\x07|\xc2\x9c|\x1b\\))
    | \xc2(?:\x9b[0-?]++[\ -/]*+[@-~]|[\x90\x98\x9d-\x9f][^\x00-\x1f\xc2]*+(?:\x07|\xc2\x9c|\x1b\\))
    | \\\\*+(?:(?:u001[bB]|x1[bB]|033|e)%b|u001[bB][\]PX^_][^\x00-\x1f\\]*+(?:\\u0007|\\u001[bB]\\\\))?
    | %%(?:25)*1[bB]%b
    | &(?:amp;)*\#(?:0*27|[xX]0*1[bB]);%b
""" % (_CODE, _CODE, _CODE, _CODE)
_BEGINNINGS = (
    *(b"\x1b", b"\xc2", b"u001b", b"u001B", b"x1b", b"x1B", b"033", b"\\e"),
    *(b"%1b", b"%1B", b"251b", b"251B", b"27;", b"1b;", b"1B;"),
)
"""Of which one stands wherever such a sequence does; without a backslash, of which runs are long."""


class _Layer(NamedTuple):
    """A step of reading: what it takes away or replaces; of the pieces that it reads, a `run` stays.

    `escapes` has one group, a whole escape, so that `split` returns it; the groups of `escape` are its number
    or name. Where none of
    `needs` occurs, or none of `signs`, this step finds nothing that other steps miss. Signs are single bytes,
    which are looked for ten times as fast.
    """

    pieces: re.Pattern[bytes]
    away: bytes = b""
    escapes: re.Pattern[bytes] | None = None
    escape: re.Pattern[bytes] | None = None
    needs: tuple[bytes, ...] = ()
    signs: tuple[bytes, ...] = ()

    def read(self, data: bytes) -> bytes:
        """Return what is left of data."""
        if not (self.escapes and self.escape):
            return data.translate(None, self.away)
        # The same few escapes occur again and again: this is three times as fast as `sub` with a function.
        parts = self.escapes.split(data)
        parts[1::2] = map(_Characters(self.escape).__getitem__, parts[1::2])
        return b"".join(parts)

    def is_needed(self, data: bytes) -> bool:
        """Whether it may find something."""
        signed = not self.signs or any(map(data.__contains__, self.signs))
        return signed and any(map(data.__contains__, self.needs))


class _Characters(dict[bytes, bytes]):
    """Maps each escape to what it stands for, and a run of signs, which is no escape, to itself."""

    def __init__(self, escape: re.Pattern[bytes]) -> None:
        self._escape = escape

    def __missing__(self, written: bytes) -> bytes:
        found = self._escape.fullmatch(written)
        self[written] = character = _character(found) if found else written
        return character


def _character(escape: re.Match[bytes]) -> bytes:
    """Return the printable ASCII character that an escape stands for, or nothing; mere backslashes stay."""
    if not (group := escape.lastindex):
        return b"" if escape[0].translate(None, b"\\") else escape[0]
    if not (base := _BASES[group - 1]):
        return _entity(escape[group].decode())
    number = int(escape[group], base)
    return bytes((number,)).translate(None, _UNPRINTED) if number < 0x7F else b""


_SIGN = re.compile(rb"\\x..|[^\\]")  # each character of a class in brackets, except the backslash


def _replacing(escapes: bytes, signs: bytes, needs: tuple[bytes, ...]) -> _Layer:
    pieces = rb"%b|(?P<run>[^%b]++|[%b])" % (escapes, signs, signs)  # the latter begin no escape
    # No escape begins with a sign twice. Else `re` would try each escape at each sign of a long run.
    runs = b"|".join(rb"(?<!%b)%b+(?=%b)" % (3 * (sign,)) for sign in _SIGN.findall(signs))
    # `split` returns all groups, so the groups of an escape, which begin so, become groups without a number.
    split = rb"(%b|%b)" % (escapes.replace(b"([", b"(?:["), runs)
    return _Layer(
        re.compile(pieces, re.VERBOSE),
        escapes=re.compile(split, re.VERBOSE),
        escape=re.compile(escapes, re.VERBOSE),
        needs=needs,
    )


_THIN = _Layer(re.compile(rb"(?P<run>[!-~]++)"), _UNPRINTED)
_BARE = _Layer(re.compile(rb"(?P<run>[^\\]++)"), b"\\")
_STRIPPED = _replacing(_SEQUENCES, rb"\x1b\\%&\xc2", _BEGINNINGS)._replace(
    signs=(b"\x1b", b"\xc2", b"\\", b"%", b"&")
)
_ESCAPES = (
    _replacing(_NUMBERED % b"", rb"\\%&", (b"\\", b"%", b"&")),
    _replacing(_NUMBERED % _CONTROLS, rb"\\%&", (b"\\",)),  # a following word may look like one
    _replacing(_NUMBERED % b"" + _QUOTED, rb"\\%&=", tuple(b"=%d" % high for high in range(2, 8)))._replace(
        signs=(b"=",)
    ),
)

_NO_SIGNS = bytes(number for number in range(256) if number not in b"\\%&=\x1b\xc2")
"""The bytes that begin no escape and no code; where there are no others, one reading is all."""


@lru_cache(256)
def _entity(name: str) -> bytes:
    from html.entities import html5  # Lazy import: a long table that few texts need.

    return html5.get(f"{name};", "").encode("ascii", "ignore").translate(None, _UNPRINTED)


class _Reading:
    """What is left of data after some steps; where that stood in it is looked up when it is asked for."""

    __slots__ = ("_of", "_pieces", "read")

    def __init__(
        self, read: bytes, of: _Reading | None = None, pieces: re.Pattern[bytes] | None = None
    ) -> None:
        self.read = read
        self._of = of
        self._pieces = pieces

    def through(self, layer: _Layer) -> _Reading:
        """Return what is left of this after one more step: this itself, where that is all."""
        read = layer.read(self.read)
        return self if len(read) == len(self.read) else _Reading(read, self, layer.pieces)

    def spans(self, forms: _Forms) -> list[tuple[int, int]]:
        """Return from where to where keys stood in the data that was read first, in order and apart."""
        if not forms.may_stand_in(self.read):
            return []
        found = _apart(span for form in forms for span in form.spans(self.read))
        reading = self
        while found and reading._of and reading._pieces:
            found = _mapped_back(found, reading._pieces.finditer(reading._of.read))
            reading = reading._of
        return found


def _mapped_back(spans: list[tuple[int, int]], pieces: Iterator[re.Match[bytes]]) -> list[tuple[int, int]]:
    """Return where these spans stood before a step."""
    sought = iter([place for start, end in spans for place in (start, end - 1)])
    stood: list[tuple[int, int]] = []
    at, place = 0, next(sought)
    for piece in pieces:
        run = piece["run"]
        after = at + len(_character(piece) if run is None else run)
        while place < after:
            first = piece.start() + place - at
            stood.append(piece.span() if run is None else (first, first + 1))
            if (following := next(sought, None)) is None:
                return [(start, end) for (start, _), (_, end) in zip(stood[::2], stood[1::2], strict=True)]
            place = following
        at = after
    raise AssertionError("A reading is longer than what was read.")


def _apart(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    apart: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if apart and start < apart[-1][1]:
            apart[-1] = apart[-1][0], max(end, apart[-1][1])
        else:
            apart.append((start, end))
    return apart


def _readings(data: bytes) -> Iterator[_Reading]:
    """Yield what is left of data as it stands, and when its escapes are read and codes are taken away."""
    whole = _Reading(data)
    if not data.translate(None, _NO_SIGNS):
        yield whole.through(_THIN)
        return
    yield from _without_escapes(whole)
    if _STRIPPED.is_needed(data) and (stripped := whole.through(_STRIPPED)) is not whole:
        yield from _without_escapes(stripped)


def _without_escapes(whole: _Reading) -> Iterator[_Reading]:
    thin = whole.through(_THIN)
    yield thin.through(_BARE)
    for layer in (each for each in _ESCAPES if each.is_needed(thin.read)):
        reading = thin
        # An answer that quotes another one escapes its escapes again.
        for _ in range(_ROUNDS):
            before, reading = reading, reading.through(layer)
            if reading is before:
                break
            yield reading.through(_BARE)


def _keys_in(data: bytes, forms: _Forms, pictures: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return from where to where keys stand in data, in which these pictures are, in order and apart.

    The inside of a picture holds only the characters of base64, so no escape; a key can only stand there as
    it is.
    """
    overlap = forms.overlap
    insides = [
        (start + overlap, end - overlap) for start, end in pictures if end - start > _LONG + 2 * overlap
    ]
    if not insides:
        return _apart(span for reading in _readings(data) for span in reading.spans(forms))
    pieces, starts, cut, end = list[bytes](), [0], [0], 0
    for start, after in insides:
        pieces += data[end:start], _SEPARATOR
        starts.append(starts[-1] + len(pieces[-2]) + len(_SEPARATOR))
        cut.append(after - starts[-1])  # by how much all that follows is moved
        end = after
    short = b"".join([*pieces, data[end:]])
    found = [
        (start + cut[bisect_right(starts, start) - 1], after + cut[bisect_right(starts, after - 1) - 1])
        for reading in _readings(short)
        for start, after in reading.spans(forms)
    ]
    plain = [form for form in forms if form.fits_base64]
    for start, after in insides:
        # With what was left beside it: a key may stand across the cut.
        first, last = start - overlap, after + overlap
        found += (span for form in plain for span in form.spans(data, first, last))
    return _apart(found)


# --- pictures in base64, which are most of an answer

_SEPARATOR = b"~" * 16
"""Stands for the inside of a picture; no key continues across it."""

_ENCODED_PICTURE = re.compile(rb"(?:data:[a-z/]{1,40};base64,)?(?:iVBORw0KGg|/9j/|UklGR)")
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_LONG = 2**14  # bytes of a picture from which on it is faster to take its inside apart
_PIECE = 2**20  # bytes of base64 that are decoded at once
_MOST_QUOTES = 10_000  # of a text that is looked through for pictures


def _pictures(data: bytes, *, in_picture: bool = False) -> Iterator[tuple[int, int]]:
    """Yield the place of each quoted picture; the first may begin before data, and the last end after it."""
    start = 0
    for _ in range(_MOST_QUOTES):
        end = data.find(b'"', start)
        after = len(data) if end < 0 else end
        is_picture = (in_picture and not start) or _ENCODED_PICTURE.match(data, start)
        # The picture itself, without what a data URL has before it, is base64 alone.
        first = max(start, data.find(b",", start, min(start + 60, after)) + 1)
        if is_picture and _is_base64(data, first, after):
            yield start, after
        if end < 0:
            return
        start = end + 1


def _is_base64(data: bytes, start: int, end: int) -> bool:
    """Whether data is base64 from there to there; it may begin and end anywhere in it."""
    from pybase64 import b64decode  # Lazy import: only large answers need it.

    end -= data.endswith(b"=", start, end) + data.endswith(b"==", start, end)
    whole = end - (end - start) % 4
    view = memoryview(data)
    try:
        # Decoding is ten times as fast as looking at each byte. In pieces, which take little memory, and few
        # of them: after each, a thread waits for the GIL.
        for at in range(start, whole, _PIECE):
            b64decode(view[at : min(at + _PIECE, whole)], validate=True)
    except ValueError:
        return False
    return not data[whole:end].translate(None, _BASE64)


# --- the filter

_BLOCK = 2**16
"""Bytes that are looked through at once, or as many as are kept back, if these are more."""

_SLACK = 64
"""Characters that are kept back beside the longest form, for an escape that starts or ends in it."""

_GROWING = re.compile(rb"(?:\\++|25|amp;|[#xX]++0*+)+")
"""What an escape may repeat any number of times."""


def redact_bytes(data: bytes) -> bytes:
    """Return data without any key in use."""
    forms = _LIVE.forms()
    pictures = list(_pictures(data)) if forms and len(data) > _LONG else []
    return _without(data, spans)[0] if (spans := _keys_in(data, forms, pictures)) else data


def may_hold_escapes(text: str) -> bool:
    """Whether a key may stand in a text in escapes or between codes, and not only as it is."""
    return bool(_encoded(text).translate(None, _NO_SIGNS))


def redact(text: str) -> str:
    """Return a text without any key in use; one that holds none is returned as it is."""
    forms = _LIVE.forms()
    if not forms or len(text) < forms.shortest:
        return text
    data = _encoded(text)
    redacted = redact_bytes(data)
    return text if redacted is data else redacted.decode("utf-8", "surrogatepass")


def _without(data: bytes, spans: Iterable[tuple[int, int]], until: int | None = None) -> tuple[bytes, int]:
    """Return data up to there, or to the end of a key that stands across, and how long that was."""
    until = len(data) if until is None else until
    done, end = [], 0
    for start, after in spans:
        if start >= until:
            break
        done += [data[end:start], REDACTED.encode()]
        end = after
    return b"".join([*done, data[end:until]]), max(end, until)


class RedactedStream:
    """Takes keys out of data that comes in pieces, whole ones and those that are split over pieces.

    As much is kept back as a key may still be growing in. `has_found` is whether there was a key so far.
    """

    def __init__(self) -> None:
        self._forms = _LIVE.forms()
        self._overlap = self._forms.overlap
        self.has_found = self._in_picture = False
        self._kept = b""
        self._coming: list[bytes | memoryview] = []
        self._size = 0

    def feed(self, *chunks: bytes | memoryview) -> bytes | memoryview:
        """Return the part that is known to hold no key."""
        if not self._forms:
            return b"".join(chunks)
        self._coming += chunks
        self._size += sum(map(len, chunks))
        return self._through() if self._size >= max(_BLOCK, len(self._kept)) else b""

    def finish(self) -> bytes | memoryview:
        """Return the rest."""
        return self._through(last=True)

    def _through(self, *, last: bool = False) -> bytes | memoryview:
        data = b"".join([self._kept, *self._coming])
        until = len(data) if last else self._until(data)
        if not until:
            self._kept, self._coming, self._size = data, [], 0
            return b""
        pictures = list(_pictures(data, in_picture=self._in_picture))
        spans = _keys_in(data, self._forms, pictures)
        self.has_found = self.has_found or bool(spans)
        # Most of an answer is passed on as it is, and is large: it is not copied.
        redacted, taken = _without(data, spans, until) if spans else (memoryview(data)[:until], until)
        if taken:
            self._in_picture = any(start < taken <= end for start, end in pictures)
        self._kept, self._coming, self._size = data[taken:], [], 0
        return redacted

    def _until(self, data: bytes) -> int:
        """Return how much can be passed on: no key that is not complete yet begins before that."""
        # Escapes may be of any length, so the tail grows until it holds a whole key, however it is spelt. It
        # holds none where it is a run of backslashes.
        size = max(self._overlap, len(data) - len(data.rstrip(b"\\")))
        while (size := 2 * size) < len(data):
            left = (_GROWING.sub(b"", reading.read) for reading in _readings(data[-size:]))
            if all(len(each) >= self._overlap for each in left):
                return len(data) - size
        return 0


_LIVE = _Live()


# --- outputs


def redacted_bundle(shown: Mapping[str, str]) -> dict[str, str]:
    """Return what Jupyter's display protocol takes, each text of it without any key."""
    return {kind: redact(value) if kind.startswith("text/") else value for kind, value in shown.items()}


def redact_record(record: logging.LogRecord) -> bool:
    """Take keys out of a line of the log and of its traceback: a filter, for the loggers of this package."""
    import logging

    record.msg, record.args = redact(record.getMessage()), None
    if record.exc_info:
        record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
        record.exc_info = None
    return True
