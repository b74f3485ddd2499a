"""What a store of very many records costs to look into: by its index, without it, and file by file.

    python -m benchmarks.index [records] [rounds]

Each figure is a fresh process's, in turns, median of the rounds, in seconds of CPU and as a share of reading
every record file (verifying: and every picture), which is what each of these did before there was an index.
"no index" is the first use of a folder that has none; "again" is the next use in the same process. The
records are valid and are written directly, two samples of each request, with pictures of a few bytes, so that
the store is measured and no disk.
"""

import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from beluga_nb.request import Request
from beluga_nb.result import Picture, Preview, Recipe
from beluga_nb.store.codec import canonical_json
from beluga_nb.store.format import record_of
from beluga_nb.store.index import SETTLED_AFTER

PROMPT = "a benchmark, number {} of very many: {} in the snow, at dusk, as a woodcut"
ANIMALS = ("a fox", "a whale", "a heron", "two wolves", "an old badger", "a lynx")

QUERIES = {
    "history": "history(store)",
    "recall": "recall(store, NAME)",
    "miss": "nearest_recording(Request(prompt='a lynx, number 7', model='flux-2.0', size='16:9'), store)",
    "forget, choosing": "choose(store, prompt='number 77 ')",
    "panel": "[run for run in history(store, limit=100_000).runs if run.count][:24]",
    "verify": "verify(store)",
}

PROBE = """
import sys, time
from pathlib import Path
from beluga_nb.request import Request
from beluga_nb.errors import StoreError
from beluga_nb.store.forget import choose
from beluga_nb.store.nearest import nearest_recording
from beluga_nb.store.records import Store
from beluga_nb.store.runs import history, recall
from beluga_nb.store.verify import verify

def file_by_file(store):
    return list(store.entries())

def file_by_file_with_pictures(store):
    return [store.blob(blob) for entry in store.entries() for blob in entry.blobs]

folder, indexing, times = sys.argv[1:]
store = Store(Path(folder), indexing=bool(indexing))
NAME = next(store.folder.glob("records/1c/*")).stem
for _ in range(int(times)):
    began = time.process_time()
    try:
        QUERY
    except Exception as error:
        if "There is no run" not in str(error):  # it is looked for all the same: a second sample's
            raise
    print(time.process_time() - began)
"""


def fill(folder: Path, records: int) -> None:
    """Write a store of so many valid records."""
    for number in range(records):
        asked = Request(
            prompt=PROMPT.format(number // 2, ANIMALS[number // 2 % len(ANIMALS)]),
            model="flux-2.0",
            sample=number % 2,
        )
        recipe = Recipe(
            request=asked, engine="wire", created=1_700_000_000 + number, revised_prompt=f"as {number}"
        )
        picture = Picture(b"picture %d" % number, "image/png", recipe)
        picture.__dict__["size"] = (96, 64)
        small = Preview(b"small %d" % number, "image/jpeg")
        record = record_of(picture, small, provider="local")
        for name, data in _files(picture, small, record):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    (folder / "store.json").write_text('{"schema":1}\n')


def _files(picture: Picture, small: Preview, record: dict[str, object]) -> Iterator[tuple[str, bytes]]:
    key, preview = str(record["key"]), hashlib.sha256(small.data).hexdigest()
    yield f"records/{key[:2]}/{key}.json", canonical_json(record)
    yield f"blobs/{picture.sha256[:2]}/{picture.sha256}.png", picture.data
    yield f"blobs/{preview[:2]}/{preview}.jpg", small.data


def seconds(folder: Path, query: str, *, times: int = 1, indexing: bool = False) -> list[float]:
    """Return how long a query took in a fresh process, each time."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [os.getcwd(), *sys.path]))}
    code = PROBE.replace("QUERY", query)
    command = [sys.executable, "-c", code, str(folder), "yes" * indexing, str(times)]
    said = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
    return [float(each) for each in said.split()]


def measured(folder: Path, query: str, before: str) -> list[float]:
    """Return the seconds of: file by file, no index, a new process with the index, again in that process."""
    aside = folder / "index.aside"
    file_by_file = seconds(folder, before)
    (folder / "index").rename(aside)
    without = seconds(folder, query)
    aside.rename(folder / "index")
    return [*file_by_file, *without, *seconds(folder, query, times=2)]


def main(records: int = 50_000, rounds: int = 3) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "beluga_store"
        fill(folder, records)
        time.sleep(SETTLED_AFTER)
        seconds(folder, "history(store)", indexing=True)
        size = sum(path.stat().st_size for path in folder.glob("index/*.idx"))
        print(f"{records:,} records, an index of {size / 1e6:.1f} MB; seconds of CPU (x file by file)")
        print(f"{'':18}{'file by file':>14}{'no index':>16}{'new process':>16}{'again':>16}")
        for name, query in QUERIES.items():
            before = f"file_by_file{'_with_pictures' * (name == 'verify')}(store)"
            every = [measured(folder, query, before) for _ in range(rounds)]
            whole, *rest = map(statistics.median, zip(*every, strict=True))
            told = "".join(f"{each:8.2f} ({each / whole:4.2f})" for each in rest)
            print(f"{name:18}{whole:14.2f}{told}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
