"""Making a grid: axes and a prompt become the cells that a runner asks for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from beluga_nb.compare.axes import (
    AXIS_PARAMETERS,
    GRID_OPTIONS,
    PROMPT,
    Axis,
    Combination,
    Study,
    are_values,
    replacing,
    whole_prompts,
)
from beluga_nb.compare.cell import Cell
from beluga_nb.compare.grid import Grid
from beluga_nb.compare.tables import axis_of
from beluga_nb.errors import ImpossibleCombinationError, RequestError, UnknownArgumentError
from beluga_nb.key_check import check_no_key, may_hold_key
from beluga_nb.placeholders import names, not_filled
from beluga_nb.progress.watched import messages_stay
from beluga_nb.request import Request
from beluga_nb.session.grid_run import SessionRunner
from beluga_nb.session.resources import Resources
from beluga_nb.signatures import copying
from beluga_nb.text import sanitize

_CHECKED = 100
"""Prompts that are checked for keys at once."""


@dataclass(frozen=True)
class GridMaker:
    """Makes grids of a session: `fixed` is what all requests of one have in common."""

    resources: Resources
    fixed: Mapping[str, Any]

    @messages_stay()
    def make(
        self,
        template: str | Sequence[str] | Mapping[str, str],
        given: Mapping[str, object],
        *,
        replace: Mapping[str, Iterable[object]] | None,
        pairs: Sequence[str] | Sequence[Sequence[str]],
        sample: int | None,
        seed: int | None,
        values: Mapping[str, object] | None,
    ) -> Grid:
        """Return the grid of a prompt and some axes; a parameter that is one text, or None, is no axis.

        Raises `RequestError` where they do not fit, and `ImpossibleCombinationError` for what no model takes.
        """
        _check_arguments(given, _prompts(template))
        single = {name: each for name, each in given.items() if name in AXIS_PARAMETERS and _is_single(each)}
        study = Study(
            prompt=template if isinstance(template, str) else "",
            axes=(
                *([] if isinstance(template, str) else [whole_prompts(template)]),
                *(replacing(term, others) for term, others in (replace or {}).items()),
                *self._axes({name: each for name, each in given.items() if name not in single}),
            ),
            pairs=_groups(pairs),
            sample=sample,
            seed=seed,
            values=values or {},
        )
        return dataclasses.replace(self, fixed={**self.fixed, **single})._grid(study)

    def _grid(self, study: Study) -> Grid:
        return Grid(study, self._cells(study), runner=SessionRunner(self.resources), extended=self._extended)

    def _extended(self, study: Study, more: Mapping[str, object]) -> Grid:
        return self._grid(study.extended({axis.name: axis for axis in self._axes(more)}))

    def _axes(self, given: Mapping[str, object]) -> list[Axis]:
        folder = self.resources.preferences.folder
        return [axis_of(name, values, folder=folder) for name, values in given.items()]

    def _cells(self, study: Study) -> list[Cell]:
        settings = self.resources.settings()
        check_no_key({"labels": [(axis.name, *axis.labels) for axis in study.axes]})
        cells: list[Cell] = []
        # Each remark and each reason once: one may hold for thousands of combinations.
        remarks: dict[str, None] = {}
        impossible: dict[str, list[Combination]] = {}
        # What differs only in its prompt shares all that was decided for the other parameters.
        alike: dict[tuple[str, ...], Callable[..., Request]] = {}
        axes = tuple(axis.name for axis in study.axes)
        templates: dict[str, str] = {}  # each once, since many cells have the same
        for each, prompt, may_hold in _combinations(study):
            asked = *each.asked, *each.asked.values()
            template = templates.setdefault(each.template, each.template)
            try:
                if asked in alike and not may_hold:
                    request, words = self.resources.prompted(alike[asked], prompt, settings)
                else:
                    arguments = {**self.fixed, **each.asked}
                    request, words = self.resources.request(prompt, settings, **arguments)
                    alike[asked] = copying(request)
            except RequestError as error:
                impossible.setdefault(str(error).replace("\n", " "), []).append(each)
                continue
            remarks |= dict.fromkeys(words)
            key, filling = tuple(each.labels.values()), tuple(each.values.values())
            cells.append(
                Cell(
                    axes=axes,
                    key=key,
                    request=request,
                    # A prompt without placeholders is its own template.
                    template=template if filling else None,
                    filling=key if filling == key else filling,
                )
            )
        if impossible:
            count = sum(map(len, impossible.values()))
            raise ImpossibleCombinationError(
                count, count + len(cells), map(_reason, impossible, impossible.values())
            )
        for template in templates:
            remarks |= dict.fromkeys(not_filled(template, study.values))
        for remark in remarks:
            self.resources.notify(remark)
        return cells


def _combinations(study: Study) -> Iterator[tuple[Combination, str, bool]]:
    """Yield the combinations, their prompts, and whether these may hold a key: many are checked at once.

    Other parameters are checked with the first request that has them.
    """
    combinations = study.combinations()
    while some := list(islice(combinations, _CHECKED)):
        prompts = [each.prompt for each in some]
        may_hold = may_hold_key(prompts)
        yield from ((each, prompt, may_hold) for each, prompt in zip(some, prompts, strict=True))


def _prompts(template: str | Sequence[str] | Mapping[str, str]) -> list[str]:
    if isinstance(template, str):
        return [template]
    return list(template.values() if isinstance(template, Mapping) else template)


def _check_arguments(given: Mapping[str, object], prompts: Iterable[str]) -> None:
    """Raise `UnknownArgumentError` for a single value that is no parameter and fills nothing in a prompt."""
    axes = {name for prompt in prompts for name in names(prompt)}
    for name, each in given.items():
        is_argument = name in axes or name in {*AXIS_PARAMETERS, PROMPT}
        if not (is_argument or are_values(each) or isinstance(each, Path)):
            raise UnknownArgumentError(name, sorted([*axes, *GRID_OPTIONS]), of="grid")


def _is_single(given: object) -> bool:
    return given is None or isinstance(given, str)


def _groups(pairs: Sequence[str] | Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    if isinstance(pairs, str):
        raise RequestError(f"pairs is '{sanitize(pairs, 60)}'.", "Name at least two axes in a list.")
    names = [each for each in pairs if isinstance(each, str)]
    groups = [tuple(each) for each in pairs if not isinstance(each, str)]
    return (*([tuple(names)] if names else []), *groups)


def _reason(why: str, combinations: Sequence[Combination]) -> str:
    first = ", ".join(f"{name} {label}" for name, label in combinations[0].labels.items())
    more = f" and {len(combinations) - 1} more" if len(combinations) > 1 else ""
    return f"{sanitize(first, 120)}{more}: {sanitize(why, 300)}" if first else sanitize(why, 300)
