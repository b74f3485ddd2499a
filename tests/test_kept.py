"""Answers are kept before they are read: whatever comes of reading them, nothing paid for is bought again."""

import asyncio
import base64
import contextlib
import errno
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zlib

import pytest
from conftest import drawn
from faulty import Faulty, b64, http, images, reset_after
from PIL import Image

from beluga_nb.api import http as _imported_before_limits_change  # noqa: F401
from beluga_nb.api import spool, transport
from beluga_nb.errors import BelugaError
from beluga_nb.request import Request
from beluga_nb.session.session import Session
from beluga_nb.store import pending
from beluga_nb.store.records import Store
from beluga_nb.wire import REFUSALS

KEY = "bapi_SENTINEL-SENTINEL-1234"
PNG = drawn(Request(prompt="a fox", model="flux-2.0"), 0)
JSON = json.dumps({"data": [b64(PNG)]}).encode()
UNREADABLE = http(b"a form of answer that nobody here can read")


class User:
    """Someone with a notebook's folder, who asks a server and asks again."""

    def __init__(self, folder):
        self.folder, self.messages = folder, []
        self.store = Store(folder / "beluga_store")

    def ask(self, server, timeout=20, **how):
        environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": server.url}
        self.session = Session(
            environ=environ, folder=self.folder, notify=self.messages.append, timeout=timeout
        )
        try:
            return self.session.generate("a fox", model="flux-2.0", **how)
        except BelugaError as error:
            return error

    @property
    def kept_in(self):
        """The files of the answers that are kept."""
        calls = pending.calls(self.store)
        return [path for call in calls for path in pending.answers(self.store, call.run)]

    @property
    def kept(self):
        """The bodies of the same."""
        return [spool.read(path, 2**30)[2] for path in self.kept_in]


@pytest.fixture
def user(tmp_path, without_pauses):
    return User(tmp_path)


def noise(megabytes):
    """A PNG of about that size."""
    side = int((megabytes * 2**20 / 3) ** 0.5)
    buffer = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(side * side * 3)).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


def raw(body, *lines):
    head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n" + b"".join(line + b"\r\n" for line in lines)
    return head + b"\r\n" + body


def chunked(body):
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(body[at : at + 99]), body[at : at + 99]) for at in range(0, len(body), 99)
    )
    return raw(chunks + b"0\r\n\r\n", b"transfer-encoding: chunked")


ANSWERS = {
    "a header that is not ASCII": raw(JSON, b"x-note: caf\xe9 \xe2\x98\x83"),
    "a header twice": raw(JSON, b"x-note: a", b"x-note: b", b"set-cookie: a=1", b"set-cookie: b=2"),
    "no length": raw(JSON),
    "chunks": chunked(JSON),
    "another content type": raw(JSON, b"content-type: text/html; charset=ebcdic"),
    "a content type that is none": raw(JSON, b"content-type: \xff;=;;"),
    "a bare PNG": http(PNG),
    "202": http(JSON, 202),
    "201": http(JSON, 201),
    "299": http(JSON, 299),
    "interim answers before it": b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 3 + http(JSON),
    "events": raw(b"event: done\r\ndata: " + JSON + b"\r\n\r\n", b"content-type: text/event-stream"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_is_complete_gives_its_picture_whatever_its_form(user, answer):
    with Faulty(ANSWERS[answer]) as server:
        assert user.ask(server).pictures[0].data == PNG
        assert user.ask(server).pictures[0].data == PNG
    assert server.count("POST") == 1
    assert pending.calls(user.store) == []
    assert list((user.store.folder / "pending").iterdir()) == []


def test_pictures_that_are_large_arrive_in_one_answer(user):
    large = [noise(18.8) for _ in range(3)]
    with Faulty(images(*map(b64, large))) as server:
        assert [each.data for each in user.ask(server, n=3).pictures] == large
    assert server.count("POST") == 1


def test_a_picture_that_is_large_arrives_from_its_address(user):
    large = noise(34.7)
    with Faulty(images({"url": "{here}/a.png"}), http(large)) as server:
        assert user.ask(server).pictures[0].data == large


def test_an_answer_beyond_what_memory_holds_is_on_disk(user, monkeypatch):
    monkeypatch.setattr(transport, "MAX_IN_MEMORY", 2**20)
    body = json.dumps({"data": [{"b64_json": base64.b64encode(PNG + bytes(2**21)).decode()}]}).encode()
    with Faulty(http(body)) as server:
        error = user.ask(server)
        assert "larger than 1 MiB; it is kept in " in error.message
        assert user.kept == [body]
        monkeypatch.undo()
        assert user.ask(server).pictures[0].data.startswith(PNG)
    assert server.count("POST") == 1


@pytest.mark.parametrize(
    "unreadable", [UNREADABLE, http(b""), http(b"{}"), http(b'{"data": [{}]}'), raw(b"\0" * 9999)]
)
def test_an_answer_that_cannot_be_read_is_kept_and_asked_for_again_under_its_own_key(user, unreadable):
    with Faulty([unreadable, http(JSON)]) as server:
        error = user.ask(server)
        assert error.may_be_billed
        assert user.kept == [unreadable.partition(b"\r\n\r\n")[2]]
        assert [path.suffix for path in user.kept_in] == [".answer"]
        assert user.session.budget.images == 1
        assert user.ask(server).pictures[0].data == PNG
        first, second = server.asked("POST")
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.digest == second.digest
    assert any("is kept, and of no use yet" in words for words in user.messages)
    assert user.kept == []


def test_a_service_that_repeats_what_is_of_no_use_is_asked_under_a_new_key(user):
    with Faulty([UNREADABLE, UNREADABLE, http(JSON)]) as server:
        for _ in range(2):
            assert isinstance(user.ask(server), BelugaError)
        assert user.ask(server).pictures[0].data == PNG
        keys = [each.headers["idempotency-key"] for each in server.asked("POST")]
    assert keys[0] == keys[1] != keys[2]
    assert len(pending.calls(user.store)) == 1, "the first call may have been billed"


def test_a_service_that_says_that_it_repeats_is_asked_under_a_new_key(user):
    repeating = http(b"of no use", idempotent_replayed="true")
    with Faulty([repeating, http(JSON)]) as server:
        assert isinstance(user.ask(server), BelugaError)
        assert user.ask(server).pictures[0].data == PNG
        first, second = server.asked("POST")
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]


@pytest.mark.parametrize("status", [400, 401, 409, 422, 429])
def test_a_lost_call_stays_lost_when_its_repetition_is_refused(user, status):
    with Faulty([UNREADABLE, http(b"no", status)]) as server:
        user.ask(server)
        [before] = pending.calls(user.store)
        user.ask(server)
    [after] = pending.calls(user.store)
    assert (after.run, bool(after.why)) == (before.run, True)
    assert len(user.kept) == 1


def test_another_request_goes_out_under_a_key_of_its_own(user):
    with Faulty([UNREADABLE, http(JSON), http(JSON)]) as server:
        user.ask(server)
        user.ask(server, quality="hd")
        user.ask(server, take="b")
        keys = {each.headers["idempotency-key"] for each in server.asked("POST")}
    assert len(keys) == 3


def test_a_job_that_was_accepted_keeps_its_name(user):
    with Faulty(http(b'{"id": "job-7", "status": "queued"}', 202)) as server:
        assert "job-7" in user.ask(server).message
    assert pending.calls(user.store)[0].job == "job-7"


@pytest.mark.parametrize("cut", [1, 2])
def test_of_an_answer_that_breaks_off_the_pictures_that_are_whole_are_kept(user, cut):
    body = json.dumps({"data": [b64(PNG), b64(PNG), b64(PNG)]}).encode()
    end = [at for at in range(len(body)) if body.startswith(b'"}', at)][cut - 1] + 10
    with Faulty(lambda exchange: exchange.send(http(body)[: -len(body)] + body[:end])) as server:
        error = user.ask(server, n=3)
        assert len(error.result) == cut
        assert "broke before the answer was complete" in str(error)
        assert len(user.store.record_paths()) == cut
    with Faulty(images(*(b64(PNG) for _ in range(3 - cut)))) as server:
        assert len(user.ask(server, n=3)) == 3
        [post] = server.asked("POST")
    assert json.loads(post.body)["n"] == 3 - cut


KILLED = """
import os, signal, sys
from beluga_nb.api import http
from beluga_nb.session.session import Session
from beluga_nb.engines.recorder import Recorder
from pathlib import Path

def killed(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

setattr({"parse": http.answers, "keep_extra": Recorder}[sys.argv[4]], sys.argv[4], killed)
environ = {"BELUGA_API_KEY": sys.argv[3], "BELUGA_BASE_URL": sys.argv[2]}
Session(environ=environ, folder=Path(sys.argv[1])).generate("a fox", model="flux-2.0")
"""


@pytest.mark.sampled(6)
@pytest.mark.posix
@pytest.mark.parametrize("answer", [http(JSON), images({"url": "{here}/a.png"})], ids=["base64", "address"])
def test_a_kernel_that_is_killed_as_the_answer_is_there_has_bought_it(user, answer):
    with Faulty(answer, http(PNG)) as server:
        words = [sys.executable, "-c", KILLED, str(user.folder), server.url, KEY, "parse"]
        assert subprocess.run(words).returncode == -signal.SIGKILL
        assert len(user.kept) == 1
        assert user.ask(server).pictures[0].data == PNG
    assert server.count("POST") == 1
    assert user.kept == []


def test_what_is_kept_is_for_its_owner_alone_and_holds_no_key(user):
    with Faulty(http(f"no form that is known, {KEY}".encode(), x_echo=KEY)) as server:
        user.ask(server)
    [path] = user.kept_in
    assert path.stat().st_mode & 0o777 == 0o600
    assert KEY.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    "text", [b"", b"HTTP/1.1", b"HTTP/1.1 x\r\n\r\n", b"\xff" * 999, b"HTTP/1.1 200\r\nno end"]
)
def test_a_kept_answer_that_is_damaged_is_reported_and_stays(user, text):
    with Faulty([UNREADABLE, UNREADABLE]) as server:
        user.ask(server)
        [call] = pending.calls(user.store)
        [path] = pending.answers(user.store, call.run)
        path.write_bytes(text)
        user.ask(server)
        assert path.read_bytes() == text
    assert any("is kept, and of no use yet" in words for words in user.messages)


def test_a_full_disk_spoils_no_call(user, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with Faulty(http(JSON)) as server, monkeypatch.context() as patched:
        patched.setattr(spool.os, "write", full)
        with contextlib.suppress(BelugaError):
            assert user.ask(server).pictures[0].data == PNG
    assert server.count("POST") == 1


# --- whole pictures that are not decoded here


def encoded(form, size=(40, 30), mode="RGB"):
    buffer = io.BytesIO()
    Image.new(mode, size, "teal" if mode == "RGB" else 1).save(buffer, form)
    return buffer.getvalue()


WHOLE = {
    **{form: encoded(form) for form in ("GIF", "BMP", "TIFF", "AVIF")},
    "TIFF, big end first": b"MM\0*" + encoded("TIFF")[4:],
    "HEIF": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99),
    "JPEG XL": b"\xff\x0a" + bytes(range(99)),
    "JPEG XL in a box": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99),
    "more than 40 million pixels": encoded("PNG", (8001, 5001), mode="1"),
    "a side above 16,384 pixels": encoded("PNG", (16_385, 4)),
    "a JPEG with such a side": encoded("JPEG", (20_000, 3)),
}


WAYS = {
    "base64": lambda data: images(b64(data)),
    "bare": http,
    "address": lambda _: images({"url": "{here}/a"}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", WHOLE)
def test_a_whole_picture_that_is_not_decoded_here_is_kept_and_not_bought_again(user, form, way):
    picture = WHOLE[form]
    with Faulty([WAYS[way](picture), http(JSON)], http(picture)) as server:
        for _ in range(3):
            error = user.ask(server)
            name = error.hint.partition("kept as ")[2].partition(" ")[0]
            assert (user.folder / name).read_bytes() == picture
            assert error.hint.endswith(" and not bought again: a new take buys another.")
            assert server.count("POST") == 1
        assert user.ask(server, take="b").pictures[0].data == PNG
    assert server.count("POST") == 2


def test_of_several_pictures_the_others_are_recorded_and_nothing_is_bought_again(user):
    with Faulty([images(b64(PNG), b64(WHOLE["GIF"]), b64(PNG)), http(JSON)]) as server:
        assert len(user.ask(server, n=3).result) == 2
        for _ in range(2):
            assert "not bought again" in user.ask(server, n=3).hint
        assert user.ask(server, n=1).pictures[0].data == PNG
    assert server.count("POST") == 1


def with_text(name, text):
    """A PNG with a text that a decoder refuses, beside pixels that are good."""
    from beluga_nb.metadata.png import _chunk

    data = encoded("PNG")
    return data[:33] + _chunk(name, text) + data[33:]


TEXTS = {
    "a long one": with_text(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(2 * 2**20))),
    "a long one in Unicode": with_text(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(bytes(2 * 2**20))),
    "a wrong checksum": with_text(b"tEXt", b"a\0b").replace(b"tEXta\0b", b"tEXta\0c"),
    "a method that nobody knows": with_text(b"zTXt", b"workflow\0\7" + zlib.compress(b"a")),
    "no end of its name": with_text(b"zTXt", b"workflow"),
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_picture_is_shown_though_a_text_in_it_is_refused(user, text):
    with Faulty(images(b64(TEXTS[text]))) as server:
        for _ in range(2):
            result = user.ask(server)
            assert (result.pictures[0].data, result[0].size) == (TEXTS[text], (40, 30))
    assert server.count("POST") == 1


# --- while it arrives, and where it cannot be recorded


SUBMITTING = """
import os, sys
from pathlib import Path
from beluga_nb.session.session import Session

for name in sys.argv[2:]:
    environ = {"BELUGA_API_KEY": os.environ["KEY"], "BELUGA_BASE_URL": sys.argv[1]}
    folder = Path(name)
    folder.mkdir()
    session = Session(environ=environ, folder=folder, notify=print, max_in_flight=99)
    session.submit(name, model="flux-2.0")
sys.stdin.read()
"""


def kept_when_killed(folder, names, play):
    """Ask for each name in one process of its own, and kill it when all answers wait for more.

    `play` sends what there is of the answer for a name. Returns the bodies that are kept, by name.
    """
    users = {name: User(folder / name) for name in names}

    def answered(exchange):
        play(json.loads(exchange.heard.body)["prompt"], exchange)
        sent.release()
        exchange.wait()

    sent = threading.Semaphore(0)
    with Faulty(answered) as server:
        command = [sys.executable, "-c", SUBMITTING, server.url, *names]
        environ = {**os.environ, "KEY": KEY, "PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen(command, cwd=folder, env=environ, stdin=subprocess.PIPE)
        try:
            for _ in names:
                assert sent.acquire(timeout=60)
            time.sleep(1.5)  # six times as long as it may take
        finally:
            process.kill()
            process.communicate(timeout=20)
    return {name: user.kept for name, user in users.items()}


SIZES = {"20 bytes": 20, "a job": 60, "50 KB": 50_000, "one block and a little": 270_000, "900 KB": 900_000}


@pytest.mark.posix
def test_all_that_has_arrived_is_on_disk_while_more_is_waited_for(tmp_path):
    """One process waits for fifteen answers, and is killed."""
    bodies = {name: bytes(range(97, 123)) * (size // 26 + 1) for name, size in SIZES.items()}
    whole = {f"{name} in {pieces}": (bodies[name], pieces) for name in SIZES for pieces in (1, 3, 40)}

    def play(name, exchange):
        body, pieces = whole[name]
        step = len(body) // pieces + 1
        exchange.send(b"HTTP/1.1 200 OK\r\n\r\n")
        for at in range(0, len(body), step):
            exchange.send(body[at : at + step])
            time.sleep(0.01)

    assert kept_when_killed(tmp_path, whole, play) == {name: [body] for name, (body, _) in whole.items()}


@pytest.mark.posix
def test_a_key_is_not_on_disk_in_whatever_pieces_it_comes(tmp_path):
    def play(_, exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\n\r\n")
        for byte in b"before " + KEY.encode() * 3 + b" after":
            exchange.send(bytes([byte]))
            time.sleep(0.005)

    [kept] = kept_when_killed(tmp_path, ["a key"], play)["a key"]
    assert KEY.encode() not in kept
    assert kept.startswith(b"before ")
    assert kept.endswith(b" after")


@pytest.mark.parametrize(
    "answer",
    [
        lambda: http(b'{"task_id": "job-7", "status": "queued"}', 202),
        lambda: http(JSON)[:-90],
        lambda: http(JSON)[:-9],
        lambda: http(b""),
    ],
    ids=["a job", "broken off", "broken off at its end", "empty, then broken off"],
)
def test_a_lost_call_keeps_its_key_however_often_it_is_asked_for_again(user, answer):
    answers = [answer(), *[http(JSON)[: -100 - number] for number in range(3)]]
    with Faulty([lambda exchange, each=each: exchange.send(each) and None for each in answers]) as server:
        for _ in range(4):
            assert isinstance(user.ask(server), BelugaError)
        keys = {each.headers["idempotency-key"] for each in server.asked("POST")}
    assert (server.count("POST"), len(keys)) == (4, 1)


@contextlib.contextmanager
def unwritable(user, monkeypatch, places):
    """Let nothing be written where `places` says, as on a full disk."""
    from beluga_nb.store import files

    write = files.write

    def full(path, *rest, **more):
        if any(each in path.parts for each in places):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(files, "write", full)
        yield


@pytest.mark.parametrize("places", [["blobs"], ["records"], ["blobs", "records"]], ids=", ".join)
def test_an_answer_stays_whose_picture_cannot_be_recorded(user, places, monkeypatch):
    with Faulty(http(JSON)) as server:
        with unwritable(user, monkeypatch, places):
            assert user.ask(server).pictures[0].data == PNG
            assert user.kept == [JSON]
            assert user.ask(server).pictures[0].data == PNG, "it is read from what is kept"
            assert user.ask(server).pictures[0].data == PNG
        assert user.ask(server).pictures[0].data == PNG
        assert server.count("POST") == 1
    assert pending.calls(user.store) == []


def test_a_call_whose_journal_cannot_be_written_goes_out_under_its_own_key(user, monkeypatch):
    with Faulty([UNREADABLE, http(JSON)]) as server:
        user.ask(server)
        with unwritable(user, monkeypatch, ["pending", "blobs", "records"]):
            assert user.ask(server).pictures[0].data == PNG
        keys = {each.headers["idempotency-key"] for each in server.asked("POST")}
    assert (server.count("POST"), len(keys)) == (2, 1)


def test_what_is_fetched_is_recorded_when_the_rest_is_stopped(user):
    hanging = threading.Event()

    def first_alone(exchange):
        if exchange.heard.path.endswith("a"):
            exchange.send(http(PNG))
        else:
            hanging.set()
            exchange.wait()

    with Faulty(images({"url": "{here}/a"}, {"url": "{here}/b"}), http(b"not yet", 404)) as server:
        user.ask(server, n=2)
        server.plays(get=first_alone)
        job = user.session.submit("a fox", model="flux-2.0", n=2)
        assert hanging.wait(20)
        time.sleep(0.5)
        job.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            job.result()
        assert user.ask(server).pictures[0].data == PNG
        assert server.count("POST") == 1


@pytest.mark.parametrize("retry", [{}, {"retry_after": "soon"}])
def test_a_busy_service_that_names_a_job_is_asked_again_under_the_same_key(user, retry):
    busy = http(b'{"job_id": "job-7", "status": "queued"}', 503, **retry)
    with Faulty([busy, http(JSON)]) as server:
        assert isinstance(user.ask(server), BelugaError)
        assert user.ask(server).pictures[0].data == PNG
        assert len({each.headers["idempotency-key"] for each in server.asked("POST")}) == 1


def test_the_job_of_an_answer_that_has_some_pictures_is_written_down(user):
    body = json.dumps({"id": "job-7", "status": "queued", "data": [b64(PNG)]}).encode()
    with Faulty(http(body, 202)) as server:
        assert len(user.ask(server, n=2).result) == 1
    [call] = pending.calls(user.store)
    assert call.job == "job-7"


def test_an_error_of_one_sample_is_not_raised_for_another(user):
    with Faulty([images({"url": "{here}/a"}), http(JSON)], http(b"busy", 503)) as server:
        assert isinstance(user.ask(server), BelugaError)
        again = user.ask(server, n=2)
        assert "until its host answers" in again.hint
        assert [picture.recipe.request.sample for picture in again.result.pictures] == [1]
        assert user.session.generate("a fox", model="flux-2.0", sample=1).pictures[0].data == PNG
        assert server.count("POST") == 2


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_picture_of_another_format_that_broke_off_is_asked_for_again(user, cut):
    gif = encoded("GIF", (300, 300))
    broken = raw(gif[: int(len(gif) * cut)], b"content-length: %d" % len(gif))
    with Faulty([lambda exchange: exchange.send(broken) and None, http(JSON)]) as server:
        assert isinstance(user.ask(server), BelugaError)
        assert user.ask(server).pictures[0].data == PNG
    assert server.count("POST") == 2


@pytest.mark.parametrize("lost", ["GIF", "host down"])
def test_who_refreshes_can_always_buy_another(user, lost):
    first = images(b64(WHOLE["GIF"])) if lost == "GIF" else images({"url": "{here}/a"})
    with Faulty([first, first, http(JSON)], http(b"busy", 503)) as server:
        for _ in range(2):
            assert isinstance(user.ask(server, mode="refresh"), BelugaError)
        assert user.ask(server, mode="refresh").pictures[0].data == PNG
    assert server.count("POST") == 3


def test_a_refresh_that_was_not_finished_is_finished_by_the_next(user):
    first = images(b64(PNG), {"url": "{here}/a"})
    with Faulty([first, http(JSON)], [http(b"busy", 503)] * 9) as server:
        assert len(user.ask(server, n=2, mode="refresh").result) == 1
        server.plays(get=http(encoded("PNG", (9, 9))))
        again = user.ask(server, n=2, mode="refresh")
        assert [each.recipe.request.take for each in again.pictures] == ["2", "2"]
        assert server.count("POST") == 1
        assert user.ask(server, mode="refresh").pictures[0].recipe.request.take == "3"
        assert server.count("POST") == 2


BROKEN = b64(PNG)["b64_json"][:-9]


@pytest.mark.parametrize("known", [0, 1])
@pytest.mark.parametrize("lost", ["GIF", "host down"])
def test_each_picture_of_a_call_is_bought_again_or_not_by_itself(user, lost, known):
    there = b64(WHOLE["GIF"]) if lost == "GIF" else {"url": "{here}/a"}
    answer = [there, {"b64_json": BROKEN}] if known else [{"b64_json": BROKEN}, there]
    with Faulty([images(*answer), http(JSON)], http(b"busy", 503)) as server:
        assert isinstance(user.ask(server, n=2), BelugaError)
        again = user.ask(server, n=2)
        assert [picture.recipe.request.sample for picture in again.result.pictures] == [known]
        assert [json.loads(each.body)["n"] for each in server.asked("POST")] == [2, 1]
        assert [picture.recipe.request.sample for picture in user.ask(server, n=2).result.pictures] == [known]
    assert server.count("POST") == 2


def test_what_is_known_of_a_lost_call_stays_known_while_it_is_repeated(user):
    job = http(b'{"id": "job-7", "status": "queued", "data": [{"url": "{here}/a.png"}]}', 202)
    seen = []

    def look(exchange):
        seen.extend(pending.calls(user.store))
        exchange.send(http(JSON))

    with Faulty([job, look], http(b"gone", 404)) as server:
        user.ask(server)
        assert user.ask(server).pictures[0].data == PNG
    assert [call.job for call in seen] == ["job-7"]


DOWN = {
    **{str(status): http(b"busy", status) for status in (408, 425, 429, 500, 502, 503, 504, 520, 599)},
    "a connection that is closed": b"",
    "a connection that is reset": lambda exchange: exchange.reset(),
}


@pytest.mark.sampled(9)
@pytest.mark.parametrize("down", DOWN)
@pytest.mark.parametrize("n", [1, 2])
def test_a_picture_whose_host_does_not_answer_is_fetched_later_and_not_bought_again(user, down, n):
    with Faulty(images(*[{"url": "{here}/" + name} for name in "ab"[:n]]), DOWN[down]) as server:
        for _ in range(2):
            assert "until its host answers only a new take is bought" in user.ask(server, n=n).hint
        assert server.count("POST") == 1
        server.plays(get=http(PNG))
        assert [each.data for each in user.ask(server, n=n).pictures] == [PNG] * n
    assert server.count("POST") == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_a_picture_that_is_gone_from_its_address_is_bought_again(user, status):
    with Faulty([images({"url": "{here}/a"}), http(JSON)], http(b"gone", status)) as server:
        assert "the address is tried first, then another is bought" in user.ask(server).hint
        assert user.ask(server).pictures[0].data == PNG
    assert server.count("POST") == 2


@pytest.mark.parametrize("budget", ["session", "store"])
def test_what_was_paid_for_is_fetched_though_the_cap_is_used_up(user, budget):
    with Faulty(images({"url": "{here}/a"}), [http(b"not yet", 404), http(PNG)]) as server:
        environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": server.url, "BELUGA_MAX_IMAGES": "1"}
        session = Session(environ=environ | {"BELUGA_BUDGET": budget}, folder=user.folder, notify=print)
        with pytest.raises(BelugaError, match="cannot be fetched"):
            session.generate("a fox", model="flux-2.0")
        assert session.generate("a fox", model="flux-2.0").pictures[0].data == PNG
        assert server.count("POST") == 1


# --- whatever the status of an answer is, unless it proves that nothing was done

STATUSES = [203, 299, 300, 303, 308, 408, 409, 424, 499, 500, 502, 503, 504, 520]
FAILED = [each for each in STATUSES if each >= 300]
HOLDING = {
    "base64": (JSON, {}),
    "base64 beside an id": (json.dumps({"id": "job-7", "data": [b64(PNG)]}).encode(), {}),
    "base64 beside an error": (json.dumps({"error": {"message": "late"}, "data": [b64(PNG)]}).encode(), {}),
    "events": (b"event: done\ndata: " + JSON + b"\n\n", {}),
    "bare": (PNG, {}),
    "address": (b'{"data": [{"url": "{here}/made"}]}', {}),
    "address beside an error": (b'{"error": "late", "data": [{"url": "{here}/a.png"}]}', {}),
    "its own address": (b"", {"location": "/made/77.png"}),
}


@pytest.mark.sampled(16)
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("holding", HOLDING)
def test_a_whole_picture_is_given_whatever_the_status_of_its_answer(user, status, holding):
    body, head = HOLDING[holding]
    with Faulty([http(body, status, **head), http(b"no", 400)], http(PNG)) as server:
        for _ in range(2):
            assert user.ask(server).pictures[0].data == PNG
    assert server.count("POST") == 1
    assert list((user.store.folder / "pending").iterdir()) == []


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("holding", ["address", "its own address"])
def test_the_address_in_an_answer_is_tried_before_anything_is_bought(user, status, holding):
    body, head = HOLDING[holding]
    with Faulty([http(body, status, **head), http(b"no", 400)], [http(b"later", 404), http(PNG)]) as server:
        error = user.ask(server)
        assert error.may_be_billed
        assert len(pending.calls(user.store)[0].addresses) == 1
        assert user.ask(server).pictures[0].data == PNG
    assert server.count("POST") == 1


@pytest.mark.parametrize("status", STATUSES)
def test_the_job_in_an_answer_is_written_down(user, status):
    body = b'{"job_id": "job-7", "error": {"message": "The gateway has waited for long enough."}}'
    with Faulty(http(body, status)) as server:
        user.ask(server)
    assert pending.calls(user.store)[0].job == "job-7"
    assert user.kept == [body]


@pytest.mark.parametrize("status", sorted(REFUSALS))
@pytest.mark.parametrize("holding", ["base64", "its own address"])
def test_of_an_answer_whose_status_proves_that_nothing_was_done_nothing_is_kept(user, status, holding):
    body, head = HOLDING[holding]
    body = b'{"job_id": "job-7", ' + body[1:] if body else b""
    # A 429 is sent again, until it has been busy often enough.
    with Faulty(http(body, status, retry_after="0", **head), http(PNG)) as server:
        assert not user.ask(server).may_be_billed
        assert server.count("GET") == 0
    assert list((user.store.folder / "pending").iterdir()) == []


PAGES = {
    "an error": b'{"error": {"message": "It broke.", "code": 5}, "request_id": "log-7"}',
    "a page": b'<html><img src="https://cdn.example/logo.png"><h1>Bad gateway</h1></html>',
    "a page with a picture in it": b'<html><img src="data:image/png;base64,%b"></html>'
    % base64.b64encode(PNG),
    "a page in JSON": json.dumps({"message": "<img src='https://cdn.example/logo.png'>"}).encode(),
    "an echo": json.dumps({"error": "It broke.", "input": {"image": b64(PNG)["b64_json"]}}).encode(),
    "an echo alone": json.dumps({"input": {"image": b64(PNG)["b64_json"]}}).encode(),
    "documentation": b'{"message": "It broke.", "url": "{here}/docs/500", "link": "{here}/logo.png"}',
    "documentation in the error": b'{"error": {"message": "It broke.", "url": "{here}/logo.png"}}',
    "a person": b'{"message": "It broke.", "user": {"picture": "{here}/me.png", "url": "{here}/me.png"}}',
    "nothing": b"",
}


@pytest.mark.sampled(8)
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("status", [500, 502, 303, 409])
def test_what_an_error_shows_is_no_picture_and_is_not_kept(user, page, status):
    with Faulty(http(PAGES[page], status, location="/sign-in?to=a.png"), http(PNG)) as server:
        for _ in range(3):
            assert user.ask(server).status == status
        assert server.count("GET") == 0
        keys = {each.headers["idempotency-key"] for each in server.asked("POST")}
    assert (len(keys), user.kept, user.messages) == (1, [], [])
    [call] = pending.calls(user.store)
    assert (call.job, call.addresses) == ("", ())


@pytest.mark.parametrize("status", FAILED)
def test_of_several_pictures_in_an_error_those_that_are_whole_are_kept(user, status):
    good, bad = b64(PNG), {"b64_json": base64.b64encode(PNG[:-30]).decode()}
    with Faulty(http(json.dumps({"data": [good, bad]}).encode(), status)) as server:
        error = user.ask(server, n=2)
    assert [each.data for each in error.result.pictures] == [PNG]
    assert error.may_be_billed


@pytest.mark.sampled(4)
@pytest.mark.posix
@pytest.mark.parametrize("status", [303, 409, 500, 520])
@pytest.mark.parametrize("holding", ["base64", "address", "its own address"])
def test_a_kernel_that_is_killed_as_an_error_is_there_has_bought_what_is_in_it(user, status, holding):
    body, head = HOLDING[holding]
    with Faulty(http(body, status, **head), http(PNG)) as server:
        words = [sys.executable, "-c", KILLED, str(user.folder), server.url, KEY, "parse"]
        assert subprocess.run(words).returncode == -signal.SIGKILL
        assert user.ask(server).pictures[0].data == PNG
    assert server.count("POST") == 1


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("n", [1, 2])
def test_the_job_is_written_down_beside_the_address_of_a_picture_that_cannot_be_fetched(user, status, n):
    body = json.dumps({"id": "job-7", "data": [b64(PNG), {"url": "{here}/a.png"}][-n:]}).encode()
    with Faulty(http(body, status), http(b"later", 404)) as server:
        user.ask(server, n=n)
    [call] = pending.calls(user.store)
    assert (call.job, [each.sample for each in call.addresses]) == ("job-7", [n - 1])


# --- pictures at an address


def open_ended(data):
    def step(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\n\r\n" + data)
        exchange.wait()

    return step


def chunk_without_end(data):
    return lambda exchange: exchange.send(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(data), data)
    )


FRAMES = {
    "a length that is too large": lambda data: (
        lambda exchange: exchange.send(http(data, length=len(data) + 5))
    ),
    "no length, and a connection that stays open": open_ended,
    "a chunk and no end": chunk_without_end,
    "a reset": lambda data: reset_after(http(data, length=len(data) + 5)),
}


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_whole_picture_is_taken_however_its_transfer_ends(user, frame, kind):
    picture = encoded(kind, (300, 200))
    with Faulty(images({"url": "{here}/a"}), FRAMES[frame](picture)) as server:
        assert user.ask(server, timeout=1.5).pictures[0].data == picture
        assert (server.count("POST"), server.count("GET")) == (1, 1)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_that_is_cut_is_not_taken_however_its_transfer_ends(user, frame, kind):
    picture = encoded(kind, (300, 200))
    with Faulty(images({"url": "{here}/a"}), FRAMES[frame](picture[:-3])) as server:
        assert isinstance(user.ask(server, timeout=1.5), BelugaError)
        assert len(pending.calls(user.store)[0].addresses) == 1


def hanging_but_for(path, answer):
    def step(exchange):
        exchange.send(answer) if exchange.heard.path == path else exchange.wait()

    return step


@pytest.mark.parametrize("n", [1, 2])
def test_what_was_asked_for_is_recorded_before_further_pictures_are_fetched(user, n):
    """So that neither Stop nor a kill loses it."""
    items = [b64(PNG)] * (n - 1) + [{"url": "{here}/a.png"}, {"url": "{here}/b.png"}]
    with Faulty(images(*items), hanging_but_for("/a.png", http(PNG))) as server:

        async def stopped():
            asking = asyncio.create_task(asyncio.to_thread(user.ask, server, n=n))
            while "/b.png" not in [each.path for each in server.asked("GET")]:
                assert not asking.done(), await asking
                await asyncio.sleep(0.01)
            recorded = len(user.store.record_paths()), len(user.kept)
            server.stopped.set()  # the one that hangs
            await asking
            return recorded

        assert asyncio.run(stopped()) == (n, 1), "the answer stays until all that it names is fetched"
    assert pending.calls(user.store) == []


def test_stop_gives_up_further_pictures(user):
    with Faulty(images({"url": "{here}/a.png"}, {"url": "{here}/b.png"}), None) as server:
        server.plays(get=hanging_but_for("/a.png", http(PNG)))
        environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": server.url}
        session = Session(environ=environ, folder=user.folder, notify=user.messages.append, timeout=20)

        async def stopped():
            asking = asyncio.create_task(session.agenerate("a fox", model="flux-2.0"))
            while "/b.png" not in [each.path for each in server.asked("GET")]:
                assert not asking.done(), await asking
                await asyncio.sleep(0.01)
            asking.cancel()
            began = time.monotonic()
            with contextlib.suppress(asyncio.CancelledError):
                await asking
            return time.monotonic() - began

        assert asyncio.run(stopped()) < 2
        assert user.ask(server).pictures[0].data == PNG
    assert server.count("POST") == 1


def test_stop_loses_no_further_picture_that_has_arrived(user):
    pictures = [encoded("PNG", (each + 1, 1)) for each in range(3)]
    items = [b64(pictures[0]), {"url": "{here}/slow.png"}, *map(b64, pictures[1:])]
    with Faulty(images(*items), lambda exchange: exchange.wait()) as server:
        environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": server.url}
        session = Session(environ=environ, folder=user.folder, notify=user.messages.append, timeout=20)

        async def stopped():
            asking = asyncio.create_task(session.agenerate("a fox", model="flux-2.0"))
            while not server.count("GET"):
                assert not asking.done(), await asking
                await asyncio.sleep(0.01)
            asking.cancel()
            await asyncio.wait([asking])

        asyncio.run(stopped())
    kept = {each.read_bytes() for each in (user.store.folder / "blobs").rglob("*.png")}
    assert kept >= set(pictures)


def test_further_pictures_are_waited_for_no_longer_than_that(user, monkeypatch):
    monkeypatch.setattr("beluga_nb.api.http.EXTRA_SECONDS", 0.3)
    items = [{"url": f"{{here}}/{each}.png"} for each in "abcdefgh"]
    with Faulty(images(*items), hanging_but_for("/a.png", http(PNG))) as server:
        began = time.monotonic()
        assert user.ask(server).pictures[0].data == PNG
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(("size", "fetched"), [(2**10, 8), (300 * 2**10, 4), (2**21, 1)])
def test_further_pictures_are_few_and_not_large_altogether(user, monkeypatch, size, fetched):
    monkeypatch.setattr("beluga_nb.api.http.EXTRA_BYTES", 2**20)
    items = [{"url": f"{{here}}/{each}.png"} for each in range(64)]
    pictures = [http(encoded("PNG", (each + 1, 1)) + bytes(size)) for each in range(64)]
    with Faulty(images(*items), pictures) as server:
        assert len(user.ask(server)) == 1
        kept = [each for each in (user.store.folder / "blobs").rglob("*.png") if each.stat().st_size > size]
        assert server.count("GET") <= 1 + 8
    assert len(kept) == {8: 1 + 8, 4: 1 + 3, 1: 1}[fetched]


def test_further_pictures_in_the_answer_itself_are_all_kept(user):
    pictures = [encoded("PNG", (each + 1, 1)) for each in range(20)]
    with Faulty(images(*map(b64, pictures))) as server:
        assert user.ask(server).pictures[0].data == pictures[0]
    kept = {each.read_bytes() for each in (user.store.folder / "blobs").rglob("*.png")}
    assert kept >= set(pictures)
    assert any("The service sent 20 pictures where 1 were asked for" in words for words in user.messages)


@pytest.mark.posix
@pytest.mark.parametrize("step", ["parse", "keep_extra"])
@pytest.mark.parametrize("address", [False, True])
def test_a_kill_loses_no_further_pictures(user, step, address):
    pictures = [encoded("PNG", (each + 1, 1)) for each in range(4)]
    items = [b64(each) for each in pictures[:3]] + (
        [{"url": "{here}/d.png"}] if address else [b64(pictures[3])]
    )
    with Faulty(images(*items), [http(pictures[3])] * 2) as server:
        words = [sys.executable, "-c", KILLED, str(user.folder), server.url, KEY, step]
        assert subprocess.run(words).returncode == -signal.SIGKILL
        [kept] = user.kept
        assert user.ask(server).pictures[0].data == pictures[0]
        assert server.count("POST") == 1
    here = {each.read_bytes() for each in (user.store.folder / "blobs").rglob("*.png")}
    inside = {each for each in pictures if json.dumps(b64(each))[1:-1].encode() in kept}
    assert here | inside >= set(pictures[: 3 if address else 4])
    assert step == "keep_extra" or here >= set(pictures)


SHORT_OF_MEMORY = """
import base64, json, pathlib, resource, sys
from beluga_nb.api import http
from beluga_nb.engines.retrying import may_send_again
from beluga_nb.api.transport import Response
from beluga_nb.errors import InvalidResponseError

picture = bytes.fromhex("89504e470d0a1a0a") + bytes(60 * 2**20)
content = json.dumps({"data": [{"b64_json": base64.b64encode(picture).decode()}]}).encode()
response = Response(status=200, headers={}, content=content)
size = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**20, -1))
try:
    http._parsed(response)
except InvalidResponseError as error:
    print(error.message, error.outcome, error.temporary, may_send_again(error), sep=" | ")
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
print(http._parsed(response).items[0].data == picture)
"""


@pytest.mark.posix
@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does it")
def test_an_answer_that_memory_is_too_short_for_says_so():
    child = subprocess.run(
        [sys.executable, "-c", SHORT_OF_MEMORY],
        capture_output=True,
        text=True,
        timeout=90,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stderr == ""
    expected = "There is too little memory to read the answer. | unknown | True | False"
    assert child.stdout.splitlines() == [expected, "True"]
