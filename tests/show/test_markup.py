"""What a notebook is given: HTML that holds nothing but itself, one small image, and a text."""

import base64
import io
import json
from html.parser import HTMLParser

import pytest
from conftest import ask, drawing, drawn
from PIL import Image

from beluga_nb.images import decode
from beluga_nb.request import Request
from beluga_nb.result import ImagePayload, Result
from beluga_nb.show.figures import bundle, text
from beluga_nb.show.lightbox import script
from beluga_nb.show.markup import alt, caption

HOSTILE = (
    "\"><script>alert(1)</script><img src=x onerror=alert(1)> ' & </figure> <!-- "
    'javascript:x \x1b[31m\u202e data-commandlinker-command="x" {{constructor}}\x00'
)
TAGS = {"div", "figure", "img", "figcaption", "details", "summary", "span", "script"}
ATTRIBUTES = {"style", "src", "alt", "width", "height"}
ATTRIBUTES |= {"data-beluga", "data-cell", "data-recipe", "data-shared"}


class Seen(HTMLParser):
    """Everything that a browser would find in a piece of HTML."""

    def __init__(self, markup):
        super().__init__()
        self.tags, self.open, self.attributes, self.words, self.alts = set(), [], [], [], []
        self.scripts = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes
        self.alts += [value for name, value in attributes if name == "alt"]
        if tag not in {"img", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, words):
        (self.scripts if self.open[-1:] == ["script"] else self.words).append(words)

    def handle_comment(self, words):
        raise AssertionError(words)

    handle_decl = handle_pi = unknown_decl = handle_comment


def checked(markup):
    """Parse HTML and assert that it holds nothing but our own tags and attributes."""
    seen = Seen(markup)
    assert seen.tags <= TAGS
    assert {name for name, _ in seen.attributes} <= ATTRIBUTES
    for name, value in seen.attributes:
        if name == "src":
            assert value.startswith(("data:image/jpeg;base64,", "data:image/png;base64,"))
            base64.b64decode(value.partition(",")[2], validate=True)
        if name == "style":
            assert "url" not in value
            assert "expression" not in value
    assert seen.open == []
    assert set(seen.scripts) <= {script()}
    return seen


async def painting(request):
    """Draws as the built-in painter does."""
    return Result.of(
        request, [ImagePayload(drawn(request, sample)) for sample in request.samples], engine="procedural"
    )


def asked(prompt="a fox", n=1, **options):
    return Request(**{"prompt": prompt, "model": "flux-2.0", "n": n} | options)


def test_outside_text_is_escaped_wherever_it_stands():
    request = asked(HOSTILE, model=HOSTILE, quality=HOSTILE, take=HOSTILE, size=HOSTILE)
    seen = checked(bundle(ask(painting, request))["text/html"])
    assert seen.tags == {"div", "figure", "img", "details", "summary", "span", "script"}
    assert '"><script>alert(1)</script>' in seen.alts[0]
    assert '"><script>alert(1)</script>' in "".join(seen.words)


@pytest.mark.parametrize("kind", ["text/html", "text/plain"])
def test_s33_what_is_shown_carries_no_codes_for_terminals(kind):
    request = asked(HOSTILE, model=HOSTILE, quality=HOSTILE, take=HOSTILE)
    shown = bundle(ask(painting, request))[kind]
    assert not {"\x1b", "\x00", "\u202e"} & set(shown)


def test_the_text_alternative_is_the_prompt():
    (picture,) = ask(drawing, asked("a fox\n in  snow")).pictures
    assert alt(picture) == "a fox in snow"
    assert checked(bundle(ask(drawing, asked()))["text/html"]).alts == ["a fox"]


def test_a_local_preview_says_so_wherever_it_is_described():
    local, (picture,) = bundle(ask(painting, asked())), ask(painting, asked()).pictures
    assert alt(picture) == "a fox (local preview, not model output)"
    assert caption(picture) == "flux-2.0 · 96 × 64 · local preview, not model output"
    seen = checked(local["text/html"])
    assert seen.alts == ["a fox (local preview, not model output)"]
    assert seen.words[0] == "flux-2.0 · 96 × 64 · local preview, not model output · "
    assert "local preview, not model output" in local["text/plain"]


def test_what_a_model_made_is_not_called_a_local_preview():
    assert "local preview" not in json.dumps(dict(bundle(ask(drawing, asked(n=3)))))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "flux-2.0 · 96 × 64"),
        ({"quality": "hd"}, "flux-2.0 · 96 × 64 · hd"),
        ({"take": "b"}, "flux-2.0 · 96 × 64 · take b"),
        ({"quality": "hd", "take": "b"}, "flux-2.0 · 96 × 64 · hd · take b"),
    ],
)
def test_a_caption_says_model_pixels_quality_and_take(given, words):
    (picture,) = ask(drawing, asked(**given)).pictures
    assert caption(picture) == words


def test_the_text_names_the_exact_bytes():
    result = ask(drawing, asked(n=2))
    first, second = (picture.sha256 for picture in result.pictures)
    assert len(first) == len(second) == 64
    assert text(result) == (
        f"2 pictures of “a fox”\nflux-2.0 · 96 × 64 · sha256:{first}\nflux-2.0 · 96 × 64 · sha256:{second}"
    )
    assert bundle(result)["text/plain"] == text(result)


def test_one_picture_is_one_picture():
    assert text(ask(drawing, asked())).startswith("1 picture of “a fox”\n")


@pytest.mark.parametrize("n", [1, 2, 4, 7])
def test_s31_a_bundle_is_html_one_image_and_text_and_the_same_each_time(n):
    shown = bundle(ask(drawing, asked(n=n)))
    assert list(shown) == ["text/html", "image/jpeg", "text/plain"]
    assert shown == bundle(ask(drawing, asked(n=n)))
    assert json.loads(json.dumps(shown)) == shown


def test_the_image_of_one_picture_is_its_preview():
    shown = bundle(ask(drawing, asked()))
    assert decode(base64.b64decode(shown["image/jpeg"])).size == (96, 64)
    assert f"data:image/jpeg;base64,{shown['image/jpeg']}" in shown["text/html"]


def test_the_image_of_several_pictures_shows_them_all():
    shown = bundle(ask(drawing, asked(n=4)))
    assert decode(base64.b64decode(shown["image/jpeg"])).size == (96 + 8 + 96, 64 + 8 + 64)
    assert checked(shown["text/html"]).alts == ["a fox"] * 4


def test_an_empty_result_is_shown_as_text_alone():
    assert bundle(Result(asked(), ())) == {"text/plain": "0 pictures of “a fox”"}


async def noisy(request):
    image = Image.merge("RGB", [Image.effect_noise((1024, 1024), 200) for _ in "RGB"])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return Result.of(request, [ImagePayload(buffer.getvalue())], engine="x")


async def noisy_and_clear(request):
    image = Image.merge("RGBA", [Image.effect_noise((1024, 1024), 200) for _ in "RGBA"])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return Result.of(request, [ImagePayload(buffer.getvalue())], engine="x")


@pytest.mark.parametrize(("engine", "kind"), [(noisy, "image/jpeg"), (noisy_and_clear, "image/png")])
def test_a_large_noisy_picture_adds_less_than_two_hundred_kilobytes_to_a_notebook(engine, kind):
    shown = bundle(ask(engine, asked()))
    assert kind in shown
    assert len(json.dumps(shown)) < 200_000


@pytest.mark.parametrize(("n", "size"), [(1, ("512", "288")), (2, ("320", "180")), (3, ("256", "144"))])
def test_an_image_has_the_size_at_which_it_is_shown(n, size):
    async def wide(request):
        return Result.of(request, [ImagePayload(drawn(request, 0, size=(1536, 864)))] * n, engine="x")

    seen = dict(checked(bundle(ask(wide, asked(n=n)))["text/html"]).attributes)
    assert (seen["width"], seen["height"]) == size
