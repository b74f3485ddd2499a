"""What the painter says of its pictures, against the pixels: random prompts in six languages."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from masks import Mask, difference, masks, pieces, shown
from prompts import random_prompt
from sampling import rounds, some

from beluga_nb.catalog import models
from beluga_nb.painter import paint
from beluga_nb.painter.figure import figures
from beluga_nb.painter.look import look_of
from beluga_nb.painter.painting import drawn
from beluga_nb.painter.reading import Reading, colour_of, read, words_of
from beluga_nb.painter.scene import staged
from beluga_nb.painter.stream import Stream

MODEL = "gpt-image-2"
SIZE = 128, 128
SHARP = 512, 512
HELD_ABOVE = ("umbrella", "balloon", "flag")
MOST_HELD = 0.75  # of its holder's height, for the width of what is held
LEAST = 0.009  # of the picture, for a subject that is called drawn: a hundredth, less its rims
MOST = 0.0125  # of the picture, for one that is called ignored: it is hidden, or as good as a speck
COLOURED = 0.1  # of a subject's pixels, in the colour that is called drawn
SMALL = 0.05  # of the picture: a subject as small has more rim than body
COLOURED_WHEN_SMALL = 0.05
UNCLAIMED = ("glue", "negation", "relation")


@pytest.mark.parametrize("seed", range(rounds(40, 2000)))
def test_each_claim_is_true_of_the_pixels(seed: int) -> None:
    prompt = random_prompt(Stream(seed))
    painting, reading, look, size = (
        paint(prompt, model=MODEL, size=SIZE, take=str(seed)),
        read(prompt),
        look_of(MODEL),
        SIZE,
    )
    if any(mask.mean() < SMALL for mask in masks(painting.scene, look, SIZE)):
        painting, size = paint(prompt, model=MODEL, size=SHARP, take=str(seed)), SHARP
    drawn = {name.split(" (as ")[0] for name in painting.account.drawn}
    pixels, cast = np.asarray(painting.image), painting.scene.cast
    names = [reading.terms[actor.terms[0]].text for actor in cast]
    for actor, name, mask in zip(cast, names, masks(painting.scene, look, size), strict=True):
        share = mask.mean()
        if name in drawn and names.count(name) == 1:  # a family is several actors with one name
            assert share >= LEAST, (prompt, actor.subject)
        if name not in drawn:
            assert share < MOST, (prompt, actor.subject)
        colours = [t for t in (reading.terms[n] for n in actor.terms) if t.tag in ("colour", "material")]
        # Of a colour that is named twice, the caption says once that it is drawn.
        colours = [term for term in colours if [t.text for t in reading.terms].count(term.text) == 1]
        for term in colours:
            if term.text in drawn and share >= LEAST:
                least = COLOURED_WHEN_SMALL if share < SMALL else COLOURED
                assert shown(colour_of(term), pixels[mask]) >= least, (prompt, actor.subject, term.text)
    assert not _lost(reading, (*painting.account.drawn, *painting.account.ignored)), prompt


LEAST_CHANGE = 0.005  # of the picture: in ink, what a subject covers may be as white as what is behind it
MOST_CHANGE = 0.03  # of the picture: a style also changes what is around it
RELATED = ("on", "under", "behind", "in front of", "left of", "above", "holding", "with", "riding", "wearing")
STYLES = ("", ", ink", ", line drawing", ", woodcut", ", watercolour", ", anime", ", neon style")


def related_prompt(stream: Stream) -> str:
    """Return a prompt of two or three things, how they stand to each other, and a style."""
    first, *others = (stream.pick(f"thing {k}", NAMES) for k in range(stream.pick("things", (2, 3))))
    words = (f" {stream.pick(f'relation {k}', RELATED)} a {other}" for k, other in enumerate(others))
    return "".join(("a ", first, *words, stream.pick("style", STYLES)))


@pytest.mark.parametrize("seed", range(rounds(12, 300)))
def test_what_changes_the_picture_is_called_drawn_and_what_does_not_is_ignored(seed: int) -> None:
    prompt, look, size = related_prompt(Stream(seed).child("related")), look_of(MODEL), (256, 256)
    painting, reading = paint(prompt, model=MODEL, size=size, sample=seed), read(prompt)
    account, scene = painting.account, painting.scene
    drawn = {name.split(" (as ")[0] for name in account.drawn}
    names = [reading.terms[actor.terms[0]].text for actor in scene.cast]
    for number, name in enumerate(names, 1):
        changed = difference(scene, look, size, number)
        if name in drawn:
            assert changed >= LEAST_CHANGE, (prompt, name)
        else:
            assert changed < MOST_CHANGE, (prompt, name)
    assert drawn.isdisjoint(account.ignored)
    assert not [name for name in (*drawn, *account.ignored) if name.split()[-1] in ("a", "an")]


def test_a_small_thing_in_ink_is_called_drawn_whatever_the_sample() -> None:
    for sample in range(4):
        account = paint(
            "an owl with a teddy bear on a sled, ink", model=MODEL, size=SIZE, sample=sample
        ).account

        assert str(account) == "drawn: owl, with, teddy bear, on, sled, ink"


def test_a_sofa_is_called_drawn_where_it_is() -> None:
    for prompt, names in (
        ("a couch on the left of a chair", ("couch (as sofa)", "on the left of", "chair")),
        ("a chair next to a couch", ("chair", "couch (as sofa)")),
        ("a cat on a sofa", ("cat", "sofa")),
        ("a cat on a sofa and a chair", ("cat", "chair")),
    ):
        assert paint(prompt, model=MODEL, size=SIZE).account.drawn == names


@pytest.mark.parametrize(
    "prompt",
    [
        "each of these was painted because of the other, although it isn't about them",
        "alle sind noch hier, sehr oft auch ohne ihn",
        "elle est très loin de vous, pour tous, sans lui",
        "este es muy suyo, pero también para ella",
        "这只也很",
        "このその",
    ],
)
def test_words_that_only_connect_are_not_listed(prompt: str) -> None:
    reading = read(prompt)

    connecting = [term.text for term in reading.terms if term.tag in ("glue", "negation")]
    assert len(connecting) >= 0.6 * len(reading.terms)
    assert not {*connecting} & {*paint(prompt, model=MODEL, size=(32, 32)).account.ignored}


def _lost(reading: Reading, named: tuple[str, ...]) -> set[str]:
    """Return the content words of a prompt that are neither drawn nor ignored."""
    terms = (term for term in reading.terms if term.tag not in UNCLAIMED and not term.absent)
    return {word for term in terms for word in words_of(term.text)} - {
        word for name in named for word in words_of(name)
    }


# --- a colour, for every figure


COLOURS = ("red", "green", "blue", "yellow", "orange", "purple", "pink", "brown", "black", "white", "grey")
NAMES = [name.replace("-", " ") for name, figure in figures().items() if figure.stance != "scenery"]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", some(NAMES, 4))
def test_a_figure_shows_the_colour_that_is_called_drawn(name: str, colour: str) -> None:
    prompt = f"a {colour} {name}"
    painting, terms = paint(prompt, model=MODEL, size=SIZE), read(prompt).terms
    if colour not in painting.account.drawn:
        named = colour in [term.text for term in terms]  # "red fox" is one word
        assert not named or colour in painting.account.ignored
        return
    mask = masks(painting.scene, look_of(MODEL), SIZE)[0]
    wanted = colour_of(next(term for term in terms if term.text == colour))

    assert shown(wanted, np.asarray(painting.image)[mask]) >= COLOURED


@pytest.mark.parametrize(
    "prompt",
    [
        "a pink jellyfish, polar lights",
        "a pink fish at night",
        "a white swan at night",
        "pastel blue ovens by night",
    ],
)
def test_a_colour_is_seen_by_any_light(prompt: str) -> None:
    for sample in range(3):
        painting, terms = paint(prompt, model=MODEL, size=SIZE, sample=sample), read(prompt).terms
        mask = masks(painting.scene, look_of(MODEL), SIZE)[0]

        colour = next(term for term in terms if term.tag == "colour")
        assert colour.text in painting.account.drawn
        assert shown(colour_of(colour), np.asarray(painting.image)[mask]) >= COLOURED


def test_neon_light_leaves_only_strong_colours() -> None:
    for prompt, colour, is_drawn in (
        ("neon style, a red car", "red", True),
        ("neon style, a dusty pink laptop in a city", "dusty pink", False),
    ):
        account = paint(prompt, model=MODEL, size=SIZE).account
        assert (colour in account.drawn, colour in account.ignored) == (is_drawn, not is_drawn)


def test_fog_makes_black_things_grey() -> None:
    for prompt, is_drawn in (("a black newspaper, fog", False), ("a black newspaper in a studio, fog", True)):
        account = paint(prompt, model=MODEL, size=SIZE).account
        assert ("black" in account.drawn, "black" in account.ignored) == (is_drawn, not is_drawn)


def test_most_figures_take_a_colour() -> None:
    names = some([name for name in NAMES if not name.startswith("flag of")], 12)
    ignored = [
        n for n in names if "purple" not in paint(f"a purple {n}", model=MODEL, size=SIZE).account.drawn
    ]

    assert len(ignored) <= 0.25 * len(names), ignored


# --- where subjects stand, and how many there are


Box = tuple[int, int, int, int]  # left, top, right, bottom
NEAR = 4  # pixels


def _box(mask: Mask) -> Box:
    rows, columns = np.nonzero(mask)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def _overlap(a: Box, b: Box, axis: int) -> int:
    return min(a[axis + 2], b[axis + 2]) - max(a[axis], b[axis])


def _beside(a: Box, b: Box) -> bool:
    return _overlap(a, b, 0) <= NEAR


RELATIONS: Mapping[str, Callable[[Box, Box], bool]] = {
    "left of": lambda a, b: a[0] < b[0] and _beside(a, b),
    "right of": lambda a, b: a[0] > b[0] and _beside(a, b),
    "next to": _beside,
    # The foot of one is between the other's top and foot: a chair's seat is below its top.
    "on": lambda a, b: b[1] - NEAR <= a[3] <= b[3] - 0.1 * (b[3] - b[1]) and _overlap(a, b, 0) > 0,
    "under": lambda a, b: a[1] > b[1] and a[3] >= b[3] - 0.2 * (b[3] - b[1]) - NEAR and _overlap(a, b, 0) > 0,
    "behind": lambda a, b: a[3] <= b[3] + NEAR and a[1] < b[1] + NEAR and _overlap(a, b, 0) > 0,
    "in front of": lambda a, b: a[3] >= b[3] - NEAR and _overlap(a, b, 0) > 0,
    "above": lambda a, b: a[3] <= b[1] + 0.25 * (b[3] - b[1]) and _overlap(a, b, 0) > 0,
    "holding": lambda a, b: _overlap(a, b, 0) > 0 and _overlap(a, b, 1) > 0,
}


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("seed", range(rounds(2, 60)))
def test_subjects_stand_where_the_words_put_them(relation: str, seed: int) -> None:
    stream = Stream(seed).child(relation)
    one, other = stream.pick("one", NAMES), stream.pick("other", NAMES)
    look = look_of(stream.pick("model", ("gpt-image-2", "gpt-image-2-official", "flux-2.0")))
    size = stream.pick("size", (SIZE, (192, 96), (96, 192)))
    scene = staged(read(f"a {one} {relation} a {other}"), look, seed=seed)
    if len(scene.cast) < 2:
        return  # a thing and itself, or a place
    a, b = masks(scene, look, size)

    assert a.any(), one
    assert b.any(), other
    assert RELATIONS[relation](_box(a), _box(b)), (one, other, _box(a), _box(b))


@pytest.mark.parametrize("count", range(2, 13))
@pytest.mark.parametrize(
    "name", some(("cat", "horse", "car", "apple", "balloon", "fish", "house", "robot"), 2)
)
def test_there_are_as_many_as_the_prompt_says(name: str, count: int) -> None:
    look = look_of(MODEL)
    scene = staged(read(f"{count} {name}s"), look, seed=count)
    mask = masks(scene, look, (256, 256))[0]

    assert pieces(mask, int(0.3 * mask.sum() / count)) == count


COMPACT = ("cat", "horse", "apple", "robot", "penguin", "book", "house", "chair", "woman")


@pytest.mark.parametrize("count", range(2, 7))
@pytest.mark.parametrize("name", some(COMPACT, 3))
def test_as_many_are_around_one_as_the_prompt_says(name: str, count: int) -> None:
    look = look_of(MODEL)
    plural = "women" if name == "woman" else f"{name}s"
    scene = staged(read(f"a candle between {count} {plural}"), look, seed=count)
    mask = masks(scene, look, (256, 256))[1]

    assert pieces(mask, int(0.3 * mask.sum() / count)) == count


@pytest.mark.parametrize("count", range(2, 9))
@pytest.mark.parametrize("name", some(("car", "motorcycle", "airplane", "crocodile", "bus"), 2))
def test_long_things_are_not_one_above_another(name: str, count: int) -> None:
    look = look_of(MODEL)
    scene = staged(read(f"{count} {name}{'es' if name.endswith('s') else 's'}"), look, seed=count)
    left, top, right, bottom = _box(masks(scene, look, SIZE)[0])

    assert right - left > bottom - top


@pytest.mark.parametrize("name", some([name for name in NAMES if name not in HELD_ABOVE], 12))
def test_what_is_held_is_smaller_than_who_holds_it(name: str) -> None:
    look = look_of(MODEL)
    scene = staged(read(f"a woman holding a {name}"), look, seed=1)
    if len(scene.cast) < 2 or scene.cast[1].relation != "holding":
        return
    holder, held = (_box(mask) for mask in masks(scene, look, (256, 256)))

    assert held[2] - held[0] <= MOST_HELD * (holder[3] - holder[1])


def test_a_thing_that_two_words_name_is_drawn_by_both() -> None:
    for prompt, named in (
        ("a tabby cat", ("tabby (as cat)", "cat")),
        ("a poodle dog on a sled", ("poodle (as dog)", "dog", "on", "sled")),
    ):
        account = paint(prompt, model=MODEL, size=SIZE).account
        assert (account.drawn, account.ignored) == (named, ())


@pytest.mark.parametrize("word", some(NAMES, 6))
def test_words_in_quotes_are_letters_not_things(word: str) -> None:
    painting = paint(f"a zorb which says '{word}'", model=MODEL, size=SIZE)

    assert (painting.scene.cast, painting.scene.text) == ((), word)
    assert {*words_of(word)} <= {*painting.account.drawn}
    assert paint(f"'{word}'", model=MODEL, size=SIZE).scene.kind != "poster"


BOARDS = sorted(name for name, figure in figures().items() if "board = true" in figure.drawn.text)
PLACES = ("", "large ", "two ", "red ")
AROUND = ("", " in the snow", " at night", " behind an elephant", " next to a fox", " on a beach")
LEAST_LETTERED = 0.001  # of the picture, in pixels of letters
PLAINLY = 48  # of 255, in one channel


@pytest.mark.parametrize("seed", range(rounds(8, 300)))
def test_words_in_quotes_that_are_called_drawn_are_seen(seed: int) -> None:
    stream = Stream(seed)
    board, place = stream.pick("board", BOARDS), stream.pick("place", AROUND)
    prompt = f"a {stream.pick('size', PLACES)}{board} that says 'Wow'{place}{stream.pick('style', STYLES)}"
    painting, look = paint(prompt, model=MODEL, size=SHARP), look_of(MODEL)
    plain = drawn(replace(painting.scene, letters=""), look, SHARP, fine=False)
    changed = np.abs(np.asarray(painting.image).astype(int) - np.asarray(plain)).max(axis=2) > PLAINLY

    assert ("wow" in painting.account.drawn) != ("wow" in painting.account.ignored)
    if "wow" in painting.account.drawn:
        assert changed.mean() >= LEAST_LETTERED, prompt
    else:
        assert "behind" in prompt, prompt


@pytest.mark.parametrize("model", [model.id for model in models()])
def test_words_in_quotes_are_never_mirrored(model: str) -> None:
    painting = paint("a shop that says 'Fox'", model=model, size=SHARP)
    unmirrored = drawn(painting.scene, replace(look_of(model), mirror=0.0), SHARP, fine=False)

    assert "fox" in painting.account.drawn
    above_the_tag = slice(SHARP[1] * 3 // 4)
    assert np.array_equal(np.asarray(painting.image)[above_the_tag], np.asarray(unmirrored)[above_the_tag])


def test_what_is_between_has_one_on_either_side() -> None:
    look = look_of(MODEL)
    for seed in range(rounds(4, 60)):
        one, other = Stream(seed).pick("one", NAMES), Stream(seed).pick("other", NAMES)
        scene = staged(read(f"a {one} between two {other}s"), look, seed=seed)
        if len(scene.cast) == 2 and scene.cast[1].relation == "between":
            a, b = masks(scene, look, SIZE)
            assert _box(b)[0] < _box(a)[0] < _box(a)[2] < _box(b)[2], (one, other)


def test_what_is_told_of_a_picture_is_no_more_than_it_shows() -> None:
    def told(prompt: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        account = paint(prompt, model=MODEL, size=SIZE).account
        return account.drawn, account.ignored

    assert told("the moons above a lake")[0] == ("moons (as moon)", "lake")
    assert told("a bike rack with locks but no bicycles") == (("locks",), ("bike", "rack"))
    assert told("a box used to store apples")[0] == ("box", "apples")
    [heart] = staged(read("corazón marrón"), look_of(MODEL), seed=1).cast
    red, green, blue = heart.colours[0]
    assert red > green > blue
    assert red < 2 * green, "brown, and not a dark red"
