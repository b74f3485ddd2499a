"""Tables for spreadsheets: no text in a file of ours is a formula there (OWASP, "CSV injection")."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from pandas import DataFrame, Series

from beluga_nb.paths import path_of, replacing
from beluga_nb.text import UNSEEN

_NUMBER = re.compile(r"[+-]?[0-9]{1,300}(?:\.[0-9]{1,300})?(?:[eE][+-]?[0-9]{1,3})?")
# Spreadsheets take the wide forms for the same, and skip what is not seen.
_FORMULA = re.compile(rf"['\s{UNSEEN}]*[=+@\t\n＝＋－＠-]")
# Other ends of a line: csv does not quote all of them, and who reads the file may take each for one.
_END = re.compile(r"\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_MARK = "'"
_WHOLE = {".csv", ".tsv", ".txt", ".xlsx"}  # neither compressed nor added to
_MODE = 8  # which argument of `to_csv` after the first says that a file is added to


def harmless(value: object) -> object:
    """Return text that a spreadsheet would take for a formula with an apostrophe before it.

    So is each line of it, and all lines end with \\n. One more apostrophe stands before a line that begins
    with some and goes on like a formula, so that taking one away gives back every line. Numbers stay
    numbers, also those that are written as text.

    >>> [harmless(value) for value in ("=1+1", "'=1+1", "-5", -5, "a - b", "a\\r=1+1")]
    ["'=1+1", "''=1+1", '-5', -5, 'a - b', "a\\n'=1+1"]
    """
    if not isinstance(value, str):
        return value
    text = _END.sub("\n", value)
    first, *others = text.split("\n")
    # Of the first, with what follows: an end of a line before all that is seen may begin a formula, too.
    return "\n".join([_marked(first, text), *(_marked(each, each) for each in others)])


def _marked(line: str, begun: str) -> str:
    return _MARK + line if _FORMULA.match(begun) and not _NUMBER.fullmatch(line) else line


class _Written:
    """What is written for a spreadsheet, from a table of pandas that is left as it is."""

    def to_csv(self, path_or_buf: Any = None, *args: Any, **how: Any) -> Any:
        """Write as pandas does; text that would be a formula begins with an apostrophe."""
        return _written(_plain(self).to_csv, path_or_buf, *args, **how)

    def to_excel(self, excel_writer: Any, *args: Any, **how: Any) -> Any:
        """Write as pandas does; as `to_csv`."""
        return _written(_plain(self).to_excel, excel_writer, *args, **how)

    def to_clipboard(self, *args: Any, **how: Any) -> Any:
        """Copy as pandas does; as `to_csv`."""
        return _plain(self).to_clipboard(*args, **how)


def _written(write: Callable[..., Any], to: Any, *args: Any, **how: Any) -> Any:
    """Have pandas write a file as a whole; what is no plain file of these names is left to pandas."""
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
