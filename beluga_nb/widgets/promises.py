"""What the panel has said that a click would do, so that a click buys no more than it said then."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from beluga_nb.compare.plan import Plan
from beluga_nb.request import Request

_KEPT = 64


class Promise(NamedTuple):
    """A plan that was shown, and the mode of that moment.

    In another mode, as many pictures would be recorded as another take, or not at all.
    """

    plan: Plan
    mode: str


class Promises:
    """The latest promises: in which turn, in which words, and for what."""

    def __init__(self) -> None:
        self._shown: deque[tuple[int, str, object, Promise]] = deque(maxlen=_KEPT)

    def add(self, turn: int, words: str, asked: object, promise: Promise, *, refused: bool = False) -> None:
        """Keep a promise. In one turn, the first one in the same words stands: that one was read.

        Where a click was `refused` just now, the new one stands: the next click is about what is shown then.
        """
        place = turn, words, asked
        if refused:
            self._shown = deque((each for each in self._shown if each[:3] != place), maxlen=_KEPT)
        if not any(each[:3] == place for each in self._shown):
            self._shown.append((*place, promise))

    def find(self, turn: int, words: str, asked: object) -> Promise | None:
        """Return the promise that these words were in a turn, or None."""
        found = (each for each in reversed(self._shown) if each[1:3] == (words, asked) and each[0] <= turn)
        return next((promise for *_, promise in found), None)


def is_kept(promise: Promise, plan: Plan, mode: str, *, exactly: bool) -> bool:
    """Return whether a plan makes no more pictures than was promised, buys none instead, and costs no more.

    `exactly`: and none but those that were promised.
    """
    promised = promise.plan
    costs = plan.cost, promised.cost
    return (
        mode == promise.mode
        and plan.images <= promised.images
        and (plan.local or not promised.local)
        and (costs[1] is None or (costs[0] is not None and costs[0] <= costs[1]))
        and (not exactly or set(_samples(plan)) <= set(_samples(promised)))
    )


def _samples(plan: Plan) -> Iterator[tuple[str, Request]]:
    for post in plan.posts:
        for number in range(post.request.n):
            yield post.url, post.request.slice(post.request.sample + number)
