"""Opening a store, and its ledger: a folder, or the objects at an address."""

from __future__ import annotations

from pathlib import Path

from beluga_nb.budget import Ledger
from beluga_nb.config.addresses import StoreAddress
from beluga_nb.store.ledger import StoreLedger
from beluga_nb.store.records import Store


def open_store(place: Path | StoreAddress, *, indexing: bool = False) -> Store:
    """Return the store in a folder or at an address; nothing is read or written yet."""
    if isinstance(place, Path):
        return Store(place, indexing=indexing)
    from beluga_nb.store.mirror import open_mirror  # Lazy import: a folder needs none of it.

    mirror = open_mirror(place)
    return Store(mirror.folder, indexing=indexing, mirror=mirror)


def ledger_of(store: Store) -> Ledger:
    """Return the ledger of what is spent in a store."""
    if not store.mirror:
        return StoreLedger(store)
    from beluga_nb.store.object_ledger import ObjectLedger  # Lazy import: a folder needs none of it.

    return ObjectLedger(store.mirror)
