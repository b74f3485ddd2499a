"""Something else stands where a store has its own: nothing is bought twice or written elsewhere."""

import os
import socket
from contextlib import chdir

import pytest
from conftest import KEY
from echoes import PICTURE
from faulty import Faulty, b64, images
from stores import notebook, record

from beluga_nb.errors import BelugaError, StoreError
from beluga_nb.session.session import Session
from beluga_nb.store.forget import choose, forget
from beluga_nb.store.pack import pack
from beluga_nb.store.records import Store
from beluga_nb.store.scores import Score, write
from beluga_nb.store.unpack import unpack
from beluga_nb.store.votes import Box, votes


def odd(kind, path, outside):
    """Put something of a kind in a place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    match kind:
        case "a file":
            path.write_text("my own words")
        case "a pipe":
            os.mkfifo(path)
        case "a socket":
            with chdir(path.parent), socket.socket(socket.AF_UNIX) as made:  # as a path it may be too long
                made.bind(path.name)
        case "a link out":
            outside.mkdir(exist_ok=True)
            path.symlink_to(outside)
        case "a link to a file outside":
            outside.write_text("elsewhere")
            path.symlink_to(outside)
        case "a dangling link":
            path.symlink_to(outside / "nowhere")
        case "a link to itself":
            path.symlink_to(path.name)


def seen(path):
    state = path.lstat()
    return state.st_ino, state.st_mode, path.read_bytes() if path.is_file() else b""


ROOMS = ["tmp", "pending", "records", "blobs", "index", "sheets"]
KINDS = ["a file", "a pipe", "a socket", "a link out", "a dangling link", "a link to itself"]


@pytest.mark.posix
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("room", ROOMS)
def test_whatever_stands_in_the_place_of_a_room_three_runs_buy_at_most_once_and_nothing_is_written_there(
    room, kind, tmp_path
):
    store, outside, messages, got = tmp_path / "beluga_store", tmp_path / "outside", [], []
    store.mkdir()
    (store / "store.json").write_text('{"schema":1}\n')
    odd(kind, store / room, outside)
    before = seen(store / room)
    with Faulty(images(b64(PICTURE))) as server:
        environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": server.url, "BELUGA_MODEL": "flux-2.0"}
        for _ in range(3):
            try:
                session = Session(environ=environ, folder=tmp_path, notify=messages.append)
                got += session.generate("a fox").pictures
            except BelugaError as error:
                assert len(error.lines()) <= 2  # noqa: PT017  not each of them fails
        # What may be recorded behind a link is not to be bought again.
        assert server.count("POST") == (0 if room == "records" and "link" in kind else 1)
        assert bool(got) == bool(server.count("POST"))
    assert {picture.data for picture in got} <= {PICTURE}
    assert all("\n" not in words for words in messages)
    assert seen(store / room) == before
    assert not outside.exists() or list(outside.iterdir()) == []


@pytest.mark.posix
@pytest.mark.parametrize("kind", ["a pipe", "a socket", "a dangling link", "a link to itself", "a folder"])
@pytest.mark.parametrize("room", ["blobs", "records", "scores", "marks"])
def test_unpacking_over_what_is_no_file_writes_nothing_and_says_so_in_two_lines(room, kind, tmp_path):
    from beluga_nb.store import marks

    store, there = Store(tmp_path / "beluga_store"), Store(tmp_path / "there" / "beluga_store")
    shown = record(store)
    sha = shown.pictures[0].sha256
    write(store, Score(image=sha, metric="sharpness", version="1", value=3))
    marks.write(store, marks.Mark(picture=sha, favourite=True))
    pack(store, notebook(tmp_path / "a.ipynb", shown))
    record(there, "a hen")
    [place] = list(store.folder.glob(f"{room}/*/*.*"))[:1]
    place = there.folder / place.relative_to(store.folder)
    if kind == "a folder":
        place.mkdir(parents=True)
    else:
        odd(kind, place, tmp_path / "outside")
    before = {path: seen(path) for path in there.folder.rglob("*")}
    with pytest.raises(StoreError) as failed:
        unpack(tmp_path / "a.zip", there, into=tmp_path / "there")
    assert len(failed.value.lines()) == 2
    assert {path: seen(path) for path in there.folder.rglob("*")} == before
    assert not (tmp_path / "there" / "a.ipynb").exists()


@pytest.mark.posix
@pytest.mark.parametrize(
    "kind", ["a link to a file outside", "a dangling link", "a link to itself", "a pipe"]
)
@pytest.mark.parametrize("name", [".gitignore", ".gitattributes"])
def test_what_a_person_has_in_the_place_of_a_file_for_git_stays(name, kind, tmp_path):
    store = Store(tmp_path / "beluga_store")
    store.folder.mkdir()
    (store.folder / "store.json").write_text('{"schema":1}\n')
    odd(kind, store.folder / name, tmp_path / "outside")
    before = seen(store.folder / name)
    record(store)
    assert seen(store.folder / name) == before
    assert not (tmp_path / "outside/nowhere").exists()


@pytest.mark.posix
@pytest.mark.parametrize("backed_up", [False, True])
def test_forgetting_votes_leaves_a_backup_of_hard_links_as_it_is(backed_up, tmp_path):
    store = Store(tmp_path / "beluga_store")
    fox, cat = (record(store, prompt).pictures[0].sha256 for prompt in ("a fox", "a cat"))
    box = Box(store)
    box.cast(left=fox, right=cat, answer="left")
    kept = box.cast(left=cat, right="c" * 64, answer="right")
    written = box.path.read_bytes()
    backup = tmp_path / "backup"
    if backed_up:
        os.link(box.path, backup)
    forget(store, choose(store, prompt="fox"))
    assert fox.encode() not in box.path.read_bytes()
    assert len(box.path.read_bytes()) == len(written)
    assert votes(store) == [kept]
    assert not backed_up or backup.read_bytes() == written
