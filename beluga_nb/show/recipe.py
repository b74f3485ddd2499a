"""A saved file becomes the result again that it was saved from, and a result the cell that asks for it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from beluga_nb.compare.template import filled
from beluga_nb.errors import RequestError, UnknownNameError
from beluga_nb.metadata import files
from beluga_nb.result import Picture, Recipe, Result


def opened(path: Path) -> Result:
    """Return the one picture of a file, with the bytes that came from the service where they are still there.

    Raises `MetadataError` for a file that is not there, is no picture, or holds no recipe.
    """
    saved = files.read(path)
    recipes = [Recipe.from_json(text) for text in saved.recipes]
    sha256 = hashlib.sha256(saved.bare).hexdigest()
    own = [recipe for recipe, original in recipes if original == sha256]
    recipe, data = (own[0], saved.bare) if own else (recipes[0][0], saved.data)
    result = Result(recipe.request, (Picture(data, saved.media_type, recipe),))
    return result if _has_true_template(recipe) else result.from_template(None, {})


def _has_true_template(recipe: Recipe) -> bool:
    # A file may claim any template: one that does not give its prompt is none.
    try:
        return recipe.template is None or filled(recipe.template, recipe.values) == recipe.request.prompt
    except UnknownNameError:
        return False


def cell_of(result: Result) -> str:
    """Return the cell that asks for a result: a magic, or Python where only that can say it all."""
    try:
        return result.to_magic()
    except RequestError:
        return f"import beluga_nb\n\n{result.to_python()}"
