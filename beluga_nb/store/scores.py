"""Scores of pictures: one small file per picture, metric and version, so that they replay without the metric.

    scores/5e/5e0c9f1a….json   {"schema": 1, "image": "77610d44…", "metric": "sharpness", "version": "1", …}

The file is named by the SHA-256 of what the score is of. It holds no prompt: where a metric looks at the
recipe too, `asked` is the SHA-256 of that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from beluga_nb.errors import StoreError
from beluga_nb.result import Recipe
from beluga_nb.store import files
from beluga_nb.store.records import SCHEMA, Store, Unusable, canonical_json, damage_told, json_of
from beluga_nb.untrusted import number, text


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a metric, in a version, gave for a picture, and for a recipe if it looks at that."""

    image: str
    metric: str
    version: str
    value: float
    asked: str = ""

    @property
    def name(self) -> str:
        """The name of its file."""
        return _name(self.image, self.metric, self.version, self.asked)


def _name(image: str, metric: str, version: str, asked: str) -> str:
    return hashlib.sha256(canonical_json([image, metric, version, asked])).hexdigest()


def asked_of(recipe: Recipe) -> str:
    """Return the SHA-256 of what a recipe asks for."""
    return hashlib.sha256(canonical_json(recipe.request.parameters)).hexdigest()


def path_of(store: Store, name: str) -> Path:
    """Where a score is, or would be."""
    return store.folder / "scores" / name[:2] / f"{name}.json"


def read(store: Store, image: str, *, metric: str, version: str, asked: str = "") -> float | None:
    """Return a score, or None where it is not recorded, or not to be read: it is measured again then."""
    path = path_of(store, _name(image, metric, version, asked))
    try:
        score = score_of(files.read(path, root=store.folder))
    except (OSError, Unusable):
        return None
    return score.value if score.name == path.stem else None


def write(store: Store, score: Score) -> None:
    """Record a score; raise `StoreError` where that fails."""
    with told_of("Scores"):
        store.write_json(path_of(store, score.name), {"schema": SCHEMA, **asdict(score)})


@contextmanager
def told_of(what: str) -> Iterator[None]:
    """Have a store that cannot be written say what is not recorded."""
    try:
        yield
    except StoreError as error:
        if not error.message.startswith("Pictures"):
            raise
        raise StoreError(
            error.message.replace("Pictures", what, 1), "Mend the folder, or set BELUGA_STORE."
        ) from None


def score_of(written: bytes) -> Score:
    """Return a score as it is written; raise `Unusable` where it is damaged or of a newer format."""
    said = json_of(written)
    with damage_told():
        words = {name: text(said[name]) for name in ("image", "metric", "version", "asked")}
        if not all(
            files.SHA256.fullmatch(each) for each in (words["image"], words["asked"] or words["image"])
        ):
            raise ValueError("no SHA-256")
        return Score(**words, value=number(said["value"]))


def score_paths(store: Store) -> list[Path]:
    """Return where scores are."""
    return store.paths("scores", depth=2, suffix=".json")


def scores(store: Store) -> Iterator[tuple[Path, Score | Unusable]]:
    """Yield where each score is, and what it says or why it is unusable."""
    for path in score_paths(store):
        try:
            score = score_of(files.read(path, root=store.folder))
        except FileNotFoundError:  # someone else has just forgotten it
            continue
        except OSError as error:
            yield path, Unusable(error.strerror or str(error))
        except Unusable as unusable:
            yield path, unusable
        else:
            right = path.stem == score.name and path.parent.name == path.name[:2]
            yield path, score if right else Unusable("it is damaged (the score of another)")
