"""Figures as data: their format, their errors, and what the painter says of them."""

import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops

from beluga_nb.painter import paint
from beluga_nb.painter.__main__ import preview
from beluga_nb.painter.colour import RGB
from beluga_nb.painter.figure import (
    BUILT_IN,
    ENGLISH,
    FOLDER,
    LANGUAGES,
    Coat,
    Figure,
    FigureError,
    Gallery,
    drawing,
    figures,
    paint_of,
    sources,
)
from beluga_nb.painter.flags import PREFIX
from beluga_nb.painter.look import look_of
from beluga_nb.painter.reading import lexicon, read, table
from beluga_nb.painter.scene import cast_of, staged
from beluga_nb.painter.stream import Stream

MODEL = "gpt-image-2"
COAT = Coat((200, 40, 40), (242, 193, 78), False, (), Stream(1))
KITE = """words = "paper glider"
kind = "landscape"
stance = "air"
size = 0.6
colour = "#e0503a"
parts = [
  {polygon = '0,44 -30,8 0,-40 30,8', fill = 'lit base shade', name = 'sail'},
  {line = '0,44 0,-40; -30,8 30,8', widths = '1', fill = 'ink', within = 'sail', ink = false},
]
"""


@pytest.fixture
def kite(tmp_path: Path) -> Path:
    """Return the file of a figure of one's own."""
    path = tmp_path / "glider.toml"
    path.write_text(KITE, "utf-8")
    return path


def only(path: Path) -> Figure:
    """Return the figure of a file that has one."""
    [figure] = Gallery(sources(path)).values()
    return figure


@pytest.mark.parametrize("name", [*figures()])
def test_every_figure_can_be_drawn_and_is_about_one_unit_large(name: str) -> None:
    shapes = drawing(figures()[name]).shapes(COAT)
    ends = np.array([shape.ends() for shape in shapes if not shape.soft])
    width, height = ends[:, 2].max() - ends[:, 0].min(), ends[:, 3].max() - ends[:, 1].min()

    assert 0.5 < max(width, height) < 2.3


def test_there_are_enough_figures_to_be_worth_their_name() -> None:
    assert len(figures()) >= 440


def test_the_words_of_a_figure_are_words() -> None:
    every = [word for _, words, _ in figures().words() for word in words]
    strange = [word for word in every if not re.fullmatch(r"[^\W_]+(?:[ '’-][^\W_]+)*\??", word)]

    assert not strange


def test_a_word_of_a_language_belongs_to_one_figure() -> None:
    owners: dict[tuple[str, str], set[str]] = {}
    for name, source in figures().sources.items():
        if name.startswith(PREFIX):  # any other figure with a country's name comes first
            continue
        entries = tomllib.loads(source.text)
        for language in LANGUAGES:
            for word in str(entries.get(language, "")).casefold().replace("-", " ").split(", "):
                owners.setdefault((language, word), set()).add(name)
        owners.setdefault((ENGLISH, name.replace("-", " ")), set()).add(name)

    assert {word: names for (_, word), names in owners.items() if word and len(names) > 1} == {}


@pytest.mark.parametrize(
    ("prompt", "colours"),
    [
        ("un chat noir sur une plage", [(0, 0, 0)]),
        ("un chat sur un canapé bleu", []),
        ("un gato negro en un sofá rojo", [(0, 0, 0)]),
        ("un pont de pierre la nuit", [(143, 143, 146)]),
        ("ein Haus aus Holz", [(154, 106, 62)]),
        ("a film noir portrait of a cat", []),
    ],
)
def test_a_colour_after_a_noun_is_the_colour_of_that_noun(prompt: str, colours: list[RGB]) -> None:
    [actor] = cast_of(read(prompt))

    assert list(actor.colours) == colours


def test_a_word_that_english_has_too_means_what_it_means_there() -> None:
    tags = ("camera", "mood", "medium", "weather", "time", "noise")
    english = {
        phrase
        for tag in tags
        for words in table("lexicon.toml", tag).values()
        for phrase in words.split(", ")
    }
    spoken = [(language, word) for language, words, _ in figures().words() for word in words]
    foreign = {word for language, word in spoken if language != ENGLISH}
    foreign -= {word for language, word in spoken if language == ENGLISH}

    assert "pastel" in english & foreign
    assert not [word for word in english & foreign if lexicon()[word][0][0] == "subject"]


def test_a_figure_takes_no_other_word_of_its_language_but_a_place() -> None:
    spoken = {(language, word): name for language, words, name in figures().words() for word in words}
    shared = {
        (tag, word, spoken[language, word])
        for tag in table("words.toml")
        for specs in table("words.toml", tag).values()
        for language, words in zip(LANGUAGES[1:], str(specs).split(" / "), strict=False)
        for word in words.split(", ")
        if (language, word) in spoken
    }

    assert {tag for tag, *_ in shared} <= {"setting"}, shared


def test_the_figures_of_a_file_are_those_that_toml_would_read() -> None:
    files = [tomllib.loads(path.read_text("utf-8")) for path in BUILT_IN.glob("*.toml")]
    tables = {name: entries for file in files for name, entries in file.items()}

    flags = [name for name in figures() if name.startswith(PREFIX)]
    assert sum(len(file) for file in files) == len(tables) == len(figures()) - len(flags), "no name twice"
    for name, entries in tables.items():
        figure = figures()[name]
        assert figure.kind == entries.get("kind", "landscape"), name
        assert (figure.stance, figure.size) == (entries.get("stance", "ground"), entries["size"]), name


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("fill = 'ink'", "fill = 'inky'", r"line 8, part 2: 'inky' is no colour"),
        ("polygon = '0,44 -30,8 0,-40 30,8'", "polygon = '0 44 1'", r"line 7, part 1: 3 numbers are no list"),
        ("within = 'sail'", "within = 'hull'", r"line 8, part 2: within = 'hull', but no part before it"),
        ("widths = '1'", "width = '1'", r"line 8, part 2: no 'width' in a part"),
        ("line = '0,44 0,-40; -30,8 30,8', ", "", r"line 8, part 2: it needs one of curve, polygon"),
        ("ink = false", "joint = 'tail'", r"line 8, part 2: joint = 'tail' is not in \[joints\]"),
        (
            "ink = false",
            "repeat = '3 10'",
            r"line 8, part 2: repeat = '3 10' is not a number of copies, x and y",
        ),
        ('kind = "landscape"', 'worn = "2"', r"worn = '2' is not a width and a lift"),
        ('kind = "landscape"', 'kind = "moon"', r"kind = 'moon'\.[\s\S]*one of: landscape"),
        ('stance = "air"', 'stanze = "air"', r"no 'stanze' in a figure"),
        ("parts = [", "parts = [[", r"glider\.toml, figure glider: Unclosed array"),
    ],
)
def test_an_error_names_the_file_the_line_and_the_part(kite: Path, before: str, after: str, why: str) -> None:
    assert before in KITE
    kite.with_name("broken.toml").write_text(KITE.replace(before, after), "utf-8")
    kite.rename(kite.with_name("glider.toml"))
    broken = kite.with_name("broken.toml")

    with pytest.raises(FigureError, match=why.replace("glider", "broken")) as raised:
        drawing(only(broken))
    assert f"{broken}, figure broken" in str(raised.value)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("fill = 'ink'", "fill = 'inky'", r"figure second, line 21, part 2: 'inky' is no colour"),
        ('stance = "air"', 'stance = "up"', r"figure second: stance = 'up'"),
        ("parts = [", "parts = {[", r"figure second: .*line 19"),
        (KITE, 'like = "glyder"', r"figure second: like = 'glyder', but no figure has that name"),
    ],
)
def test_an_error_in_one_of_several_figures_names_it_and_its_line(
    tmp_path: Path, before: str, after: str, why: str
) -> None:
    path = tmp_path / "air.toml"
    path.write_text(f"# Things in the air\n[first]\n{KITE}\n[second]\n{KITE.replace(before, after)}", "utf-8")
    every = Gallery(sources(path))

    assert len(drawing(every["first"]).parts) == 2
    with pytest.raises(FigureError, match=why):
        drawing(every["second"])


def test_a_file_holds_one_figure_or_several_in_its_own_words(tmp_path: Path) -> None:
    path = tmp_path / "glider.toml"
    path.write_text(f'{KITE}\n[red-glider]\nlike = "glider"\ncolour = "red"\n\n[third]\n{KITE}', "utf-8")
    every = Gallery(sources(path))

    assert [*every] == ["glider", "red-glider", "third"]
    assert drawing(every["red-glider"]) == drawing(every["glider"])
    assert every["red-glider"].colour == (255, 0, 0)


def test_the_documented_figure_is_drawn_as_it_stands(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "figures.md").read_text("utf-8")
    path = tmp_path / "documented.toml"
    path.write_text(text.partition("```ini\n")[2].partition("```")[0], "utf-8")

    assert len(drawing(only(path)).shapes(COAT)) == 3


def test_a_folder_of_ones_own_is_drawn_from(kite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from beluga_nb.painter.reading import lexicon

    monkeypatch.setenv(FOLDER, str(kite.parent))
    lexicon.cache_clear()
    try:
        painting = paint("a blue paper glider", model=MODEL, size=(64, 64))
    finally:
        monkeypatch.delenv(FOLDER)
        lexicon.cache_clear()

    assert painting.scene.subject == "glider"
    assert painting.account.drawn == ("blue", "paper glider")


def test_a_folder_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FigureError, match=r"names '.*nowhere', which is no folder"):
        figures({FOLDER: str(tmp_path / "nowhere")})


def test_a_joint_bends_its_parts(kite: Path) -> None:
    kite.write_text(
        KITE.replace("ink = false", "joint = 'spar'").replace(
            "parts", 'joints = {spar = "0 0"}\nposes = {dive = {spar = 90}}\nparts'
        ),
        "utf-8",
    )
    still = drawing(only(kite)).shapes(COAT)[1].ends()
    diving = drawing(only(kite)).shapes(replace(COAT, moods=("dive",)))[1].ends()

    assert still[3] - still[1] == pytest.approx(0.84, abs=0.02)
    assert diving[2] - diving[0] == pytest.approx(0.84, abs=0.02)


def test_a_preview_shows_three_colours_and_four_styles(kite: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "beluga_nb.painter", "preview", str(kite)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.stdout.strip() == str(kite.with_suffix(".png"))
    with Image.open(kite.with_suffix(".png")) as sheet:
        assert sheet.size == (768, 1024)


def test_a_preview_of_several_figures_shows_each(kite: Path) -> None:
    kite.write_text("".join(f"[kite-{k}]\n{KITE}" for k in range(5)), "utf-8")
    sheet = np.asarray(preview(Gallery(sources(kite))))

    assert sheet.shape == (1024, 1152, 3), "two rows of three blocks"
    assert np.array_equal(sheet[40:512, :384], sheet[552:1024, 384:768]), "the first and the last"
    assert not sheet[512:, 768:].any(), "no sixth"


def test_a_paint_is_a_role_or_a_colour_made_lighter_or_darker() -> None:
    assert paint_of("base")(COAT) == (200, 40, 40)
    assert paint_of("#102030")(COAT) == (16, 32, 48)
    assert sum(paint_of("base+0.4")(COAT)) > sum(paint_of("base")(COAT)) > sum(paint_of("base-0.4")(COAT))


# --- the account


@pytest.mark.parametrize(
    ("prompt", "drawn_words", "ignored"),
    [
        ("a red apple", ("red", "apple"), ()),
        ("a corgi astronaut above Saturn", ("corgi (as dog)", "astronaut"), ("saturn",)),
        ("a fox in a forest, zesty", ("fox", "forest"), ("zesty",)),
        ("a photo of a cat, 4k", ("cat",), ("photo", "4k")),
        ("a green and a red apple", ("green", "red", "apple"), ()),
        ("a man riding a camel", ("man", "riding", "camel"), ()),
        ("rain in a studio, a cup", ("studio", "cup"), ("rain",)),
        ("justice and mercy", ("justice", "mercy"), ()),
        ("正义", (), ("正义",)),
    ],
)
def test_every_content_word_is_drawn_or_ignored(
    prompt: str, drawn_words: tuple[str, ...], ignored: tuple[str, ...]
) -> None:
    account = paint(prompt, model=MODEL, size=(96, 96)).account

    assert (account.drawn, account.ignored) == (drawn_words, ignored)


def test_the_xmp_lists_what_is_drawn_and_what_is_ignored() -> None:
    packet = paint('a fox, "zest" & <b>', model=MODEL, size=(32, 32)).xmp

    assert 'drawn:words="fox"' in packet
    assert 'drawn:ignored="zest, b"' in packet


# --- words and places


@pytest.mark.parametrize(
    ("prompt", "subject", "count", "time"),
    [
        ("drei gelbe Enten auf einem See bei Sonnenuntergang", "duck", 3, "dusk"),
        ("deux chats noirs la nuit", "cat", 2, "night"),
        ("un chat noir la nuit", "cat", 1, "night"),
        ("tres perros blancos en la playa al atardecer", "dog", 3, "dusk"),
        ("两只猫在夜晚", "cat", 2, "night"),
        ("夜の灯台", "lighthouse", 1, "night"),
        ("un porc-épic la nuit", "hedgehog", 1, "night"),
        ("two red buses at dawn", "bus", 2, "dawn"),
        ("ein Kind bei Nacht", "child", 1, "night"),
        ("a kind of fox in pastel at night", "fox", 1, "night"),
    ],
)
def test_words_of_six_languages_are_read(prompt: str, subject: str, count: int, time: str) -> None:
    scene = staged(read(prompt), look_of(MODEL), seed=1)

    assert (scene.subject, scene.count, scene.time) == (subject, count, time)


def test_everyday_prompts_are_understood() -> None:
    expected = tomllib.loads(Path(__file__).with_name("everyday.toml").read_text("utf-8"))
    for prompt, scene in expected.items():
        found = staged(read(prompt), look_of(MODEL), seed=1)
        cast = " ".join(a.subject + (f"*{a.count}" if a.count > 1 else "") for a in found.cast)
        assert f"{found.kind}: {cast}" == scene, prompt


@pytest.mark.parametrize(
    ("prompt", "cast"),
    [
        ("a red cube on a blue sphere", [("cube", "beside"), ("sphere", "on")]),
        ("a cat left of a dog", [("cat", "beside"), ("dog", "left")]),
        ("une pomme verte sous une table", [("apple", "beside"), ("table", "under")]),
        ("ein Hund hinter einem Auto", [("dog", "beside"), ("car", "behind")]),
        ("un gato negro junto a un perro", [("cat", "beside"), ("dog", "beside")]),
        ("猫在椅子上", [("cat", "beside"), ("chair", "on")]),
        ("un gato sobre una mesa", [("cat", "beside"), ("table", "on")]),
        ("椅子の上の猫", [("chair", "beside"), ("cat", "on<")]),
        ("a goat wearing headphones", [("goat", "beside"), ("headphones", "wearing")]),
        ("a pyramid under a hand", [("pyramid", "beside"), ("hand", "under")]),
        ("a girl with red lips", [("girl", "beside")]),
        ("a woman holding an umbrella", [("woman", "beside"), ("umbrella", "holding")]),
    ],
)
def test_subjects_stand_as_the_prompt_says(prompt: str, cast: list[tuple[str, str]]) -> None:
    scene = staged(read(prompt), look_of(MODEL), seed=1)

    assert [(actor.subject, actor.relation) for actor in scene.cast] == cast


@pytest.mark.parametrize(
    ("prompt", "left", "right"),
    [
        ("eine Katze links von einem Hund", "cat", "dog"),
        ("un chat à droite d'un arbre", "tree", "cat"),
        ("un gato a la izquierda de un árbol", "cat", "tree"),
        ("猫在树的右边", "tree", "cat"),
        ("树右边有一只猫", "tree", "cat"),
        ("木の左に猫", "cat", "tree"),
        ("猫は木の右に", "tree", "cat"),
    ],
)
def test_left_and_right_are_read_in_every_language(prompt: str, left: str, right: str) -> None:
    first, second = staged(read(prompt), look_of(MODEL), seed=1).cast
    turned = {"left": False, "right": True, "left<": True, "right<": False}[second.relation]

    found = (second, first) if turned else (first, second)

    assert tuple(actor.subject for actor in found) == (left, right)


def test_a_japanese_place_comes_before_what_is_there() -> None:
    cast = staged(read("箱の上に猫"), look_of(MODEL), seed=1).cast

    assert [(actor.subject, actor.relation) for actor in cast] == [("box", "beside"), ("cat", "on<")]


def test_clothes_are_worn_and_containers_hold() -> None:
    assert {n for n in figures() if figures()[n].worn} >= {"hat", "dress", "coat", "helmet", "backpack"}
    assert [
        staged(read(prompt), look_of(MODEL), seed=1).cast[1].relation
        for prompt in ("a man in a blue coat", "a cat in a bathtub", "a cat wearing a mailbox")
    ] == ["wearing", "in", "beside"]


def test_each_subject_wears_its_own_colour() -> None:
    cast = staged(read("a red cube on a blue sphere"), look_of(MODEL), seed=1).cast
    romance = staged(read("una manzana roja y una pera verde"), look_of(MODEL), seed=1).cast

    assert [actor.colour() for actor in cast] == [(216, 50, 47), (47, 98, 201)]
    assert [actor.colour() for actor in romance] == [(216, 50, 47), (63, 154, 77)]


def test_what_is_on_something_is_above_it() -> None:
    picture = np.asarray(paint("a red cube on a blue sphere", model=MODEL, size=(128, 128)).image).astype(int)
    red = np.argwhere(picture[:, :, 0] > picture[:, :, 2] + 90)[:, 0].mean()
    blue = np.argwhere(picture[:, :, 2] > picture[:, :, 0] + 90)[:, 0].mean()

    assert red < blue - 20


@pytest.mark.parametrize("model", ["gpt-image-2", "flux-2.0", "seedream-4.0"])
def test_left_is_left_in_every_sample(model: str) -> None:
    for sample in range(4):
        picture = paint("a red cube left of a blue cube", model=model, size=(96, 96), sample=sample).image
        pixels = np.asarray(picture).astype(int)
        red = np.argwhere(pixels[:, :, 0] > pixels[:, :, 2] + 80)[:, 1].mean()
        blue = np.argwhere(pixels[:, :, 2] > pixels[:, :, 0] + 80)[:, 1].mean()
        assert red < blue


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a red car on a road", "a blue car on a road"),
        ("a cat in a forest", "a dog in a forest"),
        ("two ducks on a lake", "three ducks on a lake"),
    ],
)
def test_the_composition_stays_when_a_word_changes(one: str, other: str) -> None:
    pictures = [paint(prompt, model=MODEL, size=(96, 96)).image for prompt in (one, other)]
    changed = np.asarray(ImageChops.difference(*pictures)).max(axis=2) > 24

    assert 0 < changed.mean() < 0.35
    assert changed[:20].mean() < 0.02, "the sky is the same"


# --- posters


def test_what_cannot_be_drawn_is_set_as_a_poster() -> None:
    painting = paint("liberty, equality", model=MODEL, size=(256, 256))

    assert painting.scene.kind == "poster"
    assert painting.account.drawn == ("liberty", "equality")


def test_the_words_in_quotes_are_those_on_the_poster() -> None:
    painting = paint('a poster that says "Open late"', model=MODEL, size=(96, 96))

    assert painting.scene.text == "Open late"
    assert painting.account.drawn == ("open", "late")
    assert set(painting.account.ignored) == {"poster"}


def test_a_sign_shows_the_words_in_single_quotes_and_an_apostrophe_is_none() -> None:
    painting = paint("A driver's sign that says 'Text to Image'.", model=MODEL, size=(96, 96))

    assert staged(read("a sign that says 'Hi there'"), look_of(MODEL), seed=1).text == "Hi there"
    assert painting.scene.text == "Text to Image"


def test_an_unknown_word_right_before_a_thing_leaves_it_its_number_and_colour() -> None:
    for prompt, words in (
        ("ten glimmerish windmills", ("ten", "windmills")),
        ("a black colored car", ("black", "car")),
        ("a red zorb on a blue car", ("blue", "car")),
    ):
        assert paint(prompt, model=MODEL, size=(96, 96)).account.drawn == words


def test_who_walks_is_seen_from_head_to_foot() -> None:
    kinds = [staged(read(p), look_of(MODEL), seed=1).kind for p in ("a man", "a man walking")]

    assert kinds == ["portrait", "city"]


@pytest.mark.parametrize(
    "text", ["déjà vu à l'été", "Übermäßig", "ñandú", "¿qué?", "x" * 300, "正义", "a\u0301" * 9]
)
def test_a_poster_is_set_in_any_script_and_length(text: str) -> None:
    assert paint(text, model=MODEL, size=(64, 96)).image.size == (64, 96)
