"""The plot of a ranking for print: a PDF of 300 pixels an inch, whose fonts have the letters of all names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_nb.images import encode
from beluga_nb.show.fonts import font_for
from beluga_nb.show.labels import cut_labels
from beluga_nb.show.ranking import BAR, INK, LEFT, PLOTTED, RIGHT, ROW, SCALE, WIDTH, signed, ticks_of

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

    from beluga_nb.compare.rank import Ranking

DPI = 300

_POINT = DPI / 96  # pixels of one of SVG
_PALE = "#b9d2ea"
_GRID = "#dddddd"


def ranking_pdf(ranking: Ranking) -> bytes:
    """Return the plot that `ranking_svg` draws as a PDF; the same ranking gives the same bytes."""
    from PIL import Image, ImageDraw

    height = ROW * len(ranking.standings)
    image = Image.new("RGB", (_pixels(WIDTH), _pixels(height + 44)), "white")
    _draw(ImageDraw.Draw(image), ranking, height)
    # Without dates, the same ranking gives the same bytes.
    return encode(image, "PDF", resolution=DPI, quality=95, creationDate=None, modDate=None)


def _draw(draw: ImageDraw, ranking: Ranking, height: int) -> None:
    ticks = ticks_of(ranking)
    names = [*cut_labels(ranking.names, PLOTTED).values()]
    font = font_for("".join([*names, SCALE]))
    scale = (WIDTH - LEFT - RIGHT) / max(ticks[-1] - ticks[0], 1)

    def across(elo: float) -> float:
        return LEFT + (elo - ticks[0]) * scale

    def line(start: float, end: float, y: float, width: float, fill: str) -> None:
        draw.line(tuple(map(_pixels, (start, y, end, y))), fill=fill, width=_pixels(width))

    def text(x: float, y: float, words: str, size: int, anchor: str) -> None:
        draw.text((_pixels(x), _pixels(y)), words, fill=INK, font=font.at(_pixels(size)), anchor=anchor)

    for tick in ticks:
        x = _pixels(across(tick))
        draw.line((x, _pixels(4), x, _pixels(height)), fill=_GRID if tick else INK, width=_pixels(1))
        text(across(tick), height + 18, signed(tick), 11, "ms")
    text((LEFT + WIDTH - RIGHT) / 2, height + 38, SCALE, 11, "ms")
    for number, (name, each) in enumerate(zip(names, ranking.standings, strict=True)):
        y = ROW * number + ROW / 2 + 2
        text(LEFT - 12, y, name, 13, "rm")
        if each.has_interval:
            line(across(each.low), across(each.high), y, 8, _PALE)
        dot = (across(each.elo) - 5, y - 5, across(each.elo) + 5, y + 5)
        draw.ellipse(tuple(map(_pixels, dot)), fill=BAR)


def _pixels(length: float) -> int:
    return round(length * _POINT)
