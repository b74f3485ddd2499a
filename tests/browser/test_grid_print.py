"""Grids in windows and on paper: every picture and every label is inside, and no box scrolls."""

import base64
import itertools
import math

import nbformat
import pytest
from lab import _QUIET, CHROMIUM, IN_A_BROWSER
from nbconvert import HTMLExporter
from PIL import Image
from playwright.sync_api import sync_playwright
from sampling import some

from beluga_nb.errors import APIStatusError
from beluga_nb.images import encode
from beluga_nb.request import Request
from beluga_nb.result import Recipe
from beluga_nb.show.grid_table import Dimension, Figure, Square, Table, grid_bundle
from beluga_nb.show.page import page as page_of

pytestmark = IN_A_BROWSER

A4 = 718  # pixels between the margins of Chromium
WORDS = "A photograph of a lighthouse above the {} sea, seen from a small boat, at dawn, 35 mm film"
LENGTHS = [(1,), (2,), (7,), (18,), (2, 4), (5, 5), (2, 10), (2, 2, 6)]
GRIDS = some(itertools.product(LENGTHS, [1, 2, 4], ["short", "long"]), 17)


class Pictured:
    """A picture of a colour that no other one has."""

    def __init__(self, number):
        self.recipe = Recipe(request=Request(prompt="a fox", model="m"), engine="drawing")
        self.size, self.sha256 = (64, 64), f"{number:064}"
        colour = (number % 256, number // 256 % 256, 90)
        data = base64.b64encode(encode(Image.new("RGB", (64, 64), colour), "PNG")).decode()
        self.figure = Figure(self, f"data:image/png;base64,{data}", str)


def grid(lengths, count, words, numbers):
    text = {"short": "{}", "long": WORDS}[words]
    dimensions = tuple(
        Dimension(f"axis{number}", tuple(text.format(f"{number}.{value}") for value in range(length)))
        for number, length in enumerate(lengths)
    )
    keys = list(itertools.product(*(dimension.labels for dimension in dimensions)))
    squares = {key: Square(tuple(Pictured(next(numbers)).figure for _ in range(count))) for key in keys} | {
        keys[-1]: Square(note="failed", error=APIStatusError("No.", status=400))
    }
    return Table(caption="a caption", prompts=("a {{axis0}}",), dimensions=dimensions, squares=squares)


@pytest.fixture(scope="module")
def tables():
    numbers = itertools.count()
    return {each: grid(*each, numbers) for each in GRIDS}


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def exported(tables, chromium, tmp_path_factory):
    """A page of nbconvert with all of these grids."""
    cells = [
        nbformat.v4.new_code_cell(
            "g", outputs=[nbformat.v4.new_output("execute_result", grid_bundle(table), execution_count=1)]
        )
        for table in tables.values()
    ]
    text, _ = HTMLExporter(template_name="lab").from_notebook_node(nbformat.v4.new_notebook(cells=cells))
    file = tmp_path_factory.mktemp("print") / "grids.html"
    file.write_text(text, "utf-8")
    page = chromium.new_context(offline=True).new_page()
    page.goto(file.as_uri(), wait_until="domcontentloaded")
    return page


# What is outside of the page, or of a box around it that scrolls or cuts; and how wide pictures are.
SEEN = """root => {
    const outside = [], widths = [];
    for (const each of root.querySelectorAll('img, th')) {
        const box = each.getBoundingClientRect();
        for (let up = each.parentElement; up; up = up.parentElement) {
            const style = getComputedStyle(up), frame = up.getBoundingClientRect();
            const cuts = style.overflowX !== 'visible' || up === document.documentElement;
            const within = box.right <= frame.right + 1 && box.left >= frame.left - 1;
            if (cuts && !within) outside.push(each.outerHTML);
            if (/auto|scroll|hidden/.test(style.overflowY) && up.scrollHeight > up.clientHeight + 1
                && up !== document.documentElement && up !== document.body) outside.push('scrolls');
        }
        if (each.tagName === 'IMG') widths.push(box.width);
    }
    return [outside, widths];
}"""


@pytest.mark.parametrize(("media", "width"), [("print", A4), ("screen", 700), ("screen", 1280)])
def test_every_picture_and_label_is_inside_the_page(exported, tables, media, width):
    exported.emulate_media(media=media)
    exported.set_viewport_size({"width": width, "height": 1000})
    outputs = exported.locator(".jp-OutputArea-output").all()
    for (which, table), output in zip(tables.items(), outputs, strict=True):
        outside, widths = output.evaluate(SEEN)
        (lengths, count, _) = which
        assert outside == [], which
        assert len(widths) == (math.prod(lengths) - 1) * count
        assert output.locator("th").count() >= len(table.dimensions[-1].labels)
        if width == 1280:
            assert all(110 / math.isqrt(count) - 8 <= each <= 320 for each in widths), which


def test_a_pdf_has_every_picture(exported, tables):
    exported.emulate_media(media="print")
    pictures = sum(len(square.figures) for table in tables.values() for square in table.squares.values())
    assert exported.pdf(format="A4").count(b"/Subtype /Image") >= pictures


@pytest.mark.parametrize("which", GRIDS, ids=str)
def test_a_page_of_a_grid_is_printed_whole(chromium, tables, which, tmp_path):
    (tmp_path / "page.html").write_text(page_of(tables[which], title="t"), "utf-8")
    page = chromium.new_page(viewport={"width": A4, "height": 1000})
    page.goto((tmp_path / "page.html").as_uri())
    page.emulate_media(media="print")
    outside, widths = page.locator("body").evaluate(SEEN)
    assert outside == []
    assert len(widths) == sum(len(square.figures) for square in tables[which].squares.values())
    assert not page.get_by_role("searchbox").is_visible()
    page.close()
