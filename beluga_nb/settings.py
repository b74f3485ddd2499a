"""Settings: defaults < IPython's profile < `beluga.toml` < `BELUGA_*` < what the notebook says < the call.

The key is not among them: it comes from the environment or from code (`api/keys.py`), never from a
file that may be committed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from beluga_nb.budget import Caps, Prices
from beluga_nb.endpoints import Named, named_in, only_named
from beluga_nb.errors import RequestError, SettingsError, UnknownName, plain

SERVICE = "https://api.belugapi.com/v1"
"""The service's base URL (contract.md: Endpoints)."""

MODES = ("auto", "replay", "refresh", "off")
BRIDGES = ("thread", "nested")
RESPONSE_FORMATS = ("b64_json", "url")
EMBEDS = ("preview", "original", "link", "none")
BUDGETS = ("session", "store")
FILE = "beluga.toml"

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
"""The hosts that are this machine."""

CHOICES = {
    "mode": MODES,
    "embed": EMBEDS,
    "bridge": BRIDGES,
    "response_format": RESPONSE_FORMATS,
    "budget": BUDGETS,
}
"""The settings that are one of a few words."""

_ENVIRONMENT = ("base_url", "mode", "store", "model", "embed", "max_images", "max_cost", "budget")
_PRINTED = re.compile("[!-~]+")
_NO = {"", "0", "false", "no", "off"}
_YES = {"1", "true", "yes", "on"}


Alias = Mapping[str, str | int]
"""What an alias stands for: a model, and maybe a size, a quality and how many, by the API's names."""

ALIASED = ("model", "size", "quality", "n")
"""The parts of an alias; it has a model at least."""

_ALIAS = re.compile(r"[A-Za-z][\w.-]*")
_LIKE_AN_ALIAS = 'In beluga.toml, under [aliases]: poster = { model = "flux-2.0", size = "3:4" }'


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a session needs to know; times are in seconds.

    `timeout` bounds a whole call, download included: the service itself polls for up to 300 s.
    `embed` says what a notebook holds of its pictures (show/markup.py).
    `max_images` and `max_cost` bound what is made for a key, pictures and money by the user's own `prices`:
    by one session and the children that are forked from it, or, as `budget` says, by all that share its store
    and for good. `faults` lets prompts ask the embedded BelugAPI for failures (local/faults.py).
    `aliases` are names that stand for a model and what is asked of it, `endpoints` other servers by name.
    `origin` says where `base_url` came from, since a file that came with a notebook may not send the
    user's key elsewhere; `named` is the endpoint that `base_url` belongs to, if it is one of these.
    """

    base_url: str = SERVICE
    mode: str = "auto"
    store: Path = Path("beluga_store")
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
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    endpoints: Mapping[str, Named] = field(default_factory=dict)
    origin: str = field(default="default", repr=False)
    named: Named | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise UnknownName(name.replace("_", " "), str(getattr(self, name)), choices)
        if not isinstance(self.model, str):
            raise SettingsError(f"The setting model is {self.model!r}.", "Give a model's id.")
        if not isinstance(self.store, str | Path):
            raise SettingsError(f"The setting store is {self.store!r}.", "Give a folder.")
        object.__setattr__(self, "store", Path(self.store))
        object.__setattr__(self, "base_url", checked_base_url(self.base_url))
        if not isinstance(self.faults, bool):
            raise SettingsError(f"The setting faults is {self.faults!r}.", "Give true or false.")
        for name in ("timeout", "connect_timeout", "max_in_flight"):
            _check_positive(name, getattr(self, name))
        object.__setattr__(self, "max_images", _cap("max_images", self.max_images, whole=True))
        object.__setattr__(self, "max_cost", _cap("max_cost", self.max_cost))
        if self.prices is not None and not isinstance(self.prices, Prices):
            object.__setattr__(self, "prices", Prices.of(self.prices))
        object.__setattr__(self, "aliases", _checked_aliases(self.aliases))
        object.__setattr__(self, "endpoints", _checked_endpoints(self.endpoints))

    @property
    def caps(self) -> Caps:
        """How much may be spent."""
        return Caps(images=self.max_images, cost=self.max_cost, prices=self.prices)

    @property
    def provider(self) -> str:
        """Who answers, as recordings name it: "belugapi", an endpoint, or the host of another base URL."""
        if self.named:
            return self.named.name
        return "belugapi" if self.base_url == SERVICE else str(urlsplit(self.base_url).hostname)

    @property
    def loopback(self) -> bool:
        """Whether the base URL is on this machine."""
        return urlsplit(self.base_url).hostname in LOOPBACK

    def at(self, model: str) -> Settings:
        """Return the settings as they hold for a model: those of its endpoint, where it names one.

        >>> Settings(endpoints={"lab": {"base_url": "https://lab.example/v1"}}).at("lab:sd").provider
        'lab'
        """
        named = self.endpoints.get(model.partition(":")[0]) if ":" in model else None
        named = named or only_named(model)
        return replace(self, named=named, base_url=named.base_url or SERVICE) if named else self

    def endpoint(self, name: str) -> Named:
        """Return the endpoint of that name; raise `UnknownName` where there is none."""
        if name not in self.endpoints:
            hint = "Servers are named in beluga.toml, as [endpoints.lab]."
            raise UnknownName("endpoint", name, self.endpoints, hint=hint)
        return self.endpoints[name]

    def model_of(self, endpoint: str, model: str | None) -> str:
        """Return the name here of an endpoint's model, or of the one that it has where none is named."""
        # One that is not here may have been recorded: whoever reads its notebook replays it.
        unknown = endpoint not in self.endpoints
        named = (unknown and only_named(f"{endpoint}:{model or ''}")) or self.endpoint(endpoint)
        meant = (model or "").removeprefix(named.prefix) or named.model
        if not meant:
            raise RequestError(
                f"The endpoint {endpoint} has no model of its own.",
                f"Say which: -m {endpoint}:NAME, or model = … under [endpoints.{endpoint}].",
                param="model",
            )
        return named.prefix + meant

    def with_(self, **said: object) -> Settings:
        """Return the settings with what the call says; None says nothing."""
        heard = {name: value for name, value in said.items() if value is not None}
        check_names(heard)
        if "base_url" in heard:
            heard["origin"] = "call"
        return replace(self, **heard) if heard else self  # type: ignore[arg-type]


def names() -> list[str]:
    """Return the names of all settings."""
    return [each.name for each in fields(Settings) if each.name not in {"origin", "named"}]


def check_names(said: Mapping[str, object]) -> None:
    """Raise `UnknownName`, naming the nearest, for a name that is no setting's."""
    for name in said:
        if name not in names():
            raise UnknownName("setting", name, sorted(names()))


def _check_positive(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:  # NaN is not either
        raise SettingsError(f"The setting {name} is {value!r}.", "Give a number above 0.")
    if name == "max_in_flight" and not isinstance(value, int):
        raise SettingsError(f"The setting {name} is {value!r}.", "Give a whole number above 0.")


def _checked_aliases(aliases: object) -> Mapping[str, Alias]:
    if not isinstance(aliases, Mapping):
        raise SettingsError(f"The setting aliases is {plain(repr(aliases), 40)}.", _LIKE_AN_ALIAS)
    for name, alias in aliases.items():
        if not _ALIAS.fullmatch(str(name)):
            raise SettingsError(f"'{plain(str(name), 40)}' is no name for an alias.", _LIKE_AN_ALIAS)
        if not isinstance(alias, Mapping) or "model" not in alias:
            raise SettingsError(f"The alias {name} stands for no model.", _LIKE_AN_ALIAS)
        for part, value in alias.items():
            _check_part(str(name), str(part), value)
    return dict(aliases)


def _checked_endpoints(said: object) -> Mapping[str, Named]:
    endpoints = named_in(said)
    checked = {each: named.base_url and checked_base_url(named.base_url) for each, named in endpoints.items()}
    return {name: replace(named, base_url=checked[name]) for name, named in endpoints.items()}


def _check_part(name: str, part: str, value: object) -> None:
    if part not in ALIASED:
        raise UnknownName(f"part of the alias {name}", part, ALIASED)
    if isinstance(value, bool) or not isinstance(value, int if part == "n" else str):
        raise SettingsError(f"The {part} of the alias {name} is {plain(repr(value), 40)}.", _LIKE_AN_ALIAS)


def _cap(name: str, value: object, *, whole: bool = False) -> object:
    if value is None:
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if isinstance(value, bool) or not amount.is_finite() or amount < 0 or (whole and amount % 1):
        kind = "whole number" if whole else "number"
        raise SettingsError(f"The setting {name} is {plain(repr(value), 40)}.", f"Give a {kind} from 0 on.")
    return int(amount) if whole else amount


def checked_base_url(url: str) -> str:
    """Return the base URL without a trailing slash; raise `SettingsError` for one that is not safe.

    Plain http goes to this machine only, and a URL holds no password, query or fragment
    (research/reliability.md, S13 and S14).
    """
    parts = _split(url)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError("The base URL is no web address.", f"It looks like {SERVICE}")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise SettingsError(
            "The base URL holds a user name, a password, a query or a fragment.",
            f"Give only scheme, host and path, such as {SERVICE}",
        )
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise SettingsError(
            f"The base URL leads to {parts.hostname} without encryption.",
            "Use https://; plain http:// is for this machine only.",
        )
    return url.rstrip("/")


def _split(url: object) -> SplitResult | None:
    # urlsplit drops line breaks in silence, and looks at the port only when it is asked for.
    if not isinstance(url, str) or not _PRINTED.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else None
    except ValueError:
        return None


Layer = tuple[str, Mapping[str, object]]
"""Where settings come from, in words, and what is said there."""


def layers(
    environ: Mapping[str, str], folder: Path, profile: Mapping[str, object] | None = None
) -> list[Layer]:
    """Return what each place says, the weightiest last.

    `profile` is what the user's IPython profile says. The file is `beluga.toml` of the folder, or of its
    project. Under `CI` the mode is "replay" unless said otherwise: a pipeline buys nothing by accident.
    """
    in_ci = environ.get("CI", "").lower() not in _NO
    return [
        ("the environment (CI)", {"mode": "replay"} if in_ci else {}),
        ("IPython's profile", _with_origin(_known(profile or {}), "profile")),
        (FILE, _from_file(folder.absolute())),
        ("the environment", _with_origin(_from_environment(environ), "environment")),
    ]


def load(environ: Mapping[str, str], folder: Path, profile: Mapping[str, object] | None = None) -> Settings:
    """Return the settings of all `layers`; a store is a folder beside the notebook unless it says more."""
    said: dict[str, object] = {}
    for _, layer in layers(environ, folder, profile):
        said |= layer
    settings = replace(Settings(), **said)  # type: ignore[arg-type]  # checked by Settings itself
    endpoints = {name: _said_by(environ, each) for name, each in settings.endpoints.items()}
    return replace(settings, store=folder.absolute() / settings.store, endpoints=endpoints)


def _said_by(environ: Mapping[str, str], named: Named) -> Named:
    base_url = environ.get(named.variable("BASE_URL"), "").strip()
    return replace(named, base_url=base_url, own=True) if base_url else named


def _known(said: Mapping[str, object]) -> dict[str, object]:
    check_names(said)
    return dict(said)


def _with_origin(said: dict[str, object], origin: str) -> dict[str, object]:
    return said | {"origin": origin} if "base_url" in said else said


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    found = {name: environ.get(f"BELUGA_{name.upper()}", "").strip() for name in _ENVIRONMENT}
    said: dict[str, object] = {name: value for name, value in found.items() if value}
    if faults := environ.get("BELUGA_FAULTS", "").strip():
        said["faults"] = _claim("BELUGA_FAULTS", faults)
    return said


def _claim(name: str, text: str) -> bool:
    if text.lower() not in _YES | _NO:
        raise SettingsError(f"{name} is '{plain(text, 40)}'.", "Give 1 or 0.")
    return text.lower() in _YES


def _from_file(folder: Path) -> dict[str, object]:
    path = next((place / FILE for place in _project(folder) if (place / FILE).is_file()), None)
    if path is None:
        return {}
    try:
        said = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path.name} cannot be read: {error}", "Mend it or remove it.") from None
    return _with_origin(_checked_names(said, path), "file")


def _project(folder: Path) -> Sequence[Path]:
    # Up to the folder that git knows, never beyond: /tmp and /home are other people's too.
    upward = (folder, *folder.parents)
    depth = next((depth for depth, place in enumerate(upward) if (place / ".git").exists()), 0)
    return upward[: depth + 1]


def _checked_names(said: dict[str, object], path: Path) -> dict[str, object]:
    for name in _all_names(said):
        if "key" in name.lower():
            raise SettingsError(
                f"{path.name} holds a key ('{plain(name, 80)}').",
                "Files get committed: set BELUGA_API_KEY instead.",
            )
    check_names(said)
    if "endpoints" in said:
        said |= {"endpoints": named_in(said["endpoints"], own=False)}
    store = said.get("store")
    return said | {"store": path.parent / store} if isinstance(store, str) else said


def _all_names(said: Mapping[str, object]) -> Iterator[str]:
    endpoints = said.get("endpoints")
    yield from said
    for parts in endpoints.values() if isinstance(endpoints, Mapping) else ():
        yield from parts if isinstance(parts, Mapping) else ()
