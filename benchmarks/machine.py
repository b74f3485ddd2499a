"""The machine: what it is, and how much of it other processes used."""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("aiohttp", "beluga_nb", "httpx", "litellm", "numpy", "openai", "pillow", "uvicorn")
QUIET = 0.1
"""The share of the machine that other processes may use in a round that counts."""

HERTZ = 100
"""Ticks of /proc in a second."""
if sys.platform != "win32":
    HERTZ = os.sysconf("SC_CLK_TCK")

PATIENCE = 5.0
"""Seconds to wait for a quiet machine before a round."""


def description() -> dict[str, object]:
    """Return what the figures depend on."""
    models = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "processor": models[0].partition(":")[2].strip() if models else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


@dataclass(frozen=True)
class Usage:
    """The CPU seconds that this machine has used and had, and those of the suite itself."""

    used: float
    had: float
    own: float

    @classmethod
    def now(cls, service: int) -> Usage:
        """Read them; `service` is the process id of the suite's service."""
        lines = _lines("/proc/stat")
        user, nice, system, idle, waiting, _, _, stolen = map(
            int, lines[0].split()[1:9] if lines else [0] * 8
        )
        used = user + nice + system + stolen
        own = sum(os.times()[:4]) + seconds_of(service)
        return cls(used / HERTZ, (used + idle + waiting) / HERTZ, own)

    def others(self, before: Usage) -> float:
        """Return the share of the machine that other processes used since then, 0 to 1."""
        had = self.had - before.had
        return max(0.0, self.used - before.used - (self.own - before.own)) / had if had else 0.0


def seconds_of(process: int) -> float:
    """Return the CPU seconds of a running process."""
    stat = _lines(f"/proc/{process}/stat")
    if not stat:
        return 0.0
    fields = stat[0].rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / HERTZ


def wait_until_quiet(service: int) -> None:
    """Wait until other processes leave the machine alone, but not for long."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        before = Usage.now(service)
        time.sleep(0.2)
        if Usage.now(service).others(before) < QUIET:
            return


def peak() -> float:
    """Return the most memory that this process has used, in MiB."""
    return _memory("self", "VmHWM")


def resident(process: int | str = "self") -> float:
    """Return the memory that a process uses, in MiB."""
    return _memory(process, "VmRSS")


def _memory(process: int | str, name: str) -> float:
    lines = (line.partition(":") for line in _lines(f"/proc/{process}/status"))
    return next((int(size.split()[0]) / 1024 for field, _, size in lines if field == name), 0.0)
