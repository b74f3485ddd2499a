"""Grids whose workers, scheduler or notebook are killed: `python -m benchmarks.kills`, about ten minutes.

A scheduler and four workers are started by their command lines, the workers in virtual environments and
folders of their own. An engine notes each call before it begins and after it has ended. At a random call, one
worker, all workers, the scheduler or the notebook is killed with `kill -9`. Workers and the scheduler are
started again. Then the grid is run to its end, what is left below the cap is bought, and one more picture
must be refused.

A row of the table is a kill. Of the calls that had begun, "under way" counts those that had not ended just
before the kill. "Arrived" counts the cells whose answer the store or a worker had after the first run.
"Again" counts the cells whose call the second run made again, which had begun and not arrived. A kill that
breaks a promise ends the program with an error.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import site
import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from beluga_nb.engines import worker
from beluga_nb.errors import BelugaError
from beluga_nb.request import Request
from beluga_nb.result import Result
from beluga_nb.session.session import Session
from beluga_nb.store import pending
from beluga_nb.store.format import RECORDS
from beluga_nb.store.records import Store
from benchmarks.large import tiny

LOG = "BENCHMARK_LOG"
"""The environment variable with the file in which the engine notes its calls."""

SECONDS = 0.05
"""How long the engine takes for a picture."""

WORKERS = 4
RESERVED = 2 * WORKERS
"""Calls that are sent at once, two for each thread: all of them may count as spent when they are lost."""

ROOT = Path(__file__).parents[1]


async def noting(request: Request) -> Result:
    """Return a small picture, and note when the call began and when it ended."""
    note("begun", request)
    await asyncio.sleep(SECONDS)
    result = await tiny(request)
    note("ended", request)
    return result


def note(what: str, request: Request) -> None:
    """Write one line, which the lines of other processes do not split."""
    file = os.open(Path(os.environ[LOG]).read_text(), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{what}\t{request.prompt}\n".encode())
    os.close(file)


class Calls(NamedTuple):
    """How often the calls of each prompt have begun and ended."""

    begun: Counter[str]
    ended: Counter[str]

    @classmethod
    def of(cls, log: Path, cells: int = sys.maxsize) -> Calls:
        """Return what is noted until now, of the first so many cells."""
        calls = cls(Counter(), Counter())
        for line in log.read_text().splitlines() if log.exists() else ():
            what, prompt = line.split("\t")
            if int(prompt.split()[-1]) >= cells:
                continue
            (calls.begun if what == "begun" else calls.ended)[prompt] += 1
        return calls


class Cluster:
    """A scheduler, workers in environments of their own, and what starts each of them again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "scheduler.json"
        self.log_name = folder / "log-name"
        self.pythons = [self._environment(folder / f"worker-{number}") for number in range(WORKERS)]
        self.workers: list[subprocess.Popen[bytes]] = []
        self.start()

    def _environment(self, folder: Path) -> str:
        """Make a virtual environment that finds the packages of this one."""
        venv.create(folder, symlinks=True, with_pip=False)
        (packages,) = folder.glob("lib/python*/site-packages")
        (packages / "here.pth").write_text("\n".join([*site.getsitepackages(), str(ROOT)]))
        return str(folder / "bin" / "python")

    def spawn(self, folder: Path, python: str, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start Python in a folder, which is its home, too."""
        folder.mkdir(exist_ok=True)
        home = {name: str(folder) for name in ("HOME", worker.STATE, "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
        path = {"PYTHONPATH": str(ROOT)} if python == sys.executable else {}
        environ = {"PATH": os.environ["PATH"], LOG: str(self.log_name)} | home | path
        with (folder / "output").open("ab") as output:
            into: dict[str, Any] = {"stdout": output} | options
            return subprocess.Popen([python, *words], env=environ, cwd=folder, stderr=output, **into)

    def start(self) -> None:
        """Start the scheduler and all workers."""
        self.file.unlink(missing_ok=True)
        words = ["--host=127.0.0.1", "--port=0", "--no-dashboard", f"--scheduler-file={self.file}"]
        module = "distributed.cli.dask_scheduler"
        self.scheduler = self.spawn(self.folder / "scheduler", sys.executable, "-m", module, *words)
        self.workers = [self.worker(number) for number in range(WORKERS)]

    def worker(self, number: int) -> subprocess.Popen[bytes]:
        """Start a worker."""
        words = ["--no-dashboard", "--nthreads=1", "--no-nanny", f"--scheduler-file={self.file}"]
        python = self.pythons[number]
        return self.spawn(Path(python).parents[1], python, "-m", "distributed.cli.dask_worker", *words)

    def run(self, folder: Path, cells: int, cap: int, *more: str) -> subprocess.Popen[bytes]:
        """Start a notebook's process that runs a grid."""
        words = [str(self.file), str(folder), str(cells), str(cap), *more]
        return self.spawn(folder, sys.executable, "-m", "benchmarks.kills", "--grid", *words, stdout=-1)

    def kill(self, victim: str, notebook: subprocess.Popen[bytes], rng: random.Random) -> None:
        """Kill one of the processes, or all workers, and start it again."""
        numbers = {"worker": [rng.randrange(WORKERS)], "all workers": list(range(WORKERS))}.get(victim, [])
        others = {"scheduler": [self.scheduler], "notebook": [notebook]}.get(victim, [])
        for process in [*(self.workers[number] for number in numbers), *others]:
            process.kill()
        for number in numbers:
            self.workers[number].wait()
            self.workers[number] = self.worker(number)
        if victim == "scheduler":
            notebook.wait(120)
            self.end()  # The workers have finished their calls when they end.
            self.start()

    def end(self) -> None:
        """End all processes."""
        for process in [*self.workers, self.scheduler]:
            process.terminate()
        for process in [*self.workers, self.scheduler]:
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()

    def stores(self) -> list[Store]:
        """Return the journals of the workers."""
        return [Store(Path(each).parents[1] / "beluga_nb" / "worker") for each in self.pythons]


def grid(file: str, folder: str, cells: str, cap: str, *, to_cap: bool) -> None:
    """Run a grid on the cluster; print how many cells are done, and how many pictures are spent.

    With `to_cap`, buy what is left below the cap, and one more picture; print the same for both.
    """
    from distributed import Client

    session = Session(
        engine="benchmarks.kills:noting",
        folder=Path(folder),
        environ={},
        budget="store",
        max_images=int(cap),
        confirm=lambda _: True,
        progress=False,
    )

    def run(cells: int) -> int:
        made = session.grid(f"{Path(folder).name} {{{{number}}}}", number=range(cells), model="flux-2.0")
        with suppress(BelugaError):
            made.run(executor=client)
        runner: Any = made._runner
        spent = int(runner.resources.budget_of(runner.workspace().settings).spent.images)
        print(made.counts["done"], spent)
        return spent

    with Client(scheduler_file=file, timeout=60) as client:
        client.wait_for_workers(WORKERS, timeout=120)
        spent = run(int(cells))
        if to_cap:
            more = int(cells) + int(cap) - spent
            run(more)
            run(more + 1)


def arrived(own: Store, others: list[Store]) -> set[str]:
    """Return the prompts whose pictures a store has, or whose whole answers are in one of the journals."""
    return {record.request.prompt for record in RECORDS.values(own)} | {
        call.request.prompt
        for store in [own, *others]
        for call in pending.calls(store)
        if any(worker.is_whole(path.name) for path in pending.answers(store, call.run))
    }


def printed(process: subprocess.Popen[bytes]) -> list[str]:
    """Return the words that a notebook's process has printed at its end."""
    words = process.communicate(timeout=240)[0].decode().split()
    assert words or process.returncode < 0, "the notebook's process failed: its output is in its folder"
    return words


def killed(cluster: Cluster, victim: str, number: int, cells: int) -> list[object]:
    """Kill something while a grid runs, run it to its end, and return the row of the table."""
    rng, cap = random.Random(f"{victim} {number}"), cells + RESERVED
    folder = cluster.folder / f"{victim} {number}"
    log, moment = cluster.folder / f"calls {victim} {number}", rng.randrange(1, cells - RESERVED)
    cluster.log_name.write_text(str(log))
    notebook = cluster.run(folder, cells, cap)
    while Calls.of(log).begun.total() < moment:
        assert notebook.poll() is None, "the grid ended before the kill"
        time.sleep(0.02)
    time.sleep(rng.uniform(0, 2 * SECONDS))
    before = Calls.of(log)
    cluster.kill(victim, notebook, rng)
    printed(notebook)
    time.sleep(1)  # Workers end what they have begun.
    first, found = Calls.of(log), arrived(Store(folder / "beluga_store"), cluster.stores())
    found &= set(first.begun)  # The workers may still have answers of the kill before.
    assert set(first.begun.values()) == {1}, "a call was made twice without anybody's asking"
    done, spent, most, filled, refused, passed = map(int, printed(cluster.run(folder, cells, cap, "to cap")))
    last, all_calls = Calls.of(log, cells), Calls.of(log)
    again = {prompt for prompt, count in last.begun.items() if count > 1}
    under_way = before.begun.total() - before.ended.total()
    assert done == cells == len(last.begun), "a cell is missing"
    assert again == set(first.begun) - found, "other calls were made again than those that had not arrived"
    assert max(last.begun.values()) <= 2, "a call was made three times"
    assert last.begun.total() == cells + len(again) <= cells + WORKERS
    assert last.begun.total() <= spent <= cap
    assert (most, filled) == (cells + cap - spent, cap), "the cap was not reached"
    # The plan of one more is refused, so that nothing of it is read.
    assert (refused, passed) == (0, cap), "the cap was passed"
    assert all_calls.begun.total() == last.begun.total() + cap - spent
    return [victim, moment, under_way, len(first.begun), len(found), last.begun.total(), len(again), spent]


@contextmanager
def running() -> Iterator[Cluster]:
    """Start a cluster, and end it."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        cluster = Cluster(Path(name))
        stack.callback(cluster.end)
        yield cluster


VICTIMS = ("worker", "all workers", "scheduler", "notebook")


def main() -> None:
    """Kill, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=400)
    parser.add_argument("--rounds", type=int, nargs="+", default=range(10), help="the numbers of the kills")
    parser.add_argument("--victims", nargs="+", default=VICTIMS, choices=VICTIMS)
    parser.add_argument("--grid", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.grid:
        return grid(*options.grid[:4], to_cap=bool(options.grid[4:]))
    names = "killed", "at call", "under way", "begun", "arrived", "calls", "again", "spent"
    print("| " + " | ".join(names) + f" |\n|---{'|--:' * (len(names) - 1)}|")
    with running() as cluster:
        for victim in options.victims:
            for number in options.rounds:
                row = killed(cluster, victim, number, options.cells)
                print("| " + " | ".join(map(str, row)) + " |", flush=True)
    return None


if __name__ == "__main__":
    main()
