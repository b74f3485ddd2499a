"""A grid as a table of pandas; the one module that imports it, when someone asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from beluga_nb.errors import BelugaError

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandas.io.formats.style import Styler

PICTURE = "picture"


def frame(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> DataFrame:
    """Return rows as a DataFrame; raise `BelugaError` where pandas is not installed."""
    try:
        from pandas import DataFrame
    except ImportError:
        raise BelugaError(
            "A table needs pandas, which is not installed.", "pip install 'beluga_nb[pandas]'"
        ) from None
    return DataFrame([dict(row) for row in rows], columns=list(columns))


def styled(table: DataFrame, sources: Sequence[str], alts: Sequence[str]) -> Styler:
    """Return the table with a column of pictures before the others; outside text is escaped."""
    images = [
        f'<img src="{escape(source)}" alt="{escape(words)}" width="128" style="max-width:none">'
        if source
        else ""
        for source, words in zip(sources, alts, strict=True)
    ]
    shown = table.copy()
    shown.insert(0, PICTURE, images)
    others = [name for name in shown.columns if name != PICTURE]
    # The ids of a Styler are random unless they are told, and a notebook would never replay.
    style = shown.style.format(escape="html", subset=others, na_rep="").format(str, subset=[PICTURE])
    return style.set_uuid("beluga").hide(axis="index")
