"""A key in what is asked for: the request is refused, and no frame of ours that the error passes has the key.

Who reports errors with the variables of their frames (rich, Sentry) would send it away otherwise.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from beluga_nb.errors import RequestError
from beluga_nb.text import holds_key

_CODE = "holds_key"
_REMEDY = "Remove it, clear the cell's outputs, and make a new key: this one stands in the notebook."


class _Watching(Protocol):
    def watch(self) -> None: ...


S = TypeVar("S", bound=_Watching)
P = ParamSpec("P")
T = TypeVar("T")


def check(said: Mapping[str, object]) -> None:
    """Raise `RequestError` where a key, in whatever form, stands in what would be sent, shown and stored."""
    for name, value in said.items():
        if any(map(holds_key, _texts(value))):
            what = f"The {name.replace('_', ' ')}" if isinstance(value, str) else "A label of the grid"
            raise RequestError(
                f"{what} holds a key, or what looks like one; nothing was sent.",
                _REMEDY,
                param=name,
                code=_CODE,
            )


def keyless(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Let a method refuse keys before it looks at its arguments, and raise that refusal without them.

    `values` are not looked at here: they may be all that a notebook has, whether the prompt takes it or not.
    """
    signature = inspect.signature(method)

    @wraps(method)
    def door(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            self.watch()
            check(_given(signature, self, *args, **kwargs))
            return method(self, *args, **kwargs)
        except RequestError as error:
            if error.code != _CODE:
                raise
            refused = error.with_traceback(None)
        del args, kwargs
        raise refused

    return door


def _given(signature: inspect.Signature, /, *args: Any, **kwargs: Any) -> dict[str, object]:
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError:  # the method itself says so better
        return {}
    return {name: value for name, value in given.items() if name not in {"self", "values"}}


def _texts(said: object) -> Iterator[str]:
    if isinstance(said, str):
        yield said
    elif isinstance(said, Mapping):
        yield from _texts([*said, *said.values()])
    elif isinstance(said, list | tuple | set | frozenset):
        for each in said:
            yield from _texts(each)
