"""What a grid shows: labels as words, facets, recipes, failures that can be read, nothing active."""

import itertools
import math
import re
from html.parser import HTMLParser

import pytest

from beluga_nb.errors import APIStatusError
from beluga_nb.request import Request
from beluga_nb.result import Recipe
from beluga_nb.show.grid_table import Dimension, Figure, Square, Table, across, grid_bundle, grid_html
from beluga_nb.show.lightbox import script
from beluga_nb.show.page import page

EVIL = '<script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m" onclick="alert(3)'


class Seen:
    """A picture, as far as words tell of it."""

    def __init__(self, engine="drawing", **options):
        self.recipe = Recipe(
            request=Request(**{"prompt": "a fox", "model": "flux-2.0"} | options), engine=engine
        )
        self.size = (1024, 768)
        self.sha256 = "ab" * 32


def square(count=1, **options):
    return Square(tuple(Figure(Seen(**options), "data:image/png;base64,AAAA", str) for _ in range(count)))


def table(*lengths, squares=None, **more):
    dimensions = tuple(
        Dimension(f"axis{number}", tuple(f"{number}.{value}" for value in range(length)))
        for number, length in enumerate(lengths)
    )
    keys = [()]
    for dimension in dimensions:
        keys = [(*key, label) for key in keys for label in dimension.labels]
    options = {"caption": "a head", "prompts": ("a {{x}}",), "dimensions": dimensions}
    return Table(**options | {"squares": squares or {key: square() for key in keys}} | more)


def shape(shown):
    return [(part.title, part.rows.labels, part.columns.labels) for part in shown.parts]


@pytest.mark.parametrize(
    ("lengths", "parts"),
    [
        ((), [("", ("",), ("",))]),
        ((3,), [("", ("",), ("0.0", "0.1", "0.2"))]),
        ((7,), [("", ("",), tuple(f"0.{n}" for n in range(7)))]),
        ((2, 1), [("", ("0.0", "0.1"), ("1.0",))]),
        ((2, 1, 1), [("axis0: 0.0", ("1.0",), ("2.0",)), ("axis0: 0.1", ("1.0",), ("2.0",))]),
        (
            (1, 2, 1, 1),
            [
                ("axis0: 0.0, axis1: 1.0", ("2.0",), ("3.0",)),
                ("axis0: 0.0, axis1: 1.1", ("2.0",), ("3.0",)),
            ],
        ),
    ],
)
def test_the_last_two_axes_make_a_table_and_the_others_one_for_each_value(lengths, parts):
    shown = table(*lengths)
    assert shape(shown) == parts
    assert grid_html(shown).count("<img ") == len(shown.squares)


def test_a_facet_of_a_sample_that_has_no_cell_is_not_shown_and_a_missing_cell_is_reported():
    shown = table(2, 2, 2, squares={("0.0", "1.0", "2.1"): square()})
    assert [title for title, _, _ in shape(shown)] == ["axis0: 0.0"]
    assert grid_html(shown).count("not in this grid") == 3


class Tags(HTMLParser):
    """What there is in a page: tags, and the names of their attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.names = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.names |= {name for name, _ in attributes}


def evil():
    failed = Square(error=APIStatusError(EVIL, EVIL, status=400))
    labels = Dimension(EVIL, (EVIL, "plain"))
    squares = {(EVIL,): square(2, prompt=EVIL, take=EVIL, engine="procedural"), ("plain",): failed}
    return Table(caption=EVIL, prompts=(EVIL,), dimensions=(labels,), squares=squares)


def test_s30_outside_text_in_a_grid_is_escaped_and_nothing_is_active():
    bundle = grid_bundle(evil(), more=EVIL)
    seen = Tags(bundle["text/html"])
    assert not set(seen.tags) & {"style", "iframe", "a", "form", "link", "object", "svg"}
    assert seen.names <= {"style", "src", "alt", "colspan", "data-beluga", "data-cell", "data-recipe"}
    assert seen.tags.count("script") == 1
    assert bundle["text/html"].endswith(f"<script>{script()}</script></div>"), "ours, and nothing in it"
    assert "\x1b" not in bundle["text/html"] + bundle["text/plain"]
    shown = Tags(page(evil(), title=EVIL))
    assert shown.tags.count("script") == 1
    assert [name for name in shown.names if name.startswith("on")] == []
    assert shown.tags.count("img") == 2


def test_the_page_allows_its_own_script_and_no_other_address():
    text = page(table(2, 2), title="t")
    assert re.search(
        r"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-",
        text.replace("&#x27;", "'"),
    )
    assert re.findall(r"(?:https?:)?//[a-z]", text) == []


def test_a_failure_can_be_read():
    html = grid_html(evil())
    assert "<b>APIStatusError</b>" in html
    assert html.count("local preview, not model output") == 4, "twice in words, twice in the alternatives"


@pytest.mark.parametrize("show", [grid_html, lambda shown: page(shown, title="t")], ids=["output", "page"])
@pytest.mark.parametrize("local", range(4))
def test_previews_are_marked_one_by_one_only_among_pictures_of_models(show, local):
    engines = ["procedural"] * local + ["drawing"] * (3 - local)
    squares = {(f"0.{number}",): square(engine=engine) for number, engine in enumerate(engines)}
    html = show(table(3, squares=squares))
    assert html.count(">local preview<") == (local if 0 < local < 3 else 0)


class Cells(HTMLParser):
    """The rows of all tables: of each cell its tag, its number of columns, its pictures and its words."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.cell = [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        elif tag in {"th", "td"}:
            self.cell = [tag, int(dict(attributes).get("colspan", 1)), 0, ""]
            self.rows[-1].append(self.cell)
        elif tag == "img" and self.cell:
            self.cell[2] += 1

    def handle_endtag(self, tag):
        if tag == "table":
            self.cell = None  # the lightbox comes after the tables

    def handle_data(self, data):
        if self.cell:
            self.cell[3] += data


STATES = ("", "failed", "outcome unknown", "running", "not started")


def in_state(state, count=1):
    if not state:
        return square(count)
    error = APIStatusError(f"It is {state}.", status=400) if state in STATES[1:3] else None
    return Square(note=state, error=error)


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize(
    "lengths", [(1,), (2,), (5,), (6,), (18,), (2, 4), (5, 5), (3, 7), (2, 3, 6), (2, 2, 2, 2)]
)
def test_every_cell_has_its_pictures_and_labels_and_no_table_is_wider_than_a_page(lengths, count):
    shown = table(*lengths)
    shown = table(*lengths, squares={key: square(count) for key in shown.squares})
    html = grid_html(shown)
    rows = Cells(html).rows
    across_page = max(sum(columns for _, columns, _, _ in row) for row in rows) * across(count)
    assert across_page <= 6
    assert html.count("<img ") == math.prod(lengths) * count
    heads = [words for row in rows for tag, _, _, words in row if tag == "th"]
    for label in shown.dimensions[-1].labels:
        assert heads.count(label) == math.prod(lengths[:-2]), "once in each table"
    if len(lengths) > 1:
        assert set(shown.dimensions[-2].labels) <= set(heads)
    tables = html[: html.rindex("</table>")]
    for never in ("overflow:auto", "max-height", "nowrap"):
        assert never not in tables


@pytest.mark.parametrize("states", [*itertools.combinations_with_replacement(STATES, 3)], ids=", ".join)
def test_a_cell_shows_its_state_and_each_reason_stands_once(states):
    squares = {(f"0.{number}",): in_state(state) for number, state in enumerate(states)}
    html = grid_html(table(3, squares=squares))
    cells = [words.strip() for row in Cells(html).rows for tag, _, _, words in row if tag == "td"]
    for words, state in zip(cells, states, strict=True):
        assert words.endswith(state)
        assert state or "started" not in words, "a cell with its picture has no state"
    for state in ("failed", "outcome unknown"):
        count = states.count(state)
        assert html.count(f"It is {state}.") == bool(count)
        assert f"{count} {state}</b> · <b>APIStatusError</b>" in html or not count


def test_reasons_are_sorted_by_how_often_they_are_and_name_their_cells():
    squares = {(f"0.{number}",): in_state(STATES[1 + (number > 0)]) for number in range(9)}
    found = [(reason.state, reason.where) for reason in table(9, squares=squares).reasons]
    assert found == [
        ("outcome unknown", "0.1; 0.2; 0.3; 0.4; 0.5; 0.6 … and 2 more"),
        ("failed", "0.0"),
    ]


def test_the_text_has_a_line_for_each_picture_with_its_hash():
    text = grid_bundle(table(2, squares={("0.0",): square(2), ("0.1",): Square(note="not started")}))[
        "text/plain"
    ]
    assert text.splitlines() == [
        "“a {{x}}”",
        "a head",
        f"0.0: flux-2.0 · 1024 × 768 · sha256:{'ab' * 32}",
        f"0.0: flux-2.0 · 1024 × 768 · sha256:{'ab' * 32}",
        "0.1: not started",
    ]


def test_what_is_beyond_the_limit_is_reported():
    assert "40 more pictures" in grid_html(table(1), more="40 more pictures are not shown here.")


def test_pictures_of_a_cell_stand_in_a_square():
    assert [across(count) for count in (0, 1, 2, 4, 5, 9, 10)] == [1, 1, 2, 2, 3, 3, 4]
