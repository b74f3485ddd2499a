"""The small picture that goes into a notebook."""

import io

import pytest
from PIL import Image

from beluga_nb.images import decode
from beluga_nb.request import Request
from beluga_nb.result import Picture, Preview, Recipe
from beluga_nb.show.preview import montage, preview

FOX = Request(prompt="a fox", model="flux-2.0")


def picture(image, kind="PNG", **how):
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return Picture(buffer.getvalue(), f"image/{kind.lower()}", Recipe(request=FOX, engine="x"))


def noise(width, height, mode="RGB"):
    return Image.merge(mode, [Image.effect_noise((width, height), 200) for _ in mode])


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1024, 1024), (512, 512)),
        ((1536, 864), (512, 288)),
        ((864, 2016), (219, 512)),
        ((96, 64), (96, 64)),
        ((3000, 1), (512, 1)),
        ((1, 1), (1, 1)),
    ],
)
def test_a_preview_has_at_most_512_pixels_a_side_and_is_never_enlarged(size, expected):
    assert decode(preview(picture(Image.new("RGB", size, "red"))).data).size == expected


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_opaque_picture_becomes_a_jpeg(kind):
    small = preview(picture(Image.new("RGB", (600, 400), "red"), kind))
    assert small.media_type == "image/jpeg"
    assert decode(small.data).format == "JPEG"


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_transparent_picture_becomes_a_png_that_is_transparent(mode):
    small = preview(picture(Image.new(mode, (600, 400), 0)))
    assert small.media_type == "image/png"
    assert decode(small.data).convert("RGBA").getpixel((5, 5))[3] == 0


def test_a_palette_with_a_clear_colour_stays_transparent():
    small = preview(picture(Image.new("P", (600, 400), 0), transparency=0))
    assert small.media_type == "image/png"
    assert decode(small.data).convert("RGBA").getpixel((5, 5))[3] == 0


def test_a_picture_whose_alpha_hides_nothing_becomes_a_jpeg():
    image = noise(1024, 1024)
    image.putalpha(255)
    small = preview(picture(image))
    assert small.media_type == "image/jpeg"
    assert decode(small.data).size == (512, 512)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "I;16"])
def test_a_picture_in_any_mode_has_a_preview(mode):
    small = preview(picture(Image.new(mode, (600, 400), 0)))
    assert decode(small.data).getpixel((5, 5)) == (0, 0, 0)


def test_a_picture_for_print_has_a_preview():
    small = preview(picture(Image.new("CMYK", (600, 400), (0, 0, 0, 0)), "JPEG"))
    assert decode(small.data).getpixel((5, 5)) == (255, 255, 255)


def test_sixteen_bits_of_grey_stay_grey():
    small = preview(picture(Image.new("I;16", (600, 400), 32_768)))
    assert all(abs(value - 128) <= 2 for value in decode(small.data).getpixel((5, 5)))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1024, 1024), (512, 512), (1536, 864)])
def test_a_noisy_picture_has_a_preview_of_at_most_72000_bytes(mode, size):
    small = preview(picture(noise(*size, mode), compress_level=1))
    assert len(small.data) <= 72_000
    assert decode(small.data).width >= 128


def test_s28_a_preview_carries_nothing_of_the_original_but_its_pixels():
    image = Image.new("RGB", (600, 400), "red")
    exif = image.getexif()
    exif[0x010E] = "<script>SENTINEL</script>"
    original = picture(image, "JPEG", exif=exif, comment=b"SENTINEL", icc_profile=b"SENTINEL" * 40)
    assert b"SENTINEL" in original.data
    assert b"SENTINEL" not in preview(original).data


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_preview_is_the_same_each_time(mode):
    noisy = picture(noise(300, 200, mode))
    assert preview(noisy) == preview(noisy)


# --- several in one


def previews(*sizes, mode="RGB"):
    return [preview(picture(Image.new(mode, size))) for size in sizes]


@pytest.mark.parametrize(
    ("count", "size"),
    [(2, (1024, 508)), (3, (1024, 336)), (4, (1024, 1024)), (5, (1024, 680)), (9, (1024, 1024))],
)
def test_several_previews_become_one_sheet(count, size):
    sheet = montage(previews(*[(1024, 1024)] * count))
    assert sheet.media_type == "image/jpeg"
    assert decode(sheet.data).size == size


def test_a_sheet_of_different_shapes_is_as_large_as_it_must_be():
    sheet = decode(montage(previews((1024, 512), (512, 1024))).data)
    assert sheet.size == (508 + 8 + 254, 508)


def test_what_is_transparent_lies_on_white_in_a_sheet():
    sheet = montage(previews((400, 400), (400, 400), mode="RGBA"))
    assert sheet.media_type == "image/jpeg"
    assert decode(sheet.data).getpixel((50, 50)) == (255, 255, 255)


@pytest.mark.parametrize("count", [2, 3, 10])
def test_a_sheet_of_noisy_pictures_has_at_most_72000_bytes(count):
    noisy = preview(picture(noise(512, 512), compress_level=1))
    assert len(montage([noisy] * count).data) <= 72_000


def test_a_preview_is_a_value():
    assert Preview(b"x", "image/png") == Preview(b"x", "image/png")
