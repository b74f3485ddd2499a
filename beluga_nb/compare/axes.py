"""Named axes become combinations: whole products, zipped axes, or a sample that a seed draws again.

Nothing here reads a file: `tables.py` does.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeGuard

from beluga_nb.errors import RequestError, UnknownNameError
from beluga_nb.hints import Hint, Remedy, did_you_mean
from beluga_nb.placeholders import filled, names, used
from beluga_nb.text import nearest, sanitize, shown

AXIS_PARAMETERS = ("model", "size", "quality", "take")
"""The parameters of a request that may be an axis."""

GRID_OPTIONS = (
    *AXIS_PARAMETERS,
    *("n", "pairs", "sample", "seed", "replace", "values"),
    *("output_format", "output_compression", "allow_unknown_model"),
)
"""The arguments of `Session.grid` beside the prompt and the axes."""

PROMPT = "prompt"
"""The axis of whole prompts."""

LABEL = "label"
"""The column of rows that names them."""

LONGEST_LABEL = 60
"""Characters of a label that is made from a value."""

LARGEST = 100_000
"""Combinations above which a grid is refused as a mistake."""

Row = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One value of an axis: its label, and what it sets by name: variables, parameters, a prompt, a term."""

    label: str
    sets: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A name and its values; with `replaces` they take the place of a term in the prompt."""

    name: str
    choices: tuple[Choice, ...]
    replaces: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of its values."""
        return tuple(choice.label for choice in self.choices)

    @property
    def names(self) -> set[str]:
        """Every name that its values set."""
        return {name for choice in self.choices for name in choice.sets}


def axis(name: str, given: object) -> Axis:
    """Return the axis of some values, of a mapping from labels to values, or of rows that set several names.

    >>> axis("animal", ["cat", "fox"]).labels
    ('cat', 'fox')
    >>> axis("style", {"oil": "thick oil paint, impasto"}).choices[0].sets
    {'style': 'thick oil paint, impasto'}
    """
    if not are_values(given):
        raise RequestError(f"The axis {name} is {shown(given, 60)}.", "Give its values in a list.")
    if isinstance(given, Mapping):
        pairs = [(str(label), {name: _text(name, value)}) for label, value in given.items()]
    else:
        pairs = [_named(name, value) for value in given]
    return checked(Axis(name=name, choices=tuple(Choice(label=label, sets=sets) for label, sets in pairs)))


def are_values(given: object) -> TypeGuard[Iterable[object]]:
    """Whether an axis can have these values: a text is a single one."""
    return isinstance(given, Iterable) and not isinstance(given, str | bytes)


def replacing(term: str, given: object) -> Axis:
    """Return the axis of a term and what takes its place; the term itself comes first.

    >>> replacing("watercolour", ["oil", "ink"]).labels
    ('watercolour', 'oil', 'ink')
    """
    if not term:
        raise RequestError("The term to be replaced is empty.", "Name some words of the prompt.")
    others = axis(term, given)
    same = Choice(label=term, sets={term: term})
    return checked(replace(others, choices=(same, *others.choices), replaces=True))


def checked(axis: Axis) -> Axis:
    """Return the axis; raise `RequestError` where it has no values, or one of them twice."""
    if not axis.choices:
        raise RequestError(f"The axis {axis.name} has no values.", "Give at least one, or remove it.")
    if twice := [label for label, count in Counter(axis.labels).items() if count > 1]:
        raise RequestError(
            f"The axis {axis.name} has '{sanitize(twice[0], 60)}' twice.",
            "Each value stands once; n= asks for several pictures of each.",
        )
    return axis


def _named(name: str, value: object) -> tuple[str, dict[str, str]]:
    if not isinstance(value, Mapping):
        text = _text(name, value)
        return sanitize(text, LONGEST_LABEL), {name: text}
    sets = {str(column): _text(f"{name}, {column}", each) for column, each in value.items()}
    label = sets.pop(LABEL, None) or sets.get(name) or " · ".join(sets.values())
    return sanitize(label, LONGEST_LABEL), sets


def _text(name: str, value: object) -> str:
    if value is None or value != value:  # None, or NaN: what tables have in an empty cell
        raise RequestError(f"A value of the axis {name} is missing.", "Fill it in, or leave the row out.")
    return str(value)


@dataclass(frozen=True, kw_only=True)
class Combination:
    """One value of each axis: its labels, the prompt as it was typed, and what its values set."""

    labels: Mapping[str, str]
    template: str
    values: Mapping[str, str]
    asked: Mapping[str, str]

    @property
    def prompt(self) -> str:
        """The prompt with each `{{name}}` filled."""
        return filled(self.template, self.values)


@dataclass(frozen=True, kw_only=True)
class Study:
    """Axes, and which of their combinations are meant.

    The axes that `pairs` names together advance together. Of all combinations `sample` takes so many, which
    `seed` draws. `values` fill what is the same everywhere.
    """

    prompt: str = ""
    axes: tuple[Axis, ...] = ()
    pairs: tuple[tuple[str, ...], ...] = ()
    sample: int | None = None
    seed: int | None = None
    values: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_names()
        self._check_pairs()
        self._check_prompts()
        self._check_count()

    @property
    def prompts(self) -> list[str]:
        """Every prompt, as it was typed."""
        whole = [
            choice.sets[PROMPT] for axis in self.axes for choice in axis.choices if PROMPT in choice.sets
        ]
        return whole or [self.prompt]

    @property
    def dimensions(self) -> list[tuple[Axis, ...]]:
        """The axes, those that advance together as one."""
        together = {name: pair for pair in self.pairs for name in pair}
        groups = dict.fromkeys(together.get(axis.name, (axis.name,)) for axis in self.axes)
        by_name = {axis.name: axis for axis in self.axes}
        return [tuple(by_name[name] for name in group) for group in groups]

    @property
    def total(self) -> int:
        """How many combinations there are, before any are sampled."""
        return math.prod(len(axes[0].choices) for axes in self.dimensions)

    def combinations(self) -> Iterator[Combination]:
        """Yield the combinations in the order of the axes, the last of them changing fastest."""
        numbers: Iterable[int] = range(self.total)
        if self.sample is not None and self.sample < self.total:
            # Numbers are drawn, not combinations: there may be more of these than fit into memory.
            numbers = sorted(random.Random(self.seed).sample(range(self.total), self.sample))
        dimensions = self.dimensions  # once: there may be many combinations
        return (self._combination(number, dimensions) for number in numbers)

    def extended(self, more: Mapping[str, Axis]) -> Study:
        """Return the study with further values on some of its axes; raise `RequestError` for other names."""
        if self.sample is not None:
            raise RequestError(
                "A random sample has no place for further values.",
                "Make a new grid with them, or without sample.",
            )
        for name in more:
            if name not in {axis.name for axis in self.axes}:
                raise UnknownNameError("axis", name, [axis.name for axis in self.axes])
        longer = [
            checked(replace(axis, choices=axis.choices + more[axis.name].choices))
            if axis.name in more
            else axis
            for axis in self.axes
        ]
        return replace(self, axes=tuple(longer))

    def _combination(self, number: int, dimensions: Sequence[Sequence[Axis]]) -> Combination:
        labels = dict.fromkeys((axis.name for axis in self.axes), "")
        values, terms = dict[str, str](), dict[str, str]()
        # The digits of a number with mixed bases: the last dimension changes fastest.
        for axes in reversed(dimensions):
            number, place = divmod(number, len(axes[0].choices))
            for axis in axes:
                choice = axis.choices[place]
                labels[axis.name] = choice.label
                (terms if axis.replaces else values).update(choice.sets)
        template = _replaced(values.pop(PROMPT, self.prompt), terms)
        asked = {name: values[name] for name in AXIS_PARAMETERS if name in values}
        try:
            filling = used(template, {**self.values, **values})
        except KeyError as missing:
            where = ", ".join(f"{name} {label}" for name, label in labels.items())
            raise RequestError(
                f"There is no value for {{{{{missing.args[0]}}}}} with {where}.",
                "Give all rows of an axis the same columns.",
            ) from None
        return Combination(labels=labels, template=template, values=filling, asked=asked)

    def _check_names(self) -> None:
        seen: dict[str, str] = {}
        for axis in self.axes:
            for name in axis.names | {axis.name}:
                if name in seen:
                    raise RequestError(
                        f"Two axes set {sanitize(name, 60)}.", "Keep one, or make rows of both."
                    )
                seen[name] = axis.name

    def _check_pairs(self) -> None:
        by_name = {axis.name: axis for axis in self.axes}
        paired = [name for pair in self.pairs for name in pair]
        for name in paired:
            if name not in by_name:
                raise UnknownNameError("axis", name, by_name)
            if paired.count(name) > 1:
                raise RequestError(f"The axis {name} is paired twice.", "Name each axis once in pairs.")
        for pair in self.pairs:
            lengths = {name: len(by_name[name].choices) for name in pair}
            if len(set(lengths.values())) > 1:
                counts = ", ".join(f"{name} has {count}" for name, count in lengths.items())
                raise RequestError(
                    f"Axes that advance together differ in length: {counts}.", "Give each as many values."
                )

    def _check_prompts(self) -> None:
        known = {name for prompt in self.prompts for name in names(prompt)}
        for axis in self.axes:
            if axis.replaces:
                for prompt in self.prompts:
                    if axis.name not in prompt:
                        raise RequestError(
                            f"'{sanitize(axis.name, 60)}' is to be replaced, and is not in the prompt"
                            f" “{sanitize(prompt, 60)}”.",
                            "Write it as it stands there, capitals included.",
                        )
            elif not axis.names & (known | {*AXIS_PARAMETERS, PROMPT}):
                meant = nearest(axis.name, [*known, *GRID_OPTIONS])
                raise RequestError(
                    f"There is an axis {axis.name}, and no {{{{{axis.name}}}}} in the prompt.",
                    did_you_mean(
                        meant,
                        f"Write {{{{{axis.name}}}}} where its values belong, or remove the axis.",
                    ),
                )
        given = {name for axis in self.axes if not axis.replaces for name in axis.names} | self.values.keys()
        for name in (name for prompt in self.prompts for name in names(prompt)):
            if name not in given:
                raise UnknownNameError(
                    "axis or value for",
                    f"{{{{{name}}}}}",
                    [each for each in given if not each.startswith("_")],
                    hint=Hint("Give it values, for example: ", Remedy("values", name)),
                )

    def _check_count(self) -> None:
        if self.sample is not None:
            # True is an int in Python.
            if isinstance(self.sample, bool) or self.sample < 1:
                raise RequestError(f"sample is {self.sample!r}.", "Give a whole number from 1 on.")
            if self.seed is None:
                raise RequestError(
                    "A random sample has no seed.",
                    Hint("Give one, such as ", Remedy("seed", "1"), ", so that it comes again."),
                )
        count = min(self.total, self.sample or self.total)
        if count > LARGEST:
            raise RequestError(
                f"The axes make {count:,} combinations.",
                f"At most {LARGEST:,} are possible: take values away, or a random sample of them.",
            )


def _replaced(prompt: str, terms: Mapping[str, str]) -> str:
    if not terms:
        return prompt
    # In one pass, so that a replacement is not replaced again; the longest first, since one term may begin
    # like another.
    pattern = "|".join(map(re.escape, sorted(terms, key=len, reverse=True)))
    return re.sub(pattern, lambda match: terms[match[0]], prompt)


def whole_prompts(given: Sequence[str] | Mapping[str, str]) -> Axis:
    """Return the axis of whole prompts; labels that would be the same are numbered."""
    if isinstance(given, Mapping):
        return axis(PROMPT, given)
    labels = [sanitize(prompt, LONGEST_LABEL) for prompt in given]
    if len(set(labels)) < len(set(given)):
        labels = [f"{number}: {label}" for number, label in enumerate(labels, 1)]
    choices = tuple(
        Choice(label=label, sets={PROMPT: prompt}) for label, prompt in zip(labels, given, strict=True)
    )
    return checked(Axis(name=PROMPT, choices=choices))
