"""The committed notebooks in a real JupyterLab in a real browser: opened untrusted, run, saved, and compared.

The quickstart, the grid of the study (also converted, and as a page of its own), and the lessons: one server
and one browser for all, in which each notebook gets a kernel of its own.
"""

import base64
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import drawing
from lab import IN_A_BROWSER, Lab

from beluga_nb.session.session import Session

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"

pytestmark = IN_A_BROWSER

LOADED_PICTURES = """() => [...document.querySelectorAll('.jp-OutputArea figure img')]
    .filter(image => image.complete && image.naturalWidth > 100).map(image => image.alt)"""


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(NOTEBOOKS / "01-quickstart.ipynb", 4)


@pytest.fixture(scope="module")
def lab(notebook):
    """JupyterLab that draws all cells at once, so that those below the window can be seen too."""
    windowing = {"@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"}}
    files = [NOTEBOOKS / "beluga_store", NOTEBOOKS / "panel.png"]
    with Lab(notebook, files=files, settings=windowing) as lab:
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


# --- a grid: untrusted and run; converted; as a page of its own, offline

IN_GRID = """() => [...document.querySelectorAll('details summary img')]
    .filter(image => image.complete && image.naturalWidth > 100).map(image => image.alt)"""

# The widths of the cells of a grid and of its output, and whether anything in it scrolls.
FRAME = """() => {
    const table = document.querySelector('details summary img').closest('table');
    const output = table.closest('.jp-OutputArea-output');
    const cells = [...table.querySelectorAll('td')].map(cell => cell.getBoundingClientRect().width);
    const beyond = table.getBoundingClientRect().right - output.getBoundingClientRect().right;
    const scrolls = [output, ...output.querySelectorAll('*')].some(each =>
        each.scrollHeight > each.clientHeight + 1 && /auto|scroll/.test(getComputedStyle(each).overflowY));
    return [Math.min(...cells), beyond, scrolls];
}"""


@pytest.fixture(scope="module")
def study():
    return nbformat.read(NOTEBOOKS / "02-prompt-comparison.ipynb", 4)


@pytest.fixture
def browser(lab):
    return lab.browser


def enlarged(page):
    """Click a picture of a grid without scripts; return how wide it was and is, and what it tells."""
    figure = page.locator("details", has=page.locator("summary img")).nth(3)
    image = figure.locator("img")
    image.scroll_into_view_if_needed()
    before = image.bounding_box()["width"]
    figure.locator("summary").click()
    return before, image.bounding_box()["width"], figure.inner_text()


def opened_and_closed(page):
    """Open a picture of a grid in the lightbox, and go to the next and the last; return what they tell."""
    image = page.locator("details summary img").nth(3)
    image.scroll_into_view_if_needed()
    before = image.bounding_box()
    image.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("4 of 24 · shown at 512 × 288").wait_for()
    assert dialog.locator("img").bounding_box()["width"] == 512
    texts = [dialog.inner_text()]
    page.keyboard.press("ArrowRight")
    dialog.get_by_text("5 of 24").wait_for()
    texts.append(dialog.inner_text())
    for _ in range(5):
        dialog.get_by_role("button", name="Previous picture").click()
    dialog.get_by_text("24 of 24").wait_for()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert image.bounding_box() == before, "nothing has moved"
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    return texts


def test_a_stranger_sees_the_grid_and_enlarges_a_picture_before_running_anything(study, lab):
    lab.open(study, "study.ipynb")
    lab.page.wait_for_function(f"() => ({IN_GRID})().length === 24")
    pictures = lab.page.evaluate(IN_GRID)
    assert all(alt.endswith("(local preview, not model output)") for alt in pictures)
    before, after, found = enlarged(lab.page)
    assert after > 2 * before
    assert "prompt A lighthouse in fog, a watercolour" in found
    assert "sha256" in found
    heads = lab.page.locator("th").all_inner_texts()
    assert {"gpt-image-2", "flux-2.0", "seedream-4.5", "watercolour", "ink"} <= {
        head.strip() for head in heads
    }


def test_running_the_study_again_gives_the_same_bytes_and_the_grid_fits_the_width(study, lab):
    lab.open(study, "study again.ipynb")
    before = sorted((lab.work / "beluga_store").rglob("*"))
    lab.run_all()
    lab.page.wait_for_timeout(500)
    assert len(lab.page.evaluate(IN_GRID)) == 24
    narrowest, beyond, scrolls = lab.page.evaluate(FRAME)
    assert narrowest >= 220, "two pictures of 110"
    assert beyond <= 0
    assert not scrolls
    fourth, fifth = opened_and_closed(lab.page)
    assert "A lighthouse in fog, a watercolour" in fourth
    assert fourth != fifth
    assert outputs(lab.save()) == outputs(study)
    assert sorted((lab.work / "beluga_store").rglob("*")) == before


FILLING = """%%beluga compare -m flux-2.0 --axis seconds=1,8,9 -o g
fault: slow seconds={{seconds}} | a cat asleep"""


def test_cells_fill_as_they_arrive_and_leave_nothing_but_the_grid(notebook, lab):
    loading = "%load_ext beluga_nb\n%beluga config faults=true"
    cells = [nbformat.v4.new_code_cell(code) for code in (loading, FILLING)]
    lab.open(nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata), "filling.ipynb")
    # JupyterLab asks a new kernel many things. While it answers, nothing is drawn below a cell.
    lab.page.wait_for_timeout(4000)
    lab.menu("Run", "Run All Cells")
    lab.page.get_by_text("1 of 3 pictures").wait_for()
    lab.page.locator("details summary img").first.wait_for()
    assert lab.page.locator("details summary img").count() == 1
    assert lab.page.get_by_text("s left").count() == 1
    lab.page.wait_for_function("() => document.querySelectorAll('details summary img').length === 3")
    lab.page.get_by_text("3 cells: 3 done").wait_for()
    [shown] = lab.save().cells[1].outputs
    assert shown.output_type == "execute_result"
    assert "pictures, " not in shown.data["text/html"].replace("3 pictures; all", "")


def test_a_converted_notebook_has_the_grid_and_its_recipes(tmp_path, browser):
    words = ["nbconvert", "--to", "html", "--output-dir", str(tmp_path)]
    subprocess.run(
        [sys.executable, "-m", *words, str(NOTEBOOKS / "02-prompt-comparison.ipynb")],
        check=True,
        capture_output=True,
    )
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto((tmp_path / "02-prompt-comparison.html").as_uri())
    assert len(page.evaluate(IN_GRID)) == 24
    assert "A lighthouse in fog" in opened_and_closed(page)[0]
    context.close()


PROMPT = "A {{subject}} in fog, {{style}}"


@pytest.fixture
def exported(tmp_path):
    store = NOTEBOOKS / "beluga_store"
    session = Session(environ={}, folder=tmp_path, store=store, mode="replay")
    grid = session.grid(
        PROMPT,
        subject=["lighthouse", "sailing boat"],
        style={"watercolour": "a watercolour", "ink": "an ink drawing"},
        model=["gpt-image-2", "flux-2.0", "seedream-4.5"],
        n=2,
        size="16:9",
        output_format="webp",
        output_compression=20,
    )
    return grid.run().to_html(tmp_path / "fog.html")


def test_the_exported_page_filters_hides_columns_and_enlarges_without_a_network(exported, browser):
    context = browser.new_context(offline=True)
    page, messages, asked = context.new_page(), [], []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(exported.as_uri())
    seen = page.locator("figure img:visible")
    assert seen.count() == 24
    page.get_by_label("flux-2.0").uncheck()
    assert seen.count() == 16
    assert page.locator("th:visible", has_text="flux-2.0").count() == 0
    page.get_by_label("ink").uncheck()
    assert seen.count() == 8
    page.get_by_label("flux-2.0").check()
    page.get_by_role("searchbox").fill("sailing watercolour")
    assert seen.count() == 6
    page.get_by_role("searchbox").fill("nothing like it")
    assert seen.count() == 0
    page.get_by_role("searchbox").fill("")
    seen.nth(1).click()
    dialog = page.get_by_role("dialog")
    assert "A lighthouse in fog, a watercolour" in dialog.inner_text()
    assert dialog.locator("img").bounding_box()["width"] == 512
    page.keyboard.press("ArrowLeft")
    dialog.get_by_text("1 of 12 · ").wait_for()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    page.get_by_label("ink").check()
    seen.nth(1).focus()
    page.keyboard.press("Enter")
    dialog.get_by_text("2 of 24 · ").wait_for()
    page.keyboard.press("Escape")
    assert messages == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    context.close()


# A frame as high as all outputs, as in VS Code, and one that grows with its output, as in Colab.
FRAMES = {
    "high": (5000, 2600, ""),
    "low": (320, 0, "frame.style.height = frame.contentDocument.body.offsetHeight + 'px'"),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_in_a_frame_a_picture_opens_where_it_is_seen(kind, browser, tmp_path):
    height, above, resize = FRAMES[kind]
    session = Session(engine=drawing, environ={}, folder=tmp_path)
    html = session.generate("a fox", model="flux-2.0", n=2)._repr_mimebundle_()["text/html"]
    page = browser.new_page(viewport={"width": 1000, "height": 800})
    inner = f"<!DOCTYPE html><body style='margin:0'><div style='height:{above}px'></div>{html}"
    page.set_content(
        f"<iframe style='width:900px;height:{height}px;border:0'></iframe><hr style='margin:900px'>"
    )
    page.evaluate(
        f"""html => {{
            const frame = document.querySelector('iframe');
            frame.onload = () => new ResizeObserver(() => {{ {resize} }}).observe(frame.contentDocument.body);
            frame.srcdoc = html;
        }}""",
        inner,
    )
    frame = page.frame_locator("iframe")
    frame.locator("img").first.scroll_into_view_if_needed()
    scrolled = page.evaluate("scrollY")
    frame.locator("img").first.click()
    dialog = frame.get_by_role("dialog")
    dialog.get_by_text("1 of 2 · shown at 96 × 64").wait_for()
    page.wait_for_timeout(100)
    for part in (dialog.locator("img"), dialog.get_by_role("button", name="Copy as cell")):
        box = part.bounding_box()
        assert 0 <= box["y"] < box["y"] + box["height"] <= 800
    assert dialog.bounding_box()["height"] >= 500
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert page.evaluate("scrollY") == scrolled
    page.close()


def test_what_a_stranger_wrote_stays_text_on_the_exported_page(tmp_path, browser):
    session = Session(environ={}, folder=tmp_path, notify=print)
    evil = "<img src=x onerror=document.title='gone'></template><script>document.title='gone'</script>\"'"
    grid = session.grid("a {{kind}}", kind=[evil, "fox"], model=["flux-2.0"]).run()
    page = browser.new_page()
    page.goto(grid.to_html(tmp_path / "evil.html").as_uri())
    page.locator("figure img").first.click()
    assert page.title() == "evil"
    assert page.locator("script").count() == 1
    assert evil in page.get_by_role("dialog").inner_text()
    page.close()


# --- the lessons, as a stranger opens them: Run All, offline, and every picture is to be seen

SEEN = {"03-teaching-demo": 6, "04-image-processing": 7, "05-reproducible-report": 3, "06-panel": 5}
"""How many pictures a person sees in each, with those that its text shows."""

LOADED = """seen => [...document.querySelectorAll('.jp-OutputArea img:not(.beluga-panel img)')]
    .filter(image => image.complete && image.naturalWidth > 100).length >= seen"""


def to_replay(name):
    """A lesson without its outputs, which asks for nothing that is not recorded."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.cells.insert(0, nbformat.v4.new_code_cell("%env BELUGA_MODE=replay"))
    return notebook


@pytest.fixture(scope="module")
def tall(lab):
    """The same JupyterLab in a window that is as high as a lesson."""
    lab.page.set_viewport_size({"width": 1100, "height": 5600})
    return lab


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", SEEN)
def test_a_lesson_runs_in_the_browser_and_shows_all_of_its_pictures(name, tall, tmp_path):
    tall.open(to_replay(name), f"{name}.ipynb")
    tall.run_all()
    shown = tall.page.locator(".jp-OutputArea img:not(.beluga-panel img)")
    tall.page.wait_for_function(LOADED, arg=SEEN[name])
    tall.picture(tmp_path / "seen.png")
    assert shown.count() == SEEN[name]
    assert tall.page.locator(".jp-OutputArea-output[data-mime-type$='error']").count() == 0
    assert tall.page.locator(".jp-OutputArea-output[data-mime-type$='stderr']").count() == 0
