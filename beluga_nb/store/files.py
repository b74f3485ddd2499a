"""Files that are whole or not there, in a folder that only its owner writes.

Each is written under `tmp/`, synced, and renamed to its place: a crash leaves no half file, and many
kernels may write at once. Nothing locks, since locks are what shared home folders get wrong
(research/reliability.md, section 5).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
import time
from pathlib import Path

from beluga_nb.store.moves import replace

FORGOTTEN_AFTER = 3600
"""Seconds after which a temporary file belongs to nobody: its writer is dead."""

_PARTS = "tmp"
_ROOT_USER = 0


def claim(folder: Path) -> None:
    """Make the folder if it is missing, and take from all others the right to write in it.

    Raises `OSError`, also where it is another user's. Who is root writes anywhere, as ever.
    """
    make(folder)
    if not hasattr(os, "geteuid"):
        return
    state = folder.stat()
    if os.geteuid() not in {state.st_uid, _ROOT_USER}:
        raise PermissionError(f"it belongs to another user ({state.st_uid})")
    if state.st_uid == os.geteuid() and state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        folder.chmod(stat.S_IMODE(state.st_mode) & ~(stat.S_IWGRP | stat.S_IWOTH))


def write(path: Path, data: bytes, *, root: Path) -> None:
    """Put `data` at `path`, below `root`, for the owner alone to read; all of it or nothing."""
    for folder in (path.parent, root / _PARTS):
        check_inside(folder, root)
        make(folder)
    descriptor, part = tempfile.mkstemp(dir=root / _PARTS)  # mode 0600, whatever the umask
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        replace(part, path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    sync(path.parent)


def add(path: Path, line: bytes, *, root: Path) -> None:
    """Add a line at the end of a file, below `root`, and wait until it is on the disk."""
    check_inside(path, root)
    make(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
        # What a full disk had cut off stays a line of its own.
        whole = line if not size or file.read(1) == b"\n" else b"\n" + line
        if file.write(whole) != len(whole):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file.fileno())
    sync(path.parent)


def check_inside(path: Path, root: Path) -> None:
    """Raise `OSError` where a symbolic link, on the way or at its end, leads out of `root`."""
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise PermissionError("a link leads out of the store")


def make(folder: Path) -> None:
    """Make a folder, and those above it, for the owner alone."""
    if folder.is_dir():
        return
    make(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder.name} is no folder")
    sync(folder.parent)


def sync(folder: Path) -> None:
    """Wait until what a folder lists is on the disk."""
    if os.name == "nt":  # folders cannot be opened there, and renames are journalled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(root: Path) -> None:
    """Remove the temporary files of writers that died over an hour ago.

    Raises `OSError` where a link leads out of `root`: what is there is not ours to remove.
    """
    check_inside(root / _PARTS, root)
    for part in root.glob(f"{_PARTS}/*"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > FORGOTTEN_AFTER:
                part.unlink()
