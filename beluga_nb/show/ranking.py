"""A ranking as people see it: a table, who won against whom, and a plot of the intervals.

All of it is a pure function of the ranking, so that a cell that is run again shows the same bytes; the plot
is an SVG of text and numbers, which no encoder changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pybase64

from beluga_nb.result import Bundle
from beluga_nb.show.markup import outside
from beluga_nb.show.tables import noted, table
from beluga_nb.text import sanitize

if TYPE_CHECKING:  # it imports numpy
    from beluga_nb.compare.rank import Ranking, Standing

_LONGEST_NAME = 60
_LEFT, _WIDTH, _ROW, _RIGHT = 190, 640, 30, 24  # pixels of the plot: names, all, a line, the edge
_INK, _BAR = "#767676", "#3b82c4"  # both are readable on white and on black


def ranking_bundle(ranking: Ranking) -> Bundle:
    """Return the leaderboard, the plot and the matrix of wins, as HTML and as text."""
    board = table(
        [_row(place, standing) for place, standing in enumerate(ranking.standings, 1)],
        ("", sanitize(ranking.by, _LONGEST_NAME), "Elo", "95 %", "won", "lost", "tied", "both bad"),
        "Ranking",
    )
    if not ranking.votes:
        return noted(board, ranking.note)
    won = matrix(ranking)
    plot = _image(ranking_svg(ranking), _alt(ranking))
    return {
        "text/html": noted(board, ranking.note)["text/html"] + plot + _titled(won["text/html"]),
        "text/plain": "\n\n".join([noted(board, ranking.note)["text/plain"], won["text/plain"]]),
    }


def _row(place: int, standing: Standing) -> tuple[str, ...]:
    counts = (standing.wins, standing.losses, standing.ties, standing.bad)
    return (
        f"{place}." if standing.sure else "?",
        sanitize(standing.name, _LONGEST_NAME),
        _signed(standing.elo),
        f"{_signed(standing.low)} to {_signed(standing.high)}",
        *map(str, counts),
    )


def _signed(value: float) -> str:
    rounded = round(value)  # before the sign: -0.4 is 0, not −0
    return f"{'+' if rounded > 0 else '−' if rounded < 0 else ''}{abs(rounded)}"


def matrix(ranking: Ranking) -> Bundle:
    """Return how often each name won against each other one; a tie is half a win for both."""
    names = [sanitize(standing.name, _LONGEST_NAME) for standing in ranking.standings]
    rows = [
        (name, *("" if one == other else _halves(won) for other, won in enumerate(wins)))
        for one, (name, wins) in enumerate(zip(names, ranking.wins, strict=True))
    ]
    return table(rows, ("won against", *names), "Wins")


def _halves(won: float) -> str:
    whole = str(int(won)) if won >= 1 or won == 0 else ""
    return whole + ("½" if won % 1 else "")


def _titled(html: str) -> str:
    return f'<div style="margin-top:.6em">{html}</div>'


def _image(svg: str, alt: str) -> str:
    source = f"data:image/svg+xml;base64,{pybase64.b64encode(svg.encode()).decode()}"
    style = "max-width:100%;height:auto;display:block;margin:.6em 0"
    return f'<img src="{source}" alt="{outside(alt, 4000)}" width="{_WIDTH}" style="{style}">'


def _alt(ranking: Ranking) -> str:
    points = (
        f"{sanitize(each.name, _LONGEST_NAME)} {_signed(each.elo)}"
        f" ({_signed(each.low)} to {_signed(each.high)})"
        for each in ranking.standings
    )
    return f"Elo points with 95 % intervals: {'; '.join(points)}"


def ranking_svg(ranking: Ranking) -> str:
    """Return the strengths as dots and their intervals as bars, on an axis of Elo points."""
    low = min((each.low for each in ranking.standings), default=0.0)
    high = max((each.high for each in ranking.standings), default=0.0)
    step = _step(high - low)
    # Whole steps beyond both ends, so that no bar leaves the plot.
    ticks = range(math.floor(low / step) * step, math.ceil(high / step) * step + 1, step)
    height = _ROW * len(ranking.standings)
    scale = (_WIDTH - _LEFT - _RIGHT) / max(ticks[-1] - ticks[0], 1)

    def across(elo: float) -> str:
        return f"{_LEFT + (elo - ticks[0]) * scale:.1f}"

    lines = [*_axis(ticks, across, height), *_bars(ranking.standings, across)]
    size = f'viewBox="0 0 {_WIDTH} {height + 44}" width="{_WIDTH}" height="{height + 44}"'
    font = f'font-family="sans-serif" font-size="13" fill="{_INK}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>{"".join(lines)}</svg>'


def _step(width: float) -> int:
    return next((step for step in (50, 100, 200, 500, 1000) if width / step <= 8), 2000)


def _axis(ticks: range, across: Callable[[float], str], height: int) -> Iterator[str]:
    for tick in ticks:
        x, strong = across(tick), 0.8 if tick == 0 else 0.25
        yield f'<line x1="{x}" x2="{x}" y1="4" y2="{height}" stroke="{_INK}" stroke-opacity="{strong}"/>'
        yield f'<text x="{x}" y="{height + 18}" text-anchor="middle" font-size="11">{_signed(tick)}</text>'
    middle = f"{(_LEFT + _WIDTH - _RIGHT) / 2:.1f}"
    yield (
        f'<text x="{middle}" y="{height + 38}" text-anchor="middle" font-size="11">'
        "Elo points from the mean, 95 % intervals</text>"
    )


def _bars(standings: Sequence[Standing], across: Callable[[float], str]) -> Iterator[str]:
    for number, each in enumerate(standings):
        y = _ROW * number + _ROW / 2 + 2
        yield (f'<text x="{_LEFT - 12}" y="{y + 4:.1f}" text-anchor="end">{outside(each.name, 24)}</text>')
        yield (
            f'<line x1="{across(each.low)}" x2="{across(each.high)}" y1="{y:.1f}" y2="{y:.1f}"'
            f' stroke="{_BAR}" stroke-width="8" stroke-opacity="0.45" stroke-linecap="round"/>'
        )
        yield f'<circle cx="{across(each.elo)}" cy="{y:.1f}" r="5" fill="{_BAR}"/>'
