"""Verdicts of a judge as tables, with their reasons."""

from __future__ import annotations

from beluga_nb.compare.judge import Agreement, JudgedPair, JudgedPairs, reasons
from beluga_nb.result import Bundle
from beluga_nb.show.scores import LISTED
from beluga_nb.show.tables import Column, Kind, noted, table
from beluga_nb.text import and_more, sanitize

_LONGEST = 60


def pairs_bundle(pairs: JudgedPairs) -> Bundle:
    """Return a line for each comparison: both names, what counts, and the reasons in both orders."""
    head = ("common", "left", "right", "judged", Column("reasons", Kind.LONG))
    more = and_more(len(pairs) - LISTED)
    note = " ".join(filter(None, [f"{more}." if more else "", pairs.note]))
    return noted(table([*map(_line, pairs.rows[:LISTED])], head, "Comparisons by a judge"), note)


def _line(row: JudgedPair) -> tuple[str, ...]:
    labels, _ = row.duel.sample
    common = sanitize(" · ".join(label for _, label in labels), _LONGEST)
    answer = "flipped: tie" if row.flipped else row.duel.answer
    left, right = sanitize(row.duel.left, _LONGEST), sanitize(row.duel.right, _LONGEST)
    return common, left, right, answer, reasons(row.verdicts)


def agreement_bundle(agreement: Agreement) -> Bundle:
    """Return how far people agree, in one sentence."""
    return table([(sanitize(agreement.judge, _LONGEST), str(agreement))], ("judge", "agreement of people"))
