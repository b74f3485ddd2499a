"""Requests, results and errors as the API's JSON; the client and the embedded server share it.

The shapes are BelugAPI's (Request parameters, Errors). Nothing here touches network, disk or clock.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import pybase64

import beluga_nb.catalog as catalog
from beluga_nb.errors import (
    MAY_BE_BILLED,
    NOT_BILLED,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BelugaError,
    EngineError,
    InvalidResponseError,
    OutcomeUnknownError,
    RateLimitError,
    RequestError,
)
from beluga_nb.hints import Hint, Remedy, Surface, on
from beluga_nb.request import PARAMETERS, Request
from beluga_nb.result import Picture, Result
from beluga_nb.text import sanitize

ENGINE_HEADER = "x-beluga-engine"
SIZE_HEADER = "x-beluga-size"
PROCESSING_HEADER = "openai-processing-ms"
REQUEST_ID_HEADER = "x-request-id"


# --- requests


def request_to_json(request: Request, *, response_format: str, extensions: bool = False) -> dict[str, object]:
    """Return the body of the POST: only what was set, so that the service's defaults stay its own."""
    body: dict[str, object] = {**request.parameters, "n": request.n, "response_format": response_format}
    return body | ({name: getattr(request, name) for name in catalog.EXTENSIONS} if extensions else {})


def request_from_json(body: object) -> tuple[Request, str]:
    """Return the request and the response format; raise `RequestError` naming the parameter.

    Unknown keys are accepted (SDKs send them), and null means "not set".
    """
    if not isinstance(body, Mapping):
        raise RequestError("The body is not a JSON object.", "Send an object with model and prompt.")
    given = {name: value for name, value in body.items() if value is not None}
    for name in ("model", "prompt"):
        if name not in given:
            raise RequestError(
                f"'{name}' is missing.", f"Send {name} as a string.", param=name, code="missing_parameter"
            )
    response_format = given.get("response_format", catalog.RESPONSE_FORMAT.default)
    if response_format not in catalog.RESPONSE_FORMAT.values:  # of any type, so no set
        raise RequestError(
            f"response_format is {sanitize(str(response_format), 80)!r}.",
            f"Use {' or '.join(catalog.RESPONSE_FORMAT.values)}.",
            param="response_format",
        )
    known = {name: _number(given[name]) for name in PARAMETERS if name in given}
    return Request(**known), str(response_format)


def _number(value: object) -> Any:
    # In JSON 1.0 is 1: its schemas call both an integer, and some languages write only the former.
    return int(value) if isinstance(value, float) and value.is_integer() else value


# --- models


def parameter_to_json(parameter: catalog.Parameter) -> dict[str, object]:
    """Return what a parameter takes, in the form of a model's record.

    >>> parameter_to_json(catalog.RESPONSE_FORMAT)
    {'type': 'enum', 'values': ['url', 'b64_json'], 'default': 'url'}
    """
    takes: dict[str, object]
    match parameter:
        case catalog.Enum():
            takes = {"type": "enum", "values": [*parameter.values]}
        case catalog.Range():
            takes = {"type": "range", "min": parameter.least, "max": parameter.most}
        case catalog.Text():
            takes = {"type": "string", "max_length": parameter.longest}
    return {
        name: value for name, value in {**takes, "default": parameter.default}.items() if value is not None
    }


def models_from_json(text: bytes) -> list[catalog.Model]:
    """Return the models that a service lists; raise `InvalidResponseError` where there is no list.

    >>> models_from_json(b'{"data": [{"id": "flux-3.0", "owned_by": "Various"}]}')
    [Model(id='flux-3.0', name='', provider='Various', sizes=(), n_max=1)]
    """
    listed = body.get("data") if isinstance(body := _parsed(text), Mapping) else None
    if not isinstance(listed, list):
        raise InvalidResponseError("The answer is not a list of models.", "Check the base URL.")
    return [_model(each) for each in listed if isinstance(each, Mapping) and _word(each.get("id"))]


def _model(listed: Mapping[str, object]) -> catalog.Model:
    provider = listed.get("provider") or listed.get("owned_by")
    id_, name, provider = (_word(each) or "" for each in (listed["id"], listed.get("name"), provider))
    return catalog.Model(id=id_, name=name, provider=provider, sizes=(), n_max=1)


# --- results


@dataclass(frozen=True)
class Item:
    """One entry of an answer's `data`: either the bytes themselves or where they lie."""

    data: bytes | None = None
    url: str | None = None
    revised_prompt: str | None = None


def result_to_json(result: Result, *, link: Callable[[Picture], str] | None = None) -> dict[str, object]:
    """Return the answer's body, with `url` where `link` gives one, else with `b64_json`."""
    return {
        "created": result.recipe.created,
        "data": [_item_to_json(picture, link) for picture in result.pictures],
    }


def answer_of(result: Result) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of the answer that holds the pictures of a result."""
    headers = {ENGINE_HEADER: result.recipe.engine, "content-type": "application/json"}
    return headers, json.dumps(result_to_json(result)).encode()


def _item_to_json(picture: Picture, link: Callable[[Picture], str] | None) -> dict[str, object]:
    item: dict[str, object] = (
        {"url": link(picture)} if link else {"b64_json": pybase64.b64encode(picture.data).decode()}
    )
    if picture.recipe.revised_prompt is not None:
        item["revised_prompt"] = picture.recipe.revised_prompt
    return item


def _parsed(text: bytes) -> object:
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed


def without_surrogates(text: str) -> str:
    """Return text without half surrogate pairs, which JSON can spell and no file can hold."""
    return text.encode("utf-8", "replace").decode()


# --- errors

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
    500: "server_error",
    502: "upstream_error",
    503: "service_unavailable",
    504: "timeout",
}
"""The API's word for each status that it documents (API reference: Errors)."""

_ADVICE = {
    401: f"It is missing, revoked or for another service: replace it. {NOT_BILLED}",
    402: f"Top up the balance, or unset BELUGA_API_KEY to go on with local previews. {NOT_BILLED}",
    403: f"This key may not use that model or endpoint: choose another one, or use another key. {NOT_BILLED}",
    404: Hint(Remedy("models"), f" lists the models; check the base URL too. {NOT_BILLED}"),
    429: f"Wait a little and run it again. {NOT_BILLED}",
    503: "The service or the model is unavailable just now: try again later, or another model.",
    504: "The service needed more than five minutes to make the picture.",
}

NOT_SENT_AGAIN = (
    f"{MAY_BE_BILLED} It was not sent again automatically:"
    " look at the service's usage page, then run it again."
)

REFUSALS = frozenset(
    {400, 401, 402, 403, 404, 405, 406, 407, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 425, 426, 428}
    | {429, 431, 451}
)
"""The statuses that prove that a request was not executed, by BelugAPI's documentation and the RFCs of HTTP.

Not among them: 408 and 499, since the work may have begun; 409, which can mean that the same request is being
executed; 424, which comes in the middle of the work; and any code that a gateway invents.
"""

TRY_LATER = frozenset({408, 425, 429})
"""The statuses below 500 after which a GET may succeed a little later."""

LONGEST_WAIT = 60.0
"""Seconds that a call sleeps at most in all its pauses (R05)."""


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{min(round(seconds / size), 999)} {unit}"
    return f"{round(seconds)} s"


def type_of(status: int) -> str:
    """Return the API's word for a status (API reference: Errors)."""
    return ERROR_TYPES.get(status) or ERROR_TYPES[400 if status < 500 else 500]


def error_to_json(error: BelugaError) -> tuple[int, dict[str, object]]:
    """Return the status and the API's error object."""
    if isinstance(error, RequestError):
        # The API's error object has no place for a hint, so the message carries both.
        status = 404 if error.code == "model_not_found" else 400
        return status, error_object(
            f"{error.message} {on(error.hint, Surface.API)}".strip(),
            status=status,
            code=error.code,
            param=error.param,
        )
    failure = error if isinstance(error, EngineError) else EngineError(error.message)
    status = failure.status or 500
    return status, error_object(
        failure.message, status=status, kind=failure.type, code=failure.code, param=failure.param
    )


def error_object(
    message: str, *, status: int, kind: str | None = None, code: str | None = None, param: str | None = None
) -> dict[str, object]:
    """Return the API's error object; `kind` is its `type`, by default the one that fits the status."""
    return {"error": {"message": message, "type": kind or type_of(status), "code": code, "param": param}}


def error_from_json(status: int, headers: Mapping[str, str], text: bytes) -> EngineError:
    """Return what a status other than 200 means, whatever shape its body has.

    Read are `{"error": {…}}`, `{"error": "…"}`, `{"detail": …}` and plain text.
    """
    details = _details(text)
    message = sanitize(str(details.get("message") or "")) or f"The service answered with status {status}."
    fields: dict[str, object] = {
        "status": status,
        "type": _word(details.get("type")) or type_of(status),
        "code": _word(details.get("code")),
        "param": _word(details.get("param")),
        "request_id": _word(headers.get(REQUEST_ID_HEADER)),
    }
    # Such an answer has no error object, whatever its body is.
    if status < 400:
        message = (
            f"The base URL redirects to {_host(headers)}; redirects are not followed."
            if status >= 300
            else f"The service answered with the status {status}, which does not answer a request."
        )
    return _error_of(status, message, retry_after(headers), fields)


def _host(headers: Mapping[str, str]) -> str:
    # The rest of the address may be signed.
    try:
        host = urlsplit(headers.get("location", "")).netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    return sanitize(host, 80) or "another address"


def _error_of(status: int, message: str, wait: float | None, fields: Mapping[str, object]) -> EngineError:
    advice = _ADVICE.get(status, "")
    if status == 429 or status == 503:
        if wait and wait > LONGEST_WAIT:
            advice = f"The service says to try again in {_duration(wait)}. {NOT_BILLED}"
        if status == 503 and wait is None:  # it may have come in the middle of the work
            advice = f"{advice} {NOT_SENT_AGAIN}"
        return RateLimitError(message, advice, retry_after=wait, **fields)
    if status == 504:
        return APITimeoutError(message, f"{advice} {NOT_SENT_AGAIN}", **fields)  # type: ignore[arg-type]
    if 300 <= status < 400:
        advice = f"Set BELUGA_BASE_URL to the right address. {NOT_SENT_AGAIN}"
    if status not in REFUSALS:
        return OutcomeUnknownError(message, advice or NOT_SENT_AGAIN, **fields)  # type: ignore[arg-type]
    kind = AuthenticationError if status == 401 else APIStatusError
    refused = kind(message, advice or f"Change the request, and run it again. {NOT_BILLED}", **fields)  # type: ignore[arg-type]
    if refused.declined:
        refused.hint = f"Put it in other words, or ask another model. {NOT_BILLED}"
    return refused


def error_words(body: Mapping[str, object]) -> str:
    """Return the message in the body of an error, whatever its shape."""
    return str(_details_in(body).get("message") or "")


def _details(text: bytes) -> Mapping[str, object]:
    body = _parsed(text)
    if not isinstance(body, Mapping):
        words = text[:2000].decode(errors="replace")
        # An HTML page of a gateway says nothing to a user.
        return {} if "<" in words else {"message": words}
    return _details_in(body)


def _details_in(body: Mapping[str, object]) -> Mapping[str, object]:
    error = next((body[name] for name in ("error", "detail", "errors") if body.get(name)), body)
    if isinstance(error, Mapping) and not isinstance(error.get("message"), str):
        error = error | {"message": _words(error)} if isinstance(error, dict) else error
    if isinstance(error, Mapping):
        return error
    if isinstance(error, list):
        return {"message": "; ".join(_words(each) for each in error)}
    return {"message": error}


def _words(entry: object) -> str:
    # The deepest nesting that has been seen.
    for _ in range(3):
        if isinstance(entry, Mapping):
            names = ("message", "msg", "error", "detail", "title")
            entry = next((entry[name] for name in names if entry.get(name)), "")
    return entry if isinstance(entry, str) else ""


def _word(value: object) -> str | None:
    return sanitize(str(value), 120) if isinstance(value, str | int) and not isinstance(value, bool) else None


def retry_after(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Return the seconds that a service asks to wait, or None where the header is unusable.

    Read are `retry-after-ms`, and `Retry-After` as a number or an HTTP date. A date counts from the
    answer's own `Date`, so that a clock that is wrong here does not matter; from `now`, in Unix seconds,
    where there is none. What is past is no wait at all: 0 (R07).
    """
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "").strip()
    if (until := _moment(value)) is None:
        return _seconds(value)
    began = _moment(headers.get("date", "")) or (time.time() if now is None else now)
    return max(0.0, until - began)


def _seconds(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _moment(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None
