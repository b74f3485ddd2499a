"""Failures on demand: `fault: 429 retry-after=2 | a red bicycle`.

The order stands in the prompt, since prompts travel unchanged through every client, panel and SDK, while
model ids are checked against a catalogue and headers are out of most callers' reach. It is read only where
the server was started with `--faults`, or the setting `faults` is true; elsewhere it is a prompt like any
other.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace

from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from beluga_nb.errors import (
    APIStatusError,
    APITimeoutError,
    EngineError,
    InvalidResponseError,
    OutcomeUnknownError,
    RateLimitError,
    RequestError,
    UnknownNameError,
)
from beluga_nb.request import Request
from beluga_nb.result import Engine, ImagePayload, IncompleteError, Result
from beluga_nb.text import sanitize

Sleep = Callable[[float], Awaitable[None]]
Fail = Callable[[float | None], EngineError]
"""Makes an error; its argument are the seconds of `retry-after`."""

_ORDER = re.compile(r"\s*fault:([^|]*)(?:\|(.*))?", re.DOTALL | re.IGNORECASE)
_LONGEST = 600.0  # seconds
_ON_DEMAND = "This failure was asked for."


@dataclass(frozen=True)
class Fault:
    """What a fault does, its one option with an example, and whether that may be left out."""

    does: str
    option: str = ""
    example: float = 0.0
    optional: bool = False
    fail: Fail | None = None


def _refused(status: int, code: str, **fields: str) -> Fail:
    return lambda _: APIStatusError(_ON_DEMAND, status=status, code=code, **fields)


def _overloaded(status: int, default: float | None = None) -> Fail:
    return lambda wait: RateLimitError(_ON_DEMAND, status=status, retry_after=wait or default)


FAULTS: Mapping[str, Fault] = {
    "401": Fault("the key is refused", fail=_refused(401, "invalid_api_key")),
    "402": Fault("the balance is too low", fail=_refused(402, "insufficient_quota")),
    "403": Fault("the key may not use the model", fail=_refused(403, "permission_denied")),
    "429": Fault(
        "too many requests; by itself, come back in 1 s", "retry-after", 2, True, fail=_overloaded(429, 1)
    ),
    "500": Fault("the server fails", fail=lambda _: EngineError(_ON_DEMAND, status=500)),
    "502": Fault("the provider fails", fail=lambda _: OutcomeUnknownError(_ON_DEMAND, status=502)),
    "503": Fault("the model is unavailable", "retry-after", 2, True, fail=_overloaded(503)),
    "504": Fault("the picture took too long", fail=lambda _: APITimeoutError(_ON_DEMAND, status=504)),
    "moderation": Fault(
        "the prompt is declined: 400, `moderation_blocked`",
        fail=_refused(400, "moderation_blocked", param="prompt"),
    ),
    "slow": Fault("the answer comes after N seconds", "seconds", 5),
    "some": Fault("only the first N pictures come", "pictures", 1),
    "cut": Fault("the connection breaks in the middle of the answer"),
    "expired": Fault("the links return 404, where links were requested"),
}
"""What can be ordered, by name: the parser, its errors and the README's table come from here."""


@dataclass(frozen=True)
class Order:
    """A fault, its option's value where one was given, and the rest of the prompt."""

    name: str
    value: float | None
    prompt: str


def table() -> str:
    """Return the README's table of faults."""
    rows = [f"| {_written(name, fault)} | {fault.does} |" for name, fault in FAULTS.items()]
    return "\n".join(["| after `fault:` | what happens |", "|---|---|", *rows])


def _written(name: str, fault: Fault) -> str:
    if not fault.option:
        return f"`{name}`"
    whole = f"`{name} {fault.option}={fault.example:g}`"
    return f"`{name}`, {whole}" if fault.optional else whole


def ordered(prompt: str) -> Order | None:
    """Return the fault that a prompt orders, or None where it orders none.

    Raises `RequestError` for one that does not exist, naming the nearest, and for an option that does
    not fit.
    """
    found = _ORDER.fullmatch(prompt)
    if not found:
        return None
    name, *options = found[1].split() or [""]
    if name not in FAULTS:
        raise UnknownNameError("fault", name, FAULTS, param="prompt", code="unknown_fault")
    return Order(name, _value(name, FAULTS[name], options), (found[2] or "").strip() or prompt)


def _value(name: str, fault: Fault, options: list[str]) -> float | None:
    if not options and (fault.optional or not fault.option):
        return None
    option, _, text = options[0].partition("=") if len(options) == 1 else ("", "", "")
    value = float(text) if re.fullmatch(r"\d{1,6}(\.\d{1,3})?", text, re.ASCII) else 0.0
    if not fault.option or option != fault.option or not 0 < value <= _LONGEST:
        raise RequestError(
            f"The fault {name} does not take '{sanitize(' '.join(options), 80)}'.",
            f"Write it as 'fault: {name}{f' {fault.option}={fault.example:g}' if fault.option else ''} | …'",
            param="prompt",
            code="invalid_fault",
        )
    return value


class Faulty:
    """Fail as the prompt orders; other prompts, and the rest of an order's, go to the engine."""

    def __init__(self, engine: Engine, *, sleep: Sleep = asyncio.sleep) -> None:
        self.engine = engine
        self.sleep = sleep

    async def __call__(self, request: Request) -> Result:
        order = ordered(request.prompt)
        if order is None:
            return await self.engine(request)
        if fail := FAULTS[order.name].fail:
            raise fail(order.value)
        if order.name == "slow":
            await self.sleep(order.value or 0.0)
        result = _as_asked(await self.engine(replace(request, prompt=order.prompt)), request)
        if order.name == "some":
            return _some(result, math.ceil(order.value or 1))
        if spoils := _spoils.get():
            spoils.fault = order.name
        return result


def _as_asked(result: Result, request: Request) -> Result:
    answers = [
        ImagePayload(each.data, each.media_type, each.recipe.revised_prompt) for each in result.pictures
    ]
    return Result.of(request, answers, engine=result.recipe.engine, created=result.recipe.created)


def _some(result: Result, pictures: int) -> Result:
    if pictures < len(result):
        raise IncompleteError(result[:pictures], [InvalidResponseError(_ON_DEMAND)])
    return result


# --- faults of the transport, which no engine can have


@dataclass
class _Spoils:
    """How one answer is to be spoiled: the engine sets it, `_Spoiled` reads it."""

    fault: str = ""


# A job's task begins with a copy of the caller's context, so the engine finds the note of its own answer.
_spoils: ContextVar[_Spoils | None] = ContextVar("_spoils", default=None)


def faulty(engine: Engine, create: Callable[[Engine], Starlette]) -> Starlette:
    """Return the app that `create` makes, in front of `engine`, with every fault on demand."""
    app = create(Faulty(engine))
    app.add_middleware(_Spoiled)
    return app


_FILE = re.compile(rb"/files/[0-9a-f]{32}")


class _Spoiled:
    """Cut answers and let links expire where the prompt orders it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        note = _Spoils()
        before = _spoils.set(note)

        async def spoiled(message: Message) -> None:
            if message["type"] == "http.response.body":
                body = message["body"]
                if note.fault == "cut":
                    message = {**message, "body": body[: len(body) // 2], "more_body": True}
                if note.fault == "expired":
                    message = {**message, "body": _FILE.sub(b"/files/" + b"0" * 32, body)}
            await send(message)

        try:
            await self.app(scope, receive, spoiled)
        finally:
            _spoils.reset(before)
        if note.fault == "cut":
            # Makes the server hang up. Raised here, since Starlette logs errors that pass through it.
            raise ConnectionAbortedError(_ON_DEMAND)
