"""Every way from bytes to pixels and back agrees about the colours, whatever the mode of a picture."""

import io
import os
import random
import struct
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image
from sampling import rounds

from beluga_nb import images
from beluga_nb import images as images_module
from beluga_nb.compare.metrics import brightness
from beluga_nb.errors import InvalidImageError
from beluga_nb.images import _Decoded, decode, eight_bit, encode, flatten, shared, size_of
from beluga_nb.metadata import png
from beluga_nb.request import Request
from beluga_nb.result import Picture, Recipe, validate
from beluga_nb.session.session import Session
from beluga_nb.show.blind import blind
from beluga_nb.show.grid_table import Dimension, Figure, Square, Table
from beluga_nb.show.preview import LISTED_EDGE, TILE_EDGE, enlarged, montage, preview, thumbnail
from beluga_nb.show.sheet import small_sheet


@pytest.fixture(autouse=True)
def no_image_is_held(monkeypatch):
    """Where earlier tests have filled the room for decoded images, a new one is decoded again."""
    monkeypatch.setattr(images_module, "_DECODED", images_module._Decoded(images_module.MAX_DECODED))


SIZE = (96, 96)
WHITE = (255, 255, 255)
TOLERANCE = 8  # of a value from 0 to 255; a JPEG of a low quality is off by as much

RED, BLUE = (200, 30, 30), (30, 60, 200)


def halves(mode, left, right):
    image = Image.new(mode, SIZE, left)
    # Pillow pastes a plain value into 16 bits by its low byte only.
    image.paste(Image.new(mode, (SIZE[0] // 2, SIZE[1]), right), (SIZE[0] // 2, 0))
    return image


def encoded(image, kind, **options):
    image.save(buffer := io.BytesIO(), kind, **options)
    return buffer.getvalue()


def palette(**options):
    image = halves("P", 0, 1)
    image.putpalette([*RED, *BLUE])
    return encoded(image, "PNG", **options)


def chunk(name, content):
    checked = name + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def sixteen_bits(color_type, left, right):
    """A PNG of 16 bits a channel, which Pillow cannot write in colour."""
    half = SIZE[0] // 2
    row = b"\0" + struct.pack(f">{len(left) * half}H", *left * half)
    row += struct.pack(f">{len(right) * half}H", *right * half)
    header = struct.pack(">IIBBBBB", *SIZE, 16, color_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * SIZE[1])), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def animated(kind, **options):
    frames = [halves("RGB", RED, BLUE), Image.new("RGB", SIZE, "lime")]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100, **options)


# The bytes, and the colours of the two halves on white.
PICTURES = {
    "RGB": (encoded(halves("RGB", RED, BLUE), "PNG"), RED, BLUE),
    "16-bit grey": (encoded(halves("I;16", 20_000, 60_000), "PNG"), (78, 78, 78), (234, 234, 234)),
    "palette": (palette(), RED, BLUE),
    "palette with a transparent colour": (palette(transparency=1), RED, WHITE),
    "grey with alpha": (encoded(halves("LA", (100, 255), (0, 128)), "PNG"), (100,) * 3, (127,) * 3),
    "CMYK": (
        encoded(halves("CMYK", (0, 200, 200, 0), (0, 0, 0, 128)), "JPEG", quality=95),
        (255, 55, 55),
        (127, 127, 127),
    ),
    "1-bit": (encoded(halves("1", 0, 1), "PNG"), (0, 0, 0), WHITE),
    "16-bit RGB": (sixteen_bits(2, (65_535, 20_000, 0), (0, 20_000, 65_535)), (255, 78, 0), (0, 78, 255)),
    "16-bit RGBA": (sixteen_bits(6, (65_535, 20_000, 0, 65_535), (0, 0, 0, 0)), (255, 78, 0), WHITE),
    "animated PNG": (animated("PNG"), RED, BLUE),
    "animated WebP": (animated("WEBP", lossless=True), RED, BLUE),
}


def picture_of(data):
    media_type = {b"\x89P": "image/png", b"\xff\xd8": "image/jpeg", b"RI": "image/webp"}[data[:2]]
    request = Request(prompt="a fox", model="flux-2.0")
    return Picture(data, media_type, Recipe(request=request, engine="x"))


def on_white(data):
    image = Image.open(io.BytesIO(data))
    white = Image.new("RGBA", image.size, "white")
    if image.mode == "I;16":
        image = Image.frombytes("L", image.size, image.tobytes()[1::2])  # the high bytes
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def of_halves(image):
    """The colours in the middle of the two halves."""
    return [image.getpixel((image.width * part // 4, image.height // 2)) for part in (1, 3)]


def is_near(one, other):
    return all(abs(a - b) <= TOLERANCE for a, b in zip(one, other, strict=True))


def saved(suffix):
    def save(picture, folder):
        return [on_white(picture.save(folder / f"fox{suffix}", metadata="none").read_bytes())]

    return save


def small(make):
    return lambda picture, _: [on_white(make(picture).data)]


WAYS = {
    "preview": small(preview),
    "enlarged": small(enlarged),
    "thumbnail": small(lambda picture: thumbnail(preview(picture), LISTED_EDGE)),
    "tile": small(lambda picture: thumbnail(preview(picture), TILE_EDGE)),
    "montage": small(lambda picture: montage([preview(picture)])),
    "blind": lambda picture, _: list(map(on_white, blind(picture.image, picture.image))),
    "saved as JPEG": saved(".jpg"),
    "saved as PNG": saved(".png"),
    "saved as WebP": saved(".webp"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PICTURES)
def test_every_copy_of_a_picture_has_its_colours(name, way, tmp_path):
    data, *colours = PICTURES[name]
    for copy in WAYS[way](picture_of(data), tmp_path):
        assert all(map(is_near, of_halves(copy), colours)), of_halves(copy)


@pytest.mark.parametrize("name", PICTURES)
def test_a_sheet_of_a_grid_has_the_colours_of_a_picture(name):
    data, *colours = PICTURES[name]
    picture = picture_of(data)
    square = Square((Figure(picture, "", lambda: decode(data)),))
    table = Table(caption="", prompts=(), dimensions=(Dimension("x", ("y",)),), squares={("y",): square})
    sheet = on_white(small_sheet(table).data)
    for colour in colours:
        pixels = sum(count for count, other in sheet.getcolors(1 << 20) if is_near(other, colour))
        assert pixels > 3_000, "of the 96 · 48 of a half"


@pytest.mark.parametrize("name", PICTURES)
def test_measures_see_the_colours_of_a_picture(name):
    data, *colours = PICTURES[name]
    luma = [(0.299 * red + 0.587 * green + 0.114 * blue) / 255 for red, green, blue in colours]
    assert brightness(decode(data)) == pytest.approx(sum(luma) / 2, abs=0.02)


@pytest.mark.parametrize("name", PICTURES)
def test_flattening_leaves_the_picture_as_it_is(name):
    image = decode(PICTURES[name][0])
    before = image.mode, image.tobytes()
    flatten(image).paste("black", (0, 0, *SIZE))
    assert (image.mode, image.tobytes()) == before


def test_a_transparent_value_of_16_bits_makes_no_other_value_transparent():
    grey = Image.open(io.BytesIO(encoded(halves("I;16", 200, 51_400), "PNG", transparency=200)))
    assert eight_bit(grey).convert("RGBA").getpixel((90, 5)) == (200, 200, 200, 255)


@pytest.mark.skipif(sys.platform != "linux", reason="Pillow keeps the GIL without a file of the system")
def test_other_threads_go_on_while_a_jpeg_is_encoded():
    image, beats, ended = Image.effect_noise((2000, 2000), 90), [], threading.Event()

    def beat():
        while not ended.wait(0.001):
            beats.append(None)

    interval, thread = sys.getswitchinterval(), threading.Thread(target=beat)
    thread.start()
    sys.setswitchinterval(1000)  # Only a thread that releases the GIL lets another one go on.
    try:
        before = len(beats)
        data = encode(image, "JPEG", quality=85, optimize=True)
        after = len(beats)
    finally:
        sys.setswitchinterval(interval)
        ended.set()
        thread.join()
    assert after > before
    assert data == encoded(image, "JPEG", quality=85, optimize=True)


# --- decoded once


def test_a_picture_is_decoded_once_for_its_check_its_preview_and_who_opens_it(monkeypatch, tmp_path):
    opened, open_ = [], Image.open

    def counting(source, *args, **kwargs):
        opened.append(source.getbuffer().nbytes)
        return open_(source, *args, **kwargs)

    monkeypatch.setattr(Image, "open", counting)
    session = Session(environ={}, folder=tmp_path, store=tmp_path / "store")
    picture = session.generate("a beluga whale, opened once").pictures[0]
    first = picture.image
    assert first == picture.image == picture.image
    assert first.format == "PNG"
    assert opened.count(len(picture.data)) == 1


def test_a_change_of_one_copy_is_in_no_other():
    data = encode(Image.new("RGB", (8, 8), "white"), "PNG")
    first = decode(data)
    first.paste("black", (0, 0, 8, 8))
    first.info["title"] = "mine"
    assert decode(data).getpixel((0, 0)) == (255, 255, 255)
    assert (decode(data).info, decode(data).format) == ({}, "PNG")


@pytest.mark.parametrize("mode", ["auto", "off"])
def test_a_picture_that_is_shown_before_it_is_opened_is_decoded_once(mode, monkeypatch, tmp_path):
    opened, open_ = [], Image.open

    def counting(source, *args, **kwargs):
        opened.append(source.getbuffer().nbytes)
        return open_(source, *args, **kwargs)

    monkeypatch.setattr(Image, "open", counting)
    session = Session(environ={}, folder=tmp_path, store=tmp_path / "store", mode=mode)
    result = session.generate("a beluga whale, shown first")
    assert result._repr_mimebundle_()
    assert result[0].size == (1024, 1024)
    assert opened.count(len(result.pictures[0].data)) == 1


@pytest.mark.parametrize("seed", range(50))
def test_no_reader_sees_what_another_draws(seed):
    choose = random.Random(seed)
    white = Image.new("RGB", (8, 8), "white")
    data = encode(white, "PNG")
    held = []

    def go_on(depth):
        for _ in range(choose.randrange(1, 5)):
            match choose.choice(["check", "read", "draw", "size"]):
                case "check" if depth < 3:
                    validate(data, lambda image: check(image, depth))
                case "read":
                    held.append(shared(data))
                case "draw":
                    taken = decode(data)
                    assert taken == white
                    taken.paste("black", (0, 0, 8, 8))
                case "size":
                    assert size_of(data) == (8, 8)

    def check(image, depth):
        # While a preview is made, other threads go on.
        go_on(depth + 1)
        held.append(image.copy())

    go_on(0)
    assert all(image.tobytes() == white.tobytes() for image in held)


@pytest.mark.parametrize("threads", [1, 8])
def test_decoded_pictures_are_held_within_their_limit_and_the_latest_stay(threads):
    weight, held = 100 * 100 * 4, _Decoded(12 * (100 * 100 * 4 + 1000))
    pictures = [(os.urandom(1000), Image.new("RGB", (100, 100))) for _ in range(200)]

    def use(part):
        for data, image in part:
            held.put(data, image)
            held.put(data, image)
            held.get(pictures[0][0])
            assert held.size <= held.most

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(use, [pictures[start::threads] for start in range(threads)]))
    kept = [data for data, image in pictures if held.get(data) is image]
    assert len(kept) == held.size // (weight + 1000) == 12
    if threads == 1:
        assert kept == [pictures[0][0], *(data for data, _ in pictures[-11:])]


def test_of_pictures_that_take_next_to_nothing_the_latest_thousand_are_held():
    held, image = _Decoded(10**9), Image.new("RGB", (8, 8))
    pictures = [b"%d" % number for number in range(1100)]
    for data in pictures:
        held.put(data, image)
    assert [data for data in pictures if held.get(data)] == pictures[100:]


def test_a_picture_above_the_limit_is_decoded_and_not_held():
    held = _Decoded(1000)
    held.put(b"large", Image.new("RGB", (100, 100)))
    assert (held.get(b"large"), held.size) == (None, 0)


@pytest.mark.parametrize("checked", [True, False], ids=["checked first", "opened first"])
def test_each_of_many_pictures_in_a_row_is_decoded_once_while_the_room_is_full(checked, monkeypatch):
    held = _Decoded(10 * 50 * 50 * 4)
    monkeypatch.setattr(images_module, "_DECODED", held)
    decoded, real = [], images_module._decoded
    monkeypatch.setattr(images_module, "_decoded", lambda data: decoded.append(data) or real(data))
    for number in range(rounds(200, 10_000)):
        picture = picture_of(encode(Image.new("RGB", (50, 50), (number % 256, number // 256, 0)), "PNG"))
        if checked:
            validate(picture.data)
        assert picture.image == picture.image
        assert preview(picture)
        assert picture.sha256
        assert picture.image.size == picture.size
        assert decoded == [picture.data]
        assert held.size <= held.most
        decoded.clear()


def test_who_reads_all_of_them_in_order_finds_those_that_are_held():
    weight = 100 * 100 * 4 + 4
    held = _Decoded(11 * weight)  # room for ten, and for one more that is not asked for again
    pictures = [(bytes((number, 0, 0, 0)), Image.new("RGB", (100, 100))) for number in range(16)]
    for data, image in pictures:
        held.put(data, image)
    found = []
    for data, image in pictures:
        found.append(held.get(data) is image)
        if not found[-1]:
            held.offer(data, image)
    assert found == [False] * 6 + [True] * 10
    held.offer(*pictures[0])
    assert held.get(pictures[0][0])  # once more
    held.offer(*pictures[1])
    held.offer(*pictures[2])
    assert [bool(held.get(data)) for data, _ in pictures[:3]] == [True, False, True]
    assert held.size == 11 * weight


def test_a_picture_whose_hash_is_known_is_held_without_its_data():
    held, image = _Decoded(10**6), Image.new("RGB", (100, 100))
    data = os.urandom(1000)
    held.put(data, image)
    assert held.get(data, "its hash") is image
    assert held.size == 100 * 100 * 4
    assert held.get(bytes(bytearray(data)), "its hash") is image
    assert held.get(bytes(bytearray(data)), "another") is None


def png_in_pieces(size, image):
    """A PNG whose image data lie in chunks of so many bytes."""
    data = encode(image, "PNG")
    [start, *_] = [chunk.start for chunk in png.chunks(data) if chunk.name == b"IDAT"]
    body = b"".join(chunk.content for chunk in png.chunks(data) if chunk.name == b"IDAT")
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return data[:start] + b"".join(png._chunk(b"IDAT", each) for each in pieces) + png._chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "in pieces"])
def test_a_picture_is_decoded_in_few_steps_between_which_another_thread_may_keep_the_gil(kind, monkeypatch):
    image = Image.effect_noise((700, 700), 90).convert("RGB")
    data = png_in_pieces(1000, image) if kind == "in pieces" else encode(image, kind)
    assert len(data) > 2 * 2**16
    before, steps, made = Image.open(io.BytesIO(data)).tobytes(), [], Image._getdecoder

    class Counted:
        def __init__(self, *args):
            self.decoder = made(*args)

        def decode(self, block):
            steps.append(len(block))
            return self.decoder.decode(block)

        def __getattr__(self, name):
            return getattr(self.decoder, name)

    monkeypatch.setattr(Image, "_getdecoder", Counted)
    assert decode(data).tobytes() == before
    assert len(steps) <= len(data) // images._BLOCK + 2


@pytest.mark.parametrize("cut", [*range(0, 60, 7), 300, 3000])
def test_a_png_in_pieces_that_is_cut_or_damaged_is_read_as_before(cut, monkeypatch):
    with_one_idat, whole = png.with_one_idat, png_in_pieces(500, Image.effect_noise((64, 64), 90))
    at = len(whole) - cut - 1
    for data in (whole[: at + 1], whole[:at] + b"~" + whole[at + 1 :], whole[:at] + whole[at + 1 :]):
        found = []
        for opened in (with_one_idat, io.BytesIO):
            monkeypatch.setattr(images.png, "with_one_idat", opened)
            try:
                found.append(decode(bytes(bytearray(data))).tobytes())
            except InvalidImageError as error:
                found.append((str(error), error.data))
        assert found[0] == found[1]


def png_with_wrong_sum(size):
    """A PNG in pieces whose pixels are right, and the checksum behind them in a chunk of its own is not."""
    data = png_in_pieces(size, Image.effect_noise((16, 16), 90))
    [*_, last, end] = png.chunks(data)
    chunks = png._chunk(b"IDAT", last.content[:-4]), png._chunk(b"IDAT", b"null")
    return data[: last.start] + b"".join(chunks) + data[end.start :]


@pytest.mark.parametrize("size", [7, 1000])
def test_a_png_in_pieces_is_read_where_only_the_sum_of_its_pixels_is_wrong_as_by_pillow(size):
    data = png_with_wrong_sum(size)
    assert decode(data).tobytes() == Image.open(io.BytesIO(data)).tobytes()
