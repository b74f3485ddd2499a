"""Tab in our lines and cells: through a real kernel's `complete_request`, and at the edges without one."""

import pytest
from IPython.core import completer
from kernels import Kernel

from beluga_nb.commands.table import OPTIONS, commands_on
from beluga_nb.config.settings import names
from beluga_nb.hints import Surface
from beluga_nb.magics.complete import Known, offer
from beluga_nb.session.session import Session

COMMAND_NAMES = list(commands_on(Surface.MAGIC))
FLAGS = [flag for option in OPTIONS for flag in option.flags]
FIVE = ["1:1", "16:9", "9:16", "4:3", "3:4", "auto"]
FLUX = ["flux-kontext", "flux-2.0"]
OURS = ["anchor", "animal", "year"]
CLOSED = ["anchor}}", "animal}}"]

KINDS = hasattr(completer, "SimpleCompletion")
"""Whether this IPython says the kind of a completion: since 8.6."""

CASES = [
    # what stands before the cursor, what is offered there, its kind
    ("%beluga ", COMMAND_NAMES, "command"),
    ("%beluga st", ["status"], "command"),
    ("%beluga s", ["status", "sizes", "serve"], "command"),
    ("%beluga -", FLAGS, "option"),
    ("%beluga --mo", ["--model", "--mode"], "option"),
    ("%beluga -m flux-2.0 --mo", ["--mode"], "option"),
    ("%beluga -m flux-2.0 -n 2 --m", ["--mode"], "option"),
    ("%beluga -m fl", FLUX, "model"),
    ("%beluga --model fl", FLUX, "model"),
    ("%beluga --model=fl", FLUX, "model"),
    ("%beluga -m po", ["poster"], "model"),
    ("%beluga -m seedream-4.5 -s ", FIVE, "size"),
    ("%beluga -m seedream-4.5 -s 1", ["1:1", "16:9"], "size"),
    ("%beluga -s 2", ["2:3", "2:1", "21:9"], "size"),
    ("%beluga -m poster --size=9", ["9:16"], "size"),
    ("%beluga -s 1:1 -q ", ["standard", "hd"], "quality"),
    ("%beluga -q h", ["hd"], "quality"),
    ("%beluga -n ", ["1"], "count"),
    ("%beluga -m flux-2.0 -n ", ["1", "2", "3", "4"], "count"),
    ("%beluga --mode re", ["replay", "refresh"], "mode"),
    ("%beluga -o an", ["anchor", "animal"], "variable"),
    ("%beluga -o ", OURS, "variable"),
    ("%beluga a {{an", CLOSED, "variable"),
    ("%beluga a {{ an", CLOSED, "variable"),
    ("%beluga -m {{an", CLOSED, "variable"),
    ("%beluga -n 2 a {{year}} old {{anc", ["anchor}}"], "variable"),
    ("x = %beluga -m fl", FLUX, "model"),
    ("x = y = %beluga -q h", ["hd"], "quality"),
    ("for animal in 'ab':\n    %beluga -m fl", FLUX, "model"),
    ("%beluga a cat\n%beluga -q h", ["hd"], "quality"),
    ("%%beluga -m fl", FLUX, "model"),
    ("%%beluga --q", ["--quality", "--quiet"], "option"),
    ("%%beluga -m seedream-4.5 -s 1", ["1:1", "16:9"], "size"),
    ("%%beluga -m flux-2.0\na cat\nand {{an", CLOSED, "variable"),
    ("%beluga config ", [f"{name}=" for name in names()], "setting"),
    ("%beluga config mode=replay ma", ["max_in_flight=", "max_images=", "max_cost="], "setting"),
    ("%beluga config mode=re", ["replay", "refresh"], "mode"),
    ("%beluga config model=fl", FLUX, "model"),
    ("%beluga alias wide=-m fl", FLUX, "model"),
    (
        "%beluga history --",
        ["--text", "--model", "--since", "--until", "--limit", "--page", "--output"],
        "option",
    ),
    ("%beluga history --model fl", FLUX, "model"),
    ("%beluga serve ", ["--port", "--stop"], "option"),
    ("%beluga forget 6611bcbd --y", ["--yes"], "option"),
    ("%beluga models --provider ", ["OpenAI", "Google", "ByteDance", "Various"], "provider"),
    ("%beluga sizes -m fl", FLUX, "model"),
    ("%beluga verify st", ["study.ipynb"], "file"),
    ("%beluga open fo", ["fox.png"], "file"),
    ("%beluga login -", ["--keep"], "option"),
    # in a prompt only what stands there: nothing foreign
    ("%beluga a pri", ["pri"], "prompt"),
    ("%beluga a ", [""], "prompt"),
    ("%beluga -n 2 import", ["import"], "prompt"),
    ("%beluga open sea", ["sea"], "prompt"),
    ("%%beluga\npri", ["pri"], "prompt"),
    ("%%beluga\nmodels", ["models"], "prompt"),
    ("%beluga -- -", ["-"], "prompt"),
]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completion")
    (folder / "study.ipynb").write_text("{}")
    (folder / "fox.png").write_bytes(b"")
    with Kernel(folder) as running:
        running.run("%load_ext beluga_nb\n%beluga alias poster=-m seedream-4.5 -s 3:4")
        running.run("animal, anchor, year = 'fox', 1, 2026\ndef antelope(): pass\nimport ast as ant")
        yield running


@pytest.mark.parametrize(("code", "offered", "kind"), CASES, ids=[case[0][-30:] for case in CASES])
def test_tab_offers_just_what_can_stand_there(kernel, code, offered, kind):
    matches, (start, end), types = kernel.complete(code)
    assert matches == offered
    assert types == {kind if KINDS else "<unknown>"}
    assert end == len(code)
    assert all(match.startswith(code[start:]) or code[start:] == "" for match in offered)


def test_in_the_middle_of_a_line_only_what_is_before_the_cursor_counts(kernel):
    code = "%beluga -m fl a {{an}} here"
    assert kernel.complete(code, len("%beluga -m fl"))[0] == FLUX
    assert kernel.complete(code, len("%beluga -m fl a {{an"))[0] == ["anchor", "animal"], "closed already"


@pytest.mark.parametrize(
    ("code", "one"),
    [("pri", "print"), ("%beluga a cat\npri", "print"), ("%%beluga", "%%beluga"), ("%bel", "%beluga")],
)
def test_elsewhere_ipython_completes_as_ever(kernel, code, one):
    assert one in kernel.complete(code)[0]


def test_a_broken_file_of_settings_breaks_no_tab(tmp_path):
    (tmp_path / "beluga.toml").write_text("model = ")
    with Kernel(tmp_path) as kernel:
        kernel.run("%load_ext beluga_nb")
        assert "status" in kernel.complete("%beluga ")[0]
        kernel.complete("%beluga -m fl")
        assert kernel.run("1 + 1").texts == ["2"]


@pytest.mark.parametrize(
    "before",
    [
        "",
        "x = 1",
        "y % beluga -m ",
        "# %beluga",
        "%belugas -m ",
        "print('%beluga -m ",
        "x == %beluga -m ",
        "%%beluga",
    ],
)
def test_what_is_not_ours_is_left_to_others(before, tmp_path):
    choices = Session(environ={}, folder=tmp_path).preferences.choices
    assert offer(before, "", Known(choices)) is None
