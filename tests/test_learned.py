"""Learned metrics without what they need: their versions, their errors, and the text that a prompt quotes.

`tests/upstream_metrics.py` computes them, where torch is installed.
"""

import pickle
import subprocess
import sys

import pytest
from conftest import drawing
from PIL import Image

from beluga_nb.compare.cluster import modules_of
from beluga_nb.errors import BelugaError, RequestError
from beluga_nb.learned import CLIPIQA, DINO, LPIPS, CLIPScore, Features, PickScore, QuotedText, _edits, quoted
from beluga_nb.session.session import Session

GREY = Image.new("RGB", (8, 8), "grey")


def test_a_version_names_the_weights_and_what_else_changes_the_numbers():
    assert CLIPScore("openai/clip-vit-base-patch32").version == "1 openai/clip-vit-base-patch32"
    assert PickScore("some/model", revision="abc").version == "1 some/model@abc"
    assert PickScore("some/model", processor="~/clip").version == "1 some/model with clip"
    iqa = CLIPIQA("some/model", opposites={"mood": ("Happy photo.", "Sad photo.")})
    assert iqa.version == "1 some/model mood: Happy photo. / Sad photo."
    digest = DINO("some/model", GREY).version.rpartition(" ")[2]
    assert DINO("some/model", GREY.convert("RGBA")).version == f"1 some/model to {digest}"
    assert DINO("some/model", GREY.resize((4, 16))).version != f"1 some/model to {digest}"
    assert LPIPS("weights/alex.pth", GREY).version == f"1 alex.pth alex 256 px to {digest}"
    assert QuotedText(data="~/trained", language="deu").version == "1 tesseract trained deu 11"


@pytest.mark.parametrize("path", ["/home/ada/clip", "~/models/clip", "./clip", r"C:\models\clip", "a/b/clip"])
def test_weights_of_a_path_are_named_without_its_folders(path):
    assert Features(path).version == "1 clip"


def test_a_metric_travels_to_workers():
    for metric in (CLIPScore("some/model"), LPIPS("alex.pth", GREY), QuotedText()):
        assert pickle.loads(pickle.dumps(metric)).version == metric.version


def test_workers_are_asked_for_the_packages_of_a_metric():
    assert modules_of(CLIPScore("some/model")) == {"beluga_nb.learned", "torch", "transformers"}
    assert modules_of(QuotedText()) == {"beluga_nb.learned"}


def test_importing_the_metrics_imports_neither_torch_nor_pillow(tmp_path):
    probe = (
        "import sys, beluga_nb.learned; print({'torch', 'transformers', 'lpips', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", probe], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("set()", "")


@pytest.mark.parametrize(
    ("metric", "what"),
    [
        (CLIPScore("some/model"), "CLIPScore needs torch and transformers, which you have not installed."),
        (LPIPS("alex.pth", GREY), "LPIPS needs torch and lpips, which you have not installed."),
    ],
)
def test_without_its_packages_a_metric_says_in_two_lines_how_to_install_them(
    metric, what, tmp_path, monkeypatch
):
    monkeypatch.setattr("beluga_nb.learned.find_spec", lambda _: None)
    session = Session(engine=drawing, environ={}, folder=tmp_path)
    with pytest.raises(BelugaError) as raised:
        session.gallery(session.generate("a fox", n=3)).score("learned", metric)
    assert str(raised.value).splitlines() == [what, "pip install 'beluga_nb[metrics]'"]


def test_a_class_in_place_of_a_metric_is_named(tmp_path):
    session = Session(engine=drawing, environ={}, folder=tmp_path)
    with pytest.raises(RequestError) as raised:
        session.gallery(session.generate("a fox")).score("fit", CLIPScore)
    assert str(raised.value).splitlines() == [
        "CLIPScore is a class of metrics.",
        "Make one of it: CLIPScore(…)",
    ]


@pytest.mark.parametrize("kind", [DINO, LPIPS])
@pytest.mark.parametrize("reference", ["fox.png", b"PNG", None, Image])
def test_a_reference_that_is_no_image_is_refused_when_the_metric_is_made(kind, reference):
    with pytest.raises(RequestError, match=r"The reference is .*, which is no PIL image.\nOpen a file with"):
        kind("weights", reference)


@pytest.mark.parametrize(
    "metric", [CLIPScore("./gone"), CLIPScore("a/b", processor="./gone"), Features("/a/gone")]
)
def test_weights_of_a_path_that_is_not_there_are_named(metric):
    with pytest.raises(
        RequestError, match="The weights 'gone' cannot be used: there is no such file or folder"
    ):
        metric._load()


def test_without_tesseract_quoted_text_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setattr("beluga_nb.learned.shutil.which", lambda _: None)
    session = Session(engine=drawing, environ={}, folder=tmp_path)
    with pytest.raises(BelugaError, match=r"needs the program tesseract(?s:.*)Debian"):
        session.gallery(session.generate('a sign "OPEN"')).score("text", QuotedText())


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        ('a sign "OPEN" and a sign “24 h”', ["OPEN", "24 h"]),
        ("ein Schild „Zu“, une pancarte « Fermé », 看板「営業中」", ["Zu", " Fermé ", "営業中"]),
        ("the fox's den, it's ‘home’", ["home"]),
        ('an empty "" and a blank " " one', []),
    ],
)
def test_quoted_texts_are_found(prompt, texts):
    assert quoted(prompt) == texts


@pytest.mark.parametrize(
    ("text", "read", "edits"),
    [
        ("open", "xxopenxx", 0),
        ("open", "opne", 1),
        ("open", "o-p-e-n", 3),
        ("open", "", 4),
        ("open", "xyz", 4),
        ("open", "0pen", 1),
    ],
)
def test_edits_are_those_of_the_most_similar_part(text, read, edits):
    assert _edits(text, read) == edits


def score_of(prompt, read, monkeypatch, tmp_path):
    monkeypatch.setattr(QuotedText, "_read", lambda *_: read)
    session = Session(engine=drawing, environ={}, folder=tmp_path)
    [row] = session.gallery(session.generate(prompt)).score("text", QuotedText()).rows
    return row


@pytest.mark.parametrize(
    ("read", "value", "reason"),
    [
        ("Café\n\n O P E N\n", 1, "read: Café O P E N"),
        ("cafe\nopen", 0.875, "read: cafe open"),
        (" \n", 0, "read: nothing"),
    ],
)
def test_the_score_is_the_part_of_the_letters_that_was_read(read, value, reason, tmp_path, monkeypatch):
    row = score_of('two signs, "Open" and “Café”', read, monkeypatch, tmp_path)
    assert (row.value, row.reason) == (value, reason)


def test_a_prompt_without_a_quotation_has_no_score(tmp_path, monkeypatch):
    row = score_of("a sign that says open", "open", monkeypatch, tmp_path)
    assert isinstance(row.error, RequestError)
    assert "quotes no text" in str(row.error)
