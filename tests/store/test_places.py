"""Stores in hard places: a full disk, a folder that cannot be written or is another's, links that lead out.

Each test has its means wherever it runs: as root a child becomes someone else, and mounts a disk of its own;
for an ordinary user the folder's mode is enough, and a limit on the size of files stands for the disk.
"""

import os
import tempfile
import time
from itertools import product
from pathlib import Path

import pytest
from children import printed, started
from conftest import ask, drawing, drawn
from stores import own_disk

from beluga_nb.engines.recorded import Recorded
from beluga_nb.engines.recorder import Recorder
from beluga_nb.engines.replayed import Replayed
from beluga_nb.errors import StoreError
from beluga_nb.request import Request
from beluga_nb.result import Preview
from beluga_nb.store import files, pending
from beluga_nb.store.records import Store

pytestmark = pytest.mark.posix  # a disk, a user and links of its own

FOX = Request(prompt="a fox", model="flux-2.0")
HINT = "They are in the result: save them with .save(), then mend the folder or set BELUGA_STORE."


def small(picture):
    return Preview(b"small " + picture.sha256[:8].encode(), "image/jpeg")


def auto(engine, store, messages):
    recorded = Recorded(engine, Recorder(store, provider="wire", preview=small, notify=messages.append))
    return Replayed(recorded, store, provider="wire")


COMMON = """
import os, shutil, sys
from dataclasses import replace
from pathlib import Path
from drawings import ask, drawing, drawn
from beluga_nb.request import Request
from beluga_nb.result import ImagePayload, Result
from beluga_nb.show.preview import preview
from beluga_nb.store import pending
from beluga_nb.store.records import Store
from beluga_nb.engines.recorded import Recorded
from beluga_nb.engines.recorder import Recorder
from beluga_nb.engines.replayed import Replayed

FOX = Request(prompt="a fox", model="flux-2.0")
WOLF = replace(FOX, prompt="a wolf")
store, messages = Store(Path(sys.argv[1])), []

def auto(engine, store=store):
    recorded = Recorded(engine, Recorder(store, provider="wire", preview=preview, notify=messages.append))
    return Replayed(recorded, store, provider="wire")

def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
"""

# --- a full disk

FULL = """
import io
from PIL import Image

def large(request):
    noise = Image.frombytes("RGB", (700, 700), os.urandom(700 * 700 * 3))
    buffer = io.BytesIO()
    noise.save(buffer, "PNG", compress_level=0)  # 1.5 MB: more than there is room for
    return buffer.getvalue()

async def drawing_large(request):
    pictures = [ImagePayload(large(request), "image/png") for _ in request.samples]
    return Result.of(request, pictures, engine="large")

assert ask(auto(drawing), FOX) == ask(drawing, FOX)
assert messages == []
before = files(store.folder)
limit()

result = ask(auto(drawing_large), replace(WOLF, n=2))
assert [picture.image.size for picture in result.pictures] == [(700, 700)] * 2
print(*messages, sep="\\n")
assert {path: data for path, data in files(store.folder).items() if path in before} == before
assert not list(store.folder.glob("tmp/*"))
assert ask(auto(drawing_large), FOX) == ask(drawing, FOX), "the older record answers"

cramp()
messages.clear()
assert ask(auto(drawing), WOLF) == ask(drawing, WOLF)
print(*messages, sep="\\n")
assert {path: data for path, data in files(store.folder).items() if path.parent.name != "pending"} == before
assert [call.request.n for call in pending.calls(store)] == [2], "whose pictures are not recorded"

free()
shutil.rmtree(store.folder / "blobs")  # what is not wanted can be removed
messages.clear()
assert ask(auto(drawing), WOLF) == ask(drawing, WOLF)
assert messages == []
assert store.has(WOLF, provider="wire")
"""

LIMITED = """
import resource
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

def limit(size=50_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))

def cramp():
    limit(0)

def free():
    limit(most)
"""

SMALL_DISK = """
filling = store.folder.parent / "filling"

def limit():
    pass

def cramp():
    with open(filling, "wb", buffering=0) as file:
        try:
            while file.write(b"x"):
                pass
        except OSError:
            pass

def free():
    filling.unlink()
"""


def test_beyond_a_quota_or_limit_the_picture_is_returned_and_one_line_says_so(tmp_path):
    child = started(COMMON + LIMITED + FULL, tmp_path / "store")
    assert printed(child) == [f"Pictures cannot be recorded: File too large (store). {HINT}"] * 2


def test_r34_on_a_full_disk_the_picture_is_returned_and_one_line_says_so(tmp_path):
    if disk := own_disk(tmp_path):
        child = started(COMMON + SMALL_DISK + FULL, tmp_path / "store", before=disk)
        reason = "No space left on device"
    else:  # no disk may be mounted here: a limit stands for it
        child, reason = started(COMMON + LIMITED + FULL, tmp_path / "store"), "File too large"
    assert printed(child) == [f"Pictures cannot be recorded: {reason} (store). {HINT}"] * 2


# --- read-only, or someone else's

SOMEONE = 65534  # nobody

AS_SOMEONE = """
SOMEONE = int(sys.argv[2])

assert ask(auto(drawing), FOX) == ask(drawing, FOX)  # all that is lazy is imported, while it can be read
shutil.rmtree(store.folder / "tmp")
before = files(store.folder)

def every(mode_of_folders, mode_of_files, owner):
    for path in [store.folder, *store.folder.rglob("*")]:
        path.chmod(mode_of_folders if path.is_dir() else mode_of_files)
        if os.geteuid() == 0:
            os.chown(path, owner, owner)

def become_someone():
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(SOMEONE)
        os.setuid(SOMEONE)

def look():
    assert ask(auto(drawing), FOX) == ask(drawing, FOX)
    assert messages == [], "a replay needs no right to write"
    assert ask(auto(drawing), WOLF) == ask(drawing, WOLF)
    print(*messages, sep="\\n")
    assert files(store.folder) == before
"""

READ_ONLY = """
every(0o555, 0o444, SOMEONE)
become_someone()
look()
"""

ANOTHERS = """
every(0o777, 0o666, 0)
become_someone()
if store.folder.stat().st_uid == os.geteuid():  # who is not root can make none, but knows one
    store = Store(Path("/"))
    ask(Recorded(drawing, Recorder(store, provider="wire", preview=preview, notify=messages.append)), WOLF)
    print(messages[0].replace(" ().", " (store)."))
else:
    look()
"""


@pytest.fixture
def public():
    """A folder that anyone may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_r35_in_a_read_only_store_hits_are_replayed_and_what_is_new_is_returned_with_one_line(public):
    child = started(COMMON + AS_SOMEONE + READ_ONLY, public / "store", SOMEONE)
    assert printed(child) == [f"Pictures cannot be recorded: Permission denied (store). {HINT}"]


def test_a_store_that_is_another_users_is_read_and_not_written_even_where_it_could_be(public):
    child = started(COMMON + AS_SOMEONE + ANOTHERS, public / "store", SOMEONE)
    assert printed(child) == [f"Pictures cannot be recorded: it belongs to another user (0) (store). {HINT}"]


OPEN_HANDED = """
os.umask(int(sys.argv[2]))
ask(auto(drawing), FOX)
call = pending.begin(store, WOLF.as_call(), provider="wire")
for path in [store.folder.parent, store.folder, *store.folder.rglob("*")]:
    kind = "folder" if path.is_dir() else "file"
    room = [each for each in path.relative_to(store.folder.parent).parts if each in {"pending", "tmp"}]
    print(kind, oct(path.stat().st_mode & 0o777), *room)
"""


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o027, 0o077])
def test_s36_whom_the_umask_lets_read_a_store_may_and_only_its_owner_writes_or_sees_the_journal(
    tmp_path, umask
):
    child = started(COMMON + OPEN_HANDED, tmp_path / "made too" / "store", umask)
    everyone = {f"folder {oct(0o755 & ~umask)}", f"file {oct(0o644 & ~umask)}"}
    private = {"folder 0o700 pending", "folder 0o700 tmp", "file 0o600 pending"}
    assert set(printed(child)) == everyone | private


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o2770, 0o750, 0o700])
@pytest.mark.parametrize("found", ["empty", "a store", "no store"])
def test_a_folder_that_was_there_keeps_its_mode(tmp_path, mode, found):
    folder = tmp_path / "store"
    folder.mkdir()
    if found != "empty":
        (folder / {"a store": "store.json", "no store": "thesis"}[found]).write_text('{"schema":1}\n')
    folder.chmod(mode)
    messages = []
    ask(auto(drawing, Store(folder), messages), FOX)
    assert oct(folder.stat().st_mode & 0o7777) == oct(mode)
    assert bool(messages) == (found == "no store")


# --- links that lead out


@pytest.fixture
def outside(tmp_path):
    """A folder of someone's own, with a file of last year's."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "thesis").write_text("three years of work")
    last_year = time.time() - 365 * 86_400
    os.utime(folder / "thesis", (last_year, last_year))
    return folder


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("room", ["records", "blobs", "pending", "tmp"])
def test_nothing_is_written_or_removed_where_a_link_leads_out(store, outside, room):
    store.folder.mkdir()
    (store.folder / "store.json").write_text('{"schema":1}\n')
    (store.folder / room).symlink_to(outside)
    messages = []
    recorded = Recorded(drawing, Recorder(store, provider="wire", preview=small, notify=messages.append))
    assert ask(recorded, FOX) == ask(drawing, FOX)
    assert names(outside) == ["thesis"]
    lines = [f"Pictures cannot be recorded: a link leads out of the store (store). {HINT}"]
    assert messages == (lines if room != "tmp" else []), "what is written lies beside tmp then"


@pytest.mark.parametrize("room", ["records", "blobs"])
def test_a_picture_to_which_a_link_leads_out_is_not_read(store, outside, room):
    ask(auto(drawing, store, []), FOX)
    (store.folder / room).rename(outside / room)
    (store.folder / room).symlink_to(outside / room)
    with pytest.raises(StoreError, match="a link leads out of the store"):
        store.read(FOX, provider="wire")


@pytest.mark.parametrize("room", ["records", "blobs"])
def test_a_file_that_is_a_link_out_is_not_read(store, outside, room):
    ask(auto(drawing, store, []), FOX)
    for path in store.folder.glob(f"{room}/*/*"):
        path.rename(outside / path.name)
        path.symlink_to(outside / path.name)
    with pytest.raises(StoreError, match="a link leads out of the store"):
        store.read(FOX, provider="wire")


def test_a_file_that_is_a_link_out_is_replaced_and_what_it_leads_to_stays(store, outside):
    ask(auto(drawing, store, []), FOX)
    [path] = store.folder.glob("blobs/*/*.png")
    path.rename(outside / "picture.png")
    path.symlink_to(outside / "picture.png")
    assert store.keep(drawn(FOX, 0), "image/png") == path
    assert not path.is_symlink()
    assert names(outside) == ["picture.png", "thesis"]
    assert store.read(FOX, provider="wire").data == drawn(FOX, 0)


def test_a_journal_that_is_a_link_out_is_not_read(store, outside):
    pending.begin(store, FOX.as_call(), provider="wire")
    (store.folder / "pending").rename(outside / "pending")
    (store.folder / "pending").symlink_to(outside / "pending")
    assert pending.calls(store) == []


def test_a_link_that_leads_to_itself_is_damage_and_no_crash(store):
    ask(auto(drawing, store, []), FOX)
    [path] = store.folder.glob("records/*/*")
    path.unlink()
    path.symlink_to(path.name)
    with pytest.raises(StoreError, match="cannot be used"):
        store.read(FOX, provider="wire")


def test_a_store_that_is_itself_a_link_is_a_store(store, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    store.folder.symlink_to(tmp_path / "elsewhere")
    messages = []
    ask(auto(drawing, store, messages), FOX)
    assert messages == []
    assert store.read(FOX, provider="wire").data == drawn(FOX, 0)


def test_whatever_links_stand_on_the_way_a_path_is_inside_where_it_leads(tmp_path):
    store = tmp_path / "store"
    (store / "a" / "b").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "linked").symlink_to("store")
    links = {
        "out": "../other",
        "in": "a",
        "a/up": "..",
        "a/b/dead": "/nowhere",
        "loop": "loop",
        "self": store,
    }
    for name, target in links.items():
        (store / name).symlink_to(target)
    names = ["a", "b", "out", "in", "up", "dead", "loop", "self", "gone", "..", "x" * 300]
    for root, count in product([store, tmp_path / "linked", store / "a", store / "out"], range(4)):
        for way in product(names, repeat=count):
            path = Path(root, *way)
            leads = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
            assert files.is_inside(path, root) == leads, path
    for path in (tmp_path / "other", tmp_path / "storehouse" / "a", Path("/nowhere"), Path("store", "a")):
        assert not files.is_inside(path, store), path
