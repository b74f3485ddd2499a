"""Unpacking what anybody may have packed: all of it is checked before anything is written.

A zip is read only as far as is known beforehand (store/zips.py), also how much work it makes to see that the
pack is whole.
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from beluga_nb.errors import StoreError
from beluga_nb.hints import Hint, Remedy
from beluga_nb.images import SUFFIXES
from beluga_nb.paths import has_content, replacing
from beluga_nb.store import files
from beluga_nb.store.folder import Sheet, sheet_of
from beluga_nb.store.marks import Mark, mark_of
from beluga_nb.store.notebooks import read_bytes
from beluga_nb.store.pack import STORE_JSON
from beluga_nb.store.records import Blob, Entry, Store, Unusable, entry_of, json_of
from beluga_nb.store.scores import score_of
from beluga_nb.store.votes import Vote, said_of
from beluga_nb.store.zips import STORE, STORED, VOTES, Rejected, checked, opened, quoted
from beluga_nb.text import plural, sanitize

MOST_WORK = 50_000_000
"""Characters of a notebook that are looked at for the prompts of a pack, one by one (`Notebook.work`)."""

_MEDIA_TYPES = {suffix: kind for kind, suffix in SUFFIXES.items()}

T = TypeVar("T")


@dataclass(frozen=True)
class Unpacked:
    """A notebook that was unpacked, and how many recordings with it."""

    path: Path
    recordings: int

    def __str__(self) -> str:
        count = plural(self.recordings, "recording")
        return f"{sanitize(str(self.path), 400)}, and {count} that it needs"


@dataclass
class _Contents:
    """A pack that was read and checked: JSON as it is written, blobs by their place in the zip.

    What is `judged` of pictures differs from machine to machine and voter to voter: where it is there
    already, that stays.
    """

    notebook: str = ""
    cells: bytes = b""
    written: dict[str, bytes] = field(default_factory=dict)
    judged: dict[str, bytes] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)  # that scores and votes name
    entries: list[Entry] = field(default_factory=list)
    sheets: list[Sheet] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    blobs: dict[Blob, zipfile.ZipInfo] = field(default_factory=dict)


def unpack(file: Path, store: Store, *, into: Path) -> Unpacked:
    """Put the notebook of a pack into a folder and its recordings into a store.

    What is there already and equal stays as it is. Raises `StoreError` where anything is there that
    differs, or anything in the pack is not as it should be: then nothing is written.
    """
    store.check_ours()
    with _told(file), opened(file) as zipped:
        contents = _Contents()
        for info in checked(zipped):
            _read_into(contents, zipped, info)
        _check_whole(contents)
        _check_free(contents, store, into)
        _write(contents, zipped, store, into)
    return Unpacked(into / contents.notebook, len(contents.entries))


@contextmanager
def _told(file: Path) -> Iterator[None]:
    try:
        yield
    except Rejected as rejected:
        reason, hint = (*rejected.args, "Nothing was written.")[:2]
        raise StoreError(
            f"{sanitize(file.name or str(file), 120)} cannot be unpacked: {reason}.", hint
        ) from None


def _read_into(contents: _Contents, zipped: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    name, data = info.filename, zipped.read(info)
    stored = STORED.fullmatch(name)
    if stored and stored["room"] == "blobs":
        contents.blobs[_blob(info, data, stored)] = info
    elif stored and stored["room"] == "records":
        contents.entries.append(entry := _parsed(info, data, entry_of))
        _check(entry.key == stored["name"], info)
        contents.written[name] = data
    elif stored and stored["room"] == "scores":
        score = _parsed(info, data, score_of)
        _check(score.name == stored["name"], info)
        contents.images.add(score.image)
        contents.judged[name] = data
    elif votes := VOTES.fullmatch(name):
        _check(hashlib.sha256(data).hexdigest() == votes["name"], info)
        contents.images |= _parsed(info, data, _voted_on)
        contents.judged[name] = data
    elif stored and stored["room"] == "marks":
        contents.marks.append(mark := _parsed(info, data, mark_of))
        _check(mark.picture == stored["name"], info)
        contents.written[name] = data
    elif stored:
        contents.sheets.append(sheet := _parsed(info, data, sheet_of))
        _check(sheet.name == stored["name"], info)
        contents.written[name] = data
    elif name == STORE:
        _check(data == STORE_JSON, info)
    elif contents.notebook:
        raise Rejected("it holds two notebooks")
    else:
        contents.notebook, contents.cells = name, data


def _blob(info: zipfile.ZipInfo, data: bytes, stored: re.Match[str]) -> Blob:
    _check(hashlib.sha256(data).hexdigest() == stored["name"] and stored["suffix"] in _MEDIA_TYPES, info)
    return Blob(stored["name"], _MEDIA_TYPES[stored["suffix"]])


def _voted_on(lines: bytes) -> set[str]:
    said = [said_of(line) for line in lines.splitlines()]
    if not all(isinstance(vote, Vote) for vote in said):
        raise Unusable("a pack holds no vote that was taken back")
    return {name for vote in said if isinstance(vote, Vote) for name in (vote.left, vote.right)}


def _parsed(info: zipfile.ZipInfo, data: bytes, read: Callable[[bytes], T]) -> T:
    try:
        return read(data)
    except Unusable as unusable:
        raise Rejected(f"{quoted(info)} cannot be used: {unusable}") from None


def _check(right: bool, info: zipfile.ZipInfo) -> None:
    if not right:
        raise Rejected(f"{quoted(info)} does not hold what its name says")


def _check_whole(contents: _Contents) -> None:
    """Check that the notebook needs every record, and that all bytes are there and no others."""
    try:
        notebook = read_bytes(contents.cells)
    except ValueError:
        raise Rejected("it holds no notebook") from None
    if sum(notebook.work(entry.request.prompt) for entry in contents.entries) > MOST_WORK:
        raise Rejected("it takes too long to compare its notebook with its records")
    if not notebook.hashes <= {entry.image.sha256 for entry in contents.entries if entry.image}:
        raise Rejected("it lacks records of what its notebook shows")
    if not all(notebook.needs(entry) for entry in contents.entries):
        raise Rejected("its records are not the ones that its notebook needs")
    if not contents.images <= {entry.image.sha256 for entry in contents.entries if entry.image}:
        raise Rejected("its scores or votes are of other pictures")
    previews = {entry.preview.sha256 for entry in contents.entries if entry.preview}
    if any(not previews.issuperset(sheet.of) for sheet in contents.sheets):
        raise Rejected("its sheets are of other pictures")
    pictures = {entry.image.sha256 for entry in contents.entries if entry.image}
    if any(mark.picture not in pictures for mark in contents.marks):
        raise Rejected("its marks are of other pictures")
    named = {blob for entry in contents.entries for blob in entry.blobs}
    if named | {sheet.blob for sheet in contents.sheets} != contents.blobs.keys():
        raise Rejected("its bytes are not the ones that its records name")


def _check_free(contents: _Contents, store: Store, into: Path) -> None:
    # A mark that is here already stays: it is what this reader says of the picture.
    answers = {name: data for name, data in contents.written.items() if "/marks/" not in name}
    taken = [name for name, data in answers.items() if not _fits(store, _path(store, name), data)]
    if taken:
        raise Rejected(f"{len(taken)} of its requests are recorded here with another answer")
    places = [*map(store.blob_path, contents.blobs), *(_path(store, each) for each in contents.judged)]
    places += [_path(store, name) for name in contents.written]
    if odd := [path for path in places if os.path.lexists(path) and not path.is_file()]:
        raise Rejected(f"something that is no file is in the place of {sanitize(odd[0].name, 80)}")
    notebook = into / contents.notebook
    if os.path.lexists(notebook) and not has_content(notebook, contents.cells):
        raise Rejected(
            f"another {sanitize(contents.notebook, 120)} is there already",
            Hint("Nothing was written. Unpack elsewhere: ", Remedy("into", "FOLDER")),
        )


def _path(store: Store, name: str) -> Path:
    return store.folder / name.partition("/")[2]


def _fits(store: Store, path: Path, data: bytes) -> bool:
    try:
        there = files.read(path, root=store.folder)
        if path.parent.parent.name == "records":  # when it came, and how its preview was made, may differ
            return entry_of(there).image == entry_of(data).image
        return bool(json_of(there) == json_of(data))
    except FileNotFoundError:
        return True
    except (Unusable, OSError):
        return False


def _write(contents: _Contents, zipped: zipfile.ZipFile, store: Store, into: Path) -> None:
    # The notebook last: it is there only if all that it needs is.
    blobs = ((zipped.read(info), blob.media_type) for blob, info in contents.blobs.items())
    try:
        written = contents.written | contents.judged
        store.put(blobs, {_path(store, name): data for name, data in written.items()})
    except StoreError as error:
        raise StoreError(error.message, "Mend the folder, or set BELUGA_STORE, and unpack again.") from None
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
        raise StoreError(
            f"{sanitize(path.name, 120)} cannot be written: {error.strerror or error}.",
            Hint("Unpack elsewhere: ", Remedy("into", "FOLDER")),
        ) from None
