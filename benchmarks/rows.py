"""What a row of the suite is. This module and those of the rows import at their top only what is cheap."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

KEY = "bapi_a-key-for-benchmarks"
MODEL = "gpt-image-2"

Measures = dict[str, float]
"""Figures of one trial by name; the first one is the row's, and lower is better. `UNITS` has their units."""

UNITS = {
    "seconds": "s",
    "cpu": "s of CPU",
    "slowest": "s the slowest",
    "encode": "s to encode",
    "mib": "MiB",
    "grown": "MiB more",
    "bytes": "bytes",
    "frame": "s per frame",
    "modules": "modules",
}


@dataclass(frozen=True)
class Job:
    """What a trial is given: a size, the service, a folder of its own, and one that was prepared."""

    size: int
    port: int
    folder: Path
    prepared: Path

    def url(self, latency: float = 0) -> str:
        """Return the base URL of the suite's service, which answers after so many milliseconds."""
        return f"http://127.0.0.1:{self.port}/{latency:g}/v1"


Subject = Callable[[Job], Measures]


@dataclass(frozen=True)
class Row:
    """One question with several subjects; the others are compared with the first.

    `sizes` are what the cost may grow with. `prepare` fills a folder once for all trials of a size.
    `needs` names the module that a subject needs beyond those of the package.
    """

    title: str
    subjects: Mapping[str, Subject]
    sizes: Sequence[int] = (1,)
    rounds: int = 3
    quick_subjects: Sequence[str] = ()
    quick_sizes: Sequence[int] = ()
    in_quick: bool = True
    prepare: Callable[[Job], None] | None = None
    needs: Mapping[str, str] = field(default_factory=dict)

    def chosen(self, *, quick: bool) -> tuple[Sequence[str], Sequence[int]]:
        """Return the subjects and the sizes of a run."""
        if not quick:
            return tuple(self.subjects), self.sizes
        return self.quick_subjects or tuple(self.subjects), self.quick_sizes or self.sizes[:1]

    def missing(self, subject: str) -> bool:
        """Whether what a subject needs is not installed."""
        return subject in self.needs and find_spec(self.needs[subject]) is None


def timed(work: Callable[[], object], *, repeat: int = 1) -> Measures:
    """Return the medians of the seconds and the CPU seconds of this process that some work takes."""
    seconds, cpu = [], []
    for _ in range(repeat):
        began, used = time.perf_counter(), time.process_time()
        work()
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    return {"seconds": statistics.median(seconds), "cpu": statistics.median(cpu)}


def environment(job: Job, latency: float = 0) -> dict[str, str]:
    """Return the variables with which a session of its own asks the suite's service."""
    return {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": job.url(latency)}
