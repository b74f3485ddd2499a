"""Images that share pixels: whatever Pillow does to one of them, no other one shows it."""

import contextlib
import copy
import pickle
from functools import partial
from io import BytesIO

import pytest
from PIL import Image, ImageCms, ImageDraw, ImageFilter, ImageOps

from beluga_nb.images import decode, encode, shared

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
SIZE = (8, 8)


def painted(mode):
    """Return the PNG of an image with different pixels, and with a transparent colour if it has a palette."""
    grey = Image.linear_gradient("L").resize(SIZE)
    image = Image.merge("RGBA", [grey, grey.rotate(90), grey.rotate(180), grey])
    options = {"transparency": 3} if mode == "P" else {}
    return encode(image if mode == "RGBA" else image.convert("RGB").convert(mode), "PNG", **options)


ARGUMENTS = {
    "alpha_composite": [(Image.new("RGBA", SIZE, (9, 9, 9, 99)),)],
    "convert": [("L",), ("RGBA",), ("P",)],
    "crop": [((1, 1, 5, 5),)],
    "effect_spread": [(2,)],
    "filter": [(ImageFilter.BLUR,)],
    "frombytes": [(bytes(8 * 8 * size),) for size in (1, 2, 3, 4)] + [(bytes(8),)],
    "paste": [(1, (0, 0, 4, 4)), (Image.new("L", SIZE, 7),)],
    "point": [(lambda value: value // 2,), ([*range(255, -1, -1)],)],
    "putalpha": [(7,), (Image.new("L", SIZE, 7),)],
    "putdata": [([0] * 64,), ([(1, 2, 3)] * 64,), ([(1, 2)] * 64,), ([(1, 2, 3, 4)] * 64,)],
    "putpalette": [(bytes(range(255, -1, -1)) * 3,), (bytes(1024), "RGBA")],
    "putpixel": [((1, 1), 0), ((1, 1), (1, 2)), ((1, 1), (1, 2, 3)), ((1, 1), (1, 2, 3, 4))],
    "quantize": [(4,)],
    "remap_palette": [([*range(255, -1, -1)],)],
    "resize": [((4, 4),), (SIZE,)],
    "rotate": [(0,), (90,), (30,)],
    "save": [(BytesIO(), "PNG")],
    "thumbnail": [((4, 4),), (SIZE,)],
    "transform": [((4, 4), Image.Transform.EXTENT, (0, 0, 8, 8))],
    "transpose": [(Image.Transpose.ROTATE_90,)],
}
METHODS = [name for name in dir(Image.Image) if not name.startswith("_") and name != "show"]
COLOURS = (0, (1, 2), (1, 2, 3), (1, 2, 3, 4))
DRAWN = [name for name in dir(ImageDraw.ImageDraw) if not name.startswith("_")]


def by_method(name, arguments):
    def change(image):
        method = getattr(image, name)
        made = method(*arguments) if callable(method) else method
        if isinstance(made, Image.Image):
            made.paste(0, (0, 0, *made.size))

    return change


def by_drawing(name, colour):
    def change(image):
        draw = ImageDraw.Draw(image)
        for arguments in ([(1, 1), (6, 6)], [(1, 1), (6, 1), (3, 6)], [(1, 1), (6, 6)], (1, 1)), ():
            with contextlib.suppress(Exception):
                getattr(draw, name)(*arguments[:1], fill=colour)

    return change


def by_pixel(colour, *, before):
    def change(image):
        if before:
            image.paste(1, (0, 0, 2, 2))
        pixels = image.load()
        pixels[1, 1] = colour
        assert pixels[1, 1] == image.getpixel((1, 1))
        image.putpixel((2, 2), colour)
        assert pixels[2, 2] == image.getpixel((2, 2))

    return change


def in_place(image):
    rgb = ImageCms.createProfile("sRGB")
    lab = ImageCms.createProfile("LAB")
    ImageCms.applyTransform(image, ImageCms.buildTransform(rgb, lab, "RGB", "RGB", 3), inPlace=True)
    ImageCms.profileToProfile(image, rgb, rgb, renderingIntent=0, inPlace=True)


def turned(image):
    image.getexif()[0x0112] = 6
    ImageOps.exif_transpose(image, in_place=True)


METHOD_CALLS = [(name, arguments) for name in METHODS for arguments in ARGUMENTS.get(name, [()])]
CHANGES = {
    **{f"{name}, {number}": by_method(name, each) for number, (name, each) in enumerate(METHOD_CALLS)},
    **{f"{name} in {colour}": by_drawing(name, colour) for name in DRAWN for colour in COLOURS},
    **{f"pixel {colour}": by_pixel(colour, before=False) for colour in COLOURS},
    **{f"pixel {colour}, after a change": by_pixel(colour, before=True) for colour in COLOURS},
    **{f"flood {colour}": partial(ImageDraw.floodfill, xy=(1, 1), value=colour) for colour in COLOURS},
    "in place": in_place,
    "turned": turned,
    "transparency, then a pixel": lambda image: (image.apply_transparency(), image.putpixel((1, 1), 5)),
    "transparency, then pixels": lambda image: (image.apply_transparency(), image.load()),
}


def described(image):
    with contextlib.suppress(ValueError):  # it is closed
        return image.mode, image.size, image.info, image.getpalette("RGBA"), image.tobytes()


def change(image, how):
    """Change an image; return what became of it, with the error if it has raised one."""
    try:
        CHANGES[how](image)
    except Exception as error:
        return type(error).__name__, str(error), described(image)
    return "", "", described(image)


@pytest.mark.parametrize("mode", MODES)
def test_what_is_done_to_one_image_is_in_no_other_and_is_what_pillow_does(mode):
    data, changed = painted(mode), set()
    before = described(shared(data))
    for how in CHANGES:
        opened = decode(data)
        after = change(opened, how)
        if "spread" not in how:  # at random
            assert after == change(shared(data).copy(), how), how
        assert described(shared(data)) == described(decode(data)) == before, how
        if after[2] != before:
            changed.add(how.partition(",")[0].partition(" ")[0])
    assert changed >= {"paste", "thumbnail", "close", "turned", "rectangle", "pixel", "flood"}


def test_an_image_is_copied_when_it_is_changed_and_not_before():
    data = painted("RGB")
    first, second = decode(data), decode(data)
    first.load()
    assert first.load()[1, 1] == first.getpixel((1, 1)) == second.crop((1, 1, 2, 2)).getpixel((0, 0))
    assert first.im is second.im is shared(data).im
    first.load()[0, 0] = (1, 2, 3)
    own = first.im
    first.paste("black", (0, 0, 2, 2))
    assert second.im is shared(data).im is not own
    assert first.im is own


def test_a_shared_image_is_an_image_of_pillow_to_all_who_ask():
    image = decode(painted("RGB"))
    plain = image.copy()
    assert type(plain) is Image.Image
    assert image == plain == image
    assert repr(image).split(" at ")[0] == repr(plain).split(" at ")[0]
    for copied in (pickle.loads(pickle.dumps(image)), copy.copy(image), copy.deepcopy(image)):
        assert type(copied) is Image.Image
        assert copied == image
        assert copied.im is not image.im
