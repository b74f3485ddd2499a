"""The journal: each call is written down before its first byte is sent, and crossed out when it ends.

What stays was asked for and has no known end: a kernel died, the connection broke, someone pressed Stop. Such
a call may have been charged without a result, and only its person can look that up and cross it out. Beside
it lies what arrived of its answer, as it came (api/spool.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from beluga_nb.errors import Address
from beluga_nb.paths import open_file
from beluga_nb.request import PARAMETERS, Request
from beluga_nb.store import files
from beluga_nb.store.records import SCHEMA, Store
from beluga_nb.text import sanitize
from beluga_nb.untrusted import DAMAGE, MOST, items, load_json, members, text, text_or_none, whole

LONGEST_CALL = 3600
"""Seconds after which no process waits for a call any more; process numbers are reused."""

MOST_PICTURES = 10_000
"""Pictures of one call; each is looked for when it was lost, and no service draws as many."""

RUN = re.compile(files.CALL)
"""The ids of calls, and so the names of their files."""

_ANSWER = re.compile(rf"{files.ANSWER}\Z")
_CLAIM = re.compile(files.CLAIM)
_REPLAYED = b"\r\nidempotent-replayed: true\r\n"
_SUCCESS = re.compile(rb"HTTP/1.1 2(?!02)")


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A call without a known end. `run` is its id, sent as `Idempotency-Key`; `started` is Unix time.

    `why` says how it was lost; while it is empty, the process `pid` on `host` may be waiting for it still.
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
        """Whether someone may still be waiting for the answer."""
        if self.why:
            return False
        recent = time.time() - self.started < LONGEST_CALL
        return recent and (self.host != platform.node() or is_alive(self.pid))

    def to_json(self) -> dict[str, object]:
        """Return what is written."""
        request = self.request
        said: dict[str, object] = {
            "schema": SCHEMA,
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
        later = {"addresses": [asdict(each) for each in self.addresses], "job": self.job, "body": self.body}
        return said | {name: value for name, value in later.items() if value}


def is_alive(pid: int) -> bool:
    """Whether a process of that number runs on this machine, as far as can be seen.

    One that was killed keeps its number until its parent asks for its end, and does nothing any more.
    """
    if not 0 < pid < 2**31:
        return False
    if os.name == "nt":  # there, signal 0 would end it; as of another machine, nobody knows
        return True
    with contextlib.suppress(OSError, IndexError):
        if Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in {b"Z", b"X"}:
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def begin(
    store: Store, request: Request, *, provider: str, body: str = "", before: Pending | None = None
) -> Pending:
    """Write down a call, which has an id; raise `StoreError` where that fails.

    What is known of it from `before`, when it was lost, stays known.
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
    write(store, call)
    return call


def write(store: Store, call: Pending) -> None:
    """Write down what is known of a call; raise `StoreError` where that fails."""
    store.write_json(path_of(store, call.run), call.to_json())


def lose(store: Store, call: Pending, why: str, addresses: Sequence[Address] = (), job: str = "") -> None:
    """Write down that a call has no known end, and why; raise `StoreError` where that fails.

    Pictures that were made and not fetched are left at `addresses`.
    """
    known = tuple(dict.fromkeys((*call.addresses, *addresses)))
    write(store, replace(call, why=sanitize(why, 200), addresses=known, job=job or call.job))


def lost(store: Store, request: Request, *, provider: str) -> list[Pending]:
    """Return the calls for pictures of a request, the oldest first, for who alone asks for it now.

    Whoever has the claim on a request (store/claims.py) knows that nobody waits for them any more, also where
    the process number of one that died is in use again.
    """
    return [
        call
        for call in calls(store)
        if call.provider == provider
        and call.request.slice(0) == request.slice(0)
        and set(call.request.samples) & set(request.samples)
    ]


def repeatable(store: Store, request: Request, *, provider: str, body: str) -> Pending | None:
    """Return the lost call that was the very same to the service, whose id it may know again.

    A service that honours an `Idempotency-Key` answers the second call with what it kept of the first, and
    bills once. One that has done so already would only repeat an answer that is of no use.
    """
    for call in lost(store, request, provider=provider):
        if call.request.samples == request.samples and call.body == body != "" and not _repeated(store, call):
            return call
    return None


def recoverable(store: Store, request: Request, *, provider: str) -> set[int]:
    """Return the samples of a request of which lost calls have left something that may give the pictures."""
    calls = lost(store, request, provider=provider)
    left = [call.request for call in calls if answers(store, call.run) or call.addresses]
    return {sample for each in left for sample in each.samples} & set(request.samples)


def _repeated(store: Store, call: Pending) -> bool:
    """Whether the service only repeats its first answer: a header says so, or two whole answers are equal.

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


def leftovers(store: Store) -> list[Path]:
    """Return the answers whose call is crossed out, and the claims, which end with their calls."""
    found = store.paths("pending", depth=1)
    runs = {path.stem for path in found if path.suffix == ".json"}
    return [
        path for path in found if is_claim(path.name) or (is_answer(path.name) and _run_of(path) not in runs)
    ]


def is_answer(name: str) -> bool:
    """Whether a file holds an answer, by its name."""
    return bool(RUN.match(name) and _ANSWER.fullmatch(name[36:]))


def is_claim(name: str) -> bool:
    """Whether a file is a claim (store/claims.py), on a request or on the ledger, by its name."""
    return bool(_CLAIM.fullmatch(name))


def _run_of(answer: Path) -> str:
    return _ANSWER.sub("", answer.name)


def answers(store: Store, run: str) -> list[Path]:
    """Return the files that hold what arrived of a call's answers, the newest first."""
    found = []
    with contextlib.suppress(OSError):
        folder = path_of(store, run).parent
        files.check_inside(folder / "any", store.folder)
        found = [each for each in folder.iterdir() if each.name.startswith(run) and not each.is_symlink()]
    return sorted((each for each in found if _ANSWER.fullmatch(each.name[len(run) :])), reverse=True)


def cross_out(store: Store, run: str) -> None:
    """Remove a call whose end is known, and what was kept of its answer."""
    for path in (*answers(store, run), path_of(store, run)):
        with contextlib.suppress(OSError):
            path.unlink()


def calls(store: Store) -> list[Pending]:
    """Return the calls without a known end, the oldest first."""
    return sorted(_read(store), key=lambda call: (call.started, call.run))


def _read(store: Store) -> Iterator[Pending]:
    with contextlib.suppress(OSError):
        files.check_inside(store.folder / "pending" / "any", store.folder)
        for path in store.folder.glob("pending/*.json"):
            if not RUN.fullmatch(path.stem):  # it is sent as a header: only our own ids are
                continue
            with contextlib.suppress(OSError, *DAMAGE):
                written = files.read(path, root=store.folder if path.is_symlink() else None)
                yield _of(members(load_json(written)), path.stem)


def _of(said: Mapping[str, Any], run: str) -> Pending:
    asked = members(said["request"])
    return Pending(
        run=run,
        request=Request(
            **{name: asked[name] for name in PARAMETERS if name in asked}
            | {
                "take": said["take"],
                "sample": whole(said["sample"], least=0, most=MOST),
                "n": whole(said["n"], least=1, most=MOST_PICTURES),
            },
            idempotency_key=run,
        ),
        started=whole(said["started"], least=0, most=MOST),
        pid=whole(said["pid"]),
        **{name: text(said[name]) for name in ("provider", "host", "why")},
        **{name: text(said.get(name, "")) for name in ("job", "body")},
        addresses=tuple(map(_address, items(said.get("addresses", [])))),
    )


def _address(said: Mapping[str, Any]) -> Address:
    return Address(
        sample=whole(said["sample"], least=0, most=MOST),
        url=text(said["url"]),
        engine=text(said["engine"]),
        created=whole(said["created"]),
        revised_prompt=text_or_none(said.get("revised_prompt")),
    )


def path_of(store: Store, run: str) -> Path:
    """Where a call is written down."""
    return store.folder / "pending" / f"{run}.json"
