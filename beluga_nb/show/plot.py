"""The plot of a ranking for print: a PDF of 300 pixels an inch, and a picture for a notebook.

The font is one that has the letters of all names.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from beluga_nb.compare.workspace import Workspace
from beluga_nb.errors import InvalidImageError
from beluga_nb.images import encode
from beluga_nb.result import Picture, Preview
from beluga_nb.show.fonts import font_for
from beluga_nb.show.labels import cut_labels
from beluga_nb.show.preview import preview_of
from beluga_nb.show.ranking import (
    BAR,
    INK,
    LEFT,
    PLOTTED,
    RIGHT,
    ROW,
    SCALE,
    WIDTH,
    ranking_bundle,
    ranking_rows,
    ranking_svg,
    signed,
    ticks_of,
)
from beluga_nb.show.stored import StoreView
from beluga_nb.text import plural, sanitize

if TYPE_CHECKING:
    from PIL.Image import Image

    from beluga_nb.compare.rank import Ranking

DPI = 300

_PALE = "#b9d2ea"
_GRID = "#dddddd"
_NOTEBOOK = 2  # pixels of one of SVG: on paper that is 200 an inch
_RANK, _RATE = 44, 60  # of SVG, beside the plot
_NOTE_LINE = 17
_LONGEST_NOTE = 4000
_MOST_NAMES = 60  # of a plot that is a page high


def ranking_pdf(ranking: Ranking) -> tuple[bytes, str]:
    """Return the plot that `ranking_svg` draws as a PDF, and the letters that its font lacks.

    The same ranking gives the same bytes.
    """
    from PIL import Image

    paper = _Paper(ranking, "", DPI / 96)
    image = Image.new("RGB", (paper.pixels(WIDTH), paper.pixels(paper.height)), "white")
    paper.plot(image)
    # Without dates, the same ranking gives the same bytes.
    return encode(image, "PDF", resolution=DPI, quality=95, creationDate=None, modDate=None), paper.missing


def ranking_png(ranking: Ranking) -> Preview:
    """Return the plot with ranks, win rates and the note, for what shows a single image, such as LaTeX."""
    from PIL import Image

    on = f"{ranking.criterion}: " if ranking.criterion else ""
    paper = _Paper(ranking, sanitize(f"{on}{ranking.note}", _LONGEST_NOTE), _NOTEBOOK)
    height = paper.height + _NOTE_LINE * (len(paper.note) + 1)
    image = Image.new("RGB", (paper.pixels(_RANK + WIDTH + _RATE), paper.pixels(height)), "white")
    paper.plot(image, left=_RANK)
    paper.table()
    # Few colours are enough for lines and letters, and are light.
    return Preview(encode(image.quantize(16), "PNG", optimize=True), "image/png")


def illustrated(ranking: Ranking, pictures: Mapping[str, Picture], workspace: Workspace) -> Ranking:
    """Return a ranking with an example of each name and its plot, unless pictures are shown nowhere."""
    settings = workspace.settings
    if settings.embed not in {"preview", "original"}:
        return ranking
    view = StoreView(workspace.store, writing=settings.writes_store)
    previews: list[Preview] = []
    found: dict[str, Preview] = {}
    for name, picture in pictures.items():
        with suppress(InvalidImageError):
            small = preview_of(picture)
            found[name] = view.tile(small)
            previews.append(small)
    words = [ranking.criterion, ranking_svg(ranking), ranking_bundle(ranking)["text/plain"]]
    fits = ranking.votes > 0 and len(ranking.standings) <= _MOST_NAMES
    plot = view.labelled(previews, lambda: ranking_png(ranking), words) if fits else None
    return replace(ranking, pictures=found, plot=plot)


class _Paper:
    """Draws a ranking in units of SVG, which are this many pixels."""

    def __init__(self, ranking: Ranking, note: str, unit: float) -> None:
        self.ranking, self.unit = ranking, unit
        self.names = [*cut_labels(ranking.names, PLOTTED).values()]
        words = "".join([*self.names, SCALE, note])
        self.font = font_for(words)
        self.missing = self.font.missing(words)
        self.rows = ROW * len(self.names)
        self.height = self.rows + 44
        if self.missing and note:  # Nothing else says so where a single image is shown.
            note += f" {plural(len(self.missing), 'letter')} in none of the fonts: shown as boxes."
        self.note = self.font.wrapped(note, self.pixels(_RANK + WIDTH), self.pixels(12))

    def pixels(self, length: float) -> int:
        return round(length * self.unit)

    def plot(self, image: Image, *, left: int = 0) -> None:
        """Draw the strengths as dots and their intervals as bars, on an axis of Elo points."""
        from PIL import ImageDraw

        self.draw = ImageDraw.Draw(image)
        ticks = ticks_of(self.ranking)
        scale = (WIDTH - LEFT - RIGHT) / max(ticks[-1] - ticks[0], 1)

        def across(elo: float) -> float:
            return left + LEFT + (elo - ticks[0]) * scale

        for tick in ticks:
            x = self.pixels(across(tick))
            line = (x, self.pixels(4), x, self.pixels(self.rows))
            self.draw.line(line, fill=_GRID if tick else INK, width=self.pixels(1))
            self.text(across(tick), self.rows + 18, signed(tick), 11, "ms")
        self.text(left + (LEFT + WIDTH - RIGHT) / 2, self.rows + 38, SCALE, 11, "ms")
        for y, name, each in zip(self.middles, self.names, self.ranking.standings, strict=True):
            self.text(left + LEFT - 12, y, name, 13, "rm")
            if each.has_interval:
                bar = tuple(map(self.pixels, (across(each.low), y, across(each.high), y)))
                self.draw.line(bar, fill=_PALE, width=self.pixels(8))
            dot = (across(each.elo) - 5, y - 5, across(each.elo) + 5, y + 5)
            self.draw.ellipse(tuple(map(self.pixels, dot)), fill=BAR)

    def table(self) -> None:
        """Draw the ranks and the win rates beside the plot, and the note below it."""
        right = _RANK + WIDTH + _RATE - 8
        for y, (rank, _, _, _, rate, *_) in zip(self.middles, ranking_rows(self.ranking), strict=True):
            self.text(8, y, rank, 13, "lm")
            self.text(right, y, rate, 13, "rm")
        self.text(8, self.rows + 18, "rank", 11, "ls")
        self.text(right, self.rows + 18, "win rate", 11, "rs")
        for number, line in enumerate(self.note):
            self.text(8, self.height + _NOTE_LINE * (number + 1), line, 12, "ls")

    @property
    def middles(self) -> list[float]:
        return [ROW * number + ROW / 2 + 2 for number in range(len(self.names))]

    def text(self, x: float, y: float, words: str, size: int, anchor: str) -> None:
        font = self.font.at(self.pixels(size))
        self.draw.text((self.pixels(x), self.pixels(y)), words, fill=INK, font=font, anchor=anchor)
