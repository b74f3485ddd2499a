"""The judge of the embedded BelugAPI: no model. It reads what the painter wrote into its own pictures.

A question is read as the painter reads a prompt. What it names and the picture shows counts for it, and each
answer says so. A picture that the painter did not draw is refused.
"""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from beluga_nb.chat import ChatRequest, chat_from_json
from beluga_nb.errors import MetadataError, RequestError
from beluga_nb.metadata.embedding import drawn
from beluga_nb.metadata.formats import sniff
from beluga_nb.untrusted import DAMAGE, items, load_json, members, text

NO_MODEL = "No model judged: the built-in painter drew this, and its file says what it shows."

ORDERED = ("first", "second", "tie")
"""The choices of a question about two pictures."""

Drawn = Mapping[str, Sequence[str]]


def completion(body: bytes, created: int) -> dict[str, object]:
    """Return the answer to a chat request; raise `RequestError` for one that cannot be answered."""
    try:
        given = load_json(body)
    except (ValueError, RecursionError):
        raise RequestError("The body is not valid JSON.", "Send an object with model and messages.") from None
    asked = chat_from_json(given)
    message = _message(asked)
    return {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "object": "chat.completion",
        "created": created,
        "model": asked.model,
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}],
    }


def _message(asked: ChatRequest) -> dict[str, str | None]:
    if not asked.pictures:
        raise RequestError(
            "There is no picture to look at.", "The embedded server answers questions about pictures only."
        )
    found = [_found(asked.words, _drawn(data)) for data in asked.pictures]
    shares = [share for share, _ in found]
    reason = " ".join([NO_MODEL, *(words for _, words in found)])
    if shares[0] is None and len(found) == 1:
        return {"content": None, "refusal": f"The painter knows no word of the question. {reason}"}
    if asked.schema is None:
        return {"content": reason, "refusal": None}
    verdict = _verdict(asked.schema, [share or Fraction() for share in shares])
    return {"content": json.dumps({"reason": reason, "verdict": verdict}), "refusal": None}


def _drawn(data: bytes) -> Drawn:
    """Return what the painter says that its picture shows."""
    try:
        written = drawn(data, sniff(data) or "")
        return {tag: [*map(text, items(values))] for tag, values in members(load_json(written or "")).items()}
    except (MetadataError, *DAMAGE):
        raise RequestError(
            "The embedded server judges only what its own painter drew.",
            "A vision model can judge other pictures: name one at an endpoint, or set a key.",
            param="messages",
        ) from None


def _found(words: str, shows: Drawn) -> tuple[Fraction | None, str]:
    """Return the share of what a text names that a picture shows, and that in words."""
    from beluga_nb.painter.reading import read  # Lazy import: the painter brings numpy.

    terms = [term for term in read(words).terms if term.tag in _TAGS]
    named = any(term.tag == "subject" for term in terms)
    # A number without a subject counts nothing, such as the ends of a scale.
    terms = [term for term in terms if named or term.tag != "count"]
    right = {term: (term.value in shows.get(term.tag, ())) is not term.absent for term in terms}
    lists = [("Shown", True), ("Not shown", False)]
    comparison = [
        f"{what}: {', '.join(dict.fromkeys(term.text for term in terms if right[term] is way))}."
        for what, way in lists
        if way in right.values()
    ]
    facts = "; ".join(f"{tag} {', '.join(values)}" for tag, values in shows.items())
    return (
        Fraction(sum(right.values()), len(right)) if right else None,
        " ".join([f"It shows: {facts}.", *comparison]),
    )


_TAGS = ("subject", "count", "colour", "material", "setting", "time", "weather", "medium", "mood", "camera")


def _verdict(schema: Mapping[str, Any], shares: Sequence[Fraction]) -> object:
    """Return the verdict that a schema allows for the shares of what was found in the pictures."""
    try:
        wanted = members(members(schema["properties"])["verdict"])
        if "enum" in wanted:
            choices = [text(each) for each in items(wanted["enum"])]
            if len(shares) == 2 and set(choices) == set(ORDERED):
                first, second = shares
                return "tie" if first == second else "first" if first > second else "second"
            # Only what shows all that is named deserves the best.
            return choices[math.ceil((1 - shares[0]) * (len(choices) - 1))]
        least, most = Fraction(wanted["minimum"]), Fraction(wanted["maximum"])
        return float(least + (most - least) * shares[0])
    except (*DAMAGE, IndexError):
        raise RequestError(
            "The embedded server does not answer in this schema.",
            "Ask for an object with a reason, and a verdict that has an enum, or a minimum and a maximum.",
            param="response_format",
        ) from None
