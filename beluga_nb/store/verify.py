"""Verifying: what is recorded is whole, and what notebooks show is recorded. Nothing is changed."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from beluga_nb.errors import StoreError
from beluga_nb.images import SUFFIXES
from beluga_nb.store import files, marks, pending
from beluga_nb.store.folder import Sheet, blob_paths, hash_of, named_in, part_paths, sheets
from beluga_nb.store.index import Row
from beluga_nb.store.marks import Mark
from beluga_nb.store.notebooks import Notebook, Output, read
from beluga_nb.store.pending import Pending
from beluga_nb.store.records import Blob, NotPulled, Store, Unusable
from beluga_nb.store.runs import SHOWN_NAME, Run, runs
from beluga_nb.store.scores import Score, scores
from beluga_nb.store.votes import lines
from beluga_nb.text import plural, sanitize

_LISTED = 20


@dataclass(frozen=True)
class Report:
    """What was found: `problems`, and what is no problem but worth knowing.

    `unused` are recordings that none of the given notebooks needs, `unnamed` files that no record names.
    """

    checked: str
    problems: tuple[str, ...] = ()
    unused: tuple[Run, ...] = ()
    unnamed: tuple[str, ...] = ()
    calls: tuple[Pending, ...] = ()

    @property
    def fine(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        found = plural(len(self.problems), "problem") if self.problems else "all well"
        yield f"{self.checked}: {found}"
        yield from (f"  {problem}" for problem in self.problems)
        yield from _listed("shown by none of these notebooks", [_told(run) for run in self.unused])
        yield from _listed("named by no record", self.unnamed)
        calls = [f"{sanitize(call.run)}, “{sanitize(call.request.prompt, 60)}”" for call in self.calls]
        yield from _listed("calls without a known end", calls)


def _place(store: Store, path: Path) -> str:
    return sanitize(path.relative_to(store.folder).as_posix())


def _told(run: Run) -> str:
    count = run.count
    pictures = plural(count, "picture")
    return f"{sanitize(run.name)[:SHOWN_NAME]}  {pictures} of “{sanitize(run.prompt, 60)}”"


def _listed(what: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{what}: {len(lines)}"
        yield from (f"  {line}" for line in lines[:_LISTED])
        if len(lines) > _LISTED:
            yield f"  … and {len(lines) - _LISTED} more"


def verify(store: Store, notebooks: Sequence[Path] = ()) -> Report:
    """Return what is wrong with a store, and with what notebooks show of it."""
    scanned = [(path, Unusable(row.unusable) if row.unusable else row) for path, row in store.index.scan()]
    rows = [said for _, said in scanned if isinstance(said, Row)]
    described = list(sheets(store))
    whole = [said for _, said in described if isinstance(said, Sheet)]
    scored, marked = list(scores(store)), list(marks.scan(store))
    blobs = {blob for row in rows for blob in row.blobs} | {sheet.blob for sheet in whole}
    shown, unread = _shown(notebooks)
    return Report(
        checked=_checked(store, rows, notebooks),
        problems=(
            *_unusable(store, [*scanned, *described, *scored, *marked]),
            *_unusable_votes(store),
            *_damaged(store, blobs),
            *unread,
            *_not_recorded(shown, rows, whole),
        ),
        unused=tuple(_unused(store, shown)) if notebooks else (),
        unnamed=tuple(_unnamed(store, blobs, [*scanned, *described, *scored, *marked])),
        calls=tuple(pending.calls(store)),
    )


def _checked(store: Store, rows: Sequence[Row], notebooks: Sequence[Path]) -> str:
    count = plural(len(rows), "recording")
    named = [sanitize(path.name or str(path)) for path in notebooks]
    return ", ".join([f"{sanitize(store.folder.name)} ({count})", *named])


_Scanned = Sequence[tuple[Path, Row | Sheet | Score | Mark | Unusable]]


def _unusable(store: Store, scanned: _Scanned) -> Iterator[str]:
    for path, said in scanned:
        if isinstance(said, Unusable):
            yield f"{_place(store, path)}: {said}"


def _unusable_votes(store: Store) -> Iterator[str]:
    for path, number, said in lines(store):
        if isinstance(said, Unusable):
            yield f"{_place(store, path)}, line {number}: {said}"


def _damaged(store: Store, blobs: Iterable[Blob]) -> Iterator[str]:
    ordered = sorted(blobs, key=lambda blob: (blob.sha256, blob.media_type))
    for _, some in groupby(ordered, key=lambda blob: blob.sha256[:2]):
        for blob in _not_whole(store, list(some)):
            place = _place(store, store.blob_path(blob))
            try:
                store.blob(blob)
            except NotPulled:
                yield f"{place}: only its Git LFS pointer is here: git lfs pull"
            except StoreError as error:
                yield f"{place}: {error.message.partition(': ')[2]}"


def _not_whole(store: Store, blobs: Sequence[Blob]) -> Iterator[Blob]:
    """Yield the blobs of one folder that are not plain files with the right bytes, read and hashed anew."""
    folder = store.blob_path(blobs[0]).parent
    there = set() if store.outside(folder) else set(files.names(folder, links=False))
    for blob in blobs:
        name = blob.sha256 + SUFFIXES[blob.media_type]
        if name not in there or not files.has_hash(f"{folder}{os.sep}{name}", blob.sha256):
            yield blob


def _shown(notebooks: Iterable[Path]) -> tuple[dict[Path, Notebook], list[str]]:
    shown: dict[Path, Notebook] = {}
    unread: list[str] = []
    for path in notebooks:
        try:
            shown[path] = read(path)
        except StoreError as error:
            unread.append(error.message)
    return shown, unread


def _not_recorded(
    shown: Mapping[Path, Notebook], rows: Iterable[Row], whole: Sequence[Sheet]
) -> Iterator[str]:
    previews: dict[str, set[str]] = {}
    for row in rows:
        if row.image:
            of = previews.setdefault(row.image, set())
            of |= {row.preview} if row.preview else set()
    for path, output in ((path, output) for path, found in shown.items() for output in found.outputs):
        for name in output.hashes:
            if name not in previews:
                yield f"{sanitize(path.name)}, {output.place}: sha256:{name} is not recorded"
        known = _previews_of(output, previews, whole)
        if known and not known.issuperset(output.images):
            yield f"{sanitize(path.name)}, {output.place}: it shows another preview than the recorded one"


def _previews_of(output: Output, previews: Mapping[str, set[str]], whole: Sequence[Sheet]) -> set[str]:
    """Return what an output may show by what is recorded; nothing where that is not known."""
    parts = [previews.get(name, set()) for name in output.hashes]
    if len(parts) == 1:
        return parts[0]
    return {sheet.blob.sha256 for sheet in whole if _is_of(sheet, parts)}


def _is_of(sheet: Sheet, parts: Sequence[Collection[str]]) -> bool:
    return len(sheet.of) == len(parts) and all(
        each in part for each, part in zip(sheet.of, parts, strict=True)
    )


def _unused(store: Store, shown: Mapping[Path, Notebook]) -> Iterator[Run]:
    for run in runs(store):
        rest = tuple(
            row
            for row in run.rows
            if row.image and not any(found.needs(row.entry) for found in shown.values())
        )
        if rest:
            yield replace(run, rows=rest)


def _unnamed(store: Store, blobs: Iterable[Blob], scanned: _Scanned) -> Iterator[str]:
    named = {blob.sha256 for blob in blobs}
    # What cannot be read may name some as well, such as a record of a newer format.
    named |= named_in(store, [path for path, said in scanned if isinstance(said, Unusable)])
    images = {said.image for _, said in scanned if isinstance(said, Row)}
    about = {path: _image_of(said) for path, said in scanned if isinstance(said, Score | Mark)}
    of_nothing = [path for path, image in about.items() if image not in images]
    left = [path for path in blob_paths(store) if hash_of(path) not in named]
    for path in [*left, *of_nothing, *part_paths(store)]:
        yield _place(store, path)


def _image_of(said: Score | Mark) -> str:
    return said.image if isinstance(said, Score) else said.picture
