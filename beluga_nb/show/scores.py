"""Scores, near-duplicates and leaderboards as tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from beluga_nb.compare.scores import (
    Difference,
    Differences,
    Distances,
    Duplicates,
    Leaderboard,
    Means,
    Scored,
    Scores,
)
from beluga_nb.result import Bundle
from beluga_nb.show.ranking import ranking_bundle
from beluga_nb.show.tables import Column, Kind, noted, sentence, table
from beluga_nb.text import and_more, plural, sanitize

LISTED = 200
"""Pictures that a table lists."""

COLUMNS = 8
"""Numbers of a picture that a table shows."""

_HASH = 12  # digits of a hash that are shown
_LONGEST = 60


def scores_bundle(scores: Scores) -> Bundle:
    """Return a line for each picture: its labels, its score or error, and the reason if there are any."""
    head = [Column(name, _KINDS[name]) if name in _KINDS else name for name in scores_head(scores)]
    return noted(
        table(scores_rows(scores), head, "Scores", nothing="There are no pictures to score yet."),
        scores_note(scores),
    )


def scores_head(scores: Scores) -> tuple[str, ...]:
    """Return the heads of the columns of `scores_rows`."""
    return (
        *(sanitize(name, _LONGEST) for name in _names(scores)),
        *(["number"] if _are_numbered(scores) else []),
        "picture",
        *(sanitize(name, _LONGEST) for name in scores.parts[:COLUMNS] or [scores.name]),
        *([_REASON] if _has_reasons(scores) else []),
    )


def scores_rows(scores: Scores) -> list[tuple[str, ...]]:
    """Return a row of text for each of the first pictures."""
    names, parts, reasons = _names(scores), scores.parts[:COLUMNS], _has_reasons(scores)
    numbered = _are_numbered(scores)
    return [
        (*_labels(row, names, numbered), *_values(row, parts), *([row.reason] if reasons else []))
        for row in scores.rows[:LISTED]
    ]


_REASON = "reason"
_KINDS = {"model": Kind.ID, _REASON: Kind.LONG}


def _names(scores: Scores) -> list[str]:
    return list(dict.fromkeys(name for row in scores.rows for name in row.labels))


def _has_reasons(scores: Scores) -> bool:
    return any(row.reason for row in scores.rows)


def _are_numbered(scores: Scores) -> bool:
    """Return whether a cell has several pictures."""
    return any(row.number for row in scores.rows)


def _labels(row: Scored, names: Sequence[str], numbered: bool = True) -> tuple[str, ...]:
    labels = (sanitize(row.labels.get(name, ""), _LONGEST) for name in names)
    return (*labels, *([str(row.number)] if numbered else []), row.sha256[:_HASH])


def _values(row: Scored, parts: Sequence[str]) -> list[str]:
    if row.error:
        return [sanitize(f"{type(row.error).__name__}: {row.error}", 160), *[""] * (len(parts) - 1)]
    values = [row.parts.get(name) for name in parts] if parts else [row.value]
    return ["" if value is None else figures(value) for value in values]


def figures(value: float) -> str:
    """Return a number in four digits, or a whole one in all of its digits."""
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def more_of(found: Sequence[object]) -> str:
    """Return in a sentence how many rows a table leaves out."""
    more = and_more(len(found) - LISTED)
    return f"{more}." if more else ""


def scores_note(scores: Scores) -> str:
    """Return in sentences who measured, and what is not shown."""
    return " ".join(_notes(scores))


def _notes(scores: Scores) -> Iterator[str]:
    failed = len(scores.errors)
    what = "Judge" if scores.is_of_judge else "Version"
    yield f"{what} {sanitize(scores.version, _LONGEST)}."
    if more := more_of(scores):
        yield more
    if len(scores.parts) > COLUMNS:
        yield f"{COLUMNS} of {len(scores.parts)} numbers of each picture are shown."
    if failed:
        yield f"{failed} of {len(scores.rows)} failed."
    if scores.caveat:
        yield scores.caveat


def means_bundle(means: Means) -> Bundle:
    """Return a line for each label: its mean score, how many pictures have one, and how far they spread."""
    rows = [
        (
            sanitize(label, _LONGEST),
            figures(mean),
            str(means.counts[label]),
            figures(means.spreads[label]) if label in means.spreads else "",
        )
        for label, mean in means.items()
    ]
    head = (
        sanitize(means.by, _LONGEST),
        f"mean {sanitize(means.name, _LONGEST)}",
        "pictures",
        "standard deviation",
    )
    failed = f"{plural(means.failed, 'picture')} failed." if means.failed else ""
    shown = table(rows, head, "Means", nothing="No picture has a score.")
    return noted(shown, " ".join(filter(None, [failed, means.caveat])))


SPREAD = "± is the standard deviation of the scores, and n is the number of pictures."
"""What `mean_and_spread` says."""


def mean_and_spread(means: Means, label: str) -> list[str]:
    """Return the mean of a label, and in short how far its scores spread and how many there are."""
    spread = [f"± {figures(means.spreads[label])}"] if label in means.spreads else []
    return [figures(means[label]), *spread, f"(n = {means.counts[label]})"]


def differences_bundle(differences: Differences) -> Bundle:
    """Return a line for each two labels: how much the first scores higher."""
    rows = differences_rows(differences)
    return noted(table(rows, differences_head(differences), "Differences"), differences.caveat)


def differences_head(differences: Differences) -> tuple[str, ...]:
    """Return the heads of the columns of `differences_rows`."""
    sure = next((each.sure for each in differences), "95 %")
    return ("difference", f"mean {sanitize(differences.name, _LONGEST)}", sure, "prompts", "samples")


def differences_rows(differences: Differences) -> list[tuple[str, ...]]:
    """Return a row of text for each two labels."""
    return [
        (
            f"{sanitize(each.one, _LONGEST)} − {sanitize(each.other, _LONGEST)}",
            "" if math.isnan(each.mean) else figures(each.mean),
            _interval(each),
            str(each.prompts),
            str(each.samples),
        )
        for each in differences
    ]


def _interval(difference: Difference) -> str:
    if math.isinf(difference.half):
        return "none"
    # Equal values have no variance to estimate an interval from.
    return (
        f"{figures(difference.low)} to {figures(difference.high)}" if difference.half else "none: all alike"
    )


def distances_bundle(distances: Distances) -> Bundle:
    """Return a line for each two labels: how far apart their pictures are."""
    lines = [
        (
            f"{sanitize(each.one, _LONGEST)} – {sanitize(each.other, _LONGEST)}",
            *("" if math.isnan(each.kid) else figures(value) for value in (each.kid, each.chance)),
            " and ".join(map(str, each.pictures)),
        )
        for each in distances
    ]
    chance = "by chance, for all pairs together" if len(distances) > 1 else "by chance"
    head = ("sets", f"KID of {sanitize(distances.name, _LONGEST)}", chance, "pictures")
    return noted(table(lines, head, "Distances"), distances.caveat)


def duplicates_bundle(duplicates: Duplicates) -> Bundle:
    """Return a line for each near-duplicate, group by group."""
    if not duplicates.groups:
        return sentence("No two pictures look nearly the same.")
    rows = [(number, row) for number, group in enumerate(duplicates.groups, 1) for row in group]
    names = list(dict.fromkeys(name for _, row in rows for name in row.labels))
    head = ("group", *(sanitize(name, _LONGEST) for name in names), "number", "picture")
    lines = [(str(number), *_labels(row, names)) for number, row in rows[:LISTED]]
    return noted(table(lines, head, "Near-duplicates"), duplicates.caveat)


def leaderboard_bundle(board: Leaderboard) -> Bundle:
    """Return the ranking with the mean of each metric as a column."""
    columns = {
        sanitize(f"mean {metric}", _LONGEST): {name: mean_and_spread(means, name) for name in means}
        for metric, means in board.means.items()
    }
    remark = f"{SPREAD} {board.note}".strip() if columns else board.note
    return ranking_bundle(board.ranking, columns, remark)
