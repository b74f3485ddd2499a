"""Claims: what one kernel is buying, another that shares the store waits for instead of buying it too.

`pending/<key>.claim` names the process that asks for a request, and its time of change is a heartbeat. File
locks do not work on many shared home folders, so none are used: making a claim fails where one exists, and
an abandoned claim (`is_abandoned`) is taken over.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol
from uuid import uuid4

from beluga_nb.paths import read_head
from beluga_nb.store import files
from beluga_nb.store.codec import SCHEMA
from beluga_nb.store.collection import FileKind
from beluga_nb.untrusted import DAMAGE, load_json, text, whole

SILENCE = 30.0
"""Seconds without a heartbeat, on the clock of the process that waits, after which a claim is abandoned."""

BEGINNING = b'{"host": '
"""The first bytes of every claim: other files and objects are left alone."""

_LONGEST = 4096  # bytes of a claim

CLAIMS = FileKind(
    folder="pending", pattern=re.compile(files.CLAIM), beginnings=(BEGINNING,), may_be_empty=True
)


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
        # O_EXCL: of two processes one fails, on network file systems too.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(path, flags, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(json.dumps(owner_fields(token)).encode())
        except OSError:
            # The disk is full. Others would wait for an empty claim until it is abandoned.
            path.unlink()
            raise
        claim = cls(path, token)
        # Where an older claim was moved aside by mistake, this one gives way.
        if claim._is_contested():
            claim.release()
            raise FileExistsError(path)
        return claim

    def beat(self) -> None:
        """Give a heartbeat."""
        for place in (self.path, *self._aside()):
            with contextlib.suppress(OSError):
                os.utime(place)

    def release(self) -> None:
        """Release the claim, if this process still holds it."""
        remove(self.path, self.token)
        for aside in self._aside():
            aside.unlink(missing_ok=True)
        remove(self.path, self.token)  # it may have been moved back meanwhile

    def _aside(self) -> list[Path]:
        return [aside for aside, holder in _misplaced(self.path) if holder.token == self.token]

    def _is_contested(self) -> bool:
        """Whether another process holds a claim that was taken for an older one and moved aside."""
        contested = False
        for aside, holder in _misplaced(self.path):
            with contextlib.suppress(OSError):
                if is_abandoned(holder, silent_for=abs(time.time() - aside.stat().st_mtime)):
                    aside.unlink()
                else:
                    contested |= holder.token != self.token
        return contested


class HeldClaim(Protocol):
    """A claim that this process holds, in a folder or at an address."""

    def beat(self) -> None: ...
    def release(self) -> None: ...


class Watch(Protocol):
    """What one process sees of the claims of others on a request, and how it takes its own."""

    @property
    def holder(self) -> Owner: ...
    @property
    def is_ours(self) -> bool: ...
    @property
    def silent_for(self) -> float: ...
    @property
    def age(self) -> float: ...
    def take(self) -> HeldClaim: ...
    def look(self) -> None: ...
    def remove(self) -> bool: ...


class ClaimWatch:
    """What one process sees of the claim of another, from look to look."""

    def __init__(self, path: Path, root: Path) -> None:
        self.path = path
        self.root = root
        self.holder = Owner()
        self.is_ours = False
        self.silent_for = 0.0  # seconds, on the monotonic clock of this process
        self.age = 0.0  # seconds, by the clocks of this system and of the file's
        self._changed = (0, 0)
        self._seen = 0.0

    def take(self) -> Claim:
        """Make a claim, as `Claim.take`."""
        return Claim.take(self.path, self.root)

    def remove(self) -> bool:
        """Remove the claim that was seen, as `remove`."""
        return remove(self.path, self.holder.token)

    def look(self) -> None:
        """See who holds the claim now, and since when it is silent; raise `FileNotFoundError`."""
        state = self.path.lstat()
        written: bytes | None = b""
        with contextlib.suppress(PermissionError):
            written = _read(self.path)
        holder, changed = parse_owner(written or b""), (state.st_ino, state.st_mtime_ns)
        # Only changes are looked at, since the clocks of two machines may differ.
        if (holder.token, changed) != (self.holder.token, self._changed):
            self._changed, self._seen = changed, time.monotonic()
        self.holder, self.is_ours = holder, written is not None
        self.silent_for = time.monotonic() - self._seen
        self.age = time.time() - state.st_mtime


def await_claim(watch: Watch, *, timeout: float, silence: float) -> HeldClaim:
    """Make a claim as soon as no other process holds it; one that is abandoned for `silence` is removed.

    Raises `TimeoutError` after `timeout` seconds, `FileExistsError` where something else has its name, and
    `OSError` where none can be made.
    """
    until = time.monotonic() + timeout
    while True:
        try:
            return watch.take()
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError):  # released meanwhile
                watch.look()
                if not watch.is_ours:
                    raise
                # By the clock of the file system, too: one that was left days ago must not cost a wait.
                silent_for = max(watch.age, watch.silent_for)
                if is_abandoned(watch.holder, silent_for=silent_for, silence=silence):
                    watch.remove()
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.005)


def owner_fields(token: str) -> dict[str, object]:
    """Return the fields of a claim of this process."""
    return {"host": platform.node(), "pid": os.getpid(), "token": token, "system": system()}


@cache
def system() -> str:
    """Return what tells this running system from others with the same host name, such as containers.

    Each has process ids of its own. Where nothing is known of it, the host name has to do.
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
        """Whether the process has ended, as far as can be seen: it must have run on this very system."""
        here = (self.host, self.system) == (platform.node(), system())
        return bool(self.token) and here and not is_alive(self.pid)


def is_abandoned(holder: Owner, *, silent_for: float, silence: float | None = None) -> bool:
    """Whether a claim is abandoned: its process has ended, or gave no heartbeat for `silence` seconds."""
    return holder.is_gone or silent_for > (SILENCE if silence is None else silence)


def is_alive(pid: int) -> bool:
    """Whether a process with that id runs on this machine, as far as can be seen.

    A process that was killed keeps its id until its parent collects its exit status.
    """
    if not 0 < pid < 2**31:
        return False
    if os.name == "nt":  # there, signal 0 would end the process
        return True
    with contextlib.suppress(OSError, IndexError):
        if Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in {b"Z", b"X"}:
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def parse_owner(data: bytes) -> Owner:
    """Return the owner that a claim names."""
    try:
        fields = load_json(data)
        return Owner(
            text(fields["host"]), whole(fields["pid"]), text(fields["token"]), text(fields.get("system", ""))
        )
    except DAMAGE:
        return Owner()  # half written, or not by us


def _read(path: Path) -> bytes | None:
    """Return the bytes of a claim, also of one that a crash has cut off; None for what we did not write."""
    state = path.lstat()
    if not stat.S_ISREG(state.st_mode):
        return None
    data = read_head(path, _LONGEST)
    bare = data.strip(b"\0")  # some file systems leave zeros after a crash
    return data if bare.startswith(BEGINNING) or BEGINNING.startswith(bare) else None


def remove(path: Path, token: str) -> bool:
    """Remove a claim, if it still has that token; return whether the store can be written there.

    What we did not write stays. A claim that replaces it at the last moment is moved back. Where a third one
    is there already, it stays aside, and the owner of the third one gives way (`Claim.take`).
    """
    aside = path.with_name(f"{path.name}.{_mark(token)}{uuid4().hex[:16]}")
    try:
        written = _read(path)
        if written is None:
            return False
        if parse_owner(written).token != token:
            return True
        # Renamed first and then looked at: between a look and an unlink, another process may make its claim.
        os.rename(path, aside)
    except FileNotFoundError:  # released meanwhile
        return True
    except OSError:
        return False
    with contextlib.suppress(OSError):
        if parse_owner(_read(aside) or b"").token != token:
            # Unlike a rename, a link fails where a third claim is.
            os.link(aside, path)
        aside.unlink()
    return True


def _mark(token: str) -> str:
    """Return the part of a file's name that tells which claim was to be moved there."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()[:16]


def _misplaced(path: Path) -> Iterator[tuple[Path, Owner]]:
    """Yield the claims that were moved aside by mistake, and their owners."""
    for name in files.names(path.parent):
        if not name.startswith(f"{path.name}.") or not CLAIMS.pattern.fullmatch(name):
            continue
        with contextlib.suppress(OSError):
            if (written := _read(aside := path.parent / name)) is None:
                continue
            holder = parse_owner(written)
            if not aside.name.startswith(f"{path.name}.{_mark(holder.token)}"):
                yield aside, holder
