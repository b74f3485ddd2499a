"""JSON that anybody may have written: bounded in what it takes to read, and one exception for all that is wrong."""

from __future__ import annotations

import json
from typing import Any, NoReturn

MOST_CONTAINERS = 2_000_000
"""Objects and lists of a text; each takes far more room in memory than in the text."""


def load_json(data: bytes | str) -> Any:
    """Return what a JSON text says; raise `ValueError` for any other text.

    That is also one with NaN or an infinity, which JSON does not have, one that is nested too deeply, and
    one of more than `MOST_CONTAINERS` objects and lists.

    >>> load_json('{"a": [1, null]}')
    {'a': [1, None]}
    """
    signs: tuple[Any, Any] = (b"{", b"[") if isinstance(data, bytes) else ("{", "[")
    if sum(data.count(sign) for sign in signs) > MOST_CONTAINERS:
        raise ValueError("it holds too many objects")
    try:
        return json.loads(data, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
