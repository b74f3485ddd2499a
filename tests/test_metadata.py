"""Metadata in PNG, JPEG and WebP: in and out again, no other byte changed, and safe with any file."""

import contextlib
import io
import random
import struct
import time
import zlib
from xml.etree import ElementTree

import pytest
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from beluga_nb.errors import BelugaError, MetadataError, UnknownNameError
from beluga_nb.metadata import files, jpeg, png, webp, xmp
from beluga_nb.metadata.embedding import embed, extract, has_c2pa, strip
from beluga_nb.metadata.formats import sniff
from beluga_nb.painter.painting import paint

SAID = {
    "xmp:CreatorTool": "beluga_nb",
    "Iptc4xmpExt:AIPromptInformation": "a fox <&> \"hen\"\r\n\t'日本' 🦊\x00\x0b",
    "beluga:recipe": '{"prompt": "a fox & a hen"}',
}
FOREIGN = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description r:about="uuid:7"'
    ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="GIMP"><xmp:Rating>5</xmp:Rating>'
    '</r:Description></r:RDF></x:xmpmeta><?xpacket end="w"?>'
)


def scene(mode="RGB", size=(61, 40)):
    image = Image.new("RGB", size, (30, 90, 160))
    ImageDraw.Draw(image).ellipse((8, 6, 50, 34), (220, 120, 40))
    if mode in {"RGBA", "LA"}:
        image.putalpha(Image.linear_gradient("L").resize(size))
    return image.convert(mode)


def encoded(kind, mode="RGB", **how):
    buffer = io.BytesIO()
    scene(mode).save(buffer, kind, **how)
    return buffer.getvalue()


def exif():
    tags = Image.Exif()
    tags[0x0131] = "a camera"
    return tags


def texts(*pairs):
    info = PngInfo()
    for key, value in pairs:
        info.add_itxt(key, value)
    return info


def interlaced():
    """A grey PNG of 2 x 2 pixels in Adam7: Pillow reads such files, and does not write them."""
    rows = zlib.compress(b"\0\x10" + b"\0\x20" + b"\0\x30\x40")
    parts = (b"IHDR" + struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 1), b"IDAT" + rows, b"IEND")
    return png.SIGNATURE + b"".join(
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts
    )


def animated(kind):
    frames = [scene().rotate(angle) for angle in (0, 90)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


FILES = {
    "png": ("image/png", encoded("PNG")),
    "png grey": ("image/png", encoded("PNG", "L")),
    "png palette": ("image/png", encoded("PNG", "P")),
    "png transparent": ("image/png", encoded("PNG", "RGBA")),
    "png transparent palette": ("image/png", encoded("PNG", "P", transparency=0)),
    "png interlaced": ("image/png", interlaced()),
    "png animated": ("image/png", animated("PNG")),
    "png with text": ("image/png", encoded("PNG", pnginfo=texts(("Comment", "é")))),
    "png with xmp": ("image/png", encoded("PNG", pnginfo=texts(("XML:com.adobe.xmp", FOREIGN)))),
    "png painted": ("image/png", paint("a fox", model="flux-2.0", size=(48, 32)).png()),
    "jpeg": ("image/jpeg", encoded("JPEG")),
    "jpeg grey": ("image/jpeg", encoded("JPEG", "L")),
    "jpeg progressive": ("image/jpeg", encoded("JPEG", progressive=True)),
    "jpeg with exif": ("image/jpeg", encoded("JPEG", exif=exif())),
    "jpeg with profile": ("image/jpeg", encoded("JPEG", icc_profile=b"x" * 70_000)),
    "jpeg with xmp": ("image/jpeg", encoded("JPEG", xmp=FOREIGN.encode())),
    "jpeg painted": ("image/jpeg", paint("a fox", model="flux-2.0", size=(48, 32)).encoded("image/jpeg")),
    "webp lossy": ("image/webp", encoded("WEBP")),
    "webp lossless": ("image/webp", encoded("WEBP", lossless=True)),
    "webp lossy with alpha": ("image/webp", encoded("WEBP", "RGBA")),
    "webp lossless with alpha": ("image/webp", encoded("WEBP", "RGBA", lossless=True)),
    "webp animated": ("image/webp", animated("WEBP")),
    "webp with exif": ("image/webp", encoded("WEBP", exif=exif())),
    "webp with profile": ("image/webp", encoded("WEBP", icc_profile=b"x" * 301)),
    "webp with xmp": ("image/webp", encoded("WEBP", xmp=FOREIGN.encode())),
    "webp painted": ("image/webp", paint("a fox", model="flux-2.0", size=(48, 32)).encoded("image/webp")),
}


@pytest.fixture(params=FILES)
def file(request):
    return FILES[request.param]


def opened(data):
    return Image.open(io.BytesIO(data))


def pixels(data):
    image = opened(data)
    frames = []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        frames.append((image.size, image.convert("RGBA").tobytes()))
    return frames


# --- in and out


def test_what_goes_in_comes_out_and_leaves_the_file_as_it_was(file):
    media_type, data = file
    embedded = embed(data, media_type, SAID)
    assert extract(embedded, media_type) == SAID["beluga:recipe"]
    assert strip(embedded, media_type) == data
    assert extract(data, media_type) is None
    assert strip(data, media_type) is data


def test_no_pixel_and_no_frame_changes(file):
    media_type, data = file
    assert pixels(embed(data, media_type, SAID)) == pixels(data)


def test_embedding_twice_is_embedding_once(file):
    media_type, data = file
    once = embed(data, media_type, SAID)
    assert embed(once, media_type, SAID) == once
    other = embed(once, media_type, {"beluga:recipe": "{}"})
    assert (extract(other, media_type), strip(other, media_type)) == ("{}", data)


def test_pillow_reads_the_packet(file):
    media_type, data = file
    image = opened(embed(data, media_type, SAID))
    described = image.getxmp()["xmpmeta"]["RDF"]["Description"]
    described = described[-1] if isinstance(described, list) else described
    assert described["recipe"] == SAID["beluga:recipe"]
    assert described["AIPromptInformation"].startswith("a fox <&> \"hen\"\r\n\t'日本' 🦊")


def test_everything_else_in_the_file_stays(file):
    media_type, data = file
    before, after = opened(data), opened(embed(data, media_type, SAID))
    before.load()
    after.load()
    changed = {"xmp", "XML:com.adobe.xmp"}
    assert {name: after.info[name] for name in after.info if name not in changed} == {
        name: before.info[name] for name in before.info if name not in changed
    }
    assert dict(after.getexif()) == dict(before.getexif())


def test_the_packet_stands_behind_the_header_and_before_the_pixels():
    names = [chunk.name for chunk in png._chunks(embed(FILES["png"][1], "image/png", SAID))]
    assert names[:2] == [b"IHDR", b"iTXt"]
    markers = [
        segment.marker for segment in jpeg._segments(embed(FILES["jpeg with exif"][1], "image/jpeg", SAID))
    ]
    assert markers[:3] in ([0xE0, 0xE1, 0xE1], [0xE1, 0xE1, 0xDB])
    names = [chunk.name for chunk in webp._chunks(embed(FILES["webp lossy"][1], "image/webp", SAID))]
    assert names == [b"VP8X", b"VP8 ", b"XMP "]


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("webp")])
def test_the_header_of_a_webp_says_what_is_in_it(name):
    header = webp._chunks(embed(FILES[name][1], "image/webp", SAID))[0]
    flags, width, height = header.content[0], header.content[4:7], header.content[7:10]
    assert header.name == b"VP8X"
    assert flags & 0x04
    assert bool(flags & 0x02) == ("animated" in name)
    assert bool(flags & 0x10) == ("alpha" in name or "animated" in name)  # there by its encoder
    assert (int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1) == opened(
        FILES[name][1]
    ).size


# --- packets of others


def test_a_packet_of_another_program_keeps_its_words_and_is_not_contradicted():
    text = xmp.joined(FOREIGN.encode(), SAID).decode()
    assert text.startswith(FOREIGN.partition("</r:RDF>")[0])
    assert text.count("CreatorTool") == 1
    assert 'rdf:about="uuid:7"' in text
    assert xmp.without(text.encode()) == FOREIGN.encode()
    ElementTree.fromstring(text.replace("\ufeff", ""))


def test_the_painters_own_packet_says_what_it_said():
    data = embed(FILES["png painted"][1], "image/png", SAID)
    assert png.find(data).startswith(png.find(FILES["png painted"][1]).partition(b"</rdf:RDF>")[0])
    assert png.find(data).count(b"CreatorTool") == 1


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (b"<x/>", "has no place"),
        (b"not xml", "is damaged"),
        (b"", "is damaged"),
        (FOREIGN.encode("utf-16"), "is not UTF-8"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "document type"),
        (b" " * (xmp.LARGEST + 1), "at most"),
        (FOREIGN.replace("xmp:Rating", "beluga:recipe").encode(), "is damaged"),
        (
            FOREIGN.replace('r:about="uuid:7"', 'xmlns:b="urn:x-beluga-nb:recipe:1#" b:recipe="x"').encode(),
            "another recipe",
        ),
    ],
)
def test_a_packet_that_cannot_take_more_is_left_alone(packet, why):
    with pytest.raises(MetadataError, match=why):
        xmp.joined(packet, SAID)


def test_compressed_xmp_is_left_alone():
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", FOREIGN, zip=True)
    with pytest.raises(MetadataError, match="compressed"):
        embed(encoded("PNG", pnginfo=info), "image/png", SAID)


def test_more_than_a_jpeg_segment_holds_is_refused_and_what_just_fits_is_not():
    data = FILES["jpeg"][1]
    room = jpeg.LONGEST - len(xmp.joined(None, {"beluga:recipe": ""}))
    embedded = embed(data, "image/jpeg", {"beluga:recipe": "x" * room})
    assert len(extract(embedded, "image/jpeg")) == room
    assert pixels(embedded) == pixels(data)
    with pytest.raises(MetadataError, match="65,502 bytes of XMP"):
        embed(data, "image/jpeg", {"beluga:recipe": "x" * (room + 1)})


def test_what_could_not_be_taken_out_again_is_not_put_in():
    image = webp._chunks(FILES["webp lossy"][1])[0]
    header = webp._chunk(b"VP8X", bytes(4) + bytes([60, 0, 0, 39, 0, 0]))  # which this file does not need
    body = b"WEBP" + header + FILES["webp lossy"][1][image.start : image.end]
    with pytest.raises(MetadataError, match="could not be taken out again"):
        embed(b"RIFF" + struct.pack("<I", len(body)) + body, "image/webp", SAID)


def test_bytes_after_the_end_of_a_file_stay():
    for name in ("png", "jpeg", "webp lossy"):
        media_type, data = FILES[name]
        embedded = embed(data + b"appended", media_type, SAID)
        assert embedded.endswith(b"appended")
        assert strip(embedded, media_type) == data + b"appended"


# --- signatures


def signed(name):
    """A file with a C2PA box that holds nothing: where it is, and not what it says, counts here."""
    media_type, data = FILES[name]
    box = b"\0\0\0\x10jumbjumdc2pa"
    if media_type == "image/png":
        return data[:33] + png._chunk(b"caBX", box) + data[33:]
    if media_type == "image/jpeg":
        content = b"JP\0\1\0\0\0\1" + box
        return data[:2] + b"\xff\xeb" + struct.pack(">H", len(content) + 2) + content + data[2:]
    body = data[12:] + webp._chunk(b"C2PA", box)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


@pytest.mark.parametrize("name", ["png", "jpeg", "webp lossy"])
def test_a_signed_file_is_known(name):
    media_type, data = FILES[name]
    assert has_c2pa(signed(name), media_type)
    assert not has_c2pa(data, media_type)


@pytest.mark.parametrize("name", ["png", "jpeg", "webp lossy"])
def test_a_signed_file_stays_as_it_is_and_the_reason_is_reported(name, tmp_path):
    path = tmp_path / "fox"
    with pytest.warns(UserWarning, match=r"signed \(C2PA\).* The recipe is in fox\.xmp\."):
        files.write(path, signed(name), FILES[name][0], SAID, how="auto")
    assert path.read_bytes() == signed(name)
    assert files.read(path) == (signed(name), signed(name), FILES[name][0], (SAID["beluga:recipe"],))


# --- files


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fox.png"


def test_embedding_into_a_signed_file_can_be_insisted_on(path):
    files.write(path, signed("png"), "image/png", SAID, how="embed")
    assert extract(path.read_bytes(), "image/png") == SAID["beluga:recipe"]
    assert not files.sidecar(path).exists()


def test_a_sidecar_is_asked_for_in_peace(path):
    files.write(path, FILES["png"][1], "image/png", SAID, how="sidecar")
    assert path.read_bytes() == FILES["png"][1]
    assert xmp.recipe((path.parent / "fox.png.xmp").read_bytes()) == SAID["beluga:recipe"]


def test_without_metadata_the_bytes_are_the_same_and_nothing_lies_beside_them(path):
    files.write(path, FILES["png painted"][1], "image/png", SAID, how="none")
    assert path.read_bytes() == FILES["png painted"][1]
    assert list(path.parent.iterdir()) == [path]


def test_without_metadata_a_recipe_that_was_in_the_bytes_goes(path):
    files.write(path, embed(FILES["png"][1], "image/png", SAID), "image/png", SAID, how="none")
    assert path.read_bytes() == FILES["png"][1]


@pytest.mark.parametrize("how", ["auto", "none"])
def test_saving_again_leaves_no_sidecar_of_the_picture_before(path, how):
    files.write(path, FILES["png"][1], "image/png", SAID, how="sidecar")
    files.write(path, FILES["png"][1], "image/png", SAID, how=how)
    assert list(path.parent.iterdir()) == [path]


def test_a_sidecar_of_another_program_keeps_its_words(path):
    files.sidecar(path).write_text(FOREIGN, "utf-8")
    files.write(path, FILES["png"][1], "image/png", SAID, how="sidecar")
    assert xmp.recipe(files.sidecar(path).read_bytes()) == SAID["beluga:recipe"]
    files.write(path, FILES["png"][1], "image/png", SAID, how="none")
    assert files.sidecar(path).read_text("utf-8") == FOREIGN


def test_too_long_a_recipe_for_a_jpeg_lies_beside_it(path):
    properties = SAID | {"beluga:recipe": "x" * 70_000}
    with pytest.warns(UserWarning, match=r"A JPEG holds 65,502 bytes of XMP.* fox\.png\.xmp"):
        files.write(path, FILES["jpeg"][1], "image/jpeg", properties, how="auto")
    assert path.read_bytes() == FILES["jpeg"][1]
    assert files.read(path).recipes == ("x" * 70_000,)


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: b"\xff\xd8\xff" + data])
def test_a_picture_that_can_hold_nothing_has_its_recipe_beside_it(path, damage):
    data = damage(FILES["png"][1])
    with pytest.warns(UserWarning, match="The recipe is in fox.png.xmp"):
        files.write(path, data, sniff(data), SAID, how="auto")
    assert files.read(path) == (data, data, sniff(data), (SAID["beluga:recipe"],))


def test_a_broken_sidecar_that_was_there_is_left_and_reported(path):
    files.sidecar(path).write_bytes(b"notes")
    with pytest.raises(MetadataError, match="picture is saved, but its recipe is not") as caught:
        files.write(path, FILES["png"][1], "image/png", SAID, how="sidecar")
    assert caught.value.hint == "Move that file away, and save again."
    assert path.read_bytes() == FILES["png"][1]
    assert files.sidecar(path).read_bytes() == b"notes"


def test_a_way_that_does_not_exist_is_refused_before_anything_is_written(path):
    with pytest.raises(UnknownNameError, match="No way to save metadata 'embedd'"):
        files.write(path, FILES["png"][1], "image/png", SAID, how="embedd")
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("gone.png", "There is no file 'gone.png'.", "Looked in"),
        ("folder", "'folder' is a folder.", "Give the name of a picture in it."),
        (
            "text.png",
            "'text.png' is not a PNG, JPEG or WebP.",
            "Only a picture that beluga_nb saved has a recipe.",
        ),
        ("bare.png", "'bare.png' holds no recipe.", "Pictures that save() wrote hold one"),
        ("cut.png", "No recipe can be read from 'cut.png'.", "The PNG ends in the middle of a chunk."),
    ],
)
def test_a_file_without_a_recipe_says_so_in_two_lines(tmp_path, name, first, second):
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.png").write_text("a fox")
    (tmp_path / "bare.png").write_bytes(FILES["png"][1])
    (tmp_path / "cut.png").write_bytes(FILES["png"][1][:-5])
    with pytest.raises(MetadataError) as caught:
        files.read(tmp_path / name)
    assert caught.value.message == first
    assert caught.value.hint.startswith(second)


# --- files from anywhere


def damaged(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice([0, 1, 1, 2, 8])):
        data[rng.randrange(min(len(data), rng.choice([40, 400, 40_000])))] = rng.randrange(256)
    return bytes(data[: rng.randrange(len(data) + 1)] if rng.random() < 0.4 else data)


def test_no_damaged_file_raises_anything_but_our_errors():
    rng = random.Random(7)
    whole = [
        (media_type, each)
        for media_type, data in FILES.values()
        for each in (data, embed(data, media_type, SAID))
    ]
    refused = 0
    for _ in range(3_000):
        media_type, data = rng.choice(whole)
        data = damaged(data, rng)
        for act in (extract, strip, has_c2pa, lambda *file: embed(*file, SAID)):
            try:
                act(data, media_type)
            except BelugaError:
                refused += 1
    assert refused > 1_000


def test_no_noise_raises_anything_but_our_errors():
    rng = random.Random(8)
    heads = {"image/png": png.SIGNATURE, "image/jpeg": b"\xff\xd8\xff", "image/webp": b"RIFF\xff\0\0\0WEBP"}
    for _ in range(600):
        media_type, head = rng.choice([*heads.items()])
        data = head + rng.randbytes(rng.randrange(80))
        for act in (extract, strip, has_c2pa, lambda *file: embed(*file, SAID)):
            try:
                act(data, media_type)
            except BelugaError:
                continue


@pytest.mark.parametrize(
    "bomb",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><x>&b;&b;&b;</x>',
        '<?xml version="1.0"?><!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
        "<a>" * 200_000,
        xmp._OPENING * 40_000,
        "</rdf:RDF" * 400_000,
        "<a>" * 200_000 + "</a>" * 200_000,
    ],
    ids=["entities", "outside", "deep", "openings", "closings", "deep and closed"],
)
def test_no_packet_expands_reaches_out_or_overflows(bomb):
    data = png.put(FILES["png"][1], bomb.encode())
    assert strip(data, "image/png") == data
    with pytest.raises(MetadataError):
        embed(data, "image/png", SAID)
    with contextlib.suppress(MetadataError):
        assert extract(data, "image/png") is None


EMPTY_PARTS = {
    "image/webp": (b"", b"VP8 \0\0\0\0"),
    "image/jpeg": (jpeg.SIGNATURE, b"\xff\xe2\0\2"),
    "image/png": (png.SIGNATURE, b"\0\0\0\0tEXt" + struct.pack(">I", zlib.crc32(b"tEXt"))),
}


@pytest.mark.parametrize("work", [extract, strip, has_c2pa, lambda *given: embed(*given, SAID)])
@pytest.mark.parametrize("media_type", EMPTY_PARTS)
def test_a_file_of_nothing_but_empty_parts_is_refused_before_most_are_read(media_type, work):
    head, part = EMPTY_PARTS[media_type]
    data = head + part * 2_000_000
    if media_type == "image/webp":
        data = b"RIFF" + struct.pack("<I", len(data) + 4) + b"WEBP" + data
    began = time.thread_time()
    with pytest.raises(MetadataError, match="has more than 65,536 parts"):
        work(data, media_type)
    assert time.thread_time() - began < 1


def test_a_marker_that_is_filled_up_for_ever_is_damage_found_at_once():
    began = time.thread_time()
    with pytest.raises(MetadataError, match="damaged before its scan"):
        extract(jpeg.SIGNATURE + b"\xff" * 50_000_000, "image/jpeg")
    assert time.thread_time() - began < 1


def test_the_texts_of_a_png_are_taken_out_in_one_go():
    text = b"\0\0\0\0tEXt" + struct.pack(">I", zlib.crc32(b"tEXt"))
    whole = FILES["png"][1]
    head, rest = whole[:33], whole[33:] + bytes(10_000_000)
    began = time.thread_time()
    assert png.without_text(head + text * 50_000 + rest) == head + rest
    assert time.thread_time() - began < 1
