"""What the lightbox shows of a picture: its recipe, and the cell that requests it again.

The lightbox is a script of ours (templates/lightbox.js), which each output with pictures holds. It needs no
network and no kernel, so it works in saved and converted notebooks, too. Where scripts are removed, as in a
notebook that is not trusted yet, the pictures stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable

from beluga_nb.errors import RequestError
from beluga_nb.result import Result
from beluga_nb.show.markup import LOCAL_PREVIEW, Described, outside, verbatim
from beluga_nb.show.template import fill, read_template
from beluga_nb.text import sanitize

LONGEST_PROMPT = 2000
"""Characters of a prompt that a recipe shows, and of a cell."""


def recipe_lines(picture: Described) -> list[tuple[str, str]]:
    """Return the recipe of a picture as names and values."""
    recipe, request = picture.recipe, picture.recipe.request
    width, height = picture.size
    lines = {
        "prompt": sanitize(request.prompt, LONGEST_PROMPT),
        "model": f"{sanitize(request.model, 80)} ({LOCAL_PREVIEW})"
        if recipe.procedural
        else sanitize(request.model, 80),
        "size": f"{sanitize(request.size or 'default', 20)}, {width} × {height} pixels",
        "quality": sanitize(request.quality or "", 40),
        "take": sanitize(request.take, 60),
        "sample": f"{request.sample} (the first is 0)",
        "revised prompt": sanitize(recipe.revised_prompt or "", LONGEST_PROMPT),
        "sha256": picture.sha256,
    }
    return [(name, text) for name, text in lines.items() if text]


def recipe_html(lines: Iterable[tuple[str, str]]) -> str:
    """Return lines of a recipe as HTML."""
    return "".join(
        fill("show/recipe-line.html", name=outside(name), value=outside(value, LONGEST_PROMPT))
        for name, value in lines
    )


def cell_of(result: Result) -> str:
    """Return the cell that requests a result: a magic, or Python where the magic lacks an option."""
    try:
        return result.to_magic()
    except RequestError:
        return f"import beluga_nb\n\n{result.to_python()}"


def cell_attribute(picture: Described) -> str:
    """Return the cell that requests a picture, for its `data-cell`.

    It is empty if it would be long, or if it holds invisible characters.
    """
    cell = cell_of(Result(picture.recipe.request, ()))
    return verbatim(cell) if len(cell) <= LONGEST_PROMPT else ""


def lightbox() -> str:
    """Return the script that opens pictures, for the end of each output that has some.

    It opens each `<img data-cell>` inside a `data-beluga` element. The recipes there, `data-recipe`, are in
    the order of the pictures; `data-shared` is what all recipes share.
    """
    return fill("show/lightbox.html", script=script())


def script() -> str:
    """Return the code of the lightbox in one line, which a notebook's file does not break into many.

    So each of its statements ends with a semicolon.
    """
    return "".join(read_template("show/lightbox.js").splitlines())
