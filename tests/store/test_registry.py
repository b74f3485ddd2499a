"""The registry of a store's collections: a new one is handled without another change."""

from dataclasses import dataclass, replace

import pytest
from stores import notebook, record

from beluga_nb.config.addresses import parse_address
from beluga_nb.errors import StoreError
from beluga_nb.store import files, registry
from beluga_nb.store.collection import Collection, References
from beluga_nb.store.forget import choose, forget
from beluga_nb.store.opened import open_store
from beluga_nb.store.pack import pack
from beluga_nb.store.records import Store
from beluga_nb.store.unpack import unpack
from beluga_nb.store.verify import verify


@dataclass(frozen=True)
class Tag:
    picture: str
    word: str


def parse(fields):
    if not files.SHA256.fullmatch(fields["picture"]):
        raise ValueError("no SHA-256")
    return Tag(fields["picture"], fields["word"])


TAGS = Collection(
    folder="tags",
    parse=parse,
    name=lambda tag: tag.picture,
    first_fields={"picture"},
    references=lambda tag: References({tag.picture}),
)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(registry, "KINDS", (*registry.KINDS, TAGS))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "beluga_store")


def tagged(store, prompt, word):
    result = record(store, prompt)
    tag = Tag(result.pictures[0].sha256, word)
    TAGS.write(store, tag)
    return result, tag


def test_a_new_collection_is_written_and_read_as_all_others(store):
    _, tag = tagged(store, "a fox", "red")
    assert TAGS.path(store, tag.picture).read_text() == (
        f'{{\n "picture": "{tag.picture}",\n "schema": 1,\n "word": "red"\n}}\n'
    )
    assert TAGS.read(store, tag.picture) == tag
    assert list(TAGS.values(store)) == [tag]


def test_a_new_collection_is_kept_at_an_address():
    fsspec = pytest.importorskip("fsspec")
    one, other = (open_store(parse_address("memory://tags")) for _ in range(2))
    _, tag = tagged(one, "a fox", "red")
    assert list(TAGS.values(other)) == [tag]
    TAGS.write(one, replace(tag, word="sky"))  # as long as before
    assert list(TAGS.values(other)) == [replace(tag, word="sky")]
    assert verify(other).fine
    TAGS.write(one, replace(tag, picture="ab" * 32))
    assert verify(other).unnamed == (TAGS.place("ab" * 32),)
    fsspec.filesystem("memory").store.clear()


def test_a_new_collection_is_verified(store):
    _, tag = tagged(store, "a fox", "red")
    assert verify(store).fine
    TAGS.write(store, Tag("ab" * 32, "of no picture"))
    path = TAGS.path(store, tag.picture)
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    report = verify(store)
    assert report.problems == (f"{TAGS.place(tag.picture)}: it has format 2, and this version reads 1",)
    assert report.unnamed == (TAGS.place("ab" * 32),)


def test_a_new_collection_is_packed_and_unpacked(store, tmp_path):
    fox, tag = tagged(store, "a fox", "red")
    tagged(store, "a whale", "blue")
    packed = pack(store, notebook(tmp_path / "fox.ipynb", fox)).path
    there = Store(tmp_path / "there" / "beluga_store")
    unpack(packed, there, into=tmp_path / "there")
    assert list(TAGS.values(there)) == [tag]
    assert verify(there, [tmp_path / "there" / "fox.ipynb"]).fine


def test_a_pack_with_a_collection_that_is_not_registered_is_refused(store, tmp_path, monkeypatch):
    fox, _ = tagged(store, "a fox", "red")
    packed = pack(store, notebook(tmp_path / "fox.ipynb", fox)).path
    monkeypatch.setattr(registry, "KINDS", registry.KINDS[:-1])
    with pytest.raises(StoreError, match="which is not a file of a pack"):
        unpack(packed, Store(tmp_path / "there"), into=tmp_path / "there")


def test_a_new_collection_is_forgotten_with_its_picture(store):
    _, fox = tagged(store, "a fox", "red")
    _, whale = tagged(store, "a whale", "blue")
    strangers = store.folder / "tags" / "notes.txt"
    strangers.write_text("three years of work")
    forget(store, choose(store, prompt="fox"))
    assert list(TAGS.values(store)) == [whale]
    TAGS.write(store, fox)
    forget(store, choose(store, everything=True))
    assert list(TAGS.values(store)) == []
    assert strangers.read_text() == "three years of work"
