"""`python -m beluga_nb verify` and its like, as CI and pre-commit run them: real processes."""

import subprocess
import sys
from pathlib import Path

import pytest
from kernels import clean_environment
from stores import SENTINEL, everything, mentions, notebook, record

from beluga_nb.request import Request
from beluga_nb.store import pending
from beluga_nb.store.records import Store

CALL = "3f2a9c1e-2222-4000-8000-000000000000"

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    """A folder with a store, a notebook that shows two pictures of it, and two more that nothing shows."""
    store = Store(tmp_path / "beluga_store")
    notebook(tmp_path / "whales.ipynb", record(store, "whales", n=2))
    record(store, f"a {SENTINEL}", created=1_000_000_000)
    call = pending.begin(
        store, Request(prompt="a lost one", model="flux-2.0", idempotency_key=CALL), provider="wire"
    )
    pending.mark_unknown(store, call, "It was interrupted.")
    return tmp_path


def run(folder, *words, answer=None, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "beluga_nb", *words],
        cwd=folder,
        env=clean_environment(**environment),
        input=answer or "",
        capture_output=True,
        timeout=60,
        encoding="utf-8",
    )
    return done.returncode, done.stdout, done.stderr


def test_verify_is_0_for_a_whole_store_and_changes_nothing(folder):
    before = everything(folder)
    status, out, err = run(folder, "verify", "whales.ipynb")
    assert (status, err) == (0, "")
    assert out.splitlines()[0] == "beluga_store (3 recordings), whales.ipynb: all well"
    assert f"1 picture of “a {SENTINEL}”" in out
    assert "calls without a known end: 1" in out
    assert everything(folder) == before


def test_verify_is_1_for_a_problem(folder):
    next(folder.glob("beluga_store/blobs/*/*.png")).write_bytes(b"damaged")
    status, out, err = run(folder, "verify")
    assert (status, err) == (1, "")
    assert out.startswith("beluga_store (3 recordings): 1 problem\n  blobs/")


def test_verify_takes_the_store_that_a_notebook_has_from_its_own_folder(folder, tmp_path):
    other = folder / "other"
    other.mkdir()
    (other / "beluga.toml").write_text('store = "elsewhere"')
    notebook(other / "n.ipynb", record(Store(other / "elsewhere"), "a cat"))
    status, out, _ = run(folder, "verify", "whales.ipynb", "other/n.ipynb")
    assert status == 0
    assert "beluga_store (3 recordings), whales.ipynb: all well\n" in out
    assert "elsewhere (1 recording), n.ipynb: all well\n" in out


def test_our_own_notebook_is_fine():
    status, out, err = run(ROOT, "verify", "notebooks/01-quickstart.ipynb")
    assert (status, err) == (0, ""), out


def test_history_lists_and_filters(folder):
    status, out, err = run(folder, "history")
    assert (status, err) == (0, "")
    assert len(out.splitlines()) == 1 + 3
    assert "no result. It was interrupted." in out
    assert len(run(folder, "history", "whale")[1].splitlines()) == 2
    assert run(folder, "history", "--model", "flux")[1].startswith("Nothing that fits is recorded. ")
    assert SENTINEL in run(folder, "history", "--until", "2001-09-09")[1]
    assert run(folder, "history", "--limit", "1")[1].endswith("… and 2 more: the next page is --page 2\n")
    assert "a lost one" not in run(folder, "history", "--limit", "1", "--page", "2")[1]


def test_forget_without_yes_and_without_anybody_to_ask_removes_nothing(folder):
    before = everything(folder)
    status, out, err = run(folder, "forget", "--prompt", SENTINEL)
    assert (status, out) == (1, "")
    assert err.endswith(
        "python -m beluga_nb forget: 1 run, 1 picture: to be forgotten, "
        "and this environment cannot ask for confirmation.\n"
        "Nothing was removed. Confirm with --yes.\n"
    )
    assert everything(folder) == before


@pytest.mark.parametrize(
    "words", [["--prompt", SENTINEL], ["--older", "1000w"], ["--all"]], ids=["prompt", "age", "all"]
)
def test_forget_leaves_nothing_of_the_prompt(folder, words):
    status, out, err = run(folder, "forget", *words, "--yes")
    assert (status, err) == (0, "")
    assert out.startswith("Forgotten: ")
    assert mentions(folder, SENTINEL) == []
    assert run(folder, "verify", "whales.ipynb")[0] == (1 if words == ["--all"] else 0)


def test_pack_and_unpack(folder):
    status, out, err = run(folder, "pack", "whales.ipynb", "-o", "sent.zip")
    assert (status, err) == (0, "")
    assert out.startswith("sent.zip: whales.ipynb and 2 pictures that it needs (")
    status, out, err = run(folder, "unpack", "sent.zip", "--into", "there")
    assert (status, err) == (0, "")
    assert run(folder / "there", "verify", "whales.ipynb")[0] == 0
    assert mentions(folder / "there", SENTINEL) == []


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["verify", "--fast"], "unrecognized arguments: --fast"),
        (["history", "--limit", "0"], "'0' is not a whole number of at least 1"),
        (["history", "--since", "today"], "'today' is not a date."),
        (["forget"], "No recordings were selected."),
        (["forget", "--older", "old"], "'old' is not an age."),
        (["forget", "ffff0000"], "There is no run 'ffff0000'."),
        (["pack"], "the following arguments are required: NOTEBOOK"),
        (["pack", "gone.ipynb"], "gone.ipynb cannot be read: No such file or directory."),
        (["pack", "whales.ipynb", "-o", "whales.ipynb"], "whales.ipynb already exists and is not a pack."),
        (["unpack", "whales.ipynb"], "whales.ipynb cannot be unpacked: it is damaged (BadZipFile)."),
    ],
)
def test_an_error_is_two_lines_and_status_2(folder, words, expected):
    before = everything(folder)
    status, out, err = run(folder, *words)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 2
    assert expected in err
    assert everything(folder) == before


def test_a_damaged_beluga_toml_is_two_lines_and_status_2(folder):
    (folder / "beluga.toml").write_text("store = 7")
    status, _, err = run(folder, "verify")
    assert (status, len(err.splitlines())) == (2, 2)


def test_a_terminal_that_cannot_show_a_prompt_is_no_error(folder):
    record(Store(folder / "beluga_store"), "a \N{FOX FACE}")
    status, out, err = run(folder, "history", PYTHONIOENCODING="ascii")
    assert (status, err) == (0, "")
    assert "a ?" in out


@pytest.mark.sampled(3)
@pytest.mark.parametrize("command", ["verify", "history", "forget", "pack", "unpack"])
def test_help_says_what_a_command_takes(folder, command):
    status, out, err = run(folder, command, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: python -m beluga_nb {command} [-h]")
