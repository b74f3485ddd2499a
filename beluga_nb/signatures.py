"""Arguments by name: a misspelt one is an error of ours, with what was probably meant.

Options that several functions share are typed once, as a `TypedDict`, and seen one by one at run time.

A type checker and an editor read `**options: Unpack[…]`. `help()`, the completion of a notebook and Python's
own check for unknown names read the signature instead, so `named_options` writes them into it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import Field, fields
from functools import partial, wraps
from typing import ClassVar, ParamSpec, Protocol, TypeVar

from beluga_nb.errors import UnknownArgumentError

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", bound=type)


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Field[object]]]


D = TypeVar("D", bound=_Dataclass)


def copying(value: D) -> Callable[..., D]:
    """Return what copies a dataclass value with other fields: a faster `replace`, for many copies."""
    return partial(type(value), **{each.name: getattr(value, each.name) for each in fields(value)})


def named_arguments(function: Callable[P, T]) -> Callable[P, T]:
    """Let a function refuse an argument that it does not have with `UnknownArgumentError`."""
    return _checked(function, {*inspect.signature(function).parameters})


def named_methods(kind: C) -> C:
    """Let a class and its public methods refuse arguments that they do not have, as `named_arguments` does.

    Methods with `**arguments` check these themselves, and so do those with a signature of their own.
    """
    for name, method in list(vars(kind).items()):
        if (
            (name.startswith("_") and name != "__init__")
            or not inspect.isfunction(method)
            or hasattr(method, "__signature__")
        ):
            continue
        parameters = inspect.signature(method).parameters.values()
        if len(parameters) > 1 and not any(each.kind is each.VAR_KEYWORD for each in parameters):
            setattr(kind, name, named_arguments(method))
    return kind


def _checked(function: Callable[P, T], known: set[str]) -> Callable[P, T]:
    # A constructor is called by the name of its class.
    called = function.__qualname__.removesuffix(".__init__").rpartition(".")[2]

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        if not kwargs.keys() <= known:
            name = next(name for name in kwargs if name not in known)
            raise UnknownArgumentError(name, sorted(known - {"self"}), of=called)
        return function(*args, **kwargs)

    return checked


@contextmanager
def called_as(name: str, start: Callable[..., object]) -> Iterator[None]:
    """Name the function that was called in an error about an argument, and not `start`, which it calls."""
    try:
        yield
    except UnknownArgumentError as error:
        function, words = error.message.split(maxsplit=1)
        if function == f"{start.__name__}()":
            error.message = f"{name}() {words}"
            error.args = (error.message, error.hint)
        raise


def named_options(options: type) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function that takes `**options: Unpack[…]` of a `TypedDict` show, and check, their names."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)
        *parameters, _ = signature.parameters.values()
        named = [_parameter(name, _words(hint)) for name, hint in options.__annotations__.items()]
        first = [each for each in parameters if each.kind is not each.KEYWORD_ONLY]
        rest = [each for each in parameters if each.kind is each.KEYWORD_ONLY]
        checked = _checked(function, {each.name for each in (*parameters, *named)})
        checked.__signature__ = signature.replace(parameters=[*first, *named, *rest])  # type: ignore[attr-defined]
        return checked

    return decorate


def _parameter(name: str, words: object) -> inspect.Parameter:
    default = False if words == "bool" else None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=words)


def _words(hint: object) -> object:
    # A `TypedDict` wraps the annotations of a module with `from __future__ import annotations`.
    return getattr(hint, "__forward_arg__", hint)
