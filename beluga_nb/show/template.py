"""Templates: the HTML, CSS and JavaScript of what is shown, in files of their own.

They lie in the folder `templates` of the package that uses them, and are named as in "show/page.html".
"""

from __future__ import annotations

from functools import cache
from html import escape
from importlib.resources import files
from string import Template


@cache
def read_template(name: str) -> str:
    """Return the text of a template, without its indentation; HTML without its line breaks, too.

    A script comes without the lines that are comments or empty.
    """
    package, _, file = name.partition("/")
    text = (files("beluga_nb") / package / "templates" / file).read_text("utf-8")
    # What only explains or lays out the file would grow each notebook, and separate inline elements.
    lines = [line.strip() for line in text.splitlines()]
    if file.endswith(".html"):
        return "".join(lines)
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def script_of(*names: str) -> str:
    """Return scripts, one after the other, as the value of an attribute such as `onload`."""
    return escape("\n".join(map(read_template, names)))


def fill(template: str, /, **values: str) -> str:
    """Return a template with its `$names` replaced by values, which are escaped where they are text.

    >>> fill("show/page-axis.html", name="size", labels="")
    '<fieldset><legend>size</legend></fieldset>'
    """
    return Template(read_template(template)).substitute(values)


def document(
    body: str,
    *,
    title: str,
    style: str,
    policy: str = "style-src 'unsafe-inline'",
    generator: str = "beluga_nb",
) -> str:
    """Return a whole page; `policy` is what its Content-Security-Policy allows, and all else is forbidden."""
    return fill("show/document.html", body=body, title=title, style=style, policy=policy, generator=generator)
