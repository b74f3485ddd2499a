"""Every table and every error on one page, as nbconvert writes it: nothing for axe to find, nothing wider."""

import nbformat
import pytest
from desk import AXE, needs_axe
from lab import _QUIET, CHROMIUM, IN_A_BROWSER
from nbconvert import HTMLExporter
from playwright.sync_api import sync_playwright
from test_errors import KINDS, made
from test_family import TABLES

pytestmark = IN_A_BROWSER


@pytest.fixture(scope="module")
def page_of_outputs():
    """A notebook of tables and errors, as HTML."""
    outputs = [nbformat.v4.new_output("display_data", data=TABLES[name]()) for name in TABLES]
    outputs += [
        nbformat.v4.new_output("error", ename=kind.__name__, evalue="", traceback=made(kind)._coloured())
        for kind in KINDS
    ]
    return [nbformat.v4.new_code_cell("…", outputs=[output]) for output in outputs]


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_QUIET)
        yield browser
        browser.close()


@needs_axe
@pytest.mark.parametrize(("theme", "width"), [("light", 1400), ("dark", 700)])
def test_tables_and_errors_can_be_used_by_all_and_fit_the_page(
    page_of_outputs, browser, theme, width, tmp_path
):
    html, _ = HTMLExporter(theme=theme).from_notebook_node(nbformat.v4.new_notebook(cells=page_of_outputs))
    file = tmp_path / "page.html"
    file.write_text(html)
    page = browser.new_page(viewport={"width": width, "height": 900})
    # The template asks for libraries elsewhere; nothing leaves this machine.
    page.route(
        "**/*",
        lambda route: (
            route.continue_() if route.request.url.startswith(("file:", "data:")) else route.abort()
        ),
    )
    page.goto(file.as_uri(), wait_until="domcontentloaded")
    page.add_script_tag(path=str(AXE))
    found = page.evaluate("async () => (await axe.run('.jp-OutputArea-output')).violations")
    page.screenshot(path=str(tmp_path / f"{theme} {width}.png"), full_page=True)
    assert [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found] == []
    wider = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0
    assert page.locator("table:visible").count() >= len(TABLES)
    page.close()
