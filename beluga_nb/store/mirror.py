"""A store at an address: its objects, and a folder of this machine that has copies of them.

The folder is an ordinary store, below the user's folder of caches. A file is written there after its object,
so every copy has an object; an object without a copy is downloaded when it is needed. The index, temporary
files and raw answers have no objects: raw answers are recovered on the machine where they arrived.

Conditional writes (`If-None-Match: *`) decide which of two machines has a claim, or writes a record first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from beluga_nb.config.addresses import StoreAddress
from beluga_nb.paths import read_file
from beluga_nb.store import files, registry
from beluga_nb.store.claims import await_claim
from beluga_nb.store.codec import SCHEMA
from beluga_nb.store.collection import Collection, FileKind
from beluga_nb.store.folder import BLOBS
from beluga_nb.store.object_claims import ObjectWatch
from beluga_nb.store.objects import Objects, RemoteError
from beluga_nb.text import sanitize
from beluga_nb.untrusted import DAMAGE, load_json, members

if TYPE_CHECKING:
    from beluga_nb.store.records import Store

ABSENT_FOR = 10.0
"""Seconds for which `has` does not ask again for a record that had no object."""

LISTED_FOR = 5.0
"""Seconds for which the journal is not listed again, unless this process takes a claim."""

EDITING_TIMEOUT = 30.0
"""Seconds that a change of a file of lines waits for other processes to end theirs."""

EDITING_ABANDONED_AFTER = 20.0
"""Seconds without a heartbeat after which a claim of another machine on such a file is abandoned."""

READ_AT_ONCE = 200
"""Objects that are read at once; to find more records than these, all of them are listed first."""

# Objects may have any names. This excludes other folders, and "con.jsonl", which is a device on Windows.
_SAFE = re.compile(r"[0-9A-Za-z-]{16,64}\.[a-z]{3,5}")
_UNSAFE = re.compile(r"[^a-z0-9]+")


def is_shared(name: str) -> bool:
    """Whether an object of this name belongs to a store; nothing else is read or written."""
    return kind_of(name) is not None


def kind_of(name: str) -> FileKind | None:
    """Return the kind of an object by its name, or None for one that belongs to no store.

    A file named by its hash is in the folder of the first two digits.
    """
    folder, _, place = name.partition("/")
    kind = _shared_kinds().get(folder)
    file = place.rpartition("/")[2]
    if not kind or not _SAFE.fullmatch(file) or not kind.pattern.fullmatch(file):
        return None
    return kind if place == (f"{file[:2]}/{file}" if _depth(kind) > 1 else file) else None


def _shared_kinds() -> dict[str, FileKind]:
    """Return the kinds of files that have objects, by their folders."""
    kinds = {each.folder: each for each in registry.KINDS if isinstance(each, Collection)}
    return {**kinds, BLOBS.folder: BLOBS}


def _depth(kind: FileKind) -> int:
    return kind.depth if isinstance(kind, Collection) else 2


class Mirror:
    """The objects of a store and the folder with copies of them."""

    def __init__(self, address: StoreAddress, folder: Path) -> None:
        self.address = address
        self.folder = folder
        self.objects = Objects(address)
        self._is_checked = self._is_store = False
        self._versions: dict[str, str] = {}  # of the copies of files that change
        self._absent: dict[str, float] = {}
        self._listed = 0.0

    def __reduce__(self) -> tuple[type[Mirror], tuple[StoreAddress, Path]]:
        return Mirror, (self.address, self.folder)

    def __str__(self) -> str:
        return sanitize(self.address.url)

    # Reading.

    def fetch(self, *paths: Path) -> None:
        """Download the objects, if there are any, of the files that have no copy here; all at once."""
        with self._copying():
            wanted = [name for path in paths if (name := self._name(path)) and not path.exists()]
            for name, data in self.objects.read_all(wanted).items():
                self._keep(name, data)

    def has(self, path: Path) -> bool:
        """Whether a file has a copy or an object; without, asks again after `ABSENT_FOR` seconds."""
        if path.exists():
            return True
        name = self._name(path)
        if time.monotonic() - self._absent.get(name, -ABSENT_FOR) >= ABSENT_FOR:
            self.fetch(path)
            if path.exists():
                return True
            self._absent[name] = time.monotonic()
        return False

    def prefetch(self, paths: Iterable[Path]) -> None:
        """Download the records of these paths that have objects, all at once."""
        wanted = [path for path in paths if not path.exists()]
        if len(wanted) > READ_AT_ONCE:
            self.refresh("records")
        else:
            self.fetch(*wanted)
        absent = {self._name(path): time.monotonic() for path in wanted if not path.exists()}
        self._absent = absent if len(self._absent) > len(absent) else self._absent | absent

    def refresh(self, folder: str, is_wanted: Callable[[str], bool] = bool) -> None:
        """Make a folder here equal to the one at the address.

        Of the objects that are new or changed, only those with wanted names are downloaded.
        """
        if folder not in _shared_kinds():
            return
        if folder == "pending":
            if time.monotonic() - self._listed < LISTED_FOR:
                return
            self._listed = time.monotonic()
        with self._copying():
            self._refresh(folder, is_wanted)

    def _refresh(self, folder: str, is_wanted: Callable[[str], bool]) -> None:
        # Listed before the objects: what another thread uploads meanwhile must not seem removed.
        here = {name: path for path in self._files(folder) if (name := self._name(path))}
        there = {name: found for name, found in self.objects.listed(folder).items() if is_shared(name)}
        wanted = [
            name
            for name, (size, version) in there.items()
            if size <= files.LARGEST_BLOB
            and is_wanted(name.rpartition("/")[2])
            and self._differs(name, size, version)
        ]
        for some in _batches(wanted):
            for name, data in self.objects.read_all(some).items():
                self._keep(name, data)
                self._versions[name] = there[name][1]
        gone = [path for name, path in here.items() if name not in there]
        if folder == "pending":
            # An answer that was paid for is found by its call: a list that is late must not remove it, nor a
            # bucket that was emptied.
            gone = [path for path in self.missing(gone) if not any(path.parent.glob(f"{path.stem}-*"))]
        for path in gone:
            path.unlink(missing_ok=True)
        if gone and folder == "records":  # forgotten elsewhere
            self.refresh("blobs", lambda _: False)

    def _differs(self, name: str, size: int, version: str) -> bool:
        """Whether the copy of an object is missing or out of date."""
        kind = kind_of(name)
        if isinstance(kind, Collection) and not kind.never_changes and self._versions.get(name) != version:
            return True
        try:
            return (self.folder / name).stat().st_size != size
        except OSError:
            return True

    def missing(self, paths: Iterable[Path]) -> list[Path]:
        """Return the files that have no object."""
        missing = self.objects.missing(map(self._name, paths := list(paths)))
        return [path for path in paths if self._name(path) in missing]

    # Writing. The object is written first, so that every copy has one.

    def upload(self, written: Mapping[Path, bytes]) -> None:
        """Write the objects of some files, all at once."""
        self.ensure_store()
        self.objects.write({name: data for path, data in written.items() if (name := self._name(path))})

    def create(self, path: Path, data: bytes) -> bytes | None:
        """Write the object of a file and return None, or return another one that is already there."""
        self.ensure_store()
        there = self.objects.create(self._name(path), data)
        # A request that a driver repeated finds what its first attempt has written.
        return None if there == data else there

    def remove(self, path: Path) -> None:
        """Remove the object of a file."""
        if name := self._name(path):
            self.objects.remove([name])

    def rename(self, path: Path, to: Path) -> None:
        """Write the object of a file under its new name, and remove that of the old one."""
        if self._name(to):
            self.upload({to: read_file(path, files.LARGEST_BLOB)})
        self.remove(path)

    @contextlib.contextmanager
    def editing(self, path: Path) -> Iterator[None]:
        """Let the block change a file of lines, which no other process changes meanwhile."""
        name = self._name(path)
        self.ensure_store()
        watch = self.watch(f"{hashlib.sha256(name.encode()).hexdigest()}.claim")
        try:
            claim = await_claim(watch, timeout=EDITING_TIMEOUT, silence=EDITING_ABANDONED_AFTER)
        except TimeoutError:
            raise RemoteError(f"Another process is writing {name} in {self}.", "Try again.") from None
        try:
            with self._copying():
                try:
                    data = self.objects.read(name)
                except FileNotFoundError:  # New or forgotten: an old copy must not be uploaded again.
                    path.unlink(missing_ok=True)
                else:
                    self._keep(name, data)
            yield
            self.upload({path: read_file(path, files.LARGEST_LINES)})
        finally:
            claim.release()

    def watch(self, name: str) -> ObjectWatch:
        """Return a watch on the claims of this name, which also takes one."""
        return ObjectWatch(self.objects, f"pending/{name}", before=self.ensure_store, taken=self._list_again)

    def check(self) -> None:
        """Raise `RemoteError` if there are other objects at the address, or a store of another format."""
        if self._is_checked:
            return
        # Read again where there are objects: another machine may have made it a store meanwhile.
        if not (self._is_marked() or self._holds_only_ours() or self._is_marked()):
            raise RemoteError(
                f"{self} holds objects and no {files.MARK}, so it is no store. Nothing was written.",
                "Name an empty folder of the bucket, such as s3://bucket/study.",
            )
        self._is_checked = True

    def _is_marked(self) -> bool:
        try:
            self._check_schema(self.objects.read(files.MARK))
        except FileNotFoundError:
            return False
        return True

    def _holds_only_ours(self) -> bool:
        """Whether all objects have names of a store, as after it was emptied while a process wrote to it."""
        folders = self.objects.top()
        return folders <= {*_shared_kinds()} and all(
            is_shared(name) for folder in folders for name in self.objects.listed(folder)
        )

    def ensure_store(self) -> None:
        """Make an empty address a store; raise `RemoteError` for one that cannot be one."""
        if self._is_store:
            return
        self.check()
        # A new mark is written twice: if the second write is not refused, claims would not be exclusive.
        for _ in range(2):
            if (there := self.objects.create(files.MARK, files.mark_of(SCHEMA))) is not None:
                self._check_schema(there)
                self._is_store = True
                return
        raise RemoteError(
            f"{self} writes over an object that must not be there (If-None-Match: * is not honoured).",
            "Two machines would buy the same twice. Use a service with conditional writes, or a folder.",
        )

    def _check_schema(self, mark: bytes) -> None:
        try:
            schema = members(load_json(mark))["schema"]
        except DAMAGE:
            schema = None
        if schema != SCHEMA:
            raise RemoteError(
                f"{self} is a store of another format ({sanitize(str(schema), 20)}).",
                "Update beluga_nb, or set BELUGA_STORE to another store.",
            )

    def _list_again(self) -> None:
        self._listed = 0.0

    def _name(self, path: Path) -> str:
        """Return the name of the object of a file; empty for a file that has none."""
        name = path.relative_to(self.folder).as_posix()
        return name if is_shared(name) else ""

    def _keep(self, name: str, data: bytes) -> None:
        files.ensure_store(self.folder, SCHEMA)
        files.write(self.folder / name, data, root=self.folder, durable=False)

    @contextlib.contextmanager
    def _copying(self) -> Iterator[None]:
        """Turn what fails in the folder of copies into `RemoteError`."""
        try:
            yield
        except OSError as error:
            raise RemoteError(
                f"Copies of {self} cannot be kept in {sanitize(str(self.folder), 120)}: {error.strerror}.",
                "Mend that folder, or make room on its disk.",
            ) from None

    def _files(self, folder: str) -> list[Path]:
        return files.listed(self.folder / folder, _depth(_shared_kinds()[folder]))


def _batches(names: list[str]) -> Iterator[list[str]]:
    """Yield the names in batches, since all objects of a batch are in memory at once."""
    for start in range(0, len(names), READ_AT_ONCE):
        yield names[start : start + READ_AT_ONCE]


def open_mirror(address: StoreAddress, environ: Mapping[str, str] = os.environ) -> Mirror:
    """Return the mirror of a store at an address, in the user's folder of caches.

    That of memory:// is in a temporary folder, since its objects end with the process.
    """
    if address.scheme == "memory":
        folder = tempfile.mkdtemp(prefix="beluga_nb-")
        mirror = Mirror(address, Path(folder) / "store")
        weakref.finalize(mirror, shutil.rmtree, folder, ignore_errors=True)
        return mirror
    # Another service may have the same address.
    services = [address.url, *(environ.get(f"AWS_ENDPOINT_URL{end}", "") for end in ("", "_S3"))]
    services.append(environ.get("FSSPEC_S3_ENDPOINT_URL", ""))
    digest = hashlib.sha256(json.dumps(services).encode()).hexdigest()
    name = _UNSAFE.sub("-", address.url.lower())[:60].strip("-")
    return Mirror(address, _caches(environ) / "beluga_nb" / "stores" / f"{name}-{digest[:16]}")


def _caches(environ: Mapping[str, str]) -> Path:
    home = Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    return Path(environ.get("XDG_CACHE_HOME") or home / ".cache")


@contextlib.contextmanager
def downloaded(store: Store) -> Iterator[Store]:
    """Yield a temporary store with every object of a store at an address, downloaded anew."""
    assert store.mirror
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        mirror = Mirror(store.mirror.address, Path(place) / "store")
        for folder in _shared_kinds():
            mirror.refresh(folder)
        yield type(store)(mirror.folder, mirror=mirror)
