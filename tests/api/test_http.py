"""The client against a server of ten lines that answers with the very bytes we give it."""

import asyncio
import base64
import gzip
import json
import logging
import socket
import threading
from dataclasses import dataclass, field

import httpx
import pytest
from conftest import drawn, everything_said

from beluga_nb.api import transport
from beluga_nb.api.body import MOST_INFLATED
from beluga_nb.api.endpoint import Endpoint
from beluga_nb.api.http import Http
from beluga_nb.config.keys import Secret
from beluga_nb.engines.retrying import Retrying
from beluga_nb.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BelugaError,
    InvalidImageError,
    InvalidResponseError,
    OutcomeUnknownError,
    RateLimitError,
)
from beluga_nb.request import Request
from beluga_nb.result import IncompleteError

KEY = "bapi_SENTINEL-SENTINEL-1234"
FOX = Request(prompt="a fox", model="flux-2.0")
FOXES = Request(prompt="a fox", model="flux-2.0", n=3)
PNG = drawn(FOX, 0)


@dataclass
class Heard:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Wire:
    """A server on loopback: `reply(heard)` gives the bytes that it sends before it hangs up.

    `{here}` in them becomes its own address; None keeps it silent until the client leaves.
    """

    reply: object
    heard: list[Heard] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        self.here = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()

    async def answer(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        method, path, _ = head[0].split(" ")
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.heard.append(Heard(method, path, headers, body))
        sent = self.reply(self.heard[-1])
        if sent is None:
            await reader.read()
            self.left.set()
        else:
            writer.write(sent.replace(b"{here}", self.here.encode()))
        writer.close()

    def count(self, method):
        return sum(each.method == method for each in self.heard)


def http(body, status="200 OK", **headers):
    """An answer with its length, so that a cut is seen."""
    lines = [f"HTTP/1.1 {status}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if "{here}" not in str(body):
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def images(*items, created=1_750_000_000):
    return http(json.dumps({"created": created, "data": list(items)}).encode())


def b64(sample=0):
    return {"b64_json": base64.b64encode(drawn(FOX, sample)).decode()}


def error(status, body=b"", **headers):
    return http(body, f"{status} Whatever", **headers)


async def no_time(_):
    pass


async def asked(base_url, request=FOX, *, retrying=False, **options):
    """Ask the client, and return its result or its error."""
    endpoint = {"base_url": base_url, "provider": "wire", "key": Secret(KEY, "code")} | options
    client = Http(Endpoint(**endpoint), sleep=no_time)
    try:
        return await asyncio.wait_for((Retrying(client) if retrying else client)(request), 20)
    except BelugaError as failed:
        return failed


def exchange(reply, request=FOX, **options):
    """Ask a server that replies so; return the result or the error, and the server."""

    async def run():
        async with Wire(reply) as wire:
            return await asked(f"{wire.here}/v1", request, **options), wire

    return asyncio.run(run())


# --- what is sent


def test_one_post_says_what_was_set_and_carries_the_key():
    _, wire = exchange(lambda _: images(b64()))
    (post,) = wire.heard
    assert (post.method, post.path) == ("POST", "/v1/images/generations")
    assert post.headers["authorization"] == f"Bearer {KEY}"
    assert post.headers["accept-encoding"] == "identity"
    assert post.headers["content-type"] == "application/json"
    assert json.loads(post.body) == {
        "model": "flux-2.0",
        "prompt": "a fox",
        "n": 1,
        "response_format": "b64_json",
    }


def test_without_a_key_none_is_sent():
    _, wire = exchange(lambda _: images(b64()), key=None)
    assert "authorization" not in wire.heard[0].headers


def test_a_proxy_of_the_environment_never_hears_what_stays_on_this_machine(monkeypatch):
    async def run():
        async with Wire(lambda _: images(b64())) as wire, Wire(lambda _: error(502)) as proxy:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(name, proxy.here)
            monkeypatch.delenv("NO_PROXY", raising=False)
            monkeypatch.delenv("no_proxy", raising=False)
            return await asked(f"{wire.here}/v1"), proxy

    result, proxy = asyncio.run(run())
    assert proxy.heard == []
    assert len(result) == 1


def test_the_settings_for_proxies_are_read_without_blocking_the_event_loop(monkeypatch):
    """macOS and Windows may resolve the name of the host, to see whether it is an exception."""
    threads = []

    async def run():
        here = threading.current_thread()
        async with Wire(lambda _: images(b64())) as proxy:
            monkeypatch.setattr(transport, "getproxies", lambda: {"http": proxy.here})
            monkeypatch.setattr(
                transport, "proxy_bypass", lambda _: threads.append(threading.current_thread())
            )
            return here, await asked("http://pictures.example/v1"), proxy

    here, result, proxy = asyncio.run(run())
    assert len(result) == len(proxy.heard) == 1
    assert here not in threads
    assert threads


# --- what comes


def test_a_picture_in_base64_arrives_to_the_byte():
    result, wire = exchange(lambda _: images(b64() | {"revised_prompt": "a red fox"}))
    assert result.pictures[0].data == PNG
    assert result.pictures[0].media_type == "image/png"
    assert (result.recipe.engine, result.recipe.created) == ("wire", 1_750_000_000)
    assert result.recipe.revised_prompt == "a red fox"
    assert wire.count("POST") == 1


def links(*paths):
    """A server that answers with links, and gives the drawing of a sample at each."""

    def reply(heard):
        if heard.method == "POST":
            return images(*({"url": path} for path in paths))
        return http(drawn(FOX, int(heard.path[-1])))

    return reply


@pytest.mark.parametrize("url", ["{here}/files/0", "/files/0", "//127.0.0.1:{port}/files/0"])
def test_a_picture_at_a_link_arrives_to_the_byte(url):
    def reply(heard):
        at = url.replace("{port}", heard.headers["host"].rpartition(":")[2])
        return links(at)(heard)

    result, wire = exchange(reply, response_format="url")
    assert result.pictures[0].data == PNG
    assert (wire.count("POST"), wire.count("GET")) == (1, 1)


def test_a_picture_in_a_data_url_arrives_to_the_byte():
    result, _ = exchange(lambda _: images({"url": "data:image/png;base64," + b64()["b64_json"]}))
    assert result.pictures[0].data == PNG


def test_several_pictures_arrive_in_their_order():
    result, wire = exchange(links("/files/0", "/files/1", "/files/2"), FOXES)
    assert [picture.data for picture in result.pictures] == [drawn(FOX, sample) for sample in range(3)]
    assert [picture.recipe.request.sample for picture in result.pictures] == [0, 1, 2]
    assert (wire.count("POST"), wire.count("GET")) == (1, 3)


def test_the_engine_names_itself_in_a_header():
    body = json.dumps({"data": [b64()]}).encode()
    result, _ = exchange(lambda _: http(body, x_beluga_engine="procedural"))
    assert result.recipe.procedural


@pytest.mark.parametrize("status", ["201 Created", "203 Transformed"])
def test_any_success_with_pictures_is_an_answer(status):
    body = json.dumps({"data": [b64()]}).encode()
    result, _ = exchange(lambda _: http(body, status))
    assert result.pictures[0].data == PNG


def test_a_success_without_pictures_may_have_been_billed():
    failed, _ = exchange(lambda _: http(b'{"job": 7}', "202 Accepted"))
    assert type(failed) is InvalidResponseError
    assert "may have been billed" in failed.hint


@pytest.mark.parametrize("encoding", ["gzip", "GZIP"])
def test_an_answer_that_is_compressed_unasked_is_read_all_the_same(encoding):
    body = gzip.compress(json.dumps({"data": [b64()]}).encode())
    result, _ = exchange(lambda _: http(body, content_encoding=encoding))
    assert result.pictures[0].data == PNG


def test_an_answer_in_an_encoding_that_we_cannot_read_is_named():
    failed, _ = exchange(lambda _: http(b"\x0b\x02\x80", content_encoding="br"))
    assert type(failed) is InvalidResponseError
    assert failed.message == "The answer is in an encoding that was not asked for (br)."


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimitError), (401, AuthenticationError)])
def test_an_error_in_an_encoding_that_we_cannot_read_is_that_error(status, kind):
    failed, _ = exchange(lambda _: error(status, b"\x0b\x02\x80", content_encoding="br"))
    assert (type(failed), failed.status) == (kind, status)


# --- whose the key is


def test_s12_the_key_goes_to_the_api_and_to_no_other_origin():
    async def run():
        cdn = Wire(lambda _: http(PNG))
        api = Wire(lambda _: images({"url": f"{cdn.here}/a.png?sig=1"}))
        async with cdn, api:
            return await asked(f"{api.here}/v1"), api, cdn

    result, api, cdn = asyncio.run(run())
    assert result.pictures[0].data == PNG
    assert api.heard[0].headers["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in cdn.heard[0].headers
    assert KEY not in str(cdn.heard)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_s11_a_redirect_is_not_followed(status):
    async def run():
        elsewhere = Wire(lambda _: images(b64()))
        api = Wire(lambda _: error(status, location=f"{elsewhere.here}/v1"))
        async with elsewhere, api:
            return await asked(f"{api.here}/v1"), api, elsewhere

    failed, api, elsewhere = asyncio.run(run())
    assert (type(failed), failed.status) == (OutcomeUnknownError, status)
    assert failed.message == f"The base URL redirects to {elsewhere.here[7:]}; redirects are not followed."
    assert (len(api.heard), len(elsewhere.heard)) == (1, 0)


def test_a_download_follows_redirects():
    def reply(heard):
        if heard.method == "POST":
            return images({"url": "/a.png?sig=1"})
        return error(302, location="../b.png?sig=2") if heard.path == "/a.png?sig=1" else http(PNG)

    result, wire = exchange(reply)
    assert result.pictures[0].data == PNG
    assert [each.path for each in wire.heard] == ["/v1/images/generations", "/a.png?sig=1", "/b.png?sig=2"]


# --- failures, each of which is one POST


def silent(heard):
    return None


def hanging_up(heard):
    return b""


def cut(heard):
    return images(b64())[:-40]


def cut_in_the_head(heard):
    return b"HTTP/1.1 200 OK\r\ncontent-le"


def garbage(heard):
    return b"220 mail.example ESMTP\r\n"


FAILURES = [
    (silent, APITimeoutError, "No answer within 0.3 s."),
    (hanging_up, OutcomeUnknownError, "The connection broke before the answer was complete"),
    (cut, OutcomeUnknownError, "The connection broke before the answer was complete"),
    (cut_in_the_head, OutcomeUnknownError, "The connection broke before the answer was complete"),
    (garbage, InvalidResponseError, "The answer is not the API's: 220 mail.example ESMTP"),
    (
        lambda _: http(b"<html>Sign in</html>"),
        InvalidResponseError,
        "The answer is not the API's: <html>Sign in</html>",
    ),
    (lambda _: http(b""), InvalidResponseError, "The answer is not the API's: it is empty"),
    (lambda _: http(b"[" * 100_000), InvalidResponseError, "The answer is not the API's: ["),
    (lambda _: images(), InvalidResponseError, "The answer holds no picture."),
    (
        lambda _: images({}),
        InvalidResponseError,
        "A picture in the answer has neither url nor b64_json.",
    ),
    (lambda _: images({"b64_json": "!"}), InvalidResponseError, "A picture in the answer is damaged"),
    (
        lambda _: images({"b64_json": "YWJj"}),
        InvalidImageError,
        "The picture's 3 bytes are no readable PNG",
    ),
    (
        lambda _: images({"url": "ftp://x.example/a"}),
        InvalidResponseError,
        "The answer's picture lies at an address that",
    ),
    (
        lambda _: images({"url": "http://[bad/a"}),
        InvalidResponseError,
        "The answer's picture lies at an address that",
    ),
    (
        lambda _: images({"url": "https://a b/c\x00"}),
        InvalidResponseError,
        "The answer's picture lies at an address that",
    ),
    (
        lambda _: images({"url": "https://xn--.example/"}),
        InvalidResponseError,
        "The picture was made but cannot be",
    ),
    (
        lambda _: error(400, b'{"error": {"message": "No size.", "param": "size"}}'),
        APIStatusError,
        "No size.",
    ),
    (lambda _: error(401, b'{"error": {"message": "Bad key."}}'), AuthenticationError, "Bad key."),
    (lambda _: error(402), APIStatusError, "The service answered with status 402."),
    (lambda _: error(404), APIStatusError, "The service answered with status 404."),
    (lambda _: error(408), OutcomeUnknownError, "The service answered with status 408."),
    (
        lambda _: error(500, b"<html>oops</html>"),
        OutcomeUnknownError,
        "The service answered with status 500.",
    ),
    (lambda _: error(502), OutcomeUnknownError, "The service answered with status 502."),
    (lambda _: error(503), RateLimitError, "The service answered with status 503."),
    (lambda _: error(504), APITimeoutError, "The service answered with status 504."),
]


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    FAILURES,
    ids=[f"{number} {message}"[:60] for number, (*_, message) in enumerate(FAILURES)],
)
def test_s06_every_failure_is_one_post_one_error_and_no_key(reply, kind, message, caplog):
    caplog.set_level(logging.DEBUG)
    failed, wire = exchange(reply, timeout=0.3 if reply is silent else 10, retrying=True)
    assert type(failed) is kind
    assert failed.message.startswith(message)
    assert failed.hint
    assert wire.count("POST") == 1
    assert KEY not in everything_said(failed)
    assert KEY not in caplog.text


def test_what_the_service_says_about_an_error_is_kept():
    body = json.dumps({"error": {"message": "Slow down.", "type": "t", "code": 1301, "param": None}})
    failed, _ = exchange(lambda _: error(429, body.encode(), retry_after="7", x_request_id="req_9"))
    assert (failed.message, failed.type, failed.code, failed.param) == ("Slow down.", "t", "1301", None)
    assert (failed.status, failed.retry_after, failed.request_id) == (429, 7.0, "req_9")


def test_an_error_that_echoes_the_key_does_not_show_it():
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}."}}).encode()
    failed, _ = exchange(lambda _: error(401, body))
    assert failed.message == "Incorrect API key provided: (your key)."
    assert KEY not in everything_said(failed)


def test_a_service_that_is_not_there_was_sent_nothing():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        failed = asyncio.run(asked(f"http://127.0.0.1:{unused.getsockname()[1]}/v1"))
    assert type(failed) is APIConnectionError
    assert failed.message.startswith("No connection to 127.0.0.1: ")
    assert failed.hint.startswith("Nothing was sent or billed.")
    assert KEY not in everything_said(failed)


def test_a_client_that_is_stopped_hangs_up():
    async def run():
        async with Wire(silent) as wire:
            asking = asyncio.create_task(asked(f"{wire.here}/v1"))
            while not wire.heard:
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await asyncio.wait_for(wire.left.wait(), 5)
            return wire

    assert asyncio.run(run()).count("POST") == 1


# --- some of several


def test_fewer_pictures_than_asked_for_are_kept():
    failed, wire = exchange(lambda _: images(b64(0), b64(1)), FOXES)
    assert type(failed) is IncompleteError
    assert failed.message == "2 of 3 pictures arrived; the rest failed: The service sent 2 of 3."
    assert [picture.recipe.request.sample for picture in failed.result.pictures] == [0, 1]
    assert wire.count("POST") == 1


@pytest.mark.parametrize(
    "bad", [{}, None, {"b64_json": "!"}, {"b64_json": "YWJj"}, {"url": "ftp://x"}, {"url": "http://[x"}]
)
def test_a_bad_picture_among_good_ones_spoils_none(bad):
    failed, wire = exchange(lambda _: images(b64(0), bad, b64(2)), FOXES)
    assert type(failed) is IncompleteError
    assert [picture.data for picture in failed.result.pictures] == [drawn(FOX, 0), drawn(FOX, 2)]
    assert [picture.recipe.request.sample for picture in failed.result.pictures] == [0, 2]
    assert wire.count("POST") == 1


def test_more_pictures_than_asked_for_are_not_counted():
    result, _ = exchange(lambda _: images(b64(0), b64(1)))
    assert len(result) == 1


# --- downloads


def downloading(*replies):
    """A server that answers one link, and to each GET the next of these."""
    left = list(replies)
    return lambda heard: images({"url": "/a.png?sig=SECRET"}) if heard.method == "POST" else left.pop(0)


@pytest.mark.parametrize(
    "failure", [http(PNG)[:-9], b"", error(500), error(503)], ids=["cut", "none", "500", "503"]
)
def test_a_download_that_fails_is_tried_again_without_a_second_post(failure):
    result, wire = exchange(downloading(failure, failure, http(PNG)))
    assert result.pictures[0].data == PNG
    assert (wire.count("POST"), wire.count("GET")) == (1, 3)


@pytest.mark.parametrize(
    ("replies", "gets"),
    [
        ([http(PNG)[:-9]] * 3, 3),
        ([error(500)] * 3, 3),
        ([error(404)], 1),
        ([error(403)], 1),
        ([error(410)], 1),
    ],
    ids=["cut", "500", "404", "403", "410"],
)
def test_a_download_that_fails_for_good_says_where_the_picture_lies(replies, gets):
    failed, wire = exchange(downloading(*replies))
    assert type(failed) is InvalidResponseError
    assert failed.message == f"The picture was made but cannot be fetched from {wire.here}/a.png"
    assert failed.hint.startswith("It has probably been billed. Ask again soon: ")
    assert [each.url for each in failed.addresses] == [f"{wire.here}/a.png?sig=SECRET"]
    assert (wire.count("POST"), wire.count("GET")) == (1, gets)


def test_a_download_that_is_silent_ends_with_the_call():
    failed, wire = exchange(downloading(None), timeout=0.3)
    assert type(failed) is InvalidResponseError
    assert failed.message.startswith("The picture was made but cannot be fetched from ")
    assert (wire.count("POST"), wire.count("GET")) == (1, 1)


def test_a_broken_picture_keeps_its_bytes():
    half = PNG[: len(PNG) // 2]
    failed, wire = exchange(downloading(http(half)))
    assert type(failed) is InvalidImageError
    assert failed.data == half
    assert wire.count("POST") == 1


def test_a_page_instead_of_a_picture_keeps_its_bytes():
    failed, _ = exchange(downloading(http(b"<html>expired</html>", content_type="image/png")))
    assert (type(failed), failed.data) == (InvalidImageError, b"<html>expired</html>")


def test_a_picture_that_is_too_large_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(transport, "MAX_IN_MEMORY", 2**20)
    failed, _ = exchange(downloading(http(PNG + bytes(2**20))))
    assert type(failed) is InvalidResponseError
    assert failed.message == "The answer is larger than 1 MiB; it is not kept."


def test_a_small_body_that_unpacks_to_a_huge_one_is_not_unpacked():
    bomb = gzip.compress(bytes(MOST_INFLATED + 1))
    failed, _ = exchange(downloading(http(bomb, content_encoding="gzip")))
    assert type(failed) is InvalidResponseError
    assert failed.message == "The answer inflates to more than 64 MiB."


# --- what others log


def test_nothing_that_is_logged_holds_a_signed_query_a_cookie_or_the_key(caplog):
    caplog.set_level(logging.DEBUG)

    def reply(heard):
        if heard.method == "POST":
            body = json.dumps({"data": [{"url": "/a.png?sig=SECRET"}]}).encode()
            return http(body, set_cookie="session=SECRET", x_request_id=KEY)
        if heard.path.startswith("/a"):
            return error(302, location="/b.png?sig=SECRET")
        return http(PNG)

    result, _ = exchange(reply)
    assert result.pictures[0].data == PNG
    assert "GET http://127.0.0.1" in caplog.text
    assert "SECRET" not in caplog.text
    assert KEY not in caplog.text


def test_what_others_log_of_their_own_requests_is_as_it_was(caplog):
    caplog.set_level(logging.DEBUG)

    async def theirs():
        async with (
            Wire(lambda _: http(b"", x_theirs="seen")) as wire,
            httpx.AsyncClient(trust_env=False) as client,
        ):
            await asked(f"{wire.here}/v1")
            caplog.clear()
            await client.get(f"{wire.here}/a?theirs=1")

    asyncio.run(theirs())
    assert "a?theirs=1" in caplog.text
    assert "x-theirs" in caplog.text


def test_a_picture_comes_through_a_proxy_which_looks_its_name_up(monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)

    async def run():
        async with Wire(lambda _: http(PNG)) as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy.here)
            monkeypatch.setenv("http_proxy", proxy.here)
            link = {"url": "http://images.invalid/a.png?sig=SECRET"}
            async with Wire(lambda _: images(link)) as wire:
                return await asked(f"{wire.here}/v1"), proxy

    result, proxy = asyncio.run(run())
    assert result.pictures[0].data == PNG
    assert [each.path for each in proxy.heard] == ["http://images.invalid/a.png?sig=SECRET"]
    assert "authorization" not in proxy.heard[0].headers
    assert "SECRET" not in caplog.text


def test_a_cookie_is_not_sent_back():
    def reply(heard):
        if heard.method == "POST":
            return http(json.dumps({"data": [b64(), {"url": "/a.png"}]}).encode(), set_cookie="a=1; Path=/")
        return http(PNG, set_cookie="b=2; Path=/")

    result, wire = exchange(reply, FOX.slice(0, 2))
    assert len(result) == 2
    assert not any("cookie" in each.headers for each in wire.heard)


def test_a_host_with_several_addresses_is_tried_at_each(monkeypatch):
    real = socket.getaddrinfo

    def several(host, port, *more, **how):
        if host != "images.example":
            return real(host, port, *more, **how)
        inet = (socket.SOCK_STREAM, 6, "")
        return [(socket.AF_INET6, *inet, ("::1", port, 0, 0))] + [
            (socket.AF_INET, *inet, (address, port)) for address in ("127.0.0.9", "127.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", several)

    def reply(heard):
        port = heard.headers["host"].rpartition(":")[2]
        return images({"url": f"http://images.example:{port}/a"}) if heard.method == "POST" else http(PNG)

    result, wire = exchange(reply)
    assert result.pictures[0].data == PNG
    assert wire.heard[1].headers["host"].startswith("images.example:")
