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
    if _is_certainly_not_async(function):
        called = str(getattr(function, "__name__", repr(function)))
        raise SettingsError(
            f"The {what} {sanitize(called, 60)} is not an async function.", WRITE_ASYNC.format(what, argument)
        )


def _is_certainly_not_async(function: object) -> bool:
    """Whether a call cannot return something to await; for other callables, only a call shows it."""
    while isinstance(function, partial | MethodType):
        function = function.func if isinstance(function, partial) else function.__func__
    if inspect.isfunction(function):
        return not inspect.iscoroutinefunction(function)
    return inspect.isclass(function) or not callable(function)
