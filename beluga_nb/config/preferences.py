"""The settings of a session: those of all places, and what its notebook changes while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import beluga_nb.catalog as catalog
from beluga_nb.config.addresses import StoreAddress
from beluga_nb.config.endpoints import EndpointConfig
from beluga_nb.config.settings import CHOICES, Settings, SettingsOptions, check_names, load, names
from beluga_nb.errors import RequestError, SettingsError, UnknownNameError
from beluga_nb.hints import Hint, Remedy
from beluga_nb.paths import working_folder
from beluga_nb.redaction import Environment
from beluga_nb.request import Request
from beluga_nb.result import OwnEngine
from beluga_nb.text import sanitize

HERE = "this notebook"


class Preference(NamedTuple):
    """A setting as it stands: its name, its value, and the place that set it."""

    name: str
    value: object
    place: str


class Preferences:
    """The settings of a session, read anew at each access.

    The folder is the current one at the first access; a later change of folder moves no store.
    `profile` is IPython's configuration.
    """

    def __init__(self, environment: Environment, folder: Path | None, given: SettingsOptions) -> None:
        self._environment = environment
        self._folder = folder
        self._given: dict[str, object] = dict(given)
        self.profile: dict[str, object] = {}
        self.own_engine: OwnEngine | None = (
            None  # replaced in one step, and read once per call, in `settings`
        )

    @property
    def folder(self) -> Path:
        """The folder of the notebook."""
        if self._folder is None:
            self._folder = working_folder()
        return self._folder

    def settings(self, folder: Path | None = None, /, **given: object) -> Settings:
        """Return the settings as they stand, here or in another folder, with a call's own."""
        # The engine before the options: those of the session and the call may still name a model.
        loaded = load(self._environment, folder or self.folder, self.profile)
        if engine := self.own_engine:
            loaded = loaded.for_engine(engine)
        return loaded.with_(HERE, **self._given).with_(**given)

    def of_services(self, **given: object) -> Settings:
        """Return the settings for what an engine of the user's own does not answer, such as questions."""
        return load(self._environment, self.folder, self.profile).with_(HERE, **self._given).with_(**given)

    def set(self, **given: object) -> None:
        """Set settings until the session ends; None takes one back.

        Raises `UnknownNameError` or `SettingsError` for an unusable one, and changes nothing then; a model
        that the catalogue does not know can be named by a call alone, with `allow_unknown_model`.
        """
        # Applied first and checked then: only all settings together show whether one is usable.
        before = dict(self._given)
        self._given |= given
        try:
            check_names(given)
            settings = self.settings()
            if given.get("model") is not None:
                canonical(Request(prompt="any", model=str(resolved({}, settings)["model"])), settings)
        except (SettingsError, RequestError):
            self._given = before
            raise
        self._given = {name: value for name, value in self._given.items() if value is not None}

    def listed(self) -> list[Preference]:
        """Return every setting with its value and the place that set it."""
        settings = self.settings()
        endpoints = ", ".join(settings.endpoints) or None
        shown = {
            "store": self.shortest(settings.store),
            "endpoints": endpoints,
            "aliases": ", ".join(settings.aliases) or None,
            "prices": settings.prices and settings.prices.words,
        }
        return [
            Preference(name, shown.get(name, getattr(settings, name)), settings.places.get(name, "default"))
            for name in names()
        ]

    def shortest(self, path: Path | StoreAddress) -> Path | StoreAddress:
        """Return a path as it is from the notebook; whole where it lies elsewhere, or is an address."""
        if isinstance(path, StoreAddress):
            return path
        return path.relative_to(self.folder) if path.is_relative_to(self.folder) else path

    def alias(self, name: str, **parts: str | int) -> None:
        """Let a name stand for a model and parameters; without parts, remove it.

        Raises `RequestError` or `SettingsError` for what the model does not take.
        """
        if name in _known():
            raise RequestError(f"'{name}' is a model already.", "Choose another name for the alias.")
        settings = self.settings()
        aliases = dict(settings.aliases)
        if parts:
            alias: dict[str, Any] = {"model": settings.model} | parts
            canonical(Request(prompt=name, **alias), settings)
            self.set(aliases=aliases | {name: alias})
        elif aliases.pop(name, None):
            self.set(aliases=aliases)
        else:
            raise UnknownNameError(
                "alias", name, aliases, hint=Hint(Remedy("aliases"), " lists all aliases.")
            )

    def models(self) -> list[catalog.Model]:
        """Return the models that can be asked: the catalogue's and other servers', or the engine."""
        settings = self.settings()
        if own := settings.own_engine:
            return [catalog.Model(id=own.name, name="", provider=own.name, sizes=catalog.labels(), n_max=4)]
        return [*catalog.models(), *elsewhere(settings)]

    def model(self, name: str) -> catalog.Model | None:
        """Return one of `models()`, or any model of a server of which `beluga.toml` names but the default."""
        if listed := next((each for each in self.models() if each.id == name), None):
            return listed
        settings, (endpoint, _, own) = self.settings(), name.partition(":")
        is_elsewhere = own and endpoint in settings.endpoints and not settings.own_engine
        return _elsewhere(settings.endpoints[endpoint], own) if is_elsewhere else None

    def choices(self, kind: str, model: str = "") -> list[str]:
        """Return the choices of a kind: models and aliases, the sizes or qualities of a model, modes …"""
        settings = self.settings()
        alias = settings.aliases.get(model or settings.model, {})
        known = {each.id: each for each in catalog.models()}
        own = known.get(str(alias.get("model", model or settings.model)), catalog.models()[0])
        match kind:
            case "model":
                if settings.own_engine:
                    return [settings.own_engine.name, *settings.aliases]
                return [*known, *settings.aliases, *(each.id for each in elsewhere(settings))]
            case "endpoint":
                return [] if settings.own_engine else list(settings.endpoints)
            case "size" | "quality":
                takes = catalog.supported_parameters(own)[kind]
                return list(takes.values) if isinstance(takes, catalog.Enum) else []
            case "count":
                return [str(n) for n in range(1, own.n_max + 1)]
            case "provider":
                return list(dict.fromkeys(each.provider for each in known.values()))
            case "setting":
                return names()
        return list(CHOICES.get(kind, ()))


def elsewhere(settings: Settings) -> list[catalog.Model]:
    """Return the models that `beluga.toml` names at other servers, of which only the names are known."""
    return [_elsewhere(each, each.model) for each in settings.endpoints.values()]


def _elsewhere(endpoint: EndpointConfig, model: str) -> catalog.Model:
    name, sizes = endpoint.prefix + model, catalog.labels()
    return catalog.Model(id=name, name="", provider=endpoint.name, sizes=sizes, n_max=1)


def check_no_engine(settings: Settings, what: str) -> None:
    """Raise `RequestError` where the session has an engine of its own, and asks nothing else."""
    if settings.own_engine:
        raise RequestError(
            f"This session asks its engine {settings.own_engine.name}, and not {what}.",
            "Use a session without an engine for that: beluga_nb.Session().",
        )


def resolved(arguments: Mapping[str, object], settings: Settings) -> dict[str, object]:
    """Return the arguments of a call with its alias resolved and the defaults filled in.

    An argument of the call outranks the alias's; no alias hides a model of the catalogue.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    endpoint, typed = given.pop("endpoint", None), given.get("model")
    if endpoint is not None:
        check_no_engine(settings, f"the endpoint {sanitize(str(endpoint), 40)}")
    model = str(given.setdefault("model", settings.model))
    alias = {} if model in _known() else settings.aliases.get(model, {})
    model = str(alias.get("model", model))
    if endpoint is not None:
        model = settings.model_of(str(endpoint), model if typed else None)
    elif not settings.own_engine and model.endswith(":") and model[:-1] in settings.endpoints:
        model = settings.model_of(model[:-1], None)
    return {"n": 1} | {**alias, **given, "model": model}


def canonical(request: Request, settings: Settings, *, allow_unknown_model: bool = False) -> Request:
    """Return the request in the catalogue's words, or as another server's or engine's: see `catalog`."""
    if settings.own_engine:
        return catalog.of_another_server(request)
    named = settings.at(request.model).named
    if named and (named.known or not allow_unknown_model):
        return catalog.of_another_server(request)
    return catalog.canonical(request, allow_unknown_model=allow_unknown_model)


@cache
def _known() -> set[str]:
    return {model.id for model in catalog.models()}
