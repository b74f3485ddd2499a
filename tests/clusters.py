"""A Dask cluster for tests: its workers are started by their command line, in folders of their own."""

import contextlib
import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

from kernels import clean_environment

ROOT = Path(__file__).parents[1]
WORKER = ("-m", "distributed.cli.dask_worker")


class Cluster:
    """A scheduler here, and workers that are processes of their own, each with a start of its own.

    `environ` is what their environment has beside ours.
    """

    def __init__(self, folder, **environ):
        self.folder, self.workers, self.starts = folder, [], itertools.count()
        self.environ = environ

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            import distributed  # An extra: the tests that use this are skipped without it.

            scheduler = stack.enter_context(
                distributed.LocalCluster(n_workers=0, dashboard_address=":0", scheduler_port=0)
            )
            self.address = scheduler.scheduler_address
            self.client = stack.enter_context(distributed.Client(scheduler))
            stack.callback(self._end)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *problem):
        return self._stack.__exit__(*problem)

    def _end(self):
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.wait(30)

    def start(self, start="", *words, count=1):
        """Start workers, in which Python runs some code before anything else."""
        before = len(self.client.nthreads())
        folder = self.folder / f"start-{next(self.starts)}"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(start)
        path = os.pathsep.join(map(str, [folder, ROOT, ROOT / "tests"]))
        command = [sys.executable, *WORKER, self.address, "--no-dashboard", "--nthreads=1", *words]
        with (folder / "log").open("w") as log:
            for _ in range(count):
                environ = clean_environment(PYTHONPATH=path, **self.environ)
                self.workers.append(subprocess.Popen(command, env=environ, stderr=log, cwd=folder))
        self.client.wait_for_workers(before + count, timeout=60)

    def end_last(self):
        """End the worker that was started last, and wait until it is gone."""
        before, worker = len(self.client.nthreads()), self.workers.pop()
        worker.terminate()
        worker.wait(30)
        deadline = time.monotonic() + 60
        while len(self.client.nthreads()) == before:
            assert time.monotonic() < deadline
            time.sleep(0.02)
