"""Engines that a worker imports by their names."""

import asyncio
import os
import time
from pathlib import Path

from drawings import drawing

from beluga_nb.errors import APIStatusError, OutcomeUnknownError

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


def failing():
    raise RuntimeError("no GPU")


async def waiting(request):
    """Notes that it was asked, and draws once a file is there; its folder is in the environment."""
    folder = Path(os.environ["REMOTE_ENGINES"])
    (folder / f"asked-{time.time_ns()}").touch()
    while not (folder / "go").exists():
        await asyncio.sleep(0.02)
    return await drawing(request)


def set_variable(name, value):
    """Sets a variable of the process that this is called in."""
    os.environ[name] = value
