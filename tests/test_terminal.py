"""No word from outside moves a terminal: what errors, reports and plans say has no control character in it.

Names of files, of models, of prices, of formats, and what servers and metrics say, with every code that a
terminal obeys in them. A line of ours may end; nothing else below a blank is ever written.
"""

import datetime
import inspect
import json
import os
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from stores import notebook, record

import beluga_nb.errors as errors
from beluga_nb.budget import Caps, Prices
from beluga_nb.compare.plan import Plan, Post
from beluga_nb.errors import BelugaError, printable
from beluga_nb.request import Request
from beluga_nb.result import Picture, Recipe
from beluga_nb.session.session import Session
from beluga_nb.store.forget import choose, forget
from beluga_nb.store.notebooks import read
from beluga_nb.store.pack import pack
from beluga_nb.store.records import Store
from beluga_nb.store.unpack import unpack
from beluga_nb.store.verify import verify
from beluga_nb.store.weight import weigh
from beluga_nb.terminal.cli import main
from beluga_nb.text import sanitize

CONTROLS = [chr(code) for code in [*range(0x20), 0x7F, *range(0x80, 0xA0)]]
TURNING = [*"\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"]
CODES = {
    "colours": "\x1b[31mred\x1b[0m",
    "clears": "\x1b[2J\x1b[H",
    "writes the clipboard": "\x1b]52;c;aGk=\x07",
    "a title": "\x1b]0;title\x1b\\",
    "asks back": "\x1b[6n",
    "C1": "\x9b31m\x9d0;x\x9c",
    "bell and back": "\x07\x08\x7f",
    "turned around": "a\u202egnp.exe",
    "returns": "one\rtwo",
}


def codes_in(text):
    return {
        char for char in text if char in set(CONTROLS) - {"\n", "\t"} or char in TURNING or char == "\ud800"
    }


@pytest.mark.parametrize("char", [*CONTROLS, *TURNING, "\udfff"])
def test_every_character_that_moves_a_terminal_is_taken_away(char):
    assert sanitize(f"a{char}b") in {"ab", "a b"}
    assert printable(f"a{char}b") == (f"a{char}b" if char in "\n\t" else "ab")


KINDS = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, BelugaError)]


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_error_says_any_whatever_it_is_made_of(kind, code):
    if kind is errors.UnknownNameError:
        error = kind(code, code, [code, "other"])
    elif kind is errors.UnknownArgumentError:
        error = kind(code, [code], of="generate")
    elif kind is errors.ImpossibleCombinationError:
        error = kind(1, 2, [code])
    elif kind is errors.NotSentError:
        error = kind(errors.RequestError(code, code))
    else:
        error = kind(code, code)
    text = "\n".join([str(error), *error.lines(), *error._render_traceback_()])
    assert codes_in(text) == set()


def named(folder, code, suffix):
    """A path with a code in its name, as far as a file system takes it."""
    return folder / f"{code.replace('/', '').replace(chr(0), '')}{suffix}"


@dataclass
class Study:
    store: Store
    notebook: Path


@pytest.fixture
def study(tmp_path):
    store = Store(tmp_path / "a" / "\x1b[31mstore")
    shown = record(store, prompt="a \x1b[2J fox\x9b", model="x\x1b[31m", take="\x07t")
    return Study(store, notebook(tmp_path / "a.ipynb", shown))


def said_by(work):
    """What is shown of an answer, or of an error."""
    try:
        return str(work())
    except BelugaError as error:
        return "\n".join(error.lines())


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_no_report_on_files_says_any(code, study, tmp_path):
    store, there = study.store, named(tmp_path, code, ".ipynb")
    there.write_bytes(study.notebook.read_bytes())
    gone, zipped = named(tmp_path, code, "gone.ipynb"), named(tmp_path, code, ".zip")
    bad = named(tmp_path, code, "bad.zip")
    bad.write_bytes(b"no zip")
    picture = Picture(b"x", "image/png", Recipe(request=Request(prompt=code + "x", model="x"), engine="x"))
    work = [
        *(lambda path=path: read(path) and "" for path in (gone, bad)),
        *(lambda path=path: weigh(path) for path in (there, gone, bad)),
        *(lambda path=path: verify(store, [path]) for path in (there, gone, bad)),
        *(lambda path=path: pack(store, path, zipped) for path in (gone, bad, there)),
        *(
            lambda path=path: unpack(path, Store(tmp_path / code[:1] / "s"), into=tmp_path / "b")
            for path in (gone, bad, zipped)
        ),
        lambda: unpack(zipped, Store(tmp_path / "b" / "s"), into=there),
        lambda: picture.save(there / "x.png"),
        lambda: picture.save(tmp_path / f"{there.name}.nothing"),
        lambda: forget(store, choose(store, prompt=code)),
        lambda: choose(store, ["\x1b[31m"]),
        lambda: choose(store, older=code),
        lambda: Session(environ={}, folder=tmp_path, notify=[].append).open(gone),
        lambda: Session(environ={}, folder=tmp_path, notify=[].append).open(there),
        lambda: Session(environ={}, folder=tmp_path, notify=[].append).open(tmp_path / "a"),
    ]
    for each in work:
        assert codes_in(said_by(each)) == set()


def test_no_report_on_a_damaged_store_says_any(study):
    store = study.store
    [path] = store.record_paths()
    whole = json.loads(path.read_text())
    request = Request(**whole["request"], take=whole["take"])
    for name in ("schema", "image", "preview", "request", "refusal", "provider"):
        path.write_text(json.dumps(whole | {name: "\x1b[31m\u202e" if name != "schema" else "\x1b[2J9\x9b"}))
        assert codes_in(str(verify(store))) == set()
        assert codes_in(said_by(lambda: store.read(request, provider="wire"))) == set()
    stray = store.folder / "blobs" / "ab"
    stray.mkdir()
    (stray / "\x1b[31mred\x9b").write_bytes(b"x")
    os.utime(stray / "\x1b[31mred\x9b", (1, 1))
    (path.parent / "\x1b[2Jx.json").write_text("{}")
    assert codes_in(str(verify(store))) == set()
    assert codes_in(said_by(lambda: forget(store, choose(store, everything=True)))) == set()


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_no_plan_says_any_of_models_prices_or_currencies(code):
    request = Request(prompt=code + "x", model="x" + code, size=code, take=code)
    prices = Prices.of({"date": datetime.date(2026, 11, 1), "currency": code, code: {code: 0.5}, "y": 1})
    post = Post(
        request=request, make_body=lambda _: {"prompt": code, "model": code}, url="https://api.example.org/v1"
    )
    plan = Plan(posts=[post], recorded=0, caps=Caps(prices=prices), cells=1)
    words = [str(plan), prices.words, Caps(prices=prices).words(Decimal(1))]
    words.append(said_by(lambda: Prices.of({"date": datetime.date(2026, 11, 1), code: code})))
    priced = Prices.of({"date": datetime.date(2026, 11, 1), "other": 1})
    words.append(str(Plan(posts=[post, post], recorded=0, caps=Caps(prices=priced), cells=1)))
    assert codes_in("".join(words)) == set()


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_the_command_line_says_none(code, study, tmp_path, capsys):
    there = named(tmp_path, code, ".ipynb")
    there.write_bytes(study.notebook.read_bytes())
    session = Session(environ={"BELUGA_STORE": str(study.store.folder)}, folder=tmp_path, notify=[].append)
    for words in (
        ["verify", there.name],
        ["history"],
        ["weight", there.name],
        ["weight"],
        ["pack", there.name],
        ["unpack", there.with_suffix(".zip").name, "--into", "b"],
        ["verify", code.replace("\0", "")],
        ["forget", "--prompt", "fox", "--yes"],
    ):
        main(words, session=session)
    printed = capsys.readouterr()
    assert printed.out
    assert codes_in(printed.out + printed.err) == set()
