"""Marks: what a person says of a recorded picture. One small JSON file for each picture that has one.

    beluga_store/marks/77/77610d44….json  {"schema": 1, "picture": "77610d44…", "favourite": true, "note": ""}

A mark is named by the SHA-256 of its picture, whatever asked for it: two git branches that say the same of
it merge, and where they differ git asks which one stays. It keeps no picture alive: it is forgotten with the
last recording of its picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from beluga_nb.errors import RequestError
from beluga_nb.store import files
from beluga_nb.store.records import SCHEMA, Blob, Store, Unusable, damage_told, json_of
from beluga_nb.untrusted import text

LONGEST_NOTE = 4000
"""Characters of a note."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What is said of the picture with this SHA-256: whether it is a favourite, and a note."""

    picture: str
    favourite: bool = False
    note: str = ""

    def __bool__(self) -> bool:
        return self.favourite or bool(self.note)


def mark_of(written: bytes) -> Mark:
    """Return a mark as it is written; raise `Unusable` where it is damaged or of a newer format."""
    said = json_of(written)
    with damage_told():
        picture = Blob(text(said["picture"]), "image/png").sha256  # which checks that it is a hash
        favourite, note = said["favourite"], text(said["note"])
        if not isinstance(favourite, bool) or len(note) > LONGEST_NOTE:
            raise ValueError("no mark")
        return Mark(picture=picture, favourite=favourite, note=note)


def path_of(store: Store, picture: str) -> Path:
    """Return where the mark of a picture is, or would be."""
    return store.folder / "marks" / picture[:2] / f"{picture}.json"


def mark_paths(store: Store) -> list[Path]:
    """Return where marks are, in the order of their pictures."""
    return store.paths("marks", depth=2, suffix=".json")


def scan(store: Store) -> Iterator[tuple[Path, Mark | Unusable]]:
    """Yield where each mark is, and what it says or why it is unusable."""
    for path in mark_paths(store):
        try:
            mark = mark_of(files.read(path, root=store.folder))
            right = path == path_of(store, mark.picture)
            yield path, mark if right else Unusable("it is damaged (the mark of another picture)")
        except FileNotFoundError:  # somebody has just taken it away
            continue
        except OSError as error:
            yield path, Unusable(error.strerror or str(error))
        except Unusable as unusable:
            yield path, unusable


def marks(store: Store) -> dict[str, Mark]:
    """Return every mark that can be read, by the SHA-256 of its picture."""
    return {mark.picture: mark for _, mark in scan(store) if isinstance(mark, Mark)}


def write(store: Store, mark: Mark) -> None:
    """Keep what is said of a picture, in place of what was; raise `StoreError` where that fails."""
    if len(mark.note) > LONGEST_NOTE:
        raise RequestError(
            f"The note has {len(mark.note):,} characters.", f"At most {LONGEST_NOTE:,} are kept."
        )
    path = path_of(store, mark.picture)
    if mark:
        said = {"schema": SCHEMA, "picture": mark.picture, "favourite": mark.favourite, "note": mark.note}
        store.write_json(path, said)
        return
    store.remove(path)
