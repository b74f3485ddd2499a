"""Checks of a study as a table, and as JUnit XML."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from beluga_nb.result import Bundle
from beluga_nb.show.tables import Column, Kind, table
from beluga_nb.text import printable

if TYPE_CHECKING:
    from beluga_nb.compare.checks import Checks


def checks_bundle(checks: Checks) -> Bundle:
    """Return a line for each check: whether it passed, the estimate, and the threshold."""
    head = ("check", "", Column("measured", Kind.LONG), "wanted")
    lines = [(row.name, "passed" if row.passed else "FAILED", row.words, row.threshold) for row in checks]
    return table(lines, head, "Checks", f"{checks.summary}.")


def junit(checks: Checks) -> str:
    """Return the checks as JUnit XML: a test case each."""
    counts = {"tests": str(len(checks)), "failures": str(len(checks.failed))}
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": checks.study, **counts})
    for row in checks:
        case = ElementTree.SubElement(suite, "testcase", {"classname": checks.study, "name": row.name})
        words = printable(f"{row.words}, wanted {row.threshold}")
        if row.passed:
            ElementTree.SubElement(case, "system-out").text = words
        else:
            ElementTree.SubElement(case, "failure", {"message": words}).text = words
    ElementTree.indent(suites)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(suites, "unicode")}\n'
