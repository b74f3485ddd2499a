"""The law: wrapping never changes the answer.

For every request and engine, the client in front of the server in front of the engine, in process and over a
real port, a server that wants another dialect, a service that is polled, a server that fails on demand and
was not asked to, an engine that is asked in batches, and what `engines/pipeline.py` builds for a session (in
every mode, with and without caps, around an engine and around a service, in whole and in parts, and its
recording) all give what the engine gives, to the byte.
"""

import asyncio
import contextlib
from dataclasses import replace
from functools import cache, partial

import pytest
from conftest import KEY, ask, drawing, drawn, service
from upstream import Upstream

from beluga_nb.api.dialects import OPENAI
from beluga_nb.api.endpoint import Endpoint
from beluga_nb.api.http import Http
from beluga_nb.api.polled import Pace, Polled
from beluga_nb.budget import Budget, Caps
from beluga_nb.catalog import split
from beluga_nb.config.keys import Secret
from beluga_nb.config.settings import Settings
from beluga_nb.engines import pipeline
from beluga_nb.engines.backend import Backend
from beluga_nb.engines.batch_engine import BatchEngine
from beluga_nb.engines.call import Call
from beluga_nb.engines.own import own_engine
from beluga_nb.engines.per_loop import PerLoop
from beluga_nb.engines.recorder import Recorder
from beluga_nb.engines.room import engine_room
from beluga_nb.engines.stop_on_fatal import CircuitBreaker
from beluga_nb.errors import (
    Address,
    APIStatusError,
    APITimeoutError,
    BelugaError,
    NotRecordedError,
    OutcomeUnknownError,
    RateLimitError,
)
from beluga_nb.merge import merge_results, result_or_error
from beluga_nb.request import Request
from beluga_nb.result import ImagePayload, IncompleteError, Result
from beluga_nb.server.app import create_app
from beluga_nb.server.faults import faulty
from beluga_nb.server.previews import previews
from beluga_nb.show.preview import preview, small
from beluga_nb.store import pending
from beluga_nb.store.records import Store


async def in_jpeg_and_webp(request: Request) -> Result:
    kinds = [("JPEG", "image/jpeg"), ("WEBP", "image/webp")]
    answers = [
        ImagePayload(drawn(request, sample, kinds[sample % 2][0]), kinds[sample % 2][1])
        for sample in request.samples
    ]
    return Result.of(request, answers, engine="two formats")


async def busy(request: Request) -> Result:
    raise RateLimitError("Try again in an hour.", retry_after=3600)  # longer than anybody waits


async def declined(request: Request) -> Result:
    raise APIStatusError("Your prompt was declined.", status=400, code="moderation_blocked", param="prompt")


async def broken(request: Request) -> Result:
    raise OutcomeUnknownError("The provider failed.", status=502)


async def slow(request: Request) -> Result:
    raise APITimeoutError("Polling took more than five minutes.")


def partly(error):
    """An engine that has the samples below 4, and an error instead of the others."""

    async def engine(request):
        async def one(part):
            if part.sample >= 4:
                raise error
            return await drawing(part)

        return merge_results(
            request, [await result_or_error(one, request.slice(each)) for each in request.samples]
        )

    return engine


some_lost = partly(OutcomeUnknownError("The provider failed.", status=502))
some_refused = partly(APIStatusError("The balance is too low.", status=402))


REQUESTS = [
    Request(prompt="a red bicycle on a beach, really?", model="gpt-image-2"),
    Request(prompt='{"json": "{{x}}"}, 50 % \N{SNOWMAN} é\n\n ', model="flux-2.0", n=3, size="2:1"),
    Request(prompt="a fox", model="seedream-4.5", n=4, size="9:16", quality="hd", take="again", sample=2),
    Request(prompt="a skyline", model="wan2.7-image", size="auto", quality="standard"),
    Request(prompt="a fox", model="flux-2.0", output_format="webp", output_compression=40),
]


# What always fails looks at no request; what has only the first samples is asked for later ones. The painter
# takes a second where `drawing`, which shows all of a request too, takes none: it adds a preview's label.
OVER_A_WIRE = [
    *((engine, request) for engine in (drawing, in_jpeg_and_webp) for request in REQUESTS),
    *((previews, REQUESTS[number]) for number in (0, 4)),
    *((engine, REQUESTS[1]) for engine in (busy, declined, broken, slow)),
    (some_lost, REQUESTS[2]),
]
BUILT = [case for case in OVER_A_WIRE if case[0] is not previews] + [(previews, REQUESTS[4])]


def names(case):
    engine, request = case
    names = {some_lost: "some_lost", some_refused: "some_refused"}
    return f"{names.get(engine, engine.__name__)}, {request.prompt[:12]}"


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


def in_process(engine, response_format="b64_json", app=None):
    return client("http://127.0.0.1/v1", response_format, app or create_app(engine, key=KEY))


def polled(engine):
    endpoint = Endpoint(
        base_url="http://127.0.0.1/v1",
        provider="law",
        key=Secret(KEY, "a test"),
        response_format="url",
        extensions=True,
    )
    return Polled(endpoint, pace=Pace(first=0, longest=0), app=Upstream(engine).app)


def on_each_loop(make):
    engines = PerLoop(make)

    async def ask_it(request):
        return await engines.get()(request)

    return ask_it


def in_batches(engine):
    async def answers(requests):
        return [await result_or_error(engine, request) for request in requests]

    return BatchEngine(answers, size=2, wait=0)


SERVERS = {
    "in batches": in_batches,
    "in process, url": lambda engine: in_process(engine, "url"),
    "in process, b64_json": lambda engine: in_process(engine, "b64_json"),
    "in OpenAI's words": in_openais_words,
    "polled": polled,
    "polled, behind the server": lambda engine: in_process(on_each_loop(lambda: polled(engine))),
    "faulty": lambda engine: in_process(engine, "url", faulty(engine, partial(create_app, key=KEY))),
}


def facts_of(error):
    """What an error says, but for the advice, which belongs to who gives it."""
    if isinstance(error, IncompleteError):  # which pictures came, and whether the others may be billed
        return type(error), error.result, error.may_be_billed
    facts = [getattr(error, name, None) for name in ("status", "code", "param", "retry_after")]
    return type(error), error.message, *facts, error.may_be_billed


async def outcome_of(engine, request):
    try:
        return await asyncio.wait_for(engine(request), 30)
    except BelugaError as error:
        return facts_of(error)


@cache
def answer_of(engine, request):
    """What an engine itself answers: each gives the same every time."""
    return asyncio.run(outcome_of(engine, request))


# A task that has failed gives nothing and costs nothing: the service says so itself.
IN_TASKS = [(engine, request) for engine, request in OVER_A_WIRE if engine not in {broken, slow, some_lost}]


@pytest.mark.sampled(36)
@pytest.mark.parametrize(
    ("how", "case"),
    [(how, case) for how in SERVERS for case in (IN_TASKS if "polled" in how else OVER_A_WIRE)],
    ids=lambda each: each if isinstance(each, str) else names(each),
)
def test_a_server_never_changes_the_answer(how, case):
    # What the law is about is one request to one engine: no more pictures than the model allows.
    engine, request = case
    expected = answer_of(engine, request)
    assert asyncio.run(outcome_of(SERVERS[how](engine), request)) == expected


@pytest.fixture(scope="module")
def port():
    """Give the address of a server in front of an engine: each engine has one."""
    with contextlib.ExitStack() as stack:
        yield cache(lambda engine: stack.enter_context(service(engine)))


@pytest.mark.parametrize("response_format", ["url", "b64_json"])
def test_a_real_port_never_changes_the_answer(response_format, port):
    for engine, request in OVER_A_WIRE:
        expected = answer_of(engine, request)
        assert asyncio.run(outcome_of(client(port(engine), response_format), request)) == expected


def singly(request):
    return [request.slice(sample) for sample in request.samples]


@pytest.fixture
def room():
    room = engine_room()
    token = object.__new__(type("Session", (), {}))
    room.enter(token)
    yield room
    room.leave(token)


async def sent_again(engine, request, _address):
    return await engine(request)


def of_an_engine(engine, _port, room):
    source = pipeline.own(own_engine(engine, "law", make_preview=small), room, timeout=30)
    return replace(source, recover=partial(sent_again, engine))


def of_a_service(engine, port, room):
    return pipeline.service(client(port(engine), "b64_json").endpoint, room, make_preview=small)


SOURCES = {"an engine": of_an_engine, "a service": of_a_service}
PARTS = {"by the catalogue": split, "one by one": singly}
BOUNDS = {"no caps": lambda: [], "caps": lambda: [(Budget(), Caps(images=9)), (Budget(), Caps(images=8))]}
LEFT = "auto, with what an earlier call left"
MODES = [(mode, source) for mode in ("auto", "refresh", "off", "replay") for source in SOURCES]


def built(mode, source, store, room, budgets, parts):
    settings = Settings(mode=mode, timeout=30).for_engine(own_engine(drawing, "law"))
    call = Call(request=REQUESTS[0], backend=Backend(settings=settings), store=store, budgets=budgets)
    return pipeline.build(
        call,
        source and replace(source, split=parts),
        room=room,
        recorder=Recorder(store, provider="law", preview=preview, notify=pytest.fail),
        breaker=CircuitBreaker(lambda _: False),
    )


@pytest.mark.sampled(12)
@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize(("mode", "source"), [*MODES, (LEFT, "an engine")])
def test_what_a_session_asks_never_changes_the_answer(mode, source, bounds, parts, tmp_path, room, port):
    cases = BUILT if source == "a service" else [*BUILT, (some_refused, REQUESTS[2])]
    for number, (engine, request) in enumerate(cases):
        there, store = SOURCES[source](engine, port, room), Store(tmp_path / str(number))
        if mode == LEFT:
            leave(store, request)
        asked = mode if mode in {"refresh", "off"} else "auto"
        making = built(asked, there, store, room, BOUNDS[bounds](), PARTS[parts])
        expected = answer_of(engine, request)
        assert asyncio.run(outcome_of(making, request)) == expected, names((engine, request))
        if mode == "replay":
            check_replay(built("replay", there, store, room, [], PARTS[parts]), request, expected)


def leave(store, request):
    """As if an earlier call had left all its pictures at their addresses."""
    call = pending.begin(store, request.as_call(), provider="law")
    left = [Address(sample=sample, url="https://x.example/", engine="x") for sample in request.samples]
    pending.mark_unknown(store, call, "It was not fetched.", left)


def check_replay(engine, request, expected):
    """What arrived is replayed, and what the model has declined; nothing of a replay is billed."""
    replay = asyncio.run(outcome_of(engine, request))
    if isinstance(expected, Result) or expected[0] is APIStatusError:
        assert replay == expected
    elif expected[0] is IncompleteError:
        assert replay == (IncompleteError, expected[1], False)
    else:
        assert replay[0] is NotRecordedError


@pytest.mark.parametrize("source", SOURCES)
def test_a_replay_calls_no_source(source, tmp_path, room, port):
    there = SOURCES[source](drawing, port, room)
    replay = built("replay", there, Store(tmp_path), room, [], split)
    assert asyncio.run(outcome_of(replay, REQUESTS[0]))[0] is NotRecordedError
    assert list(tmp_path.iterdir()) == []


def test_the_law_can_be_broken():
    async def one_byte_off(request):
        result = await drawing(request)
        return Result.of(request, [ImagePayload(result.pictures[0].data + b"!")], engine="drawing")

    assert ask(one_byte_off, REQUESTS[0]) != ask(drawing, REQUESTS[0])
