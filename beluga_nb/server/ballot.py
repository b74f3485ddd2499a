"""The voting page as an ASGI app: one page, its state as JSON, and pictures under random names.

What a voter is shown and what becomes of an answer is decided by a `Poll` (show/ballot.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from beluga_nb.errors import BelugaError
from beluga_nb.untrusted import DAMAGE, load_json, number, text

POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of the page."""

BODY_LIMIT = 4096
"""Bytes of a request's body."""

State = Mapping[str, object]
"""What a voter's page shows, as JSON."""


class UnknownLinkError(LookupError):
    """No voter has this link."""


class FullError(RuntimeError):
    """No further voter can begin."""


class Poll(Protocol):
    """A vote on pictures by voters who each have a secret token; methods are called from several threads.

    All raise `UnknownLinkError` for an unknown token. The token "" is that of the page where voters begin.
    """

    def state(self, token: str) -> State:
        """Return what the voter's page shows."""
        ...

    def begin(self, token: str, voter: str) -> str:
        """Begin, after the voter has consented, and return their token; raise `FullError` where it cannot."""
        ...

    def answer(self, token: str, question: str, answer: str, seconds: float | None) -> State:
        """Record an answer to a question, if that is still asked, and return what comes next."""
        ...

    def picture(self, token: str, name: str) -> bytes | None:
        """Return a picture of the question that is asked, as JPEG."""
        ...


@dataclass(frozen=True, kw_only=True)
class Page:
    """The files of the page."""

    html: str
    css: str
    js: str


def create_ballot_app(poll: Poll, page: Page) -> Starlette:
    """Return the app of a vote; behind `Guard`, with `POLICY`, it may be reached through a port."""
    service = _Service(poll)
    html = _file(page.html, "text/html")
    routes = [
        Route("/ballot.css", _file(page.css, "text/css")),
        Route("/ballot.js", _file(page.js, "text/javascript")),
        Route("/favicon.ico", lambda _: Response(status_code=204)),
    ]
    # Where voters begin, and a voter's own page.
    for root in ("", "/v/{token}"):
        routes += [
            Route(root or "/", html),
            Route(f"{root}/state", service.state),
            Route(f"{root}/begin", service.begin, methods=["POST"]),
        ]
    routes += [
        Route("/v/{token}/answer", service.answer, methods=["POST"]),
        Route("/v/{token}/p/{name}", service.picture),
    ]
    handlers: dict[Any, Callable[[HttpRequest, Any], Response]] = {
        UnknownLinkError: lambda *_: _refused(
            404, "This link is not known here. Open the one that you were given."
        ),
        FullError: lambda *_: _refused(429, "No further voter can begin."),
        # What an error says is for the author: it may name files.
        BelugaError: lambda *_: _refused(503, "Your answer could not be saved."),
        _RefusedError: lambda _, error: _refused(*error.args),
        ClientDisconnect: lambda *_: Response(status_code=499),
    }
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return app


def _file(content: str, media_type: str) -> Callable[[HttpRequest], Response]:
    return lambda _: Response(content, media_type=media_type)


def _refused(status: int, words: str) -> Response:
    return JSONResponse({"error": words}, status_code=status)


class _RefusedError(ValueError):
    """A request that is refused: its status, and why."""


@dataclass(frozen=True)
class _Service:
    poll: Poll

    async def state(self, http: HttpRequest) -> Response:
        """Return what the voter's page shows."""
        return JSONResponse(await run_in_threadpool(self.poll.state, _token(http)))

    async def begin(self, http: HttpRequest) -> Response:
        """Begin, and return where the voter's own page is."""
        fields = await _fields(http, voter=text)
        token = await run_in_threadpool(self.poll.begin, _token(http), fields["voter"])
        return JSONResponse({"page": f"/v/{token}"})

    async def answer(self, http: HttpRequest) -> Response:
        """Record an answer, and return what comes next."""
        asked = await _fields(http, question=text, answer=text, seconds=number)
        answered = (_token(http), asked["question"], asked["answer"], asked["seconds"])
        return JSONResponse(await run_in_threadpool(self.poll.answer, *answered))

    async def picture(self, http: HttpRequest) -> Response:
        """Return a picture."""
        data = self.poll.picture(_token(http), http.path_params["name"])
        return Response(data, media_type="image/jpeg") if data else _refused(404, "No such picture.")


def _token(http: HttpRequest) -> str:
    token: str = http.path_params.get("token", "")
    return token


async def _fields(http: HttpRequest, **types: Callable[[object], Any]) -> dict[str, Any]:
    """Return the fields of a small JSON object."""
    # A form of another site can be sent without asking, but not as JSON.
    if http.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _RefusedError(415, "Send JSON.")
    body = bytearray()
    async for some in http.stream():
        body += some
        if len(body) > BODY_LIMIT:
            raise _RefusedError(413, f"The body is longer than {BODY_LIMIT} bytes.")
    try:
        fields = load_json(bytes(body))
        return {name: check(fields[name]) for name, check in types.items()}
    except DAMAGE:
        raise _RefusedError(400, f"Send an object with {', '.join(types)}.") from None
