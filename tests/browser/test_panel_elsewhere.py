"""The same panel in Notebook 7, and in a page that Voilà makes of a notebook: one server for both."""

import os

import nbformat
import pytest
from desk import Desk, notebook, serving
from lab import CHROMIUM, Notebook7
from playwright.sync_api import expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CI"),
        reason="no Chromium on this machine; in CI this fails instead",
    ),
]


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


def test_voila_shows_the_same_panel(service_and_app, tmp_path):
    _, app = service_and_app
    nbformat.write(notebook(), app.work / "page.ipynb")
    app.page.goto(f"{app.url}voila/render/page.ipynb?token=test")
    desk = Desk(app.page).ready()
    desk.generate("a fox in a page")
    assert [words.partition(".")[0] for words in desk.loaded()] == ["Picture 1: a fox in a page"]
    app.picture(tmp_path / "voila.png")
