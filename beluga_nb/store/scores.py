"""Scores of pictures: one small file per picture, metric and version, so that they replay without the metric.

    scores/5e/5e0c9f1a….json   {"schema": 1, "image": "77610d44…", "metric": "sharpness", "version": "1", …}

It holds no prompt: where a metric looks at the recipe too, `asked` is the SHA-256 of that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from beluga_nb.errors import StoreError
from beluga_nb.result import Recipe
from beluga_nb.store.codec import canonical_json, sha256_text
from beluga_nb.store.collection import Collection, References
from beluga_nb.untrusted import number, text

if TYPE_CHECKING:
    from beluga_nb.store.records import Store


@dataclass(frozen=True, kw_only=True)
class Score:
    """The value of a metric, in a version, for a picture, and for a recipe if it looks at that.

    The value is a number, or several by name; `reason` is what the metric said about it.
    """

    image: str
    metric: str
    version: str
    value: float | Mapping[str, float]
    asked: str = ""
    reason: str = ""

    @property
    def name(self) -> str:
        """The name of its file: the SHA-256 of all but the value and its reason."""
        return _name(self.image, self.metric, self.version, self.asked)


def _name(image: str, metric: str, version: str, asked: str) -> str:
    return hashlib.sha256(canonical_json([image, metric, version, asked])).hexdigest()


def asked_of(recipe: Recipe) -> str:
    """Return the SHA-256 of the parameters of a recipe."""
    return hashlib.sha256(canonical_json(recipe.request.parameters)).hexdigest()


def read(store: Store, image: str, *, metric: str, version: str, asked: str = "") -> Score | None:
    """Return a score, or None where it is not recorded or cannot be read: then it is measured again."""
    try:
        return SCORES.read(store, _name(image, metric, version, asked))
    except (OSError, StoreError):
        return None


def write(store: Store, score: Score) -> None:
    """Record a score; raise `StoreError` where that fails."""
    with naming("Scores"):
        SCORES.write(store, score)


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Name in the error of a store that cannot be written what is not recorded: not pictures."""
    try:
        yield
    except StoreError as error:
        if not error.message.startswith("Pictures"):
            raise
        raise StoreError(
            error.message.replace("Pictures", what, 1), "Repair the folder, or set BELUGA_STORE."
        ) from None


def _parse(fields: Mapping[str, Any]) -> Score:
    return Score(
        image=sha256_text(fields["image"]),
        metric=text(fields["metric"]),
        version=text(fields["version"]),
        value=_value(fields["value"]),
        asked=sha256_text(fields["asked"]) if fields["asked"] else text(fields["asked"]),
        reason=text(fields.get("reason", "")),
    )


def _value(value: object) -> float | Mapping[str, float]:
    if isinstance(value, dict):
        return {name: number(each) for name, each in value.items()}
    return number(value)


def _fields(score: Score) -> Mapping[str, object]:
    # Most scores have no reason, and their files look as they did before there were any.
    return {name: value for name, value in vars(score).items() if name != "reason" or value}


SCORES = Collection(
    folder="scores",
    parse=_parse,
    name=lambda score: score.name,
    never_changes=True,
    first_fields={"asked"},
    to_fields=_fields,
    references=lambda score: References({score.image}),
)
