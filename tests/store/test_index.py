"""Whatever happens to the index or to the records: what is said is what the records say."""

import hashlib
import json
import os
import pickle
import shutil
import time
from dataclasses import replace

import pytest
from children import printed, started
from conftest import ask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from stores import MONDAY, SENTINEL, everything, mentions

from beluga_nb.engines.unrecorded import Unrecorded
from beluga_nb.errors import APIStatusError, NotRecordedError, RequestError
from beluga_nb.request import Request
from beluga_nb.result import Picture, Preview, Recipe
from beluga_nb.session.session import Session
from beluga_nb.store import index as indexing
from beluga_nb.store import marks, pending
from beluga_nb.store.collection import Collection
from beluga_nb.store.forget import choose, forget
from beluga_nb.store.format import RECORDS
from beluga_nb.store.index import Index, Row, row_of
from beluga_nb.store.nearest import nearest_recording
from beluga_nb.store.records import Store
from beluga_nb.store.runs import find, history, runs
from beluga_nb.store.verify import verify

CALL = "3f2a9c1e-2222-4000-8000-000000000000"

DECLINED = APIStatusError("The prompt “zebra” was declined.", status=400, code="moderation_blocked")


def later():
    """A clock by which no file has changed just now."""
    return time.time() + 3600


def opened(folder, *, writing=True):
    """A store as a new process opens it, by a clock by which every file is old."""
    store = Store(folder, indexing=writing)
    store.__dict__["index"] = Index(store, clock=later)
    return store


@pytest.fixture
def small(monkeypatch):
    """Few records are many."""
    monkeypatch.setattr(indexing, "WRITTEN_FROM", 1)


@pytest.fixture
def store(tmp_path, small):
    return opened(tmp_path / "store")


def record(store, prompt="a fox", *, revised=None, created=MONDAY, provider="wire", **options):
    request = Request(**{"prompt": prompt, "model": "flux-2.0"} | options)
    recipe = Recipe(request=request, engine="wire", created=created, revised_prompt=revised)
    picture = Picture(b"a picture", "image/png", recipe)
    picture.__dict__["size"] = (1, 1)
    store.write(picture, Preview(b"small", "image/jpeg"), provider=provider)
    return store.record_path(store.entry(request, provider=provider).key)


def listed(scanned):
    """What a scan says, in a form that can be compared."""
    return [
        (path, value.reason if isinstance(value, Exception) else comparable(value))
        for path, value, _ in scanned
    ]


def comparable(entry):
    words = vars(entry.refusal) | {"retried": None} if entry.refusal else None
    return replace(entry, refusal=None), entry.recipe.created, words


def of_rows(store):
    return [(path, row.unusable or comparable(row.entry)) for path, row in store.index.table().scan(store)]


def check(store):
    """The table says what the files say."""
    assert of_rows(store) == listed(RECORDS.scan(store))


def index_files(store):
    return sorted(store.folder.glob("index/*.idx"))


# --- a row holds a record


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"prompt": "“quoted”\n\\ \t \N{FOX FACE}", "size": "16:9", "quality": "hd", "take": "x", "sample": 7},
        {"output_format": "jpeg", "output_compression": 0, "revised": "a Große fox", "created": 0},
        {"provider": "lab", "created": 2**70},
    ],
)
def test_a_row_gives_back_the_entry_that_it_was_made_of(store, value):
    path = record(store, **value)
    entry = RECORDS.decode(path.read_bytes())
    row = row_of(path.name, path.read_bytes(), entry)
    again = Row(*json.loads(json.dumps(row)))
    assert comparable(again.entry) == comparable(entry)
    assert (again.key, again.request, again.blobs) == (entry.key, entry.request, entry.blobs)


def test_a_refusal_comes_back_from_a_row_word_for_word(store):
    store.write_refusal(Request(prompt="a zebra", model="m"), DECLINED, provider="wire", created=MONDAY)
    check(store)
    [run] = runs(opened(store.folder))
    assert run.note == "refused: The prompt “zebra” was declined."


@pytest.mark.parametrize("name", ["provider", "engine", "revised_prompt"])
@pytest.mark.parametrize("value", ["5", "[]", '{"a": 1}', "true"])
def test_a_record_whose_words_are_no_text_is_damaged(store, name, value):
    path = record(store, revised="words")
    text = json.loads(path.read_bytes())
    (text if name in text else text["response"])[name] = json.loads(value)
    path.write_text(json.dumps(text))
    assert runs(store) == []
    check(store)


# --- what is written, and by whom


def test_a_store_that_indexes_writes_one_file_for_each_folder_of_records_and_git_sees_none(store):
    paths = {record(store, f"fox {number}").parent.name for number in range(5)}
    store.index.table()
    assert {path.stem for path in index_files(store)} == paths
    assert (store.folder / "index" / ".gitignore").read_text() == "*\n"
    assert list(store.folder.glob("tmp/*")) == []
    assert verify(store).problems == verify(store).unnamed == ()


def test_a_store_that_does_not_index_writes_nothing_and_reads_what_is_there(store):
    record(store)
    reader = opened(store.folder, writing=False)
    before = everything(store.folder)
    check(reader)
    assert everything(store.folder) == before
    store.index.table()
    before = everything(store.folder)
    check(opened(store.folder, writing=False))
    assert everything(store.folder) == before


def test_few_records_have_no_index(tmp_path):
    store = opened(tmp_path / "store")
    record(store)
    check(store)
    assert not (store.folder / "index").exists()


def test_an_index_of_records_that_became_few_goes(store, monkeypatch):
    record(store)
    store.index.table()
    monkeypatch.setattr(indexing, "WRITTEN_FROM", 2)
    opened(store.folder).index.table()
    assert index_files(store) == []


@pytest.mark.posix
def test_a_folder_that_is_no_store_or_is_anothers_gets_no_index(store, monkeypatch):
    record(store)
    (store.folder / "store.json").unlink()
    check(store)
    assert not (store.folder / "index").exists()
    (store.folder / "store.json").write_text('{"schema":1}\n')
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    check(store)
    assert not (store.folder / "index").exists()


def test_a_folder_that_cannot_be_written_is_read_all_the_same(store):
    record(store)
    (store.folder / "index").write_text("a file in its place")
    check(store)
    assert runs(store)[0].prompt == "a fox"


@pytest.mark.parametrize(
    ("mode", "written"), [("auto", True), ("refresh", True), ("replay", False), ("off", False)]
)
def test_a_session_writes_the_index_of_its_own_store_in_the_modes_that_record(tmp_path, small, mode, written):
    store = Store(tmp_path / "beluga_store")
    record(store)
    session = Session(environ={}, folder=tmp_path, mode=mode)
    assert session.store.open() is session.store.open()
    session.store.open().index.clock = later
    for _ in range(2):
        assert [run.prompt for run in session.store.history().runs] == ["a fox"]
    session.store.verify()
    assert bool(index_files(store)) is written


def test_a_session_writes_no_index_into_the_folder_of_another_notebook(tmp_path, small):
    other = Store(tmp_path / "there" / "beluga_store")
    record(other)
    (tmp_path / "there" / "n.ipynb").write_text('{"nbformat": 4, "cells": []}')
    session = Session(environ={}, folder=tmp_path)
    session.store.verify(tmp_path / "there" / "n.ipynb")
    session.store.pack(tmp_path / "there" / "n.ipynb")
    assert not (other.folder / "index").exists()


# --- what is read anew


def test_what_has_not_changed_is_not_read_again(store, monkeypatch):
    for number in range(4):
        record(store, f"fox {number}")
    table = store.index.table()
    monkeypatch.setattr(Collection, "load", None)
    assert store.index.table() is table
    assert len(opened(store.folder).index.table().rows) == 4


def test_only_what_has_changed_is_read_again(store, monkeypatch):
    paths = [record(store, f"fox {number}") for number in range(6)]
    store.index.table()
    paths[2].write_bytes(paths[2].read_bytes()[:-3])
    new = record(store, "a new one")
    read, load = [], Collection.load

    def seen(self, path, store):
        read.append(path)
        return load(self, path, store)

    monkeypatch.setattr(Collection, "load", seen)
    check_with = of_rows(store)
    assert sorted(read) == sorted([paths[2], new])
    monkeypatch.undo()
    assert check_with == listed(RECORDS.scan(store))


def test_what_has_changed_just_now_may_change_again_within_its_time_and_is_read_again(tmp_path, small):
    store = Store(tmp_path / "store", indexing=True)  # by the true clock
    path = record(store)
    check(store)
    state = path.stat()
    path.write_bytes(path.read_bytes().replace(b"a fox", b"a cat"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    check(store)
    assert index_files(store) == []


def test_an_edit_of_the_same_size_and_time_is_seen(store):
    path = record(store)
    store.index.table()
    state = path.stat()
    time.sleep(0.02)
    path.write_bytes(path.read_bytes().replace(b'"created": 1', b'"created": 2'))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    for each in (store, opened(store.folder)):
        check(each)
        assert runs(each)[0].created != MONDAY


def test_a_clock_that_goes_back_makes_nothing_stale(store):
    path = record(store)
    store.index.table()
    store.index.clock = lambda: 1_000_000_000.0
    path.write_bytes(path.read_bytes().replace(b'"created": 1', b'"created": 3'))
    os.utime(path, ns=(0, 0))
    check(store)
    store.index.clock = later
    check(store)


@pytest.mark.posix
def test_records_behind_a_link_are_never_known_without_looking(store, tmp_path):
    path = record(store)
    store.index.table()
    path.parent.rename(tmp_path / "elsewhere")
    path.parent.symlink_to(tmp_path / "elsewhere")
    for each in (store, opened(store.folder)):
        check(each)
        assert runs(each) == []


@pytest.mark.posix
def test_a_record_that_is_itself_a_link_out_of_the_store_is_not_read(store, tmp_path):
    path = record(store)
    path.rename(tmp_path / "outside.json")
    path.symlink_to(tmp_path / "outside.json")
    check(store)
    assert [row.unusable for row in store.index.table().parts[path.parent.name].rows.values()] == [
        "a link leads out of the store"
    ]


@pytest.mark.posix
def test_a_link_within_the_store_is_followed_each_time(store):
    path = record(store)
    target = store.folder / "aside.json"
    path.rename(target)
    path.symlink_to(target)
    check(store)
    assert len(runs(store)) == 1
    target.write_text("damaged")
    check(store)


def test_what_cannot_be_read_is_in_no_index_since_another_version_may_read_it(store):
    path = record(store)
    path.write_bytes(path.read_bytes().replace(b'"schema": 1', b'"schema": 2'))
    other = record(store, "a wolf")
    check(store)
    assert [each.stem for each in index_files(store)] == [other.parent.name]
    assert path.name.encode() not in index_files(store)[0].read_bytes()


def test_an_index_that_is_deleted_while_a_kernel_runs_is_written_again(store):
    path = indexed(store)
    path.unlink()
    check(store)
    assert path.exists()
    shutil.rmtree(path.parent)
    check(store)
    assert path.exists()
    assert (path.parent / ".gitignore").exists()


# --- every position of damage


def indexed(store):
    """A store with an index of two records in one folder; return that index file."""
    record(store, "a fox", revised="a red fox")
    path = record(store, "a wolf")
    store.index.table()
    return store.folder / "index" / f"{path.parent.name}.idx"


POSITIONS = {  # of a byte, as parts of what is written
    "head": lambda _: 0,
    "format": lambda data: data.index(b"index ") + 6,
    "fields": lambda data: data.index(b"prompt"),
    "checksum": lambda data: data.index(b"\n") - 1,
    "newline": lambda data: data.index(b"\n"),
    "bracket": lambda data: data.index(b"\n") + 1,
    "signature": lambda data: data.index(b"\n") + 5,
    "name": lambda data: data.index(b".json") - 9,
    "digest": lambda data: data.index(b".json") + 20,
    "prompt": lambda data: data.index(b"a wolf"),
    "end": lambda data: len(data) - 1,
}


@pytest.mark.parametrize("how", ["flip", "cut", "insert", "zero"])
@pytest.mark.parametrize("where", POSITIONS)
def test_an_index_that_is_damaged_anywhere_is_as_good_as_none_and_is_replaced(store, where, how):
    path = indexed(store)
    data = path.read_bytes()
    at = POSITIONS[where](data)
    byte = data[at : at + 1]
    damaged = {
        "flip": data[:at] + bytes([byte[0] ^ 1]) + data[at + 1 :],
        "cut": data[:at],
        "insert": data[:at] + b"7" + data[at:],
        "zero": data[:at] + bytes(len(data) - at),
    }[how]
    path.write_bytes(damaged)
    check(opened(store.folder, writing=False))
    assert path.read_bytes() == damaged
    check(opened(store.folder))
    assert path.read_bytes() == data


def sealed(body, head=None):
    """An index file as somebody may write it, with the right checksum."""
    head = head or indexing._HEAD
    return f"{head} {hashlib.sha256(body).hexdigest()}\n".encode() + body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"1",
        b"null",
        b"[[]]",
        b"[" * 100_000,
        b"[[1],[2]]",
        b'["ab","cd"]',
        b"\xff",
        b"[[],[[]]]",
    ],
    ids=lambda body: str(body[:12]),
)
def test_an_index_that_is_no_index_and_has_a_right_checksum_is_as_good_as_none(store, body):
    path = indexed(store)
    path.write_bytes(sealed(body))
    check(opened(store.folder))


def test_an_index_of_another_version_is_not_read_and_is_replaced(store):
    path = indexed(store)
    data = path.read_bytes()
    body = data.partition(b"\n")[2].replace(b"a wolf", b"a lamb")
    path.write_bytes(sealed(body, indexing._HEAD.replace(f"index {indexing.FORMAT}", "index 999")))
    check(opened(store.folder))
    assert path.read_bytes() == data


def test_an_index_of_another_folder_is_not_believed(store, tmp_path):
    indexed(store)
    copy = tmp_path / "copy"
    shutil.copytree(store.folder, copy)
    for path in copy.glob("records/*/*"):
        path.write_bytes(path.read_bytes().replace(b'"created": 1', b'"created": 2'))
    check(opened(copy))
    swapped = index_files(store)
    swapped[0].write_bytes(swapped[-1].read_bytes())
    check(opened(store.folder))


@pytest.mark.parametrize("what", ["directory", "link", "fifo", "unreadable"])
@pytest.mark.posix
def test_what_stands_in_the_place_of_an_index_is_not_read(store, tmp_path, what):
    path = indexed(store)
    path.unlink()
    if what == "directory":
        path.mkdir()
    elif what == "link":
        path.symlink_to("/dev/zero")
    elif what == "fifo":
        os.mkfifo(path)
    else:
        path.write_bytes(b"")
        path.chmod(0)
    check(opened(store.folder, writing=False))
    check(opened(store.folder))


# --- forgetting


@pytest.mark.parametrize("writing", [True, False])
def test_an_index_never_keeps_what_was_forgotten(store, writing):
    record(store, f"a {SENTINEL}")
    record(store, "another", revised=f"as {SENTINEL} was")
    record(store, "a third")
    store.index.table()
    assert [name for name in mentions(store.folder, SENTINEL) if name.startswith("index/")]
    other = opened(store.folder, writing=writing)
    forget(other, choose(other, prompt=SENTINEL))
    assert mentions(store.folder, SENTINEL) == []
    for each in (store, other, opened(store.folder)):
        assert [run.prompt for run in runs(each)] == ["a third"]
    assert mentions(store.folder, SENTINEL) == []


def test_an_index_that_is_stale_or_damaged_does_not_keep_it_either(store):
    path = record(store, f"a {SENTINEL}")
    record(store, "another")
    store.index.table()
    stale = store.folder / "index" / f"{path.parent.name}.idx"
    unused = [name for name in ("00", "01", "02", "03") if not (store.folder / "records" / name).exists()]
    stale.rename(stale.with_name(f"{unused[0]}.idx"))
    stale.with_name(f"{unused[1]}.idx").write_bytes(b"beluga_nb index 1 damaged " + SENTINEL.encode())
    reader = opened(store.folder, writing=False)
    forget(reader, choose(reader, prompt=SENTINEL))
    assert mentions(store.folder, SENTINEL) == []


def test_what_is_forgotten_while_another_kernel_writes_its_index_does_not_come_back(store, monkeypatch):
    record(store, f"a {SENTINEL}")
    record(store, "another")
    write = indexing.files.write

    def raced(path, data, **options):
        if path.suffix == ".idx" and Store(store.folder).record_paths():
            monkeypatch.setattr(indexing.files, "write", write)
            other = opened(store.folder, writing=False)
            forget(other, choose(other, prompt=SENTINEL))
        write(path, data, **options)

    monkeypatch.setattr(indexing.files, "write", raced)
    store.index.table()
    assert mentions(store.folder, SENTINEL) == []


@pytest.mark.posix
def test_no_file_is_removed_that_is_not_an_index_by_its_place_and_name(store, tmp_path):
    path = indexed(store)
    own = path.with_name("notes.idx")
    own.write_text("mine")
    record(store, f"a {SENTINEL}")
    forget(store, choose(store, everything=True))
    assert own.read_text() == "mine"
    path.parent.rename(tmp_path / "elsewhere")
    path.parent.symlink_to(tmp_path / "elsewhere")
    other = tmp_path / "elsewhere" / "00.idx"
    other.write_text("another's")
    record(store)
    check(store)
    forget(store, choose(store, everything=True))
    assert other.read_text() == "another's"


# --- every query, with and without


def asked_of(store):
    """What every query of a store says."""

    def found(query, *args, **options):
        try:
            return query(store, *args, **options)
        except RequestError as error:
            return str(error)

    names = [path.stem[:8] for path in Store(store.folder).record_paths()]
    missed = Unrecorded(store)
    options = [
        [(run.name, run.request, run.note, run.count, run.procedural, run.created) for run in runs(store)],
        *(found(history, text, limit=3) for text in ("", "FOX", "nothing")),
        found(history, model="flux-2.0", since="2025-06-16", until="2025-06-17"),
        *(found(find, [name]) for name in [*names, "0000", "zz"]),
        *(found(choose, **each) for each in ({"prompt": "fox"}, {"older": "90d"}, {"everything": True})),
        verify(store),
    ]
    for prompt in ("a fax", "wolves in the snow", "\N{FOX FACE}"):
        asked = Request(prompt=prompt, model="flux-2.0", size="1:1", sample=3)
        options.append(nearest_recording(asked, store))
        with pytest.raises(NotRecordedError) as error:
            ask(missed, asked)
        options.append(str(error.value))
    return options


def test_every_query_says_the_same_with_an_index_and_without(store):
    assert asked_of(store) == asked_of(Store(store.folder))
    for number in range(9):
        record(store, f"fox {number // 2}", sample=number % 2, created=MONDAY + number % 5)
    record(store, "a wolf", take="2", revised="a FOX, rather", size="16:9")
    record(store, "a wolf", sample=3)
    store.write_refusal(Request(prompt="x", model="m"), DECLINED, provider="wire", created=MONDAY)
    record(store, "damaged fox").write_text('{"fox')
    pending.begin(
        store,
        Request(prompt="lost", model="m", idempotency_key="3f2a9c1e-2222-4000-8000-000000000000"),
        provider="wire",
    )
    without = asked_of(Store(store.folder))
    assert asked_of(store) == without
    assert asked_of(store) == without
    assert index_files(store)
    assert asked_of(opened(store.folder)) == asked_of(opened(store.folder, writing=False)) == without


def test_verifying_reads_every_file_whatever_the_index_says(store):
    path = record(store)
    store.index.table()
    reads = store.index._listing_of
    frozen = reads(path.parent.name)
    store.index._listing_of = lambda _: frozen
    path.write_bytes(path.read_bytes()[:-5])  # and its signature is as it was
    assert len(verify(store).problems) == 1


# --- many things in any order


class World:
    """A store that several processes use, and somebody with an editor."""

    def __init__(self, folder):
        self.folder = folder
        self.now = later()
        self.stores = [self.opened(), self.opened(), self.opened(writing=False)]

    def opened(self, *, writing=True):
        store = Store(self.folder, indexing=writing)
        store.__dict__["index"] = Index(store, clock=lambda: self.now)
        return store

    def paths(self):
        return Store(self.folder).record_paths()

    def do(self, step, which, number):
        store, paths = self.stores[which % 3], self.paths()
        path = paths[number % len(paths)] if paths else None
        files = sorted(self.folder.glob("index/*"))
        index = files[number % len(files)] if files else None
        if step == "record":
            record(store, f"fox {number % 7}", sample=number % 3, created=number, revised=f"as {number}")
        elif step == "refuse":
            asked = Request(prompt=f"no {number % 5}", model="m")
            store.write_refusal(asked, DECLINED, provider="wire", created=number)
        elif step == "forget":
            forget(store, choose(store, prompt=f"fox {number % 7}"))
            assert mentions(self.folder, f"fox {number % 7}") == []
        elif step == "mark" and path:
            marks.write(store, marks.Mark(picture="ab" * 32, note=str(number)))
        elif step == "edit" and path:
            state = path.stat()
            time.sleep(0.011)  # a tick of the clock of files
            path.write_bytes(path.read_bytes().replace(b'"as ', b'"at ' if number % 2 else b'"is '))
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        elif step == "damage" and path:
            path.write_bytes(path.read_bytes()[: number % 200])
        elif step == "unlink" and path:
            path.unlink()
        elif step == "move" and path:
            place = path.parent.with_name("zz")
            place.mkdir(exist_ok=True)
            path.rename(place / path.name)
        elif step == "copy over" and path:
            shutil.copy(path, paths[-1]) if path != paths[-1] else None
        elif step == "lose index" and index:
            index.unlink()
        elif step == "damage index" and index:
            data = index.read_bytes()
            at = number % max(1, len(data))
            index.write_bytes(data[:at] + b"7" + data[at + 1 :])
        elif step == "old index" and index:
            index.replace(self.folder / "index" / f"{number % 256:02x}.idx")
        elif step == "clock":
            self.now = (later(), 1_000_000_000.0, time.time())[number % 3]
        elif step == "restart":
            self.stores[which % 3] = self.opened(writing=which % 3 < 2)


STEPS = [
    *("record", "refuse", "forget", "mark", "edit", "damage", "unlink", "move", "copy over"),
    *("lose index", "damage index", "old index", "clock", "restart"),
]


@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    st.lists(
        st.tuples(st.sampled_from(["record", *STEPS]), st.integers(0, 2), st.integers(0, 400)),
        min_size=10,
        max_size=25,
    )
)
def test_whatever_happens_every_kernel_sees_what_the_files_say(tmp_path_factory, small, steps):
    world = World(tmp_path_factory.mktemp("walk") / "store")
    for number in range(6):
        record(world.stores[0], f"fox {number}", revised=f"as {number}")
    for step, which, number in steps:
        world.do(step, which, number)
        fresh = listed(RECORDS.scan(Store(world.folder)))
        for store in world.stores:
            assert of_rows(store) == fresh, step


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_index import indexing, opened, record
from beluga_nb.store.forget import choose, forget
from beluga_nb.store.runs import runs
indexing.WRITTEN_FROM = 1
store, own = opened(Path(sys.argv[1])), sys.argv[3]
for number in range(20):
    record(store, f"fox {own} {number}")
    if number % 4 == 3:
        forget(store, choose(store, prompt=f"fox {own} {number}"))
    assert len([run for run in runs(store) if f"fox {own} " in run.prompt]) == number + 1 - (number + 1) // 4
"""


def test_two_kernels_write_forget_and_list_at_once_and_the_index_agrees_with_the_files(store):
    here = os.path.dirname(__file__)
    children = [started(WRITER, store.folder, here, own) for own in ("left", "right")]
    for child in children:
        printed(child)
    for each in (store, opened(store.folder, writing=False)):
        check(each)
        assert len(runs(each)) == 30
    gone = [f'"fox {own} {number}"' for own in ("left", "right") for number in range(3, 20, 4)]
    assert not [name for text in gone for name in mentions(store.folder, text)]


def test_threads_that_ask_at_once_share_one_listing(store):
    from concurrent.futures import ThreadPoolExecutor

    for number in range(3):
        record(store, f"fox {number}")
    with ThreadPoolExecutor(8) as threads:
        tables = list(threads.map(lambda _: store.index.table(), range(64)))
    assert all(table is tables[0] for table in tables)


def test_a_store_that_has_looked_into_its_index_can_be_pickled(store):
    record(store)
    store.index.table()
    again = pickle.loads(pickle.dumps(store))
    assert (again, again.indexing, again.folder) == (store, True, store.folder)
    check(again)
