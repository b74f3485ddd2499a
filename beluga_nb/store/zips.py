"""Zips that anybody may have made, and what may be in a pack.

Before a zip is read, it is checked how many files it lists, how large each is, and that no two of them share
bytes. No name becomes a path unless it is one that `pack` would give (S38).
"""

from __future__ import annotations

import os
import re
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from beluga_nb.images import SUFFIXES
from beluga_nb.paths import open_file
from beluga_nb.store import registry
from beluga_nb.store.collection import Blob, Collection
from beluga_nb.store.files import MARK
from beluga_nb.store.folder import BLOBS
from beluga_nb.text import sanitize

LARGEST_FILE = 64 * 2**20
"""Bytes of one file in a pack."""

LARGEST_PACK = 2 * 2**30
"""Bytes of all files in a pack."""

MOST_FILES = 100_000
"""Files in a pack."""

LARGEST_LIST = 300 * MOST_FILES
"""Bytes of a zip that list its files, all of which `zipfile` reads at once."""

HIGHEST_RATIO = 200
"""How much larger than in the zip a file may be, from a megabyte on."""

FOLDER = "beluga_store"
"""The folder of the store in a pack."""

STORE = f"{FOLDER}/{MARK}"
NOTEBOOK = re.compile(r"[^/\\:\x00-\x1f\x7f]{1,200}\.ipynb")

_STORED = re.compile(rf"{FOLDER}/[a-z]+/(?:[0-9a-f]{{2}}/)?(?P<name>[0-9a-f]{{64}})(?P<suffix>\.[a-z]+)")
_MEDIA_TYPES = {suffix: media_type for media_type, suffix in SUFFIXES.items()}

_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first time that a zip can have
_PLAIN_FILE = (stat.S_IFREG | 0o644) << 16
_UNIX = 3
_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 1
_LOCAL_HEADER = 30  # bytes, without the name
_TAIL = 2**16 + 22 + 76  # bytes from the end, in which a zip tells where its list is, and how long
_LIST_ENDS, _LONG_LIST_ENDS = b"PK\5\6", b"PK\6\6"

# What zipfile raises for bytes that are no zip, in any version of Python.
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError),
    *(ValueError, IndexError, KeyError, OverflowError, struct.error, UserWarning),
)


class InvalidPackError(Exception):
    """A zip is no pack; its arguments are the reason and perhaps a hint."""


@contextmanager
def opened(file: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip; raise `InvalidPackError` where it is none, or is found to be damaged, in the block too."""
    try:
        with open_file(file) as data:
            _check_list(data)
            with warnings.catch_warnings():
                # zipfile only warns of a damaged field. Filters hold for all threads: so for its module.
                warnings.filterwarnings("error", category=UserWarning, module="zipfile")
                zipped = zipfile.ZipFile(data)
            with zipped:
                yield zipped
    except OSError as error:
        raise InvalidPackError(error.strerror or str(error)) from None
    except _DAMAGED as error:
        raise InvalidPackError(f"it is damaged ({type(error).__name__})") from None


def collection_of(name: str) -> tuple[Collection[Any], str] | None:
    """Return the collection of a file in a pack and the name in it, or None where the file is of none."""
    if stored := _STORED.fullmatch(name):
        for collection in registry.packable():
            if name == f"{FOLDER}/{collection.place(stored['name'])}":
                return collection, stored["name"]
    return None


def blob_of(name: str) -> Blob | None:
    """Return the blob that a file in a pack is by its name, or None where it is none."""
    stored = _STORED.fullmatch(name)
    if stored and stored["suffix"] in _MEDIA_TYPES:
        sha256 = stored["name"]
        if name == f"{FOLDER}/{BLOBS.folder}/{sha256[:2]}/{sha256}{stored['suffix']}":
            return Blob(sha256, _MEDIA_TYPES[stored["suffix"]])
    return None


def new(name: str) -> zipfile.ZipInfo:
    """Return the entry of a file in a new pack: always the same for the same name."""
    info = zipfile.ZipInfo(name, _LONG_AGO)
    info.create_system, info.external_attr = _UNIX, _PLAIN_FILE
    return info


def is_pack(file: Path) -> bool:
    """Whether a file is a pack as we write it: one notebook and a store, and nothing else."""
    try:
        with opened(file) as zipped:
            infos = checked(zipped)
    except InvalidPackError:
        return False
    names = [info.filename for info in infos]
    notebooks = [name for name in names if NOTEBOOK.fullmatch(name)]
    return STORE in names and len(notebooks) == 1 and all(map(_is_written, infos))


def _is_written(info: zipfile.ZipInfo) -> bool:
    ours = new(info.filename)
    return all(getattr(info, each) == getattr(ours, each) for each in _AS_WRITTEN)


_AS_WRITTEN = ("date_time", "create_system", "external_attr", "compress_type", "extra", "comment")


def _check_list(file: IO[bytes]) -> None:
    file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
    tail = file.read(_TAIL)
    end = tail.rfind(_LIST_ENDS)
    sizes = [tail[end + 12 : end + 16]] if end >= 0 else []
    sizes += [tail[at + 40 : at + 48] for at in [tail.rfind(_LONG_LIST_ENDS, 0, max(end, 0))] if at >= 0]
    if any(int.from_bytes(size, "little") > LARGEST_LIST for size in sizes):
        raise InvalidPackError("it lists too many files")
    file.seek(0)


def checked(zipped: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the files of a zip; raise `InvalidPackError` unless each belongs in a pack: name, kind, size."""
    infos = zipped.infolist()
    if len(infos) > MOST_FILES or sum(info.file_size for info in infos) > LARGEST_PACK:
        raise InvalidPackError("it is too large")
    _check_apart(infos, zipped.start_dir)
    seen: set[str] = set()
    for info in infos:
        _check_entry(info)
        # Some file systems take upper and lower case for the same.
        if info.filename.casefold() in seen:
            raise InvalidPackError(f"it holds {quoted(info)} twice")
        seen.add(info.filename.casefold())
    return infos


def _check_apart(infos: list[zipfile.ZipInfo], end: int) -> None:
    # A zip bomb lists the same few bytes as many files.
    for info in sorted(infos, key=lambda info: info.header_offset, reverse=True):
        name = len(info.orig_filename.encode("utf-8", "replace"))
        if info.header_offset + _LOCAL_HEADER + name + info.compress_size > end:
            raise InvalidPackError(f"{quoted(info)} overlaps what follows it")
        end = info.header_offset


def _check_entry(info: zipfile.ZipInfo) -> None:
    # As it is written in the zip: zipfile cuts names at a NUL, or takes another one from an extra field.
    name = info.orig_filename
    if not (NOTEBOOK.fullmatch(name) or name == STORE or blob_of(name) or collection_of(name)):
        raise InvalidPackError(f"it holds {quoted(info)}, which is not a file of a pack")
    if info.filename != name:
        raise InvalidPackError(f"it gives {quoted(info)} a second name")
    # No links and no devices; 0 is a zip that was made without Unix modes.
    if stat.S_IFMT(info.external_attr >> 16) not in {0, stat.S_IFREG}:
        raise InvalidPackError(f"{quoted(info)} is not a regular file")
    if info.compress_type not in _COMPRESSIONS or info.flag_bits & _ENCRYPTED:
        raise InvalidPackError(f"{quoted(info)} is encrypted, or compressed in a way that is not read")
    if info.file_size > _largest(name):
        raise InvalidPackError(f"{quoted(info)} is too large")
    if info.file_size > max(2**20, HIGHEST_RATIO * info.compress_size):
        raise InvalidPackError(f"{quoted(info)} is far larger than it looks")


def _largest(name: str) -> int:
    stored = collection_of(name)
    return stored[0].largest if stored else LARGEST_FILE


def quoted(info: zipfile.ZipInfo) -> str:
    """Return the name of a file in a zip for a message."""
    return f"'{sanitize(info.orig_filename, 120)}'"
