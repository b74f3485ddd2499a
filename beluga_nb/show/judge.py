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
    head = (*PAIRS_HEAD[:-1], Column(PAIRS_HEAD[-1], Kind.LONG))
    note = " ".join(filter(None, [more_of(pairs), pairs.note]))
    return noted(table(pairs_rows(pairs), head, "Comparisons by a judge"), note)


PAIRS_HEAD = ("common", "left", "right", "judged", "reasons")
"""The heads of the columns of `pairs_rows`."""


def pairs_rows(pairs: JudgedPairs) -> list[tuple[str, ...]]:
    """Return a row of text for each of the first comparisons."""
    return [_line(row) for row in pairs.rows[:LISTED]]


def _line(row: JudgedPair) -> tuple[str, ...]:
    labels, _ = row.duel.sample
    common = sanitize(" · ".join(label for _, label in labels), _LONGEST)
    answer = "flipped: tie" if row.flipped else row.duel.answer
    left, right = sanitize(row.duel.left, _LONGEST), sanitize(row.duel.right, _LONGEST)
    return common, left, right, answer, reasons(row.verdicts)


def agreement_bundle(agreement: Agreement) -> Bundle:
    """Return how far people agree, in one sentence."""
    return table([(sanitize(agreement.judge, _LONGEST), str(agreement))], ("judge", "agreement of people"))
