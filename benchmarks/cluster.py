"""A grid on a Dask cluster: `python -m benchmarks.cluster`, about ten minutes.

A scheduler and workers of one thread each are started by their command lines. The engine takes half a second
and no processor time for a picture, so the figures show what it costs to send cells away and have their
answers back. 0 workers stands for a run without an executor, with one call at once.

The processor time of a cell, in milliseconds, is that of the notebook, of the scheduler and of all workers.
Where one of these keeps a processor busy, more workers do not make a grid faster. Messages are those that the
scheduler has read and written for a cell.
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
from collections.abc import Callable, Iterator
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


def count_messages() -> None:
    """Let this process count the messages of Dask that it reads and writes."""
    connection = import_module("distributed.comm.tcp").TCP
    connection.messages = 0

    def counted(method: Callable[..., Any]) -> Callable[..., Any]:
        def count(*arguments: Any, **options: Any) -> Any:
            connection.messages += 1
            return method(*arguments, **options)

        return count

    for name in ("read", "write"):
        setattr(connection, name, counted(getattr(connection, name)))


def messages() -> int:
    """Return the messages that were counted in this process."""
    counted: int = import_module("distributed.comm.tcp").TCP.messages
    return counted


class Used(NamedTuple):
    """Processor time of the notebook, the scheduler and all workers, in seconds, and messages."""

    notebook: float
    scheduler: float = 0.0
    workers: float = 0.0
    messages: float = 0.0

    @classmethod
    def by(cls, client: Any) -> Used:
        """Return what was used until now."""
        if client is None:
            return cls(time.process_time())
        scheduler, sent = (client.run_on_scheduler(each) for each in (time.process_time, messages))
        return cls(time.process_time(), scheduler, sum(client.run(time.process_time).values()), sent)


def measured(cells: int, workers: int) -> tuple[float, Used]:
    """Return the seconds that a grid takes, and what a cell of it uses."""
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
        if client:
            client.run_on_scheduler(count_messages)
        grid = session.grid("a fox, {{number}}", number=range(cells))
        before, began = Used.by(client), time.perf_counter()
        grid.run(assume_yes=True, executor=client)
        seconds, after = time.perf_counter() - began, Used.by(client)
        return seconds, Used(*[(end - start) / cells for start, end in zip(before, after, strict=True)])


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=400)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2, 4])
    parser.add_argument("--seconds", type=float, default=0.5, help="for a picture")
    options = parser.parse_args()
    os.environ[SECONDS] = str(options.seconds)
    names = "seconds", "cells per second", "of what the engine allows", *Used._fields
    print("| where", *names, sep=" | ", end=f" |\n|---{'|--:' * len(names)}|\n")
    for workers in options.workers:
        seconds, used = measured(options.cells, workers)
        share = options.cells * options.seconds / max(workers, 1) / seconds
        where = f"{workers} workers" if workers else "without workers, one call at once"
        figures = f"{seconds:.0f}", f"{options.cells / seconds:.1f}", f"{share:.0%}"
        times = [f"{1000 * each:.1f} ms" for each in used[:-1]]
        print("| " + " | ".join([where, *figures, *times, f"{used.messages:.1f}"]) + " |", flush=True)


if __name__ == "__main__":
    main()
