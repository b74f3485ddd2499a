"""A ranking as people see it: one table, and who won against whom.

All of it is a pure function of the ranking, so that a cell that is run again shows the same bytes; intervals
are SVG of text and numbers, which no encoder changes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

import pybase64

from beluga_nb.compare.vote import NO_VOTES
from beluga_nb.result import Bundle
from beluga_nb.show.labels import cut_labels
from beluga_nb.show.markup import data_uri, outside
from beluga_nb.show.tables import Cell, Column, Kind, noted, sentence, table, table_html
from beluga_nb.store.votes import ANSWERS
from beluga_nb.text import and_more, sanitize

if TYPE_CHECKING:  # it imports numpy
    from beluga_nb.compare.agreement import Share, Votes
    from beluga_nb.compare.rank import Ranking, Rankings, Standing
    from beluga_nb.compare.vote_plan import VotePlan

_LONGEST_NAME = 60
LEFT, WIDTH, ROW, RIGHT = 190, 640, 30, 24
"""Pixels of the plot: names, all, a line, the edge."""

PLOTTED = 24
"""Characters of a name in the plot."""

_BAR_WIDTH, _BAR_HEIGHT, _BAR_EDGE = 240, 26, 14  # pixels of an interval in the table

INK, BAR = "#767676", "#3b82c4"
"""Colours of the plot; both are readable on white and on black."""

SCALE = "Elo points from the mean, 95 % intervals"
"""What the axis of the plot shows."""

SEVERAL = "Several rankings are not corrected for being several."
"""What all rankings of a page together do not claim."""

Columns = Mapping[str, Mapping[str, Sequence[str]]]
"""Further columns of a ranking: their heads, and a number of each name with what stands small below it."""


def ranking_bundle(ranking: Ranking, more: Columns | None = None, remark: str = "") -> Bundle:
    """Return the ranking with its note and a remark, and the matrix of wins, as HTML and as text."""
    note, more = f"{ranking.note} {remark}".strip(), more or {}
    if not ranking.standings:
        return sentence(note)
    lines = [
        (*row, *(" ".join(column.get(standing.name, ())) for column in more.values()))
        for row, standing in zip(ranking_rows(ranking), ranking.standings, strict=True)
    ]
    plain = table(lines, (*ranking_head(ranking.by), *more))["text/plain"]
    shown = noted({"text/html": _html(ranking, more), "text/plain": plain}, note)
    if not ranking.votes:
        return shown
    won = matrix(ranking)
    return {
        "text/html": shown["text/html"] + _titled(won["text/html"]),
        "text/plain": f"{shown['text/plain']}\n\n{won['text/plain']}",
    }


def ranking_head(by: str) -> tuple[str, ...]:
    """Return the heads of the columns of `ranking_rows`."""
    return ("rank", sanitize(by, _LONGEST_NAME), "Elo", "95 %", "win rate", *_COUNTS)


def ranking_rows(ranking: Ranking) -> list[tuple[str, ...]]:
    """Return a row of text for each name, in order."""
    names = _names(ranking)
    return [
        (
            rank,
            names[standing.name],
            signed(standing.elo),
            _interval(standing),
            _rate(standing),
            *_counts(standing),
        )
        for rank, standing in zip(_ranks(ranking), ranking.standings, strict=True)
    ]


def _names(ranking: Ranking) -> dict[str, str]:
    return cut_labels(ranking.names, _LONGEST_NAME)


def rankings_bundle(rankings: Rankings) -> Bundle:
    """Return a line for each name in each group, and what was compared there."""
    rows = [(group_name(name), *row) for name, ranking in rankings.items() for row in ranking_rows(ranking)]
    notes = [f"{group_name(name)}: {ranking.findings}" for name, ranking in rankings.items()]
    head = (sanitize(rankings.per, _LONGEST_NAME), *ranking_head(rankings.by))
    notes += [SEVERAL] if len(notes) > 1 else []
    note = " ".join([*notes, rankings.caveat]).strip() if notes else ""
    return table(rows, head, "Rankings", note, nothing=NO_VOTES)


def group_name(name: str) -> str:
    """Return the name of a voter or a criterion, which may have none."""
    return sanitize(name, _LONGEST_NAME) or "(no name)"


_COUNTS = ("won", "lost", "tied", "both bad")


def _ranks(ranking: Ranking) -> list[str]:
    return [f"{best}" if best == worst else f"{best}–{worst}" for best, worst in ranking.ranks]


def _interval(standing: Standing, without: str = "none") -> str:
    return f"{signed(standing.low)} to {signed(standing.high)}" if standing.has_interval else without


def _rate(standing: Standing) -> str:
    return "" if standing.win_rate is None else f"{standing.win_rate:.0%}"


def _counts(standing: Standing) -> tuple[str, ...]:
    return tuple(map(str, (standing.wins, standing.losses, standing.ties, standing.bad)))


def _html(ranking: Ranking, more: Columns) -> str:
    """Return a row for each name: its rank, an example, its interval, and how often it won."""
    # Ties and pairs that were both bad have a column where there are any.
    counted = [
        (number, name)
        for number, name in enumerate(_COUNTS)
        if number < 2 or any(_counts(each)[number] != "0" for each in ranking.standings)
    ]
    names = _names(ranking)
    columns = [
        Column("rank", Kind.SHORT),
        Column(""),
        Column(sanitize(ranking.by, _LONGEST_NAME)),
        Column("95 %", html=_scale(ranking)),
        Column("Elo", Kind.NUMBER),
        Column("win rate", Kind.NUMBER),
        *(Column(name, Kind.NUMBER) for _, name in counted),
        *(Column(name, Kind.NUMBER) for name in more),
    ]
    rows = [
        (
            Cell(rank),
            Cell("", before=_example(ranking, standing)),
            Cell(names[standing.name]),
            Cell("", before=_bar(ranking, standing)),
            _above(signed(standing.elo), _interval(standing, "no interval")),
            Cell(_rate(standing)),
            *(Cell(_counts(standing)[number]) for number, _ in counted),
            *(_above(*column.get(standing.name, [""])) for column in more.values()),
        )
        for rank, standing in zip(_ranks(ranking), ranking.standings, strict=True)
    ]
    on = f": {sanitize(ranking.criterion, _LONGEST_NAME)}" if ranking.criterion else ""
    return table_html(rows, columns, f"Ranking{on}", align="middle")


def _above(text: str, *small: str) -> Cell:
    style = "font-size:80%;opacity:.75;white-space:nowrap"
    return Cell(text, after="".join(f'<div style="{style}">{outside(line)}</div>' for line in small))


def _example(ranking: Ranking, standing: Standing) -> str:
    small = ranking.pictures.get(standing.name)
    alt = outside(f"An example of {standing.name}", 100)
    style = "width:4em;max-width:none;height:auto;display:block;margin:0;border-radius:3px"
    return f'<img src="{data_uri(small)}" alt="{alt}" style="{style}">' if small else ""


def _bar(ranking: Ranking, standing: Standing) -> str:
    """Return the interval of a name on the axis of all."""
    across, middle = _across(ranking), _BAR_HEIGHT / 2
    zero = across(0)
    lines = (
        f'<line x1="{zero}" x2="{zero}" y1="0" y2="{_BAR_HEIGHT}" stroke="{INK}" stroke-opacity="0.6"/>'
        f"{_interval_and_dot(standing, across, middle)}"
    )
    interval = f"95 % interval {_interval(standing)}" if standing.has_interval else "no interval"
    size = f'viewBox="0 0 {_BAR_WIDTH} {_BAR_HEIGHT}" width="{_BAR_WIDTH}" height="{_BAR_HEIGHT}"'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{lines}</svg>'
    return _image(svg, f"{signed(standing.elo)} Elo, {interval}")


def _scale(ranking: Ranking) -> str:
    """Return the head of the column of intervals, with the ends of its axis as text: on paper it is small."""
    ticks = ticks_of(ranking)
    style = "display:flex;justify-content:space-between;font-weight:normal;font-size:80%"
    ends = "".join(f"<span>{signed(end)}</span>" for end in dict.fromkeys([ticks[0], ticks[-1]]))
    return f'95 % interval<div style="{style}">{ends}</div>'


def _across(ranking: Ranking) -> Callable[[float], str]:
    ticks = ticks_of(ranking)
    scale = (_BAR_WIDTH - 2 * _BAR_EDGE) / max(ticks[-1] - ticks[0], 1)
    return lambda elo: f"{_BAR_EDGE + (elo - ticks[0]) * scale:.1f}"


def signed(value: float) -> str:
    """Return a number with its sign, rounded."""
    rounded = round(value)  # before the sign: -0.4 is 0, not −0
    return f"{'+' if rounded > 0 else '−' if rounded < 0 else ''}{abs(rounded)}"


def vote_plan_bundle(plan: VotePlan, *, enough: int) -> Bundle:
    """Return what each number of voters needs; `enough` voters speak for others."""
    rows = [
        (
            str(need.voters),
            f"{need.prompts:,}" if need.prompts else "none suffices",
            *(f"{count:,}" if count else "" for count in (need.votes, need.votes_each)),
        )
        for need in plan.needs
    ]
    words = (
        f"To tell two of {plan.names} names apart with a probability of {plan.power:.0%} where one wins"
        f" {plan.win_rate:.1%} of their votes ({signed(plan.elo)} Elo points). Single pictures deviate by"
        f" {plan.pictures:g} logits, and voters by {plan.tastes:g}. With fewer than {enough} voters,"
        " the ranking holds for them alone."
    )
    return table(rows, ("voters", "prompts", "votes", "of each voter"), "Votes needed", words)


def votes_bundle(votes: Votes) -> Bundle:
    """Return who voted how, and how far the votes can be trusted."""
    rows = votes_rows(votes)
    more = and_more(len(rows) - _VOTERS_LISTED)
    note = " ".join([*([f"{more} voters."] if more else []), *votes_facts(votes)])
    return table(rows[:_VOTERS_LISTED], votes_head(votes), "Votes", note, nothing=NO_VOTES)


def votes_rows(votes: Votes) -> list[tuple[str, ...]]:
    """Return a row of text for each voter."""
    rows, head = [], votes_head(votes)
    excluded = {row.voter: row.excluded for row in votes}
    for voter, given in votes.by_voter.items():
        answers = Counter(row.answer for row in given)
        seconds = [row.seconds for row in given if row.seconds is not None]
        more = (f"{median(seconds):.1f}" if seconds else "", sanitize(excluded[voter], _LONGEST_REASON))
        shown = [each for each, name in zip(more, _MORE, strict=True) if name in head]
        rows.append((group_name(voter), str(len(given)), *(str(answers[each]) for each in ANSWERS), *shown))
    return rows


def votes_head(votes: Votes) -> tuple[str, ...]:
    """Return the heads of the columns of `votes_rows`: the last two where there is anything in them."""
    there = (any(row.seconds is not None for row in votes), any(row.excluded for row in votes))
    return (
        "voter",
        "votes",
        *ANSWERS,
        *(name for name, is_there in zip(_MORE, there, strict=True) if is_there),
    )


_MORE = ("median seconds", "excluded")
_LONGEST_REASON = 200
_VOTERS_LISTED = 200


def votes_facts(votes: Votes) -> list[str]:
    """Return in sentences how far voters agree, and what speaks against trusting them."""
    left, agreement = votes.left.interval, votes.agreement
    intransitive, repeated = votes.intransitive, votes.repeated
    words = [
        "" if agreement is None else f"Agreement of voters: alpha = {agreement:.2f}.",
        f"The left picture was preferred in {_of(votes.left)} (95 % interval {left[0]:.0%} to {left[1]:.0%})."
        if left
        else "",
        f"Intransitive: {_of(intransitive)} triples." if intransitive.of else "",
        f"Answered alike again: {_of(repeated)} pairs." if repeated.of else "",
        votes.caveat,
    ]
    return [each for each in words if each]


def _of(share: Share) -> str:
    return f"{share.count} of {share.of}"


def matrix(ranking: Ranking) -> Bundle:
    """Return how often each name won against each other one; a tie is half a win for both."""
    names = [*_names(ranking).values()]
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
    style = "min-width:6em;max-width:100%;height:auto;display:block;margin:0"
    return f'<img src="{source}" alt="{outside(alt, 400)}" style="{style}">'


def ranking_svg(ranking: Ranking) -> str:
    """Return the strengths as dots and their intervals as bars, on an axis of Elo points."""
    ticks = ticks_of(ranking)
    height = ROW * len(ranking.standings)
    scale = (WIDTH - LEFT - RIGHT) / max(ticks[-1] - ticks[0], 1)

    def across(elo: float) -> str:
        return f"{LEFT + (elo - ticks[0]) * scale:.1f}"

    lines = [*_axis(ticks, across, height), *_bars(ranking.standings, across)]
    size = f'viewBox="0 0 {WIDTH} {height + 44}" width="{WIDTH}" height="{height + 44}"'
    font = f'font-family="sans-serif" font-size="13" fill="{INK}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>{"".join(lines)}</svg>'


def ticks_of(ranking: Ranking) -> range:
    """Return the marks of the axis: no interval leaves them."""
    bounds = [
        end
        for each in ranking.standings
        for end in ((each.low, each.high) if each.has_interval else (each.elo,))
    ]
    low, high = min(bounds, default=0.0), max(bounds, default=0.0)
    step = _step(high - low)
    # Whole steps beyond both ends, so that no bar leaves the plot.
    return range(math.floor(low / step) * step, math.ceil(high / step) * step + 1, step)


def _step(width: float) -> int:
    return next((step for step in (50, 100, 200, 500, 1000) if width / step <= 8), 2000)


def _axis(ticks: range, across: Callable[[float], str], height: int) -> Iterator[str]:
    for tick in ticks:
        x, strong = across(tick), 0.8 if tick == 0 else 0.25
        yield f'<line x1="{x}" x2="{x}" y1="4" y2="{height}" stroke="{INK}" stroke-opacity="{strong}"/>'
        yield f'<text x="{x}" y="{height + 18}" text-anchor="middle" font-size="11">{signed(tick)}</text>'
    middle = f"{(LEFT + WIDTH - RIGHT) / 2:.1f}"
    yield (f'<text x="{middle}" y="{height + 38}" text-anchor="middle" font-size="11">{SCALE}</text>')


def _bars(standings: Sequence[Standing], across: Callable[[float], str]) -> Iterator[str]:
    names = cut_labels([each.name for each in standings], PLOTTED)
    for number, each in enumerate(standings):
        y, name = ROW * number + ROW / 2 + 2, outside(names[each.name])
        yield f'<text x="{LEFT - 12}" y="{y + 4:.1f}" text-anchor="end">{name}</text>'
        yield _interval_and_dot(each, across, y)


def _interval_and_dot(standing: Standing, across: Callable[[float], str], y: float) -> str:
    dot = f'<circle cx="{across(standing.elo)}" cy="{y:.1f}" r="5" fill="{BAR}"/>'
    if not standing.has_interval:
        return dot
    return (
        f'<line x1="{across(standing.low)}" x2="{across(standing.high)}" y1="{y:.1f}" y2="{y:.1f}"'
        f' stroke="{BAR}" stroke-width="8" stroke-opacity="0.45" stroke-linecap="round"/>{dot}'
    )
