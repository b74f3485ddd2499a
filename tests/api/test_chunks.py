"""Answers in chunks: what arrives is kept and handed out, however the chunks are framed."""

import asyncio
import dataclasses
import itertools
import json
import time

import pytest
from conftest import drawn
from faulty import Faulty, b64, http
from hypothesis import given
from hypothesis import strategies as st

from beluga_nb.api import heads
from beluga_nb.api.endpoint import Endpoint
from beluga_nb.api.heads import LiberalHead
from beluga_nb.api.http import Http
from beluga_nb.errors import OutcomeUnknownError
from beluga_nb.request import Request

FOX = Request(prompt="a fox", model="flux-2.0")
PNG = drawn(FOX, 0)
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BODIES = {
    "base64": json.dumps({"data": [{"revised_prompt": "白鲸", **b64(PNG)}]}, ensure_ascii=False).encode(),
    "a picture": PNG,
}
END = b"0\r\n\r\n"

# How a chunk of some bytes is written; each of them says the right size.
WELL_FRAMED = {
    "as it should be": lambda data: b"%x\r\n%b\r\n" % (len(data), data),
    "upper case": lambda data: b"%X\r\n%b\r\n" % (len(data), data),
    "bare line feeds": lambda data: b"%x\n%b\n" % (len(data), data),
    "extensions": lambda data: b'%x;a=b; c="d"\r\n%b\r\n' % (len(data), data),
    "long extensions": lambda data: b"%x;%b\r\n%b\r\n" % (len(data), b"e" * 1000, data),
    "blanks": lambda data: b" %x \t\r\n%b\r\n" % (len(data), data),
    "leading zeros": lambda data: b"%040x\r\n%b\r\n" % (len(data), data),
    "0x": lambda data: b"0x%x\r\n%b\r\n" % (len(data), data),
}
ENDS = {
    "an end": END,
    "an end with line feeds": b"0\n\n",
    "zeros and an extension": b"0000;last\r\n\r\n",
    "trailers": b"0\r\nX-Checksum: 12ab\r\nServer-Timing: total;dur=9\r\n\r\n",
    "half an end": b"0\r\n",
}


def misframed(parts, fault):
    """A stream whose second chunk has this fault."""
    plain = WELL_FRAMED["as it should be"]
    first, second, *rest = parts
    after = b"".join(map(plain, rest)) + END
    if isinstance(fault, int):
        return plain(first) + b"%x\r\n%b\r\n" % (max(1, len(second) + fault), second) + after
    faulty = {
        "the end too early": END + plain(second) + after,
        "the end too early, then raw bytes": END + second + b"".join(rest),
        "raw bytes": second + b"".join(rest),
        "no line end behind a chunk": b"%x\r\n%b" % (len(second), second) + after,
        "no size": b"\r\n%b\r\n" % second + after,
        "a size that is none": b"many\r\n%b\r\n" % second + after,
        "a negative size": b"-5\r\n%b\r\n" % second + after,
        "a size that is too large": b"%x\r\n%b\r\n" % (2**63 + 1, second) + after,
        "an endless size": b"1" * 9000 + b"\r\n" + second + after,
        "an endless extension": b"1;" + b"e" * 9000 + b"\r\n" + second + after,
    }
    return plain(first) + faulty[fault]


BY = [-10, -2, -1, 1, 2, 3, 7, 10, 2**40, 2**63 - 2**20]
FAULTS = [
    *BY,
    "the end too early",
    "the end too early, then raw bytes",
    "raw bytes",
    "no line end behind a chunk",
    "no size",
    "a size that is none",
    "a negative size",
    "a size that is too large",
    "an endless size",
    "an endless extension",
]
SIZES = [50, 300, 999]
PIECES = {"at once": 2**20, "small": 777, "tiny": 3}


def cut(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


async def taken(arriving, *, closes, whole=lambda _: False):
    """The body that a library is given, what is handed out beyond it, and whether it was broken off."""
    left = list(arriving)

    async def read(_bytes, _timeout=None):
        if not left and not closes:
            await asyncio.sleep(60)
        return left.pop(0) if left else b""

    head, data = LiberalHead(read), b""
    try:
        async with asyncio.timeout(0.05 if not closes else 60):
            while piece := await head(65_536, None):
                data += piece
    except TimeoutError:
        pass
    _, _, body = data.partition(b"\r\n\r\n")
    beyond = b"".join([piece async for piece in head.beyond(patient=not whole(body))])
    return body, beyond, head.is_broken_off


def has_all(kept, body):
    """Whether every byte of a body is there, in its order; sizes may stand between them."""
    left = iter(kept)
    return all(byte in left for byte in body)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("how", WELL_FRAMED)
@pytest.mark.parametrize("kind", BODIES)
def test_well_framed_chunks_are_the_body_and_nothing_else(kind, how, end, monkeypatch):
    monkeypatch.setattr(heads, "SILENCE", 0.001)
    body = BODIES[kind]
    for size, piece, closes in itertools.product(SIZES, PIECES.values(), [True, False]):
        stream = HEAD + b"".join(map(WELL_FRAMED[how], cut(body, size))) + ENDS[end]
        found = asyncio.run(taken(cut(stream, piece), closes=closes, whole=body.__eq__))
        assert (found[0], found[2]) == (body, False), (size, piece, closes)
        assert found[1].strip() == b"" or end == "trailers", (size, piece, closes)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", BODIES)
def test_no_byte_of_misframed_chunks_is_lost(kind, fault, monkeypatch):
    monkeypatch.setattr(heads, "SILENCE", 0.01)
    for size, piece, closes in itertools.product(SIZES, PIECES.values(), [True, False]):
        stream = HEAD + misframed(cut(BODIES[kind], size), fault)
        body, beyond, _ = asyncio.run(taken(cut(stream, piece), closes=closes))
        assert has_all(body + beyond, BODIES[kind]), (size, piece, closes)


@given(
    sizes=st.lists(st.integers(0, 300), min_size=1, max_size=20),
    cuts=st.lists(st.integers(0, 6000), max_size=20),
)
def test_it_is_the_same_in_whatever_pieces_it_arrives(sizes, cuts):
    parts = cut(BODIES["base64"], 200)
    chunks = [b"%x\r\n%b\r\n" % (size, part) for size, part in zip(sizes, parts, strict=False)]
    stream = HEAD + b"".join(chunks) + END
    places = [0, *sorted({*cuts, len(HEAD) + 9}), len(stream)]
    pieces = [stream[start:end] for start, end in itertools.pairwise(places) if start < end]
    one, other = (asyncio.run(taken(each, closes=True)) for each in ([stream], pieces))
    assert (one[0], one[2]) == (other[0], other[2])
    assert (one[0] + one[1]).strip() == (other[0] + other[1]).strip()


@pytest.mark.parametrize("line", [b"1", b"0", b"1;" + b"e", b" "])
def test_a_size_without_end_is_not_gathered(line):
    """Nor is it looked at again and again, each time from its start."""

    async def gathered():
        sent = 0

        async def read(_bytes, _timeout=None):
            nonlocal sent
            sent += 1000
            return HEAD + b"1\r\n{\r\n" if sent == 1000 else (line + line[-1:] * 1000)[:1000]

        head = LiberalHead(read)
        while await head(65_536, None):
            pass
        return sent

    assert asyncio.run(gathered()) < 10_000


def test_a_million_small_chunks_take_no_long_time():
    stream = HEAD + b"1\r\na\r\n" * 10**6 + END
    began = time.monotonic()
    body, _, is_broken_off = asyncio.run(taken(cut(stream, 2**16), closes=True))
    assert (body, is_broken_off) == (b"a" * 10**6, False)
    assert time.monotonic() - began < 10


# --- over a connection


def sending(stream, ending, pieces=1):
    def step(exchange):
        for piece in cut(stream, len(stream) // pieces + 1):
            exchange.send(piece)
            exchange.stopped.wait(0.01)
        if ending == "stays open":
            exchange.wait()

    return step


def bought(server, folder, *, timeout=20.0):
    """Ask for a fox; return the result or its error, and the answer that is kept."""
    request = dataclasses.replace(FOX, spool=folder / "kept")

    async def asked():
        client = Http(Endpoint(base_url=server.url, provider="wire", timeout=timeout))
        try:
            return await client(request)
        except Exception as error:
            return error

    result = asyncio.run(asked())
    [kept] = folder.glob("kept-*")
    return result, kept.read_bytes().partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("how", WELL_FRAMED)
@pytest.mark.parametrize("kind", BODIES)
def test_well_framed_chunks_give_their_picture_at_once(kind, how, end, tmp_path, monkeypatch):
    monkeypatch.setattr(heads, "SILENCE", 15)
    stream = HEAD + b"".join(map(WELL_FRAMED[how], cut(BODIES[kind], 999))) + ENDS[end]
    with Faulty(sending(stream, "stays open", 7), http(b"", 500)) as server:
        began = time.monotonic()
        result, kept = bought(server, tmp_path)
        assert time.monotonic() - began < 10
        assert server.count("POST") == 1
    assert result.pictures[0].data == PNG
    assert kept.startswith(BODIES[kind])


@pytest.mark.parametrize("ending", ["closes", "stays open"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", BODIES)
def test_what_misframed_chunks_hold_is_kept(kind, fault, ending, tmp_path):
    stream = HEAD + misframed(cut(BODIES[kind], 999), fault)
    with Faulty(sending(stream, ending, 7), http(b"", 500)) as server:
        _, kept = bought(server, tmp_path, timeout=1.5)
        assert server.count("POST") == 1
    assert has_all(kept, BODIES[kind])


@pytest.mark.parametrize("ending", ["closes", "stays open"])
@pytest.mark.parametrize("fault", ["raw bytes", "the end too early, then raw bytes"])
@pytest.mark.parametrize("kind", BODIES)
def test_raw_bytes_behind_a_chunk_are_the_rest_of_the_body(kind, fault, ending, tmp_path):
    stream = HEAD + misframed(cut(BODIES[kind], 999), fault)
    with Faulty(sending(stream, ending, 7), http(b"", 500)) as server:
        result, kept = bought(server, tmp_path)
    assert result.pictures[0].data == PNG
    assert kept == BODIES[kind]


@pytest.mark.parametrize("lost", [1, 2, 3, 4, 5, 7, 9, 99])
def test_chunks_without_their_end_are_broken_off(lost, tmp_path):
    body = b'{"data": [], "note": "%b"}' % (b"x" * 200)
    stream = HEAD + b"".join(map(WELL_FRAMED["as it should be"], cut(body, 50))) + END
    with Faulty(sending(stream[:-lost], "closes"), http(b"", 500)) as server:
        error, _ = bought(server, tmp_path)
    assert isinstance(error, OutcomeUnknownError) == (
        lost > 2
    )  # what is left of an end chunk says that it is one
