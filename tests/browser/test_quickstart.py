"""The quickstart in a real JupyterLab in a real browser: opened untrusted, run, saved, and compared."""

import base64
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
    assert lab.page.locator(f"{PICTURES}, [tabindex='0'] > img, img[role]").count() == 0
    lab.page.locator(".jp-OutputArea figure img").first.click()
    assert lab.page.get_by_role("dialog").count() == 0, "without its script it is a plain picture"


def test_running_it_again_gives_the_same_bytes_and_calls_no_engine(notebook, lab):
    lab.open(notebook, "again.ipynb")
    before = sorted((lab.work / "beluga_store").rglob("*"))
    lab.run_all()
    lab.page.wait_for_timeout(500)
    assert len(lab.page.evaluate(LOADED_PICTURES)) == picture_count(notebook)
    assert outputs(lab.save()) == outputs(notebook)
    assert sorted((lab.work / "beluga_store").rglob("*")) == before


PICTURES = "[data-beluga] img[data-cell]"
FOCUSED = "image => document.activeElement === image"


@pytest.fixture(scope="module")
def shown(notebook, lab):
    """A notebook of two results that was run: one picture, and four."""
    cells = ["%load_ext beluga_nb", "%beluga a fox in <b>snow</b>", "%beluga -n 4 -s 16:9 a boat & a whale"]
    made = [nbformat.v4.new_code_cell(each) for each in [*cells, "1"]]
    lab.open(nbformat.v4.new_notebook(cells=made, metadata=notebook.metadata), "shown/notebook.ipynb")
    lab.run_all()
    return lab.cell(2).locator(PICTURES)


def test_four_pictures_are_two_rows_and_tell_what_they_share_once(lab, shown):
    boxes = [shown.nth(number).bounding_box() for number in range(4)]
    assert [round(box["x"]) for box in boxes[:2]] == [round(box["x"]) for box in boxes[2:]]
    assert boxes[0]["y"] == boxes[1]["y"] < boxes[2]["y"] == boxes[3]["y"]
    assert len({round(box["height"]) for box in boxes}) == 1
    line = lab.cell(2).locator("summary").inner_text()
    assert line.startswith(
        "4 pictures · gpt-image-2 · 1536 × 864 · local preview, not model output · drawn: "
    )
    assert line.endswith(" · recipe")
    lab.cell(2).locator("summary").click()
    assert "picture 4" in lab.cell(2).locator("details").inner_text()
    lab.cell(2).locator("summary").click()


@pytest.mark.parametrize("way", ["click", "Enter", "Space"])
def test_a_picture_opens_in_a_dialog_whose_keys_the_notebook_does_not_get(way, lab, shown):
    page, image = lab.page, shown.nth(1)
    image.scroll_into_view_if_needed()
    before, count = image.bounding_box(), page.locator(".jp-Cell").count()
    if way == "click":
        image.click()
    else:
        image.focus()
        page.keyboard.press(way)
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("2 of 4 · shown at 512 × 288").wait_for()
    for word in ("a boat & a whale", "gpt-image-2", "sha256"):
        assert word in dialog.inner_text()
    active = page.locator(".jp-Cell.jp-mod-active").inner_text()
    # In the notebook's command mode: the cell below, a new cell, a deleted one.
    for key in ("ArrowDown", "b", "d", "d", "x", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    dialog.get_by_text("4 of 4").wait_for()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert image.evaluate(FOCUSED)
    assert image.bounding_box() == before
    assert page.locator(".jp-Cell").count() == count
    assert page.locator(".jp-Cell.jp-mod-active").inner_text() == active


def test_a_picture_is_copied_as_a_cell_and_downloaded_and_a_click_outside_closes(lab, shown):
    page = lab.page
    page.context.grant_permissions(["clipboard-read"])
    shown.nth(2).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Copy as cell").click()
    dialog.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == (
        "%%beluga -m gpt-image-2 -s 16:9 --sample 2\na boat & a whale"
    )
    with page.expect_download() as loading:
        dialog.get_by_role("link", name="Download").click()
    assert loading.value.suggested_filename == "a-boat-a-whale-local-preview-not-model-output.jpeg"
    held = base64.b64decode(shown.nth(2).get_attribute("src").partition(",")[2])
    assert Path(loading.value.path()).read_bytes() == held
    page.mouse.click(80, 80)
    dialog.wait_for(state="detached")


def test_outside_words_stay_text_in_the_lightbox(lab, shown):
    lab.cell(1).locator(PICTURES).click()
    dialog = lab.page.get_by_role("dialog")
    assert "a fox in <b>snow</b>" in dialog.inner_text()
    assert dialog.get_by_role("button", name="Next picture").is_hidden()
    assert dialog.locator("section b").count() == 0
    dialog.get_by_role("button", name="Close").click()
    dialog.wait_for(state="detached")


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
