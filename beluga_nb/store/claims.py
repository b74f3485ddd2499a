"""Claims: what one kernel is buying, another that shares the store waits for instead of buying it too.

`pending/<key>.claim` says who asks for a request, and its time of change is a heartbeat. Nothing locks, since
locks are what shared home folders get wrong: a claim is made by a call that fails where one exists, and one
whose owner is gone is taken over.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from beluga_nb.paths import read_head
from beluga_nb.store import files
from beluga_nb.store.pending import is_alive, is_claim
from beluga_nb.store.records import SCHEMA
from beluga_nb.text import sanitize
from beluga_nb.untrusted import DAMAGE, load_json, text, whole

SILENCE = 30.0
"""Seconds without one, on the clock of whoever waits, after which a claim from elsewhere is abandoned."""

_BEGINNING = b'{"host": '  # of every claim
_LONGEST = 4096  # bytes of one


@dataclass(frozen=True)
class Claim:
    """A claim that this process holds."""

    path: Path
    token: str

    @classmethod
    def take(cls, path: Path, root: Path) -> Claim:
        """Make a claim; raise `FileExistsError` where there is one, and `OSError` where none can be made."""
        files.ensure_store(root, SCHEMA)
        files.check_inside(path.parent, root)
        files.make(path.parent, root)
        token = str(uuid4())
        said = json.dumps({"host": platform.node(), "pid": os.getpid(), "token": token, "system": system()})
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(path, how, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(said.encode())
        except OSError:  # of a full disk: a claim that says nothing would be waited for
            path.unlink()
            raise
        claim = cls(path, token)
        if claim._is_contested():
            claim.release()
            raise FileExistsError(path)
        return claim

    def beat(self) -> None:
        """Give a sign of life."""
        for place in (self.path, *self._aside()):
            with contextlib.suppress(OSError):
                os.utime(place)

    def release(self) -> None:
        """Give the claim up, if it is still this process's."""
        remove(self.path, self.token)
        for aside in self._aside():
            aside.unlink(missing_ok=True)
        remove(self.path, self.token)  # it may have been put back meanwhile

    def _aside(self) -> list[Path]:
        return [aside for aside, holder in _misplaced(self.path) if holder.token == self.token]

    def _is_contested(self) -> bool:
        """Whether someone else holds a claim that was taken for an older one and moved aside."""
        contested = False
        for aside, holder in _misplaced(self.path):
            with contextlib.suppress(OSError):
                if holder.is_gone or abs(time.time() - aside.stat().st_mtime) > SILENCE:
                    aside.unlink()
                else:
                    contested |= holder.token != self.token
        return contested


class Waiting:
    """What is seen of another's claim, from one look to the next."""

    def __init__(self) -> None:
        self.token = ""
        self.is_over = False
        self._who = ""
        self._told = ""
        self._sure = True
        self._changed = -1
        self._seen = 0.0

    def look(self, path: Path) -> None:
        """See whether anybody holds the claim still."""
        self.is_over = False
        try:
            said, changed = _said(path), path.lstat().st_mtime_ns
        except OSError:  # given up meanwhile
            return
        holder = owner(said or b"")
        if (holder.token, changed) != (self.token, self._changed):
            self.token, self._changed, self._seen = holder.token, changed, time.monotonic()
        who = f"process {holder.pid} on {sanitize(holder.host, 40)}"
        self._who = who if holder.token else "its claim does not say which"
        self._sure = holder.is_gone
        self.is_over = holder.is_gone or time.monotonic() - self._seen > SILENCE

    def words(self) -> str:
        """Say in words what has not been said yet."""
        if self.is_over and not self._sure:
            return (
                f"Another kernel ({self._who}) asked for the same and has been silent for {SILENCE:g} s;"
                " it is asked for here, and may be bought twice."
            )
        words = f"Another kernel ({self._who}) is asking for the same; its answer is waited for."
        if self.is_over or not self.token or self._told == words:
            return ""
        self._told = words
        return words


@cache
def system() -> str:
    """Return what tells this running system from others of the same name: containers share one, say.

    Its processes have numbers of their own. Where nothing is known of it, the name of the host has to do.
    """
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    return ""


class Owner(NamedTuple):
    """The process that holds a claim, and the token of this claim; it is empty if the claim is unreadable."""

    host: str = ""
    pid: int = 0
    token: str = ""
    system: str | None = None

    @property
    def is_gone(self) -> bool:
        """Whether the process ran on this very system and has ended; of other systems this cannot be seen."""
        here = (self.host, self.system) == (platform.node(), system())
        return bool(self.token) and here and not is_alive(self.pid)


def owner(data: bytes) -> Owner:
    """Return who holds a claim, by what is written in it."""
    try:
        said = load_json(data)
        return Owner(
            text(said["host"]), whole(said["pid"]), text(said["token"]), text(said.get("system", ""))
        )
    except DAMAGE:
        return Owner()  # half written, or not by us


def owner_of(path: Path) -> Owner:
    """Return who holds the claim in a file; raise `OSError` where that cannot be read."""
    return owner(_said(path) or b"")


def is_written(path: Path) -> bool:
    """Whether we have written what is in the place of a claim; raise `OSError` where it cannot be read."""
    return _said(path) is not None


def _said(path: Path) -> bytes | None:
    """Return what a claim says, also one that a crash has cut off; None for what we have not written."""
    state = path.lstat()
    if not stat.S_ISREG(state.st_mode):
        return None
    data = read_head(path, _LONGEST)
    bare = data.strip(b"\0")  # as some file systems leave what was not written in time
    return data if bare.startswith(_BEGINNING) or _BEGINNING.startswith(bare) else None


def remove(path: Path, token: str) -> bool:
    """Remove a claim, if it is still that one; return whether it could have been.

    What we have not written stays where it is. A claim that comes into its place at the last moment is put
    back; where a third one is there already, it stays aside, and whoever made that one gives way
    (`Claim.take`).
    """
    aside = path.with_name(f"{path.name}.{_mark(token)}{uuid4().hex[:16]}")
    try:
        said = _said(path)
        if said is None:
            return False
        if owner(said).token != token:
            return True
        os.rename(path, aside)
    except FileNotFoundError:  # given up meanwhile
        return True
    except OSError:
        return False
    with contextlib.suppress(OSError):
        if owner_of(aside).token != token:
            os.link(aside, path)
        aside.unlink()
    return True


def _mark(token: str) -> str:
    """Return what the name of a file says of the claim that was to be moved there."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()[:16]


def _misplaced(path: Path) -> Iterator[tuple[Path, Owner]]:
    """Yield where claims are that were moved aside for another, and who holds them."""
    for aside in path.parent.glob(f"{path.name}.*"):
        with contextlib.suppress(OSError):
            if not is_claim(aside.name) or (said := _said(aside)) is None:
                continue
            holder = owner(said)
            if not aside.name.startswith(f"{path.name}.{_mark(holder.token)}"):
                yield aside, holder
