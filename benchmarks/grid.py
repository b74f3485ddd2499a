"""A grid of 1,000 cells beside a bare asyncio client that does the same work, in one run.

    python -m benchmarks.grid [cells] [rounds]

A server in a process of its own answers each POST after 200 ms with one canned PNG of 1024 x 1024, in
base64; 64 are on their way at once. Both download each picture, decode it once to see that it is whole, and
keep it: when it counts as done, its bytes are on the disk, synced. The bare client is `httpx.AsyncClient`, a
semaphore, and threads for decoding and writing; it keeps its connections, and holds no picture. Each subject
is a fresh process, and they take turns. Prints seconds, median, the seconds of CPU, and the memory of the
process after a quarter of the cells and at the end.
"""

import asyncio
import base64
import io
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

AT_ONCE = 64
LATENCY = 0.2
KEY = "bapi_a-key-for-benchmarks"
MODEL = "gpt-image-2"
ROOT = Path(__file__).parent.parent


def memory() -> float:
    """The resident memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Growth:
    """How large the process is after a quarter of the cells, and at the end."""

    def __init__(self, cells: int) -> None:
        self.began = time.perf_counter()
        self.quarter = cells // 4
        self.early = 0.0

    def look(self, done: int) -> None:
        if not self.early and done >= self.quarter:
            self.early = memory()

    def print(self) -> None:
        seconds = time.perf_counter() - self.began
        said = {"seconds": seconds, "cpu": time.process_time(), "early": self.early, "end": memory()}
        print(json.dumps(said))


def prompt(number: int) -> str:
    return f"a benchmark, number {number}"


def bare(base_url: str, folder: Path, cells: int) -> None:
    import httpx
    from PIL import Image

    growth, done = Growth(cells), itertools.count(1)

    def keep(number: int, text: str) -> None:
        data = base64.b64decode(text)
        Image.open(io.BytesIO(data)).load()
        with open(folder / f"{number}.png", "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    async def one(client: httpx.AsyncClient, gate: asyncio.Semaphore, number: int) -> None:
        async with gate:
            body = {"model": MODEL, "prompt": prompt(number), "response_format": "b64_json"}
            answer = await client.post(f"{base_url}/images/generations", json=body)
            text = answer.raise_for_status().json()["data"][0]["b64_json"]
            await asyncio.to_thread(keep, number, text)
            growth.look(next(done))

    async def all_of_them() -> None:
        limits = httpx.Limits(max_connections=AT_ONCE)
        headers = {"Authorization": f"Bearer {KEY}"}
        gate = asyncio.Semaphore(AT_ONCE)
        async with httpx.AsyncClient(limits=limits, headers=headers, timeout=120) as client:
            await asyncio.gather(*(one(client, gate, number) for number in range(cells)))

    asyncio.run(all_of_them())
    growth.print()


def ours(base_url: str, folder: Path, cells: int) -> None:
    from beluga_nb.session.session import Session

    environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url}
    session = Session(environ=environ, folder=folder, max_in_flight=AT_ONCE)
    growth = Growth(cells)
    grid = session.grid("a benchmark, number {{number}}", number=range(cells), model=MODEL)
    grid.submit(assume_yes=True).result(lambda: growth.look(len(grid._outcomes)))
    growth.print()
    assert grid.counts["done"] == cells, grid


def picture() -> bytes:
    """A picture such as the painter's, which no two machines need to agree on."""
    from beluga_nb.request import Request
    from beluga_nb.session.session import Session

    with tempfile.TemporaryDirectory() as folder:
        session = Session(environ={}, folder=Path(folder), mode="off")
        asked = Request(prompt="a photograph of a fox in a forest, morning", model=MODEL)
        return session.generate(asked.prompt, model=asked.model).pictures[0].data


def serve(descriptor: int) -> None:
    import uvicorn

    data = base64.b64encode(picture()).decode()
    answer = json.dumps({"created": 1, "data": [{"b64_json": data}]}).encode()
    print(len(answer), flush=True)

    async def app(
        _: dict[str, object], receive: Callable[[], Awaitable[dict[str, object]]], send: object
    ) -> None:
        more = True
        while more:
            more = bool((await receive()).get("more_body"))
        await asyncio.sleep(LATENCY)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": answer})  # type: ignore[operator]

    config = uvicorn.Config(app, lifespan="off", log_level="error", backlog=2048)
    with socket.socket(fileno=descriptor) as listening:
        uvicorn.Server(config).run(sockets=[listening])


def child(name: str, *words: object) -> list[str]:
    return [sys.executable, "-m", "benchmarks.grid", name, *map(str, words)]


def measured(name: str, base_url: str, cells: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            child(name, base_url, folder, cells), cwd=ROOT, capture_output=True, text=True, check=True
        )
    said: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return said


def main(cells: int = 1000, rounds: int = 3) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(2048)
        base_url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        descriptor = listening.fileno()
        words = child("serve", descriptor)
        with subprocess.Popen(
            words, cwd=ROOT, pass_fds=[descriptor], stdout=subprocess.PIPE, text=True
        ) as server:
            try:
                assert server.stdout
                print(
                    f"{cells} cells, {AT_ONCE} at once, an answer of {int(server.stdout.readline()):,} bytes"
                )
                told = {name: [measured(name, base_url, cells)] for name in ("bare", "ours")}
                for _ in range(rounds - 1):
                    for name, runs in told.items():
                        runs.append(measured(name, base_url, cells))
                report(told)
            finally:
                server.terminate()


def report(told: dict[str, list[dict[str, float]]]) -> None:
    def median(name: str, what: str) -> float:
        return statistics.median(run[what] for run in told[name])

    for name, runs in told.items():
        spread = ", ".join(f"{run['seconds']:.1f}" for run in runs)
        grown = ", ".join(f"{run['early']:.0f} to {run['end']:.0f}" for run in runs)
        ratio = median(name, "seconds") / median("bare", "seconds")
        print(f"{name:5} {median(name, 'seconds'):6.1f} s  x {ratio:.2f}  ({spread})")
        print(f"      {median(name, 'cpu'):6.1f} s of CPU;  MiB: {grown}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", descriptor]:
            serve(int(descriptor))
        case ["bare" | "ours" as name, base_url, folder, cells]:
            {"bare": bare, "ours": ours}[name](base_url, Path(folder), int(cells))
        case numbers:
            main(*map(int, numbers))
