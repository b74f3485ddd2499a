"""Tables for spreadsheets: no text in a file of ours is a formula there (OWASP, "CSV injection")."""

from __future__ import annotations

import re
from typing import Any

from pandas import DataFrame, Series

_NUMBER = re.compile(r"[+-]?[0-9]{1,300}(?:\.[0-9]{1,300})?(?:[eE][+-]?[0-9]{1,3})?")
# Spreadsheets take the wide forms for the same, and skip what is not seen.
_FORMULA = re.compile(r"['\s\x00-\x1f\x7f-\xa0\u200b-\u200f\ufeff]*[=+@＝＋－＠\t\r\n-]")
_MARK = "'"


def harmless(value: object) -> object:
    """Return text that a spreadsheet would take for a formula with an apostrophe before it.

    One more stands before text that begins with apostrophes and goes on like a formula, so that taking one
    away gives back every text. Numbers stay numbers, also those that are written as text.

    >>> [harmless(value) for value in ("=1+1", "'=1+1", "-5", -5, "a - b")]
    ["'=1+1", "''=1+1", '-5', -5, 'a - b']
    """
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return value
    return _MARK + value if _FORMULA.match(value) else value


class _Written:
    """What is written for a spreadsheet, from a table of pandas that is left as it is."""

    def to_csv(self, *args: Any, **how: Any) -> Any:
        """Write as pandas does; text that would be a formula begins with an apostrophe."""
        return _plain(self).to_csv(*args, **how)

    def to_excel(self, *args: Any, **how: Any) -> Any:
        """Write as pandas does; as `to_csv`."""
        return _plain(self).to_excel(*args, **how)

    def to_clipboard(self, *args: Any, **how: Any) -> Any:
        """Copy as pandas does; as `to_csv`."""
        return _plain(self).to_clipboard(*args, **how)


def _plain(table: Any) -> Any:
    frame = DataFrame(table)
    cells = DataFrame({place: frame.iloc[:, place].map(harmless) for place in range(frame.shape[1])})
    cells.columns, cells.index = _labels(frame.columns), _labels(frame.index)
    return cells


def _labels(index: Any) -> Any:
    whole = index.map(
        lambda label: tuple(map(harmless, label)) if isinstance(label, tuple) else harmless(label)
    )
    return whole.set_names([harmless(name) for name in index.names])


class Table(_Written, DataFrame):  # type: ignore[misc]  # pandas has no types here
    """A DataFrame whose text is no formula in the files that it is written to."""

    @property
    def _constructor(self) -> type[Table]:
        return Table

    @property
    def _constructor_sliced(self) -> type[Column]:
        return Column


class Column(_Written, Series):  # type: ignore[misc]  # as above
    """A column of such a table."""

    @property
    def _constructor(self) -> type[Column]:
        return Column

    @property
    def _constructor_expanddim(self) -> type[Table]:
        return Table
