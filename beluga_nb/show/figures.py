"""Results as a notebook shows them: HTML, one small image, and a text with the SHA-256 of each picture.

All of it is a pure function of the pictures, so a notebook that is run again shows the same bytes. How long a
call took and what it cost are shown as they were recorded; a replay takes another time, and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from beluga_nb.images import within
from beluga_nb.result import Bundle, MissingPicture, Picture, Preview, Result
from beluga_nb.show.lightbox import cell_attribute, lightbox, recipe_html, recipe_lines
from beluga_nb.show.markup import (
    LONGEST_ADDRESS,
    account_words,
    address,
    alt,
    base64_of,
    caption,
    caption_words,
    data_uri,
    outside,
    usage_words,
)
from beluga_nb.show.preview import TILE_EDGE, are_light, montage, preview_of, thumbnail
from beluga_nb.show.tables import sentence
from beluga_nb.show.template import fill
from beluga_nb.text import plural, sanitize

NO_PICTURE = "No picture yet."

Link = Callable[[Picture], str]
"""Returns the address of a picture relative to the notebook; empty if it has none."""

_GAP = 12
_EDGES = {1: 512, 2: 320, 4: 320}
_EDGE_OF_MANY = 256
_FEW = 4


def nowhere(_: Picture) -> str:
    """Return no link."""
    return ""


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
        return {"text/html": _html(result, [""] * len(result)), "text/plain": text(result)}
    # Links only if every picture has one: half a row of links would look like failures.
    links = [link(picture) for picture in result.pictures] if embed == "link" else []
    if links and all(links):
        return {"text/html": _html(result, links), "text/plain": text(result, links)}
    previews = [preview_of(picture) for picture in result.pictures]
    single = previews[0] if len(previews) == 1 else sheet(previews)
    shown = map(_original, result.pictures, previews) if embed == "original" else previews
    return {
        "text/html": _html(result, [data_uri(each) for each in shown]),
        single.media_type: base64_of(single),
        "text/plain": text(result),
    }


def _html(result: Result, sources: Sequence[str]) -> str:
    return html(result.pictures, sources, usage_words(result.pictures))


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
        return sentence(f"{NO_PICTURE} Give results to show, as in gallery(*results).")
    previews = [preview_of(picture) for picture in pictures]
    small = previews if are_light(previews) else [thumbnail(each, TILE_EDGE) for each in previews]
    single = sheet(previews)
    return {
        "text/html": html(pictures, [data_uri(each) for each in small]),
        single.media_type: base64_of(single),
        "text/plain": "\n".join(text(result) for result in results),
    }


def html(pictures: Sequence[Picture], sources: Sequence[str], usage: Sequence[str] = ()) -> str:
    """Return the pictures in rows, and a line with their recipes; an empty source shows the text alternative.

    What all captions share stands in that line, once, and so does `usage`.
    """
    captions = [[*caption_words(picture), *account_words(picture)] for picture in pictures]
    shared = [word for word in captions[0] if all(word in words for words in captions)]
    count = [plural(len(pictures), "picture")] if len(pictures) > 1 else []
    columns, widths = columns_of(len(pictures)), _widths(pictures)
    rows = [widths[start : start + columns] for start in range(0, len(widths), columns)]
    # Few pictures keep their rows in a narrow window, and more of them wrap there.
    most = [_share(width, row) if len(pictures) <= _FEW else "100%" for row in rows for width in row]
    own = [[word for word in words if word not in shared] for words in captions]
    return fill(
        "show/result.html",
        width=str(max(sum(row) + _GAP * (len(row) - 1) for row in rows)),
        figures="".join(map(_figure, pictures, sources, widths, most, own)),
        line=outside(" · ".join([*count, *shared, *usage])),
        **_recipes(pictures),
        lightbox=lightbox() if any(sources) else "",
    )


def _share(width: int, row: Sequence[int]) -> str:
    """Return the most that a picture may take of its row."""
    part = width / sum(row)
    return f"calc({100 * part:.4g}% - {_GAP * (len(row) - 1) * part:.4g}px)" if len(row) > 1 else "100%"


def _recipes(pictures: Sequence[Picture]) -> dict[str, str]:
    lines = [recipe_lines(picture) for picture in pictures]
    if len(lines) == 1:
        return {"mark": "data-recipe", "shared": recipe_html(lines[0]), "recipes": ""}
    shared = [line for line in lines[0] if all(line in each for each in lines)]
    own = ([line for line in each if line not in shared] for each in lines)
    recipes = (
        fill("show/result-recipe.html", name=f"picture {number}", recipe=recipe_html(each))
        for number, each in enumerate(own, 1)
    )
    return {"mark": "data-shared", "shared": recipe_html(shared), "recipes": "".join(recipes)}


def columns_of(count: int) -> int:
    """Return the number of columns of a result's pictures: of 3 and 4, what leaves fewer places empty.

    >>> [columns_of(count) for count in (1, 2, 3, 4, 5, 6, 7, 8, 9)]
    [1, 2, 3, 2, 3, 3, 4, 4, 3]
    """
    if count in _EDGES:
        return min(count, 2)
    return min((4, 3), key=lambda columns: -count % columns)


def edge_of(count: int) -> int:
    """Return the most pixels a side of each of a result's pictures."""
    return _EDGES.get(count, _EDGE_OF_MANY)


def _widths(pictures: Sequence[Picture]) -> list[int]:
    """Return the widths at which all pictures are equally high."""
    edge = edge_of(len(pictures))
    sizes = [within(picture.size, edge) for picture in pictures]
    height = min(height for _, height in sizes)
    return [max(1, round(width * height / own)) for width, own in sizes]


def _figure(picture: Picture, source: str, width: int, most: str, words: Sequence[str]) -> str:
    described = outside(alt(picture))
    height = round(width * picture.size[1] / picture.size[0])
    image = (
        fill(
            "show/figure-image.html",
            source=address(source),
            alt=described,
            width=str(width),
            height=str(max(1, height)),
            cell=cell_attribute(picture),
        )
        if source
        else f"<div>{described}</div>"
    )
    line = fill("show/figure-caption.html", caption=outside(" · ".join(words))) if words else ""
    return fill("show/figure.html", width=str(width), most=most, image=image, caption=line)


def text(result: Result, links: Sequence[str] = ()) -> str:
    """Return the result as text: the prompt, a line with the SHA-256 of each picture, and the links."""
    count = plural(len(result), "picture")
    lines = [f"{count} of “{sanitize(result.request.prompt, 200)}”"]
    lines += [f"{caption(picture)} · sha256:{picture.sha256}" for picture in result.pictures]
    return "\n".join([*lines, *(sanitize(link, LONGEST_ADDRESS) for link in links)])
