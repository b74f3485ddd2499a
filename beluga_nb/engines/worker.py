"""What a worker does for a grid that runs elsewhere: one request becomes one raw answer.

The caller plans each call, reserves its cost and writes it into the journal before it is sent here, and
parses and records the answer. A worker has its own engine, key and journal: the answer stays on its disk
until the caller has written it to its own disk and acknowledges it. No key is sent to a worker.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from beluga_nb.api import spool
from beluga_nb.api.endpoint import key_variables
from beluga_nb.config.keys import KEY_SOURCES, KeyResolver, random_key
from beluga_nb.config.settings import Settings
from beluga_nb.engines.backend import Backend, backend_of
from beluga_nb.engines.imported import find
from beluga_nb.engines.own import own_engine
from beluga_nb.engines.pipeline import shared_service
from beluga_nb.engines.retrying import Retrying
from beluga_nb.engines.room import EngineRoom, engine_room
from beluga_nb.errors import MAY_BE_BILLED, BelugaError, OutcomeUnknownError, SettingsError, StoreError
from beluga_nb.paths import read_file
from beluga_nb.redaction import Environment, Secret
from beluga_nb.request import Request
from beluga_nb.result import Picture, Result
from beluga_nb.runtime import GRACE
from beluga_nb.store import files, pending
from beluga_nb.store.claims import Claim
from beluga_nb.store.codec import SCHEMA
from beluga_nb.store.records import Store
from beluga_nb.wire import answer_of

if TYPE_CHECKING:
    from beluga_nb.api.transport import Response

RERUN = f"{MAY_BE_BILLED} Run the grid again: an answer that a worker still has is fetched first."

STATE = "XDG_STATE_HOME"
"""The environment variable for the folder of a worker's journal; without it, that is in ~/.local/state."""


class Ticket(Protocol):
    """The right to begin a call, which can be taken once."""

    def take(self) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The settings with which a worker answers the calls of a backend; they hold no key.

    `engine` is the path at which the worker imports an engine, or empty for a service.
    """

    settings: Settings
    engine: str
    provider: str
    is_local: bool

    @classmethod
    def of(cls, backend: Backend, *, is_sent: bool) -> Assignment:
        """Return the assignment of a backend.

        Raises `SettingsError` if it is sent to another process and its engine is an object of this one.
        """
        settings, own = backend.settings, backend.settings.own_engine
        if own and not own.path and is_sent:
            raise SettingsError(
                f"The engine {own.name} is an object of this process, which the workers do not have.",
                'Name where they import it: Session(engine="package.module:factory").',
            )
        # Only what a call needs: the rest may be long, and its folders are those of this machine.
        known = Settings(
            base_url=settings.base_url,
            response_format="b64_json" if backend.is_local else settings.response_format,
            timeout=settings.timeout,
            connect_timeout=settings.connect_timeout,
            faults=settings.faults,
        )
        return cls(
            settings=replace(known, named=settings.named, claimed=settings.claimed),
            engine=own.path if own else "",
            provider=backend.provider,
            is_local=backend.is_local,
        )

    def backend(self) -> Backend:
        """Return the backend on this worker; raise `SettingsError` where it is not the planned one."""
        settings, environment = self.settings, Environment(os.environ)
        if self.engine:
            settings = settings.for_engine(own_engine(self.engine, self.provider))
        found = backend_of(settings, _keys(), environment, local_key=_local_key())
        if found.is_local and not self.is_local:
            raise SettingsError(
                f"A worker has no key for {self.provider}; nothing was sent.",
                "Set BELUGA_API_KEY where the workers run, and start them again: no key is sent to them.",
            )
        # A planned preview stays one, even if the worker has a key.
        return replace(found, key=None) if self.is_local else found


@dataclass(frozen=True, kw_only=True)
class Task:
    """One call for a worker: the request, with the id of the journal, and the assignment.

    `attempt` distinguishes it from another call with the same id. Where a scheduler may run the task again,
    it has a `ticket`. `folder` is the worker's journal where that is the caller's, too.
    """

    request: Request
    assignment: Assignment
    attempt: str
    ticket: Ticket | None = None
    folder: Path | None = None

    @property
    def run(self) -> str:
        """The id of the call in the journal."""
        return self.request.idempotency_key


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The outcome of a task, and its worker: the raw answer, or the error."""

    worker: str
    response: Response | None = None
    error: BelugaError | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return _unpacked, (self.worker, self.response, self.error and _packed(self.error))


def _packed(error: BelugaError) -> tuple[object, ...]:
    """Return the names of an error's classes, its words, and those of its fields that are surely readable.

    The caller may lack its class, and an engine may have set what cannot be pickled. A pool of processes that
    cannot read an answer ends all of its workers.
    """
    _, words, state = cast(tuple[Any, tuple[Any, ...], dict[str, Any]], BelugaError.__reduce__(error))
    kinds = [(each.__module__, each.__qualname__) for each in type(error).__mro__]
    found = {name: _readable(value) for name, value in state.items() if _is_readable(value)}
    return kinds, words[1:], found


def _unpacked(worker: str, response: Response | None, parts: tuple[Any, ...] | None) -> Delivery:
    """Return a delivery whose error is of the nearest class that this process has loaded."""
    if parts is None:
        return Delivery(worker=worker, response=response)
    kinds, words, state = parts
    loaded = (getattr(sys.modules.get(module), name, None) for module, name in kinds)
    kind = next(each for each in loaded if isinstance(each, type) and issubclass(each, BelugaError))
    error = kind.__new__(kind, *words)
    vars(error).update(state)
    return Delivery(worker=worker, error=error)


def _readable(value: object) -> object:
    return tuple(filter(_is_readable, value)) if isinstance(value, tuple) else value


def _is_readable(value: object) -> bool:
    is_own = type(value).__module__.partition(".")[0] == __name__.partition(".")[0]
    return is_own or value is None or isinstance(value, tuple | str | int | float)


def perform(task: Task, here: tuple[Backend, EngineRoom] | None = None) -> Delivery:
    """Make the call of a task once; return the raw answer, which stays in the journal until `acknowledge`.

    A second run of the same task makes no call. It delivers the answer that the first run left, or else
    `OutcomeUnknownError`. Threads of the caller's own process get its backend and room as `here`.
    """
    store = _journal_of(task)
    if not _may_begin(task):
        return _left(task, store)
    call, spool_of = None, None
    with suppress(StoreError):  # The caller has the call in its own journal.
        call = pending.begin(store, task.request, provider=task.assignment.provider)
        spool_of = pending.CALLS.path(store, task.run).with_suffix("")
    request = replace(task.request, spool=spool_of)
    try:
        backend, room = here or (task.assignment.backend(), _room())
        # A worker's thread may be a daemon: a process that ends would lose the answer.
        hold = backend.settings.timeout + GRACE
        response = room.thread.submit(_answer(backend, room, request), hold=hold).result()
    except BaseException as error:
        with suppress(StoreError):
            if call:  # The next run would wait for a call without an end.
                pending.mark_unknown(store, call, getattr(error, "message", type(error).__name__))
        if isinstance(error, BelugaError):
            return Delivery(worker=name(), error=error)
        raise
    return Delivery(worker=name(), response=response)


def _may_begin(task: Task) -> bool:
    if task.ticket and not task.ticket.take():
        return False
    try:
        return claim(task)
    except (OSError, StoreError):  # Where nothing can be written, a scheduler's ticket is all there is.
        return True


def claim(task: Task) -> bool:
    """Take the right to begin a task on this machine; return false where it was taken before.

    Raises `OSError` or `StoreError` where nothing can be written, so that it is not known.
    """
    try:
        Claim.take(_claim_of(task), _journal_of(task).folder)
    except FileExistsError:
        return False
    return True


def release(task: Task) -> None:
    """Remove the claim of a task that no worker will find any more."""
    with suppress(OSError):
        _claim_of(task).unlink()


def _journal_of(task: Task) -> Store:
    return Store(task.folder) if task.folder else journal()


def _claim_of(task: Task) -> Path:
    return _journal_of(task).folder / "pending" / f"{_claims_of(task.run)}{task.attempt}"


def _claims_of(run: str) -> str:
    return f"{sha256(run.encode()).hexdigest()}.claim."


def _left(task: Task, store: Store) -> Delivery:
    """Return the answer that an earlier run of a task left here, or an error that it may have been billed."""
    from beluga_nb.api.transport import Response  # Lazy import: a task seldom runs a second time.

    for path in pending.answers(store, task.run):
        if is_whole(path.name):
            with suppress(OSError, ValueError):
                status, headers, content = spool.read(path, files.LARGEST_BLOB)
                return Delivery(
                    worker=name(), response=Response(status=status, headers=headers, content=content)
                )
    error = OutcomeUnknownError(
        "The worker that had begun this call was lost, and no other one asks again.", RERUN
    )
    return Delivery(worker=name(), error=error)


def is_whole(name: str) -> bool:
    """Whether a file name is that of a complete answer."""
    return name.endswith(spool.SUFFIX)


@cache
def _room() -> EngineRoom:
    """Return the engine room of a worker's process, which is never closed."""
    return engine_room()


@cache
def _keys() -> KeyResolver:
    environment = Environment(os.environ)
    keys = KeyResolver(environment, vaults=KEY_SOURCES)
    keys.watch(key_variables(environment))
    return keys


@cache
def _local_key() -> Secret:
    return random_key()


def name() -> str:
    """Return the name of this worker: its machine, and the number of its process there."""
    return f"{platform.node()}:{os.getpid()}"


@cache
def journal() -> Store:
    """Return the folder where a worker keeps answers until they are acknowledged, as a store."""
    state = Environment(os.environ).get(STATE) or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Store(Path(state) / "beluga_nb" / "worker")


def left_here(runs: Sequence[str]) -> Mapping[str, tuple[bool, Sequence[str]]]:
    """Return which of some calls were made here: whether each is under way, and its files with answers."""
    store, wanted = journal(), set(runs)
    found: dict[str, tuple[bool, Sequence[str]]] = {}
    for call in pending.calls(store):
        if call.run in wanted:
            names = [path.name for path in pending.answers(store, call.run)]
            found[call.run] = call.on_its_way and not any(map(is_whole, names)), names
    return found


def read_here(names: Sequence[str]) -> Mapping[str, bytes]:
    """Return the answers in some of the files that `left_here` names."""
    found: dict[str, bytes] = {}
    for each in names:
        with suppress(OSError):
            if pending.ANSWERS.pattern.fullmatch(each):
                found[each] = read_file(journal().folder / "pending" / each, files.LARGEST_BLOB)
    return found


def acknowledge(runs: Sequence[str]) -> None:
    """Remove calls from the journal here: the caller has their answers on its own disk."""
    store = journal()
    names = files.names(store.folder / "pending") if runs else []
    for run in runs:
        pending.complete(store, run)
        for each in names:
            if each.startswith(_claims_of(run)):
                with suppress(OSError):
                    (store.folder / "pending" / each).unlink()


def describe(assignments: Sequence[Assignment]) -> Mapping[str, str]:
    """Return what a worker has for some assignments, with "problem" and "remedy" if it lacks something."""
    about = {
        "worker": name(),
        "beluga_nb": import_module(__name__.partition(".")[0]).__version__,
        "Python": platform.python_version(),
        "engine": "",
        "key": "none needed",
        "answers kept in": str(journal().folder),
    }
    try:
        for each in assignments:
            about["engine"] = each.engine or each.provider
            backend = each.backend()
            if each.engine:
                find(each.engine)
            elif not each.is_local:
                backend.endpoint()
            if backend.key:
                about["key"] = f"from {backend.key.source}"
        files.ensure_store(journal().folder, SCHEMA)
    except BelugaError as error:
        about |= {"problem": error.message, "remedy": str(error.hint)}
    except OSError as error:
        about |= {
            "problem": f"A worker cannot write to {journal().folder}: {error.strerror or error}.",
            "remedy": f"Set {STATE} there to a folder that it can write, and start it again.",
        }
    return about


def resources(dask_worker: Any = None) -> Mapping[str, float]:
    """Return the resources of a Dask worker; Dask gives this its worker, by the name of the argument."""
    return dict(dask_worker.state.total_resources)


async def _answer(backend: Backend, room: EngineRoom, request: Request) -> Response:
    from beluga_nb.api.transport import Response  # Lazy import: only a call needs an HTTP client.

    own = backend.settings.own_engine
    if own is None:
        return await _posted(backend, room, request)
    result = await own.within(backend.settings.timeout)(request)
    if result.extra:
        recipe = replace(result.pictures[0].recipe, revised_prompt=None)
        more = [Picture(each.data, each.media_type, recipe) async for each in result.extra()]
        result = replace(result, pictures=(*result.pictures, *more))
    headers, content = answer_of(result)
    return await spooled(Response(status=200, headers=headers, content=content), request)


async def _posted(backend: Backend, room: EngineRoom, request: Request) -> Response:
    """Return the answer of a service before it is parsed; raise `EngineError`."""
    from beluga_nb.api.http import Http  # Lazy import: an engine of the user's own needs no HTTP client.

    endpoint, faults = backend.endpoint(), backend.settings.faults
    service = shared_service(endpoint, room, faults=faults)
    http = Http(endpoint, app=service.app)
    answers: list[Response] = []

    async def post(attempt: Request) -> Result:
        answers.append(await http.post(attempt, attempt.deadline))
        return Result(attempt, ())

    await Retrying(post, timeout=endpoint.timeout, backoff=service.backoff)(request)
    return answers[-1]


async def spooled(response: Response, request: Request) -> Response:
    """Write an answer to the file of its request, and return it with the path where it is kept."""
    if request.spool is None:
        return replace(response, kept=None)
    file = spool.Spool(request.spool)
    file.begin(response.status, response.headers)
    is_kept = not response.content or await file.write(response.content)
    await (file.close() if response.broken or not is_kept else file.finish())
    return replace(response, kept=file.path if file.path != request.spool else None)
