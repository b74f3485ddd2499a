"""Recipes: of a saved file as a result again, of a picture as text."""

from __future__ import annotations

import hashlib
from pathlib import Path

from beluga_nb.config.preferences import resolved
from beluga_nb.config.settings import Settings
from beluga_nb.errors import MetadataError, UnknownNameError
from beluga_nb.metadata import files
from beluga_nb.placeholders import filled
from beluga_nb.result import Picture, Recipe, Result
from beluga_nb.text import sanitize


def opened(path: Path) -> Result:
    """Return the picture of a file as a result, with the service's exact bytes if the file still has them.

    Raises `MetadataError` for a missing file, a file that is no picture, and one without a recipe.
    """
    saved = files.read(path)
    recipes = [Recipe.from_json(text) for text in saved.recipes]
    sha256 = hashlib.sha256(saved.bare).hexdigest()
    # A program that edited the picture keeps the recipe, whose hash then differs.
    own = [recipe for recipe, original in recipes if original == sha256]
    recipe, data = (own[0], saved.bare) if own else (recipes[0][0], saved.data)
    result = Result(recipe.request, (Picture(data, saved.media_type, recipe),))
    return result if _has_true_template(recipe) else result.from_template(None, {})


def check_model(result: Result, settings: Settings) -> None:
    """Raise `MetadataError` where the model of a result is an alias in the settings."""
    asked = {"n": 1} | result.recipe.arguments
    # Asked for again, it would be what the alias stands for, which the file does not contain.
    if resolved(asked, settings) != asked:
        model = sanitize(result.request.model, 80)
        raise MetadataError(
            f"The recipe asks for the model '{model}', which stands for another request here.",
            "Rename that alias. PIL.Image.open() opens the picture itself.",
        )


def _has_true_template(recipe: Recipe) -> bool:
    # A file may claim any template: one that does not give its prompt is none.
    try:
        return recipe.template is None or filled(recipe.template, recipe.values) == recipe.request.prompt
    except UnknownNameError:
        return False


def recipe_text(picture: Picture) -> str:
    """Return a picture's recipe without its prompt, a line for each value."""
    recipe, request = picture.recipe, picture.recipe.request
    lines = {name: str(value) for name, value in request.parameters.items() if name != "prompt"}
    lines |= {"take": sanitize(request.take, 80), "sample": str(request.sample)}
    lines |= {"engine": sanitize(recipe.engine, 80)}
    lines |= {"revised prompt": sanitize(recipe.revised_prompt or "", 400), "sha256": picture.sha256}
    return "\n".join(f"{name}: {sanitize(value)}" for name, value in lines.items() if value)
