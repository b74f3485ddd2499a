"""Marks: favourites and notes. One small JSON file for each picture that has one.

    beluga_store/marks/77/77610d44….json  {"schema": 1, "picture": "77610d44…", "favourite": true, "note": ""}

A mark is named by the SHA-256 of its picture, whichever request the picture answers. Two git branches with
equal marks merge; where they differ, git asks which one stays. A mark keeps no picture: it is forgotten with
the last recording of its picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from beluga_nb.errors import RequestError
from beluga_nb.store.codec import sha256_text
from beluga_nb.store.collection import Collection, References
from beluga_nb.untrusted import text

if TYPE_CHECKING:
    from beluga_nb.store.records import Store

LONGEST_NOTE = 4000
"""Characters of a note."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A note on the picture with this SHA-256, and whether it is a favourite."""

    picture: str
    favourite: bool = False
    note: str = ""

    def __bool__(self) -> bool:
        return self.favourite or bool(self.note)


def _parse(fields: Mapping[str, Any]) -> Mark:
    picture, favourite, note = sha256_text(fields["picture"]), fields["favourite"], text(fields["note"])
    if not isinstance(favourite, bool) or len(note) > LONGEST_NOTE:
        raise ValueError("no mark")
    return Mark(picture=picture, favourite=favourite, note=note)


MARKS = Collection(
    folder="marks",
    parse=_parse,
    name=lambda mark: mark.picture,
    first_fields={"favourite"},
    references=lambda mark: References({mark.picture}),
)


def marks(store: Store) -> dict[str, Mark]:
    """Return every mark that can be read, by the SHA-256 of its picture."""
    return {mark.picture: mark for mark in MARKS.values(store)}


def write(store: Store, mark: Mark) -> None:
    """Keep a mark over the one that the picture had, if any; raise `StoreError` where that fails."""
    if len(mark.note) > LONGEST_NOTE:
        raise RequestError(
            f"The note has {len(mark.note):,} characters.", f"At most {LONGEST_NOTE:,} are kept."
        )
    if mark:
        MARKS.write(store, mark)
    else:
        store.remove(MARKS.path(store, mark.picture))
