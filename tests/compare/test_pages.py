"""Large grids: pages of them, and what does not grow with their size."""

import datetime
import itertools
import math
import os
import re
import sys
import tracemalloc
from pathlib import Path

import pytest
from PIL import Image

from beluga_nb.compare.axes import Study, axis
from beluga_nb.compare.cell import Cell
from beluga_nb.compare.pages import MOST_ON_PAGE, MOST_SHOWN, Pages
from beluga_nb.errors import APIStatusError, BelugaError, RequestError, StoreError
from beluga_nb.progress.line import ProgressLine, Tally
from beluga_nb.request import Request
from beluga_nb.result import Result
from beluga_nb.session.session import Session

MEGABYTE = 1_000_000


async def dots(request):
    number = int(re.search(r"\d+", request.prompt)[0])
    return Result.of(request, [Image.new("RGB", (8, 8), (number % 256, number // 256, 7))], engine="dots")


@pytest.fixture
def session(tmp_path):
    return Session(engine=dots, environ={}, folder=tmp_path, mode="off")


def large(session, rows=100, columns=10):
    return session.grid(
        "{{number}} {{style}}", number=range(rows), style=[f"style {each}" for each in range(columns)]
    )


def divided(lengths, *, most, keep=None, **options):
    axes = tuple(axis(f"a{number}", range(length)) for number, length in enumerate(lengths))
    study = Study(prompt=" ".join(f"{{{{{each.name}}}}}" for each in axes), axes=axes)
    request = Request(prompt="x", model="flux-2.0")
    keys = itertools.product(*(each.labels for each in axes))
    places = {
        key: Cell(axes=tuple(each.name for each in axes), key=key, request=request)
        for key in keys
        if keep is None or keep(key)
    }
    return Pages(study, places, most=most, **options)


@pytest.mark.parametrize("spread", [True, False])
@pytest.mark.parametrize(
    "lengths", [(), (1,), (7,), (41,), (1000, 3), (3, 100), (13, 1, 17), (5, 4, 3, 7, 2)]
)
def test_each_cell_is_on_exactly_one_page_and_no_page_is_too_large(lengths, spread):
    pages = divided(lengths, most=40, spread=spread)
    assert all(1 <= len(page) <= 40 for page in pages)
    seen = [cell.key for page in pages for cell in page]
    assert len(seen) == math.prod(lengths)
    assert sorted(seen) == sorted(cell.key for cell in pages.cells)
    assert len(pages) <= max(1, 6 * len(seen) // 40)


def test_a_page_is_an_even_sample_of_the_labels_or_in_a_file_a_stretch_of_them():
    keys = [cell.key for cell in divided((100, 10), most=40)[0]]
    assert keys == [(str(row), str(column)) for row in (0, 25, 50, 75) for column in range(10)]
    keys = [cell.key for cell in divided((100, 10), most=40, spread=False)[1]]
    assert keys == [(str(row), str(column)) for row in range(4, 8) for column in range(10)]


def test_of_a_grid_that_has_only_some_combinations_the_cells_are_divided():
    pages = divided((30, 30), most=40, keep=lambda key: (int(key[0]) * 7 + int(key[1])) % 5 == 0)
    assert pages.is_list
    assert [len(page) for page in pages] == [36] * 5
    assert pages[0] == pages.cells[::5]


@pytest.mark.parametrize("rows", [20, 21, 200])
def test_a_grid_of_up_to_200_pictures_is_shown_whole_and_a_larger_one_in_pages(session, rows):
    grid = large(session, rows)
    html, text = (grid._repr_mimebundle_()[kind] for kind in ("text/html", "text/plain"))
    shown = 10 * rows if 10 * rows <= MOST_SHOWN else MOST_ON_PAGE
    assert html.count("not started</div>") == shown
    assert f"{10 * rows} cells: {10 * rows} not started" in html
    assert ("Page 1 of" in html) == ("Page 1 of" in text) == (10 * rows > MOST_SHOWN)
    assert len(html) < 100_000


def test_what_a_page_leaves_out_is_said_and_other_pages_can_be_seen(session):
    grid = large(session)
    assert (
        "Page 1 of 25 shows 40 of 1000 cells, evenly spaced (number: 4 of 100, style: 10 of 10). page(2)"
        " shows others, where() those of some labels, and to_html(&#x27;folder&#x27;) writes all of them."
    ) in grid._repr_mimebundle_()["text/html"]
    second, last = grid.page(2), grid.page(25)
    assert second.axes["number"] == ("1", "26", "51", "76")
    assert "Page 2 of 25" in second._repr_mimebundle_()["text/plain"]
    assert "page(1) shows others" in last._repr_mimebundle_()["text/plain"]
    for number in (0, 26, "1"):
        with pytest.raises(RequestError, match="There is no page"):
            grid.page(number)
    assert len(large(session, 3).page()) == 30


def test_a_page_can_be_run_first_and_shows_its_pictures(session):
    page = large(session).page().run(assume_yes=True)
    assert page.counts["done"] == MOST_ON_PAGE
    assert page._repr_mimebundle_()["text/html"].count("<img ") == MOST_ON_PAGE


def test_a_page_also_says_what_has_failed_elsewhere(tmp_path):
    async def failing(request):
        if request.prompt.endswith("style 3") and not request.prompt.startswith("0 "):
            raise APIStatusError("Too blue.", status=422)
        return await dots(request)

    grid = large(Session(engine=failing, environ={}, folder=tmp_path, mode="off"), rows=21)
    grid.run(assume_yes=True)
    html = grid._repr_mimebundle_()["text/html"]
    assert "✗ 20 failed" in html
    assert "210 cells: 190 done, 20 failed; 190 pictures" in html


@pytest.mark.parametrize("cells", [200, 210])
def test_pictures_that_are_heavy_stay_below_a_megabyte(cells, tmp_path):
    noise = [Image.frombytes("RGB", (128, 128), os.urandom(3 * 128 * 128)) for _ in range(8)]

    async def heavy(request):
        return Result.of(request, [noise[int(request.prompt.split()[0]) % 8]], engine="noise")

    session = Session(engine=heavy, environ={}, folder=tmp_path, mode="off")
    grid = large(session, cells // 10)
    grid.run(assume_yes=True)
    html = grid._repr_mimebundle_()["text/html"]
    assert 500_000 < len(html) < MEGABYTE
    assert ("are not shown here: to_html() shows all of them." in html) == (cells == MOST_SHOWN)


def test_what_is_shown_does_not_grow_with_the_grid(session):
    sizes = [len(large(session, rows)._repr_mimebundle_()["text/html"]) for rows in (30, 300)]
    assert abs(sizes[1] - sizes[0]) < 500


def test_a_planned_cell_and_a_recorded_one_take_few_bytes(tmp_path):
    session = Session(engine=dots, environ={}, folder=tmp_path)
    large(session, 2).run(assume_yes=True)  # imports, caches
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        grid = large(session, 15)
        planned = tracemalloc.get_traced_memory()[0]
        grid.run(assume_yes=True)
        ran = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert (planned - before) / len(grid) < 2_000
    # This includes caches of bounded size, which these small pictures do not fill.
    assert (ran - planned) / len(grid) < 10_000


def test_a_plan_looks_once_for_each_cell_and_a_shown_grid_for_none(tmp_path, monkeypatch):
    looks = []
    session = Session(engine=dots, environ={}, folder=tmp_path)
    large(session, 1, 2).run(assume_yes=True)
    for name in ("stat", "open", "lstat"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *args, real=real, **more: looks.append(args[0]) or real(*args, **more)
        )

    def count(work):
        looks.clear()
        work()
        return len(looks)

    small, big = large(session, 30), large(session, 60)
    assert count(big.plan) - count(small.plan) == 300
    assert count(big._repr_mimebundle_) == count(small._repr_mimebundle_)


class Screen:
    interval = 0.5

    def __init__(self, arriving):
        self.arriving, self.sizes = arriving, []

    def is_free(self):
        return True

    def draw(self, text, share):  # noqa: ARG002  as displays are called
        self.sizes.append(len(text) + len(self.arriving.frames()) + len(self.arriving.html()))

    def erase(self, *, replaced):
        pass


def test_updates_of_a_running_grid_end_with_what_is_shown_and_their_number_depends_on_time(session):
    grid = large(session, 30)
    grid.run(assume_yes=True)
    outcomes, grid._outcomes = grid._outcomes, {}
    now, screen = [0.0], Screen(grid.arrivals())
    line = ProgressLine(screen, tally := Tally(asked=300, wanted=300), clock=lambda: now[0])
    for number, (cell, outcome) in enumerate(outcomes.items()):
        now[0], tally.arrived = 1 + number / 50, number + 1
        grid._outcomes[cell] = outcome
        line.beat()
    assert len(screen.sizes) <= 1 + 2 * 7
    assert all(size < 100 for size in screen.sizes[-3:])


def test_a_large_grid_becomes_a_folder_of_pages_whose_links_and_pictures_are_there(session, tmp_path):
    grid = large(session, 41).run(assume_yes=True)
    index = grid.to_html(tmp_path / "all")
    assert index == tmp_path / "all/index.html"
    html = index.read_text()
    assert "410 cells: 410 done" in html
    assert "number: 0 to 12" in html
    links = re.findall('href="([^"]+)"', html)
    assert links == [f"page-{number:04}.html" for number in (1, 2, 3)]
    pictures = []
    for link in links:
        shown = (index.parent / link).read_text()
        assert all((index.parent / each).is_file() for each in re.findall('href="([^"]+)"', shown))
        pictures += re.findall('<img src="([^"]+)"', shown)
        assert len(shown) < MEGABYTE
    assert len(pictures) == 410
    assert all((index.parent / each).is_file() for each in pictures)
    assert {each.split("/")[0] for each in pictures} == {"previews"}

    large(session, 21).to_html(tmp_path / "all", originals=True)
    assert sorted(each.name for each in (tmp_path / "all").glob("*.html")) == [*INDEX_OF_TWO]


INDEX_OF_TWO = ("index.html", "page-0001.html", "page-0002.html")


def test_a_folder_of_pages_replaces_no_page_of_others_and_a_small_grid_is_one_file(session, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/index.html").write_text("my page")
    with pytest.raises(StoreError, match=r"holds index\.html, which beluga_nb did not write"):
        large(session).to_html(tmp_path / "mine")
    assert large(session, 2).to_html(tmp_path / "small").is_file()
    assert large(session).to_html(tmp_path / "one.html").is_file()


def test_a_single_file_of_more_than_ten_thousand_pictures_is_refused(session, tmp_path, monkeypatch):
    monkeypatch.setattr("beluga_nb.show.grid.MOST_IN_FILE", 19)
    with pytest.raises(RequestError, match="One file would hold 20 pictures") as refused:
        large(session, 2).run(assume_yes=True).to_html(tmp_path / "a.html")
    assert refused.value.hint == "Name a folder, which has a page for every 200: to_html('a')"


def test_a_sheet_of_a_large_grid_is_a_sample_and_says_so(session, tmp_path, monkeypatch):
    monkeypatch.setattr("beluga_nb.show.grid.MOST_ON_SHEET", 30)
    sheet = large(session, 12).sheet(tmp_path / "sheet.svg", edge=16).read_text()
    words = " ".join(re.sub("<[^>]*>", " ", sheet).split())
    assert "30 of 120 cells, evenly spaced; 30 cells: 30 not started; 30 pictures to make" in words


def test_a_table_is_written_to_parquet_in_batches_with_the_rows_of_the_data_frame(
    session, tmp_path, monkeypatch
):
    parquet = pytest.importorskip("pyarrow.parquet")
    pytest.importorskip("pandas")
    monkeypatch.setattr("beluga_nb.show.parquet.BATCH", 7)
    grid = large(session, 3).run(assume_yes=True)
    path = grid.to_parquet(tmp_path / "a.parquet")
    assert parquet.ParquetFile(path).num_row_groups == 5
    frame, table = grid.to_frame(), parquet.read_table(path)
    assert table.column_names == list(frame.columns)
    assert table.column("sha256").to_pylist() == list(frame["sha256"])
    assert table.column("width").to_pylist() == [8] * 30


def test_parquet_without_pyarrow_is_an_error_of_two_lines(session, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BelugaError, match="A Parquet file needs pyarrow") as refused:
        large(session, 1).to_parquet(tmp_path / "a.parquet")
    assert "pip install pyarrow" in str(refused.value.hint)
    assert not (tmp_path / "a.parquet").exists()


def test_the_pages_of_the_documentation_run_as_they_stand(tmp_path):
    page = (Path(__file__).parents[2] / "docs/comparing.md").read_text("utf-8")
    code = re.search(r"^```python\n(g = beluga_nb\.grid.*?)^```$", page, re.DOTALL | re.MULTILINE)[1]
    prices = {"date": datetime.date(2026, 11, 1), "dots": 0.01}
    session = Session(engine=dots, environ={}, folder=tmp_path, confirm=lambda _: True, prices=prices)
    names = {
        "beluga_nb": session,
        "animals": [f"fox {number}" for number in range(30)],
        "styles": [f"style {number}" for number in range(8)],
    }
    exec(code, names)
    assert all(names["g"].outcome(cell).pictures for cell in names["g"].cells)


def test_a_key_that_only_one_of_many_prompts_makes_is_refused(session):
    halves = [*(f"word {number}" for number in range(250)), "bapi_01234567"]
    with pytest.raises(
        RequestError, match=r"(?s)1 of 251 combinations is impossible.*holds a key"
    ) as refused:
        session.grid("{{first}}{{second}}", first=halves, second=["89abcdefgh"])
    assert "0123456789abcdefgh" not in str(refused.value)
