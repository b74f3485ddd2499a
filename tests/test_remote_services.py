"""Stores at an address of known servers of the S3 protocol, in processes of their own."""

import contextlib
import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from conftest import Counting
from installed import Environment
from s3 import CREDENTIALS, close_drivers

from beluga_nb.errors import StoreError
from beluga_nb.session.session import Session

s3fs = pytest.importorskip("s3fs")

SERVERS = {
    "moto[server]==5.2.5": ("moto_server", "-H", "127.0.0.1", "-p", "{port}"),
    "localbucket==1.2.1": ("localbucket", "--port", "{port}", "{folder}"),
}
"""Requirements, and the commands of their servers."""


@pytest.fixture(scope="module", params=SERVERS)
def server(request, tmp_path_factory):
    """The address of a server; TESTS_ENVIRONMENTS is a folder that keeps its environment."""
    folder = tmp_path_factory.mktemp("server")
    name = re.sub(r"(\[.*\])?==", "-", request.param)
    environment = Environment(
        Path(os.environ.get("TESTS_ENVIRONMENTS", folder)) / f"{name}-kept", request.param
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command, *words = (word.format(port=port, folder=folder) for word in SERVERS[request.param])
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([str(environment.bin / command), *words], **silent) as running:
        try:
            deadline = time.monotonic() + 60
            while not answers(port):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            running.terminate()


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.fixture
def bucket(server, monkeypatch, tmp_path):
    """A new bucket's name."""
    for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL": server}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    close_drivers()
    name = f"bucket-{os.urandom(4).hex()}"
    s3fs.S3FileSystem().mkdir(name)
    yield name
    close_drivers()


def session(bucket, engine, **options):
    opened = Session(engine=engine, store=f"s3://{bucket}/study", notify=pytest.fail, **options)
    opened.store.open()
    return opened


@pytest.mark.everywhere
def test_what_is_recorded_is_replayed_verified_and_forgotten(bucket, monkeypatch, tmp_path):
    engine = Counting()
    writer = session(bucket, engine)
    first = writer.generate("a fox", n=3)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
    reader = session(bucket, engine, mode="replay")
    assert [each.data for each in reader.generate("a fox", n=3).pictures] == [
        each.data for each in first.pictures
    ]
    assert len(engine.requests) == 3
    assert [report.fine for report in reader.store.verify(progress=False)] == [True]
    assert len(reader.store.history().runs) == 1
    writer.store.forget(prompt="fox", assume_yes=True)
    assert s3fs.S3FileSystem().find(bucket) == [f"{bucket}/study/store.json"]
    assert reader.store.history().runs == ()


@pytest.mark.everywhere
def test_of_two_machines_one_buys(bucket, monkeypatch, tmp_path):
    engine, sessions = Counting(), []
    for number in range(2):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / str(number)))
        sessions.append(Session(engine=engine, store=f"s3://{bucket}/study", notify=lambda _: None))
        sessions[-1].store.open()
    threads = [
        threading.Thread(target=lambda s=s: s.grid("{{what}}", what=list("abcdefgh")).run()) for s in sessions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(each.prompt for each in engine.requests) == list("abcdefgh")


@pytest.mark.everywhere
def test_more_objects_than_one_answer_lists_and_empty_ones(bucket):
    opened = session(bucket, Counting())
    opened.generate("a fox")
    names = (f"{number % 256:02x}/{number % 256:02x}{number:062x}.json" for number in range(1100))
    s3fs.S3FileSystem().pipe({f"{bucket}/study/scores/{name}": b"{}" for name in names})
    objects = opened.store.open().mirror.objects
    assert len(objects.listed("scores")) == 1100
    objects.write({"empty": b""})
    assert objects.read("empty") == b""
    assert objects.create("empty", b"something") == b""
    assert objects.missing(["empty", "nothing"]) == {"nothing"}


@pytest.mark.everywhere
def test_a_bucket_that_is_not_there_is_named(bucket):
    with pytest.raises(StoreError, match="There is no bucket nowhere-at-all"):
        session("nowhere-at-all", Counting()).generate("a fox")
