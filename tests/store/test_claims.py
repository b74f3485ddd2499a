"""Kernels that share a store: what one is buying, the others wait for."""

import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest
from children import printed, started
from conftest import Counting, ask, drawing, drawn
from faulty import Faulty, after, b64, images
from stores import own_disk

from beluga_nb.engines.claimed import Claimed
from beluga_nb.engines.recorded import Recorded
from beluga_nb.engines.recorder import Recorder
from beluga_nb.engines.replayed import Replayed
from beluga_nb.request import Request
from beluga_nb.store import claims, files
from beluga_nb.store.claims import Claim, is_alive
from beluga_nb.store.codec import SCHEMA
from beluga_nb.store.format import key
from beluga_nb.store.records import Store

FOX = Request(prompt="a fox", model="flux-2.0")


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store")
    files.ensure_store(store.folder, SCHEMA)
    return store


def path_of(store, request=FOX):
    return store.folder / "pending" / f"{key(request.slice(0), provider='wire')}.claim"


def claimed(engine, store, messages=None, sleep=asyncio.sleep):
    recorded = Recorded(engine, Recorder(store, provider="wire", preview=lambda _: None, notify=pytest.fail))
    replayed = Replayed(recorded, store, provider="wire")
    notify = pytest.fail if messages is None else messages.append
    return Claimed(replayed, store, provider="wire", notify=notify, sleep=sleep)


def claim_by(store, host, pid, system=None):
    path = path_of(store)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "host": host,
        "pid": pid,
        "token": "t",
        "system": claims.system() if system is None else system,
    }
    path.write_text(json.dumps(content))
    return path


def a_process_that_has_ended():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


KERNEL = """
import sys
import time
from pathlib import Path
from beluga_nb.session.session import Session

folder, url, prompts = sys.argv[1:]
environ = {"BELUGA_API_KEY": "bapi_SENTINEL-SENTINEL-1234", "BELUGA_BASE_URL": url}
session = Session(environ=environ, folder=Path(folder), notify=lambda words: None)
jobs = [session.submit(f"fox {number}", model="flux-2.0") for number in range(int(prompts))]
print(len({job.result().pictures[0].sha256 for job in jobs}))
"""


def test_four_kernels_that_ask_for_the_same_twelve_buy_twelve(tmp_path):
    with Faulty(after(0.1, images(b64(drawn(FOX, 0))))) as server:
        kernels = [started(KERNEL, tmp_path, server.url, 12) for _ in range(4)]
        for kernel in kernels:
            assert printed(kernel) == ["1"]
    assert server.count("POST") == 12
    assert len(Store(tmp_path / "beluga_store").record_paths()) == 12
    assert not list((tmp_path / "beluga_store/pending").glob("*.*"))


def test_whoever_comes_second_says_so_waits_and_finds_it_recorded(store):
    path, messages, engine = claim_by(store, platform.node(), os.getpid()), [], Counting()

    async def sleep(seconds):
        if messages:
            await Recorded(
                drawing, Recorder(store, provider="wire", preview=lambda _: None, notify=pytest.fail)
            )(FOX)
            path.unlink(missing_ok=True)
        await asyncio.sleep(0)

    result = ask(claimed(engine, store, messages, sleep), FOX)
    assert result.pictures[0].data == drawn(FOX, 0)
    assert engine.requests == []
    assert messages == [
        f"Another kernel (process {os.getpid()} on {platform.node()}) is asking for the same;"
        " its answer is waited for."
    ]


def test_what_a_dead_process_had_claimed_is_taken_over_at_once(store):
    claim_by(store, platform.node(), a_process_that_has_ended())
    engine = Counting()
    assert len(ask(claimed(engine, store), FOX)) == 1
    assert len(engine.requests) == 1
    assert not path_of(store).exists()


def test_a_process_of_another_system_with_the_same_name_is_waited_for_though_its_number_is_free(
    store, monkeypatch
):
    """As of a container that shares the folder: only its silence tells that it has ended."""
    monkeypatch.setattr(claims, "SILENCE", 0.3)
    claim_by(store, platform.node(), a_process_that_has_ended(), system="another")
    messages, engine = [], Counting()
    assert len(ask(claimed(engine, store, messages), FOX)) == 1
    assert "its answer is waited for" in messages[0]
    assert "may be bought twice" in messages[-1]


@pytest.mark.posix
@pytest.mark.parametrize("kind", ["dangling link", "link to itself", "link to a file", "folder", "pipe"])
def test_what_is_no_file_is_nobodys_claim_and_is_not_removed(store, kind, monkeypatch, tmp_path):
    monkeypatch.setattr(claims, "SILENCE", 0.2)
    path, victim = path_of(store), tmp_path / "victim"
    path.parent.mkdir(parents=True)
    victim.write_text("mine")
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to({"dangling link": tmp_path / "nowhere", "link to itself": path}.get(kind, victim))
    engine = Counting()
    assert len(ask(claimed(engine, store, []), FOX)) == 1
    assert len(engine.requests) == 1
    assert victim.read_text() == "mine"
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def asked_beside(store, text, monkeypatch):
    """Ask where a file with that text is in the place of the claim: it is waited for, and then bought."""
    monkeypatch.setattr(claims, "SILENCE", 0.2)
    path_of(store).parent.mkdir(parents=True)
    path_of(store).write_text(text)
    messages, engine = [], Counting()
    assert len(ask(claimed(engine, store, messages), FOX)) == 1
    assert len(engine.requests) == 1
    assert "may be bought twice" in messages[-1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"ho',
        '{"host": 7}',
        '{"host": "h", "pid": "x", "token": "t"}',
        "\0",
        '{"host": "h',
        "\0" * 200,
    ],
)
def test_a_claim_that_says_nothing_is_waited_for_and_then_taken_over(store, text, monkeypatch):
    asked_beside(store, text, monkeypatch)
    assert list(path_of(store).parent.iterdir()) == []


@pytest.mark.posix
@pytest.mark.parametrize("made", ["notes", "a picture", "a link", "a pipe", "a folder"])
@pytest.mark.parametrize("old", [False, True])
def test_a_strangers_file_beside_a_claim_stays_and_delays_nobody(store, made, old):
    aside = path_of(store).with_name(path_of(store).name + "." + 32 * "0")
    aside.parent.mkdir(parents=True, exist_ok=True)
    if made == "a link":
        aside.symlink_to(store.folder / "elsewhere")
    elif made == "a pipe":
        os.mkfifo(aside)
    elif made == "a folder":
        aside.mkdir()
    else:
        aside.write_bytes(b"my notes" if made == "notes" else b"\x89PNG\r\n")
    if old:
        os.utime(aside, (0, 0), follow_symlinks=False)
    before = aside.lstat()
    Claim.take(path_of(store), store.folder).release()
    assert (aside.lstat().st_ino, aside.lstat().st_mtime) == (before.st_ino, before.st_mtime)


@pytest.mark.parametrize(
    "text", ["[]", "7", "my own notes", '{"patient": 1}', '{"host" : "h"}', "[" * 100_000, "\0x", " "]
)
def test_a_strangers_file_in_the_place_of_a_claim_stays_and_nobody_waits_for_ever(store, text, monkeypatch):
    asked_beside(store, text, monkeypatch)
    claims.remove(path_of(store), "")
    assert [path.read_text() for path in path_of(store).parent.iterdir()] == [text]


def test_a_machine_that_has_gone_silent_is_reported_before_anything_is_bought(store, monkeypatch):
    monkeypatch.setattr(claims, "SILENCE", 0.2)
    claim_by(store, "elsewhere", 7)
    messages = []

    async def engine(request):
        assert "has been silent" in messages[-1]
        return await drawing(request)

    assert len(ask(claimed(engine, store, messages), FOX)) == 1
    assert messages[-1].startswith("Another kernel (process 7 on elsewhere) asked for the same")


def test_a_machine_that_gives_signs_of_life_is_waited_for(store, monkeypatch):
    monkeypatch.setattr(claims, "SILENCE", 0.3)
    path, messages, engine = claim_by(store, "elsewhere", 7), [], Counting()

    async def both():
        asking = asyncio.create_task(claimed(engine, store, messages)(FOX))
        for beat in range(10):
            await asyncio.sleep(0.1)
            os.utime(path, ns=(beat, beat))
        assert engine.requests == []
        path.unlink()
        return await asking

    assert len(asyncio.run(both())) == 1
    assert len(messages) == 1


def test_a_claim_lives_as_long_as_its_call_and_beats(store, monkeypatch):
    monkeypatch.setattr("beluga_nb.engines.claimed.HEARTBEAT", 0.01)
    seen = []

    async def engine(request):
        for _ in range(3):
            seen.append(path_of(store).stat().st_mtime_ns)
            await asyncio.sleep(0.05)
        return await drawing(request)

    ask(claimed(engine, store), FOX)
    assert len(set(seen)) > 1
    assert not path_of(store).exists()


def test_a_call_that_fails_or_is_stopped_gives_its_claim_up(store):
    async def failing(request):
        raise OSError("no")

    async def stopped():
        asking = asyncio.create_task(claimed(lambda _: asyncio.sleep(60), store)(FOX))
        while not path_of(store).exists():
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    with pytest.raises(OSError, match="no"):
        ask(claimed(failing, store), FOX)
    assert not path_of(store).exists()
    asyncio.run(stopped())
    assert not path_of(store).exists()


def test_what_is_recorded_needs_no_claim(store):
    ask(claimed(drawing, store), FOX)
    claim_by(store, "elsewhere", 7)
    assert len(ask(claimed(pytest.fail, store), FOX)) == 1


def test_where_none_can_be_written_none_is_made(tmp_path):
    (tmp_path / "store").write_text("a file")
    engine = Counting()
    assert len(ask(Claimed(engine, Store(tmp_path / "store"), provider="wire", notify=pytest.fail), FOX)) == 1


def test_who_takes_over_takes_no_claim_that_was_made_meanwhile(store):
    path = path_of(store)
    path.parent.mkdir(parents=True)
    mine = Claim.take(path, store.folder)
    claims.remove(path, "the token of an older one")
    assert json.loads(path.read_text())["token"] == mine.token
    mine.release()
    assert list(Path(path.parent).iterdir()) == []


MOMENTS = ["before it looks", "before it moves it", "when it is aside", "before it is put back", "at the end"]


@pytest.mark.posix
@pytest.mark.parametrize("ends_first", ["the first", "the third"])
@pytest.mark.parametrize("third_comes", MOMENTS)
@pytest.mark.parametrize("first_comes", MOMENTS)
def test_of_three_that_take_over_at_once_one_holds_the_claim(
    first_comes, third_comes, ends_first, store, monkeypatch
):
    """A slow kernel removes a dead one's claim; others come at whatever moments of that."""
    path = claim_by(store, platform.node(), a_process_that_has_ended())
    found, held = claims._read, {}

    def take(who):
        if who == "the first":
            claims.remove(path, "t")
        if not isinstance(held.get(who), Claim):
            try:
                held[who] = Claim.take(path, store.folder)
            except FileExistsError:
                held[who] = None

    def at(moment):
        monkeypatch.undo()
        if moment == first_comes:
            take("the first")
        if moment == third_comes:
            take("the third")

    def interleaved(step, before, after=None):
        def stepped(*arguments):
            at(before)
            try:
                return step(*arguments)
            finally:
                if after:
                    at(after)
                listen()

        return stepped

    def listen():
        monkeypatch.setattr(
            claims.os, "rename", interleaved(rename, "before it moves it", "when it is aside")
        )
        monkeypatch.setattr(claims.os, "link", interleaved(link, "before it is put back"))

    rename, link = os.rename, os.link
    at("before it looks")
    assert found(path) is not None or held
    listen()
    claims.remove(path, "t")
    at("at the end")

    holders = [who for who, claim in held.items() if claim]
    assert len(holders) <= 1, holders
    order = ["the first", "the third"] if ends_first == "the first" else ["the third", "the first"]
    for who in [*order, *order]:
        take(who)  # as who waits does
        assert len([claim for claim in held.values() if claim]) <= 1
        if held[who]:
            held[who].beat()
            held[who].release()
            held[who] = None
    last = Claim.take(path, store.folder)
    last.release()
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("why", ["its owner is gone", "it is silent", "it is of a time to come"])
def test_a_claim_that_was_left_aside_holds_nobody_up_for_ever(why, store):
    path = claim_by(store, platform.node(), os.getpid() if why != "its owner is gone" else 2**30)
    aside = path.rename(path.with_name(f"{path.name}.{'0' * 32}"))
    if why == "its owner is gone":
        Claim.take(path, store.folder).release()
    else:
        with pytest.raises(FileExistsError):
            Claim.take(path, store.folder)
        changed = time.time() + (-60 if why == "it is silent" else 60)
        os.utime(aside, (changed, changed))
        Claim.take(path, store.folder).release()
    assert list(path.parent.iterdir()) == []


@pytest.mark.posix
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
def test_what_a_killed_child_had_claimed_is_taken_over_before_its_parent_asks_for_its_end(store):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    claim_by(store, platform.node(), child.pid)
    assert is_alive(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    try:
        assert not is_alive(child.pid)
        assert len(ask(claimed(drawing, store), FOX)) == 1
    finally:
        child.communicate()


# --- a store that cannot be written

OLD_CLAIM = """
import json, os, platform, subprocess, sys
from pathlib import Path
from drawings import Counting, ask, drawing, drawn
from beluga_nb.request import Request
from beluga_nb.store import claims
from beluga_nb.engines.claimed import Claimed
from beluga_nb.store.format import key
from beluga_nb.store.records import Store
from beluga_nb.engines.recorded import Recorded
from beluga_nb.engines.recorder import Recorder
from beluga_nb.engines.replayed import Replayed

store, kind = Store(Path(sys.argv[1]) / "store"), sys.argv[2]
FOX, WOLF = (Request(prompt=prompt, model="flux-2.0") for prompt in ("a fox", "a wolf"))
path = store.folder / "pending" / f"{key(FOX, provider='wire')}.claim"
claims.SILENCE = 0.4
messages, counting = [], Counting()

def asked(request):
    recorder = Recorder(store, provider="wire", preview=lambda _: None, notify=messages.append)
    replayed = Replayed(Recorded(counting, recorder), store, provider="wire")
    return ask(Claimed(replayed, store, provider="wire", notify=messages.append), request)

asked(WOLF)
dead = subprocess.Popen([sys.executable, "-c", ""])
dead.wait()
owner = {"host": platform.node(), "pid": dead.pid, "token": "t", "system": claims.system()}
if kind == "folder":
    path.mkdir()
elif kind == "link":
    path.symlink_to("nowhere")
elif kind == "pipe":
    os.mkfifo(path)
elif kind == "silent":
    path.write_text(json.dumps(owner | {"system": "another"}))
elif kind == "empty":
    path.touch()
else:
    path.write_text(json.dumps(owner))
if kind == "unreadable":
    path.chmod(0)
if sys.argv[3] == "disk":
    subprocess.run(["mount", "-o", "remount,ro", sys.argv[1]], check=True)
else:
    path.parent.chmod(0o555)
try:
    assert asked(FOX).pictures[0].data == drawn(FOX, 0)
    assert asked(WOLF) == ask(drawing, WOLF)
finally:
    if sys.argv[3] != "disk":
        path.parent.chmod(0o755)
assert len(counting.requests) == 2, "one for each"
print(*messages, sep="\\n")
"""

OLD = ["dead", "silent", "empty", "unreadable", "folder", "link", "pipe"]


@pytest.mark.sampled(3)
@pytest.mark.posix
@pytest.mark.parametrize("kind", OLD)
def test_an_old_claim_that_cannot_be_removed_costs_one_line_and_is_not_waited_for(kind, tmp_path):
    disk = own_disk(tmp_path)
    if not disk and os.geteuid() == 0:
        pytest.skip("root may write everywhere, and no disk may be mounted here")
    child = started(OLD_CLAIM, tmp_path, kind, "disk" if disk else "mode", before=disk or ())
    *of_the_claim, of_the_store = printed(child, patience=30)
    assert of_the_store.startswith("Pictures cannot be recorded: ")
    assert len(of_the_claim) <= 2
    is_known_to_be_dead = kind == "dead" or (kind == "unreadable" and disk)  # whoever mounts may read
    assert ["may be bought twice" in words for words in of_the_claim[-1:]] == [True] * (
        not is_known_to_be_dead
    )


FULL_DISK = """
import os, resource, sys
from pathlib import Path
from beluga_nb.store.claims import Claim
from beluga_nb.store.files import ensure_store
from beluga_nb.store.claims import is_alive
from beluga_nb.store.codec import SCHEMA

folder = Path(sys.argv[1])
ensure_store(folder, SCHEMA)
path = folder / "pending" / "a.claim"
Claim.take(path, folder).release()
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
try:
    Claim.take(path, folder)
except OSError as error:
    print(type(error).__name__)
print(os.listdir(path.parent))
"""


@pytest.mark.posix
@pytest.mark.parametrize("room", [0, 1, 40])
def test_a_claim_that_no_disk_has_room_for_is_not_left_half_written(room, tmp_path):
    assert printed(started(FULL_DISK, tmp_path / "store", room)) == ["OSError", "[]"]
