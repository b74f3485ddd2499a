"""The ledger of a store: what all processes have spent in it, one line for each reservation.

It lies beside the pending calls and, like them, does not go into git.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from beluga_nb.errors import StoreError
from beluga_nb.paths import open_file, read_head
from beluga_nb.store import files
from beluga_nb.store.claims import ClaimWatch, await_claim
from beluga_nb.store.codec import encode_line
from beluga_nb.store.collection import FileKind
from beluga_nb.store.records import Store

LOCK_TIMEOUT = 5.0
"""Seconds that a process waits for another to write its line."""

LOCK_ABANDONED_AFTER = 4.0
"""Seconds after which a claim on the ledger is abandoned: writing a line takes milliseconds.

Less than `LOCK_TIMEOUT`, so that the claim of a dead machine does not fail a call.
"""

PIECE = 2**20
"""Bytes that are read at once, however long the file is."""

_BEGINNING = encode_line({})
_LONGEST_HEAD = 256

LEDGER = FileKind(folder="pending", pattern=re.compile(re.escape(files.LEDGER)), beginnings=(b'{"schema":',))


class StoreLedger:
    """The lines of a store's ledger, as `budget.Budget` reads and adds them.

    A claim (store/claims.py) lets one process write at a time. Where appending is atomic, as on local disks,
    nothing depends on it; it is for NFS and Windows.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.path = store.folder / "pending" / files.LEDGER
        self._file: tuple[int, int] | None = None
        self._lock = ClaimWatch(self.path.with_suffix(".lock"), store.folder)

    def add(self, line: bytes) -> None:
        """Add a line, and wait until it is on the disk; raise `StoreError` where that fails."""
        if not self._is_there():
            # Two processes may both begin it: this line counts nothing.
            self._add(_BEGINNING)
        with self._locked():
            self._add(line)

    def _add(self, line: bytes) -> None:
        try:
            self.store.add_line(self.path, line)
        except StoreError as error:
            raise self._unusable(error.message.partition(": ")[2].rstrip(".")) from None

    def read(self, start: int) -> bytes | None:
        """Return a piece from `start` on, or None where it is another file than at the last call."""
        try:
            if not start:
                self._is_there()
            with open_file(self.path) as file:
                state = os.fstat(file.fileno())
                before, self._file = self._file, (state.st_dev, state.st_ino)
                # Replaced, or cut short: what was counted of it no longer holds.
                if start and (before != self._file or state.st_size < start):
                    return None
                file.seek(start)
                return file.read(PIECE)
        except FileNotFoundError:
            return None if start else b""
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from None

    def _is_there(self) -> bool:
        """Whether a ledger has begun; raise `StoreError` for a file that is not ours, or cannot be read."""
        try:
            is_file = stat.S_ISREG(self.path.lstat().st_mode)
            head = read_head(self.path, _LONGEST_HEAD) if is_file else b""
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from None
        before, begun, _ = head.partition(_BEGINNING)
        # A full disk may have cut off how it begins.
        if not is_file or not all(_BEGINNING.startswith(line) for line in before.split(b"\n")):
            raise self._not_ours(self.path)
        return bool(begun)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            claim = await_claim(self._lock, timeout=LOCK_TIMEOUT, silence=LOCK_ABANDONED_AFTER)
        except FileExistsError:
            raise self._not_ours(self._lock.path) from None
        except TimeoutError:
            raise self._unusable("another process does not let go of it", "Ask again") from None
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from None
        try:
            yield
        finally:
            claim.release()

    def _not_ours(self, path: Path) -> StoreError:
        return self._unusable(f"{path.name} is a file or folder of something else", "Move it away")

    def _unusable(self, reason: str, advice: str = "Make the store writable") -> StoreError:
        return StoreError(
            f"What was spent cannot be written down in {self.path.name}: {reason}.",
            f'Nothing was sent. {advice}, or use the setting budget = "session".',
        )
