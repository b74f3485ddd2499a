"""The settings of a session: those of all places, and what its notebook changes while it runs."""

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
    """A setting as it stands: its name, its value, and the place that set it."""

    name: str
    value: object
    place: str


class Preferences:
    """The settings of a session, read anew at each access.

    The folder is the current one at the first access; a later change of folder moves no store.
    `profile` is IPython's configuration.
    """

    def __init__(self, environment: Environment, folder: Path | None, given: Mapping[str, object]) -> None:
        self._environment = environment
        self._folder = folder
        self._given = dict(given)
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
        loaded = settings.load(self._environment, folder or self.folder, self.profile)
        if engine := self.own_engine:
            loaded = loaded.for_engine(engine)
        return loaded.with_(HERE, **self._given).with_(**given)

    def set(self, **given: object) -> None:
        """Set settings until the session ends; None takes one back.

        Raises `UnknownNameError` or `SettingsError` for an unusable one, and changes nothing then.
        """
        before = dict(self._given)
        self._given |= given
        try:
            settings.check_names(given)
            self.settings()
        except (SettingsError, UnknownNameError):
            self._given = before
            raise
        self._given = {name: value for name, value in self._given.items() if value is not None}

    def listed(self) -> list[Preference]:
        """Return every setting with its value and the place that set it."""
        current = self.settings()
        endpoints = ", ".join(current.endpoints) or None
        shown = {
            "store": self.shortest(current.store),
            "endpoints": endpoints,
            "aliases": ", ".join(current.aliases) or None,
            "prices": current.prices and current.prices.words,
        }
        return [
            Preference(name, shown.get(name, getattr(current, name)), current.places.get(name, "default"))
            for name in settings.names()
        ]

    def shortest(self, path: Path) -> Path:
        """Return a path as it is from the notebook, or whole where it lies elsewhere."""
        return path.relative_to(self.folder) if path.is_relative_to(self.folder) else path

    def alias(self, name: str, **parts: str | int) -> None:
        """Let a name stand for a model and parameters; without parts, remove it.

        Raises `RequestError` or `SettingsError` for what the model does not take.
        """
        if name in _known():
            raise RequestError(f"'{name}' is a model already.", "Choose another name for the alias.")
        current = self.settings()
        aliases = dict(current.aliases)
        if parts:
            meant: dict[str, Any] = {"model": current.model} | parts
            canonical(Request(prompt=name, **meant), current)
            self.set(aliases=aliases | {name: meant})
        elif aliases.pop(name, None):
            self.set(aliases=aliases)
        else:
            raise UnknownNameError("alias", name, aliases, hint=Hint(Remedy("aliases"), " lists them."))

    def models(self) -> list[catalog.Model]:
        """Return the models that can be asked: the catalogue's and other servers', or the engine."""
        current = self.settings()
        if own := current.own_engine:
            return [catalog.Model(id=own.name, name="", provider=own.name, sizes=catalog.labels(), n_max=4)]
        return [*catalog.models(), *elsewhere(current)]

    def choices(self, kind: str, model: str = "") -> list[str]:
        """Return the choices of a kind: models and aliases, the sizes or qualities of a model, modes …"""
        current = self.settings()
        alias = current.aliases.get(model or current.model, {})
        known = {each.id: each for each in catalog.models()}
        own = known.get(str(alias.get("model", model or current.model)), catalog.models()[0])
        match kind:
            case "model":
                if current.own_engine:
                    return [current.own_engine.name, *current.aliases]
                return [*known, *current.aliases, *(each.id for each in elsewhere(current))]
            case "endpoint":
                return [] if current.own_engine else list(current.endpoints)
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


def elsewhere(current: Settings) -> list[catalog.Model]:
    """Return the models that `beluga.toml` names at other servers, of which only the names are known."""
    return [
        catalog.Model(
            id=each.prefix + each.model, name="", provider=each.name, sizes=catalog.labels(), n_max=1
        )
        for each in current.endpoints.values()
    ]


def check_no_engine(current: Settings, what: str) -> None:
    """Raise `RequestError` where the session has an engine of its own, and asks nothing else."""
    if current.own_engine:
        raise RequestError(
            f"This session asks its engine {current.own_engine.name}, and not {what}.",
            "Use a session without an engine for that: beluga_nb.Session().",
        )


def meant(asked: Mapping[str, object], current: Settings) -> dict[str, object]:
    """Return the arguments of a call with its alias resolved and the defaults filled in.

    An argument of the call outranks the alias's; no alias hides a model of the catalogue.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    endpoint, typed = given.pop("endpoint", None), given.get("model")
    if endpoint is not None:
        check_no_engine(current, f"the endpoint {sanitize(str(endpoint), 40)}")
    model = str(given.setdefault("model", current.model))
    alias = {} if model in _known() else current.aliases.get(model, {})
    model = str(alias.get("model", model))
    if endpoint is not None:
        model = current.model_of(str(endpoint), model if typed else None)
    elif not current.own_engine and model.endswith(":") and model[:-1] in current.endpoints:
        model = current.model_of(model[:-1], None)
    return {"n": 1} | {**alias, **given, "model": model}


def canonical(request: Request, current: Settings, *, insist: bool = False) -> Request:
    """Return the request in the catalogue's words, or as another server's or engine's: see `catalog`."""
    if current.own_engine:
        return catalog.of_another_server(request)
    named = current.at(request.model).named
    if named and (named.known or not insist):
        return catalog.of_another_server(request)
    return catalog.canonical(request, insist=insist)


def _known() -> set[str]:
    return {model.id for model in catalog.models()}
