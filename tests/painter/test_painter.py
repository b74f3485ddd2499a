"""The painter: prompts become pictures, the same ones every time."""

import ast
import colorsys
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageColor, ImageFilter, ImageStat
from sampling import rounds

from beluga_nb import painter
from beluga_nb.painter import choose_size, paint
from beluga_nb.painter.account import account_of
from beluga_nb.painter.figure import figures
from beluga_nb.painter.layers.scenery import FOLDER
from beluga_nb.painter.look import look_of
from beluga_nb.painter.marks import Shape, Sheet
from beluga_nb.painter.outline import arc
from beluga_nb.painter.painting import drawn
from beluga_nb.painter.reading import lexicon, read, setting_kinds, table
from beluga_nb.painter.register import Cover
from beluga_nb.painter.scene import staged
from beluga_nb.painter.stream import Stream

MODELS = (
    "gpt-image-2",
    "gpt-image-2-official",
    "gpt-image-1-official",
    "gpt-image-1.5-official",
    "gemini-3-pro-image-preview-official",
    "gemini-2.5-flash-image-preview-official",
    "seedream-4.0",
    "seedream-4.5",
    "seedream-5.0-lite",
    "wan2.7-image",
    "wan2.7-image-pro",
    "qwen-image-2.0-pro",
    "z-image-turbo",
    "grok-imagine-1.0-apimart",
    "grok-imagine-1.0-edit-apimart",
    "flux-kontext",
    "flux-2.0",
)

# contract.md: Sizes
PIXELS = {
    "1:1": (1024, 1024),
    "16:9": (1536, 864),
    "9:16": (864, 1536),
    "4:3": (1024, 768),
    "3:4": (768, 1024),
    "3:2": (1536, 1024),
    "2:3": (1024, 1536),
    "5:4": (1280, 1024),
    "4:5": (1024, 1280),
    "2:1": (2048, 1024),
    "1:2": (1024, 2048),
    "21:9": (2016, 864),
    "9:21": (864, 2016),
}

FOX = "a fox in a forest at night, snow"


def small(prompt: str, model: str = "gpt-image-2", **more: object) -> Image.Image:
    """Return a small painting of a prompt."""
    return paint(prompt, model=model, size=(160, 128), **more).image  # type: ignore[arg-type]


def scene_of(prompt: str) -> painter.Scene:
    """Return the scene of a prompt with a fixed seed."""
    return staged(read(prompt), look_of("gpt-image-2"), seed=7)


def distance(a: Image.Image, b: Image.Image) -> float:
    """Return the mean difference per channel, 0 to 255."""
    return float(np.mean(ImageStat.Stat(ImageChops.difference(a, b)).mean))


def brightness(image: Image.Image) -> float:
    """Return the mean grey value."""
    return float(ImageStat.Stat(image.convert("L")).mean[0])


def digest(image: Image.Image) -> str:
    """Return a fingerprint of the pixels."""
    return sha256(image.tobytes()).hexdigest()


def test_the_same_call_gives_the_same_png() -> None:
    first, second = (paint(FOX, model="flux-2.0", size=(200, 150)).png() for _ in range(2))

    assert first == second


def test_another_process_with_another_hash_seed_paints_the_same_pixels() -> None:
    code = (
        "from hashlib import sha256; from beluga_nb.painter import paint;"
        f"print(sha256(paint({FOX!r}, model='gpt-image-2', size=(160, 128)).image.tobytes()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "4242"}

    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=True, text=True
    )

    assert run.stdout.strip() == digest(small(FOX))


def test_the_stream_is_splitmix64_of_blake2b_and_never_changes() -> None:
    assert Stream(1).one("x") == 0.5197102661063014
    assert Stream(1).many("x", 2).tolist() == [0.9994351648977347, 0.02744770953358766]


@pytest.mark.parametrize("label", PIXELS)
def test_every_label_is_painted_to_the_pixel(label: str) -> None:
    assert paint("a whale", model="gpt-image-2", size=PIXELS[label]).image.size == PIXELS[label]


@pytest.mark.parametrize("size", [(16, 16), (16, 400), (400, 16), (17, 31), (333, 77)])
@pytest.mark.parametrize(
    "prompt", ["a whale", "a city at night, rain", "oil painting of a cat", "watercolour"]
)
def test_odd_sizes_work(prompt: str, size: tuple[int, int]) -> None:
    assert paint(prompt, model="gpt-image-2", size=size, quality="hd").image.size == size


@pytest.mark.parametrize(
    ("prompt", "kind", "subject", "time", "weather", "medium"),
    [
        (
            "A photorealistic beluga whale swimming through crystal clear arctic water, 4K",
            "underwater", "whale", "day", "clear", "photo",
        ),
        (
            "Anime-style warrior princess in a cherry blossom garden, vibrant colors",
            "garden", "warrior", "day", "clear", "anime",
        ),
        (
            "Hyper-realistic product photo of a glass bottle of mineral water, studio lighting",
            "studio", "bottle", "day", "clear", "photo",
        ),
        (
            "Oil painting of a Renaissance-style portrait of a tech entrepreneur",
            "portrait", "bust", "day", "clear", "oil",
        ),
        (
            "Futuristic city skyline at night with neon reflections on rain-soaked streets",
            "city", "skyline", "night", "rain", "photo",
        ),
        ("a red bicycle on a beach, really?", "beach", "bicycle", "day", "clear", "photo"),
        ("a lighthouse at dusk in a snowstorm", "coast", "lighthouse", "dusk", "snow", "photo"),
        (FOX, "forest", "fox", "night", "snow", "photo"),
        ("three yellow balloons over green hills, morning", "landscape", "balloon", "dawn", "clear", "photo"),
        ("an orange cat on a blue sofa", "room", "cat", "day", "clear", "photo"),
        ("xyzzy plugh", "poster", None, "day", "clear", "photo"),
    ],
)  # fmt: skip
def test_a_prompt_becomes_the_scene_it_describes(
    prompt: str, kind: str, subject: str | None, time: str, weather: str, medium: str
) -> None:
    scene = scene_of(prompt)

    assert (scene.kind, scene.subject, scene.time, scene.weather, scene.medium) == (
        kind,
        subject,
        time,
        weather,
        medium,
    )


@pytest.mark.parametrize(
    ("prompt", "kind", "subject", "count", "time", "weather", "medium"),
    [
        ("two horses on a beach at sunset", "beach", "horse", 2, "dusk", "clear", "photo"),
        ("a wooden ship on a stormy sea", "coast", "ship", 1, "day", "storm", "photo"),
        ("a marble bust of a philosopher", "portrait", "bust", 1, "day", "clear", "photo"),
        ("a knight before a castle in the fog", "landscape", "knight", 1, "day", "fog", "photo"),
        ("an astronaut riding a horse in space", "space", "astronaut", 1, "night", "clear", "photo"),
        ("a robot in a futuristic city at night", "city", "robot", 1, "night", "clear", "photo"),
        ("a close-up of a red rose with bokeh", "landscape", "flower", 1, "day", "clear", "photo"),
        ("aerial view of a village in the mountains", "landscape", "mountain", 1, "day", "clear", "photo"),
        ("macro photo of a flower", "landscape", "flower", 1, "day", "clear", "photo"),
        ("wide shot of a lone tree, overcast", "landscape", "tree", 1, "day", "cloudy", "photo"),
        ("low angle photo of a skyscraper", "city", "skyline", 1, "day", "clear", "photo"),
        ("a lantern in a dark library, candlelight", "room", "lamp", 1, "night", "clear", "photo"),
        ("an open book on a desk", "room", "book", 1, "day", "clear", "photo"),
        ("a pack of wolves in a snowy forest at night", "forest", "wolf", 7, "night", "snow", "photo"),
        ("a crow over the moor, gloomy", "landscape", "crow", 1, "day", "clear", "photo"),
        ("a tiger in the savannah at dawn", "landscape", "tiger", 1, "dawn", "clear", "photo"),
        ("watercolour of Venice, morning mist", "lake", None, 1, "day", "fog", "watercolour"),
        ("linocut of a lighthouse", "coast", "lighthouse", 1, "day", "clear", "ink"),
        ("lego castle", "landscape", "castle", 1, "day", "clear", "pixel"),
        ("synthwave car on a highway at dusk", "landscape", "car", 1, "dusk", "clear", "neon"),
        ("a rocket in outer space, steampunk", "space", "rocket", 1, "night", "clear", "photo"),
        ("Saturn", "space", "planet", 1, "night", "clear", "photo"),
        ("the moon over a lake", "lake", "moon", 1, "night", "clear", "photo"),
        ("a puppy and a kitten", "landscape", "dog", 1, "day", "clear", "photo"),
        ("several ponies in a meadow", "landscape", "horse", 3, "day", "clear", "photo"),
        ("a dozen balloons", "landscape", "balloon", 12, "day", "clear", "photo"),
        ("a bowl of soup", "studio", "bowl", 1, "day", "clear", "photo"),
        ("a white horse, not in the city", "landscape", "horse", 1, "day", "clear", "photo"),
        ("mountains without snow", "mountain", "mountain", 1, "day", "clear", "photo"),
        ("a ferry, fog, no rain, blue hour", "coast", "ferry", 1, "dusk", "fog", "photo"),
        ("portrait of a queen, renaissance", "portrait", "bust", 1, "day", "clear", "photo"),
        ("full body portrait of a samurai", "portrait", "warrior", 1, "day", "clear", "photo"),
        ("a bicycle in Paris at dawn, impressionist", "city", "bicycle", 1, "dawn", "clear", "oil"),
        ("an origami crane", "lake", "flamingo", 1, "day", "clear", "photo"),
        ("a sage green vase in a studio", "studio", "vase", 1, "day", "clear", "photo"),
        ("a porcelain cup of tea", "studio", "cup", 1, "day", "clear", "photo"),
        ("a cottage under the northern lights", "landscape", "house", 1, "night", "clear", "photo"),
        ("hurricane over an island", "coast", "island", 1, "day", "storm", "photo"),
        ("a shipwreck", "underwater", None, 1, "day", "clear", "photo"),
        ("a goldfish in space", "space", "fish", 1, "night", "clear", "photo"),
        ("the Milky Way over a desert", "desert", None, 1, "night", "clear", "photo"),
        ("a cat that is not black", "room", "cat", 1, "day", "clear", "photo"),
        ("noir detective in the rain, tokyo", "city", "man", 1, "day", "rain", "photo"),
        ("a golden temple in kyoto, autumn", "garden", "temple", 1, "day", "clear", "photo"),
        ("still waters", "lake", None, 1, "day", "clear", "photo"),
        ("sunset", "landscape", None, 1, "dusk", "clear", "photo"),
        ("a dark blue jeep in the Sahara", "desert", "pickup", 1, "day", "clear", "photo"),
        ("pixel art knight", "landscape", "knight", 1, "day", "clear", "pixel"),
        ("a cat in the snow", "landscape", "cat", 1, "day", "snow", "photo"),
        ("a woman walking in the rain", "city", "woman", 1, "day", "rain", "photo"),
        ("eine Familie", "city", "man", 1, "day", "clear", "photo"),
        ("a boy", "garden", "child", 1, "day", "clear", "photo"),
        ("a saxophone at night", "landscape", "saxophone", 1, "night", "clear", "photo"),
        ("don't draw a car, draw a bus", "city", "bus", 1, "day", "clear", "photo"),
        ("a light blue chair", "room", "chair", 1, "day", "clear", "photo"),
    ],
)
def test_the_lexicon_knows_what_people_ask_for(
    prompt: str, kind: str, subject: str | None, count: int, time: str, weather: str, medium: str
) -> None:
    scene = scene_of(prompt)
    found = (scene.kind, scene.subject, scene.count, scene.time, scene.weather, scene.medium)

    assert found == (kind, subject, count, time, weather, medium)


def test_the_lexicon_is_large_enough_to_be_worth_its_name() -> None:
    own = set(table("lexicon.toml", "colour")) - set(ImageColor.colormap)

    assert len(lexicon()) > 1500
    assert len(own) >= 120


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a close-up of a rose, bokeh", ("close", "bokeh")),
        ("macro photo of a flower", ("macro",)),
        ("aerial view of hills", ("aerial",)),
        ("wide shot of a ship", ("wide",)),
        ("low angle photo of a robot", ("low",)),
        ("a portrait of a woman, 85mm", ("portrait", "bokeh")),
    ],
)
def test_camera_words_are_understood(prompt: str, words: tuple[str, ...]) -> None:
    assert scene_of(prompt).camera == words


def test_a_camera_comes_closer_goes_away_and_rises() -> None:
    plain, macro, wide, aerial = (scene_of(f"{shot} a tree") for shot in ("", "macro", "wide shot", "aerial"))

    assert macro.zoom > plain.zoom > wide.zoom > aerial.zoom
    assert aerial.rise < plain.rise


def test_bokeh_leaves_the_middle_alone() -> None:
    scene = scene_of("a house")
    lights = replace(scene, camera=("bokeh",))
    pictures = [drawn(s, look_of("gpt-image-2"), (200, 200), fine=False) for s in (scene, lights)]

    assert distance(*pictures) > 0.5
    middle = [picture.crop((70, 70, 130, 130)) for picture in pictures]
    assert distance(*middle) < 0.3 * distance(*pictures)


@pytest.mark.parametrize(
    ("prompt", "colour"),
    [
        ("a wooden horse", (154, 106, 62)),
        ("a marble castle", (233, 230, 224)),
        ("a red leather book", (216, 50, 47)),
        ("a sage green vase", (155, 176, 138)),
        ("a light blue car", (165, 210, 238)),
        ("an origami crane", (242, 234, 216)),
    ],
)
def test_a_material_colours_a_thing_unless_a_colour_does(prompt: str, colour: tuple[int, int, int]) -> None:
    assert scene_of(prompt).colour == colour


@pytest.mark.parametrize(
    ("prompt", "mood"),
    [
        ("a spooky house", "dark"),
        ("a romantic beach", "warm"),
        ("a melancholic lake", "cold"),
        ("zen garden, minimalist", "calm"),
        ("a joyful dog", "vivid"),
        ("a steampunk airship", "futuristic"),
        ("a victorian lady", "renaissance"),
    ],
)
def test_moods_are_understood(prompt: str, mood: str) -> None:
    assert mood in scene_of(prompt).moods


@pytest.mark.parametrize("prompt", ["hills, not in the rain", "hills free of rain", "hills, don't show rain"])
def test_negation_has_many_words(prompt: str) -> None:
    assert scene_of(prompt).weather == "clear"


def test_a_plural_without_a_number_shows_two() -> None:
    counted = {"birds": ["2"], "chats noirs": ["2"], "grapes": ["1"], "gloves": ["2"], "three birds": ["3"]}

    assert {
        prompt: paint(prompt, model=MODELS[0], size=(96, 96)).drawn["count"] for prompt in counted
    } == counted


def test_a_number_counts_the_subject() -> None:
    assert scene_of("three yellow balloons over green hills").count == 3


def test_a_colour_belongs_to_the_next_noun() -> None:
    scene = scene_of("an orange cat on a blue sofa")

    assert scene.colour is not None
    assert scene.colour[0] > 200 > scene.colour[2]
    assert scene.palette.accent[2] > scene.palette.accent[0]


@pytest.mark.parametrize("prompt", ["a city, no rain", "a city without rain", "a city without the big rain"])
def test_negation_removes_rain(prompt: str) -> None:
    painting = paint(prompt, model="gpt-image-2", size=(32, 32))

    assert painting.scene.weather == "clear"
    assert "rain" not in painting.revised_prompt


def test_rain_rains_unless_negated() -> None:
    assert scene_of("a city, rain").weather == "rain"


@pytest.mark.parametrize(
    ("prompt", "royal"), [("a warrior princess", True), ("two princesses", True), ("a samurai", False)]
)
def test_only_royalty_wears_a_crown(prompt: str, royal: bool) -> None:
    assert ("royal" in scene_of(prompt).moods) is royal


@pytest.mark.parametrize(
    ("prompt", "beard"), [("an old man", True), ("an old woman", False), ("a man", False), ("ein Opa", True)]
)
def test_an_old_man_has_a_beard(prompt: str, beard: bool) -> None:
    assert ("bearded" in scene_of(prompt).moods) is beard


def test_every_subject_has_a_kind_that_can_be_painted() -> None:
    kinds = {path.stem for path in FOLDER.glob("*.toml")}
    assert {entry.kind for entry in figures().values()} <= kinds
    assert set(setting_kinds().values()) <= kinds


PLACES = (
    "",
    "in a city",
    "in a garden",
    "in space",
    "in a room",
    "in the desert",
    "on a lake",
    "in a studio",
)


@pytest.mark.parametrize("kind", [*figures()])
def test_every_subject_can_be_anywhere(kind: str) -> None:
    place = PLACES[list(figures()).index(kind) % len(PLACES)]
    word = {
        "bust": "person",
        "man": "hiker",
        "woman": "bride",
        "child": "toddler",
    }.get(kind, kind.replace("-", " "))
    subject = scene_of(f"a {word} {place}").subject

    assert subject == kind or (kind == "bust" and subject == "man")
    assert paint(f"two {word}s {place} at dusk", model="gpt-image-2", size=(96, 72)).image.size == (96, 72)


def test_a_red_and_a_blue_car_differ_in_hue() -> None:
    def warmth(prompt: str) -> float:
        red, _, blue = ImageStat.Stat(small(prompt)).mean
        return red - blue

    assert warmth("a red car on a road") > warmth("a blue car on a road") + 5


@pytest.mark.parametrize(("name", "hue"), [("red", 0.0), ("green", 0.35), ("blue", 0.61)])
def test_the_subject_wears_the_colour_that_was_asked_for(name: str, hue: float) -> None:
    image = small(f"a {name} car in a studio").convert("RGB")
    colours = np.asarray(image.resize((80, 64))).reshape(-1, 3) / 255
    pixels = [colorsys.rgb_to_hsv(*colour) for colour in colours]
    vivid = [h for h, s, v in pixels if s > 0.5 and v > 0.25]
    near = [h for h in vivid if min(abs(h - hue), 1 - abs(h - hue)) < 0.07]

    assert len(near) > 80
    assert len(near) > 0.6 * len(vivid)


@pytest.mark.parametrize("place", ["hills", "a forest", "the sea", "a city", "a desert", "mountains"])
def test_night_is_darker_than_day(place: str) -> None:
    assert brightness(small(f"{place} at night")) < 0.7 * brightness(small(f"{place} at noon"))


def test_snow_adds_white() -> None:
    def white(image: Image.Image) -> float:
        return float((np.asarray(image).min(axis=2) > 200).mean())

    assert white(small("hills at noon, snow")) > white(small("hills at noon")) + 0.1


@pytest.mark.parametrize("weather", ["rain", "snow", "fog", "storm", "cloudy"])
def test_weather_is_visible(weather: str) -> None:
    assert distance(small("hills"), small(f"hills, {weather}")) > 12


# A place in the open, an evening, a studio, a night, a sitter, little contrast.
SIGHTS = (
    "a lighthouse at noon",
    "a sailboat at sunset",
    "a glass bottle in a studio",
    "a city at night, rain",
    "oil painting portrait of a woman",
    "a forest in fog",
)


def thumbnail(image: Image.Image) -> Image.Image:
    """Return what is left of a picture seen from across the room."""
    return image.resize((24, 18), Image.Resampling.BOX)


@pytest.mark.parametrize("prompt", SIGHTS)
def test_the_looks_differ_on_one_and_the_same_scene(prompt: str) -> None:
    scene = scene_of(prompt)
    pictures = {m: thumbnail(drawn(scene, look_of(m), (96, 72), fine=False)) for m in MODELS}
    close = [(a, b) for a, b in _pairs(MODELS) if distance(pictures[a], pictures[b]) < 6]

    assert close == []


@pytest.mark.parametrize("prompt", SIGHTS)
def test_the_models_differ_by_their_framing_and_colours(prompt: str) -> None:
    scenes = {m: staged(read(prompt), look_of(m), seed=7) for m in MODELS}
    pictures = {m: thumbnail(drawn(scenes[m], look_of(m), (96, 72), fine=False)) for m in MODELS}
    close = [(a, b) for a, b in _pairs(MODELS) if distance(pictures[a], pictures[b]) < 9]
    # Mean colour, 0 to 255, and the bits of 64 in which the slopes of brightness differ.
    alike = [(a, b) for a, b in _pairs(MODELS) if _hue_and_slopes(pictures[a], pictures[b]) < 7]

    assert (close, alike) == ([], [])


def _hue_and_slopes(a: Image.Image, b: Image.Image) -> float:
    means = (ImageStat.Stat(image).mean for image in (a, b))
    colour = sum(abs(x - y) for x, y in zip(*means, strict=True)) / 3
    return colour + int((_slopes(a) != _slopes(b)).sum())


def _slopes(image: Image.Image) -> np.ndarray:
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=int)
    return np.diff(grey, axis=1) > 0


def test_the_models_pictures_are_pairwise_distinct() -> None:
    pictures = {m: small("a sailboat at sunset", m) for m in MODELS}
    close = [(a, b) for a, b in _pairs(MODELS) if distance(pictures[a], pictures[b]) < 12]

    assert close == []


def test_a_letterbox_a_border_and_a_band_are_where_they_belong() -> None:
    wan, flux, qwen = (small(FOX, m) for m in ("wan2.7-image-pro", "flux-kontext", "qwen-image-2.0-pro"))

    assert wan.getpixel((80, 2)) == wan.getpixel((80, 125)) == (6, 7, 12)
    assert flux.getpixel((1, 1)) == flux.getpixel((1, 120)) == (246, 241, 228)
    assert qwen.getpixel((3, 124)) == (217, 64, 43)


def _pairs(items: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    return ((a, b) for k, a in enumerate(items) for b in items[k + 1 :])


def test_an_unknown_model_has_a_look_of_its_own() -> None:
    assert look_of("dreamer-9") == look_of("dreamer-9")
    assert look_of("dreamer-9") != look_of("dreamer-10")


@pytest.mark.parametrize("more", [{"sample": 1}, {"take": "again"}])
def test_another_sample_or_take_composes_the_scene_anew(more: dict[str, object]) -> None:
    assert distance(small(FOX), small(FOX, **more)) > 6


def test_hd_shows_the_same_scene_with_finer_edges() -> None:
    standard, hd = (
        paint("a bicycle", model="gpt-image-2", size=(256, 256), quality=q) for q in ("standard", "hd")
    )

    assert hd.scene == standard.scene
    assert 0.2 < distance(standard.image, hd.image) < 20


def test_hd_has_more_shades_along_an_edge() -> None:
    def shades(grain: int) -> int:
        sheet = Sheet(Image.new("RGB", (400, 400)), 400, grain)
        Shape((arc(0.5, 0.5, 0.4, 0, 360),), ((255, 255, 255),)).put(sheet)
        return len(sheet.image.getcolors(1 << 16) or [])

    assert shades(3) > shades(2) > 2


def _random_prompts(n: int) -> Iterator[str]:
    """Yield texts from all of Unicode, surrogates included."""
    for k in range(n):
        stream = Stream(k)
        top = (0x80, 0x500, 0x3000, 0x110000)[k % 4]
        codes = stream.many("codes", stream.whole("length", 0, 60), 0, top)
        yield "".join(chr(int(code)) for code in codes)


def test_random_unicode_prompts_are_painted() -> None:
    known = lexicon()
    nouns = [
        text for text, meanings in known.items() if {"subject", "setting"} & {tag for tag, _ in meanings}
    ]
    for k, strange in enumerate(_random_prompts(rounds(120, 2_000))):
        # Nonsense alone is always a poster; a noun and another phrase of the lexicon lead everywhere else.
        known_words = [Stream(k).pick("noun", nouns), Stream(k).pick("other", [*known])] if k // 4 % 8 else []
        prompt, model = " ".join([strange, *known_words]), MODELS[k % 17]
        reading, look = read(prompt), replace(look_of(model), layers=2.0)  # few planes, for the time it takes
        scene = staged(reading, look, seed=k)

        assert drawn(scene, look, (12, 12), fine=False).size == (12, 12), prompt
        assert str(account_of(reading, scene, [Cover(1.0, 1.0, 1.0)] * len(scene.cast))) is not None
        if k % 51 == 0:
            assert paint(prompt, model=model, size=(24, 16)).encoded("image/png")


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        " ",
        "🐋" * 40,
        "قطة برتقالية على أريكة",
        "\ud800",
        "a cat \udfff",
        "\x00",
        "a" * 32_000,
        "fox " * 8_000,
        "no " * 9_000,
    ],
)
def test_strange_prompts_are_painted(prompt: str) -> None:
    assert Image.open(io.BytesIO(paint(prompt, model="gpt-image-2", size=(48, 32)).png())).size == (48, 32)


def test_the_revised_prompt_says_what_is_drawn_and_what_is_not() -> None:
    painting = paint("a red bicycle on a beach, really?", model="gpt-image-2", size=(64, 64))

    assert painting.revised_prompt == "procedural preview · drawn: red, bicycle, beach · ignored: really"


def test_the_revised_prompt_stays_short() -> None:
    painting = paint(
        "a cat " + " ".join(f"word{k}x" * 20 for k in range(300)), model="gpt-image-2", size=(32, 32)
    )

    assert len(painting.revised_prompt) < 400
    assert painting.revised_prompt.endswith("and 292 more")


def test_the_png_says_what_it_is() -> None:
    painting = paint("a cat", model="gpt-image-2", size=(64, 64))
    info = Image.open(io.BytesIO(painting.png())).info

    assert info.pop("XML:com.adobe.xmp") == info.pop("xmp").decode()
    assert info == {"Description": painting.revised_prompt, "Software": "beluga_nb procedural painter"}


@pytest.mark.parametrize("size", [(64, 48), (33, 1), (1, 17), (200, 301)])
def test_the_png_holds_exactly_the_pixels_that_were_painted(size: tuple[int, int]) -> None:
    painting = paint(FOX, model="gpt-image-2", size=size)
    image = Image.open(io.BytesIO(painting.png()))

    assert (image.mode, image.size) == ("RGB", size)
    assert digest(image) == digest(painting.image)


def _source_type(data: bytes) -> str | None:
    """Return what a picture's XMP says of its source, read as any other program would."""
    info = Image.open(io.BytesIO(data)).info
    root = ElementTree.fromstring(info["xmp"].strip())
    return next(root.iter(f"{RDF}Description")).get(f"{IPTC}DigitalSourceType")


RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"


@pytest.mark.parametrize(
    ("media_type", "name"), [("image/png", "PNG"), ("image/jpeg", "JPEG"), ("image/webp", "WEBP")]
)
def test_every_format_says_that_an_algorithm_made_it(media_type: str, name: str) -> None:
    data = paint("a cat", model="gpt-image-2", size=(64, 48)).encoded(media_type)

    assert (Image.open(io.BytesIO(data)).format, Image.open(io.BytesIO(data)).size) == (name, (64, 48))
    assert _source_type(data) == "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"


@pytest.mark.parametrize(("media_type", "usual"), [("image/jpeg", 90), ("image/webp", 80)])
def test_a_lower_quality_makes_a_smaller_file(media_type: str, usual: int) -> None:
    painting = paint(FOX, model="gpt-image-2", size=(200, 150))

    assert painting.encoded(media_type) == painting.encoded(media_type, quality=usual)
    assert len(painting.encoded(media_type, quality=30)) < len(painting.encoded(media_type))


def test_a_format_without_an_encoder_is_named() -> None:
    with pytest.raises(ValueError, match="No encoder for 'image/gif'"):
        paint("a cat", model="gpt-image-2", size=(32, 32)).encoded("image/gif")


@pytest.mark.parametrize("quality", ["standard", "hd"])
@pytest.mark.parametrize("size", [(256, 256), (400, 170), (170, 400)])
def test_the_tag_is_in_the_lower_right_corner(size: tuple[int, int], quality: str) -> None:
    painting = paint(FOX, model="gpt-image-2", size=size, quality=quality)
    bare = drawn(painting.scene, look_of("gpt-image-2"), size, fine=quality == "hd")
    box = ImageChops.difference(painting.image, bare).getbbox()

    assert box is not None
    left, top, right, bottom = box
    assert left > size[0] - 60
    assert top > size[1] - 24
    assert right > size[0] - 8
    assert bottom > size[1] - 8
    letters = painting.image.crop(box).convert("L").point([255 * (v > 170) for v in range(256)])
    assert ImageStat.Stat(letters).mean[0] > 15


@pytest.mark.parametrize(
    ("prompt", "labels", "label"),
    [
        ("a portrait of a scientist", [*PIXELS], "3:4"),
        ("a poster of a rocket", [*PIXELS], "3:4"),
        ("an instagram story about a fox", [*PIXELS], "9:16"),
        ("city skyline at night", [*PIXELS], "21:9"),
        ("city skyline at night", ["1:1", "16:9", "9:16", "4:3", "3:4"], "16:9"),
        ("panorama of mountains", [*PIXELS], "21:9"),
        ("a banner with hills", [*PIXELS], "16:9"),
        ("product photo of a bottle", [*PIXELS], "1:1"),
        ("an icon of a cat", [*PIXELS], "1:1"),
        ("an avatar of a woman", [*PIXELS], "1:1"),
        ("", [*PIXELS], "1:1"),
        ("anything", ["4:3", "3:4"], "4:3"),
        ("a portrait", ["16:9", "9:16"], "9:16"),
    ],
)
def test_auto_chooses_a_size_that_suits_the_prompt(prompt: str, labels: list[str], label: str) -> None:
    assert choose_size(prompt, labels) == label


@pytest.mark.parametrize(
    "medium", ["oil painting", "anime", "watercolour", "ink drawing", "neon style", "pixel art"]
)
def test_a_medium_changes_the_picture(medium: str) -> None:
    scene, plain = scene_of(f"a house, {medium}"), scene_of("a house")
    pictures = [drawn(s, look_of("gpt-image-2"), (160, 160), fine=False) for s in (scene, plain)]

    assert distance(*pictures) > 3


def test_oil_has_more_texture_than_photo() -> None:
    def texture(prompt: str) -> float:
        image = drawn(scene_of(prompt), look_of("gpt-image-2"), (300, 300), fine=False).convert("L")
        return distance(image.convert("RGB"), image.filter(ImageFilter.GaussianBlur(2)).convert("RGB"))

    assert texture("hills, oil painting") > 1.3 * texture("hills")


def test_the_painter_has_no_other_source_of_chance_and_no_network() -> None:
    banned = {"random", "secrets", "uuid", "time", "datetime", "socket", "urllib", "httpx"}
    root = Path(painter.__file__).parent
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not {alias.name.split(".")[0] for alias in node.names} & banned, path
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in banned, path
            if isinstance(node, ast.Attribute):
                assert ast.unparse(node) not in ("np.random", "numpy.random"), path
