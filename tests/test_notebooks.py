"""How the committed notebooks are checked: without a route or a key, and so that a wrong byte is noticed."""

import errno
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sampling
from conftest import KEY
from kernels import Kernel, clean_environment

from beluga_nb.store.pack import pack
from beluga_nb.store.records import Store
from beluga_nb.store.unpack import unpack

ROOT = Path(__file__).parent.parent
CHECKED = runpy.run_path(str(ROOT / "tests/__main__.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def checked(how, folder):
    """Check the notebooks in a folder as `python -m tests` does."""
    words = [sys.executable, "-m", *CHECKED[how], "-c", str(ROOT / "pyproject.toml"), str(folder)]
    environ = CHECKED["without_a_route"]()
    environ["PYTHONPATH"] += os.pathsep + str(ROOT)
    return subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300)


@pytest.fixture
def copy(tmp_path):
    return Path(shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks"))


@pytest.mark.parametrize("how", ["NBVAL", "PYTEST_NOTEBOOK"])
def test_one_flipped_byte_in_one_picture_fails_the_notebook(copy, how):
    blob = max(copy.glob("beluga_store/blobs/*/*.png"), key=lambda path: path.stat().st_size)
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)
    showing = [path for path in copy.glob("*.ipynb") if blob.stem in path.read_text("utf-8")]
    for path in set(copy.glob("*.ipynb")) - set(showing[:1]):
        path.unlink()  # the others show other pictures, and pass
    done = checked(how, copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "its bytes are not the ones that were recorded" in done.stdout + done.stderr


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_packed_notebook_replays_elsewhere(copy, tmp_path):
    """Cells that assign and show nothing too: whoever gets the one file can run all of it.

    That changes nothing, so that to run it again is the same.
    """
    elsewhere, store, some = tmp_path / "elsewhere", Store(copy / "beluga_store"), sampling.some(NOTEBOOKS, 2)
    for path in some:
        sent = pack(store, copy / path.name, tmp_path / f"{path.stem}.zip")
        there = elsewhere / path.stem
        unpack(sent.path, Store(there / "beluga_store"), into=there)
    before = contents(elsewhere)
    done = checked("NBVAL", elsewhere)  # which names each cell that fails, by its notebook
    assert done.returncode == 0, done.stdout + done.stderr
    cells = [cell for path in some for cell in json.loads(path.read_text("utf-8"))["cells"]]
    count = sum(cell["cell_type"] == "code" for cell in cells)
    assert f"{count} passed" in done.stdout.splitlines()[-1]
    assert contents(elsewhere) == before


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_opens_with_what_it_teaches_and_how_long_it_takes_and_is_light(path):
    first = json.loads(path.read_text("utf-8"))["cells"][0]
    opening = "".join(first["source"])
    assert first["cell_type"] == "markdown"
    assert opening.startswith("# ")
    assert re.search(r"\b(takes|in)\b.*\bminutes\b", opening, re.DOTALL)
    assert path.stat().st_size < 1_000_000


@pytest.mark.parametrize("number", ["03", "04", "05"])
def test_a_lesson_and_its_recordings_are_below_a_megabyte(tmp_path, number):
    [path] = (ROOT / "notebooks").glob(f"{number}-*.ipynb")
    sent = pack(Store(path.parent / "beluga_store"), path, tmp_path / "sent.zip")
    assert sent.path.stat().st_size < 1_000_000


# --- the report, as it says of itself


REPORT = "05-reproducible-report.ipynb"


def in_a_terminal(command, folder, status=0, **environ):
    words = [sys.executable, "-m", *command.split()]
    done = subprocess.run(
        words, cwd=folder, env=clean_environment(**environ), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def pictures(page):
    return re.findall(r'<img[^>]* src="(data:image/jpeg;base64,[^"]+)"', page)


def test_the_report_that_anyone_runs_again_shows_the_same_bytes(copy):
    """papermill, nbconvert, and from recordings alone; the committed notebook gives the same page."""
    [papermill, nbconvert] = re.findall(
        r"^(?:jupyter )?((?:papermill|nbconvert) .*report\.ipynb)$", commands(), re.M
    )
    in_a_terminal(papermill, copy, BELUGA_MODE="replay")
    in_a_terminal(nbconvert, copy)
    in_a_terminal(f"nbconvert --to html --no-input --output committed.html {REPORT}", copy)
    again, committed = ((copy / name).read_text("utf-8") for name in ("report.html", "committed.html"))
    assert pictures(again) == pictures(committed)
    assert len(pictures(again)) == 3
    assert again.count("local preview") == committed.count("local preview") >= 6
    assert "report.ipynb: all well" in in_a_terminal("beluga_nb verify report.ipynb", copy)


def test_the_report_with_other_parameters_is_another_and_asks_for_what_is_not_recorded(copy):
    [other] = re.findall(r"^papermill .* boat\.ipynb .*$", commands(), re.MULTILINE)
    words = other.replace('"a sailing boat on a lake"', "boats")
    output = in_a_terminal(words, copy, status=1, BELUGA_MODE="replay")
    assert "NotRecordedError" in output
    in_a_terminal(words, copy)
    in_a_terminal("nbconvert --to html boat.ipynb", copy)
    page = (copy / "boat.html").read_text("utf-8")
    assert len(pictures(page)) == 3
    assert "boats" in page


def commands():
    cells = json.loads((ROOT / "notebooks" / REPORT).read_text("utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells)


SHOWN = {"text/plain": "a whale", "text/html": "<p>a whale</p>", "image/jpeg": "/9j/aAAA"}


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("NBVAL", "2 failed, 2 passed"),  # it looks at no image, only at the text, which has its SHA-256
        ("PYTEST_NOTEBOOK", "3 failed, 1 passed"),
    ],
)
def test_one_other_character_in_an_output_fails_the_notebook(tmp_path, how, expected):
    (tmp_path / "same.ipynb").write_text(notebook(SHOWN))
    for kind, text in SHOWN.items():
        other = SHOWN | {kind: text.replace("a", "b", 1)}
        (tmp_path / f"{kind.replace('/', '-')}.ipynb").write_text(notebook(other))
    done = checked(how, tmp_path)
    assert done.stdout.splitlines()[-1].startswith(expected), done.stdout + done.stderr
    assert not [line for line in done.stdout.splitlines() if line.startswith("FAILED") and "same" in line]


def notebook(stored):
    """A notebook of one cell that shows SHOWN, and stores that it showed something else."""
    code = f"from IPython.display import display\ndisplay({SHOWN!r}, raw=True)"
    output = {"output_type": "display_data", "data": stored, "metadata": {}}
    cell = {"cell_type": "code", "id": "one", "execution_count": 1, "metadata": {}}
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return json.dumps(
        {
            "cells": [{**cell, "source": code, "outputs": [output]}],
            "metadata": {"kernelspec": kernel},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


REACHING = """
import socket
def reached(what):
    try:
        what()
    except OSError as error:
        return str(error)
    return "reached"

listening = socket.create_server(("127.0.0.1", 0))
print(reached(lambda: socket.create_connection(listening.getsockname(), 5)))
print(reached(lambda: socket.create_connection(("192.0.2.1", 443), 5)))
print(reached(lambda: socket.create_connection(("2001:db8::1", 443), 5)))
print(reached(lambda: socket.getaddrinfo("example.org", 443)))
print(reached(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"?", ("192.0.2.1", 53))))
"""


def test_where_notebooks_are_checked_there_is_no_route_and_no_key(tmp_path, monkeypatch):
    monkeypatch.setenv("BELUGA_API_KEY", KEY)
    environ = CHECKED["without_a_route"]()
    assert {name for name in environ if name.startswith("BELUGA_")} == {"BELUGA_MODE"}
    with Kernel(tmp_path, PYTHONPATH=environ["PYTHONPATH"]) as kernel:
        here, *others = kernel.run(REACHING).stdout.splitlines()
    assert here == "reached"
    assert others == [f"[Errno {errno.ENETUNREACH}] Network is unreachable (tests/offline)"] * 4


def test_each_notebook_is_checked_twice_by_nbval_and_by_a_second_checker_without_a_route():
    assert NOTEBOOKS
    commands = [command for name, command in CHECKED["CHECKS"].items() if name.startswith("notebooks")]
    assert commands == [(*CHECKED[how], "notebooks") for how in ("NBVAL", "PYTEST_NOTEBOOK", "NBVAL")]


def test_the_study_is_light_and_has_three_models_two_axes_and_two_samples_of_each(tmp_path):
    study = ROOT / "notebooks" / "02-prompt-comparison.ipynb"
    packed = pack(Store(ROOT / "notebooks" / "beluga_store"), study, tmp_path / "sent.zip").path
    assert packed.stat().st_size < 1_450_000, "with all its recordings, and pictures that open at 512 pixels"
    shown = [output for cell in json.loads(study.read_text())["cells"] for output in cell.get("outputs", [])]
    texts = ["".join(output.get("data", {}).get("text/plain", "")) for output in shown]
    [grid] = [text for text in texts if text.count("sha256:") == 24]
    cells = {line.partition(":")[0] for line in grid.splitlines() if "sha256:" in line}
    assert len(cells) == 12
    assert [len({cell.split(" · ")[axis] for cell in cells}) for axis in range(3)] == [2, 2, 3]
