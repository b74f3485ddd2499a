"""Verdicts of a judge as tables, with their reasons."""

from __future__ import annotations

from beluga_nb.compare.judge import Agreement, JudgedPair, JudgedPairs, reasons
from beluga_nb.result import Bundle
from beluga_nb.show.scores import LISTED, more_of
from beluga_nb.show.tables import Column, Kind, noted, table
from beluga_nb.text import sanitize

_LONGEST = 60


def pairs_bundle(pairs: JudgedPairs) -> Bundle:
    """Return a line for each comparison: both names, what counts, and the reasons in both orders."""
    *names, reason = pairs_head(pairs)
    note = " ".join(filter(None, [more_of(pairs), pairs.note]))
    rows = pairs_rows(pairs)
    return noted(table(rows, (*names, Column(reason, Kind.LONG)), "Comparisons by a judge"), note)


def pairs_head(pairs: JudgedPairs) -> tuple[str, ...]:
    """Return the heads of the columns of `pairs_rows`."""
    return ("common", *(["number"] if _are_numbered(pairs) else []), "left", "right", "judged", "reasons")


def pairs_rows(pairs: JudgedPairs) -> list[tuple[str, ...]]:
    """Return a row of text for each of the first comparisons."""
    numbered = _are_numbered(pairs)
    return [_line(row, numbered) for row in pairs.rows[:LISTED]]


def _are_numbered(pairs: JudgedPairs) -> bool:
    """Return whether there are several samples of what is common."""
    return any(row.duel.sample[1] for row in pairs)


def _line(row: JudgedPair, numbered: bool) -> tuple[str, ...]:
    labels, number = row.duel.sample
    common = sanitize(" · ".join(label for _, label in labels), _LONGEST)
    answer = "flipped: tie" if row.flipped else row.duel.answer
    left, right = sanitize(row.duel.left, _LONGEST), sanitize(row.duel.right, _LONGEST)
    return common, *([str(number)] if numbered else []), left, right, answer, reasons(row.verdicts)


def agreement_bundle(agreement: Agreement) -> Bundle:
    """Return how far people agree, in one sentence."""
    return table([(sanitize(agreement.judge, _LONGEST), str(agreement))], ("judge", "agreement of people"))
