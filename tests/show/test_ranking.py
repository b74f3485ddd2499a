"""A ranking as people see it: the same bytes each time, escaped, readable as text."""

import base64
import re
from xml.etree import ElementTree

import pytest

from beluga_nb.compare.rank import ranking
from beluga_nb.compare.vote import Duel
from beluga_nb.show.ranking import ranking_bundle, ranking_svg
from beluga_nb.store.votes import BOTH_BAD, LEFT, TIE

VOTES = [
    *[Duel("flux-2.0", "gpt-image-2", LEFT)] * 3,
    Duel("gpt-image-2", "flux-2.0", TIE),
    Duel("gpt-image-2", "seedream-4.5", BOTH_BAD),
]
TEXT = """\
   model         Elo  95 %          won  lost  tied  both bad
?  flux-2.0      +92  −114 to +298  3    0     1     0
?  seedream-4.5  0    −278 to +278  0    0     0     1
?  gpt-image-2   −92  −298 to +114  0    3     1     1
Too few votes: 4 leave up to ±278 Elo points. Not told apart: flux-2.0 and seedream-4.5; seedream-4.5 and \
gpt-image-2. 1 vote found 'both bad', which does not count in the ranking.

won against   flux-2.0  seedream-4.5  gpt-image-2
flux-2.0                0             3½
seedream-4.5  0                       0
gpt-image-2   ½         0"""


def shown(votes=VOTES, **options):
    return ranking_bundle(ranking(votes, by="model", names=["seedream-4.5"], **options))


def test_as_text_it_is_two_tables_and_a_note():
    assert shown()["text/plain"] == TEXT


def test_whatever_the_order_of_the_votes_it_is_the_same_to_the_byte():
    assert shown(VOTES[::-1]) == shown()


def test_the_plot_is_an_image_of_text_with_an_alternative():
    [source, alt] = re.search(
        r'<img src="data:image/svg\+xml;base64,(.*?)" alt="(.*?)"', shown()["text/html"]
    ).groups()
    assert alt.startswith("Elo points with 95 % intervals: flux-2.0 +92 (−114 to +298); ")
    root = ElementTree.fromstring(base64.b64decode(source))
    words = [each.text for each in root.iter() if each.text]
    assert {"flux-2.0", "seedream-4.5", "gpt-image-2", "0"} <= set(words)
    circles = [each for each in root.iter() if each.tag.endswith("circle")]
    assert len(circles) == 3


def test_intervals_lie_on_the_axis():
    root = ElementTree.fromstring(ranking_svg(ranking(VOTES, by="model")))
    for each in root.iter():
        for name in ("x", "x1", "x2", "cx"):
            assert 0 <= float(each.get(name, 0)) <= 640


def test_names_from_outside_are_escaped_and_cut():
    bad = "<script>alert(1)</script>\x1b[31m" + "x" * 100
    html = shown([Duel(bad, "b", LEFT)])["text/html"]
    assert "<script" not in html
    source = re.search(r"base64,(.*?)\"", html)[1]
    assert b"<script" not in base64.b64decode(source)
    assert "\x1b" not in html


def test_without_votes_there_is_a_table_and_no_plot():
    found = shown([])
    assert "<img" not in found["text/html"]
    assert found["text/plain"].endswith("No votes yet: nothing can be said.")
    assert ranking_svg(ranking([], by="model")).startswith("<svg")


@pytest.mark.parametrize("votes", [1, 30, 3000])
def test_the_axis_has_a_handful_of_ticks(votes):
    svg = ranking_svg(ranking([Duel("a", "b", LEFT)] * votes, by="model"))
    assert 3 <= svg.count('text-anchor="middle"') - 1 <= 11


def test_html_needs_neither_script_nor_class_nor_anything_from_elsewhere():
    html = shown()["text/html"]
    for never in ("<script", "class=", "http://", "https://", "<style", "onclick"):
        assert never not in html
