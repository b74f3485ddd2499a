"""Verifying that recordings are whole, and that what notebooks show is recorded. Nothing is changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import starmap
from pathlib import Path
from typing import Any, NamedTuple

from beluga_nb.errors import StoreError
from beluga_nb.images import SUFFIXES
from beluga_nb.store import files, pending, registry
from beluga_nb.store.codec import CorruptFileError
from beluga_nb.store.collection import Blob, Collection, Found, References
from beluga_nb.store.folder import HASH_LENGTH, blob_paths, named_in, part_paths
from beluga_nb.store.index import Row
from beluga_nb.store.notebooks import Notebook, Output, read
from beluga_nb.store.pending import Pending
from beluga_nb.store.records import NotPulledError, Store
from beluga_nb.store.runs import SHOWN_NAME, Run, runs
from beluga_nb.store.sheets import Sheet
from beluga_nb.text import and_more, plural, sanitize

_LISTED = 20


@dataclass(frozen=True)
class Report:
    """The `problems` of a store, and what is no problem but worth knowing.

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

    @property
    def summary(self) -> str:
        """What was checked, and how many problems there are."""
        found = plural(len(self.problems), "problem") if self.problems else "all well"
        return f"{self.checked}: {found}"

    @property
    def remarks(self) -> Mapping[str, Sequence[str]]:
        """What is no problem, by what is remarkable about it; of many only the first."""
        remarks = {
            "shown by none of these notebooks": [_line(run) for run in self.unused],
            "named by no record": self.unnamed,
            "calls without a known end": [
                f"{sanitize(call.run)}, “{sanitize(call.request.prompt, 60)}”" for call in self.calls
            ],
        }
        return {
            f"{what}: {len(lines)}": [*lines[:_LISTED], *filter(None, [and_more(len(lines) - _LISTED)])]
            for what, lines in remarks.items()
            if lines
        }

    def _lines(self) -> Iterator[str]:
        yield self.summary
        yield from (f"  {problem}" for problem in self.problems)
        for what, lines in self.remarks.items():
            yield what
            yield from (f"  {line}" for line in lines)


def _place(store: Store, path: Path) -> str:
    return sanitize(path.relative_to(store.folder).as_posix())


def _line(run: Run) -> str:
    pictures = plural(run.count, "picture")
    return f"{sanitize(run.name)[:SHOWN_NAME]}  {pictures} of “{sanitize(run.prompt, 60)}”"


class _Value(NamedTuple):
    """A value that hangs on recordings, and the file that it is in."""

    collection: Collection[Any]
    path: Path
    value: Any


def verify(
    store: Store, notebooks: Sequence[Path] = (), *, count: Callable[[int, int], None] = lambda *_: None
) -> Report:
    """Return what is wrong with a store, and with what notebooks show of it.

    `count` is called with the number of files that are known so far, and how many of them are checked.
    """
    rows, values, corrupt = _scan(store, count)
    sheets = [each.value for each in values if isinstance(each.value, Sheet)]
    # Not as `Blob`, of which each would be checked again.
    blobs = {(row.image, row.image_type) for row in rows if row.image}
    blobs |= {(row.preview, row.preview_type) for row in rows if row.preview}
    blobs |= {(blob.sha256, blob.media_type) for each in values for blob in each.collection.blobs(each.value)}
    shown, unread = _shown(notebooks)
    return Report(
        checked=_checked(store, rows, notebooks),
        problems=(
            *(_problem(store, found) for found in corrupt),
            *_damaged(store, blobs, lambda checked: count(len(rows) + len(blobs), len(rows) + checked)),
            *unread,
            *_not_recorded(shown, rows, sheets),
        ),
        unused=tuple(_unused(store, shown)) if notebooks else (),
        unnamed=tuple(
            _place(store, path)
            for path in (
                *_unnamed_blobs(store, blobs, corrupt),
                *_of_nothing(rows, values, corrupt),
                *part_paths(store),
            )
        ),
        calls=tuple(pending.calls(store)),
    )


def _scan(
    store: Store, count: Callable[[int, int], None]
) -> tuple[list[Row], list[_Value], list[Found[Any]]]:
    """Return the records, the values that hang on them, and the files or lines that cannot be used."""
    rows, values, corrupt = list[Row](), list[_Value](), list[Found[Any]]()
    for path, row in store.index.scan():
        if row.unusable is None:
            rows.append(row)
            count(len(rows) + 1, len(rows))
        else:
            corrupt.append(Found(path, CorruptFileError(row.unusable)))
    for collection in registry.attached():
        for found in collection.scan(store):
            if isinstance(found.value, CorruptFileError):
                corrupt.append(found)
            else:
                values.append(_Value(collection, found.path, found.value))
    return rows, values, corrupt


def _checked(store: Store, rows: Sequence[Row], notebooks: Sequence[Path]) -> str:
    count = plural(len(rows), "recording")
    named = [sanitize(path.name or str(path)) for path in notebooks]
    return ", ".join([f"{sanitize(store.name)} ({count})", *named])


def _problem(store: Store, found: Found[Any]) -> str:
    line = f", line {found.line}" if found.line else ""
    return f"{_place(store, found.path)}{line}: {found.value.reason}"


def _damaged(store: Store, blobs: Iterable[tuple[str, str]], count: Callable[[int], None]) -> Iterator[str]:
    by_folder: dict[str, list[tuple[str, str]]] = {}
    for named in blobs:
        by_folder.setdefault(named[0][:2], []).append(named)
    checked = 0
    # By folder, which is listed once: a `stat` for each blob takes longer.
    for _, some in sorted(by_folder.items()):
        for blob in starmap(Blob, sorted(_not_whole(store, some))):
            place = _place(store, store.blob_path(blob))
            try:
                store.blob(blob)
            except NotPulledError:
                yield f"{place}: only its Git LFS pointer is here: git lfs pull"
            except StoreError as error:
                yield f"{place}: {error.message.partition(': ')[2]}"
        checked += len(some)
        count(checked)


def _not_whole(store: Store, blobs: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the blobs of one folder that are not plain files with the right bytes; all are hashed again."""
    folder = store.blob_path(Blob(*blobs[0])).parent
    place = f"{folder}{os.sep}"
    there = set() if store.outside(folder) else set(files.names(folder, links=False))
    for sha256, media_type in blobs:
        name = sha256 + SUFFIXES[media_type]
        if name not in there or not files.has_hash(f"{place}{name}", sha256):
            yield sha256, media_type


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
    """Return the recorded previews and sheets that an output may show; nothing where none is known."""
    parts = [previews.get(name, set()) for name in output.hashes]
    if len(parts) == 1:
        return parts[0]
    return {sheet.blob.sha256 for sheet in whole if _is_of(sheet, parts)}


def _is_of(sheet: Sheet, parts: Sequence[Set[str]]) -> bool:
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


def _unnamed_blobs(
    store: Store, blobs: Iterable[tuple[str, str]], corrupt: Iterable[Found[Any]]
) -> list[Path]:
    """Return the blobs that no file names, not even one that cannot be used, such as of a newer format."""
    named = {sha256 for sha256, _ in blobs} | named_in(store, [found.path for found in corrupt])
    return blob_paths(store, lambda name: name[:HASH_LENGTH] not in named)


def _of_nothing(
    rows: Iterable[Row], values: Iterable[_Value], corrupt: Iterable[Found[Any]]
) -> Iterable[Path]:
    """Return the files all of whose values are about pictures that are not recorded."""
    recorded = References(
        pictures={row.image for row in rows if row.image},
        previews={row.preview for row in rows if row.preview},
    )
    of_nothing, used = dict[Path, None](), {found.path for found in corrupt}
    for each in values:
        if each.collection.references(each.value).within(recorded):
            used.add(each.path)
        of_nothing[each.path] = None
    return [path for path in of_nothing if path not in used]
