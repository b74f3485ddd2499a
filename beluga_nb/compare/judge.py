"""A vision model as a judge: questions about pictures, verdicts with reasons, and how far people agree.

Each question is a request like that for a picture (`request.Question`), so that caps, the journal and replays
are the same. Verdicts of a judge are no votes: no ranking of people contains them.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack, overload

from beluga_nb.compare.agreement import FIRST, SECOND, Share, alpha
from beluga_nb.compare.cell import Cell, Outcome, check_run
from beluga_nb.compare.sample import Sample, SampleNotes
from beluga_nb.compare.scores import Scored, Scores
from beluga_nb.compare.vote import Duel, Labels, Pair, pairs, prompt_of
from beluga_nb.compare.workspace import Progress, Runner, RunOptions
from beluga_nb.engines.call import Tally
from beluga_nb.errors import BelugaError, InvalidVerdictError, RequestError
from beluga_nb.interrupted import showing
from beluga_nb.key_check import check_no_key
from beluga_nb.placeholders import filled
from beluga_nb.redaction import redact, redacted_bundle
from beluga_nb.request import Question, check_text
from beluga_nb.result import Answer, Bundle, whole
from beluga_nb.runtime import Job, awaitable, blocking
from beluga_nb.signatures import named_methods, named_options
from beluga_nb.store.votes import BOTH_BAD, LEFT, RIGHT, TIE
from beluga_nb.text import plural, sanitize, shown
from beluga_nb.untrusted import DAMAGE, load_json, members, number, text
from beluga_nb.untrusted import whole as integer

if TYPE_CHECKING:
    from beluga_nb.compare.plan import Plan
    from beluga_nb.compare.rank import Ranking

Judgement = TypeVar("Judgement")
"""What the answers to some questions say."""

YES_OR_NO = ("yes", "no")

_SIDES = {"first": LEFT, "second": RIGHT, "tie": TIE}
_TURNED = {LEFT: RIGHT, RIGHT: LEFT, TIE: TIE}

PAIR_CHOICES = {"first": 1.0, "second": 0.0, "tie": 0.5}

_LONGEST_REASON = 300  # characters that a table shows

MOST_ANSWERS = 1_000
"""Answers to one question that may be asked for."""

Choices = Sequence[str] | Mapping[str, float]
"""What a judge chooses from: words from the best to the worst, or the value of each."""


@dataclass(frozen=True, kw_only=True)
class Rubric:
    """What a verdict may be: one of some `choices`, each with its value, or a number from `low` to `high`."""

    choices: Mapping[str, float]
    low: float = 0.0
    high: float = 1.0

    @classmethod
    def of(cls, choices: Choices | None, scale: tuple[float, float] | None) -> Rubric:
        """Return the rubric of some choices, or of a scale; raise `RequestError` for neither or both.

        >>> dict(Rubric.of(["yes", "partly", "no"], None).choices)
        {'yes': 1.0, 'partly': 0.5, 'no': 0.0}
        """
        if choices is not None and scale is not None:
            raise RequestError("There are choices and a scale.", "Give one of the two.")
        try:
            if scale is not None:
                return cls._of_scale(scale)
            return cls._of_choices(YES_OR_NO if choices is None else choices)
        except (TypeError, ValueError):
            what, given = ("scale is", scale) if scale is not None else ("choices are", choices)
        raise RequestError(
            f"The {what} {shown(given, 60)}.",
            "Give at least two different words, or a scale of two numbers, such as (1, 10).",
        )

    @classmethod
    def _of_scale(cls, scale: tuple[float, float]) -> Rubric:
        low, high = map(number, scale)
        if not low < high:
            raise ValueError("nothing between")
        return cls(choices={}, low=low, high=high)

    @classmethod
    def _of_choices(cls, given: Choices) -> Rubric:
        if isinstance(given, str) or len(given) < 2 or len({*map(text, given)}) < len(given):
            raise ValueError("nothing to choose")
        if not isinstance(given, Mapping):
            last = len(given) - 1
            given = {word: 1 - place / last for place, word in enumerate(given)}
        return cls(choices={word: number(value) for word, value in given.items()})

    @property
    def schema(self) -> str:
        """The JSON Schema of a verdict: the reason comes first, so that a model gives it before."""
        verdict: dict[str, object] = (
            {"type": "string", "enum": list(self.choices)}
            if self.choices
            else {"type": "number", "minimum": self.low, "maximum": self.high}
        )
        reason = {"type": "string", "description": "Why, in one or two sentences."}
        schema = {
            "type": "object",
            "properties": {"reason": reason, "verdict": verdict},
            "required": ["reason", "verdict"],
            "additionalProperties": False,
        }
        return json.dumps(schema, ensure_ascii=False)

    def verdict(self, answer: Answer) -> Verdict:
        """Return the verdict in an answer; raise `InvalidVerdictError` where it does not fit."""
        given = members(load_json(answer.data))
        if given["refusal"]:
            raise _invalid("The judge declined to answer", given["refusal"])
        try:
            fields = members(load_json(given["content"]))
            if set(fields) != {"reason", "verdict"}:
                raise ValueError("other fields")
            reason, word = text(fields["reason"]), fields["verdict"]
            value = self.choices[text(word)] if self.choices else number(word)
            if not self.choices and not self.low <= value <= self.high:
                raise ValueError("out of range")
        except DAMAGE:
            what = "was cut off" if given["ended"] == "length" else "does not fit its schema"
            raise _invalid(f"The answer of the judge {what}", given["content"]) from None
        return Verdict(
            value=value,
            answer=word,
            reason=redact(reason),
            model=given["model"],
            local=answer.recipe.procedural,
        )


PAIR = Rubric(choices=PAIR_CHOICES)
"""Which of two pictures is better."""


def _invalid(what: str, words: str | None) -> InvalidVerdictError:
    return InvalidVerdictError(
        f"{what}: {sanitize(words or '', 160) or 'it is empty'}",
        "It is recorded, and not bought again: a new take asks anew.",
    )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One answer of a judge: the word or number that it gave, what that counts, and why.

    `model` is the name under which the service says that it answered. A `local` verdict is no model's: the
    embedded server reads what its painter drew.
    """

    value: float
    answer: str | float
    reason: str
    model: str = ""
    local: bool = False


Load = Callable[[], Sequence[bytes]]


@dataclass(frozen=True, kw_only=True)
class Judging:
    """What is asked of a judge, how often, and in which words it answers."""

    question: str
    model: str
    rubric: Rubric
    n: int = 1
    take: str = ""

    def __post_init__(self) -> None:
        for name in ("question", "model", "take"):
            check_text(name, getattr(self, name))
        try:
            # Before any loop: each answer is a call.
            integer(self.n, least=1, most=MOST_ANSWERS)
        except (TypeError, ValueError):
            raise RequestError(
                f"n is {shown(self.n, 60)}.",
                f"Give n as a whole number from 1 to {MOST_ANSWERS:,}.",
                param="n",
            ) from None

    def about(self, found: Sequence[Sample], load: Load, values: Mapping[str, str]) -> Cell:
        """Return the question about some pictures, filled from `values`; `load` reads their bytes again."""
        prompt = filled(self.question, values)
        check_no_key({"question": prompt, "model": self.model, "take": self.take})
        question = Question(
            prompt=prompt,
            model=self.model,
            n=self.n,
            take=self.take,
            about=tuple(sample.picture.sha256 for sample in found),
            schema=self.rubric.schema,
            load=load,
        )
        labels = found[0].labels
        return Cell(axes=tuple(labels), key=tuple(labels.values()), request=question)


def _bytes(samples: Sequence[Sample], places: Sequence[int]) -> list[bytes]:
    # Read again when they are sent: a grid's pictures do not fit into memory at once.
    return [whole(samples[place].picture) for place in places]


def _values(sample: Sample) -> dict[str, str]:
    recipe = sample.picture.recipe
    return {**sample.labels, **recipe.values, "prompt": recipe.request.prompt}


def _watch(questions: Questions[Any], tally: Tally | None) -> Progress:
    return questions._runner.calling(tally or Tally(unit="answer"), label="judge")


@named_methods
class Questions(ABC, Generic[Judgement]):
    """Questions to a vision model about pictures; nothing is asked before they are run.

    A notebook shows their `plan`.
    """

    def __init__(self, judging: Judging, *, runner: Runner) -> None:
        self.judging = judging
        self._runner = runner

    @property
    @abstractmethod
    def cells(self) -> Sequence[Cell]:
        """Every question, one after the other."""

    @abstractmethod
    def judged(self, outcomes: Mapping[Cell, Outcome]) -> Judgement:
        """Return what the answers say."""

    def plan(self, *, mode: str | None = None) -> Plan:
        """Return what `run` would send beyond what is recorded, and the highest cost; send nothing."""
        return self._runner.plan(self.cells, mode=mode)

    @named_options(RunOptions)
    def submit(self, *, tally: Tally | None = None, **options: Unpack[RunOptions]) -> Job[Judgement]:
        """Start asking for what is not recorded.

        Each verdict has its reason, and an error stays with its picture. The options are as in `Grid.run`,
        and each answer counts as a picture in `max_images`.
        """
        outcomes: dict[Cell, Outcome] = {}

        def ended(cause: BelugaError | None) -> Judgement:
            # In the order of the questions, not of the answers: an error reads the same each time.
            asked = [outcomes[cell] for cell in self.cells if cell in outcomes]
            check_run(cause, asked, of="run", each="question")
            return self.judged(outcomes)

        return self._runner.submit(self.cells, outcomes.__setitem__, ended, tally=tally, **options)

    run = blocking("run", submit, watch=_watch)
    arun = awaitable("arun", submit)

    def __repr__(self) -> str:
        return f"<{plural(len(self.cells), 'question')} to {sanitize(self.judging.model, 80)}>"

    @showing
    def _repr_mimebundle_(self, **_: object) -> Bundle:
        return redacted_bundle(self.plan()._repr_mimebundle_())


# --- one picture at a time


@dataclass(frozen=True)
class Judged(Scores):
    """What a judge gave for each picture, in order: means of its verdicts, which are in `verdicts`."""

    verdicts: tuple[tuple[Verdict, ...], ...] = ()

    @property
    def judge(self) -> str:
        """The model that judged."""
        return self.version

    @property
    def is_of_judge(self) -> bool:
        """Whether a vision model gave them."""
        return True


@named_methods
class PictureQuestions(Questions[Judged]):
    """Questions to a vision model about each of some pictures; nothing is asked before they are run."""

    def __init__(self, samples: Sequence[Sample], judging: Judging, *, runner: Runner) -> None:
        super().__init__(judging, runner=runner)
        self.notes = SampleNotes()
        self._numbers: list[int] = []
        self._cells: list[Cell] = []
        for place, sample in enumerate(self.notes.reading(samples)):
            self._numbers.append(sample.number)
            self._cells.append(judging.about([sample], partial(_bytes, samples, [place]), _values(sample)))

    @property
    def cells(self) -> Sequence[Cell]:
        """Every question, one after the other."""
        return self._cells

    def judged(self, outcomes: Mapping[Cell, Outcome]) -> Judged:
        """Return the verdicts as scores."""
        rows, verdicts = list[Scored](), list[tuple[Verdict, ...]]()
        for place, cell in zip(self._numbers, self.cells, strict=True):
            found, error = _verdicts(outcomes.get(cell, Outcome()), self.judging.rubric)
            value = None if error or not found else fmean(each.value for each in found)
            [sha256] = cell.request.inputs
            reason = reasons(found)
            rows.append(
                Scored(
                    labels=cell.labels, number=place, sha256=sha256, value=value, reason=reason, error=error
                )
            )
            verdicts.append(found)
        caveat = _caveat(self.notes, (each for found in verdicts for each in found))
        return Judged(self.judging.question, self.judging.model, tuple(rows), caveat, tuple(verdicts))


def _verdicts(outcome: Outcome, rubric: Rubric) -> tuple[tuple[Verdict, ...], BelugaError | None]:
    found, error = [], outcome.error
    for answer in outcome.answers:
        try:
            found.append(rubric.verdict(answer))
        except InvalidVerdictError as invalid:
            error = error or invalid
    return tuple(found), error


def reasons(verdicts: Iterable[Verdict]) -> str:
    """Return the reasons of some verdicts; repeats may have the same one."""
    return " · ".join(dict.fromkeys(sanitize(each.reason, _LONGEST_REASON) for each in verdicts))


def _caveat(notes: SampleNotes, verdicts: Iterable[Verdict]) -> str:
    local = "No model judged: the embedded server read what its painter drew."
    return " ".join(filter(None, [notes.caveat, local if any(each.local for each in verdicts) else ""]))


# --- two pictures, in both orders


@dataclass(frozen=True, kw_only=True)
class JudgedPair:
    """A comparison by a judge: what counts of it, and the verdicts with each picture shown first.

    Where the two orders name different pictures, it has `flipped`, and counts as a tie.
    """

    duel: Duel
    verdicts: tuple[Verdict, Verdict]

    @property
    def flipped(self) -> bool:
        """Whether the judge named the picture that it saw first, or second, in both orders."""
        one, other = (each.answer for each in self.verdicts)
        return one == other != "tie"


@dataclass(frozen=True, kw_only=True)
class JudgedPairs(Sequence[JudgedPair]):
    """What a judge found in pairs of pictures that differ in `by`, and how far people agree.

    `errors` are the reasons for which pairs were not judged.
    """

    by: str
    judge: str
    question: str
    rows: tuple[JudgedPair, ...]
    names: tuple[str, ...]
    agreement: Agreement
    errors: tuple[BelugaError, ...] = ()
    caveat: str = ""

    @property
    def flips(self) -> Share:
        """How often the judge contradicted itself when the pictures were shown in the other order."""
        return Share(count=sum(row.flipped for row in self.rows), of=len(self.rows))

    @property
    def ranking(self) -> Ranking:
        """The ranking that the judge's comparisons give; no vote of people is in it."""
        from beluga_nb.compare.rank import ranking  # Lazy import: it brings numpy.

        made = ranking([row.duel for row in self.rows], by=self.by, names=self.names)
        return replace(made, caveat=self.note)

    @property
    def note(self) -> str:
        """Who ranks, how consistent the judge is, and how far people agree."""
        flips = self.flips
        words = [f"Ranked by the judge {sanitize(self.judge, 80)}, not by people."]
        if flips.of:
            words.append(
                f"{flips.count} of {plural(flips.of, 'comparison')} flipped with the order of the pictures,"
                " and count as ties."
            )
        words += [f"{plural(len(self.errors), 'comparison')} failed."] if self.errors else []
        return " ".join(filter(None, [*words, str(self.agreement), self.caveat]))

    @overload
    def __getitem__(self, index: int) -> JudgedPair: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[JudgedPair]: ...
    def __getitem__(self, index: int | slice) -> JudgedPair | Sequence[JudgedPair]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        from beluga_nb.show.judge import pairs_bundle

        return redacted_bundle(pairs_bundle(self))


@dataclass(frozen=True)
class _Asked:
    """The questions about one pair: the left picture is first in one, and the right in the other."""

    pair: Pair
    orders: tuple[Cell, Cell]


@named_methods
class PairQuestions(Questions[JudgedPairs]):
    """Questions to a vision model about all pairs of some pictures; nothing is asked before they are run.

    `people` returns the votes of people, of which those on `criterion` are compared with the answers.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        judging: Judging,
        *,
        by: str,
        criterion: str,
        people: Callable[[], Iterable[Duel]],
        runner: Runner,
    ) -> None:
        super().__init__(judging, runner=runner)
        self.criterion, self._people = criterion, people
        self.notes = SampleNotes(by)
        self._asked = [self._both(samples, pair) for pair in pairs(self.notes.reading(samples), by=by)]
        if not self._asked:
            raise RequestError(
                f"No two of these pictures differ in '{sanitize(by, 60)}' alone.",
                "Judge by another axis, or ask for the same with another value of this one.",
            )

    @property
    def cells(self) -> Sequence[Cell]:
        """Every question, one after the other."""
        return [cell for asked in self._asked for cell in asked.orders]

    def _both(self, samples: Sequence[Sample], pair: Pair) -> _Asked:
        places = [pair.left.place, pair.right.place]
        found = [samples[place] for place in places]
        left, right = map(_values, found)
        common = {name: value for name, value in left.items() if right.get(name) == value}
        first, second = (
            self.judging.about(found[::way], partial(_bytes, samples, places[::way]), common)
            for way in (1, -1)
        )
        return _Asked(pair, (first, second))

    def judged(self, outcomes: Mapping[Cell, Outcome]) -> JudgedPairs:
        """Return what the judge found, beside the votes of people on the same pictures."""
        rows, errors = list[JudgedPair](), list[BelugaError]()
        for asked in self._asked:
            found = [_verdicts(outcomes.get(cell, Outcome()), self.judging.rubric) for cell in asked.orders]
            errors += [error for _, error in found if error][:1]
            (one, _), (other, _) = found
            if not any(error for _, error in found):
                rows += [self._pair(asked.pair, two) for two in zip(one, other, strict=False)]
        duels = [row.duel for row in rows]
        return JudgedPairs(
            by=self.notes.by,
            judge=self.judging.model,
            question=self.judging.question,
            rows=tuple(rows),
            names=tuple(self.notes.labels),
            agreement=agreement(duels, self._people(), judge=self.judging.model, criterion=self.criterion),
            errors=tuple(errors),
            caveat=_caveat(self.notes, (each for row in rows for each in row.verdicts)),
        )

    def _pair(self, pair: Pair, verdicts: tuple[Verdict, Verdict]) -> JudgedPair:
        one, other = _SIDES[str(verdicts[0].answer)], _TURNED[_SIDES[str(verdicts[1].answer)]]
        duel = Duel(
            left=pair.left.label,
            right=pair.right.label,
            answer=one if one == other else TIE,
            prompt=pair.prompt,
            sample=pair.sample,
            voter=self.judging.model,
            pictures=(pair.left.sha256, pair.right.sha256),
        )
        return JudgedPair(duel=duel, verdicts=verdicts)


# --- people


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far people agree with a judge, on the pairs that both judged.

    `same` is how often a vote is the judge's answer. `alpha` is Krippendorff's, of the judge and the majority
    of people on each pair, and `people` is that of people among themselves: 1 is full agreement, and 0 what
    chance would give. Votes for "both bad" do not count. `criterion` is what people voted on. `interval` is
    the 95 % interval of the share, for other prompts too; None for fewer than 4 prompts.
    """

    judge: str
    same: Share
    pairs: int
    alpha: float | None = None
    people: float | None = None
    criterion: str = ""
    interval: tuple[float, float] | None = None

    def __str__(self) -> str:
        on = f" on the criterion {sanitize(self.criterion, 80)}" if self.criterion else ""
        if not self.same.of:
            return f"No votes of people on these pairs{on}: how far they agree is not known."
        interval = "no interval: too few prompts"
        if self.interval:
            interval = f"95 % interval {self.interval[0]:.0%} to {self.interval[1]:.0%}"
        words = [
            f"{self.same.count} of {plural(self.same.of, 'vote')} of people on {plural(self.pairs, 'pair')}"
            f"{on} agree with {sanitize(self.judge, 80)} ({interval})"
        ]
        words += [f"alpha = {self.alpha:.2f}"] if self.alpha is not None else []
        words += [f"of people among themselves {self.people:.2f}"] if self.people is not None else []
        return f"{', '.join(words)}."

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        from beluga_nb.show.judge import agreement_bundle

        return redacted_bundle(agreement_bundle(self))


def agreement(
    judge_duels: Iterable[Duel], people: Iterable[Duel], *, judge: str, criterion: str = ""
) -> Agreement:
    """Return how far votes of people on a criterion agree with what a judge prefers."""
    # A voter is one observer: of a pair that they judged again, the last vote counts.
    last = {
        (each.voter, each.sample, frozenset({each.left, each.right})): each
        for each in people
        if each.criterion == criterion
    }
    by_judge, by_people = _by_pair(judge_duels), _by_pair(last.values())
    both = [pair for pair in by_judge if pair in by_people]
    majority = {pair: _majority(by_judge[pair]) for pair in both}
    votes = [(pair, answer) for pair in both for answer in by_people[pair]]
    same = Share(count=sum(answer == majority[pair] for pair, answer in votes), of=len(votes))
    turned: Mapping[Hashable, Hashable] = {FIRST: SECOND, SECOND: FIRST}
    return Agreement(
        judge=judge,
        same=same,
        pairs=len(both),
        alpha=alpha(([majority[pair], _majority(by_people[pair])] for pair in both), turned=turned),
        people=alpha((by_people[pair] for pair in both), turned=turned),
        criterion=criterion,
        interval=_interval(
            same, ((prompt_of(pair[0][0]), answer == majority[pair]) for pair, answer in votes)
        ),
    )


def _interval(same: Share, votes: Iterable[tuple[Labels, bool]]) -> tuple[float, float] | None:
    """Return where a share of votes lies with 95 %: votes on one prompt are alike.

    The variance is that of a ratio of sums over prompts, and the interval never narrower than Wilson's for
    independent votes.
    """
    from beluga_nb.compare.inference import MIN_PROMPTS, t_quantile  # Lazy import: it brings numpy.

    if not same.interval:
        return None
    share, excess = same.count / same.of, dict[Labels, float]()
    for prompt, agrees in votes:
        excess[prompt] = excess.get(prompt, 0.0) + agrees - share
    prompts = len(excess)
    if prompts < MIN_PROMPTS:
        return None
    if same.count in {
        0,
        same.of,
    }:  # Votes that are all alike have no variance: the interval is that of independent prompts.
        return Share(count=prompts if same.count else 0, of=prompts).interval
    variance = prompts / (prompts - 1) * sum(each**2 for each in excess.values()) / same.of**2
    half = t_quantile(prompts - 1) * math.sqrt(variance)
    low, high = same.interval
    return max(0.0, min(low, share - half)), min(1.0, max(high, share + half))


def _by_pair(duels: Iterable[Duel]) -> dict[tuple[tuple[Labels, int], str, str], list[str]]:
    found: dict[tuple[tuple[Labels, int], str, str], list[str]] = {}
    for duel in duels:
        if duel.answer == BOTH_BAD:
            continue
        first, second = sorted((duel.left, duel.right))
        chosen = {LEFT: duel.left, RIGHT: duel.right}.get(duel.answer)
        answer = TIE if chosen is None else FIRST if chosen == first else SECOND
        found.setdefault((duel.sample, first, second), []).append(answer)
    return found


def _majority(answers: Sequence[str]) -> str:
    (most, count), *others = Counter(answers).most_common()
    return TIE if others and others[0][1] == count else most


def duels_of(samples: Sequence[Sample], scores: Scores, *, by: str) -> Iterator[Duel]:
    """Yield which of each two pictures a score prefers: the higher one."""
    # The scores may be those of more pictures than these, or of others.
    values = {(row.sha256, frozenset(row.labels.items())): row.value for row in scores.rows}
    found = [values.get((each.picture.sha256, frozenset(each.labels.items()))) for each in samples]
    for pair in pairs(samples, by=by):
        left, right = (found[entrant.place] for entrant in (pair.left, pair.right))
        if left is not None and right is not None:
            yield Duel(
                left=pair.left.label,
                right=pair.right.label,
                answer=TIE if left == right else LEFT if left > right else RIGHT,
                prompt=pair.prompt,
                sample=pair.sample,
                voter=scores.version,
            )
