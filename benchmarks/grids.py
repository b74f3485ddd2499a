"""Many at once for long: a grid of 1,000, Stop in the middle of a run, and memory over 10,000 generations."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from benchmarks.calls import Load, decoded, openai_async, session_of
from benchmarks.machine import peak, resident
from benchmarks.rows import KEY, MODEL, Job, Measures, Row, timed
from benchmarks.stored import prompt

AT_ONCE = 64
LATENCY = 200
LOAD = Load(LATENCY, AT_ONCE)
STOPPED_AFTER = 0.7
"""Seconds: some pictures have arrived by then, others are under way."""

EARLY = 10
"""Memory is looked at first when one in so many is done."""


def bare_grid(job: Job) -> Measures:
    """Do the same work with httpx: download, decode once to check it, and write it to the disk, synced."""
    import httpx

    def keep(number: int, text: str) -> None:
        data = base64.b64decode(text)
        decoded(data)
        with open(job.folder / f"{number}.png", "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    async def one(client: httpx.AsyncClient, limit: asyncio.Semaphore, number: int) -> None:
        async with limit:
            body = {"model": MODEL, "prompt": prompt(number), "response_format": "b64_json"}
            answer = (await client.post("images/generations", json=body)).raise_for_status().json()
            await asyncio.to_thread(keep, number, answer["data"][0]["b64_json"])

    async def every() -> None:
        limit, headers = asyncio.Semaphore(AT_ONCE), {"Authorization": f"Bearer {KEY}"}
        limits, base_url = httpx.Limits(max_connections=AT_ONCE), job.url(LATENCY)
        async with httpx.AsyncClient(
            base_url=base_url, limits=limits, headers=headers, timeout=120
        ) as client:
            await asyncio.gather(*(one(client, limit, number) for number in range(job.size)))

    return {**timed(lambda: asyncio.run(every())), "mib": peak()}


def grid(job: Job) -> Measures:
    """Run a grid, recorded."""
    session = session_of(job, LOAD, "auto")

    def run() -> None:
        made = session.grid("{{text}}", text=list(map(prompt, range(job.size))), model=MODEL)
        made.run(assume_yes=True)
        assert made.counts["done"] == job.size, made.counts

    return {**timed(run), "mib": peak()}


def interrupted(run: Callable[[], object]) -> Measures:
    """Interrupt what runs, as Stop does; time until it has ended."""
    pressed: list[float] = []

    def press() -> None:
        time.sleep(STOPPED_AFTER)
        pressed.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press).start()
    with contextlib.suppress(KeyboardInterrupt):
        run()
    return {"seconds": time.perf_counter() - pressed[0]}


def stop(job: Job) -> Measures:
    """Interrupt a grid that has `size` requests under way."""
    session = session_of(job, Load(LATENCY, job.size), "auto")
    made = session.grid("{{text}}", text=list(map(prompt, range(job.size * 20))), model=MODEL)
    return interrupted(lambda: made.run(assume_yes=True))


def stop_openai(job: Job) -> Measures:
    """Interrupt as many tasks of openai's asynchronous client."""
    load = Load(LATENCY, job.size)
    return interrupted(openai_async(replace(job, size=job.size * 20), load))


def generations(mode: str, job: Job) -> Measures:
    """Ask for one picture after the other, and keep every result, as a notebook's variables do."""
    from beluga_nb.session.session import Session
    from benchmarks.stored import answering

    session, results, early = Session(engine=answering(small=True), folder=job.folder, mode=mode), [], 0.0

    def run() -> None:
        nonlocal early
        for number in range(job.size):
            results.append(session.generate(prompt(number), model=MODEL))
            if number == job.size // EARLY:
                early = resident()

    measures = timed(run)
    return {"grown": resident() - early, **measures, "mib": peak()}


ROWS = {
    "grid": Row(
        "a grid, 64 at once, 200 ms, base64, recorded",
        {"httpx, decoded and written": bare_grid, "beluga_nb": grid},
        (100, 1_000),
        rounds=2,
        quick_sizes=(40,),
    ),
    "stop": Row(
        "Stop in the middle of a run of so many at once",
        {"beluga_nb": stop, "openai, async": stop_openai},
        (16, 64),
        rounds=3,
        quick_subjects=("beluga_nb",),
        quick_sizes=(64,),
        needs={"openai, async": "openai"},
    ),
    "memory": Row(
        "memory that so many generations add, of pictures of 64 x 64, not recorded",
        {"beluga_nb": partial(generations, "off")},
        (1_000, 10_000),
        rounds=1,
        quick_sizes=(500,),
    ),
    "memory-recorded": Row(
        "memory that so many generations add, recorded",
        {"beluga_nb": partial(generations, "auto")},
        (300, 3_000),
        rounds=1,
        quick_sizes=(100,),
    ),
}
