"""What a magic gives: shown where IPython would not show it, kept under a name where one is given."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TypeVar

import IPython.display

from beluga_nb.magics.fate import Fate, fate
from beluga_nb.magics.parse import Call
from beluga_nb.redaction import redact, redacted_bundle
from beluga_nb.result import Result

T = TypeVar("T")


def shown(thing: T) -> T:
    """Return what IPython shows as the value of the last line, and show it anywhere else."""
    if fate(inspect.currentframe()) is Fate.DROPPED:
        display(thing)
    return thing


def silent(thing: T) -> T | None:
    """Return what is kept, and nothing where IPython would show it."""
    return None if fate(inspect.currentframe()) is Fate.SHOWN else thing


def kept(call: Call, result: Result, names: dict[str, object]) -> Result:
    """Put the result under the name that the call gives, if it gives one, and return it."""
    if call.output:
        names[call.output] = result
    return result


def say(words: object) -> None:
    """Say something in the cell."""
    print(redact(str(words)))


def display(thing: object, *, raw: bool = False) -> None:
    """Show something in the cell; what is `raw` is a bundle."""
    shown = redacted_bundle(thing) if raw and isinstance(thing, Mapping) else thing
    IPython.display.display(shown, raw=raw)  # type: ignore[no-untyped-call]  # IPython's own
