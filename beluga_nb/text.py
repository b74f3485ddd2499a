"""Plain text: text from outside made fit to be shown, and small helpers for sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from beluga_nb.redaction import redact

LONGEST_OUTSIDE_TEXT = 500
"""Characters of a server's text that enter a message (R10)."""

# Control, format and filler characters, which are invisible and change the text: C0 and C1, soft hyphens, all
# that sets a direction or joins, tags, half surrogate pairs. Variation selectors 15 and 16 pick a glyph.
UNSEEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Some scripts are spelt with joiners, and so are families of emoji.
_LETTER, _EMOJI = "[\u0600-\u0dff]", "[\u2190-\u2bff\ufe0f\U0001f000-\U0001faff]"
_UNSEEN_CHARACTER = re.compile(
    f"(?!(?<={_LETTER})[\u200c\u200d]{_LETTER})(?!(?<={_EMOJI})\u200d{_EMOJI})[{UNSEEN}]"
)
# Colours and moves, titles and links, character sets (ECMA-48); 8-bit CSI only where a number follows.
_SEQUENCE = re.compile(
    r"(?:\x1b\[[0-?]*+|\x9b[0-?]++)[ -/]*+[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x00-\x1f\x80-\x9f]*+(?:\x07|\x9c|\x1b\\)"
    r"|\x1b[#%(-/][0-~]"
)


def sanitize(text: str, longest: int = LONGEST_OUTSIDE_TEXT) -> str:
    """Return outside text in one line, without key, control, bidi and zero-width codes, cut to `longest`.

    >>> sanitize("50 % off\\x1b[31m!\\u200e\\n")
    '50 % off!'
    """
    # Redacted before it is cut: half a key is not found any more, and still a secret.
    line = " ".join(printable(text).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def shown(value: object, longest: int = 80) -> str:
    """Return the repr of an unexpected value in one line.

    >>> shown("much"), shown(16**9999)
    ("'much'", 'an integer of thousands of digits')
    """
    try:
        return sanitize(repr(value), longest)
    except ValueError:
        return "an integer of thousands of digits"


def printable(text: str) -> str:
    """Return outside text with its lines, without key, control, bidi and zero-width codes.

    >>> printable("red\\x1b[2J\\nblue")
    'red\\nblue'
    """
    redacted = redact(text)
    if redacted is text and text.isascii() and text.isprintable():  # as most are
        return text
    # Twice: a sequence may have swallowed letters of a key, and the rest of the text may form one.
    return redact(_UNSEEN_CHARACTER.sub("", _SEQUENCE.sub("", redacted)))


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """Return the choice that was most likely meant, or None.

    >>> nearest("flux2", ["flux-2.0", "seedream-4.5"])
    'flux-2.0'
    """
    import difflib  # Lazy import: this module is loaded with the extension.

    # All long options begin with dashes, which would make them seem alike.
    by_fold = {choice.casefold().lstrip("-"): choice for choice in choices}
    typed = name.casefold().lstrip("-")
    close = difflib.get_close_matches(typed, by_fold)
    begun = [each for each in by_fold if typed and each.startswith(typed)]
    if not close and len(begun) == 1:
        close = begun
    # By their letters alone, --modle would be closer to --mode than to --model.
    one_slip = [each for each in close if is_swapped(typed, each)]
    return by_fold[(one_slip or close)[0]] if close else None


def is_swapped(typed: str, meant: str) -> bool:
    """Whether two neighbouring letters are swapped.

    >>> is_swapped("opne", "open"), is_swapped("oven", "open")
    (True, False)
    """
    left, right = _where_they_differ(typed, meant)
    return len(left) > 1 and left[1] + left[0] + left[2:] == right


def is_one_slip(typed: str, meant: str) -> bool:
    """Whether at most one letter is too many, missing or another, or two neighbouring letters are swapped.

    >>> is_one_slip("statsu", "status"), is_one_slip("stats", "status"), is_one_slip("state", "status")
    (True, True, False)
    """
    left, right = _where_they_differ(typed, meant)
    return left[1:] == right or right[1:] in (left, left[1:]) or is_swapped(typed, meant)


def _where_they_differ(one: str, other: str) -> tuple[str, str]:
    """Return both texts without their common beginning."""
    differs = (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    same = next(differs, min(len(one), len(other)))
    return one[same:], other[same:]


def duration(seconds: float) -> str:
    """Return a time in words, from seconds; at least one second.

    >>> duration(0.2), duration(59.9), duration(135)
    ('1 s', '1 min', '2 min 15 s')
    """
    minutes, rest = divmod(max(1, round(seconds)), 60)
    return " ".join([*([f"{minutes} min"] if minutes else []), *([f"{rest} s"] if rest else [])])


def plural(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> plural(1, "picture"), plural(2, "picture")
    ('1 picture', '2 pictures')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def and_more(count: int) -> str:
    """Return how many are left out of a list; nothing where none are.

    >>> and_more(1200), and_more(0)
    ('… and 1,200 more', '')
    """
    return f"… and {count:,} more" if count > 0 else ""


def in_order(text: str, pieces: Sequence[str], start: int = 0) -> bool:
    """Whether a text, from `start` on, is these pieces in their order, with anything between two of them.

    >>> in_order("a red fox in the snow", ["a ", " in ", "snow"])
    True
    """
    first, *others = pieces
    if not others:
        return text[start:] == first
    *between, last = others
    if not text.startswith(first, start):
        return False
    place = start + len(first)
    for piece in between:
        found = text.find(piece, place)
        if found < 0:
            return False
        place = found + len(piece)
    return len(text) - len(last) >= place and text.endswith(last)
