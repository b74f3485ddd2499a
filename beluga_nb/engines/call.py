"""One call, with everything that was decided for it before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import overload

from beluga_nb.budget import Amount, Budget, Caps
from beluga_nb.config.settings import Settings
from beluga_nb.engines.backend import Backend
from beluga_nb.engines.recovering import recoverable_samples
from beluga_nb.merge import contiguous_ranges
from beluga_nb.request import Request
from beluga_nb.result import Bundle, Result
from beluga_nb.signatures import copying
from beluga_nb.store.pending import Pending
from beluga_nb.store.records import Store


@dataclass
class Tally:
    """How many pictures a call asks for beyond what the store has, and how many have arrived.

    `label` says what is counted, such as the model. A grid knows how many are `wanted` in all. `spent` is
    what they cost at worst. A call with a single `request` collects in `results` what has arrived. `calls`
    are the ids under which the journal has what has no end yet. `settings` are those of the call, once they
    are known. Pictures that `failed` arrive no more. `shows_result` is false where the result is not shown.
    `made_by` has the number of calls that each worker has made, in a run on workers.
    """

    label: str = ""
    unit: str = "picture"
    wanted: int = 0
    asked: int = 0
    arrived: int = 0
    failed: int = 0
    spent: Amount = field(default_factory=Amount)
    settings: Settings | None = None
    request: Request | None = None
    results: list[Result] = field(default_factory=list)
    calls: set[str] = field(default_factory=set)
    shows_result: bool = True
    made_by: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A request and how it is answered, resolved once; what follows only reads it.

    `settings` are those that hold for the model. Every one of `budgets` must allow the call. `template` and
    `values` are what the prompt was filled from, `view` shows the result, and `regenerate` asks for it again.
    `tally` counts as it goes on.
    """

    request: Request
    backend: Backend
    store: Store
    budgets: Sequence[tuple[Budget, Caps]] = ()
    template: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    view: Callable[[Result], Bundle] | None = None
    regenerate: Callable[..., Result] | None = None
    tally: Tally = field(default_factory=Tally)

    @property
    def settings(self) -> Settings:
        """The settings as they hold for the request's model."""
        return self.backend.settings

    @property
    def provider(self) -> str:
        """The name that recordings of the call stand under."""
        return self.backend.provider

    @property
    def may_ask(self) -> bool:
        """Whether its backend may be asked; an endpoint that is not configured can only be replayed."""
        settings = self.settings
        is_unknown = settings.named is not None and not settings.named.known
        return settings.may_ask and not (settings.uses_store and is_unknown)

    @property
    def timeout(self) -> float:
        """Seconds that one request of it may take: a server of beluga.toml has a limit of its own."""
        if self.settings.own_engine or not self.may_ask:
            return self.settings.timeout
        return self.backend.endpoint().timeout

    @property
    def other_providers(self) -> list[str]:
        """Whose recordings answer too: a notebook made with a key is read by people without one."""
        others = self.settings.providers if self.settings.reads_store else []
        return [each for each in others if each != self.provider]

    def recorded(self) -> Set[int]:
        """Return the samples that the store answers; reads the disk."""
        return self._samples_of({*self.settings.providers, self.provider})

    def saved(self) -> Set[int]:
        """Return the samples that would have to be bought, were they not recorded; reads the disk."""
        return self._samples_of(set(self.settings.providers))

    def missing(self, left: Callable[[Store], Mapping[tuple[str, Request], Sequence[Pending]]]) -> Missing:
        """Return what the store lacks, and the requests that the pipeline sends for it; reads the disk.

        `left` gives the calls that have left something in a store (`store.pending.left`).
        """
        recorded = self.recorded()
        samples = set(self.request.samples) - recorded
        recoverable = set[int]()
        if samples and self.backend.recovers and self.settings.reads_store and self.settings.writes_store:
            calls = left(self.store).get((self.provider, self.request.slice(0)), ())
            recoverable = samples & recoverable_samples(self.store, calls)
        known = recorded | recoverable
        new = samples - recoverable if self.may_ask else frozenset[int]()
        # Split first: a lost call is repeated under its own id only if its part has the same samples again.
        parts = self.backend.split(self.request) if new else ()
        if known:  # Most calls of a new large grid have none.
            parts = [
                part.slice(*run)
                for part in parts
                for run in contiguous_ranges(part.samples, known)
                if run[0] in new
            ]
        return Missing(
            call=self,
            recorded=len(recorded),
            recoverable=len(recoverable),
            samples=len(samples),
            parts=tuple(parts),
        )

    def finished(self, result: Result) -> Result:
        """Return a result of this call that knows its template, how it is shown and how it is asked again."""
        return replace(
            result.from_template(self.template, self.values), renderer=self.view, regenerate=self.regenerate
        )

    def _samples_of(self, providers: set[str]) -> Set[int]:
        if not self.settings.reads_store:
            return frozenset()
        return {
            sample
            for sample in self.request.samples
            if any(self.store.has(self.request.slice(sample), provider=each) for each in providers)
        }


class Calls(Sequence[Call]):
    """The calls for some requests, each made when it is looked at.

    `by_model` has a call for each model, with all that the calls for this model share.
    """

    def __init__(self, requests: Sequence[Request], by_model: Mapping[str, Call]) -> None:
        self.requests = requests
        self.by_model = by_model
        self._alike = {model: copying(call) for model, call in by_model.items()}

    def __len__(self) -> int:
        return len(self.requests)

    @overload
    def __getitem__(self, index: int) -> Call: ...
    @overload
    def __getitem__(self, index: slice) -> Calls: ...
    def __getitem__(self, index: int | slice) -> Call | Calls:
        if isinstance(index, slice):
            return Calls(self.requests[index], self.by_model)
        request = self.requests[index]
        return self._alike[request.model](request=request)


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """How many pictures of a call the store has `recorded`, and how many `samples` it lacks.

    Of these, `recoverable` ones are left by lost calls and cost nothing. `parts` are sent for the others.
    """

    call: Call
    recorded: int
    recoverable: int
    samples: int
    parts: tuple[Request, ...]

    @property
    def bought(self) -> int:
        """How many pictures are asked for."""
        return sum(part.n for part in self.parts)

    @property
    def unobtainable(self) -> int:
        """How many pictures nothing may be sent for."""
        return self.samples - self.recoverable - self.bought
