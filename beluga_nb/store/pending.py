"""The journal: each call is written down before its first byte is sent, and removed when it is complete.

What stays has no known end: a kernel died, the connection broke, or the user pressed Stop. Such a call may
have been charged without a result. Beside it lies what arrived of its answer, as it came (api/spool.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beluga_nb.errors import Address, StoreError
from beluga_nb.paths import open_file
from beluga_nb.request import Request, request_of
from beluga_nb.store import files
from beluga_nb.store.claims import CLAIMS, is_alive
from beluga_nb.store.codec import sha256_text
from beluga_nb.store.collection import Collection, FileKind
from beluga_nb.text import sanitize
from beluga_nb.untrusted import MOST, items, members, text, text_or_none, whole

if TYPE_CHECKING:
    from beluga_nb.store.records import Store

LONGEST_CALL = 3600
"""Seconds after which no process waits for a call any more. Process ids are reused."""

MOST_PICTURES = 10_000
"""Pictures of one call; each is looked for when its end is unknown, and no service draws as many."""

_ID = re.compile(files.CALL)
_ID_LENGTH = 36
_REPLAYED = b"\r\nidempotent-replayed: true\r\n"
_SUCCESS = re.compile(rb"HTTP/1.1 2(?!02)")


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A call without a known end. `run` is its id, sent as `Idempotency-Key`; `started` is Unix time.

    `why` is how it ended here; while it is empty, the process `pid` on `host` may still wait for it.
    `addresses` are those of pictures that were made and not fetched, and `job` is the service's name for the
    work that it has accepted. `body` is the SHA-256 of what was posted.
    """

    run: str
    provider: str
    request: Request
    started: int
    host: str
    pid: int
    why: str = ""
    addresses: tuple[Address, ...] = ()
    job: str = ""
    body: str = ""

    @property
    def on_its_way(self) -> bool:
        """Whether a process may still wait for the answer."""
        if self.why:
            return False
        # On another machine nothing can be seen of the process.
        recent = time.time() - self.started < LONGEST_CALL
        return recent and (self.host != platform.node() or is_alive(self.pid))

    def to_fields(self) -> dict[str, object]:
        """Return the fields of its file."""
        request = self.request
        always: dict[str, object] = {
            "run": self.run,
            "provider": self.provider,
            "request": request.parameters,
            "take": request.take,
            "sample": request.sample,
            "n": request.n,
            "started": self.started,
            "host": self.host,
            "pid": self.pid,
            "why": self.why,
        }
        optional = {
            "inputs": list(request.inputs),
            "addresses": [asdict(each) for each in self.addresses],
            "job": self.job,
            "body": self.body,
        }
        return always | {name: value for name, value in optional.items() if value}


def begin(
    store: Store, request: Request, *, provider: str, body: str = "", before: Pending | None = None
) -> Pending:
    """Write down a call, which has an id; raise `StoreError` where that fails.

    Where it repeats a call of unknown end, what is known from `before` stays known.
    """
    call = Pending(
        run=request.idempotency_key,
        provider=provider,
        request=request,
        started=int(time.time()),
        host=platform.node(),
        pid=os.getpid(),
        body=body,
        addresses=before.addresses if before else (),
        job=before.job if before else "",
    )
    CALLS.write(store, call)
    return call


def mark_unknown(
    store: Store, call: Pending, why: str, addresses: Sequence[Address] = (), job: str = ""
) -> None:
    """Write down that the end of a call is unknown, and why; raise `StoreError` where that fails.

    `addresses` are those of pictures that were made and not fetched.
    """
    known = tuple(dict.fromkeys((*call.addresses, *addresses)))
    CALLS.write(store, replace(call, why=sanitize(why, 200), addresses=known, job=job or call.job))


def complete(store: Store, run: str) -> None:
    """Remove a call whose end is known, and what was kept of its answer."""
    # The call last: an answer without its call would be taken for an orphan.
    for path in (*answers(store, run), CALLS.path(store, run)):
        with contextlib.suppress(OSError, StoreError):
            store.unlink(path)


def calls_for(
    store: Store, request: Request, *, provider: str, excluding: Set[str] = frozenset()
) -> list[Pending]:
    """Return the calls for pictures of a request, the oldest first, for the holder of its claim.

    Those in `excluding` are not read.

    The claim on a request (store/claims.py) proves that no process waits for them, also where the id of a
    process that died is in use again.
    """
    return [
        call
        for call in calls(store, excluding=excluding)
        if call.provider == provider
        and call.request.slice(0) == request.slice(0)
        and set(call.request.samples) & set(request.samples)
    ]


def repeatable(
    store: Store, request: Request, *, provider: str, body: str, excluding: Set[str] = frozenset()
) -> Pending | None:
    """Return an earlier call that sent the very same, whose id the service may know.

    A service that honours an `Idempotency-Key` answers the second call with what it kept of the first, and
    bills once. One that has done so already would only repeat an answer that is of no use.
    """
    if not body:  # An engine that is not a service: the journal need not be read.
        return None
    for call in calls_for(store, request, provider=provider, excluding=excluding):
        if call.request.samples == request.samples and call.body == body and not _repeated(store, call):
            return call
    return None


def left(store: Store, *, excluding: Set[str] = frozenset()) -> dict[tuple[str, Request], list[Pending]]:
    """Return the calls that have left an answer, or an address, the oldest first, not those in `excluding`.

    By provider and request, as `request.slice(0)`; reads the whole folder.
    """
    found = calls(store, excluding=excluding)
    answered = {path.name[:_ID_LENGTH] for path in _answers(store)} if found else set()
    by_request: dict[tuple[str, Request], list[Pending]] = {}
    for call in found:
        if call.run in answered or call.addresses:
            by_request.setdefault((call.provider, call.request.slice(0)), []).append(call)
    return by_request


def _repeated(store: Store, call: Pending) -> bool:
    """Whether the service only repeats its first answer: a header tells, or two whole answers are equal.

    An answer that broke off proves nothing, nor does a second 202.
    """
    bodies = list[bytes]()
    for path in answers(store, call.run):
        with contextlib.suppress(OSError), open_file(path) as file:
            head = file.read(64 * 2**10).partition(b"\r\n\r\n")[0]
            if _REPLAYED in head.lower() + b"\r\n":
                return True
            file.seek(len(head))
            if path.suffix == ".answer" and _SUCCESS.match(head):
                bodies.append(hashlib.file_digest(file, "sha256").digest())
    return len(set(bodies)) < len(bodies)


def orphans(store: Store) -> list[Path]:
    """Return the answers whose call is complete, and the claims, which end with their calls."""
    found = store.paths("pending", depth=1)
    known = {path.stem for path in found if CALLS.pattern.fullmatch(path.name)}
    return [
        path
        for path in found
        if CLAIMS.pattern.fullmatch(path.name)
        or (ANSWERS.pattern.fullmatch(path.name) and path.name[:_ID_LENGTH] not in known)
    ]


def answers(store: Store, run: str) -> list[Path]:
    """Return the files that hold what arrived of a call's answers, the newest first."""
    return sorted(_answers(store, f"{run}-"), key=_number, reverse=True)


def _number(answer: Path) -> int:
    return int(answer.name[_ID_LENGTH + 1 :].partition(".")[0])


def _answers(store: Store, beginning: str = "") -> list[Path]:
    folder = store.folder / "pending"
    if store.outside(folder):
        return []
    names = (name for name in files.names(folder, links=False) if name.startswith(beginning))
    return [folder / name for name in names if ANSWERS.pattern.fullmatch(name)]


def calls(store: Store, *, excluding: Set[str] = frozenset()) -> list[Pending]:
    """Return the calls without a known end, the oldest first, except those in `excluding`."""
    found: list[Pending] = []
    with contextlib.suppress(StoreError):
        found = list(CALLS.values(store, excluding=excluding))
    return sorted(found, key=lambda call: (call.started, call.run))


def _parse(fields: Mapping[str, Any]) -> Pending:
    asked, run = members(fields["request"]), text(fields["run"])
    if not _ID.fullmatch(run):  # it is sent as a header: only our own ids are
        raise ValueError("no id")
    return Pending(
        run=run,
        request=request_of(
            asked,
            list(map(sha256_text, items(fields.get("inputs", [])))),
            take=fields["take"],
            sample=whole(fields["sample"], least=0, most=MOST),
            n=whole(fields["n"], least=1, most=MOST_PICTURES),
            idempotency_key=run,
        ),
        started=whole(fields["started"], least=0, most=MOST),
        pid=whole(fields["pid"]),
        **{name: text(fields[name]) for name in ("provider", "host", "why")},
        **{name: text(fields.get(name, "")) for name in ("job", "body")},
        addresses=tuple(map(_address, items(fields.get("addresses", [])))),
    )


def _address(fields: Mapping[str, Any]) -> Address:
    return Address(
        sample=whole(fields["sample"], least=0, most=MOST),
        url=text(fields["url"]),
        engine=text(fields["engine"]),
        created=whole(fields["created"]),
        revised_prompt=text_or_none(fields.get("revised_prompt")),
    )


CALLS = Collection(
    folder="pending",
    pattern=re.compile(rf"{files.CALL}\.json"),
    depth=1,
    parse=_parse,
    to_fields=lambda call: call.to_fields(),
    name=lambda call: call.run,
    first_fields={each.name for each in fields(Pending)},
)

ANSWERS = FileKind(
    folder="pending",
    pattern=re.compile(rf"{files.CALL}{files.ANSWER}"),
    beginnings=(b"HTTP/1.1 ",),
    may_be_empty=True,
)
