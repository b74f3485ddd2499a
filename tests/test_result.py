"""Requests, pictures and results, and what is decoded at all."""

import dataclasses
import io
import struct
import sys
import threading
import warnings
import zlib

import pytest
from conftest import ask, drawing, drawn
from PIL import Image

from beluga_nb.errors import APIConnectionError, EngineError, InvalidImageError, RequestError, StoreError
from beluga_nb.images import decode
from beluga_nb.request import Request
from beluga_nb.result import ImagePayload, IncompleteError, Picture, Recipe, Result

FOX = Request(prompt="a fox", model="flux-2.0")
FOXES = Request(prompt="a fox", model="flux-2.0", n=3, sample=2)


# --- requests


@pytest.mark.parametrize(
    ("given", "param", "code", "message"),
    [
        ({"prompt": ""}, "prompt", "missing_parameter", "The prompt is empty."),
        ({"prompt": " \n\t "}, "prompt", "missing_parameter", "The prompt is empty."),
        ({"prompt": "x" * 32_001}, "prompt", None, "The prompt has 32,001 characters."),
        (
            {"prompt": "a \ud83d fox"},
            "prompt",
            None,
            "The prompt holds a broken character at position 2 (half of a surrogate pair).",
        ),
        ({"prompt": None}, "prompt", None, "The prompt is None, not text."),
        ({"prompt": b"a fox"}, "prompt", None, "The prompt is b'a fox', not text."),
        ({"model": 2}, "model", None, "The model is 2, not text."),
        ({"size": 1024}, "size", None, "The size is 1024, not text."),
        ({"quality": True}, "quality", None, "The quality is True, not text."),
        ({"take": 2}, "take", None, "The take is 2, not text."),
        ({"n": 0}, "n", None, "n is 0."),
        ({"n": -1}, "n", None, "n is -1."),
        ({"n": True}, "n", None, "n is True."),
        ({"n": 1.5}, "n", None, "n is 1.5."),
        ({"n": "2"}, "n", None, "n is '2'."),
        ({"n": None}, "n", None, "n is None."),
        ({"sample": -1}, "sample", None, "sample is -1."),
        ({"sample": False}, "sample", None, "sample is False."),
    ],
)
def test_a_request_that_cannot_be_sent_is_refused_by_name(given, param, code, message):
    with pytest.raises(RequestError) as caught:
        Request(**{"prompt": "a fox", "model": "flux-2.0", **given})
    assert (caught.value.param, caught.value.code, caught.value.message) == (param, code, message)
    assert caught.value.hint


def test_a_value_of_the_wrong_kind_is_quoted_in_a_few_words_only():
    with pytest.raises(RequestError) as caught:
        Request(prompt=["x" * 9000], model="flux-2.0")  # type: ignore[arg-type]
    assert len(caught.value.message) < 120


def test_a_prompt_is_measured_without_the_blanks_around_it():
    prompt = "\n" + "x" * 32_000 + " "
    assert Request(prompt=prompt, model="flux-2.0").prompt == prompt


def test_a_request_counts_its_samples_from_the_first():
    assert list(FOXES.samples) == [2, 3, 4]


def test_a_part_of_a_request_differs_only_in_which_pictures():
    assert FOXES.slice(3) == dataclasses.replace(FOXES, n=1, sample=3)


def test_a_request_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        FOX.prompt = "a wolf"  # type: ignore[misc]


# --- results


@pytest.fixture
def foxes():
    return ask(drawing, FOXES)


def test_a_result_counts_and_indexes_like_a_list(foxes):
    assert len(foxes) == 3
    assert foxes[0].tobytes() == decode(drawn(FOXES, 2)).tobytes()
    assert foxes[-1].tobytes() == decode(drawn(FOXES, 4)).tobytes()


@pytest.mark.parametrize("index", [3, -4])
def test_an_index_outside_a_result_is_an_index_error(foxes, index):
    with pytest.raises(IndexError):
        foxes[index]


def test_a_slice_of_a_result_is_a_result(foxes):
    tail = foxes[1:]
    assert isinstance(tail, Result)
    assert tail.pictures == foxes.pictures[1:]
    assert tail.request == FOXES


def test_drawing_on_one_image_spoils_no_other(foxes):
    first = foxes[0]
    first.putpixel((0, 0), (1, 2, 3))
    assert foxes[0].getpixel((0, 0)) != (1, 2, 3)
    assert next(iter(foxes)).getpixel((0, 0)) != (1, 2, 3)


def test_iteration_gives_every_image_in_order(foxes):
    assert [image.tobytes() for image in foxes] == [
        foxes[0].tobytes(),
        foxes[1].tobytes(),
        foxes[2].tobytes(),
    ]


def test_each_picture_has_the_recipe_of_its_own_sample(foxes):
    assert [picture.recipe.request.sample for picture in foxes.pictures] == [2, 3, 4]
    assert [picture.recipe.request.n for picture in foxes.pictures] == [1, 1, 1]
    assert [picture.recipe.revised_prompt for picture in foxes.pictures] == [
        "a drawing of sample 2",
        "a drawing of sample 3",
        "a drawing of sample 4",
    ]


def test_the_recipe_of_several_pictures_speaks_for_none_of_them(foxes):
    assert foxes.recipe == Recipe(request=FOXES, engine="drawing", revised_prompt=None)


def test_the_recipe_of_one_picture_is_its_own():
    fox = ask(drawing, FOX)
    assert fox.recipe == Recipe(request=FOX, engine="drawing", revised_prompt="a drawing of sample 0")
    assert fox.recipe.created == 1_750_000_000


def test_an_empty_result_has_a_recipe_too():
    assert Result(FOX, ()).recipe == Recipe(request=FOX, engine="")


def test_a_result_shows_itself_as_its_view_says(foxes):
    shown = dataclasses.replace(foxes, renderer=lambda result: {"text/plain": f"{len(result)} foxes"})
    assert shown._repr_mimebundle_(include=None, exclude=None) == {"text/plain": "3 foxes"}


def test_a_result_without_a_view_shows_no_bytes(foxes):
    (shown,) = foxes._repr_mimebundle_().values()
    assert "PNG" not in shown
    assert len(shown) < 2000


def test_a_picture_names_its_bytes():
    picture = Picture(b"abc", "image/png", Recipe(request=FOX, engine="x"))
    assert picture.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_picture_knows_its_size(foxes):
    assert foxes.pictures[0].size == (96, 64)


@pytest.mark.parametrize(("engine", "procedural"), [("procedural", True), ("belugapi", False)])
def test_only_the_painter_is_procedural(engine, procedural):
    assert Recipe(request=FOX, engine=engine).procedural is procedural


# --- saving


def test_saving_without_metadata_writes_the_bytes_as_they_came(tmp_path):
    fox = ask(drawing, FOX)
    assert fox.save(tmp_path / "fox.PNG", metadata="none") == [tmp_path / "fox.PNG"]
    assert (tmp_path / "fox.PNG").read_bytes() == drawn(FOX, 0)


@pytest.mark.parametrize("name", ["fox.jpg", "fox.jpeg"])
def test_both_suffixes_of_jpeg_keep_a_jpeg_as_it_came(tmp_path, name):
    data = drawn(FOX, 0, "JPEG")
    Picture(data, "image/jpeg", Recipe(request=FOX, engine="x")).save(tmp_path / name, metadata="none")
    assert (tmp_path / name).read_bytes() == data


@pytest.mark.parametrize(("name", "kind"), [("fox.jpg", "JPEG"), ("fox.webp", "WEBP")])
def test_saving_under_another_format_converts(tmp_path, name, kind):
    ask(drawing, FOX).save(tmp_path / name)
    with Image.open(tmp_path / name) as image:
        assert (image.format, image.size) == (kind, (96, 64))


def test_saving_a_transparent_picture_as_jpeg_puts_it_on_white(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(buffer, "PNG")
    Picture(buffer.getvalue(), "image/png", Recipe(request=FOX, engine="x")).save(tmp_path / "fox.jpg")
    with Image.open(tmp_path / "fox.jpg") as image:
        assert image.getpixel((4, 4)) == (255, 255, 255)


def test_a_name_without_a_suffix_gets_the_one_of_its_format(tmp_path):
    assert ask(drawing, FOX).save(str(tmp_path / "fox"), metadata="none") == [tmp_path / "fox.png"]
    assert (tmp_path / "fox.png").read_bytes() == drawn(FOX, 0)


@pytest.mark.parametrize("name", ["fox.png", "fox"])
def test_several_pictures_are_numbered(tmp_path, foxes, name):
    paths = [tmp_path / f"fox-{number}.png" for number in (1, 2, 3)]
    assert foxes.save(tmp_path / name, metadata="none") == paths
    assert (tmp_path / "fox-2.png").read_bytes() == drawn(FOXES, 3)


def test_a_picture_that_cannot_be_written_fails_in_two_lines(tmp_path):
    with pytest.raises(StoreError) as caught:
        ask(drawing, FOX).save(tmp_path / f"{'x' * 300}.png")
    assert "x… cannot be written: " in caught.value.message
    assert caught.value.hint == "Name another file."
    with pytest.raises(RequestError) as refused:
        ask(drawing, FOX).save("fo\0x.png")
    assert str(refused.value) == "'fo\\x00x.png' names no file or folder.\nGive the path of one."


@pytest.mark.parametrize("picked", [lambda result: result, lambda result: result.pictures[0]])
def test_a_folder_that_does_not_exist_is_named(picked, tmp_path):
    with pytest.raises(StoreError) as caught:
        picked(ask(drawing, FOX)).save(tmp_path / "out/fox.png")
    assert str(caught.value) == f"The folder '{tmp_path / 'out'}' does not exist.\nCreate it first."


@pytest.mark.parametrize("name", [".", "", ".."])
@pytest.mark.parametrize("n", [1, 3])
def test_a_name_that_is_none_is_refused(name, n):
    with pytest.raises(RequestError, match="names no file"):
        ask(drawing, dataclasses.replace(FOX, n=n)).save(name)


def test_a_picture_is_saved_below_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ask(drawing, FOX).save("~/fox.png") == [tmp_path / "fox.png"]


def test_a_name_that_begins_like_a_home_folder_is_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ask(drawing, FOX).save("~1.png")
    assert (tmp_path / "~1.png").is_file()


def test_an_unknown_suffix_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(RequestError) as caught:
        ask(drawing, FOX).save(tmp_path / "fox.docx")
    assert caught.value.message == "'fox.docx' names no picture format that can be written."
    assert caught.value.hint == "Use .png, .jpg or .webp."
    assert list(tmp_path.iterdir()) == []


# --- decoding


def encoded(kind, size=(32, 32), mode="RGB"):
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, kind)
    return buffer.getvalue()


def png_header(width, height):
    """A PNG that claims a size and holds no pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = b"IDAT" + zlib.compress(b"")
    chunks = b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (head, body, b"IEND")
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_three_formats_are_decoded(kind):
    assert decode(encoded(kind)).size == (32, 32)


@pytest.mark.parametrize(
    "data",
    [
        encoded("GIF"),
        encoded("BMP"),
        encoded("TIFF"),
        b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        b"<!doctype html><title>Sign in</title>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"RIFF\x04\x00\x00\x00WEBP",
        b"\x00" * 64,
        png_header(0, 0),
    ],
    ids=["gif", "bmp", "tiff", "svg", "html", "eps", "png head", "jpeg head", "webp head", "zeros", "0x0"],
)
def test_what_is_no_readable_picture_is_a_bad_image_with_its_bytes(data):
    with pytest.raises(InvalidImageError) as caught:
        decode(data)
    assert caught.value.data == data
    assert (caught.value.billing, caught.value.may_be_billed) == ("", False)
    assert "billed" not in str(caught.value)
    assert f"{len(data):,} bytes are no readable PNG, JPEG or WebP" in caught.value.message


def test_an_empty_picture_is_a_bad_image():
    with pytest.raises(InvalidImageError, match=r"The picture is empty\."):
        decode(b"")


@pytest.mark.parametrize(("width", "height"), [(8000, 5001), (10_000, 10_000), (20_000, 20_000)])
def test_s25_a_picture_above_forty_megapixels_is_not_decoded(width, height):
    data = png_header(width, height)
    with pytest.raises(InvalidImageError) as caught:
        decode(data)
    assert caught.value.data == data
    assert caught.value.message == "The picture has more than 40 million pixels."
    assert caught.value.hint == "It is not decoded; its bytes are kept as they came."


def test_decoding_on_many_threads_leaves_the_warning_filters_alone():
    before = list(warnings.filters)
    data = encoded("PNG")

    def decode_many():
        for _ in range(100):
            decode(data)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=decode_many) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert warnings.filters == before


# --- incomplete answers


def test_an_incomplete_answer_says_how_many_arrived_and_why_not_all(foxes):
    error = IncompleteError(foxes[:2], [APIConnectionError("The cable is cut.", "Mend it.")])
    assert error.message == "2 of 3 pictures arrived; the rest failed: The cable is cut."
    assert error.hint == "Mend it. Running it again asks only for what is missing."
    assert isinstance(error, EngineError)
    assert (len(error.result), len(error.causes), error.status) == (2, 1, 502)


def test_a_result_is_as_long_as_its_answers():
    result = Result.of(FOXES, [ImagePayload(b"1"), ImagePayload(b"2")], engine="x")
    assert [picture.recipe.request.sample for picture in result.pictures] == [2, 3]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_grey_of_sixteen_bits_is_saved_with_its_values(tmp_path, suffix):
    grey = Image.new("I;16", (8, 8), 20_000)
    result = Result.of(Request(prompt="a fox", model="flux-2.0"), [grey], engine="mine")
    [path] = result.save(tmp_path / f"fox{suffix}", metadata="none")
    value = Image.open(path).getpixel((0, 0))
    assert (
        value == 20_000
        if suffix == ".png"
        else set(value if isinstance(value, tuple) else [value]) <= {77, 78, 79}
    )


# --- the one picture


def test_the_one_picture_of_a_result_is_its_image():
    one = ask(drawing, FOX)
    assert one.image == one[0]


@pytest.mark.parametrize(
    ("kept", "message", "hint"),
    [
        (0, "This result has no picture.", "Ask again: result.rerun()"),
        (
            3,
            "This result has 3 pictures, and .image is for one.",
            "Take one by its number, such as result[0], or all of them: for image in result",
        ),
    ],
)
def test_an_image_of_none_or_several_says_in_two_lines_what_to_do(kept, message, hint):
    result = ask(drawing, FOXES)[:kept]
    with pytest.raises(RequestError) as caught:
        result.image  # noqa: B018
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_result_and_a_picture_are_one_line_of_text():
    request = Request(prompt="a red fox " + "in the snow\n" * 40, model="flux-2.0", size="16:9", n=2)
    result = ask(drawing, request)
    prompt = "“a red fox in the snow in the snow in the snow in the snow i…”"
    assert repr(result) == f"<Result: 2 pictures of {prompt}, flux-2.0, 16:9>"
    assert repr(result.pictures[0]) == f"<Picture of {prompt}, flux-2.0, 16:9, image/png>"
    assert str([result[:1]]) == f"[<Result: 1 picture of {prompt}, flux-2.0, 16:9>]"
