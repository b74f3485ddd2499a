"""However a server writes the head of its answer, what follows it arrives; a raw socket counts the POSTs."""

import asyncio
import itertools
import json

import h11
import pytest
from conftest import drawn
from faulty import Faulty, b64
from hypothesis import given
from hypothesis import strategies as st

from beluga_nb.api.heads import LiberalHead
from beluga_nb.request import Request
from beluga_nb.session.session import Session
from beluga_nb.store import pending
from beluga_nb.store.records import Store

KEY = "bapi_SENTINEL-SENTINEL-1234"
PNG = drawn(Request(prompt="a fox", model="flux-2.0"), 0)
BODY = json.dumps({"data": [b64(PNG)]}).encode()
LENGTH = b"content-length: %d" % len(BODY)

STATUS_LINES = {
    "as it should be": b"HTTP/1.1 200 OK",
    "no reason": b"HTTP/1.1 200",
    "HTTP/1.0": b"HTTP/1.0 200 OK",
    "HTTP/2": b"HTTP/2 200",
    "HTTP/2.0": b"HTTP/2.0 200 OK",
    "HTTP/3": b"HTTP/3 200",
    "HTTP/1.01": b"HTTP/1.01 200 OK",
    "HTTP without a version": b"HTTP 200 OK",
    "small letters": b"http/1.1 200 ok",
    "blanks": b"HTTP/1.1   200\t OK  ",
    "a reason in Latin-1": b"HTTP/1.1 200 \xc3\xa7a va \xe9\xff",
    "a reason with controls": b"HTTP/1.1 200 O\0K\x1b[31m",
    "a long reason": b"HTTP/1.1 200 " + b"fine " * 1000,
    "lines before it": b"\r\n\r\nHTTP/1.1 200 OK",
}
FIELDS = {
    "none": [],
    "a length": [LENGTH],
    "the same length twice": [LENGTH, LENGTH],
    "two lengths": [LENGTH, b"content-length: 7"],
    "two lengths in one": [LENGTH + b", 7"],
    "a length that is none": [b"content-length: many"],
    "a negative length": [b"content-length: -1"],
    "a length with a sign": [b"content-length: +5"],
    "an empty length": [b"content-length:"],
    "a length of 5,000 digits": [b"content-length: " + b"9" * 5000],
    "a transfer coding of old": [b"transfer-encoding: identity", LENGTH],
    "chunks that are none": [b"transfer-encoding: chunked"],
    "chunks that are none, and a length": [b"transfer-encoding: chunked", LENGTH],
    "an unknown transfer coding": [b"transfer-encoding: br;q=x", LENGTH],
    "a blank in a name": [b"x note: a"],
    "a blank before the colon": [b"x-note : a", LENGTH],
    "a name in UTF-8": ["x-größe: 1".encode()],
    "a name with controls": [b"x\0-\x1bnote: 1"],
    "no name": [b": a"],
    "no colon": [b"x-note"],
    "nothing but a colon": [b":"],
    "a value with controls": [b"x-note: a\0b\x7f\x1b[2J"],
    "a value in UTF-8": ["x-note: größe ☃".encode()],
    "a folded value": [b"x-note: a", b"  b", b"\tc"],
    "a fold at the start": [b"  x-note: a"],
    "a long value": [b"x-note: " + b"a" * 90_000],
    "many fields": [b"x-%d: a" % number for number in range(5000)],
}
ENDS = {"CRLF": b"\r\n", "LF": b"\n"}
BEFORE = {
    "nothing": b"",
    "interim answers": b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 3,
    "interim answers with line feeds": b"HTTP/1.1 100 Continue\n\n" * 3,
}
HEADS = {
    f"{line}, {fields}, {end}, {before}": BEFORE[before]
    + ENDS[end].join([STATUS_LINES[line], *FIELDS[fields], b"", b""])
    for line, fields, end, before in itertools.product(STATUS_LINES, FIELDS, ENDS, BEFORE)
}


async def passed_on(*arriving):
    """What a library reads of an answer that arrives in these pieces."""
    left = [*arriving, b""]

    async def read(_bytes, _timeout):
        return left.pop(0) if left else b""

    head, pieces = LiberalHead(read), []
    while piece := await head(65_536, None):
        pieces.append(piece)
    return b"".join(pieces)


def understood(data):
    """The status and the body of an answer as h11 reads it."""
    ours = h11.Connection(h11.CLIENT, max_incomplete_event_size=100 * 1024)
    ours.send(h11.Request(method="POST", target="/", headers=[("host", "a"), ("content-length", "0")]))
    ours.send(h11.EndOfMessage())
    ours.receive_data(data)
    ours.receive_data(b"")
    status, body = 0, b""
    while not isinstance(event := ours.next_event(), h11.EndOfMessage):
        assert event is not h11.NEED_DATA
        if isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
    return status, body


@pytest.mark.sampled(5)
@pytest.mark.parametrize("line", STATUS_LINES)
def test_a_library_reads_every_head_and_all_that_follows_it(line):
    of_this_line = [name for name in HEADS if name.startswith(f"{line}, ")]
    assert len(of_this_line) == len(FIELDS) * len(ENDS) * len(BEFORE)
    for name in of_this_line:
        assert understood(asyncio.run(passed_on(HEADS[name] + BODY))) == (200, BODY), name


HEADLESS = {
    "JSON": BODY,
    "a picture": PNG,
    "text": b"HTTPS is not spoken here\r\n",
    "a greeting": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a status that is none": b"HTTP/1.1 20O OK\r\n\r\n" + BODY,
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n" + BODY,
    "a version alone": b"HTTP/1.1",
    "nine thousand letters": b"HTTP" * 2250,
}


@pytest.mark.parametrize("data", HEADLESS.values(), ids=HEADLESS)
def test_what_has_no_head_is_the_body_of_a_success(data):
    assert understood(asyncio.run(passed_on(data))) == (200, data)


@pytest.mark.parametrize("status", [200, 204, 299, 301, 307, 400, 429, 500, 599, 999])
def test_the_status_stays_as_it_is(status):
    head = b"HTTP/2 %d\ncontent-length: 0\n\n" % status
    assert understood(asyncio.run(passed_on(head))) == (status, b"")


@pytest.mark.parametrize("extension", [b"", b";a=b", b'; name="value"', b"  "])
def test_chunks_stay_chunks(extension):
    chunks = b"".join(b"%X%b\r\n%b\r\n" % (len(each), extension, each) for each in (BODY[:9], BODY[9:]))
    for coding in (
        b"transfer-encoding: chunked",
        b"Transfer-Encoding: gzip, Chunked",
        b"TRANSFER-ENCODING:CHUNKED",
    ):
        data = b"HTTP/1.1 200 OK\n%b\n%b\n\n" % (coding, LENGTH) + chunks + b"0\r\n\r\n"
        assert understood(asyncio.run(passed_on(data))) == (200, BODY)


@pytest.mark.parametrize("size", [b"%x\n", b"0x%x\r\n", b" %x\r\n", b"\t%X;a=b\n"])
@pytest.mark.parametrize("body", [BODY, PNG], ids=["JSON", "a picture"])
def test_sizes_of_chunks_that_a_library_refuses_never_become_part_of_a_body(size, body):
    data = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + size % len(body) + body
    assert understood(asyncio.run(passed_on(data + b"\r\n0\r\n\r\n"))) == (200, body)


@pytest.mark.parametrize("body", [BODY[:99], PNG[:99]], ids=["JSON", "a picture"])
def test_a_body_that_is_no_chunk_is_not_waited_for(body):
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

    async def first():
        arriving = iter([head, body])

        async def read(_bytes, _timeout):
            return next(arriving)

        read_on = LiberalHead(read)
        return await read_on(65_536), await read_on(65_536)

    assert asyncio.run(first())[1] == body


@pytest.mark.parametrize(
    "start", [b"\r\n", b"\n", b"HTTP", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 A\r\n\r\n"]
)
def test_a_start_without_end_is_passed_on_before_it_is_large(start):
    async def sent():
        total = 0

        async def read(_bytes, _timeout):
            nonlocal total
            total += 4096
            return (start * 4096)[:4096]

        await LiberalHead(read)(65_536)
        return total

    assert asyncio.run(sent()) <= 128 * 1024


@given(name=st.sampled_from(sorted(HEADS)), cuts=st.lists(st.integers(0, 3000), max_size=20))
def test_it_is_the_same_in_whatever_pieces_it_arrives(name, cuts):
    data = HEADS[name] + BODY
    places = [0, *sorted(cuts), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(places) if start < end]
    assert asyncio.run(passed_on(*pieces)) == asyncio.run(passed_on(data))


def shows_no_head(data):
    return not b"HTTP".startswith(data.lstrip(b"\r\n")[:4].upper())


@given(
    data=st.binary(max_size=300).filter(shows_no_head),
    head=st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\n\n"]),
)
def test_no_byte_of_a_body_is_lost_whatever_it_is(data, head):
    assert understood(asyncio.run(passed_on(head + data))) == (200, data)


def whole(answer):
    """Send an answer, and close the connection behind it."""

    def play(exchange):
        exchange.send(answer)

    return play


def ask(server, folder):
    environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": server.url}
    return Session(environ=environ, folder=folder, notify=lambda _: None, timeout=20).generate(
        "a fox", model="flux-2.0"
    )


@pytest.mark.parametrize("name", [*list(HEADS)[::89], *[f"HTTP/2, {each}, LF, nothing" for each in FIELDS]])
def test_the_picture_arrives_and_is_bought_once(name, tmp_path):
    with Faulty(whole(HEADS[name] + BODY)) as server:
        for _ in range(2):
            assert ask(server, tmp_path).pictures[0].data == PNG
        assert server.count("POST") == 1
    assert pending.calls(Store(tmp_path / "beluga_store")) == []


@pytest.mark.parametrize("body", [BODY, PNG], ids=["JSON", "a picture"])
def test_an_answer_without_a_head_arrives_and_is_bought_once(body, tmp_path):
    with Faulty(whole(body)) as server:
        for _ in range(2):
            assert ask(server, tmp_path).pictures[0].data == PNG
        assert server.count("POST") == 1
