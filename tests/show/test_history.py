"""The history as HTML that survives an untrusted notebook, and as text."""

import re
from dataclasses import dataclass, replace

import pytest
from conftest import drawn

from beluga_nb.hints import Surface
from beluga_nb.request import Request
from beluga_nb.result import Preview
from beluga_nb.show.history import history_html, history_text, minute
from beluga_nb.store.runs import History

NASTY = '<script>alert(1)</script> "><img src=x onerror=alert(1)> \x1b[31m\u202e'


@dataclass
class Line:
    name: str = "6611bcbd3494efff81a08a51785f4b8f28bf1d04a0e99e3e38bd22888fced06e"
    request: Request = Request(prompt="a fox", model="flux-2.0")  # noqa: RUF009  it is frozen
    created: int = 1_750_000_000
    pictures: tuple = (1, 2)
    procedural: bool = False
    note: str = ""


def small(number=0):
    return Preview(drawn(Request(prompt="a fox", model="flux-2.0"), number, "JPEG", (96, 64)), "image/jpeg")


def test_a_line_tells_name_time_model_count_and_prompt():
    assert history_text([Line(), Line(procedural=True, note="refused: no")]).splitlines() == [
        "run           when (UTC)        model     pictures  prompt",
        "6611bcbd3494  2025-06-15 15:06  flux-2.0  2         a fox",
        "6611bcbd3494  2025-06-15 15:06  flux-2.0  2         a fox"
        "   local preview, not model output; refused: no",
    ]


def test_a_take_stands_with_the_model():
    assert "flux-2.0, take second" in history_text(
        [Line(request=Request(prompt="a fox", model="flux-2.0", take="second"))]
    )


@pytest.mark.parametrize("created", [0, -(10**30), 10**30])
def test_a_time_that_is_none_is_unknown(created):
    assert "unknown" in history_text([Line(created=created)])


@pytest.mark.parametrize(
    ("surface", "page"),
    [(Surface.PYTHON, "page=3"), (Surface.MAGIC, "--page 3"), (Surface.TERMINAL, "--page 3")],
)
def test_what_is_left_out_is_counted_and_the_next_page_named(surface, page):
    rest = History((), more=1234, page=2, surface=surface).rest
    assert rest == f"… and 1,234 more: the next page is {page}"
    assert history_text([Line()], rest=rest).endswith(f"\n{rest}")
    assert f"<p>{rest}</p>" in history_html([Line()], [[]], rest=rest)


def test_a_prompt_that_is_cut_is_whole_on_hover():
    long = "a lighthouse, " * 40
    html = history_html([Line(request=Request(prompt=long, model="flux-2.0"))], [[]])
    assert f'title="{long.strip()}"' in html
    assert "title" not in history_html([Line()], [[]])


def test_an_empty_history_says_so():
    none = History((), surface=Surface.TERMINAL)
    begin = "Nothing is recorded yet. Begin with %beluga a red bicycle on a beach in a notebook"
    assert (none.rest, replace(none, address="s3://b").rest) == (begin, f"In s3://b. {begin}")
    every = "Nothing that fits is recorded. python -m beluga_nb history lists all runs."
    assert replace(none, all=False).rest == every
    assert history_text([], rest=every) == every
    assert history_html([], [], rest=every) == f"<p>{every}</p>"


def test_s30_outside_text_is_escaped_and_nothing_is_active():
    nasty = Line(name="<b>" + NASTY, request=Request(prompt=NASTY, model=NASTY, take=NASTY[:-1]), note=NASTY)
    html = history_html([nasty], [[small(), small(1)]], rest="… and 1 more")
    tags = set(re.findall(r"<(\w+)", html))
    assert tags == {"table", "caption", "thead", "tbody", "tr", "th", "td", "code", "div", "img", "p"}
    assert set(re.findall(r"<\w+ ([\w-]+)=", html)) == {"style", "src", "scope", "tabindex"}
    assert not re.search(r"<[^>]*\bon\w+=|\bclass=|\bhref=|https?:|\x1b|\u202e", html)
    assert html.count('<img src="data:image/jpeg;base64,') == html.count(' alt="picture ') == 2


@pytest.mark.parametrize("number", [0, -1, -(2**40), 2**40, 2**70, -(10**30), float("nan"), float("inf")])
def test_what_is_no_time_is_shown_as_something_and_raises_nothing(number):
    assert minute(number) in {"unknown", "1969-12-31 23:59"}
