"""Show what a magic gives: where IPython would not, and under a name where one is given."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TypeVar

import IPython.display

from beluga_nb.progress.value_use import ValueUse, value_use
from beluga_nb.redaction import redact, redacted_bundle

T = TypeVar("T")


def shown(value: T) -> T:
    """Return what IPython shows as the value of the last line, and show it anywhere else."""
    if value_use(inspect.currentframe()) is ValueUse.DISCARDED:
        display(value)
    return value


def silent(value: T) -> T | None:
    """Return a value that is kept, and nothing where IPython would show it."""
    return None if value_use(inspect.currentframe()) is ValueUse.SHOWN else value


def print_text(text: object) -> None:
    """Print something below the cell."""
    print(redact(str(text)))


def display(value: object, *, raw: bool = False) -> None:
    """Show something below the cell; what is `raw` is a bundle."""
    shown = redacted_bundle(value) if raw and isinstance(value, Mapping) else value
    IPython.display.display(shown, raw=raw)  # type: ignore[no-untyped-call]  # IPython's own
