"""Where a key has leaked to: `python -m tests.leaks FOLDER …` looks for the tests' own key in every file."""

import base64
import contextlib
import sys
import urllib.parse
import zipfile
from collections.abc import Iterator
from pathlib import Path

KEY = "bapi_a-key-for-tests-only"
"""The key of every test, long and odd enough that it stands nowhere by accident."""


LARGEST = 64 * 2**20
"""Bytes of a file in an archive that is looked into."""


def spellings(key: str = KEY) -> list[bytes]:
    """The key as it is, as base64 would hide it at any offset, and percent-encoded."""
    encoded = [base64.b64encode(bytes(offset) + key.encode())[8:-4] for offset in range(3)]
    percent = "".join(f"%{byte:02X}" for byte in key.encode())
    return [key.encode(), urllib.parse.quote(key).encode(), percent.encode(), *encoded]


def leaks(folder: Path, key: str = KEY) -> list[Path]:
    """The files below a folder, and in its archives, that hold a key."""
    sought = spellings(key)
    return [path for path, data in _contents(folder) if any(each in data for each in sought)]


def _contents(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        yield path, path.read_bytes()
        yield from _unpacked(path)


def _unpacked(path: Path) -> Iterator[tuple[Path, bytes]]:
    # Some archives that tests leave are hostile on purpose: locked, damaged, or larger than they look.
    hostile = (OSError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile)
    with contextlib.suppress(*hostile), zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.file_size < LARGEST:
                yield path / info.filename, archive.read(info)


def main(folders: list[str]) -> int:
    found = [path for folder in folders for path in leaks(Path(folder))]
    for path in found:
        print(f"the key of the tests stands in {path}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
