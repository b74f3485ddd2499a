"""Read JSON that anyone may have written: its size is bounded, and the type of each value is checked."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NoReturn

MOST_VALUES = 3_000_000
"""Values of a text, counted by the signs that separate or open them; each takes far more room in memory."""


def load_json(data: bytes | str, joined: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """Return the value of a JSON text; raise `ValueError` for any other text.

    That is also one with NaN or an infinity, which JSON does not have, and one of more than `MOST_VALUES`.
    One that is nested too deeply raises `RecursionError`. `joined` makes an object of its names and values,
    where the last of a name is not always meant.

    >>> load_json('{"a": [1, null]}')
    {'a': [1, None]}
    """
    signs: tuple[Any, ...] = (b"{", b"[", b",") if isinstance(data, bytes) else ("{", "[", ",")
    # Before parsing: a few megabytes of brackets would become gigabytes of lists.
    if sum(data.count(sign) for sign in signs) > MOST_VALUES:
        raise ValueError("it holds too many values")
    text = data if isinstance(data, str) else data.decode(json.detect_encoding(data), "surrogatepass")
    return _decoder(joined).decode(text)


# Making a decoder takes as long as reading a record with it.
@lru_cache(maxsize=8)
def _decoder(joined: Callable[[list[tuple[str, Any]]], Any] | None) -> json.JSONDecoder:
    return json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=joined)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid JSON")


DAMAGE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What comes of reading values that are missing, or not what they have to be."""

MOST = 2**63 - 1
"""The largest number that is calculated with."""


def text(value: object) -> str:
    """Return text as it is; raise `TypeError` for anything else, `ValueError` for half of a character."""
    if not isinstance(value, str):
        raise TypeError("no text")
    value.encode()
    return value


def text_or_none(value: object) -> str | None:
    """Return text or None as it is; as `text`."""
    return None if value is None else text(value)


def whole(value: object, *, least: int | None = None, most: int | None = None) -> int:
    """Return a whole number as it is; raise `TypeError` for anything else, `ValueError` out of range."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("no whole number")
    if (least is not None and value < least) or (most is not None and value > most):
        raise ValueError("out of range")
    return value


def number(value: object) -> float:
    """Return a number as it is; raise `TypeError` for anything else, `ValueError` unless it is finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("no number")
    if not abs(value) <= sys.float_info.max:
        raise ValueError("not finite")
    return value


def members(value: object) -> Mapping[str, Any]:
    """Return an object as it is; raise `TypeError` for anything else."""
    if not isinstance(value, dict):
        raise TypeError("no object")
    return value


def items(value: object) -> Sequence[Any]:
    """Return a list as it is; raise `TypeError` for anything else."""
    if not isinstance(value, list):
        raise TypeError("no list")
    return value
