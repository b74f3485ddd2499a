"""Paths that a person names, and files that anybody may have put there."""

import contextlib
import inspect
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from sampling import rounds
from stores import notebook, record

import beluga_nb
from beluga_nb import learned
from beluga_nb.compare.checks import Checks
from beluga_nb.compare.gallery import Gallery
from beluga_nb.compare.grid import Grid
from beluga_nb.compare.judge import Judged, JudgedPairs
from beluga_nb.compare.rank import Ranking
from beluga_nb.compare.scores import Scores
from beluga_nb.errors import BelugaError, RequestError
from beluga_nb.paths import (
    NotPlainFileError,
    has_content,
    open_file,
    path_of,
    read_file,
    read_head,
    write_file,
)
from beluga_nb.result import Picture, Result
from beluga_nb.session.library import Library
from beluga_nb.session.session import Session
from beluga_nb.store.records import Store
from beluga_nb.text import shown
from beluga_nb.untrusted import MOST_VALUES, load_json

NOBODY = "~nobody-has-this-name"


@pytest.fixture
def session(tmp_path):
    return Session(environ={}, folder=tmp_path, notify=lambda _: None)


@pytest.fixture
def saved(tmp_path):
    """A folder with a notebook, a pack and a picture in it."""
    shown = record(Store(tmp_path / "beluga_store"))
    notebook(tmp_path / "a.ipynb", shown)
    shown.pictures[0].save(tmp_path / "a.png")
    (tmp_path / "a.csv").write_text("animal\nfox\n")
    return tmp_path


def grid(session):
    return session.grid("a {{animal}}", animal=["fox"], model="flux-2.0", size="1:1")


VERBS = {
    "open": lambda session, path: session.open(f"{path}/a.png"),
    "verify": lambda session, path: session.store.verify(f"{path}/a.ipynb"),
    "weight": lambda session, path: session.store.weigh(f"{path}/a.ipynb"),
    "pack": lambda session, path: session.store.pack(f"{path}/a.ipynb"),
    "pack to": lambda session, path: session.store.pack(
        session.preferences.folder / "a.ipynb", to=f"{path}/b.zip"
    ),
    "unpack": lambda session, path: session.store.unpack(f"{path}/a.zip"),
    "unpack into": lambda session, path: session.store.unpack(
        session.preferences.folder / "a.zip", into=path
    ),
    "axis": lambda session, path: session.grid("a {{animal}}", animal=Path(f"{path}/a.csv")),
    "sheet": lambda session, path: grid(session).run().sheet(f"{path}/b.png"),
    "to_html": lambda session, path: grid(session).run().to_html(f"{path}/b.html"),
    "to_parquet": lambda session, path: grid(session).run().to_parquet(f"{path}/b.parquet"),
    "export": lambda session, path: grid(session).run().export(f"{path}/b"),
    "to_dataset": lambda session, path: grid(session).run().to_dataset(f"{path}/c"),
    "report": lambda session, path: grid(session).run().report(f"{path}/d", by="animal"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_home_is_reported_or_a_folder_of_that_name_and_never_raw(
    verb, session, saved, monkeypatch
):
    session.store.pack(saved / "a.ipynb")
    monkeypatch.chdir(saved)
    with contextlib.suppress(BelugaError):
        VERBS[verb](session, NOBODY)


@pytest.mark.posix
@pytest.mark.parametrize("verb", VERBS)
def test_a_persons_home_is_meant_by_a_tilde_in_every_verb(verb, session, saved, monkeypatch):
    session.store.pack(saved / "a.ipynb")
    monkeypatch.setenv("HOME", str(saved))
    monkeypatch.chdir(saved)
    assert path_of("~/a.png") == saved / "a.png"
    VERBS[verb](session, "~")


PUBLIC = (Checks, Gallery, Grid, Judged, JudgedPairs, Library, Picture, Ranking, Result, Scores, Session)


def taken():
    """Each parameter of a public method, function or metric that may be a path, with its annotation."""
    functions = [
        *[each for kind in PUBLIC for name, each in inspect.getmembers(kind, callable) if name[0] != "_"],
        *[getattr(beluga_nb, name) for name in ({*beluga_nb.__all__, "open"} - {"Settings", "Request"})],
        *[each for each in vars(learned).values() if getattr(each, "__module__", "") == learned.__name__],
    ]
    for function in functions:
        if inspect.isroutine(function) or inspect.isclass(function):
            with contextlib.suppress(ValueError):  # of `type`, which has no signature
                for name, parameter in inspect.signature(function).parameters.items():
                    if not name.startswith("_") and re.search(r"\bPath\b", str(parameter.annotation)):
                        yield f"{function.__qualname__}, {name}", str(parameter.annotation)


def test_every_parameter_for_a_path_takes_a_text_too():
    found = dict(taken())
    assert {"Session, folder", "Library.open, folder", "Grid.to_html, path", "QuotedText, data"} <= {*found}
    assert [each for each, annotation in found.items() if "str" not in re.findall(r"\w+", annotation)] == []


@pytest.mark.parametrize("kind", [str, Path])
def test_the_folder_of_a_session_may_be_a_text_and_stays_where_it_was(kind, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    session = Session(environ={}, folder=kind("other"))
    monkeypatch.chdir("/")
    assert session.preferences.folder == tmp_path / "other"
    assert session.store.open().folder == tmp_path / "other" / "beluga_store"
    monkeypatch.chdir(tmp_path)
    assert Session(environ={}).store.open(kind("other")).folder == tmp_path / "other" / "beluga_store"


GONE = """
import os, sys
os.mkdir("gone"); os.chdir("gone"); os.rmdir("../gone")
from beluga_nb.terminal.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.posix
@pytest.mark.parametrize(
    "words",
    ["history", "verify", "verify a.ipynb", "weight", "weight a.ipynb", "forget --all --yes", "pack a.ipynb",
     "unpack a.zip"],
)  # fmt: skip
def test_in_a_folder_that_has_been_removed_a_command_says_so_in_two_lines(words, tmp_path):
    done = subprocess.run(
        [sys.executable, "-P", "-c", GONE, *words.split()], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stderr
    assert len((done.stdout + done.stderr).splitlines()) == 2


# --- reading


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "a" * 5000])
def test_a_name_that_no_file_can_have_is_an_error_of_the_system(name, tmp_path):
    for work in (
        open_file,
        partial(read_file, most=9),
        partial(read_head, most=9),
        partial(write_file, data=b""),
    ):
        with pytest.raises(OSError, match=r"no file can have that name|too long"):
            work(str(tmp_path / name))
    assert not has_content(str(tmp_path / name), b"")


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 100_000])
def test_a_file_is_read_to_the_bound_and_not_a_byte_further(size, tmp_path):
    path = tmp_path / "a"
    data = os.urandom(size)
    path.write_bytes(data)
    assert read_head(path, 100) == data[:100]
    assert has_content(path, data)
    assert not has_content(path, data + b"x")
    if size <= 100:
        assert read_file(path, 100) == data
    else:
        with pytest.raises(NotPlainFileError, match="it has more than 100 bytes"):
            read_file(path, 100)


@pytest.mark.posix
@pytest.mark.skipif(sys.platform != "linux", reason="files of no size with something in them are Linux's")
def test_a_file_that_says_it_is_empty_is_read_to_the_bound_too():
    assert read_file("/proc/self/status", 10**6).startswith(b"Name:")
    with pytest.raises(NotPlainFileError, match="it has more than 9 bytes"):
        read_file("/proc/self/status", 9)


def test_a_file_that_is_written_again_holds_nothing_of_before(tmp_path):
    for data in (b"a long text", b"short", b""):
        write_file(tmp_path / "a", data)
        assert (tmp_path / "a").read_bytes() == data


@pytest.mark.posix
@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_a_picture_is_not_written_into_what_is_no_file(kind, tmp_path):
    path = tmp_path / "a.png"
    {"pipe": os.mkfifo, "folder": os.mkdir}.get(kind, lambda path: path.symlink_to("/dev/full"))(path)
    shown = record(Store(tmp_path / "beluga_store"))
    with pytest.raises(BelugaError, match=r"a\.png cannot be written"):
        shown.pictures[0].save(path)


# --- JSON and tables


LONG = {
    "numbers": "1,",
    "strings": '"",',
    "lists": "[],",
    "objects": "{},",
    "objects with names": '{"a":1},',
    "floats": "1.5,",
}


@pytest.mark.parametrize("kind", LONG)
def test_json_of_more_values_than_are_read_is_refused_at_once(kind):
    text = "[" + LONG[kind] * MOST_VALUES + "1]"
    for data in (text, text.encode()):
        with pytest.raises(ValueError, match="it holds too many values"):
            load_json(data)


def test_json_of_few_and_long_values_is_read():
    assert load_json('["' + "x" * 20_000_000 + '"]') == ["x" * 20_000_000]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (b"animal\n" + b"fox\n" * 100_001, "it has more than 100,000 rows"),
        (b",".join(b"a%d" % number for number in range(101)) + b"\n", "it has more than 100 names"),
        (b"a," * 500_000 + b"a\n" + b"1\n" * 10_000, "it has more than 100 names"),
        (b"animal\n" + b"x" * (32 * 2**20), "it has more than 33,554,432 bytes"),
        (b"animal\nfox,hen\n", "a line has more cells than there are names"),
        (b"animal\n\xff\n", "can't decode"),
    ],
)
def test_a_table_that_no_grid_needs_is_reported_at_once(table, expected, session, tmp_path):
    (tmp_path / "a.csv").write_bytes(table)
    with pytest.raises(RequestError, match=expected) as caught:
        session.grid("a {{animal}}", animal=Path("a.csv"))
    assert len(caught.value.lines()) == 2


COUNT = rounds(2_000, 10_000)


def test_a_table_of_as_many_rows_as_a_grid_has_is_read(session, tmp_path):
    (tmp_path / "a.csv").write_text(
        "animal\n" + "".join(f"fox {number}\n" for number in range(COUNT)), "utf-8"
    )
    assert len(session.grid("a {{animal}}", animal=Path("a.csv"))) == COUNT


def test_a_table_with_a_mark_of_its_encoding_and_with_lines_in_its_cells_is_read(session, tmp_path):
    (tmp_path / "a.csv").write_bytes(b'\xef\xbb\xbfanimal,scene\r\n"a\r\nfox",snow\r\n')
    found = session.grid("a {{animal}} in {{scene}}", animal=Path("a.csv"))
    [choice] = found.study.axes[0].choices
    assert choice.sets == {"animal": "a\r\nfox", "scene": "snow"}


NO_PATHS = {
    "empty": "",
    "NUL": "a\0.png",
    "half a surrogate pair": "a\ud800.png",
    "None": None,
    "a number": 3,
}


@pytest.mark.parametrize("words", NO_PATHS.values(), ids=NO_PATHS)
def test_what_is_no_path_is_refused_by_every_verb_in_two_lines(words, session):
    made, result = grid(session), record(session.store.open())
    verbs = [
        made.sheet,
        made.to_html,
        made.to_parquet,
        made.export,
        result.save,
        result.pictures[0].save,
        session.open,
    ]
    store = session.store
    for verb in [*verbs, session.check, store.verify, store.weigh, store.pack, store.unpack]:
        with pytest.raises(RequestError) as refused:
            verb(words)
        assert refused.value.message == f"{shown(words)} names no file or folder."
        assert refused.value.hint == "Give the path of one."


@pytest.mark.parametrize("words", [".", "..", "/"])
def test_a_folder_is_no_name_for_a_file_that_is_written(words, session):
    made, result = grid(session), record(session.store.open())
    for verb in (made.sheet, made.to_html, result.save, result.pictures[0].save):
        with pytest.raises(RequestError, match="names no file") as refused:
            verb(words)
        assert refused.value.hint == "Give the file a name, such as 'whale.png'."
