"""Versions of libraries that have a fault which concerns us: `%beluga status` tells of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple


class Fault(NamedTuple):
    """What is wrong from one version of a library until another."""

    since: str
    mended: str
    words: str


FAULTS: Mapping[str, Fault] = {
    # Measured by benchmarks/cells.py.
    "ipykernel": Fault("7.0", "7.4", "loses a cell now and then"),
    # Its notes of 13.0, for the formats that we open. GHSA-8g5g-8vmr-9782 and GHSA-g4qv-2jxx-769h.
    "pillow": Fault(
        "0",
        "13.0",
        "a crafted JPEG can overflow its decoder (CVE-2026-112403), and a crafted PNG can hold it up"
        " (CVE-2026-96643)",
    ),
}


def faults(installed: Callable[[str], str] = version) -> dict[str, str]:
    """Return, by the name of a library that is installed, what is wrong with it and what mends it."""
    found = {}
    for library, fault in FAULTS.items():
        try:
            has = installed(library)
        except PackageNotFoundError:
            continue
        if _parts(fault.since) <= _parts(has) < _parts(fault.mended):
            found[library] = (
                f"{has}: {fault.words}. "
                f"pip install '{library}>={fault.mended}' mends it; restart the kernel after that."
            )
    return found


def _parts(of: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", of)[:2])
