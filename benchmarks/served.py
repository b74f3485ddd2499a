"""The embedded server on a port: requests a second with many callers, and pictures a second and core."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.machine import resident, seconds_of
from benchmarks.rows import KEY, MODEL, Job, Measures, Row

LASTS = 2.5
"""Seconds of asking."""

PAUSE = 0.1
"""Seconds until a caller that was refused, since all places are taken, asks again."""

CANNED = "from benchmarks.served import serve_canned; serve_canned()"
PAINTER = f"from beluga_nb.server.serve import main; main(['--port', '0', '--key', {KEY!r}])"


def serve_canned() -> None:
    """Serve an engine that answers at once with 2 KiB."""
    from beluga_nb.request import Request
    from beluga_nb.result import ImagePayload, Result
    from beluga_nb.server.serve import main

    data = os.urandom(2048)  # It is not decoded here.

    async def canned(request: Request) -> Result:
        return Result.of(request, [ImagePayload(data) for _ in request.samples], engine="canned")

    sys.exit(main(["--port", "0", "--key", KEY], engine=canned))


@contextmanager
def serving(code: str) -> Iterator[tuple[int, int]]:
    """Run a server; yield its port and its process id."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environ) as server:
        try:
            assert server.stdout
            found = re.search(rb"127\.0\.0\.1:(\d+)", server.stdout.readline())
            assert found
            yield int(found[1]), server.pid
        finally:
            server.terminate()


class Caller:
    """One caller that keeps its connection, and asks again as soon as it has a picture."""

    def __init__(self, port: int, prompt: str) -> None:
        body = json.dumps({"model": MODEL, "prompt": prompt, "response_format": "b64_json"})
        head = f"POST /v1/images/generations HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        head += f"Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
        self.request = f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
        self.port = port
        self.latencies: list[float] = []

    async def call(self, until: float) -> None:
        """Ask until then."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24)
        while (began := time.perf_counter()) < until:
            writer.write(self.request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            assert length
            await reader.readexactly(int(length[1]))
            if head.startswith(b"HTTP/1.1 200"):
                self.latencies.append(time.perf_counter() - began)
            else:
                await asyncio.sleep(PAUSE)
        writer.close()


async def calling(callers: list[Caller], seconds: float) -> float:
    """Let all of them ask for so long; return how long it took."""
    began = time.perf_counter()
    await asyncio.gather(*(caller.call(began + seconds) for caller in callers))
    return time.perf_counter() - began


def served(code: str, prompt: str, job: Job) -> Measures:
    """Return the seconds from picture to picture, and what each costs the server."""
    with serving(code) as (port, process):
        asyncio.run(calling([Caller(port, prompt)], 0.3))  # What is lazy is imported.
        callers, used = [Caller(port, prompt) for _ in range(job.size)], seconds_of(process)
        lasted = asyncio.run(calling(callers, LASTS))
        latencies = sorted(latency for caller in callers for latency in caller.latencies)
        return {
            "seconds": lasted / len(latencies),
            "cpu": (seconds_of(process) - used) / len(latencies),
            "slowest": latencies[len(latencies) * 99 // 100],
            "mib": resident(process),
        }


ROWS = {
    "server": Row(
        "the embedded server, so many callers at once: the time from picture to picture",
        {
            "answers of 2 KiB": partial(served, CANNED, "a whale"),
            "painted pictures": partial(served, PAINTER, "a photorealistic beluga whale"),
        },
        (1, 16, 200),
        rounds=2,
        quick_subjects=("answers of 2 KiB",),
        quick_sizes=(16,),
    )
}
