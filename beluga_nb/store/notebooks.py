"""What a notebook's outputs say of recordings: the hashes they name, and the small pictures they show."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beluga_nb.errors import StoreError

_NAMED = re.compile(r"sha256:([0-9a-f]{64})(?![0-9a-f])")
_TEXTS = ("text/plain", "text/html")
_IMAGES = ("image/jpeg", "image/png")


@dataclass(frozen=True, kw_only=True)
class Output:
    """An output that names recorded pictures: `hashes` of them in order, and of the images that it shows.

    `cell` and `number` count from 1.
    """

    cell: int
    number: int
    text: str
    hashes: tuple[str, ...]
    images: tuple[str, ...]

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return f"cell {self.cell}, output {self.number}"


def outputs(path: Path) -> list[Output]:
    """Return the outputs of a notebook that name recorded pictures; raise `StoreError` for no notebook."""
    try:
        return outputs_of(path.read_bytes())
    except OSError as error:
        raise StoreError(
            f"{path.name} cannot be read: {error.strerror or error}.", "Name a notebook."
        ) from None
    except ValueError as error:
        raise StoreError(
            f"{path.name} is no notebook ({error}).", "Name an .ipynb file of nbformat 4."
        ) from None


def outputs_of(data: bytes) -> list[Output]:
    """Return the same from a notebook's bytes; raise `ValueError` for other bytes."""
    try:
        notebook = json.loads(data)
        if notebook["nbformat"] != 4:
            raise ValueError(f"its format is {notebook['nbformat']}, not 4")
        return list(_outputs(notebook))
    except (KeyError, TypeError, AttributeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(type(error).__name__) from None


def _outputs(notebook: Mapping[str, Any]) -> Iterator[Output]:
    for cell, said in enumerate(notebook["cells"], 1):
        for number, output in enumerate(said.get("outputs", ()), 1):
            shown = output.get("data", {})
            text = "\n".join(_joined(shown.get(kind, "")) for kind in _TEXTS)
            if hashes := tuple(dict.fromkeys(_NAMED.findall(text))):
                images = tuple(_sha256(_joined(shown[kind])) for kind in _IMAGES if kind in shown)
                yield Output(cell=cell, number=number, text=text, hashes=hashes, images=images)


def _joined(text: str | list[str]) -> str:
    return "".join(text)


def _sha256(encoded: str) -> str:
    try:
        return hashlib.sha256(base64.b64decode(encoded)).hexdigest()
    except (binascii.Error, ValueError):
        return "no base64"
