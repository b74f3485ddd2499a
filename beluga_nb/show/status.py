"""The state of a session, as a table with examples below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from beluga_nb.result import Bundle
from beluga_nb.show.markup import outside
from beluga_nb.show.tables import facts
from beluga_nb.text import sanitize


def status_bundle(state: Mapping[str, str], examples: Sequence[str]) -> Bundle:
    """Return the facts of `%beluga status`, and what to try."""
    shown = facts(state, "Status")
    examples = [sanitize(each) for each in examples]
    # One click selects an example; where a front end removes this style, it is selected as any text.
    codes = "".join(f'<code style="user-select:all">{outside(each)}</code><br>' for each in examples)
    return {
        "text/html": f'{shown["text/html"]}<p style="margin:.6em 0">Try<br>{codes}</p>',
        "text/plain": "\n".join([shown["text/plain"], "", "Try", *(f"  {each}" for each in examples)]),
    }
