"""Labels of a grid: what they have in common is written once, and the words that differ are marked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile

from beluga_nb.show.markup import outside
from beluga_nb.text import sanitize

LEAST_SHORTENED = 12
"""Characters that labels must have in common before these are left out."""

_LONGEST = 300
_PUNCTUATION = ",.;:!?“”\"'()"

# Each axis has a colour and a line of its own, so that none is known by its colour alone. The text keeps
# the colour of its surroundings, which is readable on light and dark.
_MARKS = (
    "background-color:rgba(59,130,196,.2);border-bottom:2px solid #3b82c4",
    "background-color:rgba(214,124,28,.2);border-bottom:2px dashed #d67c1c",
    "background-color:rgba(40,150,90,.2);border-bottom:2px dotted #28965a",
    "background-color:rgba(150,90,200,.2);border-bottom:3px double #965ac8",
)


@dataclass(frozen=True)
class Shortened:
    """Labels without the words with which all of them begin and end.

    >>> Shortened.of(["A lighthouse in fog, ink", "A lighthouse in fog, oil paint"]).rests
    ('… ink', '… oil paint')
    """

    start: str
    end: str
    rests: tuple[str, ...]

    @classmethod
    def of(cls, labels: Sequence[str]) -> Shortened:
        """Return the labels shortened, where that is worth it and leaves at least a word of each."""
        words = [label.split() for label in labels]
        if len(words) < 2 or not all(words):
            return cls("", "", tuple(labels))
        room = min(map(len, words)) - 1
        first = _common(words)[:room]
        start = first if len(" ".join(first)) >= LEAST_SHORTENED else []
        last = _common([each[::-1] for each in words])[: room - len(start)][::-1]
        end = last if len(" ".join(last)) >= LEAST_SHORTENED else []
        if not start and not end:
            return cls("", "", tuple(labels))
        rests = (
            " ".join(
                [*(["…"] if start else []), *each[len(start) : len(each) - len(end)], *["…"][: len(end)]]
            )
            for each in words
        )
        return cls(" ".join(start), " ".join(end), tuple(rests))

    @property
    def common(self) -> str:
        """What was left out of each label; nothing where they are whole."""
        return " ".join(filter(None, [self.start, "…", self.end])) if self.start or self.end else ""


def cut_labels(labels: Sequence[str], longest: int) -> dict[str, str]:
    """Return labels in one line of at most `longest` characters, cut so that different ones stay different.

    >>> cut_labels(["a very long label 1", "a very long label 2", "b"], 12)
    {'a very long label 1': 'a very…bel 1', 'a very long label 2': 'a very…bel 2', 'b': 'b'}
    """
    found = {label: sanitize(label, longest) for label in labels}
    for cut in (_without_middle, _numbered):
        counts = Counter(found.values())
        again = [label for label in found if counts[found[label]] > 1]
        found |= dict(zip(again, cut(again, longest), strict=True))
    return found


def _without_middle(labels: Sequence[str], longest: int) -> Iterator[str]:
    for label in labels:
        line = sanitize(label, len(label) + 1)
        half = (longest - 1) // 2
        yield line if len(line) <= longest else f"{line[: longest - 1 - half]}…{line[-half:]}"


def _numbered(labels: Sequence[str], longest: int) -> Iterator[str]:
    # Sorted, so that a label has the same number in each table.
    order = {label: number for number, label in enumerate(sorted(labels), 1)}
    for label in labels:
        number = f" ({order[label]})"
        yield f"{sanitize(label, longest - len(number))}{number}"


def _common(words: Sequence[Sequence[str]]) -> list[str]:
    """Return the words with which all begin."""
    same = takewhile(lambda column: len(set(column)) == 1, zip(*words, strict=False))
    return [column[0] for column in same]


def marked(html: str, axis: int) -> str:
    """Return escaped text in the mark of an axis."""
    return f'<span style="{_MARKS[axis % len(_MARKS)]}">{html}</span>'


def label_html(label: str, labels: Sequence[str], axis: int) -> str:
    """Return a label as HTML; where the labels have words in common, the others are marked."""
    words = outside(label, _LONGEST).split()
    shared = set.intersection(*({*map(_key, outside(each, _LONGEST).split())} for each in labels)) - {"", "…"}
    if not shared:
        return " ".join(words)
    runs = groupby(words, key=lambda word: word != "…" and _key(word) not in shared)
    return " ".join(marked(" ".join(run), axis) if differs else " ".join(run) for differs, run in runs)


def _key(word: str) -> str:
    return word.strip(_PUNCTUATION).casefold()


def prompt_html(prompt: str, names: Sequence[str], longest: int) -> str:
    """Return a prompt as HTML, with each `{{name}}` in the mark of its axis.

    >>> prompt_html("a {{cat}}", ["cat"], 300).startswith('a <span style="background-color')
    True
    """
    axes = {outside(name): axis for axis, joined in enumerate(names) for name in joined.split(" · ")}
    parts = re.split(r"(\{\{[^{}]*\}\})", outside(prompt, longest))
    # Every second part is what the parentheses match.
    return "".join(
        marked(part, axes[name]) if number % 2 and (name := part.strip("{} ")) in axes else part
        for number, part in enumerate(parts)
    )
