"""Labels of a grid: what they have in common is written once, and what differs is marked."""

import itertools
import re

import pytest

from beluga_nb.show.labels import LEAST_SHORTENED, Shortened, label_html, prompt_html

STARTS = ["", "a", "A photograph of a lighthouse on a", "x" * 40]
ENDS = ["", "film", "seen from a small boat, 35 mm film"]
MIDDLES = [["cat", "fox"], ["stormy sea", "sea", "calm"], ["alone"]]


@pytest.mark.parametrize(("start", "end", "middles"), [*itertools.product(STARTS, ENDS, MIDDLES)])
def test_labels_are_shortened_by_whole_words_and_can_be_put_together_again(start, end, middles):
    labels = [" ".join(filter(None, [start, middle, end])) for middle in middles]
    short = Shortened.of(labels)
    for label, rest in zip(labels, short.rests, strict=True):
        assert rest.strip("… "), "something is left of each"
        parts = [short.start, rest.strip("… ") if short.common else rest, short.end]
        assert " ".join(filter(None, parts)) == label
    assert len(set(short.rests)) == len(labels)
    shortest = min(len(start), len(end))
    assert bool(short.common) is (len(labels) > 1 and max(len(start), len(end)) >= LEAST_SHORTENED)
    assert len(short.common) >= shortest or not short.common


@pytest.mark.parametrize("labels", [[], ["one"], ["", "a b"], ["the same word", "the same word"]])
def test_labels_without_words_of_their_own_stay_whole(labels):
    assert all(
        short.strip("… ") or not label
        for short, label in zip(Shortened.of(labels).rests, labels, strict=True)
    )


def marked_words(html):
    return re.findall(r"<span[^>]*>(.*?)</span>", html)


def test_the_words_that_differ_are_marked_by_more_than_a_colour():
    labels = ["a red fox in snow", "a red fox, in rain"]
    html = label_html(labels[1], labels, 0)
    assert marked_words(html) == ["rain"]
    assert "border-bottom:" in html
    assert re.sub("<.*?>", "", html) == labels[1]


def test_labels_with_no_word_in_common_are_not_marked():
    assert label_html("cat", ["cat", "fox"], 0) == "cat"


def test_each_axis_has_a_line_of_its_own():
    lines = {
        re.search("border-bottom:(.*?)#", label_html("a b", ["a b", "a c"], axis))[1] for axis in range(4)
    }
    assert len(lines) == 4


def test_the_names_of_axes_are_marked_in_a_prompt_and_other_braces_are_not():
    html = prompt_html("{{cat}} & {{ dog }} {{bird}} {x}", ["cat · hen", "dog"], 300)
    assert marked_words(html) == ["{{cat}}", "{{ dog }}"]
    assert re.sub("<.*?>", "", html) == "{{cat}} &amp; {{ dog }} {{bird}} {x}"
