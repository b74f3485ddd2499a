"""Forgetting: what was chosen is unlinked, and then nothing of it is left in the folder.

Only what we wrote is removed (`registry.is_ours`), and only in a folder that carries our mark. Files are only
unlinked and renamed within a folder, so this works on a full disk. Other kernels may record meanwhile: bytes
are set aside first. They come back if a record names them by then, and are unlinked only if none does.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from beluga_nb.errors import RequestError, StoreError
from beluga_nb.hints import Hint, Remedy
from beluga_nb.request import Request, check_text
from beluga_nb.store import files, pending, registry
from beluga_nb.store.claims import CLAIMS
from beluga_nb.store.collection import Collection
from beluga_nb.store.folder import (
    ASIDE,
    HASH_LENGTH,
    blob_paths,
    hash_of,
    holds_its_name,
    is_pointer,
    is_stale,
    named_in,
    part_paths,
    text,
)
from beluga_nb.store.index import Row, Table
from beluga_nb.store.records import Store
from beluga_nb.store.runs import Filter, Run, find, runs
from beluga_nb.text import plural, sanitize, shown

NOT_TOUCHED = (
    "Notebooks, git's history and IPython's history are not touched: they may still hold the prompt."
)


@dataclass(frozen=True)
class Chosen:
    """What is to be forgotten: runs, and damaged files that seem to belong to them.

    `staying` counts calls that a process still waits for: they are forgotten only by name.
    """

    runs: tuple[Run, ...]
    damaged: tuple[Path, ...] = ()
    everything: bool = False
    staying: int = 0

    def __bool__(self) -> bool:
        return bool(self.runs or self.damaged or self.everything)

    def __str__(self) -> str:
        words = [
            plural(len(self.runs), "run"),
            plural(sum(run.count for run in self.runs), "picture"),
        ]
        words += [plural(len(self.damaged), "damaged file")] if self.damaged else []
        words += [f"but not {plural(self.staying, 'call')} in progress"] if self.staying else []
        return ", ".join(words)


@dataclass(frozen=True)
class Forgotten:
    """What was removed: how many files, and of how many bytes; nothing where the user `declined`."""

    chosen: Chosen
    files: int = 0
    bytes: int = 0
    declined: bool = False

    def __str__(self) -> str:
        if self.declined:
            return f"Nothing was removed: {self.chosen} stay."
        if not self.chosen:
            return "Nothing was removed: no recording fits."
        return (
            f"Forgotten: {self.chosen} ({plural(self.files, 'file')}, {self.bytes:,} bytes).\n{NOT_TOUCHED}"
        )


def choose(
    store: Store,
    names: Iterable[str] = (),
    *,
    older: str | None = None,
    prompt: str | None = None,
    everything: bool = False,
) -> Chosen:
    """Return what has one of these names, is older than "90d" and mentions a text, as far as each is given.

    Raises `RequestError` where nothing is given, or an argument is invalid.
    """
    names = list(names)
    if prompt is not None:
        check_text("prompt", prompt)
    if prompt is not None and not prompt.strip():
        raise RequestError(
            "The text to look for is empty.",
            Hint("Give ", Remedy("prompt", "TEXT"), ", or ", Remedy("everything"), " for everything."),
        )
    if not (names or older is not None or prompt or everything):
        raise RequestError(
            "No recordings were selected.",
            Hint(
                "Name runs, or give ",
                *(Remedy("older", "90d"), ", ", Remedy("prompt", "TEXT"), " or ", Remedy("everything"), "."),
            ),
        )
    before = time.time() - age(older).total_seconds() if older is not None else None
    table, mentioned = store.index.table(), _mentioning(prompt or "")
    found = [
        run
        for run in (
            find(store, names, table) if names else runs(store, table, having=mentioned if prompt else None)
        )
        if (before is None or 0 < run.created < before) and any(map(mentioned, run.rows or [run.request]))
    ]
    # A call under way is forgotten only if it is named: its pictures may still arrive.
    staying = [] if names else [run for run in found if run.call and run.call.on_its_way]
    alone = not names and older is None
    return Chosen(
        runs=tuple(run for run in found if run not in staying),
        damaged=tuple(_damaged(store, table, prompt or "")) if alone else (),
        everything=everything and alone and not prompt,
        staying=len(staying),
    )


def _mentioning(text: str) -> Filter:
    """Return what tells whether the prompt or the revised prompt holds a text, in upper or lower case."""
    folded = text.casefold()

    def is_in(each: Row | Request) -> bool:
        revised = each.revised_prompt if isinstance(each, Row) else None
        return folded in each.prompt.casefold() or folded in (revised or "").casefold()

    return is_in


def age(text: str) -> timedelta:
    """Return how long "90d" or "12w" is; raise `RequestError` for anything else.

    >>> age("2w").days
    14
    """
    number, unit = (text[:-1], text[-1:]) if isinstance(text, str) else ("", "")
    if not (number.isascii() and number.isdigit() and unit in {"d", "w"} and len(number) < 6):
        raise RequestError(f"{shown(text, 40)} is not an age.", "Give days or weeks, for example 90d or 12w.")
    return timedelta(days=int(number) * (7 if unit == "w" else 1))


def _damaged(store: Store, table: Table, prompt: str) -> Iterator[Path]:
    # As JSON may spell it: a damaged file cannot be parsed.
    spellings = {json.dumps(prompt, ensure_ascii=escaped)[1:-1].casefold() for escaped in (True, False)}
    readable = {pending.CALLS.path(store, call.run) for call in pending.calls(store)}
    unusable = [path for path, _ in table.scan(store, usable=False)]
    unusable += [
        path for path in store.paths("pending", depth=1) if path not in readable and _is_of_a_call(path)
    ]
    for path in (each for each in unusable if registry.is_ours(store, each)):
        written = text(store, path).decode("utf-8", "replace").casefold()
        if any(each in written for each in {*spellings, prompt.casefold()}):
            yield path


def _is_of_a_call(path: Path) -> bool:
    # The ledger stays, and claims are removed as orphans.
    return path.name != files.LEDGER and not CLAIMS.pattern.fullmatch(path.name)


def forget(store: Store, chosen: Chosen) -> Forgotten:
    """Remove what was chosen, and the bytes, sheets, scores and votes that no other recording needs.

    Raises `StoreError` where something cannot be removed; the rest is removed all the same.
    """
    store.check_ours()
    removal = _Removal(
        store, [store.blob_path(blob) for run in chosen.runs for row in run.rows for blob in row.blobs]
    )
    chosen_paths = [*_paths(store, chosen.runs), *chosen.damaged]
    gone = named_in(store, chosen_paths)
    if chosen.everything:
        gone |= {hash_of(path) for path in blob_paths(store) if is_stale(path)}
    # Records go before their bytes: if this is cut short, a record that is left can still be replayed.
    removal.unlink(chosen_paths)
    # The index holds prompts too.
    removal.unlink(store.index.disagreeing())
    lost = gone - _recorded(store)
    # A question about a picture that is gone may hold its prompt.
    asked = [call for call in pending.calls(store) if lost & set(call.request.inputs) and not call.on_its_way]
    removal.unlink(
        path
        for call in asked
        for path in (*pending.answers(store, call.run), pending.CALLS.path(store, call.run))
    )
    for collection in registry.attached():
        gone |= _forget_attached(store, collection, lost, removal, everything=chosen.everything)
    removal.unlink(_set_aside(store, gone - _needed(store), removal))
    removal.unlink(path for path in pending.orphans(store) if is_stale(path))
    removal.unlink(part_paths(store))
    if removal.failed:
        raise StoreError(
            f"{plural(len(removal.failed), 'file')} cannot be removed: {removal.failed[0]}.",
            "Mend that, then forget the same again.",
        )
    return Forgotten(chosen, removal.files, removal.bytes)


class _Removal:
    """Unlinks files that we wrote and counts them; `failed` lists those that cannot be unlinked.

    `named` are blobs that records of ours name.
    """

    def __init__(self, store: Store, named: Iterable[Path]) -> None:
        self.store = store
        self.named = frozenset(named)
        self.files = self.bytes = 0
        self.failed: list[str] = []

    def _may_unlink(self, path: Path) -> bool:
        """Whether a file is ours to remove; raise `OSError` where a link leads out of the store."""
        if path.is_symlink():  # We never make one.
            return False
        files.check_inside(path, self.store.folder)
        return registry.is_ours(self.store, path, named=self.named)

    def owns(self, path: Path) -> bool:
        """Whether a file is ours, and no link leads out of the store on the way to it."""
        with contextlib.suppress(OSError):
            return self._may_unlink(path)
        return False

    def unlink(self, paths: Iterable[Path]) -> None:
        for path in paths:
            try:
                if not self._may_unlink(path):
                    continue
                size = path.lstat().st_size
                self.store.unlink(path)
            except FileNotFoundError:  # another kernel forgets the same
                continue
            except OSError as error:
                self.fail(path, error)
            else:
                self.files, self.bytes = self.files + 1, self.bytes + size

    def forget(self, collection: Collection[Any], path: Path, pictures: set[str]) -> None:
        """Remove what a file holds about some pictures, and unlink it where nothing else is in it."""
        try:
            with self.store.editing(path) if collection.suffix == ".jsonl" else contextlib.nullcontext():
                is_empty = collection.forget(path, pictures, root=self.store.folder)
            if is_empty:
                self.unlink([path])
        except FileNotFoundError:
            pass
        except OSError as error:
            self.fail(path, error)

    def fail(self, path: Path, error: OSError) -> None:
        """Note that a file cannot be removed."""
        self.failed.append(f"{sanitize(path.name)} ({error.strerror or error})")


def _forget_attached(
    store: Store, collection: Collection[Any], lost: set[str], removal: _Removal, *, everything: bool
) -> set[str]:
    """Remove what a collection holds about lost pictures; return the names of bytes that it kept.

    With `everything`, also about pictures that are not recorded.
    """
    named = {path: collection.hashes(path, store.folder) for path in collection.paths(store)}
    if everything and not collection.keeps_blobs:
        lost = lost | (set().union(*named.values()) - _recorded(store))
    going = [path for path, names in named.items() if names & lost]
    for path in going:
        removal.forget(collection, path, lost)
    return set().union(*(named[path] for path in going)) if collection.keeps_blobs else set()


def _paths(store: Store, chosen: Iterable[Run]) -> Iterator[Path]:
    for run in chosen:
        yield from map(store.record_path, run.keys)
        if run.call:
            yield from pending.answers(store, run.call.run)
            yield pending.CALLS.path(store, run.call.run)


def _needed(store: Store) -> set[str]:
    keeping = [collection for collection in registry.attached() if collection.keeps_blobs]
    attached = named_in(store, [path for collection in keeping for path in collection.paths(store)])
    return attached | _recorded(store)


def _recorded(store: Store) -> set[str]:
    """Return the bytes that records name now, even if they are damaged."""
    table = store.index.recheck()
    return table.once(_named) | named_in(store, [path for path, _ in table.scan(store, usable=False)])


def _named(table: Table) -> set[str]:
    return {name for row in table.rows for name in (row.image, row.preview) if name}


def _set_aside(store: Store, names: set[str], removal: _Removal) -> list[Path]:
    """Rename the bytes of these names, bring back those that are needed by now, and return the others."""
    # Also what an earlier call had set aside when it was killed.
    found = blob_paths(store, lambda name: name[:HASH_LENGTH] in names or name.endswith(ASIDE))
    aside = [_renamed(path, removal) for path in found if hash_of(path) in names or is_stale(path)]
    needed = _needed(store)
    return [path for path in aside if hash_of(path) not in needed or not _brought_back(path, removal)]


def _renamed(path: Path, removal: _Removal) -> Path:
    """Set bytes aside, unless they are damaged or another file has that name; return their path."""
    aside = path.with_name(path.name + ASIDE)
    with contextlib.suppress(OSError):
        free = not os.path.lexists(aside) or removal.owns(aside)
        if free and removal.owns(path) and holds_its_name(path) and not path.name.endswith(ASIDE):
            return removal.store.rename(path, aside)
    # A link leads out, the file is gone, or the disk is full: it is unlinked under its own name.
    return path


def _brought_back(path: Path, removal: _Removal) -> bool:
    """Move needed bytes back to their place; return False where the same bytes are there again."""
    place = path.with_name(path.name.removesuffix(ASIDE))
    try:
        if path != place and removal.owns(path):
            if os.path.lexists(place):
                # What lies there is damaged, or a pointer without its bytes: then these are kept.
                return is_pointer(place) or not holds_its_name(place)
            removal.store.rename(path, place)
    except OSError as error:
        removal.fail(path, error)
    return True
