"""The ledger of a store: what was spent in it, by whichever process, one line for each reservation.

It lies among the calls that are under way and, like them, does not go into git.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from beluga_nb.errors import StoreError
from beluga_nb.paths import open_file, read_head
from beluga_nb.store.claims import Claim, Owner, is_written, owner_of, remove
from beluga_nb.store.files import LEDGER
from beluga_nb.store.records import Store

PATIENCE = 5.0
"""Seconds that a process waits for another to write its line."""

ABANDONED_AFTER = 4.0
"""Seconds after which a claim on the ledger is abandoned: writing a line takes milliseconds.

Less than `PATIENCE`, so that whoever waits for a dead machine does not give up before.
"""

PIECE = 2**20
"""Bytes that are read at once, however long the file is."""

_BEGINNING = b'{"schema":1}\n'
_LONGEST_HEAD = 256


class StoreLedger:
    """The lines of a store's ledger, as `budget.Budget` reads and adds them.

    A claim (store/claims.py) lets one process write at a time. Where appending is atomic, as on local disks,
    nothing depends on it; it is for NFS and Windows.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.path = store.folder / "pending" / LEDGER
        self._file: tuple[int, int] | None = None
        self._lock_seen: tuple[tuple[int, int], float] = ((0, 0), 0.0)  # which one, and since when

    def add(self, line: bytes) -> None:
        """Add a line, and wait until it is on the disk; raise `StoreError` where that fails."""
        if not self._is_there():
            self._add(_BEGINNING)
        with self._alone():
            self._add(line)

    def _add(self, line: bytes) -> None:
        try:
            self.store.add_line(self.path, line)
        except StoreError as error:
            raise self._unusable(error.message.partition(": ")[2].rstrip(".")) from None

    def read(self, start: int) -> bytes | None:
        """Return a piece from a place on, or None where it is no longer the file of the last time."""
        try:
            if not start:
                self._is_there()
            with open_file(self.path) as file:
                state = os.fstat(file.fileno())
                before, self._file = self._file, (state.st_dev, state.st_ino)
                if start and (before != self._file or state.st_size < start):
                    return None
                file.seek(start)
                return file.read(PIECE)
        except FileNotFoundError:
            return None if start else b""
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from None

    def _is_there(self) -> bool:
        """Whether a ledger has begun; raise `StoreError` for what is none of ours, or cannot be read."""
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
            raise self._in_its_place(self.path)
        return bool(begun)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        path, until = self.path.with_suffix(".lock"), time.monotonic() + PATIENCE
        while (claim := self._claimed(path)) is None:
            if time.monotonic() > until:
                raise self._unusable("another process does not let go of it", "Ask again")
            time.sleep(0.005)
        try:
            yield
        finally:
            claim.release()

    def _claimed(self, path: Path) -> Claim | None:
        try:
            return Claim.take(path, self.store.folder)
        except FileExistsError:
            with contextlib.suppress(OSError):
                self._remove_abandoned(path)
            return None
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from None

    def _in_its_place(self, path: Path) -> StoreError:
        return self._unusable(f"{path.name} is a file or folder of something else", "Move it away")

    def _unusable(self, reason: str, advice: str = "Make the store writable") -> StoreError:
        return StoreError(
            f"What was spent cannot be written down in {self.path.name}: {reason}.",
            f'Nothing was sent. {advice}, or use the setting budget = "session".',
        )

    def _remove_abandoned(self, path: Path) -> None:
        """Remove a claim that nobody holds; raise `StoreError` for what is no claim of ours."""
        state = path.lstat()
        which = (state.st_ino, state.st_mtime_ns)
        if self._lock_seen[0] != which:
            self._lock_seen = which, time.monotonic()
        # A time of change that is yet to come never gets old.
        age = max(time.time() - state.st_mtime, time.monotonic() - self._lock_seen[1])
        if not is_written(path):
            raise self._in_its_place(path)
        try:
            holder = owner_of(path)
        except OSError:
            holder = Owner()
        if age > ABANDONED_AFTER or holder.is_gone:
            remove(path, holder.token)
