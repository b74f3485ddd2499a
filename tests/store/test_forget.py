"""Forgetting leaves nothing of what was forgotten, and everything else (S51, R34)."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stores import DAY, MONDAY, SENTINEL, everything, mentions, notebook, record

from beluga_nb.errors import APIStatusError, RequestError, StoreError
from beluga_nb.request import Request
from beluga_nb.result import Picture, Preview, Recipe
from beluga_nb.store import forget as forgetting
from beluga_nb.store import pending
from beluga_nb.store.forget import age, choose, forget
from beluga_nb.store.records import Store
from beluga_nb.store.runs import runs
from beluga_nb.store.verify import verify

NOW = time.time()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


LOST = "3f2a9c1e-2222-4000-8000-000000000000"
WAITING = "7f2a9c1e-2222-4000-8000-000000000000"


def forgotten(store, *names, **options):
    return forget(store, choose(store, names, **options))


def prompts(store):
    return sorted(run.request.prompt for run in runs(store))


def same_bytes(store, *prompts):
    """Several requests that were answered with the same bytes, preview included."""
    for prompt in prompts:
        request = Request(prompt=prompt, model="flux-2.0")
        picture = Picture(b"same", "image/png", Recipe(request=request, engine="drawing", created=MONDAY))
        picture.__dict__["size"] = (1, 1)
        store.write(picture, Preview(b"small", "image/jpeg"), provider="wire")


def begun(store, run, *, why="It was interrupted.", prompt=SENTINEL):
    call = pending.begin(
        store, Request(prompt=prompt, model="flux-2.0", idempotency_key=run), provider="wire"
    )
    if why:
        pending.mark_unknown(store, call, why)
    return call


# --- nothing is left


def test_s51_nothing_of_a_prompt_is_left_in_the_folder(store, tmp_path):
    record(store, f"a {SENTINEL} in the snow", n=3)
    record(store, f"{SENTINEL} “quoted”\nand broken", take="2")
    request = Request(prompt=f"{SENTINEL} declined", model="flux-2.0")
    refusal = APIStatusError(f"“{SENTINEL}” was declined.", status=400, code="moderation_blocked")
    store.write_refusal(request, refusal, provider="wire", created=MONDAY)
    begun(store, LOST)
    notebook(tmp_path / "n.ipynb", record(store, f"a {SENTINEL} in the snow", n=3))
    other = record(store, "another", n=2)
    notebook(tmp_path / "o.ipynb", other)
    assert len(list(store.folder.glob("sheets/*/*"))) == 2
    part = store.folder / "tmp" / f"beluga-{'0' * 32}.part"
    part.write_text(SENTINEL)
    os.utime(part, (NOW - 120, NOW - 120))

    removed = forgotten(store, prompt=SENTINEL.upper())

    assert mentions(store.folder, SENTINEL) == []
    assert prompts(store) == ["another"]
    assert len(list(store.folder.glob("sheets/*/*"))) == 1
    report = verify(store, [tmp_path / "o.ipynb"])
    assert (report.problems, report.unnamed, report.unused) == ((), (), ())
    assert str(removed).startswith("Forgotten: 4 runs, 4 pictures (")
    assert "Notebooks, git's history and IPython's history are not touched" in str(removed)
    assert mentions(tmp_path, SENTINEL) == ["n.ipynb"]


def test_a_revised_prompt_counts_as_the_prompt(store):
    record(store, "a fox")  # the engine says: a drawing of sample 0
    record(store, "a cat")
    assert len(choose(store, prompt="DRAWING of").runs) == 2


def test_a_record_in_the_wrong_folder_goes_too(store):
    record(store, SENTINEL)
    [path] = store.record_paths()
    path.parent.rename(path.parent.with_name("zz"))
    forgotten(store, prompt=SENTINEL)
    assert mentions(store.folder, SENTINEL) == []
    assert list(store.folder.glob("blobs/*/*")) == []


@pytest.mark.parametrize("text", ["a “fox”\n\\ \t", 'say "zebra"', "Größe \N{FOX FACE}"])
def test_a_damaged_record_that_holds_the_prompt_goes_too_with_its_bytes(store, text):
    record(store, text, n=2)
    record(store, "another")
    for path in store.record_paths():
        if "another" not in path.read_text():
            path.write_bytes(path.read_bytes()[:-20])
    assert prompts(store) == ["another"]
    report = forgotten(store, prompt=text)
    assert "2 damaged files" in str(report)
    assert len(store.record_paths()) == 1
    assert verify(store).unnamed == ()


def test_a_damaged_call_that_holds_the_prompt_goes_too(store):
    begun(store, LOST)
    path = pending.CALLS.path(store, LOST)
    path.write_text(path.read_text()[:-30])
    forgotten(store, prompt=SENTINEL)
    assert mentions(store.folder, SENTINEL) == []


def test_all_is_all(store):
    record(store, n=3)
    begun(store, LOST)
    damaged = store.record_paths()[0]
    damaged.write_bytes(damaged.read_bytes()[:40])
    kept = store.keep(b"half a picture")
    os.utime(kept, (0, 0))
    forgotten(store, everything=True)
    named = {name for name in everything(store.folder) if name.partition("/")[0] in {"records", "pending"}}
    assert named == set()
    assert not kept.exists()


def test_all_leaves_bytes_that_may_just_be_being_recorded(store):
    record(store)
    fresh = store.keep(b"the record of it comes in a moment")
    forgotten(store, everything=True)
    assert fresh.exists()


# --- and nothing else goes


def test_what_another_recording_needs_stays(store):
    same_bytes(store, "one", "two")
    forgotten(store, prompt="one")
    assert prompts(store) == ["two"]
    assert verify(store).problems == ()
    forgotten(store, prompt="two")
    assert list(store.folder.glob("blobs/*/*")) == []


def test_what_a_damaged_or_newer_record_names_stays(store):
    same_bytes(store, "one", "two", "three")
    for path in store.record_paths():
        if '"two"' in path.read_text():
            path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
        if '"three"' in path.read_text():
            path.write_text(path.read_text()[:-10])
    forgotten(store, prompt="one")
    assert len(list(store.folder.glob("blobs/*/*"))) == 2


def test_a_sheet_of_pictures_that_stay_stays(store, tmp_path):
    shown = record(store, "a fox", n=2)
    notebook(tmp_path / "n.ipynb", shown)
    record(store, "a cat")
    forgotten(store, prompt="a cat")
    assert len(list(store.folder.glob("sheets/*/*"))) == 1
    assert verify(store, [tmp_path / "n.ipynb"]).problems == ()


@pytest.mark.posix
def test_a_link_out_of_the_store_is_not_followed(store, tmp_path):
    record(store, SENTINEL)
    [path] = store.folder.glob("blobs/*/*.png")
    path.parent.rename(tmp_path / "elsewhere")
    path.parent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="a link leads out of the store"):
        forgotten(store, prompt=SENTINEL)
    assert len(list((tmp_path / "elsewhere").iterdir())) == 1


# --- what is chosen


def test_by_name(store):
    record(store, "a")
    record(store, "b", n=2)
    name = next(run.name for run in runs(store) if run.request.prompt == "b")
    forgotten(store, name[:12])
    assert prompts(store) == ["a"]


def test_by_age_and_the_newest_of_a_run_counts(store):
    for prompt, days in [("old", 91), ("young", 89), ("both", 100)]:
        record(store, prompt, created=int(NOW - days * DAY))
    record(store, "both", sample=1, created=int(NOW))
    record(store, "nobody knows when", created=0)
    forgotten(store, older="90d")
    assert prompts(store) == ["both", "nobody knows when", "young"]


def test_all_conditions_must_hold(store):
    for prompt, days in [("old fox", 91), ("young fox", 1), ("old cat", 91)]:
        record(store, prompt, created=int(NOW - days * DAY))
    forgotten(store, older="12w", prompt="fox")
    assert prompts(store) == ["old cat", "young fox"]


def test_all_that_is_old_is_not_all(store):
    record(store, "old", created=int(NOW - 91 * DAY))
    record(store, "young", created=int(NOW))
    forgotten(store, older="90d", everything=True)
    assert prompts(store) == ["young"]


@pytest.mark.parametrize("text", ["", "90", "d", "-1d", "1.5d", "90 d", "٣d", "3m", "999999d"])
def test_what_is_no_age_says_how_one_looks(text):
    with pytest.raises(RequestError, match="Give days or weeks, for example 90d or 12w"):
        age(text)


def test_no_condition_is_an_error_and_not_everything(store):
    with pytest.raises(RequestError, match="No recordings were selected"):
        choose(store)


@pytest.mark.parametrize("given", [{"prompt": ""}, {"prompt": " ", "older": "1d"}, {"older": ""}], ids=str)
def test_what_is_empty_is_an_error_and_not_everything(store, given):
    with pytest.raises(RequestError, match=r"The text to look for is empty|'' is not an age"):
        choose(store, **given)


def test_a_call_on_its_way_stays_unless_it_is_named(store):
    begun(store, WAITING, why="")
    begun(store, LOST)
    chosen = choose(store, prompt=SENTINEL)
    assert [run.name for run in chosen.runs] == [LOST]
    assert "but not 1 call in progress" in str(chosen)
    forget(store, chosen)
    assert [call.run for call in pending.calls(store)] == [WAITING]
    forgotten(store, WAITING)
    assert pending.calls(store) == []


# --- a full disk, and other kernels


def test_it_works_where_no_byte_can_be_written(store, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    def opened(path, flags, *rest):
        return full() if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) else os_open(path, flags, *rest)

    record(store, SENTINEL, n=2)
    record(store, "another")
    os_open = os.open
    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(Path, "rename", full)
    monkeypatch.setattr(Path, "replace", full)
    monkeypatch.setattr(Path, "write_bytes", full)
    forgotten(store, prompt=SENTINEL)
    monkeypatch.undo()
    assert mentions(store.folder, SENTINEL) == []
    assert verify(store).unnamed == ()
    assert prompts(store) == ["another"]


def test_what_cannot_be_removed_is_reported_and_the_rest_goes(store, monkeypatch):
    record(store, SENTINEL, n=2)
    stuck = store.record_paths()[0]
    unlink = Path.unlink

    def sticking(path, **options):
        if path == stuck:
            raise PermissionError(errno.EACCES, "Permission denied")
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", sticking)
    with pytest.raises(StoreError, match=r"1 file cannot be removed: .*Permission denied"):
        forgotten(store, prompt=SENTINEL)
    assert store.record_paths() == [stuck]


def test_bytes_that_are_recorded_anew_in_the_last_moment_come_back(store, monkeypatch):
    same_bytes(store, "one")
    renamed = forgetting._renamed

    def raced(path, removal):
        # Another kernel has kept the same bytes before, and its record comes only now.
        aside = renamed(path, removal)
        same_record(store, "two")
        return aside

    monkeypatch.setattr(forgetting, "_renamed", raced)
    forgotten(store, prompt="one")
    assert prompts(store) == ["two"]
    assert verify(store).problems == ()
    assert verify(store).unnamed == ()


def same_record(store, prompt):
    other = Store(store.folder.with_name("other"))
    same_bytes(other, prompt)
    [path] = other.record_paths()
    there = store.folder / path.relative_to(other.folder)
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_bytes(path.read_bytes())


def test_bytes_that_are_forgotten_while_the_same_are_recorded_are_written_again(store, monkeypatch):
    same_bytes(store, "one")
    write = Store._write_record

    def raced(self, record):
        # They were there when this kernel kept them; now another one forgets the only record that named them.
        forgotten(store, prompt="one")
        write(self, record)

    monkeypatch.setattr(Store, "_write_record", raced)
    same_bytes(store, "two")
    monkeypatch.undo()
    assert prompts(store) == ["two"]
    assert verify(store).problems == ()


def test_bytes_that_were_set_aside_when_a_forgetting_died_come_back_or_go(store):
    same_bytes(store, "one")
    record(store, "two")
    for path in store.folder.glob("blobs/*/*"):
        aside = path.rename(path.with_name(path.name + ".forgotten"))
        os.utime(aside, (0, 0))
    forgotten(store, prompt="two")
    assert verify(store).problems == ()
    assert verify(store).unnamed == ()
    assert prompts(store) == ["one"]


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_forget import same_bytes
from stores import record
from beluga_nb.store.records import Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
for number in range(150):
    same_bytes(store, f"kept {number}")       # the same bytes as what is being forgotten
    if number % 3 == 0:
        record(store, f"other {number}", n=2)
"""


def test_while_another_kernel_records_nothing_else_is_lost_and_nobody_fails(store):
    paths = [str(Path(__file__).parent), str(Path(__file__).parent.parent), *sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", WRITER, str(store.folder), str(Path(__file__).parent)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout.readline() == "ready\n"
        rounds = 0
        while writer.poll() is None:
            same_bytes(store, f"{SENTINEL} {rounds}")
            forgotten(store, prompt=SENTINEL)
            rounds += 1
        assert (writer.returncode, writer.stderr.read()) == (0, "")
    assert rounds > 3
    assert len(prompts(store)) == 150 + 50
    assert verify(store).problems == ()
    assert mentions(store.folder, SENTINEL) == []


@pytest.mark.parametrize("wrong", [0, 3.5, b"x", ["90d"]])
@pytest.mark.parametrize("name", ["older", "prompt"])
def test_a_condition_of_another_type_is_refused_in_two_lines(name, wrong, tmp_path):
    with pytest.raises(RequestError) as refused:
        choose(Store(tmp_path / "store"), [], **{name: wrong})
    assert len(str(refused.value).splitlines()) == 2
