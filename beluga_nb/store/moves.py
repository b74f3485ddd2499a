"""A complete file takes its place."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PAUSES = (0.01, 0.03, 0.1, 0.3, 0.6) if os.name == "nt" else ()
"""Seconds between attempts: on Windows a file that another process reads cannot be replaced."""


def replace(
    part: str | Path,
    path: Path,
    *,
    pauses: Sequence[float] = PAUSES,
    rename: Callable[[str | Path, Path], None] | None = None,
) -> None:
    """Rename `part` to `path`, whatever was there; raise `OSError` where each attempt fails."""
    rename = rename or os.replace
    for pause in pauses:
        try:
            return rename(part, path)
        except PermissionError:
            time.sleep(pause)
    rename(part, path)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Give a file that takes the place of `path` when it is complete; raise `OSError` where that fails."""
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        replace(part, path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
