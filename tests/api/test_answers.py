"""What an answer may look like: a picture is found whatever it is in, and nothing else is taken for one."""

import base64
import gzip
import io
import itertools
import json
import random
import re
import tracemalloc
import zlib
from urllib.parse import quote

import pytest
from conftest import drawn
from PIL import Image

from beluga_nb.api.answers import MOST_ITEMS, ParsedAnswer, parse
from beluga_nb.api.body import MOST_INFLATED, inflated
from beluga_nb.api.encoded import decoded
from beluga_nb.errors import InvalidResponseError
from beluga_nb.request import Request
from beluga_nb.wire import NOT_SENT_AGAIN, Item

PNG = drawn(Request(prompt="a fox", model="flux-2.0"), 0)
BASE64 = base64.b64encode(PNG).decode()
NONE = "A picture in the answer has neither url nor b64_json."

# --- the family: each spelling of base64, in each container, in each envelope


def wrapped(width, end):
    return end.join(BASE64[at : at + width] for at in range(0, len(BASE64), width))


SPELLINGS = {
    "plain": BASE64,
    "wrapped": wrapped(76, "\n"),
    "wrapped as in a mail": wrapped(60, "\r\n") + "\r\n",
    "newline at the end": BASE64 + "\n",
    "blanks around": f"  {BASE64}\t",
    "unpadded": BASE64.rstrip("="),
    "URL-safe": base64.urlsafe_b64encode(PNG).decode(),
    "URL-safe, unpadded": base64.urlsafe_b64encode(PNG).decode().rstrip("="),
    "data URL": f"data:image/png;base64,{BASE64}",
    "data URL with a charset": f"data:image/png;charset=utf-8;base64,{BASE64}",
    "data URL, wrapped": f"data:image/png;base64,{wrapped(76, chr(10))}",
    "hexadecimal": PNG.hex(),
    "HEXADECIMAL": PNG.hex().upper(),
    "DATA URL": f"DATA:IMAGE/PNG;BASE64,{BASE64}",
    "data URL of any bytes": f"data:application/octet-stream;base64,{BASE64}",
}

CONTAINERS = {
    "the API": lambda text: {"created": 7, "data": [{"b64_json": text}]},
    "one object": lambda text: {"data": {"b64_json": text}},
    "strings": lambda text: {"data": [text]},
    "one string": lambda text: {"data": text},
    "images": lambda text: {"images": [{"image": text}]},
    "list of images": lambda text: {"images": [text]},
    "bare list": lambda text: [{"b64_json": text}],
    "bare item": lambda text: {"b64_json": text},
    "another name": lambda text: {"data": [{"base64": text, "mime": "image/png"}]},
    "deep": lambda text: {"result": {"output": {"images": [{"content": {"data": text}}]}}},
    "inline data": lambda text: {"candidates": [{"content": {"parts": [{"inlineData": {"data": text}}]}}]},
    "responses": lambda text: {"output": [{"type": "image_generation_call", "result": text}]},
    "chat": lambda text: {"choices": [{"message": {"images": [{"image_url": {"url": text}}]}}]},
    "beside an error": lambda text: {"data": [{"b64_json": text}], "error": {"message": "a warning"}},
    "beside an address of something else": lambda text: {
        "link": "https://a.example/help",
        "data": [{"b64_json": text}],
    },
    "beside its address": lambda text: {"data": [{"url": "https://a.example/1.png", "b64_json": text}]},
    "under two names": lambda text: {"image": text, "base64": text},
    "beside a job": lambda text: {"id": "7", "status": "succeeded", "output": [text]},
}


def events(text):
    half = {"type": "image_generation.partial_image", "b64_json": BASE64[:40], "partial_image_index": 0}
    return f"event: draft\ndata: {json.dumps(half)}\n\nevent: done\ndata: {text}\n\ndata: [DONE]\n\n".encode()


ENVELOPES = {
    "JSON": str.encode,
    "indented": lambda text: json.dumps(json.loads(text), indent=2).encode(),
    "slashes escaped": lambda text: text.replace("/", "\\/").encode(),
    "pluses escaped": lambda text: text.replace("+", "\\u002b").encode(),
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, little end first": lambda text: text.encode("utf-16-le"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "a NUL after it": lambda text: text.encode() + b"\0",
    "words after it": lambda text: text.encode() + b"\n<!-- took 3 s -->",
    "blanks before it": lambda text: b"\r\n \t" + text.encode(),
    "heartbeats before it": lambda text: b"\n" * 40 + text.encode(),
    "a guard before it": lambda text: b")]}'\n" + text.encode(),
    "a Latin-1 byte": lambda text: b'{"note": "caf\xe9", "answer": ' + text.encode() + b"}",
    "a raw newline in a string": lambda text: b'{"note": "a\nb\tc", "answer": ' + text.encode() + b"}",
    "5,000 digits": lambda text: b'{"created": ' + b"9" * 5000 + b', "answer": ' + text.encode() + b"}",
    "NaN": lambda text: b'{"cost": NaN, "answer": ' + text.encode() + b"}",
    "JSON in JSON": lambda text: json.dumps(text).encode(),
    "one line each": lambda text: b'{"status": "queued"}\n' + text.encode() + b"\n",
    "events": events,
    "events without names": lambda text: f"data: {text}\n\n".encode(),
    "events, as Windows ends lines": lambda text: events(text).replace(b"\n", b"\r\n"),
    "cut after the picture": lambda text: text.encode()[:-1],
    "gzip of several members": lambda text: b"".join(
        gzip.compress(text.encode()[at : at + 100]) for at in range(0, len(text.encode()), 100)
    ),
    "gzip": lambda text: gzip.compress(text.encode()),
    "gzip twice": lambda text: gzip.compress(gzip.compress(text.encode())),
}

FAMILY = list(itertools.product(CONTAINERS, ENVELOPES))


@pytest.mark.parametrize(("container", "envelope"), FAMILY)
def test_a_picture_is_found_however_it_is_spelt_and_whatever_it_is_in(container, envelope):
    for spelling, text in SPELLINGS.items():
        body = ENVELOPES[envelope](json.dumps(CONTAINERS[container](text)))
        found = [item for item in parse(body).items if isinstance(item, Item)]
        assert [item.data for item in found] == [PNG], spelling


ODD_SPELLINGS = {
    "data URL with blanks": f" data:image/png;base64, {BASE64}",
    "data URL, percent-encoded": f"data:image/png;base64,{quote(BASE64, safe='')}",
    "Python's bytes": str(BASE64.encode()),
    "a word before it": f"base64,{BASE64}",
}


@pytest.mark.parametrize("spelling", ODD_SPELLINGS)
@pytest.mark.parametrize("envelope", ENVELOPES)
def test_a_picture_under_the_apis_own_name_is_found_within_other_letters(spelling, envelope):
    body = ENVELOPES[envelope](json.dumps({"data": [{"b64_json": ODD_SPELLINGS[spelling]}]}))
    assert parse(body).items == (Item(data=PNG),)


def test_the_family_has_thousands_of_members():
    assert len(SPELLINGS) * len(FAMILY) > 4_500


OTHER = drawn(Request(prompt="a whale", model="flux-2.0"), 0)
SEVERAL = {
    "numbered": lambda first, second: {"image_0": first, "image_1": second},
    "numbers": lambda first, second: {"data": {"0": first, "1": second}},
    "named": lambda first, second: {"result": {"front": first, "back": second}},
    "numbered items": lambda first, second: {"images": {"a": {"b64": first}, "b": {"b64": second}}},
    "lists": lambda first, second: {"a": {"images": [first]}, "b": {"images": [second]}},
    "beside the first": lambda first, second: {"image": first, "images": [first, second]},
    "beside a page": lambda first, second: {"url": "https://a.example/", "data": [first, second]},
    "beside a small copy": lambda first, second: {"data": [{"image": first, "thumb": BASE64[:40]}, second]},
}


@pytest.mark.parametrize("several", SEVERAL)
@pytest.mark.parametrize("envelope", ENVELOPES)
def test_several_pictures_are_found_in_order(several, envelope):
    pair = [base64.b64encode(each).decode() for each in (PNG, OTHER)]
    body = ENVELOPES[envelope](json.dumps(SEVERAL[several](*pair)))
    assert [item.data for item in parse(body).items] == [PNG, OTHER]


def picture(kind):
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(buffer, kind)
    return buffer.getvalue()


KINDS = {"PNG": PNG, "JPEG": picture("JPEG"), "WebP": picture("WEBP")}

# Bodies that are no document of which a picture is a member.
LOOSE = {
    "base64 alone": lambda text: text,
    "base64, wrapped": lambda text: re.sub("(.{76})", r"\1\n", text),
    "a data URL alone": lambda text: f"data:image/png;base64,{text}",
    "a DATA URL alone": lambda text: f"DATA:image/png;base64,{text}",
    "Markdown": lambda text: f"Here you are:\n![a fox](data:image/png;base64,{text})\nEnjoy!",
    "XML": lambda text: f"<?xml version='1.0'?><answer><image>{text}</image></answer>",
    "HTML": lambda text: f'<img src="data:image/png;base64,{text}">',
    "a Python repr": lambda text: repr({"data": [{"b64_json": text}]}),
    "a Python repr of bytes": lambda text: repr({"data": [{"b64_json": text.encode()}]}),
    "JavaScript": lambda text: f"callback({{data: '{text}'}});",
    "words before and after": lambda text: f"Done. {text} It took 3 s.",
    "a chat in Markdown": lambda text: json.dumps(
        {"id": "7", "choices": [{"message": {"content": f"Here: ![](data:image/png;base64,{text})"}}]}
    ),
    "a list of numbers": lambda text: json.dumps({"image": list(base64.b64decode(text))}),
    "a Buffer": lambda text: json.dumps({"data": {"type": "Buffer", "data": list(base64.b64decode(text))}}),
    "Buffers": lambda text: json.dumps(
        {"images": [{"type": "Buffer", "data": list(base64.b64decode(text))}]}, separators=(",", ":")
    ),
}


@pytest.mark.parametrize("loose", LOOSE)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alphabet", ["usual", "URL-safe"])
def test_a_picture_is_found_in_a_body_of_no_known_shape(loose, kind, alphabet):
    encode = base64.b64encode if alphabet == "usual" else base64.urlsafe_b64encode
    if "umbers" in loose or "Buffer" in loose:
        encode = base64.b64encode
    body = LOOSE[loose](encode(KINDS[kind]).decode()).encode()
    assert [item.data for item in parse(body).items] == [KINDS[kind]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "before", [b"\r\n", b"\n", b"\xef\xbb\xbf", b" ", b"ok\n", b"content-type: image/png\r\n\r\n"]
)
def test_a_bare_picture_is_found_behind_other_bytes(kind, before):
    assert parse(before + KINDS[kind]).items == (Item(data=KINDS[kind]),)


@pytest.mark.parametrize(
    "body",
    [
        {"error": "no", "input": {"image": BASE64}},
        {"id": "7", "status": "queued", "input": {"image": BASE64}},
        {"id": "7", "status": "queued", "note": f"preview: {BASE64} "},
        {"type": "image_generation.partial_image", "b64_json": BASE64},
    ],
    ids=["error", "job", "note of a job", "draft"],
)
@pytest.mark.parametrize("envelope", ["JSON", "events without names"])
def test_a_picture_that_is_no_result_is_none(body, envelope):
    with pytest.raises(InvalidResponseError):
        parse(ENVELOPES[envelope](json.dumps(body)))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("content_type", ["image/png", "application/json", "text/html", ""])
def test_a_bare_picture_is_an_answer(kind, content_type):
    data = {"PNG": PNG, "JPEG": b"\xff\xd8\xff\xe0 and more", "WEBP": b"RIFF\x08\0\0\0WEBP and more"}[kind]
    assert parse(data, {"content-type": content_type}).items == (Item(data=data),)


def test_pictures_come_in_several_parts():
    parts = [b"content-type: application/json\r\n\r\n{}", b"content-type: image/png\r\n\r\n" + PNG]
    body = b"".join(b"--b7\r\n" + part + b"\r\n" for part in [*parts, parts[1]]) + b"--b7--\r\n"
    assert parse(body, {"content-type": 'multipart/mixed; boundary="b7"'}).items == (Item(data=PNG),) * 2


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("name", ["boundary", "BOUNDARY", "Boundary"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("coding", ["binary", "base64"])
def test_parts_are_read_however_they_are_written(end, name, kind, coding):
    payload = KINDS[kind] if coding == "binary" else base64.encodebytes(KINDS[kind])
    part = end.join([b"--b7", b"Content-Transfer-Encoding: " + coding.encode(), b"", payload, b""])
    answer = parse(part * 2 + b"--b7--" + end, {"content-type": f"Multipart/Form-Data; {name}=b7"})
    assert answer.items == (Item(data=KINDS[kind]),) * 2


@pytest.mark.parametrize("encoding", ["utf-8", "none", "br", "aws-chunked", "aws-chunked, gzip", "binary"])
@pytest.mark.parametrize("what", ["picture", "JSON", "events", "gzip"])
def test_an_unknown_encoding_of_what_is_readable_is_passed_over(encoding, what):
    document = json.dumps({"data": [{"b64_json": BASE64}]}).encode()
    event = b"data: " + document + b"\n\n"
    body = {"picture": PNG, "JSON": b"\n " + document, "events": event, "gzip": gzip.compress(document)}[what]
    assert parse(body, {"content-encoding": encoding}).items == (Item(data=PNG),)


def test_an_unknown_encoding_of_what_is_not_readable_is_reported():
    with pytest.raises(InvalidResponseError, match=r"an encoding that was not asked for \(br\)"):
        parse(b"\x1b\x03\x00\xf8\xff", {"content-encoding": "br"})


def test_what_is_compressed_may_be_as_large_as_pictures_are():
    noise = random.Random(7).randbytes(2**24)
    assert len(inflated(gzip.compress(noise.hex().encode() * 3, 1), "")) == 6 * 2**24 > MOST_INFLATED


def test_of_a_small_body_that_inflates_no_more_is_unpacked():
    bomb = gzip.compress(gzip.compress(bytes(5 * MOST_INFLATED)))
    with pytest.raises(InvalidResponseError, match="inflates to more than 64 MiB"):
        inflated(bomb, "")


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "GZIP", "identity, gzip"])
def test_what_is_compressed_unasked_is_read(encoding):
    body = json.dumps({"data": [{"b64_json": BASE64}]}).encode()
    packed = zlib.compress(body) if encoding == "deflate" else gzip.compress(body)
    assert parse(packed, {"content-encoding": encoding}).items == (Item(data=PNG),)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_only_claims_to_be_compressed_is_read(encoding):
    body = json.dumps({"data": [{"b64_json": BASE64}]}).encode()
    assert parse(body, {"content-encoding": encoding}).items == (Item(data=PNG),)


@pytest.mark.parametrize("cut", range(1, 9))
def test_of_an_answer_that_is_cut_off_what_is_whole_is_found(cut):
    body = json.dumps({"data": [{"b64_json": BASE64}, {"b64_json": BASE64}, {"b64_json": BASE64}]}).encode()
    whole = body[: len(body) * cut // 9].count(b'"}')
    try:
        found = [item.data for item in parse(body[: len(body) * cut // 9]).items if isinstance(item, Item)]
    except InvalidResponseError:
        found = []
    assert found == [PNG] * whole


@pytest.mark.parametrize(
    ("body", "urls"),
    [
        ({"data": [{"url": "https://a.example/1"}, {"url": "https://a.example/2"}]}, ["1", "2"]),
        ({"data": [{"url": ["https://a.example/1", "https://a.example/2"]}]}, ["1", "2"]),
        ({"images": ["https://a.example/1"]}, ["1"]),
        ({"output": "https://a.example/1"}, ["1"]),
        ({"data": [{"image_url": {"url": "https://a.example/1"}}]}, ["1"]),
        ({"id": "7", "status": "succeeded", "output": ["https://a.example/1"]}, ["1"]),
    ],
)
def test_addresses_are_found_in_each_shape(body, urls):
    assert [item.url for item in parse(json.dumps(body).encode()).items] == [
        f"https://a.example/{each}" for each in urls
    ]


NAMES = [
    "imageUrl",
    "download_url",
    "file_url",
    "output_url",
    "result_url",
    "src",
    "link",
    "href",
    "fileUri",
    "path",
]
PLACES = {
    "an item": lambda name, url: {"data": [{name: url}]},
    "the document": lambda name, url: {"id": "7", "status": "succeeded", name: url},
    "deep": lambda name, url: {"result": {"files": [{"size": 7, name: url}]}},
    "a list": lambda name, url: {"result": {name: [url]}},
    "a chat": lambda _, url: {"choices": [{"message": {"content": f"Here: ![a fox]({url})\n"}}]},
    "a text": lambda _, url: {"answer": f'<img src="{url}">'},
    "a string": lambda _, url: url,
    "strings": lambda _, url: [url],
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", PLACES)
def test_an_address_is_found_whatever_its_name(name, place):
    body = json.dumps(PLACES[place](name, "https://a.example/1.png")).encode()
    assert [item.url for item in parse(body).items] == ["https://a.example/1.png"]


@pytest.mark.parametrize("end", ["", "\n"])
def test_an_address_alone_is_an_answer(end):
    assert [item.url for item in parse(f"https://a.example/1.png{end}".encode()).items] == [
        "https://a.example/1.png"
    ]


@pytest.mark.parametrize("name", ["url", "urls", "image_urls", "links", "imageUrls"])
def test_an_address_in_a_list_may_be_relative(name):
    body = json.dumps({name: ["/files/1.png", "files/2.webp?size=7"]}).encode()
    assert [item.url for item in parse(body).items] == ["/files/1.png", "files/2.webp?size=7"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", ["queued", "PENDING", "in_progress"])
def test_an_address_in_a_job_under_way_is_no_picture(name, status):
    for inner in ({name: "https://a.example/1.png"}, {"text": "![](https://a.example/1.png)"}):
        for body in (
            {"id": "job-7", "status": status, **inner},
            {"id": "job-7", "state": status, "job": inner},
        ):
            with pytest.raises(InvalidResponseError) as caught:
                parse(json.dumps(body).encode())
            assert caught.value.job == "job-7"


@pytest.mark.parametrize(
    "body",
    [
        {"id": "job-7", "status": "queued", "urls": {"get": "https://a.example/jobs/7"}},
        {"task_id": "job-7"},
        {"task_id": "job-7", "status_url": "https://a.example/jobs/7", "cancel_url": "https://a.example/7"},
        {"id": "job-7", "urls": {"get": "https://a.example/jobs/7", "stream": "https://a.example/jobs/7"}},
        {"data": [{"task_id": "job-7", "status": "submitted"}]},
        {"job_id": "job-7", "state": "PENDING", "status_url": "https://a.example/jobs/7"},
    ],
)
def test_a_job_that_was_accepted_is_named(body):
    with pytest.raises(InvalidResponseError) as caught:
        parse(json.dumps(body).encode())
    assert caught.value.job == "job-7"
    assert "job job-7" in caught.value.message


# --- bounds


MILLIONS = {
    "objects": lambda: b"{}," * 5_000_000,
    "list": lambda: b"[" + b"{}," * 5_000_000 + b"{}]",
    "data": lambda: b'{"data": [' + b"{}," * 5_000_000 + b"{}]}",
    "depth": lambda: b'{"a":' * 3_000_000,
    "brackets": lambda: b"[" * 15_000_000,
    "quotes": lambda: b'"' * 15_000_000,
    "strings": lambda: b'{"data": [' + b'"x",' * 4_000_000 + b'"x"]}',
    "events": lambda: b"data: {}\n\n" * 1_500_000,
    "escapes": lambda: b"\\" * 15_000_000,
    "cut": lambda: b'{"data": "' + b"\\" * 15_000_001,
    "numbers": lambda: b"1 " * 7_000_000,
    "signatures": lambda: b"iVBORw0KGgo/9j/UklGR " * 700_000,
    "lines of signatures": lambda: b"\n/9j/" * 3_000_000,
    "links": lambda: b"![" * 7_000_000,
    "bare signatures": lambda: b"x" + b"\xff\xd8\xff" * 5_000_000,
    "one bare signature": lambda: b"x\xff\xd8" + b"\xff" * 15_000_000,
    "bytes": lambda: b"[137,80," + b"1," * 7_000_000,
}
"""Made as they are tried: together they take a quarter of a gigabyte, in each process that collects tests."""


@pytest.mark.sampled(5)
@pytest.mark.parametrize("what", MILLIONS)
def test_an_answer_of_millions_of_parts_takes_little_memory(what):
    body = MILLIONS[what]()
    tracemalloc.start()
    try:
        with pytest.raises(InvalidResponseError):
            parse(body)
        assert tracemalloc.get_traced_memory()[1] < 12 * len(body)
    finally:
        tracemalloc.stop()


def test_of_very_many_pictures_the_first_are_looked_at():
    body = json.dumps({"data": [{"url": f"https://a.example/{number}"} for number in range(3000)]}).encode()
    answer = parse(body)
    assert (len(answer.items), answer.more) == (MOST_ITEMS, 3000 - MOST_ITEMS)


# --- what the API's own shape says


def test_items_come_in_order_in_every_shape():
    text = json.dumps(
        {
            "created": 7,
            "data": [
                {"b64_json": "YWJj"},
                {"b64_json": "data:image/png;base64,YWJj", "revised_prompt": "b"},
                {"url": "https://pictures.example/1.png", "b64_json": None},
                {"b64_json": "YWJj", "url": "https://pictures.example/1.png"},
                {"url": "/files/1", "b64_json": "", "revised_prompt": 5},
            ],
        }
    )
    assert parse(text.encode()) == ParsedAnswer(
        created=7,
        items=(
            Item(data=b"abc"),
            Item(data=b"abc", revised_prompt="b"),
            Item(url="https://pictures.example/1.png"),
            Item(data=b"abc"),
            Item(url="/files/1"),
        ),
    )


def test_half_a_character_in_a_revised_prompt_spoils_nothing():
    text = rb'{"data": [{"b64_json": "YWJj", "revised_prompt": "a \ud83d fox \ud83e\udd8a"}]}'
    assert parse(text).items == (Item(data=b"abc", revised_prompt="a ? fox \U0001f98a"),)


@pytest.mark.parametrize("created", [None, "7", 7.5, [], True])
def test_a_time_of_creation_that_is_no_number_is_none(created):
    text = json.dumps({"created": created, "data": [{"b64_json": "YWJj"}]})
    assert parse(text.encode()).created == 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"", "it is empty"),
        (b"null", "null"),
        (b"[]", "[]"),
        (b"7", "7"),
        (b'"data"', '"data"'),
        (b"{}", "{}"),
        (b'{"data": null}', '{"data": null}'),
        (b'{"data": {}}', '{"data": {}}'),
        (b'{"data": "x"}', '{"data": "x"}'),
        (b'{"created": 7, "data": [{"b64', '{"created": 7, "data": [{"b64'),
        (b"<!doctype html>\n<title>Sign in</title>", "<!doctype html> <title>Sign in</title>"),
        (b"\x1b[31mred\x00", "red"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[" * 100_000, "[" * 79 + "…"),
        (b'{"data": ' + b"9" * 5000 + b"}", '{"data": ' + "9" * 70 + "…"),
    ],
)
def test_what_is_no_answer_of_the_api_is_a_bad_reply_that_shows_its_start(text, shown):
    with pytest.raises(InvalidResponseError) as caught:
        parse(text)
    assert caught.value.message == f"The answer is not the API's: {shown}"
    assert caught.value.hint == "Check the base URL. It may have been billed."


def test_an_answer_without_pictures_may_be_a_refusal_of_the_prompt():
    with pytest.raises(InvalidResponseError) as caught:
        parse(b'{"created": 1, "data": []}')
    assert caught.value.message == "The answer holds no picture."
    assert "declined" in caught.value.hint


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({}, "A picture in the answer has neither url nor b64_json."),
        ({"b64_json": None, "url": None}, "A picture in the answer has neither url nor b64_json."),
        ({"b64_json": 5, "url": ["x"]}, "A picture in the answer has neither url nor b64_json."),
        ({"error": "moderated"}, "A picture in the answer has neither url nor b64_json."),
        (None, "A picture in the answer has neither url nor b64_json."),
        ("YWJj", "A picture in the answer has neither url nor b64_json."),
        ({"b64_json": "YWJjY"}, "A picture in the answer is damaged (its base64 does not decode)."),
    ],
)
def test_an_item_that_is_no_picture_spoils_no_other(item, message):
    text = json.dumps({"data": [{"b64_json": "YWJj"}, item]}).encode()
    good, bad = parse(text).items
    assert good == Item(data=b"abc")
    assert isinstance(bad, InvalidResponseError)
    assert (bad.message, bad.hint) == (message, NOT_SENT_AGAIN)


@pytest.mark.parametrize("text", ["YWJj", "data:image/png;base64,YWJj", "data:;base64,YWJj"])
def test_base64_is_decoded_with_and_without_a_prefix(text):
    assert decoded(text) == b"abc"


@pytest.mark.parametrize("text", ["aGk=<script>!!", "YWJjY", "é", "data:image/png,%89PNG"])
def test_what_is_no_base64_is_not_guessed_at(text):
    with pytest.raises(InvalidResponseError, match="its base64 does not decode"):
        decoded(text)


# --- an answer that is cut off

ADDRESSES = [f"https://a.example/{number}.png?sig=a%2Fb" for number in range(3)]
LONG_WORDS = 'a fox, "quoted" \\ and {[, ü \n' * 20
CUT = {
    "the API": json.dumps(
        {"created": 7, "data": [{"url": each, "revised_prompt": "a"} for each in ADDRESSES]}
    ),
    "long words": json.dumps({"data": [{"url": each, "revised_prompt": LONG_WORDS} for each in ADDRESSES]}),
    "words first": json.dumps({"data": [{"revised_prompt": LONG_WORDS, "url": each} for each in ADDRESSES]}),
    "indented": json.dumps({"data": [{"url": each} for each in ADDRESSES]}, indent=2),
    "slashes escaped": json.dumps({"data": [{"url": each} for each in ADDRESSES]}).replace("/", "\\/"),
    "strings": json.dumps({"id": "7", "status": "succeeded", "output": ADDRESSES, "metrics": {"time": 1.5}}),
    "one object": json.dumps({"data": {"urls": ADDRESSES, "seed": 7}}),
    "numbers between": json.dumps({"images": [{"seed": 7, "url": each, "width": 64} for each in ADDRESSES]}),
    "deep": json.dumps(
        {"result": {"output": {"images": [{"content": {"url": each}} for each in ADDRESSES]}}}
    ),
    "base64": json.dumps({"data": [{"b64_json": BASE64}, {"b64_json": BASE64, "revised_prompt": "a"}]}),
    "both": json.dumps({"data": [{"url": ADDRESSES[0]}, {"b64_json": BASE64}, {"url": ADDRESSES[1]}]}),
    "brackets in words": json.dumps({"note": ']}{[",:', "data": [{"url": each} for each in ADDRESSES]}),
}
CUT_IN = {
    "JSON": str.encode,
    "events": lambda text: b"event: done\ndata: " + text.replace("\n", "\ndata: ").encode() + b"\n\n",
    "JSON in JSON": lambda text: json.dumps(text).encode(),
    "a line after another": lambda text: b'{"status": "queued"}\n' + text.encode(),
    "behind a guard": lambda text: b")]}'\n" + text.encode(),
}


def whole_in(body):
    """The addresses and the base64 that stand whole in a body, each with its closing quotation mark."""
    plain = body.decode().replace("\\\\/", "/").replace("\\/", "/").replace('\\"', '"')
    return [PNG if each == BASE64 else each for each in re.findall(r'"((?:https://|iVBOR)[^"]*)"', plain)]


def found_in(body):
    try:
        return [each.data or each.url for each in parse(body).items if isinstance(each, Item)]
    except InvalidResponseError:
        return []


@pytest.mark.sampled(8)
@pytest.mark.parametrize("envelope", CUT_IN)
@pytest.mark.parametrize("shape", CUT)
def test_what_stood_whole_before_a_cut_is_found_wherever_the_cut_is(shape, envelope):
    body = CUT_IN[envelope](CUT[shape])
    cuts = [at for at in range(len(body)) if at < 1500 or at % 97 == 0 or len(body) - at < 300]
    for at in cuts:
        expected = whole_in(body[:at])
        # A picture may lack no more than its quotation mark.
        assert found_in(body[:at]) in (expected, [*expected, PNG]), at


def test_the_bodies_that_are_cut_are_thousands():
    assert sum(min(len(text), 1500) for text in CUT.values()) * len(CUT_IN) > 35_000


@pytest.mark.parametrize(
    "body",
    [
        {"id": "7", "input": {"image": BASE64, "url": ADDRESSES[0]}, "status": "queued"},
        {"status": "queued", "id": "7", "urls": {"get": "https://a.example/7"}, "output": ADDRESSES},
        {"error": {"message": "no", "url": ADDRESSES[0]}, "request": {"image_url": ADDRESSES[1]}, "id": "7"},
        {"prompt": f"as in {ADDRESSES[0]}", "docs_url": "https://a.example/help", "seed": 7},
    ],
    ids=["input", "job", "error", "words"],
)
def test_wherever_the_cut_is_nothing_becomes_a_picture_that_was_none(body):
    text = json.dumps(body).encode()
    assert found_in(text) == []
    for at in range(len(text)):
        assert found_in(text[:at]) == [], text[max(0, at - 80) : at]


# --- jobs, and shapes of other services

JOB_NAMES = [
    "task_id",
    "taskId",
    "TaskId",
    "job_id",
    "jobId",
    "job-id",
    "prediction_id",
    "predictionId",
    "id",
]
JOB_PLACES = {
    "the document": lambda job: job,
    "data": lambda job: {"code": 200, "data": job},
    "a list": lambda job: {"code": 200, "data": [job]},
    "output": lambda job: {"request_id": "log-1", "output": job},
    "result": lambda job: {"success": True, "result": job},
    "beside a log's id": lambda job: {"request_id": "log-1", **job},
}


@pytest.mark.parametrize("name", JOB_NAMES)
@pytest.mark.parametrize("place", JOB_PLACES)
@pytest.mark.parametrize(
    "state", [{}, {"status": "IN_QUEUE"}, {"task_status": "PENDING"}, {"state": "queued"}]
)
@pytest.mark.parametrize("status", [200, 202, 500])
def test_the_name_of_a_job_is_found_under_every_name(name, place, state, status):
    with pytest.raises(InvalidResponseError) as caught:
        parse(json.dumps(JOB_PLACES[place]({name: "job-7", **state})).encode(), status=status)
    assert caught.value.job == "job-7"


@pytest.mark.parametrize(
    ("body", "headers", "job"),
    [
        ({"request_id": "f-1", "status": "IN_QUEUE", "response_url": "https://q.example/f-1"}, {}, "f-1"),
        ({"request_id": "f-1", "response_url": "https://q.example/f-1"}, {}, "f-1"),
        ({"request_id": "log-1", "message": "Something else."}, {}, ""),
        ({"request_id": "log-1", "status": 500, "error": "It broke."}, {}, ""),
        ({"name": "operations/3", "done": False}, {}, "operations/3"),
        ({"name": "projects/p/operations/3"}, {}, "projects/p/operations/3"),
        ({"name": "a fox"}, {}, ""),
        (
            {},
            {"operation-location": "https://a.example/operations/4?sig=x"},
            "https://a.example/operations/4",
        ),
        ({}, {"x-task-id": "t-5"}, "t-5"),
        ({"task_id": "t-6"}, {"operation-location": "https://a.example/operations/4"}, "t-6"),
    ],
)
def test_what_names_a_job_and_what_does_not(body, headers, job):
    with pytest.raises(InvalidResponseError) as caught:
        parse(json.dumps(body).encode(), headers)
    assert caught.value.job == job


HERE = "https://a.example/x/1.png?sig=a%2Fb"
SHAPES = {
    "a chat that is an address": {"choices": [{"message": {"content": HERE}}]},
    "a chat that is an address of no file": {"choices": [{"message": {"content": "https://a.example/7f"}}]},
    "img": {"img": HERE},
    "picture": {"picture": HERE},
    "photo": {"data": {"photo": HERE}},
    "another name": {"final": HERE},
    "JSON in JSON": {"payload": json.dumps({"images": [{"url": HERE}]})},
    "JSON in JSON in JSON": {"body": json.dumps({"payload": json.dumps([{"url": HERE}])})},
    "JSON in a list": {"data": [{"text": json.dumps({"output": HERE})}]},
    "an img with alt": {"html": f'<p><img alt="a fox" class=x src="{HERE}"></p>'},
    "an img in capitals": {"html": f"<IMG ALT='a fox' SRC='{HERE}'>"},
    "an img without quotes": {"html": f"<img width=64 src={HERE} >"},
    "an img with entities": {"html": '<img src="https://a.example/x/1.png?a=1&amp;b=2">'},
    "no scheme": {"images": ["//a.example/x/1.png"]},
    "no scheme, in a chat": {"choices": [{"message": {"content": "![](//a.example/x/1.png)"}}]},
    "a scheme in capitals": {"images": ["HTTPS://a.example/x/1.png"]},
    "a path in a list": {"images": ["/x/1.png?sig=a%2Fb"]},
}
MEANT = {
    "a chat that is an address of no file": "https://a.example/7f",
    "an img with entities": "https://a.example/x/1.png?a=1&b=2",
    "no scheme": "//a.example/x/1.png",
    "no scheme, in a chat": "//a.example/x/1.png",
    "a scheme in capitals": "HTTPS://a.example/x/1.png",
    "a path in a list": "/x/1.png?sig=a%2Fb",
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("envelope", ["JSON", "events without names", "JSON in JSON", "gzip", "UTF-16"])
def test_an_address_is_found_in_the_shapes_of_other_services(shape, envelope):
    body = ENVELOPES[envelope](json.dumps(SHAPES[shape]))
    assert [each.url for each in parse(body).items] == [MEANT.get(shape, HERE)]


NO_PICTURES = {
    "documentation": {"message": "Read this.", "documentation_url": "https://a.example/docs.png"},
    "a page for help": {"help": "https://a.example/help.png"},
    "a person": {"user": {"picture": "https://a.example/me.png", "avatar_url": "https://a.example/me.png"}},
    "an owner": {"data": {"owner": {"photo": "https://a.example/me.png"}}},
    "the model's own": {"model": {"cover_url": "https://a.example/cover.png"}},
    "an echo": {"input": {"img": HERE, "url": HERE}},
    "an echo in a string": {"request": json.dumps({"images": [{"url": HERE}]})},
    "a prompt": {"prompt": HERE},
    "words with an address": {"message": f"See {HERE} for more."},
    "an address of no file": {"message": "https://a.example/docs"},
    "an error": {"error": {"message": "no", "img": HERE}},
    "an error in a string": {"payload": json.dumps({"error": "no", "input": {"url": HERE}})},
    "a comment": {"content": "// see below"},
    "a job": {"status": "QUEUED", "img": HERE, "payload": json.dumps({"url": HERE})},
    "a job of another service": {"output": {"task_status": "RUNNING", "url": HERE}},
    "an operation": {"name": "operations/3", "done": False, "picture": HERE},
}


@pytest.mark.parametrize("shape", NO_PICTURES)
@pytest.mark.parametrize("envelope", ["JSON", "events without names", "JSON in JSON"])
@pytest.mark.parametrize("status", [200, 500])
def test_what_only_looks_like_the_address_of_a_picture_is_none(shape, envelope, status):
    with pytest.raises(InvalidResponseError):
        parse(ENVELOPES[envelope](json.dumps(NO_PICTURES[shape])), status=status)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_of_events_may_wrap_base64(end):
    document = wrapped(76, f"{end}data: ")
    lines = ["data: {", f'data: "data": [{{"b64_json": "{document}"}}]', "data: }", "", ""]
    assert parse(end.join(lines).encode()).items == (Item(data=PNG),)


@pytest.mark.parametrize(
    "line", [b"data:1\n\n", b"data:1\n", b"data:1\r\n\r\n", b"data:1\r\r", b"data:1\r", b":\n\n", b"id:\n"]
)
def test_events_are_counted_and_so_are_their_lines(line):
    body = b"data: x\n" + line * (20 * 2**20 // len(line))
    tracemalloc.start()
    try:
        with pytest.raises(InvalidResponseError, match="more than 200,000 parts"):
            parse(body)
        assert tracemalloc.get_traced_memory()[1] < 8 * len(body)
    finally:
        tracemalloc.stop()
