"""Stores at an address: a service of objects that many machines share, and a folder of copies on each."""

import asyncio
import errno
import pickle
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from conftest import KEY, Counting, drawing, drawn, service
from s3 import CREDENTIALS, S3, close_drivers
from stores import everything, notebook, record

from beluga_nb.config.addresses import DRIVERS, INSTALLED_BY, StoreAddress, parse_address
from beluga_nb.config.settings import Settings, load
from beluga_nb.engines.call import Tally
from beluga_nb.errors import (
    APIStatusError,
    BelugaError,
    EngineError,
    OverBudgetError,
    SettingsError,
    StoreError,
)
from beluga_nb.request import Request
from beluga_nb.result import ImagePayload, Result
from beluga_nb.session.session import Session
from beluga_nb.session.watching import calling
from beluga_nb.store import claims, mirror, object_claims, registry, votes
from beluga_nb.store.marks import Mark, marks, write
from beluga_nb.store.objects import Objects, RemoteError
from beluga_nb.store.opened import ledger_of, open_store

s3fs = pytest.importorskip("s3fs")

STUDY = "s3://bucket/study"
FOX = Request(prompt="a fox", model="flux-2.0")


@pytest.fixture(scope="module")
def server():
    """One for all tests: to make a client of it takes s3fs a quarter of a second."""
    with S3().running() as running:
        close_drivers()
        yield running
        close_drivers()


@pytest.fixture
def s3(server, monkeypatch, tmp_path):
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # The driver waits between attempts; what comes of the last one is the same.
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    monkeypatch.setattr("beluga_nb.store.objects.TIME_LIMITS", {"retries": {"total_max_attempts": 1}})
    server.reset()
    return server


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A session on another machine each time: with copies of nothing."""
    numbers = iter(range(99))

    def opened(engine=drawing, messages=None, **options):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"machine {next(numbers)}"))
        notify = pytest.fail if messages is None else messages.append
        session = Session(engine=engine and named(engine), notify=notify, **{"store": STUDY} | options)
        if options.get("budget") != "store":
            session.store.open()  # now: the folder of copies is this machine's
        return session

    return opened


def named(engine):
    """The engine under the name of `drawing`, whose recordings it then shares."""

    async def asked(request):
        return await engine(request)

    asked.__name__ = "drawing"
    return asked


async def never(request):
    raise AssertionError("it was asked")


def test_a_picture_is_the_same_from_a_folder_and_from_an_address(s3, machine, tmp_path):
    at_home = Session(engine=drawing, store=tmp_path / "folder").generate("a fox", n=2)
    there = machine().generate("a fox", n=2)
    replayed = machine(never, mode="replay").generate("a fox", n=2)
    assert [each.data for each in at_home.pictures] == [each.data for each in there.pictures]
    assert [each.data for each in at_home.pictures] == [each.data for each in replayed.pictures]
    assert [each.recipe for each in there.pictures] == [each.recipe for each in replayed.pictures]
    here = {name for name in everything(tmp_path / "folder") if name.startswith(("records/", "blobs/"))}
    assert {name.removeprefix("study/") for name in s3.objects} == here | {"store.json"}


def test_a_recorded_picture_is_twelve_requests_and_a_replay_three_or_none(s3, machine):
    session = machine()
    session.generate("a fox")
    s3.count()
    session.generate("a wolf")
    assert s3.count() == {"DELETE": 2, "GET": 2, "HEAD": 2, "LIST": 1, "PUT": 5}
    session.generate("a wolf")
    assert s3.count() == {}
    reader = machine(never, mode="replay")
    reader.generate("a wolf")
    assert s3.count() == {"GET": 3}
    reader.generate("a wolf")
    assert s3.count() == {}


def test_a_plan_of_many_cells_asks_once_for_all_records(s3, machine):
    machine().generate("a fox")
    session = machine(never)
    s3.count()
    prompts = [f"fox {number}" for number in range(300)]
    assert len(session.grid("{{what}}", what=[*prompts, "a fox"]).plan().posts) == 300
    assert s3.count() == {"LIST": 2, "GET": 2}  # the journal and the mark of the store, too


def test_the_record_comes_after_its_bytes_and_before_the_picture(s3, machine):
    machine().generate("a fox")
    written = [name.removeprefix("study/").partition("/")[0] for method, name in s3.seen if method == "PUT"]
    assert written == ["store.json", "store.json", "pending", "pending", "blobs", "blobs", "records"]


def test_two_machines_buy_the_same_once(s3, machine):
    at_work, go_on, asked = threading.Event(), threading.Event(), []

    async def slow(request):
        asked.append(request)
        at_work.set()
        while not go_on.is_set():
            await asyncio.sleep(0.01)
        return await drawing(request)

    messages = []
    first, second = machine(slow), machine(slow, messages)
    results = []
    threads = [
        threading.Thread(target=lambda s=s: results.append(s.generate("a fox"))) for s in (first, second)
    ]
    threads[0].start()
    assert at_work.wait(60)
    threads[1].start()
    until = time.monotonic() + 60
    while not messages and time.monotonic() < until:
        time.sleep(0.01)
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert len(asked) == 1
    assert results[0].pictures[0].data == results[1].pictures[0].data
    assert "Another kernel" in messages[0]
    assert not [name for name in s3.objects if "pending" in name]


KILLED = """
import os, signal
from beluga_nb.session.session import Session
async def drawing(request):
    os.kill(os.getpid(), signal.SIGKILL)
Session(engine=drawing, store="s3://bucket/study").generate("a fox")
"""


@pytest.mark.posix
def test_the_claim_of_a_process_that_was_killed_is_taken_over_and_its_call_stays_known(s3, machine):
    subprocess.run([sys.executable, "-c", KILLED], timeout=120)
    assert len([name for name in s3.objects if "pending" in name]) == 2
    engine = Counting()
    session = machine(engine)
    session.generate("a fox")
    assert len(engine.requests) == 1
    assert session.status()["unfinished"] == "1 call may have been charged without a result"
    assert not [name for name in s3.objects if ".claim" in name]


def watches(count, address="memory://claims"):
    return [
        object_claims.ObjectWatch(Objects(parse_address(address)), "pending/c.claim", before=int, taken=int)
        for _ in range(count)
    ]


@pytest.fixture
def memory():
    import fsspec

    yield fsspec.filesystem("memory")
    fsspec.filesystem("memory").store.clear()


def test_of_two_that_see_an_abandoned_claim_one_takes_it_over(memory, monkeypatch):
    owner, one, other = watches(3)
    first = owner.take()
    for watch in (one, other):
        with pytest.raises(FileExistsError):
            watch.take()
        watch.look()
        assert watch.holder.token == first.token
        assert not claims.is_abandoned(watch.holder, silent_for=watch.silent_for)
        watch.remove()  # as if it were
    second = one.take()
    with pytest.raises(FileExistsError):
        other.take()
    other.look()
    assert other.holder.token == second.token
    # The first owner was only slow: it removes nothing of the second one.
    monkeypatch.setattr(object_claims, "LATE", -1.0)
    first.release()
    other.look()
    assert other.holder.token == second.token
    monkeypatch.setattr(object_claims, "LATE", 15.0)
    second.release()
    assert not memory.find("/claims")
    # Who had seen the chain before it went takes over nothing.
    other.remove()
    with pytest.raises(FileExistsError):
        other.take()
    assert not memory.find("/claims")
    other.take().release()


def test_a_heartbeat_shows_that_a_claim_is_not_abandoned(memory):
    owner, watch = watches(2)
    claim = owner.take()
    watch.look()
    seen = watch._seen
    watch.look()
    assert watch._seen == seen
    claim.beat()
    watch.look()
    assert watch._seen > seen


def test_a_heartbeat_that_is_late_does_not_make_a_released_claim_again(memory):
    [owner] = watches(1)
    claim = owner.take()
    claim.release()
    claim.beat()
    assert not memory.find("/claims")


def test_an_object_that_is_no_claim_stops_the_call(memory):
    memory.pipe_file("/claims/pending/c.claim", b"something else")
    [watch] = watches(1)
    with pytest.raises(FileExistsError):
        watch.take()
    with pytest.raises(RemoteError, match="is no claim of beluga_nb"):
        watch.look()


def test_a_service_without_conditional_writes_is_refused_before_anything_is_sent(s3, machine):
    s3.conditional = False
    with pytest.raises(StoreError, match="If-None-Match") as failed:
        machine(never).generate("a fox")
    assert failed.value.hint == (
        "Two machines would buy the same twice. Use a service with conditional writes, or a folder."
    )


def test_reading_needs_no_right_to_write_and_nothing_is_bought_without(s3, machine):
    machine().generate("a fox")
    s3.fail = lambda method, _: (403, "AccessDenied") if method in {"PUT", "DELETE"} else None
    reader = machine(never)
    assert len(reader.generate("a fox")) == 1
    assert len(reader.store.history().runs) == 1
    assert [report.fine for report in reader.store.verify(progress=False)] == [True]
    with pytest.raises(StoreError) as failed:
        reader.generate("a wolf")
    assert (
        failed.value.message == "s3://bucket/study must not be written with your credentials (AccessDenied)."
    )
    assert failed.value.hint == "Ask its owner for the right, or set BELUGA_STORE to another store."


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ((404, "NoSuchBucket"), "There is no bucket bucket (s3://bucket/study)."),
        ((403, "AccessDenied"), "s3://bucket/study must not be read with your credentials (AccessDenied)."),
        (
            (403, "RequestTimeTooSkewed"),
            "The clock of this computer is too far from the one of s3://bucket/study.",
        ),
        (
            (403, "InvalidAccessKeyId"),
            "s3://bucket/study does not accept your credentials, or there are none (InvalidAccessKeyId).",
        ),
        ((500, "InternalError"), "s3://bucket/study cannot be read: InternalError: "),
        ("cut", "s3://bucket/study cannot be reached ("),
    ],
    ids=str,
)
def test_what_fails_is_two_lines_and_nothing_is_sent(s3, machine, fault, message):
    s3.fail = lambda *_: fault
    with pytest.raises(StoreError) as failed:
        machine(never).generate("a fox")
    assert failed.value.message.startswith(message)
    assert failed.value.hint
    assert "a-secret" not in str(failed.value)


def test_a_service_that_does_not_answer_is_two_lines(s3, machine, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    close_drivers()
    with pytest.raises(StoreError) as failed:
        machine(never).generate("a fox")
    close_drivers()
    assert failed.value.message == "s3://bucket/study cannot be reached (EndpointConnectionError)."
    assert failed.value.hint == "Check the network and the address, and try again."


@pytest.mark.parametrize("fault", [(500, "InternalError"), "cut"], ids=str)
def test_what_was_paid_for_is_recorded_later_where_an_upload_failed(s3, machine, fault):
    """Half an upload is none: the raw answer stays, and is read when the service can be written."""
    engine, messages = Counting(), []
    with service(engine) as address:
        session = machine(None, messages, base_url=address, api_key=KEY)
        s3.fail = lambda method, name: fault if method == "PUT" and "/records/" in name else None
        session.generate("a fox", model="flux-2.0")
        assert "s3://bucket/study" in messages[0]
        assert not [name for name in s3.objects if "records" in name]
        s3.fail = lambda *_: None
        session.generate("a fox", model="flux-2.0")
        assert len([name for name in s3.objects if "records" in name]) == 1
        assert "unfinished" not in session.status()
    assert len(engine.requests) == 1


@pytest.mark.parametrize("stays", [True, False], ids=["from then on", "once"])
@pytest.mark.parametrize("place", range(7))
def test_a_picture_of_an_engine_of_this_process_is_recorded_later_where_an_upload_failed(
    s3, machine, monkeypatch, place, stays
):
    """The service fails at each request after the answer, and the next session has the same picture."""
    monkeypatch.setattr(claims, "SILENCE", 0.2)  # of a claim that could not be removed
    numbers = count()

    def fail(*_):
        number = next(numbers)
        return (500, "InternalError") if number == place or (stays and number > place) else None

    async def then_failing(request):
        result = await drawing(request)
        s3.fail = fail
        return result

    first = machine(then_failing, []).generate("a fox")
    assert next(numbers) > place, "the service did not fail"
    s3.fail = lambda *_: None
    session = Session(store=STUDY, engine=named(never), notify=[].append)
    assert session.grid("a fox").plan().posts == []
    again = session.generate("a fox")
    assert [each.data for each in first.pictures] == [each.data for each in again.pictures]
    assert [each.recipe for each in first.pictures] == [each.recipe for each in again.pictures]
    assert len([name for name in s3.objects if "records" in name]) == 1
    assert machine(never, mode="replay").generate("a fox").pictures[0].data == first.pictures[0].data


def test_a_list_that_is_late_loses_no_answer(s3, machine, monkeypatch):
    engine, messages = Counting(), []
    with service(engine) as address:
        session = machine(None, messages, base_url=address, api_key=KEY)
        s3.fail = lambda method, name: (
            (500, "InternalError") if method == "PUT" and "/records/" in name else None
        )
        session.generate("a fox", model="flux-2.0")
        s3.fail = lambda *_: None
        monkeypatch.setattr("s3.listing", lambda *_, **__: b"<ListBucketResult></ListBucketResult>")
        again = Session(store=STUDY, notify=messages.append, base_url=address, api_key=KEY)
        again.generate("a fox", model="flux-2.0")
    assert len(engine.requests) == 1


def test_a_bucket_that_was_emptied_loses_no_answer(s3, machine):
    engine, messages = Counting(), []
    with service(engine) as address:
        session = machine(None, messages, base_url=address, api_key=KEY)
        s3.fail = lambda method, name: (
            (404, "NoSuchBucket") if method == "PUT" and "/records/" in name else None
        )
        session.generate("a fox", model="flux-2.0")
        s3.objects.clear()
        s3.fail = lambda *_: None
        again = Session(store=STUDY, notify=messages.append, base_url=address, api_key=KEY)
        again.generate("a fox", model="flux-2.0")
        assert len([name for name in s3.objects if "records" in name]) == 1
        assert not [name for name in s3.objects if "pending" in name]
        assert "unfinished" not in again.status()
    assert len(engine.requests) == 1


def test_a_stop_asks_the_service_for_nothing(s3, machine):
    session = machine()
    s3.count()
    with pytest.raises(KeyboardInterrupt), calling(session.resources, Tally(calls={"one"})):
        raise KeyboardInterrupt
    assert s3.count() == {}


def test_a_call_that_cannot_be_written_down_is_not_sent(s3, machine):
    session = machine(never)
    s3.objects["study/store.json"] = b'{"schema":1}\n'
    s3.fail = lambda method, name: (
        (500, "InternalError") if method == "PUT" and "pending" in name and ".json" in name else None
    )
    with pytest.raises(EngineError, match="could not be written down") as failed:
        session.generate("a fox")
    assert failed.value.outcome == "not_sent"


def test_a_claim_whose_answer_was_lost_is_still_held(s3, machine, monkeypatch):
    monkeypatch.setattr("beluga_nb.store.objects.TIME_LIMITS", {"retries": {"total_max_attempts": 3}})
    lost = []

    def fail(method, name):
        if method == "PUT" and ".claim" in name and not lost:
            return lost.append(name) or "lost"
        return None

    s3.fail = fail
    engine = Counting()
    machine(engine).generate("a fox")
    assert lost
    assert len(engine.requests) == 1
    assert not [name for name in s3.objects if "pending" in name]


@pytest.mark.parametrize("is_damaged", [False, True])
def test_another_picture_that_was_recorded_first_stays_and_both_are_kept(s3, machine, is_damaged):
    machine().generate("a fox")
    [name] = [name for name in s3.objects if "records" in name]
    first = s3.objects.pop(name)

    async def late(request):
        s3.objects[name] = first  # another machine has recorded it meanwhile
        for each in [each for each in s3.objects if is_damaged and "blobs" in each]:
            s3.objects[each] = b"damaged"
        payload = ImagePayload(drawn(request, 9), "image/png")
        return Result.of(request, [payload], engine="drawing", created=1_750_000_000)

    messages = []
    machine(late, messages).generate("a fox")
    assert messages == ["Another kernel has recorded the same; this one is kept as take 2."]
    assert s3.objects[name] == first
    assert len([each for each in s3.objects if "records" in each]) == 2


@pytest.mark.parametrize("is_service", [True, False])
def test_a_picture_is_shown_where_the_store_cannot_be_reached_when_it_arrives(
    s3, machine, monkeypatch, is_service
):
    monkeypatch.setattr(mirror, "ABSENT_FOR", -1.0)  # a call that takes longer than that

    async def slow(request):
        s3.fail = lambda *_: (500, "InternalError")
        return await drawing(request)

    messages = []
    with service(slow) as address:
        options = {"base_url": address, "api_key": KEY} if is_service else {}
        session = machine(None if is_service else slow, messages, **options)
        assert len(session.generate("a fox", **({"model": "flux-2.0"} if is_service else {}))) == 1
    assert "cannot be written" in messages[0]


CONFLICT = (409, "ConditionalRequestConflict")


def test_a_write_that_is_refused_though_there_is_no_object_is_not_taken_for_done(s3, machine):
    messages = []
    session = machine(Counting(), messages)
    s3.fail = lambda method, name: CONFLICT if method == "PUT" and "/records/" in name else None
    assert len(session.generate("a fox")) == 1
    assert "refuses to write records/" in messages[0]
    assert session.status()["unfinished"]


@pytest.mark.parametrize("first", [0, 1, 2])
@pytest.mark.parametrize("fault", [CONFLICT, (412, "PreconditionFailed"), (404, "NoSuchKey")], ids=str)
def test_codes_of_missing_and_of_present_objects_are_two_lines_where_they_mean_nothing(
    s3, machine, fault, first
):
    """A service that answers so to each request, or to each write, is not waited for, and nothing is sent."""
    machine().generate("a wolf")
    session = machine(never)
    s3.fail = lambda method, name: (
        fault if not first or (method == "PUT" and (first == 1 or "pending" in name)) else None
    )
    with pytest.raises(BelugaError) as failed:
        session.generate("a fox")
    assert failed.value.hint


@pytest.mark.parametrize("mode", ["auto", "replay"])
def test_a_folder_of_copies_that_cannot_be_written_is_two_lines(s3, machine, monkeypatch, mode):
    machine().generate("a fox")
    reader = machine(never, mode=mode)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("beluga_nb.store.files._write", full)
    for read in (lambda: reader.generate("a fox"), reader.store.history):
        with pytest.raises(StoreError, match=r"Copies of s3://bucket/study cannot be kept .*No space left"):
            read()


def test_what_was_forgotten_elsewhere_is_looked_for_again_after_its_bytes_are_missing(s3, machine):
    writer = machine()
    writer.generate("a fox")
    reader = machine(never, mode="replay")
    assert len(reader.store.history().runs) == 1  # which has fetched the record alone
    writer.store.forget(everything=True, assume_yes=True)
    for message in ("cannot be used", "Not recorded"):
        with pytest.raises(BelugaError, match=message):
            reader.generate("a fox")


def test_an_object_that_is_too_long_is_not_read_whole_and_nothing_is_bought(s3, machine, monkeypatch):
    machine().generate("a fox")
    [name] = [name for name in s3.objects if "records" in name]
    longest = max(map(len, s3.objects.values()))
    monkeypatch.setattr("beluga_nb.store.files.LARGEST_BLOB", longest)
    assert len(machine(never).generate("a fox")) == 1
    s3.objects[name] = b"{}" + b" " * longest
    with pytest.raises(StoreError, match="is larger than any that beluga_nb writes") as failed:
        machine(never).generate("a fox")
    assert failed.value.hint == f"Nothing was sent. Remove that object; at most {longest:,} bytes are read."
    with pytest.raises(StoreError, match="is larger than any that beluga_nb writes"):
        Objects(StoreAddress(STUDY)).read(name.removeprefix("study/"))


def test_names_of_objects_lead_nowhere(s3, machine, tmp_path):
    machine().generate("a fox")
    for name in (
        "../../evil.json",
        "records/../../../evil.json",
        "votes/..\\evil.jsonl",
        "votes/con.jsonl",
        "tmp/x",
    ):
        s3.objects[f"study/{name}"] = b"{}"
    s3.objects[f"study/records/aa/{'b' * 64}.json"] = b"{}"  # in a wrong folder
    s3.objects[f"study/records/aa/{'a' * 64}.json"] = b"{}"  # no record
    reader = machine(never)
    assert len(reader.store.history().runs) == 1
    [report] = reader.store.verify(progress=False)
    assert len(report.problems) == 1
    assert not [path for path in tmp_path.rglob("*") if "evil" in path.name or "con." in path.name]


def test_the_key_is_in_no_object(s3, machine, messages):
    with service(drawing) as address:
        session = machine(None, messages, base_url=address, api_key=KEY)
        session.generate("a fox", model="flux-2.0")
        picture = session.generate("a fox", model="flux-2.0").pictures[0]
        session.store.mark(picture, favourite=True, note=f"my key is {KEY}")
    everything_there = b"".join([*s3.objects.values(), *map(str.encode, s3.objects)])
    assert KEY.encode() not in everything_there
    assert b"a-secret" not in everything_there


def test_verify_reads_each_object_anew(s3, machine):
    session = machine()
    session.generate("a fox")
    session.generate("a wolf")
    blobs = sorted(name for name in s3.objects if "blobs" in name)
    s3.objects[blobs[0]] = b"damaged"
    del s3.objects[blobs[1]]
    [report] = session.store.verify(progress=False)
    assert report.checked == "s3://bucket/study (2 recordings)"
    assert len(report.problems) == 2


def test_what_is_forgotten_is_in_no_object_and_in_no_copy_that_is_listed_again(
    s3, machine, monkeypatch, tmp_path
):
    writer = machine()
    writer.generate("a fox")
    writer.generate("a wolf")
    reader = machine(never)
    assert len(reader.store.history().runs) == 2
    reader.generate("a wolf")
    copies = Path(tmp_path / "machine 1")
    assert any("wolf" in str(data) for data in everything(copies).values())
    assert writer.store.forget(prompt="wolf", assume_yes=True).files == 3
    assert len(s3.objects) == 4  # the mark, a record, a picture and its preview
    assert len(reader.store.history().runs) == 1
    assert not [
        name for name, data in everything(copies).items() if "wolf" in str(data) and "index" not in name
    ]
    assert len([name for name in everything(copies) if "/blobs/" in name]) == 0


def test_forgetting_everything_leaves_the_mark(s3, machine):
    machine().generate("a fox", n=2)
    machine().store.forget(everything=True, assume_yes=True)
    assert list(s3.objects) == ["study/store.json"]


def test_a_notebook_is_packed_from_an_address_and_unpacked_into_another(s3, machine, tmp_path):
    session = machine()
    shown = session.generate("a fox")
    path = notebook(tmp_path / "a.ipynb", shown)
    session.store.pack(path)
    other = machine(never, store="s3://bucket/another")
    other.store.unpack(tmp_path / "a.zip", into=tmp_path / "into")
    reader = machine(never, mode="replay", store="s3://bucket/another")
    assert reader.generate("a fox").pictures[0].data == shown.pictures[0].data


def test_marks_and_votes_of_other_machines_are_seen_and_none_is_lost(s3, machine, monkeypatch, tmp_path):
    stores = []
    for number in range(2):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / str(number)))
        stores.append(open_store(StoreAddress(STUDY)))
    record(stores[0], "a fox")
    record(stores[0], "a wolf")
    fox, wolf = ([row.image for row in stores[0].index.table().rows])[:2]
    boxes = [votes.Box(store, voter=f"voter {number}") for number, store in enumerate(stores)]
    for box in boxes * 2:
        box.cast(left=fox, right=wolf, answer="left")
    assert [len(votes.votes(store)) for store in stores] == [4, 4]
    write(stores[0], Mark(picture=fox, favourite=True))
    assert list(marks(stores[1])) == [fox]
    write(stores[1], Mark(picture=fox, note="a note"))
    assert marks(stores[0])[fox].note == "a note"
    write(stores[0], Mark(picture=fox))
    assert marks(stores[1]) == {}
    with votes.exclusively(stores[0]):
        boxes[1].cast(left=fox, right=wolf, answer="tie")
    assert [len(votes.votes(store)) for store in stores] == [5, 5]


def test_a_vote_that_was_forgotten_elsewhere_does_not_come_back(s3, machine, monkeypatch, tmp_path):
    stores = []
    for number in range(2):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / str(number)))
        stores.append(open_store(StoreAddress(STUDY)))
    for prompt in ("a fox", "a wolf", "an owl"):
        record(stores[0], prompt)
    by_prompt = {row.prompt: row.image for row in stores[0].index.table().rows}
    box = votes.Box(stores[0])
    box.cast(left=by_prompt["a fox"], right=by_prompt["a wolf"], answer="left")
    session = Session(engine=named(never), store=STUDY)
    session.store.forget(prompt="wolf", assume_yes=True)
    box.cast(left=by_prompt["a fox"], right=by_prompt["an owl"], answer="left")
    [name] = [name for name in s3.objects if "votes" in name]
    assert by_prompt["a wolf"].encode() not in s3.objects[name]
    assert len(votes.votes(stores[1])) == 1


def test_a_damaged_copy_is_fetched_again(s3, machine):
    session = machine()
    picture = session.generate("a fox").pictures[0]
    copies = session.store.open().folder
    for path in [*copies.rglob("*.png"), *copies.rglob("records/*/*.json")]:
        path.write_bytes(b"damaged")
    replaying = Session(engine=named(never), store=STUDY, mode="replay")
    for _ in range(2):  # each damaged copy is told once
        with pytest.raises(BelugaError):
            replaying.generate("a fox")
    assert replaying.generate("a fox").pictures[0].data == picture.data


def test_an_address_that_holds_something_else_is_left_alone(s3, machine):
    s3.objects["study/a.csv"] = b"1,2"
    with pytest.raises(StoreError, match=r"holds objects and no store\.json"):
        machine(never).generate("a fox")
    assert s3.objects == {"study/a.csv": b"1,2"}


def test_an_address_that_another_machine_makes_a_store_meanwhile_is_one(s3, machine):
    """It had no mark when that was read, and has one when its objects are listed."""

    def begun(method, name):
        if method == "LIST" and ("GET", "study/store.json") in s3.seen and not s3.objects:
            s3.objects["study/store.json"] = b'{"schema":1}\n'
            s3.objects["study/pending/" + "a" * 64 + ".claim"] = b"{}"

    s3.fail = begun
    assert len(machine().generate("a fox")) == 1


def test_what_is_recorded_after_an_address_was_emptied_is_replayed_from_there(s3, machine):
    session = machine()
    session.generate("a fox")
    s3.objects.clear()
    owl = session.generate("an owl")
    assert "study/store.json" not in s3.objects
    other = machine(drawing)
    assert other.generate("an owl").pictures[0].data == owl.pictures[0].data
    other.generate("a hen")
    assert "study/store.json" in s3.objects


def test_an_address_whose_folders_hold_something_else_is_left_alone(s3, machine):
    s3.objects["study/records/2024.csv"] = b"1,2"
    with pytest.raises(StoreError, match=r"holds objects and no store\.json"):
        machine(never).generate("a fox")
    assert len(s3.objects) == 1


def test_a_store_of_a_newer_format_is_left_alone(s3, machine):
    s3.objects["study/store.json"] = b'{"schema": 2}'
    with pytest.raises(StoreError, match="is a store of another format"):
        machine(never).generate("a fox")
    assert len(s3.objects) == 1


def test_a_cap_is_exact_over_the_machines_of_an_address(s3, machine):
    engine, refused = Counting(), []
    sessions = [machine(engine, budget="store", max_images=4) for _ in range(2)]

    def spend(number):
        for animal in ("fox", "owl", "hen"):
            try:
                sessions[number].generate(f"a {animal}, {number}")
            except OverBudgetError as error:
                refused.append(error.message)

    with ThreadPoolExecutor(2) as executor:
        list(executor.map(spend, range(2)))
    assert len(engine.requests) == 4
    assert refused == 2 * ["1 picture would be more than max_images allows: 4 of 4 are made."]
    later = machine(never, budget="store", max_images=4)
    assert later.resources.budget_of(later.resources.settings()).spent.images == 4
    with pytest.raises(OverBudgetError):
        later.generate("a bat")


def test_what_cost_nothing_is_given_back_at_an_address(s3, machine):
    async def refusing(request):
        raise APIStatusError("Not today.", status=400)

    session = machine(refusing, budget="store", max_images=1)
    with pytest.raises(APIStatusError):
        session.generate("a fox")
    assert len(machine(budget="store", max_images=1).generate("a fox")) == 1


def ledgers_of_machines(monkeypatch, tmp_path, count):
    """Yield the ledgers of some machines at one address."""
    for number in range(count):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"machine {number}"))
        yield ledger_of(open_store(parse_address(STUDY)))


def test_a_ledger_at_an_address_is_read_in_one_order_and_its_end_with_two_requests_or_none(
    s3, monkeypatch, tmp_path
):
    monkeypatch.setattr("beluga_nb.store.object_ledger.READ_AT_ONCE", 4)
    one, other = ledgers_of_machines(monkeypatch, tmp_path, 2)
    lines = [b"line %d\n" % number for number in range(15)]
    for number, line in enumerate(lines):
        (one, other)[number % 2 if number < 5 else 0].add(line)
    assert read_on(other) == b"".join(lines[:4])  # Until it is read again, what was added last is the end.
    assert read_on(one) == read_on(other) == b"".join(lines)
    one.add(b"one more\n")
    s3.count()
    assert one.read(len(b"".join(lines))) == b"one more\n"
    assert one.read(len(b"".join(lines)) + 9) == b""
    assert s3.count() == {}
    assert one.read(len(b"".join(lines)) + 9) == b""
    assert s3.count() == {"GET": 2}


def read_on(ledger, start=0):
    found = b""
    while piece := ledger.read(start + len(found)):
        found += piece
    return found


def test_a_ledger_at_an_address_that_was_emptied_begins_anew(s3, monkeypatch, tmp_path):
    one, other = ledgers_of_machines(monkeypatch, tmp_path, 2)
    one.add(b"a line\n")
    assert read_on(one) == b"a line\n"
    s3.objects.clear()
    other.add(b"another\n")
    other.add(b"a third\n")
    assert one.read(7) == b"a third\n"
    s3.objects.clear()
    assert one.read(15) is None
    assert read_on(one) == b""


@pytest.mark.parametrize("fault", [(500, "InternalError"), (403, "AccessDenied")], ids=str)
def test_what_cannot_be_counted_at_an_address_is_not_sent(s3, machine, fault):
    session = machine(never, budget="store")
    s3.fail = lambda method, name: fault if method == "PUT" and "spent" in name else None
    with pytest.raises(StoreError, match=STUDY):
        session.generate("a fox")


def test_a_line_whose_answer_was_lost_is_counted_once(s3, machine, monkeypatch):
    monkeypatch.setattr("beluga_nb.store.objects.TIME_LIMITS", {"retries": {"total_max_attempts": 3}})
    lost = []
    s3.fail = lambda method, name: (
        lost.append(name) or "lost" if method == "PUT" and "spent" in name and not lost else None
    )
    session = machine(budget="store", max_images=3)
    session.generate("a fox")
    assert lost
    assert session.resources.budget_of(session.resources.settings()).spent.images == 1


def test_status_and_history_name_the_address(s3, machine):
    session = machine()
    session.generate("a fox")
    assert session.status()["store"] == STUDY
    history = session.store.history()._repr_mimebundle_()
    assert "In s3://bucket/study." in history["text/plain"]
    assert "In s3://bucket/study." in history["text/html"]


def test_a_store_in_memory_lives_as_long_as_its_process(memory):
    session = Session(engine=drawing, store="memory://study")
    picture = session.generate("a fox").pictures[0]
    again = Session(engine=named(never), store="memory://study", mode="replay")
    assert again.generate("a fox").pictures[0].data == picture.data
    assert [report.fine for report in again.store.verify(progress=False)] == [True]


def test_a_store_is_pickled_without_its_copies(s3, machine):
    store = machine().store.open()
    again = pickle.loads(pickle.dumps(store))
    assert again == store
    assert again.name == STUDY


LOCAL = """
import sys
from drawings import drawing
from beluga_nb.session.session import Session
Session(engine=drawing, store=sys.argv[1]).generate("a fox")
new = {"fsspec", "s3fs", "beluga_nb.store.mirror", "beluga_nb.store.objects"}
assert not new & {*sys.modules}, new & {*sys.modules}
"""


def test_a_store_in_a_folder_imports_nothing_for_addresses(tmp_path):
    tests = Path(__file__).parent.parent
    subprocess.run(
        [sys.executable, "-c", LOCAL, str(tmp_path)],
        check=True,
        timeout=120,
        cwd=tests,
        env={"PYTHONPATH": str(tests)},
    )


@pytest.mark.parametrize(
    ("store", "url"),
    [
        ("s3://bucket/study/", STUDY),
        ("S3://bucket", "s3://bucket"),
        ("memory://study", "memory://study"),
    ],
)
def test_an_address_has_one_spelling(store, url):
    assert Settings(store=store).store == StoreAddress(url)


def test_a_file_url_is_a_folder(tmp_path):
    assert Settings(store=tmp_path.as_uri()).store == tmp_path


@pytest.mark.parametrize(
    "store",
    [
        *("file://study", "file://./study", "file://host/study", "file:///", "file:/study"),
        *("file:///study#1", "file:///study?1", "file:///a%00b", "file:///a%0Ab"),
    ],
)
def test_a_file_url_that_names_no_folder_says_what_one_is(store):
    with pytest.raises(SettingsError) as failed:
        Settings(store=store)
    assert failed.value.message.endswith(" names no folder.")
    assert failed.value.hint == "Give the path of the folder, or its address, such as file:///home/me/study."


@pytest.mark.parametrize(
    "store",
    [
        *(
            "s3://",
            "s3:///study",
            "s3://user:password@bucket/study",
            "s3://bucket/../study",
            "s3://bucket//study",
        ),
        *("s3://bucket/study?x=1", "s3://bucket/*", "s3://bucket/a b", "s3://bucket\\study", "file://host/x"),
        *("s3://bucket/\u202ex", "s3://bucket/a\xa0b", "memory://\ud800", "s3://bucket/\u200b"),
        *("https://x.example/y", "hf://datasets/x", "ftp://x"),
    ],
)
def test_an_address_that_is_not_safe_or_not_known_is_refused(store):
    with pytest.raises(SettingsError) as failed:
        Settings(store=store)
    assert failed.value.hint


def test_a_chain_of_addresses_is_no_folder_and_is_refused_in_two_lines():
    for store in (
        "simplecache::s3://me:a-secret@bucket/study",
        "zip://a.zip::s3://bucket",
        "filecache::memory:",
    ):
        with pytest.raises(SettingsError) as failed:
            Settings(store=store)
        assert "is a chain of addresses, which beluga_nb cannot use." in failed.value.message
        assert failed.value.hint == "Give its last address alone: this machine keeps copies of it anyway."
        assert "a-secret" not in str(failed.value)


@pytest.mark.parametrize(
    "store",
    [
        *("s3://user:a-secret@bucket/x", "s3://bucket/x?key=a-secret", "s3://user:a-secret@bucket/x\n"),
        *("https://user:a-secret@x.example", "abfs://c:a-secret@account/x", "s3://u:/a-secret@bucket"),
    ],
)
def test_an_address_that_is_refused_is_shown_without_its_password(store):
    with pytest.raises(SettingsError) as failed:
        Settings(store=store)
    assert "a-secret" not in str(failed.value)


@pytest.mark.parametrize(
    ("missing", "store", "remedy"),
    [
        ("fsspec", STUDY, 'Run: pip install "beluga_nb[remote]"'),
        ("s3fs", STUDY, 'Run: pip install "beluga_nb[remote]"'),
        ("gcsfs", "gs://bucket", "Run: pip install gcsfs"),
        ("adlfs", "abfs://container@account.dfs.core.windows.net/study", "Run: pip install adlfs"),
    ],
)
def test_a_driver_that_is_not_installed_is_named(monkeypatch, missing, store, remedy):
    monkeypatch.setattr("beluga_nb.config.addresses.find_spec", lambda name: None if name == missing else 1)
    with pytest.raises(SettingsError, match=f"needs {missing}, which is not installed") as failed:
        Settings(store=store)
    assert failed.value.hint == remedy


def test_a_file_that_came_with_a_notebook_sets_no_address(tmp_path):
    (tmp_path / "beluga.toml").write_text(f'store = "{STUDY}"\n')
    assert load({}, tmp_path).store == tmp_path / "beluga_store"
    assert [each.name for each in load({}, tmp_path).ignored] == ["store"]
    assert load({"BELUGA_TRUST": str(tmp_path)}, tmp_path).store == StoreAddress(STUDY)
    (tmp_path / "beluga.toml").write_text('store = "mine"\n')
    assert load({}, tmp_path, {"store": STUDY}).store == tmp_path / "mine"


def test_the_address_of_the_documentation_is_one():
    page = (Path(__file__).parents[2] / "docs/remote.md").read_text("utf-8")
    extra, address = re.search(
        r'^pip install "(.*)"\nexport BELUGA_STORE=(\S+)$', page, re.MULTILINE
    ).groups()
    assert INSTALLED_BY[DRIVERS[parse_address(address).scheme]] == f'"{extra}"'


def test_every_collection_is_kept_at_an_address_and_claims_ledgers_and_copies_are_no_files_of_it():
    name = "2026-11-24T12-05-00Z-1f0c9b2e"
    for collection in registry.packable():
        place = collection.place(name if collection is votes.VOTES else "a" * 64)
        assert mirror.is_shared(place), place
    for place in (
        "pending/spent.jsonl",
        f"records/ab/{'a' * 64}.json",
        f"pending/{'a' * 64}.claim",
        "tmp/x.part",
        "index/aa.idx",
        "store.json",
    ):
        assert not mirror.is_shared(place)
