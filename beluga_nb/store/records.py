"""The store: a folder of records and of the bytes that they name (store/format.py).

The folder of a store at an address has copies of its objects (store/mirror.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from beluga_nb.errors import APIStatusError, StoreError
from beluga_nb.hints import Code, Hint
from beluga_nb.images import SUFFIXES
from beluga_nb.paths import has_content
from beluga_nb.redaction import redact_bytes
from beluga_nb.request import Request
from beluga_nb.result import MissingPicture, Picture, Preview
from beluga_nb.store import files
from beluga_nb.store.claims import ClaimWatch, Watch
from beluga_nb.store.codec import SCHEMA, CorruptFileError, encode
from beluga_nb.store.collection import Blob
from beluga_nb.store.folder import BLOBS, LFS_POINTER, LONGEST_POINTER
from beluga_nb.store.format import RECORDS, Entry, key, record_of, record_of_refusal

if TYPE_CHECKING:
    from beluga_nb.store.index import Index
    from beluga_nb.store.mirror import Mirror

_GIT_FILES = {
    ".gitattributes": "blobs/** -text\nrecords/** merge=union\n",
    ".gitignore": "".join(f"{folder}/\n" for folder in sorted(files.PRIVATE_FOLDERS)),
}

_SWEPT_EVERY = 60.0
"""Seconds between two looks for temporary files of writers that died."""

_OLDER_GIT_FILES = {".gitattributes": "blobs/** -text\n"}  # as earlier versions wrote them


@dataclass(frozen=True)
class Store:
    """A folder of records and blobs. Reading creates nothing; the first write creates the folder.

    With `indexing`, an index of many records is written, too. The folder of a store at an address has a
    `mirror`.
    """

    folder: Path
    indexing: bool = field(default=False, kw_only=True, compare=False, repr=False)
    mirror: Mirror | None = field(default=None, kw_only=True, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The name that the user knows the store by: its address, or the name of its folder."""
        return str(self.mirror) if self.mirror else self.folder.name

    @cached_property
    def index(self) -> Index:
        """The contents of the records, without reading each anew."""
        from beluga_nb.store.index import Index  # Lazy import: a hit needs no index.

        return Index(self)

    def __getstate__(self) -> dict[str, object]:
        # Without the index, which holds a lock.
        return {"folder": self.folder, "indexing": self.indexing, "mirror": self.mirror}

    def read(self, request: Request, *, provider: str) -> Picture | APIStatusError | None:
        """Return the first picture of a request, the refusal that came instead, or None: not recorded.

        Raises `StoreError` where it is recorded and its bytes are missing or not the recorded ones.
        """
        entry = self.entry(request, provider=provider)
        if entry is None:
            return None
        try:
            return entry.refusal or self.picture(entry)
        except CorruptFileError:
            # At an address, the record may have been forgotten elsewhere, too: the next call looks again.
            self.drop(self.record_path(entry.key))
            raise

    def preview(self, request: Request, *, provider: str) -> Preview | None:
        """Return the small copy of the first picture of a request, if one is recorded; as `read`."""
        entry = self.entry(request, provider=provider)
        small = entry and entry.preview
        return Preview(self.blob(small), small.media_type) if small else None

    def entry(self, request: Request, *, provider: str) -> Entry | None:
        """Return the record of the first picture of a request, or None: not recorded; as `read`."""
        name = key(request, provider=provider)
        try:
            return RECORDS.read(self, name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._unreadable(self.record_path(name), error) from None

    def has(self, request: Request, *, provider: str) -> bool:
        """Whether the first picture of a request is recorded, or was declined.

        Raises `StoreError` where that cannot be seen: what may be there is not to be bought again.
        """
        name = key(request, provider=provider)
        if self.mirror:
            return self.mirror.has(self.record_path(name))
        try:
            os.stat(f"{self.folder}/{self.place(name)}")  # A path object for each would take longer.
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise self._unreadable(self.folder, error) from None
        return True

    def missing(self, request: Request, *, provider: str) -> set[int]:
        """Return the samples of a request that are neither recorded nor declined; as `has`."""
        samples = request.samples
        return {sample for sample in samples if not self.has(request.slice(sample), provider=provider)}

    def fetch(self, *paths: Path) -> None:
        """Download files of a store at an address that have no copy here, if they exist."""
        if self.mirror:
            self.mirror.fetch(*paths)

    def prefetch(self, requests: Iterable[Request], *, provider: str) -> None:
        """Download the records of the first pictures of many requests, from a store at an address."""
        if self.mirror:
            self.mirror.prefetch(self.record_path(key(each, provider=provider)) for each in requests)

    def refresh(self, folder: str) -> None:
        """Bring the copy of a folder of a store at an address up to date."""
        if self.mirror:
            self.mirror.refresh(folder)

    def watch(self, name: str) -> Watch:
        """Return a watch on the claims of this name, which also takes one."""
        if self.mirror:
            return self.mirror.watch(name)
        return ClaimWatch(self.folder / "pending" / name, self.folder)

    def check_ours(self) -> None:
        """Raise `StoreError` where the folder holds something else than a store, so that nothing is kept."""
        if self.mirror:
            self.mirror.check()
        try:
            files.check(self.folder, SCHEMA)
        except files.NotAStoreError as error:
            raise _not_a_store(self.folder, error) from None
        except OSError:
            pass  # It may still be read. A write raises its own error.

    def write(self, picture: Picture, preview: Preview | None, *, provider: str) -> None:
        """Record a picture, blobs first; raise `StoreError` where that fails."""
        record = record_of(picture, preview, provider=provider)
        blobs = {self._blob_path(picture.sha256, SUFFIXES[picture.media_type]): picture.data}
        if preview:
            blobs[self._blob_path(_sha256(preview.data), SUFFIXES[preview.media_type])] = preview.data
        with self.writing():
            self._write({path: data for path, data in blobs.items() if not self._holds(path, data)})
            self._write_record(record)
            # Until the record was there, another kernel may have forgotten the same bytes.
            gone = (
                self.mirror.missing(blobs) if self.mirror else [path for path in blobs if not path.exists()]
            )
            self._write({path: blobs[path] for path in gone})

    def write_refusal(
        self, request: Request, refusal: APIStatusError, *, provider: str, created: int
    ) -> None:
        """Record that each sample of a request was declined; raise `StoreError` where that fails."""
        with self.writing():
            for sample in request.samples:
                part = request.slice(sample)
                self._write_record(record_of_refusal(part, refusal, provider=provider, created=created))

    def keep(self, data: bytes, media_type: str | None = None) -> Path:
        """Write bytes under their SHA-256, unless they are there, and return where; raise `OSError`."""
        files.ensure_store(self.folder, SCHEMA)
        path = self._blob_path(_sha256(data), SUFFIXES.get(media_type or "", ".bin"))
        self._write_blob(path, data)
        return path

    def put(self, blobs: Iterable[tuple[bytes, str]], written: Mapping[Path, bytes]) -> None:
        """Write blobs with their media types, then files of the store as they are, unless they are there.

        Raises `StoreError` where that fails.
        """
        with self.writing():
            for data, media_type in blobs:
                self.keep(data, media_type)
            self.fetch(*written)
            self._write({path: data for path, data in written.items() if not path.exists()})

    def _write_blob(self, path: Path, data: bytes) -> None:
        if not self._holds(path, data):  # missing, or damaged
            self._write({path: data})

    def _write(self, written: Mapping[Path, bytes]) -> None:
        if self.mirror and written:
            self.mirror.upload(written)
        for path, data in written.items():
            files.write(path, data, root=self.folder)

    def _holds(self, path: Path, data: bytes) -> bool:
        try:
            files.check_inside(path, self.folder)
        except OSError:
            return False
        return has_content(path, data)

    def record_paths(self) -> list[Path]:
        """Return the paths of all records, in the order of their keys."""
        return RECORDS.paths(self)

    def paths(self, folder: str, *, depth: int, is_wanted: Callable[[str], bool] = bool) -> list[Path]:
        """Return what lies so deep in a folder under a wanted name, in order.

        A private folder of another user is empty. Raises `StoreError` where another cannot be read.
        """
        if self.mirror:
            self.mirror.refresh(folder, is_wanted)
        with self.reading():
            try:
                return files.listed(self.folder / folder, depth, is_wanted)
            except PermissionError:
                if folder in files.PRIVATE_FOLDERS:
                    return []
                raise

    def picture(self, entry: Entry) -> Picture:
        """Return the picture of a record, its bytes checked.

        Where Git LFS has left a pointer in their place it is a `MissingPicture`, which has its preview.
        Raises `StoreError` for bytes that are missing or not the recorded ones.
        """
        assert entry.image, "a refusal has no picture"
        small = entry.preview
        self.fetch(*map(self.blob_path, entry.blobs))
        # First, since a picture whose bytes are elsewhere has nothing but its preview.
        preview = Preview(self.blob(small), small.media_type) if small else None
        try:
            data = self.blob(entry.image)
        except NotPulledError as error:
            if preview is None:
                raise
            return MissingPicture(
                error.pointer,
                entry.image.media_type,
                entry.recipe,
                preview,
                digest=entry.image.sha256,
                pixels=entry.size,
            )
        picture = Picture(data, entry.image.media_type, entry.recipe, preview)
        picture.__dict__["sha256"] = entry.image.sha256  # as `blob` has checked
        return picture

    def blob(self, blob: Blob) -> bytes:
        """Return recorded bytes; raise `StoreError` unless they are the recorded ones."""
        path = self.blob_path(blob)
        self.fetch(path)
        try:
            data = files.read(path, root=self.folder, most=files.LARGEST_BLOB)
        except OSError as error:
            raise self._unreadable(path, error) from None
        if _sha256(data) == blob.sha256:
            return data
        if data.startswith(LFS_POINTER) and len(data) < LONGEST_POINTER and blob.sha256.encode() in data:
            raise NotPulledError(path, data)
        self.drop(path)
        raise CorruptFileError("its bytes are not the ones that were recorded", path)

    def write_json(self, path: Path, value: Mapping[str, object]) -> None:
        """Write a JSON file of the store; raise `StoreError` where that fails."""
        with self.writing():
            self._write({path: encode(value)})

    def remove(self, path: Path) -> None:
        """Remove a file of the store, if it is there; raise `StoreError` where that fails."""
        with self.writing():
            files.check_inside(path, self.folder)
            self.unlink(path, missing_ok=True)

    def unlink(self, path: Path, *, missing_ok: bool = False) -> None:
        """Remove a file of the store; raise `OSError` or `StoreError` where that fails."""
        if self.mirror:
            self.mirror.remove(path)
        path.unlink(missing_ok=missing_ok)

    def rename(self, path: Path, to: Path) -> Path:
        """Rename a file of the store over another one; raise `OSError` or `StoreError` where that fails."""
        if self.mirror:
            self.mirror.rename(path, to)
        return path.replace(to)

    def drop(self, path: Path) -> None:
        """Remove a damaged copy of an object, which is fetched again when it is asked for."""
        if self.mirror:
            path.unlink(missing_ok=True)

    def editing(self, path: Path) -> contextlib.AbstractContextManager[None]:
        """Let the block change a file of lines; at an address, no other process changes it meanwhile."""
        return self.mirror.editing(path) if self.mirror else contextlib.nullcontext()

    def add_line(self, path: Path, line: bytes) -> None:
        """Add a line to a file of the store; raise `StoreError` where that fails."""
        with self.writing(), self.editing(path):
            files.add(path, redact_bytes(line), root=self.folder)

    def place(self, name: str) -> str:
        """Return where in the store the record of that key is, or would be."""
        return RECORDS.place(name)

    def record_path(self, name: str) -> Path:
        """Where the record of that key is, or would be."""
        return self.folder / self.place(name)

    def blob_path(self, blob: Blob) -> Path:
        """Where bytes are, or would be."""
        return self._blob_path(blob.sha256, SUFFIXES[blob.media_type])

    def outside(self, folder: Path) -> CorruptFileError | None:
        """Return why nothing in a folder of the store is read, if a link leads out of it."""
        try:
            files.check_inside(folder / "any", self.folder)
        except OSError as error:
            return CorruptFileError(str(error))
        return None

    def _unreadable(self, path: Path, error: OSError) -> StoreError:
        if not files.is_closed(error):
            return CorruptFileError(error.strerror or str(error), path)
        return StoreError(
            f"The store {self.name} cannot be read: {error.strerror}.",
            "Ask its owner for the right to read it (chmod -R a+rX), or set BELUGA_STORE to another folder.",
        )

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Turn what cannot be read in the block into `StoreError`."""
        try:
            yield
        except OSError as error:
            raise self._unreadable(self.folder, error) from None

    def _write_record(self, record: Mapping[str, object]) -> None:
        path, data = self.record_path(str(record["key"])), encode(record)
        if self.mirror and (there := self.mirror.create(path, data)):
            with contextlib.suppress(CorruptFileError):  # then it is written anew
                first, ours = RECORDS.decode(there), RECORDS.decode(data)
                if first.image and ours.image != first.image:
                    raise RecordedMeanwhileError(self.name)
            self.mirror.upload({path: data})
        files.write(path, data, root=self.folder)

    def _blob_path(self, name: str, suffix: str) -> Path:
        return self.folder / BLOBS.folder / name[:2] / f"{name}{suffix}"

    def _sweep(self) -> None:
        # What is removed is an hour old, so it need not be looked for at each write.
        if time.monotonic() >= self.__dict__.get("_next_sweep", 0.0):
            self.__dict__["_next_sweep"] = time.monotonic() + _SWEPT_EVERY
            files.sweep(self.folder)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Make an empty folder a store; turn what fails in the block into `StoreError`."""
        try:
            files.ensure_store(self.folder, SCHEMA)
            # Private folders stay out of git, and git must not change line ends in pictures.
            for name, text in _GIT_FILES.items():
                if _is_missing(self.folder / name):
                    files.write(self.folder / name, text.encode(), root=self.folder)
            self._sweep()
            yield
        except files.NotAStoreError as error:
            raise _not_a_store(self.folder, error) from None
        except (OSError, UnicodeEncodeError) as error:
            # UnicodeEncodeError: half a surrogate pair in the words of an engine.
            reason = getattr(error, "strerror", None) or error
            raise StoreError(
                f"Pictures cannot be recorded: {reason} ({self.name}).",
                "They are in the result: save them with .save(), then mend the folder or set BELUGA_STORE.",
            ) from None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _is_missing(path: Path) -> bool:
    """Whether a file for git is not there, or is as an older version wrote it."""
    older = _OLDER_GIT_FILES.get(path.name, "").encode()
    try:
        size = path.lstat().st_size  # a link is left alone
    except (FileNotFoundError, NotADirectoryError):
        return True
    return bool(older) and size == len(older) and not path.is_symlink() and has_content(path, older)


def _not_a_store(folder: Path, error: files.NotAStoreError) -> StoreError:
    return StoreError(
        f"The folder {folder.name} is not a store: {error}. Nothing was written or removed there.",
        f"Set BELUGA_STORE to an empty or a new folder, or bring {files.MARK} back (git checkout).",
    )


class RecordedMeanwhileError(StoreError):
    """Another machine has recorded another picture for the same request first."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Another machine has recorded the same in {name}.", "Ask for a new take.")


class NotPulledError(StoreError):
    """Git LFS has left a pointer where bytes should be."""

    def __init__(self, path: Path, pointer: bytes) -> None:
        super().__init__(
            f"The recording {path.name[:12]}… is not here, only its Git LFS pointer.",
            Hint("Fetch it: ", Code("git lfs pull")),
        )
        self.pointer = pointer
