"""Where a key has leaked to: `python -m tests.leaks FOLDER …` looks for the tests' own key in every file."""

import base64
import contextlib
import html
import re
import sys
import urllib.parse
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from hashlib import sha256
from html.entities import html5
from multiprocessing import Pool
from pathlib import Path

KEY = "bapi_a-key-for-tests-only"
"""The key of every test, long and odd enough that it stands nowhere by accident."""

ENOUGH = 20
"""Characters of a key that are a leak, though the rest is cut off."""

LARGEST = 64 * 2**20
"""Bytes of a file in an archive that is looked into."""

_BLANK = bytes(byte for byte in range(256) if not 33 <= byte <= 126)

_PERCENT = re.compile(rb"%([0-9a-fA-F]{2})")
# What `html.unescape` replaces; names that need no semicolon are listed. Pictures hold thousands of "&".
_REFERENCE = re.compile(
    rb"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[a-zA-Z][a-zA-Z0-9]{0,31};|%b)"
    % "|".join(sorted((name for name in html5 if not name.endswith(";")), key=len, reverse=True)).encode()
)
# Of several backslashes the last is read here; all others are taken out afterwards.
_DIGITS = [re.compile(rb"\\u([0-9a-fA-F]{4})"), re.compile(rb"\\x([0-9a-fA-F]{2})")]
_CONTROLS = re.compile(rb"\\[nrt]")


def _unquoted(data: bytes) -> bytes:
    return _PERCENT.sub(lambda found: bytes.fromhex(found[1].decode()), data)


def _unescaped(data: bytes) -> bytes:
    return _REFERENCE.sub(lambda found: html.unescape(found[0].decode()).encode(errors="replace"), data)


def _with_digits_read(digits: re.Pattern[bytes], data: bytes) -> bytes:
    return digits.sub(lambda found: chr(int(found[1], 16)).encode(errors="replace"), data)


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
    data = data.translate(None, _BLANK)
    yield data
    if _PERCENT.search(data):
        yield _unquoted(_unquoted(data)).translate(None, _BLANK)
    if _REFERENCE.search(data):
        yield _unescaped(_unescaped(data)).translate(None, _BLANK)
    if b"\\" in data:
        # Most data has no such digits: what they leave as it is has been read.
        for read in {data, *(_with_digits_read(digits, data) for digits in _DIGITS)}:
            yield read.translate(None, _BLANK + b"\\")
            yield _CONTROLS.sub(b"", read).translate(None, _BLANK + b"\\")


def holds(data: bytes | str, key: str = KEY) -> bool:
    """Whether data holds the key in some spelling."""
    data = data.encode(errors="surrogatepass") if isinstance(data, str) else data
    sought = spellings(key)
    return any(each in reading for reading in readings(data) for each in sought)


def leaks(folder: Path, key: str = KEY) -> list[Path]:
    """The files below a folder, and in its archives, that hold a key."""
    return [found for path in _files(folder) for found in leaks_in(path, key)]


def leaks_in(path: Path, key: str = KEY) -> list[Path]:
    """The file, and what is packed in it, if they hold a key."""
    return [part for part, data in _contents(path) if holds(data, key)]


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _contents(path: Path) -> Iterator[tuple[Path, bytes]]:
    data = path.read_bytes()
    yield path, data
    if b"PK\5\6" in data:  # the end of an archive
        yield from _unpacked(path)


def _unpacked(path: Path) -> Iterator[tuple[Path, bytes]]:
    # Some archives that tests leave are hostile on purpose: locked, damaged, or larger than they look.
    hostile = (OSError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)
    with contextlib.suppress(*hostile), zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.file_size < LARGEST:
                yield path / info.filename, archive.read(info)


def different(paths: Iterable[Path]) -> list[Path]:
    """The files without those that have the same bytes as one before them: tests leave many copies."""
    by_size = defaultdict(list)
    for path in paths:
        by_size[path.stat().st_size].append(path)
    found = {}
    for size, same in by_size.items():
        for path in same:
            found.setdefault((size, sha256(path.read_bytes()).digest() if same[1:] else None), path)
    return list(found.values())


def main(folders: list[str]) -> int:
    with Pool() as pool:
        files = different(path for folder in folders for path in _files(Path(folder)))
        found = [path for some in pool.imap_unordered(leaks_in, files, chunksize=200) for path in some]
    for path in sorted(found):
        print(f"the key of the tests stands in {path}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
