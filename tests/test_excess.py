"""A small file that takes long to read is refused before it is read, and an ordinary one never is."""

import io
import os
import random
import struct
import zlib

import pytest
from PIL import Image

from beluga_nb.errors import InvalidImageError
from beluga_nb.images import decode
from beluga_nb.metadata import jpeg, png
from beluga_nb.metadata.excess import MAX_CHUNKS, MAX_SCANS, MAX_SEGMENTS, excess
from beluga_nb.request import Request
from beluga_nb.result import Picture, Recipe

SCAN, END = b"\xff\xda", b"\xff\xd9"


def counting(parts, read):
    """Read the same parts, and write each down."""

    def counted(data):
        for part in parts(data):
            read.append(part)
            yield part

    return counted


def jpeg_of(mode="L", size=(64, 64), **how):
    image = Image.frombytes(mode, size, random.Random(1).randbytes(size[0] * size[1] * len(mode)))
    image.save(buffer := io.BytesIO(), "JPEG", **how)
    return buffer.getvalue()


def with_scans(data, count):
    """A JPEG whose last scan comes again until there are so many."""
    starts = [at for at in range(len(data)) if data.startswith(SCAN, at)]
    return data[:-2] + data[starts[-1] : -2] * (count - len(starts)) + END


def with_head(segments):
    return lambda count: jpeg_of()[:2] + segments * count + jpeg_of()[2:]


def chunk(kind, content=b""):
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def png_of(before=b"", after=b""):
    Image.new("L", (9, 9)).save(buffer := io.BytesIO(), "PNG")
    whole = buffer.getvalue()
    head, tail = whole.index(b"IDAT") - 4, len(whole) - 12
    return whole[:head] + before + whole[head:tail] + after + whole[tail:]


MANY = {
    "scans of a grey JPEG": (lambda count: with_scans(jpeg_of(progressive=True), count), MAX_SCANS, "scans"),
    "scans of a coloured JPEG": (
        lambda count: with_scans(jpeg_of("RGB", progressive=True), count),
        MAX_SCANS,
        "scans",
    ),
    "scans of a JPEG that is not progressive": (
        lambda count: with_scans(jpeg_of(), count),
        MAX_SCANS,
        "scans",
    ),
    "scans with restarts": (
        lambda count: with_scans(jpeg_of(progressive=True, restart_marker_blocks=1), count),
        MAX_SCANS,
        "scans",
    ),
    "comments of a JPEG": (with_head(b"\xff\xfe\0\2"), MAX_SEGMENTS, "segments"),
    "APP1 of a JPEG": (with_head(b"\xff\xe1\0\4xx"), MAX_SEGMENTS, "segments"),
    "tables of a JPEG": (with_head(b"\xff\xdb\0\x43\0" + bytes(range(1, 65))), MAX_SEGMENTS, "segments"),
    "filled up markers of a JPEG": (with_head(b"\xff"), MAX_SEGMENTS, "segments"),
    "restarts before a JPEG's scan": (with_head(b"\xff\xd0"), MAX_SEGMENTS, "segments"),
    "texts of a PNG": (lambda count: png_of(chunk(b"tEXt", b"a\0b") * count), MAX_CHUNKS, "chunks"),
    "unknown chunks of a PNG": (lambda count: png_of(chunk(b"teSt") * count), MAX_CHUNKS, "chunks"),
    "empty data of a PNG": (lambda count: png_of(b"", chunk(b"IDAT") * count), MAX_CHUNKS, "chunks"),
}


@pytest.mark.parametrize("what", MANY)
@pytest.mark.parametrize("times", [1.5, 10])
def test_a_picture_of_too_many_parts_is_refused_soon_and_kept_whole(what, times, monkeypatch):
    made, most, words = MANY[what]
    data = made(int(times * most))
    read = []
    for module, name in ((png, "chunks"), (jpeg, "segments")):
        monkeypatch.setattr(module, name, counting(getattr(module, name), read))
    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", None)
        with pytest.raises(InvalidImageError) as caught:
            decode(data)
    assert len(read) <= most + 100, "a picture has some parts of other kinds"
    assert caught.value.message == f"The picture has more than {most:,} {words}."
    assert (caught.value.whole, caught.value.data) == (True, data)
    request = Request(prompt="a fox", model="flux-2.0")
    with pytest.raises(InvalidImageError):
        Picture(data, "image/png", Recipe(request=request, engine="x")).size  # noqa: B018


@pytest.mark.parametrize(
    "what", [each for each in MANY if "restarts before" not in each and "is not progressive" not in each]
)
def test_what_has_fewer_is_read(what):
    made, most, _ = MANY[what]
    assert decode(made(most // 4)).width in {9, 64}


THUMBNAIL = b"Exif\0\0" + SCAN * 200
ORDINARY = {
    **{
        f"{mode}, {how}": jpeg_of(mode, **how)
        for mode in ("L", "RGB", "CMYK")
        for how in (
            {},
            {"progressive": True},
            {"optimize": True},
            {"restart_marker_blocks": 1},
            {"subsampling": 0},
        )
    },
    "noise with all bytes": jpeg_of("RGB", (700, 700), quality=100),
    "a film behind it": jpeg_of() + SCAN * 5000 + os.urandom(10**6),
    "a thumbnail within": jpeg_of(exif=THUMBNAIL),
    "all of a colour profile": jpeg_of(icc_profile=os.urandom(3 * 10**6)),
    "a PNG": png_of(),
    "a PNG in 8 KB": png_of(chunk(b"teSt", bytes(8192)) * 5000),
}


@pytest.mark.parametrize("what", ORDINARY)
def test_an_ordinary_picture_is_read(what):
    assert excess(ORDINARY[what]) == ""
    assert decode(ORDINARY[what]).width in {9, 64, 700}


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_picture_is_looked_at_without_an_error_of_ours(seed):
    chance = random.Random(seed)
    for data in (jpeg_of("RGB", progressive=True), png_of(chunk(b"teSt", bytes(99)) * 9)):
        broken = bytearray(data[: chance.randrange(9, len(data))])
        for _ in range(chance.randrange(9)):
            broken[chance.randrange(9, len(broken))] = chance.randrange(256)
        assert excess(bytes(broken)) == ""
