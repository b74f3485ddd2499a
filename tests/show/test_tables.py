"""Every table of the package: one look, with row heads, a caption, numbers at the right, and ids as code."""

import datetime
import re
from dataclasses import dataclass, field
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest
from test_outside import (
    checked,
    distances,
    listing,
    means,
    planned,
    ranked,
    run,
    scored,
    scored_with_reasons,
    voted,
)

import beluga_nb
from beluga_nb.budget import Caps, Prices
from beluga_nb.catalog import Listing, models
from beluga_nb.commands.table import CommandCall
from beluga_nb.compare.plan import Plan
from beluga_nb.compare.rank import ranking
from beluga_nb.compare.scores import Duplicates, Leaderboard, Means, Scores
from beluga_nb.compare.vote import Duel
from beluga_nb.compare.vote_plan import plan_votes
from beluga_nb.session.session import Session
from beluga_nb.show.catalogue import models_table, sizes_table
from beluga_nb.show.cheatsheet import cheatsheet, help_bundle
from beluga_nb.show.history import history_html
from beluga_nb.show.plan import plan_bundle
from beluga_nb.show.ranking import ranking_bundle, rankings_bundle, vote_plan_bundle, votes_bundle
from beluga_nb.show.scores import (
    distances_bundle,
    duplicates_bundle,
    leaderboard_bundle,
    means_bundle,
    scores_bundle,
)
from beluga_nb.show.status import status_bundle
from beluga_nb.show.tables import NUMBER, Cell, Column, Kind, table
from beluga_nb.show.verify import reports_bundle
from beluga_nb.terminal import actions

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)> ' & </td></table> \x1b[31m\u202e\x00"


def say(name):
    return f"{name} {HOSTILE}"


def session():
    return Session(environ={}, folder=Path(), aliases={"poster": {"model": "flux-2.0", "size": "3:4"}})


PRICES = Prices(
    date=datetime.date(2026, 11, 1),
    table={"flux-2.0": {"": Decimal("0.03")}, "gpt-image-2": {"standard": Decimal("0.04")}},
)

TABLES = {
    "the models": lambda: models_table(Listing(models())),
    "the models with prices": lambda: models_table(Listing(models()), PRICES),
    "models from outside": lambda: models_table(listing(say)),
    "the sizes": sizes_table,
    "the sizes of a model": lambda: sizes_table("seedream-4.5"),
    "the status": lambda: status_bundle({"mode": HOSTILE, "model": "flux-2.0"}, [HOSTILE]),
    "the settings": lambda: actions.config(session(), CommandCall("config", (), {})),
    "the aliases": lambda: actions.alias(session(), CommandCall("alias", (), {})),
    "the history": lambda: {"text/html": history_html([run(say)], [[]], rest="… and 3 more")},
    "a check": lambda: reports_bundle([checked(say)]),
    "a plan": lambda: plan_bundle(planned(say)),
    "the cheatsheet": cheatsheet,
    "the help": help_bundle,
    "scores": lambda: scores_bundle(Scores(say("name"), "1", scored(say), say("caveat"))),
    "scores with reasons": lambda: scores_bundle(Scores(say("name"), "1", tuple(scored_with_reasons(say)))),
    "means": lambda: means_bundle(means(say)),
    "distances": lambda: distances_bundle(distances(say)),
    "duplicates": lambda: duplicates_bundle(Duplicates((scored(say),), say("caveat"))),
    "a ranking": lambda: ranking_bundle(ranked(say)),
    "the votes": lambda: votes_bundle(voted(say)[0]),
    "rankings": lambda: rankings_bundle(voted(say)[1]),
    "the votes needed": lambda: vote_plan_bundle(plan_votes(effect=0.6), enough=4),
    "a leaderboard": lambda: leaderboard_bundle(
        Leaderboard(
            by=say("by"),
            ranking=ranked(say),
            means={say("metric"): Means(say("metric"), {say("left"): [1.0, 2.0]}, by=say("by"))},
            note=say("agreement"),
        )
    ),
}
"""Makes each table of the package, with hostile words from outside."""


@dataclass
class Shown:
    """A cell as it is shown."""

    tag: str
    attributes: dict
    text: str = ""
    codes: int = 0
    images: int = 0


@dataclass
class Parsed:
    """A table as it is shown: its caption, its head, and its other lines."""

    attributes: dict
    scrolls: bool
    caption: str = ""
    head: list = field(default_factory=list)
    body: list = field(default_factory=list)
    rows: list = field(default_factory=list)


class Reader(HTMLParser):
    """Reads the tables of a page."""

    def __init__(self, page):
        super().__init__()
        self.tables, self.tags, self.open = [], set(), []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        attributes = dict(attributes)
        if tag == "table":
            outer = self.open[-1][1] if self.open else {}
            self.tables.append(
                Parsed(attributes, "overflow-x:auto" in outer.get("style", "") and "tabindex" in outer)
            )
        elif tag == "tr":
            self.tables[-1].rows.append(attributes)
            part = self.tables[-1].head if self.open[-1][0] == "thead" else self.tables[-1].body
            part.append([])
            self.line = part[-1]
        elif tag in {"th", "td"}:
            self.line.append(Shown(tag, attributes))
        elif tag == "code" and self.inside("th", "td"):
            self.line[-1].codes += 1
        elif tag == "img" and attributes["alt"] and self.inside("th", "td"):
            self.line[-1].images += 1
        if tag not in {"br", "img"}:
            self.open.append((tag, attributes))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if self.inside("caption"):
            self.tables[-1].caption += data
        elif self.inside("th", "td"):
            self.line[-1].text += data

    def inside(self, *tags):
        return any(tag in tags for tag, _ in self.open)


@pytest.mark.parametrize("name", TABLES)
def test_each_table_is_of_the_family(name):
    page = Reader(TABLES[name]()["text/html"])
    assert page.tables
    assert not page.tags & {"script", "style", "svg", "link"}
    for each in page.tables:
        assert each.caption.strip(), "a screen reader names it"
        assert each.scrolls, "a wide one scrolls by itself, by the keyboard too"
        assert "margin:0" in each.attributes["style"]
        assert all(row["style"].startswith("background:none") for row in each.rows), "no stripes"
        check_heads(each)
        for cells in zip(*each.body, strict=True):
            check_column(cells)


def check_heads(each):
    """Every head has words and a scope, and so has the first cell of each line."""
    assert len(each.head) <= 1
    for line in each.head:
        for cell in line:
            assert (cell.tag == "th") == bool(cell.text or cell.images)
            assert cell.attributes.get("scope") == ("col" if cell.tag == "th" else None)
    for first, *others in each.body:
        assert (first.tag, first.attributes.get("scope")) == ("th", "row")
        assert {cell.tag for cell in others} <= {"td"}


def check_column(cells):
    """Numbers stand at the right with figures of one width, all else at the left; code is code throughout."""
    styles = {cell.attributes["style"].partition(";border-bottom")[2] for cell in cells}
    assert len({"text-align:right" in style for style in styles}) == 1
    words = [cell.text for cell in cells if cell.text]
    if words and all(NUMBER.fullmatch(text) for text in words) and not cells[0].codes:
        assert all("text-align:right" in style and "tabular-nums" in style for style in styles)
    else:
        assert not any("text-align:right" in style for style in styles) or any(
            " × " in text or re.search(r"\d", text) for text in words
        )
    assert len({cell.codes for cell in cells if cell.text}) <= 1


IDS = {"model", "size", "setting", "alias", "run"}


@pytest.mark.parametrize("name", TABLES)
def test_ids_and_settings_are_code(name):
    for each in Reader(TABLES[name]()["text/html"]).tables:
        for number, cell in enumerate(each.head[0] if each.head else ()):
            if cell.text in IDS:
                assert all(line[number].codes == 1 for line in each.body), cell.text


def test_no_other_module_writes_a_table():
    """Grids have a layout of their own; their templates write it."""
    package = Path(beluga_nb.__file__).parent
    writers = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"<table|<th\b|<td\b", path.read_text("utf-8"))
    }
    assert writers <= {"show/tables.py", "show/grid_table.py", "show/page.py", "metadata/xmp.py"}


def test_a_table_is_html_and_aligned_text():
    shown = table([("flux-2.0", "4"), ("gpt-image-2", "1")], ("model", "max per request"), "Models")
    assert shown["text/plain"] == "model        max per request\nflux-2.0     4\ngpt-image-2  1"
    [found] = Reader(shown["text/html"]).tables
    assert [[cell.text for cell in line] for line in found.head + found.body] == [
        ["model", "max per request"],
        ["flux-2.0", "4"],
        ["gpt-image-2", "1"],
    ]


def test_a_table_without_a_head_has_none():
    shown = table([("a", "b")])
    assert shown["text/plain"] == "a  b"
    assert "thead" not in shown["text/html"]


def test_a_table_escapes_and_cleans_what_it_shows():
    shown = table([(Cell(HOSTILE, title=HOSTILE), "x")], (Column(HOSTILE, Kind.CODE), "y"), HOSTILE, HOSTILE)
    assert not Reader(shown["text/html"]).tags & {"script", "img"}
    assert not {"\x1b", "\x00", "\u202e"} & {*shown["text/plain"], *shown["text/html"]}


@pytest.mark.parametrize("text", ["12", "1,204", "−3", "+17", "1.5", "2½", "½", "55 %", "1e-05", "unknown"])
def test_what_is_a_number(text):
    assert NUMBER.fullmatch(text)


@pytest.mark.parametrize("text", ["", "1:1", "2026-11-01", "v2", "a", "1 2", "½½", "."])
def test_what_is_none(text):
    assert not NUMBER.fullmatch(text)


def test_each_size_is_drawn_in_its_shape():
    html = sizes_table()["text/html"]
    for label, width, height in (("1:1", 15, 15), ("16:9", 15, 8), ("9:21", 6, 15)):
        assert re.search(rf'title="{label}" [^>]*width:{width - 2}px;height:{height - 2}px', html)


def test_the_table_of_models_is_light():
    assert len(models_table(Listing(models()))["text/html"]) < 30_000


def test_your_prices_stand_in_the_table_of_models():
    shown = models_table(Listing(models()), PRICES)
    lines = {line.split()[0]: " ".join(line.split()) for line in shown["text/plain"].splitlines()}
    assert "your price in USD" in lines["model"]
    assert lines["flux-2.0"].endswith(" 0.03 4")
    assert lines["gpt-image-2"].endswith(" standard 0.04 1")
    assert lines["seedream-4.5"].endswith(" unknown 4")
    assert shown["text/plain"].endswith("\nYour prices are of 2026-11-01, for one picture.")
    assert "your price" not in models_table(Listing(models()))["text/plain"]


def test_the_state_of_a_session_is_a_table_and_examples():
    shown = status_bundle({"model": "flux-2.0", "mode": HOSTILE}, ["%beluga a <b>fox</b>"])
    assert ">%beluga a &lt;b&gt;fox&lt;/b&gt;</code>" in shown["text/html"]
    assert shown["text/plain"].startswith("model  flux-2.0\nmode ")
    assert shown["text/plain"].endswith("\n\nTry\n  %beluga a <b>fox</b>")


def test_a_plan_of_nothing_says_so_in_words():
    shown = plan_bundle(Plan(posts=(), recorded=0, caps=Caps()))
    assert shown["text/html"] == "<p>Dry run, nothing was sent: nothing is missing.</p>"


def test_a_plan_shows_its_requests_word_for_word():
    shown = plan_bundle(planned(str))
    assert "1 request, word for word" in shown["text/html"]
    assert "POST url" in shown["text/html"]
    assert shown["text/plain"] == str(planned(str))


def test_a_table_without_rows_is_a_sentence():
    shown = table([], ("voter", "votes"), "Votes", "Local previews.", nothing="No votes <yet>.")
    assert shown["text/plain"] == "No votes <yet>.\nLocal previews."
    assert shown["text/html"].startswith("<p>No votes &lt;yet&gt;.</p>")
    assert table([], ("a",), "Scores")["text/plain"] == "Scores: there is nothing yet."


def test_pictures_that_nobody_has_judged_say_how_to_begin(tmp_path):
    gallery = Session(environ={}, folder=tmp_path).gallery()
    shown = [
        gallery,
        gallery.votes(),
        gallery.ranking(),
        gallery.rankings(per="criterion"),
        gallery.duplicates(),
    ]
    shown.append(gallery.score("width", lambda image: image.width))
    bundles = [each._repr_mimebundle_() for each in shown]
    begin = "No votes yet: vote() asks you, and ballot() serves a page for others."
    assert [each["text/plain"] for each in bundles] == [
        "No picture yet. Give results to show, as in gallery(*results).",
        *[begin] * 3,
        "No two pictures look nearly the same.",
        "There are no pictures to score yet.\nVersion 1.",
    ]
    assert "<table" not in str(bundles)


def test_a_mean_is_shown_with_how_many_pictures_it_is_of_and_how_far_they_spread():
    shown = Means("fit", {"flux-2.0": [1, 2, 3], "gpt-image-2": [4]}, by="model", failed=1, caveat="Beware.")
    assert means_bundle(shown)["text/plain"].splitlines() == [
        "model        mean fit  pictures  standard deviation",
        "flux-2.0     2         3         1",
        "gpt-image-2  4         1",
        "1 picture failed. Beware.",
    ]
    assert means_bundle(Means("fit", {}, by="model"))["text/plain"] == "No picture has a score."


def test_means_beside_a_ranking_say_of_how_many_pictures_they_are_and_how_far_these_spread():
    duels = [Duel("flux-2.0", "gpt-image-2", "left")] * 3
    means = {"fit": Means("fit", {"flux-2.0": [1, 2, 3], "gpt-image-2": [4]}, by="model")}
    shown = leaderboard_bundle(Leaderboard(by="model", ranking=ranking(duels, by="model"), means=means))
    one, other = shown["text/plain"].splitlines()[1:3]
    assert one.endswith("  2 ± 1 (n = 3)")
    assert other.endswith("  4 (n = 1)")
    assert "± is the standard deviation of the scores, and n is the number of pictures." in shown["text/html"]
    lines = Reader(shown["text/html"]).tables[0].body
    assert [line[-1].text for line in lines] == ["2± 1(n = 3)", "4(n = 1)"]
