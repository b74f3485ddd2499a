"""Every fault of the matrix, over a real socket, through the session: what was sent, said and written down.

A is the POST, B the bytes of the pictures. Each row counts the POSTs and GETs that the server saw.
`Played.failed` and `Played.done` state what all rows have in common: one error of ours, which speaks of
billing exactly where something may have been billed; the journal and the records; a bound in time; no key and
no signed address anywhere; and the next call works.
"""

import contextlib
import gzip
import io
import json
import logging
import socket
import struct
import time
import tracemalloc
import zlib
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

import faulty
import pytest
from conftest import everything_said
from faulty import Faulty, after, b64, dripping, error, http, images, repeating, reset, reset_after, silence
from kernels import PATIENCE, Kernel
from PIL import Image
from sampling import rounds

from beluga_nb.api import transport
from beluga_nb.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BelugaError,
    CertificateError,
    InvalidImageError,
    InvalidResponseError,
    OutcomeUnknownError,
    RateLimitError,
)
from beluga_nb.result import IncompleteError, Result
from beluga_nb.session.session import Session
from beluga_nb.store import pending
from beluga_nb.store.records import Store
from beluga_nb.wire import REFUSALS

KEY = "bapi_SENTINEL-SENTINEL-1234"
SIGNED = "sig=SECRET-SIGNATURE"
MODEL = "flux-2.0"


def picture(number: int = 0, kind: str = "PNG", **how: object) -> bytes:
    image = Image.linear_gradient("L").resize((96, 64)).convert("RGB").rotate(number)
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


PNG = picture()
GOOD = images(b64(PNG))


@dataclass
class Played:
    """One call, and what there is after it."""

    session: Session
    folder: Path
    server: Faulty
    environ: dict[str, str]
    log: pytest.LogCaptureFixture
    messages: list[str]
    result: Result | None = None
    error: BelugaError | None = None
    seconds: float = 0.0

    @property
    def store(self) -> Store:
        return Store(self.folder / "beluga_store")

    def ask(self, prompt: str = "a fox", **more: object) -> None:
        began = time.monotonic()
        self.result = self.error = None
        try:
            self.result = self.session.generate(prompt, model=MODEL, **more)
        except BelugaError as failed:  # anything else is a failure of the test
            self.error = failed
        self.seconds = time.monotonic() - began

    def done(self, *, posts: int = 1, gets: int = 0) -> Result:
        assert self.error is None
        assert self.result is not None
        assert pending.calls(self.store) == []
        assert len(self.store.record_paths()) == len(self.result)
        self._counted(posts, gets)
        assert self.result is not None
        return self.result

    def failed(
        self,
        kind: type[BelugaError],
        message: str,
        *,
        billed: bool,
        posts: int = 1,
        gets: int = 0,
        records: int = 0,
    ) -> BelugaError:
        failed = self.error
        assert type(failed) is kind
        assert message in str(failed)
        assert 1 <= len(failed._render_traceback_()) <= 2
        assert failed.may_be_billed is billed
        words = ("may have been billed", "has probably been billed")
        assert any(each in str(failed) for each in words) is billed
        self._written(failed, billed)
        assert len(self.store.record_paths()) == records
        self._counted(posts, gets)
        return failed

    def _written(self, failed: BelugaError, billed: bool) -> None:
        lost = pending.calls(self.store)
        assert len(lost) == billed, "what may have been billed stays in the journal, and nothing else"
        if billed:
            assert lost[0].why
            assert not lost[0].on_its_way
            assert (
                lost[0].run
                == failed.idempotency_key
                == self.server.asked("POST")[-1].headers["idempotency-key"]
            )

    def _counted(self, posts: int, gets: int) -> None:
        assert (self.server.count("POST"), self.server.count("GET")) == (posts, gets)
        assert self.seconds < PATIENCE
        assert len({post.headers["idempotency-key"] for post in self.server.asked("POST")}) <= 1
        assert len({post.digest for post in self.server.asked("POST")}) <= 1
        assert all(get.headers.get("authorization") is None for get in self.server.asked("GET"))
        self._shows_no_secret()
        self._goes_on()

    def _shows_no_secret(self) -> None:
        shown = everything_said(self.error) if self.error else ""
        assert KEY not in shown
        assert "SECRET-SIGNATURE" not in "".join(self.error._render_traceback_() if self.error else [])
        assert KEY not in self.log.text
        assert "SECRET-SIGNATURE" not in self.log.text
        for path in self.folder.rglob("*.json"):
            assert KEY not in path.read_text()

    def _goes_on(self) -> None:
        result, failed = self.result, self.error
        with Faulty(GOOD) as healthy:
            self.environ["BELUGA_BASE_URL"] = healthy.url
            self.ask("the next one")
            assert (self.error, healthy.count("POST")) == (None, 1)
        self.environ["BELUGA_BASE_URL"] = self.server.url
        self.result, self.error = result, failed


@pytest.fixture
def play(tmp_path, caplog, messages, without_pauses):
    """Play a fault: `play(post, get, n=…)` asks a server that answers so; only a hang takes `PATIENCE`."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "PIL")  # which logs each chunk of a PNG
    with contextlib.ExitStack() as servers:

        def played(
            post=GOOD,
            get=b"",
            *,
            base_url=None,
            certificate=None,
            ask=None,
            timeout=PATIENCE,
            connect_timeout=PATIENCE,
        ):
            server = servers.enter_context(Faulty(post, get, certificate=certificate))
            environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url or server.url}
            session = Session(
                environ=environ,
                folder=tmp_path,
                notify=messages.append,
                confirm=lambda _: None,
                timeout=timeout,
                connect_timeout=connect_timeout,
            )
            played = Played(session, tmp_path, server, environ, caplog, messages)
            played.ask(**(ask or {}))
            return played

        yield played


@contextlib.contextmanager
def no_more_memory_than(mebibytes):
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < mebibytes * 2**20
    finally:
        tracemalloc.stop()


# --- A: the POST


def test_a01_a_connection_that_is_refused(play):
    with faulty.nobody() as base_url:
        play(base_url=base_url).failed(
            APIConnectionError, "No connection to 127.0.0.1: ", billed=False, posts=0
        )


def test_a01_a_name_that_does_not_resolve(play, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", unknown)
        played = play(base_url="https://images.invalid/v1")
    played.failed(APIConnectionError, "No connection to images.invalid: ", billed=False, posts=0)


def test_a02_a_connection_that_hangs(play):
    with faulty.full() as base_url:
        played = play(base_url=base_url, connect_timeout=0.4)
        played.failed(APIConnectionError, "No connection to 127.0.0.1: ConnectTimeout", billed=False, posts=0)


@pytest.mark.parametrize(
    ("host", "until", "trusted", "expected"),
    [
        ("localhost", "20991231235959Z", False, "self-signed certificate"),
        ("localhost", "20210101000000Z", True, "certificate has expired"),
        ("images.example", "20991231235959Z", True, "Hostname mismatch"),
    ],
    ids=["self-signed", "expired", "another host"],
)
def test_a03_a_certificate_that_cannot_be_trusted(
    play, tmp_path, monkeypatch, host, until, trusted, expected
):
    made = faulty.certificate(tmp_path / "tls", host, until=until)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(made))
    played = play(certificate=made)
    failed = played.failed(
        CertificateError, "The certificate of localhost cannot be trusted: ", billed=False, posts=0
    )
    assert expected.lower() in failed.message.lower().replace("self signed", "self-signed")
    assert "verify=False" not in str(failed)
    assert played.server.connections == 1


def test_a03_a_certificate_that_can_be_trusted(play, tmp_path, monkeypatch):
    made = faulty.certificate(tmp_path / "tls")
    monkeypatch.setenv("SSL_CERT_FILE", str(made))
    play(certificate=made).done()


BROKEN = "The connection broke before the answer was complete"


def test_a04_the_server_hangs_up(play):
    failed = play(b"").failed(OutcomeUnknownError, BROKEN, billed=True)
    assert f"call {failed.idempotency_key[:8]}" in failed._render_traceback_()[0]


def test_a05_the_connection_is_reset(play):
    play(reset).failed(OutcomeUnknownError, BROKEN, billed=True)


def test_a06_silence(play):
    play(silence, timeout=0.4).failed(APITimeoutError, "No answer within 0.4 s.", billed=True)


@pytest.mark.parametrize(
    "step",
    [
        dripping(b"HTTP/1.1 200 OK\r\nx-slow: " + b"y" * 10_000),
        dripping(http(b"{" + b" " * 10_000)),
        repeating(b"", b"HTTP/1.1 102 Processing\r\n\r\n", 0.01),
        repeating(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 500),
        repeating(http(b"{", length=10**7), b" ", 0.01),
    ],
    ids=["a07 header", "a08 body", "a09 endless 102", "a09 a flood of 102", "a08 endless body"],
)
def test_a07_to_a09_an_answer_that_never_ends(play, step):
    played = play(step, timeout=0.6)
    played.failed(APITimeoutError, "No answer within 0.6 s.", billed=True)


def test_a10_an_answer_that_takes_long(play):
    play(after(1.0, GOOD)).done()


@pytest.mark.parametrize(
    "answer",
    [
        GOOD[:-40],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40\r\n{",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-le",
    ],
    ids=["length", "chunk", "chunk size", "head"],
)
def test_a11_an_answer_that_is_cut(play, answer):
    def cut(exchange):
        exchange.send(answer)

    play(cut).failed(OutcomeUnknownError, BROKEN, billed=True)


def test_a11_an_answer_that_is_cut_by_a_reset(play):
    play(reset_after(GOOD[:200])).failed(OutcomeUnknownError, BROKEN, billed=True)


def test_a12_an_answer_without_a_length_that_is_cut(play):
    head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
    played = play(head + GOOD.partition(b"\r\n\r\n")[2][:-40])
    played.failed(InvalidResponseError, "The answer is not the API's: ", billed=True)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Sign in</html>",
        b"",
        b"null",
        b"[]",
        b'"data"',
        b'{"data": null}',
        b'{"data": {}}',
        b"\xff\xfe",
    ],
)
def test_a13_a_success_that_is_not_the_apis(play, body):
    play(http(body)).failed(InvalidResponseError, "The answer is not the API's: ", billed=True)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nx-large: " + b"y" * 5_000_000 + b"\r\n\r\n{}",
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{",
    ],
    ids=["a header of 5 megabytes", "another protocol", "no chunks"],
)
def test_a13_a_head_that_is_no_good(play, answer):
    played = play(lambda exchange: exchange.send(answer))
    played.failed(InvalidResponseError, "The answer is not the API's: ", billed=True)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"data":' * 100_000,
        b'{"created": NaN, "data": NaN}',
        b'{"data": "\\ud800"}',
        b'{"data": [], "data": 7}',
    ],
    ids=["depth", "depth of objects", "nan", "surrogate", "twice"],
)
def test_a14_json_that_is_a_bomb(play, body):
    play(http(body)).failed(InvalidResponseError, "The answer is not the API's: ", billed=True)


def test_a14_half_a_surrogate_pair_among_the_words_spoils_no_picture(play):
    item = json.dumps(b64(PNG))[:-1] + ', "revised_prompt": "\\ud800 fox"}'
    result = play(http(f'{{"data": [{item}]}}'.encode())).done()
    assert result.pictures[0].recipe.revised_prompt == "? fox"


def test_a15_a_bomb_of_gzip_inside_gzip(play):
    bomb = gzip.compress(gzip.compress(bytes(200 * 2**20), 9), 9)
    with no_more_memory_than(64 + 16):
        played = play(http(bomb, content_encoding="gzip, gzip"))
    played.failed(InvalidResponseError, "The answer inflates to more than 64 MiB.", billed=True)


def test_a15_a_bomb_of_gzip_is_unpacked_to_the_limit_and_no_further(play):
    """The limit of an answer is itself 64 MiB, so that much is held, once."""
    bomb = gzip.compress(bytes(200 * 2**20), 9)
    with no_more_memory_than(64 + 16):
        played = play(http(bomb, content_encoding="gzip"))
    played.failed(InvalidResponseError, "The answer inflates to more than 64 MiB.", billed=True)


def test_a16_busy_twice(play):
    played = play([error(429, retry_after="0.01")] * 2 + [GOOD])
    played.done(posts=3)


def test_a17_busy_for_ever(play):
    played = play(error(429, "Slow down."))
    played.failed(RateLimitError, "Slow down.", billed=False, posts=3)


@pytest.mark.parametrize("asked", ["1", "date", "garbage", "-1", "nan", ""])
def test_a18_busy_with_a_word_on_when_to_come_again(play, asked):
    moment = time.time()
    word = formatdate(moment + 2, usegmt=True) if asked == "date" else asked
    date = formatdate(moment, usegmt=True)
    played = play([error(429, retry_after=word, date=date), GOOD])
    assert played.seconds > {"1": 1.0, "date": 2.0}.get(asked, 0.0)
    played.done(posts=2)


def test_a18_busy_for_longer_than_anyone_waits(play):
    played = play(error(429, "Slow down.", retry_after="300"))
    played.failed(RateLimitError, "The service says to try again in 5 minutes.", billed=False)


def test_a19_unavailable_with_a_word_on_when_to_come_again(play):
    play([error(503, retry_after="0.1"), GOOD]).done(posts=2)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (503, RateLimitError),
        (500, OutcomeUnknownError),
        (501, OutcomeUnknownError),
        (502, OutcomeUnknownError),
        (504, APITimeoutError),
        (520, OutcomeUnknownError),
        (529, OutcomeUnknownError),
        (408, OutcomeUnknownError),
    ],
)
def test_a20_a_status_that_leaves_the_outcome_unknown(play, status, kind):
    played = play(error(status, "It failed.", x_request_id="req_9"))
    failed = played.failed(kind, "It failed.", billed=True)
    assert (failed.status, failed.request_id) == (status, "req_9")
    assert f"(status {status}, request req_9, call " in failed._render_traceback_()[0]


@pytest.mark.parametrize("status", sorted(REFUSALS - {401, 402, 403, 429}))
def test_a21_a_request_that_is_refused(play, status):
    played = play(error(status, "No such thing."))
    assert played.failed(APIStatusError, "No such thing.", billed=False).status == status


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "The key comes from BELUGA_API_KEY"), (402, "Top up the balance"), (403, "may not use")],
)
def test_a22_a_key_a_balance_or_a_permission_that_is_missing(play, status, advice):
    played = play(error(status, "No."))
    kind = AuthenticationError if status == 401 else APIStatusError
    assert advice in played.failed(kind, "No.", billed=False).hint


ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in KEY)


@pytest.mark.parametrize(
    "answer",
    [
        error(401, f"Incorrect API key provided: {KEY}."),
        http(f'{{"error": {{"message": "Incorrect: {ESCAPED}"}}}}'.encode(), 401),
        http(f"Incorrect: {KEY}".encode(), 401),
        error(401, "Incorrect.", x_request_id=KEY),
        error(302, "Elsewhere.", location=f"https://{KEY}.example/"),
        http(json.dumps({"error": {"message": "No.", "code": KEY, "param": KEY, "type": KEY}}).encode(), 400),
        http(gzip.compress(json.dumps({"error": {"message": KEY}}).encode()), 401, content_encoding="gzip"),
    ],
    ids=["message", "escaped", "text", "request id", "location", "fields", "gzip"],
)
def test_a23_an_error_that_repeats_the_key(play, answer):
    failed = play(answer).error
    assert failed is not None
    assert KEY.lower() not in everything_said(failed).lower()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a24_a_redirect_to_another_host(play, status):
    with Faulty(GOOD, PNG) as elsewhere:
        played = play(error(status, location=f"{elsewhere.here}/v1/images/generations?{SIGNED}"))
        played.failed(OutcomeUnknownError, f"redirects to 127.0.0.1:{elsewhere.port}", billed=True)
        assert elsewhere.connections == 0


def test_a25_a_redirect_to_the_same_host(play):
    played = play(error(307, location="{here}/v2/images/generations"))
    played.failed(OutcomeUnknownError, "redirects are not followed", billed=True)


@pytest.mark.parametrize("location", ["", "/elsewhere", "//[", "https://<script>/", "x" * 9000])
def test_a25_a_redirect_to_nowhere(play, location):
    played = play(error(302, location=location))
    failed = played.failed(OutcomeUnknownError, "redirects", billed=True)
    assert len(failed.message) < 200


def test_a26_fewer_pictures_than_asked_for(play):
    """What did not come may have been billed: the call stays in the journal beside what is recorded."""
    played = play(images(b64(picture(0)), b64(picture(1))), ask={"n": 4})
    failed = played.failed(IncompleteError, "2 of 4 pictures arrived", billed=True, records=2)
    assert [each.recipe.request.sample for each in failed.result.pictures] == [0, 1]


def test_a26_no_picture_at_all(play):
    played = play(images(), ask={"n": 4})
    played.failed(InvalidResponseError, "may have declined the prompt", billed=True)


def test_a26_more_pictures_than_asked_for(play):
    played = play(images(*(b64(picture(number)) for number in range(6))), ask={"n": 4})
    result = played.done()
    assert [each.data for each in result.pictures] == [picture(number) for number in range(4)]
    [words] = [words for words in played.messages if "6 pictures" in words]
    kept = [path for path in played.folder.rglob("*") if path.is_file() and path.name in words]
    assert sorted(path.read_bytes() for path in kept) == sorted(picture(number) for number in (4, 5))


@pytest.mark.parametrize(
    "message",
    [
        "<script>alert(1)</script>" * 3,
        "\x1b[31mred\x1b]0;title\x07",
        "y" * 1_000_000,
        "\u202egnp.exe\u2066",
        "nul\x00nul\x9b",
    ],
    ids=["xss", "ansi", "1 MB", "bidi", "nul"],
)
def test_a27_an_error_message_that_attacks(play, message):
    failed = play(error(400, message)).failed(APIStatusError, "", billed=False)
    assert len(failed.message) <= 500
    assert not any(sign in str(failed) for sign in "\x1b\x00\x07\x9b\u202e\u2066")


def test_a28_the_clock_jumps_by_an_hour(play, monkeypatch):
    real, jump = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + jump[0])

    def later(exchange):
        jump[0] = 3600.0
        exchange.send(GOOD)

    play(later).done()


# --- B: the bytes of the pictures

LINK = {"url": f"{{here}}/a.png?{SIGNED}"}
ONE = images(LINK)
TWO = images(LINK, b64(picture(1)))
NOT_FETCHED = "The picture was made but cannot be fetched from "
REFUSED = "The answer's picture lies at an address that is not fetched: "


def fetched_later(played: Played, posts: int = 1) -> None:
    """The call is paid for: asked again, the picture is fetched from where it lies, without a POST."""
    [call] = pending.calls(played.store)
    assert [each.url for each in call.addresses] == [f"{played.server.here}/a.png?{SIGNED}"]
    played.server.plays(post=b"", get=http(PNG))
    before = played.server.count("GET")
    played.ask()
    assert played.error is None
    assert played.result.pictures[0].data == PNG
    assert (played.server.count("POST"), played.server.count("GET")) == (posts, before + 1)
    assert pending.calls(played.store) == []


@pytest.mark.parametrize("status", [404, 410, 403])
def test_b01_a_link_that_has_expired(play, status):
    played = play(ONE, error(status))
    failed = played.failed(InvalidResponseError, NOT_FETCHED, billed=True, gets=1)
    assert "Ask again soon" in failed.hint
    fetched_later(played)


def test_b01_what_was_left_and_has_expired_for_good_is_bought_again_as_the_user_asked(play):
    played = play(ONE, error(404))
    played.failed(InvalidResponseError, NOT_FETCHED, billed=True, gets=1)
    played.server.plays(post=GOOD)
    played.ask()
    assert played.error is None
    assert (played.server.count("POST"), played.server.count("GET")) == (2, 2)
    first, second = played.server.asked("POST")
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"], (
        "one call, which is billed once"
    )
    assert pending.calls(played.store) == []


@pytest.mark.parametrize(
    "step",
    [error(500), http(PNG[:-20]), reset_after(http(PNG)[:150])],
    ids=["500", "cut", "reset"],
)
def test_b02_a_download_that_fails_twice(play, step):
    result = play(ONE, [step, step, http(PNG)]).done(gets=3)
    assert result.pictures[0].data == PNG


@pytest.mark.parametrize("step", [error(500), http(PNG)[:-30]], ids=["500", "cut"])
def test_b03_a_download_that_fails_each_time_spoils_no_other(play, step):
    played = play(TWO, step, ask={"n": 2})
    failed = played.failed(IncompleteError, "1 of 2 pictures arrived", billed=True, gets=3, records=1)
    assert [each.recipe.request.sample for each in failed.result.pictures] == [1]
    played.server.plays(post=b"", get=http(PNG))
    played.ask(n=2)
    assert [each.data for each in played.result.pictures] == [PNG, picture(1)]
    assert (played.server.count("POST"), played.server.count("GET")) == (1, 4)
    assert pending.calls(played.store) == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/a.png",
        "javascript:alert(1)",
        "http://me:secret@127.0.0.1/a.png",
        "https://[::1/a.png",
        "gopher://<script>alert(1)</script>",
    ],
)
def test_b04_an_address_that_is_not_fetched(play, url):
    """Relative ones lead to the API itself, and `http:` is fetched where the API is on this machine."""
    failed = play(images({"url": url}), http(PNG)).failed(InvalidResponseError, REFUSED, billed=True)
    assert [each.url for each in failed.addresses] == [url]


def test_b04_data_that_is_no_picture(play):
    played = play(images({"url": "data:text/html;base64,PHNjcmlwdD4="}), http(PNG))
    played.failed(InvalidImageError, "no readable PNG, JPEG or WebP", billed=True)


INSIDE = [
    "169.254.169.254",
    "10.0.0.1",
    "192.168.1.1",
    "172.16.0.1",
    "100.64.0.1",
    "0.0.0.0",
    "0",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[fe80::1]",
    "[fc00::1]",
    "[64:ff9b::a00:1]",
    "[::ffff:10.0.0.1]",
    "[2002:a00:1::]",
    "[ff02::1]",
    "10.1",
    "0xa9fea9fe",
    "2852039166",
    "025177524776",
]


@pytest.mark.parametrize("host", INSIDE)
def test_b05_an_address_inside(play, host):
    played = play(images({"url": f"http://{host}:9/a.png"}))
    played.failed(InvalidResponseError, REFUSED, billed=True)


def names(monkeypatch, **known):
    """Let these names lead to these addresses; return how often each was looked up."""
    real, asked = socket.getaddrinfo, []

    def looked_up(host, port, *more, **how):
        name = host.decode() if isinstance(host, bytes) else host
        if name.replace(".", "_") not in known:
            return real(host, port, *more, **how)
        asked.append(name)
        addresses = known[name.replace(".", "_")]
        now = addresses[min(len(asked), len(addresses)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in now]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    return asked


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["169.254.169.254"]])
def test_b05_a_name_that_leads_inside(play, monkeypatch, addresses):
    names(monkeypatch, images_example=[addresses])
    played = play(images({"url": "https://images.example/a.png"}))
    played.failed(InvalidResponseError, f"{REFUSED}https://images.example/a.png", billed=True)


def test_b06_a_name_is_looked_up_once_for_the_check_and_the_connection(play, tmp_path, monkeypatch):
    """Looked up again it would lead elsewhere. TLS and the Host header still have the name."""
    made = faulty.certificate(tmp_path / "tls", "images.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(made))
    asked = names(monkeypatch, images_example=[["127.0.0.1"], ["10.0.0.1"]])
    with Faulty(get=http(PNG), certificate=made) as cdn:
        played = play(images({"url": f"https://images.example:{cdn.port}/a.png?{SIGNED}"}))
        assert played.done().pictures[0].data == PNG
        [get] = cdn.heard
    assert asked == ["images.example"]
    assert get.headers["host"] == f"images.example:{cdn.port}"
    assert get.path == f"/a.png?{SIGNED}"
    assert "authorization" not in get.headers


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest", "http://10.0.0.1:9/", "file:///etc/passwd"]
)
def test_b06_a_redirect_that_leads_inside(play, target):
    played = play(ONE, error(302, location=target))
    played.failed(InvalidResponseError, REFUSED, billed=True, gets=1)


def test_b06_an_address_is_checked_after_each_redirect(play, monkeypatch):
    names(monkeypatch, images_example=[["10.0.0.1"]])
    played = play(ONE, [error(302, location="/b.png"), error(302, location="https://images.example/")])
    played.failed(InvalidResponseError, f"{REFUSED}https://images.example/", billed=True, gets=2)


def test_b07_three_redirects_are_followed(play):
    hops = [error(302, location=f"/{hop}?{SIGNED}") for hop in "bcd"]
    assert play(ONE, [*hops, http(PNG)]).done(gets=4).pictures[0].data == PNG


def test_b07_redirects_without_end(play):
    played = play(ONE, error(302, location="/a.png"))
    played.failed(InvalidResponseError, "behind more than 3 redirects", billed=True, gets=4)


@pytest.mark.parametrize(
    "step",
    [
        repeating(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", bytes(2**20)),
        repeating(http(b"", length=10 * 2**30), bytes(2**20)),
    ],
    ids=["without a length", "10 GB"],
)
def test_b08_a_picture_without_end(play, step, monkeypatch):
    monkeypatch.setattr(transport, "MAX_IN_MEMORY", 32 * 2**20)
    played = play(ONE, step)
    played.failed(
        InvalidResponseError, "The answer is larger than 32 MiB; it is not kept.", billed=True, gets=1
    )


def test_b09_a_picture_that_is_a_bomb_of_gzip(play):
    bomb = gzip.compress(bytes(200 * 2**20), 9)
    with no_more_memory_than(64 + 16):
        played = play(ONE, http(bomb, content_encoding="gzip"))
    played.failed(InvalidResponseError, "The answer inflates to more than 64 MiB.", billed=True, gets=1)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *more: bytes, rows: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", head), *more, chunk(b"IDAT", zlib.compress(rows, 1)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    "size",
    [(20_000, 20_000), (9000, 9000), (0, 0), (70_000, 1), (1, 16_385)],
    ids=["400 MP", "81 MP", "nothing", "70,000 wide", "16,385 high"],
)
def test_b10_a_picture_that_is_too_large_to_decode(play, size):
    width, height = size
    data = png(width, height, rows=bytes((width + 7) // 8 + 1) * height)
    played = play(ONE, http(data))
    failed = played.failed(InvalidImageError, "The ", billed=True, gets=1)
    assert failed.data == data
    assert [path.read_bytes() for path in played.store.folder.rglob("*.bin")] == [data]


ENCODED = {kind: picture(3, kind) for kind in ("PNG", "JPEG", "WEBP")} | {
    "progressive": picture(3, "JPEG", progressive=True)
}


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        ("PNG", -20),
        ("JPEG", 0.5),
        ("progressive", 0.7),
        ("WEBP", 0.5),
    ],
)
def test_b11_a_picture_that_is_cut(play, kind, left):
    data = ENCODED[kind]
    data = data[: left if left < 0 else int(len(data) * left)]
    played = play(ONE, http(data))
    played.failed(InvalidImageError, "The answer's picture is cut short.", billed=True, gets=3)
    assert [path.read_bytes() for path in played.store.folder.rglob("*.bin")] == [data]
    fetched_later(played)


@pytest.mark.parametrize("place", range(60, 380, 80))
def test_b12_flipped_bits(play, place):
    data = bytearray(picture(7, "JPEG"))
    data[place] ^= 0x10
    played = play(ONE, http(bytes(data)))
    if played.error:
        played.failed(InvalidImageError, "no readable PNG, JPEG or WebP", billed=True, gets=1)
    else:
        assert played.done(gets=1).pictures[0].data == data


def itxt(size: int) -> bytes:
    return chunk(b"iTXt", b"Comment\x00\x01\x00\x00\x00" + zlib.compress(bytes(size), 9))


BOMBS = {
    "iTXt": lambda: [itxt(200 * 2**20)],
    "zTXt": lambda: [chunk(b"zTXt", b"Comment\x00\x00" + zlib.compress(bytes(200 * 2**20), 9))],
    "iCCP": lambda: [chunk(b"iCCP", b"Profile\x00\x00" + zlib.compress(bytes(200 * 2**20), 9))],
    "many iTXt": lambda: [itxt(2**19)] * 200,
    "100,000 tEXt": lambda: [chunk(b"tEXt", b"k\x00v")] * 100_000,
    "100,000 unknown": lambda: [chunk(b"prVt", b"")] * 100_000,
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("bomb", BOMBS)
def test_b13_a_picture_with_a_bomb_among_its_chunks(play, bomb):
    """Whether the picture itself shows is the decoder's to say: what counts is time and memory."""
    data = png(8, 8, *BOMBS[bomb](), rows=b"\x00\xaa" * 8)
    began = time.process_time()
    played = play(ONE, http(data))
    assert time.process_time() - began < 4
    if played.error:
        played.failed(InvalidImageError, "The ", billed=True, gets=1)
    else:
        assert len(played.done(gets=1).pictures[0].preview.data) < 10_000


def moving(kind: str) -> bytes:
    frames = [Image.new("RGB", (32, 32), (number % 256, 0, 255 - number % 256)) for number in range(500)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_b14_a_picture_that_moves(play, kind):
    """Its first frame is the picture, without a note; the bytes in the store still move."""
    data = moving(kind)
    result = play(ONE, http(data)).done(gets=1)
    assert result.pictures[0].data == data
    assert result[0].convert("RGB").getpixel((5, 5))[2] > 250


@pytest.mark.parametrize(
    "data",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        picture(0, "GIF"),
        picture(0, "BMP"),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"8BPS\x00\x01" + bytes(40),
        b"SIMPLE  =                    T" + bytes(2850),
        b"\x00\x00\x00\x1cftypavif" + bytes(100),
        b"<!doctype html><script>alert(1)</script>",
        b'{"error": "expired"}',
        b"",
    ],
    ids=["svg", "gif", "bmp", "eps", "psd", "fits", "avif", "html", "json", "empty"],
)
def test_b15_what_is_no_png_jpeg_or_webp(play, data):
    played = play(ONE, http(data, content_type="image/png"))
    failed = played.failed(InvalidImageError, "The picture", billed=True, gets=1)
    assert failed.data == data


SCRIPT = b"<script>alert(1)</script>"


@pytest.mark.parametrize("kind", ["trailing", "exif"])
def test_b16_a_picture_that_carries_a_script(play, kind):
    data = PNG + SCRIPT
    if kind == "exif":
        exif = Image.Exif()
        exif[0x010E] = SCRIPT.decode()
        data = picture(0, "JPEG", exif=exif, comment=SCRIPT)
    result = play(ONE, http(data)).done(gets=1)
    assert result.pictures[0].data == data
    assert SCRIPT not in result.pictures[0].preview.data
    assert SCRIPT.decode() not in repr(result._repr_mimebundle_())


@pytest.mark.parametrize("content_type", ["text/html", "image/jpeg", "application/octet-stream", "\xff"])
def test_b17_the_bytes_decide_and_not_the_content_type(play, content_type):
    result = play(ONE, http(PNG, content_type=content_type)).done(gets=1)
    assert result.pictures[0].media_type == "image/png"


@pytest.mark.parametrize(
    ("encoded", "kind", "expected"),
    [
        (b64(PNG)["b64_json"][:40] + "<script>", InvalidResponseError, "its base64 does not decode"),
        ("aGk=<script>!!", InvalidResponseError, "its base64 does not decode"),
        ("", InvalidResponseError, "has neither url nor b64_json"),
        ("data:text/html,<script>", InvalidResponseError, "its base64 does not decode"),
        ("A" * (rounds(5, 65) * 2**20), InvalidImageError, "no readable PNG, JPEG or WebP"),
    ],
    ids=["junk", "lax", "empty", "data", "megabytes"],
)
def test_b18_base64_that_is_none(play, encoded, kind, expected):
    play(images({"b64_json": encoded})).failed(kind, expected, billed=True)


def test_b18_base64_with_a_prefix(play):
    assert play(images({"b64_json": f"data:image/png;base64,{b64(PNG)['b64_json']}"})).done()


# --- the same through a cell


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    (folder / "beluga.toml").write_text(f'timeout = 2.5\nmodel = "{MODEL}"\n')
    with Kernel(folder, BELUGA_API_KEY=KEY, BELUGA_TRUST=str(folder)) as running:
        running.run("%load_ext beluga_nb\nimport os\n%xmode Verbose")
        yield running


CELLS = [
    ("a04", b"", b"", "OutcomeUnknownError: The connection broke", "may have been billed", (1, 0)),
    ("a06", silence, b"", "APITimeoutError: No answer within 2.5 s.", "may have been billed", (1, 0)),
    (
        "a13",
        http(b"<html>"),
        b"",
        "InvalidResponseError: The answer is not the API's: <html>",
        "may have been",
        (1, 0),
    ),
    (
        "a23",
        error(401, f"No: {KEY}"),
        b"",
        "AuthenticationError: No: (your key) (status 401)",
        "BELUGA_API_KEY",
        (1, 0),
    ),
    (
        "b01",
        ONE,
        error(404),
        "InvalidResponseError: The picture was made but",
        "has probably been billed",
        (1, 1),
    ),
    (
        "b11",
        ONE,
        http(PNG[:-20]),
        "InvalidImageError: The answer's picture is cut",
        "Its bytes are kept as",
        (1, 3),
    ),
]


@pytest.mark.parametrize(
    ("row", "post", "get", "first", "second", "seen"), CELLS, ids=[row[0] for row in CELLS]
)
def test_a_cell_fails_in_two_lines_and_the_next_one_works(kernel, row, post, get, first, second, seen):
    with Faulty(post, get) as server:
        kernel.run(f"os.environ['BELUGA_BASE_URL'] = '{server.url}'")
        shown = kernel.run(f"%beluga a fox, {row}")
        assert (server.count("POST"), server.count("GET")) == seen
        shown.fails_with(first, second)
        assert KEY not in shown.everything
        server.plays(post=GOOD)
        shown = kernel.run(f"%beluga a whale, {row}")
        assert (shown.status, len(shown.bundles)) == ("ok", 1)


ENDS = {
    "picture": (GOOD, ""),
    "a bad request": (error(400, "No."), "refused"),
    "declined": (
        http(json.dumps({"error": {"message": "No.", "code": "moderation_blocked"}}).encode(), 400),
        "refused",
    ),
    "a bad key": (error(401, "No."), "refused"),
    "busy": (error(429, "No.", retry_after="900"), "refused"),
    "an error": (error(500, "No."), "unknown"),
    "elsewhere": (error(307, location="/v2"), "unknown"),
    "a job": (http(b'{"id": "job-7", "status": "queued"}', 202), "unknown"),
    "cut off": (GOOD[:-30], "unknown"),
    "nothing": (reset, "unknown"),
    "half a picture": (images(b64(PNG[:60])), "unknown"),
}
"""How one part of a call may end: what is sent, and the outcome where no picture comes."""


@pytest.mark.parametrize("first", ENDS)
@pytest.mark.parametrize("second", ENDS)
def test_an_error_of_several_parts_speaks_of_billing_where_one_of_them_may_be_billed(tmp_path, first, second):
    ends = [first, second]

    def part(exchange):
        step, _ = ENDS[ends[json.loads(exchange.heard.body).get("sample", 0)]]
        return step(exchange) if callable(step) else exchange.send(step)

    outcomes = [ENDS[each][1] for each in ends]
    with Faulty(part) as server:
        environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": server.url}
        session = Session(environ=environ, folder=tmp_path, notify=lambda _: None)
        try:
            session.generate("a fox", model="gpt-image-2", n=2)
            failed = None
        except BelugaError as error:
            failed = error
        assert server.count("POST") == 2
    assert bool(failed) is any(outcomes)
    unknown = "unknown" in outcomes
    if failed:
        assert failed.may_be_billed is unknown
        assert ("may have been billed" in str(failed)) is unknown
        assert ("othing is billed" in str(failed)) <= (not unknown)
    assert len(pending.calls(Store(tmp_path / "beluga_store"))) == outcomes.count("unknown")
    assert session.budget.images == 2 - outcomes.count("refused")


LEFT = {
    "a whole answer": (GOOD, 0),
    "two documents": (GOOD + b"\r\n", 0),
    "a job": (http(b'{"id": "job-7", "status": "queued"}', 202), 1),
    "an error": (error(500, "No."), 1),
    "an error that is long": (http(json.dumps({"error": {"message": "No. " * 30_000}}).encode(), 500), 1),
    "no JSON": (http(b"<html>" + b" " * 100_000), 1),
    "no picture": (images(), 1),
    "half a picture": (images(b64(PNG[:60])), 1),
    "cut off": (GOOD[:-60], 1),
    "another format": (images(b64(b"GIF89a" + bytes(40))), 0),
}
"""What an answer leaves, and how many pictures are bought when the same is asked for again."""


@pytest.mark.parametrize("left", LEFT)
def test_a_plan_counts_what_is_bought_where_a_lost_call_has_left_an_answer(tmp_path, left):
    step, bought = LEFT[left]
    with Faulty([step, GOOD]) as server:
        environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": server.url}
        session = Session(environ=environ, folder=tmp_path, notify=lambda _: None)
        with contextlib.suppress(BelugaError):
            session.generate("a fox", model=MODEL)
        plan = session.plan("a fox", model=MODEL)
        assert (len(plan.posts), plan.images) == (bought, bought)
        with contextlib.suppress(BelugaError):
            session.generate("a fox", model=MODEL)
        assert server.count("POST") == 1 + bought
