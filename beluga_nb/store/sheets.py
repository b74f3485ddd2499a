"""Sheets: several previews as one picture, made once for what shows only one picture of an output.

    sheets/a0/a0c1….json   {"schema": 1, "of": ["77610d44…", …], "sheet": {"sha256": …, "media_type": …}}

Encoders and fonts differ between machines. A sheet is kept so that a notebook replays to the byte.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import ne
from typing import TYPE_CHECKING, Any

from beluga_nb.errors import StoreError
from beluga_nb.result import Preview
from beluga_nb.store.codec import canonical_json, sha256_text
from beluga_nb.store.collection import Blob, Collection, References
from beluga_nb.store.format import parse_blob
from beluga_nb.untrusted import items

if TYPE_CHECKING:
    from beluga_nb.store.records import Store


@dataclass(frozen=True)
class Sheet:
    """Several previews, by their SHA-256, and the one picture that was made of them and of `words`.

    Of the words only the SHA-256 is kept.
    """

    of: tuple[str, ...]
    blob: Blob
    words: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of its file."""
        return _name(self.of, self.words)


def _name(of: Sequence[str], words: Sequence[str]) -> str:
    return hashlib.sha256(canonical_json([*of, *words])).hexdigest()


def _parse(fields: Mapping[str, Any]) -> Sheet:
    of, words = (tuple(map(sha256_text, items(hashes))) for hashes in (fields["of"], fields.get("words", [])))
    return Sheet(of, parse_blob(fields["sheet"]), words)


def _fields(sheet: Sheet) -> Mapping[str, object]:
    blob = {"sha256": sheet.blob.sha256, "media_type": sheet.blob.media_type}
    return {"of": sheet.of, "sheet": blob} | ({"words": sheet.words} if sheet.words else {})


SHEETS = Collection(
    folder="sheets",
    parse=_parse,
    to_fields=_fields,
    name=lambda sheet: sheet.name,
    never_changes=True,
    first_fields={"of"},
    references=lambda sheet: References(previews=set(sheet.of)),
    blobs=lambda sheet: [sheet.blob],
    conflicts=ne,
    is_private=lambda sheet: bool(sheet.words),  # labels may be the prompts of another notebook
)


def sheet(
    store: Store,
    parts: Sequence[Preview],
    make: Callable[[], Preview],
    *,
    writing: bool,
    words: Sequence[str] = (),
) -> Preview:
    """Return several previews as one: the recorded one, or else what `make` gives, which is recorded.

    `words` are what else is drawn, if anything.
    """
    of = tuple(hashlib.sha256(part.data).hexdigest() for part in parts)
    labels = (hashlib.sha256(canonical_json(list(words))).hexdigest(),) if words else ()
    # Missing or damaged: it is made again.
    with contextlib.suppress(OSError, StoreError):
        recorded = SHEETS.read(store, _name(of, labels)).blob
        return Preview(store.blob(recorded), recorded.media_type)
    made = make()
    if writing:
        with contextlib.suppress(StoreError), store.writing():
            sha256 = store.keep(made.data, made.media_type).stem
            SHEETS.write(store, Sheet(of, Blob(sha256, made.media_type), labels))
    return made
