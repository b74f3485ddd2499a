"""A store at an address: its objects, and a folder of this machine that has copies of them.

The folder is an ordinary store, below the user's folder of caches. A file is written there after its object,
so what is in it is kept at the address; what is not in it is fetched when it is asked for. These stay on this
machine alone: the index, temporary files, and raw answers, which are read again where they arrived.

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
from beluga_nb.store import files
from beluga_nb.store.claims import await_claim
from beluga_nb.store.codec import SCHEMA
from beluga_nb.store.object_claims import ObjectWatch
from beluga_nb.store.objects import Objects, RemoteError
from beluga_nb.text import sanitize
from beluga_nb.untrusted import DAMAGE, load_json, members

if TYPE_CHECKING:
    from beluga_nb.store.records import Store

ABSENT_FOR = 10.0
"""Seconds for which a record that was not there is not looked for again by `has`."""

LISTED_FOR = 5.0
"""Seconds for which the journal is not listed again, unless a claim is taken meanwhile."""

EDITING_TIMEOUT = 30.0
"""Seconds that a change of a file of lines waits for those of other processes."""

EDITING_ABANDONED_AFTER = 20.0
"""Seconds after which the claim of another machine's process on such a file is abandoned."""

READ_AT_ONCE = 200
"""Records up to which each is asked for; to find more of them, all are listed."""

LISTED_FOLDERS = ("records", "sheets", "scores", "verdicts", "marks", "votes", "pending")

# Nothing else is read or written, whatever the names of other objects are.
_SHARED = re.compile(
    r"(?:records|sheets|scores|verdicts|marks)/([0-9a-f]{2})/\1[0-9a-f]{62}\.json"
    r"|blobs/([0-9a-f]{2})/\2[0-9a-f]{62}\.[a-z]{3,4}"
    r"|votes/(?:\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ-[0-9a-f]{8}|[0-9a-f]{64})\.jsonl"
    rf"|pending/{files.CALL}\.json"
)
_CHANGING = ("marks/", "votes/", "pending/")  # files of the other folders are written once
_MARK = b'{"schema":%d}\n' % SCHEMA
_UNSAFE = re.compile(r"[^a-z0-9]+")


class Mirror:
    """The objects of a store and the folder with copies of them."""

    def __init__(self, address: StoreAddress, folder: Path) -> None:
        self.address = address
        self.folder = folder
        self.objects = Objects(address)
        self._is_checked = self._is_store = False
        self._versions: dict[str, str] = {}  # of files that change, as they were fetched
        self._absent: dict[str, float] = {}
        self._listed = 0.0

    def __reduce__(self) -> tuple[type[Mirror], tuple[StoreAddress, Path]]:
        return Mirror, (self.address, self.folder)

    def __str__(self) -> str:
        return sanitize(self.address.url)

    # Reading.

    def fetch(self, *paths: Path) -> None:
        """Bring those of some files here, at once, that are not here and that there are."""
        with self._copying():
            wanted = [name for path in paths if (name := self._name(path)) and not path.exists()]
            for name, data in self.objects.read_all(wanted).items():
                self._keep(name, data)

    def has(self, path: Path) -> bool:
        """Whether there is a file, or was one when it was last looked for, some seconds ago."""
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
        """Bring those of many records here that there are, at once."""
        wanted = [path for path in paths if not path.exists()]
        if len(wanted) > READ_AT_ONCE:
            self.refresh("records")
        else:
            self.fetch(*wanted)
        absent = {self._name(path): time.monotonic() for path in wanted if not path.exists()}
        self._absent = absent if len(self._absent) > len(absent) else self._absent | absent

    def refresh(self, folder: str, is_wanted: Callable[[str], bool] = bool) -> None:
        """Make a folder hold the files that there are now, or those of them with wanted names."""
        if folder not in {*LISTED_FOLDERS, "blobs"}:
            return
        if folder == "pending":
            if time.monotonic() - self._listed < LISTED_FOR:
                return
            self._listed = time.monotonic()
        with self._copying():
            self._refresh(folder, is_wanted)

    def _refresh(self, folder: str, is_wanted: Callable[[str], bool]) -> None:
        # Before the objects are listed: what another thread uploads meanwhile is not taken for removed.
        here = {name: path for path in self._files(folder) if (name := self._name(path))}
        there = {
            name: found for name, found in self.objects.listed(folder).items() if _SHARED.fullmatch(name)
        }
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
            # An answer that was paid for is found by its call: a list that is late must not remove it.
            gone = self.absent(gone)
        for path in gone:
            path.unlink(missing_ok=True)
        if gone and folder == "records":  # forgotten elsewhere
            self.refresh("blobs", lambda _: False)

    def _differs(self, name: str, size: int, version: str) -> bool:
        """Whether a file is not here as it is there."""
        if name.startswith(_CHANGING) and self._versions.get(name) != version:
            return True
        try:
            return (self.folder / name).stat().st_size != size
        except OSError:
            return True

    def absent(self, paths: Iterable[Path]) -> list[Path]:
        """Return which of some files there are no objects of."""
        missing = self.objects.missing(map(self._name, paths := list(paths)))
        return [path for path in paths if self._name(path) in missing]

    # Writing. The object comes first, so that a file here is kept there.

    def upload(self, written: Mapping[Path, bytes]) -> None:
        """Write the objects of some files, at once."""
        self.ensure_store()
        self.objects.write({name: data for path, data in written.items() if (name := self._name(path))})

    def create(self, path: Path, data: bytes) -> bytes | None:
        """Write the object of a file, or return the one that is there."""
        self.ensure_store()
        there = self.objects.create(self._name(path), data)
        # A request that was sent again finds what it has written itself.
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
        """Change a file of lines in the block, which no other process changes meanwhile."""
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
                except FileNotFoundError:  # new, or forgotten: then nothing of it may come back
                    path.unlink(missing_ok=True)
                else:
                    self._keep(name, data)
            yield
            self.upload({path: read_file(path, files.LARGEST_LINES)})
        finally:
            claim.release()

    def watch(self, name: str) -> ObjectWatch:
        """Return what claims of that name are seen and taken by."""
        return ObjectWatch(self.objects, f"pending/{name}", before=self.ensure_store, taken=self._listed_anew)

    def check(self) -> None:
        """Raise `RemoteError` where the address holds something else than a store of this format."""
        if self._is_checked:
            return
        try:
            self._check_schema(self.objects.read(files.MARK))
        except FileNotFoundError:
            if not self.objects.is_empty:
                raise RemoteError(
                    f"{self} holds objects and no {files.MARK}, so it is no store. Nothing was written.",
                    "Name an empty folder of the bucket, such as s3://bucket/study.",
                ) from None
        self._is_checked = True

    def ensure_store(self) -> None:
        """Make an empty address a store; raise `RemoteError` for one that cannot be one."""
        if self._is_store:
            return
        self.check()
        # Twice, if it was not there: the second one must be refused. It would change nothing.
        for _ in range(2):
            if (there := self.objects.create(files.MARK, _MARK)) is not None:
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

    def _listed_anew(self) -> None:
        self._listed = 0.0

    def _name(self, path: Path) -> str:
        """Return the name of the object of a file; nothing for a file that stays here."""
        name = path.relative_to(self.folder).as_posix()
        return name if _SHARED.fullmatch(name) else ""

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
        depth = 1 if folder in {"votes", "pending"} else 2
        return files.listed(self.folder / folder, depth)


def _batches(names: list[str]) -> Iterator[list[str]]:
    """Yield some names at a time: what is read at once is in memory."""
    for start in range(0, len(names), READ_AT_ONCE):
        yield names[start : start + READ_AT_ONCE]


def open_mirror(address: StoreAddress, environ: Mapping[str, str] = os.environ) -> Mirror:
    """Return the mirror of a store at an address, in the user's folder of caches.

    That of memory:// is as short-lived as its objects.
    """
    if address.scheme == "memory":
        folder = tempfile.mkdtemp(prefix="beluga_nb-")
        mirror = Mirror(address, Path(folder) / "store")
        weakref.finalize(mirror, shutil.rmtree, folder, ignore_errors=True)
        return mirror
    # The same address may be of another service.
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
def whole(store: Store) -> Iterator[Store]:
    """Yield a store that has every object of a store at an address, read anew."""
    assert store.mirror
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        mirror = Mirror(store.mirror.address, Path(place) / "store")
        for folder in (*LISTED_FOLDERS, "blobs"):
            mirror.refresh(folder)
        yield type(store)(mirror.folder, mirror=mirror)
