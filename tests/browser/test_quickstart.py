"""The quickstart in a real JupyterLab in a real browser: opened untrusted, run, saved, and compared."""

import re
from pathlib import Path

import nbformat
import pytest
from lab import IN_A_BROWSER, Lab

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"

pytestmark = IN_A_BROWSER

LOADED_PICTURES = """() => [...document.querySelectorAll('.jp-OutputArea figure img')]
    .filter(image => image.complete && image.naturalWidth > 100).map(image => image.alt)"""


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(NOTEBOOKS / "01-quickstart.ipynb", 4)


def lab_with(notebook):
    """JupyterLab that draws all cells at once, so that those below the window can be seen too."""
    windowing = {"@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"}}
    return Lab(notebook, files=[NOTEBOOKS / "beluga_store"], settings=windowing)


@pytest.fixture(scope="module")
def lab(notebook):
    """One JupyterLab, in which each notebook gets a kernel of its own."""
    with lab_with(notebook) as lab:
        yield lab


def picture_count(notebook):
    return sum(
        str(output.get("data", {}).get("text/html", "")).count("<img")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )


def outputs(notebook):
    kept = ("name", "output_type", "text", "data")
    return [
        [{name: output[name] for name in kept if name in output} for output in cell.get("outputs", [])]
        for cell in notebook.cells
    ]


def test_a_stranger_sees_every_picture_before_running_anything(notebook, lab):
    expected = picture_count(notebook)
    lab.page.wait_for_function(f"expected => ({LOADED_PICTURES})().length >= expected", arg=expected)
    pictures = lab.page.evaluate(LOADED_PICTURES)
    assert len(pictures) == expected > 5
    assert pictures[0].startswith("A photorealistic beluga whale")
    assert all(alt.endswith("(local preview, not model output)") for alt in pictures)


def test_running_it_again_gives_the_same_bytes_and_calls_no_engine(notebook, lab):
    lab.open(notebook, "again.ipynb")
    before = sorted((lab.work / "beluga_store").rglob("*"))
    lab.run_all()
    lab.page.wait_for_timeout(500)
    assert len(lab.page.evaluate(LOADED_PICTURES)) == picture_count(notebook)
    assert outputs(lab.save()) == outputs(notebook)
    assert sorted((lab.work / "beluga_store").rglob("*")) == before


def words(notebook):
    """What the outputs say, but for the hashes: encoders differ between machines."""
    text = [
        str(output.get("text") or output.get("data", {}).get("text/plain", ""))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    ]
    return [re.sub(r"sha256:[0-9a-f]{64}", "sha256", each) for each in text]


def test_it_runs_where_nothing_is_recorded(notebook, lab):
    fresh = nbformat.v4.new_notebook(cells=notebook.cells[:5], metadata=notebook.metadata)
    lab.open(fresh, "fresh/notebook.ipynb")
    lab.run_all()
    assert words(lab.save()) == words(fresh)
    assert list((lab.work / "fresh" / "beluga_store" / "records").rglob("*.json"))


def waiting(notebook, bridge):
    """Cells that wait, each for a picture that nothing before it has recorded."""
    cells = [
        f"%load_ext beluga_nb\n%beluga config bridge={bridge} faults=true",
        f"%beluga --quiet -o slow fault: slow seconds=1.5 | a cat, {bridge}",
        f"import beluga_nb\nslower = beluga_nb.generate('fault: slow seconds=1 | a dog, {bridge}')",
        f"awaited = await beluga_nb.agenerate('a fox, {bridge}')",
        "len(slow), len(slower), len(awaited)",
    ]
    made = map(nbformat.v4.new_code_cell, cells)
    return nbformat.v4.new_notebook(cells=list(made), metadata=notebook.metadata)


@pytest.mark.parametrize("bridge", ["thread", "nested"])
def test_run_all_runs_every_cell_whichever_bridge_waits(bridge, notebook, lab):
    lab.open(waiting(notebook, bridge), f"{bridge}.ipynb")
    lab.run_all()
    saved = lab.save()
    assert [cell.execution_count for cell in saved.cells] == [1, 2, 3, 4, 5]
    assert saved.cells[-1].outputs[0].data["text/plain"] == "(1, 1, 1)"
