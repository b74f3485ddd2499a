"""What the store costs: a hit among 10,000 recordings beside one that is alone, a miss, and a recording.

    python -m benchmarks.store [recordings] [rounds]

The pictures are PNGs of 96 x 64, so that the store is measured and no codec; milliseconds, median. Each first
hit is a fresh process's `generate`, in mode "replay"; the two stores take turns. A miss in that mode looks at
every recording for the nearest; so does the history, for the newest.
"""

import asyncio
import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image

from beluga_nb.engines.recorded import Recorded
from beluga_nb.engines.recorder import Recorder
from beluga_nb.engines.replayed import Replayed
from beluga_nb.engines.unrecorded import Unrecorded
from beluga_nb.errors import NotRecordedError
from beluga_nb.request import Request
from beluga_nb.result import Engine, ImagePayload, Picture, Preview, Recipe, Result
from beluga_nb.store.records import Store
from beluga_nb.store.runs import history

PROMPT = "a benchmark, number {} of very many: {} in the snow, at dusk, as a woodcut"
ANIMALS = ("a fox", "a whale", "a heron", "two wolves", "an old badger", "a lynx")

FIRST_HIT = """
import sys, time
began = time.perf_counter()
from beluga_nb.session.session import Session
imported = time.perf_counter()
session = Session(environ={}, mode="replay")
session.generate(sys.argv[1], model="flux-2.0").pictures[0].data
print((imported - began) * 1000, (time.perf_counter() - imported) * 1000)
"""


def request(number: int) -> Request:
    return Request(prompt=PROMPT.format(number, ANIMALS[number % len(ANIMALS)]), model="flux-2.0")


def picture(asked: Request) -> Picture:
    hue = sum(asked.prompt.encode()) % 256
    buffer = io.BytesIO()
    Image.new("RGB", (96, 64), (hue, 255 - hue, len(asked.prompt))).save(buffer, "PNG")
    return Picture(buffer.getvalue(), "image/png", Recipe(request=asked, engine="wire", created=1))


def filled(folder: Path, recordings: int) -> Store:
    """Return a store of so many recordings, each with a file of its own."""
    store = Store(folder)
    for number in range(recordings):
        made = picture(request(number))
        store.write(made, Preview(b"small %d" % number, "image/jpeg"), provider="local")
    return store


def first_hit(store: Store, number: int) -> tuple[float, float]:
    """Return the milliseconds that the import and the hit took, in a process that does nothing else."""
    words = [sys.executable, "-c", FIRST_HIT, request(number).prompt]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [os.getcwd(), *sys.path]))}
    said = subprocess.run(
        words, cwd=store.folder.parent, env=environ, capture_output=True, text=True, check=True
    ).stdout.split()
    return float(said[0]), float(said[1])


def milliseconds(engine: Engine, asked: list[Request]) -> list[float]:
    """Return how long each request took, one after the other on one event loop."""

    async def each() -> list[float]:
        return [await timed(engine, one) for one in asked]

    return asyncio.run(each())


async def timed(engine: Callable[[Request], Awaitable[object]], asked: Request) -> float:
    began = time.perf_counter()
    with contextlib.suppress(NotRecordedError):
        await engine(asked)
    return (time.perf_counter() - began) * 1000


def timed_listing(store: Store) -> float:
    began = time.perf_counter()
    history(store)
    return (time.perf_counter() - began) * 1000


def main(recordings: int = 10_000, rounds: int = 15) -> None:
    with tempfile.TemporaryDirectory() as folder:
        one, many = (
            filled(Path(folder) / name / "beluga_store", count)
            for name, count in (("one", 1), ("many", recordings))
        )
        hits: dict[str, list[float]] = {"one": [], "many": [], "import": []}
        for number in range(rounds):
            for name, store, which in (("one", one, 0), ("many", many, number * recordings // rounds)):
                importing, hit = first_hit(store, which)
                hits["import"].append(importing)
                hits[name].append(hit)
        alone, among = statistics.median(hits["one"]), statistics.median(hits["many"])
        print(f"the import before a first hit    {statistics.median(hits['import']):8.1f} ms")
        print(f"first hit, 1 recording           {alone:8.1f} ms")
        print(f"first hit, {recordings:6,} recordings     {among:8.1f} ms   {among / alone:5.2f} x")

        unrecorded = [replace(request(number), size="16:9") for number in range(0, 6)]
        misses = milliseconds(Replayed(Unrecorded(many), many, provider="local"), unrecorded)
        print(f"miss, {recordings:6,} recordings          {statistics.median(misses):8.1f} ms")
        listings = [timed_listing(many) for _ in range(5)]
        print(f"history, {recordings:6,} recordings       {statistics.median(listings):8.1f} ms")
        report_recording(Store(Path(folder) / "new"), rounds * 10)


def report_recording(store: Store, calls: int) -> None:
    answers = {request(number).prompt: picture(request(number)).data for number in range(calls)}

    async def canned(asked: Request) -> Result:
        return Result.of(asked, [ImagePayload(answers[asked.prompt], "image/png")], engine="canned")

    recorded = Recorded(
        canned,
        Recorder(store, provider="local", preview=lambda _: Preview(b"small", "image/jpeg"), notify=print),
    )
    asked = [request(number) for number in range(calls)]
    bare, kept = (statistics.median(milliseconds(engine, asked)) for engine in (canned, recorded))
    print(f"a call, not recorded             {bare:8.2f} ms")
    print(f"a call, recorded                 {kept:8.2f} ms")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
