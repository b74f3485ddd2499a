"""An engine by its place in a package, "package.module:factory", which each process makes once."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from operator import attrgetter
from typing import cast

from beluga_nb.engines.asynchronous import check_argument, check_async
from beluga_nb.errors import SettingsError
from beluga_nb.process.locks import ProcessLock
from beluga_nb.request import Request
from beluga_nb.result import Engine, Result
from beluga_nb.text import sanitize

_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_MAKING = ProcessLock()


class ImportedEngine:
    """An engine that is imported and made, on a thread, at the first request."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.__name__ = path.rpartition(":")[2].rpartition(".")[2]

    async def __call__(self, request: Request) -> Result:
        engine = await asyncio.to_thread(engine_at, self.path)
        return await engine(request)


@cache
def imported(path: str) -> ImportedEngine:
    """Return the engine at "package.module:factory", the same for all sessions; nothing is imported yet.

    The path names an engine, or a function without arguments that returns one. Raises
    `SettingsError` for any other text.
    """
    if not _PATH.fullmatch(path):
        raise SettingsError(
            f"'{sanitize(path, 80)}' does not name an engine.",
            'Give its module and its name: Session(engine="package.module:factory").',
        )
    return ImportedEngine(path)


def engine_at(path: str) -> Engine:
    """Return the engine at a path, made once for this process; raise `SettingsError` where there is none."""
    with _MAKING:  # A model that two threads load at once might not fit into memory.
        return _made(path)


@cache
def _made(path: str) -> Engine:
    found = find(path)
    # An object with an async `__call__` is an engine. A class is called to make one: its type is `type`.
    if any(map(inspect.iscoroutinefunction, (found, type(found).__call__))):
        return cast(Engine, found)
    try:
        made = found()
        check_async(made, "engine", "request")
    except (Exception, SystemExit) as error:  # of the user's function
        raise _failed(path, "cannot be made", error) from error
    return cast(Engine, made)


def find(path: str) -> Callable[..., object]:
    """Return the object at a path, imported; raise `SettingsError` where that fails."""
    module, _, name = path.partition(":")
    try:
        found = cast(Callable[..., object], attrgetter(name)(import_module(module)))
    except (Exception, SystemExit) as error:  # of the user's module
        raise _failed(path, "cannot be imported", error) from error
    check_argument(found, "engine", "request")
    return found


def _failed(path: str, what: str, error: BaseException) -> SettingsError:
    words = sanitize(str(error), 200)
    return SettingsError(
        f"The engine {path} {what}: {type(error).__name__}{words and ': '}{words}",
        "Nothing was sent. Install its module where it runs, or correct its name.",
    )
