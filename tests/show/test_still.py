"""Many pictures as one still: what a saved notebook shows of a panel."""

import io
import json
from dataclasses import replace

from conftest import ask, drawing
from PIL import Image

from beluga_nb.request import Request
from beluga_nb.show.figures import NO_PICTURE, bundle, still
from beluga_nb.show.preview import preview


def drawn(prompt, n=1):
    return ask(drawing, Request(prompt=prompt, model="flux-2.0", n=n))


def test_several_results_are_one_grid_one_sheet_and_their_texts():
    fox, whales = drawn("a <fox>"), drawn("whales", n=3)
    shown = still([fox, whales])
    assert set(shown) == {"text/html", "image/jpeg", "text/plain"}
    assert shown["text/html"].count("<figure") == 4
    assert 'alt="a &lt;fox&gt;"' in shown["text/html"]
    assert shown["text/plain"] == f"{bundle(fox)['text/plain']}\n{bundle(whales)['text/plain']}"


def test_one_picture_is_shown_as_ever_and_none_as_words():
    fox = drawn("a fox")
    assert still([fox]) == bundle(fox)
    assert still([])["text/plain"] == f"{NO_PICTURE} Give results to show, as in gallery(*results)."


def test_twenty_pictures_that_cannot_be_heavier_weigh_less_than_two_megabytes():
    buffer = io.BytesIO()
    noise = [Image.effect_noise((1024, 1024), 200) for _ in range(3)]
    Image.merge("RGB", noise).save(buffer, "PNG")
    [heavy] = drawn("noise").pictures
    heavy = replace(heavy, data=buffer.getvalue())
    heavy = replace(heavy, preview=preview(heavy))
    result = replace(drawn("noise"), pictures=(heavy,) * 20)
    assert 500_000 < len(json.dumps(still([result]))) < 2_000_000
