"""Pictures of results: their rows, the line below them, and what the lightbox takes from them."""

import base64
import json
import re
from dataclasses import replace

import pytest
from conftest import ask, drawing, drawn
from test_markup import Seen, checked, noisy, painting

from beluga_nb.commands.cells import FLAGS
from beluga_nb.images import size_of
from beluga_nb.magics.parse import parse
from beluga_nb.request import Request
from beluga_nb.result import ImagePayload, Result
from beluga_nb.session.session import Session
from beluga_nb.show.figures import bundle, columns_of, still
from beluga_nb.show.lightbox import LONGEST_PROMPT, script
from beluga_nb.show.preview import HEAVIEST_OF_MANY, preview


def asked(prompt="a fox", n=1, **options):
    return Request(**{"prompt": prompt, "model": "flux-2.0", "n": n} | options)


def html_of(n, engine=drawing, **options):
    return bundle(ask(engine, asked(n=n, **options)))["text/html"]


def line_of(html):
    [line] = re.findall("<summary.*?</summary>", html)
    return re.sub("<.*?>", "", line)


def cells_of(html):
    return [value for name, value in checked(html).attributes if name == "data-cell"]


@pytest.mark.parametrize(
    ("n", "line"),
    [
        (1, "flux-2.0 · 96 × 64 · hd · take b · local preview, not model output · recipe"),
        (4, "4 pictures · flux-2.0 · 96 × 64 · hd · take b · local preview, not model output · recipe"),
    ],
)
def test_one_line_tells_what_all_captions_share(n, line):
    html = html_of(n, painting, quality="hd", take="b")
    assert line_of(html) == line
    assert "figcaption" not in html


def test_what_differs_stays_with_its_picture():
    one, other = (ask(drawing, asked(take=take)) for take in ("red", "blue"))
    html = still([one, other])["text/html"]
    assert line_of(html) == "2 pictures · flux-2.0 · 96 × 64 · recipe"
    assert re.findall("<figcaption.*?>(.*?)</figcaption>", html) == ["take red", "take blue"]


def test_the_recipe_tells_once_what_is_the_same_and_below_it_what_is_not():
    words = "".join(checked(html_of(2)).words)
    assert words.count("prompt a fox") == words.count("model flux-2.0") == 1
    assert words.index("prompt a fox") < words.index("picture 1") < words.index("picture 2")
    assert words.count("sha256 ") == 2


@pytest.mark.parametrize(
    ("count", "columns"),
    [(1, 1), (2, 2), (3, 3), (4, 2), (5, 3), (6, 3), (7, 4), (8, 4), (9, 3), (10, 4), (12, 4), (20, 4)],
)
def test_pictures_stand_in_rows_with_few_empty_places(count, columns):
    assert columns_of(count) == columns


async def of_two_shapes(request):
    shapes = [(1536, 864), (864, 1536)]
    return Result.of(request, [ImagePayload(drawn(request, 0, size=size)) for size in shapes], engine="x")


def test_pictures_in_a_row_are_equally_high_and_keep_their_shapes():
    images = re.findall(r'<img .*?width="(\d+)" height="(\d+)"', html_of(2, of_two_shapes))
    assert images == [("320", "180"), ("101", "180")]


# --- the lightbox


def test_the_script_is_small_and_closes_no_tag():
    assert len(script().encode()) < 5_000
    assert "</script" not in script()
    assert "\n" not in script()


@pytest.mark.parametrize("embed", ["preview", "original"])
def test_each_picture_has_a_cell_and_a_recipe(embed):
    result = ask(drawing, asked(n=3))
    names = [name for name, _ in checked_attributes(result, embed)]
    assert (names.count("data-cell"), names.count("data-recipe"), names.count("data-shared")) == (3, 3, 1)
    names = [name for name, _ in checked_attributes(ask(drawing, asked()), embed)]
    assert (names.count("data-cell"), names.count("data-recipe"), names.count("data-shared")) == (1, 1, 0)


def checked_attributes(result, embed):
    return Seen(bundle(result, embed=embed)["text/html"]).attributes


PROMPTS = ["a fox", 'two\n\nlines & "quotes" <b>', "{{animal}}", " a fox ", "a fox\n", ">>> a fox", "\ta\\n"]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_cell_of_a_picture_requests_that_picture(prompt):
    request = asked(prompt, n=3, size="16:9", quality="hd", take="b")
    cells = cells_of(bundle(ask(drawing, request))["text/html"])
    for sample, cell in zip(request.samples, cells, strict=True):
        one = request.slice(sample)
        if cell.startswith("get_ipython()"):
            assert repr(prompt)[1:-1] in cell
            continue
        first, _, body = cell.partition("\n")
        call = parse(first.removeprefix("%%beluga "), body, fill=str)
        assert call.prompt == prompt
        given = {name: call.options[name] for name in FLAGS if name in call.options}
        assert Request(prompt=prompt, **given) == one


@pytest.mark.parametrize("prompt", ["a\u202efox", "a\u200bfox", "x" * LONGEST_PROMPT])
def test_a_cell_that_would_be_changed_or_heavy_is_left_out(prompt):
    assert cells_of(bundle(ask(drawing, asked(prompt)))["text/html"]) == [""]


def test_a_picture_that_a_magic_cannot_request_has_a_cell_in_python():
    [cell] = cells_of(bundle(ask(drawing, asked(output_format="webp")))["text/html"])
    assert cell.startswith("import beluga_nb\n\nbeluga_nb.generate(\n    'a fox',")


def test_no_empty_line_ends_the_html_in_markdown():
    assert "\n" not in bundle(ask(drawing, asked("a\n\nfox", n=2)))["text/html"]


def widths(html):
    """The widths in pixels that the sources of images have."""
    sources = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)"', html)
    return {max(size_of(base64.b64decode(each))) for each in sources}


async def large(request):
    data = [ImagePayload(drawn(request, sample, size=(1024, 768))) for sample in request.samples]
    return Result.of(request, data, engine="x")


def test_pictures_of_a_grid_and_of_a_gallery_open_at_512_pixels(tmp_path):
    session = Session(engine=large, environ={}, folder=tmp_path)
    grid = session.grid("a {{x}}", x=list("abcdef"), n=2).run(assume_yes=True)
    shown = grid._repr_mimebundle_()
    assert widths(shown["text/html"]) == {512}
    assert "to_html" not in shown["text/html"]
    gallery = session.gallery(*(session.generate(f"a {x}", n=2) for x in "abc"))
    assert widths(gallery._repr_mimebundle_()["text/html"]) == {512}


def test_where_that_would_be_heavy_they_are_tiles_and_the_grid_says_so(tmp_path):
    session = Session(engine=noisy, environ={}, folder=tmp_path)
    grid = session.grid("a {{x}}", x=list("abcdefgh")).run(assume_yes=True)
    shown = dict(grid._repr_mimebundle_())
    assert widths(shown["text/html"]) == {256}
    assert (
        "Pictures open at 256 pixels, as there are many: to_html() shows them larger." in shown["text/html"]
    )
    assert len(json.dumps(shown)) < 1_000_000
    [heavy] = ask(noisy, asked()).pictures
    heavy = replace(heavy, preview=preview(heavy))
    many = HEAVIEST_OF_MANY // len(heavy.preview.data)
    for count, wide in ((many, 512), (many + 1, 256)):
        shown = still([Result(asked(), (heavy,) * count)])
        assert widths(shown["text/html"]) == {wide}
        assert len(json.dumps(shown)) < 1_000_000
