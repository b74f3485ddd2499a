"""A line's prompt reaches the magic as it was typed: a question mark, a blank or a backslash at its end too.

IPython reads `%beluga a cat, really?` as a question about `really`, and drops blanks at the end of a line.
This token transformer puts the call there before IPython does; `%beluga?` still asks for help. And a cell
without a body reaches the magic, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from tokenize import DEDENT, INDENT, OP, TokenInfo
from typing import Self

_NAME = "beluga"
_BODILESS = re.compile(rf"(get_ipython\(\)\.run_cell_magic\('{_NAME}', .*, )''\)\n")


def with_body(lines: list[str]) -> list[str]:
    """Return the lines of a cell; a `%%beluga` without a body, which IPython refuses, gets an empty line."""
    call = _BODILESS.fullmatch(lines[0]) if len(lines) == 1 else None
    return [f"{call[1]}'\\n')\n"] if call else lines


class Verbatim:
    """One `%beluga …` in a cell, for `TransformerManager.token_transformers`.

    Tokens are read, since `%beluga` in a string, a comment or a bracket is no magic.
    """

    # IPython runs the transformer with the earliest position first, and at the same position the one with
    # the lowest priority. Its own for a trailing question mark is at column 0.
    start_col = 0
    priority = 1

    def __init__(self, start: tuple[int, int]) -> None:
        self.start_line, self._column = start[0] - 1, start[1]

    @classmethod
    def find(cls, tokens_by_line: Iterable[Sequence[TokenInfo]]) -> Self | None:
        """Return the first of a cell, or None."""
        starts = (start for line in tokens_by_line for start in _starts(line))
        return next((cls(start) for start in starts), None)

    def transform(self, lines: list[str]) -> list[str]:
        """Return the lines with the call in place of this one, and of those that a backslash joins to it."""
        end = self.start_line
        while lines[end].endswith("\\\n") and end + 1 < len(lines):
            end += 1
        typed = [lines[self.start_line][self._column :], *lines[self.start_line + 1 : end + 1]]
        text = " ".join([*(line[:-2].rstrip() for line in typed[:-1]), typed[-1].removesuffix("\n")])
        before = lines[self.start_line][: self._column]
        call = f"{before}get_ipython().run_line_magic({_NAME!r}, {_after_name(text)!r})\n"
        return [*lines[: self.start_line], call, *lines[end + 1 :]]


def _starts(line: Sequence[TokenInfo]) -> Iterator[tuple[int, int]]:
    for place, (sign, name) in enumerate(pairwise(line)):
        if sign.string == "%" and name.string == _NAME and sign.end == name.start and _has_prompt(name):
            before = [each for each in line[:place] if each.type not in {INDENT, DEDENT}]
            if not before or _is_assignment(before):
                yield sign.start
            return


def _has_prompt(name: TokenInfo) -> bool:
    after = name.line[name.end[1] :]
    return after[:1] in {" ", "\t"} and after.strip() not in {"", "?", "??"}


def _is_assignment(before: Sequence[TokenInfo]) -> bool:
    depth = 0
    for token in before:
        if token.type == OP:
            depth += (token.string in "([{") - (token.string in ")]}")
    return depth == 0 and before[-1].string == "="


def _after_name(text: str) -> str:
    return text[len(f"%{_NAME}") :].lstrip()
