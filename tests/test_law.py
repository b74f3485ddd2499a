"""The law: wrapping never changes the answer.

For every request and engine, the client in front of the server in front of the engine, in process and over a
real port, a server that wants another dialect, a service that is polled, a server that fails on demand and
was not asked to, the recording, its replay, what was left and is fetched later, the retrying, the limited,
the spread and the per-loop engine all give what the engine gives, to the byte.
"""

import asyncio
import contextlib
import random
from dataclasses import replace
from functools import partial

import pytest
from conftest import KEY, ask, drawing, drawn, service
from upstream import Upstream

from beluga_nb.api.dialects import OPENAI
from beluga_nb.api.endpoint import Endpoint, TimeLimits
from beluga_nb.api.http import Http
from beluga_nb.api.keys import Secret
from beluga_nb.api.polled import Pace, Polled
from beluga_nb.budget import Budget, Caps
from beluga_nb.catalog import split
from beluga_nb.core import Answer, Request, Result
from beluga_nb.engines.batched import Batched
from beluga_nb.engines.budgeted import Budgeted
from beluga_nb.engines.connected import Connected
from beluga_nb.engines.counted import Counted
from beluga_nb.engines.held import Held
from beluga_nb.engines.in_room import InRoom
from beluga_nb.engines.in_time import InTime
from beluga_nb.engines.limited import ConcurrencyLimit, Limited
from beluga_nb.engines.per_loop import PerLoop
from beluga_nb.engines.recorded import Recorded
from beluga_nb.engines.recovering import Recovering
from beluga_nb.engines.replayed import Replayed
from beluga_nb.engines.retrying import Retrying
from beluga_nb.engines.room import EngineRoom, engine_room
from beluga_nb.engines.single_flight import KeyedLocks, SingleFlight
from beluga_nb.engines.stop_on_fatal import CircuitBreaker, StopOnFatal
from beluga_nb.engines.unrecorded import Unrecorded
from beluga_nb.errors import (
    Address,
    BelugaError,
    OutcomeUnknown,
    Overloaded,
    Refused,
    TimedOut,
)
from beluga_nb.local.app import create_app
from beluga_nb.local.faults import faulty
from beluga_nb.local.previews import previews
from beluga_nb.show.preview import preview
from beluga_nb.store import pending
from beluga_nb.store.records import Store


async def in_jpeg_and_webp(request: Request) -> Result:
    kinds = [("JPEG", "image/jpeg"), ("WEBP", "image/webp")]
    answers = [
        Answer(drawn(request, sample, kinds[sample % 2][0]), kinds[sample % 2][1])
        for sample in request.samples
    ]
    return Result.of(request, answers, engine="two formats")


async def busy(request: Request) -> Result:
    raise Overloaded("Try again in a moment.", retry_after=2)


async def declined(request: Request) -> Result:
    raise Refused("Your prompt was declined.", status=400, code="moderation_blocked", param="prompt")


async def broken(request: Request) -> Result:
    raise OutcomeUnknown("The provider failed.", status=502)


async def slow(request: Request) -> Result:
    raise TimedOut("Polling took more than five minutes.")


ENGINES = [drawing, in_jpeg_and_webp, previews, busy, declined, broken, slow]

REQUESTS = [
    Request(prompt="a red bicycle on a beach, really?", model="gpt-image-2"),
    Request(prompt='{"json": "{{x}}"}, 50 % \N{SNOWMAN} é\n\n ', model="flux-2.0", n=3, size="2:1"),
    Request(prompt="a fox", model="seedream-4.5", n=4, size="9:16", quality="hd", take="again", sample=2),
    Request(prompt="a skyline", model="wan2.7-image", size="auto", quality="standard"),
    Request(prompt="a fox", model="flux-2.0", output_format="webp", output_compression=40),
]


def client(base_url, response_format, app=None):
    return Http(
        Endpoint(
            base_url=base_url,
            provider="law",
            key=Secret(KEY, "a test"),
            response_format=response_format,
            extensions=True,
        ),
        app=app,
    )


def in_openais_words(engine):
    """Pixels, OpenAI's qualities, and no word on how pictures come back."""
    spoken = replace(in_process(engine).endpoint, dialect=OPENAI, prefix="lab:")
    return Http(spoken, app=create_app(engine, key=KEY))


def in_process(engine, response_format="b64_json"):
    return client("http://127.0.0.1/v1", response_format, create_app(engine, key=KEY))


def recorded(engine, store, limit=None):
    keeping = Recorded(engine, store, provider="law", preview=preview, notify=pytest.fail)
    return Replayed(Limited(keeping, limit, 4) if limit else keeping, store, provider="law")


async def no_time(_seconds):
    await asyncio.sleep(0)


def recovering(engine, store):
    async def fetch(part, address):
        return await engine(part)

    keeping = Recorded(engine, store, provider="law", preview=preview, notify=pytest.fail)
    return Recovering(Replayed(keeping, store, provider="law"), keeping, fetch)


def left_and_recovered(engine, store):
    """As if an earlier call had left all its pictures at their addresses."""

    async def ask_again(request):
        call = pending.begin(store, request.as_call(), provider="law")
        left = [Address(sample=sample, url="https://x.example/", engine="x") for sample in request.samples]
        pending.lose(store, call, "It was not fetched.", left)
        return await recovering(engine, store)(request)

    return ask_again


def replayed(engine, store):
    async def twice(request):
        with contextlib.suppress(Refused):  # what a model declines is recorded too
            await recorded(engine, store)(request)
        return await Replayed(Unrecorded(store), store, provider="law")(request)

    return twice


def polled(engine):
    endpoint = Endpoint(
        base_url="http://127.0.0.1/v1",
        provider="law",
        key=Secret(KEY, "a test"),
        response_format="url",
        extensions=True,
    )
    return Polled(endpoint, pace=Pace(first=0, longest=0), app=Upstream(engine).app)


WRAPPERS = {
    "in process, url": lambda engine, _: in_process(engine, "url"),
    "in process, b64_json": lambda engine, _: in_process(engine, "b64_json"),
    "in OpenAI's words": lambda engine, _: in_openais_words(engine),
    "polled": lambda engine, _: polled(engine),
    "polled, behind the server": lambda engine, _: in_process(PerLoop(lambda: polled(engine))),
    "faulty": lambda engine, _: client(
        "http://127.0.0.1/v1", "url", faulty(engine, partial(create_app, key=KEY))
    ),
    "recorded": recorded,
    "replayed": replayed,
    "recovering": recovering,
    "left and recovered": left_and_recovered,
    "retrying": lambda engine, _: Retrying(engine, sleep=no_time, rng=random.Random(1)),
    "counted": lambda engine, _: Counted(engine),
    "limited, per loop": lambda engine, _: PerLoop(lambda: Limited(engine, ConcurrencyLimit(), 2)),
    "until stopped": lambda engine, _: StopOnFatal(engine, CircuitBreaker(lambda _error: True)),
    "budgeted": lambda engine, _: Budgeted(engine, Budget(), Caps(images=9)),
    "single flight": lambda engine, _: SingleFlight(engine, KeyedLocks()),
    "in the room": lambda engine, _: InRoom(engine, engine_room(), hold=9),
    "held": lambda engine, _: Held(engine, engine_room(), 9),
    "connected": lambda engine, _: Connected(EngineRoom(), "there", lambda: engine),
    "in time": lambda engine, _: InTime(engine, TimeLimits(30, 30)),
    "spread": lambda engine, _: Batched(engine, split),
    "everything": lambda engine, store: Batched(
        recorded(PerLoop(lambda: Retrying(in_process(engine), sleep=no_time)), store, ConcurrencyLimit()),
        split,
    ),
}


def told(error):
    """What an error says, but for the advice, which belongs to who gives it."""
    return type(error), error.message, error.status, error.code, error.param, getattr(error, "retry_after", 0)


async def outcome_of(engine, request):
    try:
        return await asyncio.wait_for(engine(request), 30)
    except BelugaError as error:
        return told(error)
    finally:
        if isinstance(engine, Http | Polled):
            await engine.aclose()


@pytest.mark.parametrize("how", WRAPPERS)
@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.__name__)
@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.prompt[:12])
def test_wrapping_never_changes_the_answer(how, engine, request_, tmp_path):
    # What the law is about is one request to one engine: no more pictures than the model allows.
    expected = asyncio.run(outcome_of(engine, request_))
    assert asyncio.run(outcome_of(WRAPPERS[how](engine, Store(tmp_path)), request_)) == expected


@pytest.mark.parametrize("response_format", ["url", "b64_json"])
@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.__name__)
def test_a_real_port_never_changes_the_answer(engine, response_format):
    with service(engine) as base_url:
        for request in REQUESTS:
            expected = asyncio.run(outcome_of(engine, request))
            assert asyncio.run(outcome_of(client(base_url, response_format), request)) == expected


def test_the_law_can_be_broken():
    async def one_byte_off(request):
        result = await drawing(request)
        return Result.of(request, [Answer(result.pictures[0].data + b"!")], engine="drawing")

    assert ask(one_byte_off, REQUESTS[0]) != ask(drawing, REQUESTS[0])
