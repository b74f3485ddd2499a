"""What Binder does, step by step as repo2docker does it, in an environment and a home of their own."""

import itertools
import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import nbformat
import pytest
from conftest import KEY, drawing, service
from installed import Environment
from nbclient import NotebookClient
from pins import interpreter

from tests.badges import INSTALL, NOTEBOOKS, WITH_VOTES, badges, notebook_with_badges, with_badges

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def test_the_files_are_those_that_repo2docker_knows():
    names = {path.name for path in (ROOT / "binder").iterdir()}
    assert names <= {"requirements.txt", "runtime.txt", "postBuild", "start", "apt.txt", "environment.yml"}
    assert re.fullmatch(r"python-3\.\d+\n", (ROOT / "binder/runtime.txt").read_text())
    assert os.access(ROOT / "binder/postBuild", os.X_OK)
    assert (ROOT / "binder/postBuild").read_text().startswith("#!/bin/bash\n")
    assert not (ROOT / "requirements.txt").exists()  # it would be read if binder/ went
    [kernel] = re.findall(r"^ipykernel.*$", (ROOT / "binder/requirements.txt").read_text(), re.MULTILINE)
    assert f'"{kernel}"' in (ROOT / "pyproject.toml").read_text("utf-8")


def test_elsewhere_its_last_step_touches_nothing(tmp_path):
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run([str(ROOT / "binder/postBuild")], env=environ, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Elsewhere %load_ext beluga_nb loads the extension." in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_badges_are_written_once_under_the_title():
    once = with_badges("# beluga_nb\n\nA prompt.\n", "someone/beluga_nb")
    assert once.splitlines()[2:5] == badges("someone/beluga_nb")
    assert with_badges(once, "other/beluga_nb") == once.replace("someone/", "other/")
    for line in badges("someone/beluga_nb"):
        assert "someone/beluga_nb" in line
        [notebook] = re.findall(r"notebooks/[\w-]+\.ipynb", line)
        assert (ROOT / notebook).exists()
    with pytest.raises(ValueError, match="OWNER/NAME"):
        badges("https://somewhere.example")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebooks_badges_open_itself_and_its_first_cell_installs_where_nothing_is(path):
    text = path.read_text("utf-8")
    once = notebook_with_badges(text, "someone/beluga_nb", path.name)
    assert notebook_with_badges(once, "other/beluga_nb", path.name) == once.replace("someone/", "other/")
    title, install, *rest = json.loads(once)["cells"]
    links = re.findall(r"^\[!\[\w+\]\(\S+\)\]\((\S+)\)$", "".join(title["source"]), re.MULTILINE)
    assert len(links) == (1 if path.name in WITH_VOTES else 3)
    assert all(link.endswith(f"/notebooks/{path.name}") for link in links)
    assert "".join(install["source"]) == INSTALL
    assert rest == json.loads(text)["cells"][1:]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The repository's files and an environment, built as binder/ says; its home is the repository."""
    home = tmp_path_factory.mktemp("jovyan")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, home / name)
    python = interpreter("3.11")
    if python is None:
        pytest.skip("There is no Python 3.11 here.")
    lock = ("--no-deps", "--only-binary=:all:", "-r", str(ROOT / "tests/environments/binder.txt"))
    environment = Environment(tmp_path_factory.mktemp("conda") / "env", *lock, python=python)
    subprocess.run(
        [environment.python, "-m", "pip", "install", "-q", "--no-compile", "-r", "binder/requirements.txt"],
        cwd=home,
        check=True,
        timeout=300,
        capture_output=True,
    )
    built = environment.environ(HOME=str(home), REPO_DIR=str(home))
    subprocess.run([str(home / "binder/postBuild")], cwd=home, env=built, check=True, timeout=60)
    return environment, home


@pytest.mark.environment
def test_on_binder_nothing_that_is_there_is_at_odds_afterwards(image):
    environment, home = image
    assert "No broken requirements found." in environment.run("-m", "pip", "check", cwd=home)


def executed(image, path, **environ):
    """Run a notebook as whoever opens it there and chooses Run All, and return its cells."""
    environment, home = image
    notebook = nbformat.read(path, 4)
    client = NotebookClient(notebook, timeout=120)
    client.create_kernel_manager().kernel_spec.argv[0] = environment.python
    client.execute(cwd=str(path.parent), env=environment.environ(HOME=str(home), **environ))
    return notebook.cells


def shown(cells):
    """What a person reads of the outputs; each picture's text names its SHA-256.

    What is printed comes in as many pieces as the kernel sends.
    """
    return [
        "".join("".join(each.get("text", each.get("data", {}).get("text/plain", ""))) for each in outputs)
        for cell in cells
        for _, outputs in itertools.groupby(cell.get("outputs", []), key=_printed_or_itself)
    ]


def _printed_or_itself(output):
    return output.get("name") or id(output)


@pytest.mark.environment
def test_on_binder_the_quickstart_shows_what_is_committed(image):
    path = image[1] / "notebooks/01-quickstart.ipynb"
    assert shown(executed(image, path)) == shown(json.loads(path.read_text("utf-8"))["cells"])


def without_hashes(cells):
    """What cells show; the same picture is other bytes where another version compressed it."""
    return [re.sub(r"\b[0-9a-f]{64}\b", "(a hash)", words) for words in shown(cells)]


@pytest.mark.environment
@pytest.mark.parametrize("store", [pytest.param("lost", marks=pytest.mark.whole), "unwritable"])
def test_on_binder_a_store_that_is_lost_or_cannot_be_written_stops_nobody(image, store):
    folder = image[1] / store
    folder.mkdir()
    if store == "unwritable":
        (folder / "beluga_store").write_text("not a folder: nobody, not even root, can write into it")
    shutil.copy2(image[1] / "notebooks/01-quickstart.ipynb", folder)
    output = without_hashes(executed(image, folder / "01-quickstart.ipynb"))
    expected = without_hashes(json.loads((folder / "01-quickstart.ipynb").read_text("utf-8"))["cells"])
    pictures = [words for words in expected if "SHA-256" in words or "picture of" in words]
    assert len(pictures) > 3
    assert [words for words in pictures if words not in output] == []
    messages = [words for words in output if "Pictures cannot be recorded" in words]
    assert bool(messages) is (store == "unwritable")


@pytest.mark.environment
def test_on_binder_a_cell_needs_no_set_up_and_finds_no_name_of_ours(image):
    folder = image[1] / "fresh"
    folder.mkdir()
    cells = [
        {"cell_type": "code", "source": source, "id": f"c{number}", "metadata": {}, "outputs": []}
        | {"execution_count": None}
        for number, source in enumerate(
            ["dir()", "%%beluga -o fox\na fox", "%load_ext beluga_nb", "len(fox)"]
        )
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "new.ipynb").write_text(json.dumps(notebook))
    names, fox, count = shown(executed(image, folder / "new.ipynb"))
    assert "beluga" not in names
    assert "a fox" in fox
    assert count == "1"


COLAB = """
import pathlib, sys, types
module = types.ModuleType("google.colab")
userdata = types.ModuleType("google.colab.userdata")
userdata.get = {"BELUGA_API_KEY": pathlib.Path("secret.txt").read_text()}.get
sys.modules |= {"google.colab": module, "google.colab.userdata": userdata}
"""


@pytest.mark.environment
def test_the_cell_for_colab_installs_and_runs_and_finds_the_key(with_wheel, wheel, tmp_path):
    """In an environment that has our libraries, as Colab's has, and not us."""
    colab = with_wheel.copy(tmp_path)
    colab.run("-m", "pip", "uninstall", "-q", "-y", "beluga_nb", cwd=tmp_path)
    assert zipfile.is_zipfile(wheel)
    [cell] = re.findall(r"^```\n(%pip install .*?)^```$", README, re.M | re.S)
    work = tmp_path / "work"
    work.mkdir()
    (work / "secret.txt").write_text(KEY)
    (work / "cell.ipy").write_text(COLAB + cell + "print(len(whale), whale.recipe.engine)\n")
    with service(drawing) as base_url:
        output = colab.run(
            *("-m", "IPython", "--no-banner", "cell.ipy"),
            cwd=work,
            IPYTHONDIR=str(work / ".ipython"),
            PIP_NO_INDEX="1",
            PIP_FIND_LINKS=str(wheel.parent),
            BELUGA_BASE_URL=base_url,
        )
    assert "1 drawing\n" in output, output
    assert KEY not in output
