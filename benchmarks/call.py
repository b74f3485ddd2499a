"""From a prompt to a loaded PIL image, beside raw httpx and the openai package, in one run.

    python -m benchmarks.call [rounds]

All ask the same server in a child process on loopback, which answers at once with one 1024 x 1024 PNG in
base64. The subjects take turns, so that they share whatever the machine is doing. Milliseconds per
call, median, and the ratio to raw httpx.
"""

import base64
import io
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import openai
from PIL import Image

from beluga_nb.session.session import Session

KEY = "bapi_a-key-for-benchmarks"
PROMPT = "a benchmark, number {}"


def picture() -> bytes:
    """A PNG of 1024 x 1024 that compresses about as a photograph does."""
    noise = Image.frombytes("RGB", (256, 256), os.urandom(256 * 256 * 3))
    buffer = io.BytesIO()
    noise.resize((1024, 1024), Image.Resampling.BICUBIC).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def serve(listening: object) -> None:
    import uvicorn

    from beluga_nb.request import Request
    from beluga_nb.result import ImagePayload, Result
    from beluga_nb.server.app import create_app

    data = picture()

    async def at_once(request: Request) -> Result:
        return Result.of(request, [ImagePayload(data) for _ in request.samples], engine="canned")

    config = uvicorn.Config(create_app(at_once, key=KEY), lifespan="off", log_level="error")
    uvicorn.Server(config).run(sockets=[listening])  # type: ignore[list-item]


def subjects(base_url: str, folder: Path) -> dict[str, Callable[[str], object]]:
    raw = httpx.Client(headers={"Authorization": f"Bearer {KEY}"}, timeout=60)
    sdk = openai.OpenAI(api_key=KEY, base_url=base_url, max_retries=0)
    environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url}
    off = Session(environ=environ, folder=folder, mode="off")
    auto = Session(environ=environ, folder=folder)

    def raw_httpx(prompt: str) -> object:
        body = {"model": "flux-2.0", "prompt": prompt, "response_format": "b64_json"}
        answer = raw.post(f"{base_url}/images/generations", json=body).raise_for_status().json()
        return loaded(answer["data"][0]["b64_json"])

    def openai_package(prompt: str) -> object:
        answer = sdk.images.generate(model="flux-2.0", prompt=prompt, response_format="b64_json")
        return loaded(str(answer.data and answer.data[0].b64_json))

    return {
        "raw httpx": raw_httpx,
        "openai package": openai_package,
        "beluga_nb, mode off": lambda prompt: off.generate(prompt, model="flux-2.0")[0],
        "beluga_nb, recorded": lambda prompt: auto.generate(prompt, model="flux-2.0")[0],
        "beluga_nb, replayed": lambda prompt: auto.generate(prompt, model="flux-2.0")[0],
    }


def loaded(encoded: str) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(encoded)))
    image.load()
    return image


def main(rounds: int = 40) -> None:
    import socket

    with socket.socket() as listening, tempfile.TemporaryDirectory() as folder:
        listening.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        server = multiprocessing.get_context("fork").Process(target=serve, args=(listening,), daemon=True)
        server.start()
        try:
            time.sleep(1.5)
            report(subjects(base_url, Path(folder)), rounds)
        finally:
            server.terminate()
            server.join(10)


def report(asked: dict[str, Callable[[str], object]], rounds: int) -> None:
    taken: dict[str, list[float]] = {name: [] for name in asked}
    for number in range(rounds + 2):
        for name, ask in asked.items():
            began = time.perf_counter()
            ask(PROMPT.format(number))
            if number >= 2:  # the first rounds open connections and import what is lazy
                taken[name].append((time.perf_counter() - began) * 1000)
    floor = statistics.median(taken["raw httpx"])
    for name, times in taken.items():
        median = statistics.median(times)
        print(f"{name:22} {median:7.1f} ms   {median / floor:5.2f} x raw httpx")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
