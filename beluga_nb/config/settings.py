"""Settings: defaults < IPython's profile < `beluga.toml` < `BELUGA_*` < the notebook's own < the call.

`config/project.py` decides what is used of a `beluga.toml`. The key is not a setting: it comes from
the environment or from code (`config/keys.py`), never from a file that may be committed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import TypedDict
from urllib.parse import SplitResult, urlsplit

import beluga_nb.config.project as project
import beluga_nb.money as money
from beluga_nb.budget import Caps, Prices
from beluga_nb.config.addresses import StoreAddress, is_address, parse_address, shown_store
from beluga_nb.config.endpoints import EndpointConfig, named_in, only_named
from beluga_nb.config.project import CONTROL, OWN_CAP, Ignored, Project, is_untrusted_file
from beluga_nb.errors import RequestError, SettingsError, UnknownNameError
from beluga_nb.hints import Hint, Remedy
from beluga_nb.paths import path_of
from beluga_nb.result import OwnEngine
from beluga_nb.signatures import named_methods
from beluga_nb.text import sanitize, shown

SERVICE = "https://api.belugapi.com/v1"
"""The base URL of the default service, whose provider name in recordings is "belugapi"."""

MODES = ("auto", "replay", "refresh", "off")
BRIDGES = ("thread", "nested")
RESPONSE_FORMATS = ("b64_json", "url")
EMBEDS = ("preview", "original", "link", "none")
BUDGETS = ("session", "store")

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
"""The hosts that are this machine."""

CHOICES = {
    "mode": MODES,
    "embed": EMBEDS,
    "bridge": BRIDGES,
    "response_format": RESPONSE_FORMATS,
    "budget": BUDGETS,
}
"""The settings with a few possible values."""

LARGEST_NUMBER = 10**12
"""The most seconds, or requests in flight."""

_RESOLVED = {"named", "places", "ignored", "claimed", "counted_store", "own_engine"}
"""The fields that are not settings, but derived from them."""

_ENVIRONMENT = ("base_url", "mode", "store", "model", "embed", "max_images", "max_cost", "budget")
_FLAGS = ("faults", "progress")
_PRINTED = re.compile("[!-~]+")
_NO = {"", "0", "false", "no", "off"}
_YES = {"1", "true", "yes", "on"}


Alias = Mapping[str, str | int]
"""What an alias stands for: a model, and maybe a size, a quality and how many, by the API's names."""

ALIASED = ("model", "size", "quality", "n")
"""The parts of an alias; it has a model at least."""

_ALIAS = re.compile(r"[A-Za-z][\w.-]*")
_LIKE_AN_ALIAS = 'In beluga.toml, under [aliases]: poster = { model = "flux-2.0", size = "3:4" }'


class SettingsOptions(TypedDict, total=False):
    """Settings as keyword arguments; what each of them means stands at `Settings`. None is left out."""

    base_url: str | None
    mode: str | None
    store: str | Path | StoreAddress | None
    model: str | None
    embed: str | None
    response_format: str | None
    bridge: str | None
    timeout: float | None
    connect_timeout: float | None
    max_in_flight: int | None
    max_images: int | None
    max_cost: float | str | Decimal | None
    prices: Prices | Mapping[str, object] | None
    budget: str | None
    faults: bool | None
    progress: bool | None
    aliases: Mapping[str, Alias] | None
    endpoints: Mapping[str, EndpointConfig | Mapping[str, object]] | None


@named_methods
@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a session; times are in seconds.

    `timeout` bounds a whole call, download included: the service itself polls for up to 300 s.
    `embed` is what a notebook holds of its pictures (show/figures.py).
    `max_images` and `max_cost` bound what is made for a key, pictures and money by the user's own `prices`:
    by one session and the children that are forked from it, or, by `budget`, by all that share its store
    and for good. `faults` lets prompts ask the embedded BelugAPI for failures (server/faults.py).
    `progress` shows how far a call is while it is waited for.
    `aliases` are names that stand for a model and parameters, `endpoints` other servers by name.
    `named` is the one of these that answers, if any. `places` is where each was set,
    and `ignored` what is not used of a file that came with a notebook; `claimed` is the provider whose
    recordings such a file's folder holds, where its `base_url` is not used. `own_engine` is the session's
    own, which answers in place of all services.
    """

    base_url: str = SERVICE
    mode: str = "auto"
    store: Path | StoreAddress = Path("beluga_store")
    model: str = "gpt-image-2"
    embed: str = "preview"
    response_format: str = "b64_json"
    bridge: str = "thread"
    timeout: float = 330.0
    connect_timeout: float = 10.0
    max_in_flight: int = 4
    max_images: int | None = None
    max_cost: Decimal | None = None
    prices: Prices | None = None
    budget: str = "session"
    faults: bool = False
    progress: bool = True
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    endpoints: Mapping[str, EndpointConfig] = field(default_factory=dict)
    named: EndpointConfig | None = field(default=None, repr=False)
    places: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    ignored: tuple[Ignored, ...] = field(default=(), repr=False, compare=False)
    claimed: str = field(default="", repr=False)
    counted_store: Path | StoreAddress | None = field(default=None, repr=False)
    own_engine: OwnEngine | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        # A frozen dataclass can set its own fields in this way only.
        for name, choices in CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                word = value if isinstance(value, str) else shown(value)
                raise UnknownNameError("value", word, choices, of=name)
        if not isinstance(self.model, str):
            raise SettingsError(f"The setting model is {shown(self.model)}.", "Give a model's id.")
        object.__setattr__(self, "store", _checked_store(self.store))
        object.__setattr__(self, "base_url", checked_base_url(self.base_url))
        for name in _FLAGS:
            if not isinstance(value := getattr(self, name), bool):
                raise SettingsError(f"The setting {name} is {shown(value)}.", "Give true or false.")
        for name in ("timeout", "connect_timeout", "max_in_flight"):
            _check_positive(name, getattr(self, name))
        object.__setattr__(self, "max_images", _cap("max_images", self.max_images, whole=True))
        object.__setattr__(self, "max_cost", _cap("max_cost", self.max_cost))
        if self.prices is not None and not isinstance(self.prices, Prices):
            object.__setattr__(self, "prices", Prices.of(self.prices))
        object.__setattr__(self, "aliases", _checked_aliases(self.aliases))
        object.__setattr__(self, "endpoints", _checked_endpoints(self.endpoints))

    # What a mode means is asked here and nowhere else.

    @property
    def reads_store(self) -> bool:
        """Whether recordings answer."""
        return self.mode in {"auto", "replay"}

    @property
    def writes_store(self) -> bool:
        """Whether what arrives is recorded."""
        return self.mode in {"auto", "refresh"}

    @property
    def uses_store(self) -> bool:
        """Whether the store is read or written at all."""
        return self.mode != "off"

    @property
    def may_ask(self) -> bool:
        """Whether anything may be sent."""
        return self.mode != "replay"

    @property
    def samples_anew(self) -> bool:
        """Whether each call is a new take."""
        return self.mode == "refresh"

    @property
    def caps(self) -> Caps:
        """The limits of spending."""
        return Caps(images=self.max_images, cost=self.max_cost, prices=self.prices)

    @property
    def provider(self) -> str:
        """Who answers, as recordings name it: "belugapi", an endpoint, an engine, or a host."""
        return self.named.name if self.named else self.main_provider

    @property
    def main_provider(self) -> str:
        """The same for a model that names no endpoint."""
        return self.own_engine.name if self.own_engine else _provider_at(self.base_url)

    @property
    def providers(self) -> list[str]:
        """The providers whose recordings answer: the one that would be asked, and a file's claimed one."""
        return [self.provider, *([self.claimed] if self.claimed else [])]

    @property
    def address(self) -> str:
        """The base URL of who answers."""
        return (self.named.base_url or SERVICE) if self.named else self.base_url

    @property
    def loopback(self) -> bool:
        """Whether that is on this machine."""
        return urlsplit(self.address).hostname in LOOPBACK

    def at(self, model: str) -> Settings:
        """Return the settings as they hold for a model: those of its endpoint, where it names one.

        >>> Settings(endpoints={"lab": {"base_url": "https://lab.example/v1"}}).at("lab:sd").provider
        'lab'
        """
        if self.own_engine:
            return self
        named = self.endpoints.get(model.partition(":")[0]) if ":" in model else None
        named = named or only_named(model)
        if named is None:
            return self
        # The address is the endpoint's, so it does not matter that the base_url of a file is not used.
        return replace(self._without_remarks("base_url"), named=named)

    def for_engine(self, engine: OwnEngine) -> Settings:
        """Return the settings for a session's own engine: it stands for its model where none is named."""
        # The model that the places have set is a service's.
        places = {name: place for name, place in self.places.items() if name != "model"}
        return replace(self._without_remarks("base_url"), own_engine=engine, model=engine.name, places=places)

    def endpoint(self, name: str) -> EndpointConfig:
        """Return the endpoint of that name; raise `UnknownNameError` where there is none."""
        if name not in self.endpoints:
            hint = "Define it in beluga.toml under [endpoints.lab]."
            raise UnknownNameError("endpoint", name, self.endpoints, hint=hint)
        return self.endpoints[name]

    def model_of(self, endpoint: str, model: str | None) -> str:
        """Return the full name of an endpoint's model, by default that of its default model."""
        # An unknown endpoint may have been recorded: a reader of its notebook replays it.
        unknown = endpoint not in self.endpoints
        named = (unknown and only_named(f"{endpoint}:{model or ''}")) or self.endpoint(endpoint)
        meant = (model or "").removeprefix(named.prefix) or named.model
        if not meant:
            raise RequestError(
                f"The endpoint {endpoint} has no model of its own.",
                Hint(
                    *("Say which: ", Remedy("model at endpoint", endpoint)),
                    f", or model = … under [endpoints.{endpoint}].",
                ),
                param="model",
            )
        return named.prefix + meant

    def with_(self, place: str = "the call", /, **given: object) -> Settings:
        """Return the settings with those of a place that outranks all before; None leaves one as it is."""
        values = {name: value for name, value in given.items() if value is not None}
        check_names(values)
        return self._with_values(place, values) if values else self

    def with_file(self, found: Project) -> Settings:
        """Return the settings with those that are used of a `beluga.toml`."""
        taken, ignored = found.taken(self)
        updated = self._with_values(found.place, taken)
        claims = [_provider_at(checked_base_url(each.value)) for each in ignored if each.name == "base_url"]
        claimed = claims[0] if claims else updated.claimed
        # Spending stays counted in the store that was named first; `budget` may be set by a later place.
        moved = "store" in taken and is_untrusted_file(found.place) and "store" in self.places
        counted = self.store if moved and not self.counted_store else updated.counted_store
        return replace(updated, ignored=(*updated.ignored, *ignored), claimed=claimed, counted_store=counted)

    def own_caps(self, *, images: int | None, cost: float | None) -> Caps:
        """Return the caps of one call; prices of an untrusted file cannot void them."""
        capped = replace(self, max_images=images, max_cost=cost)  # type: ignore[arg-type]
        own = cost is None or not is_untrusted_file(self.places.get("prices"))
        return Caps(images=capped.max_images, cost=capped.max_cost, prices=self.prices if own else None)

    def _with_values(self, place: str, values: Mapping[str, object]) -> Settings:
        untrusted = is_untrusted_file(place)  # its values do not remove the remarks on files further up
        updated = self if untrusted else self._without_remarks(*values)
        places = {**self.places, **dict.fromkeys(values, place)}
        updated = replace(updated, **values, places=places)  # type: ignore[arg-type]  # Settings checks them
        if "store" in values and not untrusted and updated.counted_store:
            updated = replace(updated, counted_store=None)
        priced = "" if updated.prices is None else updated.places.get("prices", "")
        if "max_cost" in values and not untrusted and is_untrusted_file(priced):
            unused = Ignored(priced, "prices", "", OWN_CAP)
            return replace(updated, prices=None, ignored=(*updated.ignored, unused))
        return updated

    def _without_remarks(self, *names: str) -> Settings:
        """Return the settings without the remarks on files' values for these, which the user has set."""
        ignored = tuple(each for each in self.ignored if each.name not in names)
        claimed = "" if "base_url" in names else self.claimed
        if (ignored, claimed) == (self.ignored, self.claimed):
            return self
        return replace(self, ignored=ignored, claimed=claimed)


def names() -> list[str]:
    """Return the names of all settings."""
    return [each.name for each in fields(Settings) if each.name not in _RESOLVED]


def check_names(given: Mapping[str, object], *, beside: Iterable[str] = ()) -> None:
    """Raise `UnknownNameError` for a name that is no setting's; other names `beside` may have been meant."""
    for name in given:
        if name not in names():
            raise UnknownNameError("setting", name, sorted([*names(), *beside]))


def _check_positive(name: str, value: object) -> None:
    # Refuses NaN and infinity, too.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LARGEST_NUMBER:
        raise SettingsError(f"The setting {name} is {shown(value)}.", "Give a number above 0.")
    if name == "max_in_flight" and not isinstance(value, int):
        raise SettingsError(f"The setting {name} is {shown(value)}.", "Give a whole number above 0.")


def _checked_store(store: object) -> Path | StoreAddress:
    if isinstance(store, StoreAddress):
        return store
    if not isinstance(store, str | Path):
        raise SettingsError(f"The setting store is {shown(store)}.", "Give a folder.")
    if CONTROL.search(str(store)):
        raise SettingsError(
            f"The store '{shown_store(str(store))}' holds control characters.", "Give the path of a folder."
        )
    if is_address(str(store)):
        return parse_address(str(store))
    return path_of(store)


def _checked_aliases(aliases: object) -> Mapping[str, Alias]:
    if not isinstance(aliases, Mapping):
        raise SettingsError(f"The setting aliases is {shown(aliases, 40)}.", _LIKE_AN_ALIAS)
    for name, alias in aliases.items():
        if not _ALIAS.fullmatch(str(name)):
            raise SettingsError(f"'{sanitize(str(name), 40)}' is not a valid alias name.", _LIKE_AN_ALIAS)
        if not isinstance(alias, Mapping) or "model" not in alias:
            raise SettingsError(f"The alias {name} stands for no model.", _LIKE_AN_ALIAS)
        for part, value in alias.items():
            _check_part(str(name), str(part), value)
    return dict(aliases)


def _checked_endpoints(table: object) -> Mapping[str, EndpointConfig]:
    endpoints = named_in(table)
    checked = {each: named.base_url and checked_base_url(named.base_url) for each, named in endpoints.items()}
    return {name: replace(named, base_url=checked[name]) for name, named in endpoints.items()}


def _check_part(name: str, part: str, value: object) -> None:
    if part not in ALIASED:
        raise UnknownNameError(f"part of the alias {name}", part, ALIASED)
    if isinstance(value, bool) or not isinstance(value, int if part == "n" else str):
        raise SettingsError(f"The {part} of the alias {name} is {shown(value, 40)}.", _LIKE_AN_ALIAS)


def _cap(name: str, value: object, *, whole: bool = False) -> object:
    if value is None:
        return None
    amount = money.amount(value)
    if amount is None or (whole and amount != int(amount)):
        kind = "whole number" if whole else "number"
        raise SettingsError(f"The setting {name} is {shown(value, 40)}.", f"Give a {kind} from 0 on.")
    return int(amount) if whole else amount


def _provider_at(base_url: str) -> str:
    return "belugapi" if base_url == SERVICE else str(urlsplit(base_url).hostname)


def checked_base_url(url: str) -> str:
    """Return the base URL in its usual spelling; raise `SettingsError` for one that is not safe.

    Scheme and host are in lower case, without the scheme's own port and a trailing slash (RFC 3986, 6.2): a
    server is one provider, however its address is spelled, and what it has sold replays. Plain http goes to
    this machine only, and a URL holds no password, query or fragment (S13 and S14).
    """
    parts = _split(url)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError("The base URL is not an http or https URL.", f"Example: {SERVICE}")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise SettingsError(
            "The base URL holds a user name, a password, a query or a fragment.",
            f"Give only scheme, host and path, such as {SERVICE}",
        )
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise SettingsError(
            f"The base URL uses http for {parts.hostname}, which is not encrypted.",
            "Use https://; plain http:// is for this machine only.",
        )
    host = parts.hostname if ":" not in parts.hostname else f"[{parts.hostname}]"  # IPv6
    port = "" if parts.port in {None, _PORTS[parts.scheme]} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path}".rstrip("/")


_PORTS = {"http": 80, "https": 443}


def _split(url: object) -> SplitResult | None:
    # urlsplit silently drops line breaks, and parses the port only on access.
    if not isinstance(url, str) or not _PRINTED.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else None
    except ValueError:
        return None


def load(environ: Mapping[str, str], folder: Path, profile: Mapping[str, object] | None = None) -> Settings:
    """Return the settings of all places; a relative store is a folder beside the notebook.

    `profile` is that of the user's IPython profile. The files are the `beluga.toml` of the folder and those
    above it in its project. Under `CI` the mode is "replay" unless the user sets another: a pipeline buys
    nothing by accident.
    """
    in_ci = environ.get("CI", "").lower() not in _NO
    settings = Settings().with_("the environment (CI)", mode="replay" if in_ci else None)
    settings = settings.with_("IPython's profile", **(profile or {}))
    # Absolute before the files are read: their rules compare paths.
    settings = replace(settings, store=_beside(folder, settings.store))
    for found in project.find(environ, folder.absolute(), check_names):
        settings = settings.with_file(found)
    settings = settings.with_("the environment", **_from_environment(environ))
    endpoints = {name: _with_address(environ, each) for name, each in settings.endpoints.items()}
    return replace(settings, store=_beside(folder, settings.store), endpoints=endpoints)


def _beside(folder: Path, store: Path | StoreAddress) -> Path | StoreAddress:
    return store if isinstance(store, StoreAddress) else folder.absolute() / store


def _with_address(environ: Mapping[str, str], named: EndpointConfig) -> EndpointConfig:
    base_url = environ.get(named.variable("BASE_URL"), "").strip()
    return replace(named, base_url=base_url, known=True) if base_url else named


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    found = {name: environ.get(f"BELUGA_{name.upper()}", "").strip() for name in _ENVIRONMENT}
    values: dict[str, object] = {name: value for name, value in found.items() if value}
    for name in _FLAGS:
        variable = f"BELUGA_{name.upper()}"
        if flag := environ.get(variable, "").strip():
            values[name] = _flag(variable, flag)
    return values


def _flag(name: str, text: str) -> bool:
    if text.lower() not in _YES | _NO:
        raise SettingsError(f"{name} is '{sanitize(text, 40)}'.", "Give 1 or 0.")
    return text.lower() in _YES
