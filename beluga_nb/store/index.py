"""The index: the contents of all records, so that a large store need not be read file by file.

    beluga_store/index/1c.idx   the contents of the records in records/1c/
    beluga_store/index/.gitignore

An index file is a line of format and checksum, a line of JSON with the signatures of its records (times,
size, inode), and a line of JSON with their contents. It is only a cache: each use lists the records, and
reads those again whose signature has changed. An index file that is missing, damaged, of another version or
of another folder is replaced. Only a store with `indexing` writes it, and only if it holds many records;
deleting it loses nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from beluga_nb.errors import APIStatusError
from beluga_nb.paths import read_file
from beluga_nb.process.locks import ProcessLock
from beluga_nb.redaction import redact_bytes
from beluga_nb.request import PARAMETERS, Request
from beluga_nb.result import Recipe, Usage
from beluga_nb.store import files
from beluga_nb.store.codec import SCHEMA, CorruptFileError
from beluga_nb.store.collection import Blob, FileKind
from beluga_nb.store.format import RECORDS, Entry, key, parse_refusal, refusal_fields
from beluga_nb.untrusted import DAMAGE, items, load_json, members

if TYPE_CHECKING:
    from beluga_nb.store.records import Store

FORMAT = 2
"""Changes with the fields of a row, and with how records are read."""

WRITTEN_FROM = 500
"""The least number of records for which an index is written."""

SETTLED_AFTER = 2.0
"""Seconds after which another change of a file changes its times, on every file system."""

T = TypeVar("T")

_NOT_THERE = (FileNotFoundError, NotADirectoryError)
_FOLDER = re.compile(r"[0-9a-f]{2}")
_LARGEST = 2**26  # bytes of an index file that is read


class Row(NamedTuple):
    """The contents of a record: `digest` is the SHA-256 of its text, `unusable` why it cannot be read.

    `first` is the key of its run's first sample, or None where it is that sample. A picture and its preview
    are named by SHA-256 and media type; `refused` has the fields of a refusal.
    """

    name: str
    digest: str
    unusable: str | None = None
    first: str | None = None
    provider: str = ""
    prompt: str = ""
    model: str = ""
    size: str | None = None
    quality: str | None = None
    output_format: str | None = None
    output_compression: int | None = None
    take: str = ""
    sample: int = 0
    n: int = 1
    engine: str = ""
    revised_prompt: str | None = None
    created: int = 0
    seconds: float | None = None
    cost: str | None = None
    image: str | None = None
    image_type: str = ""
    width: int = 0
    height: int = 0
    preview: str | None = None
    preview_type: str = ""
    refused: Mapping[str, Any] | None = None

    @property
    def key(self) -> str:
        """The key of the record, which its file is named by."""
        return self.name.removesuffix(".json")

    @property
    def run(self) -> str:
        """The name of its run, which is the same for all samples of a request and take."""
        return self.first or self.key

    @property
    def request(self) -> Request:
        """What was asked for, for this one sample."""
        return Request(**{name: getattr(self, name) for name in PARAMETERS})

    @property
    def blobs(self) -> list[Blob]:
        """The bytes that belong to it."""
        named = ((self.image, self.image_type), (self.preview, self.preview_type))
        return [Blob(sha256, media_type) for sha256, media_type in named if sha256]

    @property
    def refusal(self) -> APIStatusError | None:
        """The refusal, as a new error each time."""
        return None if self.refused is None else parse_refusal(self.refused)

    @property
    def entry(self) -> Entry:
        """The record, as it is read from its file."""
        return Entry(
            key=self.key,
            provider=self.provider,
            recipe=Recipe(
                request=self.request,
                engine=self.engine,
                revised_prompt=self.revised_prompt,
                created=self.created,
                usage=None if self.seconds is None else Usage(self.seconds, self.cost),
            ),
            image=Blob(self.image, self.image_type) if self.image else None,
            preview=Blob(self.preview, self.preview_type) if self.preview else None,
            size=(self.width, self.height),
            refusal=self.refusal,
        )


_FIRST_WORDS = "beluga_nb index "

INDEX = FileKind(folder="index", pattern=re.compile(files.INDEX), beginnings=(_FIRST_WORDS.encode(),))

_HEAD = f"{_FIRST_WORDS}{FORMAT} {','.join(Row._fields)}"


def row_of(name: str, written: bytes, entry: Entry | CorruptFileError) -> Row:
    """Return the row of a record file, by its text and its entry or why it cannot be used."""
    digest = hashlib.sha256(written).hexdigest()
    if isinstance(entry, CorruptFileError):
        return Row(name, digest, entry.reason)
    recipe, image, preview = entry.recipe, entry.image, entry.preview
    return Row(
        name=name,
        digest=digest,
        first=key(entry.request.slice(0), provider=entry.provider) if entry.request.sample else None,
        provider=entry.provider,
        **{each: getattr(entry.request, each) for each in PARAMETERS},
        engine=recipe.engine,
        revised_prompt=recipe.revised_prompt,
        created=recipe.created,
        seconds=recipe.usage.seconds if recipe.usage else None,
        cost=recipe.usage.cost if recipe.usage else None,
        image=image.sha256 if image else None,
        image_type=image.media_type if image else "",
        width=entry.size[0],
        height=entry.size[1],
        preview=preview.sha256 if preview else None,
        preview_type=preview.media_type if preview else "",
        refused=refusal_fields(entry.refusal) if entry.refusal else None,
    )


@dataclass(frozen=True, eq=False)
class Part:
    """The records of one folder by the names of their files, and the signatures of the files.

    A file that cannot be read, is a link or has just changed has no signature, and is read each time.
    """

    rows: Mapping[str, Row] = field(default_factory=dict)
    signatures: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def inodes(self) -> dict[str, int]:
        """The inodes of the files that have a signature."""
        return {name: int(each.rpartition(" ")[2]) for name, each in self.signatures.items()}


@dataclass(frozen=True, eq=False)
class Table:
    """All records of a store, by their folders."""

    parts: Mapping[str, Part] = field(default_factory=dict)
    _made: dict[Callable[[Table], object], object] = field(default_factory=dict)

    @cached_property
    def rows(self) -> list[Row]:
        """The records that can be read, in the order of their keys."""
        return [row for part in self.parts.values() for row in part.rows.values() if row.unusable is None]

    def scan(self, store: Store, *, usable: bool = True) -> Iterator[tuple[Path, Row]]:
        """Yield the path and row of each record in the order of their keys, or of those not `usable`."""
        for folder, part in self.parts.items():
            place = store.folder / "records" / folder
            for name, row in part.rows.items():
                if usable or row.unusable:
                    yield place / name, row

    def once(self, make: Callable[[Table], T]) -> T:
        """Return what a function makes of this table; it is called once."""
        if make not in self._made:
            self._made[make] = make(self)
        return cast(T, self._made[make])


class Index:
    """The records of a store; those that have not changed are not read again."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self.clock = clock
        self._table = Table()
        self._written: dict[str, Mapping[str, str]] = {}  # as last seen in the index files
        self._lock = ProcessLock()  # free in a forked child, even if a thread of the parent held it
        self._turns = count()
        self._listed = -1

    def table(self) -> Table:
        """Return the records as they are now; the same table while nothing changes."""
        asked = next(self._turns)
        with self._lock:
            if self._listed < asked:  # else another thread listed them while this call waited
                self._listed = next(self._turns)
                self._refresh()
            return self._table

    def scan(self) -> Iterator[tuple[Path, Row]]:
        """Yield the path and row of each record, in the order of their keys; each is read again."""
        for path, row in self.table().scan(self.store):
            with contextlib.suppress(FileNotFoundError):  # another kernel has just forgotten it
                # By its hash: `verify` trusts no times or sizes.
                same = row.unusable is None and files.has_hash(path, row.digest)
                yield path, row if same else self._row(path, self.store.outside(path.parent))

    def recheck(self) -> Table:
        """Return the records as they are now, but trust that no file was edited in place since the last look.

        Kernels only add, replace and remove whole files. This takes a third of the time of `table`.
        """
        with self._lock:
            self._set(self._rechecked)
            return self._table

    def disagreeing(self) -> list[Path]:
        """Return the index files whose records are gone or changed: they may hold forgotten prompts."""
        parts = self.recheck().parts
        return [
            path for path in self._paths() if not _agrees(_signatures(path), parts.get(path.stem, Part()))
        ]

    def _refresh(self) -> None:
        self._set(lambda folder: self._part(folder, self._listing_of(folder)))
        if self.store.indexing:
            with contextlib.suppress(OSError, ValueError, RecursionError):  # It works without an index.
                self._write(self._table.parts)

    def _set(self, part: Callable[[str], Part]) -> None:
        self.store.refresh("records")
        with self.store.reading():
            parts = {folder: part(folder) for folder in _folders(self.store.folder / "records")}
        # The same object while nothing changes, so that what was made of it can be used again.
        if parts != self._table.parts:
            self._table = Table(parts)

    def _rechecked(self, folder: str) -> Part:
        known = self._table.parts.get(folder)
        if known and known.rows.keys() == known.inodes.keys() and known.inodes == self._inodes(folder):
            return known
        return self._part(folder, self._listing_of(folder))

    def _inodes(self, folder: str) -> dict[str, int]:
        with _records_in(self.store.folder / "records" / folder) as entries:
            return {each.name: each.inode() for each in entries}

    def _listing_of(self, folder: str) -> dict[str, str | None]:
        records = self.store.folder / "records"
        # A link may lead elsewhere the next time, with equal signatures.
        linked = records.is_symlink() or (records / folder).is_symlink()
        settled = 0 if linked else int((self.clock() - SETTLED_AFTER) * 1e9)
        with _records_in(records / folder) as entries:
            return {each.name: _signature(each, settled) for each in entries}

    def _part(self, folder: str, there: Mapping[str, str | None]) -> Part:
        known = self._table.parts.get(folder) or self._loaded(folder)
        same = known.signatures == there and known.rows.keys() == there.keys()
        return known if same else self._read_anew(folder, there, known)

    def _loaded(self, folder: str) -> Part:
        part = _read(self._path(folder))
        self._written[folder] = part.signatures
        return part

    def _read_anew(self, folder: str, there: Mapping[str, str | None], known: Part) -> Part:
        place = self.store.folder / "records" / folder
        outside = self.store.outside(place)
        rows, signatures = dict[str, Row](), dict[str, str]()
        for name, signature in sorted(there.items()):
            if signature and known.signatures.get(name) == signature:
                rows[name] = known.rows[name]
            else:
                with contextlib.suppress(FileNotFoundError):  # another kernel has just forgotten it
                    rows[name] = self._row(place / name, outside)
            if signature and name in rows and rows[name].unusable is None:
                signatures[name] = signature
        return Part(rows, signatures)

    def _row(self, path: Path, outside: CorruptFileError | None) -> Row:
        return row_of(path.name, *((b"", outside) if outside else RECORDS.load(path, self.store)))

    def _write(self, parts: Mapping[str, Part]) -> None:
        if not self._is_ours():
            return
        there = {path.stem for path in self._paths()}
        # A small store is listed as fast as its index is read.
        many = sum(len(part.rows) for part in parts.values()) >= WRITTEN_FROM
        wanted = {
            name: part for name, part in parts.items() if many and part.signatures and _FOLDER.fullmatch(name)
        }
        for name in there - wanted.keys():
            path = self._path(name)
            if stat.S_ISREG(path.lstat().st_mode) and INDEX.is_ours(path, self.store.folder):
                path.unlink(missing_ok=True)
        for name, part in wanted.items():
            if name not in there or self._written.get(name) != part.signatures:
                self._replace(name, part)

    def _replace(self, folder: str, part: Part) -> None:
        root = self.store.folder
        if not (root / "index" / ".gitignore").exists():
            files.write(root / "index" / ".gitignore", b"*\n", root=root, durable=False)
        path, packed = self._path(folder), _packed(part)
        if redact_bytes(packed) is not packed:  # A record that was edited by hand may hold a key.
            return
        files.write(path, packed, root=root, durable=False)
        self._written[folder] = part.signatures
        # Another kernel may have forgotten records meanwhile. It removes them first and then the index file.
        if not part.signatures.items() <= self._listing_of(folder).items():
            path.unlink(missing_ok=True)

    def _is_ours(self) -> bool:
        root = self.store.folder
        # Root may read the store of another user, who could not replace what root writes there.
        own = not hasattr(os, "geteuid") or root.stat().st_uid == os.geteuid()
        return own and files.check(root, SCHEMA)

    def _path(self, folder: str) -> Path:
        return self.store.folder / "index" / f"{folder}.idx"

    def _paths(self) -> list[Path]:
        index = self.store.folder / "index"
        names = [] if index.is_symlink() else files.names(index)
        return [index / name for name in sorted(names) if INDEX.pattern.fullmatch(name)]


def _agrees(signatures: Mapping[str, str], part: Part) -> bool:
    """Whether there are signatures, and all of them are of files as they are."""
    return bool(signatures) and signatures.items() <= part.signatures.items()


def _folders(records: Path) -> list[str]:
    try:
        with os.scandir(records) as entries:
            return sorted(each.name for each in entries if each.is_dir())
    except _NOT_THERE:
        return []


@contextlib.contextmanager
def _records_in(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    """Yield the record files in a folder; none where it is not there."""
    with contextlib.ExitStack() as stack:
        try:
            place: Path | int = folder
            if os.scandir in os.supports_fd:  # Then the state of a file is found without its whole path.
                place = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
                stack.callback(os.close, place)
            entries: Iterable[os.DirEntry[str]] = stack.enter_context(os.scandir(place))
        except _NOT_THERE:
            entries = ()
        yield (each for each in entries if each.name.endswith(".json"))


def _signature(file: os.DirEntry[str], settled: int) -> str | None:
    """Return what changes with a file; None for a link, and for a file that may change at the same time."""
    try:
        state = file.stat(follow_symlinks=False)
    except OSError:
        return None
    modified, changed = state.st_mtime_ns, state.st_ctime_ns
    if modified >= settled or changed >= settled or stat.S_ISLNK(state.st_mode):
        return None
    # With the inode: a file may be replaced within the resolution of its times.
    return f"{modified} {changed} {state.st_size} {state.st_ino}"


def _packed(part: Part) -> bytes:
    _, *columns = zip(*map(part.rows.__getitem__, part.signatures), strict=True)
    # Many columns hold one value for all: it is written, read and kept in memory once.
    shortened = [each[:1] if each.count(each[0]) == len(each) else each for each in columns]
    body = b"\n".join(map(_encoded, (part.signatures, shortened)))
    return _head(body) + b"\n" + body


def _encoded(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _head(body: bytes) -> bytes:
    return f"{_HEAD} {hashlib.sha256(body).hexdigest()}".encode()


def _read(path: Path) -> Part:
    """Return the part in an index file; an empty one where it is missing, damaged or of another version."""
    try:
        first, second = _lines(path)
        signatures = members(load_json(first))
        columns = [each * len(signatures) if len(each) == 1 else each for each in items(load_json(second))]
        rows = map(Row._make, zip(signatures, *columns, strict=True))
        return Part({row.name: row for row in rows}, signatures)
    except DAMAGE:
        return Part()


def _signatures(path: Path) -> Mapping[str, str]:
    """Return the signatures in an index file; none as `_read`."""
    try:
        return members(load_json(_lines(path)[0]))
    except DAMAGE:
        return {}


def _lines(path: Path) -> tuple[bytes, bytes]:
    """Return the signatures and the contents in an index file; raise `ValueError` where it is none."""
    try:
        head, _, body = (b"" if path.is_symlink() else read_file(path, _LARGEST)).partition(b"\n")
    except OSError:
        raise ValueError(path.name) from None
    if head != _head(body):
        raise ValueError(path.name)
    signatures, contents = body.split(b"\n")
    return signatures, contents
