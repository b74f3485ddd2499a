"""Pictures side by side show the same part; a curtain shows one up to the split, and the other behind it."""

import io
import itertools

import pytest
from PIL import Image

from beluga_nb.show.comparison import curtain, decoded, side_by_side

RED, BLUE = (255, 0, 0), (0, 0, 255)

MIDDLE = {"zoom": 1.0, "across": 0.5, "down": 0.5}


def quarters(size=(400, 200)):
    """A picture that is red, green, blue and white, clockwise from the left top."""
    image = Image.new("RGB", size, "white")
    width, height = size[0] // 2, size[1] // 2
    for place, colour in (((0, 0), "red"), ((width, 0), "lime"), ((width, height), "blue")):
        image.paste(colour, (*place, place[0] + width, place[1] + height))
    return image


def seen(preview):
    image = Image.open(io.BytesIO(preview.data)).convert("RGB")
    assert preview.media_type == "image/jpeg"
    return image


def near(colour, wanted):
    return max(abs(a - b) for a, b in zip(colour, wanted, strict=True)) < 12


def test_the_whole_is_shown_at_first_each_in_its_own_shape():
    wide, tall = side_by_side([quarters(), quarters((200, 400))], **MIDDLE)
    assert (seen(wide).size, seen(tall).size) == ((512, 256), (256, 512))


@pytest.mark.parametrize(
    ("across", "down", "colour"),
    [(0, 0, (255, 0, 0)), (1, 0, (0, 255, 0)), (1, 1, (0, 0, 255)), (0, 1, (255, 255, 255))],
)
def test_zoom_and_pan_show_the_same_part_of_all(across, down, colour):
    for part in side_by_side([quarters(), quarters((800, 800))], zoom=2.0, across=across, down=down):
        image = seen(part)
        middle = image.getpixel((image.width // 2, image.height // 2))
        assert near(middle, colour)


def coloured(name, edge):
    return Image.new("RGB", (edge, edge), name)


@pytest.mark.parametrize(("split", "left", "middle"), [(0.25, RED, BLUE), (0.0, BLUE, BLUE), (1.0, RED, RED)])
def test_the_curtain_shows_one_and_then_the_other(split, left, middle):
    both = seen(curtain(coloured("red", 100), coloured("blue", 50), split=split, **MIDDLE))
    assert both.size == (1024, 1024)
    assert near(both.getpixel((100, 500)), left)
    assert near(both.getpixel((600, 500)), middle)


SHAPES = [(160, 90), (90, 160), (100, 100)]


@pytest.mark.parametrize(("left", "right"), [*itertools.product(SHAPES, SHAPES)])
@pytest.mark.parametrize("split", [0.0, 1.0])
def test_the_curtain_stretches_no_picture(left, right, split):
    """A circle's box keeps its shape, whatever the shape of the other picture."""
    box = {}
    for name, size in (("red", left), ("blue", right)):
        middle = (size[0] // 2, size[1] // 2)
        box[name] = Image.new("RGB", size, "white")
        box[name].paste(name, (middle[0] - 30, middle[1] - 30, middle[0] + 30, middle[1] + 30))
    both = seen(curtain(box["red"], box["blue"], split=split, **MIDDLE))
    wanted = RED if split else BLUE
    width = sum(near(both.getpixel((x, both.height // 2)), wanted) for x in range(both.width))
    height = sum(near(both.getpixel((both.width // 2, y)), wanted) for y in range(both.height))
    assert width == pytest.approx(height, rel=0.05)
    assert width > 300


def test_what_is_transparent_is_seen_on_white():
    [shown] = side_by_side([Image.new("RGBA", (10, 10), (0, 0, 0, 0))], **MIDDLE)
    assert near(seen(shown).getpixel((200, 200)), (255, 255, 255))


def test_what_is_known_is_not_decoded_again():
    class Once:
        sha256 = "ab"

        @property
        def image(self):
            raise AssertionError

    known = {"ab": quarters(), "cd": quarters()}
    assert decoded([Once(), Once()], known) == {"ab": known["ab"]}
