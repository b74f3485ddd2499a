"""Takes: the labels under which the same request is sampled again."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from itertools import count

from beluga_nb.request import Request
from beluga_nb.store import pending
from beluga_nb.store.records import Store


def next_free_take(
    request: Request,
    store: Store,
    *,
    provider: str,
    reserved: Container[Request] = (),
    unfinished: bool = False,
) -> Request:
    """Return the request as the first take that has no recording yet: "2", "3" … or "name.2" …

    `reserved` holds the first samples of the takes that are being made. With `unfinished`, a take that an
    earlier call can still complete is returned too.
    """
    prefix = f"{request.take}." if request.take else ""
    left = pending.left(store) if unfinished else {}
    # From 2 on: the first take has no label.
    takes = (replace(request, take=f"{prefix}{number}") for number in count(2))
    return next(
        take
        for take in takes
        if take.slice(0) not in reserved
        and (
            len(missing := store.missing(take, provider=provider)) == take.n
            or any(missing & set(call.request.samples) for call in left.get((provider, take.slice(0)), ()))
        )
    )
