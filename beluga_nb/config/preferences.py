"""What a session goes by: the settings of all places, and what its notebook changes while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import beluga_nb.catalog as catalog
import beluga_nb.config.settings as settings
from beluga_nb.config.settings import Settings
from beluga_nb.errors import RequestError, SettingsError, UnknownNameError
from beluga_nb.hints import Hint, Remedy
from beluga_nb.paths import working_folder
from beluga_nb.redaction import Environment
from beluga_nb.request import Request
from beluga_nb.result import OwnEngine
from beluga_nb.text import sanitize

HERE = "this notebook"


class Preference(NamedTuple):
    """A setting as it stands: its name, its value, and the place that said it."""

    name: str
    value: object
    place: str


class Preferences:
    """Settings, read anew whenever they are asked for.

    The folder is the one that is current at the first time; a later change of folder moves no store.
    `profile` is what IPython's configuration says.
    """

    def __init__(self, environment: Environment, folder: Path | None, said: Mapping[str, object]) -> None:
        self._environment = environment
        self._folder = folder
        self._said = dict(said)
        self.profile: dict[str, object] = {}
        self.own_engine: OwnEngine | None = None  # set at once, and read once for a call: in `settings`

    @property
    def folder(self) -> Path:
        """The folder of the notebook."""
        if self._folder is None:
            self._folder = working_folder()
        return self._folder

    def settings(self, folder: Path | None = None, /, **said: object) -> Settings:
        """Return the settings as they stand, here or in another folder, with what a call says."""
        loaded = settings.load(self._environment, folder or self.folder, self.profile)
        if engine := self.own_engine:
            loaded = loaded.for_engine(engine)
        return loaded.with_(HERE, **self._said).with_(**said)

    def set(self, **said: object) -> None:
        """Set settings until the session ends; None takes one back.

        Raises `UnknownNameError` or `SettingsError` for what is none, and changes nothing then.
        """
        before = dict(self._said)
        self._said |= said
        try:
            settings.check_names(said)
            self.settings()
        except (SettingsError, UnknownNameError):
            self._said = before
            raise
        self._said = {name: value for name, value in self._said.items() if value is not None}

    def listed(self) -> list[Preference]:
        """Return every setting with its value and the place that said it."""
        now = self.settings()
        endpoints = ", ".join(now.endpoints) or None
        shown = {
            "store": self.shortest(now.store),
            "endpoints": endpoints,
            "aliases": ", ".join(now.aliases) or None,
            "prices": now.prices and now.prices.words,
        }
        return [
            Preference(name, shown.get(name, getattr(now, name)), now.places.get(name, "default"))
            for name in settings.names()
        ]

    def shortest(self, path: Path) -> Path:
        """Return a path as it is from the notebook, or whole where it lies elsewhere."""
        return path.relative_to(self.folder) if path.is_relative_to(self.folder) else path

    def alias(self, name: str, **parts: str | int) -> None:
        """Let a name stand for a model and what is asked of it; without parts, for nothing any more.

        Raises `RequestError` or `SettingsError` for what the model does not take.
        """
        if name in _known():
            raise RequestError(f"'{name}' is a model already.", "Choose another name for the alias.")
        now = self.settings()
        aliases = dict(now.aliases)
        if parts:
            meant: dict[str, Any] = {"model": now.model} | parts
            canonical(Request(prompt=name, **meant), now)
            self.set(aliases=aliases | {name: meant})
        elif aliases.pop(name, None):
            self.set(aliases=aliases)
        else:
            raise UnknownNameError("alias", name, aliases, hint=Hint(Remedy("aliases"), " lists them."))

    def models(self) -> list[catalog.Model]:
        """Return the models that may be asked: the catalogue's and other servers', or the engine."""
        now = self.settings()
        if own := now.own_engine:
            return [catalog.Model(id=own.name, name="", provider=own.name, sizes=catalog.labels(), n_max=4)]
        return [*catalog.models(), *elsewhere(now)]

    def choices(self, kind: str, model: str = "") -> list[str]:
        """Return what there is of a kind: models and aliases, the sizes or qualities of a model, modes …"""
        now = self.settings()
        alias = now.aliases.get(model or now.model, {})
        known = {each.id: each for each in catalog.models()}
        own = known.get(str(alias.get("model", model or now.model)), catalog.models()[0])
        match kind:
            case "model":
                if now.own_engine:
                    return [now.own_engine.name, *now.aliases]
                return [*known, *now.aliases, *(each.id for each in elsewhere(now))]
            case "endpoint":
                return [] if now.own_engine else list(now.endpoints)
            case "size" | "quality":
                takes = catalog.supported_parameters(own)[kind]
                return list(takes.values) if isinstance(takes, catalog.Enum) else []
            case "count":
                return [str(n) for n in range(1, own.n_max + 1)]
            case "provider":
                return list(dict.fromkeys(each.provider for each in known.values()))
            case "setting":
                return settings.names()
        return list(settings.CHOICES.get(kind, ()))


def elsewhere(now: Settings) -> list[catalog.Model]:
    """Return the models that `beluga.toml` names at other servers: no more than that is known of them."""
    return [
        catalog.Model(
            id=each.prefix + each.model, name="", provider=each.name, sizes=catalog.labels(), n_max=1
        )
        for each in now.endpoints.values()
    ]


def check_no_engine(now: Settings, what: str) -> None:
    """Raise `RequestError` where the session has an engine of its own, which is all that it asks."""
    if now.own_engine:
        raise RequestError(
            f"This session asks its engine {now.own_engine.name}, and not {what}.",
            "Use a session without an engine for that: beluga_nb.Session().",
        )


def meant(asked: Mapping[str, object], now: Settings) -> dict[str, object]:
    """Return what is asked for with the alias in place of its name, and what goes without saying.

    A part that the call says itself outranks the alias's; no alias hides a model of the catalogue.
    """
    said = {name: value for name, value in asked.items() if value is not None}
    endpoint, typed = said.pop("endpoint", None), said.get("model")
    if endpoint is not None:
        check_no_engine(now, f"the endpoint {sanitize(str(endpoint), 40)}")
    model = str(said.setdefault("model", now.model))
    alias = {} if model in _known() else now.aliases.get(model, {})
    model = str(alias.get("model", model))
    if endpoint is not None:
        model = now.model_of(str(endpoint), model if typed else None)
    elif not now.own_engine and model.endswith(":") and model[:-1] in now.endpoints:
        model = now.model_of(model[:-1], None)
    return {"n": 1} | {**alias, **said, "model": model}


def canonical(request: Request, now: Settings, *, insist: bool = False) -> Request:
    """Return the request in the catalogue's words, or as another server's or engine's: see `catalog`."""
    if now.own_engine:
        return catalog.of_another_server(request)
    named = now.at(request.model).named
    if named and (named.known or not insist):
        return catalog.of_another_server(request)
    return catalog.canonical(request, insist=insist)


def _known() -> set[str]:
    return {model.id for model in catalog.models()}
