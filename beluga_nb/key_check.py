"""Refuse a request that holds a key, with an error whose traceback has no frame with the key.

Tools that report errors with local variables (rich, Sentry) would send the key away otherwise.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar, runtime_checkable

from beluga_nb.errors import RequestError
from beluga_nb.redaction import may_hold_escapes, redact
from beluga_nb.text import printable

_CODE = "holds_key"


P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


@runtime_checkable
class Watching(Protocol):
    """An object that can look up all keys that are in use."""

    def watch(self) -> None: ...


def check_no_key(arguments: Mapping[str, object]) -> None:
    """Raise `RequestError` where a key, in any form, stands in what would be sent, shown and stored."""
    if not may_hold_key(_texts(arguments)):
        return
    for name, value in arguments.items():
        if any(map(holds_key, _texts([name, value]))):
            is_named = isinstance(value, str) and not holds_key(name)
            raise RequestError(
                f"{f'The {name}'.replace('_', ' ') if is_named else 'A label of the grid'}"
                " holds a key, or what looks like one; nothing was sent.",
                "Remove it, clear the cell's outputs, and make a new key: this one is in the notebook.",
                param=name if is_named else None,
                code=_CODE,
            )


def may_hold_key(texts: Iterable[str]) -> bool:
    """Whether a key may stand in one of some texts; each has to be checked then."""
    together = " ".join(texts)
    # Without escapes, a key in one of the texts is in all of them together, too.
    return may_hold_escapes(together) or holds_key(together)


def refuses_keys(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Make a method refuse keys before it reads its arguments, with a traceback that does not hold them.

    `values` are not checked here: they may be every variable of a notebook, most of them unused.
    """
    _, *names = inspect.signature(method).parameters

    @wraps(method)
    def checked(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        # By name, so that the error can say which argument it is.
        arguments = {**dict(zip(names, args, strict=False)), **kwargs}
        try:
            if isinstance(self, Watching):
                self.watch()
            check_no_key({name: value for name, value in arguments.items() if name != "values"})
            return method(self, *args, **kwargs)
        except RequestError as error:
            if error.code != _CODE:
                raise
            refused = error.with_traceback(None)
        # The frame of this function is in the traceback, and so are its variables.
        del args, kwargs, arguments
        raise refused

    return checked


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts([*value, *value.values()])
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _texts(each)


# By the prefixes that services give their keys: BelugAPI; OpenAI, Anthropic and Stripe; xAI, fal, Groq,
# Replicate, Hugging Face, NVIDIA and Google.
_SERVICES = re.compile(
    r"(?<![A-Za-z0-9])(?:(?P<ours>bapi_[A-Za-z0-9_-]{16,})"
    r"|(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}"
    r"|(?:xai|fal|gsk|r8|hf|nvapi|AIza)[-_]?[A-Za-z0-9_-]{20,})"
)


def holds_key(text: str) -> bool:
    """Whether a key in use stands in a text, in any form, or what looks like the key of a service."""
    shown = printable(text)  # The text itself only if that holds no key in use.
    if shown is not text and redact(text) is not text:
        return True
    found = _SERVICES.finditer(shown)
    # Without a digit, it is words that hyphens join.
    return any(each["ours"] is not None or any(map(str.isdigit, each[0])) for each in found)
