"""The register: how much of a picture each actor covers, by a small map of whose paint is on top."""

from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import NamedTuple

from PIL import Image, ImageChops, ImageDraw

from beluga_nb.painter.lettering import Lettering
from beluga_nb.painter.marks import Mark, Mirror, Panes, Shape, Wash
from beluga_nb.painter.outline import Outline

UNIT = 288  # pixels of the map for a unit
OPAQUE = 0.8  # what covers others
SEEN = 0.5  # what shows of an actor: more than what lies behind it
WHOLE = 0.95  # of what showed of an actor, where its letters are not covered
SOFT = 0.02  # what is softer covers nothing for sure


class Cover(NamedTuple):
    """How much of the picture shows an actor, 0 to 1, how much of that is in the actor's own colour, and how
    much showed the actor before others were painted over it.
    """

    share: float
    dyed: float
    whole: float


class Register:
    """Follows the marks as they are painted; ask for the covers when all of them are."""

    def __init__(self, actors: int, share: float = 1.0) -> None:
        """Keep an account for this many actors; share is how much of the picture the marks cover."""
        self._share = share
        self._whole = [0.0] * actors
        self._map = Image.new("L", (1, 1))
        self._boards: set[int] = set()

    @property
    def covers(self) -> list[Cover]:
        """Return how much of the picture shows each actor."""
        counts, size = self._map.histogram(), prod(self._map.size) / self._share
        plain, dyed = ([n / size for n in counts[first::2]] for first in (2, 3))
        return [Cover(p + d, d, whole) for p, d, whole in zip(plain, dyed, self._whole, strict=False)]

    @property
    def lettered(self) -> bool:
        """Return whether words are set on an actor that nothing covers."""
        covers = self.covers
        return any(covers[n - 1].share >= WHOLE * covers[n - 1].whole for n in self._boards)

    def noting(self, marks: Iterable[Mark], width: float, height: float) -> Iterator[Mark]:
        """Yield the marks; what each covers is noted."""
        self._map = Image.new("L", (max(1, round(width * UNIT)), max(1, round(height * UNIT))))
        draw, last, anyone = ImageDraw.Draw(self._map), 0, False
        for mark in marks:
            yield mark
            if isinstance(mark, Shape):
                if mark.owner != last:
                    self._finished(last)
                    last = mark.owner
                anyone = anyone or mark.owner > 0
                least = OPAQUE if mark.within or not mark.owner else SEEN
                if anyone and mark.alpha > least and mark.soft < SOFT:
                    self._note(draw, mark)
            elif isinstance(mark, Lettering) and last:
                self._boards.add(last)
            elif anyone and isinstance(mark, Wash | Mirror):
                top = mark.top if isinstance(mark, Wash) else mark.y
                draw.rectangle((0, top * UNIT, self._map.width, mark.bottom * UNIT), 0)
            elif anyone and isinstance(mark, Panes):
                for left, top, right, bottom in mark.boxes.tolist():
                    draw.rectangle((left * UNIT, top * UNIT, right * UNIT, bottom * UNIT), 0)
        self._finished(last)

    def _finished(self, owner: int) -> None:
        """Note how much shows an actor whose last shape has just been painted: nothing lies over it yet."""
        if owner:
            self._whole[owner - 1] = max(self._whole[owner - 1], self.covers[owner - 1].share)

    def _note(self, draw: ImageDraw.ImageDraw, mark: Shape) -> None:
        ink = 2 * mark.owner + mark.dyed
        if not mark.within:
            for outline in mark.outlines:
                draw.polygon((outline * UNIT - 0.5).ravel().tolist(), ink)
            return
        # What lies within another shape covers only that.
        ends = [round(end * UNIT) for end in mark.ends()]
        corner, size = (ends[0] - 1, ends[1] - 1), (ends[2] - ends[0] + 3, ends[3] - ends[1] + 3)
        masks = [_filled(outlines, corner, size) for outlines in (mark.outlines, mark.within)]
        self._map.paste(ink, corner, ImageChops.logical_and(*masks))


def _filled(outlines: Sequence[Outline], corner: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    """Return the part of the map that outlines cover, as a mask."""
    mask = Image.new("1", size)
    draw = ImageDraw.Draw(mask)
    for outline in outlines:
        draw.polygon((outline * UNIT - corner - 0.5).ravel().tolist(), 1)
    return mask
