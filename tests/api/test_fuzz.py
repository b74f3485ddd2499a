"""More than 40,000 pictures and answers that somebody has tampered with: our own errors, or an answer.

Seeded, so that a failure is there again the next time; each says which mutant it was.
"""

import io
import json
import math
import random
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sampling import rounds

from beluga_nb.api import tasks
from beluga_nb.api.addresses import check_addresses, picture_url
from beluga_nb.api.answers import parse
from beluga_nb.errors import EngineError, InvalidImageError, InvalidResponseError
from beluga_nb.images import FORMATS, is_truncated
from beluga_nb.result import validate
from beluga_nb.wire import Item, error_from_json

PICTURES = rounds(400, 6000)  # of each of five
ANSWERS = rounds(250, 4000)  # of each of five


def seed(kind: str, mode: str = "RGB", **how: object) -> bytes:
    noise = random.Random(7).randbytes(20 * 20 * 3)
    buffer = io.BytesIO()
    Image.frombytes("RGB", (20, 20), noise).convert(mode).save(buffer, kind, **how)
    return buffer.getvalue()


SEEDS = {
    "PNG": seed("PNG"),
    "palette PNG": seed("PNG", "P"),
    "JPEG": seed("JPEG"),
    "progressive JPEG": seed("JPEG", progressive=True),
    "WebP": seed("WEBP"),
}


def mutant(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(changed)) if changed else 0
        length = rng.choice((1, 2, 4, 16))
        match rng.randrange(6):
            case 0:
                changed[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                changed[at : at + length] = rng.choice((b"\0", b"\xff", b"\x7f")) * length
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = rng.randbytes(length)
            case 4:
                changed[at:at] = changed[: rng.randrange(60)]
            case _:
                del changed[rng.randrange(len(changed) + 1) :]
    return bytes(changed)


def mended(data: bytes) -> bytes:
    """A PNG with right checksums, so that what was changed is looked at."""
    at, chunks = 8, [data[:8]]
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : at + 8 + length]
        chunks.append(data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body)))
        at += 12 + length
    return b"".join(chunks)


def told_by(read, data: bytes) -> object:
    """What a function returns, or the error of ours that it raises; no other passes."""
    try:
        return read(data)
    except EngineError as failed:
        return failed


@pytest.mark.parametrize("kind", SEEDS)
def test_s26_a_mutated_picture_is_a_picture_or_a_bad_image(kind):
    rng, good = random.Random(kind), 0
    assert validate(SEEDS[kind])[0] in FORMATS.values()
    for number in range(PICTURES):
        data = mutant(SEEDS[kind], rng)
        data = mended(data) if number % 2 and "PNG" in kind else data
        outcome = told_by(lambda data: validate(data)[0], data)
        good += outcome in FORMATS.values()
        assert outcome in FORMATS.values() or (type(outcome) is InvalidImageError and outcome.data == data), (
            number
        )
        assert is_truncated(data) in {True, False}
    assert 0 < good < PICTURES, "a fuzzer that finds nothing, or only failures, tests nothing"


@pytest.mark.parametrize("kind", SEEDS)
def test_s27_a_picture_cut_anywhere_is_never_a_good_one(kind):
    data = SEEDS[kind]
    for length in range(len(data)):
        with pytest.raises(InvalidImageError):
            validate(data[:length])


ODD = [
    None, True, False, 0, -1, 1, 2**63, 10**400, 1.5, 1e308, -0.0, math.nan, math.inf, "", " ", "x" * 5000,
    "\ud800", "\x00\x1b[31m\u202e", "<script>alert(1)</script>", "AAAA", "data:image/png;base64,AAAA",
    "https://[::1", "http://169.254.169.254/", "//x", "https://a b/", "https://xn--.example/", "https://a:99999/",
    "data:,", "ftp://x", [], {}, [[]], [{}], [None], {"": ""}, {"message": {"message": []}}, [1] * 300,
    {"url": ["x"], "images": [{"url": [None, {}, ""]}]}, {"status": "completed"}, "completed", "failed", 503,
]  # fmt: skip

ANSWER = {
    "created": 1,
    "data": [{"b64_json": "iVBORw0KGgo=", "revised_prompt": "a fox"}, {"url": "https://x/a"}],
}
ERROR = {"error": {"message": "No.", "type": "t", "code": "c", "param": "p"}}
DETAIL = {"detail": [{"loc": ["body", "n"], "msg": "too many", "type": "value_error"}]}
SUBMITTED = {"code": 200, "data": [{"status": "submitted", "task_id": "task_1"}]}
POLLED = {
    "code": 200,
    "data": {
        "id": "task_1",
        "status": "completed",
        "progress": 100,
        "created": 1,
        "error": {"message": "m", "code": 400, "type": "t", "status": 400},
        "result": {"images": [{"url": ["https://x/a.png"], "revised_prompt": "a"}]},
    },
}


def places(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, each in inner for place in places(each, (*path, name)))]


def replaced(value: object, path: tuple[object, ...], odd: object) -> object:
    if not path:
        return odd
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(copy[path[0]], path[1:], odd)
    return copy


def bodies(answer: object, number: int, rng: random.Random):
    """Yield that many bodies: each field replaced by each odd value, then text that was tampered with."""
    every = [(path, odd) for path in places(answer) for odd in ODD]
    for path, odd in every[:number]:
        yield json.dumps(replaced(answer, path, odd)).encode()
    for _ in range(number - min(number, len(every))):
        path, odd = rng.choice(every)
        yield mutant(json.dumps(replaced(answer, path, odd)).encode(), rng)


def read_answer(body: bytes) -> None:
    answer = parse(body)
    assert type(answer.created) is int
    for item in answer.items:
        if isinstance(item, Item) and item.url and not item.url.startswith("data:"):
            address = picture_url(item.url, "https://api.belugapi.com/v1")
            check_addresses(address, "https://api.belugapi.com/v1", ["93.184.216.34"])
        else:
            assert isinstance(item, Item | InvalidResponseError)


def read_error(body: bytes) -> None:
    for status in (302, 400, 429, 500, 503, 504):
        failed = error_from_json(status, {"retry-after": body[:30].decode("latin-1")}, body)
        assert failed.status == status
        assert len(failed.message) <= 500
        assert not any(sign in str(failed) for sign in "\x00\x1b\u202e")


READERS = [
    (ANSWER, read_answer),
    (ERROR, read_error),
    (DETAIL, read_error),
    (SUBMITTED, tasks.submitted),
    (POLLED, tasks.read),
]


@pytest.mark.parametrize(
    ("answer", "read"), READERS, ids=["answer", "error", "detail", "submitted", "polled"]
)
def test_s23_a_mutated_answer_is_read_or_is_an_error_of_ours(answer, read):
    rng = random.Random(str(answer))
    for number, body in enumerate(bodies(answer, ANSWERS, rng)):
        outcome = told_by(read, body)
        assert not isinstance(outcome, EngineError) or outcome.message, number


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
NAMES = st.sampled_from(["created", "data", "b64_json", "url", "error", "message", "code"]) | st.text(
    max_size=8
)
ANYTHING = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=12)
BODIES = st.binary(max_size=200) | ANYTHING.map(lambda value: json.dumps(value).encode())
SEEDED = settings(max_examples=rounds(50, 500), deadline=None, derandomize=True, database=None)


@SEEDED
@given(body=BODIES)
def test_s23_whatever_an_answer_is_it_is_read_or_is_an_error_of_ours(body):
    for read in (read_answer, read_error, tasks.submitted, tasks.read):
        told_by(read, body)


@SEEDED
@given(data=st.binary(max_size=300), head=st.sampled_from([b"", *(each[:40] for each in SEEDS.values())]))
def test_s26_whatever_a_picture_is_it_is_one_or_a_bad_image(data, head):
    outcome = told_by(lambda each: validate(each)[0], head + data)
    assert outcome in FORMATS.values() or type(outcome) is InvalidImageError


@SEEDED
@given(url=st.text(max_size=60) | st.from_regex(r"(https?:)?//[\w.@:\[\]%-]*(/.*)?", fullmatch=True))
def test_s20_whatever_an_address_is_it_is_fetched_over_https_or_not_at_all(url):
    outcome = told_by(lambda text: picture_url(text, "https://api.belugapi.com/v1"), url)
    assert isinstance(outcome, InvalidResponseError) or outcome.startswith("https://")


def test_there_are_more_than_3_000_of_them_and_40_000_in_the_whole_check():
    assert PICTURES * len(SEEDS) + ANSWERS * len(READERS) > rounds(3_000, 40_000)
