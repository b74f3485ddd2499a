"""The booth in a real JupyterLab: keys and clicks, undo, the ranking at the end, what is saved and heard."""

import json
import os
import zlib

import nbformat
import pytest
from desk import BUSY, ICONS, PANEL, needs_axe, violations, wait_until
from lab import IN_A_BROWSER, Lab
from playwright.sync_api import Route, expect

pytestmark = IN_A_BROWSER

MODELS = ("flux-2.0", "gpt-image-2", "seedream-4.5")
CELLS = [
    "import beluga_nb\n"
    f"pictures = [beluga_nb.generate('a fox in the snow', model=model, n=2) for model in {MODELS}]\n"
    "gallery = beluga_nb.gallery(*pictures)",
    "gallery.vote(voter='Ada', seed=1)",
]


LOADED = "() => [...document.querySelectorAll('.jp-OutputArea figure img')].map(image => image.naturalWidth)"
SOURCES = "[...document.querySelectorAll('.jp-OutputArea figure img')].map(image => image.src).join()"


def notebook(size="auto"):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(source.replace("n=2", f"n=2, size='{size}'")) for source in CELLS]
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.fixture(scope="module")
def app():
    with Lab(notebook(), size=(1280, 1100), voila=True) as lab:
        yield lab


@pytest.fixture
def opened(app, request):
    """Open a notebook in a folder of its own, in a window and a theme; return the JupyterLab."""

    def with_notebook(notebook, size=(1280, 1100), theme="JupyterLab Light"):
        app.page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
        app.set("@jupyterlab/apputils-extension/themes", {"theme": theme})
        app.open(notebook, f"{zlib.crc32(request.node.name.encode())}/notebook.ipynb")
        return app

    return with_notebook


def compared(page, count):
    page.get_by_text(f"{count} of 6 compared").wait_for()
    page.wait_for_timeout(350)  # nobody has looked at new pictures sooner


def shown(page):
    return page.locator(".jp-OutputArea figure img").evaluate_all(
        "images => images.map(image => [image.alt, image.naturalWidth, image.src.length])"
    )


ROOM = """(() => {
    const image = document.querySelector('img[alt="right picture"]');
    const frame = image.closest('.jp-OutputArea-output');
    return frame.getBoundingClientRect().right - image.getBoundingClientRect().right;
})()"""
"""Pixels to the right of the right picture."""

BOX = "document.querySelector('.beluga-booth').getBoundingClientRect().height"
"""Pixels of the booth's height."""


READ = """
- region "Blind vote":
  - heading "Which fits the prompt better?" [level=2]
  - text: a fox in the snow
  - progressbar "Pairs compared"
  - text: Your name
  - textbox "Your name": Ada
  - figure:
    - img "left picture"
  - figure:
    - img "right picture"
  - button "The left picture is better"
  - button "The right picture is better"
  - text: Keys
  - textbox "Keys":
    - /placeholder: 1 2 t b s z
  - button "1 · left is better"
  - button "2 · right is better"
  - button "t · tie"
  - button "b · both bad"
  - button "s · skip"
  - button "u · undo" [disabled]
  - button "z · zoom"
  - button "End and reveal"
  - status: 0 of 6 compared. Local previews, not model output.
"""
"""Names, roles and states of the booth, in the order in which a screen reader says them."""

READ_AT_THE_END = """
- region "Blind vote":
  - heading "Which fits the prompt better?" [level=2]
  - progressbar "Pairs compared"
  - text: Your name
  - textbox "Your name": Ada
  - paragraph: Thank you, Ada. That was all.
  - paragraph: /You compared 6 pairs\\..*/
  - text: Keys
  - textbox "Keys":
    - /placeholder: u
  - button "u · undo"
  - button "End and reveal"
  - status: 6 of 6 compared. Local previews, not model output.
"""
"""The same when nothing is left to compare."""


@needs_axe
@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_who_cannot_see_the_booth_hears_its_parts_in_order_and_saves_from_its_field(opened, theme):
    lab = opened(notebook(), size=(1400, 1000), theme=theme)
    lab.run_all()
    compared(lab.page, 0)
    booth = lab.page.locator(".beluga-booth")
    expect(booth).to_match_aria_snapshot(READ)
    # A region that is replaced by another one is not heard.
    status = booth.get_by_role("status")
    status.evaluate("it => { window.heard = it; }")
    lab.page.keyboard.press("1")
    compared(lab.page, 1)
    expect(status).to_have_text("1 of 6 compared. Local previews, not model output.")
    assert status.evaluate("it => it === window.heard")
    lab.save()  # with Ctrl+S in the field of the keys
    found = violations(lab.page, "wide", ".beluga-booth")
    with lab.at_width(600):
        found += violations(lab.page, "narrow", ".beluga-booth")
    lab.restart_kernel()
    booth.locator(".jupyter-widgets-disconnected").first.wait_for(state="attached")
    assert lab.page.evaluate(ICONS.replace("panel", "booth")) == 0
    said = booth.evaluate("it => getComputedStyle(it, '::after').content")
    assert "Run this cell again" in said
    still = lab.page.get_by_text("This vote has not ended. Run this cell again to go on")
    expect(still).to_be_hidden()
    # A notebook that was saved before the end says so, and shows neither an error nor which is which.
    lab.save()
    lab.shut_down()
    lab.visit()
    expect(still).to_be_visible()
    expect(lab.page.get_by_text("Error displaying widget")).to_be_hidden()
    assert not any(model in lab.page.locator(".jp-OutputArea").last.inner_html() for model in MODELS)
    lab.run_all()
    compared(lab.page, 1)
    for count in range(2, 7):
        lab.page.keyboard.press("t")
        compared(lab.page, count)
    found += violations(lab.page, "at the end", ".beluga-booth")
    assert found == []
    expect(booth).to_match_aria_snapshot(READ_AT_THE_END)


def test_keys_need_no_click_however_late_the_booth_is_drawn_and_are_taken_from_nobody_who_types(opened):
    busy = notebook()
    busy.cells += [nbformat.v4.new_code_cell(source) for source in (PANEL, BUSY)]
    lab, held = opened(busy), list[Route]()
    for types in (True, False):
        for file in ("held", "go"):
            (lab.notebook.parent / file).unlink(missing_ok=True)
        # Without these files no widget is drawn.
        lab.page.route("**/jupyterlab-manager/**", lambda route: held.append(route))
        lab.menu("Run", "Run All Cells")
        wait_until(lambda: lab.page.evaluate("true") and (lab.notebook.parent / "held").exists())
        assert held
        if types:
            lab.cell(0).locator(lab.source).click()
            lab.page.keyboard.press("Control+End")
        while held:
            held.pop().continue_()
        lab.page.unroute_all()
        compared(lab.page, 0)
        lab.page.locator(".beluga-generate").wait_for(state="attached")
        lab.page.keyboard.press("1")
        (lab.notebook.parent / "go").touch()
        if types:
            expect(lab.cell(0).locator(lab.source)).to_contain_text("gallery(*pictures)1")
            assert votes(lab) == []
            lab.shut_down()
            lab.visit()
    compared(lab.page, 1)
    assert votes(lab) == ["left"]


def votes(lab):
    lines = [
        line
        for path in lab.notebook.parent.glob("beluga_store/votes/*")
        for line in path.read_text().splitlines()
    ]
    return [value.get("answer", "undo") for value in map(json.loads, lines)]


def test_a_person_votes_with_keys_and_clicks_takes_one_back_and_sees_the_ranking(opened):
    lab = opened(notebook())
    page = lab.page
    lab.run_all()
    compared(page, 0)
    page.wait_for_function(f"({LOADED})().length == 2 && ({LOADED})().every(Boolean)")
    [left, right] = shown(page)
    assert [left[0], right[0]] == ["left picture", "right picture"]
    assert left[1:] == right[1:]
    assert page.evaluate(ROOM) >= 0  # neither picture is cut off
    cells = page.locator(".jp-Cell").count()
    html = page.locator(".jp-OutputArea").last.inner_html()
    assert not any(model in html for model in MODELS)

    assert page.get_by_text("Which fits the prompt better?").count() == 1
    assert page.get_by_label("Your name").input_value() == "Ada"
    # All of it is within the window.
    page.locator(".beluga-booth").evaluate("booth => booth.scrollIntoView({block: 'end'})")
    assert page.evaluate(BOX) <= page.locator(".jp-WindowedPanel-outer").bounding_box()["height"]

    # No click before the first key.
    page.wait_for_function("document.activeElement.placeholder == '1 2 t b s z'")
    if folder := os.environ.get("BOOTH_PICTURES"):
        lab.picture(f"{folder}/booth-1.png")
    page.keyboard.press("1")
    compared(page, 1)
    page.keyboard.press("2")
    compared(page, 2)
    page.keyboard.press("u")
    compared(page, 1)
    page.keyboard.press("b")
    compared(page, 2)
    page.get_by_role("button", name="The right picture is better").click()
    compared(page, 3)
    assert votes(lab)[-1] == "right"
    page.keyboard.press("u")
    compared(page, 2)
    page.get_by_role("button", name="t · tie").click()
    compared(page, 3)
    # After a click the keys go on.
    skipped = page.evaluate(SOURCES)
    page.keyboard.press("s")
    page.wait_for_function(f"skipped => {SOURCES} !== skipped", arg=skipped)
    page.wait_for_timeout(350)
    page.keyboard.press("1")
    compared(page, 4)
    assert votes(lab) == ["left", "right", "undo", "both bad", "right", "undo", "tie", "left"]
    assert page.locator(".jp-Cell").count() == cells  # JupyterLab's own keys did nothing
    if folder:
        lab.picture(f"{folder}/booth-2.png")

    page.get_by_role("button", name="End and reveal").click()
    table = page.locator(".jp-OutputArea table").first
    table.wait_for()
    for model in MODELS:
        assert table.get_by_text(model).count()
    table.get_by_text("95 % interval").wait_for()
    assert table.locator("img[alt*='Elo']").count() == len(MODELS)
    expect(page.get_by_role("button", name="t · tie")).to_have_count(0)
    page.wait_for_timeout(300)
    if folder:
        lab.picture(f"{folder}/booth-3.png")
    saved = lab.save()

    output, still = saved.cells[1].outputs
    assert still.data == {"text/html": "", "text/plain": ""}
    assert set(output.data) == {"text/html", "image/png", "text/plain"}
    assert ": 3 votes. Fewer than 4 " in output.data["text/plain"]
    assert "1 vote found 'both bad'" in output.data["text/plain"]

    # Whoever opens the saved notebook sees the ranking, without running anything.
    foreign = nbformat.from_dict(saved)
    foreign.cells.append(nbformat.v4.new_markdown_cell("from elsewhere"))
    lab.open(foreign, "foreign.ipynb")
    page.locator(".jp-OutputArea table").first.wait_for()
    assert page.get_by_text("bear no intervals").count() == 1
    if folder:
        lab.picture(f"{folder}/booth-4.png")

    # In Voilà the ranking replaces the booth, too.
    nbformat.write(notebook("9:16"), lab.work / "page.ipynb")
    page.set_viewport_size({"width": 1024, "height": 768})
    page.goto(f"{lab.url}voila/render/page.ipynb?token=test")
    compared(page, 0)
    boxes = [page.get_by_role("button", name=name).bounding_box() for name in ("t · tie", "End and reveal")]
    assert max(box["y"] + box["height"] for box in boxes) <= 768
    if folder:
        lab.picture(f"{folder}/booth-5.png")
    page.get_by_role("button", name="The left picture is better").click()
    compared(page, 1)
    page.get_by_role("button", name="End and reveal").click()
    page.get_by_text("bear no intervals").wait_for()
    if folder:
        lab.picture(f"{folder}/booth-6.png")


def test_the_first_key_votes_on_a_slow_machine_but_not_for_who_writes_elsewhere(opened):
    """The booth takes the focus when it is drawn and seen, and never from an editor that holds text."""
    slow = notebook()
    slow.cells[1].source = f"import time; time.sleep(2)\n{slow.cells[1].source}"
    slow.cells.append(nbformat.v4.new_code_cell("b = 1"))
    lab = opened(slow)
    page = lab.page
    devtools = page.context.new_cdp_session(page)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": 6})
    lab.run_all()
    compared(page, 0)
    page.wait_for_function("document.activeElement.closest('.beluga-booth-keys')")
    page.keyboard.press("t")
    compared(page, 1)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": 1})

    lab.start(1)
    editor = lab.cell(2).locator(".cm-content")
    editor.click()
    page.keyboard.press("End")
    page.keyboard.type("1")
    compared(page, 1)
    page.wait_for_timeout(500)
    page.keyboard.type("2")
    expect(editor).to_have_text("b = 112")
    compared(page, 1)
    page.get_by_role("button", name="s · skip").click()
    page.wait_for_function("document.activeElement.closest('.beluga-booth-keys')")
