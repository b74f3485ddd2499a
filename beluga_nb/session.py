"""The session: settings, keys, store and budget come together here; what asks is `engines/pipeline.py`."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import beluga_nb.catalog as catalog
import beluga_nb.config.settings as settings
from beluga_nb.api.dialects import find_dialect
from beluga_nb.api.endpoint import Endpoint, check_known, describe, endpoint_of, key_of, key_variables
from beluga_nb.bench import Bench
from beluga_nb.bench import Found as Found  # for the workbench, which knows only the session
from beluga_nb.budget import Budget, Caps
from beluga_nb.care import Care, View
from beluga_nb.catalog import Listing
from beluga_nb.catalog import Model as Model  # for the workbench
from beluga_nb.catalog import Size as Size
from beluga_nb.compare.grid import Grid as Grid  # for the magics, which know only the session
from beluga_nb.compare.plan import Plan, Post
from beluga_nb.compare.template import filled as filled  # for the magics, which know only the session
from beluga_nb.compare.template import names, used
from beluga_nb.comparing import ASK_ABOVE, Comparing, Show, Told
from beluga_nb.config import keys
from beluga_nb.config.endpoints import EndpointConfig
from beluga_nb.config.preferences import Preferences, canonical, check_no_engine, elsewhere, meant
from beluga_nb.config.project import is_untrusted_file
from beluga_nb.config.settings import Settings as Settings  # for the workbench, too
from beluga_nb.config.versions import known_bugs
from beluga_nb.console import BEFORE_OUTPUT as BEFORE_OUTPUT  # for the magics, as above
from beluga_nb.console import LISTENER as LISTENER  # for the workbench
from beluga_nb.console import ask, ask_hidden, check_yes, tell
from beluga_nb.engines.counted import TALLY
from beluga_nb.engines.counted import Tally as Tally  # for the magics, which know only the session
from beluga_nb.engines.own import own_engine
from beluga_nb.engines.pipeline import EMBEDDED_URL, EngineConfig, Source, build, own, service
from beluga_nb.engines.room import EngineRoom, engine_room
from beluga_nb.engines.stop_on_fatal import CircuitBreaker
from beluga_nb.errors import BelugaError, EngineError, RequestError, SettingsError, UnknownNameError
from beluga_nb.hints import Hint, Remedy
from beluga_nb.judging import Voting
from beluga_nb.keyless import check, keyless
from beluga_nb.merge import contiguous_ranges
from beluga_nb.paths import path_of
from beluga_nb.redaction import Environment, Secret, redact
from beluga_nb.request import Request
from beluga_nb.result import Engine, IncompleteError, Result
from beluga_nb.runtime import GRACE, Bridge, Nested, awaitable, blocking, cost_of_a_patch
from beluga_nb.runtime import Job as Job  # for the workbench
from beluga_nb.show.markup import bundle
from beluga_nb.show.preview import preview, small
from beluga_nb.store import pending
from beluga_nb.store.ledger import StoreLedger
from beluga_nb.store.marks import Mark as Mark  # for the workbench
from beluga_nb.store.pending import Pending
from beluga_nb.store.records import Store
from beluga_nb.store.takes import next_free_take
from beluga_nb.text import plural, sanitize

if TYPE_CHECKING:
    from beluga_nb.server.child import Server
    from beluga_nb.widgets.panel import Panel


LOCAL = "local"
"""The provider name of pictures from the embedded BelugAPI, as recordings have it."""

NO_KEY = Hint(f"none: set {keys.VARIABLE}, or ", Remedy("login"))


class Session(Care, Comparing, Bench):
    """Everything that answers requests, put together from settings.

    Settings are read anew at each call: defaults < `beluga.toml` < `BELUGA_*` < what is given here
    (any field of `settings.Settings`) < the call. Nothing is read, opened or started before the first.
    The folder of the notebook is the one that is current then; a later change of folder moves no store.
    With an `engine`, that answers in place of all services; see `use`.
    """

    def __init__(
        self,
        *,
        engine: Engine | None = None,
        provider: str | None = None,
        api_key: str | None = None,
        environ: Mapping[str, str] | None = None,
        folder: Path | None = None,
        notify: Callable[[str], None] = tell,
        confirm: Callable[[str], bool | None] = ask,
        hidden: Callable[[str], str | None] = ask_hidden,
        vaults: Mapping[str, keys.KeySource] | None = None,
        **said: object,
    ) -> None:
        self.notify: Callable[[str], None] = lambda words: notify(redact(words))
        self.confirm = confirm
        self.hidden = hidden
        if vaults is None:  # an environment of one's own has no vaults
            vaults = keys.KEY_SOURCES if environ is None or environ is os.environ else {}
        self._environment = Environment(os.environ if environ is None else environ)
        given = None if api_key is None else Secret(api_key, "code")
        del api_key, environ  # a traceback may show the variables of its frames
        self._find_key = keys.KeyResolver(self._environment, explicit=given, vaults=vaults)
        self.preferences = Preferences(self._environment, folder, said)
        self._nested = Nested()
        self._entered: EngineRoom | None = None
        self.budget = Budget()
        self._budgets: dict[str, Budget] = {}  # of stores, by where they are
        self.latest: Result | None = None
        self._local_key = keys.random_key()
        self._stores: dict[tuple[Path, bool], Store] = {}
        self._server: Server | None = None
        self._told_of_patch = False
        self._told_of_withheld = False
        self._told_of_file: set[str] = set()
        self.use(engine, provider=provider)

    def __reduce__(self) -> str:
        if self is not default or self.preferences.own_engine:
            raise TypeError("A session is not copied or pickled: make one where it is wanted.")
        return "default"  # the same there, with the key and the settings of that place

    def use(self, engine: Engine | None, *, provider: str | None = None) -> None:
        """Let an engine of your own answer from here on: an async function `Request` -> `Result`.

        It is asked for one picture at a time, on beluga_nb's own thread and loop, in up to `max_in_flight`
        calls at once. Its pictures are recorded under `provider`, or under the name of the function or class:
        keep that name, and what was recorded replays in later sessions. The caps count its pictures, and no
        key is sent. Any model id is passed on, and so are all size labels and pixels. With None, the service
        answers again. Raises `SettingsError` for what is no engine, or no name for one.
        """
        if engine is None and provider is not None:
            raise SettingsError(
                "A provider is the name of an engine, and there is no engine.",
                'Give both: engine=my_engine, provider="my-engine".',
            )
        self.preferences.own_engine = (
            None if engine is None else own_engine(engine, provider, make_preview=small)
        )

    @keyless
    def submit(
        self,
        prompt: str,
        *,
        model: str | None = None,
        endpoint: str | None = None,
        size: str | None = None,
        n: int | None = None,
        quality: str | None = None,
        output_format: str | None = None,
        output_compression: int | None = None,
        take: str = "",
        sample: int = 0,
        mode: str | None = None,
        embed: str | None = None,
        bridge: str | None = None,
        yes: bool = False,
        insist: bool = False,
        values: Mapping[str, object] | None = None,
    ) -> Job[Result]:
        """Start asking for `n` pictures of a prompt: one, unless an alias says more.

        `model` is an id or an alias (`Settings.aliases`), whose parts the other arguments outrank; "lab:sd"
        is the model sd of the server that `beluga.toml` names lab, and so is "sd" with `endpoint="lab"`.
        `size` is a label such as "16:9", "auto", or pixels such as "1024x1024", which become the
        model's nearest label; `quality` is "standard" or "hd"; `output_format` is "png", "jpeg" or "webp",
        and `output_compression` is 0 to 100. What is recorded is replayed: `take` labels another sampling,
        `sample` is the number of its first picture, and `mode` is "auto", "replay", "refresh" or "off".
        `embed` is what a notebook holds of it: "preview", "original", "link" or "none". `bridge` is where it
        runs: "thread" or "nested".
        More than ten new pictures need `yes`. `insist` sends a model id that the catalogue does not know.
        With `values`, each `{{name}}` in the prompt is filled from them.

        Raises `RequestError` or `SettingsError` before anything is sent, and `EngineError` after.
        """
        now = self.settings(mode=mode, embed=embed, bridge=bridge)
        request, told = self._asked(
            prompt,
            values,
            now,
            insist=insist,
            model=model,
            endpoint=endpoint,
            size=size,
            n=n,
            quality=quality,
            output_format=output_format,
            output_compression=output_compression,
            take=take,
            sample=sample,
        )
        now = now.at(request.model)
        store = self._store_of(now)
        self._check_many(request, now, store, yes=yes)
        engine, home = self._engine(now, store), self._bridge(now)
        self._tell_of_patch()
        self._tell_of_withheld(now)
        view = self._view_of(now, store)
        asked = self._ask(request, now, store, lambda fresh: self._answered(fresh, engine, view, told))
        return home.submit(asked, hold=now.timeout + GRACE)

    generate = blocking("generate", submit)
    agenerate = awaitable("agenerate", submit)

    @keyless
    def plan(
        self,
        /,
        prompt: str,
        *,
        mode: str | None = None,
        embed: str | None = None,
        insist: bool = False,
        values: Mapping[str, object] | None = None,
        **asked: Any,
    ) -> Plan:
        """Return what `generate` with the same arguments would send, and what that would cost; send nothing.

        Raises what `generate` raises before it sends, but for the question whether so many are meant.
        """
        now = self.settings(mode=mode, embed=embed)
        request, _ = self._asked(prompt, values, now, insist=insist, **asked)
        return self._planned([request], now)

    def open(self, path: str | Path) -> Result:
        """Return the picture that `save()` wrote, as the result of the request in its recipe.

        Its bytes are the ones that came from the service, unless the file was changed or converted.
        Raises `MetadataError` for a file that holds no recipe.
        """
        from beluga_nb.show.recipe import opened  # in its place, like all that is wanted now and then

        return self._own(_with_true_template(opened(path_of(path))))

    def last(self) -> Result:
        """Return the newest result: this session's, or else the newest that the store has.

        Raises `RequestError` where there is none.
        """
        if self.latest is not None:
            return self.latest
        run = next((run for run in self.history().runs if run.count), None)
        if run is None:
            raise RequestError("There is no picture yet.", Hint("Ask for one: ", Remedy("generate")))
        return self.recall(run.name)

    def serve(self, *, port: int | None = None) -> Server:
        """Return the image API as a process of its own on this machine: the running one, or a new one.

        It ends with `stop_serving()`, and with this process. Without `port` a new one takes a free port.
        Raises `RequestError` where one runs on another port, and `BelugaError` where none can start.
        """
        now = self.settings()
        check_no_engine(now, "a server: that is a process of its own, which has no such engine")
        from beluga_nb.server.child import Server  # Imported when it is needed, like all that serves.

        if self._server is None or not self._server.running:
            self._server = Server.start(port=port or 0, faults=now.faults)
        elif port not in {None, 0, self._server.port}:
            raise RequestError(
                f"The server runs already, on {self._server.url}.",
                Hint("Stop it first: ", Remedy("stop serving")),
            )
        return self._server

    def stop_serving(self) -> bool:
        """End the server that `serve()` gave; return whether one was running."""
        server, self._server = self._server, None
        if server is None or not server.running:
            return False
        server.stop()
        return True

    def panel(self) -> Panel:
        """Return the panel: a workbench of widgets for those who would rather click."""
        from beluga_nb.widgets.panel import open_panel  # a door that is opened when someone knocks

        return open_panel(self)

    def close(self) -> None:
        """End the server, and the threads that calls run on as soon as none is under way.

        The next call starts anew.
        """
        self.stop_serving()
        room, self._entered = self._entered, None
        if room:
            room.leave(self)

    def login(self, *, keep: bool = False) -> str:
        """Ask for the key, unseen, and use it until this session ends; return its last four characters.

        With `keep` it goes into the system's keyring too, where later sessions find it. Raises
        `SettingsError` where nobody can type, or what was typed is no key.
        """
        typed = _typed(self.hidden)
        if typed is None:
            raise SettingsError("Nobody can type a key here.", f"Set {keys.VARIABLE} in the environment.")
        secret = self._find_key.take(typed)
        if keep:
            keys.keep(secret)
        return secret.ending

    def settings(self, **said: object) -> Settings:
        """Return the settings as they stand now, with what the call says."""
        return self.preferences.settings(None, **said)

    def models(self, text: str = "", *, provider: str = "", size: str = "", endpoint: str = "") -> Listing:
        """Return the models with a text in id, name or provider, of a provider, that have a size.

        With a key, and unless the mode is "replay", the service is asked what it has. Servers that
        `beluga.toml` names stand below, and `endpoint` asks one of them for its own.
        """
        now = self.settings()
        find = partial(catalog.matching, text, provider=provider, size=size)
        if endpoint:
            check_no_engine(now, f"the endpoint {sanitize(endpoint, 40)}")
            there = now.at(now.endpoint(endpoint).prefix + "any")
            listed = self._bridge(now).submit(_listed(self._endpoint(there))).result()
            return Listing([], named=[replace(each, provider=endpoint) for each in find(among=listed)])
        listing = self._compared(now, find)
        return replace(listing, named=find(among=elsewhere(now)))

    def _compared(self, now: Settings, find: Callable[..., list[catalog.Model]]) -> Listing:
        if now.own_engine:
            note = (
                f"This session asks its engine {now.own_engine.name}, which is given any model id as it is."
            )
            return Listing(find(), note=note)
        key = self._find_key()
        if not key or now.mode == "replay":
            return Listing(find())
        try:
            there = self._bridge(now).submit(_listed(_service(now, key))).result()
        except EngineError as error:
            return Listing(find(), note=f"{now.provider} did not say what it has. {error.message}")
        return catalog.compared(find(), find(among=there), there, service=now.provider)

    def status(self) -> dict[str, str]:
        """Return, in words, who would answer now and where pictures are kept."""
        self.watch()
        self._find_key.ask_again()
        now = self.settings()
        key = None if now.own_engine else self._find_key()
        told = {
            "answers": self._who(now, key),
            "key": f"{key.source}, ending in {key.ending}" if key else self._no_key(now),
            "model": now.model,
            "mode": now.mode,
            "store": str(self.preferences.shortest(now.store)),
        }
        budget = self._budget(now)
        if budget.images or now.max_images is not None or now.max_cost is not None:
            told["spent"] = budget.words(now.caps)
        if self.budget.replayed:
            told["saved"] = self.budget.saved_words(now.caps)
        for named in () if now.own_engine else now.endpoints.values():
            told[f"endpoint {named.name}"] = describe(named, self._environment)
        if now.ignored:
            told["not used"] = " ".join(map(str, now.ignored))
        if now.faults and self._local(now):
            told["faults"] = "on: a prompt may ask for a failure"
        if unfinished := _unfinished(pending.calls(self._store_of(now))):
            told["unfinished"] = unfinished
        return told | known_bugs()

    def _who(self, now: Settings, key: Secret | None) -> str:
        if now.own_engine:
            return f"the engine {now.own_engine.name}"
        return now.base_url if key else "the built-in painter: procedural previews, not model output"

    def _booth(self, voting: Voting) -> object:
        from beluga_nb.widgets.booth import Booth  # the one door to what needs ipywidgets

        return Booth(voting)

    def _store(self, folder: Path | None = None) -> Store:
        """Return the store of the session, or of what lies in another folder."""
        self.watch()
        now = self.preferences.settings(folder)
        return Store(now.store) if folder else self._store_of(now)

    def _store_of(self, now: Settings) -> Store:
        """Return the store of some settings: the same as before, which knows what it has read."""
        indexing = now.mode in {"auto", "refresh"}
        return self._stores.setdefault((now.store, indexing), Store(now.store, indexing=indexing))

    def _asked(
        self, prompt: str, values: Mapping[str, object] | None, now: Settings, *, insist: bool, **asked: Any
    ) -> tuple[Request, Told]:
        text = prompt if values is None else filled(prompt, values)
        told = (prompt, used(prompt, values)) if values and names(prompt) else (None, {})
        parts: dict[str, Any] = meant(asked, now)
        return self._checked(Request(prompt=text, **parts), now, insist=insist), told

    def _planned(self, asked: Sequence[Request], now: Settings) -> Plan:
        store = self._store_of(now)
        places = [now.at(request.model) for request in asked]
        known = [self._recorded(request, at, store) for request, at in zip(asked, places, strict=True)]
        posts = [post for each in zip(asked, known, places, strict=True) for post in self._posts(*each)]
        return Plan(posts=posts, recorded=sum(map(len, known)), caps=now.caps)

    def _posts(self, request: Request, known: Set[int], now: Settings) -> Iterator[Post]:
        new = [run for run in contiguous_ranges(request.samples, known) if run[0] not in known]
        if not new:
            return
        self._check_asking(now, request)
        if now.own_engine:
            for part in (request.slice(each) for run in new for each in request.slice(*run).samples):
                yield Post(request=part, body=part.parameters, url=f"engine:{now.own_engine.name}")
            return
        endpoint = self._endpoint(now)
        url = "" if self._local(now) else f"{endpoint.base_url}{endpoint.dialect.path}"
        for part in (part for run in new for part in catalog.split(request.slice(*run))):
            yield Post(request=part, body=endpoint.body(part), url=url)

    @contextmanager
    def _fresh(self, request: Request, now: Settings, store: Store) -> Iterator[Request]:
        if now.mode != "refresh":
            yield request
            return
        takes = self._room.takes(_place(store))
        with self._room.taking:
            request = next_free_take(
                request, store, provider=self._provider(now), reserved=takes, unfinished=True
            )
            takes.add(request.slice(0))  # until its end, or two made at once would be one
        try:
            yield request
        finally:
            takes.discard(request.slice(0))

    def _tell_of_patch(self) -> None:
        if not self._told_of_patch and "ipykernel" in sys.modules and (cost := cost_of_a_patch()):
            self._told_of_patch = True
            self.notify(f"nest_asyncio is applied to this kernel's event loop: {cost}. beluga_nb needs none.")

    def watch(self) -> None:
        """Look at every key that may be in use, so that no output from here on holds one."""
        endpoints: Collection[EndpointConfig] = ()
        with suppress(BelugaError):  # settings that are wrong say so where they are wanted
            endpoints = self.settings().endpoints.values()
        self._find_key.watch(key_variables(endpoints))

    def _no_key(self, now: Settings) -> str:
        if now.own_engine:
            return "none: an engine of this session's own needs none"
        withheld = self._find_key.withheld
        return Hint(f"none: {withheld.why} ", withheld.hint) if withheld else NO_KEY

    def _tell_of_withheld(self, now: Settings) -> None:
        withheld = self._find_key.withheld
        if withheld and not self._told_of_withheld and self._local(now) and now.mode != "replay":
            self._told_of_withheld = True
            until = " Until then the built-in painter answers."
            self.notify(Hint(f"{withheld.why} ", withheld.hint, until))

    def _checked(self, asked: Request, now: Settings, *, insist: bool) -> Request:
        request, words = self._canonical(asked, now, insist=insist)
        for each in words:
            self.notify(each)
        return request

    def _canonical(self, asked: Request, now: Settings, *, insist: bool) -> tuple[Request, list[str]]:
        check(asked.parameters | {"take": asked.take})
        request = canonical(asked, now, insist=insist)
        if now.own_engine:
            return request, []
        if named := now.at(request.model).named:
            return request, find_dialect(named.dialect).remarks(request) if named.known else []
        converted = catalog.conversions(asked, request)
        return request, [f"{words}, the nearest that {request.model} has." for words in converted]

    def _check_many(self, request: Request, now: Settings, store: Store, *, yes: bool) -> None:
        missing = set(request.samples) - self._recorded(request, now, store)
        if missing:
            self._tell_of_file(now)
        new = 0 if now.mode == "replay" else len(missing)
        if new:
            self._check_asking(now, request)
        if new and self._bounded(now):
            bought = len(missing - self._left_of(request, now, store))
            for budget in self._bounding(now) if bought else []:
                budget.check([request.slice(0, bought)], now.caps)
        if yes or new <= ASK_ABOVE:
            return
        check_yes(
            self.confirm(f"{new} new pictures of {request.model}: go on?"),
            unasked=f"{new} new pictures are more than {ASK_ABOVE}, and nobody can be asked here.",
            declined=f"{new} new pictures were not confirmed.",
            nothing="Nothing was sent.",
        )

    def _recorded(
        self, request: Request, now: Settings, store: Store, *, providers: Set[str] = frozenset()
    ) -> set[int]:
        if now.mode in {"off", "refresh"}:
            return set()
        providers = providers or {*now.providers, self._provider(now)}
        return {
            sample
            for sample in request.samples
            if any(store.has(request.slice(sample), provider=provider) for provider in providers)
        }

    def _left_of(self, request: Request, now: Settings, store: Store) -> set[int]:
        """Return the samples that may be had for nothing, of calls that were lost."""
        if now.mode != "auto":
            return set()
        return pending.recoverable(store, request, provider=self._provider(now))

    def _provider(self, now: Settings) -> str:
        return LOCAL if self._local(now) else now.provider

    def _local(self, now: Settings) -> bool:
        return not now.named and not now.own_engine and not self._find_key()

    def _key(self, now: Settings) -> Secret | None:
        if now.own_engine:
            return None
        if now.named is None:
            return self._find_key()
        return key_of(now.named, self._environment) if now.named.known else None

    def _endpoint(self, now: Settings) -> Endpoint:
        key = self._key(now)
        if now.named:
            return endpoint_of(now, now.named, key)
        return _service(now, key) if key else _embedded(now, self._local_key)

    def _engine(
        self,
        now: Settings,
        store: Store,
        *,
        bounds: Sequence[tuple[Budget, Caps]] = (),
        breaker: CircuitBreaker | None = None,
    ) -> Engine:
        """Return the engine of calls with some settings; a run has `bounds` and a `breaker` of its own."""
        provider = self._provider(now)
        # A notebook that was made with a key, or at another address, is read by people without.
        others = now.providers if now.mode in {"auto", "replay"} else []
        may_ask = now.mode != "replay" and not (now.mode != "off" and now.named and not now.named.known)
        config = EngineConfig(
            mode=now.mode,
            room=self._room,
            store=store,
            provider=provider,
            notify=self.notify,
            preview=preview,
            timeout=now.timeout,
            max_in_flight=now.max_in_flight,
            other_providers=[each for each in others if each != provider],
            claimed=now.claimed,
            budgets=[*self._caps_of(now), *bounds] if may_ask and self._bounded(now) else [],
            breaker=breaker,
        )
        return build(self._source(now) if may_ask else None, config)

    def _caps_of(self, now: Settings) -> list[tuple[Budget, Caps]]:
        return [(budget, now.caps) for budget in self._bounding(now)]

    def _source(self, now: Settings) -> Source:
        if now.own_engine:
            return own(now.own_engine, self._room, timeout=now.timeout)
        return service(self._endpoint(now), self._room, make_preview=small, faults=now.faults)

    def _tell_of_file(self, now: Settings) -> None:
        for words in map(str, now.ignored):
            if words not in self._told_of_file:
                self._told_of_file.add(words)
                self.notify(words)

    def _check_asking(self, now: Settings, request: Request) -> None:
        """Raise `BelugaError` where something new is not to be asked for as things stand."""
        _check_known(now, request)
        self._tell_of_file(now)
        if recording := now.mode in {"auto", "refresh"}:
            self._store_of(now).check_ours()
        # Elsewhere than meant it would be bought anew, or recorded where nobody looks for it.
        serious = {"base_url", "store"} if recording else {"base_url"}
        for each in now.ignored:
            if each.name in serious and now.mode != "replay" and self._bounded(now):
                raise SettingsError(f"{each.message} Nothing was sent.", each.remedy)

    def _budget(self, now: Settings) -> Budget:
        if now.budget == "session":
            return self.budget
        return self._budget_in(self._store_of(now))

    def _budget_in(self, store: Store) -> Budget:
        return self._budgets.setdefault(_place(store), Budget(StoreLedger(store)))

    def _bounding(self, now: Settings) -> list[Budget]:
        """Return all budgets that hold: what an untrusted file says of whose they are frees from no cap."""
        budgets = [self._budget(now)]
        strangers = any(is_untrusted_file(now.places.get(name)) for name in ("budget", "store"))
        if now.budget != "session" and strangers:
            budgets.append(self.budget)
            if now.counted_store:
                budgets.append(self._budget_in(Store(now.counted_store)))
        return budgets

    async def _ask(
        self, request: Request, now: Settings, store: Store, answered: Callable[[Request], Awaitable[Result]]
    ) -> Result:
        with self._fresh(request, now, store) as request:
            kept = self._recorded(request, now, store, providers=set(now.providers))
            self.latest = result = await answered(request)
        if words := catalog.off_ratio(request, (picture.size for picture in result.pictures)):
            self.notify(words)
        if kept:
            self.budget.save(request.slice(request.sample, len(kept)), now.caps)
        return result

    async def _answered(self, request: Request, engine: Engine, view: Show, told: Told) -> Result:
        try:
            return self._own((await engine(request)).from_template(*told), view)
        except IncompleteError as error:
            error.result = self._own(error.result.from_template(*told), view)
            raise

    def _bounded(self, now: Settings) -> bool:
        return bool(now.own_engine or self._key(now))

    def _folder(self) -> Path:
        return self.preferences.folder

    def _view(self, store: Store, *, writing: bool, embed: str | None = None) -> View:
        embed = embed or self.settings().embed
        return View(store, writing=writing, embed=embed, folder=self.preferences.folder)

    def _view_of(self, now: Settings, store: Store) -> Show:
        if now.mode == "off":
            return partial(bundle, embed=now.embed)
        return self._view(store, writing=now.mode != "replay", embed=now.embed)

    def _own(self, result: Result, view: Show = bundle) -> Result:
        return replace(result, renderer=view, regenerate=self.generate)

    @property
    def _room(self) -> EngineRoom:
        if self._entered is None:
            self._entered = engine_room()
            self._entered.enter(self)
        return self._entered

    def _bridge(self, now: Settings) -> Bridge:
        return self._nested if now.bridge == "nested" else self._room.thread


@contextmanager
def counted() -> Iterator[Tally]:
    """Count what the calls that start in here ask for, and what of it arrives."""
    tally = Tally()
    token = TALLY.set(tally)
    try:
        yield tally
    finally:
        TALLY.reset(token)


def _unfinished(calls: Sequence[Pending]) -> str:
    ended = [call for call in calls if not call.on_its_way]
    waiting = len(calls) - len(ended)
    free = sum(call.provider == LOCAL for call in ended)
    lost = len(ended) - free
    words = [f"{plural(lost, 'call')} may have been charged without a result"] if lost else []
    words += [f"{plural(free, 'local call')} without a result, at no cost"] if free else []
    return "; ".join(words + ([f"{waiting} on the way"] if waiting else []))


def _typed(hidden: Callable[[str], str | None]) -> Secret | None:
    return None if (typed := hidden("BelugAPI key (not shown): ")) is None else Secret(typed, "%beluga login")


def _check_known(now: Settings, request: Request) -> None:
    if now.own_engine and now.own_engine.name in now.endpoints:
        raise SettingsError(
            f"'{now.provider}' is the name of an endpoint of beluga.toml, and of this session's engine.",
            'Nothing was sent. Give the engine another name: Session(engine=…, provider="my-engine").',
        )
    if now.named and now.named.name in now.endpoints:
        check_known(now.named)
    elif now.named and not now.named.known:
        raise UnknownNameError(
            "model",
            request.model,
            [model.id for model in catalog.models()],
            hint=Hint(
                Remedy("models"),
                f" lists all; another server stands in beluga.toml, as [endpoints.{now.provider}].",
            ),
            param="model",
            code="model_not_found",
        )


def _service(now: Settings, key: Secret) -> Endpoint:
    if now.base_url == settings.SERVICE:
        keys.check_service_key(key)
    return Endpoint(
        base_url=now.base_url,
        provider=now.provider,
        key=key,
        response_format=now.response_format,
        extensions=now.loopback,  # there, it may be our own server
        timeout=now.timeout,
        connect_timeout=now.connect_timeout,
    )


def _embedded(now: Settings, key: Secret) -> Endpoint:
    return Endpoint(
        base_url=EMBEDDED_URL,
        provider=LOCAL,
        key=key,
        response_format=now.response_format,
        extensions=True,
        timeout=now.timeout,
    )


def _place(store: Store) -> str:
    return os.path.realpath(store.folder)


def _with_true_template(result: Result) -> Result:
    # A file may claim any template; one that does not give its prompt is none.
    recipe = result.recipe
    try:
        true = recipe.template is None or filled(recipe.template, recipe.values) == recipe.request.prompt
    except UnknownNameError:
        true = False
    return result if true else result.from_template(None, {})


async def _listed(endpoint: Endpoint) -> list[catalog.Model]:
    from beluga_nb.api.http import models  # in its place, as above

    return await models(endpoint)


default = Session()
"""The session behind `beluga_nb.generate` and the magics; it starts nothing before the first call."""

default.budget = Budget.inherited()

generate = default.generate
agenerate = default.agenerate
panel = default.panel
submit = default.submit
use = default.use
grid = default.grid
gallery = default.gallery
open = default.open  # noqa: A001  as in PIL.Image.open
