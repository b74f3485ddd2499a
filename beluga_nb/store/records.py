"""The on-disk format and the key: one small JSON file per sample, exact bytes named by their SHA-256.

    beluga_store/
      store.json                {"schema": 1}
      records/1c/1c7ff8a6….json one picture: what was asked, what came, allow-listed fields only
      blobs/77/77610d44….png    the bytes as they came, and the small preview that was made once

A record is written after its blobs, each by temporary file, fsync and rename: a crash leaves no half
record, many kernels may write at once, and two git branches merge. The format is frozen by golden
vectors in tests/store; `SCHEMA` changes with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from beluga_nb.core import SUFFIXES, Picture, Preview, Recipe, Request
from beluga_nb.errors import StoreError

SCHEMA = 1
OPERATION = "images.generate"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_GIT_ATTRIBUTES = "blobs/** -text\n"


def canonical_json(value: object) -> bytes:
    """Return the one spelling of a JSON value that keys are made of: sorted, no blanks, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


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
                "request": request.said,
                "inputs": [],
                "take": request.take,
                "sample": request.sample,
            }
        )
    ).hexdigest()


def record_of(picture: Picture, preview: Preview | None, *, provider: str) -> dict[str, object]:
    """Return the record of a picture."""
    request, recipe = picture.recipe.request, picture.recipe
    width, height = picture.size
    return {
        "schema": SCHEMA,
        "key": key(request, provider=provider),
        "op": OPERATION,
        "provider": provider,
        "take": request.take,
        "sample": request.sample,
        "request": request.said,
        "inputs": [],
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


def request_of(record: Mapping[str, object]) -> Request:
    """Return the request of a record, for its one picture."""
    said = record["request"]
    if not isinstance(said, Mapping):
        raise TypeError("request")
    return Request(**said, take=record["take"], sample=record["sample"])  # type: ignore[arg-type]


class Store:
    """A folder of records and blobs. Reading makes nothing; the first write makes the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, request: Request, *, provider: str) -> Picture | None:
        """Return the first picture of a request, or None where none is recorded.

        Raises `StoreError` where it is recorded and its bytes are missing or not the recorded ones.
        """
        path = self._record_path(key(request, provider=provider))
        try:
            text = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unreadable(path, str(error)) from None
        return self._picture(path, text)

    def has(self, request: Request, *, provider: str) -> bool:
        """Whether the first picture of a request is recorded."""
        return self._record_path(key(request, provider=provider)).exists()

    def write(self, picture: Picture, preview: Preview | None, *, provider: str) -> None:
        """Record a picture, blobs first; raise `StoreError` where that fails."""
        record = record_of(picture, preview, provider=provider)
        try:
            self._prepare()
            self.keep(picture.data, picture.media_type)
            if preview:
                self.keep(preview.data, preview.media_type)
            text = json.dumps(record, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
            _write(self._record_path(str(record["key"])), text.encode())
        except (OSError, UnicodeEncodeError) as error:  # the latter: an engine's words, half a character
            reason = getattr(error, "strerror", None) or error
            raise StoreError(
                f"The picture is not recorded: {reason} ({self.folder.name}).",
                "It is still in the result: save it with .save(), then mend the folder or set BELUGA_STORE.",
            ) from None

    def keep(self, data: bytes, media_type: str | None = None) -> Path:
        """Write bytes under their SHA-256, unless they are there, and return where."""
        path = self._blob_path(hashlib.sha256(data).hexdigest(), SUFFIXES.get(media_type or "", ".bin"))
        if not path.exists() or path.read_bytes() != data:  # else damaged bytes would stay damaged
            _write(path, data)
        return path

    def records(self) -> Iterator[Mapping[str, object]]:
        """Yield every record that can be read, in the order of their keys."""
        for path in sorted(self.folder.glob("records/*/*.json")):
            try:
                record = json.loads(path.read_bytes())
            except (OSError, ValueError, RecursionError):
                continue
            if isinstance(record, dict) and record.get("schema") == SCHEMA:
                yield record

    def requests(self) -> Iterator[Request]:
        """Yield the request of every record that can be read."""
        for record in self.records():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                yield request_of(record)

    def _picture(self, path: Path, text: bytes) -> Picture:
        try:
            record = json.loads(text)
            if record["schema"] != SCHEMA:
                raise _unreadable(path, f"it has format {record['schema']}, and this version reads {SCHEMA}")
            response, image, preview = record["response"], record["image"], record["preview"]
            request = request_of(record)
            if key(request, provider=record["provider"]) != path.stem:
                raise ValueError("the answer to another request")
            recipe = Recipe(
                request=request,
                engine=response["engine"],
                revised_prompt=response["revised_prompt"],
                created=response["created"],
            )
            picture = Picture(self._blob(image), image["media_type"], recipe)
            return replace(picture, preview=preview and Preview(self._blob(preview), preview["media_type"]))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _unreadable(path, f"it is damaged ({type(error).__name__})") from None

    def _blob(self, image: Mapping[str, str]) -> bytes:
        name = image["sha256"]
        if not _SHA256.fullmatch(name):
            raise ValueError(name)
        path = self._blob_path(name, SUFFIXES[image["media_type"]])
        try:
            data = path.read_bytes()
        except OSError as error:
            raise _unreadable(path, error.strerror or str(error)) from None
        if hashlib.sha256(data).hexdigest() != name:
            raise _unreadable(path, "its bytes are not the ones that were recorded")
        return data

    def _record_path(self, name: str) -> Path:
        return self.folder / "records" / name[:2] / f"{name}.json"

    def _blob_path(self, name: str, suffix: str) -> Path:
        return self.folder / "blobs" / name[:2] / f"{name}{suffix}"

    def _prepare(self) -> None:
        if not (self.folder / "store.json").exists():
            _write(self.folder / "store.json", canonical_json({"schema": SCHEMA}) + b"\n")
            _write(self.folder / ".gitattributes", _GIT_ATTRIBUTES.encode())


def _unreadable(path: Path, reason: str) -> StoreError:
    return StoreError(
        f"The recording {path.name[:12]}… cannot be used: {reason}.",
        f"Bring back {path.parent.parent.name}/{path.parent.name}/{path.name} (git checkout, git lfs pull),"
        " or ask for a new take.",
    )


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there, and renames are journalled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
