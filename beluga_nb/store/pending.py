"""The journal: each call is written down before its first byte is sent, and crossed out when it ends.

What stays was asked for and has no known end: a kernel died, the connection broke, someone pressed Stop. Such
a call may have been charged without a result, and only its person can look that up and cross it out.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from beluga_nb.core import Request
from beluga_nb.errors import Address, plain
from beluga_nb.store import files
from beluga_nb.store.records import SCHEMA, Store

LONGEST_CALL = 3600
"""Seconds after which nobody is waiting for a call any more, whoever has its process number by then."""


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A call without a known end. `run` is its id, sent as `Idempotency-Key`; `started` is Unix time.

    `why` says how it was lost; while it is empty, the process `pid` on `host` may be waiting for it still.
    `addresses` are those of pictures that were made and not fetched.
    """

    run: str
    provider: str
    request: Request
    started: int
    host: str
    pid: int
    why: str = ""
    addresses: tuple[Address, ...] = ()

    @property
    def on_its_way(self) -> bool:
        """Whether someone may still be waiting for the answer."""
        if self.why:
            return False
        recent = time.time() - self.started < LONGEST_CALL
        return recent and (self.host != platform.node() or _alive(self.pid))

    def to_json(self) -> dict[str, object]:
        """Return what is written."""
        request = self.request
        return {
            "schema": SCHEMA,
            "run": self.run,
            "provider": self.provider,
            "request": request.said,
            "take": request.take,
            "sample": request.sample,
            "n": request.n,
            "started": self.started,
            "host": self.host,
            "pid": self.pid,
            "why": self.why,
        } | ({"addresses": [asdict(each) for each in self.addresses]} if self.addresses else {})


def _alive(pid: int) -> bool:
    if os.name == "nt":  # there, signal 0 would end it; as of another machine, nobody knows
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def begin(store: Store, request: Request, *, provider: str) -> Pending:
    """Write down a call, which has an id; raise `StoreError` where that fails."""
    call = Pending(
        run=request.run,
        provider=provider,
        request=request,
        started=int(time.time()),
        host=platform.node(),
        pid=os.getpid(),
    )
    store.write_json(path_of(store, call.run), call.to_json())
    return call


def lose(store: Store, call: Pending, why: str, addresses: Sequence[Address] = ()) -> None:
    """Write down that a call has no known end, and why; raise `StoreError` where that fails.

    Pictures that were made and not fetched are left at `addresses`.
    """
    lost = replace(call, why=plain(why, 200), addresses=tuple(addresses))
    store.write_json(path_of(store, call.run), lost.to_json())


def left(store: Store, request: Request, *, provider: str) -> Iterator[tuple[Pending, Address]]:
    """Yield where pictures of a request were left, whose call is paid for, the oldest first."""
    for call in calls(store, with_text=b'"addresses"'):
        if call.provider == provider and call.request.part(0) == request.part(0):
            yield from ((call, each) for each in call.addresses if each.sample in request.samples)


def cross_out(store: Store, run: str) -> None:
    """Remove a call whose end is known."""
    with contextlib.suppress(OSError):
        path_of(store, run).unlink()


def calls(store: Store, *, with_text: bytes = b"") -> list[Pending]:
    """Return the calls without a known end, the oldest first: those whose file has a text in it."""
    return sorted(_read(store, with_text), key=lambda call: (call.started, call.run))


def _read(store: Store, with_text: bytes) -> Iterator[Pending]:
    # Before each call of a large grid, all that are on their way are looked through.
    with contextlib.suppress(OSError):
        files.check_inside(store.folder / "pending" / "any", store.folder)
        for path in store.folder.glob("pending/*.json"):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
                if path.is_symlink():
                    files.check_inside(path, store.folder)
                data = path.read_bytes()
                if with_text in data:
                    yield _of(json.loads(data), path.stem)


def _of(said: Mapping[str, Any], run: str) -> Pending:
    words = {name: said[name] for name in ("take", "sample", "n")}
    return Pending(
        run=run,
        provider=said["provider"],
        request=Request(**said["request"], **words, run=run),
        **{name: said[name] for name in ("started", "host", "pid", "why")},
        addresses=tuple(_address(**each) for each in said.get("addresses", ())),
    )


def _address(**said: Any) -> Address:
    for name, kind in (("sample", int), ("url", str), ("engine", str), ("created", int)):
        if not isinstance(said[name], kind):
            raise TypeError(name)
    return Address(**said)


def path_of(store: Store, run: str) -> Path:
    """Where a call is written down."""
    return store.folder / "pending" / f"{run}.json"
