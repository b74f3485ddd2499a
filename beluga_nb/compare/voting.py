"""A session of votes: one question after the other, each answer recorded as it is given."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from beluga_nb.compare.agreement import Votes
from beluga_nb.compare.axes import AXIS_PARAMETERS
from beluga_nb.compare.sample import Sample, SampleNotes
from beluga_nb.compare.vote import SKIP, Ballot, Pair, Sides, duels, pairs
from beluga_nb.errors import RequestError
from beluga_nb.process.locks import ProcessLock
from beluga_nb.store.records import Store
from beluga_nb.store.votes import Box, Vote, VotesReader, exclusively, voter_name
from beluga_nb.text import plural, sanitize

if TYPE_CHECKING:
    from beluga_nb.compare.rank import Ranking

LONGEST_PROMPT = 300
"""Characters of a prompt that a voter sees."""


class Contest:
    """Pictures that are voted on: their pairs, the question, and what both of a pair may be called.

    Several voters may share one. `ranking` returns the outcome so far.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        store: Store,
        *,
        by: str,
        question: str = "",
        criterion: str = "",
        ranking: Callable[[], Ranking],
    ) -> None:
        self.samples, self.store, self.by, self.ranking = samples, store, by, ranking
        self.criterion = criterion
        self._notes = SampleNotes(by)
        found = pairs(self._notes.reading(samples), by=by)
        if not found:
            raise RequestError(
                f"No two of these pictures differ in '{sanitize(by, 60)}' alone.",
                "Vote by another axis, or ask for the same with another value of this one.",
            )
        self.pairs = list({pair.pictures: pair for pair in found}.values())
        self._reader = VotesReader(store)
        self.sides = Sides(self._reader.votes())
        self._lock = ProcessLock()
        fits = by in AXIS_PARAMETERS  # Both have the same prompt then.
        asked = "Which fits the prompt better?" if fits else "Which picture is better?"
        self.question = question or (f"Which is better: {criterion}?" if criterion else asked)

    @property
    def caveat(self) -> str:
        """Whether what is shown are previews; of all pictures, since of one side it would be a hint."""
        return self._notes.caveat

    def samples_of(self, pair: Pair) -> tuple[Sample, Sample]:
        """Return the left and the right picture of a question; raise `BelugaError` where one is damaged."""
        return self.samples[pair.left.place], self.samples[pair.right.place]

    def caption(self, pair: Pair) -> str:
        """Return the prompt of both pictures, or what their prompts have in common.

        A model or another parameter is never named, since a later vote may be about it.
        """
        prompts = {each.picture.recipe.request.prompt for each in self.samples_of(pair)}
        # Prompts that differ would be a hint at which is which.
        words = prompts.pop() if len(prompts) == 1 else " · ".join(label for _, label in pair.prompt)
        folded = words.casefold()
        hidden = {*self._notes.labels, *self._notes.models}
        return (
            ""
            if any(name and name.casefold() in folded for name in hidden)
            else sanitize(words, LONGEST_PROMPT)
        )

    def cast(self) -> list[Vote]:
        """Return the recorded votes on the criterion, on these and other pictures."""
        return [vote for vote in self._reader.votes() if vote.criterion == self.criterion]

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Let no one else vote in the block, in any process; raise `StoreError` where that fails."""
        # First here: threads wait for each other without asking the disk again and again.
        with self._lock, exclusively(self.store):
            yield


class Voting:
    """The questions of one voter: two pictures without names, until it is revealed which is which."""

    def __init__(
        self,
        contest: Contest,
        *,
        voter: str = "",
        repeats: int = 0,
        seed: int | None = None,
        is_closed: Callable[[], bool] = lambda: False,
    ) -> None:
        self.contest, self.voter = contest, voter_name(voter)
        self._is_closed = is_closed
        self._rng = random.Random(seed)
        self._votes: list[Vote | None] = []
        self._damaged = 0
        self._box = Box(contest.store, self.voter, contest.criterion)
        self._ballot = Ballot.of(
            contest.pairs,
            by_whom=self.voter,
            votes=contest.cast(),
            rng=self._rng,
            repeats=repeats,
            sides=contest.sides,
        )

    @property
    def question(self) -> Pair | None:
        """The pair that is asked about, or None at the end."""
        return self._ballot.question

    @property
    def total(self) -> int:
        """How many pairs there are, those that are asked about again included."""
        pairs = len(self.contest.pairs) - self._damaged
        return pairs + self._ballot.repeated + len(self._ballot.again)

    @property
    def done(self) -> int:
        """How many of them the voter has compared, here or elsewhere."""
        return self.total - self._ballot.total + len(self._ballot.answers)

    @property
    def progress(self) -> str:
        """How far it is, and whether what is shown are previews."""
        return f"{self.done} of {self.total} compared. {self.contest.caveat}".rstrip()

    @property
    def summary(self) -> list[str]:
        """What the voter has compared and how consistently, in sentences that name no picture."""
        mine = [vote for vote in self.contest.cast() if vote.voter == self.voter]
        found = Votes(by=self.contest.by, rows=tuple(duels(mine, self.contest.pairs)))
        pairs = len({frozenset(row.pictures) for row in found.rows})
        sentences = [f"You compared {plural(pairs, 'pair')}."]
        if of := found.repeated.of:
            answered = f"you answered {found.repeated.count} as before."
            sentences.append(f"Of {plural(of, 'pair')} that came again, {answered}")
        if of := found.intransitive.of:
            agree = of - found.intransitive.count
            sentences.append(f"In {agree} of {plural(of, 'set')} of three pictures, your answers agree.")
        if of := found.left.of:
            sentences.append(
                f"You preferred the first picture, on the left or above, in {found.left.count} of "
                f"{plural(of, 'answer')}."
            )
        return sentences

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to take back."""
        return bool(self._ballot.given)

    def answer(self, answer: str, *, seconds: float | None = None) -> bool:
        """Record an answer, or "skip" it, and return whether a vote was recorded.

        `seconds` is how long the question was shown. A pair that the voter has judged in another booth
        meanwhile is not recorded again, and none after the end. Raises `StoreError` where recording fails:
        the question stays.
        """
        question = self.question
        # What is not recorded needs no lock, and no store that can be written.
        with nullcontext() if answer == SKIP else self.contest.exclusively():
            self._leave_out_judged()
            if question is None or question is not self.question or self._is_closed():
                return False
            after = self._ballot.answered(answer, self._rng)
            left, right = question.left.sha256, question.right.sha256
            asked = {"left": left, "right": right, "answer": answer}
            vote = None if answer == SKIP else self._box.cast(**asked, seconds=seconds)
        # Only now: a vote that could not be written leaves the question where it is.
        self._votes.append(vote)
        self._ballot = after
        return vote is not None

    def undo(self) -> bool:
        """Take the last answer back, and return whether that was a vote; raise `StoreError` if it fails."""
        if not self._votes:
            return False
        if vote := self._votes[-1]:
            with self.contest.exclusively():
                if self._is_closed():
                    return False
                self._box.undo(vote)
        # Only after the store has it: what could not be recorded stays as it was.
        self._votes.pop()
        self._ballot = self._ballot.undone()
        return vote is not None

    def pass_over(self) -> None:
        """Leave out the pair that is asked about, a picture of which is damaged."""
        before, self._ballot = self._ballot, self._ballot.passed_over(self._rng)
        self._damaged += len(before.left) - len(self._ballot.left)

    def _leave_out_judged(self) -> None:
        own = {vote.id for vote in self._votes if vote}
        elsewhere = (
            frozenset({vote.left, vote.right})
            for vote in self.contest.cast()
            if vote.voter == self.voter and vote.id not in own
        )
        self._ballot = self._ballot.without(Counter(elsewhere), self._rng)
