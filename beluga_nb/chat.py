"""Questions about pictures as the JSON of `/chat/completions`; the client and the embedded server share it.

The shapes are those of OpenAI's API, which other servers have too: image parts, and `response_format` with a
JSON Schema. Nothing here touches network, disk or clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pybase64

from beluga_nb.errors import MAY_BE_BILLED, InvalidResponseError, RequestError
from beluga_nb.images import SUFFIXES
from beluga_nb.metadata.formats import sniff
from beluga_nb.request import Question, check_text
from beluga_nb.text import sanitize
from beluga_nb.untrusted import DAMAGE, items, load_json, members, text, text_or_none, whole
from beluga_nb.wire import NOT_SENT_AGAIN, error_words

PATH = "/chat/completions"

JSON = "application/json"

LARGEST_ANSWER = 2**20
"""Bytes of an answer that are read: it is one JSON object with a sentence."""

MOST_IMAGES = 8
"""Pictures of one question that the embedded server looks at."""

_TOKENS = ("prompt_tokens", "completion_tokens")


def question_to_json(question: Question, *, model: str) -> dict[str, object]:
    """Return the body of the POST: the question as it was typed, its pictures, and the schema."""
    pictures = [
        {"type": "image_url", "image_url": {"url": f"data:{sniff(data) or ''};base64,{_base64(data)}"}}
        for data in question.load()
    ]
    return {
        "model": model,
        "messages": [{"role": "user", "content": [{"type": "text", "text": question.prompt}, *pictures]}],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": json.loads(question.schema)},
        },
    }


def _base64(data: bytes) -> str:
    return pybase64.b64encode(data).decode()


def answer_from_json(body: bytes) -> tuple[bytes, int]:
    """Return what is kept of an answer, as JSON, and when it was made, in Unix seconds.

    That is the model's own text, how it ended, the model's full name, and how many tokens were counted.
    Raises `InvalidResponseError` where there is no text of a model.
    """
    try:
        given = members(load_json(body))
        choice = members(items(given["choices"])[0])
        message = members(choice["message"])
        content, refusal = (_words(message.get(name)) for name in ("content", "refusal"))
    except (*DAMAGE, IndexError):
        raise _no_answer(body) from None
    if content is None and refusal is None:
        raise _no_answer(body)
    counted = given.get("usage")
    tokens = {
        name: counted[name]
        for name in _TOKENS
        if isinstance(counted, Mapping) and type(counted.get(name)) is int and counted[name] >= 0
    }
    answer = {
        "content": content,
        "refusal": refusal,
        "ended": _name(choice.get("finish_reason"), 40),
        "model": _name(given.get("model"), 120),
        **tokens,
    }
    created = given.get("created")
    return answer_to_data(answer), created if type(created) is int else 0


def answer_to_data(answer: Mapping[str, object]) -> bytes:
    """Return the one spelling of an answer, which its SHA-256 is taken of."""
    return json.dumps(answer, ensure_ascii=False, sort_keys=True).encode()


def _words(content: object) -> str | None:
    if isinstance(content, list):  # some servers answer in parts
        content = "".join(text(members(part).get("text", "")) for part in content)
    # JSON can spell half of a surrogate pair, and no file can hold it.
    return None if content is None else str(content).encode("utf-8", "replace").decode()


def _name(value: object, longest: int) -> str:
    # The str() of any other value may be nested too deeply; the answer is paid for, and is kept.
    return sanitize(value, longest) if isinstance(value, str) else ""


def checked_answer(value: object) -> dict[str, object]:
    """Return the fields of a recorded answer as they are; raise one of `DAMAGE` for anything else."""
    fields = members(value)
    content, refusal = text_or_none(fields["content"]), text_or_none(fields["refusal"])
    if content is None and refusal is None:
        raise ValueError("no answer")
    return {
        "content": content,
        "refusal": refusal,
        "ended": text(fields["ended"]),
        "model": text(fields["model"]),
        **{name: whole(fields[name], least=0) for name in _TOKENS if name in fields},
    }


def _no_answer(body: bytes) -> InvalidResponseError:
    try:
        message = error_words(members(load_json(body)))
    except DAMAGE:
        message = ""
    if message:
        return InvalidResponseError(
            f"The service answered with an error: {sanitize(message)}", NOT_SENT_AGAIN
        )
    start = sanitize(body[:200].decode(errors="replace"), 80)
    return InvalidResponseError(
        f"The answer holds no text of a model: {start or 'it is empty'}",
        f"Check the base URL and the model. {MAY_BE_BILLED}",
    )


# --- the server's side


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """What a chat request asks: its words, its pictures, and the schema of the answer, if it has one."""

    model: str
    words: str
    pictures: Sequence[bytes]
    schema: Mapping[str, Any] | None


def chat_from_json(body: object) -> ChatRequest:
    """Return what a chat request asks; raise `RequestError` naming the parameter.

    Pictures must be `data:` URLs: nothing is fetched.
    """
    try:
        given = members(body)
        check_text("model", given["model"])
        parts = [part for message in items(given["messages"]) for part in _parts(members(message))]
        words = "\n".join(text(part["text"]) for part in parts if part["type"] == "text")
        urls = [text(members(part["image_url"])["url"]) for part in parts if part["type"] == "image_url"]
        wanted = members(given.get("response_format") or {})
        schema = members(members(wanted["json_schema"])["schema"]) if "json_schema" in wanted else None
    except DAMAGE:
        raise RequestError(
            "The body is no chat request.",
            "Send model, and messages whose content has text and image_url parts.",
            param="messages",
        ) from None
    if len(urls) > MOST_IMAGES:
        raise RequestError(
            f"There are {len(urls)} pictures.", f"Send {MOST_IMAGES} at most.", param="messages"
        )
    return ChatRequest(model=given["model"], words=words, pictures=[*map(_bytes, urls)], schema=schema)


def _parts(message: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    content = message["content"]
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [members(part) for part in items(content or [])]


def _bytes(url: str) -> bytes:
    head, _, encoded = url.partition(",")
    kind, _, coding = head.removeprefix("data:").partition(";")
    try:
        if head.startswith("data:") and kind in SUFFIXES and coding == "base64":
            return pybase64.b64decode(encoded, validate=True)
    except ValueError:
        pass
    raise RequestError(
        "A picture is no data: URL of a PNG, JPEG or WebP in base64.",
        "Send the picture itself: nothing is fetched here.",
        param="messages",
    )
