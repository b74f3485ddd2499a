"""Tables for spreadsheets: text in an exported file is never a formula (OWASP, "CSV injection")."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from pandas import DataFrame, Series

from beluga_nb.paths import path_of, replacing
from beluga_nb.text import UNSEEN

_NUMBER = re.compile(r"[+-]?[0-9]{1,300}(?:\.[0-9]{1,300})?(?:[eE][+-]?[0-9]{1,3})?")
# Spreadsheets also accept the full-width forms, and skip invisible characters.
_FORMULA = re.compile(rf"['\s{UNSEEN}]*[=+@\t\n＝＋－＠-]")
# Line ends: csv does not quote all of them, and a reader may accept each.
_END = re.compile(r"\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_MARK = "'"
_WHOLE = {".csv", ".tsv", ".txt", ".xlsx"}  # neither compressed nor appended to
_MODE = 8  # the position of `mode` among the arguments of `to_csv` after the first


def harmless(value: object) -> object:
    """Return a value with an apostrophe before each line that a spreadsheet would read as a formula.

    Lines end with \\n. A line that begins with apostrophes and goes on like a formula gets one more, so that
    removing one restores every line. Numbers stay numbers, also those written as text.

    >>> [harmless(value) for value in ("=1+1", "'=1+1", "-5", -5, "a - b", "a\\r=1+1")]
    ["'=1+1", "''=1+1", '-5', -5, 'a - b', "a\\n'=1+1"]
    """
    if not isinstance(value, str):
        return value
    text = _END.sub("\n", value)
    first, *others = text.split("\n")
    # The first line is checked with the rest of the text: a formula may begin after leading line ends.
    return "\n".join([_marked(first, text), *(_marked(each, each) for each in others)])


def _marked(line: str, begun: str) -> str:
    return _MARK + line if _FORMULA.match(begun) and not _NUMBER.fullmatch(line) else line


class _Written:
    """Export methods of pandas that write harmless text; the table itself is not changed."""

    def to_csv(self, path_or_buf: Any = None, *args: Any, **how: Any) -> Any:
        """Write a CSV file as pandas does, with an apostrophe before text that would be a formula."""
        return _written(_plain(self).to_csv, path_or_buf, *args, **how)

    def to_excel(self, excel_writer: Any, *args: Any, **how: Any) -> Any:
        """Write an Excel file as pandas does; text as in `to_csv`."""
        return _written(_plain(self).to_excel, excel_writer, *args, **how)

    def to_clipboard(self, *args: Any, **how: Any) -> Any:
        """Copy to the clipboard as pandas does; text as in `to_csv`."""
        return _plain(self).to_clipboard(*args, **how)


def _written(write: Callable[..., Any], to: Any, *args: Any, **how: Any) -> Any:
    """Have pandas write a new file that replaces `to` when complete; leave other targets to pandas."""
    if isinstance(to, str | os.PathLike) and not how.keys() & {"mode", "compression"} and len(args) < _MODE:
        path = path_of(os.fspath(to))
        is_file = path.is_file() or not os.path.lexists(path)
        if is_file and path.suffix.lower() in _WHOLE and "://" not in str(to):
            with replacing(path) as file:
                return write(file, *args, **how)
    return write(to, *args, **how)


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
    """A DataFrame whose text is no formula in an exported file."""

    @property
    def _constructor(self) -> type[Table]:
        return Table

    @property
    def _constructor_sliced(self) -> type[Column]:
        return Column


class Column(_Written, Series):  # type: ignore[misc]  # as above
    """A column of a `Table`."""

    @property
    def _constructor(self) -> type[Column]:
        return Column

    @property
    def _constructor_expanddim(self) -> type[Table]:
        return Table
