"""The composition root: settings, engines and wrappers come together here, and nowhere else.

    request → Spread → Replayed → Limited → Recorded → Retrying → Http → the service

Without a key the same `Http` asks the embedded BelugAPI in this process, whose engine is the painter;
what the service once answered is replayed first.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import beluga_nb.catalog as catalog
import beluga_nb.settings as settings
from beluga_nb._loop import Bridge, Job, Nested, Thread
from beluga_nb.api import keys
from beluga_nb.api.endpoint import Endpoint
from beluga_nb.api.retry import Retrying
from beluga_nb.compare.template import filled
from beluga_nb.core import Bundle, Engine, Incomplete, Preview, Request, Result
from beluga_nb.engines import Gate, InTurn, Limited, PerLoop, Queue, Spread
from beluga_nb.errors import Address, NotConfirmed, RequestError, SettingsError
from beluga_nb.settings import Settings
from beluga_nb.show.markup import bundle
from beluga_nb.show.preview import montage, preview
from beluga_nb.store import pending
from beluga_nb.store.pending import Pending
from beluga_nb.store.records import Store
from beluga_nb.store.replay import Recorded, Refetched, Replayed, Unrecorded, retaken

if TYPE_CHECKING:
    from beluga_nb.local.child import Server

View = Callable[[Result], Bundle]
P = ParamSpec("P")
R = TypeVar("R")

LOCAL = "local"
"""The provider name of pictures from the embedded BelugAPI, as recordings have it."""

ASK_ABOVE = 10
"""More new pictures than this are asked for only after a yes."""

_LOCAL_URL = "http://127.0.0.1/v1"  # nothing listens there: the app is called in this process


def tell(words: str) -> None:
    """Say something to the person at the notebook or terminal."""
    # In a notebook stderr looks like an alarm; in a script stdout belongs to the script.
    print(words, file=sys.stdout if "ipykernel" in sys.modules else sys.stderr)


def ask(question: str) -> bool | None:
    """Return the answer to a yes-or-no question, or None where nobody can answer."""
    if not ("ipykernel" in sys.modules or (sys.stdin and sys.stdin.isatty())):
        return None
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except (EOFError, NotImplementedError):  # a kernel that nobody types into raises the latter
        return None


def blocking(
    name: str, start: Callable[Concatenate[Session, P], Job[R]]
) -> Callable[Concatenate[Session, P], R]:
    """Derive the function of that name, which waits, from the one that starts a job."""

    def wait(self: Session, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return start(self, *args, **kwargs).result()

    return _named(name, wait, start, "Return")


def awaitable(
    name: str, start: Callable[Concatenate[Session, P], Job[R]]
) -> Callable[Concatenate[Session, P], Coroutine[Any, Any, R]]:
    """Derive the coroutine function of that name from the one that starts a job."""

    async def wait(self: Session, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await start(self, *args, **kwargs)

    return _named(name, wait, start, "Await")


F = TypeVar("F", bound=Callable[..., Any])


def _named(name: str, wait: F, start: Callable[..., Any], verb: str) -> F:
    wait.__name__, wait.__qualname__ = name, f"Session.{name}"
    wait.__doc__ = (start.__doc__ or "").replace("Start asking for", f"{verb} the `Result` of asking for", 1)
    wait.__signature__ = inspect.signature(start).replace(return_annotation=Result)  # type: ignore[attr-defined]
    return wait


class Session:
    """Everything that answers requests, put together from settings.

    Settings are read anew at each call: defaults < `beluga.toml` < `BELUGA_*` < what is given here
    (any field of `settings.Settings`) < the call. Nothing is read, opened or started before the first.
    The folder of the notebook is the one that is current then; a later change of folder moves no store.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        environ: Mapping[str, str] = os.environ,
        folder: Path | None = None,
        notify: Callable[[str], None] = tell,
        confirm: Callable[[str], bool | None] = ask,
        **said: object,
    ) -> None:
        self.notify = notify
        self.confirm = confirm
        # In closures, so that no listing of this object's attributes shows a key.
        self._environment: Callable[[], Mapping[str, str]] = lambda: environ
        self._find_key: Callable[[], keys.Secret | None] = lambda: keys.find(environ, explicit=api_key)
        self._folder = folder
        self._said = said
        self._bridges: dict[str, Bridge] = {}
        self._sources: dict[tuple[Endpoint, bool], Engine] = {}
        self._gates: dict[int, Gate] = {}
        self._queue = Queue()
        self._reserved: set[Request] = set()
        self._local_key = keys.made_up()
        self._server: Server | None = None

    def submit(
        self,
        prompt: str,
        *,
        model: str | None = None,
        size: str | None = None,
        n: int = 1,
        quality: str | None = None,
        take: str = "",
        mode: str | None = None,
        yes: bool = False,
        insist: bool = False,
        values: Mapping[str, object] | None = None,
    ) -> Job[Result]:
        """Start asking for `n` pictures of a prompt.

        `size` is a label such as "16:9", "auto", or pixels such as "1024x1024", which become the
        model's nearest label; `quality` is "standard" or "hd". What is recorded is replayed: `take`
        labels another sampling, and `mode` is "auto", "replay", "refresh" or "off". More than ten new
        pictures need `yes`. `insist` sends a model id that the catalogue does not know. With `values`,
        each `{{name}}` in the prompt is filled from them.

        Raises `RequestError` or `SettingsError` before anything is sent, and `EngineError` after.
        """
        now = self.settings(mode=mode)
        asked = Request(
            prompt=prompt if values is None else filled(prompt, values),
            model=now.model if model is None else model,
            size=size,
            n=n,
            quality=quality,
            take=take,
        )
        request = self._checked(asked, insist=insist)
        store = Store(now.store)
        if now.mode == "refresh":
            request = retaken(request, store, provider=self._provider(now), reserved=self._reserved)
            self._reserved.add(request.part(0))  # until its end, or two made at once would be one
        if not yes:
            self._ask_before_many(request, now, store)
        view = partial(bundle, sheet=_kept_sheet(store, now.mode))
        return self._bridge(now).submit(self._answered(request, self._engine(now, store), view))

    generate = blocking("generate", submit)
    agenerate = awaitable("agenerate", submit)

    def serve(self, *, port: int | None = None) -> Server:
        """Return the image API as a process of its own on this machine: the running one, or a new one.

        It ends with `stop_serving()`, and with this process. Without `port` a new one takes a free port.
        Raises `RequestError` where one runs on another port, and `BelugaError` where none can start.
        """
        from beluga_nb.local.child import Server  # Imported when it is needed, like all that serves.

        if self._server is None or not self._server.running:
            self._server = Server.start(port=port or 0, faults=self.settings().faults)
        elif port not in {None, 0, self._server.port}:
            raise RequestError(
                f"The server runs already, on {self._server.url}.", "Stop it first: %beluga serve --stop"
            )
        return self._server

    def stop_serving(self) -> bool:
        """End the server that `serve()` gave; return whether one was running."""
        server, self._server = self._server, None
        if server is None or not server.running:
            return False
        server.stop()
        return True

    def settings(self, **said: object) -> Settings:
        """Return the settings as they stand now, with what the call says."""
        if self._folder is None:
            self._folder = Path.cwd()
        return settings.load(self._environment(), self._folder).with_(**self._said).with_(**said)

    def status(self) -> dict[str, str]:
        """Return, in words, who would answer now and where pictures are kept."""
        now, key = self.settings(), self._find_key()
        told = {
            "answers": now.base_url if key else "the built-in painter: procedural previews, not model output",
            "key": f"{key.source}, ending in {key.ending}" if key else f"none ({keys.VARIABLE} is not set)",
            "model": now.model,
            "mode": now.mode,
            "store": _shortest(now.store, self._folder),
        }
        if now.faults and not key:
            told["faults"] = "on: a prompt may ask for a failure"
        if unfinished := _unfinished(pending.calls(Store(now.store))):
            told["unfinished"] = unfinished
        return told

    def _checked(self, asked: Request, *, insist: bool) -> Request:
        if keys.typed_key(asked.prompt):
            raise RequestError(
                "The prompt holds something that looks like a BelugAPI key; it was not sent.",
                "Remove it, clear the cell's outputs, and make a new key: this one stands in the notebook.",
            )
        request = catalog.canonical(asked, insist=insist)
        for words in catalog.conversions(asked, request):
            self.notify(f"{words}, the nearest that {request.model} has.")
        return request

    def _ask_before_many(self, request: Request, now: Settings, store: Store) -> None:
        new = self._count_new(request, now, store)
        if new <= ASK_ABOVE:
            return
        answer = self.confirm(f"{new} new pictures of {request.model}: go on?")
        if answer is None:
            raise NotConfirmed(
                f"{new} new pictures are more than {ASK_ABOVE}, and nobody can be asked here.",
                "Say so in advance: --yes, or yes=True in Python. Nothing was sent.",
            )
        if not answer:
            raise NotConfirmed(f"{new} new pictures were not confirmed.", "Nothing was sent.")

    def _count_new(self, request: Request, now: Settings, store: Store) -> int:
        if now.mode == "replay":
            return 0
        if now.mode == "off":
            return request.n
        providers = {now.provider, self._provider(now)}
        return sum(
            not any(store.has(request.part(sample), provider=provider) for provider in providers)
            for sample in request.samples
        )

    def _provider(self, now: Settings) -> str:
        return now.provider if self._find_key() else LOCAL

    def _engine(self, now: Settings, store: Store) -> Engine:
        key = self._find_key()
        provider = self._provider(now)
        if now.mode == "replay":
            engine: Engine = Replayed(Unrecorded(store), store, provider=provider)
        else:
            engine, gate = self._source(now, key), self._gate(now)
            if now.mode == "off":
                engine = Limited(engine, gate)
            else:
                recorded = Recorded(engine, store, provider=provider, preview=preview, notify=self.notify)
                engine = Replayed(Limited(recorded, gate), store, provider=provider)
                if key:
                    engine = Refetched(engine, recorded, partial(_fetched, _service(now, key)))
        if not key and now.mode in {"auto", "replay"}:
            # A notebook that was made with a key is read by people without one.
            engine = Replayed(engine, store, provider=now.provider)
        engine = Spread(engine, catalog.split)
        return engine if now.mode == "off" else InTurn(engine, self._queue)

    async def _answered(self, request: Request, engine: Engine, view: View) -> Result:
        try:
            return replace(await engine(request), view=view)
        except Incomplete as error:
            error.result = replace(error.result, view=view)
            raise
        finally:
            self._reserved.discard(request.part(0))

    def _source(self, now: Settings, key: keys.Secret | None) -> Engine:
        endpoint = _service(now, key) if key else _embedded(now, self._local_key)
        source = (endpoint, now.faults)
        if source not in self._sources:
            self._sources[source] = PerLoop(partial(_connected, *source))
        return self._sources[source]

    def _gate(self, now: Settings) -> Gate:
        return self._gates.setdefault(now.max_in_flight, Gate(now.max_in_flight))

    def _bridge(self, now: Settings) -> Bridge:
        if now.bridge not in self._bridges:
            self._bridges[now.bridge] = Nested() if now.bridge == "nested" else Thread()
        return self._bridges[now.bridge]


def _kept_sheet(store: Store, mode: str) -> Callable[[Sequence[Preview]], Preview]:
    if mode == "off":
        return montage
    return lambda parts: store.sheet(parts, lambda: montage(parts), writing=mode != "replay")


def _unfinished(calls: Sequence[Pending]) -> str:
    lost = sum(not call.on_its_way for call in calls)
    waiting = len(calls) - lost
    words = [f"{lost} call{'s' * (lost > 1)} may have been charged without a result"] if lost else []
    return "; ".join(words + ([f"{waiting} on the way"] if waiting else []))


def _service(now: Settings, key: keys.Secret) -> Endpoint:
    if now.base_url == settings.SERVICE:
        keys.check_service_key(key)
    elif now.origin == "file" and not now.loopback:
        raise SettingsError(
            f"beluga.toml wants to send your key to {now.provider}.",
            f"If you trust that address, say so yourself: set BELUGA_BASE_URL={now.base_url}",
        )
    return Endpoint(
        base_url=now.base_url,
        provider=now.provider,
        key=key,
        response_format=now.response_format,
        extensions=now.loopback,  # there, it may be our own server
        timeout=now.timeout,
        connect_timeout=now.connect_timeout,
    )


def _embedded(now: Settings, key: keys.Secret) -> Endpoint:
    return Endpoint(
        base_url=_LOCAL_URL,
        provider=LOCAL,
        key=key,
        response_format=now.response_format,
        extensions=True,
        timeout=now.timeout,
    )


def _connected(endpoint: Endpoint, faults: bool) -> Engine:
    # Imported when something is asked for: who replays needs neither HTTP client nor server.
    from beluga_nb.api.http import Http

    app = None
    if endpoint.base_url == _LOCAL_URL and endpoint.key:
        from beluga_nb.local.app import create_app
        from beluga_nb.local.faults import faulty
        from beluga_nb.local.previews import previews

        create = partial(create_app, key=endpoint.key.reveal())
        app = faulty(previews, create) if faults else create(previews)
    return Retrying(Http(endpoint, app=app))


async def _fetched(endpoint: Endpoint, request: Request, left: Address) -> Result:
    from beluga_nb.api.http import fetched  # in its place, as above

    return await fetched(endpoint, request, left)


def _shortest(path: Path, folder: Path | None) -> str:
    return str(path.relative_to(folder)) if folder and path.is_relative_to(folder) else str(path)


default = Session()
"""The session behind `beluga_nb.generate` and the magics; it starts nothing before the first call."""

generate = default.generate
agenerate = default.agenerate
submit = default.submit
