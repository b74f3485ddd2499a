"""What the command lines of this package have in common: a parser, and types of arguments."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from typing import NoReturn

USAGE_ERROR = 2
"""The exit status for anything that could not be done."""

_SERVED_KEY = re.compile(r"bapi_[A-Za-z0-9_.~+/=-]+")  # What a Bearer token may hold (RFC 6750, 2.1).


class Parser(argparse.ArgumentParser):
    """A parser whose errors are two lines, without the usage."""

    def error(self, message: str) -> NoReturn:
        """End with the message and what to do."""
        self.exit(USAGE_ERROR, f"{self.prog}: {message}\n{self.prog} --help shows the options.\n")


@dataclass(frozen=True)
class WholeNumber:
    """The type of a whole number in a range; raises `ValueError` for anything else.

    >>> WholeNumber(1, 65535)("8888")
    8888
    """

    least: int
    most: int | None = None

    def __call__(self, text: str) -> int:
        """Return the number; `int` alone would take signs, blanks and other scripts' digits too."""
        is_plain = text.isascii() and text.isdigit() and len(text) < 19
        if not is_plain or not self.least <= int(text) <= (self.most or int(text)):
            allowed = (
                f"of at least {self.least}" if self.most is None else f"from {self.least} to {self.most}"
            )
            raise ValueError(f"'{text}' is not a whole number {allowed}")
        return int(text)


def port(text: str) -> int:
    """Return the port that a text means, or raise `ValueError`, with what to do; 0 stands for a free one."""
    try:
        return WholeNumber(0, 65535)(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a port", "give a number from 0 to 65535") from None


def served_key(text: str) -> str:
    """Return the key that a server is to be started with, or raise `ValueError`."""
    if not _SERVED_KEY.fullmatch(text):
        # The key itself is not repeated: terminals are shared and logged.
        raise ValueError("the key must be bapi_ and letters, digits or _ . ~ + / = -")
    return text
