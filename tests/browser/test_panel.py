"""The panel in a real browser: typed, clicked, saved, and read by who cannot see it.

In JupyterLab and in Notebook 7 alike: one server and one browser for each, one after the other.
"""

import datetime
import hashlib
import json
import re
from pathlib import Path

import nbformat
import pytest
from desk import STILL, Desk, needs_axe, notebook, serving, violations
from lab import IN_A_BROWSER, Lab, Notebook7
from playwright.sync_api import expect

pytestmark = IN_A_BROWSER


@pytest.fixture(scope="module", params=[Lab, Notebook7])
def service_and_app(request):
    with serving() as (service, environment):
        # Without windowing, what is below the window is drawn too.
        settings = {"@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"}}
        with request.param(notebook(), settings=settings, size=(1280, 1500), **environment) as app:
            yield service, app


in_lab = pytest.mark.parametrize("service_and_app", [Lab], indirect=True)
"""For what depends on no front end."""


@pytest.fixture
def service(service_and_app):
    return service_and_app[0]


@pytest.fixture
def app(service_and_app):
    return service_and_app[1]


@pytest.fixture
def opened(app, request):
    """Open a notebook with a panel and these cells below it, run the panel, and return its desk."""

    def with_cells(*cells):
        app.open(notebook(*cells), f"{request.node.name.split('[')[0]}.ipynb")
        app.run(0)
        return Desk(app.page).ready()

    return with_cells


def test_a_prompt_is_typed_and_generated_with_the_keyboard_alone(opened, app, tmp_path):
    desk = opened("panel.selected[0].size")
    keys = app.page.keyboard
    desk.panel.get_by_role("textbox", name="Prompt", exact=True).focus()
    for count, prompt in enumerate(("a red fox", "a white fox"), 1):
        keys.press("Control+a")
        keys.type(prompt)
        keys.press("Control+Enter")
        expect(desk.tiles).to_have_count(count)
    order = []
    for _ in range(60):
        keys.press("Tab")
        order.append(
            app.page.evaluate(
                """() => { const it = document.activeElement;
                    return it.getAttribute('aria-label') || it.labels?.[0]?.innerText || it.innerText; }"""
            )
        )
        if order[-1].startswith("Picture 1"):
            break
    named = ["Search models", "Model", "default", "Quality", "Pictures", "Take", "Generate"]
    places = [order.index(each) for each in named]
    assert places == sorted(places)
    assert order[-1].startswith("Picture 1: a white fox")
    keys.press("ArrowRight")
    keys.press("Enter")
    expect(desk.tiles.nth(1)).to_have_class(re.compile("beluga-chosen"))
    expect(desk.panel.locator("img.beluga-shown")).to_have_attribute("alt", "a red fox")
    app.picture(tmp_path / "keyboard.png")
    model = desk.panel.get_by_role("listbox", name="Model")
    before = model.input_value()
    model.focus()
    keys.press("ArrowDown")
    expect(model).not_to_have_value(before)
    assert model.evaluate("it => it === document.activeElement"), "the notebook's cursor stays where it is"


@in_lab
def test_what_is_sent_is_what_was_typed_however_fast(opened, app):
    desk = opened("panel.result.request.take")
    heard = desk.panel.locator("[class*=beluga-received]")
    expect(heard).to_have_count(2)
    assert not any(each.is_visible() for each in heard.all())
    for turn in range(4):
        prompt, take = f"{turn}: a fox that jumps over the lazy dog", f"take {turn}"
        desk.panel.get_by_role("textbox", name="Take", exact=True).focus()
        app.page.keyboard.press("Control+a")
        app.page.keyboard.type(take)
        desk.panel.get_by_role("textbox", name="Prompt", exact=True).focus()
        app.page.keyboard.press("Control+a")
        app.page.keyboard.type(prompt)
        app.page.keyboard.press("Control+Enter")
        desk.panel.locator(".beluga-message").get_by_text(f"1 picture of “{prompt}”.").wait_for()
    app.run(1)
    assert "'take 3'" in app.cell(1).inner_text()


def test_two_run_at_once_and_stop_stops_while_a_cell_sleeps(opened, service, app, tmp_path):
    desk = opened("import time\nprint('asleep')\ntime.sleep(20)")
    for prompt in ("a slow fox", "a slow whale"):
        desk.type(prompt)
        desk.panel.get_by_text("1 to buy").wait_for()
        desk.button("Generate").click()
        assert service.asked.acquire(timeout=30)
    stops = desk.panel.get_by_role("button", name="Stop")
    expect(stops).to_have_count(2)
    app.start(1)
    app.cell(1).get_by_text("asleep").last.wait_for()
    app.picture(tmp_path / "two at once.png")
    stops.first.click()
    assert service.left.acquire(timeout=10)
    expect(stops).to_have_count(1)
    assert "*" in app.cell(1).locator(".jp-InputPrompt").inner_text(), "the cell still runs"
    stops.first.click()
    expect(stops).to_have_count(0)
    assert service.left.acquire(timeout=10)
    expect(desk.panel.locator(".beluga-message").first).to_contain_text("Stopped")
    app.cell(1).locator(".jp-InputPrompt").click()
    for _ in range(2):
        app.page.keyboard.press("i")
    app.cell(1).get_by_text("KeyboardInterrupt").first.wait_for()
    desk.generate("a fox after all")


def test_the_sizes_change_with_the_model(opened):
    desk = opened()
    assert len(desk.sizes()) == 15
    desk.panel.get_by_role("textbox", name="Search models").fill("seedream 4.5")
    # What was chosen before, and what was found: until then the whole list may still stand there.
    expect(desk.panel.get_by_role("listbox", name="Model").get_by_role("option")).to_have_count(2)
    desk.model("seedream-4.5  (ByteDance)")
    desk.panel.get_by_text("Seedream 4.5, by ByteDance: 5 sizes, 4 pictures per request.").wait_for()
    assert desk.sizes() == ["default", "1:1", "16:9", "9:16", "4:3", "3:4", "auto"]
    desk.panel.get_by_label("16:9").check(force=True)
    desk.panel.get_by_text("16:9, best for thumbnails").wait_for()


def test_an_error_is_shown_in_the_panel_and_the_next_click_works(opened, tmp_path, app):
    desk = opened()
    desk.type("a bad fox")
    desk.panel.get_by_text("1 to buy").wait_for()
    desk.button("Generate").click()
    trouble = desk.panel.get_by_role("alert")
    expect(trouble).to_contain_text("APIStatusError: The prompt was refused.")
    expect(trouble.locator(".beluga-badge")).to_have_text("not billed")
    app.picture(tmp_path / "error.png")
    desk.generate("a good fox")
    expect(trouble).to_be_hidden()
    assert len(desk.loaded()) == 1


def test_a_cell_is_inserted_runs_and_gives_the_same(opened, service, app):
    desk = opened("panel.result.pictures[0].sha256")
    desk.generate('a fox, "quoted" (really)?')
    asked = len(service.requests)
    desk.button("Insert as cell").click()
    inserted = app.cell(1)
    expect(inserted.locator(".cm-content")).to_contain_text('a fox, "quoted" (really)?')
    app.run(1)
    app.run(2)
    assert len(service.requests) == asked, "it is replayed"
    saved = app.save()
    assert saved.cells[1].source == '%%beluga -m gpt-image-2\na fox, "quoted" (really)?'
    sha256 = saved.cells[2].outputs[0].data["text/plain"].strip("'")
    assert f"sha256:{sha256}" in saved.cells[1].outputs[0].data["text/plain"]


def test_a_picture_is_enlarged_compared_and_downloaded(opened, app, tmp_path):
    desk = opened("print(panel.selected.pictures[0].sha256)")
    desk.generate("foxes to compare", n=3)
    desk.tiles.nth(1).get_by_role("button").click()
    large = desk.panel.locator("img.beluga-shown")
    expect(large).to_have_attribute("alt", "foxes to compare")
    app.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    desk.button("Copy prompt").click()
    assert app.page.evaluate("navigator.clipboard.readText()") == "foxes to compare"
    with app.page.expect_download() as downloading:
        desk.button("Download").click()
    data = Path(downloading.value.path()).read_bytes()
    app.run(1)
    assert hashlib.sha256(data).hexdigest() in app.cell(1).locator(".jp-OutputArea").inner_text()
    for number in (0, 1):
        desk.tiles.nth(number).get_by_role("button").click()
        expect(desk.tiles.nth(number)).to_have_class(re.compile("beluga-chosen"))
        desk.button("Compare").click()
    desk.tab("Compare")
    sights = desk.panel.locator(".beluga-comparison img")
    expect(sights).to_have_count(2)
    before = [each.get_attribute("src") for each in sights.all()]
    desk.panel.get_by_role("slider", name="Zoom").focus()
    app.page.keyboard.press("PageUp")
    for place, sight in enumerate(before):
        expect(sights.nth(place)).not_to_have_attribute("src", sight)
    zoom = desk.panel.locator(".beluga-zoom .widget-readout")
    before, pressed = sights.last.get_attribute("src"), zoom.inner_text()
    sights.first.hover()
    app.page.mouse.wheel(0, -100)
    expect(zoom).not_to_have_text(pressed)
    expect(sights.last).not_to_have_attribute("src", before)
    app.page.mouse.down()
    app.page.mouse.move(500, 900, steps=4)
    app.page.mouse.up()
    expect(desk.panel.locator(".beluga-across .widget-readout")).not_to_have_text("0.50")
    app.picture(tmp_path / "side by side.png")
    desk.panel.get_by_label("How", exact=True).select_option("slider")
    expect(sights).to_have_count(1)
    whole = sights.first.get_attribute("src")
    desk.panel.get_by_role("slider", name="Split").focus()
    app.page.keyboard.press("ArrowRight")
    expect(sights.first).not_to_have_attribute("src", whole)
    app.picture(tmp_path / "slider.png")


def test_after_a_restart_the_history_is_there(opened, app, tmp_path):
    desk = opened()
    desk.generate("a fox for ever", n=2)
    desk.button("☆ Favourite").click()
    desk.button("★ Favourite").wait_for()
    app.restart()
    app.run(0)
    desk = Desk(app.page).ready()
    assert desk.loaded() == []
    desk.tab("History")
    desk.panel.get_by_role("checkbox", name="Favourites only").check()
    desk.panel.get_by_role("textbox", name="Search prompts").fill("FOR EVER")
    expect(desk.tiles).to_have_count(1)
    app.picture(tmp_path / "history.png")
    desk.tiles.first.get_by_role("button").click()
    desk.tab("Pictures")
    expect(desk.tiles).to_have_count(2)


@in_lab
def test_the_history_is_narrowed_by_model_and_by_day(opened, app, tmp_path):
    desk = opened()
    desk.generate("a snow fox")
    desk.generate("snow foxes", n=2)
    desk.tab("History")
    desk.panel.get_by_role("textbox", name="Search prompts").fill("snow")
    expect(desk.tiles).to_have_count(2)
    model = desk.panel.get_by_label("Of model", exact=True)
    model.select_option("flux-2.0")
    expect(desk.tiles).to_have_count(1)
    text = desk.tiles.first.get_by_role("button").get_attribute("title")
    assert text.startswith("Bring back 2 of “snow foxes”, flux-2.0, ")
    day = datetime.date.fromisoformat(text.split()[-2])
    first, last = (desk.panel.get_by_label(words, exact=True) for words in ("From", "Until"))
    nothing = desk.panel.get_by_text("Nothing that fits is recorded.")
    for field, beyond in ((first, 1), (last, -1)):
        field.fill(str(day + datetime.timedelta(days=beyond)))
        nothing.wait_for()
        field.fill(str(day))
        expect(desk.tiles).to_have_count(1)
    model.select_option("every model")
    expect(desk.tiles).to_have_count(2)
    app.picture(tmp_path / "filtered.png")
    last.fill(str(day - datetime.timedelta(days=1)))
    nothing.wait_for()
    last.fill("")
    expect(desk.tiles).to_have_count(2)


def test_a_saved_notebook_shows_its_pictures_to_a_stranger_and_to_its_owner(opened, app, tmp_path):
    desk = opened()
    desk.generate("a fox to keep", n=2)
    app.page.wait_for_function("document.querySelectorAll('.jp-OutputArea figure img').length == 2")
    assert app.page.evaluate(STILL) == [], "the panel itself is there to be looked at"
    saved = app.save()
    assert len(json.dumps(saved)) < 250_000
    app.visit()
    expect(Desk(app.page).ready().tiles).to_have_count(2)
    assert app.page.evaluate(STILL) == [], "while its kernel lives, the panel itself comes back"
    app.shut_down()
    app.visit()
    app.page.wait_for_function(f"({STILL})().length == 2")
    expect(app.page.get_by_text("Error displaying widget")).to_be_hidden(timeout=30_000)
    app.picture(tmp_path / "reopened.png")
    foreign = nbformat.from_dict(saved)
    foreign.cells.append(nbformat.v4.new_markdown_cell("from elsewhere"))
    app.open(foreign, "foreign.ipynb")
    app.page.wait_for_function(f"({STILL})().length == 2")
    assert app.page.evaluate(STILL) == ["a fox to keep"] * 2
    assert app.page.locator(".beluga-panel").count() == 0
    app.picture(tmp_path / "untrusted.png")


@needs_axe
@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_who_cannot_see_it_can_use_it_in_light_and_dark_and_on_a_narrow_page(opened, app, theme, tmp_path):
    app.set("@jupyterlab/apputils-extension/themes", {"theme": theme})
    desk = opened()
    app.page.locator(f"body[data-jp-theme-name='{theme}']").wait_for(state="attached")
    desk.generate("foxes for all", n=2)
    desk.button("Insert as cell").click()
    for number in (0, 1):
        desk.tiles.nth(number).get_by_role("button").click()
        expect(desk.tiles.nth(number)).to_have_class(re.compile("beluga-chosen"))
        desk.button("Compare").click()
    found = []
    for what in ("Pictures", "Compare", "History"):
        desk.tab(what)
        found += violations(app.page, what)
        app.picture(tmp_path / f"{what} in {theme}.png")
    assert found == []
    with app.at_width(400):
        desk.tab("Pictures")
        app.picture(tmp_path / f"narrow in {theme}.png")
        assert desk.outside() == []


@in_lab
def test_voila_shows_the_same_panel(app, tmp_path):
    nbformat.write(notebook(), app.work / "page.ipynb")
    app.page.goto(f"{app.url}voila/render/page.ipynb?token=test")
    desk = Desk(app.page).ready()
    desk.generate("a fox in a page")
    assert [words.partition(".")[0] for words in desk.loaded()] == ["Picture 1: a fox in a page"]
    app.picture(tmp_path / "voila.png")
