"""Templates: the HTML, CSS and JavaScript of what is shown, in files of their own.

They lie in the folder `templates` of the package that uses them, and are named as in "show/page.html".
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from string import Template


@cache
def read_template(name: str) -> str:
    """Return the text of a template; HTML comes without its line breaks and indentation."""
    package, _, file = name.partition("/")
    text = (files("beluga_nb") / package / "templates" / file).read_text("utf-8")
    # White space that only lays out the file would grow each notebook, and separate inline elements.
    return "".join(map(str.strip, text.splitlines())) if file.endswith(".html") else text


def fill(template: str, /, **values: str) -> str:
    """Return a template with its `$names` replaced by values, which are escaped where they are text.

    >>> fill("show/page-axis.html", name="size", labels="")
    '<fieldset><legend>size</legend></fieldset>'
    """
    return Template(read_template(template)).substitute(values)
