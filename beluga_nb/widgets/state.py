"""What is so on the panel: plain values that can be watched. No widget, no key, no decision.

The form is written by the person; all else by the controller, on its own thread.
"""

from __future__ import annotations

from dataclasses import dataclass

from traitlets import Bool, Dict, Float, HasTraits, Instance, Int, Tuple, Unicode

from beluga_nb.catalog import Model, Size
from beluga_nb.result import Picture, Preview, Result
from beluga_nb.show.markup import alt, caption
from beluga_nb.store.marks import Mark
from beluga_nb.widgets.data import Found

PER_MODEL = ""
"""In place of a size or a quality: nothing is asked for, and the service's own default applies."""

SIDE_BY_SIDE, CURTAIN = "side by side", "slider"


@dataclass(frozen=True)
class Work:
    """A call under way: what of it has arrived, and for how many seconds it has been."""

    number: int
    prompt: str
    model: str
    asked: int
    arrived: int = 0
    seconds: int = 0


@dataclass(frozen=True, eq=False)
class Piece:
    """A picture in the gallery: the result that it came in, its place there, and what is shown of it."""

    result: Result
    position: int
    preview: Preview

    @property
    def picture(self) -> Picture:
        """The picture itself."""
        return self.result.pictures[self.position]

    @property
    def alone(self) -> Result:
        """The picture as a result: the result itself where it is its only one."""
        return self.result if len(self.result) == 1 else self.result[self.position : self.position + 1]

    @property
    def words(self) -> str:
        """The text alternative."""
        return alt(self.picture)

    @property
    def caption(self) -> str:
        """Model, pixels, and whether it is a preview."""
        return caption(self.picture)


@dataclass(frozen=True)
class Original:
    """The exact bytes of a picture, ready to be downloaded."""

    name: str
    media_type: str
    data: bytes


class State(HasTraits):
    """Everything that the panel shows."""

    # The form.
    prompt = Unicode()
    search = Unicode()
    model = Unicode()
    size = Unicode(PER_MODEL)
    quality = Unicode(PER_MODEL)
    n = Int(1)
    take = Unicode()

    # What there is to choose, and what it would take.
    models: tuple[Model, ...] = Tuple()  # type: ignore[assignment]
    sizes: tuple[Size, ...] = Tuple()  # type: ignore[assignment]
    most = Int(1)
    about_model = Unicode()
    about_size = Unicode()
    outlook = Unicode()
    answers = Unicode()

    # Work.
    work: tuple[Work, ...] = Tuple()  # type: ignore[assignment]
    told = Unicode()
    trouble: tuple[str, ...] = Tuple()  # type: ignore[assignment]

    # Results.
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
    still: dict[str, str] = Dict()  # type: ignore[assignment]

    # Comparison.
    compared: tuple[Piece, ...] = Tuple()  # type: ignore[assignment]
    how = Unicode(SIDE_BY_SIDE)
    zoom = Float(1.0)
    across = Float(0.5)
    down = Float(0.5)
    split = Float(0.5)
    sights: tuple[Preview, ...] = Tuple()  # type: ignore[assignment]

    # History.
    found: tuple[Found, ...] = Tuple()  # type: ignore[assignment]
    more = Int(0)
    sought = Unicode()
    sought_model = Unicode()
    since = Unicode()
    until = Unicode()
    favourites = Bool(False)
