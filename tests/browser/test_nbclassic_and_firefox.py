"""What people do in NbClassic with ipywidgets 7, and in Firefox in JupyterLab, Notebook 7 and Voilà.

`python -m tests environments` runs this. Every check tries the same in JupyterLab, Notebook 7 and Voilà, in
Chromium.
"""

import re
from pathlib import Path

import nbformat
import pytest
from desk import AXE, ICONS, Desk, notebook, serving, violations, wait_until
from installed import pinned
from lab import IN_A_BROWSER, LabInFirefox, NbClassic, Notebook7InFirefox, needs_firefox
from playwright.sync_api import expect

pytestmark = [*IN_A_BROWSER, pytest.mark.everywhere]

ROOT = Path(__file__).parents[2]


IN_FIREFOX = {"JupyterLab in Firefox": LabInFirefox, "Notebook 7 in Firefox": Notebook7InFirefox}


@pytest.fixture(
    scope="module", params=["NbClassic", *(pytest.param(each, marks=needs_firefox) for each in IN_FIREFOX)]
)
def app(request, tmp_path_factory):
    if request.param == "NbClassic":
        environment = pinned("nbclassic", tmp_path_factory.mktemp("nbclassic"))
        # What is that old warns of itself.
        words = {"python": environment.python, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        front_end = NbClassic
    else:
        words = {
            "voila": True,
            "settings": {"@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"}},
        }
        front_end = IN_FIREFOX[request.param]
    with serving(front_end, **words) as app:
        yield app


def opened(app, name, *cells):
    """Open a notebook with a panel and these cells below it, run the panel, and return its desk."""
    app.open(notebook(*cells), f"{name}.ipynb")
    app.run(0)
    return Desk(app.page).ready()


def drawn(desk, trait):
    """What a property of the style is for each of the compared pictures."""
    pictures = desk.panel.locator(".beluga-compared img:visible")
    return pictures.evaluate_all(f"them => them.map(it => getComputedStyle(it).{trait})")


def test_a_panel_is_typed_in_and_its_pictures_are_compared(app, tmp_path):
    desk = opened(app, "panel", "panel.selected[0].size")
    assert desk.panel.get_by_role("tab").all_inner_texts() == ["Picture", "Compare", "Grid"]
    desk.generate("a red fox", n=2)
    prompt = desk.panel.get_by_role("textbox", name="Prompt", exact=True)
    prompt.focus()
    app.page.keyboard.press("Control+a")
    app.page.keyboard.type("abdx: a white fox")  # keys of the notebook, if they were not typed into a field
    app.page.keyboard.press("Control+Enter")
    expect(desk.tiles.filter(has_text="abdx: a white fox")).to_have_count(2)
    expect(app.page.locator(app.cells)).to_have_count(2)
    desk.tile(0).focus()
    app.page.keyboard.press("ArrowRight")
    app.page.keyboard.press("Enter")
    expect(desk.tiles.nth(1)).to_have_class(re.compile("beluga-chosen"))
    before = app.notebook.stat().st_mtime_ns
    prompt.focus()
    app.page.keyboard.press("Control+s")
    wait_until(lambda: app.notebook.stat().st_mtime_ns != before)

    for number in (0, 1):
        desk.pick(number)
    expect(desk.panel.get_by_role("tab", name="Compare (2)")).to_be_visible()
    desk.panel.locator(".beluga-compared img:visible").first.hover()
    app.page.mouse.wheel(0, -100)
    wait_until(lambda: drawn(desk, "transform")[0] != "matrix(1, 0, 0, 1, 0, 0)")
    zoomed, other = drawn(desk, "transform")
    assert zoomed == other
    app.picture(tmp_path / "compared.png")
    if AXE.exists():
        assert violations(app.page, "compared") == []
    desk.panel.get_by_label("How", exact=True).select_option("slider")
    handle = desk.panel.get_by_role("slider", name="Split")
    handle.focus()
    app.page.keyboard.press("ArrowRight")
    expect(handle).to_have_attribute("aria-valuenow", "55")

    desk.tab("Grid")
    desk.type("a {{animal}} by the sea")
    for axis, values in (("animal", "fox, hen"), ("model", "flux-2.0, gpt-image-2")):
        desk.button(f"Add the axis {axis}").click()
        app.page.keyboard.type(values)
        app.page.keyboard.press("Enter")
    expect(desk.panel.locator(".beluga-chip")).to_have_text(["fox×", "hen×", "flux-2.0×", "gpt-image-2×"])
    desk.panel.get_by_text("4 combinations").wait_for()
    desk.button("Run grid").click()
    desk.panel.get_by_text("4 of 4 cells done.").wait_for()
    desk.button("Insert grid as cell").click()
    expect(app.cell(1)).to_contain_text("%%beluga compare")
    app.picture(tmp_path / "grid.png")


@pytest.mark.parametrize("app", [pytest.param("Notebook 7 in Firefox", marks=needs_firefox)], indirect=True)
def test_voila_shows_the_same_panel_in_the_dark(app, tmp_path):
    nbformat.write(notebook(), app.work / "page.ipynb")
    app.page.goto(f"{app.url}voila/render/page.ipynb?token=test&theme=dark")
    desk = Desk(app.page).ready()
    desk.generate("a fox in a page", n=2)
    assert desk.panel.evaluate("it => getComputedStyle(it).colorScheme") == "dark"
    for number in (0, 1):
        desk.pick(number)
    desk.panel.locator(".beluga-compared img:visible").first.hover()
    app.page.mouse.wheel(0, -100)
    wait_until(lambda: drawn(desk, "transform")[0] != "matrix(1, 0, 0, 1, 0, 0)")
    if AXE.exists():
        assert violations(app.page, "dark") == []
    app.picture(tmp_path / "voila.png")


def test_two_calls_are_stopped_and_an_error_is_a_card(app, tmp_path):
    desk = opened(app, "stopped")
    for prompt in ("a slow fox", "a slow whale"):
        desk.type(prompt)
        desk.go.click()
        assert app.service.asked.acquire(timeout=60)
    stop = desk.button("Stop all")
    expect(desk.panel.get_by_role("button", name="Stop “")).to_have_count(2)
    assert stop.evaluate("it => it.scrollWidth <= it.clientWidth"), "all of its words are seen"
    app.picture(tmp_path / "two at once.png")
    stop.click()
    expect(stop).to_be_hidden()
    desk.type("a bad fox")
    desk.go.click()
    trouble = desk.panel.get_by_role("alert")
    expect(trouble).to_contain_text("APIStatusError: The prompt was refused.")
    expect(trouble.locator(".beluga-badge")).to_have_text("not billed")
    desk.generate("a good fox")
    expect(trouble).to_be_hidden()


def test_a_panel_whose_kernel_has_ended_says_so_and_a_saved_one_is_one_still(app, tmp_path):
    desk = opened(app, "still", "%beluga replay this")
    desk.generate("a fox to keep", n=2)
    kept = app.page.locator(".beluga-still img[alt='a fox to keep']")
    expect(kept).to_have_count(2)
    expect(kept.first).to_be_hidden()
    [view, still] = app.save().cells[0].outputs
    assert view.data["text/plain"].startswith("The panel of beluga_nb: ")
    assert still.data["text/html"].count("<img") == 2
    app.restart_kernel()
    app.page.locator(".beluga-panel .jupyter-widgets-disconnected").first.wait_for(state="attached")
    layout = app.page.locator(".beluga-layout")
    assert "Run this cell again" in layout.evaluate("it => getComputedStyle(it, '::after').content")
    assert app.page.evaluate(ICONS) == 0
    expect(desk.panel.locator(".beluga-form")).to_have_attribute("inert", "")
    app.picture(tmp_path / "ended.png")
    app.shut_down()
    app.visit()
    expect(kept.last).to_be_visible()
    lost = re.compile("Error displaying widget|Jupyter widget could not be displayed")
    app.page.get_by_text(lost).wait_for(state="attached")
    expect(app.page.get_by_text(lost)).to_be_hidden()
    assert app.page.locator(".beluga-panel").count() == 0
    app.picture(tmp_path / "reopened.png")


def test_progress_has_a_frame_for_each_picture_and_leaves_nothing(app, tmp_path):
    app.open(notebook("beluga_nb.generate('a slow fox', n=2)", "%beluga -n 2 a fox"), "progress.ipynb")
    app.run(0)
    app.start(1)
    assert app.service.asked.acquire(timeout=60)
    app.cell(1).get_by_text("picture 2 of 2").wait_for()
    app.cell(1).get_by_text(re.compile(r"0 of 2 pictures, \d+ s")).wait_for()
    app.picture(tmp_path / "progress.png")
    app.interrupt()
    app.cell(1).get_by_text("KeyboardInterrupt: stopped").first.wait_for()
    expect(app.cell(1).get_by_text("picture 2 of 2")).to_have_count(0)
    app.run(2)
    app.cell(2).locator("img[data-cell]").first.click()
    box = app.page.locator("dialog.beluga-lightbox")
    expect(box.get_by_role("status")).to_contain_text("1 of 2")
    app.page.keyboard.press("ArrowRight")
    expect(box.get_by_role("status")).to_contain_text("2 of 2")
    app.picture(tmp_path / "lightbox.png")
    app.page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    [stopped, shown] = [cell.outputs for cell in app.save().cells[1:]]
    assert [each.output_type for each in stopped] == ["error"]
    assert [each.data["text/html"].count("<img") for each in shown] == [2]


BOOTH = """import beluga_nb
models = ("flux-2.0", "gpt-image-2", "seedream-4.5")
pictures = [beluga_nb.generate("a fox", model=each, n=2) for each in models]
beluga_nb.gallery(*pictures).vote(voter="Ada", seed=1)"""


def test_a_booth_takes_votes_by_key_and_click_and_ends_with_the_ranking(app, tmp_path):
    app.open(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(BOOTH)], metadata=notebook().metadata),
        "booth.ipynb",
    )
    app.run(0)
    page = app.page

    def compared(count):
        page.get_by_text(f"{count} of 6 compared").wait_for()
        page.wait_for_function(
            "[...document.querySelectorAll('.beluga-booth img')].every(it => it.naturalWidth)"
        )
        page.wait_for_timeout(350)  # nobody has looked at new pictures sooner

    compared(0)
    page.wait_for_function("document.activeElement.closest('.beluga-booth-keys')")
    for key, count in (("1", 1), ("2", 2), ("u", 1), ("b", 2)):
        page.keyboard.press(key)
        compared(count)
    page.keyboard.press("z")
    expect(page.locator(".beluga-booth")).to_have_class(re.compile("beluga-booth-zoomed"))
    look = "[...document.querySelectorAll('.beluga-booth img')].map(it => getComputedStyle(it).transform)"
    assert page.evaluate(look) == ["matrix(2.5, 0, 0, 2.5, 0, 0)"] * 2
    page.keyboard.press("z")
    expect(page.locator(".beluga-booth")).not_to_have_class(re.compile("beluga-booth-zoomed"))
    page.get_by_title("The right picture is better").click()
    compared(3)
    app.picture(tmp_path / "booth.png")
    page.get_by_role("button", name="End and reveal").click()
    app.cell(0).locator("table").first.wait_for()
    app.picture(tmp_path / "ranking.png")
    expect(page.locator(app.cells)).to_have_count(1)
    [output, unfinished] = app.save().cells[0].outputs
    assert unfinished.data["text/html"] == ""
    assert ": 2 votes. Fewer than 4 " in output.data["text/plain"]
    assert set(output.data) == {"text/html", "image/png", "text/plain"}
