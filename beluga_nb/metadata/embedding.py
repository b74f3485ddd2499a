"""Embed metadata in the bytes of a picture and remove it again, without encoding a pixel anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from beluga_nb.errors import MetadataError
from beluga_nb.metadata import jpeg, png, webp, xmp


class Container(NamedTuple):
    """The functions of one format: find its XMP packet, replace or remove it, detect a signature."""

    find: Callable[[bytes], bytes | None]
    put: Callable[[bytes, bytes | None], bytes]
    has_c2pa: Callable[[bytes], bool]


CONTAINERS: Mapping[str, Container] = {
    "image/png": Container(png.find, png.put, png.has_c2pa),
    "image/jpeg": Container(jpeg.find, jpeg.put, jpeg.has_c2pa),
    "image/webp": Container(webp.find, webp.put, webp.has_c2pa),
}


def embed(data: bytes, media_type: str, properties: Mapping[str, str]) -> bytes:
    """Return the file with the properties in its XMP packet, instead of those of an earlier call.

    `strip` gives the original bytes back. Raises `MetadataError` if that, or embedding, is impossible.
    """
    container = _container(media_type)
    bare = strip(data, media_type)
    embedded = container.put(bare, xmp.joined(container.find(bare), properties))
    # The original bytes are what was paid for, and their hash is in the recipe.
    if strip(embedded, media_type) != bare:
        raise MetadataError("Metadata in this file could not be taken out again.")
    return embedded


def strip(data: bytes, media_type: str) -> bytes:
    """Return the file without what `embed` added; the same file if it added nothing."""
    container = _container(media_type)
    packet = container.find(data)
    if packet is None or (rest := xmp.without(packet)) == packet:
        return data
    return container.put(data, rest)


def extract(data: bytes, media_type: str) -> str | None:
    """Return the recipe's JSON that a file holds, or None; raise `MetadataError` for a damaged file."""
    packet = _container(media_type).find(data)
    return None if packet is None else xmp.recipe(packet)


def drawn(data: bytes, media_type: str) -> str | None:
    """Return the JSON of what the built-in painter drew, or None; raise `MetadataError` as `extract`."""
    packet = _container(media_type).find(data)
    return None if packet is None else xmp.drawn(packet)


def has_c2pa(data: bytes, media_type: str) -> bool:
    """Whether the file holds a signed C2PA manifest; any change makes the signature invalid."""
    return _container(media_type).has_c2pa(data)


def _container(media_type: str) -> Container:
    try:
        return CONTAINERS[media_type]
    except KeyError:
        raise MetadataError(f"Nothing is embedded into {media_type}.") from None
