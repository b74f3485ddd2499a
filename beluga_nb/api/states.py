"""The state of a job, in the words of whatever service has it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal

State = Literal["pending", "completed", "failed", "cancelled"]

FIELDS = ("status", "state", "taskstatus")
"""Names of fields that hold a state, in one spelling."""

_WORDS: Mapping[State, str] = {
    "pending": "accepted inprogress inqueue pending processing queued running starting submitted waiting",
    "completed": "completed complete succeeded succeed success successful finished done ready",
    "failed": "failed fail failure error errored rejected",
    "cancelled": "cancelled canceled aborted terminated",
}
_MEANT = {word: state for state, words in _WORDS.items() for word in words.split()}


def spelt(word: str) -> str:
    """Return the name of a field, or the word of a state, in one spelling.

    >>> spelt("IN_PROGRESS") == spelt("in-progress") == spelt("inProgress")
    True
    """
    return re.sub("[ _-]", "", word[:40]).lower()


def with_spelt_names(members: Mapping[str, object]) -> dict[str, object]:
    """Return an object with its names in one spelling: `taskId` and `task_id` are the same."""
    return {spelt(name): value for name, value in members.items()}


def states(members: Mapping[str, object]) -> Iterator[tuple[str, State | None]]:
    """Yield each word of a state in an object, and what it means, if that is known."""
    yield from _states(with_spelt_names(members))


def is_under_way(members: Mapping[str, object]) -> bool:
    """Whether an object is a job that has not ended."""
    spelt_members = with_spelt_names(members)
    pending = any(state == "pending" for _, state in _states(spelt_members))
    return pending or spelt_members.get("done") is False


def _states(spelt_members: Mapping[str, object]) -> Iterator[tuple[str, State | None]]:
    for word in map(spelt_members.get, FIELDS):
        if isinstance(word, str):
            yield word, _MEANT.get(spelt(word))
