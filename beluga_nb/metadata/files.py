"""Pictures on disk with their metadata: inside the file, or in a sidecar `whale.png.xmp`."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from beluga_nb.caller import warn
from beluga_nb.errors import MetadataError, StoreError, UnknownNameError
from beluga_nb.metadata import xmp
from beluga_nb.metadata.embedding import embed, extract, has_c2pa, strip
from beluga_nb.metadata.formats import sniff
from beluga_nb.paths import not_written, read_file, write_file

WAYS = ("auto", "embed", "sidecar", "none")
"""Where metadata goes. "auto" embeds it, or writes a sidecar if the file is signed."""

LARGEST = 256_000_000
"""Most bytes of a file that is opened."""

_SIGNED = "The picture is signed (C2PA), and any change makes the signature invalid."


def write(path: Path, data: bytes, media_type: str, properties: Mapping[str, str], *, how: str) -> None:
    """Write a picture with its metadata.

    If embedding is impossible, a sidecar is written and a warning gives the reason. Raises
    `UnknownNameError` if `how` is not one of `WAYS`, and `StoreError` if the file cannot be written.
    """
    if how not in WAYS:
        raise UnknownNameError("way to save metadata", str(how), WAYS)
    data, why = _prepared(data, media_type, properties, how)
    try:
        write_file(path, data)
        if why or how == "sidecar":
            _write_sidecar(sidecar(path), properties)
        else:
            _remove_sidecar(sidecar(path))
    except OSError as error:
        raise not_written(path, error) from None
    if why:
        warn(f"{why} The recipe is in {sidecar(path).name}.")


def _prepared(data: bytes, media_type: str, properties: Mapping[str, str], how: str) -> tuple[bytes, str]:
    """Return the bytes to write, and why they have no metadata if they should."""
    try:
        if how in {"none", "sidecar"}:
            return strip(data, media_type), ""
        if how == "auto" and has_c2pa(data, media_type):
            return data, _SIGNED
        return embed(data, media_type, properties), ""
    except MetadataError as error:
        return data, "" if how in {"none", "sidecar"} else error.message


class Saved(NamedTuple):
    """A picture on disk: its bytes, the bytes without embedded metadata, and its recipes as JSON."""

    data: bytes
    bare: bytes
    media_type: str
    recipes: tuple[str, ...]


def read(path: Path) -> Saved:
    """Return a picture with the recipes of its sidecar and of the file itself, in this order.

    Raises `MetadataError` if the file is missing, is no picture, or has no recipe.
    """
    data = _bytes(path)
    media_type = sniff(data)
    if media_type is None:
        raise MetadataError(
            f"'{path.name}' is not a PNG, JPEG or WebP.", "Only a picture that beluga_nb saved has a recipe."
        )
    # Read first: a sidecar is the only recipe of a signed picture, or of a damaged one.
    beside = _sidecar_recipe(sidecar(path))
    try:
        bare, inside = strip(data, media_type), extract(data, media_type)
    except MetadataError as error:
        if beside is None:
            raise MetadataError(f"No recipe can be read from '{path.name}'.", error.message) from None
        bare, inside = data, None
    recipes = tuple(each for each in (beside, inside) if each is not None)
    if not recipes:
        raise MetadataError(
            f"'{path.name}' holds no recipe.", "Pictures that save() wrote hold one, if nothing removed it."
        )
    return Saved(data, bare, media_type, recipes)


def sidecar(path: Path) -> Path:
    """Return the path of a picture's sidecar: `whale.png.xmp`, so that whale.jpg has another one."""
    return path.with_name(path.name + ".xmp")


def _bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise MetadataError(f"'{path.name or path}' is a folder.", "Give the name of a picture in it.")
        return read_file(path, LARGEST)
    except FileNotFoundError:
        raise MetadataError(f"There is no file '{path.name}'.", f"Looked in {_folder(path)}.") from None
    except OSError as error:
        raise MetadataError(
            f"'{path.name}' cannot be read: {error.strerror or error}.", "Name a picture that you may read."
        ) from None


def _folder(path: Path) -> str:
    return "the current folder" if path.parent == Path() else f"'{path.parent}'"


def _sidecar_recipe(path: Path) -> str | None:
    with contextlib.suppress(MetadataError, OSError):
        return xmp.recipe(read_file(path, xmp.LARGEST))
    return None


def _write_sidecar(path: Path, properties: Mapping[str, str]) -> None:
    try:
        other = xmp.without(read_file(path, xmp.LARGEST)) if path.exists() else None
        write_file(path, xmp.joined(other, properties))
    except MetadataError as error:
        raise MetadataError(
            f"The picture is saved, but its recipe is not: {path.name} is there already. {error.message}",
            "Move that file away, and save again.",
        ) from None
    except OSError as error:
        raise StoreError(
            f"The picture is saved, but its recipe is not: '{path.name}': {error.strerror or error}.",
            "Move that file away, and save again.",
        ) from None


def _remove_sidecar(path: Path) -> None:
    # The sidecar of an earlier save describes a picture that is overwritten now.
    if _sidecar_recipe(path) is None:
        return
    rest = xmp.without(read_file(path, xmp.LARGEST))
    if rest is None:
        path.unlink()
    else:
        write_file(path, rest)
