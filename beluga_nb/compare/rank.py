"""A ranking from votes: a strength for each name, how sure it is, and which two names are told apart.

A tie counts as half a win for each. Of "both bad" nothing follows for who is better: it is counted beside the
ranking, and in it not at all. `inference` has the model, and why intervals look at prompts and voters.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from beluga_nb.compare.axes import PROMPT
from beluga_nb.compare.inference import MIN_PROMPTS, MIN_VOTERS, MIN_VOTES, Wins, fit
from beluga_nb.compare.scores import ALL_PAIRS
from beluga_nb.compare.vote import NO_VOTES, Duel
from beluga_nb.errors import UnknownNameError
from beluga_nb.interrupted import showing
from beluga_nb.redaction import redacted_bundle
from beluga_nb.result import Bundle, Preview
from beluga_nb.store.votes import BOTH_BAD, LEFT, RIGHT, TIE
from beluga_nb.text import and_more, plural

if TYPE_CHECKING:
    from numpy.typing import NDArray

ELO = 400 / math.log(10)
"""Elo points of one unit of strength."""

TOO_WIDE = 100.0
"""Elo points to each side above which a strength is imprecise: odds of 64 to 36."""

_NAMED = 6


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A name in a ranking: its strength in Elo points from the mean, between `low` and `high` with 95 %.

    The interval is infinite where there were too few prompts or votes for one. `bad` is how often it was one
    of two that were both bad.
    """

    name: str
    elo: float
    low: float
    high: float
    wins: int = 0
    losses: int = 0
    ties: int = 0
    bad: int = 0

    @property
    def has_interval(self) -> bool:
        """Whether it was compared on enough prompts, and often enough, for an interval."""
        return math.isfinite(self.high)

    @property
    def precise(self) -> bool:
        """Whether there were enough votes for a narrow interval."""
        return self.high - self.low <= 2 * TOO_WIDE

    @property
    def win_rate(self) -> float | None:
        """The share of its comparisons that it won, a tie as half; None where it was not compared."""
        games = self.wins + self.losses + self.ties
        return (self.wins + self.ties / 2) / games if games else None


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Names by how they fared in votes, sorted by the lower bound: who was hardly compared does not lead.

    `wins[i][j]` is how often the standing `i` won against `j`, a tie as half. `alike` are the pairs that the
    votes do not tell apart; `votes` are those that compare, and `bad` those that found both bad. `prompts`,
    `samples` and `voters` count what was compared, and by whom. `criterion` is what voters were asked about,
    `left_out` says which votes do not count, `caveat` is a remark on what was compared, `pictures` are
    examples by name, and `plot` is all of it as one picture.
    """

    by: str
    standings: tuple[Standing, ...]
    wins: tuple[tuple[float, ...], ...]
    votes: int
    bad: int = 0
    prompts: int = 0
    samples: int = 0
    voters: int = 0
    alike: tuple[tuple[str, str], ...] = ()
    criterion: str = ""
    left_out: str = ""
    caveat: str = ""
    pictures: Mapping[str, Preview] = field(default_factory=dict, compare=False, repr=False)
    plot: Preview | None = field(default=None, compare=False, repr=False)

    @property
    def ranks(self) -> list[tuple[int, int]]:
        """The best and the worst rank of each name that the votes allow.

        A name ranks below each that is told apart from it and stronger. How precise its strength is, is
        another matter: 7 wins of 7 tell two names apart, and leave open by how much.
        """
        alike = {*self.alike, *(pair[::-1] for pair in self.alike)}
        ranks = []
        for one in self.standings:
            apart = [
                other.elo for other in self.standings if other != one and (one.name, other.name) not in alike
            ]
            stronger = sum(elo > one.elo for elo in apart)
            ranks.append((1 + stronger, len(self.standings) - len(apart) + stronger))
        return ranks

    @property
    def names(self) -> list[str]:
        """The names, in order."""
        return [standing.name for standing in self.standings]

    @property
    def too_few(self) -> bool:
        """Whether there are too few votes for narrow intervals."""
        return not all(standing.precise for standing in self.standings)

    @property
    def note(self) -> str:
        """How much the votes show, in words."""
        return " ".join(filter(None, [self.findings, self.caveat]))

    @property
    def findings(self) -> str:
        """What was compared and told apart, and which votes do not count, in words."""
        return " ".join(filter(None, [self._summary(), self._bad(), self.left_out]))

    def _summary(self) -> str:
        if not self.votes:
            return "Nothing can be said." if self.bad else NO_VOTES
        words = [
            f"Compared on {self._compared} by {plural(self.voters, 'voter')}: {plural(self.votes, 'vote')}."
        ]
        if max(self.prompts, self.samples) < MIN_PROMPTS:
            return f"{words[0]} Fewer than {MIN_PROMPTS} {self._units} bear no intervals."
        without = [each.name for each in self.standings if not each.has_interval]
        if without:
            names = ", ".join(without[:_NAMED]) + and_more(len(without) - _NAMED)
            names = "any name" if len(without) == len(self.standings) else names
            words.append(
                f"No interval for {names}: fewer than {MIN_PROMPTS} {self._units} or {MIN_VOTES} votes."
            )
        elif self.too_few:
            widest = max((each.high - each.low) / 2 for each in self.standings)
            words.append(f"Too few for narrow intervals: up to ±{widest:.0f} Elo points.")
        return " ".join([*words, *self._apart(), *self._reach()])

    def _apart(self) -> Iterator[str]:
        """Yield which names are told apart, and how sure that is; of two names, only if they are not."""
        count = math.comb(len(self.standings), 2)
        if len(self.alike) == count > 0:
            yield "No two are told apart."
        elif self.alike:
            pairs = "; ".join(f"{one} and {other}" for one, other in self.alike[:_NAMED])
            yield f"Not told apart: {pairs}{and_more(len(self.alike) - _NAMED)}."
            yield f"All other pairs are, with {ALL_PAIRS}."
        elif count > 1:
            yield f"All are told apart, with {ALL_PAIRS}."

    @property
    def _compared(self) -> str:
        if self._units == "prompts":
            return plural(self.prompts, "prompt")
        of = "" if self.by == PROMPT else f" of {plural(self.prompts, 'prompt')}"
        return f"{plural(self.samples, 'sample')}{of}"

    @property
    def _units(self) -> str:
        """What had to be many, for intervals."""
        return "prompts" if self.prompts >= MIN_PROMPTS or self.prompts == self.samples else "samples"

    def _reach(self) -> Iterator[str]:
        """Yield what intervals hold for, where it is less than all prompts and voters."""
        few = [
            f"this {one}" if count == 1 else f"these {count} {one}s"
            for one, count, enough in (
                ("prompt", self.prompts, MIN_PROMPTS),
                ("voter", self.voters, MIN_VOTERS),
            )
            if count < enough and self.by != one
        ]
        if few:
            yield f"This holds for {' and '.join(few)} alone."

    def _bad(self) -> str:
        return (
            f"{plural(self.bad, 'vote')} found 'both bad', which does not count in the ranking."
            if self.bad
            else ""
        )

    def to_svg(self) -> str:
        """Return the strengths and their intervals as an SVG picture."""
        from beluga_nb.show.ranking import ranking_svg

        return ranking_svg(self)

    @showing
    def _repr_mimebundle_(self, include: Collection[str] | None = None, **_: object) -> Bundle:
        from beluga_nb.show.markup import base64_of
        from beluga_nb.show.ranking import ranking_bundle

        # A list of kinds asks for text: the plot is left out then.
        plot = self.plot if include is None else None
        image = {plot.media_type: base64_of(plot)} if plot else {}
        return redacted_bundle({**ranking_bundle(self), **image})


@dataclass(frozen=True, kw_only=True)
class Rankings(Mapping[str, Ranking]):
    """Rankings by the names of their groups; `per` says what these are."""

    per: str
    by: str
    groups: Mapping[str, Ranking]
    caveat: str = ""

    def __getitem__(self, name: str) -> Ranking:
        return self.groups[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.groups)

    def __len__(self) -> int:
        return len(self.groups)

    @showing
    def _repr_mimebundle_(self, **_: object) -> Bundle:
        from beluga_nb.show.ranking import rankings_bundle

        return redacted_bundle(rankings_bundle(self))


CRITERION, VOTER = "criterion", "voter"
"""What votes are grouped by, beside the labels of their pictures."""


def rankings(
    votes: Iterable[Duel],
    *,
    by: str,
    per: str | Callable[[Mapping[str, str]], str],
    criterion: str = "",
    names: Iterable[str] = (),
) -> Rankings:
    """Return a ranking for each group of votes; see `Evaluable.rankings`."""
    groups: dict[str, list[Duel]] = {}
    names = list(names)
    for vote in votes:
        if per == CRITERION or vote.criterion == criterion:
            groups.setdefault(_group(vote, per), []).append(vote)
    return Rankings(
        per=per if isinstance(per, str) else "group",
        by=by,
        groups={
            name: ranking(found, by=by, criterion=found[0].criterion, names=names)
            for name, found in sorted(groups.items())
            if not all(vote.excluded for vote in found)
        },
    )


def _group(vote: Duel, per: str | Callable[[Mapping[str, str]], str]) -> str:
    labels = dict(vote.sample[0])
    if not isinstance(per, str):
        return str(per(labels))
    found = {CRITERION: vote.criterion, VOTER: vote.voter} | labels
    if per not in found:
        raise UnknownNameError("axis", per, found)
    return found[per]


def ranking(votes: Iterable[Duel], *, by: str, criterion: str = "", names: Iterable[str] = ()) -> Ranking:
    """Return the ranking that votes on a criterion make; `names` are ranked even without votes on them."""
    given = list(votes)
    votes = [vote for vote in given if vote.criterion == criterion and not vote.excluded]
    found = list(
        dict.fromkeys([*names, *sorted({each for vote in votes for each in (vote.left, vote.right)})])
    )
    compared = [vote for vote in votes if vote.answer != BOTH_BAD]
    prompts = {vote.prompt for vote in compared}
    samples = {vote.sample for vote in compared}
    # Few prompts say nothing of others: their samples are what may have been different.
    many = len(prompts) >= MIN_PROMPTS
    drawn = [vote.prompt if many else vote.sample for vote in compared]
    voters = [vote.voter for vote in compared]
    of_prompt, of_voter = _numbered(drawn), _numbered(voters)
    # Each voter on each prompt: the pairs that occur, numbered without gaps.
    _, of_cell = np.unique(of_prompt * (of_voter.max(initial=0) + 1) + of_voter, return_inverse=True)
    by_prompt, by_voter, by_cell = wins_of(compared, found, [of_prompt, of_voter, of_cell])
    measured = fit(by_prompt, by_voter, by_cell)
    # Rounded, since the last digits differ between machines, and a replay must not.
    strengths = [round(float(strength), 10) for strength in measured.strengths]
    half = [round(measured.margin(each), 10) for each in range(len(found))]
    order = sorted(
        range(len(found)),
        key=lambda each: (round(half[each] - strengths[each], 9), -strengths[each], found[each]),
    )
    apart, wins = measured.apart(), by_prompt.sum()
    cast = Counter((vote.left, vote.right, vote.answer) for vote in votes)
    return Ranking(
        by=by,
        standings=tuple(_standing(found[i], strengths[i] * ELO, half[i] * ELO, cast) for i in order),
        wins=tuple(tuple(float(wins[i, j]) for j in order) for i in order),
        votes=len(compared),
        bad=len(votes) - len(compared),
        prompts=len(prompts),
        samples=len(samples),
        voters=len(set(voters)),
        criterion=criterion,
        left_out=_left_out(given, criterion),
        alike=tuple(
            (found[i], found[j]) for i, j in combinations(order, 2) if frozenset({i, j}) not in apart
        ),
    )


def _left_out(votes: Sequence[Duel], criterion: str) -> str:
    """Return which votes do not count, in words."""
    out = [vote for vote in votes if vote.excluded and vote.criterion == criterion]
    other = sorted({vote.criterion for vote in votes if not vote.excluded} - {criterion})
    words = []
    if out:
        voters = plural(len({vote.voter for vote in out}), "excluded voter")
        words.append(f"{plural(len(out), 'vote')} by {voters} left out.")
    if other and not any(vote.criterion == criterion for vote in votes):
        words.append(f"There are votes on {', '.join(repr(each) for each in other)}.")
    return " ".join(words)


def _standing(name: str, elo: float, half: float, cast: Mapping[tuple[str, str, str], int]) -> Standing:
    """Return the standing of a name, from how often each answer was given to each two names."""
    mine = Counter[str]()
    for (left, right, answer), count in cast.items():
        if name in (left, right):
            won = answer == (LEFT if left == name else RIGHT)
            mine["won" if won else "lost" if answer in {LEFT, RIGHT} else answer] += count
    return Standing(
        name=name,
        elo=float(elo),
        low=float(elo - half),
        high=float(elo + half),
        wins=mine["won"],
        losses=mine["lost"],
        ties=mine[TIE],
        bad=mine[BOTH_BAD],
    )


def _numbered(values: Sequence[Hashable]) -> NDArray[np.int64]:
    """Return a number for each value, the same for equal ones, in an order that does not depend on theirs."""
    numbers = {value: number for number, value in enumerate(sorted(set(values), key=repr))}
    return np.fromiter(map(numbers.__getitem__, values), dtype=np.int64, count=len(values))


def wins_of(votes: Sequence[Duel], names: Sequence[str], clusters: Iterable[NDArray[np.int64]]) -> list[Wins]:
    """Return how often each name won against each other one, a tie as half a win for both.

    Each of `clusters` has the number of the cluster of each vote; there is a result for each.
    """
    place, share = {name: number for number, name in enumerate(names)}, {LEFT: 1.0, RIGHT: 0.0}
    left = np.fromiter((place[vote.left] for vote in votes), dtype=np.int64, count=len(votes))
    right = np.fromiter((place[vote.right] for vote in votes), dtype=np.int64, count=len(votes))
    shares = np.fromiter((share.get(vote.answer, 0.5) for vote in votes), dtype=np.float64, count=len(votes))
    return [Wins(each, left, right, shares, len(names)) for each in clusters]
