"""Pictures as a data set: an ImageFolder of the library `datasets`, with preferences for training.

metadata.jsonl      a line for each picture: its file, labels, prompt, parameters and provenance
images/1c7f….png    the pictures as they came, named by their SHA-256
preferences.jsonl   a line for each vote that prefers one of two pictures of one prompt
croissant.json      what is in the first file, in the vocabulary of MLCommons
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from beluga_nb.compare.sample import Sample
from beluga_nb.images import SUFFIXES
from beluga_nb.paths import check_replaceable, make_folder, remove_older, save_file
from beluga_nb.redaction import redact
from beluga_nb.result import MissingPicture
from beluga_nb.show.croissant import croissant
from beluga_nb.show.provenance import COLUMNS, Provenance, labelled
from beluga_nb.store.votes import LEFT, RIGHT

if TYPE_CHECKING:
    from beluga_nb.compare.vote import Duel
    from beluga_nb.compare.workspace import Workspace

IMAGES, METADATA, PREFERENCES, CROISSANT = "images", "metadata.jsonl", "preferences.jsonl", "croissant.json"
"""Files of a data set."""

PARQUET = "preferences.parquet"

_MARK = b'"@id": "metadata.jsonl"'
_OURS = re.compile(rf"[0-9a-f]{{64}}({'|'.join(map(re.escape, {*SUFFIXES.values()}))})")

_TAKEN = ("file_name", "image", "number", *COLUMNS)  # `datasets` makes the first two of its own


def write_dataset(
    samples: Sequence[Sample], votes: Iterable[Duel], folder: Path, workspace: Workspace
) -> None:
    """Write pictures and what votes prefer; raise `StoreError` where that is not possible.

    In a folder with an earlier data set, the files of that which are not in this one are removed.
    """
    is_again = check_replaceable(folder, (METADATA, PREFERENCES, PARQUET, CROISSANT), mark=(CROISSANT, _MARK))
    make_folder(folder / IMAGES)
    provenance = Provenance(workspace)
    known: list[tuple[dict[str, object], Mapping[str, str]]] = []
    prompts: dict[str, str] = {}
    places: dict[str, str] = {}
    for sample in samples:
        picture = sample.picture
        if isinstance(picture, MissingPicture):
            raise picture.error
        place = f"{IMAGES}/{picture.sha256}{SUFFIXES[picture.media_type]}"
        save_file(folder / place, picture.data)
        facts = {"file_name": place, "number": sample.number}
        known.append((facts | provenance.row(picture, picture.media_type), sample.labels))
        places[picture.sha256], prompts[picture.sha256] = place, picture.recipe.request.prompt
    rows, _ = labelled(known, _TAKEN)
    written = _lines(rows)
    described = croissant(rows, name=folder.name, metadata=METADATA, written=written, images=IMAGES)
    # Written first: it marks the folder as ours.
    save_file(folder / CROISSANT, redact(json.dumps(described, indent=2)).encode())
    save_file(folder / METADATA, written)
    preferred = list(preferences(votes, places, prompts))
    save_file(folder / PREFERENCES, _lines(preferred))
    has_parquet = _write_parquet(folder / PARQUET, preferred)
    if is_again:
        # What a larger study has left.
        remove_older(folder / IMAGES, _OURS, {Path(place).name for place in places.values()})
        remove_older(folder, re.compile(re.escape(PARQUET)), {PARQUET} if has_parquet else ())


def preferences(
    votes: Iterable[Duel], places: Mapping[str, str], prompts: Mapping[str, str]
) -> Iterable[dict[str, object]]:
    """Yield a row for each vote that counts, and prefers one of two pictures of the same prompt."""
    for vote in votes:
        left, right = vote.pictures
        if vote.excluded or vote.answer not in {LEFT, RIGHT} or prompts[left] != prompts[right]:
            continue
        is_left = vote.answer == LEFT
        yield {
            "prompt": prompts[left],
            "chosen": places[left if is_left else right],
            "rejected": places[right if is_left else left],
            "chosen_label": vote.left if is_left else vote.right,
            "rejected_label": vote.right if is_left else vote.left,
            "criterion": vote.criterion,
            "voter": vote.voter,
            "time": vote.time,
        }


def _lines(rows: Iterable[Mapping[str, object]]) -> bytes:
    written = (json.dumps(row, ensure_ascii=False, default=_json) for row in rows)
    # Half a surrogate pair, in the words of an engine, cannot be written.
    return redact("".join(f"{line}\n" for line in written)).encode(errors="replace")


def _json(value: object) -> str:
    assert isinstance(value, datetime)
    return value.isoformat()


def _write_parquet(path: Path, rows: Sequence[Mapping[str, object]]) -> bool:
    """Write rows as Parquet too, where pyarrow is installed; return whether there is such a file."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        return False
    if rows:
        written = pyarrow.BufferOutputStream()
        parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows]), written)
        save_file(path, written.getvalue().to_pybytes())
    return bool(rows)
