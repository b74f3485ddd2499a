"""What a check of stores and notebooks has found, as a table and as text."""

from __future__ import annotations

from collections.abc import Sequence

from beluga_nb.result import Bundle
from beluga_nb.show.markup import outside
from beluga_nb.show.tables import Cell, Column, Kind, table_html
from beluga_nb.store.verify import Report


def reports_bundle(reports: Sequence[Report]) -> Bundle:
    """Return a table of the problems and remarks of each report."""
    return {
        "text/html": "".join(map(_report_html, reports)),
        "text/plain": "\n".join(map(str, reports)),
    }


def _report_html(report: Report) -> str:
    found = {"problem": report.problems, **report.remarks}
    rows = [(Cell(what), Cell(line)) for what, lines in found.items() for line in lines]
    if not rows:
        return f"<p>{outside(report.summary)}</p>"
    return table_html(rows, (Column("found"), Column("where", Kind.LONG)), report.summary)
