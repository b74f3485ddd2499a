"""Who would answer now, what was spent, and which models there are."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from functools import partial

import beluga_nb.catalog as catalog
from beluga_nb.api.endpoint import Endpoint, describe
from beluga_nb.catalog import Listing
from beluga_nb.config import keys
from beluga_nb.config.preferences import check_no_engine, elsewhere
from beluga_nb.config.settings import Settings
from beluga_nb.config.versions import known_bugs
from beluga_nb.engines.backend import LOCAL, Backend
from beluga_nb.errors import EngineError
from beluga_nb.hints import Hint, Remedy
from beluga_nb.session.resources import Resources
from beluga_nb.store import pending
from beluga_nb.store.pending import Pending
from beluga_nb.text import plural, sanitize

NO_KEY = Hint(f"none: set {keys.VARIABLE}, or ", Remedy("login"))


def status(resources: Resources) -> dict[str, str]:
    """Return, in words, who would answer now and where pictures are kept."""
    # The remedy for a vault without an answer is to run `status` again.
    resources.keys.ask_again()
    settings = resources.settings()
    backend = resources.backend(settings.at(settings.model))
    facts = {
        "engine": backend.description
        + (": procedural previews, not model output" if backend.is_local else ""),
        "key": _key(resources, backend),
        "model": settings.model,
        "mode": settings.mode,
        "store": str(resources.preferences.shortest(settings.store)),
    }
    facts["spent"] = resources.budget_of(settings).words(settings.caps)
    facts["saved"] = resources.budget.saved_words(settings.caps)
    for named in () if settings.own_engine else settings.endpoints.values():
        facts[f"endpoint {named.name}"] = describe(named, resources.environment)
    if settings.ignored:
        facts["not used"] = " ".join(map(str, settings.ignored))
    if settings.faults and backend.is_local:
        facts["faults"] = "on: a prompt may ask for a failure"
    if calls := unfinished(resources, settings):
        facts["unfinished"] = calls
    return facts | known_bugs()


def unfinished(resources: Resources, settings: Settings, among: Container[str] | None = None) -> str:
    """Return, in words, how many calls of the journal have no result, and which may have been charged.

    With `among`, only the calls with these ids are counted.
    """
    store = resources.store(settings)
    if among is not None:
        # Of calls of this process there are copies: a Stop does not wait for a service that is silent.
        store = replace(store, mirror=None)
    calls = pending.calls(store)
    return _unfinished([call for call in calls if among is None or call.run in among])


def _key(resources: Resources, backend: Backend) -> str:
    if backend.settings.own_engine:
        return "none: an engine of this session's own needs none"
    if backend.key:
        return f"{backend.key.source}, ending in {backend.key.ending}"
    withheld = resources.keys.withheld
    return Hint(f"none: {withheld.why} ", withheld.hint) if withheld else NO_KEY


def _unfinished(calls: Sequence[Pending]) -> str:
    # A call under way may still arrive; an ended one is lost until it is asked for again.
    ended = [call for call in calls if not call.on_its_way]
    waiting = len(calls) - len(ended)
    free = sum(call.provider == LOCAL for call in ended)
    lost = len(ended) - free
    words = [f"{plural(lost, 'call')} may have been charged without a result"] if lost else []
    words += [f"{plural(free, 'local call')} without a result, at no cost"] if free else []
    return "; ".join(words + ([f"{waiting} in progress"] if waiting else []))


def models(resources: Resources, text: str, *, provider: str, size: str, endpoint: str) -> Listing:
    """Return the models that fit; see `Session.models`."""
    settings = resources.settings()
    find = partial(catalog.matching, text, provider=provider, size=size)
    if endpoint:
        check_no_engine(settings, f"the endpoint {sanitize(endpoint, 40)}")
        there = settings.at(settings.endpoint(endpoint).prefix + "any")
        found = find(among=_ask_models(resources, resources.backend(there)))
        return Listing([], named=[replace(each, provider=endpoint) for each in found])
    return replace(_listing(resources, settings, find), named=find(among=elsewhere(settings)))


def _listing(resources: Resources, settings: Settings, find: Callable[..., list[catalog.Model]]) -> Listing:
    backend = resources.backend(settings)
    if own := settings.own_engine:
        return Listing(
            find(), note=f"This session asks its engine {own.name}, which is given any model id as it is."
        )
    if backend.is_local or not settings.may_ask:
        return Listing(find())
    try:
        there = _ask_models(resources, backend)
    except EngineError as error:
        return Listing(find(), note=f"{settings.provider} did not list its models. {error.message}")
    return catalog.compared(find(), find(among=there), there, service=settings.provider)


def _ask_models(resources: Resources, backend: Backend) -> list[catalog.Model]:
    return resources.bridge(backend.settings).submit(_listed(backend.endpoint())).result()


async def _listed(endpoint: Endpoint) -> list[catalog.Model]:
    from beluga_nb.api.http import models  # Lazy import: a replay needs no HTTP client.

    return await models(endpoint)
