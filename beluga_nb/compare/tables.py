"""The values of an axis, whatever they are given as: lists, rows, a table of pandas, or a CSV file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from beluga_nb.compare.axes import LARGEST, PROMPT, Axis, axis, whole_prompts
from beluga_nb.errors import RequestError
from beluga_nb.paths import path_of, read_file
from beluga_nb.text import sanitize

LARGEST_TABLE = 32 * 2**20
"""Bytes of a CSV file with the values of an axis."""

MOST_NAMES = 100
"""Columns of such a file."""


@runtime_checkable
class Frame(Protocol):
    """A table such as pandas' DataFrame."""

    columns: object

    def to_dict(self, orient: Literal["records"]) -> list[Mapping[str, object]]: ...


def axis_of(name: str, given: object, *, folder: Path) -> Axis:
    """Return the axis of some values; the path of a CSV file may be relative to `folder`."""
    if isinstance(given, Path):
        path = path_of(given)
        given = _rows(path if path.is_absolute() else folder / path)
    elif isinstance(given, Frame):
        given = given.to_dict("records")
    return whole_prompts(given) if name == PROMPT and isinstance(given, list) else axis(name, given)


def _rows(path: Path) -> list[Mapping[str, object]]:
    import csv  # Lazy import: few grids read a file.

    try:
        text = read_file(path, LARGEST_TABLE).decode("utf-8-sig")  # Excel writes a byte order mark
        table = csv.DictReader(io.StringIO(text, newline=""), restval=None)  # a missing cell is an error
        if len(table.fieldnames or ()) > MOST_NAMES:
            raise ValueError(f"it has more than {MOST_NAMES} names")
        # One more than allowed is enough to know that there are too many.
        rows: list[Mapping[str, object]] = list(islice(table, LARGEST + 1))
        if len(rows) > LARGEST:
            raise ValueError(f"it has more than {LARGEST:,} rows")
        if any(None in row for row in rows):
            raise ValueError("a line has more cells than there are names")
        return rows
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or sanitize(str(error), 80)
        raise RequestError(
            f"{sanitize(path.name, 120)} cannot be read: {reason}.", "Name a CSV file with a line of names."
        ) from None
