"""Where a picture may come from, and whether it came whole."""

import io
import zlib

import pytest
from PIL import Image

from beluga_nb.api.addresses import check_addresses, is_public, origin, picture_url
from beluga_nb.errors import InvalidImageError, InvalidResponseError
from beluga_nb.images import is_truncated
from beluga_nb.result import validate

SERVICE = "https://api.belugapi.com/v1"
HERE = "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    ("url", "base_url", "fetched"),
    [
        ("https://cdn.example/a.png?sig=1", SERVICE, "https://cdn.example/a.png?sig=1"),
        ("HTTPS://cdn.example/a.png", SERVICE, "https://cdn.example/a.png"),
        ("https://cdn.example:8443/a.png", SERVICE, "https://cdn.example:8443/a.png"),
        ("/files/a.png", SERVICE, "https://api.belugapi.com/files/a.png"),
        ("files/a.png", SERVICE, "https://api.belugapi.com/v1/files/a.png"),
        ("//cdn.example/a.png", SERVICE, "https://cdn.example/a.png"),
        ("/files/a.png", "https://10.0.0.5:8443/v1", "https://10.0.0.5:8443/files/a.png"),
        ("/files/a.png", HERE, "http://127.0.0.1:8000/files/a.png"),
        ("http://127.0.0.1:9000/a.png", HERE, "http://127.0.0.1:9000/a.png"),
        ("http://localhost:9000/a.png", HERE, "http://localhost:9000/a.png"),
        ("https://cdn.example/a.png", HERE, "https://cdn.example/a.png"),
    ],
)
def test_s20_a_picture_is_fetched_over_https_or_from_where_the_api_is(url, base_url, fetched):
    assert picture_url(url, base_url) == fetched


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://cdn.example/a.png",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "http://cdn.example/a.png",
        "https://me:secret@cdn.example/a.png",
        "https://me@cdn.example/a.png",
        "https://:secret@cdn.example/a.png",
        "https://@cdn.example/a.png",
        "https://[::1/a.png",
        "https://cdn.example:port/a.png",
        "https://cdn.example:99999/a.png",
        "https://cdn.example/a\x00.png",
        "https://cdn .example/a.png",
        "https://localhost/a.png",
        "https://LOCALHOST./a.png",
        "https://127.0.0.1/a.png",
        "https://127.1/a.png",
        "https://0/a.png",
        "https://0x7f000001/a.png",
        "https://2130706433/a.png",
        "https://017700000001/a.png",
        "https://[::1]/a.png",
        "https://[::ffff:127.0.0.1]/a.png",
        "https://api.localhost/a.png",
        "https://[64:ff9b::a00:1]/a.png",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.5/a.png",
    ],
)
def test_an_address_that_is_not_fetched_is_refused(url):
    with pytest.raises(InvalidResponseError) as caught:
        picture_url(url, SERVICE)
    assert caught.value.message.startswith("The answer's picture lies at an address that is not fetched: ")
    assert "It may have been billed" in caught.value.hint


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/a.png", "http://me@127.0.0.1/a.png"])
def test_an_api_on_this_machine_may_not_send_us_everywhere_either(url):
    with pytest.raises(InvalidResponseError):
        picture_url(url, HERE)


def test_a_refused_address_is_shown_without_its_password():
    with pytest.raises(InvalidResponseError) as caught:
        picture_url("https://me:SENTINEL@cdn.example/a.png?sig=SENTINEL", SERVICE)
    assert "SENTINEL" not in str(caught.value)


def test_a_refused_address_is_cleaned_and_cut():
    with pytest.raises(InvalidResponseError) as caught:
        picture_url("ftp://\x1b[31m" + "x" * 5000, SERVICE)
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/x", ("https", "a.example", 443)),
        ("http://a.example/x", ("http", "a.example", 80)),
        ("https://A.Example:8443", ("https", "a.example", 8443)),
        ("http://[::1]:80", ("http", "::1", 80)),
    ],
)
def test_an_origin_is_scheme_host_and_port(url, expected):
    assert origin(url) == expected


# --- bytes


def encoded(kind):
    image = Image.effect_noise((64, 64), 80).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


PNG, JPEG, WEBP = (encoded(kind) for kind in ("PNG", "JPEG", "WEBP"))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (WEBP, "image/webp"),
        (PNG + b"<script>alert(1)</script>", "image/png"),
        (JPEG + b"\n", "image/jpeg"),
        (WEBP + b"\0", "image/webp"),
    ],
    ids=["png", "jpeg", "webp", "png and more", "jpeg and more", "webp and more"],
)
def test_the_media_type_is_read_from_the_bytes(data, kind):
    assert validate(data)[0] == kind


@pytest.mark.parametrize(
    "data",
    [
        PNG[:-1],
        PNG[:-4],
        PNG[:-12],
        PNG[:-20],
        PNG[: len(PNG) // 2],
        PNG[:40],
        JPEG[:-1],
        JPEG[:-2],
        JPEG[: len(JPEG) // 2],
        WEBP[:-1],
        WEBP[: len(WEBP) // 2],
    ],
    ids=[
        "png-1",
        "png-4",
        "png-12",
        "png-20",
        "half-png",
        "png-head",
        "jpeg-1",
        "jpeg-2",
        "half-jpeg",
        "webp-1",
        "half-webp",
    ],
)
def test_a_picture_that_is_cut_short_is_a_bad_image_with_its_bytes(data):
    with pytest.raises(InvalidImageError) as caught:
        validate(data)
    assert caught.value.data == data


def test_a_picture_that_loads_and_yet_is_cut_short_is_called_so():
    with pytest.raises(InvalidImageError, match=r"The answer's picture is cut short\."):
        validate(PNG[:-1])


def test_an_end_mark_in_the_middle_does_not_make_a_picture_whole():
    text = PNG[:33] + b"\x00\x00\x00\x00IEND\xaeB`\x82" + PNG[33:-20]
    with pytest.raises(InvalidImageError):
        validate(text)


def test_a_picture_may_be_followed_by_anything():
    assert not is_truncated(PNG + PNG[:50])
    assert not is_truncated(JPEG + JPEG[:50])


def test_the_end_of_a_thumbnail_is_not_the_end_of_a_jpeg():
    thumbnail = b"\xff\xe1" + (2 + len(JPEG)).to_bytes(2, "big") + JPEG
    picture = JPEG[:2] + thumbnail + JPEG[2:]
    assert not is_truncated(picture)
    assert is_truncated(picture[: len(thumbnail) + 200])


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<svg/>", b"RIFF\xff\xff\xff\xffAVI "])
def test_what_is_no_picture_of_ours_is_not_cut(data):
    assert not is_truncated(data)


# --- addresses

INSIDE = [
    "127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "0.1.2.3",
    "192.0.2.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::a00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "2002:a00:1::1",
    "2001::1",
    "2001:db8::1",
    "fc00::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "images.example",
    "",
]


@pytest.mark.parametrize("address", INSIDE)
def test_s21_an_address_that_is_not_of_the_open_internet(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "2001:4860:4860::8888"]
)
def test_an_address_of_the_open_internet(address):
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "base_url", "addresses"),
    [
        ("https://cdn.example/a.png", SERVICE, ["93.184.216.34", "2606:2800:220:1::1"]),
        ("https://api.belugapi.com/a.png", SERVICE, ["10.0.0.5"]),
        ("https://10.0.0.5:8443/a.png", "https://10.0.0.5:8443/v1", ["10.0.0.5"]),
        ("http://localhost:9000/a.png", HERE, ["127.0.0.1", "::1"]),
        ("https://cdn.example/a.png", HERE, ["93.184.216.34"]),
    ],
)
def test_an_address_that_is_connected_to(url, base_url, addresses):
    check_addresses(url, base_url, addresses)


@pytest.mark.parametrize(
    ("url", "base_url", "addresses"),
    [
        ("https://cdn.example/a.png", SERVICE, ["127.0.0.1"]),
        ("https://cdn.example/a.png", SERVICE, ["93.184.216.34", "10.0.0.1"]),
        ("https://cdn.example/a.png", "https://10.0.0.5:8443/v1", ["10.0.0.6"]),
        ("https://10.0.0.5/a.png", "https://10.0.0.5:8443/v1", ["10.0.0.5"]),
        ("http://cdn.example/a.png", HERE, ["10.0.0.1"]),
        ("http://cdn.example/a.png", HERE, ["169.254.169.254"]),
    ],
)
def test_an_address_that_is_not_connected_to(url, base_url, addresses):
    with pytest.raises(InvalidResponseError, match="lies at an address that is not fetched"):
        check_addresses(url, base_url, addresses)


@pytest.mark.parametrize(
    "data",
    [
        JPEG[:2] + b"\xff\xe2\x00\x02" * 300_000 + JPEG[2:],
        PNG[:33] + (b"\0\0\0\0teSt" + zlib.crc32(b"teSt").to_bytes(4, "big")) * 300_000 + PNG[33:],
    ],
    ids=["JPEG", "PNG"],
)
def test_a_picture_of_too_many_parts_is_whole_and_not_decoded(data):
    assert not is_truncated(data)
    with pytest.raises(InvalidImageError, match="has more than") as caught:
        validate(data)
    assert caught.value.whole
