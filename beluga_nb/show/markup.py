"""Results as a notebook shows them: HTML, one small image, and a text with the SHA-256 of each picture.

All of it is a pure function of the pictures: no durations, addresses or random ids, so a notebook that is
run again shows the same bytes. Untrusted notebooks are sanitized, so the HTML has inline styles and
inherited colours, and no script, link or class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Protocol

import pybase64

from beluga_nb.images import within
from beluga_nb.result import Bundle, MissingPicture, Picture, Preview, Recipe, Result
from beluga_nb.show.preview import montage, preview_of, thumbnail
from beluga_nb.show.template import fill
from beluga_nb.text import LONGEST_OUTSIDE_TEXT, plural, sanitize

LOCAL_PREVIEW = "local preview, not model output"

NO_PICTURE = "No picture yet."

NOT_HERE = "the original is not here: git lfs pull"

Link = Callable[[Picture], str]
"""Returns the address of a picture relative to the notebook; empty if it has none."""


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
    return escape(source) if source.startswith("data:") else outside(source, _LONGEST_ADDRESS)


def nowhere(_: Picture) -> str:
    """Return no link."""
    return ""


_GRID = "display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start"
_LONGEST_ADDRESS = 4000
_WIDEST_SINGLE, _WIDEST_OF_MANY = 512, 256


def bundle(
    result: Result,
    sheet: Callable[[Sequence[Preview]], Preview] = montage,
    *,
    embed: str = "preview",
    link: Link = nowhere,
) -> Bundle:
    """Return a MIME bundle: HTML, one PNG or JPEG, and plain text.

    `sheet` makes one preview of several, for front ends that show a single image. `embed` chooses what the
    HTML shows of each picture: the "preview"; the exact bytes of the "original"; a "link", where `link` has
    one for every picture; or "none", the text alternative.
    """
    if not result.pictures:
        return {"text/plain": text(result)}
    if embed == "none":
        return {"text/html": html(result, [""] * len(result)), "text/plain": text(result)}
    # Links only if every picture has one: half a row of links would look like failures.
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
    # The original of a Git LFS pointer is not on this machine.
    return small if isinstance(picture, MissingPicture) else Preview(picture.data, picture.media_type)


def still(results: Sequence[Result], sheet: Callable[[Sequence[Preview]], Preview] = montage) -> Bundle:
    """Return the MIME bundle of several results: small pictures as HTML, one sheet of them, and text."""
    results = [result for result in results if result.pictures]
    pictures = [picture for result in results for picture in result.pictures]
    if len(pictures) == 1:
        return bundle(results[0])
    if not pictures:
        return {"text/plain": NO_PICTURE}
    previews = [preview_of(picture) for picture in pictures]
    sources = [data_uri(thumbnail(each, _WIDEST_OF_MANY)) for each in previews]
    single = sheet(previews)
    return {
        "text/html": _figures(pictures, sources, _WIDEST_OF_MANY),
        single.media_type: _base64(single),
        "text/plain": "\n".join(text(result) for result in results),
    }


def html(result: Result, sources: Sequence[str]) -> str:
    """Return a figure for each picture, in a grid that wraps; an empty source shows the text alternative."""
    return _figures(result.pictures, sources, _WIDEST_SINGLE if len(sources) == 1 else _WIDEST_OF_MANY)


def _figures(pictures: Sequence[Picture], sources: Sequence[str], widest: int) -> str:
    figures = "".join(_figure(*each, widest) for each in zip(pictures, sources, strict=True))
    return f'<div style="{_GRID}">{figures}</div>'


def _figure(picture: Picture, source: str, widest: int) -> str:
    width, height = map(str, within(picture.size, widest))
    words = outside(alt(picture))
    image = (
        fill("show/figure-image.html", source=address(source), alt=words, width=width, height=height)
        if source
        else f"<div>{words}</div>"
    )
    return fill("show/figure.html", width=width, image=image, caption=outside(caption(picture)))


def alt(picture: Described) -> str:
    """Return the text alternative: the prompt, and a note on local previews."""
    prompt = sanitize(picture.recipe.request.prompt, 300)
    return f"{prompt} ({LOCAL_PREVIEW})" if picture.recipe.procedural else prompt


def caption(picture: Described) -> str:
    """Return the line under a picture: model, pixels, options, and a note on local previews."""
    request = picture.recipe.request
    width, height = picture.size
    words = [sanitize(request.model, 80), f"{width} × {height}"]
    words += [sanitize(request.quality, 40)] if request.quality else []
    words += [f"take {sanitize(request.take, 40)}"] if request.take else []
    words += [LOCAL_PREVIEW] if picture.recipe.procedural else []
    words += [NOT_HERE] if isinstance(picture, MissingPicture) else []
    return " · ".join(words)


def text(result: Result, links: Sequence[str] = ()) -> str:
    """Return the result as text: the prompt, a line with the SHA-256 of each picture, and the links."""
    count = plural(len(result), "picture")
    lines = [f"{count} of “{sanitize(result.request.prompt, 200)}”"]
    lines += [f"{caption(picture)} · sha256:{picture.sha256}" for picture in result.pictures]
    return "\n".join([*lines, *(sanitize(link, _LONGEST_ADDRESS) for link in links)])


def data_uri(shown: Preview) -> str:
    """Return a picture as a data URI."""
    return f"data:{sanitize(shown.media_type, 80)};base64,{_base64(shown)}"


def _base64(shown: Preview) -> str:
    return pybase64.b64encode(shown.data).decode()
