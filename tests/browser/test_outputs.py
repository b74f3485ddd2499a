"""Every kind of output on one page, as nbconvert writes it: nothing for axe to find, nothing wider."""

from dataclasses import replace
from itertools import permutations

import nbformat
import pytest
from conftest import drawing, drawn
from desk import AXE, needs_axe
from lab import _QUIET, CHROMIUM, IN_A_BROWSER
from nbconvert import HTMLExporter
from playwright.sync_api import sync_playwright
from test_errors import KINDS, made
from test_grid_print import A4
from test_history import Line
from test_outside import SURFACES, html_of
from test_tables import TABLES

from beluga_nb.compare.metrics import METRICS
from beluga_nb.compare.rank import Rankings, ranking
from beluga_nb.compare.scores import Leaderboard, Means, Scored, Scores
from beluga_nb.compare.vote import Duel
from beluga_nb.errors import APIStatusError
from beluga_nb.request import Request
from beluga_nb.result import Preview
from beluga_nb.session.session import Session
from beluga_nb.show.figures import bundle
from beluga_nb.show.history import history_html
from beluga_nb.show.ranking import rankings_bundle
from beluga_nb.show.scores import leaderboard_bundle, scores_bundle
from beluga_nb.show.waiting import bar_html, frames_html

pytestmark = IN_A_BROWSER


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_QUIET)
        yield browser
        browser.close()


class Page:
    """Outputs on one page in a browser, without a network."""

    def __init__(self, browser, file, width, **options):
        self.file = file
        self.page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        # The template asks for libraries elsewhere; nothing leaves this machine.
        self.page.route(
            "**/*",
            lambda route: (
                route.continue_() if route.request.url.startswith(("file:", "data:")) else route.abort()
            ),
        )
        self.page.goto(file.as_uri(), wait_until="domcontentloaded")

    def violations(self, selector, *, without=()):
        """What axe finds, and where; `without` are rules that it does not check."""
        # It is not added as a script of the page, which the policy of `to_html` would not let run.
        self.page.evaluate(AXE.read_text("utf-8"))
        options = {"rules": {rule: {"enabled": False} for rule in without}}
        run = "async ([where, options]) => (await axe.run(where, options)).violations"
        found = self.page.evaluate(run, [selector, options])
        return [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found]

    def is_in_view(self, element):
        """Whether an element is seen up to each of its edges."""
        return element.evaluate(
            """each => {
                const {left, right, top, bottom} = each.getBoundingClientRect();
                const [x, y] = [(left + right) / 2, (top + bottom) / 2];
                const edges = [[left + 2, y], [right - 2, y], [x, top + 2], [x, bottom - 2]];
                return edges.every(edge => document.elementFromPoint(...edge) === each);
            }"""
        )

    def is_wider(self):
        """Whether the page scrolls sideways."""
        root = "document.documentElement"
        return self.page.evaluate(f"{root}.scrollWidth > {root}.clientWidth")


@pytest.fixture
def shown(browser, tmp_path):
    """Shows some outputs, or a page as it is; the page is photographed in the end."""
    pages = []

    def show(outputs, theme, width, **options):
        if isinstance(outputs, str):
            html = outputs
        else:
            cells = [nbformat.v4.new_code_cell("…", outputs=[output]) for output in outputs]
            html, _ = HTMLExporter(theme=theme).from_notebook_node(nbformat.v4.new_notebook(cells=cells))
        file = tmp_path / f"{theme} {width}.html"
        file.write_text(html)
        pages.append(Page(browser, file, width, **options))
        return pages[-1]

    yield show
    for each in pages:
        each.page.screenshot(path=str(each.file.with_suffix(".png")), full_page=True)
        each.page.close()


LOOKS = [("light", 1400), ("dark", 700)]


@needs_axe
@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_tables_and_errors_can_be_used_by_all_and_fit_the_page(shown, theme, width):
    tables = [nbformat.v4.new_output("display_data", data=TABLES[name]()) for name in TABLES]
    errors = [
        nbformat.v4.new_output("error", ename=kind.__name__, evalue="", traceback=made(kind)._coloured())
        for kind in KINDS
    ]
    found = shown([*tables, *errors], theme, width)
    # A long line of an error scrolls in the <pre> that nbconvert writes.
    assert found.violations(".jp-OutputArea-output", without=["scrollable-region-focusable"]) == []
    assert not found.is_wider()
    assert found.page.locator("table:visible").count() >= len(TABLES)
    models = found.page.locator("div > table", has_text="gpt-image-2-official").all()
    assert len(models) >= 2
    for table in models:
        assert table.evaluate("each => each.parentElement.scrollWidth <= each.parentElement.clientWidth")


def wide_tables():
    """Tables as wide as those of real studies, and one of each kind."""
    request = Request(
        prompt="a lighthouse above the sea at night, " * 9, model="gemini-3-pro-image-preview-official"
    )
    thumbnail = Preview(drawn(request, 0, "JPEG", (114, 64)), "image/jpeg")
    lines = [Line(request=request), Line()]
    yield {"text/html": history_html(lines, [[thumbnail] * 4, [thumbnail]]), "text/plain": ""}
    names = ["gemini-3-pro-image-preview-official", "seedream-4.5", "gpt-image-2"]
    answers = ("left", "right", "tie", "both bad")
    duels = [Duel(*pair, answer) for pair in permutations(names, 2) for answer in answers * 40]
    found = replace(ranking(duels, by="model"), pictures=dict.fromkeys(names, thumbnail))
    yield rankings_bundle(Rankings(per="criterion", by="model", groups={"fits the prompt": found}))
    values = {name: [number * 1234.567 for number in range(12)] for name in names}
    for count in range(4):
        means = {metric: Means(metric, values, by="model") for metric in list(METRICS)[:count]}
        yield leaderboard_bundle(Leaderboard(by="model", ranking=found, means=means))
    scored = [
        Scored(
            labels={"subject": "hot air balloon", "model": name},
            number=0,
            sha256=f"{number:064}",
            value=1,
            reason="No model judged. " * 12,
        )
        for number, name in enumerate(names)
    ]
    yield scores_bundle(Scores("Does it show a {{subject}} in mist?", "lab:vlm", tuple(scored)))
    for name, made_of in SURFACES.items():
        if (shown := html_of(made_of(str))).startswith('<div tabindex="0"'):
            yield {"text/html": shown, "text/plain": name}


@pytest.mark.parametrize(("media", "width"), [("print", A4), ("screen", 700)])
def test_every_column_of_a_table_is_on_paper(shown, media, width):
    outputs = [nbformat.v4.new_output("display_data", data=each) for each in wide_tables()]
    page = shown(outputs, "light", width).page
    page.emulate_media(media=media)
    tables = page.locator("div > table").all()
    assert len(tables) > 20
    for table in tables:
        box = "each => [each.parentElement.scrollWidth, each.parentElement.clientWidth]"
        needed, there = table.evaluate(box)
        assert needed <= there, table.inner_text()[:200]


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A session whose engine declines a picture of a grid."""

    async def engine(request):
        if request.model == "seedream-4.5" and "ink" in request.prompt:
            raise APIStatusError("The prompt was declined.", status=400)
        return await drawing(request)

    return Session(engine=engine, environ={}, folder=tmp_path_factory.mktemp("grid"))


@pytest.fixture(scope="module")
def grid(session):
    """A grid of two axes with a failure."""
    models = ["gpt-image-2", "flux-2.0", "seedream-4.5"]
    styles = ["a flat illustration", "an ink drawing"]
    return session.grid("a fox, {{style}}", style=styles, model=models).run()


@needs_axe
@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_pictures_grids_progress_and_the_lightbox_can_be_used_by_all_and_fit_the_page(
    shown, session, grid, theme, width
):
    bundles = [bundle(session.generate("a fox", model="flux-2.0", n=n)) for n in (1, 2, 3, 4, 5)]
    waiting = frames_html(Request(prompt="a fox", model="flux-2.0", n=4), ()) + bar_html(
        "flux-2.0: 1 of 4 pictures, 3 s", 0.25
    )
    bundles += [grid._repr_mimebundle_(), {"text/html": waiting, "text/plain": ""}]
    found = shown([nbformat.v4.new_output("display_data", data=each) for each in bundles], theme, width)
    assert found.violations(".jp-OutputArea-output") == []
    assert not found.is_wider()
    for picture in (found.page.locator("img").first, found.page.locator("summary img").first):
        picture.click()
        found.page.get_by_role("dialog").get_by_text("shown at").wait_for()
        assert found.violations("dialog") == []
        for name in ("Copy as cell", "Download"):
            button = found.page.get_by_role("dialog").get_by_text(name)
            assert found.is_in_view(button)
            assert button.bounding_box()["height"] < 50
        found.page.keyboard.press("Escape")


def test_a_finger_opens_a_picture_goes_on_and_closes(shown, grid):
    data = [grid._repr_mimebundle_()]
    outputs = [nbformat.v4.new_output("display_data", data=each) for each in data]
    page = shown(outputs, "light", 400, has_touch=True, is_mobile=True).page
    page.locator("summary img").first.tap()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("1 of 5").wait_for()
    for name in ("Next picture", "Copy as cell", "Close"):
        box = dialog.get_by_role("button", name=name).bounding_box()
        assert min(box["width"], box["height"]) >= 24, name
    dialog.get_by_role("button", name="Next picture").tap()
    dialog.get_by_text("2 of 5").wait_for()
    dialog.get_by_role("button", name="Close").tap()
    dialog.wait_for(state="detached")


def test_pictures_open_again_after_the_page_removed_the_open_dialog(shown, grid, tmp_path):
    grid.to_html(tmp_path / "cats.html")
    page = shown((tmp_path / "cats.html").read_text("utf-8"), "own", 1400).page
    page.evaluate("addEventListener('keydown', event => window.heard = event.key)")
    for removal in (
        "document.querySelector('dialog').remove()",
        "document.body.innerHTML = document.querySelector('[data-beluga]').outerHTML",
    ):
        page.locator("[data-beluga] img[data-cell]").first.click()
        page.get_by_role("dialog").get_by_text("shown at").wait_for()
        page.evaluate(removal)
        page.keyboard.press("x")
        assert page.evaluate("window.heard") == "x"
        page.evaluate("window.heard = ''")
    page.locator("[data-beluga] img[data-cell]").first.click()
    page.get_by_role("dialog").get_by_text("shown at").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")


@needs_axe
@pytest.mark.parametrize("width", [1400, 700])
def test_the_page_of_a_grid_can_be_used_by_all_and_fits(shown, grid, tmp_path, width):
    grid.to_html(tmp_path / "cats.html")
    found = shown((tmp_path / "cats.html").read_text("utf-8"), "own", width)
    assert found.violations("body") == []
    assert not found.is_wider()
