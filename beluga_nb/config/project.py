"""`beluga.toml`, which may have come with a notebook: it may make settings stricter, never less strict.

`RULES` decides for each setting what is used of a file. A file whose folder the user names in BELUGA_TRUST
counts as the user's own setting. Of several files, one in another's folder, the outer ones apply first, so
that an inner one hides nothing of theirs: it is stricter than what holds without it, or is trusted itself.
Only a setting of the user's removes the remark on a value that is not used. A file is named by its path from
the notebook's folder.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path, PureWindowsPath
from typing import Any, Protocol

from beluga_nb.config.addresses import StoreAddress, is_address
from beluga_nb.config.endpoints import EndpointConfig, named_in
from beluga_nb.errors import SettingsError
from beluga_nb.money import amount
from beluga_nb.paths import path_of, read_file
from beluga_nb.text import sanitize

FILE = "beluga.toml"
TRUST = "BELUGA_TRUST"
TRUSTED = ", which you trust"
"""Shown after the name of a trusted file."""

LARGEST_FILE = 2**20
"""Bytes of a `beluga.toml`."""

DEEPEST = 16
"""Nested names of a `beluga.toml`; the time to parse it grows with the cube of their depth."""

LARGEST_INTEGER = 64
"""Bits of an integer of a `beluga.toml`, as in TOML; Python does not print one of thousands of digits."""

_NAME = rb"""(?:[\w-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_DEEP = re.compile(rb"(?<![\w\\-])(?:%b[ \t]*\.[ \t]*){%d}" % (_NAME, DEEPEST))

LOOSER = ("replay", "auto", "refresh", "off")
"""The modes: each may buy more often than those before it; the last records nothing."""

WIDER = ("store", "session")
"""The budgets: of all kernels that share a store, or of each by itself."""

CONTROL = re.compile("[\x00-\x1f\x7f]")


class Baseline(Protocol):
    """The settings without the file, those of the files further up included, and where each was set."""

    @property
    def base_url(self) -> str: ...
    @property
    def mode(self) -> str: ...
    @property
    def store(self) -> Path | StoreAddress: ...
    @property
    def timeout(self) -> float: ...
    @property
    def budget(self) -> str: ...
    @property
    def max_cost(self) -> Decimal | None: ...
    @property
    def prices(self) -> object: ...
    @property
    def aliases(self) -> Mapping[str, object]: ...
    @property
    def endpoints(self) -> Mapping[str, EndpointConfig]: ...
    @property
    def places(self) -> Mapping[str, str]: ...


def is_untrusted_file(place: str | None) -> bool:
    """Whether the place where a setting was set is a file that the user does not trust.

    >>> is_untrusted_file("../beluga.toml"), is_untrusted_file("../beluga.toml, which you trust")
    (True, False)
    """
    return place is not None and place.rpartition("/")[2] == FILE


@dataclass(frozen=True)
class Ignored:
    """A setting of a file that is not used: the file, its name, its value, why not, and a remedy."""

    file: str
    name: str
    value: str
    why: str
    remedy: str = f"If you trust that file, set {TRUST} to its folder."

    @property
    def message(self) -> str:
        """The setting that is not used, and why."""
        value = f" ({sanitize(self.value, 80)})" if self.value else ""
        return f"{self.file}: {self.name}{value} is not used: {self.why}."

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}"


class NotTakenError(Exception):
    """A setting of a file is not used, for the reason in the message."""


@dataclass(frozen=True)
class Proposal:
    """A file's value for one setting, and the settings without that file."""

    name: str
    value: Any
    baseline: Baseline
    folder: Path

    def check_not_looser(self, rank: Callable[[object], Decimal | int | None]) -> object:
        """Return the value; raise `NotTakenError` where it ranks above the setting without the file."""
        baseline = getattr(self.baseline, self.name)
        asked, most = rank(self.value), rank(baseline)
        if asked is not None and most is not None and not asked <= most:
            raise NotTakenError(f"it is less strict than {baseline}, {self.origin}")
        return self.value

    @property
    def origin(self) -> str:
        place = self.baseline.places.get(self.name)
        return f"set by {place}" if place else "the default"


Rule = Callable[[Proposal], object]
"""Returns what is used of a proposal; raises `NotTakenError` where nothing is.

A value of the wrong type or form passes: `Settings` refuses it, wherever it comes from.
"""


def _free(proposal: Proposal) -> object:
    """Take it: it costs nothing, sends nothing, and writes nothing elsewhere."""
    return proposal.value


def _not_higher(proposal: Proposal) -> object:
    return proposal.check_not_looser(amount)


def _not_shorter(proposal: Proposal) -> object:
    # A picture that arrives after the wait is paid for all the same.
    value, baseline = proposal.value, getattr(proposal.baseline, proposal.name)
    if isinstance(value, int | float) and value < baseline:
        raise NotTakenError(f"it is shorter than {baseline:g} s, {proposal.origin}")
    return value


def _not_looser(proposal: Proposal) -> object:
    return proposal.check_not_looser(lambda mode: LOOSER.index(mode) if mode in LOOSER else None)


def _not_narrower(proposal: Proposal) -> object:
    return proposal.check_not_looser(lambda budget: WIDER.index(budget) if budget in WIDER else None)


def _same_address(proposal: Proposal) -> object:
    # The key is sent to this address.
    if isinstance(proposal.value, str) and proposal.value.rstrip("/") != proposal.baseline.base_url:
        raise NotTakenError("you have not confirmed that address")
    return proposal.value


def _below(proposal: Proposal) -> object:
    if not isinstance(proposal.value, str):
        return proposal.value
    store, named, plain = proposal.folder / proposal.value, proposal.baseline.store, _is_plain(proposal.value)
    if isinstance(named, StoreAddress) and proposal.value == named.url:
        return named
    # Only a plain path is resolved: resolving //host/share would contact that host.
    path = os.path.realpath(store) if plain else os.path.normpath(store)
    if isinstance(named, Path) and path in {os.path.realpath(named), os.path.normpath(named)}:
        return named
    root = os.path.realpath(proposal.folder)
    if not plain or path == root or not Path(path).is_relative_to(root):
        raise NotTakenError("it does not lie below the folder of the file")
    if proposal.baseline.budget == "store" and "store" in proposal.baseline.places:
        raise NotTakenError("what is spent is counted in the store that is named already")
    return store


def _is_plain(path: str) -> bool:
    """Whether a path is relative on every system: no root, drive, home, parent, stream or control."""
    pure = PureWindowsPath(path)
    if pure.anchor or ".." in pure.parts or path.startswith("~") or CONTROL.search(path):
        return False
    return bool(pure.parts) and ":" not in path


def _without_own_cap(proposal: Proposal) -> object:
    if proposal.baseline.prices is not None:
        raise NotTakenError("there are prices already")
    if proposal.baseline.max_cost is not None:
        raise NotTakenError(OWN_CAP)
    return proposal.value


OWN_CAP = "a price of a file could void the max_cost that is set elsewhere"


def _added(proposal: Proposal) -> object:
    """Take names that the user has not given."""
    if not isinstance(proposal.value, Mapping):
        return proposal.value
    # In this order: a name of the user's is never redefined.
    return {**proposal.value, **getattr(proposal.baseline, proposal.name)}


def _unnamed(proposal: Proposal) -> object:
    """Take names of servers, whose recordings replay; they are asked once the user names their address."""
    named = named_in(proposal.value, known=False)
    least = proposal.baseline.timeout  # as in `_not_shorter`
    value = {
        name: replace(each, timeout=None) if each.timeout and each.timeout < least else each
        for name, each in named.items()
    }
    return _added(replace(proposal, value=value))


RULES: Mapping[str, Rule] = {
    "base_url": _same_address,
    "mode": _not_looser,
    "store": _below,
    "model": _free,
    "embed": _free,
    "response_format": _free,
    "bridge": _free,
    "timeout": _not_shorter,
    "connect_timeout": _free,
    "max_in_flight": _not_higher,
    "budget": _not_narrower,
    "max_images": _not_higher,
    "max_cost": _not_higher,
    "prices": _without_own_cap,
    "faults": _free,
    "progress": _free,
    "aliases": _added,
    "endpoints": _unnamed,
}
"""For each setting, the rule for a value of a file that the user does not trust."""


@dataclass(frozen=True)
class Project:
    """A `beluga.toml` that was found: its folder, its values, and whether the user trusts it.

    `file` is its path from the notebook's folder, such as "../beluga.toml".
    """

    folder: Path
    file: str
    values: Mapping[str, object]
    trusted: bool

    def taken(self, baseline: Baseline) -> tuple[dict[str, object], list[Ignored]]:
        """Return the values that are used, and those that are not; `baseline` holds without the file."""
        if self.trusted:
            return self._own_word(baseline), []
        taken: dict[str, object] = {}
        ignored = []
        for name, value in self.values.items():
            try:
                taken[name] = RULES[name](Proposal(name, value, baseline, self.folder))
            except NotTakenError as error:
                shown = "" if isinstance(value, Mapping) else str(value)
                ignored.append(Ignored(self.file, name, shown, str(error)))
        return taken, ignored

    @property
    def place(self) -> str:
        """Its name as a place of settings."""
        return self.file + TRUSTED if self.trusted else self.file

    def _own_word(self, baseline: Baseline) -> dict[str, object]:
        values = dict(self.values)
        if isinstance(store := values.get("store"), str) and not is_address(store):
            values["store"] = self.folder / store
        for name in ("aliases", "endpoints"):
            if isinstance(own := values.get(name), Mapping):
                values[name] = {**getattr(baseline, name), **own}
        return values


def find(
    environ: Mapping[str, str], folder: Path, check_names: Callable[[Mapping[str, object]], None]
) -> list[Project]:
    """Return the files from the top of a folder's project down to it; raise `SettingsError` for a bad one.

    The top is the folder that git knows or, further up, one that the user trusts.
    """
    trusted = _trusted(environ)
    upward = enumerate(_upward(folder, trusted))
    found = [(place, "../" * depth + FILE) for depth, place in upward if os.path.isfile(place / FILE)]
    return [
        Project(place, file, _checked(place, file, check_names), os.path.realpath(place) in trusted)
        for place, file in reversed(found)
    ]


def _checked(
    folder: Path, file: str, check_names: Callable[[Mapping[str, object]], None]
) -> Mapping[str, object]:
    values = _read(folder / FILE, file)
    for name in _all_names(values):
        if "key" in name.lower():
            raise SettingsError(
                f"{file} holds a key ('{sanitize(name, 80)}').",
                "Files get committed: set BELUGA_API_KEY instead.",
            )
    check_names(values)
    return values


def _read(path: Path, file: str) -> dict[str, object]:
    try:
        data = read_file(path, LARGEST_FILE)
        if _DEEP.search(data) or _is_deep(table := tomllib.loads(data.decode("utf-8"))):
            raise ValueError(f"it has more than {DEEPEST} names in one another")
        if any(type(each) is int and each.bit_length() > LARGEST_INTEGER for each in _values(table)):
            raise ValueError(f"it has an integer of more than {LARGEST_INTEGER} bits")
        return table
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(
            f"{file} cannot be read: {sanitize(str(reason), 200)}", "Correct or remove it."
        ) from None


def _is_deep(table: object) -> bool:
    level = [table]
    for _ in range(DEEPEST):
        level = [inner for each in level for inner in _inside(each)]
    return bool(level)


def _values(value: object) -> Iterator[object]:
    yield value
    for inner in _inside(value):
        yield from _values(inner)


def _inside(value: object) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _upward(folder: Path, trusted: Set[str]) -> Sequence[Path]:
    # From the folder that git knows, or one that the user trusts: a downloaded folder that is a repository
    # of its own hides none of those files. Never further up: /tmp and /home have files of other users.
    upward = (folder, *folder.parents)
    git = next((place for place in upward if os.path.exists(place / ".git")), folder)
    tops = [
        depth
        for depth, place in enumerate(upward)
        # Resolving every folder takes a while, and few users name one.
        if place == git or (trusted and os.path.realpath(place) in trusted)
    ]
    return upward[: max(tops) + 1]


def _all_names(table: Mapping[str, object]) -> Iterator[str]:
    endpoints = table.get("endpoints")
    yield from table
    for parts in endpoints.values() if isinstance(endpoints, Mapping) else ():
        yield from parts if isinstance(parts, Mapping) else ()


def _trusted(environ: Mapping[str, str]) -> set[str]:
    named = [each for text in environ.get(TRUST, "").split(os.pathsep) if (each := text.strip())]
    for each in named:
        if CONTROL.search(each) or not path_of(each).is_absolute():
            raise SettingsError(
                f"{TRUST} names '{sanitize(each, 80)}', which is not an absolute path.",
                f"Give whole paths of folders, with '{os.pathsep}' between them.",
            )
    return {os.path.realpath(path_of(each)) for each in named}
