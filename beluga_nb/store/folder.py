"""What lies in the folder of a store, seen as files: also what is damaged, or of a newer format.

Only what we wrote is ever removed: `is_ours` says of which files that is known.
"""

from __future__ import annotations

import re
import stat
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path

from beluga_nb.images import SUFFIXES
from beluga_nb.paths import read_head
from beluga_nb.store import files
from beluga_nb.store.index import is_written
from beluga_nb.store.pending import Pending, is_answer, is_claim
from beluga_nb.store.records import (
    LFS_POINTER,
    LONGEST_POINTER,
    Blob,
    Store,
    Unusable,
    canonical_json,
    damage_told,
    json_of,
)
from beluga_nb.untrusted import items

ABANDONED_AFTER = 60
"""Seconds after which what no record names is taken to be nobody's: who records takes less."""

_NAME = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


ASIDE = ".forgotten"
"""What the name of a blob ends in while it is being forgotten."""

_HASHED = re.compile(r"[0-9a-f]{64}\.json")
_CALL = re.compile(files.CALL)
_SUFFIXES = "|".join(map(re.escape, [*SUFFIXES.values(), ".bin"]))
_BLOB = re.compile(rf"[0-9a-f]{{64}}({_SUFFIXES})({re.escape(ASIDE)})?")
_FIRST_NAME = re.compile(rb'\{\s*"(\w+)"\s*:')

_FIRST_NAMES = {
    "records": {"image"},
    "sheets": {"of"},
    "scores": {"asked"},
    "marks": {"favourite"},
    "pending": {each.name for each in fields(Pending)},
}
"""How the JSON of each room begins, sorted as we write it: so much is left of most that is damaged."""


def is_ours(store: Store, path: Path, *, named: Collection[Path] = ()) -> bool:
    """Whether we wrote a file: its place and name are ours, and so is what is in it.

    `named` are blobs that a record of ours names, which may be damaged. Of all others, and of those that are
    set aside, the bytes must be the ones of the name, or Git LFS's pointer to them.
    """
    try:
        room, *_ = path.relative_to(store.folder).parts
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
    except (OSError, ValueError):
        return False
    if room == "blobs":
        return bool(_BLOB.fullmatch(path.name)) and (path in named or holds_its_name(path))
    if room == "index":
        return is_written(path)
    if room == "tmp":
        return bool(files.PART.fullmatch(path.name))
    if room == "pending" and (is_answer(path.name) or is_claim(path.name)):
        return _head(store, path).startswith((b"HTTP/1.1 ", b'{"host": ')) or not path.stat().st_size
    if room == "pending" and path.name == files.LEDGER:
        return _head(store, path).startswith(b'{"schema":')
    if room == "votes":
        return path.suffix == ".jsonl"  # of which `votes.blank` blanks our lines only
    named_so = _CALL.fullmatch(path.stem) if room == "pending" else _HASHED.fullmatch(path.name)
    return bool(named_so) and _is_json_of(room, path, text(store, path))


def _is_json_of(room: str, path: Path, written: bytes) -> bool:
    first = _FIRST_NAME.match(written)
    begins = first is not None and first[1].decode() in _FIRST_NAMES.get(room, ())
    return begins or (room in _FIRST_NAMES and f'"{path.stem}"'.encode() in written)


def holds_its_name(path: Path) -> bool:
    """Whether a file has the bytes that it is named by, or is Git LFS's pointer to them."""
    return files.has_hash(path, hash_of(path)) or is_pointer(path)


def is_pointer(path: Path) -> bool:
    """Whether Git LFS has left a pointer in the place of the bytes of this name."""
    try:
        data = read_head(path, LONGEST_POINTER)
    except OSError:
        return False
    return data.startswith(LFS_POINTER) and hash_of(path).encode() in data


def _head(store: Store, path: Path) -> bytes:
    return files.head(path, root=store.folder, most=64)


def blob_paths(store: Store) -> list[Path]:
    """Return where bytes are."""
    return store.paths("blobs", depth=2)


def sheet_paths(store: Store) -> list[Path]:
    """Return where sheets are described."""
    return store.paths("sheets", depth=2, suffix=".json")


def part_paths(store: Store) -> list[Path]:
    """Return the temporary files of writers that have died, and whatever else has lain there as long."""
    return [path for path in store.paths("tmp", depth=1) if abandoned(path)]


def abandoned(path: Path) -> bool:
    """Whether nobody has written a file for a minute."""
    try:
        return time.time() - path.stat().st_mtime > ABANDONED_AFTER
    except OSError:
        return False


def hash_of(path: Path) -> str:
    """Return the SHA-256 that bytes are named by."""
    return path.name[:64]


def named_in(store: Store, paths: Iterable[Path]) -> set[str]:
    """Return every SHA-256 that files name, whatever else they say, or how badly."""
    return {name.decode() for path in paths for name in _NAME.findall(text(store, path))}


def text(store: Store, path: Path) -> bytes:
    """Return what a file says, of a huge one how it begins, and nothing where it cannot be read."""
    return files.head(path, root=store.folder)


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
    said = json_of(written)
    with damage_told():
        blob = Blob(said["sheet"]["sha256"], said["sheet"]["media_type"])
        of, words = (
            tuple(Blob(each, blob.media_type).sha256 for each in items(hashes))
            for hashes in (said["of"], said.get("words", []))
        )
        return Sheet(of, blob, words)


def sheets(store: Store) -> Iterator[tuple[Path, Sheet | Unusable]]:
    """Yield where each sheet is, and what it says or why it is unusable."""
    for path in sheet_paths(store):
        try:
            sheet = sheet_of(files.read(path, root=store.folder))
            right = path.stem == sheet.name and path.parent.name == path.name[:2]
            yield path, sheet if right else Unusable("it is damaged (the sheet of others)")
        except FileNotFoundError:  # someone else has just forgotten it
            continue
        except OSError as error:
            yield path, Unusable(error.strerror or str(error))
        except Unusable as unusable:
            yield path, unusable
