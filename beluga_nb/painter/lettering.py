"""Lettering: text set in Pillow's own font, which has ASCII; accents are drawn over its letters."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from PIL import Image, ImageDraw, ImageFont

from beluga_nb.painter.colour import RGB, brightness
from beluga_nb.painter.marks import Shape, Sheet

MEASURE = 100  # pixels at which text is measured
LEADING = 1.08  # from line to line, of the size
LARGEST = 0.3
SMALLEST = 0.02  # of the picture's short edge: smaller letters cannot be read
INSET = 0.07  # of a board's width and height, on each side
MOST_LETTERS = 140
SPELLED = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "—": "-", "–": "-"})
MORE = "©«°±´·»‘’“”…‹›⁄™"
# Where an accent stands over its letter, as points of a line: x in its width, y above it in the text's size.
ACCENTS = {
    "\u0300": ((0.25, 0.2), (0.6, 0.07)),
    "\u0301": ((0.4, 0.07), (0.75, 0.2)),
    "\u0302": ((0.15, 0.07), (0.5, 0.2), (0.85, 0.07)),
    "\u0303": ((0.1, 0.08), (0.35, 0.17), (0.65, 0.09), (0.9, 0.18)),
    "\u030c": ((0.15, 0.2), (0.5, 0.07), (0.85, 0.2)),
    "\u0327": ((0.55, -1.0), (0.4, -1.12)),
}
DOTS = {"\u0308": (0.2, 0.8), "\u030a": (0.5,), "\u0307": (0.5,)}


def letters(text: str) -> str:
    """Return a text as it can be set: what the font lacks is one block for each letter.

    >>> letters("Café 猫")
    'Cafe\\u0301 \\u25a0'
    """
    plain = unicodedata.normalize("NFD", text.translate(SPELLED))
    return "".join(found for char in plain if (found := _letter(char)))


def _letter(char: str) -> str:
    if " " <= char <= "~" or char in MORE or char in ACCENTS or char in DOTS:
        return char
    if char.isspace():
        return " "
    return "" if unicodedata.category(char)[0] in "MC" else "\u25a0"


def covered(word: str) -> bool:
    """Return whether the font has every letter of a word."""
    return "\u25a0" not in letters(word)


@cache
def _font(pixels: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(pixels)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


@cache
def width_of(text: str) -> float:
    """Return how wide a text is, of its size."""
    bare = "".join(char for char in text if char not in ACCENTS and char not in DOTS)
    return _font(MEASURE).getlength(bare.replace("\u25a0", "m")) / MEASURE


def lines_of(words: Sequence[str], width: float, size: float) -> list[str]:
    """Return the words in lines that are at most so wide."""
    lines: list[str] = []
    for word in words:
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(longer) * size <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


@lru_cache(maxsize=8)
def fitted(text: str, width: float, height: float) -> tuple[list[str], float]:
    """Return the lines of a text, cut if it is long, and the largest size at which they fit into a box."""
    text = text if len(text) <= MOST_LETTERS else text[:MOST_LETTERS].rsplit(" ", 1)[0] + " ..."
    words = letters(text).split() or [""]
    size = LARGEST
    while size > SMALLEST:
        lines = lines_of(words, width, size)
        if len(lines) * LEADING * size <= height and max(map(width_of, lines)) * size <= width:
            break
        size *= 0.94
    return lines_of(words, width, size), size


@dataclass(frozen=True, slots=True)
class Lettering:
    """A line of text: its left end and its top in units, its size, its colour; weight makes it bolder."""

    text: str
    x: float
    y: float
    size: float
    colour: RGB
    weight: float = 0.0

    def put(self, sheet: Sheet) -> None:
        """Draw it."""
        pixels = max(4, round(self.size * sheet.unit))
        pad = pixels // 2
        width = round(width_of(self.text) * pixels) + 2 * pad
        mask = Image.new("L", (width, 2 * pixels))
        draw = ImageDraw.Draw(mask)
        bold = round(pixels * self.weight)
        for char, accents, at in self._characters(pixels):
            if char == "\u25a0":
                edge = 0.1 * pixels
                draw.rectangle(
                    (pad + at + edge, pad + 0.22 * pixels, pad + at + 0.8 * pixels, pad + 0.94 * pixels), 255
                )
            else:
                draw.text((pad + at, pad), char, 255, _font(pixels), stroke_width=bold)
            for accent in accents:
                self._accent(draw, char, accent, (pad + at, pad), pixels)
        left, top = round(self.x * sheet.unit) - pad, round(self.y * sheet.unit) - pad
        sheet.lay(self.colour, (left, top, left + width, top + 2 * pixels), mask)

    def _characters(self, pixels: int) -> Iterator[tuple[str, str, float]]:
        """Yield each letter, its accents, and how far to the right it stands."""
        bare: list[str] = []
        accents: list[str] = []
        for char in self.text:
            if (char in ACCENTS or char in DOTS) and bare:
                accents[-1] += char
            else:
                bare.append(char)
                accents.append("")
        for k, char in enumerate(bare):
            yield char, accents[k], width_of("".join(bare[:k])) * pixels

    def _accent(
        self, draw: ImageDraw.ImageDraw, char: str, accent: str, corner: tuple[float, float], pixels: int
    ) -> None:
        left, top, right, _ = _font(pixels).getbbox(char)
        x, y, wide = corner[0] + left, corner[1] + top, right - left
        thick = max(1, round(pixels * (0.075 + self.weight)))
        for share in DOTS.get(accent, ()):
            cx, cy = x + share * wide, y - 0.11 * pixels
            draw.ellipse((cx - thick * 0.7, cy - thick * 0.7, cx + thick * 0.7, cy + thick * 0.7), 255)
        if accent in ACCENTS:
            points = [(x + a * wide, y - b * pixels) for a, b in ACCENTS[accent]]
            draw.line(points, 255, thick, joint="curve")


def lettered(board: Shape, text: str) -> Iterator[Lettering]:
    """Yield the lines of a text in the middle of a board; none if they would be too small to read."""
    left, top, right, bottom = board.ends()
    width, height = (right - left) * (1 - 2 * INSET), (bottom - top) * (1 - 2 * INSET)
    lines, size = fitted(text, round(width, 3), round(height, 3))
    if not text or size < SMALLEST:
        return
    is_light = sum(map(brightness, board.fill)) > 0.5 * len(board.fill)
    first = (top + bottom - LEADING * size * len(lines)) / 2
    for k, line in enumerate(lines):
        x = (left + right - width_of(line) * size) / 2
        colour = (28, 26, 34) if is_light else (250, 248, 242)
        yield Lettering(line, x, first + k * LEADING * size, size, colour, 0.02)
