"""Text as HTML: escaped text from outside, a picture in words, and tables.

Untrusted notebooks are sanitized, so the HTML has inline styles and inherited colours, and no link or class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Protocol

import pybase64

from beluga_nb.result import Bundle, MissingPicture, Preview, Recipe
from beluga_nb.text import LONGEST_OUTSIDE_TEXT, printable, sanitize

LOCAL_PREVIEW = "local preview, not model output"

NOT_HERE = "the original is not here: git lfs pull"

LONGEST_ADDRESS = 4000
"""Characters of an address."""

_CELL = "text-align:left;padding:2px 14px 2px 0;vertical-align:top"


class Described(Protocol):
    """What captions and text alternatives need of a picture."""

    @property
    def recipe(self) -> Recipe: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def sha256(self) -> str: ...


def outside(text: str, longest: int = LONGEST_OUTSIDE_TEXT) -> str:
    """Return text from outside escaped for HTML: between tags, or in the quotes of an attribute.

    >>> outside('<b onclick="x()">\\x1b[31m')
    '&lt;b onclick=&quot;x()&quot;&gt;'
    """
    return escape(sanitize(text, longest))


def address(source: str) -> str:
    """Return a picture's source escaped for an attribute: a data URI, or an address."""
    # Base64 holds no control characters, and sanitizing megabytes of it would be slow.
    return escape(source) if source.startswith("data:") else outside(source, LONGEST_ADDRESS)


def verbatim(text: str) -> str:
    """Return lines of text escaped for an attribute; empty if they hold characters that are never shown.

    >>> verbatim("a fox\\n<in snow>"), verbatim("a\\u202efox")
    ('a fox&#10;&lt;in snow&gt;', '')
    """
    # In Markdown, an empty line would end the HTML.
    return escape(text).replace("\n", "&#10;") if printable(text) == text else ""


def alt(picture: Described) -> str:
    """Return the text alternative: the prompt, and a note on local previews."""
    prompt = sanitize(picture.recipe.request.prompt, 300)
    return f"{prompt} ({LOCAL_PREVIEW})" if picture.recipe.procedural else prompt


def caption(picture: Described) -> str:
    """Return the line under a picture: model, pixels, options, and a note on local previews."""
    return " · ".join(caption_words(picture))


def caption_words(picture: Described) -> list[str]:
    """Return the words of a caption."""
    request = picture.recipe.request
    width, height = picture.size
    words = [sanitize(request.model, 80), f"{width} × {height}"]
    words += [sanitize(request.quality, 40)] if request.quality else []
    words += [f"take {sanitize(request.take, 40)}"] if request.take else []
    words += [LOCAL_PREVIEW] if picture.recipe.procedural else []
    words += [NOT_HERE] if isinstance(picture, MissingPicture) else []
    return words


def data_uri(shown: Preview) -> str:
    """Return a picture as a data URI."""
    return f"data:{sanitize(shown.media_type, 80)};base64,{base64_of(shown)}"


def base64_of(shown: Preview) -> str:
    """Return the bytes of a picture in base64."""
    return pybase64.b64encode(shown.data).decode()


def table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> Bundle:
    """Return a table as HTML, and as text with aligned columns."""
    head = [sanitize(cell) for cell in head]
    rows = [[sanitize(cell) for cell in row] for row in rows]
    lines = [head, *rows] if head else rows
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    aligned = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return {"text/html": _table_html(rows, head), "text/plain": "\n".join(aligned)}


def _table_html(rows: Iterable[Sequence[str]], head: Sequence[str]) -> str:
    top = f"<thead>{_line(head, 'th')}</thead>" if head else ""
    return f"<table>{top}<tbody>{''.join(_line(row, 'td') for row in rows)}</tbody></table>"


def _line(cells: Sequence[str], tag: str) -> str:
    inner = "".join(f'<{tag} style="{_CELL}">{outside(cell)}</{tag}>' for cell in cells)
    return f"<tr>{inner}</tr>"


def noted(shown: Bundle, note: str) -> Bundle:
    """Return a bundle with a line of text below it, if there is one."""
    if not note:
        return shown
    return {
        "text/html": f'{shown["text/html"]}<p style="margin:.6em 0">{outside(note)}</p>',
        "text/plain": f"{shown['text/plain']}\n{sanitize(note)}",
    }


def status_lines(facts: Mapping[str, str], examples: Sequence[str]) -> Bundle:
    """Return the facts of `%beluga status` as a table, and examples below it."""
    shown = table(list(facts.items()))
    examples = [sanitize(each) for each in examples]
    codes = "".join(f"<code>{outside(example)}</code><br>" for example in examples)
    return {
        "text/html": f'{shown["text/html"]}<p style="margin:.6em 0">Try<br>{codes}</p>',
        "text/plain": "\n".join([shown["text/plain"], "", "Try", *(f"  {each}" for each in examples)]),
    }
