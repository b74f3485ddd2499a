"""The order in which engines wrap one another, for every call of every session.

    request → InRoom → SingleFlight → Claimed → Batched → Replayed (other providers) → Recovering → Replayed
            → Counted → Limited → StopOnFatal → Budgeted → Held → Recorded → source

    source: a service            Retrying → Http
            a user's own engine  Retrying → Checked → the engine

mode "auto"     what is recorded answers, the rest is asked for and recorded
mode "refresh"  the same, as a new take: everything but what a stopped call has left is asked for again
mode "replay"   a source is not asked: what is not recorded is an error
mode "off"      nothing is read or written: no SingleFlight, Claimed, Recovering, Replayed or Recorded
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import beluga_nb.catalog as catalog
from beluga_nb.api.endpoint import App, Endpoint
from beluga_nb.config.settings import Settings
from beluga_nb.engines.backend import EMBEDDED_URL, Backend
from beluga_nb.engines.batched import Batched
from beluga_nb.engines.budgeted import Budgeted
from beluga_nb.engines.call import Call
from beluga_nb.engines.claimed import Claimed
from beluga_nb.engines.counted import Counted
from beluga_nb.engines.held import Held
from beluga_nb.engines.in_room import InRoom
from beluga_nb.engines.limited import ConcurrencyLimit, Limited, answered
from beluga_nb.engines.recorded import Recorded
from beluga_nb.engines.recorder import Recorder
from beluga_nb.engines.recovering import Recover, Recovering
from beluga_nb.engines.replayed import Replayed
from beluga_nb.engines.retrying import Backoff, Retrying
from beluga_nb.engines.room import EngineRoom
from beluga_nb.engines.single_flight import SingleFlight
from beluga_nb.engines.stop_on_fatal import CircuitBreaker, StopOnFatal
from beluga_nb.engines.unrecorded import Unrecorded
from beluga_nb.errors import Address
from beluga_nb.request import Request
from beluga_nb.result import Engine, OwnEngine, PreviewMaker, Result
from beluga_nb.runtime import GRACE


@dataclass(frozen=True, kw_only=True)
class Source:
    """The engine that makes the pictures, and what the pipeline needs to know about it.

    A call takes `timeout` seconds at most. `split` gives the parts of a request that it may be asked for, and
    `digest` the SHA-256 of what is sent for one. `recover` gets what earlier calls have left. A source that
    `is_free` costs nothing, so kernels need not wait for one another's calls. At most `most` of its calls are
    under way at once.
    """

    engine: Engine
    limit: ConcurrencyLimit
    timeout: float
    split: Callable[[Request], Sequence[Request]] = catalog.split
    digest: Callable[[Request], str] = lambda _: ""
    recover: Recover | None = None
    most: Callable[[Settings], int] = attrgetter("max_in_flight")
    is_free: bool = False


def build(
    call: Call,
    source: Source | None,
    *,
    room: EngineRoom,
    recorder: Recorder,
    breaker: CircuitBreaker | None = None,
) -> Engine:
    """Return the engine that answers a call, from the inside out; without a source only the store does.

    It answers other requests of the same call too, such as the cells of a grid. A call that may not ask its
    backend, such as a replay, asks no source, whatever is given.
    """
    settings, store, provider = call.settings, call.store, call.provider
    source = source if call.may_ask else None
    split = source.split if source else catalog.split
    if source and not settings.uses_store:
        return InRoom(Batched(_bounded(source.engine, source, call, room, breaker), split), room)
    if source:
        recorded = Recorded(
            source.engine,
            recorder,
            digest=source.digest,
            written=call.tally.calls,
            # Only of a service: an engine that gives the same bytes again gives the same output again.
            caps=None if source.is_free or settings.own_engine else settings.caps,
        )
        engine: Engine = _bounded(recorded, source, call, room, breaker)
        engine = Replayed(engine, store, provider=provider)
        if source.recover:
            engine = Recovering(engine, recorder, source.recover, anew=settings.samples_anew)
    else:
        engine = Replayed(Unrecorded(store), store, provider=provider)
    for other in call.other_providers:
        engine = Replayed(engine, store, provider=other)
    engine = Batched(engine, split)
    if source and not source.is_free:
        engine = Claimed(engine, store, provider=provider, notify=recorder.notify)
    # Recordings of an address that a file claims answer only the sessions that claim it.
    same = os.path.realpath(store.folder), provider, settings.claimed
    return InRoom(SingleFlight(engine, room.flights, *same), room)


def _bounded(
    engine: Engine, source: Source, call: Call, room: EngineRoom, breaker: CircuitBreaker | None
) -> Engine:
    # Innermost, since what only waits costs nothing if Python ends.
    engine = Held(engine, room, source.timeout + GRACE)
    if call.budgets:
        shared, _ = call.budgets[0]
        engine = Budgeted(engine, *reversed(call.budgets), turn=room.limit(shared))
    if breaker:
        # Below `Limited`: a call that waited for its turn is not sent after an error that is fatal to all.
        engine = StopOnFatal(engine, breaker)
    caps = call.settings.caps if call.budgets else None
    return Counted(Limited(engine, source.limit, partial(source.most, call.settings)), call.tally, caps)


def source_of(backend: Backend, room: EngineRoom, *, make_preview: PreviewMaker | None = None) -> Source:
    """Return the source of pictures that a backend stands for."""
    settings = backend.settings
    if settings.own_engine:
        source = own(settings.own_engine, room, timeout=settings.timeout, make_preview=make_preview)
    else:
        source = service(backend.endpoint(), room, make_preview=make_preview, faults=settings.faults)
    return replace(source, split=backend.split, recover=source.recover if backend.recovers else None)


def service(
    endpoint: Endpoint, room: EngineRoom, *, make_preview: PreviewMaker | None = None, faults: bool = False
) -> Source:
    """Return the service at an endpoint as a source, or the embedded BelugAPI at its own address."""
    is_embedded = endpoint.base_url == EMBEDDED_URL
    return Source(
        engine=partial(_ask_service, endpoint, room, make_preview, faults),
        limit=room.limit(endpoint.base_url),
        timeout=endpoint.timeout,
        digest=endpoint.digest,
        recover=partial(_recovered, endpoint, make_preview),
        is_free=is_embedded,
    )


def own(
    engine: OwnEngine, room: EngineRoom, *, timeout: float, make_preview: PreviewMaker | None = None
) -> Source:
    """Return a user's own engine as a source; an answer that was kept is read like a service's."""
    recover = partial(_recovered, engine_endpoint(engine.name, timeout), make_preview)
    return Source(
        engine=engine.within(timeout),
        limit=room.limit(id(engine.engine)),  # of all sessions that have it: they share its GPU
        timeout=timeout,
        recover=recover,
    )


def engine_endpoint(provider: str, timeout: float) -> Endpoint:
    """Return an endpoint for a user's own engine, with which its kept answer is read like a service's."""
    return Endpoint(base_url=EMBEDDED_URL, provider=provider, timeout=timeout)


class Service(NamedTuple):
    """What all calls to a service share, each with time limits of its own."""

    backoff: Backoff
    app: App | None


def shared_service(endpoint: Endpoint, room: EngineRoom, *, faults: bool) -> Service:
    """Return what all calls to a service share: they wait out its Retry-After together."""
    return room.service(
        (endpoint.base_url, endpoint.key, faults), lambda: Service(Backoff(), _app(endpoint, faults))
    )


async def _ask_service(
    endpoint: Endpoint, room: EngineRoom, make_preview: PreviewMaker | None, faults: bool, request: Request
) -> Result:
    from beluga_nb.api.http import Http  # Lazy import: a replay needs no HTTP client.

    service = shared_service(endpoint, room, faults=faults)
    http = Http(
        endpoint, app=service.app, make_preview=make_preview, on_answer=answered, checking=room.checking
    )
    return await Retrying(http, timeout=endpoint.timeout, backoff=service.backoff)(request)


def _app(endpoint: Endpoint, faults: bool) -> App | None:
    if endpoint.base_url != EMBEDDED_URL or not endpoint.key:
        return None
    # Lazy imports: only local previews need the server.
    from beluga_nb.server.app import create_app
    from beluga_nb.server.faults import faulty
    from beluga_nb.server.previews import previews

    create = partial(create_app, key=endpoint.key)
    return faulty(previews, create) if faults else create(previews)


async def _recovered(
    endpoint: Endpoint, make_preview: PreviewMaker | None, request: Request, left: Address | Path
) -> Result:
    from beluga_nb.api.http import recovered  # Lazy import: a replay needs no HTTP client.

    return await recovered(endpoint, request, left, make_preview=make_preview)
