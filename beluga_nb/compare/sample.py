"""One picture of a comparison, with where it stands in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from beluga_nb.result import Picture


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A picture and its labels: its label on each axis, such as "model".

    `number` tells apart the pictures of one combination, from 0 on.
    """

    labels: Mapping[str, str]
    number: int
    picture: Picture


@dataclass
class SampleNotes:
    """What samples have in common, noted while they are read one by one: not all fit into memory.

    `labels` are those of the axis `by`, in order, each with its first picture; `models` are the names of all
    models; `procedural` says whether a model or the painter made them.
    """

    by: str = ""
    labels: dict[str, Picture] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)
    procedural: set[bool] = field(default_factory=set)

    def reading(self, samples: Sequence[Sample]) -> Iterator[Sample]:
        """Yield samples, and note what they are."""
        for sample in samples:
            if self.by in sample.labels:
                self.labels.setdefault(sample.labels[self.by], sample.picture)
            self.models |= {sample.picture.recipe.request.model or "", sample.labels.get("model", "")}
            self.procedural.add(sample.picture.recipe.procedural)
            yield sample

    @property
    def caveat(self) -> str:
        """That no model made these, in a sentence; nothing where models did."""
        if True not in self.procedural:
            return ""
        return f"{'Some are l' if False in self.procedural else 'L'}ocal previews, not model output."
