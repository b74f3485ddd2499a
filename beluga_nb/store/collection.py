"""The files of a store by kind: where they lie, how they are named, and what is in them.

A new collection is one file with a `Collection` in it and a line in store/registry.py. Then `verify`,
`forget`, `pack` and `unpack` handle it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from beluga_nb.images import SUFFIXES
from beluga_nb.store import files
from beluga_nb.store.codec import SCHEMA, CorruptFileError, decode, sha256_text

if TYPE_CHECKING:
    from beluga_nb.store.records import Store

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_FIRST_FIELD = re.compile(rb'\{\s*"(\w+)"\s*:')
# It begins with a digit: `re` then passes over all else at once, such as megabytes of zeros.
_HASH = re.compile(rb"[0-9a-f](?<![0-9a-f]{2})[0-9a-f]{63}(?![0-9a-f])")
_HEAD = 64  # bytes that are read to see how a file begins


def hashes_in(data: bytes) -> set[str]:
    """Return every SHA-256 in the text of a file, even if it is damaged."""
    return {each.decode() for each in _HASH.findall(data)}


@dataclass(frozen=True)
class Blob:
    """Bytes that a record names."""

    sha256: str
    media_type: str

    def __post_init__(self) -> None:
        sha256_text(self.sha256)
        if self.media_type not in SUFFIXES:
            raise ValueError(self.media_type)


@dataclass(frozen=True)
class References:
    """Pictures and previews by their SHA-256: those that a value is about, or those that are recorded."""

    pictures: Set[str] = frozenset()
    previews: Set[str] = frozenset()

    def within(self, recorded: References) -> bool:
        """Whether all of them are recorded."""
        return self.pictures <= recorded.pictures and self.previews <= recorded.previews


class Found(NamedTuple, Generic[T]):
    """The value in a file, or in one `line` of it, counted from 1; or why it cannot be used."""

    path: Path
    value: T | CorruptFileError
    line: int = 0


class PackedFile(NamedTuple, Generic[T]):
    """A file for a pack: its place below the store, the values in it, and what reads its bytes."""

    place: str
    values: Sequence[T]
    read: Callable[[], bytes]


@dataclass(frozen=True, kw_only=True)
class FileKind:
    """Files of one kind: their folder, and the `pattern` of their names.

    What we write begins with one of the `beginnings`. A crash may leave an empty file of some kinds.
    """

    folder: str
    pattern: re.Pattern[str]
    beginnings: tuple[bytes, ...] = (b"",)
    may_be_empty: bool = False

    def is_ours(self, path: Path, root: Path) -> bool:
        """Whether we wrote the plain file at a path of this kind."""
        begins = files.head(path, root=root, most=_HEAD).startswith(self.beginnings)
        return begins or (self.may_be_empty and not path.stat().st_size)


def _dataclass_fields(value: Any) -> Mapping[str, object]:
    return {each.name: getattr(value, each.name) for each in fields(value)}


def _no_references(_: Any) -> References:
    return References()


def _no_blobs(_: Any) -> Iterable[Blob]:
    return ()


def _never(*_: Any) -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class Collection(FileKind, Generic[T]):
    """JSON files of one kind, each with a value that also gives the file its name.

    `parse` makes a value of the fields of a file, `to_fields` gives the fields, and `name` names the file. A
    damaged file often still begins with one of the `first_fields`: we write them sorted.

    The rest ties a value to recordings. It is forgotten with the pictures that it `references`, and keeps
    its `blobs`. Where two values of one name are `conflicts`, unpacking raises an error instead of
    overwriting one. One that `is_private` is packed only if the notebook holds its blobs.

    If `never_changes`, a file is not written again with another content, so a copy of it is not compared.
    """

    parse: Callable[[Mapping[str, Any]], T]
    name: Callable[[T], str]
    first_fields: Set[str]
    to_fields: Callable[[T], Mapping[str, object]] = _dataclass_fields
    pattern: re.Pattern[str] = re.compile(r"[0-9a-f]{64}\.json")
    suffix: str = ".json"
    depth: int = 2  # folders from the store's own to a file: 2 where names begin a folder of their own
    largest: int = files.LARGEST_JSON
    never_changes: bool = False
    references: Callable[[T], References] = _no_references
    blobs: Callable[[T], Iterable[Blob]] = _no_blobs
    conflicts: Callable[[T, T], bool] = _never
    is_private: Callable[[T], bool] = _never

    @property
    def keeps_blobs(self) -> bool:
        """Whether bytes are needed as long as a file of this kind names them."""
        return self.blobs is not _no_blobs

    @property
    def has_conflicts(self) -> bool:
        """Whether another value of the same name can be a conflict."""
        return self.conflicts is not _never

    def place(self, name: str) -> str:
        """Return where the file of a name lies below the store, with slashes."""
        inner = f"{name[:2]}/" if self.depth > 1 else ""
        return f"{self.folder}/{inner}{name}{self.suffix}"

    def path(self, store: Store, name: str) -> Path:
        """Return the path of the file of a name."""
        return store.folder / self.place(name)

    def paths(self, store: Store, *, excluding: Set[str] = frozenset()) -> list[Path]:
        """Return the paths of all files, in order; raise `StoreError` where that cannot be read.

        The files of the names in `excluding` are left out, which may change while the folder is listed: of
        those that it has before, and of those that it has after that.
        """
        before = frozenset(excluding)

        def is_wanted(name: str) -> bool:
            bare = name.removesuffix(self.suffix)
            return bare != name and bare not in before and bare not in excluding

        return store.paths(self.folder, depth=self.depth, is_wanted=is_wanted)

    def write(self, store: Store, value: T) -> None:
        """Write a value over what had its name; raise `StoreError` where that fails."""
        store.write_json(self.path(store, self.name(value)), {"schema": SCHEMA, **self.to_fields(value)})

    def decode(self, written: bytes) -> T:
        """Return the value in the bytes of a file; raise `CorruptFileError` where it cannot be used."""
        return decode(written, self.parse)

    def read(self, store: Store, name: str) -> T:
        """Return the value of a name.

        Raises `OSError` where its file cannot be read, `CorruptFileError` where the value cannot be used.
        """
        path = self.path(store, name)
        store.fetch(path)
        try:
            return self._read(path, store.folder)[1]
        except CorruptFileError:
            store.drop(path)
            raise

    def load(self, path: Path, store: Store) -> tuple[bytes, T | CorruptFileError]:
        """Return the bytes of a file, whose folder was checked, and its value or why it cannot be used.

        Raises `FileNotFoundError`.
        """
        try:
            # Following links takes longer than reading a file, so it is done for links only.
            return self._read(path, store.folder if path.is_symlink() else None)
        except FileNotFoundError:
            raise
        except OSError as error:
            return b"", CorruptFileError(error.strerror or str(error), path)
        except CorruptFileError as error:
            return error.written, error

    def _read(self, path: Path, root: Path | None) -> tuple[bytes, T]:
        written = files.read(path, root=root, most=self.largest)
        try:
            value = self.decode(written)
            # A file that was renamed by hand would answer for something else.
            if self.name(value) != path.stem:
                raise CorruptFileError("it is damaged (its name belongs to something else)")
            if self.depth > 1 and path.parent.name != path.name[:2]:
                raise CorruptFileError("it is in the wrong folder")
        except CorruptFileError as error:
            raise CorruptFileError(error.reason, path, written) from None
        return written, value

    def scan(self, store: Store, *, excluding: Set[str] = frozenset()) -> Iterator[Found[T]]:
        """Yield each file, in the order of their names, with its value or why it cannot be used.

        The files of the names in `excluding` are not read, as in `paths`.
        """
        found = self.paths(store, excluding=excluding)
        # By folder: whether a link leads elsewhere is asked once for each.
        for folder, paths in groupby(found, key=lambda path: path.parent):
            outside = store.outside(folder)
            for path in paths:
                with suppress(FileNotFoundError):  # another kernel has just forgotten it
                    yield from [Found(path, outside)] if outside else self.found(path, store)

    def found(self, path: Path, store: Store) -> list[Found[T]]:
        """Return the values in a file, as `load`."""
        return [Found(path, self.load(path, store)[1])]

    def values(self, store: Store, *, excluding: Set[str] = frozenset()) -> Iterator[T]:
        """Yield each value that can be read, except those of the names in `excluding`."""
        for found in self.scan(store, excluding=excluding):
            if not isinstance(found.value, CorruptFileError):
                yield found.value

    def is_ours(self, path: Path, root: Path) -> bool:
        """Whether we wrote a file: it begins as ours do, or names itself."""
        written = files.head(path, root=root)
        # Not parsed, since a file that is damaged or cut off may be ours, too.
        first = _FIRST_FIELD.match(written)
        begins = first is not None and first[1].decode() in self.first_fields
        return begins or f'"{path.stem}"'.encode() in written

    def hashes(self, path: Path, root: Path) -> set[str]:
        """Return every SHA-256 that a file names, or its own name where its text is cut off."""
        return hashes_in(files.head(path, root=root)) or {path.stem}

    def packed(self, store: Store, is_wanted: Callable[[T], bool]) -> Iterator[PackedFile[T]]:
        """Yield a file for each value that is wanted in a pack."""
        for path, value, _ in self.scan(store):
            if not isinstance(value, CorruptFileError) and is_wanted(value):
                read = partial(files.read, path, root=store.folder)
                yield PackedFile(self.place(path.stem), [value], read)

    def unpacked(self, name: str, data: bytes) -> Sequence[T]:
        """Return the values in a file of a pack.

        Raises `CorruptFileError` where it cannot be used, and `ValueError` where it has the wrong name.
        """
        value = self.decode(data)
        if self.name(value) != name:
            raise ValueError(name)
        return [value]

    def forget(self, path: Path, pictures: Set[str], *, root: Path) -> bool:
        """Remove what a file holds about some pictures; return whether the whole file can go."""
        del path, pictures, root
        return True
