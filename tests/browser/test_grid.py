"""A grid in a real browser: in JupyterLab, untrusted and run; converted; as a page of its own, offline."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import drawing
from lab import IN_A_BROWSER
from test_quickstart import lab_with, outputs

from beluga_nb.session.session import Session

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"

pytestmark = IN_A_BROWSER

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
def notebook():
    return nbformat.read(NOTEBOOKS / "02-prompt-comparison.ipynb", 4)


@pytest.fixture(scope="module")
def lab(notebook):
    """One JupyterLab, in which each notebook gets a kernel of its own."""
    with lab_with(notebook) as lab:
        yield lab


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


def test_a_stranger_sees_the_grid_and_enlarges_a_picture_before_running_anything(lab):
    lab.page.wait_for_timeout(1000)
    pictures = lab.page.evaluate(IN_GRID)
    assert len(pictures) == 24
    assert all(alt.endswith("(local preview, not model output)") for alt in pictures)
    before, after, found = enlarged(lab.page)
    assert after > 2 * before
    assert "prompt A lighthouse in fog, a flat illustration" in found
    assert "sha256" in found
    heads = lab.page.locator("th").all_inner_texts()
    assert {"gpt-image-2", "flux-2.0", "seedream-4.5", "flat", "ink"} <= {head.strip() for head in heads}


def test_running_the_study_again_gives_the_same_bytes_and_the_grid_fits_the_width(notebook, lab):
    lab.open(notebook, "again.ipynb")
    before = sorted((lab.work / "beluga_store").rglob("*"))
    lab.run_all()
    lab.page.wait_for_timeout(500)
    assert len(lab.page.evaluate(IN_GRID)) == 24
    narrowest, beyond, scrolls = lab.page.evaluate(FRAME)
    assert narrowest >= 220, "two pictures of 110"
    assert beyond <= 0
    assert not scrolls
    fourth, fifth = opened_and_closed(lab.page)
    assert "A lighthouse in fog, a flat illustration" in fourth
    assert fourth != fifth
    assert outputs(lab.save()) == outputs(notebook)
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
        style={"flat": "a flat illustration", "ink": "an ink drawing"},
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
    page.get_by_role("searchbox").fill("sailing flat")
    assert seen.count() == 6
    page.get_by_role("searchbox").fill("nothing like it")
    assert seen.count() == 0
    page.get_by_role("searchbox").fill("")
    seen.nth(1).click()
    dialog = page.get_by_role("dialog")
    assert "A lighthouse in fog, a flat illustration" in dialog.inner_text()
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
