"""Unpacking what anybody may have packed: all of it is checked before anything is written.

A zip is read only as far as is known beforehand: how many files it lists, how large each is, that no two of
them are the same bytes of it, and how much work it makes to see that the pack is whole.

No name in a zip becomes a path unless it is one that `pack` would give (S38).
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar

from beluga_nb.core import SUFFIXES
from beluga_nb.errors import StoreError
from beluga_nb.store.folder import Sheet, sheet_of
from beluga_nb.store.marks import Mark, mark_of
from beluga_nb.store.notebooks import read_bytes
from beluga_nb.store.pack import LARGEST_FILE, LARGEST_JSON, LARGEST_PACK, NOTEBOOK, STORE, STORE_JSON
from beluga_nb.store.records import Blob, Entry, Store, Unusable, entry_of, json_of
from beluga_nb.store.scores import score_of
from beluga_nb.store.votes import Vote, said_of
from beluga_nb.text import sanitize

MOST_FILES = 100_000
"""Files in a pack."""

LARGEST_LIST = 300 * MOST_FILES
"""Bytes of a zip that list its files, all of which `zipfile` reads at once."""

MOST_WORK = 50_000_000
"""Characters of a notebook that are looked at for the prompts of a pack, one by one (`Notebook.work`)."""

HIGHEST_RATIO = 200
"""How much larger than in the zip a file may be, from a megabyte on."""

_STORED = re.compile(
    r"beluga_store/(?P<room>records|blobs|sheets|scores|marks)/"
    r"(?P<head>[0-9a-f]{2})/(?P<name>[0-9a-f]{64})"
    r"(?P<suffix>\.json|\.png|\.jpg|\.webp)"
)
_VOTES = re.compile(r"beluga_store/votes/(?P<name>[0-9a-f]{64})\.jsonl")
_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 1
_LOCAL_HEADER = 30  # bytes, without the name
_TAIL = 2**16 + 22 + 76  # bytes from the end in which a zip says where its list is, and how long
_LIST_ENDS, _LONG_LIST_ENDS = b"PK\5\6", b"PK\6\6"
_MEDIA_TYPES = {suffix: kind for kind, suffix in SUFFIXES.items()}

T = TypeVar("T")


@dataclass(frozen=True)
class Unpacked:
    """A notebook that was unpacked, and how many recordings with it."""

    path: Path
    recordings: int

    def __str__(self) -> str:
        count = f"{self.recordings} recording{'s' * (self.recordings != 1)}"
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
    with _opened(file) as zipped:
        contents = _Contents()
        for info in _checked(zipped):
            _read_into(contents, zipped, info)
        _check_whole(contents)
        _check_free(contents, store, into)
        _write(contents, zipped, store, into)
    return Unpacked(into / contents.notebook, len(contents.entries))


class _Rejected(Exception):
    """A pack is not as it should be; the text says why."""


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with file.open("rb") as opened:
            _check_list(opened)
            with zipfile.ZipFile(opened) as zipped:
                yield zipped
    except _Rejected as rejected:
        reason = str(rejected)
    except OSError as error:
        reason = error.strerror or str(error)
    except _DAMAGED as error:
        reason = f"it is damaged ({type(error).__name__})"
    else:
        return
    raise StoreError(f"{sanitize(file.name, 120)} cannot be unpacked: {reason}.", "Nothing was written.")


# What zipfile raises for bytes that are no zip, in one version of Python or another.
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError),
    *(ValueError, IndexError, KeyError, OverflowError, struct.error),
)


def _check_list(file: IO[bytes]) -> None:
    file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
    tail = file.read(_TAIL)
    end = tail.rfind(_LIST_ENDS)
    sizes = [tail[end + 12 : end + 16]] if end >= 0 else []
    sizes += [tail[at + 40 : at + 48] for at in [tail.rfind(_LONG_LIST_ENDS, 0, max(end, 0))] if at >= 0]
    if any(int.from_bytes(size, "little") > LARGEST_LIST for size in sizes):
        raise _Rejected("it lists too many files")
    file.seek(0)


def _checked(zipped: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    infos = zipped.infolist()
    if len(infos) > MOST_FILES or sum(info.file_size for info in infos) > LARGEST_PACK:
        raise _Rejected("it is too large")
    _check_apart(infos, zipped.start_dir)
    seen: set[str] = set()
    for info in infos:
        _check_entry(info)
        if info.filename.casefold() in seen:
            raise _Rejected(f"it holds {_quoted(info)} twice")
        seen.add(info.filename.casefold())
    return infos


def _check_apart(infos: list[zipfile.ZipInfo], end: int) -> None:
    # A few bytes that count for many files are a bomb, though no file is large.
    for info in sorted(infos, key=lambda info: info.header_offset, reverse=True):
        name = len(info.orig_filename.encode("utf-8", "replace"))
        if info.header_offset + _LOCAL_HEADER + name + info.compress_size > end:
            raise _Rejected(f"{_quoted(info)} overlaps what follows it")
        end = info.header_offset


def _check_entry(info: zipfile.ZipInfo) -> None:
    # As it is written in the zip: zipfile cuts names at a NUL.
    name = info.orig_filename
    stored = _STORED.fullmatch(name)
    known = NOTEBOOK.fullmatch(name) or _VOTES.fullmatch(name) or name == STORE
    if not (known or (stored and stored["name"].startswith(stored["head"]))):
        raise _Rejected(f"it holds {_quoted(info)}, which is no file of a pack")
    if stat.S_IFMT(info.external_attr >> 16) not in {0, stat.S_IFREG}:
        raise _Rejected(f"{_quoted(info)} is no plain file")
    if info.compress_type not in _COMPRESSIONS or info.flag_bits & _ENCRYPTED:
        raise _Rejected(f"{_quoted(info)} is encrypted, or compressed in a way that is not read")
    if info.file_size > (LARGEST_JSON if stored and stored["room"] != "blobs" else LARGEST_FILE):
        raise _Rejected(f"{_quoted(info)} is too large")
    if info.file_size > max(2**20, HIGHEST_RATIO * info.compress_size):
        raise _Rejected(f"{_quoted(info)} is far larger than it looks")


def _quoted(info: zipfile.ZipInfo) -> str:
    return f"'{sanitize(info.orig_filename, 120)}'"


def _read_into(contents: _Contents, zipped: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    name, data = info.filename, zipped.read(info)
    stored = _STORED.fullmatch(name)
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
    elif votes := _VOTES.fullmatch(name):
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
        raise _Rejected("it holds two notebooks")
    else:
        contents.notebook, contents.cells = name, data


def _blob(info: zipfile.ZipInfo, data: bytes, stored: re.Match[str]) -> Blob:
    _check(hashlib.sha256(data).hexdigest() == stored["name"] and stored["suffix"] in _MEDIA_TYPES, info)
    return Blob(stored["name"], _MEDIA_TYPES[stored["suffix"]])


def _voted_on(lines: bytes) -> set[str]:
    said = [said_of(line) for line in lines.splitlines()]
    return {name for vote in said if isinstance(vote, Vote) for name in (vote.left, vote.right)}


def _parsed(info: zipfile.ZipInfo, data: bytes, read: Callable[[bytes], T]) -> T:
    try:
        return read(data)
    except Unusable as unusable:
        raise _Rejected(f"{_quoted(info)} cannot be used: {unusable}") from None


def _check(right: bool, info: zipfile.ZipInfo) -> None:
    if not right:
        raise _Rejected(f"{_quoted(info)} does not hold what its name says")


def _check_whole(contents: _Contents) -> None:
    """Check that the notebook needs every record, and that all bytes are there and no others."""
    try:
        notebook = read_bytes(contents.cells)
    except ValueError:
        raise _Rejected("it holds no notebook") from None
    if sum(notebook.work(entry.request.prompt) for entry in contents.entries) > MOST_WORK:
        raise _Rejected("it takes too long to compare its notebook with its records")
    if not notebook.hashes <= {entry.image.sha256 for entry in contents.entries if entry.image}:
        raise _Rejected("it lacks records of what its notebook shows")
    if not all(notebook.needs(entry) for entry in contents.entries):
        raise _Rejected("its records are not the ones that its notebook needs")
    if not contents.images <= {entry.image.sha256 for entry in contents.entries if entry.image}:
        raise _Rejected("its scores or votes are of other pictures")
    previews = {entry.preview.sha256 for entry in contents.entries if entry.preview}
    if any(not previews.issuperset(sheet.of) for sheet in contents.sheets):
        raise _Rejected("its sheets are of other pictures")
    pictures = {entry.image.sha256 for entry in contents.entries if entry.image}
    if any(mark.picture not in pictures for mark in contents.marks):
        raise _Rejected("its marks are of other pictures")
    named = {blob for entry in contents.entries for blob in entry.blobs}
    if named | {sheet.blob for sheet in contents.sheets} != contents.blobs.keys():
        raise _Rejected("its bytes are not the ones that its records name")


def _check_free(contents: _Contents, store: Store, into: Path) -> None:
    # A mark that is here already stays: it is what this reader says of the picture.
    answers = {name: data for name, data in contents.written.items() if "/marks/" not in name}
    taken = [name for name, data in answers.items() if not _fits(_path(store, name), data)]
    if taken:
        raise _Rejected(f"{len(taken)} of its requests are recorded here with another answer")
    notebook = into / contents.notebook
    if notebook.exists() and notebook.read_bytes() != contents.cells:
        raise _Rejected(
            f"another {sanitize(contents.notebook, 120)} is there already; --into FOLDER puts it elsewhere"
        )


def _path(store: Store, name: str) -> Path:
    return store.folder / name.partition("/")[2]


def _fits(path: Path, data: bytes) -> bool:
    try:
        there = path.read_bytes()
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
    _write_new(into / contents.notebook, contents.cells)


def _write_new(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            with path.open("xb") as file:
                file.write(data)
    except OSError as error:
        raise StoreError(
            f"{sanitize(path.name, 120)} cannot be written: {error.strerror or error}.",
            "Unpack elsewhere: --into FOLDER",
        ) from None
