"""Whether a user's function is async, as an engine must be."""

from __future__ import annotations

import inspect
from functools import partial
from types import MethodType

from beluga_nb.errors import SettingsError
from beluga_nb.text import sanitize

WRITE_ASYNC = "Write it with async def: async def my_{}({}): …"


def check_async(function: object, what: str, argument: str) -> None:
    """Raise `SettingsError` for a function that is certainly not async, or that takes no argument."""
    check_argument(function, what, argument)
    if _is_certainly_not_async(function):
        raise SettingsError(
            f"The {what} {_name_of(function)} is not an async function.", WRITE_ASYNC.format(what, argument)
        )


def check_argument(function: object, what: str, argument: str) -> None:
    """Raise `SettingsError` for an async function that cannot be called with one argument."""
    if not inspect.iscoroutinefunction(function):
        return
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        raise SettingsError(
            f"The {what} {_name_of(function)} is an async function that does not take one argument.",
            f"Let it take the {argument}. A function that makes an engine is written without async.",
        ) from None


def _name_of(function: object) -> str:
    return sanitize(str(getattr(function, "__name__", repr(function))), 60)


def _is_certainly_not_async(function: object) -> bool:
    """Whether a call cannot return something to await; for other callables, only a call shows it."""
    while isinstance(function, partial | MethodType):
        function = function.func if isinstance(function, partial) else function.__func__
    if inspect.isfunction(function):
        return not inspect.iscoroutinefunction(function)
    return inspect.isclass(function) or not callable(function)
