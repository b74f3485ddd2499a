"""Whether a user's function is async, as an engine must be."""

from __future__ import annotations

import inspect
from functools import partial
from types import MethodType

from beluga_nb.errors import SettingsError
from beluga_nb.text import sanitize

WRITE_ASYNC = "Write it with async def: async def my_{}({}): …"


def check_async(function: object, what: str, argument: str) -> None:
    """Raise `SettingsError` for a function that is certainly not async."""
    if _is_no_async_function(function):
        called = str(getattr(function, "__name__", repr(function)))
        raise SettingsError(
            f"The {what} {sanitize(called, 60)} is not an async function.", WRITE_ASYNC.format(what, argument)
        )


def _is_no_async_function(engine: object) -> bool:
    """Whether its result can certainly not be awaited; other objects are checked when they are called."""
    while isinstance(engine, partial | MethodType):
        engine = engine.func if isinstance(engine, partial) else engine.__func__
    if inspect.isfunction(engine):
        return not inspect.iscoroutinefunction(engine)
    return inspect.isclass(engine) or not callable(engine)
