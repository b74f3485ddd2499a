"""A ranking as people see it: the same bytes each time, escaped, readable as text."""

import base64
import io
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from beluga_nb.compare.rank import ranking
from beluga_nb.compare.vote import Duel
from beluga_nb.result import Preview
from beluga_nb.show.plot import ranking_pdf, ranking_png
from beluga_nb.show.ranking import ROW, ranking_bundle, ranking_svg
from beluga_nb.store.votes import BOTH_BAD, LEFT, TIE

VOTES = [
    *[
        Duel("flux-2.0", "gpt-image-2", LEFT, prompt=(("prompt", each),))
        for each in ("fox", "owl", "cat")
        for _ in range(4)
    ],
    *[Duel("gpt-image-2", "flux-2.0", TIE, prompt=(("prompt", "dog"),))] * 4,
    Duel("gpt-image-2", "seedream-4.5", BOTH_BAD),
]
TEXT = """\
rank  model         Elo   95 %         win rate  won  lost  tied  both bad
1–3   flux-2.0      +135  −59 to +330  88%       12   0     4     0
1–3   gpt-image-2   −135  −330 to +59  12%       0    12    4     1
1–3   seedream-4.5  0     none                   0    0     0     1
Compared on 4 prompts by 1 voter: 16 votes. No interval for seedream-4.5: fewer than 4 prompts or 16 votes. \
No two are told apart. This holds for this voter alone. \
1 vote found 'both bad', which does not count in the ranking.

won against   flux-2.0  gpt-image-2  seedream-4.5
flux-2.0                14           0
gpt-image-2   2                      0
seedream-4.5  0         0"""


def shown(votes=VOTES, **options):
    return ranking_bundle(ranking(votes, by="model", names=["seedream-4.5"], **options))


def test_as_text_it_is_two_tables_and_a_note():
    assert shown()["text/plain"] == TEXT


def test_whatever_the_order_of_the_votes_it_is_the_same_to_the_byte():
    assert shown(VOTES[::-1]) == shown()


def images(html):
    """The SVG images of some HTML, each with its alternative."""
    found = re.findall(r'<img src="data:image/svg\+xml;base64,(.*?)" alt="(.*?)"', html)
    return [(alt, ElementTree.fromstring(base64.b64decode(source))) for source, alt in found]


def test_each_name_has_a_row_with_its_rank_its_interval_and_how_often_it_won():
    html = shown()["text/html"]
    bars = images(html)
    assert "95 % interval" in html
    assert re.findall("<span>(.*?)</span>", html) == ["−400", "+400"], "the ends of the axis are text"
    assert [alt for alt, _ in bars][:2] == [
        "+135 Elo, 95 % interval −59 to +330",
        "−135 Elo, 95 % interval −330 to +59",
    ]
    assert bars[2][0] == "0 Elo, no interval"
    assert [len(bar) for _, bar in bars] == [3, 3, 2], "without an interval there is a dot alone"
    table, _ = html.split("</table>", 1)
    words = [re.sub("<.*?>", " ", f"<tr{row}").split() for row in table.split("<tr")[2:]]
    assert words == [
        ["1–3", "flux-2.0", "+135", "−59", "to", "+330", "88%", "12", "0", "4", "0"],
        ["1–3", "gpt-image-2", "−135", "−330", "to", "+59", "12%", "0", "12", "4", "1"],
        ["1–3", "seedream-4.5", "0", "no", "interval", "0", "0", "0", "1"],
    ]


@pytest.mark.parametrize("votes", [VOTES, [Duel("a", "b", LEFT)], [Duel("a", "b", LEFT)] * 3000])
def test_every_bar_lies_inside_its_image_and_all_have_one_axis(votes):
    bars = images(shown(votes)["text/html"])
    zeros = set()
    for _, bar in bars:
        places = [float(each.get(name)) for each in bar for name in ("x1", "x2", "cx") if each.get(name)]
        assert all(10 <= place <= 230 for place in places)
        zeros.add(places[0])
    assert len(zeros) == 1


def test_a_name_has_an_example_beside_it():
    found = replace(ranking(VOTES, by="model"), pictures={"flux-2.0": Preview(b"JPEG", "image/jpeg")})
    html = ranking_bundle(found)["text/html"]
    assert re.findall(r'<img src="(data:image/jpeg;base64,.*?)" alt="(.*?)"', html) == [
        ("data:image/jpeg;base64,SlBFRw==", "An example of flux-2.0")
    ]


def test_what_never_was_has_no_column():
    html = shown([Duel("a", "b", LEFT)])["text/html"]
    assert ">tied<" not in html
    assert ">both bad<" not in html


def test_intervals_lie_on_the_axis():
    root = ElementTree.fromstring(ranking_svg(ranking(VOTES, by="model")))
    for each in root.iter():
        for name in ("x", "x1", "x2", "cx"):
            assert 0 <= float(each.get(name, 0)) <= 640


def test_names_from_outside_are_escaped_and_cut():
    bad = "<script>alert(1)</script>\x1b[31m" + "x" * 100
    html = shown([Duel(bad, "b", LEFT)])["text/html"]
    assert "<script" not in html
    assert "<script" not in ranking_svg(ranking([Duel(bad, "b", LEFT)], by="model"))
    assert "\x1b" not in html


def test_without_votes_there_is_a_table_and_no_wins():
    found = shown([])
    assert "won against" not in found["text/html"]
    assert found["text/plain"].endswith(
        "No votes yet: vote() asks you, and ballot() serves a page for others."
    )
    assert ranking_svg(ranking([], by="model")).startswith("<svg")


@pytest.mark.parametrize("votes", [1, 30, 3000])
def test_the_axis_has_a_handful_of_ticks(votes):
    svg = ranking_svg(ranking([Duel("a", "b", LEFT)] * votes, by="model"))
    assert 3 <= svg.count('text-anchor="middle"') - 1 <= 11


def test_html_needs_neither_script_nor_class_nor_anything_from_elsewhere():
    html = shown()["text/html"]
    for never in ("<script", "class=", "http://", "https://", "<style", "onclick"):
        assert never not in html


@pytest.mark.parametrize("votes", [VOTES, [Duel("a" * 80, "b", LEFT)] * 40])
def test_the_plot_of_a_notebook_has_a_line_for_each_name_and_the_note(votes):
    made = ranking(votes, by="model")
    longer = replace(made, caveat="Local previews, not model output. " * 20)
    plot, with_caveat = (Image.open(io.BytesIO(ranking_png(each).data)) for each in (made, longer))
    assert plot.format == "PNG"
    assert plot.width == with_caveat.width
    assert with_caveat.height > plot.height > 2 * ROW * len(made.names)
    ink = np.asarray(plot.convert("L")) < 200
    assert not ink[:, [0, -1]].any(), "nothing is cut at the sides"
    assert ink[-2 * ROW :].any(), "the note is at its end"


def test_letters_that_no_font_has_are_told_of():
    made = ranking([Duel("a \U00013000", "b", LEFT)] * 4, by="model")
    _, missing = ranking_pdf(made)
    assert missing == "\U00013000"
    told, silent = ranking_png(made), ranking_png(ranking([Duel("a", "b", LEFT)] * 4, by="model"))
    heights = [Image.open(io.BytesIO(each.data)).height for each in (told, silent)]
    assert heights[0] > heights[1], "its own words say so"
