"""A zip from anybody: what it may cost to read is known before it is read, and nothing is written in vain.

What may be costly is unpacked in a process of its own, with little memory and a time that is far too long.
"""

import io
import itertools
import json
import stat
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from functools import cache

import pytest
from stores import everything, notebook, record

from beluga_nb.errors import StoreError
from beluga_nb.store.pack import pack
from beluga_nb.store.records import Store
from beluga_nb.store.unpack import _write_new, unpack

UNPACK = """
import resource, sys, time
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000,) * 2)
from beluga_nb.errors import StoreError
from beluga_nb.store.records import Store
from beluga_nb.store.unpack import unpack
file, there = map(Path, sys.argv[1:])
try:
    print(unpack(file, Store(there / "beluga_store"), into=there))
except StoreError as error:
    print(*error.lines(), sep="\\n")
"""

PATIENCE = 90


@pytest.fixture(autouse=True)
def no_archive_is_left(tmp_path):
    """Every check searches what tests leave, and in some of these archives it would for many seconds."""
    yield
    for archive in tmp_path.glob("*.zip"):
        archive.unlink()


@pytest.fixture
def packed(tmp_path):
    store = Store(tmp_path / "a" / "beluga_store")
    store.folder.parent.mkdir()
    shown = record(store, n=2)
    shown._repr_mimebundle_()
    return pack(store, notebook(tmp_path / "a" / "a.ipynb", shown), tmp_path / "a.zip").path


def unpacked(file, tmp_path):
    """What is said, and what is there afterwards."""
    there = tmp_path / "there"
    done = subprocess.run(
        [sys.executable, "-c", UNPACK, str(file), str(there)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), everything(there) if there.exists() else {}


def in_process(file, tmp_path):
    """The same, in this process."""
    there = tmp_path / "there"
    try:
        lines = [str(unpack(file, Store(there / "beluga_store"), into=there))]
    except StoreError as error:
        lines = error.lines()
    return lines, everything(there) if there.exists() else {}


def refused(file, tmp_path, unpacked=unpacked):
    lines, files = unpacked(file, tmp_path)
    assert len(lines) == 2, lines
    assert lines[0].startswith(f"StoreError: {file.name} cannot be unpacked: "), lines
    assert lines[1] == "Nothing was written."
    assert files == {}
    return lines[0]


def contents(packed):
    with zipfile.ZipFile(packed) as zipped:
        return {info.filename: zipped.read(info) for info in zipped.infolist()}


def zip_of(path, files, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as zipped, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, data in files:
            zipped.writestr(name, data)
    return path


@pytest.mark.posix
def test_a_pack_that_was_zipped_again_is_accepted(packed, tmp_path):
    lines, files = unpacked(zip_of(tmp_path / "b.zip", contents(packed).items()), tmp_path)
    assert lines[0].endswith("and 2 recordings that it needs")
    assert "a.ipynb" in files


# --- what is small, and makes much work

BLANKS = {
    "blanks alone": " " * 900_000,
    "blanks and a word": " " * 900_000 + "x",
    "names": "{{a}}" * 150_000,
    "twelve names": "%beluga " + "{{a}} " * 12 + "x",
    "names and blanks": "{{a}} " * 150_000,
    "lines of names": "a {{a}} a\n" * 80_000,
    "quotes": '"' * 900_000,
    "options": "%beluga" + " -a" * 300_000 + " {{a}}",
    "braces": "{{" * 450_000,
    "open names": "{{ a" * 220_000,
    "the same letter": "a" * 900_000,
    "letters and blanks": "a " * 450_000,
    "letters and a name": "a " * 15_000 + "{{a}}",
    "many long lines": ("a " * 15_000 + "{{a}}\n") * 30,
}


def with_source(packed, source):
    """The files of a pack, whose notebook has a further cell of that source."""
    files = contents(packed)
    content = json.loads(files["a.ipynb"])
    content["cells"].append({"cell_type": "code", "source": source, "metadata": {}, "outputs": []})
    files["a.ipynb"] = json.dumps(content).encode()
    return files


@pytest.fixture(scope="module")
def asking(tmp_path_factory):
    """A pack of long prompts."""
    folder = tmp_path_factory.mktemp("asking")
    store = Store(folder / "beluga_store")
    prompts = ["a " * 15_000 + "b", "a" * 30_000, " ".join("ab" * 5_000), "x"]
    return pack(store, notebook(folder / "a.ipynb", *(record(store, prompt) for prompt in prompts))).path


@pytest.mark.sampled(5)
@pytest.mark.posix
@pytest.mark.parametrize("source", BLANKS.values(), ids=BLANKS)
def test_no_cell_makes_it_hang(source, asking, tmp_path):
    files = with_source(asking, source).items()
    lines, _ = unpacked(zip_of(tmp_path / "b.zip", files, zipfile.ZIP_STORED), tmp_path)
    assert "it takes too long" in lines[0] or "4 recordings" in lines[0]


@pytest.mark.posix
def test_a_zip_of_less_than_a_thousand_bytes_does_not_hang(tmp_path):
    source = "%beluga " + " ".join(["{{a}}"] * 12) + " never" + " " * 500_000
    cells = [{"cell_type": "code", "source": source, "outputs": []}]
    files = {
        "a.ipynb": json.dumps({"nbformat": 4, "cells": cells}),
        "beluga_store/store.json": '{"schema":1}\n',
    }
    file = zip_of(tmp_path / "a.zip", files.items())
    assert file.stat().st_size < 2000
    lines, _ = unpacked(file, tmp_path)
    assert lines[0].endswith("and 0 recordings that it needs")


@pytest.mark.posix
def test_many_records_and_a_long_notebook_are_not_compared_for_hours(packed, tmp_path):
    store = Store(tmp_path / "c" / "beluga_store")
    for number in range(100):
        record(store, f"a {number}")
    paths = {f"beluga_store/records/{path.parent.name}/{path.name}": path for path in store.record_paths()}
    files = with_source(packed, "x" * 60_000_000) | {name: path.read_bytes() for name, path in paths.items()}
    file = zip_of(tmp_path / "b.zip", files.items(), zipfile.ZIP_STORED)
    assert "it takes too long" in refused(file, tmp_path)


JSON_BOMBS = {
    "objects": b'{"nbformat": 4, "cells": [' + b"{}," * 5_000_000 + b"{}]}",
    "lists": b'{"nbformat": 4, "cells": [' + b"[]," * 5_000_000 + b"[]]}",
    "depth": b"[" * 2_000_000,
    "depth of objects": b'{"a":' * 1_000_000,
    "digits": b'{"nbformat": ' + b"9" * 2_000_000 + b"}",
    "blanks": b" " * 3_000_000,
    "a string": b'"' + b"a" * 3_000_000 + b'"',
}


@pytest.mark.sampled(4)
@pytest.mark.posix
@pytest.mark.parametrize("data", JSON_BOMBS.values(), ids=JSON_BOMBS)
def test_no_json_takes_all_of_the_memory_or_the_stack(data, packed, tmp_path):
    files = contents(packed) | {"a.ipynb": data}
    refused(zip_of(tmp_path / "b.zip", files.items(), zipfile.ZIP_STORED), tmp_path)
    [name] = [name for name in list(files) if "/records/" in name][:1]
    files = contents(packed) | {name: data}
    refused(zip_of(tmp_path / "c.zip", files.items(), zipfile.ZIP_STORED), tmp_path)


# --- bombs


@pytest.mark.posix
def test_a_ratio_that_no_picture_has_is_refused(packed, tmp_path):
    files = contents(packed) | {"a.ipynb": b" " * 60_000_000}
    assert "far larger than it looks" in refused(zip_of(tmp_path / "b.zip", files.items()), tmp_path)


@pytest.mark.posix
def test_a_zip_in_a_zip_is_not_opened(packed, tmp_path):
    inner = zip_of(tmp_path / "inner.zip", [("x", b"\0" * 50_000_000)]).read_bytes()
    for name in ("inner.zip", "beluga_store/inner.zip", "b.ipynb/inner.zip"):
        assert "which is not a file of a pack" in refused(
            zip_of(tmp_path / "b.zip", [*contents(packed).items(), (name, inner)]), tmp_path
        )


def entry(name, offset, data, size):
    """An entry of a zip's list."""
    return (
        struct.pack(
            "<4s6H3I5H2I",
            *(
                b"PK\1\2",
                20,
                20,
                0,
                8,
                0,
                33,
                checksum(data),
                len(deflated(data)),
                size,
                len(name),
                0,
                0,
                0,
                0,
                0,
                offset,
            ),
        )
        + name
    )


@cache
def checksum(data):
    return zlib.crc32(data)


@cache
def deflated(data):
    work = zlib.compressobj(9, zlib.DEFLATED, -15)
    return work.compress(data) + work.flush()


def end_of(listed, count, offset):
    return struct.pack(
        "<4s4H2IH", b"PK\5\6", 0, 0, min(count, 0xFFFF), min(count, 0xFFFF), len(listed), offset, 0
    )


@pytest.mark.posix
@pytest.mark.parametrize("count", [2, 5_000, pytest.param(60_000, marks=pytest.mark.whole)])
def test_entries_that_are_the_same_bytes_are_refused(count, tmp_path):
    data = b" " * 1_000_000
    name = b"beluga_store/records/ab/%s.json"
    names = [name % (b"ab" + b"%062x" % number) for number in range(count)]
    head = (b"PK\3\4", 20, 0, 8, 0, 33, checksum(data), len(deflated(data)), len(data))
    local = struct.pack("<4s5H3I2H", *head, len(names[0]), 0)
    body = local + names[0] + deflated(data)
    listed = b"".join(entry(each, 0, data, len(data)) for each in names)
    file = tmp_path / "b.zip"
    file.write_bytes(body + listed + end_of(listed, count, len(body)))
    found = refused(file, tmp_path)
    assert "overlaps" in found or "too large" in found or "damaged (BadZipFile)" in found


@pytest.mark.posix
def test_entries_that_lie_in_one_another_are_refused(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as zipped:
        zipped.writestr("a.ipynb", b"{}")
    outer = zip_of(tmp_path / "b.zip", [("b.ipynb", inner.getvalue())], zipfile.ZIP_STORED)
    data = outer.read_bytes()
    at = data.index(b"a.ipynb") - 30
    with zipfile.ZipFile(inner) as zipped:
        [info] = zipped.infolist()
    listed = data[data.rindex(b"PK\1\2") : data.rindex(b"PK\5\6")]
    own = inner.getvalue()
    second = own[own.index(b"PK\1\2") : own.index(b"PK\5\6")]
    second = second[:42] + struct.pack("<I", at) + second[46:]
    body = data[: data.rindex(listed)]
    assert info.filename == "a.ipynb"
    outer.write_bytes(body + listed + second + end_of(listed + second, 2, len(body)))
    refused(outer, tmp_path)


@pytest.mark.posix
@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 100_000_000])
def test_a_list_that_claims_to_be_huge_is_refused_before_it_is_read(size, packed, tmp_path):
    data = bytearray(packed.read_bytes())
    at = data.rindex(b"PK\5\6")
    data[at + 12 : at + 16] = struct.pack("<I", size)
    file = tmp_path / "b.zip"
    file.write_bytes(data)
    refused(file, tmp_path)


@pytest.mark.posix
def test_a_list_of_a_million_files_is_refused_before_it_is_read(tmp_path):
    listed = entry(b"x.ipynb", 0, b"", 0) * 1_000_000
    long = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 10**6, 10**6, len(listed), 0)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(listed), 1)
    file = tmp_path / "b.zip"
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    file.write_bytes(listed + long + locator + end)
    assert "it lists too many files" in refused(file, tmp_path)


@pytest.mark.posix
def test_more_files_than_a_pack_has_are_refused(tmp_path):
    file = zip_of(
        tmp_path / "b.zip", ((f"{number}.ipynb", b"") for number in range(100_001)), zipfile.ZIP_STORED
    )
    assert "it is too large" in refused(file, tmp_path)


# --- names, and kinds of files

HOSTILE_NAMES = [
    *("/etc/passwd.ipynb", "../a.ipynb", "..\\a.ipynb", "a/../../b.ipynb", "C:\\a.ipynb", "C:a.ipynb"),
    *("//host/a.ipynb", "\\\\host\\a.ipynb", "a.ipynb/", "/", "", ".", "..", "~/a.ipynb"),
    *("a\0.ipynb", "a.ipynb\0", "a\n.ipynb", "\x1b[31m.ipynb", "CON.ipynb:x.ipynb", "a.ipynb::$DATA"),
    *(
        "beluga_store/../a.ipynb",
        "beluga_store/tmp/a",
        "beluga_store/pending/a.json",
        "BELUGA_STORE/store.json",
    ),
    *("beluga_store/records/ab/ab.json", "beluga_store//store.json", "beluga_store/.gitattributes"),
    *("beluga.toml", ".gitattributes", "conftest.py", "a.ipynb.py", "a" * 300 + ".ipynb"),
    "beluga_store/records/ab/" + "cd" + "0" * 62 + ".json",
    "beluga_store/blobs/ab/" + "ab" + "0" * 62 + ".exe",
    "beluga_store/votes/" + "../" * 10 + "0" * 64 + ".jsonl",
]


@pytest.mark.posix
@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_that_no_pack_has_is_refused(name, packed, tmp_path):
    info = zipfile.ZipInfo("x")
    info.filename = name
    file = zip_of(tmp_path / "b.zip", [*contents(packed).items(), (info, b"{}")])
    refused(file, tmp_path, in_process)


SECOND_NAMES = [
    "../b.ipynb",
    "/tmp/b.ipynb",
    "b.ipynb",
    "beluga_store/b.ipynb",
    "A.ipynb",
    "../../b",
    "..",
    "",
]


def with_second_name(name, second):
    """A file of a zip that gives another name in a Unicode Path field, where Python reads it from 3.12 on."""
    info = zipfile.ZipInfo(name)
    found = b"\1" + struct.pack("<L", zlib.crc32(name.encode())) + second.encode()
    info.extra = struct.pack("<HH", 0x7075, len(found)) + found
    return info


@pytest.mark.posix
@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("second", SECOND_NAMES)
def test_a_second_name_in_a_zip_leads_nowhere(second, number, packed, tmp_path):
    files = list(contents(packed).items())
    name, data = files[number]
    file = zip_of(
        tmp_path / "b.zip", [*files[:number], (with_second_name(name, second), data), *files[number + 1 :]]
    )
    before = everything(tmp_path)
    lines, there = in_process(file, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is empty
        with zipfile.ZipFile(file) as zipped:
            is_taken = zipped.infolist()[number].filename != name
    if is_taken:
        assert "a second name" in lines[0]
        assert there == {}
    assert {
        path: each for path, each in everything(tmp_path).items() if not path.startswith("there/")
    } == before


@pytest.mark.posix
@pytest.mark.parametrize("name", ["../b.ipynb", "inner/../../b.ipynb", "link/b.ipynb"])
def test_what_is_written_lies_in_its_folder_whatever_was_checked_before(name, tmp_path):
    folder, outside = tmp_path / "there", tmp_path / "outside"
    (folder / "inner").mkdir(parents=True)
    outside.mkdir()
    (folder / "link").symlink_to(outside)
    with pytest.raises(StoreError, match="cannot be written: it would lie outside"):
        _write_new(folder, name, b"{}")
    assert everything(tmp_path) == {}


TWICE = ["a.ipynb", "A.IPYNB", "beluga_store/store.json"]


@pytest.mark.posix
@pytest.mark.parametrize("name", TWICE)
def test_a_name_that_is_there_twice_capitals_aside_is_refused(name, packed, tmp_path):
    file = zip_of(tmp_path / "b.zip", [*contents(packed).items(), (name, b'{"schema":1}\n')])
    refused(file, tmp_path, in_process)


SPECIAL = [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK]


@pytest.mark.posix
@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_plain_file_is_refused_whatever_its_name(kind, place, packed, tmp_path):
    files = list(contents(packed).items())
    info = zipfile.ZipInfo(files[place][0])
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    files[place] = (info, files[place][1])
    assert "is not a regular file" in refused(zip_of(tmp_path / "b.zip", files), tmp_path, in_process)


def fields(data):
    """Where each number of a zip's list and of its end stands: offset and length."""
    at = data.rindex(b"PK\5\6")
    yield from ((at + 4 + 2 * number, 2) for number in range(4))
    yield from ((at + 12, 4), (at + 16, 4), (at + 20, 2))
    start = data.index(b"PK\1\2")
    yield from ((start + offset, 2) for offset in (4, 6, 8, 10, 28, 30, 32, 34, 36))
    yield from ((start + offset, 4) for offset in (16, 20, 24, 38, 42))


def test_no_number_in_a_zip_makes_it_hang_or_write_half(packed, tmp_path):
    data = packed.read_bytes()
    for (at, length), value in itertools.product(fields(data), (0, 1, 2**15, 2**16 - 1, 2**31, 2**32 - 1)):
        changed = bytearray(data)
        changed[at : at + length] = (value % 256**length).to_bytes(length, "little")
        file = tmp_path / "b.zip"
        file.write_bytes(changed)
        there = tmp_path / "there"
        lines, _ = in_process(file, tmp_path)
        assert not there.exists() or lines[0].endswith("that it needs")
        remove(there)


def remove(folder):
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    if folder.exists():
        folder.rmdir()
