"""What the command lines of this package have in common."""

from __future__ import annotations

import argparse
from typing import NoReturn

USAGE_ERROR = 2
"""The exit status for anything that could not be done."""


class Parser(argparse.ArgumentParser):
    """A parser that says in two lines what is wrong, and prints no usage."""

    def error(self, message: str) -> NoReturn:
        """End with the message and what to do."""
        self.exit(USAGE_ERROR, f"{self.prog}: {message}\n{self.prog} --help says more.\n")


def is_whole(text: str, least: int, most: int = 10**18) -> bool:
    """Whether a word is a whole number in a range, in digits alone: `int` takes signs and blanks too.

    >>> [is_whole(word, 1, 65535) for word in ("8888", "0", "+1", "65536")]
    [True, False, False, False]
    """
    return text.isascii() and text.isdigit() and len(text) < 19 and least <= int(text) <= most
