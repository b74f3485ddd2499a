"""Two git branches that ran the same cell: git merges what they recorded, and it replays. With git itself."""

import itertools
import shutil
import subprocess
from dataclasses import replace
from functools import partial

import pytest
from conftest import drawing, service
from leaks import KEY
from stores import MONDAY, everything, notebook, record

from beluga_nb.errors import APIStatusError, StoreError
from beluga_nb.request import Request
from beluga_nb.session.session import Session
from beluga_nb.store.forget import choose, forget
from beluga_nb.store.format import RECORDS
from beluga_nb.store.pack import pack
from beluga_nb.store.records import Store
from beluga_nb.store.runs import runs
from beluga_nb.store.unpack import unpack
from beluga_nb.store.verify import verify

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
FOX = Request(prompt="a fox", model="flux-2.0")


class Repository:
    """A folder under git."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.store = Store(folder / "beluga_store")
        self("init", "-q", "-b", "main")

    def __call__(self, *words, check=True):
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "core.autocrlf=false")
        return subprocess.run(
            ["git", *who, *words], cwd=self.folder, capture_output=True, text=True, check=check
        )

    def commit(self):
        self("add", "-A")
        self("commit", "-q", "--allow-empty", "-m", "more")

    def branch(self, name, work):
        """Do some work on a branch of its own, made from main."""
        self("checkout", "-q", "-b", name, "main")
        work()
        self.commit()


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path / "study")
    made.commit()
    return made


def merged(repository, into, other):
    repository("checkout", "-q", into)
    done = repository("merge", "-q", "-m", "both", other, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return repository.store


ORDERS = list(itertools.permutations(["one", "two"]))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("before", ["an empty main", "a store in main"])
def test_the_same_cell_on_two_branches_merges_verifies_and_replays(repository, order, before):
    store = repository.store
    if before == "a store in main":
        record(store, "a hen")
        repository.commit()
    repository.branch("one", lambda: record(store, created=MONDAY))
    repository.branch("two", lambda: record(store, created=MONDAY + 77))
    store = merged(repository, *order)
    assert verify(store).problems == ()
    assert store.read(FOX, provider="wire").recipe.created == MONDAY
    assert {run.created for run in runs(store)} == {MONDAY}


def test_three_branches_and_many_cells_merge_too(repository):
    store = repository.store

    def cells(place):
        for number in range(place, place + 6):
            record(store, f"a fox {number}", created=MONDAY + 100 * place, n=2)

    for place, name in enumerate(("one", "two", "three")):
        repository.branch(name, partial(cells, place))
    merged(repository, "one", "two")
    store = merged(repository, "one", "three")
    assert verify(store).problems == ()
    assert len(list(RECORDS.values(store))) == 16
    for number in range(8):
        picture = store.read(replace(FOX, prompt=f"a fox {number}"), provider="wire")
        assert picture.recipe.created == MONDAY + 100 * max(0, number - 5)


def test_what_was_declined_on_both_branches_merges(repository):
    store = repository.store

    def declined(created, request_id):
        error = APIStatusError(
            "No.", "Say it otherwise.", status=400, code="moderation_blocked", request_id=request_id
        )
        store.write_refusal(FOX, error, provider="wire", created=created)

    repository.branch("one", lambda: declined(MONDAY, "req_1"))
    repository.branch("two", lambda: declined(MONDAY + 5, "req_2"))
    store = merged(repository, "one", "two")
    assert verify(store).problems == ()
    assert store.read(FOX, provider="wire").request_id == "req_1"


async def other(request):
    return await drawing(replace(request, prompt="another"))


def test_other_bytes_for_the_same_request_are_reported_and_nothing_is_lost(repository):
    async def else_drawn(request):
        result = await other(request)
        pictures = [replace(each, recipe=replace(each.recipe, request=request)) for each in result.pictures]
        return replace(result, request=request, pictures=tuple(pictures))

    store = repository.store
    repository.branch("one", lambda: record(store))
    one = everything(store.folder / "blobs")
    repository.branch("two", lambda: record(store, engine=else_drawn))
    two = everything(store.folder / "blobs")
    store = merged(repository, "one", "two")
    [problem] = [each for each in verify(store).problems if "records/" in each]
    assert "it is damaged" in problem
    with pytest.raises(StoreError, match="cannot be used") as caught:
        store.read(FOX, provider="wire")
    assert "git checkout" in caught.value.hint
    assert everything(store.folder / "blobs") == one | two
    assert verify(store).unnamed == ()
    repository("checkout", "two", "--", "beluga_store/records")
    assert verify(store).problems == ()


def test_a_session_on_each_branch_against_a_server_merges_and_replays_to_the_byte(repository, monkeypatch):
    clock = itertools.count(1_750_000_000)

    async def later(request):
        result = await drawing(request)
        now = next(clock)
        pictures = [replace(each, recipe=replace(each.recipe, created=now)) for each in result.pictures]
        return replace(result, pictures=tuple(pictures))

    with service(later) as url:
        environ = {"BELUGA_BASE_URL": url, "BELUGA_API_KEY": KEY}
        shown = []

        def cell(mode="auto"):
            session = Session(environ=environ, folder=repository.folder, notify=[].append, mode=mode)
            shown.append(session.generate("a fox in the snow", n=2, model="flux-2.0")._repr_mimebundle_())
            session.close()

        repository.branch("one", cell)
        repository.branch("two", cell)
        assert next(clock) > 1_750_000_001, "both have asked"
        store = merged(repository, "two", "one")
        cell("replay")
        assert shown[2] in shown[:2]  # the one took longer than the other, perhaps, and the line says so
        assert verify(store).problems == ()


def test_a_store_of_an_older_version_merges_after_its_next_recording(repository):
    store = repository.store
    record(store, "a hen")
    attributes = store.folder / ".gitattributes"
    attributes.write_bytes(b"blobs/** -text\n")
    repository.commit()
    repository.branch("one", lambda: record(store, created=MONDAY))
    repository.branch("two", lambda: record(store, created=MONDAY + 1))
    assert verify(merged(repository, "one", "two")).problems == ()


def test_attributes_that_a_user_has_written_stay(repository):
    store = repository.store
    record(store, "a hen")
    attributes = store.folder / ".gitattributes"
    attributes.write_bytes(b"blobs/** -text\n*.png filter=lfs\n")
    record(store, "a fox")
    assert attributes.read_bytes() == b"blobs/** -text\n*.png filter=lfs\n"


def test_a_merged_record_is_forgotten_like_any_other(repository):
    store = repository.store
    repository.branch("one", lambda: record(store, created=MONDAY))
    repository.branch("two", lambda: record(store, created=MONDAY + 77))
    store = merged(repository, "one", "two")
    forget(store, choose(store, prompt="fox"))
    assert not list(RECORDS.values(store))
    assert not [name for name in everything(store.folder) if name.startswith(("records", "blobs"))]


def test_a_record_that_was_recorded_at_another_time_may_be_unpacked_over(tmp_path):
    one, two = Store(tmp_path / "a" / "beluga_store"), Store(tmp_path / "b" / "beluga_store")
    shown = record(one, created=MONDAY)
    packed = pack(one, notebook(tmp_path / "a.ipynb", shown)).path
    record(two, created=MONDAY + 9)
    unpack(packed, two, into=tmp_path / "b")
    assert two.read(FOX, provider="wire").recipe.created == MONDAY + 9
    assert verify(two, [tmp_path / "b" / "a.ipynb"]).problems == ()
