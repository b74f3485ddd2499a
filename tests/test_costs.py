"""What a picture costs in work that can be counted: copies, hashes, syncs, and nothing heavy on the loop."""

import base64
import hashlib
import io
import os
import subprocess
import sys
import threading
import tracemalloc

import pytest
from faulty import Faulty, b64, http, images
from PIL import Image

from beluga_nb import images as images_module
from beluga_nb import images as pictures
from beluga_nb import redaction
from beluga_nb.api import answers, body, spool, transport
from beluga_nb.config.settings import Settings
from beluga_nb.redaction import RedactedStream
from beluga_nb.request import Request
from beluga_nb.session.session import Session
from beluga_nb.show import preview
from beluga_nb.store import files, pending, records


@pytest.fixture(autouse=True)
def no_image_is_held(monkeypatch):
    """Where earlier tests have filled the room for decoded images, a new one is decoded again."""
    monkeypatch.setattr(images_module, "_DECODED", images_module._Decoded(images_module.MAX_DECODED))


SMALL = pictures.encode(Image.new("RGB", (64, 64), "white"), "PNG")


@pytest.fixture(scope="module")
def noise():
    """A PNG of 3 MB, which compresses to nothing smaller."""
    image = Image.frombytes("RGB", (1000, 1000), os.urandom(3_000_000))
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=0)
    return data.getvalue()


def session_at(server, folder, **options):
    environ = {"BELUGA_API_KEY": "bapi_SENTINEL-SENTINEL-1234", "BELUGA_BASE_URL": server.url}
    return Session(environ=environ, folder=folder, notify=lambda _: None, **options)


def counted(monkeypatch, owner, name, measure):
    """Note what `measure` makes of the arguments of each call."""
    real, found = getattr(owner, name), []

    def counting(*args, **kwargs):
        found.append(measure(*args))
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, counting)
    return found


@pytest.mark.parametrize("mode", ["off", "auto"])
def test_an_answer_is_held_twice_at_most(mode, noise, tmp_path):
    """As it came and as bytes of the picture, or in pieces and in one; and some bytes."""
    answer = images(b64(noise))
    with Faulty(answer) as server:
        session = session_at(server, tmp_path, mode=mode)
        session.generate("one to load what is loaded once", model="flux-2.0")
        tracemalloc.start()
        try:
            kept = session.generate("a fox", model="flux-2.0")
            now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 2.2 * len(answer)
    assert now < 1.2 * len(noise)
    assert len(kept.pictures[0].data) == len(noise)


def test_a_recorded_picture_is_hashed_once(noise, tmp_path, monkeypatch):
    with Faulty(images(b64(noise))) as server:
        session = session_at(server, tmp_path)
        hashed = counted(monkeypatch, hashlib, "sha256", lambda data=b"": len(data))
        session.generate("a fox", model="flux-2.0")
    assert hashed.count(len(noise)) == 1


@pytest.mark.parametrize(("mode", "hashes"), [("auto", 2), ("off", 1)])
def test_a_picture_of_a_grid_is_decoded_once_and_hashed_once_more_where_it_is_read(
    mode, hashes, noise, tmp_path, monkeypatch
):
    decoded = counted(monkeypatch, pictures, "_decoded", len)
    with Faulty(images(b64(noise))) as server:
        session = session_at(server, tmp_path, mode=mode)
        hashed = counted(monkeypatch, hashlib, "sha256", lambda data=b"": len(data))
        grid = session.grid("a {{animal}}", animal=["fox"], model="flux-2.0")
        grid.run()
    assert [sample.picture.image.size for sample in grid.samples] == [(1000, 1000)]
    assert decoded.count(len(noise)) == 1
    assert hashed.count(len(noise)) == hashes


def test_a_recorded_picture_is_written_once_and_not_read_again(noise, tmp_path, monkeypatch):
    with Faulty(images(b64(noise))) as server:
        session = session_at(server, tmp_path)
        written = counted(monkeypatch, files, "write", lambda _, data: len(data))
        read = counted(monkeypatch, records, "has_content", lambda path, data: path.exists() * len(data))
        session.generate("a fox", model="flux-2.0")
    assert written.count(len(noise)) == 1
    assert len(noise) not in read


@pytest.mark.parametrize("in_grid", [True, False])
def test_calls_that_are_made_at_once_do_not_read_what_is_written_down_of_each_other(
    in_grid, tmp_path, monkeypatch
):
    read = counted(monkeypatch, files, "read", lambda path: path.parent.name == "pending")
    written = counted(monkeypatch, files, "write", lambda path, _: path.parent.name == "pending")
    with Faulty(images(b64(SMALL))) as server:
        session = session_at(server, tmp_path, max_in_flight=12)
        names = list("abcdefghijkl")
        if in_grid:
            session.grid("a fox called {{name}}", name=names, model="flux-2.0").run(assume_yes=True)
        else:
            for job in [session.submit(f"a fox called {name}", model="flux-2.0") for name in names]:
                job.result()
    assert sum(written) == 12
    assert sum(read) == 0


def test_calls_that_begin_or_end_while_the_journal_is_listed_are_not_read(tmp_path, monkeypatch):
    store = records.Store(tmp_path)
    ending, beginning = (Request(prompt="a fox", model="flux-2.0").as_call() for _ in range(2))
    for request in (ending, beginning):
        pending.begin(store, request, provider="x")
    under_way, real = {ending.idempotency_key}, os.listdir

    def listed(folder):
        names = real(folder)
        under_way.add(beginning.idempotency_key)
        under_way.discard(ending.idempotency_key)
        return names

    monkeypatch.setattr(os, "listdir", listed)
    read = counted(monkeypatch, files, "read", lambda path: path)
    assert (pending.calls(store, excluding=under_way), read) == ([], [])


@pytest.mark.posix
def test_a_recorded_picture_takes_eight_syncs(noise, tmp_path, monkeypatch):
    """Of the journal, the picture, its preview and its record, each with the folder that it is in."""
    with Faulty(images(b64(noise))) as server:
        session = session_at(server, tmp_path)
        session.generate("one to make the folders", model="flux-2.0")
        synced = counted(monkeypatch, os, "fsync", lambda _: None)
        session.generate("a fox", model="flux-2.0", take="another")
    assert len(synced) <= 8


def test_a_call_checks_its_settings_five_times_at_most(tmp_path, monkeypatch):
    """Once for each place that sets one, and not for each that sets none."""
    with Faulty(images(b64(SMALL))) as server:
        session = session_at(server, tmp_path, max_in_flight=8)
        checked = counted(monkeypatch, Settings, "__post_init__", lambda _: None)
        session.generate("a fox", model="flux-2.0")
    assert 0 < len(checked) <= 5


LOOKS = {"stat": 26, "lstat": 27, "access": 2, "listdir": 3, "scandir": 3}


@pytest.mark.posix
def test_a_recorded_picture_takes_few_looks_at_its_store(tmp_path, monkeypatch):
    """A store is checked before each write, but not listed each time for what an earlier process has left."""
    with Faulty(images(b64(SMALL))) as server:
        session = session_at(server, tmp_path)
        session.generate("one to make the folders", model="flux-2.0")
        looked = {name: counted(monkeypatch, os, name, lambda path, *_: str(path)) for name in LOOKS}
        session.generate("a fox", model="flux-2.0", take="another")
    store = str(tmp_path / "beluga_store")
    found = {name: sum(path.startswith(store) for path in paths) for name, paths in looked.items()}
    assert {name: count for name, count in found.items() if count > LOOKS[name]} == {}
    assert found["stat"] > 10, "they are counted"


def test_a_picture_in_base64_is_redacted_without_looking_at_each_byte(noise, monkeypatch):
    key = redaction.Secret("bapi_SENTINEL-SENTINEL-1234", "test")
    text = b'{"data": [{"b64_json": "%b", "revised_prompt": "a fox %b"}]}'
    read = counted(monkeypatch, redaction, "_readings", len)
    redacted = redaction.redact_bytes(text % (base64.b64encode(noise), key.reveal().encode()))
    assert redacted == text % (base64.b64encode(noise), b"(your key)")
    assert max(read) < 10_000


def test_an_answer_that_comes_at_once_is_searched_for_keys_once_and_written_in_one_piece(
    noise, tmp_path, monkeypatch
):
    monkeypatch.setattr(spool, "_PAUSE", 60)
    answer = images(b64(noise))
    body = answer.partition(b"\r\n\r\n")[2]
    searched = counted(monkeypatch, redaction, "_pictures", len)
    with Faulty(answer) as server:
        session = session_at(server, tmp_path)
        written = counted(monkeypatch, os, "write", lambda _, data: len(data))
        session.generate("a fox", model="flux-2.0")
    assert [size for size in searched if size > 2**16] == [len(body)]
    assert [size for size in written if size > 2**16] == [len(body)]


HEAVY = {
    "decoding": (pictures, "_decoded"),
    "parsing": (answers, "parse"),
    "looking for the end": (transport, "seems_complete"),
    "looking for keys": (transport, "redact_bytes"),
    "inflating": (body, "_inflated"),
    "looking for keys in what is kept": (RedactedStream, "feed"),
    "hashing": (hashlib, "sha256"),
    "writing": (files, "write"),
    "shrinking": (preview, "small"),
}


@pytest.mark.parametrize("given", ["base64", "compressed", "a link", "bare"])
def test_no_heavy_work_on_an_answer_blocks_the_event_loop(given, noise, tmp_path, monkeypatch):
    import gzip

    on_the_loop = []
    for name, (owner, function) in HEAVY.items():
        real = getattr(owner, function)

        def noting(*args, name=name, real=real, **kwargs):
            # Small pieces, such as the words of an error, are looked at at once.
            if threading.current_thread().name == "beluga-io" and any(
                isinstance(each, bytes) and len(each) > 2**20 for each in args
            ):
                on_the_loop.append(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, function, noting)
    whole = images(b64(noise)).partition(b"\r\n\r\n")[2]
    with Faulty() as server:
        post = {
            "base64": http(whole),
            "compressed": http(gzip.compress(whole, 1), **{"content-encoding": "gzip"}),
            "a link": images({"url": f"{server.url}/whale.png"}),
            "bare": http(noise),
        }[given]
        server.plays(post, http(noise))
        result = session_at(server, tmp_path).generate("a fox", model="flux-2.0")
    assert result.pictures[0].data == noise
    assert on_the_loop == []


def test_the_first_picture_waits_for_nothing_that_only_comparisons_need():
    probe = """
import sys
import beluga_nb
beluga_nb.generate
names = ("compare.gallery", "compare.grid", "compare.scores", "session.library", "store.votes")
print([name for name in names if f"beluga_nb.{name}" in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
