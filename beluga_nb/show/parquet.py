"""Rows as a Parquet file, a batch at a time; imports pyarrow only when it is needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from beluga_nb.errors import BelugaError
from beluga_nb.hints import Code, Hint
from beluga_nb.paths import not_written, replacing
from beluga_nb.redaction import redact

BATCH = 10_000
"""Rows that are held at once."""

_INTEGERS, _FLOATS = {"sample", "width", "height"}, {"cost"}


def write_rows(path: Path, rows: Iterable[Mapping[str, object]], columns: Sequence[str]) -> None:
    """Write rows as a Parquet file; raise `BelugaError` if pyarrow is not installed, or it cannot be written.

    Columns are text, except for the numbers, dates and flags among the facts of a picture.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise BelugaError(
            "A Parquet file needs pyarrow, which is not installed.", Hint(Code("pip install pyarrow"))
        ) from None
    kinds = dict.fromkeys(_INTEGERS, pyarrow.int64()) | dict.fromkeys(_FLOATS, pyarrow.float64())
    kinds |= {"local": pyarrow.bool_(), "date": pyarrow.timestamp("s", tz="UTC")}
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.string())) for name in columns])
    left = iter(rows)
    try:
        with replacing(path) as file, parquet.ParquetWriter(file, schema) as writer:
            while batch := [_redacted(row) for row in islice(left, BATCH)]:
                writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))
    except OSError as error:
        raise not_written(path, error) from None


def _redacted(row: Mapping[str, object]) -> dict[str, object]:
    return {name: redact(value) if isinstance(value, str) else value for name, value in row.items()}
