"""The catalogue against the contract, whose tables are written out here."""

import math

import pytest

from beluga_nb.catalog import (
    canonical,
    check_count,
    conversions,
    find,
    label_of,
    labels,
    models,
    pixels,
    sizes,
    split,
    supported_parameters,
)
from beluga_nb.errors import RequestError, UnknownNameError
from beluga_nb.request import Request

pytestmark = pytest.mark.unsampled  # each row of the contract is a claim of its own

ALL = "1:1 16:9 9:16 4:3 3:4 3:2 2:3 5:4 4:5 2:1 1:2 21:9 9:21"
FIVE = "1:1 16:9 9:16 4:3 3:4"

MODELS = [
    ("gpt-image-2", "GPT-Image-2", "OpenAI", ALL, 1),
    ("gpt-image-2-official", "GPT-Image-2 (Official Channel)", "OpenAI", ALL, 1),
    ("gpt-image-1-official", "GPT-Image-1", "OpenAI", FIVE, 1),
    ("gpt-image-1.5-official", "GPT-Image-1.5", "OpenAI", FIVE, 1),
    ("gemini-3-pro-image-preview-official", "Gemini 3 Pro Image (Nano Banana Pro)", "Google", FIVE, 4),
    ("gemini-2.5-flash-image-preview-official", "Gemini 2.5 Flash Image (Nano Banana)", "Google", FIVE, 4),
    ("seedream-4.0", "Seedream 4.0", "ByteDance", FIVE, 4),
    ("seedream-4.5", "Seedream 4.5", "ByteDance", FIVE, 4),
    ("seedream-5.0-lite", "Seedream 5.0 Lite", "ByteDance", FIVE, 4),
    ("wan2.7-image", "Wan 2.7 Image", "Various", ALL, 4),
    ("wan2.7-image-pro", "Wan 2.7 Image Pro", "Various", ALL, 4),
    ("qwen-image-2.0-pro", "Qwen Image 2.0 Pro", "Various", ALL, 4),
    ("z-image-turbo", "Z-Image-Turbo", "Various", ALL, 1),
    ("grok-imagine-1.0-apimart", "Grok Imagine 1.0", "Various", ALL, 4),
    ("grok-imagine-1.0-edit-apimart", "Grok Imagine 1.0 Edit", "Various", ALL, 4),
    ("flux-kontext", "Flux Kontext", "Various", ALL, 1),
    ("flux-2.0", "Flux 2.0", "Various", ALL, 4),
]

SIZES = [
    ("1:1", 1024, 1024),
    ("16:9", 1536, 864),
    ("9:16", 864, 1536),
    ("4:3", 1024, 768),
    ("3:4", 768, 1024),
    ("3:2", 1536, 1024),
    ("2:3", 1024, 1536),
    ("5:4", 1280, 1024),
    ("4:5", 1024, 1280),
    ("2:1", 2048, 1024),
    ("1:2", 1024, 2048),
    ("21:9", 2016, 864),
    ("9:21", 864, 2016),
]

BEST_FOR = {
    "1:1": "social, avatars, icons",
    "16:9": "thumbnails, banners, wallpapers",
    "9:16": "stories, reels, shorts",
    "4:3": "presentations, print",
    "3:4": "photos, posters",
    "21:9": "cinematic headers",
    "3:2": "DSLR photography",
}


def asked(size=None, model="flux-2.0", quality=None):
    return Request(prompt="a fox", model=model, size=size, quality=quality)


# --- the tables


def test_the_models_are_the_17_of_the_contract():
    found = [(each.id, each.name, each.provider, " ".join(each.sizes), each.n_max) for each in models()]
    assert found == MODELS


def test_the_sizes_are_the_13_of_the_contract():
    assert [(size.label, *size.pixels) for size in sizes()] == SIZES
    assert " ".join(labels()) == ALL


@pytest.mark.parametrize(("label", "width", "height"), SIZES)
def test_every_size_has_its_exact_ratio_and_edges_in_sixteens(label, width, height):
    a, b = map(int, label.split(":"))
    assert width * b == height * a
    assert width % 16 == height % 16 == 0
    assert pixels(label) == (width, height)


def test_what_sizes_are_good_for_is_what_the_contract_says():
    assert {size.label: size.best_for for size in sizes() if size.best_for} == BEST_FOR


@pytest.mark.parametrize("row", MODELS, ids=lambda row: row[0])
def test_every_model_is_found_by_its_id(row):
    assert (find(row[0]).id, find(row[0]).n_max) == (row[0], row[4])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("flux2", "flux-2.0"),
        ("gpt-image2", "gpt-image-2"),
        ("Seedream 4.5", "seedream-4.5"),
        ("GPT-IMAGE-2", "gpt-image-2"),
    ],
)
def test_an_unknown_model_is_refused_with_the_one_that_was_meant(name, meant):
    with pytest.raises(UnknownNameError) as caught:
        find(name)
    assert caught.value.message == f"No model '{name}'."
    assert caught.value.hint == f"Did you mean '{meant}'? Session.models() lists all 17."
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")


# --- sizes


@pytest.mark.parametrize(
    ("size", "label"),
    [
        ("1024x1024", "1:1"),
        ("1536x1024", "3:2"),
        ("1792x1024", "16:9"),
        ("1080x1350", "4:5"),
        ("3440x1440", "21:9"),
        ("1170x2532", "9:21"),
        ("1200x628", "2:1"),
        ("16x16", "1:1"),
        ("1024X1024", "1:1"),
        ("1024×1024", "1:1"),
        (" 1024 x 1024 ", "1:1"),
        ("99999x16", "21:9"),
    ],
)
def test_pixels_become_the_nearest_label(size, label):
    assert canonical(asked(size)).size == label


@pytest.mark.parametrize(
    ("size", "label"),
    [("1536x1024", "4:3"), ("3440x1440", "16:9"), ("1170x2532", "9:16"), ("1080x1350", "3:4")],
)
def test_pixels_become_the_nearest_of_the_models_own_labels(size, label):
    assert canonical(asked(size, model="seedream-4.5")).size == label


def test_a_size_and_its_transpose_get_transposed_labels():
    edges = [*range(16, 400, 7), 628, 864, 1024, 1080, 1350, 1440, 2532, 3440]
    for allowed in (ALL.split(), FIVE.split()):
        for width in edges:
            for height in edges:
                a, b = label_of(width, height, allowed).split(":")
                assert label_of(height, width, allowed) == f"{b}:{a}", (width, height)


def test_no_label_is_nearer_than_the_one_that_is_chosen():
    for width in range(16, 2100, 61):
        chosen = label_of(width, 864, ALL.split())
        distances = {
            label: abs(math.log(width / 864) - math.log(int(label.split(":")[0]) / int(label.split(":")[1])))
            for label in ALL.split()
        }
        assert distances[chosen] <= min(distances.values()) + 1e-12


@pytest.mark.parametrize("row", MODELS, ids=lambda row: row[0])
def test_a_model_takes_its_labels_and_auto_as_they_are(row):
    for size in [*row[3].split(), "auto", None]:
        assert canonical(asked(size, model=row[0])).size == size


@pytest.mark.parametrize(
    ("size", "near"),
    [
        ("3:2", "4:3"),
        ("2:3", "3:4"),
        ("5:4", "4:3"),
        ("4:5", "3:4"),
        ("2:1", "16:9"),
        ("1:2", "9:16"),
        ("21:9", "16:9"),
        ("9:21", "9:16"),
    ],
)
def test_a_model_with_five_labels_refuses_the_others_and_lists_its_own(size, near):
    with pytest.raises(RequestError) as caught:
        canonical(asked(size, model="gpt-image-1-official"))
    assert caught.value.message == f"gpt-image-1-official has no size '{size}'."
    assert caught.value.hint == f"It takes 1:1, 16:9, 9:16, 4:3, 3:4 or auto; nearest is {near}."
    assert caught.value.param == "size"


@pytest.mark.parametrize("size", ["16x9", "16/9", "16-9"])
def test_a_label_that_is_spelt_otherwise_is_suggested(size):
    with pytest.raises(UnknownNameError) as caught:
        canonical(asked(size, model="gpt-image-1-official"))
    assert caught.value.message == f"No size '{size}'."
    assert caught.value.hint == (
        "Did you mean '16:9'? gpt-image-1-official takes 1:1, 16:9, 9:16, 4:3, 3:4, auto"
        " or pixels such as 1024x1024."
    )


@pytest.mark.parametrize(
    "size",
    [
        "",
        "AUTO",
        "15x1024",
        "1024x15",
        "0x0",
        "-16x16",
        "1024",
        "1024x",
        "1024x1024x3",
        "100000x16",
        "1e3x1e3",
        "١٠٢٤x١٠٢٤",
    ],
)
def test_what_is_no_size_is_refused(size):
    with pytest.raises(UnknownNameError) as caught:
        canonical(asked(size))
    assert caught.value.param == "size"


# --- qualities


@pytest.mark.parametrize(
    ("quality", "ours"),
    [
        (None, None),
        ("standard", "standard"),
        ("hd", "hd"),
        ("low", "standard"),
        ("medium", "standard"),
        ("auto", "standard"),
        ("high", "hd"),
        ("xhigh", "hd"),
        ("max", "hd"),
    ],
)
def test_openais_words_for_quality_become_ours(quality, ours):
    assert canonical(asked(quality=quality)).quality == ours


@pytest.mark.parametrize("quality", ["", "HD", "ultra", "4k"])
def test_an_unknown_quality_is_refused(quality):
    with pytest.raises(UnknownNameError) as caught:
        canonical(asked(quality=quality))
    assert caught.value.message == f"No quality '{quality}'."
    assert caught.value.hint.endswith("Available: standard, hd.")
    assert caught.value.param == "quality"


# --- what a model takes


@pytest.mark.parametrize("row", MODELS, ids=lambda row: row[0])
def test_what_a_model_takes_is_what_the_contract_says(row):
    takes = supported_parameters(find(row[0]))
    assert list(takes) == [
        *("prompt", "n", "size", "quality", "output_format", "output_compression", "response_format")
    ]
    assert (takes["n"].least, takes["n"].most) == (1, row[4])
    assert " ".join(takes["size"].values) == f"{row[3]} auto"
    assert takes["prompt"].longest == 32_000


def test_what_a_model_takes_is_what_is_checked():
    for model in models():
        takes = supported_parameters(model)
        for name in ("size", "quality", "output_format"):
            for value in takes[name].values:
                request = Request(prompt="a fox", model=model.id, **{name: value})
                assert canonical(request) == request
        check_count(Request(prompt="a fox", model=model.id, n=takes["n"].most))
        with pytest.raises(RequestError):
            check_count(Request(prompt="a fox", model=model.id, n=takes["n"].most + 1))


def test_an_unknown_format_is_refused_with_the_one_that_was_meant():
    with pytest.raises(UnknownNameError) as caught:
        canonical(Request(prompt="a fox", model="flux-2.0", output_format="jpg"))
    assert caught.value.message == "No output format 'jpg'."
    assert caught.value.hint == "Did you mean 'jpeg'? Available: png, jpeg, webp."
    assert caught.value.param == "output_format"


def test_a_compression_out_of_range_is_refused():
    with pytest.raises(RequestError) as caught:
        canonical(Request(prompt="a fox", model="flux-2.0", output_compression=101))
    assert caught.value.message == "output_compression is 101, but flux-2.0 takes 0 to 100."
    assert caught.value.hint == "Give a whole number in that range."


# --- the rest


def test_insisting_sends_a_model_that_the_catalogue_does_not_know_as_it_stands():
    request = asked("777x13", model="imagen-9", quality="stunning")
    assert canonical(request, allow_unknown_model=True) == request


def test_insisting_changes_nothing_about_a_model_that_is_known():
    with pytest.raises(RequestError):
        canonical(asked("21:9", model="seedream-4.0"), allow_unknown_model=True)


def test_without_insisting_an_unknown_model_is_refused():
    with pytest.raises(UnknownNameError):
        canonical(asked(model="imagen-9"))


def test_conversions_are_reported_in_words():
    before = asked("1536x1024", quality="high")
    assert conversions(before, canonical(before)) == [
        "size 1536x1024 is asked for as 3:2",
        "quality high is asked for as hd",
    ]


def test_what_is_not_converted_is_not_reported():
    assert conversions(asked("16:9"), canonical(asked("16:9"))) == []


@pytest.mark.parametrize(
    ("model", "n", "sample", "parts"),
    [
        ("flux-2.0", 1, 0, [(0, 1)]),
        ("flux-2.0", 4, 0, [(0, 4)]),
        ("flux-2.0", 9, 0, [(0, 4), (4, 4), (8, 1)]),
        ("flux-2.0", 5, 3, [(3, 4), (7, 1)]),
        ("gpt-image-2", 3, 0, [(0, 1), (1, 1), (2, 1)]),
        ("imagen-9", 2, 0, [(0, 1), (1, 1)]),
    ],
)
def test_a_request_is_split_into_what_the_model_allows(model, n, sample, parts):
    request = Request(prompt="a fox", model=model, n=n, sample=sample)
    assert [(part.sample, part.n) for part in split(request)] == parts
