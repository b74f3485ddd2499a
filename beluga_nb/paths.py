"""Paths that the user names, and files that anyone may have put there.

Files are read up to a limit and only if they are regular files: a pipe may block, and a device never ends.
Files outside of the store are written only here: to a temporary name beside the target, then renamed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import IO

from beluga_nb.errors import RequestError, StoreError
from beluga_nb.text import sanitize, shown

# Without O_NONBLOCK, opening a pipe waits for its other end; for plain files it changes nothing.
_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_PIECE = 2**16


class NotPlainFileError(OSError):
    """A path is not a regular file, or the file is too large."""


def not_written(path: Path, error: OSError, hint: str = "Name another file.") -> StoreError:
    """Return the error of a file that cannot be written."""
    folder = path.parent
    if isinstance(error, FileNotFoundError) and not folder.exists():
        return StoreError(f"The folder '{sanitize(str(folder))}' does not exist.", "Create it first.")
    return StoreError(f"{sanitize(path.name, 120)} cannot be written: {error.strerror or error}.", hint)


def make_folder(folder: Path) -> None:
    """Make a folder where it is missing; raise `StoreError` where that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The folder '{folder.name}' cannot be made: {error.strerror or error}.",
            "Name another folder.",
        ) from None


def save_file(path: Path, data: bytes) -> None:
    """Write a file as `write_file`; raise `StoreError` where that is not possible."""
    try:
        write_file(path, data)
    except OSError as error:
        raise not_written(path, error) from None


def path_of(words: str | Path) -> Path:
    """Return the path that the user names, where `~` is the home folder; an unknown `~name` stays as it is.

    Raises `RequestError` for what can be no path.

    >>> path_of("~nobody-has-this-name/x.png").name
    'x.png'
    """
    try:
        is_path = bool(os.fsencode(words)) and b"\0" not in os.fsencode(words)
    except (TypeError, UnicodeEncodeError):
        is_path = False
    if not is_path:
        given = str(words) if isinstance(words, Path) else words
        raise RequestError(f"{shown(given)} names no file or folder.", "Give the path of one.")
    return Path(os.path.expanduser(words))


def check_replaceable(folder: Path, names: Iterable[str], *, mark: tuple[str, bytes]) -> bool:
    """Return whether a folder holds an earlier version of some files: one of them has a mark in it.

    Raises `StoreError` where it holds some of these files, and they are not ours.
    """
    marked, content = mark
    with contextlib.suppress(OSError):
        if content in read_head(folder / marked, 2**20):
            return True
    for name in names:
        if os.path.lexists(folder / name):
            raise StoreError(
                f"The folder '{sanitize(folder.name, 80)}' holds {name}, which beluga_nb did not write.",
                "Name another folder.",
            )
    return False


def remove_older(folder: Path, ours: re.Pattern[str], keep: Collection[str]) -> None:
    """Remove the files of a folder that have names of ours, and are not to be kept.

    Raises `StoreError` where one cannot be removed.
    """
    try:
        for path in folder.iterdir():
            if ours.fullmatch(path.name) and path.name not in keep:
                path.unlink()
    except OSError as error:
        raise StoreError(
            f"An older file in '{sanitize(folder.name, 80)}' cannot be removed: {error.strerror or error}.",
            "Name another folder.",
        ) from None


def file_path_of(words: str | Path) -> Path:
    """Return the path of a file that the user names; raise `RequestError` where it names none."""
    path = path_of(words)
    if path.name in {"", ".."}:
        raise RequestError(
            f"'{sanitize(str(path))}' names no file.", "Give the file a name, such as 'whale.png'."
        )
    return path


def working_folder() -> Path:
    """Return the current folder; raise `RequestError` where it has been removed."""
    try:
        return Path.cwd()
    except OSError:
        raise RequestError(
            "The current folder is not there any more.", "Change to another folder (cd), and try again."
        ) from None


def absolute_path(path: Path) -> Path:
    """Return a path from the root on; raise `RequestError` where it starts at a folder that is removed."""
    return path if path.is_absolute() else working_folder() / path


def open_file(path: Path | str, flags: int = os.O_RDONLY, mode: int = 0o666) -> FileIO:
    """Open a plain file; raise `OSError` where it is something else, or no file can have that name."""
    descriptor, _ = _opened(path, flags, mode)
    try:
        return FileIO(descriptor, "rb" if flags == os.O_RDONLY else "r+b")
    except BaseException:
        os.close(descriptor)
        raise


def _opened(path: Path | str, flags: int, mode: int = 0o666) -> tuple[int, int]:
    """Return the descriptor of a plain file and its size; raise as `open_file`."""
    try:
        descriptor = os.open(path, flags | _AT_ONCE, mode)
    except ValueError:  # a NUL, or half a surrogate pair
        raise NotPlainFileError(errno.EINVAL, "no file can have that name") from None
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise NotPlainFileError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(found.st_mode):
            raise NotPlainFileError(errno.EINVAL, "it is not a regular file")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, found.st_size


def read_file(path: Path | str, most: int) -> bytes:
    """Return a whole file; raise `OSError` where it is no plain one, or has more than `most` bytes."""
    descriptor, size = _opened(path, os.O_RDONLY)
    try:
        data = os.read(descriptor, size + 1) if size <= most else b""
        # Its size is unknown (it grows, or claims to be empty), so each piece is as long as all before.
        while size != len(data) and size <= most >= len(data):
            if not (more := os.read(descriptor, max(_PIECE, len(data)))):
                break
            data += more
    finally:
        os.close(descriptor)
    if max(size, len(data)) > most:
        raise NotPlainFileError(errno.EFBIG, f"it has more than {most:,} bytes")
    return data


def read_head(path: Path | str, most: int) -> bytes:
    """Return the first bytes of a plain file, all of a shorter one; raise `OSError` for anything else."""
    with open_file(path) as file:
        return file.read(min(os.fstat(file.fileno()).st_size, most)) or b""


def has_content(path: Path | str, data: bytes) -> bool:
    """Whether a plain file can be read, and has these bytes."""
    try:
        return read_file(path, len(data)) == data
    except OSError:
        return False


PAUSES = (0.01, 0.03, 0.1, 0.3, 0.6) if os.name == "nt" else ()
"""Seconds between attempts: on Windows a file that another process reads cannot be replaced."""

LEFT_AFTER = 3600
"""Seconds after which the writer of an unfinished temporary file is considered dead."""


def write_file(path: Path | str, data: bytes) -> None:
    """Write a file at a path of the user's, all of it or nothing; raise `OSError` as `replacing`."""
    with replacing(path) as file:
        file.write(data)


@contextmanager
def replacing(path: Path | str, *, new: bool = False) -> Iterator[IO[bytes]]:
    """Open a file that replaces `path` when it is complete; until then the old file stays.

    A file that is there keeps its mode, and a link goes on leading to it. With `new` nothing is replaced.
    Raises `OSError` where something else than a file is there, or the file cannot be written.
    """
    target, mode = _replaced(path, new=new)
    # Beside the target: renaming works only within a file system.
    part = target.with_name(f"{_begins(target)}{secrets.token_hex(8)}.part")
    how = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    # A file that is replaced may be private: others cannot read the new one before it has that mode.
    descriptor = os.open(part, how, 0o666 if mode is None else 0o600)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            if mode is not None:
                with contextlib.suppress(OSError):  # a file system without modes
                    part.chmod(mode)
            yield file
            # On the disk before the rename, or a power cut leaves an empty file under the target's name.
            file.flush()
            os.fsync(file.fileno())
        (_rename_to_new if new else replace)(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _replaced(path: Path | str, *, new: bool) -> tuple[Path, int | None]:
    """Return the file that is replaced, and its mode if it exists."""
    if new:
        return Path(path), None
    try:
        target = Path(os.path.realpath(path))  # a rename would replace a link itself
        with open_file(target, os.O_RDWR) as file:  # fails for a file that may not be written
            return target, stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    except FileNotFoundError:
        return target, None
    except ValueError:
        raise NotPlainFileError(errno.EINVAL, "no file can have that name") from None


def _begins(target: Path) -> str:
    # Hashed, since the name may have the greatest length that the file system takes.
    name = hashlib.sha256(os.fsencode(target.name)).hexdigest()
    return f".beluga-{name[:16]}"


def remove_parts(path: Path) -> None:
    """Remove temporary files of this path whose writers died over an hour ago."""
    target = Path(os.path.realpath(path))
    with contextlib.suppress(OSError), os.scandir(target.parent) as entries:
        for each in entries:
            ours = each.name.startswith(_begins(target)) and each.name.endswith(".part")
            if (
                ours
                and each.is_file(follow_symlinks=False)
                and time.time() - each.stat().st_mtime > LEFT_AFTER
            ):
                os.unlink(each.path)


def replace(
    part: str | Path,
    path: Path,
    *,
    pauses: Sequence[float] = PAUSES,
    rename: Callable[[str | Path, Path], None] | None = None,
) -> None:
    """Rename `part` to `path`, replacing a file there; raise `OSError` if each attempt fails."""
    rename = rename or os.replace
    for pause in pauses:
        try:
            return rename(part, path)
        except PermissionError:
            time.sleep(pause)
    rename(part, path)


def _rename_to_new(part: Path, path: Path) -> None:
    try:
        # A hard link fails where a file is; a rename would replace it.
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        part.rename(path)
    else:
        part.unlink()
