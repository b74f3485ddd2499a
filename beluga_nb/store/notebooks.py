"""What a notebook says of recordings: the hashes in its outputs, and the prompts in its cells."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from beluga_nb.errors import StoreError
from beluga_nb.store.records import Entry

T = TypeVar("T")

_FILLED = re.compile(r"\{\{\s*[^\W\d]\w*\s*\}\}")
_BEFORE, _BEHIND = r"(?:^|(?<=[\s\"']))", r"(?=\s*$|[\"'\n])"

_NOTHING_YET = re.compile(r"(^|[\"']|beluga(\s+-\S+(\s+[^-\s]\S*)?)*)\s*$")  # of a prompt

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


@dataclass(frozen=True)
class Notebook:
    """A notebook that was read: what its outputs show, and the source of its code cells."""

    outputs: tuple[Output, ...]
    sources: tuple[str, ...]

    @property
    def hashes(self) -> set[str]:
        """The pictures that its outputs name."""
        return {name for output in self.outputs for name in output.hashes}

    def needs(self, entry: Entry) -> bool:
        """Whether an output shows what is recorded, or a cell asks for it."""
        shown = entry.image is not None and entry.image.sha256 in self.hashes
        return shown or self.asks_for(entry.request.prompt)

    def asks_for(self, prompt: str) -> bool:
        """Whether a cell holds a prompt, as it stands or with `{{name}}` in it for any text.

        A cell that assigns shows nothing, and a prompt that was declined has no picture: of these the
        outputs tell nothing.
        """
        text = prompt.strip()
        return any(_holds(piece, text) for source in self.sources for piece in _pieces(source))


def _pieces(source: str) -> list[str]:
    return [source, *(line for line in source.splitlines() if _FILLED.search(line))]


def _holds(source: str, prompt: str) -> bool:
    if re.search(rf"{_BEFORE}{re.escape(prompt)}{_BEHIND}", source):
        return True
    first, *others = _FILLED.split(source)
    if not others:
        return False
    last = others.pop()
    ends = {last.rstrip(), re.split(r"[\"'\n]", last)[0]}
    between = "".join(f".*?{re.escape(each)}" for each in others)
    return any(
        re.fullmatch(f"{between}.*?{re.escape(end)}", prompt[len(first) - start.end() :], re.DOTALL)
        for start in re.finditer(_BEFORE, first)
        if prompt.startswith(first[start.end() :])
        and (start.end() < len(first) or _NOTHING_YET.search(first))
        for end in ends
    )


def read(path: Path) -> Notebook:
    """Return what a notebook says of recordings; raise `StoreError` for what is no notebook."""
    return loaded(path, read_bytes)


def loaded(path: Path, of: Callable[[bytes], T]) -> T:
    """Return what `of` makes of a notebook's bytes; raise `StoreError` where it raises `ValueError`."""
    try:
        return of(path.read_bytes())
    except OSError as error:
        raise StoreError(
            f"{path.name} cannot be read: {error.strerror or error}.", "Name a notebook."
        ) from None
    except ValueError as error:
        raise StoreError(
            f"{path.name} is no notebook ({error}).", "Name an .ipynb file of nbformat 4."
        ) from None


def read_bytes(data: bytes) -> Notebook:
    """Return what a notebook says, from its bytes; raise `ValueError` for other bytes."""
    return _parsed(data, _read)


def outputs_of(data: bytes) -> list[tuple[int, Mapping[str, str]]]:
    """Return every output of a notebook as its cell's number, from 1, and its contents by media type.

    Raises `ValueError` for other bytes.
    """
    return _parsed(data, lambda notebook: [(cell, shown) for cell, _, shown in _shown(notebook)])


def _parsed(data: bytes, of: Callable[[Mapping[str, Any]], T]) -> T:
    try:
        notebook = json.loads(data)
        if notebook["nbformat"] != 4:
            raise ValueError(f"its format is {notebook['nbformat']}, not 4")
        return of(notebook)
    except (KeyError, TypeError, AttributeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(type(error).__name__) from None


def _read(notebook: Mapping[str, Any]) -> Notebook:
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    sources = tuple(_joined(cell["source"]) for cell in cells)
    return Notebook(tuple(_outputs(notebook)), sources)


def _shown(notebook: Mapping[str, Any]) -> Iterator[tuple[int, int, Mapping[str, str]]]:
    for cell, said in enumerate(notebook["cells"], 1):
        for number, output in enumerate(said.get("outputs", ()), 1):
            contents = output.get("data", {}).items()
            texts = {kind: _joined(content) for kind, content in contents if isinstance(content, str | list)}
            yield cell, number, texts


def _outputs(notebook: Mapping[str, Any]) -> Iterator[Output]:
    for cell, number, shown in _shown(notebook):
        text = "\n".join(shown.get(kind, "") for kind in _TEXTS)
        if hashes := tuple(dict.fromkeys(_NAMED.findall(text))):
            images = tuple(_sha256(shown[kind]) for kind in _IMAGES if kind in shown)
            yield Output(cell=cell, number=number, text=text, hashes=hashes, images=images)


def _joined(text: str | list[str]) -> str:
    return "".join(text)


def _sha256(encoded: str) -> str:
    try:
        return hashlib.sha256(base64.b64decode(encoded)).hexdigest()
    except (binascii.Error, ValueError):
        return "no base64"
