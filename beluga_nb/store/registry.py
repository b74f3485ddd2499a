"""The registry: every kind of file that a store holds."""

from __future__ import annotations

import stat
from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beluga_nb.store import files
from beluga_nb.store.claims import CLAIMS
from beluga_nb.store.collection import Collection, FileKind
from beluga_nb.store.folder import BLOBS, TEMPORARY
from beluga_nb.store.format import RECORDS
from beluga_nb.store.index import INDEX
from beluga_nb.store.ledger import LEDGER
from beluga_nb.store.marks import MARKS
from beluga_nb.store.pending import ANSWERS, CALLS
from beluga_nb.store.scores import SCORES
from beluga_nb.store.sheets import SHEETS
from beluga_nb.store.verdicts import VERDICTS
from beluga_nb.store.votes import VOTES

if TYPE_CHECKING:
    from beluga_nb.store.records import Store

KINDS: tuple[FileKind, ...] = (
    *(RECORDS, SHEETS, SCORES, VERDICTS, MARKS, VOTES),
    *(CALLS, ANSWERS, CLAIMS, LEDGER),
    *(BLOBS, INDEX, TEMPORARY),
)


def is_ours(store: Store, path: Path, *, named: Container[Path] = ()) -> bool:
    """Whether we wrote a file: its folder, name and content are those of one of our kinds.

    `named` are blobs that a record of ours names: these may be damaged.
    """
    try:
        folder, *_ = path.relative_to(store.folder).parts
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
    except (OSError, ValueError):
        return False
    return any(
        kind.folder == folder
        and kind.pattern.fullmatch(path.name)
        and (path in named or kind.is_ours(path, store.folder))
        for kind in KINDS
    )


def packable() -> list[Collection[Any]]:
    """Return the collections that go with a notebook, the records first."""
    return [
        kind for kind in KINDS if isinstance(kind, Collection) and kind.folder not in files.PRIVATE_FOLDERS
    ]


def attached() -> list[Collection[Any]]:
    """Return the collections whose values hang on recordings, in the order of the registry."""
    return [collection for collection in packable() if collection is not RECORDS]
