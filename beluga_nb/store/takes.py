"""Takes: the labels under which the same is sampled anew."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from itertools import count

from beluga_nb.request import Request
from beluga_nb.store import pending
from beluga_nb.store.records import Store


def retaken(
    request: Request,
    store: Store,
    *,
    provider: str,
    reserved: Container[Request] = (),
    unfinished: bool = False,
) -> Request:
    """Return the request as the first take that has no recording yet: "2", "3" … or "name.2" …

    `reserved` holds the first samples of the takes that are being made. With `unfinished`, a take that a
    lost call can still complete is returned too.
    """
    prefix = f"{request.take}." if request.take else ""
    takes = (replace(request, take=f"{prefix}{number}") for number in count(2))
    return next(
        take
        for take in takes
        if take.slice(0) not in reserved
        and (not _begun(take, store, provider) or (unfinished and _recoverable(take, store, provider)))
    )


def _recoverable(request: Request, store: Store, provider: str) -> bool:
    left = pending.recoverable(store, request, provider=provider)
    return any(not store.has(request.slice(sample), provider=provider) for sample in left)


def _begun(request: Request, store: Store, provider: str) -> bool:
    return any(store.has(request.slice(sample), provider=provider) for sample in request.samples)
