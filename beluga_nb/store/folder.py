"""Blobs and temporary files in the folder of a store, also those that are damaged."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from beluga_nb.images import SUFFIXES
from beluga_nb.paths import read_head
from beluga_nb.store import files
from beluga_nb.store.collection import FileKind, hashes_in

if TYPE_CHECKING:
    from beluga_nb.store.records import Store

STALE_AFTER = 60
"""Seconds after which a file that no record names is stale. Recording takes less."""

HASH_LENGTH = 64
"""The first characters of the name of a blob are its SHA-256."""

ASIDE = ".forgotten"
"""What the name of a blob ends in while it is being forgotten."""

_SUFFIXES = "|".join(map(re.escape, [*SUFFIXES.values(), ".bin"]))

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
LONGEST_POINTER = 1024  # bytes, as Git LFS specifies


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


@dataclass(frozen=True, kw_only=True)
class _Blobs(FileKind):
    """Blobs, also those that are set aside: each has the bytes of its name, or is a pointer to them."""

    def is_ours(self, path: Path, root: Path) -> bool:
        del root
        return holds_its_name(path)


BLOBS = _Blobs(folder="blobs", pattern=re.compile(rf"[0-9a-f]{{64}}({_SUFFIXES})({re.escape(ASIDE)})?"))
TEMPORARY = FileKind(folder=files.TEMPORARY, pattern=files.PART)


def blob_paths(store: Store, is_wanted: Callable[[str], bool] = bool) -> list[Path]:
    """Return the paths of all blobs, or of those with wanted names."""
    return store.paths(BLOBS.folder, depth=2, is_wanted=is_wanted)


def part_paths(store: Store) -> list[Path]:
    """Return the temporary files of writers that have died, and other files that are as old."""
    return [path for path in store.paths("tmp", depth=1) if is_stale(path)]


def is_stale(path: Path) -> bool:
    """Whether a file was not written for a minute."""
    try:
        return time.time() - path.stat().st_mtime > STALE_AFTER
    except OSError:
        return False


def hash_of(path: Path) -> str:
    """Return the SHA-256 that bytes are named by."""
    return path.name[:HASH_LENGTH]


def named_in(store: Store, paths: Iterable[Path]) -> set[str]:
    """Return every SHA-256 that files name, even if they are damaged."""
    return {name for path in paths for name in hashes_in(text(store, path))}


def text(store: Store, path: Path) -> bytes:
    """Return the text of a file, of a huge one its beginning, and nothing where it cannot be read."""
    return files.head(path, root=store.folder)
