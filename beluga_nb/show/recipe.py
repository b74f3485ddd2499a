"""A saved file becomes the result again that it was saved from."""

from __future__ import annotations

import hashlib
from pathlib import Path

from beluga_nb.core import Picture, Recipe, Result
from beluga_nb.metadata import files
from beluga_nb.metadata.embedding import strip


def opened(path: Path) -> Result:
    """Return the one picture of a file, with the bytes that came from the service where they are still there.

    Raises `MetadataError` for a file that is not there, is no picture, or holds no recipe.
    """
    data, media_type, text = files.read(path)
    recipe, sha256 = Recipe.from_json(text)
    original = strip(data, media_type)
    if hashlib.sha256(original).hexdigest() != sha256:
        original = data
    return Result(recipe.request, (Picture(original, media_type, recipe),))
