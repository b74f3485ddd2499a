"""The on-disk format and the key: one small JSON file per sample, exact bytes named by their SHA-256.

    beluga_store/
      store.json                {"schema": 1}
      records/1c/1c7ff8a6….json one sample: what was asked, what came, allow-listed fields only
      blobs/77/77610d44….png    the bytes as they came, and the small preview that was made once
      sheets/a0/a0c1….json      several previews as one picture, for what shows only one (store/sheets.py)
      scores/5e/5e0c9f1a….json  what a metric gave for a picture (store/scores.py)
      verdicts/0b/0b5c….json    what a judge answered about pictures (store/verdicts.py)
      votes/….jsonl             which of two pictures a voter preferred (store/votes.py)
      marks/77/77610d44….json   favourites and notes (store/marks.py)
      pending/….json            calls without a known end (store/pending.py); not for git
      index/1c.idx              the contents of the records, for speed only (store/index.py); not for git
      tmp/                      files being written; not for git

A record is written after its blobs (store/files.py). Two git branches that both recorded merge, also where
it was the same: such a record has two times of arrival (store/codec.py). A refusal is recorded too, and
raised again on replay. The format is frozen by golden vectors in tests/store. `SCHEMA` changes with it, and
a reader for each older one stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import beluga_nb.untrusted as untrusted
from beluga_nb.errors import APIStatusError
from beluga_nb.request import PARAMETERS, Request, request_of
from beluga_nb.result import Picture, Preview, Recipe, Usage
from beluga_nb.store.codec import SCHEMA, canonical_json
from beluga_nb.store.collection import Blob, Collection, References

_REFUSAL = ("message", "hint", "status", "type", "code", "param", "request_id")


def key(request: Request, *, provider: str) -> str:
    """Return the key of the first picture of a request: the SHA-256 of all that it depends on.

    `n`, the base URL, response format, time limits and versions are not in it, so that asking for more
    pictures buys only the missing ones.
    """
    return hashlib.sha256(
        canonical_json(
            {
                "schema": SCHEMA,
                "op": request.operation,
                "provider": provider,
                "request": request.parameters,
                "inputs": list(request.inputs),
                "take": request.take,
                "sample": request.sample,
            }
        )
    ).hexdigest()


def record_of(picture: Picture, preview: Preview | None, *, provider: str) -> dict[str, object]:
    """Return the record of a picture."""
    recipe = picture.recipe
    width, height = picture.size
    return request_fields(recipe.request, provider) | {
        "image": {
            "sha256": picture.sha256,
            "media_type": picture.media_type,
            "bytes": len(picture.data),
            "width": width,
            "height": height,
        },
        "preview": preview
        and {"sha256": hashlib.sha256(preview.data).hexdigest(), "media_type": preview.media_type},
        "response": {
            "engine": recipe.engine,
            "created": recipe.created,
            "revised_prompt": recipe.revised_prompt,
        }
        | _usage_fields(recipe.usage),
    }


def _usage_fields(usage: Usage | None) -> dict[str, object]:
    # Names that sort before the last one of a response: git merges lines, and only the last has no comma.
    fields = {"cost": usage.cost, "duration": usage.seconds} if usage else {}
    return {name: value for name, value in fields.items() if value is not None}


def record_of_refusal(
    request: Request, refusal: APIStatusError, *, provider: str, created: int
) -> dict[str, object]:
    """Return the record of a sample that the model declined at `created`, in Unix seconds."""
    return request_fields(request, provider) | {
        "image": None,
        "preview": None,
        "response": {"engine": provider, "created": created, "revised_prompt": None},
        "refusal": refusal_fields(refusal),
    }


def request_fields(request: Request, provider: str) -> dict[str, object]:
    """Return what a record says of the request of its one sample."""
    return {
        "schema": SCHEMA,
        "key": key(request, provider=provider),
        "op": request.operation,
        "provider": provider,
        "take": request.take,
        "sample": request.sample,
        "request": request.parameters,
        "inputs": list(request.inputs),
    }


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A record that was read: one sample of a request, and what came of it."""

    key: str
    provider: str
    recipe: Recipe
    image: Blob | None
    preview: Blob | None
    size: tuple[int, int] = (0, 0)
    refusal: APIStatusError | None = None

    @property
    def request(self) -> Request:
        """What was asked for, for this one sample."""
        return self.recipe.request

    @property
    def blobs(self) -> list[Blob]:
        """The bytes that belong to it."""
        return [blob for blob in (self.image, self.preview) if blob]


def references_of(entries: Iterable[Entry]) -> References:
    """Return the pictures and previews of some records."""
    entries = list(entries)
    return References(
        pictures={entry.image.sha256 for entry in entries if entry.image},
        previews={entry.preview.sha256 for entry in entries if entry.preview},
    )


def parse_request(record: Mapping[str, Any], *, inputs: Sequence[str] = ()) -> tuple[Request, str]:
    """Return the request of the one sample of a record, about some `inputs`, and its provider."""
    provider, asked = untrusted.text(record["provider"]), untrusted.members(record["request"])
    # Otherwise a record from outside could set the file that an answer is written to.
    # Only a question about pictures has a schema, which its answer must have.
    if "n" in asked or not asked.keys() <= {*PARAMETERS, *(["schema"] if inputs else [])}:
        raise ValueError("a record is of one sample, and sets no field of a call")
    sample = untrusted.whole(record["sample"], least=0, most=untrusted.MOST)
    request = request_of(asked, inputs, take=record["take"], sample=sample)
    if key(request, provider=provider) != record["key"]:
        raise ValueError("the answer to another request")
    return request, provider


def _parse(record: Mapping[str, Any]) -> Entry:
    image, preview, response = record["image"], record["preview"], untrusted.members(record["response"])
    request, provider = parse_request(record)
    return Entry(
        key=record["key"],
        provider=provider,
        recipe=Recipe(
            request=request,
            engine=untrusted.text(response["engine"]),
            revised_prompt=untrusted.text_or_none(response["revised_prompt"]),
            created=untrusted.whole(response["created"]),
            usage=_usage(response) if "duration" in response else None,
        ),
        image=None if image is None else parse_blob(image),
        preview=None if preview is None else parse_blob(preview),
        size=(0, 0) if image is None else (_edge(image["width"]), _edge(image["height"])),
        refusal=parse_refusal(record["refusal"]) if image is None else None,
    )


def _usage(response: Mapping[str, Any]) -> Usage:
    seconds = untrusted.number(response["duration"])
    if not 0 <= seconds <= untrusted.MOST:
        raise ValueError("out of range")
    return Usage(seconds, untrusted.text_or_none(response.get("cost")))


RECORDS = Collection(
    folder="records",
    parse=_parse,
    name=lambda entry: entry.key,
    never_changes=True,
    first_fields={"image"},
    blobs=lambda entry: entry.blobs,
    # When it came, and how its preview was made, may differ.
    conflicts=lambda here, packed: here.image != packed.image,
)


def refusal_fields(refusal: APIStatusError) -> dict[str, object]:
    """Return the fields of a refusal in a record."""
    return {name: getattr(refusal, name) for name in _REFUSAL}


def parse_refusal(value: object) -> APIStatusError:
    """Return a refusal by its `refusal_fields`."""
    fields = untrusted.members(value)
    words = {name: untrusted.text_or_none(fields[name]) for name in _REFUSAL if name != "status"}
    message, hint = untrusted.text(words.pop("message")), untrusted.text(words.pop("hint"))
    status = None if fields["status"] is None else untrusted.whole(fields["status"], least=0, most=999)
    return APIStatusError(message, hint, status=status, **words)


def parse_blob(value: object) -> Blob:
    """Return bytes as a record or a sheet names them."""
    fields = untrusted.members(value)
    return Blob(untrusted.text(fields["sha256"]), untrusted.text(fields["media_type"]))


def _edge(value: object) -> int:
    return untrusted.whole(value, least=1, most=untrusted.MOST)  # no picture is 0 pixels wide
