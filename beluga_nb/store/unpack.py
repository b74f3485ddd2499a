"""Unpacking what anybody may have packed: all of it is checked before anything is written.

The size of a zip is bounded (store/zips.py), and so is the work of checking that the pack is whole.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from beluga_nb.errors import StoreError
from beluga_nb.hints import Hint, Remedy
from beluga_nb.paths import has_content, not_written, replacing
from beluga_nb.store import files
from beluga_nb.store.codec import CorruptFileError
from beluga_nb.store.collection import Blob, Collection
from beluga_nb.store.format import RECORDS, Entry, references_of
from beluga_nb.store.notebooks import read_bytes
from beluga_nb.store.pack import STORE_JSON
from beluga_nb.store.records import Store
from beluga_nb.store.zips import (
    STORE,
    InvalidPackError,
    blob_of,
    checked,
    collection_of,
    opened,
    quoted,
)
from beluga_nb.text import plural, sanitize

MOST_WORK = 50_000_000
"""Characters of a notebook that are compared with the prompts of a pack (`Notebook.work`)."""


@dataclass(frozen=True)
class Unpacked:
    """A notebook that was unpacked, and how many recordings with it."""

    path: Path
    recordings: int

    def __str__(self) -> str:
        count = plural(self.recordings, "recording")
        return f"{sanitize(str(self.path), 400)}, and {count} that it needs"


@dataclass(frozen=True)
class _File:
    """A file of a collection in a pack, by its place below the store: its bytes, and the values in it."""

    collection: Collection[Any]
    place: str
    data: bytes
    values: Sequence[Any]


@dataclass
class _Contents:
    """A pack that was read and checked: its notebook and files, and its blobs by their place in the zip."""

    notebook: str = ""
    cells: bytes = b""
    files: list[_File] = field(default_factory=list)
    blobs: dict[Blob, zipfile.ZipInfo] = field(default_factory=dict)

    @property
    def entries(self) -> list[Entry]:
        """The records."""
        return [value for file in self.files if file.collection is RECORDS for value in file.values]


def unpack(file: Path, store: Store, *, into: Path) -> Unpacked:
    """Put the notebook of a pack into a folder and its recordings into a store.

    What is there already and equal stays as it is. Raises `StoreError` where anything is there that
    differs, or anything in the pack is not as it should be: then nothing is written.
    """
    store.check_ours()
    with _naming(file), opened(file) as zipped:
        contents = _Contents()
        for info in checked(zipped):
            _read_into(contents, zipped, info)
        _check_whole(contents)
        _check_free(contents, store, into)
        _write(contents, zipped, store, into)
    return Unpacked(into / contents.notebook, len(contents.entries))


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    try:
        yield
    except InvalidPackError as error:
        reason, hint = (*error.args, "Nothing was written.")[:2]
        raise StoreError(
            f"{sanitize(file.name or str(file), 120)} cannot be unpacked: {reason}.", hint
        ) from None


def _read_into(contents: _Contents, zipped: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    name, data = info.filename, zipped.read(info)
    if blob := blob_of(name):
        if hashlib.sha256(data).hexdigest() != blob.sha256:
            raise _wrong_name(info)
        contents.blobs[blob] = info
    elif stored := collection_of(name):
        collection, stem = stored
        values = _unpacked(info, collection, stem, data)
        contents.files.append(_File(collection, collection.place(stem), data, values))
    elif name == STORE:
        if data != STORE_JSON:
            raise _wrong_name(info)
    elif contents.notebook:
        raise InvalidPackError("it holds two notebooks")
    else:
        contents.notebook, contents.cells = name, data


def _unpacked(info: zipfile.ZipInfo, collection: Collection[Any], name: str, data: bytes) -> Sequence[Any]:
    try:
        return collection.unpacked(name, data)
    except CorruptFileError as error:
        raise InvalidPackError(f"{quoted(info)} cannot be used: {error.reason}") from None
    except ValueError:
        raise _wrong_name(info) from None


def _wrong_name(info: zipfile.ZipInfo) -> InvalidPackError:
    return InvalidPackError(f"{quoted(info)} does not hold what its name says")


def _check_whole(contents: _Contents) -> None:
    """Check that the notebook needs every record, and that all bytes are there and no others."""
    try:
        notebook = read_bytes(contents.cells)
    except ValueError:
        raise InvalidPackError("it holds no notebook") from None
    if sum(notebook.work(entry.request.prompt) for entry in contents.entries) > MOST_WORK:
        raise InvalidPackError("it takes too long to compare its notebook with its records")
    if not notebook.hashes <= {entry.image.sha256 for entry in contents.entries if entry.image}:
        raise InvalidPackError("it lacks records of what its notebook shows")
    if not all(notebook.needs(entry) for entry in contents.entries):
        raise InvalidPackError("its records are not the ones that its notebook needs")
    recorded, needed = references_of(contents.entries), set[Blob]()
    for file in contents.files:
        if not all(file.collection.references(value).within(recorded) for value in file.values):
            raise InvalidPackError(f"its {file.collection.folder} are of other pictures")
        needed.update(blob for value in file.values for blob in file.collection.blobs(value))
    if needed != contents.blobs.keys():
        raise InvalidPackError("its bytes are not the ones that its records name")


def _check_free(contents: _Contents, store: Store, into: Path) -> None:
    taken = [file for file in contents.files if _is_taken(store, file)]
    if taken:
        raise InvalidPackError(f"{len(taken)} of its requests are recorded here with another answer")
    places = [store.folder / file.place for file in contents.files]
    places += map(store.blob_path, contents.blobs)
    if odd := [path for path in places if os.path.lexists(path) and not path.is_file()]:
        raise InvalidPackError(f"something that is not a file is in the place of {sanitize(odd[0].name, 80)}")
    notebook = into / contents.notebook
    if os.path.lexists(notebook) and not has_content(notebook, contents.cells):
        raise InvalidPackError(
            f"another {sanitize(contents.notebook, 120)} is there already",
            Hint("Nothing was written. Unpack elsewhere: ", Remedy("into", "FOLDER")),
        )


def _is_taken(store: Store, file: _File) -> bool:
    """Whether a value in the place of a file is in conflict with it."""
    if not file.collection.has_conflicts:
        return False
    store.fetch(store.folder / file.place)
    try:
        written = files.read(store.folder / file.place, root=store.folder)
        here = file.collection.unpacked(Path(file.place).stem, written)
    except FileNotFoundError:
        return False
    except (OSError, CorruptFileError, ValueError):
        return True
    return any(file.collection.conflicts(*pair) for pair in zip(here, file.values, strict=True))


def _write(contents: _Contents, zipped: zipfile.ZipFile, store: Store, into: Path) -> None:
    # The notebook comes last, so it is never there without its recordings.
    blobs = ((zipped.read(info), blob.media_type) for blob, info in contents.blobs.items())
    try:
        store.put(blobs, {store.folder / file.place: file.data for file in contents.files})
    except StoreError as error:
        raise StoreError(error.message, "Repair the folder, or set BELUGA_STORE, and unpack again.") from None
    _write_new(into, contents.notebook, contents.cells)


def _write_new(folder: Path, name: str, data: bytes) -> None:
    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            if not files.is_inside(path, folder):
                raise OSError("it would lie outside the folder")
            with replacing(path, new=True) as file:
                file.write(data)
    except OSError as error:
        raise not_written(path, error, Hint("Unpack elsewhere: ", Remedy("into", "FOLDER"))) from None
