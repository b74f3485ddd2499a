"""A grid as a pandas DataFrame; imports pandas only when it is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from beluga_nb.errors import BelugaError
from beluga_nb.hints import Code, Hint
from beluga_nb.show.markup import address, outside

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandas.io.formats.style import Styler

PICTURE = "picture"


def frame(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> DataFrame:
    """Return rows as a DataFrame; raise `BelugaError` if pandas is not installed."""
    try:
        from beluga_nb.show.spreadsheet import Table
    except ImportError:
        raise BelugaError(
            "A table needs pandas, which is not installed.", Hint(Code("pip install 'beluga_nb[pandas]'"))
        ) from None
    return Table([dict(row) for row in rows], columns=list(columns))


def styled(table: DataFrame, sources: Sequence[str], alts: Sequence[str]) -> Styler:
    """Return the table with a column of pictures before the others; outside text is escaped."""
    images = [
        f'<img src="{address(source)}" alt="{outside(words)}" width="128" style="max-width:none">'
        if source
        else ""
        for source, words in zip(sources, alts, strict=True)
    ]
    shown = table.copy()
    shown.insert(0, "", images)
    shown.columns = _shown_names(table.columns)
    # A Styler has a random id unless one is set, and a replayed notebook must not differ.
    style = shown.style.format(_shown, subset=list(shown.columns[1:]), na_rep="").format(
        str, subset=[PICTURE]
    )
    return style.format_index(_shown, axis="columns").set_uuid("beluga").hide(axis="index")


def _shown(value: object) -> str:
    return outside(str(value), 2000)


def _shown_names(names: Sequence[str]) -> list[str]:
    # A Styler needs unique names, and an axis may have the name of our own column.
    shown = [PICTURE]
    for name in names:
        while name in shown:
            name += " "
        shown.append(name)
    return shown
