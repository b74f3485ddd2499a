"""Real processes that die, crowd and part ways: nothing that was paid for is lost."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from children import printed, started
from conftest import ask, drawing, drawn
from sampling import rounds

from beluga_nb.engines.recorded import Recorded
from beluga_nb.engines.recorder import Recorder
from beluga_nb.engines.replayed import Replayed
from beluga_nb.engines.unrecorded import Unrecorded
from beluga_nb.request import Request
from beluga_nb.result import Preview
from beluga_nb.store import pending
from beluga_nb.store.format import RECORDS
from beluga_nb.store.records import Store

FOX = Request(prompt="a fox", model="flux-2.0")

KILLS = 200
WRITERS, EACH = 6, rounds(50, 200)


def small(picture):
    return Preview(b"small " + picture.sha256[:8].encode(), "image/jpeg")


def recorded(store, **options):
    request = Request(**{"prompt": "a fox", "model": "flux-2.0"} | options)
    options = []
    ask(Recorded(drawing, Recorder(store, provider="wire", preview=small, notify=options.append)), request)
    assert options == []
    return request


def replayed(store, request):
    return ask(Replayed(Unrecorded(store), store, provider="wire"), request)


# --- kill -9


def test_r30_a_kill_at_every_step_of_a_call_loses_only_that_call_and_leaves_it_in_the_journal(tmp_path):
    [line] = printed(started(Path(__file__).with_name("killed.py"), tmp_path, KILLS))
    content = json.loads(line)
    assert content["kills"] >= KILLS
    assert content["seen"] == content["runs"] == content["takes"], "a request was sent twice"
    assert all(steps > 10 for steps in content["steps"]), "each kind of call was killed at each of its steps"


# --- many kernels


WRITER = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path
from drawings import drawing
from beluga_nb.request import Request
from beluga_nb.show.preview import preview
from beluga_nb.store.records import Store
from beluga_nb.engines.recorded import Recorded
from beluga_nb.engines.recorder import Recorder

folder, take, count = sys.argv[1:]
messages = []
recorder = Recorder(Store(Path(folder)), provider="wire", preview=preview, notify=messages.append)
engine = Recorded(drawing, recorder)
request = Request(prompt="a fox", model="flux-2.0", take=take)

async def all_of_them():
    for sample in range(int(count)):
        await engine(request.slice(sample))

asyncio.run(all_of_them())
print(messages)
"""


def test_r33_six_processes_record_twelve_hundred_pictures_in_one_store_and_none_is_lost(tmp_path):
    """Three hundred in each check, twelve hundred in the whole one."""
    takes = [f"writer {number}" for number in range(WRITERS)]
    writers = [started(WRITER, tmp_path / "store", take, EACH) for take in takes]
    assert [printed(writer) for writer in writers] == [["[]"]] * WRITERS, "what they had to say"
    store = Store(tmp_path / "store")
    entries = list(RECORDS.values(store))
    assert len(entries) == len(store.record_paths()) == WRITERS * EACH
    for entry in entries:
        assert store.picture(entry).data == drawn(entry.request, entry.request.sample)
    assert {(one.request.take, one.request.sample) for one in entries} == {
        (take, sample) for take in takes for sample in range(EACH)
    }
    assert pending.calls(store) == list(store.folder.glob("tmp/*")) == []


# --- git


class Repository:
    """A git repository with a store in it, like one beside a notebook."""

    def __init__(self, folder):
        self.folder = folder
        self.store = Store(folder / "beluga_store")

    def git(self, *words):
        identity = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        apart = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        return subprocess.run(
            ["git", "-C", str(self.folder), *words],
            env=clean | identity | apart,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def commit(self):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "recorded")


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    made = Repository(folder)
    made.git("init", "--quiet", "--initial-branch", "main")
    return made


def test_two_branches_that_both_recorded_merge_and_all_is_read(repository):
    store, git = repository.store, repository.git
    before = recorded(store, prompt="before the branches")
    repository.commit()
    git("switch", "--quiet", "--create", "theirs")
    theirs, both = recorded(store, prompt="theirs", n=2), recorded(store, prompt="of both")
    repository.commit()
    git("switch", "--quiet", "main")
    assert not store.has(theirs, provider="wire")
    ours = recorded(store, prompt="ours")
    assert recorded(store, prompt="of both") == both
    repository.commit()
    git("merge", "--quiet", "--no-edit", "theirs")
    assert git("status", "--porcelain") == ""
    assert len(list(RECORDS.values(store))) == len(store.record_paths()) == 5
    for request in (before, theirs, both, ours):
        assert replayed(store, request) == ask(drawing, request)


def test_a_clone_that_changes_line_ends_has_the_same_bytes(repository, tmp_path):
    request = recorded(repository.store)
    like_text = repository.store.keep(b"to git this looks like text\nof two lines\n")
    repository.commit()
    repository.git(
        "clone", "--quiet", "-c", "core.autocrlf=true", str(repository.folder), str(tmp_path / "clone")
    )
    clone = Store(tmp_path / "clone" / "beluga_store")
    assert b"\r\n" in clone.record_path(clone.record_paths()[0].stem).read_bytes()
    assert replayed(clone, request) == ask(drawing, request)
    copied = clone.folder / like_text.relative_to(repository.store.folder)
    assert copied.read_bytes() == like_text.read_bytes()


def test_calls_on_their_way_and_files_being_written_are_not_for_git(repository):
    request = recorded(repository.store)
    pending.begin(repository.store, request.as_call(), provider="wire")
    (repository.store.folder / "tmp" / "part").write_bytes(b"half a picture")
    repository.commit()
    rooms = {Path(name).parts[1] for name in repository.git("ls-files").splitlines()}
    assert rooms == {".gitattributes", ".gitignore", "store.json", "records", "blobs"}


# --- many records


HIT = """
import asyncio, sys
from pathlib import Path
from beluga_nb.request import Request
from beluga_nb.store.records import Store
from beluga_nb.engines.replayed import Replayed
from beluga_nb.engines.unrecorded import Unrecorded

folder, opened = Path(sys.argv[1]), []

def look(event, words):
    if event in {"open", "os.listdir", "os.scandir"} and str(words[0]).startswith(str(folder)):
        opened.append(Path(str(words[0])))

store = Store(folder)
engine = Replayed(Unrecorded(store), store, provider="wire")
sys.addaudithook(look)
[picture] = asyncio.run(engine(Request(prompt="a fox", model="flux-2.0", sample=7))).pictures
for path in opened:
    print(path.relative_to(folder).as_posix())
print(picture.sha256)
"""


def test_a_hit_opens_no_file_but_its_own(tmp_path):
    store = Store(tmp_path / "store")
    recorded(store, n=60)
    [picture] = ask(drawing, FOX.slice(7)).pictures
    [entry] = [one for one in RECORDS.values(store) if one.request.sample == 7]
    own = {store.record_path(entry.key), *map(store.blob_path, entry.blobs)}
    *opened, sha256 = printed(started(HIT, store.folder))
    assert sorted(opened) == sorted(path.relative_to(store.folder).as_posix() for path in own)
    assert sha256 == picture.sha256
