"""Measures on pictures that were built so that their values are known."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from beluga_nb.compare import metrics
from beluga_nb.compare.metrics import (
    alike,
    brightness,
    colourfulness,
    contrast,
    fingerprint,
    number,
    sharpness,
    takes_recipe,
)
from beluga_nb.compare.scores import NEAR
from beluga_nb.errors import RequestError


def even(colour, size=(64, 48)):
    return Image.new("RGB", size, colour)


def halves(left, right, size=(64, 64)):
    image = Image.new("RGB", size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


def chequered(side=64):
    odd = np.indices((side, side)).sum(axis=0) % 2
    return Image.fromarray((odd * 255).astype(np.uint8))


def scene(seed=1, size=(256, 192)):
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, "lightblue")
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = rng.integers(0, size[0]), rng.integers(0, size[1])
        radius = int(rng.integers(10, 60))
        colour = tuple(int(each) for each in rng.integers(0, 255, 3))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return image


def test_an_even_picture_has_neither_contrast_nor_sharpness():
    for grey in (0, 128, 255):
        image = even((grey, grey, grey))
        assert brightness(image) == pytest.approx(grey / 255)
        assert contrast(image) == pytest.approx(0, abs=1e-9)
        assert sharpness(image) == pytest.approx(0, abs=1e-9)
        assert colourfulness(image) == pytest.approx(0, abs=1e-9)


def test_half_black_and_half_white_has_the_highest_contrast():
    assert contrast(halves("black", "white")) == pytest.approx(0.5)
    assert brightness(halves("black", "white")) == pytest.approx(0.5)


def test_brightness_is_the_luma_of_bt_601():
    assert brightness(even((255, 0, 0))) == pytest.approx(0.299)
    assert brightness(even((0, 255, 0))) == pytest.approx(0.587)
    assert brightness(even((0, 0, 255))) == pytest.approx(0.114)


def test_a_chequered_picture_is_as_sharp_as_can_be():
    # Each Laplacian is +4·255 or -4·255, in equal numbers.
    assert sharpness(chequered()) == pytest.approx((4 * 255) ** 2)


def test_blurring_takes_sharpness_away_step_by_step():
    crisp = scene()
    values = [sharpness(crisp.filter(ImageFilter.GaussianBlur(radius))) for radius in (0, 1, 2, 4)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0] / 10


def test_colourfulness_is_that_of_the_paper_worked_out_by_hand():
    # All pure red: rg = 255 and yb = 127.5 everywhere, no deviation; 0.3·√(255² + 127.5²).
    assert colourfulness(even((255, 0, 0))) == pytest.approx(85.529, abs=1e-3)
    # Half red, half blue: rg is 255 and 0, yb is 127.5 and -255.
    assert colourfulness(halves("red", "blue")) == pytest.approx(
        np.hypot(127.5, 191.25) + 0.3 * np.hypot(127.5, -63.75)
    )


def test_pictures_of_several_sizes_compare():
    large = scene(size=(2048, 1536))
    small = large.resize((1024, 768), Image.Resampling.LANCZOS)
    for measured in (brightness, contrast, colourfulness):
        assert measured(large) == pytest.approx(measured(small), rel=0.01)
    assert sharpness(large) == pytest.approx(sharpness(small), rel=0.35)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK", "I;16", "1"])
def test_every_mode_is_measured(mode):
    image = Image.new("I;16", (32, 32), 32768) if mode == "I;16" else even("grey").convert(mode)
    assert 0.4 < brightness(image) < 0.6 or mode == "1"
    fingerprint(image)


def test_what_is_transparent_stands_on_white():
    assert brightness(Image.new("RGBA", (8, 8), (0, 0, 0, 0))) == 1


def test_a_picture_of_one_pixel_is_measured():
    assert [each.function(even("red", (1, 1))) for each in metrics.METRICS.values()]


def test_a_fingerprint_survives_compressing_and_scaling():
    image, buffer = scene(), io.BytesIO()
    image.save(buffer, "JPEG", quality=40)
    for near in (
        Image.open(buffer),
        image.resize((100, 75)),
        image.point(lambda value: min(255, value + 10)),
    ):
        assert (fingerprint(near) ^ fingerprint(image)).bit_count() <= NEAR


def test_other_pictures_and_turned_ones_have_other_fingerprints():
    prints = [fingerprint(scene(seed)) for seed in range(12)]
    prints.append(fingerprint(scene(0).transpose(Image.Transpose.ROTATE_90)))
    far = [(one ^ other).bit_count() for i, one in enumerate(prints) for other in prints[:i]]
    assert min(far) > NEAR
    assert alike(prints) == []


def test_even_pictures_have_one_fingerprint_and_no_noise_in_it():
    assert fingerprint(even("red")) == fingerprint(even("white")) == 1 << 63


def test_a_group_holds_whatever_is_near_to_one_of_it():
    assert alike([0b000, 0b001, 0b011, 0b111111, 0b111111], within=1) == [[0, 1, 2], [3, 4]]
    assert alike([]) == []


def test_a_function_of_two_wants_the_recipe_and_options_do_not_count():
    assert takes_recipe(lambda image, recipe: (image, recipe))
    assert not takes_recipe(lambda image, size=3: (image, size))
    assert not takes_recipe(max)
    assert not takes_recipe(lambda image, *, quick: (image, quick))


def test_a_number_is_a_number():
    assert number(np.float32(0.5)) == 0.5
    assert number(1 << 63) == 1 << 63
    for value in (True, "3", None, float("nan"), float("inf"), [1]):
        with pytest.raises(RequestError, match="not a number"):
            number(value)
