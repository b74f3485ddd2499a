"""Options that several functions share: typed once, as a `TypedDict`, and seen one by one at run time.

A type checker and an editor read `**options: Unpack[…]`. `help()`, the completion of a notebook and Python's
own check for unknown names read the signature instead, so `named_options` writes them into it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from beluga_nb.errors import UnknownArgumentError

P = ParamSpec("P")
T = TypeVar("T")


def named_options(options: type) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function that takes `**options: Unpack[…]` of a `TypedDict` show, and check, their names."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)
        *parameters, _ = signature.parameters.values()
        named = [_parameter(name, _words(hint)) for name, hint in options.__annotations__.items()]
        first = [each for each in parameters if each.kind is not each.KEYWORD_ONLY]
        rest = [each for each in parameters if each.kind is each.KEYWORD_ONLY]
        known = {each.name for each in (*parameters, *named)}

        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> T:
            for name in kwargs:
                if name not in known:  # Python itself sees only `**options`.
                    raise UnknownArgumentError(name, sorted(known))
            return function(*args, **kwargs)

        checked.__signature__ = signature.replace(parameters=[*first, *named, *rest])  # type: ignore[attr-defined]
        return checked

    return decorate


def _parameter(name: str, words: object) -> inspect.Parameter:
    default = False if words == "bool" else None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=words)


def _words(hint: object) -> object:
    # A `TypedDict` wraps the annotations of a module with `from __future__ import annotations`.
    return getattr(hint, "__forward_arg__", hint)
