"""Files that are whole or not there, in a folder that carries our mark.

Each is written under `tmp/`, synced, and renamed to its place: a crash leaves no half file, and many
kernels may write at once. File locks do not work on many shared home folders, so none are used. An empty or
missing folder becomes a store. In a folder that holds anything else nothing is written, removed or changed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Callable
from pathlib import Path

from beluga_nb.paths import LEFT_AFTER, NotPlainFileError, open_file, read_file, read_head, replace

MARK = "store.json"
"""The file that makes a folder a store: {"schema": 1}."""

WRITER_DEAD_AFTER = LEFT_AFTER
"""Seconds without a write after which the writer of a temporary file is taken for dead."""

SHA256 = re.compile(r"[0-9a-f]{64}")

PART = re.compile(r"beluga-[0-9a-f]{32}\.part")
"""The names of our temporary files."""

TEMPORARY = "tmp"
"""The folder of files that are being written."""

PRIVATE_FOLDERS = {"pending", TEMPORARY}
"""The folders of a store that only its owner may read."""

LEDGER = "spent.jsonl"
"""The file of what was spent in a store (store/ledger.py); forgetting pictures does not change it."""

ANSWER = r"-[0-9]{1,9}\.answer(\.part)?"
"""The end of the name of a kept answer, after the id of its call (api/spool.py)."""

CLAIM = r"([0-9a-f]{64}\.claim|spent\.lock)(\.[0-9a-f]{32})?"
"""The names of claims on a request and on the ledger (store/claims.py)."""

INDEX = r"[0-9a-f]{2}\.idx"
"""The names of the parts of the index (store/index.py)."""

CALL = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
"""The ids of calls: the names of their files, sent as `Idempotency-Key`."""

NOT_FOR_GIT = {
    "tmp": PART,
    "index": re.compile(rf"\.gitignore|{INDEX}"),
    "pending": re.compile(rf"{CALL}(\.json|{ANSWER})|{CLAIM}|{re.escape(LEDGER)}"),
}
"""The folders that stay when git checks out a branch without a store, and the names of their files."""

LARGEST_JSON = 4 * 2**20
"""Bytes of a JSON file; a longer one is not written."""

LARGEST_LINES = 256 * 2**20
"""Bytes of a file of lines: a million votes."""

LARGEST_BLOB = 256 * 2**20
"""Bytes of a picture or a preview: as many as are received (api/transport.py)."""

_LONGEST_MARK = 4096
_ROOT_USER = 0


class NotAStoreError(PermissionError):
    """A folder holds files and does not carry our mark."""


def check(folder: Path, schema: int) -> bool:
    """Return whether a folder is a store, and not empty or missing.

    Raises `NotAStoreError` for a folder that is neither, `OSError` for one that cannot be read, is another
    user's, or is a store of a newer format.
    """
    with contextlib.suppress(FileNotFoundError):
        state = folder.stat()
        if not stat.S_ISDIR(state.st_mode):
            raise NotADirectoryError(f"{folder.name} is not a folder")
        # Another user could replace what is written there. Root may do so anyway.
        if hasattr(os, "geteuid") and os.geteuid() not in {state.st_uid, _ROOT_USER}:
            raise PermissionError(f"it belongs to another user ({state.st_uid})")
        if (marked := _mark(folder)) is None:
            # The mark is written first and read last, so a store that another kernel is making is recognized.
            found = [name for name in os.listdir(folder) if not PART.fullmatch(name)]
            marked = _mark(folder)
            if marked is None and not all(_is_not_for_git(folder / name) for name in found):
                raise NotAStoreError(f"it holds files and no {MARK}, so beluga_nb has not made it")
        if marked is not None and marked > schema:
            raise PermissionError(f"it has format {marked}, and this version writes {schema}")
        return marked is not None
    return False


def _is_not_for_git(folder: Path) -> bool:
    names = NOT_FOR_GIT.get(folder.name)
    if names is None or folder.is_symlink() or not folder.is_dir():
        return False
    return all(names.fullmatch(name) for name in os.listdir(folder))


def _mark(folder: Path) -> int | None:
    """Return the format that a folder's mark names, or None where there is none."""
    if not is_inside(folder / MARK, folder):
        return None
    with contextlib.suppress(FileNotFoundError, NotPlainFileError, ValueError, RecursionError):
        mark = json.loads(read_file(folder / MARK, _LONGEST_MARK))
        schema = mark.get("schema") if isinstance(mark, dict) else None
        # Other programs number their formats, too. Later formats of ours may have more fields.
        if type(schema) is int and (schema > 1 or mark == {"schema": 1}):
            return schema
    return None


def mark_of(schema: int) -> bytes:
    """Return the content of the file that makes a folder a store."""
    return b'{"schema":%d}\n' % schema


def ensure_store(folder: Path, schema: int) -> None:
    """Make an empty or missing folder a store; raise as `check` where it is something else."""
    if not check(folder, schema):
        # Not in `tmp/`: nothing else may be there before the mark.
        make(folder, folder)
        _write(folder / MARK, mark_of(schema), part_in=folder, mode=_mode(folder / MARK, folder))


def _mode(path: Path, root: Path) -> int:
    """Return the mode of a file before the umask: only its owner writes."""
    private = path.is_relative_to(root) and bool(PRIVATE_FOLDERS & set(path.relative_to(root).parts[:1]))
    return 0o600 if private else 0o644


def write(path: Path, data: bytes, *, root: Path, durable: bool = True) -> None:
    """Write a file below `root`, all of it or nothing. With `durable` it is on the disk when this returns."""
    check_inside(path.parent, root)
    make(path.parent, root)
    # A rename would replace a pipe or a device as well.
    _check_replaceable(path)
    _write(path, data, part_in=_parts_of(root), mode=_mode(path, root), durable=durable)


def _parts_of(root: Path) -> Path:
    """Return the folder of temporary files: `tmp/`, or the store's own where that cannot be written."""
    parts = root / TEMPORARY
    with contextlib.suppress(OSError):
        check_inside(parts, root)
        if not _may_write_in(parts):
            make(parts, root)
            if not _may_write_in(parts):
                return root
        return parts
    return root


def _may_write_in(folder: Path) -> bool:
    return os.access(os.path.join(folder, ""), os.W_OK | os.X_OK)  # with the slash, only a folder


def _check_replaceable(path: Path) -> None:
    """Raise `OSError` for what is not a plain file or a link: a pipe, a socket, a device."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(mode := path.lstat().st_mode) and not stat.S_ISLNK(mode):
            raise NotPlainFileError(errno.EEXIST, f"{path.name} is not a regular file")


def _write(path: Path, data: bytes, *, part_in: Path, mode: int, durable: bool = True) -> None:
    part = part_in / f"beluga-{secrets.token_hex(16)}.part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        # The data first, then the name: after a crash there is the old file or the new one, never half of it.
        with os.fdopen(os.open(part, flags, mode), "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if durable:
        sync(path.parent)


def read(path: Path, *, root: Path | None, most: int = LARGEST_JSON) -> bytes:
    """Return a whole file of a store; raise `OSError` for one that is not plain, or has more bytes.

    Also where a link leads out of `root`, which is None where that was checked before.
    """
    if root is not None:
        check_inside(path, root)
    return read_file(path, most)


def head(path: Path, *, root: Path, most: int = LARGEST_LINES) -> bytes:
    """Return the first bytes of a file of a store, or nothing where `read` would raise."""
    try:
        check_inside(path, root)
        return read_head(path, most)
    except OSError:
        return b""


def has_hash(path: Path | str, sha256: str) -> bool:
    """Whether a plain file has the bytes with this SHA-256."""
    try:
        return hashlib.sha256(read_file(path, LARGEST_BLOB)).hexdigest() == sha256
    except OSError:
        return False


def names(folder: Path, *, links: bool = True) -> list[str]:
    """Return the names in a folder, with or without `links`; none where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return [each.name for each in entries if links or not each.is_symlink()]
    except OSError:
        return []


def add(path: Path, line: bytes, *, root: Path) -> None:
    """Add a line at the end of a file, below `root`, and wait until it is on the disk."""
    check_inside(path, root)
    make(path.parent, root)
    # O_APPEND: several processes may add lines at once.
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    with open_file(path, flags, _mode(path, root)) as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
        # A line that a full disk has cut off stays a line of its own.
        whole = line if not size or file.read(1) == b"\n" else b"\n" + line
        if file.write(whole) != len(whole):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file.fileno())
    sync(path.parent)


def check_inside(path: Path, root: Path) -> None:
    """Raise `OSError` where a symbolic link, on the way or at its end, leads out of `root`."""
    if not is_inside(path, root):
        raise PermissionError("a link leads out of the store")


def is_inside(path: Path, root: Path) -> bool:
    """Whether no symbolic link, on the way or at its end, leads out of `root`."""
    return not _has_link(path, root) or Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def _has_link(path: Path, root: Path) -> bool:
    """Whether there may be a link below `root`: without one, the path need not be resolved, which is slow."""
    place, whole = os.fspath(root), os.fspath(path)
    names = whole.removeprefix(place).split(os.sep)[1:]
    # A junction of Windows leads elsewhere and is no link.
    if os.name == "nt" or not f"{whole}{os.sep}".startswith(f"{place}{os.sep}") or ".." in names:
        return True
    return any(os.path.islink(place := f"{place}{os.sep}{name}") for name in names)


def is_closed(error: OSError) -> bool:
    """Whether the system refuses to let us read or write."""
    return error.errno in {errno.EACCES, errno.EPERM}


def listed(folder: Path, depth: int, is_wanted: Callable[[str], bool] = bool) -> list[Path]:
    """Return the paths at a depth in a folder whose names are wanted, in order.

    Raises `OSError` where a folder cannot be read.
    """
    try:
        if depth == 1:
            return [folder / name for name in sorted(filter(is_wanted, os.listdir(folder)))]
        folders = sorted(each.name for each in os.scandir(folder) if each.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [path for name in folders for path in listed(folder / name, depth - 1, is_wanted)]


def make(folder: Path, root: Path) -> None:
    """Make a folder, and those above it."""
    if folder.is_dir():
        return
    make(folder.parent, root)
    # Another process may make it at the same time.
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700 if _mode(folder, root) == 0o600 else 0o755)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder.name} is not a folder")
    sync(folder.parent)


def sync(folder: Path) -> None:
    """Wait until the entries of a folder are on the disk."""
    if os.name == "nt":  # Folders cannot be opened there, and NTFS journals renames.
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(root: Path) -> None:
    """Remove our temporary files whose writers died over an hour ago, as far as that can be done.

    Nothing is removed where a link leads out of `root`.
    """
    for folder in (root, root / TEMPORARY):
        with contextlib.suppress(OSError):
            check_inside(folder, root)
            for part in listed(folder, 1, lambda name: bool(PART.fullmatch(name))):
                with contextlib.suppress(OSError):  # such as one that another kernel has removed
                    if is_part(part, older_than=WRITER_DEAD_AFTER):
                        part.unlink()


def is_part(path: Path, *, older_than: float) -> bool:
    """Whether a file is a temporary one of ours that was not written for so many seconds."""
    if not PART.fullmatch(path.name):
        return False
    state = path.lstat()
    return stat.S_ISREG(state.st_mode) and time.time() - state.st_mtime > older_than
