"""Every writer of files outside of the store: what was there is whole, or what is new is, and never a half.

Generator: 14 writers, over an old file and into a new place, on a full disk at several places, in a read-only
folder, through a link.
"""

import contextlib
import os
import stat
import subprocess
import sys
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
from children import environment
from stores import notebook, record

from beluga_nb.errors import BelugaError
from beluga_nb.paths import LEFT_AFTER, remove_parts, replacing, write_file
from beluga_nb.session.session import Session
from beluga_nb.store.records import Store
from beluga_nb.terminal import lab

EDITS = "<!--" + "of darktable " * 20_000 + "-->"


class Desk:
    """A session with a picture, a grid, a notebook and a pack, all far from where files are written."""

    def __init__(self, folder):
        self.session = Session(environ={}, folder=folder, notify=lambda _: None)
        self.shown = record(Store(folder / "beluga_store"))
        self.grid = self.session.grid(
            "a {{animal}}", animal=["fox", "hen"], model="flux-2.0", size="1:1"
        ).run()
        notebook(folder / "a.ipynb", self.shown)
        self.session.store.pack(folder / "a.ipynb")
        self.folder = folder

    def saved(self, path, **how):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.shown.pictures[0].save(path, **how)

    def unpacked(self, path):
        self.session.store.unpack(self.folder / "a.zip", into=path.parent)

    def copied(self, path):
        (self.folder / "source").mkdir(exist_ok=True)
        (self.folder / "source/README.md").write_text("ours" * 1000)
        lab.copy(self.folder / "source", path.parent)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return Desk(tmp_path_factory.mktemp("desk"))


REPLACING = {
    "a picture": ("a.png", lambda desk, path: desk.saved(path, metadata="none")),
    "a picture with its recipe": ("a.png", lambda desk, path: desk.saved(path)),
    "another format": ("a.jpg", lambda desk, path: desk.saved(path)),
    "a sidecar": ("a.png.xmp", lambda desk, path: desk.saved(path.with_suffix(""), metadata="sidecar")),
    "what a sidecar said before": ("a.png.xmp", lambda desk, path: desk.saved(path.with_suffix(""))),
    "a page": ("a.html", lambda desk, path: desk.grid.to_html(path)),
    "a sheet": ("a.png", lambda desk, path: desk.grid.sheet(path)),
    "an export": ("fox.png", lambda desk, path: desk.grid.where(animal="fox").export(path.parent)),
    "a data set": ("metadata.jsonl", lambda desk, path: desk.grid.to_dataset(path.parent)),
    "a table": ("a.csv", lambda desk, path: desk.grid.to_frame().to_csv(path)),
    "a table by name": ("b.csv", lambda desk, path: desk.grid.to_frame().to_csv(path_or_buf=path)),
    "a column": ("a.tsv", lambda desk, path: desk.grid.to_frame().iloc[:, 0].to_csv(path, sep="\t")),
    "a pack": ("a.zip", lambda desk, path: desk.session.store.pack(desk.folder / "a.ipynb", to=path)),
}
if find_spec("pyarrow"):
    REPLACING["a Parquet file"] = ("a.parquet", lambda desk, path: desk.grid.to_parquet(path))
NEW = {
    "a notebook of a pack": ("a.ipynb", Desk.unpacked),
    "a copy": ("README.md", Desk.copied),
}
WRITERS = REPLACING | NEW
ROOMS = [0, 1, 100, 300, 10_000]  # bytes that the disk has room for


@contextlib.contextmanager
def room_for(size):
    """Let no file have more bytes, as on a disk that is full."""
    import resource
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def old_file(desk, what, path):
    """Write what was there before, as another time gives it."""
    WRITERS[what][1](desk, path)
    if what == "what a sidecar said before":
        desk.saved(path.with_suffix(""), metadata="sidecar")
    if path.suffix == ".xmp":
        path.write_text(path.read_text().replace("</x:xmpmeta>", f"{EDITS}</x:xmpmeta>"))
    elif path.suffix != ".zip":
        path.write_bytes(path.read_bytes() + b" of last year" * 2000)
    return path.read_bytes()


def hidden(folder):
    return [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.posix
@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("what", REPLACING)
def test_on_a_full_disk_what_was_there_is_whole_or_what_is_new_is(what, room, desk, tmp_path):
    name, write = REPLACING[what]
    path = tmp_path / name
    before = old_file(desk, what, path)
    desk.saved(tmp_path / "fresh.png")
    write(desk, path)
    whole = path.read_bytes() if path.exists() else None
    path.write_bytes(before)
    with room_for(room), contextlib.suppress(BelugaError, OSError):
        write(desk, path)
    assert (path.read_bytes() if path.exists() else None) in (before, whole)
    if path.suffix == ".xmp":
        assert "of darktable" in path.read_text()
    assert hidden(tmp_path) == []


@pytest.mark.posix
@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("what", WRITERS)
def test_on_a_full_disk_no_half_of_a_new_file_is_left(what, room, desk, tmp_path):
    name, write = WRITERS[what]
    write(desk, tmp_path / name)
    whole = (tmp_path / name).read_bytes() if (tmp_path / name).exists() else None
    folder = tmp_path / "new"
    folder.mkdir()
    with room_for(room), contextlib.suppress(BelugaError, OSError):
        write(desk, folder / name)
    assert not (folder / name).exists() or (folder / name).read_bytes() == whole
    assert hidden(folder) == []
    write(desk, folder / name)
    assert ((folder / name).read_bytes() if whole else None) == whole


@pytest.mark.posix
@pytest.mark.parametrize("what", REPLACING)
def test_a_link_is_followed_and_the_mode_stays(what, desk, tmp_path):
    name, write = REPLACING[what]
    real, path = tmp_path / "deep" / f"real.{name}", tmp_path / name
    real.parent.mkdir()
    old_file(desk, what, path)
    path.rename(real)
    real.chmod(0o640)
    path.symlink_to(Path("deep") / real.name)
    before = real.read_bytes()
    write(desk, path)
    assert path.is_symlink()
    assert os.readlink(path) == f"deep/{real.name}"
    assert what in {"a pack", "a sidecar"} or real.read_bytes() != before
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert hidden(tmp_path) == hidden(real.parent) == []


@pytest.mark.posix
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o027, 0o077])
@pytest.mark.parametrize("what", WRITERS)
def test_a_new_file_gets_the_mode_that_the_umask_says(what, umask, desk, tmp_path):
    name, write = WRITERS[what]
    before = os.umask(umask)
    try:
        write(desk, tmp_path / name)
        if what != "what a sidecar said before":
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~umask
    finally:
        os.umask(before)


CLOSED = """
import os, sys
from pathlib import Path
from beluga_nb.paths import replacing, write_file
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
for write in (write_file, lambda path, data: replacing(path, new=True).__enter__()):
    try:
        write(Path(sys.argv[1]), b"new")
    except PermissionError as error:
        print(error.strerror)
"""


@pytest.mark.posix
@pytest.mark.parametrize("closed", ["folder", "file"])
def test_in_a_folder_or_over_a_file_that_is_read_only_nothing_is_written(closed, tmp_path):
    import tempfile

    with tempfile.TemporaryDirectory() as name:  # that anybody may enter, unlike pytest's
        folder = Path(name) / "inner"
        folder.mkdir()
        path = folder / "a.txt"
        path.write_bytes(b"old")
        path.chmod(0o666 if closed == "folder" else 0o444)
        folder.chmod(0o555)
        Path(name).chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-c", CLOSED, str(path)], env=environment(), capture_output=True, text=True
        )
        assert (done.stdout, done.stderr) == ("Permission denied\n" * 2, "")
        assert path.read_bytes() == b"old"
        assert [each.name for each in folder.iterdir()] == ["a.txt"]


KILLED = """
import os, signal, sys
from pathlib import Path
from beluga_nb.paths import replacing
with replacing(Path(sys.argv[1]), new=sys.argv[2] == "new") as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.posix
@pytest.mark.parametrize("found", ["old", "new"])
def test_a_writer_that_is_killed_leaves_no_half_at_the_name_and_what_it_leaves_is_removed(found, tmp_path):
    path, other = tmp_path / "a.zip", tmp_path / ".beluga-of-mine.part"
    other.write_text("mine")
    os.utime(other, (1, 1))
    if found == "old":
        path.write_text("old")
    subprocess.run([sys.executable, "-c", KILLED, str(path), found], env=environment())
    assert path.exists() == (found == "old")
    assert not path.exists() or path.read_text() == "old"
    [part] = set(hidden(tmp_path)) - {other}
    remove_parts(path)
    assert part.exists(), "its writer may be alive"
    os.utime(part, (time.time() - LEFT_AFTER - 9,) * 2)
    remove_parts(tmp_path / "another.zip")
    assert part.exists()
    remove_parts(path)
    assert hidden(tmp_path) == [other]


def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "a.ipynb"

    def write():
        with replacing(path, new=True) as file:
            file.write(b"ours")
            path.write_bytes(b"theirs")

    with pytest.raises(FileExistsError):
        write()
    assert path.read_bytes() == b"theirs"
    assert hidden(tmp_path) == []


@pytest.mark.posix
def test_a_link_to_nothing_is_where_the_file_is_made(tmp_path):
    (tmp_path / "link").symlink_to("real")
    write_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
