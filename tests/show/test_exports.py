"""The committed quickstart, exported: every picture is still there, with its text alternative."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter, LatexExporter, MarkdownExporter
from sampling import some

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "01-quickstart.ipynb"
FIRST = "A photorealistic beluga whale swimming through crystal clear arctic water, 4K"


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(NOTEBOOK, 4)


class Pictures(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.found.append(dict(attrs))


def shown_by_us(notebook):
    bundles = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    return [bundle for bundle in bundles if "<figure" in str(bundle.get("text/html"))]


@pytest.mark.parametrize("template", ["lab", "classic"])
def test_r52_html_keeps_every_picture_and_its_text_alternative(notebook, template):
    text, _ = HTMLExporter(template_name=template).from_notebook_node(notebook)
    pictures = [each for each in Pictures(text).found if each.get("alt", "").endswith("not model output)")]
    expected = [each for bundle in shown_by_us(notebook) for each in Pictures(bundle["text/html"]).found]
    assert [each["alt"] for each in pictures] == [each["alt"] for each in expected]
    assert pictures[0]["alt"] == f"{FIRST} (local preview, not model output)"
    for picture in pictures:
        kind, _, data = picture["src"].partition(";base64,")
        assert kind == "data:image/jpeg"
        assert base64.b64decode(data).startswith(b"\xff\xd8")


@pytest.mark.parametrize("exporter", [MarkdownExporter, LatexExporter])
def test_markdown_and_latex_keep_a_picture_of_each_result(notebook, exporter):
    # Code cells alone: turning the text cells into LaTeX is pandoc's, which not every machine has.
    code = nbformat.v4.new_notebook(cells=[cell for cell in notebook.cells if cell.cell_type == "code"])
    _, resources = exporter().from_notebook_node(code)
    files = [name for name in resources["outputs"] if name.endswith((".jpeg", ".jpg"))]
    assert len(files) >= len(shown_by_us(notebook)) > 3


def test_each_shown_picture_weighs_at_most_a_fifth_of_a_megabyte(notebook):
    for bundle in shown_by_us(notebook):
        weight = sum(len(content) for content in bundle.values())
        assert weight <= 200_000 * bundle["text/html"].count("<img")


def test_the_notebook_is_small_and_holds_no_path_of_a_machine(notebook):
    text = NOTEBOOK.read_text("utf-8")
    assert len(text) < 1_000_000
    assert "/home/" not in text
    assert "/root/" not in text


STUDY = NOTEBOOK.parent / "02-prompt-comparison.ipynb"


def grids(notebook):
    """The bundles of grids: those whose HTML has as many pictures as their text has lines with a SHA-256."""
    bundles = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    return [each for each in bundles if "<table" in each.get("text/html", "") and "image/jpeg" in each]


def test_a_grid_holds_one_sheet_of_all_its_pictures_for_what_shows_a_single_image():
    [grid] = grids(nbformat.read(STUDY, 4))
    assert grid["text/plain"].count("sha256:") == grid["text/html"].count("<img ") == 24
    sheet = base64.b64decode(grid["image/jpeg"])
    assert sheet.startswith(b"\xff\xd8")
    assert len(sheet) < 72_000
    assert list((STUDY.parent / "beluga_store/blobs").glob(f"*/{hashlib.sha256(sheet).hexdigest()}.jpg"))


def test_latex_takes_the_sheet_of_a_grid():
    code = nbformat.read(STUDY, 4)
    code.cells = [cell for cell in code.cells if cell.cell_type == "code"]
    [grid] = grids(code)
    text, resources = LatexExporter().from_notebook_node(code)
    [name] = [
        each for each, data in resources["outputs"].items() if data == base64.b64decode(grid["image/jpeg"])
    ]
    assert name in text


NOTEBOOKS = some(sorted(NOTEBOOK.parent.glob("*.ipynb")), 1)


@pytest.fixture(scope="module")
def latex(tmp_path_factory):
    """A folder with notebooks as LaTeX, and their images."""
    folder = tmp_path_factory.mktemp("latex")
    words = ["-m", "jupyter", "nbconvert", "--to", "latex", "--output-dir", str(folder), *map(str, NOTEBOOKS)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.skipif(shutil.which("pandoc") is None, reason="There is no pandoc on this machine.")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nbconvert_with_pandoc_writes_latex_with_every_image_that_it_names(latex, path):
    text = (latex / f"{path.stem}.tex").read_text("utf-8")
    named = re.findall(r"\\adjustimage\{.*?\}\}\{(.+?)\}", text)
    outputs = [
        out for cell in json.loads(path.read_text("utf-8"))["cells"] for out in cell.get("outputs", [])
    ]
    images = [out for out in outputs if {"image/png", "image/jpeg"} & set(out.get("data", {}))]
    assert len(named) == len(images)
    assert all((latex / name).is_file() for name in named)
