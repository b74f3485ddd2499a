"""Read the answers of a service whose tasks are submitted and polled, in all known shapes; pure functions.

`data` is a list or an object, or left out, a task's name is `task_id` or `id`, a picture's `url` is a string
or a list. Other pictures of a completed task are found as those of any answer are (answers.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from beluga_nb.api import answers
from beluga_nb.api.states import State, is_under_way, states
from beluga_nb.errors import DECLINED, MAY_BE_BILLED, NOT_BILLED, EngineError, InvalidResponseError
from beluga_nb.text import sanitize
from beluga_nb.untrusted import DAMAGE, load_json
from beluga_nb.wire import NOT_SENT_AGAIN, Item, error_from_json, without_surrogates

FAILED = f"{NOT_BILLED} Put the prompt in other words, or run it again."

_ID = re.compile(r"[A-Za-z0-9_:-][A-Za-z0-9_.:-]{0,199}")  # it becomes part of a URL


@dataclass(frozen=True, kw_only=True)
class Task:
    """The state of a task: `items` once it is completed, `error` if it failed."""

    state: State
    created: int = 0
    items: tuple[Item | InvalidResponseError, ...] = ()
    error: EngineError | None = None


def submitted(content: bytes) -> str:
    """Return the id of the task that a submission began.

    Raises the `EngineError` that the answer holds, or `InvalidResponseError` where it names no task.
    """
    body = _object(content)
    code = body.get("code")
    if type(code) is int and code >= 400:  # a refusal under the status 200
        raise error_from_json(code, {}, content)
    fields = _unwrapped(body)
    name = fields.get("task_id") or fields.get("id")
    if not isinstance(name, str) or not _ID.fullmatch(name):
        start = sanitize(content[:200].decode(errors="replace"), 80)
        raise InvalidResponseError(
            f"The answer names no task: {start or 'it is empty'}",
            f"{MAY_BE_BILLED} Is this a service that is polled?",
        )
    return name


def read(content: bytes) -> Task:
    """Return the task of a poll's answer; raise `InvalidResponseError` where it describes none."""
    fields = _unwrapped(_object(content))
    meant = [state for _, state in states(fields)]
    if not meant:
        raise InvalidResponseError("A poll's answer has no status.", NOT_SENT_AGAIN)
    state: State = "pending" if is_under_way(fields) else next(filter(None, meant), "pending")
    created = fields.get("created")
    return Task(
        state=state,
        created=created if type(created) is int else 0,
        items=tuple(_items(fields.get("result"))) or _read(content) if state == "completed" else (),
        error=_failure(fields) if state == "failed" else None,
    )


def _object(content: bytes) -> Mapping[str, object]:
    try:
        body = load_json(content)
    except DAMAGE:
        return {}
    return body if isinstance(body, Mapping) else {}


def _unwrapped(body: Mapping[str, object]) -> Mapping[str, object]:
    # Without a name it is a gateway's own status, not that of a task.
    data = body.get("data", body if body.get("task_id") or body.get("id") else None)
    first = data[0] if isinstance(data, list) and data else data
    return first if isinstance(first, Mapping) else {}


def _items(result: object) -> Iterator[Item | InvalidResponseError]:
    images = result.get("images") if isinstance(result, Mapping) else None
    if not isinstance(images, list) or not any(
        isinstance(each, Mapping) and "url" in each for each in images
    ):
        return
    for image in images:
        image_fields = image if isinstance(image, Mapping) else {}
        urls, revised = image_fields.get("url"), image_fields.get("revised_prompt")
        for url in urls if isinstance(urls, list) else [urls]:
            if isinstance(url, str) and url:
                yield Item(
                    url=url, revised_prompt=without_surrogates(revised) if isinstance(revised, str) else None
                )
            else:
                yield InvalidResponseError("A picture of the task has no url.", NOT_SENT_AGAIN)


def _read(content: bytes) -> tuple[Item | InvalidResponseError, ...]:
    try:
        return answers.parse(content).items
    except InvalidResponseError:
        return ()


def _failure(fields: Mapping[str, object]) -> EngineError:
    error = fields.get("error") or fields.get("fail_reason") or fields.get("message")
    details = error if isinstance(error, Mapping) else {"message": error or "The task failed."}
    body = json.dumps({"error": details}).encode()
    failure = error_from_json(_status(details), {}, body)
    failure.hint, failure.outcome = FAILED, "refused"
    return failure


def _status(error: Mapping[str, object]) -> int:
    # Some services put the status into `code`.
    for value in (error.get("status"), error.get("code")):
        if type(value) is int and 400 <= value <= 599:
            return value
    return 400 if error.get("code") in DECLINED or error.get("type") == "invalid_request_error" else 502
