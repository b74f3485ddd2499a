"""A prompt may end with a question mark.

IPython reads `%beluga a cat, really?` as a question about `really`. This line transformer puts the call
there first; `%beluga?` still asks for help.
"""

from __future__ import annotations

import re

_QUESTION = re.compile(r"^(\s*)((?:[^\W\d][\w.\[\], ]*=\s*)?)%beluga[ \t]+(.*\?)\s*$")
_TRIPLE_QUOTE = re.compile(r"\"\"\"|'''")


def keep_questions(lines: list[str]) -> list[str]:
    """Return the lines of a cell with each `%beluga … ?` as the call that it means."""
    kept: list[str] = []
    quoted = False
    for line in lines:
        match = None if quoted else _QUESTION.match(line)
        if match:
            indent, target, call = match.groups()
            kept.append(f"{indent}{target}get_ipython().run_line_magic('beluga', {call!r})\n")
        else:
            quoted ^= len(_TRIPLE_QUOTE.findall(line)) % 2 == 1
            kept.append(line)
    return kept
