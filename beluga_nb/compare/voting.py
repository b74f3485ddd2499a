"""A session of votes: one question after the other, each answer recorded as it is given."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from beluga_nb.compare.sample import Sample, SampleNotes
from beluga_nb.compare.vote import SKIP, Ballot, pairs
from beluga_nb.errors import RequestError
from beluga_nb.store.records import Store
from beluga_nb.store.votes import Box, Vote, votes
from beluga_nb.text import sanitize

if TYPE_CHECKING:
    from beluga_nb.compare.rank import Ranking

LONGEST_PROMPT = 300
"""Characters of a prompt that a voter sees."""


class Voting:
    """Two pictures without names, question after question, until it is revealed which is which."""

    def __init__(
        self,
        samples: Sequence[Sample],
        store: Store,
        *,
        by: str,
        voter: str,
        seed: int | None,
        ranking: Callable[[], Ranking],
        criterion: str = "",
        repeats: int = 0,
    ) -> None:
        self.ranking = ranking
        self.criterion = criterion
        self._samples = samples
        self._rng = random.Random(seed)
        self._notes = SampleNotes(by)
        among = pairs(self._notes.reading(samples), by=by)
        if not among:
            raise RequestError(
                f"No two of these pictures differ in '{sanitize(by, 60)}' alone.",
                "Vote by another axis, or ask for the same with another value of this one.",
            )
        cast = [vote for vote in votes(store) if vote.criterion == criterion]
        self._ballot = Ballot.of(among, by_whom=voter, votes=cast, rng=self._rng, repeats=repeats)
        self._box = Box(store, voter, criterion)
        self._votes: list[Vote | None] = []

    @property
    def samples(self) -> tuple[Sample, Sample] | None:
        """The two that are asked about, left and right, or None at the end."""
        question = self._ballot.question
        if question is None:
            return None
        return self._samples[question.left.place], self._samples[question.right.place]

    @property
    def caption(self) -> str:
        """What both pictures have in common: their prompt, or else their labels."""
        if not (both := self.samples):
            return ""
        prompts = {each.picture.recipe.request.prompt for each in both}
        common = [label for name, label in both[0].labels.items() if name != self._notes.by]
        # Prompts that differ would be a hint at which is which.
        words = prompts.pop() if len(prompts) == 1 else " · ".join(common)
        return "" if self._reveals(words) else sanitize(words, LONGEST_PROMPT)

    @property
    def progress(self) -> str:
        """How far it is, and whether what is shown are previews."""
        done = f"{len(self._ballot.answers)} of {self._ballot.total} compared."
        return f"{done} {self._notes.caveat}".rstrip()  # Of all pictures: of one side it would be a hint.

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to take back."""
        return bool(self._ballot.given)

    def answer(self, answer: str, *, seconds: float | None = None) -> None:
        """Record an answer, or "skip" it; raise `StoreError` where that fails: the question stays.

        `seconds` is how long the question was shown.
        """
        question = self._ballot.question
        if question is None:
            return
        after = self._ballot.answered(answer, self._rng)
        left, right = question.left.sha256, question.right.sha256
        asked = {"left": left, "right": right, "answer": answer}
        vote = None if answer == SKIP else self._box.cast(**asked, seconds=seconds)
        # Only now: a vote that could not be written leaves the question where it is.
        self._votes.append(vote)
        self._ballot = after

    def undo(self) -> None:
        """Take the last answer back; raise `StoreError` where that cannot be recorded."""
        if self._votes:
            if vote := self._votes[-1]:
                self._box.undo(vote)
            # Only after the store has it: what could not be recorded stays as it was.
            self._votes.pop()
            self._ballot = self._ballot.undone()

    def _reveals(self, words: str) -> bool:
        return any(label.casefold() in words.casefold() for label in self._notes.labels if label)
