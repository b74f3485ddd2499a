"""What a notebook shows of a result: HTML, one small image, and a text that names the exact bytes.

All of it is a pure function of the pictures: no durations, addresses or random ids, so that a notebook
that is run again shows the same bytes. The HTML survives an untrusted notebook: inline styles, inherited
colours, no script, no link, no class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Protocol

import pybase64

from beluga_nb.result import Bundle, MissingPicture, Picture, Preview, Recipe, Result
from beluga_nb.show.preview import montage, preview_of, thumbnail
from beluga_nb.text import LONGEST_OUTSIDE_TEXT, plural, sanitize

LOCAL_PREVIEW = "local preview, not model output"

NO_PICTURE = "No picture yet."

NOT_HERE = "the original is not here: git lfs pull"

Link = Callable[[Picture], str]
"""Where a picture lies, seen from the notebook; empty where that cannot be said."""


class Described(Protocol):
    """A picture, as far as words tell of it."""

    @property
    def recipe(self) -> Recipe: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def sha256(self) -> str: ...


def outside(text: str, longest: int = LONGEST_OUTSIDE_TEXT) -> str:
    """Return text from anywhere as it may stand in HTML, between tags or in the quotes of an attribute.

    >>> outside('<b onclick="x()">\\x1b[31m')
    '&lt;b onclick=&quot;x()&quot;&gt;'
    """
    return escape(sanitize(text, longest))


def address(source: str) -> str:
    """Return where a picture comes from as it may stand in an attribute: what holds it, or a way to it."""
    return escape(source) if source.startswith("data:") else outside(source, _LONGEST_ADDRESS)


def nowhere(_: Picture) -> str:
    """Return no link."""
    return ""


_GRID = "display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start"
_FIGURE = "margin:0;max-width:100%"
_IMAGE = "max-width:100%;height:auto;border-radius:4px;display:block;margin:0"
_CAPTION = "font-size:85%;opacity:.75;padding-top:4px"
_CELL = "text-align:left;padding:2px 14px 2px 0;vertical-align:top"
_LONGEST_ADDRESS = 4000
_WIDEST_SINGLE, _WIDEST_OF_MANY = 512, 256


def bundle(
    result: Result,
    sheet: Callable[[Sequence[Preview]], Preview] = montage,
    *,
    embed: str = "preview",
    link: Link = nowhere,
) -> Bundle:
    """Return what Jupyter's display protocol takes: HTML, one PNG or JPEG, and plain text.

    `sheet` makes one preview of several, for what shows a single image only. `embed` says what the HTML
    holds: each picture's "preview"; the "original", to the byte; a "link" to where `link` says that it
    lies, if it does; or "none", the words alone.
    """
    if not result.pictures:
        return {"text/plain": text(result)}
    if embed == "none":
        return {"text/html": html(result, [""] * len(result)), "text/plain": text(result)}
    links = [link(picture) for picture in result.pictures] if embed == "link" else []
    if links and all(links):
        return {"text/html": html(result, links), "text/plain": text(result, links)}
    previews = [preview_of(picture) for picture in result.pictures]
    single = previews[0] if len(previews) == 1 else sheet(previews)
    shown = map(_original, result.pictures, previews) if embed == "original" else previews
    return {
        "text/html": html(result, [data_uri(each) for each in shown]),
        single.media_type: _base64(single),
        "text/plain": text(result),
    }


def _original(picture: Picture, small: Preview) -> Preview:
    return small if isinstance(picture, MissingPicture) else Preview(picture.data, picture.media_type)


def still(results: Sequence[Result], sheet: Callable[[Sequence[Preview]], Preview] = montage) -> Bundle:
    """Return several results at once: small pictures as HTML, one sheet of them, and their texts."""
    results = [result for result in results if result.pictures]
    pictures = [picture for result in results for picture in result.pictures]
    if len(pictures) == 1:
        return bundle(results[0])
    if not pictures:
        return {"text/plain": NO_PICTURE}
    previews = [preview_of(picture) for picture in pictures]
    sources = [data_uri(thumbnail(each, _WIDEST_OF_MANY)) for each in previews]
    figures = "".join(
        _figure(picture, source, _WIDEST_OF_MANY) for picture, source in zip(pictures, sources, strict=True)
    )
    single = sheet(previews)
    return {
        "text/html": f'<div style="{_GRID}">{figures}</div>',
        single.media_type: _base64(single),
        "text/plain": "\n".join(text(result) for result in results),
    }


def html(result: Result, sources: Sequence[str]) -> str:
    """Return one figure for each picture, shown from its source, if it has one, in a grid that wraps."""
    widest = _WIDEST_SINGLE if len(sources) == 1 else _WIDEST_OF_MANY
    figures = "".join(
        _figure(picture, source, widest) for picture, source in zip(result.pictures, sources, strict=True)
    )
    return f'<div style="{_GRID}">{figures}</div>'


def _figure(picture: Picture, source: str, widest: int) -> str:
    width, height = _fitted(picture.size, widest)
    words = outside(alt(picture))
    image = (
        f'<img src="{address(source)}" alt="{words}" width="{width}" height="{height}" style="{_IMAGE}">'
        if source
        else f"<div>{words}</div>"
    )
    return (
        f'<figure style="{_FIGURE};width:{width}px">{image}'
        f'<figcaption style="{_CAPTION}">{outside(caption(picture))}</figcaption></figure>'
    )


def _fitted(size: tuple[int, int], widest: int) -> tuple[int, int]:
    width, height = size
    scale = min(1.0, widest / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def alt(picture: Described) -> str:
    """Return the text alternative: what was asked for, and whether a model made it."""
    prompt = sanitize(picture.recipe.request.prompt, 300)
    return f"{prompt} ({LOCAL_PREVIEW})" if picture.recipe.procedural else prompt


def caption(picture: Described) -> str:
    """Return the line under a picture: model, pixels, and a warning where no model made it."""
    request = picture.recipe.request
    width, height = picture.size
    words = [sanitize(request.model, 80), f"{width} × {height}"]
    words += [sanitize(request.quality, 40)] if request.quality else []
    words += [f"take {sanitize(request.take, 40)}"] if request.take else []
    words += [LOCAL_PREVIEW] if picture.recipe.procedural else []
    words += [NOT_HERE] if isinstance(picture, MissingPicture) else []
    return " · ".join(words)


def text(result: Result, links: Sequence[str] = ()) -> str:
    """Return the result as text: the prompt, and a line with the SHA-256 for each picture, and its link."""
    count = plural(len(result), "picture")
    lines = [f"{count} of “{sanitize(result.request.prompt, 200)}”"]
    lines += [f"{caption(picture)} · sha256:{picture.sha256}" for picture in result.pictures]
    return "\n".join([*lines, *(sanitize(link, _LONGEST_ADDRESS) for link in links)])


def data_uri(shown: Preview) -> str:
    """Return a picture as an address that holds it."""
    return f"data:{sanitize(shown.media_type, 80)};base64,{_base64(shown)}"


def _base64(shown: Preview) -> str:
    return pybase64.b64encode(shown.data).decode()


def table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> Bundle:
    """Return a table as HTML and as aligned text."""
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
    """Return what is shown with a line below it, if there is one."""
    if not note:
        return shown
    return {
        "text/html": f'{shown["text/html"]}<p style="margin:.6em 0">{outside(note)}</p>',
        "text/plain": f"{shown['text/plain']}\n{sanitize(note)}",
    }


def status_lines(facts: Mapping[str, str], examples: Sequence[str]) -> Bundle:
    """Return the state of a session, and examples to go on with."""
    shown = table(list(facts.items()))
    examples = [sanitize(each) for each in examples]
    tried = "".join(f"<code>{outside(example)}</code><br>" for example in examples)
    return {
        "text/html": f'{shown["text/html"]}<p style="margin:.6em 0">Try<br>{tried}</p>',
        "text/plain": "\n".join([shown["text/plain"], "", "Try", *(f"  {each}" for each in examples)]),
    }
