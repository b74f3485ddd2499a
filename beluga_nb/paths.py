"""Paths that a person names, and files that anybody may have put there.

Files are read to a bound and only if they are plain ones: a pipe would be waited for, a device never ends.
"""

from __future__ import annotations

import errno
import os
import stat
from io import FileIO
from pathlib import Path

from beluga_nb.errors import RequestError

# Opening a pipe waits for its other end, unless O_NONBLOCK is given; for plain files that changes nothing.
_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_PIECE = 2**16


class NotPlainFileError(OSError):
    """A path is no plain file, or the file is too large."""


def path_of(words: str | Path) -> Path:
    """Return the path that a person names, where `~` is their home folder; an unknown `~name` stays as it is.

    >>> path_of("~nobody-has-this-name/x.png").name
    'x.png'
    """
    return Path(os.path.expanduser(words))


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
    try:
        descriptor = os.open(path, flags | _AT_ONCE, mode)
    except ValueError:  # a NUL, or half of a character
        raise NotPlainFileError(errno.EINVAL, "no file can have that name") from None
    try:
        found = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(found):
            raise NotPlainFileError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(found):
            raise NotPlainFileError(errno.EINVAL, "it is no plain file")
        return FileIO(descriptor, "rb" if flags == os.O_RDONLY else "r+b")
    except BaseException:
        os.close(descriptor)
        raise


def read_file(path: Path | str, most: int) -> bytes:
    """Return a whole file; raise `OSError` where it is no plain one, or has more than `most` bytes."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(size + 1) or b"" if size <= most else b""
        # It grows, or says that it is empty; each further piece is as long as all before.
        while size != len(data) and size <= most >= len(data) and (more := file.read(max(_PIECE, len(data)))):
            data += more
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


def write_file(path: Path | str, data: bytes) -> None:
    """Write a file where a person wants it; raise `OSError` where something else than a file is there."""
    with open_file(path, os.O_RDWR | os.O_CREAT) as file:
        file.truncate()
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]
