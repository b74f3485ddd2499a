"""What a notebook shows while a call runs: a bar, and a frame for each picture; none of it is kept."""

from __future__ import annotations

import re
from collections.abc import Sequence

import beluga_nb.catalog as catalog
from beluga_nb.images import within
from beluga_nb.request import Request
from beluga_nb.result import Picture, Result
from beluga_nb.show.figures import columns_of, edge_of
from beluga_nb.show.markup import address, alt, data_uri, outside
from beluga_nb.show.preview import preview_of, thumbnail
from beluga_nb.show.template import fill

MOST_FRAMES = 16
"""Pictures that have frames; of more, only the bar is shown."""

_UNKNOWN_SHAPE = (1024, 1024)


def bar_html(text: str, share: float | None) -> str:
    """Return a bar that is filled to a share from 0 to 1, if there is one, and text below it."""
    filled = (
        ""
        if share is None
        else fill("show/waiting-bar.html", percent=f"{100 * share:.0f}", label=outside(text))
    )
    return fill("show/waiting.html", bar=filled, text=outside(text))


def frames_html(request: Request, results: Sequence[Result]) -> str:
    """Return a frame of the right shape for each picture of a request; what has arrived is in its frame."""
    if request.n > MOST_FRAMES:
        return ""
    arrived = {picture.recipe.request.sample: picture for result in results for picture in result.pictures}
    size = next(iter(arrived.values())).size if arrived else expected_size(request)
    edge = edge_of(request.n)
    width, height = map(str, within(size, edge))
    frames = "".join(
        _image(arrived[sample], edge)
        if sample in arrived
        else fill(
            "show/waiting-frame.html",
            width=width,
            height=height,
            words=f"picture {number} of {request.n}" if request.n > 1 else "waiting",
        )
        for number, sample in enumerate(request.samples, 1)
    )
    return fill("show/waiting-frames.html", frames=frames, width=width, columns=str(columns_of(request.n)))


def _image(picture: Picture, edge: int) -> str:
    width, height = map(str, within(picture.size, edge))
    source = address(data_uri(thumbnail(preview_of(picture), edge)))
    return fill(
        "show/waiting-image.html", source=source, alt=outside(alt(picture)), width=width, height=height
    )


def expected_size(request: Request) -> tuple[int, int]:
    """Return the size in pixels that pictures of a request will have, as far as it is known."""
    if request.size in catalog.labels():
        return catalog.pixels(request.size)
    if match := re.fullmatch(r"(\d{1,5})x(\d{1,5})", request.size or ""):
        return int(match[1]), int(match[2])
    return _UNKNOWN_SHAPE
