"""Lengths that are too small, and statuses without a body: what arrives all the same is paid for."""

import asyncio
import dataclasses
import json
import time

import pytest
from conftest import drawn
from faulty import Faulty, b64, http, images
from hypothesis import given
from hypothesis import strategies as st

from beluga_nb.api import heads
from beluga_nb.api.body import seems_complete
from beluga_nb.api.endpoint import Endpoint
from beluga_nb.api.http import Http
from beluga_nb.errors import EngineError
from beluga_nb.request import Request
from beluga_nb.session.session import Session
from beluga_nb.store import pending
from beluga_nb.store.records import Store

FOX = Request(prompt="a fox", model="flux-2.0")
PNG = drawn(FOX, 0)
WORDS = "白鲸在北极的冰层下游动"

BODIES = {
    "base64": json.dumps({"data": [{"revised_prompt": WORDS, **b64(PNG)}]}, ensure_ascii=False).encode(),
    "an address": b'{"created": 7, "data": [{"url": "{here}/v1/files/1.png"}]}',
    "a picture": PNG,
}
SHORT = {**{str(n): n for n in (1, 2, 3, 4, 11, 22, 52)}, "half": 0.5, "all": 1.0}
ENDINGS = ["closes", "stays open"]
PIECES = ["at once", "cut at the length", "in small pieces", "head alone"]


def answering(status, body, short, ending, pieces):
    """A step that answers with a body whose length is said to be too small by `short`."""

    def step(exchange):
        host = exchange.heard.headers["host"]
        whole = body.replace(b"{here}", f"http://{host}".encode())
        length = len(whole) - (short if isinstance(short, int) else int(len(whole) * short))
        head = f"HTTP/1.1 {status} Whatever\r\ncontent-length: {max(0, length)}\r\n\r\n".encode()
        if pieces == "at once":
            cuts = [head + whole]
        elif pieces == "cut at the length":
            cuts = [head + whole[:length], whole[length:]]
        elif pieces == "head alone":
            cuts = [head, whole]
        else:
            size = len(whole) // 5 + 1
            cuts = [head + whole[:size], *(whole[at : at + size] for at in range(size, len(whole), size))]
        for cut in cuts:
            exchange.send(cut)
            exchange.stopped.wait(0.03)
        if ending == "stays open":
            exchange.wait()

    return step


@pytest.fixture(autouse=True)
def enough_patience(request, monkeypatch):
    """On a busy machine the pieces of an answer come later; where it closes, nobody waits longer for that."""
    if getattr(request.node, "callspec", None) and request.node.callspec.params.get("ending") == "closes":
        monkeypatch.setattr(heads, "SILENCE", 5.0)


def bought(server, folder):
    """Ask for a fox; return the result, the kept answer, and how long it took."""
    request = dataclasses.replace(FOX, spool=folder / "kept")

    async def asked():
        client = Http(Endpoint(base_url=server.url, provider="wire", timeout=20))
        return await client(request)

    began = time.monotonic()
    result = asyncio.run(asked())
    [kept] = folder.glob("kept-*")
    return result, kept, time.monotonic() - began


@pytest.mark.parametrize("pieces", PIECES)
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("short", SHORT)
@pytest.mark.parametrize("kind", BODIES)
def test_whatever_a_length_leaves_out_arrives_and_is_kept(kind, short, ending, pieces, tmp_path):
    step = answering(200, BODIES[kind], SHORT[short], ending, pieces)
    with Faulty(step, http(PNG)) as server:
        result, kept, _ = bought(server, tmp_path)
        assert server.count("POST") == 1
        body = BODIES[kind].replace(b"{here}", server.here.encode())
    assert result.pictures[0].data == PNG
    assert kept.suffix == ".answer"
    assert kept.read_bytes().partition(b"\r\n\r\n")[2] == body


@pytest.mark.parametrize("pieces", PIECES)
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", ["base64", "a picture"])
@pytest.mark.parametrize("status", [101, 204, 304])
def test_a_status_without_a_body_hides_none(status, kind, ending, pieces, tmp_path):
    for short in (0, 1.0):
        folder = tmp_path / str(short)
        folder.mkdir()
        with Faulty(answering(status, BODIES[kind], short, ending, pieces)) as server:
            result, kept, _ = bought(server, folder)
        assert result.pictures[0].data == PNG
        assert kept.read_bytes().endswith(BODIES[kind])


@pytest.mark.parametrize("short", SHORT)
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_picture_that_is_fetched_is_whole_though_its_length_is_too_small(short, ending, tmp_path):
    get = answering(200, PNG, SHORT[short], ending, "cut at the length")
    with Faulty(answering(200, BODIES["an address"], 0, "closes", "at once"), get) as server:
        assert bought(server, tmp_path)[0].pictures[0].data == PNG
        assert server.count("GET") == 1


@pytest.mark.parametrize("kind", BODIES)
def test_nothing_is_waited_for_behind_a_body_that_is_complete(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(heads, "SILENCE", 15)
    steps = answering(200, BODIES[kind], 0, "stays open", "at once")
    with Faulty(steps, answering(200, PNG, 0, "stays open", "at once")) as server:
        result, _, seconds = bought(server, tmp_path)
    assert result.pictures[0].data == PNG
    assert seconds < 10


@pytest.mark.parametrize(
    "behind", [b"\r\n", b"\n\n\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0", b"}", b"{}"]
)
@pytest.mark.parametrize("kind", ["base64", "a picture"])
def test_what_stands_behind_a_complete_body_does_no_harm(kind, behind, tmp_path):
    length = len(BODIES[kind])
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b%b" % (length, BODIES[kind], behind)
    with Faulty(lambda exchange: exchange.send(answer)) as server:
        result, kept, _ = bought(server, tmp_path)
    assert result.pictures[0].data == PNG
    assert kept.read_bytes().partition(b"\r\n\r\n")[2].startswith(BODIES[kind])


@pytest.mark.parametrize("kind", ["base64", "a picture"])
def test_it_is_bought_once(kind, tmp_path):
    step = answering(200, BODIES[kind], 52, "stays open", "at once")
    with Faulty([step, images(b64(PNG))]) as server:
        environ = {"BELUGA_API_KEY": "bapi_SENTINEL-SENTINEL-1234", "BELUGA_BASE_URL": server.url}
        for _ in range(2):
            session = Session(environ=environ, folder=tmp_path, notify=lambda _: None)
            assert session.generate("a fox", model="flux-2.0").pictures[0].data == PNG
        assert server.count("POST") == 1
    assert pending.calls(Store(tmp_path / "beluga_store")) == []


def test_only_what_lacks_nothing_seems_complete():
    for body in BODIES.values():
        assert seems_complete(body)
        assert seems_complete(b"\xef\xbb\xbf\n" + body.rstrip())
        assert not any(seems_complete(body[:-cut]) for cut in [*range(1, 60), len(body) // 2])
    assert not seems_complete(b"")


COMPLETE = {
    "brackets in a string": b'{"data": [{"revised_prompt": "a fox :-{ [sic"}]}',
    "an escaped quote": rb'{"a": "\" [ \\\" {", "b": ["\\"]}',
    "backslashes": rb'{"a": "\\\\", "b": "{\\"}',
    "an escaped slash": rb'{"a": "data:image\/png;base64,[", "b": 1}',
    "lines": b'{"a": "["}\n{"b": "{"}\n',
    "events": b'data: {"a": "["}\n\ndata: [DONE]\n\n',
    "events with CRLF": b"event: done\r\ndata: 1\r\n\r\n",
    "events with CR": b"id: 1\rdata: 1\r\r",
    "HTML": b"<!doctype html>\n<html><body>No</body></html>\n",
    "HTML after a mark": b"\xef\xbb\xbf<html>x<br>",
}


@pytest.mark.parametrize("body", COMPLETE.values(), ids=COMPLETE)
def test_brackets_in_strings_events_and_html_are_complete_with_their_end(body):
    assert seems_complete(body)
    bare = body.rstrip()
    assert not seems_complete(bare[:-1])
    assert not seems_complete(bare[: len(bare) // 3])


@given(
    st.recursive(
        st.none() | st.integers() | st.text('[]{}"\\a', max_size=9),
        lambda inner: st.lists(inner) | st.dictionaries(st.text('[{"\\', max_size=4), inner),
        max_leaves=20,
    )
)
def test_json_seems_complete_with_its_last_bracket_and_not_before(value):
    body = json.dumps({"data": value}).encode()
    assert seems_complete(body)
    assert not any(seems_complete(body[:end]) for end in range(len(body)))


@pytest.mark.parametrize("answer", COMPLETE)
@pytest.mark.parametrize("status", [200, 500])
def test_an_ordinary_answer_is_not_waited_for(status, answer, tmp_path, monkeypatch):
    monkeypatch.setattr(heads, "SILENCE", 15)
    with Faulty(answering(status, COMPLETE[answer], 0, "stays open", "at once")) as server:
        began = time.monotonic()
        with pytest.raises(EngineError):
            bought(server, tmp_path)
        assert time.monotonic() - began < 10


def test_looking_whether_an_answer_is_complete_takes_no_long_time():
    for body in (
        json.dumps({"data": [{"b64_json": "iVBO/+" * 2 * 2**20}]}).encode(),
        json.dumps({"data": [{"b64_json": "iVBO/+" * 2 * 2**20}]}).replace("/", "\\/").encode(),
        b'{"' * 2**22,
        b'{"a": "' + b"\\" * 2**24,
    ):
        began = time.monotonic()
        seems_complete(body)
        assert time.monotonic() - began < 1
