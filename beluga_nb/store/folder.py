"""What lies in the folder of a store, seen as files: also what is damaged, or of a newer format."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from beluga_nb.store.records import SCHEMA, Blob, Store, Unusable, canonical_json

ABANDONED_AFTER = 60
"""Seconds after which what no record names is taken to be nobody's: who records takes less."""

_NAME = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def blob_paths(store: Store) -> list[Path]:
    """Return where bytes are."""
    return sorted(store.folder.glob("blobs/*/*"))


def sheet_paths(store: Store) -> list[Path]:
    """Return where sheets are described."""
    return sorted(store.folder.glob("sheets/*/*.json"))


def part_paths(store: Store) -> list[Path]:
    """Return the temporary files of writers that have died."""
    return [path for path in sorted(store.folder.glob("tmp/*")) if abandoned(path)]


def abandoned(path: Path) -> bool:
    """Whether nobody has written a file for a minute."""
    try:
        return time.time() - path.stat().st_mtime > ABANDONED_AFTER
    except OSError:
        return False


def hash_of(path: Path) -> str:
    """Return the SHA-256 that bytes are named by."""
    return path.name[:64]


def named_in(paths: Iterable[Path]) -> set[str]:
    """Return every SHA-256 that files name, whatever else they say, or how badly."""
    return {name.decode() for path in paths for name in _NAME.findall(text(path))}


def text(path: Path) -> bytes:
    """Return what a file says, nothing where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


@dataclass(frozen=True)
class Sheet:
    """Several previews, by their SHA-256, and the one picture that was made of them and of words."""

    of: tuple[str, ...]
    blob: Blob
    words: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of its file."""
        return sha256(canonical_json([*self.of, *self.words])).hexdigest()


def sheet_of(written: bytes) -> Sheet:
    """Return a sheet as it is written; raise `Unusable` where it is damaged or of a newer format."""
    try:
        said = json.loads(written)
        if said["schema"] != SCHEMA:
            raise Unusable(f"it has format {said['schema']}, and this version reads {SCHEMA}")
        blob = Blob(said["sheet"]["sha256"], said["sheet"]["media_type"])
        of, words = (
            tuple(Blob(each, blob.media_type).sha256 for each in hashes)
            for hashes in (said["of"], said.get("words", ()))
        )
        return Sheet(of, blob, words)
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError) as error:
        raise Unusable(f"it is damaged ({type(error).__name__})") from None


def sheets(store: Store) -> Iterator[tuple[Path, Sheet | Unusable]]:
    """Yield where each sheet is, and what it says or why it is unusable."""
    for path in sheet_paths(store):
        try:
            sheet = sheet_of(text(path))
            right = path.stem == sheet.name and path.parent.name == path.name[:2]
            yield path, sheet if right else Unusable("it is damaged (the sheet of others)")
        except Unusable as unusable:
            yield path, unusable
