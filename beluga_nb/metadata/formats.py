"""The format of a picture, by its first bytes."""

from __future__ import annotations

from beluga_nb.metadata import jpeg, png, webp


def sniff(data: bytes) -> str | None:
    """Return the media type of a PNG, JPEG or WebP by its signature, or None.

    >>> sniff(bytes.fromhex("ffd8ffe0"))
    'image/jpeg'
    """
    if data.startswith(png.SIGNATURE):
        return "image/png"
    if data.startswith(jpeg.SIGNATURE + b"\xff"):
        return "image/jpeg"
    return "image/webp" if webp.is_webp(data) else None
