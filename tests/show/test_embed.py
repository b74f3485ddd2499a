"""What a notebook holds of its pictures, and what nbconvert keeps of them."""

import base64
import re

import nbformat
import pytest
from conftest import drawing
from kernels import Kernel
from nbconvert import HTMLExporter, LatexExporter, MarkdownExporter, SlidesExporter
from nbformat.v4 import new_code_cell, new_notebook, new_output
from test_exports import Pictures

from beluga_nb.config.settings import EMBEDS
from beluga_nb.session.session import Session

PROMPT = "a fox & a hen"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What an engine drew, one picture and three, by what is to be held of it."""
    folder = tmp_path_factory.mktemp("embed")
    session = Session(engine=drawing, environ={}, folder=folder)
    return folder, {
        (embed, n): session.generate(PROMPT, model="flux-2.0", n=n, embed=embed)
        for embed in EMBEDS
        for n in (1, 3)
    }


def sources(bundle):
    return [each["src"] for each in Pictures(bundle["text/html"]).found]


@pytest.mark.parametrize("n", [1, 3])
def test_the_original_is_there_to_the_byte_and_once(results, n):
    result = results[1]["original", n]
    bundle = result._repr_mimebundle_()
    held = [base64.b64decode(source.partition(",")[2]) for source in sources(bundle)]
    assert held == [picture.data for picture in result.pictures]
    assert set(bundle) == {"text/html", "image/jpeg", "text/plain"}, "small, for what shows no HTML"


@pytest.mark.parametrize("n", [1, 3])
def test_a_link_leads_from_the_notebook_to_the_bytes_in_the_store(results, n):
    folder, by = results
    bundle = by["link", n]._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    assert [(folder / source).read_bytes() for source in sources(bundle)] == [
        picture.data for picture in by["link", n].pictures
    ]
    assert all(source.startswith("beluga_store/blobs/") for source in sources(bundle))
    assert bundle["text/plain"].splitlines()[-n:] == sources(bundle)


def test_where_nothing_is_kept_a_link_becomes_a_preview(tmp_path):
    result = Session(environ={}, folder=tmp_path).generate("a fox", mode="off", embed="link")
    [source] = sources(result._repr_mimebundle_())
    assert source.startswith("data:image/jpeg;base64,")


def test_none_is_words_alone(results):
    bundle = results[1]["none", 3]._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    assert sources(bundle) == []
    assert bundle["text/html"].count("<div>a fox &amp; a hen</div>") == 3
    assert "<script" not in bundle["text/html"], "nothing is there to be opened"


@pytest.mark.parametrize(("embed", "n"), [(embed, n) for embed in EMBEDS[:3] for n in (1, 3)])
def test_every_picture_has_its_text_alternative_and_every_way_the_same_words(results, embed, n):
    bundle, plain = (results[1][each, n]._repr_mimebundle_() for each in (embed, "none"))
    assert [each["alt"] for each in Pictures(bundle["text/html"]).found] == [PROMPT] * n
    assert bundle["text/plain"].startswith(plain["text/plain"])
    captions = [re.findall("<summary.*</details>", each["text/html"]) for each in (bundle, plain)]
    assert captions[0] == captions[1] != []


EXPORTERS = {
    "lab": lambda: HTMLExporter(template_name="lab"),
    "classic": lambda: HTMLExporter(template_name="classic"),
    "slides": SlidesExporter,
    "markdown": MarkdownExporter,
    "latex": LatexExporter,
}


@pytest.mark.parametrize("embed", ["preview", "original"])
@pytest.mark.parametrize("name", EXPORTERS)
def test_whatever_a_notebook_becomes_it_keeps_every_picture(results, embed, name):
    bundles = [results[1][embed, n]._repr_mimebundle_() for n in (1, 3)]
    outputs = [new_output("execute_result", dict(bundle), execution_count=1) for bundle in bundles]
    notebook = new_notebook(cells=[new_code_cell("%beluga a fox", outputs=outputs)])
    nbformat.validate(notebook)
    text, resources = EXPORTERS[name]().from_notebook_node(notebook)
    if name in {"lab", "classic", "slides"}:
        found = [each for each in Pictures(text).found if each["src"].startswith("data:image/")]
        assert [each["alt"] for each in found] == [PROMPT] * 4
        assert [each["src"] for each in found] == [source for bundle in bundles for source in sources(bundle)]
    else:
        assert len(resources["outputs"]) == 2, "one of each result: a picture, and the three as one"


def test_the_option_outranks_the_setting_and_is_no_part_of_the_request(tmp_path):
    (tmp_path / "beluga.toml").write_text('embed = "none"\n')
    with Kernel(tmp_path) as kernel:
        kernel.run("%load_ext beluga_nb")
        assert set(kernel.run("%beluga a fox").bundles[0]) == {"text/html", "text/plain"}
        shown = kernel.run("%beluga --embed preview --mode replay a fox")
        assert set(shown.bundles[0]) == {"text/html", "image/jpeg", "text/plain"}
        assert set(kernel.run("%beluga last").bundles[0]) == {"text/html", "image/jpeg", "text/plain"}
        shown = kernel.run("%beluga --embed all a fox")
        shown.fails_with(
            "UnknownNameError: No value 'all' for embed.", "Available: preview, original, link, none."
        )
