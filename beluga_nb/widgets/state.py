"""The state of the panel: plain values that can be observed, without widgets, keys or decisions.

The user writes the form; the controller writes everything else, on its own thread.
"""

from __future__ import annotations

from dataclasses import dataclass

from traitlets import Bool, Dict, Float, HasTraits, Instance, Int, Tuple, Unicode

from beluga_nb.catalog import Model, Size
from beluga_nb.result import Picture, Preview, Result
from beluga_nb.show.comparison import SIDE_BY_SIDE
from beluga_nb.show.markup import alt, caption
from beluga_nb.store.marks import Mark
from beluga_nb.widgets.data import Found

DEFAULT = ""
"""The size or quality of a request without that parameter: the service uses its own default."""


@dataclass(frozen=True)
class Work:
    """A call that is running: how many pictures have arrived, after how many seconds."""

    number: int
    prompt: str
    model: str
    asked: int
    arrived: int = 0
    seconds: int = 0


@dataclass(frozen=True, eq=False)
class Piece:
    """A picture in the gallery: its result, its position there, and its thumbnail."""

    result: Result
    position: int
    preview: Preview

    @property
    def picture(self) -> Picture:
        """The picture itself."""
        return self.result.pictures[self.position]

    @property
    def alone(self) -> Result:
        """A result with this picture only."""
        # The same object for a single picture, so that `selected is result`.
        return self.result if len(self.result) == 1 else self.result[self.position : self.position + 1]

    @property
    def words(self) -> str:
        """The text alternative."""
        return alt(self.picture)

    @property
    def caption(self) -> str:
        """The line under the picture."""
        return caption(self.picture)


@dataclass(frozen=True)
class Original:
    """The exact bytes of a picture, ready for download."""

    name: str
    media_type: str
    data: bytes


class State(HasTraits):
    """Everything that the panel shows."""

    # The form.
    prompt = Unicode()
    search = Unicode()
    model = Unicode()
    size = Unicode(DEFAULT)
    quality = Unicode(DEFAULT)
    n = Int(1)
    take = Unicode()

    # The choices of the form, and lines of text about them.
    models: tuple[Model, ...] = Tuple()  # type: ignore[assignment]
    sizes: tuple[Size, ...] = Tuple()  # type: ignore[assignment]
    max_n = Int(1)
    about_model = Unicode()
    about_size = Unicode()
    estimate = Unicode()
    provider = Unicode()

    # Running calls, the status line, the lines of the last error, and whether it was billed, in words.
    work: tuple[Work, ...] = Tuple()  # type: ignore[assignment]
    message = Unicode()
    error: tuple[str, ...] = Tuple()  # type: ignore[assignment]
    billing = Unicode()

    # Results, and the chosen picture.
    result = Instance(Result, allow_none=True)
    gallery: tuple[Piece, ...] = Tuple()  # type: ignore[assignment]
    chosen = Instance(Piece, allow_none=True)
    enlarged = Instance(Preview, allow_none=True)
    recipe = Unicode()
    cell = Unicode()
    cell_shown = Bool(False)
    original = Instance(Original, allow_none=True)
    name = Unicode("picture")
    favourite = Bool(False)
    note = Unicode()
    marks: dict[str, Mark] = Dict()  # type: ignore[assignment]
    snapshot: dict[str, str] = Dict()  # type: ignore[assignment]

    # Comparison.
    compared: tuple[Piece, ...] = Tuple()  # type: ignore[assignment]
    mode = Unicode(SIDE_BY_SIDE)
    zoom = Float(1.0)
    across = Float(0.5)
    down = Float(0.5)
    split = Float(0.5)
    comparison_images: tuple[Preview, ...] = Tuple()  # type: ignore[assignment]

    # History.
    found: tuple[Found, ...] = Tuple()  # type: ignore[assignment]
    more = Int(0)
    history_query = Unicode()
    history_model = Unicode()
    since = Unicode()
    until = Unicode()
    favourites = Bool(False)
