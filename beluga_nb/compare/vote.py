"""Blind votes: which two pictures are compared next, and what the votes mean for the labels they differ in.

Two pictures are a pair when their labels agree in all but one, `by`, and they have the same number. Nothing
here shows anything or reads a clock, and the `rng` that is passed is the only source of chance.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from types import MappingProxyType

from beluga_nb.compare.axes import AXIS_PARAMETERS
from beluga_nb.compare.sample import Sample
from beluga_nb.errors import RequestError, UnknownNameError
from beluga_nb.request import check_text
from beluga_nb.store.votes import ANSWERS, Exclusion, Vote

NO_VOTES = "No votes yet: vote() asks you, and ballot() serves a page for others."
SKIP = "skip"

Labels = tuple[tuple[str, str], ...]
"""Labels by the names of their axes."""


@dataclass(frozen=True)
class Entrant:
    """A picture in a vote: its place among the samples, its SHA-256, and its label on the axis `by`."""

    place: int
    sha256: str
    label: str


@dataclass(frozen=True)
class Pair:
    """Two pictures; as a question, `left` is shown on the left.

    `prompt` is what both show: their other labels, but for the parameters of a request. `sample` tells apart
    pairs of one prompt.
    """

    left: Entrant
    right: Entrant
    prompt: Labels = ()
    sample: tuple[Labels, int] = ((), 0)

    @property
    def pictures(self) -> frozenset[str]:
        """Which pictures these are, whatever their sides."""
        return frozenset({self.left.sha256, self.right.sha256})

    @property
    def labels(self) -> frozenset[str]:
        """What they stand for, whatever their sides."""
        return frozenset({self.left.label, self.right.label})

    @property
    def turned(self) -> Pair:
        """The pair with its sides exchanged."""
        return replace(self, left=self.right, right=self.left)


class Sides:
    """Draws which picture of a pair is shown on the left, so that both orders are shown equally often.

    Voters at the same time may share one; it begins with the orders of the votes that are given.
    """

    def __init__(self, votes: Iterable[Vote] = ()) -> None:
        self._shown = Counter((vote.left, vote.right) for vote in votes)
        self._lock = threading.Lock()

    def drawn(self, pair: Pair, rng: random.Random) -> Pair:
        """Return a pair in the order that was shown less often; one of both by chance."""
        order, other = (pair.left.sha256, pair.right.sha256), (pair.right.sha256, pair.left.sha256)
        with self._lock:
            more = self._shown[order] - self._shown[other]
            turns = more > 0 or (more == 0 and rng.random() < 0.5)
            self._shown[other if turns else order] += 1
        return pair.turned if turns else pair


@dataclass(frozen=True)
class Duel:
    """A vote on two labels: the answer, what it was about, by whom, and when.

    `pictures` are the SHA-256 of both sides. Where it does not count, `excluded` says why.
    """

    left: str
    right: str
    answer: str
    prompt: Labels = ()
    sample: tuple[Labels, int] = ((), 0)
    voter: str = ""
    time: int = 0
    criterion: str = ""
    seconds: float | None = None
    pictures: tuple[str, str] = ("", "")
    excluded: str = ""


def pairs(samples: Iterable[Sample], *, by: str) -> list[Pair]:
    """Return every pair of pictures that differ in `by` alone; the same bytes twice are none.

    Raises `UnknownNameError` where a picture has no label of that name.
    """
    check_text("by", by)
    found: dict[tuple[Labels, int], list[Entrant]] = {}
    for place, sample in enumerate(samples):
        if by not in sample.labels:
            raise UnknownNameError("axis", by, sample.labels)
        entrant = Entrant(place, sample.picture.sha256, sample.labels[by])
        found.setdefault((others(sample.labels, by=by), sample.number), []).append(entrant)
    return [
        Pair(*two, prompt=prompt_of(of[0]), sample=of)
        for of, entrants in found.items()
        for two in combinations(entrants, 2)
        if two[0].label != two[1].label and two[0].sha256 != two[1].sha256
    ]


def others(labels: Mapping[str, str], *, by: str) -> Labels:
    """Return the labels of all other axes; sorted, since those of several results may be in any order."""
    return tuple(sorted((name, label) for name, label in labels.items() if name != by))


def prompt_of(labels: Labels) -> Labels:
    """Return the labels that are about the prompt: those of no other parameter of a request."""
    return tuple((name, label) for name, label in labels if name not in AXIS_PARAMETERS)


def duels(
    votes: Iterable[Vote],
    among: Iterable[Pair],
    *,
    excluded: Mapping[str, Exclusion] = MappingProxyType({}),
) -> Iterator[Duel]:
    """Yield the votes on some pairs, by label; votes on other pictures are left out.

    `excluded` has the voters whose votes do not count.
    """
    shown: dict[tuple[str, str], Pair] = {}
    for pair in among:
        shown.setdefault((pair.left.sha256, pair.right.sha256), pair)
        shown.setdefault((pair.right.sha256, pair.left.sha256), pair.turned)
    for vote in votes:
        if found := shown.get((vote.left, vote.right)):
            yield Duel(
                left=found.left.label,
                right=found.right.label,
                answer=vote.answer,
                prompt=found.prompt,
                sample=found.sample,
                voter=vote.voter,
                time=vote.time,
                criterion=vote.criterion,
                seconds=vote.seconds,
                pictures=(vote.left, vote.right),
                excluded=excluded[vote.voter].reason if vote.voter in excluded else "",
            )


@dataclass(frozen=True, kw_only=True)
class Ballot:
    """A voting session: the `question` to be shown, what was answered so far, and what is left.

    The pair comes next whose labels were compared least, by all voters; skipped pairs come again at the end.
    Then the pairs of `again` are asked about a second time; `repeated` counts those that were, elsewhere.
    `before` counts the votes that were there when the session began.

    >>> ballot = Ballot.of([], by_whom="", votes=[], rng=random.Random(1))
    >>> ballot.question is None
    True
    """

    left: tuple[Pair, ...]
    again: tuple[Pair, ...] = ()
    repeated: int = 0
    before: Mapping[frozenset[str], int] = field(default_factory=dict)
    given: tuple[tuple[Pair, str], ...] = ()
    question: Pair | None = None
    sides: Sides = field(default_factory=Sides, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        among: Sequence[Pair],
        *,
        by_whom: str,
        votes: Iterable[Vote],
        rng: random.Random,
        repeats: int = 0,
        sides: Sides | None = None,
    ) -> Ballot:
        """Begin a session of a voter, who is asked again about `repeats` pairs that they have judged."""
        votes = list(votes)
        judged = Counter(frozenset({vote.left, vote.right}) for vote in votes if vote.voter == by_whom)
        fresh = [pair for pair in among if not judged[pair.pictures]]
        # Of pairs that were compared equally often, the first is asked about: their order is drawn here.
        rng.shuffle(fresh)
        before = Counter(frozenset({duel.left, duel.right}) for duel in duels(votes, among))
        once = [pair for pair in among if judged[pair.pictures] < 2]
        repeated = min(repeats, len(among) - len(once))
        again = tuple(rng.sample(once, min(repeats - repeated, len(once))))
        sides = sides or Sides(votes)
        return cls(left=tuple(fresh), again=again, repeated=repeated, before=before, sides=sides)._asking(rng)

    @property
    def answers(self) -> list[tuple[Pair, str]]:
        """What was answered, in order; what was skipped is no answer."""
        return [(pair, answer) for pair, answer in self.given if answer != SKIP]

    @property
    def total(self) -> int:
        """How many pairs the session has, answered or not."""
        return len(self.left) + len(self.again)

    def answered(self, answer: str, rng: random.Random) -> Ballot:
        """Return the ballot after an answer, or `SKIP`, to its question."""
        if answer not in {*ANSWERS, SKIP}:
            raise UnknownNameError("answer", answer, [*ANSWERS, SKIP])
        if self.question is None:
            raise RequestError("There is nothing left to compare.", "The ranking shows the outcome.")
        return replace(self, given=(*self.given, (self.question, answer)))._asking(rng)

    def undone(self) -> Ballot:
        """Return the ballot before its last answer, or skip: the same question, on the same sides."""
        if not self.given:
            return self
        *given, (question, _) = self.given
        return replace(self, given=tuple(given), question=question)

    def without(self, elsewhere: Mapping[frozenset[str], int], rng: random.Random) -> Ballot:
        """Return the ballot without pairs that the voter has judged elsewhere meanwhile, so often each."""
        own = Counter(pair.pictures for pair, _ in self.answers)
        times = Counter(elsewhere) + own
        left = tuple(pair for pair in self.left if own[pair.pictures] or not times[pair.pictures])
        fresh = {pair.pictures for pair in left}
        again = tuple(
            pair
            for pair in self.again
            if times[pair.pictures] < 2 or own[pair.pictures] > (pair.pictures in fresh)
        )
        if len(left) == len(self.left) and len(again) == len(self.again):
            return self  # A question that stays is not drawn again.
        repeated = self.repeated + len(self.again) - len(again)
        return replace(self, left=left, again=again, repeated=repeated)._asking(rng)

    def passed_over(self, rng: random.Random) -> Ballot:
        """Return the ballot without the pair of its question, which cannot be shown; its answers stay."""
        asked = self.question.pictures if self.question else frozenset()
        answered = {pair.pictures for pair, _ in self.answers}
        left = tuple(pair for pair in self.left if pair.pictures != asked or asked in answered)
        again = tuple(pair for pair in self.again if pair.pictures != asked)
        return replace(self, left=left, again=again)._asking(rng)

    def _asking(self, rng: random.Random) -> Ballot:
        done = Counter(pair.pictures for pair, _ in self.answers)
        skipped = Counter(pair.pictures for pair, answer in self.given if answer == SKIP)
        compared = Counter(self.before) + Counter(pair.labels for pair, _ in self.answers)
        fresh = {pair.pictures for pair in self.left}
        rest = [pair for pair in self.left if not done[pair.pictures]] or [
            pair for pair in self.again if done[pair.pictures] <= (pair.pictures in fresh)
        ]
        chosen = min(
            rest, key=lambda pair: (skipped[pair.pictures], compared[pair.labels]), default=None
        )  # of equals the first, in the order that was drawn
        return replace(self, question=chosen and self.sides.drawn(chosen, rng))
