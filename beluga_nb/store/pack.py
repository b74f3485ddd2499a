"""Packing: a notebook, and just the recordings that its outputs show and its cells ask for, as one zip.

    whales.ipynb
    beluga_store/store.json
    beluga_store/records/1c/1c7ff8a6….json     and blobs, sheets, scores and marks, as in a store
    beluga_store/votes/5e0c9f1a….jsonl         the votes on these pictures, named by their own SHA-256

The same notebook always gives the same bytes: sorted, without times, nothing compressed, since pictures are
already and other versions of zlib would give other bytes.
"""

from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from beluga_nb.errors import StoreError
from beluga_nb.hints import Hint, Remedy
from beluga_nb.paths import remove_parts, replacing
from beluga_nb.redaction import redact_bytes
from beluga_nb.store import files, zips
from beluga_nb.store.folder import Sheet, sheets
from beluga_nb.store.marks import Mark, scan
from beluga_nb.store.notebooks import Notebook, Output, loaded, read_bytes
from beluga_nb.store.records import SCHEMA, Entry, Store
from beluga_nb.store.scores import Score, scores
from beluga_nb.store.votes import packed, votes
from beluga_nb.store.zips import LARGEST_FILE, NOTEBOOK, STORE
from beluga_nb.text import plural, sanitize

_BLOBS = "beluga_store/blobs/"
STORE_JSON = f'{{"schema":{SCHEMA}}}\n'.encode()


@dataclass(frozen=True)
class Packed:
    """A pack that was written, and how many pictures are in it."""

    path: Path
    notebook: str
    pictures: int

    def __str__(self) -> str:
        count = plural(self.pictures, "picture")
        size = f"{self.path.stat().st_size:,} bytes"
        notebook = sanitize(self.notebook, 200)
        return f"{sanitize(str(self.path), 400)}: {notebook} and {count} that it needs ({size})"


def pack(store: Store, notebook: Path, to: Path | None = None) -> Packed:
    """Write a notebook and what its outputs show to a zip: of the same name beside it, unless said otherwise.

    Raises `StoreError` where the notebook shows what is not recorded, or the zip cannot be written.
    """
    cells, said = loaded(notebook, lambda data: (data, read_bytes(data)))
    if not NOTEBOOK.fullmatch(notebook.name):
        raise StoreError(
            f"'{sanitize(notebook.name, 80)}' cannot be packed.", "Name a file that ends in .ipynb."
        )
    to = to or notebook.with_suffix(".zip")
    entries = _needed_by(notebook.name, said, [row.entry for row in store.index.table().rows])
    _check_free(to)
    with _replacing(to) as file, zipfile.ZipFile(file, "w") as zipped:
        contained = {notebook.name: lambda: cells, **_files(store, cells, entries)}
        for name, contents in sorted(contained.items()):
            _add(zipped, name, contents())
    return Packed(to, notebook.name, len({entry.image for entry in entries if entry.image}))


def _needed_by(notebook: str, said: Notebook, entries: Sequence[Entry]) -> list[Entry]:
    shown = _shown_in(notebook, said.outputs, entries)
    asked = [entry for entry in entries if said.asks_for(entry.request.prompt)]
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
    # The same bytes may answer several requests, and another prompt than the shown one is nobody's business.
    meant = [entry for entry in entries if sanitize(entry.request.prompt, 200) in output.text]
    return meant or entries


def _shows(cells: bytes, store: Store, sheet: Sheet) -> bool:
    """Whether a notebook holds a sheet: the labels of another one may be prompts, which stay at home."""
    try:
        return base64.b64encode(store.blob(sheet.blob)) in cells
    except StoreError:
        return False


def _files(store: Store, cells: bytes, entries: Sequence[Entry]) -> Mapping[str, Callable[[], bytes]]:
    previews = {entry.preview.sha256 for entry in entries if entry.preview}
    described = [(path, said) for path, said in sheets(store) if isinstance(said, Sheet)]
    within = [
        (path, sheet)
        for path, sheet in described
        if previews.issuperset(sheet.of) and (not sheet.words or _shows(cells, store, sheet))
    ]
    blobs = {blob for entry in entries for blob in entry.blobs} | {sheet.blob for _, sheet in within}
    images = {entry.image.sha256 for entry in entries if entry.image}
    paths = [store.record_path(entry.key) for entry in entries] + [path for path, _ in within]
    paths += [path for path, said in scores(store) if isinstance(said, Score) and said.image in images]
    paths += [path for path, said in scan(store) if isinstance(said, Mark) and said.picture in images]
    return {
        STORE: lambda: STORE_JSON,
        **{_name(store, path): partial(files.read, path, root=store.folder) for path in paths},
        **_votes(store, images),
        **{_name(store, store.blob_path(blob)): partial(store.blob, blob) for blob in blobs},
    }


def _votes(store: Store, images: set[str]) -> Mapping[str, Callable[[], bytes]]:
    written = packed(votes(store), images)
    name = f"beluga_store/votes/{hashlib.sha256(written).hexdigest()}.jsonl"
    return {name: lambda: written} if written else {}


def _name(store: Store, path: Path) -> str:
    return "beluga_store/" + path.relative_to(store.folder).as_posix()


def _add(zipped: zipfile.ZipFile, name: str, data: bytes) -> None:
    if not name.startswith(_BLOBS):  # a notebook may hold a key that somebody has typed
        data = redact_bytes(data)
    if len(data) > LARGEST_FILE:
        raise StoreError(f"{name} has {len(data):,} bytes.", f"At most {LARGEST_FILE:,} can be packed.")
    zipped.writestr(zips.new(name), data)


def _check_free(to: Path) -> None:
    if os.path.lexists(to) and not zips.is_pack(to):
        raise StoreError(
            f"{to.name} is there already, and is no pack.",
            Hint("Name another file: ", Remedy("to", "other.zip")),
        )


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    try:
        remove_parts(path)
        with replacing(path) as file:
            yield file
    except OSError as error:
        raise StoreError(
            f"{path.name} cannot be written: {error.strerror or error}.",
            Hint("Name another file: ", Remedy("to", "other.zip")),
        ) from None
