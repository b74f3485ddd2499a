"""The lessons in JupyterLab, as a stranger opens them: Run All, offline, and every picture is to be seen."""

from pathlib import Path

import nbformat
import pytest
from lab import IN_A_BROWSER, Lab

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"

pytestmark = IN_A_BROWSER

SEEN = {"03-teaching-demo": 6, "04-image-processing": 7, "05-reproducible-report": 3, "06-panel": 5}
"""How many pictures a person sees in each, with those that its text shows."""

LOADED = """seen => [...document.querySelectorAll('.jp-OutputArea img')]
    .filter(image => image.complete && image.naturalWidth > 100).length >= seen"""


def without_outputs(name):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


@pytest.fixture(scope="module")
def lab():
    """One JupyterLab, in which each lesson gets a kernel of its own."""
    whole = {"@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"}}
    files = [NOTEBOOKS / "beluga_store", NOTEBOOKS / "panel.png"]
    empty = without_outputs("06-panel")
    with Lab(empty, files=files, settings=whole, size=(1100, 5600), BELUGA_MODE="replay") as lab:
        yield lab


@pytest.mark.parametrize("name", SEEN)
def test_a_lesson_runs_in_the_browser_and_shows_all_of_its_pictures(name, lab, tmp_path):
    lab.open(without_outputs(name), f"{name}.ipynb")
    lab.run_all()
    shown = lab.page.locator(".jp-OutputArea img:not(.beluga-panel img)")
    lab.page.wait_for_function(LOADED, arg=SEEN[name])
    lab.picture(tmp_path / "seen.png")
    assert shown.count() == SEEN[name]
    assert lab.page.locator(".jp-OutputArea-output[data-mime-type$='error']").count() == 0
    assert lab.page.locator(".jp-OutputArea-output[data-mime-type$='stderr']").count() == 0
