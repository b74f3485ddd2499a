"""The same panel in Notebook 7, and in a page that Voilà makes of a notebook: one server for both."""

from pathlib import Path

import nbformat
import pytest
from desk import STILL, Desk, needs_axe, notebook, serving, violations
from lab import IN_A_BROWSER, Notebook7
from playwright.sync_api import expect

from beluga_nb.core import decode

pytestmark = IN_A_BROWSER


@pytest.fixture(scope="module")
def service_and_app():
    with serving() as (service, environment):
        cells = ("import time\nprint('asleep')\ntime.sleep(20)", "panel.result.pictures[0].sha256")
        with Notebook7(notebook(*cells), size=(1280, 1500), **environment) as app:
            yield service, app


def test_in_notebook_7_it_generates_stops_inserts_a_cell_and_compares(service_and_app, tmp_path):
    service, app = service_and_app
    desk = Desk(app.page).ready()
    desk.type("a slow fox")
    desk.panel.get_by_text("1 to buy").wait_for()
    desk.button("Generate").click()
    assert service.asked.acquire(timeout=30)
    app.start(1)
    app.cell(1).get_by_text("asleep").last.wait_for()
    desk.button("Stop").click()
    assert service.left.acquire(timeout=10)
    assert "*" in app.cell(1).locator(".jp-InputPrompt").inner_text(), "the cell still runs"
    app.page.keyboard.press("Escape")
    for _ in range(2):
        app.page.keyboard.press("i")
    app.cell(1).get_by_text("KeyboardInterrupt").first.wait_for()
    desk.generate("foxes", n=2)
    desk.button("Insert as cell").click()
    expect(app.cell(1).locator(".cm-content")).to_contain_text("foxes")
    asked = len(service.requests)
    app.run(1)
    app.cell(1).get_by_alt_text("foxes").first.wait_for()
    assert len(service.requests) == asked, "it is replayed"
    for number in (0, 1):
        desk.tiles.nth(number).get_by_role("button").click()
        desk.panel.get_by_text(f"sample: {number}").wait_for()
        desk.button("Compare").click()
    desk.tab("Compare")
    expect(desk.panel.locator(".beluga-sights img")).to_have_count(2)
    app.picture(tmp_path / "notebook 7.png")


@needs_axe
def test_in_notebook_7_it_shows_errors_downloads_and_can_be_used_by_all(service_and_app, tmp_path):
    _, app = service_and_app
    app.visit()
    desk = Desk(app.page).ready()
    desk.type("a bad fox")
    desk.panel.get_by_text("1 to buy").wait_for()
    desk.button("Generate").click()
    expect(desk.panel.get_by_role("alert")).to_contain_text("Refused: The prompt was refused.")
    desk.model("seedream-4.5  (ByteDance)")
    desk.panel.get_by_text("Seedream 4.5, by ByteDance: 5 sizes").wait_for()
    assert desk.sizes() == ["default", "1:1", "16:9", "9:16", "4:3", "3:4", "auto"]
    desk.tab("History")  # from the store: this page knows nothing of the one before
    desk.tiles.first.get_by_role("button").click()
    desk.tab("Pictures")
    expect(desk.panel.locator("img.beluga-shown")).to_have_attribute("alt", "foxes")
    with app.page.expect_download() as downloading:
        desk.button("Download").click()
    assert decode(Path(downloading.value.path()).read_bytes()).size == (96, 64)
    found = []
    for what in ("Pictures", "Compare", "History"):
        desk.tab(what)
        found += violations(app.page, what)
    assert found == []
    app.page.set_viewport_size({"width": 400, "height": 1500})
    desk.tab("Pictures")
    app.picture(tmp_path / "narrow.png")
    assert desk.outside() == []
    app.page.set_viewport_size({"width": 1280, "height": 1500})
    foreign = nbformat.from_dict(app.save())
    foreign.cells.append(nbformat.v4.new_markdown_cell("from elsewhere"))
    nbformat.write(foreign, app.work / "foreign.ipynb")
    app.page.goto(f"{app.url}notebooks/foreign.ipynb?token=test")
    app.page.wait_for_function(f"({STILL})().length >= 2")
    assert set(app.page.evaluate(STILL)) == {"foxes"}
    assert app.page.locator(".beluga-panel").count() == 0


def test_voila_shows_the_same_panel(service_and_app, tmp_path):
    _, app = service_and_app
    nbformat.write(notebook(), app.work / "page.ipynb")
    app.page.goto(f"{app.url}voila/render/page.ipynb?token=test")
    desk = Desk(app.page).ready()
    desk.generate("a fox in a page")
    assert [words.partition(".")[0] for words in desk.loaded()] == ["Picture 1: a fox in a page"]
    app.picture(tmp_path / "voila.png")
