"""The store: replaying, the first hit, looking through many records, and what recording adds to a call."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.machine import peak
from benchmarks.pictures import distinct, photographs
from benchmarks.rows import MODEL, Job, Measures, Row, environment, timed

if TYPE_CHECKING:
    from beluga_nb.request import Request
    from beluga_nb.result import Engine
    from beluga_nb.store.records import Store

ANIMALS = ("a fox", "a whale", "a heron", "two wolves", "an old badger", "a lynx")
REPEAT = 15
STORE = "beluga_store"
Work = Callable[[], object]
STORE_FILE = '{"schema":1}\n'


def prompt(number: int) -> str:
    """Return the prompt of a record."""
    return f"a benchmark, number {number} of many: {ANIMALS[number % len(ANIMALS)]} in the snow, at dusk"


# --- replaying


def record_cells(job: Job) -> None:
    """Record as many pictures as there will be cells."""
    from beluga_nb.session.session import Session

    session = Session(environ=environment(job), folder=job.folder, mode="auto", max_in_flight=16)
    session.grid("{{text}}", text=list(map(prompt, range(job.size))), model=MODEL).run(assume_yes=True)


def replay(job: Job) -> Measures:
    """Replay cell after cell, each shown as in a notebook."""
    from beluga_nb.session.session import Session

    session = Session(environ=environment(job), folder=job.prepared, mode="replay")

    def cells() -> None:
        for number in range(job.size):
            session.generate(prompt(number), model=MODEL)._repr_mimebundle_()

    return {**timed(cells), "mib": peak()}


def read(job: Job) -> Measures:
    """Read and hash the same pictures: the least that a replay must do."""

    def files() -> None:
        for path in sorted((job.prepared / STORE / "blobs").glob("*/*.png")):
            hashlib.sha256(path.read_bytes()).digest()

    return timed(files)


# --- a store with many records


def fill(job: Job) -> None:
    """Write valid records with pictures of a few bytes, two samples of each request; make the index."""
    from beluga_nb.store.index import SETTLED_AFTER

    _fill(job, pictures=job.size)
    time.sleep(SETTLED_AFTER)
    history(job.folder)()


def fill_alike(job: Job) -> None:
    """Write as many valid records of one and the same picture: a hit opens one record."""
    _fill(job, pictures=1)


def _fill(job: Job, *, pictures: int) -> None:
    from beluga_nb.request import Request

    folder, small = job.folder / STORE, small_png()
    for number in range(job.size):
        asked = Request(prompt=prompt(number // 2), model=MODEL, sample=number % 2)
        for name, data in _files(asked, distinct(small, number % pictures), number % pictures):
            path = folder / name
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    (folder / "store.json").write_text(STORE_FILE)


def small_png() -> bytes:
    """Return a PNG of a few hundred bytes."""
    from PIL import Image

    out = BytesIO()
    Image.new("RGB", (64, 64), "teal").save(out, "PNG")
    return out.getvalue()


def _files(asked: Request, png: bytes, number: int) -> Iterator[tuple[str, bytes]]:
    from beluga_nb.result import Picture, Preview, Recipe
    from beluga_nb.store.codec import canonical_json
    from beluga_nb.store.format import record_of

    recipe = Recipe(request=asked, engine="wire", created=1_700_000_000 + number)
    picture, preview = Picture(png, "image/png", recipe), Preview(b"small %d" % number, "image/jpeg")
    record = record_of(picture, preview, provider="local")
    key, digest = str(record["key"]), hashlib.sha256(preview.data).hexdigest()
    yield f"records/{key[:2]}/{key}.json", canonical_json(record)
    yield f"blobs/{picture.sha256[:2]}/{picture.sha256}.png", png
    yield f"blobs/{digest[:2]}/{digest}.jpg", preview.data


def first_hit(job: Job) -> Measures:
    """The first replay of a process, its imports left out."""
    from beluga_nb.session.session import Session

    session = Session(environ={}, folder=job.prepared, mode="replay")
    asked = prompt(job.size // 3)
    return timed(lambda: session.generate(asked, model=MODEL).pictures[0].data)


def _store(folder: Path) -> Store:
    from beluga_nb.store.records import Store

    return Store(folder / STORE, indexing=True)


def history(folder: Path) -> Work:
    """List the newest runs."""
    from beluga_nb.store.runs import history

    return partial(history, _store(folder))


def nearest(folder: Path) -> Work:
    """Name the recording that is nearest to a request that has none."""
    from beluga_nb.request import Request
    from beluga_nb.store.nearest import nearest_recording

    return partial(nearest_recording, Request(prompt=prompt(7), model=MODEL, size="16:9"), _store(folder))


def panel(folder: Path) -> Work:
    """List the newest 24 runs with pictures, as the panel does."""
    from beluga_nb.store.runs import history

    store = _store(folder)
    return lambda: [run for run in history(store, limit=100_000).runs if run.count][:24]


def forget(folder: Path) -> Work:
    """Find the records of a prompt."""
    from beluga_nb.store.forget import choose

    return partial(choose, _store(folder), prompt="number 77 ")


def verify(folder: Path) -> Work:
    """Read and check every file."""
    from beluga_nb.store.verify import verify

    return partial(verify, _store(folder))


def query(prepare: Callable[[Path], Work], job: Job) -> Measures:
    """Time a query in a process that has not used the store before."""
    return {**timed(prepare(job.prepared)), "mib": peak()}


# --- recording


def answering(*, small: bool = False) -> Engine:
    """Return an engine that answers at once with pictures of 2 MB, or small ones, each in other bytes."""
    from beluga_nb.result import ImagePayload, Result

    pngs, numbers = [small_png()] if small else photographs(), itertools.count()

    async def answer(request: Request) -> Result:
        number = next(numbers)
        data = distinct(pngs[number % len(pngs)], number)
        return Result.of(request, [ImagePayload(data, "image/png")], engine="answering")

    return answer


def asked(mode: str, job: Job) -> Measures:
    """Ask an engine that answers at once for one picture after the other."""
    from beluga_nb.session.session import Session

    session, numbers = Session(engine=answering(), folder=job.folder, mode=mode), itertools.count()

    def one() -> None:
        session.generate(prompt(next(numbers)), model=MODEL)

    one()
    return timed(one, repeat=REPEAT)


def written(job: Job) -> Measures:
    """Write the same pictures to the disk, synced, with Python alone."""
    from beluga_nb.request import Request

    engine, numbers = answering(), itertools.count()

    def one() -> None:
        number = next(numbers)
        [picture] = asyncio.run(engine(Request(prompt=prompt(number), model=MODEL))).pictures
        with open(job.folder / f"{number}.png", "wb") as file:
            file.write(picture.data)
            file.flush()
            os.fsync(file.fileno())

    one()
    return timed(one, repeat=REPEAT)


MANY, QUICK_MANY = (5_000, 50_000), (500, 5_000)
QUERIES = {
    "history": history,
    "nearest of a miss": nearest,
    "the panel's newest 24": panel,
    "forget, choosing": forget,
    "verify": verify,
}

ROWS = {
    "replay": Row(
        "replay of 100 cells",
        {"reading and hashing": read, "beluga_nb": replay},
        (10, 100),
        quick_sizes=(10, 40),
        prepare=record_cells,
    ),
    "hit": Row(
        "the first hit of a process among so many records",
        {"beluga_nb": first_hit},
        (10, 1_000, 100_000),
        rounds=5,
        quick_sizes=(10, 2_000),
        prepare=fill_alike,
    ),
    "store": Row(
        "looking through so many records in a new process",
        {name: partial(query, ask) for name, ask in QUERIES.items()},
        MANY,
        rounds=2,
        quick_sizes=QUICK_MANY,
        prepare=fill,
    ),
    "recording": Row(
        "a call whose picture of 2 MB is there at once",
        {
            "written by Python, synced": written,
            "beluga_nb, off": partial(asked, "off"),
            "beluga_nb, recorded": partial(asked, "auto"),
        },
    ),
}
