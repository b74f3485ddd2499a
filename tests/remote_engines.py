"""Engines that a worker imports by their names."""

import asyncio
import os
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from drawings import drawing

from beluga_nb.engines.batch_engine import BatchEngine
from beluga_nb.errors import APIStatusError, OutcomeUnknownError, RequestError
from beluga_nb.session.session import Session

MADE = []


async def mixed(request):
    """Draws, and fails in four ways that the prompt names."""
    if "lost" in request.prompt:
        raise OutcomeUnknownError("The provider failed.", status=502)
    if "declined" in request.prompt:
        raise APIStatusError("Declined.", status=400, code="moderation_blocked", param="prompt")
    if "refused" in request.prompt:
        raise APIStatusError("The size is unknown.", status=422)
    if "odd" in request.prompt:
        raise ValueError("It is odd.")
    return await drawing(request)


def made():
    """Makes an engine, and notes that it did."""
    MADE.append(os.getpid())

    async def once(request):
        assert len(MADE) == 1
        return await drawing(request)

    return once


BATCHES = []


async def many(requests):
    """Answers a batch as `mixed` answers each of its requests."""
    BATCHES.append(requests)
    return await asyncio.gather(*map(mixed, requests), return_exceptions=True)


def batched():
    return BatchEngine(many, size=4)


BATCHED = batched()


class Drawing:
    """Counts what it draws."""

    count = 0

    async def __call__(self, request):
        self.count += 1
        return await drawing(request)

    draw = __call__


DRAWING = Drawing()


def making_none():
    """Returns no engine."""


async def made_later():
    """Returns an engine, but is async, which is refused."""
    return drawing


def failing():
    raise RuntimeError("no GPU")


async def waiting(request):
    """Notes that it was asked, and draws once a file is there; its folder is in the environment."""
    folder = Path(os.environ["REMOTE_ENGINES"])
    (folder / f"asked-{time.time_ns()}").touch()
    while not (folder / "go").exists():
        await asyncio.sleep(0.02)
    return await drawing(request)


async def many_waiting(requests):
    (Path(os.environ["REMOTE_ENGINES"]) / f"batch-{len(requests)}-{time.time_ns()}").touch()
    return await asyncio.gather(*map(waiting, requests))


def waiting_batches():
    return BatchEngine(many_waiting, size=2)


def run_within(folder, *, is_free):
    """Runs a grid on the cluster whose task this is; returns what came of it."""
    from distributed import get_client, worker_client

    session = Session(folder=Path(folder), environ={}, engine="remote_engines:drawing", progress=False)
    grid = session.grid("a {{animal}}", animal=["fox", "owl"])
    try:
        with worker_client() if is_free else nullcontext(get_client()) as client:
            return grid.run(executor=client).counts["done"]
    except RequestError as error:
        return error.lines()


def set_variable(name, value):
    """Sets a variable of the process that this is called in."""
    os.environ[name] = value


class Refused(APIStatusError):
    """An error of the engine's own, with what cannot be pickled."""


async def refusing(request):
    error = Refused("It is too large.", status=422)
    error.turn = threading.Lock()
    raise error


async def ending(request):
    raise SystemExit("usage: fox")


def ending_early():
    raise SystemExit("no GPU")


async def one_of_two(request):
    """Returns one picture of however many there should be."""
    result = await drawing(request)
    return replace(result, pictures=result.pictures[:1])


def write_ending_module(folder):
    """Writes a module that ends Python where it is imported, and makes it known."""
    (Path(folder) / "ends_python.py").write_text("raise SystemExit('usage: fox')")
    sys.path.insert(0, folder)
