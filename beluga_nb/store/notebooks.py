"""Reads from a notebook which recordings it needs: the hashes in its outputs, the prompts in its cells."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from beluga_nb.errors import StoreError
from beluga_nb.paths import read_file
from beluga_nb.placeholders import PLACEHOLDER
from beluga_nb.store.format import Entry
from beluga_nb.text import in_order, sanitize
from beluga_nb.untrusted import DAMAGE, load_json

T = TypeVar("T")

LARGEST = 256 * 2**20
"""Bytes of a notebook that is read: some thousand pictures."""

_FILLED = re.compile(PLACEHOLDER)
_END = re.compile(r"[\"'\n]")
_MAGIC = "beluga"

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
        """Its cell and number, for a message."""
        return f"cell {self.cell}, output {self.number}"


@dataclass(frozen=True)
class Notebook:
    """A notebook that was read: what its outputs show, and the source of its code cells."""

    outputs: tuple[Output, ...]
    sources: tuple[str, ...]

    @cached_property
    def hashes(self) -> set[str]:
        """The pictures that its outputs name."""
        return {name for output in self.outputs for name in output.hashes}

    def needs(self, entry: Entry) -> bool:
        """Whether an output shows what is recorded, or a cell asks for it."""
        shown = entry.image is not None and entry.image.sha256 in self.hashes
        return shown or self.asks_for(entry.request.prompt)

    def asks_for(self, prompt: str) -> bool:
        """Whether a cell holds a prompt, as it stands or with `{{name}}` in it for any text.

        Outputs do not name all recordings: a cell that assigns shows nothing, and a refusal has no picture.
        """
        text = prompt.strip()
        return any(piece.holds(text) for piece in self._pieces)

    def work(self, prompt: str) -> int:
        """Return about how many characters `asks_for` compares."""
        # The work is bounded, since prompts and cells may come from a stranger.
        filled = sum(min(len(piece.parts[0]), len(prompt)) for piece in self._pieces if len(piece.parts) > 1)
        # Searching for a plain text is a hundred times faster.
        return filled + sum(map(len, self.sources)) // 100

    @cached_property
    def _pieces(self) -> list[_Piece]:
        lines = (line for source in self.sources for line in source.splitlines() if _FILLED.search(line))
        return [_Piece(text) for text in (*self.sources, *lines)]


@dataclass(frozen=True)
class _Piece:
    """The source of a cell, or a line of it with `{{name}}`, in which prompts are searched for."""

    text: str

    def holds(self, prompt: str) -> bool:
        """Whether a prompt stands between blanks or quotes, verbatim or with its names filled."""
        return self._holds_verbatim(prompt) or (len(self.parts) > 1 and self._holds_filled(prompt))

    @cached_property
    def parts(self) -> list[str]:
        """The texts before, between and after the names."""
        return _FILLED.split(self.text)

    @cached_property
    def _ends(self) -> list[int]:
        return [*(match.start() for match in _END.finditer(self.text)), len(self.text.rstrip())]

    def _holds_verbatim(self, prompt: str) -> bool:
        # Fast path: `in` rules out nearly all prompts.
        return prompt in self.text and any(
            self.text.endswith(prompt, 0, end) and _begins(self.text, end - len(prompt)) for end in self._ends
        )

    def _holds_filled(self, prompt: str) -> bool:
        first, *between, last = self.parts
        start = _start(first, prompt)
        if start is None:
            return False
        # The earliest start leaves the most of the prompt to match, so no other start can succeed instead.
        begun = len(first) - start
        lasts = {last.rstrip(), _END.split(last, maxsplit=1)[0]}
        return any(in_order(prompt, ["", *between, each], begun) for each in lasts)


def _begins(source: str, place: int) -> bool:
    return not place or source[place - 1].isspace() or source[place - 1] in "\"'"


def _start(first: str, prompt: str) -> int | None:
    """Return the last index before the first name at which a prompt may begin, or None."""
    if _begins(first, len(first)) and _has_no_words(first):
        return len(first)
    places = range(len(first) - 1, max(0, len(first) - len(prompt)) - 1, -1)
    return next((at for at in places if _begins(first, at) and prompt.startswith(first[at:])), None)


def _has_no_words(first: str) -> bool:
    """Whether a prompt begins with its first name: only a quote, or the magic and its options, precede it."""
    words = first.split()
    if not words or words[-1][-1] in "\"'":
        return True
    while words and not words[-1].endswith(_MAGIC):
        if words[-1].startswith("-"):
            words.pop()
        elif len(words) > 1 and words[-2].startswith("-"):
            del words[-2:]
        else:
            return False
    return bool(words)


def read(path: Path) -> Notebook:
    """Return a notebook's outputs and sources; raise `StoreError` for a file that is not a notebook."""
    return loaded(path, read_bytes)


def loaded(path: Path, parse: Callable[[bytes], T]) -> T:
    """Return what `parse` makes of a notebook's bytes; raise `StoreError` where it raises `ValueError`."""
    try:
        return parse(read_file(path, LARGEST))
    except OSError as error:
        raise StoreError(
            f"{sanitize(path.name or str(path), 120)} cannot be read: {error.strerror or error}.",
            "Name a notebook.",
        ) from None
    except ValueError as error:
        raise StoreError(
            f"{sanitize(path.name, 120)} is not a notebook ({sanitize(str(error), 80)}).",
            "Name an .ipynb file of nbformat 4.",
        ) from None


def read_bytes(data: bytes) -> Notebook:
    """Return a notebook from its bytes; raise `ValueError` for other bytes."""
    return _parsed(data, _read)


def outputs_of(data: bytes) -> list[tuple[int, Mapping[str, str]]]:
    """Return every output of a notebook as its cell's number, from 1, and its contents by media type.

    Raises `ValueError` for other bytes.
    """
    return _parsed(data, lambda notebook: [(cell, shown) for cell, _, shown in _shown(notebook)])


def _parsed(data: bytes, parse: Callable[[Mapping[str, Any]], T]) -> T:
    try:
        notebook = load_json(data)
        if notebook["nbformat"] != 4:
            raise _OtherFormatError(f"its format is {sanitize(str(notebook['nbformat']), 20)}, not 4")
        return parse(notebook)
    except _OtherFormatError:
        raise
    except DAMAGE as error:
        raise ValueError(type(error).__name__) from None


class _OtherFormatError(ValueError):
    """A notebook of another format."""


def _read(notebook: Mapping[str, Any]) -> Notebook:
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    sources = tuple(_joined(cell["source"]) for cell in cells)
    return Notebook(tuple(_outputs(notebook)), sources)


def _shown(notebook: Mapping[str, Any]) -> Iterator[tuple[int, int, Mapping[str, str]]]:
    for cell, fields in enumerate(notebook["cells"], 1):
        for number, output in enumerate(fields.get("outputs", ()), 1):
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
