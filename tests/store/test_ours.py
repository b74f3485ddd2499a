"""What may be touched on disk: a folder that carries our mark, and in it what we wrote.

Generators: everything that writes or removes, on every kind of folder that is no store; and on a store in
which foreign files lie in every room, under every kind of name, of any age.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import pytest
from children import environment, printed, started
from conftest import ask, drawing
from stores import notebook, record

from beluga_nb.errors import APIStatusError, BelugaError, StoreError
from beluga_nb.request import Request
from beluga_nb.result import Picture, Preview, Recipe
from beluga_nb.session.session import Session
from beluga_nb.store import files, marks, pending, scores
from beluga_nb.store.forget import choose, forget
from beluga_nb.store.marks import Mark
from beluga_nb.store.pack import pack
from beluga_nb.store.records import Store
from beluga_nb.store.scores import Score
from beluga_nb.store.sheets import sheet
from beluga_nb.store.unpack import unpack
from beluga_nb.store.verify import verify
from beluga_nb.store.votes import Box

FOX = Request(prompt="a fox", model="flux-2.0")
SHA, THEIRS = "ab" * 32, "ef" * 32
LAST_YEAR = time.time() - 365 * 86_400


def picture():
    return ask(drawing, FOX).pictures[0]


def packed(store):
    """A pack, made beside the store's folder."""
    other = Store(store.folder.parent / "packing" / "beluga_store")
    path = store.folder.parent / "packing" / "n.ipynb"
    if not path.exists():
        path.parent.mkdir()
        notebook(path, record(other, "a packed boat"))
        pack(other, path)
    return path.with_suffix(".zip")


def session(store):
    return Session(environ={}, folder=store.folder.parent, store=store.folder, notify=lambda _: None)


WRITERS = {
    "a picture": lambda store: store.write(picture(), Preview(b"small", "image/jpeg"), provider="wire"),
    "a refusal": lambda store: store.write_refusal(FOX, APIStatusError("no"), provider="wire", created=1),
    "bytes": lambda store: store.keep(b"half a picture"),
    "a sheet": lambda store: sheet(
        store, [Preview(b"a", "image/jpeg")], lambda: Preview(b"b", "image/jpeg"), writing=True
    ),
    "a call": lambda store: pending.begin(store, FOX.as_call(), provider="wire"),
    "a vote": lambda store: Box(store).cast(left=SHA, right="cd" * 32, answer="left"),
    "a score": lambda store: scores.write(store, Score(image=SHA, metric="m", version="1", value=1)),
    "a mark": lambda store: marks.write(store, Mark(picture=SHA, favourite=True)),
    "no mark": lambda store: marks.write(store, Mark(picture=SHA)),
    "a pack": lambda store: unpack(packed(store), store, into=store.folder.parent / "into"),
    "generate": lambda store: session(store).generate("a fox", model="flux-2.0", size="1:1"),
    "refresh": lambda store: session(store).generate("a fox", model="flux-2.0", mode="refresh"),
    "grid": lambda store: session(store).grid("a {{x}}", x=["fox"], model="flux-2.0").run(),
    "forget all": lambda store: forget(store, choose(store, everything=True)),
    "forget a prompt": lambda store: forget(store, choose(store, prompt="thesis")),
    "session.store.forget": lambda store: session(store).store.forget(everything=True, assume_yes=True),
}
"""Everything that writes or removes, by what it is about."""

FOREIGN = {
    "a file": {"thesis.docx": b"three years of work"},
    "a hidden file": {".env": b"SECRET=1"},
    "old temporary files": {"tmp/thesis": b"x", "tmp/tmpabcd1234": b"x", "tmp/a.part": b"x"},
    "rooms of our names": {
        "blobs/2024/holiday.png": b"x",
        "records/patients/0001.json": b"{}",
        "pending/tasks.json": b"{}",
        "marks/maths/anna.json": b"{}",
        "votes/council.jsonl": b"{}\n",
        "sheets/a/b.json": b"{}",
        "scores/a/b.json": b"{}",
        "verdicts/a/b.json": b"{}",
    },
    "another's store.json": {"store.json": b'{"users": []}', "tmp/x": b"x"},
    "a list": {"store.json": b"[1]"},
    "a format in words": {"store.json": b'{"schema": "1"}'},
    "no format": {"store.json": b'{"schema": true}'},
    "a program's format": {"store.json": b'{"schema": 1, "users": []}', "x": b"x"},
    "format 0": {"store.json": b'{"schema": 0}', "x": b"x"},
    "format -1": {"store.json": b'{"schema": -1}', "x": b"x"},
    "an empty mark": {"store.json": b""},
    "a mark that is no text": {"store.json": b"\xff\xfe"},
    "a deep mark": {"store.json": b"[" * 4000},
    "a huge mark": {"store.json": b'{"schema": 1' + b" " * 5000 + b"}"},
    "a mark elsewhere": {"deep/store.json": b'{"schema":1}', "x": b"x"},
    "our temporary name on a folder": {f"beluga-{'0' * 32}.part2/x": b"x"},
}
"""Folders that are no store."""


def fill(folder, contents):
    for name, data in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (LAST_YEAR, LAST_YEAR))


def state(folder):
    """Everything of a folder: names, modes, times of files, bytes."""
    return {
        path.relative_to(folder).as_posix(): (
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() else b"",
            path.lstat().st_mtime if path.is_file() else 0,
        )
        for path in [folder, *folder.rglob("*")]
    }


@pytest.mark.posix
@pytest.mark.parametrize("what", WRITERS)
@pytest.mark.parametrize("found", FOREIGN)
def test_a_folder_that_is_no_store_is_refused_and_stays_as_it_is(tmp_path, found, what):
    store = Store(tmp_path / "folder")
    fill(store.folder, FOREIGN[found])
    store.folder.chmod(0o777)
    before = state(store.folder)
    if what == "a sheet":  # it is not worth an error
        WRITERS[what](store)
    else:
        with pytest.raises((StoreError, files.NotAStoreError)) as failed:
            WRITERS[what](store)
        assert "it holds files and no store.json, so beluga_nb has not made it" in str(failed.value)
        assert what == "bytes" or failed.value.hint.startswith("Set BELUGA_STORE to an empty or a new folder")
    assert state(store.folder) == before


@pytest.mark.parametrize("what", [name for name in WRITERS if "forget" not in name and name != "no mark"])
@pytest.mark.parametrize("found", ["missing", "empty", "a crash"])
def test_an_empty_or_missing_folder_becomes_a_store(tmp_path, found, what):
    store = Store(tmp_path / "folder")
    if found != "missing":
        store.folder.mkdir()
    if found == "a crash":  # of whoever was about to write the mark
        fill(store.folder, {f"beluga-{'1' * 32}.part": b'{"sch'})
    WRITERS[what](store)
    assert json.loads((store.folder / "store.json").read_bytes()) == {"schema": 1}
    WRITERS[what](store)
    if what != "bytes":
        assert not list(store.folder.glob("*.part")), "it is older than an hour"


def test_a_store_of_a_newer_format_is_not_written(tmp_path):
    store = Store(tmp_path / "folder")
    fill(store.folder, {"store.json": b'{"schema": 2}'})
    before = state(store.folder)
    with pytest.raises(StoreError, match="it has format 2, and this version writes 1"):
        WRITERS["a picture"](store)
    assert state(store.folder) == before


def test_recordings_whose_mark_is_lost_replay_and_nothing_is_written_or_removed_there(tmp_path):
    store = Store(tmp_path / "folder")
    result = record(store, n=2)
    (store.folder / "store.json").unlink()
    before = state(store.folder)
    for sample, each in enumerate(result.pictures):
        assert store.read(FOX.slice(sample), provider="wire").data == each.data
    for what in ("a picture", "a call", "a vote", "generate", "forget all"):
        with pytest.raises(StoreError) as failed:
            WRITERS[what](Store(store.folder)) if what != "a picture" else store.put(
                [(b"x", "image/png")], {}
            )
        assert str(failed.value) == (
            "The folder folder is not a store: it holds files and no store.json, so "
            "beluga_nb has not made it. Nothing was written or removed there.\n"
            "Set BELUGA_STORE to an empty or a new folder, or bring store.json back (git checkout)."
        )
    assert state(store.folder) == before


# --- a store in which other files lie

NAMES = [
    "thesis",
    "thesis.docx",
    "tmpabcd1234",
    "tmp_x8f3k2a.part",
    "beluga-.part",
    f"beluga-{'0' * 31}.part",
    f"beluga-{'g' * 32}.part",
    f"beluga-{'0' * 32}.part.txt",
    f"beluga-{'A' * 32}.part",
    "a.json",
    f"{THEIRS}.json",
    f"{THEIRS.upper()}.json",
    f"{THEIRS}.png",
    f"{THEIRS}.png.forgotten",
    f"{THEIRS}.txt",
    THEIRS,
    "x.png",
    "x.png.forgotten",
    "2026-11-24.jsonl",
    "ef.idx",
    ".hidden",
]
CONTENTS = {
    "words": b"three years of work",
    "nothing": b"",
    "JSON": b'{"patient": 1, "prompt": "thesis"}',
    "a list": b'["thesis"]',
    "their votes": b'{"who": "anna", "for": "thesis"}\n',
}
ROOMS = ["", "tmp", "records", "records/ef", "blobs", "blobs/ef", "sheets/ef", "scores/ef", "marks/ef"]
ROOMS += ["verdicts/ef", "pending", "votes", "votes/ef", "other", "tmp/deep", "index"]


@pytest.mark.parametrize("content", CONTENTS)
def test_what_others_have_put_into_a_store_survives_all_that_writes_and_removes(tmp_path, content):
    store = Store(tmp_path / "folder")
    record(store, n=2)
    foreign = {f"{room}/{name}".lstrip("/"): CONTENTS[content] for room, name in product(ROOMS, NAMES)}
    fill(store.folder, foreign)
    assert len(foreign) == 336
    before = {name: each for name, each in state(store.folder).items() if name in foreign}
    for what, work in WRITERS.items():
        work(store)
        after = state(store.folder)
        assert {name: after.get(name) for name in foreign} == before, what
    rooms = {
        "records",
        "marks",
        "scores",
        "votes",
    }  # bytes that are a minute young, and calls under way, stay
    ours = [name for name in after if name not in foreign and (store.folder / name).is_file()]
    assert [name for name in ours if name.partition("/")[0] in rooms] == []


def test_bytes_that_a_record_names_go_with_it_though_they_are_damaged_and_no_others(tmp_path):
    store = Store(tmp_path / "folder")
    record(store, "a thesis")
    [path] = store.folder.glob("blobs/*/*.png")
    path.write_bytes(path.read_bytes()[:-9])
    other = path.with_suffix(".webp")
    other.write_bytes(b"not these bytes")
    forget(store, choose(store, prompt="thesis"))
    assert not path.exists()
    assert other.read_bytes() == b"not these bytes"


def good(path):
    return path.read_bytes()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:"
ASIDE = {
    "another file": lambda data: b"my own notes" * bool(data),
    "nothing": lambda data: data[:0],
    "half of the bytes": lambda data: data[:-9],
    "more than the bytes": lambda data: data + b"x",
    "a pointer to others": lambda data: POINTER + b"0" * 64 + data[:0],
    "a link to a file": "outside",
    "a link to nothing": "nowhere",
    "a link to the bytes": "blob",
    "a folder": "folder",
}
NAMED_ASIDE = ["{0}.forgotten", "{1}.my-notes.txt.forgotten", "{1}.forgotten", "{0}.forgotten.forgotten"]


@pytest.mark.posix
@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.parametrize("name", NAMED_ASIDE)
@pytest.mark.parametrize("what", ASIDE)
@pytest.mark.parametrize("prompt", ["a fox", "a thesis"])
def test_nothing_of_others_is_taken_for_bytes_that_are_set_aside(tmp_path, prompt, what, name, is_old):
    """A name that ends as those do, beside bytes that are forgotten and beside those that stay."""
    store = Store(tmp_path / "folder")
    for each in ("a fox", "a thesis"):
        record(store, each)
    [blob] = [store.blob_path(row.entry.image) for row in store.index.table().rows if row.prompt == prompt]
    (tmp_path / "outside").write_bytes(b"elsewhere")
    aside = blob.with_name(name.format(blob.name, blob.stem))
    if callable(ASIDE[what]):
        aside.write_bytes(ASIDE[what](good(blob)))
    elif what == "a folder":
        aside.mkdir()
    else:
        aside.symlink_to(
            {"outside": tmp_path / "outside", "blob": blob}.get(ASIDE[what], tmp_path / "nowhere")
        )
    if is_old:
        os.utime(aside, (LAST_YEAR, LAST_YEAR), follow_symlinks=False)
    found = (aside.lstat().st_mode, aside.lstat().st_ino, aside.is_file() and good(aside))
    if what == "a link to the bytes" and prompt == "a thesis":
        found = (*found[:2], False)  # the bytes go
    forget(store, choose(store, prompt="thesis"))
    assert (aside.lstat().st_mode, aside.lstat().st_ino, aside.is_file() and good(aside)) == found
    assert verify(store).problems == ()
    assert blob.exists() == (prompt == "a fox")
    assert not blob.is_symlink()
    assert good(tmp_path / "outside") == b"elsewhere"


@pytest.mark.parametrize("there", ["nothing", "the same", "half of them", "another file"])
def test_bytes_of_ours_that_were_left_aside_come_back_unless_something_is_there(tmp_path, there):
    store = Store(tmp_path / "folder")
    record(store, "a fox")
    [row] = store.index.table().rows
    blob = store.blob_path(row.entry.image)
    record(store, "a thesis")
    data = good(blob)
    aside = blob.rename(blob.with_name(f"{blob.name}.forgotten"))
    os.utime(aside, (LAST_YEAR, LAST_YEAR))
    found = {"the same": data, "half of them": data[:-9], "another file": b"mine"}.get(there)
    if found:
        blob.write_bytes(found)
    forget(store, choose(store, prompt="thesis"))
    assert good(blob) == (found or data)
    assert aside.exists() == (there in {"half of them", "another file"})


@pytest.mark.posix
@pytest.mark.parametrize("age", [0, 59, 3500, -3600, 3700, 10**6])
@pytest.mark.parametrize("kind", ["file", "folder", "link", "pipe"])
def test_only_our_own_temporary_files_are_swept_and_only_when_an_hour_old(tmp_path, age, kind):
    store = Store(tmp_path / "folder")
    record(store)
    part = store.folder / "tmp" / f"beluga-{'0' * 32}.part"
    (tmp_path / "elsewhere").write_text("x")
    {
        "file": part.touch,
        "folder": part.mkdir,
        "link": lambda: part.symlink_to(tmp_path / "elsewhere"),
        "pipe": lambda: os.mkfifo(part),
    }[kind]()
    os.utime(part, (time.time() - age,) * 2, follow_symlinks=False)
    files.sweep(store.folder)
    assert os.path.lexists(part) == (kind != "file" or age < 3600)
    assert (tmp_path / "elsewhere").read_text() == "x"


@pytest.mark.posix
@pytest.mark.parametrize("room", ["records", "blobs", "sheets", "scores", "marks", "votes", "pending", "tmp"])
@pytest.mark.parametrize("deep", [False, True])
def test_forgetting_and_sweeping_follow_no_link_out_of_a_store(tmp_path, room, deep):
    store, outside = Store(tmp_path / "folder"), tmp_path / "outside"
    notebook(tmp_path / "n.ipynb", record(store, "a thesis", n=2))
    sha = picture().sha256
    for what in ("a vote", "a score", "a mark", "a call"):
        WRITERS[what](store)
    marks.write(store, Mark(picture=sha, note="thesis"))
    part = store.folder / "tmp" / f"beluga-{'0' * 32}.part"
    fill(store.folder, {str(part): b"thesis"})
    outside.mkdir()
    inner = [path for path in (store.folder / room).iterdir() if path.is_dir()]
    for number, path in enumerate(inner if deep else [store.folder / room]):
        path.rename(outside / str(number))
        path.symlink_to(outside / str(number))
    before = state(outside)
    for work in (WRITERS["forget a prompt"], WRITERS["forget all"], lambda store: files.sweep(store.folder)):
        try:
            work(store)
        except (BelugaError, OSError) as error:
            assert "a link leads out of the store" in str(error)  # noqa: PT017  not each of them meets one
        assert state(outside) == before


# --- many at once, and a folder that is closed

MAKING = """
import sys
from pathlib import Path
from beluga_nb.store.records import Store
sys.stdin.readline()
for number in range(40):
    Store(Path(sys.argv[1]) / str(number)).put([(sys.argv[2].encode(), "image/png")], {})
"""


def test_kernels_that_make_the_same_store_at_once_all_succeed(tmp_path):
    running = [
        subprocess.Popen(
            [sys.executable, "-c", MAKING, str(tmp_path), str(number)],
            env=environment(),
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(6)
    ]
    for child in running:
        child.stdin.write("go\n")
        child.stdin.flush()
    assert [child.communicate(timeout=120)[1] for child in running] == [""] * 6
    for number in range(40):
        assert len(list((tmp_path / str(number)).glob("blobs/*/*.png"))) == 6
        assert not list((tmp_path / str(number)).glob("*.part"))


@pytest.fixture
def public():
    """A folder that anyone may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


CLOSED = """
# Later, Python's own files may be out of reach: of names in zips, of the versions that `status` shows, and of
# what a ranking counts with.
import encodings.cp437, importlib.metadata._adapters, statistics
import os, sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[3])))
import test_ours
from stores import notebook, record
from beluga_nb.errors import BelugaError
from beluga_nb.session.session import Session
from beluga_nb.store.records import Store

here, closed = Path(sys.argv[1]), sys.argv[2]
store = Store(here / "beluga_store")
shown = record(store, n=2, provider="local")
notebook(here / "n.ipynb", shown)
test_ours.packed(store)
for what in ("a vote", "a score", "a mark", "a call"):
    test_ours.WRITERS[what](store)
def session():
    return Session(environ={}, folder=here, notify=lambda words: None)

name = session().store.history().runs[0].name
session().generate("warm up", mode="off", size="1:1")
session().store.verify(here / "n.ipynb")
paths = {"the store": [store.folder]}
paths["its rooms"] = [path for path in store.folder.iterdir() if path.is_dir()]
paths["their folders"] = [path for path in store.folder.glob("*/*") if path.is_dir()]
paths["its files"] = [path for path in store.folder.rglob("*") if path.is_file()]
for path in paths[closed]:
    path.chmod(0)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)

asked = dict(prompt="a fox", model="flux-2.0")
CALLS = {
    **{
        what: lambda what=what: test_ours.WRITERS[what](store)
        for what in test_ours.WRITERS
        if what != "bytes"  # which is for `Recorded`, and raises OSError
    },
    "auto": lambda: session().generate(**asked),
    "replay": lambda: session().generate(**asked, mode="replay"),
    "plan": lambda: session().plan(**asked),
    "off": lambda: session().generate(**asked, mode="off"),
    "history": lambda: repr(session().store.history()._repr_mimebundle_()),
    "recall": lambda: session().store.recall(name)._repr_mimebundle_(),
    "last": lambda: session().last(),
    "verify": lambda: str(session().store.verify()),
    "verify n": lambda: str(session().store.verify(here / "n.ipynb")),
    "status": lambda: session().status(),
    "pack": lambda: session().store.pack(here / "n.ipynb", to=here / "packed.zip"),
    "link": lambda: shown._repr_mimebundle_(),
    "marks": lambda: session().store.marks(),
    "a grid": lambda: session().grid("a {{x}}", x=["fox"], model="flux-2.0", n=2).run(),
    "ranking": lambda: session().gallery(shown).ranking(),
    "choose": lambda: session().store.forget(prompt="fox", assume_yes=True),
    "one": lambda: session().store.forget(name, assume_yes=True),
}
for call, work in CALLS.items():
    try:
        work()
        print(call, "went well")
    except BelugaError as error:
        print(call, type(error).__name__, len(error.lines()))
    except Exception as error:
        print(call, "RAW", type(error).__name__, error)
"""


@pytest.mark.sampled(2)
@pytest.mark.posix
@pytest.mark.parametrize("closed", ["the store", "its rooms", "their folders", "its files"])
def test_a_store_that_cannot_be_read_is_two_lines_and_never_raw(public, closed):
    if os.geteuid() != 0:
        pytest.skip("only root can become someone else, and an owner can open the store")
    child = started(CLOSED, public, closed, Path(__file__).parent)
    lines = printed(child)
    assert len(lines) >= 30
    assert [line for line in lines if " RAW " in line] == []
    assert [line for line in lines if not line.endswith((" 2", "went well"))] == []
    assert not [line for line in lines if line.startswith(("auto went", "replay went"))], "nothing is bought"


@pytest.mark.posix
def test_a_class_reads_the_recordings_of_its_teacher(public):
    if os.geteuid() != 0:
        pytest.skip("only root can become someone else")
    code = """
import os, sys
from pathlib import Path
from stores import record
from beluga_nb.session.session import Session
from beluga_nb.store.records import Store
here = Path(sys.argv[1])
os.umask(0o022)
shown = record(Store(here / "beluga_store"), n=2, provider="local")
def session():
    return Session(environ={}, folder=here, notify=print)
session().generate("warm up", mode="off", size="1:1")
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
assert session().generate("a fox", model="flux-2.0", n=2, mode="replay") == shown
assert len(session().store.history().runs) == 1
assert session().store.verify()[0].fine
print("read")
"""
    assert printed(started(code, public)) == ["read"]


def test_a_recorded_picture_is_the_same_picture(tmp_path):
    """That the fixtures above are real: what is written here is read again."""
    store = Store(tmp_path / "folder")
    WRITERS["a picture"](store)
    found = store.read(FOX, provider="wire")
    assert isinstance(found, Picture)
    assert isinstance(found.recipe, Recipe)
    assert verify(store).problems == ()


@pytest.mark.posix
@pytest.mark.parametrize("what", ["generate", "a picture", "forget all", "a vote"])
def test_a_mark_that_a_link_borrows_from_another_store_is_no_mark(tmp_path, what):
    other, store = Store(tmp_path / "other"), Store(tmp_path / "folder")
    record(other)
    fill(store.folder, {f"records/ab/{'ab' * 32}.json": b'{"image": null}', "thesis": b"x"})
    (store.folder / "store.json").symlink_to(other.folder / "store.json")
    before = state(store.folder)
    with pytest.raises(StoreError, match="is not a store"):
        WRITERS[what](store)
    assert state(store.folder) == before
