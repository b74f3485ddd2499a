"""A Dask cluster for tests: its workers are started by their command line, in folders of their own."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

from kernels import clean_environment

ROOT = Path(__file__).parents[1]
WORKER = ("-m", "distributed.cli.dask_worker")
IDLE = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "5s",
}
"""Workers that watch themselves many times a second cost more than what they do for a test."""


class Cluster:
    """A scheduler here, and workers that are processes of their own, each with a start of its own.

    `environ` is what their environment has beside ours.
    """

    def __init__(self, folder, **environ):
        self.folder, self.workers, self.starts = folder, [], itertools.count()
        folder.mkdir(exist_ok=True)
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

    def start(self, start="", *words, count=1, **environ):
        """Start workers, in which Python runs some code before anything else."""
        before = len(self.client.nthreads())
        folder = self.folder / f"start-{next(self.starts)}"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(start)
        path = os.pathsep.join(map(str, [folder, ROOT, ROOT / "tests"]))
        command = [sys.executable, *WORKER, self.address, "--no-dashboard", "--nthreads=1", *words]
        with (folder / "log").open("w") as log:
            for _ in range(count):
                whole = clean_environment(PYTHONPATH=path, **IDLE, **self.environ | environ)
                self.workers.append(subprocess.Popen(command, env=whole, stderr=log, cwd=folder))
        self.client.wait_for_workers(before + count, timeout=60)
        if "--nanny" in words:
            self._wait_for_nannies()

    def _wait_for_nannies(self):
        """Wait until each worker that ends from now on is started again: before, its nanny would end too."""

        def status(dask_worker):
            return dask_worker.status.name

        deadline = time.monotonic() + 60
        while {*self.client.run(status, nanny=True).values()} != {"running"}:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def end_last(self):
        """End the worker that was started last, and wait until it is gone."""
        before, worker = len(self.client.nthreads()), self.workers.pop()
        worker.terminate()
        worker.wait(30)
        deadline = time.monotonic() + 60
        while len(self.client.nthreads()) == before:
            assert time.monotonic() < deadline
            time.sleep(0.02)


class Scheduler(Cluster):
    """A cluster whose scheduler is a process of its own, too."""

    def __enter__(self):
        import distributed  # An extra: the tests that use this are skipped without it.

        file = self.folder / f"scheduler-{uuid4().hex}.json"
        words = ["--port=0", "--host=127.0.0.1", "--no-dashboard", "--scheduler-file", str(file)]
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler", *words]
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(file.with_suffix(".log").open("w"))
            environ = clean_environment(PYTHONPATH=os.pathsep.join(map(str, [ROOT, ROOT / "tests"])))
            self.process = subprocess.Popen(command, env=environ, stderr=log, cwd=self.folder)
            stack.callback(self.process.wait, 30)
            stack.callback(self.process.kill)
            deadline = time.monotonic() + 60
            while not (file.exists() and file.read_text().endswith("}")):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            self.address = json.loads(file.read_text())["address"]
            self.client = stack.enter_context(distributed.Client(self.address, timeout=3))
            stack.callback(self._end)
            self._stack = stack.pop_all()
        return self
