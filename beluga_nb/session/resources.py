"""What all calls of a session share: settings, keys, stores, budgets, and the engine room.

Here a request becomes a `Call`, which is checked, planned and answered; sessions and grids only choose the
requests.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

import beluga_nb.catalog as catalog
from beluga_nb.api.dialects import find_dialect
from beluga_nb.api.endpoint import key_variables
from beluga_nb.budget import Budget, Caps
from beluga_nb.compare.plan import Plan, Post
from beluga_nb.config import keys
from beluga_nb.config.addresses import StoreAddress
from beluga_nb.config.preferences import Preferences, canonical, resolved
from beluga_nb.config.project import is_untrusted_file
from beluga_nb.config.settings import Settings, SettingsOptions
from beluga_nb.console import check_yes
from beluga_nb.engines.backend import Backend, backend_of
from beluga_nb.engines.call import Call, Calls, Missing, Tally
from beluga_nb.engines.own import own_engine
from beluga_nb.engines.pipeline import build, source_of
from beluga_nb.engines.recorder import Recorder
from beluga_nb.engines.room import EngineRoom, engine_room
from beluga_nb.engines.stop_on_fatal import CircuitBreaker
from beluga_nb.errors import RequestError, SettingsError
from beluga_nb.hints import Hint
from beluga_nb.interrupted import Left
from beluga_nb.key_check import check_no_key
from beluga_nb.placeholders import filled, names, not_filled, used
from beluga_nb.process.work import revocable
from beluga_nb.redaction import Environment, Secret, redact
from beluga_nb.request import Question, Request
from beluga_nb.result import Bundle, Engine, IncompleteError, Picture, Result
from beluga_nb.runtime import GRACE, Bridge, Job, Nested, close_unstarted, cost_of_a_patch
from beluga_nb.show.figures import bundle
from beluga_nb.show.preview import preview, small
from beluga_nb.show.stored import StoreView
from beluga_nb.signatures import copying
from beluga_nb.store import pending
from beluga_nb.store.opened import ledger_of, open_store
from beluga_nb.store.records import Store
from beluga_nb.store.takes import next_free_take
from beluga_nb.store.verdicts import Verdicts
from beluga_nb.text import shown

if TYPE_CHECKING:
    from beluga_nb.compare.on_workers import Dispatcher

ASK_ABOVE = 10
"""More new pictures than this are asked for only after a yes."""


class Refreshed(Protocol):
    """What lists recordings, and does so again after each call."""

    def refresh(self) -> object: ...


MOST_PICTURES = 10_000
"""Pictures above which a call is refused as a mistake: each of them is looked up in the store."""


class Resources:
    """Settings, keys, stores, budgets and the engine room of one session; nothing is opened before a call.

    `notify` tells the user something, `confirm` asks a yes-or-no question, and `hidden` lets a key be typed
    unseen; the latter two return None where no question can be asked. `regenerate` asks for a result again.
    """

    def __init__(
        self,
        environment: Environment,
        *,
        folder: Path | None,
        options: SettingsOptions,
        key: Secret | None,
        vaults: Mapping[str, keys.KeySource],
        notify: Callable[[str], None],
        confirm: Callable[[str], bool | None],
        hidden: Callable[[str], str | None],
        regenerate: Callable[..., Result],
    ) -> None:
        self.environment = environment
        self.keys = keys.KeyResolver(self.environment, explicit=key, vaults=vaults)
        self.preferences = Preferences(self.environment, folder, options)
        self.notify: Callable[[str], None] = lambda words: notify(redact(words))
        self.confirm = confirm
        self._hidden = hidden
        self.regenerate = regenerate
        self.latest: Result | None = None
        self.arrivals: WeakSet[Refreshed] = WeakSet()  # panels, which list what has arrived
        self.budget = Budget()
        self._nested = Nested()
        self._room: EngineRoom | None = None
        self._local_key = keys.random_key()
        self._stores: dict[tuple[Path | StoreAddress, bool], Store] = {}
        self._budgets: dict[str, Budget] = {}  # of stores, by their real paths
        self._notified: set[str] = set()

    # Settings, keys and who answers.

    def use(self, engine: Engine | str | None, provider: str | None) -> None:
        """Let an engine of the user's own answer from here on, or the service again; see `Session.use`."""
        if engine is None and provider is not None:
            raise SettingsError(
                "A provider names an engine, but no engine is given.",
                "Give the engine too, or leave out the provider.",
            )
        own = None if engine is None else own_engine(engine, provider, make_preview=small)
        self.preferences.own_engine = own

    def settings(self, folder: Path | None = None, /, **options: object) -> Settings:
        """Load the settings, for the session's folder or another one, with the options of a call."""
        self.watch()
        return self.preferences.settings(folder, **options)

    def plan_settings(self, *, mode: str | None = None, **options: object) -> Settings:
        """Load the settings for a plan: a session that replays plans what it would take to make its pictures.

        So a dry run prints the same in a replay of its notebook. Only a plan of mode "replay" sends nothing.
        """
        settings = self.settings(mode=mode, **options)
        return settings if mode or settings.may_ask else replace(settings, mode="auto")

    def watch(self) -> None:
        """Look at every key that may be in use, so that no output from here on holds one."""
        self.keys.watch(key_variables(self.environment))

    def backend(self, settings: Settings) -> Backend:
        """Return who answers with some settings."""
        return backend_of(settings, self.keys, self.environment, local_key=self._local_key)

    def login(self, *, keep: bool) -> str:
        """Ask for the key, and use it from here on; see `Session.login`."""
        typed = self._typed_key()
        if typed is None:
            raise SettingsError(
                "This environment cannot ask for a key.", f"Set {keys.VARIABLE} in the environment."
            )
        secret = self.keys.take(typed)
        if keep:
            keys.keep(secret)
        return secret.ending

    def _typed_key(self) -> Secret | None:
        # A function of its own: a traceback may show the variables of its frames.
        typed = self._hidden("BelugAPI key (not shown): ")
        return None if typed is None else Secret(typed, keys.TYPED)

    # Stores and budgets.

    def store(self, settings: Settings) -> Store:
        """Return the store of some settings: the same object as before, which has its index in memory."""
        # A mode that records nothing writes no index either.
        known = settings.store, settings.writes_store
        if known not in self._stores:
            self._stores[known] = open_store(settings.store, indexing=settings.writes_store)
        return self._stores[known]

    def budget_of(self, settings: Settings) -> Budget:
        """Return the budget that some settings name: the session's, or the store's."""
        return self.budget if settings.budget == "session" else self._store_budget(self.store(settings))

    def budgets(self, settings: Settings) -> list[tuple[Budget, Caps]]:
        """Return all budgets that hold, with their caps: no file that is untrusted frees from one."""
        budgets = [self.budget_of(settings)]
        # An untrusted file may name a new store or budget, in which nothing is spent yet.
        moved = any(is_untrusted_file(settings.places.get(name)) for name in ("budget", "store"))
        if settings.budget != "session" and moved:
            budgets.append(self.budget)
            if settings.counted_store:
                budgets.append(self._store_budget(open_store(settings.counted_store)))
        return [(budget, settings.caps) for budget in budgets]

    def _store_budget(self, store: Store) -> Budget:
        return self._budgets.setdefault(os.path.realpath(store.folder), Budget(ledger_of(store)))

    # The engine room.

    @property
    def room(self) -> EngineRoom:
        """The engine room of this process, which lives while a session holds it."""
        if self._room is None:
            self._room = engine_room()
            self._room.enter(self)
        return self._room

    def bridge(self, settings: Settings) -> Bridge:
        """Return where coroutines run."""
        return self._nested if settings.bridge == "nested" else self.room.thread

    def close(self) -> None:
        """Leave the engine room, whose threads end with the last call; the next call enters one again."""
        room, self._room = self._room, None
        if room:
            room.leave(self)

    # From arguments to a call.

    def request(
        self,
        prompt: str,
        settings: Settings,
        *,
        allow_unknown_model: bool = False,
        **arguments: Any,
    ) -> tuple[Request, list[str]]:
        """Return the request that some arguments mean, and remarks on what is asked for instead of them."""
        parameters: dict[str, Any] = resolved(arguments, settings)
        asked = Request(prompt=prompt, **parameters)
        if asked.n > MOST_PICTURES:
            raise RequestError(
                f"n is {shown(asked.n, 60)}.",
                f"Ask for at most {MOST_PICTURES:,} pictures at once.",
                param="n",
            )
        check_no_key(asked.parameters | {"take": asked.take})
        request = canonical(asked, settings, allow_unknown_model=allow_unknown_model)
        if settings.own_engine or settings.at(request.model).named:
            return request, _server_remarks(request, settings)
        converted = catalog.conversions(asked, request)
        return request, [f"{words}, the nearest that {request.model} has." for words in converted]

    def prompted(
        self, alike: Callable[..., Request], prompt: str, settings: Settings
    ) -> tuple[Request, list[str]]:
        """Return a request like an earlier one for a prompt that holds no key, and remarks on it."""
        request = alike(prompt=prompt)
        return request, _server_remarks(request, settings)

    def prompted_call(
        self,
        prompt: str,
        *,
        mode: str | None = None,
        embed: str | None = None,
        bridge: str | None = None,
        progress: bool | None = None,
        values: Mapping[str, object] | None = None,
        tally: Tally | None = None,
        planned: bool = False,
        **arguments: Any,
    ) -> Call:
        """Return the call for a prompt whose `{{name}}`s are filled from `values`; tell what is converted.

        One that is `planned` is never sent: see `plan_settings`.
        """
        load = self.plan_settings if planned else self.settings
        settings = load(mode=mode, embed=embed, bridge=bridge, progress=progress)
        text = prompt if values is None else filled(prompt, values)
        request, remarks = self.request(text, settings, **arguments)
        for remark in [*remarks, *(not_filled(prompt, values) if values is not None else [])]:
            self.notify(remark)
        tally = tally or Tally()
        call = replace(self.call(request, settings), tally=tally)
        tally.label, tally.request, tally.settings = request.model, request, call.settings
        if values and names(prompt):
            return replace(call, template=prompt, values=used(prompt, values))
        return call

    def call(self, request: Request, settings: Settings) -> Call:
        """Return the call for a request: who answers it, from which store, within which budgets."""
        [call] = self.calls([request], settings)
        return call

    def calls(self, requests: Sequence[Request], settings: Settings) -> Calls:
        """Return a call for each request; those for one model share all that was decided."""
        # A grid has thousands of requests for a few models; keys and budgets are looked up once for each.
        by_model: dict[str, Call] = {}
        if any(isinstance(each, Question) for each in requests) and settings.own_engine:
            settings = self.preferences.of_services(mode=settings.mode)
        for request in requests:
            if request.model not in by_model:
                by_model[request.model] = self._call(request, settings.at(request.model))
        return Calls(requests, by_model)

    def _call(self, request: Request, settings: Settings) -> Call:
        store = self.store(settings)
        call = Call(
            request=request,
            backend=self.backend(settings),
            store=Verdicts(store.folder, mirror=store.mirror) if isinstance(request, Question) else store,
            view=self.view(settings, store),
            regenerate=self.regenerate,
        )
        # Free previews, and calls that are only replayed, count in no budget.
        metered = call.may_ask and call.backend.is_metered
        return replace(call, budgets=self.budgets(settings) if metered else ())

    def view(self, settings: Settings, store: Store) -> Callable[[Result], Bundle]:
        """Return what shows results, with the sheets that the store keeps where there is one."""
        if not settings.uses_store:
            return partial(bundle, embed=settings.embed)
        return self.store_view(settings, store, writing=settings.writes_store)

    def store_view(self, settings: Settings, store: Store, *, writing: bool) -> StoreView:
        """Return what shows results with the sheets of a store, and may add to these."""
        return StoreView(store, writing=writing, embed=settings.embed, folder=self.preferences.folder)

    # Before anything is sent.

    def plan(self, missing: Sequence[Missing], caps: Caps) -> Plan:
        """Return what would be sent for what is missing, and what that would cost; send nothing."""
        return Plan(
            posts=list(_posts(missing)),
            recorded=sum(each.recorded for each in missing),
            recoverable=sum(each.recoverable for each in missing),
            missing=sum(each.unobtainable for each in missing),
            caps=caps,
        )

    def missing(self, calls: Sequence[Call]) -> list[Missing]:
        """Return what the store lacks of some calls; the files of lost calls are read once.

        Raises `BelugaError` where it must not be asked for as things stand.
        """
        # Many calls share one store, whose lost calls are read from the disk.
        # Those that this process has under way are not lost.
        left = cache(partial(pending.left, excluding=self.room.under_way))
        calls = list(calls)  # each made once
        if len(calls) > 1:
            _prefetch(calls)
        found = [call.missing(left) for call in calls]
        # Calls for one model share all that is checked.
        lacking = {
            (id(each.call.backend), each.call.request.model): each.call for each in found if each.samples
        }
        for call in lacking.values():
            self.tell_ignored(call.settings)
            if call.settings.may_ask:
                self.check_may_ask(call)
        return found

    def check_budgets(self, missing: Sequence[Missing]) -> None:
        """Raise `OverBudgetError` where what is missing goes over a cap of one of the calls."""
        checked: list[tuple[Budget, Caps]] = []
        for pair in (pair for each in missing for pair in each.call.budgets):
            if pair in checked:
                continue
            checked.append(pair)
            bought = [part for each in missing if pair in each.call.budgets for part in each.parts]
            if bought:
                budget, caps = pair
                budget.check(bought, caps)

    def check_may_ask(self, call: Call) -> None:
        """Raise `BelugaError` where something new must not be asked for as things stand."""
        settings = call.settings
        call.backend.check_known(call.request)
        if settings.writes_store:
            call.store.check_ours()
        # Elsewhere than meant it would be bought anew, or recorded in a place where it is not looked for.
        serious = {"base_url", "store"} if settings.writes_store else {"base_url"}
        for ignored in settings.ignored:
            if ignored.name in serious and call.backend.is_metered:
                raise SettingsError(f"{ignored.message} Nothing was sent.", ignored.remedy)

    def check(self, call: Call, *, assume_yes: bool) -> None:
        """Raise `BelugaError` where a call is over a cap, or makes many pictures without a confirmation."""
        [missing] = self.missing([call])
        self.check_budgets([missing])
        if not assume_yes and missing.bought > ASK_ABOVE:
            pictures = f"{missing.bought} new pictures"
            check_yes(
                self.confirm(f"{pictures} of {call.request.model}: go on?"),
                unasked=f"{pictures} are more than {ASK_ABOVE}",
                declined=f"{pictures} were not confirmed.",
            )

    # Words for the user, each once.

    def tell_once(self, words: str) -> None:
        """Tell the user something once."""
        if words not in self._notified:
            self._notified.add(words)
            self.notify(words)

    def tell_ignored(self, settings: Settings) -> None:
        """Tell what is not used of a file that came with a notebook."""
        for ignored in settings.ignored:
            self.tell_once(str(ignored))

    def tell_surprises(self, call: Call) -> None:
        """Tell why the painter answers though there may be a key, and what a patched event loop costs."""
        if "ipykernel" in sys.modules and (cost := cost_of_a_patch()):
            self.tell_once(
                f"nest_asyncio is applied to this kernel's event loop: {cost}. beluga_nb needs none."
            )
        withheld = self.keys.withheld
        if withheld and call.backend.is_local and call.settings.may_ask:
            until = " Until then the built-in painter answers."
            self.tell_once(Hint(f"{withheld.why} ", withheld.hint, until))

    # Asking.

    def engine(
        self, call: Call, *, breaker: CircuitBreaker | None = None, dispatcher: Dispatcher | None = None
    ) -> Engine:
        """Return the engine that answers a call.

        A run of many calls has a `breaker`, which stops all of them. With a `dispatcher`, workers make the
        calls.
        """
        # With a store, previews are made on the threads that check the pictures, and recorded.
        make_preview = small if call.settings.uses_store else None
        source = source_of(call.backend, self.room, make_preview=make_preview) if call.may_ask else None
        if source and dispatcher:
            source = dispatcher.source(source, call.backend, make_preview)
        small_copy = _no_preview if isinstance(call.request, Question) else preview
        recorder = Recorder(
            call.store,
            provider=call.provider,
            preview=small_copy,
            notify=self.notify,
            under_way=self.room.under_way,
        )
        return build(call, source, room=self.room, recorder=recorder, breaker=breaker)

    def start(self, call: Call, *, assume_yes: bool, left: Left) -> Job[Result]:
        """Start a call, of which a Stop leaves behind what `left` returns.

        Raises `BelugaError` before anything is sent.
        """
        self.check(call, assume_yes=assume_yes)
        engine = self.engine(call)
        self.tell_surprises(call)
        bridge, hold = self.bridge(call.settings), call.timeout + GRACE
        work = self._answer(call, engine)
        try:
            return bridge.submit(work, hold=hold, left=left)
        except BaseException:
            close_unstarted(work)
            raise

    async def _answer(self, call: Call, engine: Engine) -> Result:
        result = await self.ask(call, engine)
        if words := catalog.off_ratio(call.request, (picture.size for picture in result.pictures)):
            self.notify(words)
        return result

    async def ask(self, call: Call, engine: Engine) -> Result:
        """Return the result of a call from its engine; raise `EngineError`.

        It touches the store on threads only: other calls share the event loop.
        """
        async with self._as_take(call) as call:
            if isinstance(call.request, Question):  # an answer is no picture, which could be shown again
                return await engine(call.request)
            # Before the call: after it, all of its pictures are recorded.
            saved = await asyncio.to_thread(call.saved)
            try:
                result = await engine(call.request)
            except IncompleteError as error:
                error.result = call.finished(error.result)
                self._count_saved(call, error.result, saved)
                raise
        self._count_saved(call, result, saved)
        self.latest = result = call.finished(result)
        for each in list(self.arrivals):
            each.refresh()
        return result

    def _count_saved(self, call: Call, result: Result, saved: Set[int]) -> None:
        # The store has refusals too, which are no pictures.
        if n := sum(picture.recipe.request.sample in saved for picture in result.pictures):
            self.budget.save(call.request.slice(call.request.sample, n), call.settings.caps)

    @asynccontextmanager
    async def _as_take(self, call: Call) -> AsyncIterator[Call]:
        """Yield the call itself, or as the next free take where the mode samples anew."""
        if not call.settings.samples_anew:
            yield call
            return
        request, release = await revocable(partial(self._reserve_take, call), lambda taken: taken[1]())
        try:
            yield replace(call, request=request)
        finally:
            release()

    def _reserve_take(self, call: Call) -> tuple[Request, Callable[[], None]]:
        with self.room.taking:
            takes = self.room.takes(os.path.realpath(call.store.folder))
            request = next_free_take(
                call.request, call.store, provider=call.provider, reserved=takes, unfinished=True
            )
            takes.add(request.slice(0))  # until its end, or two made at once would be one
        return request, partial(takes.discard, request.slice(0))


def _prefetch(calls: Sequence[Call]) -> None:
    """Download the records of many calls at once, from stores at an address."""
    by_store: dict[tuple[Store, str], list[Request]] = {}
    for call in calls:
        if call.store.mirror and call.settings.reads_store:
            for provider in {*call.settings.providers, call.provider}:
                samples = [call.request.slice(sample) for sample in call.request.samples]
                by_store.setdefault((call.store, provider), []).extend(samples)
    for (store, provider), requests in by_store.items():
        store.prefetch(requests, provider=provider)


def _server_remarks(request: Request, settings: Settings) -> list[str]:
    named = None if settings.own_engine else settings.at(request.model).named
    return find_dialect(named.dialect).remarks(request) if named and named.known else []


def _no_preview(_: Picture) -> None:
    return None


def _posts(missing: Sequence[Missing]) -> Iterator[Post]:
    alike: dict[tuple[int, type[Request]], Callable[..., Post]] = {}  # Many calls share one backend.
    for each in missing:
        for part in each.parts:
            kind = id(each.call.backend), type(part)
            if kind not in alike:
                alike[kind] = copying(_post(each.call.backend, part))
            yield alike[kind](request=part)


def _post(backend: Backend, request: Request) -> Post:
    if own := backend.settings.own_engine:
        return Post(request=request, make_body=_parameters, url=f"engine:{own.name}")
    endpoint = backend.endpoint()
    # The pictures of a question are not read for a plan.
    make_body = _parameters if isinstance(request, Question) else endpoint.body
    return Post(request=request, make_body=make_body, url="" if backend.is_local else endpoint.url(request))


def _parameters(request: Request) -> Mapping[str, object]:
    return request.parameters
