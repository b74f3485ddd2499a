"""Fonts for sheets: the first that has all letters of a text, and how its lines break."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_FILES = (
    ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"),
    ("Arial.ttf", "Arial Bold.ttf"),
    ("Helvetica.ttc", "Helvetica.ttc"),
)
# These have more letters; they are looked for only where a letter is missing.
_FURTHER = (
    ("NotoSansCJK-Regular.ttc", "NotoSansCJK-Bold.ttc"),
    ("NotoSans-Regular.ttf", "NotoSans-Bold.ttf"),
    ("Arial Unicode.ttf", "Arial Unicode.ttf"),
    ("PingFang.ttc", "PingFang.ttc"),
    ("msyh.ttc", "msyhbd.ttc"),
    ("wqy-zenhei.ttc", "wqy-zenhei.ttc"),
)
LOOKED_FOR = ", ".join(regular for regular, _ in (*_FILES, *_FURTHER))
"""The files that are looked for, in words; without any of them, it is Pillow's own font."""

_SIZE = 24  # pixels at which letters are looked at
_NO_LETTER = "\U0010ffff"


@dataclass(frozen=True)
class Font:
    """A font by the files of its regular and its bold letters; without a file it is Pillow's own."""

    regular: str = ""
    bold: str = ""

    def at(self, size: int, *, bold: bool = False) -> FreeTypeFont:
        """Return it in a size, in pixels."""
        return _loaded(self.bold if bold else self.regular, size) or _loaded(self.regular, size) or _own(size)

    @property
    def family(self) -> str:
        """Its name."""
        return self.at(_SIZE).getname()[0] or "sans-serif"

    def missing(self, text: str) -> str:
        """Return the letters of a text that it lacks, each once."""
        nothing = _drawn(self, _NO_LETTER)
        letters = dict.fromkeys(each for each in text if not each.isspace())
        return "".join(each for each in letters if _drawn(self, each) == nothing)

    def width(self, text: str, size: int) -> int:
        """Return the pixels of a line of text."""
        return math.ceil(self.at(size).getlength(text))

    def wrapped(self, text: str, width: int, size: int, *, bold: bool = False) -> list[str]:
        """Return a text in lines of at most this many pixels; a longer word is broken."""
        font = self.at(size, bold=bold)
        lines = [""] if text.strip() else []
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if font.getlength(longer) <= width:
                lines[-1] = longer
                continue
            lines += [""] if lines[-1] else []
            for letter in word:
                if lines[-1] and font.getlength(lines[-1] + letter) > width:
                    lines.append("")
                lines[-1] += letter
        return lines


@cache
def _drawn(font: Font, letter: str) -> bytes:
    mask = font.at(_SIZE).getmask(letter)
    return bytes(mask) + bytes(mask.size)


def font_for(text: str) -> Font:
    """Return the first font that has all letters of a text, or else the one that lacks the fewest."""
    best, fewest = Font(), len(text) + 1
    for font in _fonts():
        count = len(font.missing(text))
        if count < fewest:
            best, fewest = font, count
        if not count:
            break
    return best


def _fonts() -> Iterator[Font]:
    for regular, bold in _FILES:
        if _loaded(regular, _SIZE):
            yield Font(regular, bold)
    yield Font()
    for regular, bold in _FURTHER:
        if _loaded(regular, _SIZE):
            yield Font(regular, bold)


@cache
def _loaded(name: str, size: int) -> FreeTypeFont | None:
    from PIL import ImageFont

    try:
        return ImageFont.truetype(name, size) if name else None
    except OSError:
        return None


def _own(size: int) -> FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.load_default(size)  # type: ignore[return-value]  # with a size it is a FreeTypeFont
