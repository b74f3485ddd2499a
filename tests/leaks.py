"""Where a key has leaked to: `python -m tests.leaks FOLDER …` looks for the tests' own key in every file."""

import base64
import contextlib
import html
import re
import sys
import urllib.parse
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

KEY = "bapi_a-key-for-tests-only"
"""The key of every test, long and odd enough that it stands nowhere by accident."""

ENOUGH = 20
"""Characters of a key that are a leak, though the rest is cut off."""

LARGEST = 64 * 2**20
"""Bytes of a file in an archive that is looked into."""

_BLANK = bytes(byte for byte in range(256) if not 33 <= byte <= 126)


def spellings(key: str = KEY) -> list[bytes]:
    """The key as it is, as base64 would hide it at any offset, percent-encoded, and as digits."""
    part = key.encode()[:ENOUGH]
    encoded = [base64.b64encode(bytes(offset) + part)[4 if offset else 0 : -4] for offset in range(3)]
    urlsafe = [each.translate(bytes.maketrans(b"+/", b"-_")) for each in encoded]
    percent = "".join(f"%{byte:02X}" for byte in part)
    digits = [part.hex().encode(), part.hex().upper().encode()]
    return [part, urllib.parse.quote(part).encode(), percent.encode(), *encoded, *urlsafe, *digits]


def readings(data: bytes) -> Iterator[bytes]:
    """What data says, as it stands and with each kind of escape read; without what nobody sees."""
    yield data.translate(None, _BLANK)
    if b"%" in data:
        twice = urllib.parse.unquote_to_bytes(urllib.parse.unquote_to_bytes(data))
        yield twice.translate(None, _BLANK)
    if b"&" in data:
        text = html.unescape(html.unescape(data.decode(errors="replace")))
        yield text.encode(errors="replace").translate(None, _BLANK)
    if b"\\" in data:
        for digits in (rb"\\+u([0-9a-fA-F]{4})", rb"\\+x([0-9a-fA-F]{2})"):
            read = re.sub(digits, lambda found: chr(int(found[1], 16)).encode(errors="replace"), data)
            yield read.translate(None, _BLANK + b"\\")
            yield re.sub(rb"\\+[nrt]", b"", read).translate(None, _BLANK + b"\\")


def holds(data: bytes | str, key: str = KEY) -> bool:
    """Whether data holds the key in some spelling."""
    data = data.encode(errors="surrogatepass") if isinstance(data, str) else data
    sought = spellings(key)
    return any(each in reading for reading in readings(data) for each in sought)


def leaks(folder: Path, key: str = KEY) -> list[Path]:
    """The files below a folder, and in its archives, that hold a key."""
    return [path for path, data in _contents(folder) if holds(data, key)]


def _contents(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        yield path, path.read_bytes()
        yield from _unpacked(path)


def _unpacked(path: Path) -> Iterator[tuple[Path, bytes]]:
    # Some archives that tests leave are hostile on purpose: locked, damaged, or larger than they look.
    hostile = (OSError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)
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
