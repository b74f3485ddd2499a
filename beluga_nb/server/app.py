"""The embedded BelugAPI: an engine becomes an ASGI app with BelugAPI's contract.

It runs in process behind an ASGI transport, or behind uvicorn (`serve.py`); neither is imported here.
"""

from __future__ import annotations

import asyncio
import json
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import beluga_nb.catalog as catalog
import beluga_nb.chat as chat
import beluga_nb.server.openapi as openapi
import beluga_nb.wire as wire
from beluga_nb.errors import APIStatusError, BelugaError, EngineError, RateLimitError, RequestError
from beluga_nb.images import SUFFIXES
from beluga_nb.redaction import Secret
from beluga_nb.request import Request
from beluga_nb.result import PROCEDURAL, Engine, IncompleteError, Picture, Result
from beluga_nb.server.files import FileCache
from beluga_nb.server.jobs import CLOSED_REQUEST, Job, JobQueue
from beluga_nb.text import sanitize
from beluga_nb.untrusted import load_json

BODY_LIMIT = 1024 * 1024
"""Bytes of a request's body; the longest prompt takes 384 KiB when all of it is escaped."""

CHAT_LIMIT = 32 * 2**20
"""Bytes of a question's body, which has its pictures in it."""

_ID = "beluga.request_id"


def create_app(
    engine: Engine,
    *,
    key: str | Secret | None = None,
    workers: int = 4,
    limit: int = 64,
    patience: float = 300.0,
    clock: Callable[[], float] = time.monotonic,
) -> Starlette:
    """Return the API in front of `engine`; generations need `Bearer key` where a key is given.

    At most `workers` requests are with the engine and `limit` more wait; one that takes longer than
    `patience` seconds is answered with 504. The app serves one event loop.
    """
    secret = Secret(key, "this server") if isinstance(key, str) else key
    jobs = JobQueue(engine, workers=workers, limit=limit, patience=patience, clock=clock)
    service = _Service(jobs, FileCache(clock=clock), secret, clock)
    app = Starlette(
        routes=[
            Route("/v1/images/generations", service.generations, methods=["POST"]),
            Route(f"/v1{chat.PATH}", service.chat, methods=["POST"]),
            Route("/v1/models", _models),
            Route("/v1/models/{id}", _model),
            Route("/v1/health", _health),
            Route("/openapi.json", service.openapi),
            Route("/files/{name}", service.file),
        ],
        middleware=[Middleware(_Numbered)],
        exception_handlers={
            BelugaError: _belugas_error,
            HTTPException: _routers_error,
            ClientDisconnect: _gone,
            Exception: _own_error,
        },
    )
    app.router.redirect_slashes = False  # a redirected POST loses its body or is sent twice
    return app


# --- pictures


@dataclass(frozen=True)
class _Service:
    """The endpoints that have state."""

    jobs: JobQueue
    files: FileCache
    key: Secret | None
    clock: Callable[[], float]

    async def generations(self, http: HttpRequest) -> Response:
        """Answer `POST /v1/images/generations`."""
        began = self.clock()
        try:
            answer = await self._answer(http)
        except BelugaError as error:
            answer = _refusal(error)
        answer.headers[wire.PROCESSING_HEADER] = str(round((self.clock() - began) * 1000))
        return answer

    async def _answer(self, http: HttpRequest) -> Response:
        _check_key(http, self.key)
        asked, response_format = _parsed(await _body(http))
        request = catalog.canonical(asked)
        catalog.check_count(request)
        result = await self._drawn(http, request)
        link = self._link(http) if response_format == "url" else None
        answer = _json(wire.result_to_json(result, link=link))
        answer.headers[wire.ENGINE_HEADER] = _header(result.recipe.engine)
        answer.headers[wire.SIZE_HEADER] = _header(_size_words(asked, request))
        return answer

    async def _drawn(self, http: HttpRequest, request: Request) -> Result:
        job = self.jobs.submit(request)
        try:
            async with _cancelled_when_gone(http, job):
                return await job.result()
        # The contract has no error for this: an answer with fewer pictures is a success.
        except IncompleteError as error:
            return error.result

    def _link(self, http: HttpRequest) -> Callable[[Picture], str]:
        try:
            base = str(http.base_url)
        except ValueError:  # of a Host header that is no host, in Starlette before 0.50
            host, port = http.scope["server"]
            base = f"{http.scope['scheme']}://{host}:{port}/"
        return lambda picture: f"{base}files/{self.files.put(picture)}"

    async def chat(self, http: HttpRequest) -> Response:
        """Answer `POST /v1/chat/completions`: what the painter wrote into its pictures is read."""
        from beluga_nb.server.judge import completion  # Lazy import: few callers have questions.

        _check_key(http, self.key)
        body = await _body(http, CHAT_LIMIT)
        # On a thread, since a body is long.
        answer = _json(await asyncio.to_thread(completion, body, int(time.time())))
        answer.headers[wire.ENGINE_HEADER] = PROCEDURAL
        return answer

    async def file(self, http: HttpRequest) -> Response:
        """Answer `GET /files/{name}` with the very bytes of a picture."""
        file = self.files.get(http.path_params["name"])
        if file is None:
            raise APIStatusError(
                "The file does not exist; links expire after 60 minutes. Request it again, or use b64_json.",
                status=404,
                code="file_not_found",
            )
        # The engine's media type is not trusted: no HTML, no SVG.
        known = file.media_type in SUFFIXES
        headers = {"x-content-type-options": "nosniff", "cache-control": "private, no-store"}
        media_type = file.media_type if known else "application/octet-stream"
        return Response(file.data, media_type=media_type, headers=headers)

    async def openapi(self, _: HttpRequest) -> Response:
        """Answer `GET /openapi.json`."""
        return _json(openapi.document(secured=self.key is not None))


def _check_key(http: HttpRequest, key: Secret | None) -> None:
    if key is None:
        return
    if not _has_key(http, key):
        raise APIStatusError(
            "The API key is missing or wrong. Send it as 'Authorization: Bearer bapi_…'.",
            status=401,
            code="invalid_api_key",
        )


def _has_key(http: HttpRequest, key: Secret) -> bool:
    scheme, _, token = http.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and key.is_same(token.strip())


async def _body(http: HttpRequest, limit: int = BODY_LIMIT) -> bytes:
    kind = http.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        shown_type = sanitize(kind, 80) or "missing"
        raise APIStatusError(f"The content type is {shown_type}. Send application/json.", status=415)
    body = bytearray()
    async with aclosing(http.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > limit:
                raise APIStatusError(f"The body is longer than {limit:,} bytes. Send less.", status=413)
    return bytes(body)


def _parsed(body: bytes) -> tuple[Request, str]:
    try:
        return wire.request_from_json(load_json(body))
    except BelugaError:
        raise
    except (ValueError, RecursionError):
        raise RequestError("The body is not valid JSON.", "Send an object with model and prompt.") from None


def _size_words(asked: Request, request: Request) -> str:
    size = request.size or catalog.DEFAULT_SIZE
    return size if asked.size is None or asked.size == size else f"{size}; requested={sanitize(asked.size)}"


@asynccontextmanager
async def _cancelled_when_gone(http: HttpRequest, job: Job) -> AsyncIterator[None]:
    watch = asyncio.create_task(_cancel_when_gone(http, job))
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.wait({watch})


async def _cancel_when_gone(http: HttpRequest, job: Job) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass
    job.cancel()


# --- models and health


async def _models(http: HttpRequest) -> Response:
    """Answer `GET /v1/models`, in OpenAI's shape; `?category=`, `?provider=` and `?q=` filter."""
    query = http.query_params
    found = catalog.matching(query.get("q", ""), provider=query.get("provider", ""))
    images = (query.get("category") or "image").casefold() == "image"
    return _json({"object": "list", "data": [_record(each) for each in found if images]})


def _record(model: catalog.Model) -> dict[str, object]:
    return {
        "id": model.id,
        "object": "model",
        "created": 0,
        "owned_by": model.provider,
        "name": model.name,
        "supported_parameters": {
            name: wire.parameter_to_json(each) for name, each in catalog.supported_parameters(model).items()
        },
    }


async def _model(http: HttpRequest) -> Response:
    return _json(_record(catalog.find(http.path_params["id"])))


async def _health(_: HttpRequest) -> Response:
    return _json({"status": "ok"})


# --- errors: the error object, on every status


async def _belugas_error(_: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, BelugaError)
    return _refusal(error)


async def _routers_error(http: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = f"{http.method} {sanitize(http.scope['path'], 120)}"
    words = {404: f"There is no {what}.", 405: f"{what} is not allowed; the Allow header lists the methods."}
    message = words.get(error.status_code, sanitize(error.detail))
    return _json(wire.error_object(message, status=error.status_code), error.status_code, error.headers)


async def _gone(_: HttpRequest, __: Exception) -> Response:
    return _refusal(APIStatusError("The caller went away.", status=CLOSED_REQUEST))


async def _own_error(http: HttpRequest, _: Exception) -> Response:
    # Starlette sends this outside all middleware, then raises the error again, which logs it.
    answer = _refusal(EngineError("The server failed unexpectedly; see its log.", status=500))
    answer.headers[wire.REQUEST_ID_HEADER] = http.scope[_ID]
    return answer


def _refusal(error: BelugaError) -> Response:
    status, body = wire.error_to_json(error)
    if not 400 <= status <= 599:  # an engine may pass on a redirect, which the caller must not follow
        status, body = 502, wire.error_object(sanitize(error.message), status=502)
    return _json(body, status, _advice(status, error))


def _advice(status: int, error: BelugaError) -> dict[str, str]:
    """Return headers that tell SDKs whether and when to retry (API reference: Errors)."""
    wait = error.retry_after if isinstance(error, RateLimitError) else None
    if status == 429 or (status == 503 and wait is not None):
        return {"retry-after": str(max(1, math.ceil(wait or 1)))}
    if status == 401:
        return {"www-authenticate": "Bearer"}
    # SDKs also retry 500, 408 and 409, which would be a second paid job.
    return {"x-should-retry": "false"} if status >= 500 or status in {402, 408, 409} else {}


def _json(
    body: Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    # Starlette's JSONResponse fails on half a surrogate pair; ASCII escapes do not.
    return Response(json.dumps(body), status, headers, media_type="application/json")


def _header(text: str) -> str:
    """Return text that is safe in a header: one line, UTF-8 decoded as Latin-1."""
    return sanitize(text, 200).encode().decode("latin-1")


class _Numbered:
    """Give each answer its `x-request-id`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        number = scope[_ID] = f"req_{secrets.token_hex(16)}"

        async def numbered(message: Message) -> None:
            if message["type"] == "http.response.start":
                header = (wire.REQUEST_ID_HEADER.encode(), number.encode())
                message = {**message, "headers": [*message.get("headers", ()), header]}
            await send(message)

        await self.app(scope, receive, numbered)
