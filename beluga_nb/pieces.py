"""Texts that hold others in an order: in one walk, where an expression would try again and again."""

from __future__ import annotations

from collections.abc import Sequence


def in_order(text: str, pieces: Sequence[str], start: int = 0) -> bool:
    """Whether a text, from `start` on, is these pieces in their order, with anything between two of them.

    >>> in_order("a red fox in the snow", ["a ", " in ", "snow"])
    True
    """
    first, *others = pieces
    if not others:
        return text[start:] == first
    *between, last = others
    if not text.startswith(first, start):
        return False
    place = start + len(first)
    for piece in between:
        found = text.find(piece, place)
        if found < 0:
            return False
        place = found + len(piece)
    return len(text) - len(last) >= place and text.endswith(last)
