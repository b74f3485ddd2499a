"""Packing: a notebook, and just the recordings that its outputs show and its cells ask for, as one zip.

    whales.ipynb
    beluga_store/store.json
    beluga_store/records/1c/1c7ff8a6….json     and blobs, sheets, scores and marks, as in a store
    beluga_store/votes/5e0c9f1a….jsonl         the votes on these pictures, named by their own SHA-256

The same notebook always gives the same bytes: sorted, and without times. Nothing is compressed: pictures
already are, and each version of zlib gives other bytes.
"""

from __future__ import annotations

import base64
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from beluga_nb.errors import StoreError
from beluga_nb.hints import Hint, Remedy
from beluga_nb.paths import not_written, remove_parts, replacing
from beluga_nb.redaction import redact_bytes
from beluga_nb.store import files, registry, zips
from beluga_nb.store.codec import encode_line
from beluga_nb.store.collection import Blob, Collection
from beluga_nb.store.folder import BLOBS
from beluga_nb.store.format import RECORDS, Entry, references_of
from beluga_nb.store.notebooks import Notebook, Output, loaded, read, read_bytes
from beluga_nb.store.records import Store
from beluga_nb.store.zips import FOLDER, LARGEST_FILE, NOTEBOOK, STORE
from beluga_nb.text import plural, sanitize

STORE_JSON = encode_line({})

_OTHER_FILE = Hint("Name another file: ", Remedy("to", "other.zip"))


@dataclass(frozen=True)
class Packed:
    """A written pack, and the number of pictures in it."""

    path: Path
    notebook: str
    pictures: int

    def __str__(self) -> str:
        count = plural(self.pictures, "picture")
        size = f"{self.path.stat().st_size:,} bytes"
        notebook = sanitize(self.notebook, 200)
        return f"{sanitize(str(self.path), 400)}: {notebook} and {count} that it needs ({size})"


def pack(store: Store, notebook: Path, to: Path | None = None) -> Packed:
    """Write a notebook and the recordings that it needs to a zip: `to`, or beside it under the same name.

    Raises `StoreError` where the notebook shows what is not recorded, or the zip cannot be written.
    """
    cells, parsed = loaded(notebook, lambda data: (data, read_bytes(data)))
    if not NOTEBOOK.fullmatch(notebook.name):
        raise StoreError(
            f"'{sanitize(notebook.name, 80)}' cannot be packed.", "Name a file that ends in .ipynb."
        )
    to = to or notebook.with_suffix(".zip")
    entries = _needed_by(notebook.name, parsed, [row.entry for row in store.index.table().rows])
    _check_free(to)
    with _replacing(to) as file, zipfile.ZipFile(file, "w") as zipped:
        contained = {notebook.name: lambda: cells, **_files(store, cells, entries)}
        # Sorted: the same notebook gives the same bytes.
        for name, contents in sorted(contained.items()):
            _add(zipped, name, contents())
    return Packed(to, notebook.name, len({entry.image for entry in entries if entry.image}))


def shown_by(store: Store, notebook: Path) -> list[Entry]:
    """Return the recordings that the outputs of a notebook show, each picture once.

    Raises `StoreError` for a file that is not a notebook, or where it shows what is not recorded.
    """
    entries = _shown_in(
        notebook.name, read(notebook).outputs, [row.entry for row in store.index.table().rows]
    )
    return list({entry.image: entry for entry in reversed(entries)}.values())[::-1]


def _needed_by(name: str, notebook: Notebook, entries: Sequence[Entry]) -> list[Entry]:
    shown = _shown_in(name, notebook.outputs, entries)
    asked = [entry for entry in entries if notebook.asks_for(entry.request.prompt)]
    found = {entry.key: entry for entry in (*shown, *asked)}
    return [found[key] for key in sorted(found)]


def _shown_in(notebook: str, shown: Iterable[Output], entries: Sequence[Entry]) -> list[Entry]:
    by_hash: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.image:
            by_hash.setdefault(entry.image.sha256, []).append(entry)
    named = [(output, name) for output in shown for name in output.hashes]
    if missing := [f"\n  {output.place}: sha256:{name}" for output, name in named if name not in by_hash]:
        raise StoreError(
            f"{notebook} shows pictures that are not recorded here:{''.join(missing)}",
            "Run these cells again, or clear their outputs.",
        )
    return [entry for output, name in named for entry in _meant(output, by_hash[name])]


def _meant(output: Output, entries: Sequence[Entry]) -> Sequence[Entry]:
    # The same bytes may answer several requests. Other prompts than the shown one may be private.
    meant = [entry for entry in entries if sanitize(entry.request.prompt, 200) in output.text]
    return meant or entries


def _files(store: Store, cells: bytes, entries: Sequence[Entry]) -> Mapping[str, Callable[[], bytes]]:
    recorded = references_of(entries)
    blobs = {blob for entry in entries for blob in entry.blobs}
    contained: dict[str, Callable[[], bytes]] = {
        RECORDS.place(entry.key): partial(files.read, store.record_path(entry.key), root=store.folder)
        for entry in entries
    }

    def is_wanted(collection: Collection[Any], value: Any) -> bool:
        return collection.references(value).within(recorded) and (
            not collection.is_private(value) or _shows(cells, store, collection.blobs(value))
        )

    for collection in registry.attached():
        for packed in collection.packed(store, partial(is_wanted, collection)):
            contained[packed.place] = packed.read
            blobs.update(blob for value in packed.values for blob in collection.blobs(value))
    contained |= {
        store.blob_path(blob).relative_to(store.folder).as_posix(): partial(store.blob, blob)
        for blob in blobs
    }
    return {STORE: lambda: STORE_JSON, **{f"{FOLDER}/{place}": read for place, read in contained.items()}}


def _shows(cells: bytes, store: Store, blobs: Iterable[Blob]) -> bool:
    """Whether a notebook holds one of the blobs, in base64."""
    try:
        return any(base64.b64encode(store.blob(blob)) in cells for blob in blobs)
    except StoreError:
        return False


def _add(zipped: zipfile.ZipFile, name: str, data: bytes) -> None:
    if not name.startswith(f"{FOLDER}/{BLOBS.folder}/"):  # a notebook may hold a key that was typed in it
        data = redact_bytes(data)
    if len(data) > LARGEST_FILE:
        raise StoreError(f"{name} has {len(data):,} bytes.", f"At most {LARGEST_FILE:,} can be packed.")
    zipped.writestr(zips.new(name), data)


def _check_free(to: Path) -> None:
    # A mistyped name must not replace another file.
    if os.path.lexists(to) and not zips.is_pack(to):
        raise StoreError(
            f"{to.name} already exists and is not a pack.",
            _OTHER_FILE,
        )


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    try:
        remove_parts(path)
        with replacing(path) as file:
            yield file
    except OSError as error:
        raise not_written(path, error, _OTHER_FILE) from None
