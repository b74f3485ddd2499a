"""The on-disk format and the key: one small JSON file per sample, exact bytes named by their SHA-256.

    beluga_store/
      store.json                {"schema": 1}
      records/1c/1c7ff8a6….json one sample: what was asked, what came, allow-listed fields only
      blobs/77/77610d44….png    the bytes as they came, and the small preview that was made once
      sheets/a0/a0c1….json      several previews as one picture, made once for what shows only one
      scores/5e/5e0c9f1a….json  what a metric gave for a picture (store/scores.py)
      votes/….jsonl             which of two pictures somebody preferred (store/votes.py)
      marks/77/77610d44….json   what a person says of a picture (store/marks.py)
      pending/….json            calls without a known end (store/pending.py); not for git
      index/1c.idx              what the records say, for speed only (store/index.py); not for git
      tmp/                      files being written; not for git

A record is written after its blobs (store/files.py). Two git branches that both recorded merge, also where
it was the same: such a record says twice when it came (`_joined`). What a model declined is recorded too, and
declined again on replay. The format is frozen by golden vectors in tests/store; `SCHEMA` changes with it, and
a reader for each older one stays.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import beluga_nb.untrusted as untrusted
from beluga_nb.errors import APIStatusError, StoreError
from beluga_nb.images import SUFFIXES
from beluga_nb.paths import has_content
from beluga_nb.redaction import redact_bytes
from beluga_nb.request import Request
from beluga_nb.result import MissingPicture, Picture, Preview, Recipe
from beluga_nb.store import files
from beluga_nb.text import sanitize

if TYPE_CHECKING:
    from beluga_nb.store.index import Index

SCHEMA = 1
OPERATION = "images.generate"

_REFUSAL = ("message", "hint", "status", "type", "code", "param", "request_id")

_FILES = {
    ".gitattributes": "blobs/** -text\nrecords/** merge=union\n",
    ".gitignore": "pending/\ntmp/\n",
}

_OLDER_FILES = {".gitattributes": "blobs/** -text\n"}  # as they were written once

# Two git branches that recorded the same bytes for the same request differ in these alone. Git keeps both
# lines (`merge=union`), and the lesser value counts, whichever branch was merged into the other.
_DIFFERING = {"created", "request_id"}

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
LONGEST_POINTER = 1024  # bytes, as Git LFS specifies


def canonical_json(value: object) -> bytes:
    """Return the one spelling of a JSON value that keys are made of: sorted, no blanks, UTF-8."""
    return _CANONICAL.encode(value).encode()


def key(request: Request, *, provider: str) -> str:
    """Return the key of the first picture of a request: the SHA-256 of all that it depends on.

    `n`, the base URL, response format, time limits and versions are not in it, so that asking for more
    pictures buys only the missing ones.
    """
    return hashlib.sha256(
        canonical_json(
            {
                "schema": SCHEMA,
                "op": OPERATION,
                "provider": provider,
                "request": request.parameters,
                "inputs": [],
                "take": request.take,
                "sample": request.sample,
            }
        )
    ).hexdigest()


def record_of(picture: Picture, preview: Preview | None, *, provider: str) -> dict[str, object]:
    """Return the record of a picture."""
    recipe = picture.recipe
    width, height = picture.size
    return _asked(recipe.request, provider) | {
        "image": {
            "sha256": picture.sha256,
            "media_type": picture.media_type,
            "bytes": len(picture.data),
            "width": width,
            "height": height,
        },
        "preview": preview
        and {"sha256": hashlib.sha256(preview.data).hexdigest(), "media_type": preview.media_type},
        "response": {
            "engine": recipe.engine,
            "created": recipe.created,
            "revised_prompt": recipe.revised_prompt,
        },
    }


def record_of_refusal(
    request: Request, refusal: APIStatusError, *, provider: str, created: int
) -> dict[str, object]:
    """Return the record of a sample that the model declined at `created`, in Unix seconds."""
    return _asked(request, provider) | {
        "image": None,
        "preview": None,
        "response": {"engine": provider, "created": created, "revised_prompt": None},
        "refusal": words_of(refusal),
    }


def _asked(request: Request, provider: str) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "key": key(request, provider=provider),
        "op": OPERATION,
        "provider": provider,
        "take": request.take,
        "sample": request.sample,
        "request": request.parameters,
        "inputs": [],
    }


@dataclass(frozen=True)
class Blob:
    """Bytes that a record names."""

    sha256: str
    media_type: str

    def __post_init__(self) -> None:
        if not files.SHA256.fullmatch(self.sha256) or self.media_type not in SUFFIXES:
            raise ValueError(self.sha256)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A record that was read: one sample of a request, and what came of it."""

    key: str
    provider: str
    recipe: Recipe
    image: Blob | None
    preview: Blob | None
    size: tuple[int, int] = (0, 0)
    refusal: APIStatusError | None = None

    @property
    def request(self) -> Request:
        """What was asked for, for this one sample."""
        return self.recipe.request

    @property
    def blobs(self) -> list[Blob]:
        """The bytes that belong to it."""
        return [blob for blob in (self.image, self.preview) if blob]


def entry_of(text: bytes) -> Entry:
    """Return a record as it is written; raise `Unusable` where it is damaged or of a newer format."""
    record = json_of(text)
    with damage_told():
        return _READERS[record["schema"]](record)


def _read_first(record: Mapping[str, Any]) -> Entry:
    image, preview, response = record["image"], record["preview"], untrusted.members(record["response"])
    provider, said = untrusted.text(record["provider"]), untrusted.members(record["request"])
    if said.keys() & {"n", "idempotency_key"}:
        raise ValueError("a record is of one picture")
    sample = untrusted.whole(record["sample"], least=0, most=untrusted.MOST)
    request = Request(**said, take=record["take"], sample=sample)
    entry = Entry(
        key=key(request, provider=provider),
        provider=provider,
        recipe=Recipe(
            request=request,
            engine=untrusted.text(response["engine"]),
            revised_prompt=untrusted.text_or_none(response["revised_prompt"]),
            created=untrusted.whole(response["created"]),
        ),
        image=None if image is None else _blob(image),
        preview=None if preview is None else _blob(preview),
        size=(0, 0) if image is None else (_edge(image["width"]), _edge(image["height"])),
        refusal=refusal_of(record["refusal"]) if image is None else None,
    )
    if entry.key != record["key"]:
        raise ValueError("the answer to another request")
    return entry


def words_of(refusal: APIStatusError) -> dict[str, object]:
    """Return what is written of a refusal."""
    return {name: getattr(refusal, name) for name in _REFUSAL}


def refusal_of(said: object) -> APIStatusError:
    """Return a refusal of which `words_of` is written."""
    said = untrusted.members(said)
    words = {name: untrusted.text_or_none(said[name]) for name in _REFUSAL if name != "status"}
    message, hint = untrusted.text(words.pop("message")), untrusted.text(words.pop("hint"))
    status = None if said["status"] is None else untrusted.whole(said["status"], least=0, most=999)
    return APIStatusError(message, hint, status=status, **words)


def _blob(said: object) -> Blob:
    said = untrusted.members(said)
    return Blob(untrusted.text(said["sha256"]), untrusted.text(said["media_type"]))


def _edge(value: object) -> int:
    return untrusted.whole(value, least=1, most=untrusted.MOST)  # no picture is 0 pixels wide


_READERS: Mapping[int, Callable[[Mapping[str, Any]], Entry]] = {1: _read_first}


class Unusable(Exception):
    """A file of the store cannot be used; the text says why."""


@contextlib.contextmanager
def damage_told() -> Iterator[None]:
    """Turn all errors in reading what anybody may have written into `Unusable`."""
    try:
        yield
    except untrusted.DAMAGE as error:
        raise Unusable(f"it is damaged ({type(error).__name__})") from None


def json_of(written: bytes) -> Mapping[str, Any]:
    """Return what a JSON file of the store says; raise `Unusable` where it is of a newer format, or none."""
    with damage_told():
        said = untrusted.members(untrusted.load_json(written, _joined))
        if said["schema"] not in _READERS:
            schema = sanitize(str(said["schema"]), 20)
            raise Unusable(f"it has format {schema}, and this version reads {SCHEMA}")
        return said


def _joined(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    said = dict(pairs)
    if len(said) == len(pairs):
        return said
    for name in said:
        values = [value for each, value in pairs if each == name]
        if any(value != values[0] for value in values) and name not in _DIFFERING:
            raise ValueError("two answers in one file")
        said[name] = min(values) if name in _DIFFERING else values[0]
    return said


@dataclass(frozen=True)
class Store:
    """A folder of records and blobs. Reading makes nothing; the first write makes the folder.

    With `indexing` what is read of many records is kept in its index, too.
    """

    folder: Path
    indexing: bool = field(default=False, kw_only=True, compare=False, repr=False)

    @cached_property
    def index(self) -> Index:
        """What the records say, without reading each anew."""
        from beluga_nb.store.index import Index  # in its place: a hit needs none

        return Index(self)

    def __getstate__(self) -> dict[str, object]:
        return {"folder": self.folder, "indexing": self.indexing}

    def read(self, request: Request, *, provider: str) -> Picture | APIStatusError | None:
        """Return the first picture of a request, the refusal that came instead, or None: not recorded.

        Raises `StoreError` where it is recorded and its bytes are missing or not the recorded ones.
        """
        entry = self.entry(request, provider=provider)
        if entry is None:
            return None
        return entry.refusal or self.picture(entry)

    def preview(self, request: Request, *, provider: str) -> Preview | None:
        """Return the small copy of the first picture of a request, if one is recorded; as `read`."""
        entry = self.entry(request, provider=provider)
        small = entry and entry.preview
        return Preview(self.blob(small), small.media_type) if small else None

    def entry(self, request: Request, *, provider: str) -> Entry | None:
        """Return the record of the first picture of a request, or None: not recorded; as `read`."""
        path = self.record_path(key(request, provider=provider))
        try:
            entry = self._entry(path)
            if entry is not None and entry.key != path.stem:
                raise Unusable("it is damaged (the answer to another request)")
        except Unusable as unusable:
            raise unreadable(path, str(unusable)) from None
        return entry

    def has(self, request: Request, *, provider: str) -> bool:
        """Whether the first picture of a request is recorded, or was declined.

        Raises `StoreError` where that cannot be seen: what may be there is not to be bought again.
        """
        with self.reading(), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self.record_path(key(request, provider=provider)).stat()
            return True
        return False

    def check_ours(self) -> None:
        """Raise `StoreError` where the folder holds something else than a store, so that nothing is kept."""
        try:
            files.check(self.folder, SCHEMA)
        except files.NotAStoreError as error:
            raise _not_a_store(self.folder, error) from None
        except OSError:  # it may be read all the same, and what cannot be written is told then
            pass

    def write(self, picture: Picture, preview: Preview | None, *, provider: str) -> None:
        """Record a picture, blobs first; raise `StoreError` where that fails."""
        record = record_of(picture, preview, provider=provider)
        with self.writing():
            self._keep(picture, preview)
            self._write_record(record)
            self._keep(picture, preview)  # until now another kernel may have forgotten the same bytes

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
        path = self._blob_path(hashlib.sha256(data).hexdigest(), SUFFIXES.get(media_type or "", ".bin"))
        if not self._holds(path, data):  # else damaged bytes would stay damaged
            files.write(path, data, root=self.folder)
        return path

    def put(self, blobs: Iterable[tuple[bytes, str]], written: Mapping[Path, bytes]) -> None:
        """Write blobs with their media types, then files of the store as they are, unless they are there.

        Raises `StoreError` where that fails.
        """
        with self.writing():
            for data, media_type in blobs:
                self.keep(data, media_type)
            for path, data in written.items():
                if not path.exists():
                    files.write(path, data, root=self.folder)

    def _holds(self, path: Path, data: bytes) -> bool:
        try:
            files.check_inside(path, self.folder)
        except OSError:
            return False
        return has_content(path, data)

    def entries(self) -> Iterator[Entry]:
        """Yield every record that can be read, in the order of their keys."""
        return (entry for _, entry in self.scan() if isinstance(entry, Entry))

    def scan(self) -> Iterator[tuple[Path, Entry | Unusable]]:
        """Yield where each record is, in the order of their keys, and what it says or why it is unusable."""
        for folder, paths in groupby(self.record_paths(), key=lambda path: path.parent):
            outside = self.outside(folder)
            for path in paths:
                with contextlib.suppress(FileNotFoundError):  # someone else has just forgotten it
                    yield path, outside or self.record_at(path)[1]

    def record_at(self, path: Path) -> tuple[bytes, Entry | Unusable]:
        """Return the text of a record file, and what it says or why it is unusable.

        Raises `FileNotFoundError` where it is not there any more.
        """
        written = b""
        try:
            written = files.read(path, root=self.folder if path.is_symlink() else None)
            return written, _in_its_place(entry_of(written), path)
        except FileNotFoundError:
            raise
        except OSError as error:
            return written, Unusable(error.strerror or str(error))
        except Unusable as unusable:
            return written, unusable

    def record_paths(self) -> list[Path]:
        """Return where the records are, in the order of their keys."""
        return self.paths("records", depth=2, suffix=".json")

    def paths(self, room: str, *, depth: int, suffix: str = "") -> list[Path]:
        """Return what lies so deep in a room, in order; raise `StoreError` where that cannot be read.

        In a room that is for its owner alone, others see nothing.
        """
        with self.reading():
            try:
                return files.listed(self.folder / room, depth, suffix)
            except PermissionError:
                if room in files.PRIVATE:
                    return []
                raise

    def picture(self, entry: Entry) -> Picture:
        """Return the picture of a record, its bytes checked.

        Where Git LFS has left a pointer in their place it is an `MissingPicture` one, which has its preview.
        Raises `StoreError` for bytes that are missing or not the recorded ones.
        """
        assert entry.image, "a refusal has no picture"
        small = entry.preview
        preview = Preview(self.blob(small), small.media_type) if small else None
        try:
            data = self.blob(entry.image)
        except NotPulled as error:
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
        return Picture(data, entry.image.media_type, entry.recipe, preview)

    def blob(self, blob: Blob) -> bytes:
        """Return recorded bytes; raise `StoreError` unless they are the recorded ones."""
        path = self.blob_path(blob)
        try:
            data = files.read(path, root=self.folder, most=files.LARGEST_BLOB)
        except OSError as error:
            raise self._unreadable(path, error) from None
        if hashlib.sha256(data).hexdigest() == blob.sha256:
            return data
        if data.startswith(LFS_POINTER) and len(data) < LONGEST_POINTER and blob.sha256.encode() in data:
            raise NotPulled(path, data)
        raise unreadable(path, "its bytes are not the ones that were recorded")

    def sheet(
        self,
        parts: Sequence[Preview],
        make: Callable[[], Preview],
        *,
        writing: bool,
        words: Sequence[str] = (),
    ) -> Preview:
        """Return several previews as one: the one that is kept, or else what `make` gives, to be kept.

        Encoders and fonts differ between machines; what was drawn once is shown for ever. `words` are what
        else is drawn, if anything; their hash is kept.
        """
        of = [hashlib.sha256(part.data).hexdigest() for part in parts]
        labels = [hashlib.sha256(canonical_json(list(words))).hexdigest()] if words else []
        path = self._path("sheets", hashlib.sha256(canonical_json([*of, *labels])).hexdigest(), ".json")
        try:
            kept = _blob(json_of(files.read(path, root=self.folder))["sheet"])
            return Preview(self.blob(kept), kept.media_type)
        except (OSError, *untrusted.DAMAGE, Unusable, StoreError):
            made = make()
        if writing:
            with contextlib.suppress(StoreError), self.writing():
                path_of_it = self.keep(made.data, made.media_type)
                said = {"sha256": path_of_it.stem, "media_type": made.media_type}
                sheet = {"schema": SCHEMA, "of": of, "sheet": said} | ({"words": labels} if labels else {})
                files.write(path, _pretty(sheet), root=self.folder)
        return made

    def write_json(self, path: Path, value: Mapping[str, object]) -> None:
        """Write a JSON file of the store; raise `StoreError` where that fails."""
        with self.writing():
            files.write(path, _pretty(value), root=self.folder)

    def remove(self, path: Path) -> None:
        """Remove a file of the store, if it is there; raise `StoreError` where that fails."""
        with self.writing():
            files.check_inside(path, self.folder)
            path.unlink(missing_ok=True)

    def add_line(self, path: Path, line: bytes) -> None:
        """Add a line to a file of the store; raise `StoreError` where that fails."""
        with self.writing():
            files.add(path, redact_bytes(line), root=self.folder)

    def record_path(self, name: str) -> Path:
        """Where the record of that key is, or would be."""
        return self._path("records", name, ".json")

    def blob_path(self, blob: Blob) -> Path:
        """Where bytes are, or would be."""
        return self._blob_path(blob.sha256, SUFFIXES[blob.media_type])

    def outside(self, folder: Path) -> Unusable | None:
        """Return why nothing in a folder of the store is read, if a link leads out of it."""
        # Once for each folder: following links takes longer than reading a record.
        try:
            files.check_inside(folder / "any", self.folder)
        except OSError as error:
            return Unusable(str(error))
        return None

    def _entry(self, path: Path) -> Entry | None:
        try:
            return entry_of(files.read(path, root=self.folder))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if files.is_closed(error):
                raise self._unreadable(path, error) from None
            raise Unusable(error.strerror or str(error)) from None

    def _unreadable(self, path: Path, error: OSError) -> StoreError:
        if not files.is_closed(error):
            return unreadable(path, error.strerror or str(error))
        return StoreError(
            f"The store {self.folder.name} cannot be read: {error.strerror}.",
            "Ask its owner for the right to read it (chmod -R a+rX), or set BELUGA_STORE to another folder.",
        )

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Turn what cannot be read in the block into `StoreError`."""
        try:
            yield
        except OSError as error:
            raise self._unreadable(self.folder, error) from None

    def _keep(self, *parts: Picture | Preview | None) -> None:
        for part in parts:
            if part:
                self.keep(part.data, part.media_type)

    def _write_record(self, record: Mapping[str, object]) -> None:
        files.write(self.record_path(str(record["key"])), _pretty(record), root=self.folder)

    def _blob_path(self, name: str, suffix: str) -> Path:
        return self._path("blobs", name, suffix)

    def _path(self, room: str, name: str, suffix: str) -> Path:
        return self.folder.joinpath(room, name[:2], f"{name}{suffix}")

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Make an empty folder a store; turn what fails in the block into `StoreError`."""
        try:
            files.ensure_store(self.folder, SCHEMA)
            for name, text in _FILES.items():
                if _is_missing(self.folder / name):
                    files.write(self.folder / name, text.encode(), root=self.folder)
            files.sweep(self.folder)
            yield
        except files.NotAStoreError as error:
            raise _not_a_store(self.folder, error) from None
        except (OSError, UnicodeEncodeError) as error:  # the latter: an engine's words, half a character
            reason = getattr(error, "strerror", None) or error
            raise StoreError(
                f"Pictures cannot be recorded: {reason} ({self.folder.name}).",
                "They are in the result: save them with .save(), then mend the folder or set BELUGA_STORE.",
            ) from None


def _is_missing(path: Path) -> bool:
    """Whether a file of the store is not there, or is as an older version wrote it."""
    older = _OLDER_FILES.get(path.name, "").encode()
    if path.is_symlink():
        return False
    return not path.exists() or (bool(older) and has_content(path, older))


def _in_its_place(entry: Entry, path: Path) -> Entry:
    if entry.key != path.stem:
        raise Unusable("it is damaged (the answer to another request)")
    if path.parent.name != path.name[:2]:
        raise Unusable("it is in the wrong folder")
    return entry


def _pretty(value: Mapping[str, object]) -> bytes:
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    written = redact_bytes(text.encode())
    if len(written) > files.LARGEST_JSON:  # it would not be read
        raise OSError(errno.EFBIG, f"its record has more than {files.LARGEST_JSON:,} bytes")
    return written


def _not_a_store(folder: Path, error: files.NotAStoreError) -> StoreError:
    return StoreError(
        f"The folder {folder.name} is no store: {error}. Nothing was written or removed there.",
        f"Set BELUGA_STORE to an empty or a new folder, or bring {files.MARK} back (git checkout).",
    )


def unreadable(path: Path, reason: str) -> StoreError:
    """Return the error that says which file of the store cannot be used, and why."""
    return StoreError(
        f"The recording {path.name[:12]}… cannot be used: {reason}.",
        f"Bring back {path.parent.parent.name}/{path.parent.name}/{path.name} (git checkout, git lfs pull),"
        " or ask for a new take.",
    )


class NotPulled(StoreError):
    """Git LFS has left a pointer where bytes should be."""

    def __init__(self, path: Path, pointer: bytes) -> None:
        super().__init__(
            f"The recording {path.name[:12]}… is not here, only its Git LFS pointer.",
            "Fetch it: git lfs pull",
        )
        self.pointer = pointer
