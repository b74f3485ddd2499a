"""From prompts to decoded PIL images: one request, and many at once, beside what people would use instead.

Each client decodes every picture, the asynchronous ones on the event loop as most code does, unless the name
says "threads". beluga_nb records only where the name says so. What a client imports, Pillow included, is
imported before: the rows `import` and `first` measure that.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

from benchmarks.machine import peak
from benchmarks.rows import KEY, MODEL, Job, Measures, Row, environment, timed

if TYPE_CHECKING:
    from PIL import Image

    from beluga_nb.session.session import Session

HEADERS = {"Authorization": f"Bearer {KEY}"}
TIMEOUT = 120


@dataclass(frozen=True)
class Load:
    """The service's latency in milliseconds, requests at once, the form of the answer, repeats."""

    latency: float
    at_once: int
    response_format: str = "b64_json"
    repeat: int = 1

    def body(self, number: int) -> dict[str, Any]:
        """Return the arguments of a request."""
        prompt = f"a beluga whale, number {number}"
        return {"model": MODEL, "prompt": prompt, "n": 1, "response_format": self.response_format}


MANY = Load(200, 64)
LOOKED_AFTER = 0.005
"""Seconds between two looks at an event loop."""

Ask = Callable[[int], Awaitable["Image.Image"]]
Work = Callable[[], "list[Image.Image]"]
Client = Callable[[Job, Load], Work]


def measured(client: Client, load: Load, job: Job) -> Measures:
    """Time a client's work; a first time is left out if the work is repeated."""
    from PIL import Image

    Image.preinit()
    work = client(job, load)
    if load.repeat > 1:
        work()
    images: list[Image.Image] = []

    def go() -> None:
        images[:] = work()

    measures = timed(go, repeat=load.repeat)
    assert [image.size for image in images] == [(1024, 1024)] * job.size
    assert all(image.getpixel((0, 0)) for image in images)
    return {**measures, "mib": peak()}


def decoded(data: bytes) -> Image.Image:
    """Return a picture with its pixels."""
    from PIL import Image

    image = Image.open(BytesIO(data))
    image.load()
    return image


def decoded_text(text: str) -> Image.Image:
    """Return the picture of a `b64_json`."""
    return decoded(base64.b64decode(text))


def gathering(job: Job, at_once: int, ask: Ask) -> Work:
    """Return the work of an asynchronous client, on one event loop that stays."""
    runner = asyncio.Runner()

    async def every() -> list[Image.Image]:
        limit = asyncio.Semaphore(at_once)

        async def one(number: int) -> Image.Image:
            async with limit:
                return await ask(number)

        return await asyncio.gather(*map(one, range(job.size)))

    return lambda: runner.run(every())


# --- the floor, and beluga_nb


def floor(job: Job, load: Load) -> Work:
    """Ask on bare sockets."""
    from benchmarks.floor import Floor

    client = Floor(job.url(load.latency), HEADERS)
    return gathering(job, load.at_once, lambda number: client.picture(load.body(number)))


def session_of(job: Job, load: Load, mode: str) -> Session:
    """Return a session that asks the suite's service."""
    import httpx

    import beluga_nb.api.http  # noqa: F401
    from beluga_nb.session.session import Session

    httpx.AsyncHTTPTransport()  # As a client of httpx, it imports the rest when it is made.
    return Session(
        environ=environment(job, load.latency),
        folder=job.folder,
        mode=mode,
        max_in_flight=load.at_once,
        response_format=load.response_format,
    )


def beluga(mode: str, job: Job, load: Load) -> Work:
    """Ask with `agenerate`, and use each picture in a thread."""
    session, count = session_of(job, load, mode), itertools.count()

    async def ask(_: int) -> Image.Image:
        body = load.body(next(count))  # A prompt is new each time: what is recorded is not asked for again.
        result = await session.agenerate(body["prompt"], model=MODEL, assume_yes=True)

        def image() -> Image.Image:
            first = result[0]
            first.load()
            return first

        return await asyncio.to_thread(image)

    return gathering(job, 2 * load.at_once, ask)  # Of these, the session sends half.


def beluga_grid(mode: str, job: Job, load: Load) -> Work:
    """Ask with a grid of prompts, which is how a user asks for many."""
    session, count = session_of(job, load, mode), itertools.count()

    def work() -> list[Image.Image]:
        prompts = [load.body(next(count))["prompt"] for _ in range(job.size)]
        grid = session.grid("{{text}}", text=prompts, model=MODEL)
        grid.run(assume_yes=True)
        return [sample.picture.image for sample in grid.samples]

    return work


def late(mode: str, job: Job) -> Measures:
    """Ask for many at once, and look every few milliseconds how late the event loop of the calls is."""
    from beluga_nb.engines.room import engine_room

    found, used = list[float](), list[float]()

    async def watch() -> None:
        while True:
            began, before = time.perf_counter(), time.thread_time()
            await asyncio.sleep(LOOKED_AFTER)
            found.append(time.perf_counter() - began - LOOKED_AFTER)
            used.append(time.thread_time() - before)

    work = beluga(mode, job, MANY)
    work()  # What is loaded once is loaded.
    watching = engine_room().thread.submit(watch())
    work()
    watching.cancel()
    seconds, cpu = (statistics.quantiles(each, n=20)[-1] for each in (found, used))
    return {"seconds": seconds, "cpu": cpu, "slowest": max(found)}


# --- other clients


def openai_threads(job: Job, load: Load) -> Work:
    """Ask with openai's client in threads."""
    import httpx
    import openai

    client = openai.OpenAI(api_key=KEY, base_url=job.url(load.latency), timeout=TIMEOUT)
    downloads = httpx.Client(timeout=TIMEOUT)

    def one(number: int) -> Image.Image:
        [answer] = client.images.generate(**load.body(number)).data or []
        if answer.b64_json:
            return decoded_text(answer.b64_json)
        return decoded(downloads.get(str(answer.url)).content)

    def work() -> list[Image.Image]:
        with ThreadPoolExecutor(load.at_once) as threads:
            return list(threads.map(one, range(job.size)))

    return work


def openai_async(job: Job, load: Load) -> Work:
    """Ask with openai's asynchronous client."""
    import httpx
    import openai

    client = openai.AsyncOpenAI(api_key=KEY, base_url=job.url(load.latency), timeout=TIMEOUT)
    downloads = httpx.AsyncClient(timeout=TIMEOUT)

    async def ask(number: int) -> Image.Image:
        [answer] = (await client.images.generate(**load.body(number))).data or []
        if answer.b64_json:
            return decoded_text(answer.b64_json)
        return decoded((await downloads.get(str(answer.url))).content)

    return gathering(job, load.at_once, ask)


def litellm_async(job: Job, load: Load) -> Work:
    """Ask with litellm."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # It would download the prices of models otherwise.
    import httpx
    import litellm

    downloads = httpx.AsyncClient(timeout=TIMEOUT)

    async def ask(number: int) -> Image.Image:
        body = load.body(number)
        # litellm refuses the argument for models that it does not know.
        extra = {"response_format": body.pop("response_format")}
        body["model"] = f"openai/{MODEL}"
        answer = await litellm.aimage_generation(
            **body, extra_body=extra, api_base=job.url(load.latency), api_key=KEY, timeout=TIMEOUT
        )
        if answer.data[0].b64_json:
            return decoded_text(answer.data[0].b64_json)
        return decoded((await downloads.get(answer.data[0].url)).content)

    return gathering(job, load.at_once, ask)


def httpx_async(job: Job, load: Load) -> Work:
    """Ask with httpx."""
    import httpx

    client = httpx.AsyncClient(timeout=TIMEOUT, headers=HEADERS)
    url = f"{job.url(load.latency)}/images/generations"

    async def ask(number: int) -> Image.Image:
        response = await client.post(url, json=load.body(number))
        [answer] = response.raise_for_status().json()["data"]
        if "b64_json" in answer:
            return decoded_text(answer["b64_json"])
        return decoded((await client.get(answer["url"])).content)

    return gathering(job, load.at_once, ask)


def aiohttp_threads(job: Job, load: Load) -> Work:
    """Ask with aiohttp, and decode in threads: the fastest of those that people use."""
    import aiohttp

    url, sessions = f"{job.url(load.latency)}/images/generations", list[aiohttp.ClientSession]()

    async def ask(number: int) -> Image.Image:
        if not sessions:
            sessions.append(aiohttp.ClientSession(headers=HEADERS))
        async with sessions[0].post(url, json=load.body(number), raise_for_status=True) as response:
            [answer] = (await response.json())["data"]
        if "b64_json" in answer:
            return await asyncio.to_thread(decoded_text, answer["b64_json"])
        async with sessions[0].get(answer["url"]) as response:
            return await asyncio.to_thread(decoded, await response.read())

    return gathering(job, load.at_once, ask)


CLIENTS: dict[str, Client] = {
    "floor": floor,
    "beluga_nb": partial(beluga, "off"),
    "beluga_nb, recorded": partial(beluga, "auto"),
    "beluga_nb grid": partial(beluga_grid, "off"),
    "beluga_nb grid, recorded": partial(beluga_grid, "auto"),
    "aiohttp, threads": aiohttp_threads,
    "openai, threads": openai_threads,
    "openai, async": openai_async,
    "httpx, async": httpx_async,
    "litellm, async": litellm_async,
}
NEEDS = {
    "aiohttp, threads": "aiohttp",
    "openai, threads": "openai",
    "openai, async": "openai",
    "litellm, async": "litellm",
}
QUICK = ("floor", "beluga_nb", "beluga_nb, recorded", "openai, threads")


def row(title: str, load: Load, size: int, *, rounds: int) -> Row:
    """Return a row of all clients."""
    subjects = {name: partial(measured, client, load) for name, client in CLIENTS.items()}
    return Row(title, subjects, (size,), rounds, QUICK, needs=NEEDS)


ROWS = {
    "one": row("one warm request to a PIL image, base64", Load(0, 1, repeat=9), 1, rounds=3),
    "many": row("64 at once, 200 ms, base64", MANY, 64, rounds=3),
    "url": row("64, 16 at once, 200 ms, by URL", Load(200, 16, "url"), 64, rounds=2),
    "late": Row(
        "how late the event loop is while 64 are asked for at once, 95 % of the looks at most",
        {"beluga_nb": partial(late, "off"), "beluga_nb, recorded": partial(late, "auto")},
        (64,),
        rounds=3,
    ),
}
