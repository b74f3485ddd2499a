"""A grid on a Dask cluster: `python -m benchmarks.cluster`, about ten minutes.

A scheduler and workers of one thread each are started by their command lines. The engine takes half a second
and no processor time for a picture, so the figures show what it costs to send cells away and have their
answers back. 0 workers stands for a run without an executor, with one call at once.

The processor time of a cell, in milliseconds, is that of the notebook, of the scheduler and of all workers.
Where one of these keeps a processor busy, more workers do not make a grid faster.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from beluga_nb.request import Request
from beluga_nb.result import Result
from beluga_nb.session.session import Session

SECONDS = "BENCHMARK_SECONDS"
"""The environment variable with the seconds that the engine takes."""


async def sleeping(request: Request) -> Result:
    """Return a small picture after some seconds."""
    from PIL import Image

    await asyncio.sleep(float(os.environ[SECONDS]))
    hue = sum(request.prompt.encode()) % 256
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (hue, 255 - hue, 128)).save(buffer, "PNG")
    return Result.of(request, [buffer.getvalue()], engine="sleeping")


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Any]:
    """Start a scheduler and some workers; yield a client of theirs."""
    environ = os.environ | {"XDG_STATE_HOME": str(folder)}
    file = folder / "scheduler.json"
    where = ["--scheduler-file", str(file), "--no-dashboard"]
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host=127.0.0.1", "--port=0"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads=1", "--no-nanny"]
    with ExitStack() as stack:
        for command in (scheduler, *[worker] * workers):
            log = stack.enter_context((folder / "log").open("a"))
            started = subprocess.Popen([*command, *where], env=environ, stderr=log, cwd=folder)
            stack.callback(started.wait, 30)
            stack.callback(started.terminate)
        client = stack.enter_context(
            import_module("distributed").Client(scheduler_file=str(file), timeout=60)
        )
        client.wait_for_workers(workers, timeout=120)
        yield client


class Measured(NamedTuple):
    """The seconds that a grid takes, and the processor time of a cell in notebook, scheduler and workers."""

    seconds: float
    notebook: float
    scheduler: float
    workers: float


def busy(client: Any) -> tuple[float, float, float]:
    """Return the processor time that the notebook, the scheduler and all workers have used, in seconds."""
    if client is None:
        return time.process_time(), 0.0, 0.0
    workers = sum(client.run(time.process_time).values())
    return time.process_time(), client.run_on_scheduler(time.process_time), workers


def measured(cells: int, workers: int) -> Measured:
    """Run a grid."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        client = stack.enter_context(cluster(folder, workers)) if workers else None
        how: dict[str, Any] = {} if workers else {"max_in_flight": 1}
        session = Session(
            engine="benchmarks.cluster:sleeping", folder=folder, environ={}, progress=False, **how
        )
        # What is needed only once, such as the imports of the workers, is not measured.
        session.grid("an owl, {{number}}", number=range(2 * max(workers, 1))).run(
            assume_yes=True, executor=client
        )
        grid = session.grid("a fox, {{number}}", number=range(cells))
        before, began = busy(client), time.perf_counter()
        grid.run(assume_yes=True, executor=client)
        seconds, after = time.perf_counter() - began, busy(client)
        return Measured(seconds, *[(end - start) / cells for start, end in zip(before, after, strict=True)])


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=400)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2, 4])
    parser.add_argument("--seconds", type=float, default=0.5, help="for a picture")
    options = parser.parse_args()
    os.environ[SECONDS] = str(options.seconds)
    names = "seconds", "cells per second", "of what the engine allows", "notebook", "scheduler", "workers"
    print("| where", *names, sep=" | ", end=f" |\n|---{'|--:' * len(names)}|\n")
    for workers in options.workers:
        found = measured(options.cells, workers)
        share = options.cells * options.seconds / max(workers, 1) / found.seconds
        where = f"{workers} workers" if workers else "without workers, one call at once"
        figures = f"{found.seconds:.0f}", f"{options.cells / found.seconds:.1f}", f"{share:.0%}"
        used = [f"{1000 * each:.1f} ms" for each in found[1:]]
        print("| " + " | ".join([where, *figures, *used]) + " |", flush=True)


if __name__ == "__main__":
    main()
