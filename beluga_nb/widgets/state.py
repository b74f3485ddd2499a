"""The state of the panel: plain values that can be observed, without widgets, keys or decisions.

The user writes the form and the filters; the controller writes everything else, on its own thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from traitlets import Bool, Dict, Float, HasTraits, Instance, Int, Tuple, Unicode

from beluga_nb.catalog import Model, Size
from beluga_nb.result import Picture, Preview, Result
from beluga_nb.show.markup import alt, caption

DEFAULT = ""
"""The size or quality of a request without that parameter: the service uses its own default."""


@dataclass(frozen=True)
class Form:
    """What the fields held at a click, and what was said of them: by the button, and by the plan of the grid.

    `turn` counts the cells that had run by then.
    """

    prompt: str
    model: str
    size: str = DEFAULT
    quality: str = DEFAULT
    n: int = 1
    take: str = ""
    axes: str = ""
    name: str = ""
    note: str = ""
    new_tag: str = ""
    action: str = ""
    grid_plan: str = ""
    turn: int = 0


@dataclass(frozen=True)
class Work:
    """A call that is running: how many pictures have arrived, after how many seconds."""

    number: int
    prompt: str
    model: str
    asked: int
    arrived: int = 0
    seconds: int = 0


@dataclass(frozen=True)
class Failure:
    """A call that has failed: the lines of its error, whether it was billed, and what it asked for."""

    number: int
    lines: tuple[str, ...]
    billing: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, eq=False)
class Piece:
    """A picture of a result: its position there, and its thumbnail."""

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
        """The line under the picture, with its number, as in the filmstrip."""
        return f"{caption(self.picture)} · #{self.picture.recipe.request.sample + 1}"


@dataclass(frozen=True, kw_only=True)
class Item:
    """A picture in the filmstrip.

    `run` names its run in the store, and is empty for a picture that is not recorded. `number` counts the
    pictures of a take from 1. `day` is set on the first picture of a day.
    """

    sha256: str
    run: str
    prompt: str
    model: str
    take: str
    number: int
    size: tuple[int, int]
    day: str = ""
    favourite: bool = False
    preview: Preview | None = None

    @property
    def name(self) -> str:
        """Model, take and number in one line."""
        return " · ".join([self.model, *([f"take {self.take}"] if self.take else []), f"#{self.number}"])

    @property
    def caption(self) -> str:
        """Model, size, take and number in one line."""
        width, height = self.size
        take = [f"take {self.take}"] if self.take else []
        return " · ".join([self.model, f"{width} × {height}", *take, f"#{self.number}"])


@dataclass(frozen=True)
class File:
    """Bytes that are ready for download."""

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

    # The choices of the form, lines of text about them, and what a click on the button would do.
    offered: tuple[str, ...] = Tuple()  # type: ignore[assignment]  # models and aliases
    models: tuple[Model, ...] = Tuple()  # type: ignore[assignment]
    sizes: tuple[Size, ...] = Tuple()  # type: ignore[assignment]
    about_model = Unicode()
    about_size = Unicode()
    estimate = Unicode()
    action = Unicode("Generate")
    ready = Bool(False)
    turn = Int(0)  # how many cells have run since the panel was made

    # Who answers, and what was spent; `share` of the caps, from 0 to 1, is negative without a cap.
    provider = Unicode()
    spent = Unicode()
    share = Float(-1.0)

    # Calls that run and that have failed, the status line, and the lines of the last error.
    work: tuple[Work, ...] = Tuple()  # type: ignore[assignment]
    failures: tuple[Failure, ...] = Tuple()  # type: ignore[assignment]
    message = Unicode()
    error: tuple[str, ...] = Tuple()  # type: ignore[assignment]
    billing = Unicode()

    # Results, and the picture on the stage.
    result = Instance(Result, allow_none=True)
    gallery: tuple[Piece, ...] = Tuple()  # type: ignore[assignment]
    chosen = Instance(Piece, allow_none=True)
    enlarged = Instance(Preview, allow_none=True)
    recipe = Unicode()
    cell = Unicode()
    cell_shown = Bool(False)
    takes = Unicode()  # why there is no new take; empty where there is one
    file = Instance(File, allow_none=True)
    name = Unicode("picture")
    favourite = Bool(False)
    note = Unicode()
    snapshot: dict[str, str] = Dict()  # type: ignore[assignment]

    # The filmstrip: the items from number `first` on, of `total`; the page writes `at`, what it has in view.
    items: tuple[Item, ...] = Tuple()  # type: ignore[assignment]
    first = Int(0)
    total = Int(0)
    at = Int(0)
    recorded_models: tuple[str, ...] = Tuple()  # type: ignore[assignment]
    history_query = Unicode()
    history_model = Unicode()
    tag = Unicode()
    since = Unicode()
    until = Unicode()
    favourites = Bool(False)

    # Selected pictures, and those of them that are compared, enlarged.
    picked: tuple[Item, ...] = Tuple()  # type: ignore[assignment]
    compared: tuple[Preview, ...] = Tuple()  # type: ignore[assignment]
    new_tag = Unicode()
    question = Unicode()

    # The grid.
    axes = Unicode()
    grid_plan = Unicode()
    grid_ready = Bool(False)
    grid_cell = Unicode()
    grid_sheet = Instance(Preview, allow_none=True)
    grid_words = Unicode()
