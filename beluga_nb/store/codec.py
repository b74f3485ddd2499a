"""The JSON of a store: how values are written, and read back as data that anyone may have written."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from beluga_nb.errors import StoreError
from beluga_nb.redaction import redact_bytes
from beluga_nb.store import files
from beluga_nb.text import sanitize
from beluga_nb.untrusted import DAMAGE, load_json, members, text

SCHEMA = 1
"""The format of a store and of each file in it."""

T = TypeVar("T")

# Two git branches that recorded the same bytes for the same request differ in these fields alone. Git keeps
# both lines (`merge=union`). The lesser value counts, so the order of the merge does not matter.
_MERGED_FIELDS = {"cost", "created", "duration", "request_id"}

# Keys are made of this spelling: a change would lose every recording.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class CorruptFileError(StoreError):
    """A file of the store is damaged, unreadable or of a newer format; `reason` is why it cannot be used."""

    def __init__(self, reason: str, path: Path | None = None, written: bytes = b"") -> None:
        name = f"The recording {path.name[:12]}…" if path else "A file of the store"
        place = f"{path.parent.parent.name}/{path.parent.name}/{path.name}" if path else "it"
        super().__init__(
            f"{name} cannot be used: {reason}.",
            f"Bring back {place} (git checkout, git lfs pull), or ask for a new take.",
        )
        self.reason = reason
        self.written = written


def sha256_text(value: object) -> str:
    """Return a SHA-256 in 64 hexadecimal digits as it is; raise `ValueError` or `TypeError` for others."""
    if not files.SHA256.fullmatch(name := text(value)):
        raise ValueError("no SHA-256")
    return name


def canonical_json(value: object) -> bytes:
    """Return the one spelling of a JSON value that keys are made of: sorted, no blanks, UTF-8."""
    return _CANONICAL.encode(value).encode()


def encode(value: Mapping[str, object]) -> bytes:
    """Return a JSON file of the store; raise `OSError` for one that would be too long to be read back."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    # A note or a prompt may hold a key that was typed by mistake.
    written = redact_bytes(text.encode())
    if len(written) > files.LARGEST_JSON:
        raise OSError(errno.EFBIG, f"its record has more than {files.LARGEST_JSON:,} bytes")
    return written


def encode_line(fields: Mapping[str, object]) -> bytes:
    """Return a line of a file of the store."""
    return canonical_json({"schema": SCHEMA, **fields}) + b"\n"


def decode(written: bytes, parse: Callable[[Mapping[str, Any]], T]) -> T:
    """Return what `parse` makes of the fields of a JSON file.

    Raises `CorruptFileError` where the file is damaged or of a newer format.
    """
    try:
        fields = members(load_json(written, _merge_duplicates))
        if fields["schema"] != SCHEMA:
            schema = sanitize(str(fields["schema"]), 20)
            raise CorruptFileError(f"it has format {schema}, and this version reads {SCHEMA}")
        return parse(fields)
    except DAMAGE as error:
        raise CorruptFileError(f"it is damaged ({type(error).__name__})") from None


def _merge_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) == len(pairs):
        return fields
    for name in fields:
        values = [value for each, value in pairs if each == name]
        if any(value != values[0] for value in values) and name not in _MERGED_FIELDS:
            raise ValueError("two answers in one file")
        fields[name] = min(values) if name in _MERGED_FIELDS else values[0]
    return fields
