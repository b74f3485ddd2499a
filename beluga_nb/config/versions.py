"""Versions of libraries with a bug that affects beluga_nb: `%beluga status` names them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple


class Bug(NamedTuple):
    """A bug of a library: the version that brought it, and the one that fixes it."""

    since: str
    fixed: str
    words: str


BUGS: Mapping[str, Bug] = {
    # Measured by benchmarks/cells.py.
    "ipykernel": Bug("7.0", "7.4", "loses a cell now and then"),
    # Its notes of 13.0, for the formats that we open. GHSA-8g5g-8vmr-9782 and GHSA-g4qv-2jxx-769h.
    "pillow": Bug(
        "0",
        "13.0",
        "a crafted JPEG can overflow its decoder (CVE-2026-112403), and a crafted PNG can hold it up"
        " (CVE-2026-96643)",
    ),
}


def known_bugs(installed: Callable[[str], str] = version) -> dict[str, str]:
    """Return, by the name of a library that is installed, its bug and the version that fixes it."""
    found = {}
    for library, bug in BUGS.items():
        try:
            has = installed(library)
        except PackageNotFoundError:
            continue
        if _parts(bug.since) <= _parts(has) < _parts(bug.fixed):
            found[library] = (
                f"{has}: {bug.words}. "
                f"pip install '{library}>={bug.fixed}' mends it; restart the kernel after that."
            )
    return found


def _parts(of: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", of)[:2])
