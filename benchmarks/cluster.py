"""A grid on a Dask cluster: `python -m benchmarks.cluster`, about ten minutes.

A scheduler and workers of one thread each are started by their command lines. The engine takes half a second
and no processor time for a picture, so the figures show what it costs to send cells away and have their
answers back. 0 workers stands for a run without an executor, with one call at once.
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
from typing import Any

from beluga_nb.request import Request
from beluga_nb.result import Result
from beluga_nb.session.session import Session

SECONDS = 0.5


async def half_a_second(request: Request) -> Result:
    """Return a small picture after half a second."""
    from PIL import Image

    await asyncio.sleep(SECONDS)
    hue = sum(request.prompt.encode()) % 256
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (hue, 255 - hue, 128)).save(buffer, "PNG")
    return Result.of(request, [buffer.getvalue()], engine="half a second")


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


def measured(cells: int, workers: int) -> float:
    """Return the seconds that a grid takes."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        client = stack.enter_context(cluster(folder, workers)) if workers else None
        how: dict[str, Any] = {} if workers else {"max_in_flight": 1}
        session = Session(
            engine="benchmarks.cluster:half_a_second", folder=folder, environ={}, progress=False, **how
        )
        grid = session.grid("a fox, {{number}}", number=range(cells))
        began = time.perf_counter()
        grid.run(assume_yes=True, executor=client)
        return time.perf_counter() - began


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=400)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2, 4])
    options = parser.parse_args()
    print("| where | seconds | cells per second | of what the engine allows |\n|---|--:|--:|--:|")
    for workers in options.workers:
        seconds = measured(options.cells, workers)
        share = options.cells * SECONDS / max(workers, 1) / seconds
        where = f"{workers} workers" if workers else "without workers, one call at once"
        print(f"| {where} | {seconds:.0f} | {options.cells / seconds:.1f} | {share:.0%} |", flush=True)


if __name__ == "__main__":
    main()
