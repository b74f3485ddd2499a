"""What a person says of a picture: it is kept, found again, travels in packs, and is forgotten with it."""

import json
from dataclasses import replace

import pytest
from stores import everything, mentions, notebook, record

from beluga_nb.errors import RequestError, StoreError
from beluga_nb.store import marks, registry
from beluga_nb.store.codec import CorruptFileError
from beluga_nb.store.collection import References
from beluga_nb.store.forget import choose, forget
from beluga_nb.store.marks import LONGEST_NOTE, MARKS, Mark
from beluga_nb.store.pack import pack
from beluga_nb.store.records import Store
from beluga_nb.store.unpack import unpack
from beluga_nb.store.verify import verify


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "a" / "beluga_store")


def marked(store, result, note="", *, favourite=True):
    mark = Mark(picture=result.pictures[0].sha256, favourite=favourite, note=note)
    marks.write(store, mark)
    return mark


def test_the_format_is_frozen(store):
    """A golden vector: readers of other versions rely on it."""
    mark = Mark(picture="ab" * 32, favourite=True, note="für das “Poster” <1>\n")
    marks.write(store, mark)
    path = MARKS.path(store, mark.picture)
    assert path.relative_to(store.folder).as_posix() == f"marks/ab/{'ab' * 32}.json"
    assert path.read_text("utf-8") == (
        '{\n "favourite": true,\n "note": "für das “Poster” <1>\\n",\n'
        f' "picture": "{"ab" * 32}",\n "schema": 1\n}}\n'
    )
    assert MARKS.decode(path.read_bytes()) == mark


def test_a_mark_that_says_nothing_is_no_file(store):
    mark = marked(store, record(store, "a fox"), "good")
    assert marks.marks(store) == {mark.picture: mark}
    marks.write(store, Mark(picture=mark.picture))
    marks.write(store, Mark(picture=mark.picture))
    assert marks.marks(store) == {}
    assert MARKS.paths(store) == []


def test_a_note_has_a_limit_and_a_folder_that_cannot_be_written_is_reported(store, tmp_path):
    with pytest.raises(RequestError, match="4,001 characters"):
        marks.write(store, Mark(picture="ab" * 32, note="x" * (LONGEST_NOTE + 1)))
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        marks.write(Store(tmp_path / "file"), Mark(picture="ab" * 32, note="x"))


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"picture": "../../etc/passwd"},
        {"favourite": 1},
        {"note": None},
        {"note": "x" * (LONGEST_NOTE + 1)},
    ],
)
def test_s38_what_is_no_mark_is_unusable(change):
    content = {"schema": 1, "picture": "ab" * 32, "favourite": True, "note": ""} | change
    with pytest.raises(CorruptFileError):
        MARKS.decode(json.dumps(content).encode())
    for rubbish in (b"", b"[]", b"{}", b"\xff", b"[" * 100_000):
        with pytest.raises(CorruptFileError):
            MARKS.decode(rubbish)


def test_verifying_finds_a_damaged_mark_and_one_of_no_picture(store):
    mark = marked(store, record(store, "a fox"), "good")
    assert verify(store).fine
    assert verify(store).unnamed == ()
    marks.write(store, Mark(picture="ab" * 32, favourite=True))
    MARKS.path(store, mark.picture).write_text("{")
    report = verify(store)
    assert report.problems == (
        f"marks/{mark.picture[:2]}/{mark.picture}.json: it is damaged (JSONDecodeError)",
    )
    assert report.unnamed == (f"marks/ab/{'ab' * 32}.json",)


def test_a_mark_is_forgotten_with_its_picture_and_no_sooner(store):
    fox, whale = record(store, "a fox"), record(store, "a whale")
    marked(store, fox, "Sentinel"), marked(store, whale, "another")
    forget(store, choose(store, prompt="a fox"))
    assert mentions(store.folder, "sentinel") == []
    assert list(marks.marks(store)) == [whale.pictures[0].sha256]
    MARKS.path(store, "cd" * 32).parent.mkdir(parents=True)
    MARKS.path(store, "cd" * 32).write_text('{\n "favourite": tr')
    forget(store, choose(store, everything=True))
    assert MARKS.paths(store) == []


def test_a_mark_keeps_no_picture_alive(store):
    fox = record(store, "a fox")
    marked(store, fox)
    forget(store, choose(store, prompt="a fox"))
    assert [name for name in everything(store.folder) if name.startswith(("blobs/", "marks/"))] == []


def test_marks_travel_with_their_pictures_and_no_others_do(store, tmp_path):
    fox, whale = record(store, "a fox"), record(store, "a whale")
    mark = marked(store, fox, "good")
    marked(store, whale, "private")
    packed = pack(store, notebook(tmp_path / "a" / "foxes.ipynb", fox)).path
    assert b"private" not in packed.read_bytes()
    there = Store(tmp_path / "b" / "beluga_store")
    unpack(packed, there, into=tmp_path / "b")
    assert marks.marks(there) == {mark.picture: mark}
    assert verify(there).fine
    again = pack(there, tmp_path / "b" / "foxes.ipynb").path
    assert again.read_bytes() == packed.read_bytes()


def test_a_mark_made_here_outlives_that_of_a_pack(store, tmp_path):
    fox = record(store, "a fox")
    marked(store, fox, "theirs")
    packed = pack(store, notebook(tmp_path / "a" / "foxes.ipynb", fox)).path
    there = Store(tmp_path / "b" / "beluga_store")
    own = marked(there, fox, "mine")
    unpack(packed, there, into=tmp_path / "b")
    assert marks.marks(there) == {own.picture: own}


def test_a_pack_with_the_mark_of_another_picture_is_refused(store, tmp_path, monkeypatch):
    fox = record(store, "a fox")
    marks.write(store, Mark(picture="ab" * 32, favourite=True))
    of_fox = lambda _: References({fox.pictures[0].sha256})  # noqa: E731
    with monkeypatch.context() as patched:
        patched.setattr(registry, "KINDS", (registry.RECORDS, replace(MARKS, references=of_fox)))
        packed = pack(store, notebook(tmp_path / "a" / "foxes.ipynb", fox)).path
    with pytest.raises(StoreError, match="marks are of other pictures"):
        unpack(packed, Store(tmp_path / "b" / "beluga_store"), into=tmp_path / "b")
    assert not (tmp_path / "b").exists()
